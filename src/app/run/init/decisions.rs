//! What the operator decides besides the hosts: the login, mails, the database. Given as options, or asked for where
//! somebody can be asked. A password that is typed goes into a file of its own and never into the configuration.

use std::{
    fmt::Display,
    io::{self, Write as _},
    path::Path,
};

use tokio_util::sync::CancellationToken;

use super::{error::InitError, secret_file::SecretFile};
use crate::{
    app::{
        error::{RunError, chain},
        process::{
            hidden_input::{self, InputError},
            question,
        },
    },
    cli::init::{Init, Security},
    config::{
        KeyFile,
        entry::{self, Refused},
        secret::SecretSource,
    },
    setup::{
        fleet::Fleet,
        host::{self, Host},
        plan::{LoginPlan, MailPlan},
    },
    sweep::{KeyTrouble, check_key},
};

/// The usual sender.
const SENDER: &str = "fleetsweep@localhost";
/// What to do about a key without a passphrase.
const LOCKED: &str = "the key file is locked: say where its passphrase is with --passphrase, such as env:NAME or file:PATH; if the ssh-agent has the key, name its file with .pub";
/// The usual mail server.
const MAIL_SERVER: &str = "127.0.0.1";

/// Asks, or takes what is usual.
pub(super) struct Asking<'a> {
    pub(super) init: &'a Init,
    pub(super) home: Option<&'a Path>,
    pub(super) may_ask: bool,
    pub(super) stop: &'a CancellationToken,
}

fn checked<T>(option: &'static str, result: Result<T, Refused>) -> Result<T, InitError> {
    result.map_err(|refused| InitError::Refused { option, refused })
}

/// A mail server, and its port if it is not the usual one.
fn server_and_port(text: &str) -> Result<(String, Option<u16>), Refused> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(entry::port(port)?)),
        Some(_) | None => (text, None),
    };
    Ok((entry::server(host)?, port))
}

/// A path as the configuration has it: with a directory, because `~` may stand for one.
fn absolute(text: &str) -> String {
    if text.starts_with('~') {
        return text.to_owned();
    }
    std::path::absolute(text).map_or_else(|_| text.to_owned(), |path| path.display().to_string())
}

/// How to log in, and the files of what was typed.
pub(super) struct Login {
    pub(super) plan: LoginPlan,
    pub(super) files: Vec<SecretFile>,
}

/// A secret that may be typed.
struct Typed {
    question: &'static str,
    file: &'static str,
}

const PASSWORD: Typed = Typed { question: "Password (not shown): ", file: "fleetsweep-password" };
const PASSPHRASE: Typed = Typed { question: "Passphrase (not shown): ", file: "fleetsweep-passphrase" };

impl Asking<'_> {
    /// How to log in to the hosts. `found_key` is the key that an inventory names.
    pub(super) async fn login(&self, fleet: &Fleet, found_key: Option<String>) -> Result<Login, RunError> {
        let Init { user, key, passphrase, password, .. } = self.init;
        let mut plan = LoginPlan {
            username: user.as_deref().map(|name| checked("--user", host::account(name))).transpose()?,
            key: key.as_deref().map(absolute).or(found_key.as_deref().map(absolute)),
            passphrase: passphrase.clone(),
            password: password.clone(),
        };
        let mut files = Vec::new();
        if let Some(path) = &plan.key {
            checked("--key", entry::path(path, self.home))?;
        }
        for (option, reference) in [("--passphrase", &plan.passphrase), ("--password", &plan.password)] {
            if let Some(text) = reference {
                checked(option, entry::reference(text, self.home))?;
            }
        }
        // Where the passphrase is may not be readable yet, such as a credential of systemd.
        if let (Some(path), None) = (plan.key.clone(), &plan.passphrase) {
            match self.check_key(&path, None).await {
                Ok(()) => {}
                Err(KeyTrouble::Unusable(words)) => return Err(InitError::Key(words).into()),
                Err(KeyTrouble::Locked) if self.may_ask => {
                    plan.passphrase = self.passphrase(&path, &mut files).await?;
                    if plan.passphrase.is_none() {
                        return Err(InitError::Key(LOCKED.to_owned()).into());
                    }
                }
                Err(KeyTrouble::Locked) => return Err(InitError::Key(LOCKED.to_owned()).into()),
            }
        }
        let lacks_account = |host: &Host| host.username.is_none() && !host.has_openssh_user;
        if fleet.hosts().any(lacks_account) && plan.username.is_none() {
            if !self.may_ask {
                return Err(InitError::NoUsername.into());
            }
            let own = whoami::username().unwrap_or_default();
            let others = if fleet.hosts().all(lacks_account) { "" } else { " that have none" };
            let asked = format!("Account on the hosts{others}");
            plan.username = Some(self.answer(&asked, &own, host::account).await?);
        }
        if plan.key.is_none() && plan.password.is_none() && self.may_ask {
            self.key_or_password(&mut plan, &mut files).await?;
        }
        Ok(Login { plan, files })
    }

    /// Asks until the answer is one.
    async fn answer<T, E: Display>(
        &self,
        asked: &str,
        usual: &str,
        check: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, InitError> {
        Ok(question::ask_until(asked, usual, check, self.stop).await?)
    }

    /// Asks for a key or a password until one of them can be used.
    async fn key_or_password(&self, plan: &mut LoginPlan, files: &mut Vec<SecretFile>) -> Result<(), RunError> {
        let asked = "Private key file, `password`, or Enter for the ssh-agent and the usual keys";
        loop {
            let is_path = |text: &str| match text {
                "" | "password" => Ok(text.to_owned()),
                path => entry::path(path, self.home).map(|_| absolute(path)),
            };
            let path = match self.answer(asked, "", is_path).await?.as_str() {
                "" => return Ok(()),
                "password" => {
                    plan.password = Some(self.typed(&PASSWORD, files).await?);
                    return Ok(());
                }
                path => path.to_owned(),
            };
            match self.check_key(&path, None).await {
                Ok(()) => {
                    plan.key = Some(path);
                    return Ok(());
                }
                Err(KeyTrouble::Unusable(words)) => writeln!(io::stderr(), "{words}")?,
                Err(KeyTrouble::Locked) => {
                    plan.passphrase = self.passphrase(&path, files).await?;
                    if plan.passphrase.is_some() {
                        plan.key = Some(path);
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Asks where the passphrase of a key is, until one opens it; `None` if the operator has none.
    async fn passphrase(&self, key: &str, files: &mut Vec<SecretFile>) -> Result<Option<String>, RunError> {
        let asked = "This key needs a passphrase. Where it is (env:NAME, file:PATH, cmd:COMMAND), or `type` (Enter: use no such key)";
        loop {
            let is_reference = |text: &str| match text {
                "" | "type" => Ok(text.to_owned()),
                reference => entry::reference(reference, self.home).map(|_| reference.to_owned()),
            };
            let before = files.len();
            let reference = match self.answer(asked, "", is_reference).await?.as_str() {
                "" => return Ok(None),
                "type" => self.typed(&PASSPHRASE, files).await?,
                reference => reference.to_owned(),
            };
            match self.check_key(key, Some(&reference)).await {
                Ok(()) => return Ok(Some(reference)),
                Err(KeyTrouble::Unusable(words)) => writeln!(io::stderr(), "{words}")?,
                Err(KeyTrouble::Locked) => writeln!(io::stderr(), "{LOCKED}")?,
            }
            // What was typed is wrong.
            files.truncate(before);
        }
    }

    /// Whether a key can be used.
    async fn check_key(&self, path: &str, passphrase: Option<&str>) -> Result<(), KeyTrouble> {
        let passphrase = passphrase.map(|text| entry::reference(text, self.home)).transpose();
        let passphrase = passphrase.map_err(|refused| KeyTrouble::Unusable(refused.to_string()))?;
        let path = entry::path(path, self.home).map_err(|refused| KeyTrouble::Unusable(refused.to_string()))?;
        check_key(&KeyFile { path, passphrase }).await
    }

    /// Asks for a secret and puts it into a new file. The result refers to the file.
    async fn typed(&self, what: &Typed, files: &mut Vec<SecretFile>) -> Result<String, RunError> {
        let asked = "It is not written into the configuration. New file for it, which only you can read";
        let is_new = |text: &str| {
            let path = entry::path(&absolute(text), self.home).map_err(|refused| refused.to_string())?;
            SecretFile::check(&path).map_err(|error| chain(&error))?;
            Ok::<_, String>(path)
        };
        let path = self.answer(asked, what.file, is_new).await?;
        let secret = loop {
            let typed = hidden_input::ask(what.question, self.stop).await.map_err(InitError::from)?;
            let line = typed.strip_suffix(b"\n").unwrap_or(&typed);
            match SecretSource::from_input(line) {
                Ok(secret) => break secret,
                // At the end of the input nobody would answer again.
                Err(_) if typed.is_empty() => return Err(InitError::from(InputError::Stopped).into()),
                Err(error) => writeln!(io::stderr(), "{error}")?,
            }
        };
        files.push(SecretFile::create(&path, &secret)?);
        Ok(format!("file:{}", path.display()))
    }

    /// Who is mailed and how; `None` for nobody.
    pub(super) async fn mail(&self) -> Result<Option<MailPlan>, InitError> {
        let Init { mail, smtp, smtp_security, smtp_user, smtp_password, from, .. } = self.init;
        let is_asked = self.may_ask && mail.is_none();
        let to = match mail {
            Some(to) => to.clone(),
            None if is_asked => {
                let none_or_valid = |text: &str| match text {
                    "" => Ok(String::new()),
                    addresses => entry::recipients(addresses).map(|()| addresses.to_owned()),
                };
                self.answer("Mail address for alerts (Enter: nobody is mailed)", "", none_or_valid).await?
            }
            None => return Ok(None),
        };
        if to.is_empty() {
            return Ok(None);
        }
        checked("--mail", entry::recipients(&to))?;
        let (host, port) = match smtp {
            Some(server) => checked("--smtp", server_and_port(server))?,
            None if is_asked => self.answer("Mail server", MAIL_SERVER, server_and_port).await?,
            None => checked("--smtp", server_and_port(MAIL_SERVER))?,
        };
        let usual = if entry::is_loopback(&host) { Security::None } else { Security::Starttls };
        let from = match from {
            Some(from) => from.clone(),
            None if is_asked => {
                self.answer("Sender", SENDER, |text| entry::sender(text).map(|()| text.to_owned())).await?
            }
            None => SENDER.to_owned(),
        };
        checked("--from", entry::sender(&from))?;
        let login = match (smtp_user, smtp_password) {
            (Some(user), Some(password)) => {
                checked("--smtp-password", entry::reference(password, self.home))?;
                Some((checked("--smtp-user", entry::account(user))?, password.clone()))
            }
            _ => None,
        };
        let security = smtp_security.unwrap_or(usual).word().to_owned();
        Ok(Some(MailPlan { host, port, security, from, to, login }))
    }

    /// `url` of the database.
    pub(super) fn database(&self) -> Result<String, InitError> {
        let text = self.init.database.as_deref().unwrap_or("fleetsweep.db");
        let is_url =
            ["sqlite:", "postgres:", "postgresql:", "mysql:", "mariadb:"].iter().any(|scheme| text.starts_with(scheme));
        let url = if is_url { text.to_owned() } else { format!("sqlite:{text}") };
        checked("--database", entry::database_url(&url, self.home))?;
        Ok(url)
    }

    /// The file of host keys, if it is not the usual one.
    pub(super) fn known_hosts(&self) -> Result<Option<String>, InitError> {
        let Some(path) = self.init.known_hosts.as_deref().map(absolute) else { return Ok(None) };
        checked("--known-hosts", entry::path(&path, self.home))?;
        Ok(Some(path))
    }
}
