//! `config` of `<ssh>`: which files of OpenSSH are read, and what they say about a client where `config.xml` says
//! nothing. The edge of [`crate::ssh_config`]: the account, the machine and the commands come from here. Not what the
//! files mean, and not what is done with their settings.

use std::{
    env,
    path::{Path, PathBuf},
};

use super::{choices::OpensshFiles, value_error::ValueError, values};
use crate::ssh_config::{
    self, Answer, Commands, Environment, FileSystem, Files, HostQuery, HostSettings, Line, Remark, Root,
};

/// The file for all accounts.
const OF_THE_SYSTEM: &str = "/etc/ssh/ssh_config";

/// The key files that `ssh` tries without being told, in its order. Keys of security tokens are used by the ssh-agent.
const DEFAULT_KEYS: [&str; 3] = ["id_rsa", "id_ecdsa", "id_ed25519"];

/// How far reading a configuration reaches beyond its own text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Nowhere.
    Text,
    /// The files of OpenSSH are read.
    Files,
    /// The files are read, and the commands of `Match exec` are run.
    Commands,
}

/// The value of `config`.
pub(super) fn parse(text: &str, home: Option<&Path>) -> Result<OpensshFiles, ValueError> {
    match text {
        "yes" => Ok(OpensshFiles::Usual),
        "no" => Ok(OpensshFiles::None),
        file => values::path(file, home).map(OpensshFiles::File),
    }
}

/// The files of OpenSSH and what their settings depend on.
pub(super) struct Openssh {
    files: Files,
    home: Option<PathBuf>,
    account: String,
    machine: String,
    default_keys: Vec<PathBuf>,
    /// `None` if commands are not run.
    commands: Option<Commands>,
}

impl Openssh {
    /// Reads the files, if they are to be read.
    pub(super) fn read(which: Option<&OpensshFiles>, home: Option<&Path>, reach: Reach) -> Self {
        let roots = match (reach, which) {
            (Reach::Text, _) | (_, Some(OpensshFiles::None) | None) => Vec::new(),
            (Reach::Files | Reach::Commands, Some(which)) => roots(which, home),
        };
        let commands = match reach {
            Reach::Commands => Some(Commands::default()),
            Reach::Text | Reach::Files => None,
        };
        Self {
            files: Files::load(&roots, home, &FileSystem),
            home: home.map(Path::to_owned),
            account: whoami::username().unwrap_or_default(),
            machine: gethostname::gethostname().to_string_lossy().into_owned(),
            default_keys: match reach {
                Reach::Text => Vec::new(),
                Reach::Files | Reach::Commands => default_keys(home),
            },
            commands,
        }
    }

    /// The default key files that exist.
    pub(super) fn default_keys(&self) -> &[PathBuf] {
        &self.default_keys
    }

    /// What there is to say about the files whatever the client is.
    pub(super) fn remarks(&self) -> &[Remark] {
        &self.files.remarks
    }

    /// Whether no file says anything.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// What the files say about a client; `None` if they say nothing at all.
    pub(super) fn of(&self, asked: &HostQuery) -> Option<HostSettings> {
        if self.is_empty() {
            return None;
        }
        let exec = |command: &str| self.commands.as_ref().map_or(Answer::NotAsked, |commands| commands.ask(command));
        let environment = Environment {
            home: self.home.clone(),
            user: self.account.clone(),
            uid: rustix::process::getuid().as_raw(),
            machine: self.machine.clone(),
            variable: &|name| env::var(name).ok(),
            exec: &exec,
        };
        Some(ssh_config::resolve(&self.files, asked, &environment))
    }
}

/// A host that the files name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpensshHost {
    /// Its name: what stands after `ssh`.
    pub name: String,
    /// Where it is named.
    pub line: Line,
    /// Whether the files name its account.
    pub has_user: bool,
}

/// The hosts without wildcards that the files name, at most `most` and one more, and what is wrong with the files. No
/// command of them is run.
#[must_use]
pub fn hosts(which: &OpensshFiles, home: Option<&Path>, most: usize) -> (Vec<OpensshHost>, Vec<Remark>) {
    let openssh = Openssh::read(Some(which), home, Reach::Files);
    let names = openssh.files.host_names();
    let hosts = names.iter().take(most.saturating_add(1)).map(|(name, line)| {
        let settings = openssh.of(&HostQuery { host: (*name).to_owned(), ..HostQuery::default() });
        let has_user = settings.is_some_and(|settings| settings.user.is_some());
        OpensshHost { name: (*name).to_owned(), line: (*line).clone(), has_user }
    });
    (hosts.collect(), openssh.files.remarks.clone())
}

/// Whether the files name the account of a host. No command of them is run.
pub fn has_user(which: &OpensshFiles, home: Option<&Path>) -> impl Fn(&str) -> bool {
    let openssh = Openssh::read(Some(which), home, Reach::Files);
    move |host| {
        let settings = openssh.of(&HostQuery { host: host.to_owned(), ..HostQuery::default() });
        settings.is_some_and(|settings| settings.user.is_some())
    }
}

fn default_keys(home: Option<&Path>) -> Vec<PathBuf> {
    let folder = home.map(|home| home.join(".ssh"));
    let keys = folder.iter().flat_map(|folder| DEFAULT_KEYS.map(|name| folder.join(name)));
    keys.filter(|path| path.is_file()).collect()
}

/// The files to begin with.
fn roots(which: &OpensshFiles, home: Option<&Path>) -> Vec<Root> {
    let own = home.map(|home| home.join(".ssh")).unwrap_or_default();
    match which {
        OpensshFiles::None => Vec::new(),
        OpensshFiles::File(path) => {
            vec![Root { path: path.clone(), includes_from: own, is_required: true, is_private: false }]
        }
        OpensshFiles::Usual => {
            let system = Root {
                path: OF_THE_SYSTEM.into(),
                includes_from: "/etc/ssh".into(),
                is_required: false,
                is_private: false,
            };
            let user = home.map(|_| Root {
                path: own.join("config"),
                includes_from: own,
                is_required: false,
                is_private: true,
            });
            user.into_iter().chain([system]).collect()
        }
    }
}
