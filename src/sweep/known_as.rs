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
    use std::fs;

    use super::*;
    use crate::config::Config;

    #[test]
    fn keys_in_the_files_of_the_system_are_pinned_unless_others_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let [path, openssh] = ["config.xml", "ssh_config"].map(|name| folder.path().join(name));
        let config = r#"<config><ssh config="ssh_config"/><client ip="web" username="ops"/></config>"#;
        fs::write(&path, config.replace("ssh_config", &openssh.display().to_string())).unwrap();
        let system = ["/etc/ssh/a", "/etc/ssh/b"].map(PathBuf::from);
        for (text, expected) in [
            ("", &["/etc/ssh/a", "/etc/ssh/b"][..]),
            ("User ops", &["/etc/ssh/a", "/etc/ssh/b"]),
            ("UserKnownHostsFile /own", &["/own", "/etc/ssh/a", "/etc/ssh/b"]),
            ("UserKnownHostsFile /own\nGlobalKnownHostsFile /all", &["/own", "/all"]),
            ("GlobalKnownHostsFile none", &[]),
        ] {
            fs::write(&openssh, text).unwrap();
            let client = Config::load(&path).unwrap().config.clients.remove(0);
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(KnownAs::of(&client, &system).files, expected, "{text}");
        }
    }
}
