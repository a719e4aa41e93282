//! The way to a client, made of what `config.xml` says and, where it says nothing, of what the configuration of OpenSSH
//! says: account, credentials, jump hosts. Not how the files are read, and not the connection.

use std::{
    env,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    address,
    bastions::{self, Bastions, WrittenHop},
    model::{Bastion, KeyFile, Login},
    openssh::Openssh,
    values,
};
use crate::{
    fleet::ClientId,
    ssh_config::{HostQuery, HostSettings, IdentityAgent, Proxy},
};

/// The default port of SSH.
const SSH_PORT: u16 = 22;
/// The most jump hosts on the way to a client.
const MOST_HOPS: usize = 8;

/// What `config.xml` says about the way to a client.
pub(super) struct Written<'a> {
    /// The name, the account and the port.
    pub(super) asked: HostQuery,
    /// The credentials; `None` if there is neither a key nor a password.
    pub(super) login: Option<&'a Login>,
    /// `via`.
    pub(super) via: Option<&'a [WrittenHop]>,
}

/// The way to a client.
pub(super) struct Way {
    pub(super) username: String,
    pub(super) login: Login,
    pub(super) via: Arc<[Arc<Bastion>]>,
    pub(super) openssh: Option<Arc<HostSettings>>,
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WayError {
    /// Nothing names an account.
    NoUsername,
    /// A wrong `via`, which is reported elsewhere.
    Via,
    /// The configuration of OpenSSH says something that cannot be used.
    Openssh(&'static str),
}

/// The way to a client.
pub(super) fn way(written: &Written<'_>, openssh: &Openssh, bastions: &Bastions) -> Result<Way, WayError> {
    let mut settings = openssh.of(&written.asked);
    if let Some(settings) = &mut settings {
        check(settings)?;
        // What this file says wins.
        if written.via.is_some() {
            settings.proxy = None;
        }
        if written.login.is_some() {
            settings.identity_files = None;
            settings.identities_only = None;
            settings.identity_agent = None;
        }
    }
    let named = settings.as_ref().and_then(|settings| settings.user.as_ref()).map(|user| user.value.clone());
    let username = written.asked.user.clone().or(named).ok_or(WayError::NoUsername)?;
    values::line(&username).map_err(|_| WayError::Openssh("`User` is not the name of an account"))?;
    let login = match written.login {
        Some(login) => Login { certificates: certificates(settings.as_ref()), ..login.clone() },
        None => login(settings.as_ref(), openssh),
    };
    let via = match (written.via, jump(settings.as_ref())) {
        (Some(via), _) => bastions.resolve(via, &username, &login).ok_or(WayError::Via)?,
        (None, Some(_)) => {
            let mut hops = Vec::new();
            jump_hosts(settings.as_ref(), openssh, bastions, 0, &mut hops)?;
            hops.into()
        }
        (None, None) => Arc::default(),
    };
    Ok(Way { username, login, via, openssh: settings.map(Arc::new) })
}

/// Whether the settings can be used.
fn check(settings: &HostSettings) -> Result<(), WayError> {
    if settings.host_name_from.is_some() && address::parse(&settings.host_name).is_err() {
        return Err(WayError::Openssh("`HostName` is not a host name or address"));
    }
    if settings.proxy.as_ref().is_some_and(|proxy| proxy.value == Proxy::Command(None)) {
        return Err(WayError::Openssh(
            "its `ProxyCommand` cannot be run: a token or a name in it is not allowed there",
        ));
    }
    Ok(())
}

fn jump(settings: Option<&HostSettings>) -> Option<&[crate::ssh_config::Hop]> {
    match &settings?.proxy.as_ref()?.value {
        Proxy::Jump(hops) => Some(hops),
        Proxy::None | Proxy::Command(_) => None,
    }
}

/// The jump hosts in the order of the connection. The first one may stand behind others, as `ssh -J` has it.
fn jump_hosts(
    settings: Option<&HostSettings>,
    openssh: &Openssh,
    bastions: &Bastions,
    depth: usize,
    found: &mut Vec<Arc<Bastion>>,
) -> Result<(), WayError> {
    const LOOP: WayError = WayError::Openssh("its jump hosts lead to each other, or there are more than 8");
    for (index, hop) in jump(settings).unwrap_or_default().iter().enumerate() {
        if let (None, None, Some(bastion)) = (&hop.user, hop.port, bastions.named(&hop.host)) {
            found.push(bastion.ok_or(WayError::Via)?);
            continue;
        }
        let asked = HostQuery { host: hop.host.clone(), user: hop.user.clone(), port: hop.port };
        let settings = openssh.of(&asked);
        if let Some(settings) = &settings {
            check(settings)?;
        }
        let proxy = settings.as_ref().and_then(|settings| settings.proxy.as_ref()).map(|proxy| &proxy.value);
        if index == 0 && matches!(proxy, Some(Proxy::Jump(_))) {
            if depth >= MOST_HOPS {
                return Err(LOOP);
            }
            jump_hosts(settings.as_ref(), openssh, bastions, depth + 1, found)?;
        }
        let login = login(settings.as_ref(), openssh);
        found.push(Arc::new(jump_host(&asked, settings, login, index > 0 || !found.is_empty())?));
        if found.len() > MOST_HOPS {
            return Err(LOOP);
        }
    }
    Ok(())
}

fn jump_host(
    asked: &HostQuery,
    settings: Option<HostSettings>,
    login: Login,
    is_behind_another: bool,
) -> Result<Bastion, WayError> {
    let host = settings.as_ref().map_or(&asked.host, |settings| &settings.host_name);
    let host =
        address::parse(host).map_err(|_| WayError::Openssh("a jump host of it is not a host name or address"))?;
    let port = settings.as_ref().and_then(|settings| settings.port.as_ref()).map(|port| port.value);
    let id = ClientId::new(host, port.or(asked.port).unwrap_or(SSH_PORT));
    let user = settings.as_ref().and_then(|settings| settings.user.as_ref()).map(|user| user.value.clone());
    // As with `ssh`: the account there is the one here, not that of the client.
    let username = user.or_else(|| whoami::username().ok()).ok_or(WayError::NoUsername)?;
    let openssh = settings.map(|mut settings| {
        if is_behind_another {
            settings.proxy = None;
        }
        Arc::new(settings)
    });
    Ok(Bastion {
        name: format!("{username}@{id}"),
        id,
        username,
        login,
        legacy: false,
        max_logins: bastions::default_max_logins(),
        openssh,
    })
}

/// The credentials that OpenSSH's configuration names, where this file names none; the default keys if it names none
/// either. Key files that do not exist are left out, as `ssh` does. If the public key is there, the ssh-agent may have it.
fn login(settings: Option<&HostSettings>, openssh: &Openssh) -> Login {
    let Some(settings) = settings else { return Login::of(None, None).or_defaults(openssh.default_keys()) };
    let named = || settings.identity_files.iter().flatten().map(|file| file.value.path.as_path());
    let is_only = settings.identities_only.as_ref().is_some_and(|only| only.value);
    let socket = match settings.identity_agent.as_ref().map(|agent| &agent.value) {
        Some(IdentityAgent::None) => Agent::None,
        Some(IdentityAgent::Socket(path)) => Agent::At(path.clone()),
        Some(IdentityAgent::Variable(name)) if name != "SSH_AUTH_SOCK" => {
            env::var_os(name).map_or(Agent::None, |path| Agent::At(path.into()))
        }
        Some(IdentityAgent::Variable(_)) | None => Agent::Usual,
    };
    let existing = |path: &Path| {
        let public = path.with_added_extension("pub");
        [path, &public].into_iter().find(|path| path.is_file()).map(Path::to_owned)
    };
    let has_agent = socket != Agent::None;
    let identities = named().filter_map(existing).map(|path| KeyFile { path, passphrase: None });
    let login = Login {
        key: None,
        identities: identities.filter(|key| has_agent || !key.is_public()).collect(),
        defaults: Vec::new(),
        certificates: certificates(Some(settings)),
        ssh_agent: has_agent,
        agent_socket: match socket {
            Agent::At(path) => Some(path),
            Agent::None | Agent::Usual => None,
        },
        agent_keys: is_only.then(|| match &settings.identity_files {
            Some(_) => named().map(Path::to_owned).collect(),
            None => openssh.default_keys().to_vec(),
        }),
        password: None,
    };
    if settings.identity_files.is_some() { login } else { login.or_defaults(openssh.default_keys()) }
}

/// `CertificateFile`.
fn certificates(settings: Option<&HostSettings>) -> Vec<PathBuf> {
    settings.iter().flat_map(|settings| &settings.certificate_files).map(|file| file.value.path.clone()).collect()
}

/// Which ssh-agent is asked.
#[derive(PartialEq, Eq)]
enum Agent {
    None,
    Usual,
    At(PathBuf),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{choices::OpensshFiles, openssh::Reach};

    /// The ways with this configuration of OpenSSH and no `<bastion>`.
    fn with(text: &str, check: impl Fn(&dyn Fn(&Written<'_>) -> Result<Way, WayError>)) {
        let folder = tempfile::tempdir().unwrap();
        for key in ["one", "two", "of-agent.pub"] {
            std::fs::write(folder.path().join(key), "").unwrap();
        }
        let file = folder.path().join("config");
        std::fs::write(&file, text).unwrap();
        let openssh = Openssh::read(Some(&OpensshFiles::File(file)), Some(folder.path()), Reach::Files);
        check(&|written| way(written, &openssh, &Bastions::default()));
    }

    fn asked(host: &str) -> HostQuery {
        HostQuery { host: host.to_owned(), ..HostQuery::default() }
    }

    /// The way as words: account, via, keys, and how the ssh-agent is used.
    fn words(way: &Result<Way, WayError>) -> String {
        let way = match way {
            Ok(way) => way,
            Err(error) => return format!("{error:?}"),
        };
        let names = |keys: &[KeyFile]| {
            keys.iter().filter_map(|key| key.path.file_name()?.to_str()).collect::<Vec<_>>().join(",")
        };
        let via: Vec<_> = way.via.iter().map(|hop| format!("{}[{}]", hop.name, names(&hop.login.identities))).collect();
        let login = &way.login;
        let agent = match (login.ssh_agent, &login.agent_keys) {
            (false, _) => "none".to_owned(),
            (true, None) => "all".to_owned(),
            (true, Some(keys)) => keys.len().to_string(),
        };
        let key = login.key.as_ref().map_or_else(|| names(&login.identities), |_| "written".to_owned());
        let command =
            way.openssh.as_ref().and_then(|settings| settings.proxy.as_ref()).is_some_and(|proxy| match &proxy.value {
                Proxy::Command(command) => command.is_some(),
                Proxy::None | Proxy::Jump(_) => false,
            });
        format!("{} via {} key {key} agent {agent} command {command}", way.username, via.join(" "))
    }

    #[test]
    fn what_openssh_says_completes_what_is_written_and_never_contradicts_it() {
        let text = "Host a b\n User ops\n IdentityFile ~/one\n IdentityFile ~/missing\n IdentityFile ~/of-agent.pub\n\
            Host b\n IdentitiesOnly yes\n ProxyCommand nc %h %p\nHost c\n User root\n IdentityAgent none\nHost d\n Port 23\n";
        let login = Login::of(Some(KeyFile { path: "/k".into(), passphrase: None }), None);
        with(text, |way| {
            let check = |written: Written<'_>, expected: &str| assert_eq!(words(&way(&written)), expected);
            let plain = |host: &str| Written { asked: asked(host), login: None, via: None };
            check(plain("a"), "ops via  key one,of-agent.pub agent all command false");
            check(plain("b"), "ops via  key one,of-agent.pub agent 3 command true");
            check(plain("c"), "root via  key  agent none command false");
            check(plain("d"), "NoUsername");
            check(
                Written { login: Some(&login), via: Some(&[]), ..plain("b") },
                "ops via  key written agent none command false",
            );
            let named = HostQuery { user: Some("me".to_owned()), ..asked("a") };
            check(Written { asked: named, ..plain("a") }, "me via  key one,of-agent.pub agent all command false");
        });
    }

    #[test]
    fn jump_hosts_are_resolved_like_the_client_and_loops_end() {
        let text = "Host *\n User ops\nHost client\n ProxyJump jump@first:2222,second\n\
            Host first\n IdentityFile ~/one\n ProxyJump outer\nHost second\n HostName 192.0.2.2\n ProxyJump never\n\
            Host outer\n HostName 192.0.2.9\n Port 9\n IdentityFile ~/two\n\
            Host loop\n ProxyJump again\nHost again\n ProxyJump loop\nHost bad\n HostName a/b\nHost through-bad\n ProxyJump bad\n\
            Host no-command\n ProxyCommand nc %z\n";
        with(text, |way| {
            let check = |host: &str, expected: &str| {
                assert_eq!(words(&way(&Written { asked: asked(host), login: None, via: None })), expected);
            };
            check(
                "client",
                "ops via ops@192.0.2.9:9[two] jump@first:2222[one] ops@192.0.2.2:22[] key  agent all command false",
            );
            let error = |problem: &'static str| format!("{:?}", WayError::Openssh(problem));
            check("loop", &error("its jump hosts lead to each other, or there are more than 8"));
            check("bad", &error("`HostName` is not a host name or address"));
            check("through-bad", &error("`HostName` is not a host name or address"));
            check(
                "no-command",
                &error("its `ProxyCommand` cannot be run: a token or a name in it is not allowed there"),
            );
        });
    }
}
