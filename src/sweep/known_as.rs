//! Under which name the host key of a server is looked up, and in which files besides the one that is configured. Not
//! what they say.

use std::path::PathBuf;

use crate::{config::Client, fleet::ClientId};

/// The default port, which is not part of a name in the files.
const SSH_PORT: u16 = 22;

/// The name of a server in files of host keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KnownAs {
    /// Its address or alias, and its port. An alias has no port.
    pub(super) id: ClientId,
    /// Further files that are read and never written.
    pub(super) files: Vec<PathBuf>,
}

impl KnownAs {
    /// The name of a client. `system` are the files for all hosts, unless the client names others.
    pub(super) fn of(client: &Client, system: &[PathBuf]) -> Self {
        let settings = client.openssh.as_deref();
        let alias = settings.and_then(|settings| settings.host_key_alias.as_ref());
        let own = settings.and_then(|settings| settings.user_known_hosts.as_ref());
        let of_the_system = settings.and_then(|settings| settings.global_known_hosts.as_ref());
        let own = own.map_or(&[][..], |files| &files.value);
        let of_the_system = of_the_system.map_or(system, |files| &files.value);
        Self {
            id: alias.map_or_else(|| client.endpoint(), |alias| ClientId::new(alias.value.as_str(), SSH_PORT)),
            files: own.iter().chain(of_the_system).cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        config::Config,
        ssh_config::{HostSettings, Origin, Traced},
    };

    #[test]
    fn keys_in_the_files_of_the_system_are_pinned_unless_others_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.xml");
        std::fs::write(&path, r#"<config><ssh config="no"/><client ip="web" username="ops"/></config>"#).unwrap();
        let client = Config::load(&path).unwrap().config.clients.remove(0);
        let system = ["/etc/ssh/a", "/etc/ssh/b"].map(PathBuf::from);
        let named = |files: &[&str]| {
            let value = files.iter().map(PathBuf::from).collect();
            Some(Traced { value, origin: Origin::Given })
        };
        let settings = |user_known_hosts, global_known_hosts| {
            let host_name = "web".to_owned();
            Some(HostSettings { host_name, user_known_hosts, global_known_hosts, ..HostSettings::default() })
        };
        for (settings, expected) in [
            (None, &["/etc/ssh/a", "/etc/ssh/b"][..]),
            (settings(None, None), &["/etc/ssh/a", "/etc/ssh/b"]),
            (settings(named(&["own"]), None), &["own", "/etc/ssh/a", "/etc/ssh/b"]),
            (settings(named(&["own"]), named(&["all"])), &["own", "all"]),
            (settings(None, named(&[])), &[]),
        ] {
            let client = Client { openssh: settings.map(Arc::new), ..client.clone() };
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(KnownAs::of(&client, &system).files, expected);
        }
    }
}
