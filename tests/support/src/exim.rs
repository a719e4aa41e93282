//! A real mail server: Exim with its own configuration, which delivers every mail to a directory. Needs root, like any
//! Exim that delivers mail.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::Command,
};

use tempfile::TempDir;

use crate::{Mail, certificate, free_port, server::Server, tool::path_of};

/// The recipient that is refused permanently, with 550.
const REFUSED: &str = "refused@example.com";

/// The recipient that is refused temporarily, with 451.
const DEFERRED: &str = "deferred@example.com";

/// The options of an [`Exim`].
#[derive(Debug, Clone, Default)]
pub struct EximOptions {
    /// Offers STARTTLS with a self-signed certificate.
    pub starttls: bool,
    /// TLS from the first byte, with the same certificate.
    pub tls: bool,
    /// Accepts mails only after AUTH PLAIN with this name and password.
    pub login: Option<(String, String)>,
    /// Accepts mails only for `example.com`. Others are refused with `550 relay not permitted`.
    pub refuses_to_relay: bool,
    /// The largest mail that it accepts and announces, bytes; `None` for 4 MiB.
    pub most_bytes: Option<u32>,
}

/// A running exim. It ends when it is dropped.
#[derive(Debug)]
pub struct Exim {
    server: Server,
    port: u16,
    directory: TempDir,
}

impl Exim {
    /// The recipient that is refused permanently, with 550.
    pub const REFUSED: &str = REFUSED;
    /// The recipient that is refused temporarily, with 451.
    pub const DEFERRED: &str = DEFERRED;

    /// Starts a server on a free port of 127.0.0.1 and waits until it listens.
    ///
    /// # Panics
    /// With its log, if it does not start.
    pub async fn start(options: EximOptions) -> Self {
        let directory = tempfile::tempdir().expect("a directory for exim");
        let path = directory.path();
        // Exim drops root privileges to receive and deliver mail, so the directories must be accessible to other users.
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("rights of a directory");
        for name in ["spool", "log", "mails"] {
            fs::create_dir(path.join(name)).expect("a directory for exim");
            fs::set_permissions(path.join(name), fs::Permissions::from_mode(0o777)).expect("rights of a directory");
        }
        if options.tls || options.starttls {
            let (_, key) = certificate::write(path);
            fs::set_permissions(key, fs::Permissions::from_mode(0o644)).expect("rights of a key");
        }
        let port = free_port();
        let config = path.join("exim.conf");
        fs::write(&config, configuration(&path.display().to_string(), port, &options)).expect("exim's configuration");
        let mut command = Command::new(path_of("exim4"));
        command.arg("-C").arg(&config).args(["-bdf", "-q1m"]);
        let server = Server::start(&mut command, &path.join("output"), (Ipv4Addr::LOCALHOST.into(), port)).await;
        Self { server, port, directory }
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The certificate that a client must trust: `SSL_CERT_FILE`.
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("certificate.pem")
    }

    /// The delivered mails, in order of arrival.
    ///
    /// # Panics
    /// If its directory cannot be read.
    pub fn mails(&self) -> Vec<Mail> {
        let Ok(files) = fs::read_dir(self.directory.path().join("mails/new")) else { return Vec::new() };
        let mut files: Vec<PathBuf> = files.map(|file| file.expect("a delivered mail").path()).collect();
        // Maildir names begin with the time of arrival.
        files.sort();
        files.iter().map(|file| Mail::parse(&fs::read(file).expect("a delivered mail"))).collect()
    }

    /// Its main log, reject log and output.
    pub fn log(&self) -> String {
        let log = |name: &str| fs::read_to_string(self.directory.path().join("log").join(name)).unwrap_or_default();
        log("mainlog") + &log("rejectlog") + &self.server.log()
    }
}

fn configuration(directory: &str, port: u16, options: &EximOptions) -> String {
    let EximOptions { starttls, tls, login, refuses_to_relay, most_bytes } = options;
    let most_bytes = most_bytes.unwrap_or(4 << 20);
    let relay =
        if *refuses_to_relay { "  deny !domains = example.com\n       message = relay not permitted\n" } else { "" };
    let tls_lines = if *starttls || *tls {
        let advertised = if *starttls { "*" } else { "" };
        let on_connect = if *tls { format!("tls_on_connect_ports = {port}\n") } else { String::new() };
        format!(
            "tls_advertise_hosts = {advertised}\n{on_connect}tls_certificate = {directory}/certificate.pem\n\
             tls_privatekey = {directory}/key.pem\n"
        )
    } else {
        "tls_advertise_hosts =\n".to_owned()
    };
    let (condition, authenticator) = match login {
        None => (String::new(), String::new()),
        Some((name, password)) => (
            "  deny !authenticated = *\n       message = authenticate first\n".to_owned(),
            format!(
                "begin authenticators\nplain:\n  driver = plaintext\n  public_name = PLAIN\n  server_prompts = :\n  \
                 server_condition = ${{if and {{{{eq{{$auth2}}{{{name}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}\n  \
                 server_set_id = $auth2\n"
            ),
        ),
    };
    format!(
        "primary_hostname = mail.localhost
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
spool_directory = {directory}/spool
log_file_path = {directory}/log/%slog
pid_file_path = {directory}/exim.pid
check_spool_space = 0
keep_environment =
host_lookup =
rfc1413_query_timeout = 0s
message_size_limit = {most_bytes}
deliver_drop_privilege
acl_smtp_rcpt = recipient
acl_smtp_data = content
{tls_lines}
begin acl
recipient:
  deny recipients = {REFUSED}
       message = no such user here
  defer recipients = {DEFERRED}
       message = come back later
{relay}{condition}  accept
content:
  accept

begin routers
all:
  driver = accept
  transport = keep

begin transports
keep:
  driver = appendfile
  maildir_format
  directory = {directory}/mails
  create_directory
  mode = 0644
  directory_mode = 0755

{authenticator}"
    )
}
