//! Hostile servers: each fault is reported correctly, takes few resources, and does not affect other clients. A kept
//! session is not used after its host key is no longer accepted.
#![expect(clippy::print_stderr, reason = "what an attack cost is worth a look")]

use std::{
    fs,
    time::{Duration, Instant},
};

use fleetsweep::demo::Behaviour;
use support::{
    Fault, Fleetsweep, Flood, HostileSsh, Outcome, Place, Prints, Running, Signal, remove_kept, rows, wait_until,
};

use crate::sweeping::{DemoClient, PATIENT, SOON, Swept, client, known_host, password_login, program, sweep};

/// The resources that a run of the program has used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    pub(crate) peak_bytes: u64,
}

impl Usage {
    /// The usage of a process; `None` after its end.
    fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The fields after the name, which may contain spaces: state is field 3, user and system time are 14 and 15.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let peak_kib: u64 = peak.split_whitespace().next()?.parse().ok()?;
        Some(Self { cpu: Duration::from_millis(10 * (ticks(11)? + ticks(12)?)), peak_bytes: peak_kib * 1024 })
    }
}

/// Sweeps once and returns the resources that this used.
pub(crate) async fn measured_sweep(program: &Fleetsweep) -> (Swept, Usage) {
    let mut running = program.spawn(["--once", "--format", "json"]);
    let pid = running.pid().as_raw_nonzero().get();
    let mut usage = Usage::default();
    while running.is_running() {
        usage = Usage::of(pid).unwrap_or(usage);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let swept = Swept::of(running.ended(SOON).await);
    (swept, usage)
}

/// A hostile server with an account of its own, so that its agent is kept separately.
struct Hostile(HostileSsh);

impl Hostile {
    fn start(fault: Fault) -> Self {
        Self(HostileSsh::start(fault))
    }

    fn username(&self) -> String {
        format!("hostile{}", self.0.address().port())
    }

    /// Its `<client>` element.
    fn named(&self, name: &str) -> String {
        let address = self.0.address();
        client(name, (address.ip(), address.port()), &password_login(&self.username(), "p"))
    }

    /// Its line of `known_hosts`.
    fn known_host(&self) -> String {
        let address = self.0.address();
        known_host((address.ip(), address.port()), &self.0.host_key())
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        remove_kept(&self.username());
    }
}

/// Enough for a healthy client on a busy machine. Connecting has a third of it.
pub(crate) const SETTINGS: &str = r#"<collector timeout="75s" retries="1"/>"#;

/// A name, its fault, the stage in which it fails, the beginning of the message, and another part of it.
type Case = (&'static str, Fault, &'static str, &'static str, &'static str);

const SLOWLY: Duration = Duration::from_secs(1);

const CASES: &[Case] = &[
    ("begins its first line", Fault::Greets("SSH", SLOWLY), "connect", "timed out", "first line was: SSH"),
    (
        "is slow with its first line",
        Fault::Greets("SSH-2.0-OpenSSH_9.2p1 Debian\r\n", SLOWLY),
        "connect",
        "timed out",
        "",
    ),
    ("closes in its first line", Fault::GreetsAndCloses("SSH-2"), "connect", "connection lost", "first line: SSH-2"),
    (
        "says something else",
        Fault::GreetsAndCloses("220 mail\r\n"),
        "connect",
        "not an SSH server",
        "it said: 220 mail",
    ),
    ("says a line without end", Fault::GreetsForEver("x"), "connect", "not an SSH server", "it said: xxxx"),
    ("says lines without end", Fault::GreetsForEver("x\r\n"), "connect", "not an SSH server", "it said: x"),
    (
        "offers the group 18",
        Fault::Exchanges("diffie-hellman-group18-sha512,diffie-hellman-group17-sha512"),
        "connect",
        "not an SSH server",
        "it offers no key exchange that we accept, only diffie-hellman-group18-sha512,diffie-hellman-group17-sha512",
    ),
    ("offers SHA-1 alone", Fault::Exchanges("diffie-hellman-group1-sha1"), "connect", "not an SSH server", ""),
    (
        "answers the group 16 with nonsense",
        Fault::Exchanges("diffie-hellman-group16-sha512"),
        "connect",
        "not an SSH server",
        "",
    ),
    (
        "chooses a group of 8,192 bits",
        Fault::ChoosesGroup(1024, 0xff),
        "connect",
        "misbehaving",
        "larger than we asked",
    ),
    ("chooses a group of 512 bits", Fault::ChoosesGroup(64, 0xff), "connect", "not an SSH server", ""),
    ("chooses an even number", Fault::ChoosesGroup(256, 0xfe), "connect", "misbehaving", "an even number"),
    ("chooses nonsense of 4,096 bits", Fault::ChoosesGroup(512, 0xff), "connect", "not an SSH server", ""),
    ("answers with 0", Fault::AnswersGroup14With(&[]), "connect", "not an SSH server", ""),
    ("answers with 1", Fault::AnswersGroup14With(&[1]), "connect", "not an SSH server", ""),
    ("answers with too large a number", Fault::AnswersGroup14With(&[0xff; 1000]), "connect", "not an SSH server", ""),
    ("sends a packet of 4 GiB", Fault::SendsPacketOf(u32::MAX), "connect", "misbehaving", "longer than any"),
    ("sends a packet of 64 KiB", Fault::SendsPacketOf(1 << 16), "connect", "misbehaving", "longer than any"),
    (
        "never exchanges keys",
        Fault::NeverExchanges,
        "connect",
        "misbehaving",
        "64 KiB before the key exchange was done",
    ),
    ("offers 30 KB of names", Fault::OffersBytes(30_000), "connect", "not an SSH server", ""),
    ("offers 200 KB of names", Fault::OffersBytes(200_000), "connect", "misbehaving", "longer than any"),
    ("shows banners without end", Fault::Banners, "authenticate", "misbehaving", "64 KiB during the login"),
    (
        "refuses without end",
        Fault::RefusesForEver,
        "authenticate",
        "authentication refused",
        "wants another credential",
    ),
    (
        "refuses and takes nothing else",
        Fault::Refuses(""),
        "authenticate",
        "authentication refused: password was refused",
        "the server takes no other credential",
    ),
    (
        "refuses, takes keys and closes",
        Fault::Refuses("publickey"),
        "authenticate",
        "authentication refused: password was refused",
        "the server takes publickey",
    ),
    (
        "refuses, wants to ask and closes",
        Fault::Refuses("keyboard-interactive"),
        "authenticate",
        "authentication refused: password was refused",
        "the server closed the connection",
    ),
    (
        "refuses by ending the session",
        Fault::Disconnects(14, "No more auth methods available"),
        "authenticate",
        "authentication refused: password was refused",
        "No more auth methods available",
    ),
    (
        "refuses the account by ending the session",
        Fault::Disconnects(15, "no such account"),
        "authenticate",
        "authentication refused: password was refused",
        "no such account",
    ),
    (
        "has too many connections",
        Fault::Disconnects(12, "come back later"),
        "authenticate",
        "connection lost",
        "come back later",
    ),
    ("asks without end", Fault::AsksForEver, "authenticate", "authentication refused", "asks without end"),
    ("asks 100,000 questions", Fault::AsksAtOnce(100_000), "authenticate", "authentication refused", "packet size"),
    (
        "asks 1,000 questions",
        Fault::AsksAtOnce(1_000),
        "authenticate",
        "authentication refused",
        "which only a person can answer",
    ),
    ("takes packets of 1 byte", Fault::TakesPacketsOf(1), "upload", "misbehaving", "packets of 1 bytes"),
    ("takes packets of no byte", Fault::TakesPacketsOf(0), "upload", "connection lost", ""),
    ("is sent byte by byte", Fault::TakesByteByByte, "upload", "misbehaving", "256 KiB beside the output of a command"),
    ("prints crumbs", Fault::Prints(Prints::Crumbs), "upload", "misbehaving", "bytes of output in 16"),
    ("prints crumbs of errors", Fault::Prints(Prints::ErrorCrumbs), "upload", "misbehaving", "bytes of output in 16"),
    ("prints errors without end", Fault::Prints(Prints::Errors), "upload", "answer too large", "16777216 bytes"),
    (
        "prints in larger pieces than it may",
        Fault::Prints(Prints::Piece(100_000)),
        "upload",
        "misbehaving",
        "100000 bytes of output in one message",
    ),
    ("prints crumbs slowly", Fault::Prints(Prints::SlowCrumbs(Duration::from_millis(2))), "upload", "timed out", ""),
    ("hangs up", Fault::HangsUp, "upload", "connection lost", ""),
    (
        "wants a new password",
        Fault::WantsNewPassword,
        "authenticate",
        "timed out",
        "answered the password with something else than yes or no, probably the request for a new password",
    ),
];

/// Unsolicited messages, and the message of the failure.
const FLOODS: [(&str, Flood, &str); 20] = [
    ("opens sessions", Flood::Channels("session"), "it opened 8 channels to us"),
    ("opens direct-tcpip", Flood::Channels("direct-tcpip"), "it opened 8 channels to us"),
    ("opens forwarded-tcpip", Flood::Channels("forwarded-tcpip"), "it opened 8 channels to us"),
    ("opens x11", Flood::Channels("x11"), "it opened 8 channels to us"),
    ("opens an agent's", Flood::Channels("auth-agent@openssh.com"), "it opened 8 channels to us"),
    ("opens forwarded-streamlocal", Flood::Channels("forwarded-streamlocal@openssh.com"), "it opened 8 channels to us"),
    ("opens direct-streamlocal", Flood::Channels("direct-streamlocal@openssh.com"), "it opened 8 channels to us"),
    ("opens what nobody knows", Flood::Channels("unknown@example.com"), "it opened 8 channels to us"),
    ("asks whether we live", Flood::Requests("keepalive@openssh.com"), "KiB"),
    ("makes requests", Flood::Requests("unknown@example.com"), "KiB"),
    ("announces host keys", Flood::HostKeys, "KiB"),
    ("sends what is ignored", Flood::Ignored, "KiB"),
    ("understands nothing", Flood::NotUnderstood, "KiB"),
    ("answers what nobody asked", Flood::Answers, "KiB"),
    ("asks whether the channel lives", Flood::ChannelRequests("keepalive@openssh.com"), "KiB"),
    ("makes requests on the channel", Flood::ChannelRequests("unknown@example.com"), "KiB"),
    ("repeats the exit status", Flood::ExitStatus, "KiB"),
    ("allows more", Flood::WindowAdjusts, "KiB"),
    ("sends messages that do not exist", Flood::Unknown, "KiB"),
    ("wants new keys", Flood::Keys, "it wanted new keys again and again"),
];

pub(crate) async fn every_attack_fails_as_what_it_is_and_the_others_are_collected() {
    let healthy: Vec<DemoClient> = demo_clients(4).await;
    let mut clients: Vec<String> =
        healthy.iter().enumerate().map(|(number, demo)| demo.named(&format!("healthy {number}"))).collect();
    let mut cases: Vec<Case> = CASES.to_vec();
    cases.extend(FLOODS.map(|(name, flood, says)| (name, Fault::Floods(flood), "upload", "misbehaving", says)));
    let servers: Vec<Hostile> = cases.iter().map(|(_, fault, ..)| Hostile::start(*fault)).collect();
    clients.extend(cases.iter().zip(&servers).map(|((name, ..), server)| server.named(name)));
    let (swept, usage) = measured_sweep(&program(SETTINGS, &clients)).await;
    let mut wrong = Vec::new();
    for (name, _, stage, begins, holds) in &cases {
        let row = swept.client(name);
        let error = row.error.clone().unwrap_or_default();
        if row.stage.as_deref() != Some(*stage) || !error.starts_with(begins) || !error.contains(holds) {
            wrong.push(format!("{name}: {:?}: {error}", row.stage));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for number in 0..healthy.len() {
        assert_eq!(swept.client(&format!("healthy {number}")).status, "ok", "{swept:?}");
    }
    eprintln!("{usage:?}");
    // All of them together take seconds, while a single one could use a core and all memory.
    assert!(usage.cpu < Duration::from_secs(20), "{usage:?}");
    assert!(usage.peak_bytes < 400 << 20, "{usage:?}");
    // The log does not contain a line per message.
    assert!(swept.outcome.stderr.lines().count() < 3 * clients.len(), "{}", swept.outcome.stderr);
}

async fn demo_clients(many: usize) -> Vec<DemoClient> {
    let mut demos = Vec::new();
    for _ in 0..many {
        demos.push(DemoClient::start(Behaviour::Healthy).await);
    }
    demos
}

/// Clients that choose the most expensive key exchange, together with healthy ones that have little time.
pub(crate) async fn costly_key_exchanges_do_not_cost_the_healthy_clients() {
    let healthy = demo_clients(10).await;
    let mut clients: Vec<String> =
        healthy.iter().enumerate().map(|(number, demo)| demo.named(&format!("healthy {number}"))).collect();
    let servers: Vec<Hostile> = (0..40)
        .map(|number| {
            Hostile::start(match number % 4 {
                0 => Fault::Exchanges("diffie-hellman-group18-sha512"),
                1 | 2 => Fault::Exchanges("diffie-hellman-group16-sha512"),
                _ => Fault::ChoosesGroup(512, 0xff),
            })
        })
        .collect();
    clients.extend(servers.iter().enumerate().map(|(number, server)| server.named(&format!("hostile {number}"))));
    let (swept, usage) = measured_sweep(&program(r#"<collector timeout="60s" retries="0"/>"#, &clients)).await;
    for (name, row) in &swept.clients {
        assert_eq!(row.status == "ok", name.starts_with("healthy"), "{row:?}\n{usage:?}");
    }
    let slowest = swept.clients.values().filter(|row| row.status == "ok").map(|row| row.duration_ms).max();
    eprintln!("{usage:?}, the slowest healthy client took {slowest:?} ms");
}

/// The program, sweeping repeatedly.
struct Collecting {
    program: Fleetsweep,
    running: Running,
}

impl Collecting {
    fn start(settings: &str, clients: &[String]) -> Self {
        Self::begin(program(&format!(r#"<collector interval="1s" timeout="60s" retries="0"/>{settings}"#), clients))
    }

    fn begin(program: Fleetsweep) -> Self {
        let running = program.spawn(["--headless"]);
        Self { program, running }
    }

    /// The number of collections with a status so far, and the last error.
    async fn collections(&self, status: &str) -> (usize, String) {
        let database = self.program.path("fleetsweep.db");
        let is_made = "SELECT 1 FROM sqlite_master WHERE name = 'v1_collections'";
        if !database.exists() || rows(&database, is_made).await.is_empty() {
            return (0, String::new());
        }
        let query = format!("SELECT error FROM v1_collections WHERE status = '{status}' ORDER BY started_at_ms");
        let rows = rows(&database, &query).await;
        (rows.len(), rows.last().and_then(|row| row.first().cloned().flatten()).unwrap_or_default())
    }

    /// Waits for this many further collections.
    async fn wait_for_more(&self, more: usize, status: &str) {
        let before = self.collections(status).await.0;
        self.wait_for(before + more, status).await;
    }

    /// Waits until there are this many collections.
    async fn wait_for(&self, many: usize, status: &str) {
        wait_until(&format!("{many} collections that are {status}"), SOON * 2, async || {
            self.collections(status).await.0 >= many
        })
        .await;
    }

    async fn end(self) -> Outcome {
        self.running.signal(Signal::TERM);
        self.running.ended(SOON).await
    }
}

pub(crate) async fn a_kept_session_that_talks_unasked_ends_and_the_client_is_collected_all_the_same() {
    let floods: Vec<(&str, Flood, &str)> =
        FLOODS.into_iter().chain([("prints late", Flood::Output, "KiB when nothing was asked of it")]).collect();
    let servers: Vec<Hostile> =
        floods.iter().map(|(_, flood, _)| Hostile::start(Fault::FloodsWhenIdle(*flood))).collect();
    let clients: Vec<String> = floods.iter().zip(&servers).map(|((name, ..), server)| server.named(name)).collect();
    let collecting = Collecting::start("", &clients);
    let pid = collecting.running.pid().as_raw_nonzero().get();
    let begun = Instant::now();
    for ((name, flood, _), Hostile(server)) in floods.iter().zip(&servers) {
        wait_until(&format!("the session to end that {name}"), SOON * 2, async || server.ended() >= 2).await;
        // The next session may have begun already, and its key exchanges are counted.
        let exchanges = server.flooded() / u64::try_from(server.connections()).unwrap();
        assert!(*flood != Flood::Keys || exchanges < 20, "{exchanges} in a session");
    }
    collecting.wait_for(3 * floods.len(), "ok").await;
    let usage = Usage::of(pid).unwrap();
    eprintln!("{usage:?} in {:?}", begun.elapsed());
    assert!(usage.peak_bytes < 400 << 20, "{usage:?}");
    let stderr = collecting.end().await.stderr;
    for (name, _, says) in floods {
        assert!(stderr.contains(says), "{name}: {says}\n{stderr}");
    }
}

pub(crate) async fn a_kept_session_is_not_used_once_its_host_key_is_not_accepted() {
    for policy in ["strict", "accept-new"] {
        let server = Hostile::start(Fault::None);
        let program = program(
            &format!(
                r#"<collector interval="1s" timeout="60s" retries="0"/>
                <ssh known-hosts="known_hosts" host-keys="{policy}"/>"#
            ),
            &[server.named("one")],
        );
        let file = program.path("known_hosts");
        let pinned = server.known_host();
        fs::write(&file, &pinned).unwrap();
        let collecting = Collecting::begin(program);
        collecting.wait_for(3, "ok").await;
        assert_eq!(server.0.connections(), 1, "the session is kept");

        fs::write(&file, format!("@revoked {pinned}")).unwrap();
        collecting.wait_for_more(1, "failed").await;
        let (_, error) = collecting.collections("failed").await;
        assert!(error.starts_with("host key revoked: "), "{error}");
        let collected = collecting.collections("ok").await.0;
        collecting.wait_for_more(2, "failed").await;
        assert_eq!(collecting.collections("ok").await.0, collected, "{policy}");

        fs::write(&file, &pinned).unwrap();
        collecting.wait_for_more(2, "ok").await;
        // Without the pinned key, the server is unknown again.
        let connections = server.0.connections();
        fs::write(&file, "").unwrap();
        if policy == "strict" {
            collecting.wait_for_more(1, "failed").await;
            let (_, error) = collecting.collections("failed").await;
            assert!(error.starts_with("host key not known: "), "{error}");
        } else {
            wait_until("the key to be pinned anew", SOON, async || {
                fs::read_to_string(&file).unwrap() == pinned && server.0.connections() > connections
            })
            .await;
        }
        // Pins another key.
        let address = server.0.address();
        let another = HostileSsh::start(Fault::None).host_key();
        fs::write(&file, known_host((address.ip(), address.port()), &another)).unwrap();
        wait_until("the key to be refused", SOON, async || {
            collecting.collections("failed").await.1.starts_with("HOST KEY CHANGED: ")
        })
        .await;
        collecting.end().await;
    }
}

pub(crate) async fn a_session_that_waits_is_kept_through_ordinary_talk() {
    // The same connection each time: messages of a server between two sweeps do not end it.
    let server = Hostile::start(Fault::None);
    let collecting = Collecting::start("", &[server.named("one")]);
    collecting.wait_for(5, "ok").await;
    assert_eq!((server.0.connections(), server.0.ended()), (1, 0));
    collecting.end().await;
    sweep(&program(PATIENT, &[server.named("one")])).await.is_complete();
}

pub(crate) async fn a_server_that_shows_the_password_that_it_got_does_not_get_it_stored() {
    const PASSWORD: &str = "a-Password-To-Be-Shown";
    let places = [
        ("banner", Place::Banner),
        ("banner, spelled out", Place::SpelledOut),
        ("banner, cut off", Place::CutOff),
        ("question", Place::Question),
        ("end", Place::End),
    ];
    let servers: Vec<(&str, HostileSsh)> =
        places.iter().map(|(name, place)| (*name, HostileSsh::start(Fault::ShowsPassword(*place)))).collect();
    let clients: Vec<String> = servers
        .iter()
        .map(|(name, server)| {
            client(name, (server.address().ip(), server.address().port()), &password_login("ops", PASSWORD))
        })
        .collect();
    let program = program(r#"<collector timeout="60s" retries="2"/>"#, &clients).with_environment("RUST_LOG", "trace");
    let swept = Swept::of(program.run(["--once", "--format", "json", "-vvv"]).await);
    let mut shown = String::new();
    for (name, server) in &servers {
        let (stage, words) = swept.failure(name);
        shown += &format!("{name}: {stage}: {}\n", words.replace(&"x".repeat(200), "…"));
        assert_eq!(server.connections(), 1, "{name}");
    }
    insta::assert_snapshot!(shown);
    let config = program.path("config.xml");
    let mut texts = vec![swept.outcome.stdout.clone().into_bytes(), swept.outcome.stderr.clone().into_bytes()];
    for entry in fs::read_dir(config.parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && path != config {
            texts.push(fs::read(path).unwrap());
        }
    }
    // Half of it tells too much as well.
    let half = PASSWORD.get(..PASSWORD.len() / 2).unwrap().as_bytes();
    assert!(texts.iter().all(|text| !text.windows(half.len()).any(|window| window == half)));
}
