//! What the operator decides besides the hosts: the login, mails, the database. Given as options, or asked for where
//! somebody can be asked. A password that is typed goes into a file of its own and never into the configuration.

use std::path::Path;

use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;

use super::error::InitError;
use crate::{
    app::{
        error::{EncryptionError, RunError},
        process::{hidden_input, question},
        run::output_file::{Audience, Output},
    },
    cli::init::{Init, Security},
    config::{
        entry::{self, Refused},
        secret::SecretSource,
    },
    setup::{
        fleet::Fleet,
        plan::{LoginPlan, MailPlan},
    },
};

/// The usual sender.
const SENDER: &str = "fleetsweep@localhost";
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

/// A path as the configuration has it: with a directory, because `~` may stand for one.
fn absolute(text: &str) -> String {
    if text.starts_with('~') {
        return text.to_owned();
    }
    std::path::absolute(text).map_or_else(|_| text.to_owned(), |path| path.display().to_string())
}

impl Asking<'_> {
    /// How to log in to the hosts.
    pub(super) async fn login(&self, fleet: &Fleet) -> Result<LoginPlan, RunError> {
        let Init { user, key, passphrase, password, .. } = self.init;
        let mut login = LoginPlan {
            username: user.as_deref().map(|name| checked("--user", entry::account(name))).transpose()?,
            key: key.as_deref().map(absolute),
            passphrase: passphrase.clone(),
            password: password.clone(),
        };
        if let Some(path) = &login.key {
            checked("--key", entry::path(path, self.home))?;
        }
        for (option, reference) in [("--passphrase", &login.passphrase), ("--password", &login.password)] {
            if let Some(text) = reference {
                checked(option, entry::reference(text, self.home))?;
            }
        }
        let lacks_account = fleet.hosts().any(|host| host.username.is_none() && !host.has_openssh_user);
        if lacks_account && login.username.is_none() {
            if !self.may_ask {
                return Err(InitError::NoUsername.into());
            }
            let own = whoami::username().unwrap_or_default();
            let typed = question::ask("Account on the hosts", &own, self.stop).await.map_err(InitError::from)?;
            login.username = Some(checked("account", entry::account(&typed))?);
        }
        if login.key.is_none() && login.password.is_none() && self.may_ask {
            let asked = "Private key file, `password`, or Enter for the ssh-agent and the usual keys";
            match question::ask(asked, "", self.stop).await.map_err(InitError::from)?.as_str() {
                "" => {}
                "password" => login.password = Some(self.typed_password().await?),
                path => {
                    checked("key", entry::path(path, self.home))?;
                    login.key = Some(absolute(path));
                }
            }
        }
        Ok(login)
    }

    /// Asks for a password and puts it into a new file. The result refers to the file.
    async fn typed_password(&self) -> Result<String, RunError> {
        let usual = "fleetsweep-password";
        let asked = "It is not written into the configuration. New file for it, which only you can read";
        let path = absolute(&question::ask(asked, usual, self.stop).await.map_err(InitError::from)?);
        checked("file", entry::path(&path, self.home))?;
        let path = match (path.strip_prefix("~/"), self.home) {
            (Some(rest), Some(home)) => home.join(rest).display().to_string(),
            _ => path,
        };
        let typed = hidden_input::ask("Password (not shown): ", self.stop).await.map_err(InitError::from)?;
        let line = typed.strip_suffix(b"\n").unwrap_or(&typed);
        let secret = SecretSource::from_input(line).map_err(EncryptionError::from)?;
        let mut file = Output::create(Path::new(&path), Audience::Owner)?;
        file.write(secret.expose_secret().as_bytes())?;
        file.write(b"\n")?;
        file.finish_new()?;
        Ok(format!("file:{path}"))
    }

    /// Who is mailed and how; `None` for nobody.
    pub(super) async fn mail(&self) -> Result<Option<MailPlan>, InitError> {
        let Init { mail, smtp, smtp_security, smtp_user, smtp_password, from, .. } = self.init;
        let is_asked = self.may_ask && mail.is_none();
        let to = match mail {
            Some(to) => to.clone(),
            None if is_asked => {
                question::ask("Mail address for alerts (Enter: nobody is mailed)", "", self.stop).await?
            }
            None => return Ok(None),
        };
        if to.is_empty() {
            return Ok(None);
        }
        checked("--mail", entry::recipients(&to))?;
        let server = match smtp {
            Some(server) => server.clone(),
            None if is_asked => question::ask("Mail server", MAIL_SERVER, self.stop).await?,
            None => MAIL_SERVER.to_owned(),
        };
        let (host, port) = match server.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, Some(checked("--smtp", entry::port(port))?))
            }
            Some(_) | None => (server.as_str(), None),
        };
        let host = checked("--smtp", entry::server(host))?;
        let usual = if entry::is_loopback(&host) { Security::None } else { Security::Starttls };
        let from = match from {
            Some(from) => from.clone(),
            None if is_asked => question::ask("Sender", SENDER, self.stop).await?,
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
