//! A real OpenSSH server on loopback addresses. Each of its addresses is a client.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{
    ThrowawayUser, free_port, own_mounts,
    server::{Server, must},
    tool::path_of,
};

/// The most `ListenAddress` lines that sshd accepts. With more addresses, it listens on all addresses of the machine.
const MAX_LISTEN_LINES: u16 = 16;

/// The user that logs in.
#[derive(Debug, Clone)]
pub enum Login {
    /// The user that runs the test, by key only.
    CurrentUser,
    /// A user that is added for the test, by key or password, with this login shell. Needs root.
    Throwaway {
        /// The path of the shell.
        shell: PathBuf,
    },
}

/// The options of an [`Sshd`].
#[derive(Debug, Clone)]
pub struct SshdOptions {
    /// The number of addresses: 127.20.0.1, 127.20.0.2 and so on, 250 in each 127.20.x.
    pub addresses: u16,
    /// The user that logs in.
    pub login: Login,
    /// The types of its host keys, as for `ssh-keygen -t`.
    pub host_keys: Vec<&'static str>,
    /// Additional lines of `sshd_config`. They replace the default lines with the same keyword.
    pub config: Vec<String>,
    /// Empty file systems that only the server sees: mount point and options of `mount`. `~` is the user's home
    /// directory. Needs root.
    pub mounts: Vec<(&'static str, &'static str)>,
    /// Files that only the server sees in place of existing ones: path and content. Needs root.
    pub files: Vec<(&'static str, String)>,
}

impl Default for SshdOptions {
    fn default() -> Self {
        Self {
            addresses: 1,
            login: Login::CurrentUser,
            host_keys: vec!["ed25519"],
            config: Vec::new(),
            mounts: Vec::new(),
            files: Vec::new(),
        }
    }
}

/// A running sshd. It ends when it is dropped, with its throw-away user.
#[derive(Debug)]
pub struct Sshd {
    server: Option<Server>,
    options: SshdOptions,
    port: u16,
    user: Option<ThrowawayUser>,
    directory: TempDir,
}

impl Sshd {
    /// Starts a server on a free port and waits until it listens.
    ///
    /// # Panics
    /// With its log, if it does not start.
    pub async fn start(options: SshdOptions) -> Self {
        let directory = tempfile::tempdir().expect("a directory for sshd");
        let user = match &options.login {
            Login::CurrentUser => None,
            Login::Throwaway { shell } => Some(ThrowawayUser::add(shell)),
        };
        let mut sshd = Self { server: None, options, port: free_port(), user, directory };
        generate_key("ed25519", &sshd.key());
        // sshd reads the directory as the user.
        fs::set_permissions(sshd.directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("rights of a directory");
        fs::copy(sshd.key().with_extension("pub"), sshd.directory.path().join("authorized_keys")).expect("key list");
        sshd.new_host_keys();
        sshd.listen().await;
        sshd
    }

    /// Restarts it at the same address with new host keys, like a client that was reinstalled.
    ///
    /// # Panics
    /// With its log, if it does not start.
    pub async fn restart_with_new_host_keys(&mut self) {
        self.stop();
        self.new_host_keys();
        self.listen().await;
    }

    /// Stops it.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Starts it again.
    ///
    /// # Panics
    /// With its log, if it does not start.
    pub async fn listen(&mut self) {
        let config = self.directory.path().join("sshd_config");
        fs::write(&config, self.configuration()).expect("sshd_config");
        if rustix::process::geteuid().is_root() {
            fs::create_dir_all("/run/sshd").expect("sshd's directory for privilege separation");
        }
        // The full path, because sshd executes itself for each connection.
        let sshd = path_of("sshd");
        let mut command = if self.options.mounts.is_empty() && self.options.files.is_empty() {
            Command::new(sshd)
        } else {
            let mut command = own_mounts();
            command.args(["/bin/sh", "-ec", &self.mounting(), "sh"]).arg(sshd);
            command
        };
        command.args(["-D", "-e", "-f"]).arg(&config);
        let log = self.directory.path().join("sshd.log");
        self.server = Some(Server::start(&mut command, &log, (self.addresses()[0], self.port)).await);
    }

    /// Its addresses.
    pub fn addresses(&self) -> Vec<IpAddr> {
        (0..self.options.addresses)
            .map(|n| Ipv4Addr::new(127, 20, (n / 250) as u8, (n % 250 + 1) as u8).into())
            .collect()
    }

    /// Its port, the same on all addresses.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The name of the user that logs in.
    pub fn username(&self) -> String {
        match &self.user {
            Some(user) => user.name().to_owned(),
            None => must(Command::new("id").arg("-un")).trim().to_owned(),
        }
    }

    /// The throw-away user.
    ///
    /// # Panics
    /// If the current user logs in.
    pub fn user(&self) -> &ThrowawayUser {
        self.user.as_ref().expect("an sshd with a throw-away user")
    }

    /// The private key of the account. The public key has the same path with `.pub`.
    pub fn key(&self) -> PathBuf {
        self.directory.path().join("id_ed25519")
    }

    /// A public host key as in the file of `ssh-keygen`: type, base64, comment.
    ///
    /// # Panics
    /// If it has no key of that type.
    pub fn host_key(&self, kind: &str) -> String {
        fs::read_to_string(self.host_key_file(kind).with_extension("pub")).expect("a host key of that type")
    }

    /// Its log.
    pub fn log(&self) -> String {
        self.server.as_ref().map(Server::log).unwrap_or_default()
    }

    fn host_key_file(&self, kind: &str) -> PathBuf {
        self.directory.path().join(format!("host_{kind}"))
    }

    fn new_host_keys(&self) {
        for kind in &self.options.host_keys {
            generate_key(kind, &self.host_key_file(kind));
        }
    }

    /// The script that mounts the files and file systems and starts the server. The files of the server may be under a
    /// mount point, so they are moved temporarily.
    fn mounting(&self) -> String {
        let mut files = String::new();
        for (number, (path, content)) in self.options.files.iter().enumerate() {
            let file = self.directory.path().join(format!("file{number}"));
            fs::write(&file, content).expect("a file that only the server sees");
            files.push_str(&format!("mount --bind {} {path}\n", file.display()));
        }
        if self.options.mounts.is_empty() {
            return files + "exec \"$@\"\n";
        }
        let needed = [(self.directory.path(), "/mnt"), (self.user().home(), "/srv")];
        let bind = |from: &str, to: &str| format!("mount --bind {from} {to}\n");
        let mut script = files;
        script.extend(needed.iter().map(|(path, aside)| bind(&path.display().to_string(), aside)));
        let (homes, others): (Vec<_>, Vec<_>) = self.options.mounts.iter().partition(|(place, _)| *place == "~");
        for (place, options) in others {
            script.push_str(&format!("mount -t tmpfs -o mode=1777,{options} none {place}\n"));
        }
        for (path, aside) in needed {
            let path = path.display().to_string();
            script.push_str(&format!("mkdir -p {path}\n{}", bind(aside, &path)));
        }
        for (_, options) in homes {
            let (user, group) = self.user().ids();
            let home = self.user().home().display();
            script.push_str(&format!("mount -t tmpfs -o mode=755,uid={user},gid={group},{options} none {home}\n"));
        }
        script + "exec \"$@\"\n"
    }

    fn configuration(&self) -> String {
        let directory = self.directory.path().display();
        let mut lines = self.options.config.clone();
        lines.push(format!("Port {}", self.port));
        if self.options.addresses <= MAX_LISTEN_LINES {
            lines.extend(self.addresses().iter().map(|address| format!("ListenAddress {address}")));
        }
        lines.push(format!("AllowUsers {}@127.0.0.0/8", self.username()));
        lines.extend(
            self.options.host_keys.iter().map(|kind| format!("HostKey {}", self.host_key_file(kind).display())),
        );
        lines.push(format!("PidFile {directory}/sshd.pid"));
        lines.push(format!("AuthorizedKeysFile {directory}/authorized_keys"));
        lines.extend(
            [
                "StrictModes no",
                "UsePAM no",
                "UseDNS no",
                "PubkeyAuthentication yes",
                "PasswordAuthentication yes",
                "KbdInteractiveAuthentication no",
                "PermitRootLogin yes",
                "MaxStartups 2000",
                "PerSourceMaxStartups none",
                "MaxAuthTries 20",
                "PrintMotd no",
                "LogLevel VERBOSE",
                "Subsystem sftp internal-sftp",
            ]
            // sshd uses the first value of most keywords, but the last of MaxStartups.
            .iter()
            .filter(|line| !self.options.config.iter().any(|own| keyword(own) == keyword(line)))
            .map(ToString::to_string),
        );
        lines.join("\n") + "\n"
    }
}

/// The keyword of a line of `sshd_config`.
fn keyword(line: &str) -> Option<&str> {
    line.split_whitespace().next()
}

/// Generates a key pair without a passphrase and replaces an existing one.
pub(crate) fn generate_key(kind: &str, file: &Path) {
    for old in [file.to_owned(), file.with_extension("pub")] {
        match fs::remove_file(&old) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{}: {error}", old.display()),
            Ok(()) | Err(_) => (),
        }
    }
    must(Command::new(path_of("ssh-keygen")).args(["-q", "-N", "", "-C", "test", "-t", kind, "-f"]).arg(file));
}
