//! Shared by the tests in this directory: a fleet of demo servers with its own configuration and database, and a
//! terminal in which the program runs.

use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use fleetsweep::demo::{Account, Behaviour, PasswordMethod, Sink, SshServer};
pub(crate) use support::SOON;
use support::{Fleetsweep, Modes, Terminal, TerminalOptions, allowance, rows};
use tempfile::TempDir;

/// A rule that every machine breaks.
pub(crate) const OVER: &str = r#"<alert type="memory" limit="0%"/>"#;

/// A rule that no machine on which tests run breaks.
pub(crate) const UNDER: &str = r#"<alert type="memory" limit="99.9%"/>"#;

/// One sweep at the start, then none.
pub(crate) const RARELY: &str = r#"interval="1h" timeout="60s" retries="0""#;

/// A sweep every second.
pub(crate) const OFTEN: &str = r#"interval="1s" timeout="60s" retries="0""#;

pub(crate) const DATABASE: &str = "fleet.db";
const USER: &str = "demo";
const PASSWORD: &str = "open sesame";

/// The program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_fleetsweep");

/// Demo servers `client-1`, `client-2` and so on, a mail sink, and a directory with their configuration.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) servers: Vec<SshServer>,
    pub(crate) sink: Sink,
    pub(crate) program: Fleetsweep,
    _homes: TempDir,
}

impl Site {
    /// Starts one server per behaviour, with these rules for each and these attributes of `<collector>`.
    pub(crate) async fn of(behaviours: &[Behaviour], collector: &str, rules: &str) -> Self {
        Self::over(&format!("sqlite:{DATABASE}"), behaviours, collector, rules).await
    }

    /// Like [`of`](Self::of), with another database.
    pub(crate) async fn over(url: &str, behaviours: &[Behaviour], collector: &str, rules: &str) -> Self {
        let homes = tempfile::tempdir().unwrap();
        let mut servers = Vec::new();
        for (number, behaviour) in (0..).zip(behaviours) {
            let home = homes.path().join(number.to_string());
            std::fs::create_dir(&home).unwrap();
            let password = Some((PasswordMethod::Password, PASSWORD.into()));
            let account = Account { username: USER.to_owned(), password, authorized_keys: Vec::new() };
            let address = SshServer::loopback(number);
            servers.push(SshServer::start(address, home, account, *behaviour).await.unwrap());
        }
        let sink = Sink::start().await.unwrap();
        let clients: String =
            (1..).zip(&servers).map(|(number, server)| client(number, server.address(), rules)).collect();
        let (smtp, smtp_port) = (sink.address().ip(), sink.address().port());
        let program = Fleetsweep::new(PROGRAM).with_config(&format!(
            "<config>\n<collector {collector}/>\n<database url=\"{url}\"/>\n\
             <smtp host=\"{smtp}\" port=\"{smtp_port}\" from=\"fleetsweep@example.com\"/>\n\
             <alerts repeat=\"4h\" recovery=\"yes\"/>\n{clients}</config>\n"
        ));
        Self { servers, sink, program, _homes: homes }
    }

    /// The working directory of the program.
    pub(crate) fn directory(&self) -> PathBuf {
        self.program.path("")
    }

    /// The rows of a query on the database in the form `ok|NULL|3`; none if there is no database.
    pub(crate) async fn sql(&self, query: &str) -> Vec<String> {
        let line = |row: Vec<Option<String>>| {
            row.into_iter().map(|value| value.unwrap_or_else(|| "NULL".to_owned())).collect::<Vec<_>>().join("|")
        };
        rows(&self.program.path(DATABASE), query).await.into_iter().map(line).collect()
    }

    /// The number that a query returns.
    pub(crate) async fn number(&self, query: &str) -> u64 {
        let rows = self.sql(query).await;
        match rows.as_slice() {
            [one] => one.parse().unwrap_or_else(|_| panic!("{query}: {one} is no count")),
            others => panic!("{query}: {others:?}"),
        }
    }

    /// The log of the program.
    pub(crate) fn log(&self) -> String {
        let directory = self.program.path(".local/state/fleetsweep");
        let files = std::fs::read_dir(&directory).map(|entries| entries.flatten().map(|entry| entry.path()));
        files.map_or_else(
            |error| format!("{}: {error}", directory.display()),
            |files| files.map(|file| std::fs::read_to_string(file).unwrap_or_default()).collect(),
        )
    }

    /// Checks that the database is not damaged and has no incomplete rows.
    pub(crate) async fn is_consistent(&self) {
        assert_eq!(self.sql("PRAGMA integrity_check").await, ["ok"]);
        assert_eq!(self.sql("PRAGMA foreign_key_check").await, Vec::<String>::new());
        let query = "SELECT count(*) FROM v1_collections c WHERE status = 'ok' AND NOT EXISTS (SELECT 1 FROM v1_samples s
            WHERE s.client_ip = c.client_ip AND s.client_port = c.client_port AND s.collected_at_ms >= c.started_at_ms)";
        assert_eq!(self.number(query).await, 0, "collections without their sample");
    }
}

fn client(number: usize, address: SocketAddr, rules: &str) -> String {
    let (ip, port) = (address.ip(), address.port());
    format!(
        "<client name=\"client-{number}\" ip=\"{ip}\" port=\"{port}\" username=\"{USER}\" password=\"{PASSWORD}\" \
         mail=\"ops@example.com\">{rules}</client>\n"
    )
}

/// A query for the number of successful collections of a client.
pub(crate) fn collected(client: usize) -> String {
    format!("SELECT count(*) FROM v1_collections WHERE status = 'ok' AND client_ip = '127.10.0.{client}'")
}

/// A query for the number of audit rows of an action.
pub(crate) fn audited(action: &str) -> String {
    format!("SELECT count(*) FROM v1_audit WHERE action = '{action}'")
}

/// An operator's session: a terminal with the program in it, and the modes of the terminal before the start.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    pub(crate) site: &'a Site,
    pub(crate) terminal: Terminal,
    before: Modes,
}

impl<'a> Session<'a> {
    /// A terminal of the default size with the program started.
    pub(crate) async fn at(site: &'a Site) -> Self {
        Self::with(site, TerminalOptions::of_size(120, 40)).await
    }

    /// A terminal with these options with the program started.
    pub(crate) async fn with(site: &'a Site, options: TerminalOptions) -> Self {
        let session = Self::before_the_start(site, options).await;
        session.start("").await;
        session
    }

    /// A terminal with these options, without the program.
    pub(crate) async fn before_the_start(site: &'a Site, options: TerminalOptions) -> Self {
        let terminal = Terminal::start(&site.directory(), options).await;
        let before = terminal.modes().await;
        assert!(!before.brackets_pastes && !before.is_on("alternate_on"), "{before:?}");
        Self { site, terminal, before }
    }

    /// Starts the program with these arguments and waits for its screen.
    pub(crate) async fn start(&self, arguments: &str) {
        self.terminal.run(&format!("{PROGRAM} {arguments}")).await;
        self.is_taken().await;
    }

    /// Waits until the program has taken over the terminal.
    pub(crate) async fn is_taken(&self) {
        self.terminal
            .waits_for("the dashboard", SOON, async || {
                let modes = self.terminal.emulator().await;
                let on = |mode: &str| modes.iter().any(|known| known == mode);
                on("alternate_on=1") && on("cursor_flag=0") && self.terminal.screen().await.contains("fleetsweep")
            })
            .await;
    }

    /// Waits until the screen shows the end of a sweep. If the database has earlier sweeps, it shows one from the start,
    /// so use [`has_ended_sweep`](Self::has_ended_sweep).
    pub(crate) async fn is_swept(&self) -> String {
        self.terminal.shows("the end of a sweep", SOON, |screen| screen.contains("swept in")).await
    }

    /// Waits until the screen shows the end of the sweep with this number.
    pub(crate) async fn has_ended_sweep(&self, number: u32) {
        let number = format!("sweep #{number} ");
        let ended = |screen: &str| screen.contains(&number) && screen.contains("swept in");
        self.terminal.shows(&format!("the end of {number}"), SOON, ended).await;
    }

    /// Waits until a text is no longer on the screen.
    pub(crate) async fn no_longer_shows(&self, text: &str) {
        self.terminal.shows(&format!("`{text}` to go"), SOON, |screen| !screen.contains(text)).await;
    }

    /// Presses keys. A key immediately after Escape is one key with it, so wait for the effect of Escape before the
    /// next one.
    pub(crate) async fn press(&self, keys: &[&str]) {
        self.terminal.keys(keys).await;
    }

    /// Waits until a query returns at least this number.
    pub(crate) async fn reaches(&self, query: &str, at_least: u64) {
        self.terminal.waits_for(query, SOON, async || self.site.number(query).await >= at_least).await;
    }

    /// Waits until the program has exited with this code and has restored the modes and the text of the terminal.
    pub(crate) async fn is_left(&self, code: i32) {
        let asked = Instant::now();
        let ended = self.terminal.ended(SOON).await;
        assert!(asked.elapsed() < allowance(Duration::from_secs(10)), "{:?}", asked.elapsed());
        let screen = self.terminal.screen().await;
        assert_eq!(ended, code, "the exit code; on the screen:\n{screen}");
        assert!(screen.contains(PROGRAM) || screen.contains("fg"), "what was there before has gone:\n{screen}");
        self.is_as_before().await;
    }

    /// The line settings of the terminal before the start.
    pub(crate) fn line_before(&self) -> &str {
        &self.before.line
    }

    /// Checks that the terminal is as it was before the start.
    pub(crate) async fn is_as_before(&self) {
        let after = self.terminal.modes().await;
        assert_eq!(after, self.before, "the modes of the terminal; on the screen:\n{}", self.terminal.screen().await);
    }
}
