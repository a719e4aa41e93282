//! Shared by the tests in this directory: configurations, a fleet of demo servers with a mail sink, and functions to
//! read results.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
};

use fleetsweep::demo::{Account, Behaviour, PasswordMethod, ReceivedMail, Sink, SshServer};
use serde_json::Value;
pub(crate) use support::SOON;
use support::{Fleetsweep, Mail, Outcome, rows};
use tempfile::TempDir;

/// The database of all configurations.
const DATABASE: &str = "fleet.db";

/// A rule that every machine breaks.
pub(crate) const OVER: &str = r#"<alert type="memory" limit="0%"/>"#;

/// A rule that no machine on which tests run breaks.
pub(crate) const UNDER: &str = r#"<alert type="memory" limit="99.9%"/>"#;

/// The program in an empty directory.
pub(crate) fn program() -> Fleetsweep {
    Fleetsweep::new(env!("CARGO_BIN_EXE_fleetsweep"))
}

/// A `config.xml` as separate parts: the attributes of its elements, and its clients.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) collector: &'static str,
    pub(crate) database: String,
    pub(crate) smtp: String,
    pub(crate) alerts: &'static str,
    pub(crate) clients: Vec<String>,
}

impl Config {
    /// A configuration with these clients and this mail server.
    pub(crate) fn new(smtp: SocketAddr, clients: Vec<String>) -> Self {
        Self {
            collector: r#"interval="1s" timeout="20s" retries="0""#,
            database: format!("sqlite:{DATABASE}"),
            smtp: smtp_at(smtp),
            alerts: r#"repeat="4h" recovery="yes""#,
            clients,
        }
    }

    /// The text of the file.
    pub(crate) fn text(&self) -> String {
        let Self { collector, database, smtp, alerts, clients } = self;
        format!(
            "<config>\n<collector {collector}/>\n<database url=\"{database}\"/>\n\
             <smtp {smtp} from=\"fleetsweep@example.com\"/>\n<alerts {alerts}/>\n{}\n</config>\n",
            clients.join("\n")
        )
    }
}

/// The attributes of `<smtp>` for a server without TLS.
pub(crate) fn smtp_at(address: SocketAddr) -> String {
    format!(r#"host="{}" port="{}""#, address.ip(), address.port())
}

/// A `<client>` that mails `ops@example.com`.
pub(crate) fn client(name: &str, address: SocketAddr, login: &str, rules: &str) -> String {
    let (ip, port) = (address.ip(), address.port());
    format!(r#"<client name="{name}" ip="{ip}" port="{port}" {login} mail="ops@example.com">{rules}</client>"#)
}

/// The login attributes of all demo servers.
pub(crate) const LOGIN: &str = r#"username="demo" password="open sesame""#;

/// Demo servers `client-1`, `client-2` and so on, a mail sink, and the program.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) servers: Vec<SshServer>,
    pub(crate) sink: Sink,
    pub(crate) program: Fleetsweep,
    _homes: TempDir,
}

impl Fleet {
    /// Starts one server per behaviour. The program has no configuration yet.
    pub(crate) async fn of(behaviours: &[Behaviour]) -> Self {
        let homes = tempfile::tempdir().unwrap();
        let mut servers = Vec::new();
        for (number, behaviour) in (0..).zip(behaviours) {
            let home = homes.path().join(number.to_string());
            std::fs::create_dir(&home).unwrap();
            let password = Some((PasswordMethod::Password, "open sesame".into()));
            let account = Account { username: "demo".to_owned(), password, authorized_keys: Vec::new() };
            let address = SshServer::loopback(number);
            servers.push(SshServer::start(address, home, account, *behaviour).await.unwrap());
        }
        let program = program();
        let notify = program.path("notify").display().to_string();
        let program = program.with_environment("NOTIFY_SOCKET", &notify);
        Self { servers, sink: Sink::start().await.unwrap(), program, _homes: homes }
    }

    /// Changes its program.
    pub(crate) fn with_program(self, change: impl FnOnce(Fleetsweep) -> Fleetsweep) -> Self {
        Self { program: change(self.program), ..self }
    }

    /// A configuration with all its servers and these rules for each.
    pub(crate) fn config(&self, rules: &str) -> Config {
        Config::new(self.sink.address(), self.clients(rules))
    }

    /// The `<client>` elements of the servers.
    pub(crate) fn clients(&self, rules: &str) -> Vec<String> {
        let client =
            |(number, server): (usize, &SshServer)| client(&format!("client-{number}"), server.address(), LOGIN, rules);
        (1..).zip(&self.servers).map(client).collect()
    }

    /// Runs one sweep with this configuration and returns its document.
    pub(crate) async fn once(&self, config: &Config) -> Value {
        self.program.write_config(&config.text());
        once(&self.program).await
    }
}

/// Runs one sweep in which every client is collected, and returns its document.
pub(crate) async fn once(program: &Fleetsweep) -> Value {
    let outcome = program.run(["--once", "--format", "json"]).await;
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    document(&outcome)
}

/// The document that a run has printed, without other output.
pub(crate) fn document(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("no JSON: {error}\n{outcome:#?}"))
}

/// The number of permanently refused mails in a document.
pub(crate) fn refused(document: &Value) -> u64 {
    document["summary"]["mail"]["refused"].as_u64().unwrap()
}

/// The numbers of sent and waiting mails in a document.
pub(crate) fn mails(document: &Value) -> (u64, u64) {
    let count = |name: &str| document["summary"]["mail"][name].as_u64().unwrap();
    (count("sent"), count("waiting"))
}

/// The rows of a query on the program's database in the form `ok|NULL|3`.
pub(crate) async fn sql(program: &Fleetsweep, query: &str) -> Vec<String> {
    let line = |row: Vec<Option<String>>| {
        row.into_iter().map(|value| value.unwrap_or_else(|| "NULL".to_owned())).collect::<Vec<_>>().join("|")
    };
    rows(&program.path(DATABASE), query).await.into_iter().map(line).collect()
}

/// The number that a query returns.
pub(crate) async fn number(program: &Fleetsweep, query: &str) -> u64 {
    let rows = sql(program, query).await;
    match rows.as_slice() {
        [one] => one.parse().unwrap_or_else(|_| panic!("{query}: {one} is no count")),
        others => panic!("{query}: {others:?}"),
    }
}

/// The number of collections.
pub(crate) async fn collected_by(program: &Fleetsweep) -> u64 {
    number(program, "SELECT count(*) FROM v1_collections").await
}

/// A mail of the sink, parsed.
pub(crate) fn parsed(mail: &ReceivedMail) -> Mail {
    Mail::parse(&mail.content)
}

/// A port, used as both client and mail server, that detects connections.
#[derive(Debug)]
pub(crate) struct Watched(TcpListener);

impl Watched {
    /// Listens on a free port.
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    /// A configuration with one client and the mail server at this port.
    pub(crate) fn config(&self) -> Config {
        let address = self.0.local_addr().unwrap();
        Config::new(address, vec![client("watched", address, LOGIN, OVER)])
    }

    /// Whether there was no connection. Connections wait in the listen queue until they are accepted.
    pub(crate) fn was_left_alone(&self) -> bool {
        match self.0.accept() {
            Ok(_) => false,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }
}
