//! The demo servers, visited by a client that is not ours: the `async-ssh2-tokio` library logs in, executes,
//! uploads and leaves. And the mail sink, handed mails by lettre.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test says what failed by panicking")]

use std::{
    fs,
    io::ErrorKind,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};

use async_ssh2_tokio::{
    Error,
    client::{AuthKeyboardInteractive, AuthMethod, Client, ServerCheckMethod},
};
use fleetsweep::{
    config::Config,
    demo::{Account, Asks, Behaviour, Demo, Expectation, Fault, Moment, Persona, Sink, SshServer},
    fleet::{ClientId, Stage, SweepId},
    spine::{Hub, Spine},
    sweep::{Collection, Collector, SessionKeeping},
};
use fleetsweep_agent::{envelope, request::EventsWanted};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use russh::keys::{Algorithm, PrivateKey, ssh_key::LineEnding};
use support::{Mail, wait_until};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

support::trials! {
    needs() =>
        a_right_password_executes_commands,
        a_wrong_password_is_refused,
        a_password_can_be_asked_for_interactively,
        an_authorised_key_opens_and_another_does_not,
        a_command_sees_only_its_own_home,
        a_command_that_is_killed_says_by_which_signal,
        a_large_upload_arrives_whole,
        a_large_answer_arrives_whole,
        many_sessions_run_at_once,
        leaving_ends_what_was_started,
        stopping_ends_sessions_in_every_state,
        each_fault_shows_what_it_promises,
        an_upload_can_stall,
        an_answer_can_stall_be_killed_altered_or_endless,
        a_server_can_change_its_mind,
        a_demo_writes_a_private_configuration_and_leaves_nothing,
        a_persona_is_collected_in_place_of_this_machine,
        a_director_adds_to_the_legend_and_ends_with_the_demo,
        a_thousand_clients_start_within_seconds,
        the_sink_keeps_what_lettre_sends,
        the_sink_fails_as_it_is_told;
}

/// How long anything may take that is not meant to stall.
const SOON: Duration = Duration::from_secs(30);

/// How long a stall is watched before it counts as one.
const STALLED: Duration = Duration::from_millis(300);

const USER: &str = "someone";
const PASSWORD: &str = "correct horse";

struct House {
    server: SshServer,
    home: TempDir,
}

impl House {
    async fn start(behaviour: Behaviour) -> Self {
        Self::with(Account { password: Some((Asks::Directly, PASSWORD.into())), ..account() }, behaviour).await
    }

    async fn with(account: Account, behaviour: Behaviour) -> Self {
        let home = tempfile::tempdir().unwrap();
        let server =
            SshServer::start(SshServer::loopback(0), home.path().to_owned(), account, behaviour).await.unwrap();
        Self { server, home }
    }

    async fn visit(&self, auth: AuthMethod) -> Result<Client, Error> {
        let check = ServerCheckMethod::NoCheck;
        timeout(SOON, Client::connect(self.server.address(), USER, auth, check)).await.expect("a visit ends soon")
    }

    async fn enter(&self) -> Client {
        self.visit(AuthMethod::with_password(PASSWORD)).await.unwrap()
    }

    /// Waits until nothing of any visit is left: no command, no task, no socket.
    async fn is_empty(&self) {
        wait_until("the server to be empty", SOON, async || {
            self.server.commands() == 0 && self.server.connections() == 0 && open_sockets(self.server.address()) == 0
        })
        .await;
    }
}

fn account() -> Account {
    Account { username: USER.to_owned(), password: None, authorized_keys: Vec::new() }
}

/// The connected sockets of a server, as the kernel lists them; those already closed on our side are not.
fn open_sockets(address: SocketAddr) -> usize {
    const CLOSING: [&str; 2] = ["06", "0A"];
    let local = format!(":{:04X}", address.port());
    fs::read_to_string("/proc/net/tcp")
        .unwrap()
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields.get(1).is_some_and(|at| at.ends_with(&local)))
        // An inode of 0 is a socket that no process holds.
        .filter(|fields| fields.get(3).is_some_and(|state| !CLOSING.contains(state)) && fields.get(9) != Some(&"0"))
        .count()
}

fn is_alive(pid: &str) -> bool {
    // A process that has ended and is not yet waited for is a zombie: Z.
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}

async fn a_right_password_executes_commands() {
    let house = House::start(Behaviour::Healthy).await;
    let client = house.enter().await;
    let done = client.execute("echo out; echo err >&2; exit 3").await.unwrap();
    assert_eq!((done.stdout.as_str(), done.stderr.as_str(), done.exit_status), ("out\n", "err\n", 3));
    drop(client);
    house.is_empty().await;
}

async fn a_wrong_password_is_refused() {
    let house = House::start(Behaviour::Healthy).await;
    for (user, password) in [(USER, "wrong"), (USER, ""), ("someone else", PASSWORD)] {
        let auth = AuthMethod::with_password(password);
        let refused = Client::connect(house.server.address(), user, auth, ServerCheckMethod::NoCheck).await;
        assert!(matches!(refused, Err(Error::PasswordWrong)), "{user}: {refused:?}");
    }
    house.is_empty().await;
}

async fn a_password_can_be_asked_for_interactively() {
    let house = House::with(
        Account { password: Some((Asks::Interactively, PASSWORD.into())), ..account() },
        Behaviour::Healthy,
    )
    .await;
    let answer = |answer: &str| AuthKeyboardInteractive::new().with_response("Password", answer).into();
    assert_eq!(house.visit(answer(PASSWORD)).await.unwrap().execute("echo in").await.unwrap().stdout, "in\n");
    assert!(house.visit(answer("wrong")).await.is_err());
    assert!(house.visit(AuthMethod::with_password(PASSWORD)).await.is_err());
}

async fn an_authorised_key_opens_and_another_does_not() {
    let [known, unknown] = [(); 2].map(|()| PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap());
    let account = Account { authorized_keys: vec![known.public_key().clone()], ..account() };
    let house = House::with(account, Behaviour::Healthy).await;
    let auth = |key: &PrivateKey| AuthMethod::with_key(&key.to_openssh(LineEnding::LF).unwrap(), None);
    assert_eq!(house.visit(auth(&known)).await.unwrap().execute("echo in").await.unwrap().stdout, "in\n");
    assert!(matches!(house.visit(auth(&unknown)).await, Err(Error::KeyAuthFailed)));
    assert!(matches!(house.visit(AuthMethod::with_password("")).await, Err(Error::PasswordWrong)));
}

async fn a_command_sees_only_its_own_home() {
    let house = House::start(Behaviour::Healthy).await;
    let client = house.enter().await;
    let home = house.home.path().display();
    let done = client.execute("pwd; echo $HOME $TMPDIR $XDG_RUNTIME_DIR").await.unwrap();
    assert_eq!(done.stdout, format!("{home}\n{home} {home} {home}\n"));
    let variables = client.execute("env | cut -d= -f1 | sort | tr '\\n' ' '").await.unwrap().stdout;
    assert_eq!(variables, "HOME LOGNAME PATH PWD SHELL TMPDIR USER XDG_RUNTIME_DIR ");
}

async fn a_command_that_is_killed_says_by_which_signal() {
    let house = House::start(Behaviour::Healthy).await;
    let client = house.enter().await;
    for (signal, name) in [("KILL", "KILL"), ("TERM", "TERM"), ("SEGV", "SEGV"), ("USR2", "Custom")] {
        let mut channel = client.get_channel().await.unwrap();
        channel.exec(true, format!("kill -{signal} $$")).await.unwrap();
        let mut messages = Vec::new();
        while let Some(message) = channel.wait().await {
            messages.push(format!("{message:?}"));
        }
        assert!(messages.iter().any(|m| m.starts_with("ExitSignal") && m.contains(name)), "{signal}: {messages:?}");
    }
}

/// More than a channel's window and more than any agent.
const LARGE_BYTES: usize = 6 * 1024 * 1024;

async fn a_large_upload_arrives_whole() {
    let house = House::start(Behaviour::Healthy).await;
    let bytes: Vec<u8> = (0..=250).cycle().take(LARGE_BYTES).collect();
    let client = house.enter().await;
    let channel = client.get_channel().await.unwrap();
    channel.exec(true, format!("head -c {LARGE_BYTES} >file && echo whole")).await.unwrap();
    let (mut reader, writer) = channel.split();
    let answer = async {
        let mut answers = Vec::new();
        while let Some(message) = reader.wait().await {
            answers.push(format!("{message:?}"));
        }
        answers.join(" ")
    };
    // The input is not ended: `head` knows how much it wants.
    let (sent, answer) = timeout(SOON, async { tokio::join!(writer.data(bytes.as_slice()), answer) }).await.unwrap();
    sent.unwrap();
    assert!(answer.contains("whole"), "{answer}");
    assert!(fs::read(house.home.path().join("file")).unwrap() == bytes, "the file is another one");
}

async fn a_large_answer_arrives_whole() {
    let house = House::start(Behaviour::Healthy).await;
    let client = house.enter().await;
    let done = client.execute(&format!("head -c {LARGE_BYTES} /dev/zero | tr '\\0' x")).await.unwrap();
    assert_eq!((done.stdout.len(), done.exit_status), (LARGE_BYTES, 0));
    assert!(done.stdout.bytes().all(|byte| byte == b'x'));
    assert_eq!(house.server.written().len(), LARGE_BYTES);
}

async fn many_sessions_run_at_once() {
    let house = House::start(Behaviour::Healthy).await;
    let visits = (0..30).map(async |number| {
        let client = house.enter().await;
        let (a, b) = tokio::join!(
            client.execute("sleep 0.2; echo a"),
            // The wrapper's own second channel on the same session.
            client.execute("echo b")
        );
        format!("{number} {}{}", a.unwrap().stdout.trim(), b.unwrap().stdout.trim())
    });
    let answers = futures_util::future::join_all(visits).await;
    assert_eq!(answers, (0..30).map(|number| format!("{number} ab")).collect::<Vec<_>>());
    house.is_empty().await;
}

/// Starts a command that would last, and a background process of its own; their process ids.
async fn start_lasting(client: &Client) -> Vec<String> {
    let mut channel = client.get_channel().await.unwrap();
    channel.exec(true, "sleep 1000 & echo $$ $!; wait").await.unwrap();
    let pids = loop {
        let message = format!("{:?}", channel.wait().await.expect("the process ids"));
        // Only the debug form is the same for any version of the protocol library.
        if let Some((_, rest)) = message.split_once("b\"") {
            break rest.split("\\n").next().unwrap().split(' ').map(str::to_owned).collect::<Vec<_>>();
        }
    };
    assert!(pids.len() == 2 && pids.iter().all(|pid| is_alive(pid)), "{pids:?}");
    // The channel is left open: only the session's end can end it.
    std::mem::forget(channel);
    pids
}

async fn leaving_ends_what_was_started() {
    let house = House::start(Behaviour::Healthy).await;
    let client = house.enter().await;
    let pids = start_lasting(&client).await;
    assert_eq!((house.server.connections(), house.server.commands()), (1, 1));
    client.disconnect().await.unwrap();
    house.is_empty().await;
    wait_until("the processes to end", SOON, async || !pids.iter().any(|pid| is_alive(pid))).await;

    // Closing one channel ends its command and leaves the session.
    let client = house.enter().await;
    let channel = client.get_channel().await.unwrap();
    channel.exec(true, "sleep 1000").await.unwrap();
    wait_until("the command to start", SOON, async || house.server.commands() == 1).await;
    channel.close().await.unwrap();
    wait_until("the command to end", SOON, async || house.server.commands() == 0).await;
    assert_eq!(client.execute("echo still here").await.unwrap().stdout, "still here\n");
}

async fn stopping_ends_sessions_in_every_state() {
    for behaviour in Behaviour::ALL {
        let house = House::start(behaviour).await;
        // One that says nothing, one that has said who it is, one that has logged in where it can.
        let silent = TcpStream::connect(house.server.address()).await.unwrap();
        let mut greeted = TcpStream::connect(house.server.address()).await.unwrap();
        greeted.write_all(b"SSH-2.0-test\r\n").await.unwrap();
        let pids = if behaviour == Behaviour::Healthy { start_lasting(&house.enter().await).await } else { Vec::new() };
        wait_until("the connections to arrive", SOON, async || house.server.connections() >= 2).await;
        let address = house.server.address();
        house.server.stop().await.unwrap();
        // The shell has been waited for; its background process is another's child and dies when it is scheduled.
        wait_until("the processes to end", SOON, async || !pids.iter().any(|pid| is_alive(pid))).await;
        assert_eq!(open_sockets(address), 0, "{behaviour:?}");
        assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        drop((silent, greeted));
    }
}

/// The first bytes that a server sends to one who says nothing.
async fn greeting(house: &House) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(house.server.address()).await.unwrap();
    let mut bytes = vec![0; 1024];
    let read = timeout(STALLED, stream.read(&mut bytes)).await.ok()?.unwrap();
    bytes.truncate(read);
    Some(bytes)
}

async fn each_fault_shows_what_it_promises() {
    for behaviour in Behaviour::ALL {
        let house = House::start(behaviour).await;
        let seen = greeting(&house).await;
        let expected: Option<&[u8]> = match behaviour {
            Behaviour::Silent | Behaviour::Slow(_) => None,
            Behaviour::GarbageBanner => Some(b"HTTP/1.1 400"),
            Behaviour::EndlessBanner => Some(b"Authorised use only."),
            Behaviour::Healthy
            | Behaviour::Noisy
            | Behaviour::ChangesHostKey
            | Behaviour::RefusesLogin
            | Behaviour::ClosesAfterLogin
            | Behaviour::RefusesCommands
            | Behaviour::StallsMidUpload
            | Behaviour::StallsMidAnswer
            | Behaviour::KillsMidAnswer
            | Behaviour::AltersAnswer
            | Behaviour::EndlessAnswer => Some(b"SSH-2.0-"),
        };
        let begins_so = match (&seen, expected) {
            (Some(seen), Some(expected)) => seen.starts_with(expected),
            (seen, expected) => seen.is_none() && expected.is_none(),
        };
        assert!(begins_so, "{behaviour:?}: {seen:?}");
    }

    let house = House::start(Behaviour::RefusesLogin).await;
    assert!(matches!(house.visit(AuthMethod::with_password(PASSWORD)).await, Err(Error::PasswordWrong)));

    let house = House::start(Behaviour::ClosesAfterLogin).await;
    let left = match house.visit(AuthMethod::with_password(PASSWORD)).await {
        Ok(client) => client.execute("echo in").await.is_err(),
        Err(_) => true,
    };
    assert!(left, "a command was executed");
    house.is_empty().await;

    let house = House::start(Behaviour::RefusesCommands).await;
    let done = timeout(STALLED, house.enter().await.execute("echo in >file")).await;
    assert!(!matches!(done, Ok(Ok(_))) && !house.home.path().join("file").exists());

    let house = House::start(Behaviour::Noisy).await;
    let done = house.enter().await.execute("echo in").await.unwrap();
    assert!(done.stdout.ends_with("prompt> in\n") && done.stdout.len() > 20, "{:?}", done.stdout);

    let house = House::start(Behaviour::Slow(Duration::from_millis(200))).await;
    let started = Instant::now();
    assert_eq!(house.enter().await.execute("echo in").await.unwrap().stdout, "in\n");
    assert!(started.elapsed() >= Duration::from_millis(400));

    let house = House::start(Behaviour::ChangesHostKey).await;
    let key = house.server.host_key().to_openssh().unwrap();
    let only = ServerCheckMethod::with_public_key(key.split(' ').nth(1).unwrap());
    let auth = || AuthMethod::with_password(PASSWORD);
    assert!(Client::connect(house.server.address(), USER, auth(), only.clone()).await.is_err());
    house.server.behave(Behaviour::Healthy);
    assert!(Client::connect(house.server.address(), USER, auth(), only).await.is_ok());
}

async fn an_upload_can_stall() {
    let house = House::start(Behaviour::StallsMidUpload).await;
    let client = house.enter().await;
    let channel = client.get_channel().await.unwrap();
    channel.exec(true, "cat >file").await.unwrap();
    let bytes = vec![b'x'; 1_000_000];
    assert!(timeout(STALLED, channel.data(bytes.as_slice())).await.is_err(), "the upload came to an end");
    let arrived = fs::metadata(house.home.path().join("file")).unwrap().len();
    assert!((64 * 1024..256 * 1024).contains(&arrived), "{arrived} bytes arrived");
    client.disconnect().await.unwrap();
    house.server.stop().await.unwrap();
}

async fn an_answer_can_stall_be_killed_altered_or_endless() {
    let command = "head -c 5000 /dev/zero | tr '\\0' x; sleep 1000";
    let house = House::start(Behaviour::StallsMidAnswer).await;
    assert!(timeout(STALLED, house.enter().await.execute(command)).await.is_err());
    assert_eq!(house.server.written().len(), 1024);

    let house = House::start(Behaviour::KillsMidAnswer).await;
    let killed = timeout(SOON, house.enter().await.execute(command)).await.unwrap();
    assert!(matches!(killed, Err(Error::CommandDidntExit)), "{killed:?}");
    assert_eq!(house.server.written().len(), 1024);
    house.is_empty().await;
    // The same where the command has written everything and ended before it could be killed.
    let killed = house.enter().await.execute("head -c 5000 /dev/zero | tr '\\0' x").await;
    assert!(matches!(killed, Err(Error::CommandDidntExit)), "{killed:?}");

    let house = House::start(Behaviour::AltersAnswer).await;
    let answer = house.enter().await.execute("head -c 5000 /dev/zero | tr '\\0' x").await.unwrap().stdout;
    assert_eq!((answer.len(), answer.bytes().filter(|byte| *byte != b'x').count()), (5000, 1));

    let house = House::start(Behaviour::EndlessAnswer).await;
    let client = house.enter().await;
    let mut channel = client.get_channel().await.unwrap();
    channel.exec(true, command).await.unwrap();
    for _ in 0..1000 {
        assert!(timeout(SOON, channel.wait()).await.unwrap().is_some());
    }
    client.disconnect().await.unwrap();
    house.is_empty().await;
}

async fn a_server_can_change_its_mind() {
    let house = House::start(Behaviour::Healthy).await;
    let before = house.enter().await;
    house.server.behave(Behaviour::RefusesLogin);
    assert!(house.visit(AuthMethod::with_password(PASSWORD)).await.is_err());
    assert_eq!(before.execute("echo as before").await.unwrap().stdout, "as before\n");
    house.server.behave(Behaviour::Healthy);
    house.enter().await;
}

/// The clients of a configuration: name, identity.
fn clients_of(config: &str) -> Vec<(String, ClientId)> {
    let attribute = |line: &str, name: &str| {
        line.split_once(&format!(" {name}=\"")).unwrap().1.split('"').next().unwrap().to_owned()
    };
    config
        .lines()
        .filter(|line| line.trim_start().starts_with("<client "))
        .map(|line| {
            (attribute(line, "name"), ClientId::new(attribute(line, "ip"), attribute(line, "port").parse().unwrap()))
        })
        .collect()
}

async fn a_demo_writes_a_private_configuration_and_leaves_nothing() {
    let demo = Demo::start(12).await.unwrap();
    let directory = demo.directory().to_owned();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&directory), mode(demo.config_path())), (0o700, 0o600));
    let config = fs::read_to_string(demo.config_path()).unwrap();
    let clients = clients_of(&config);
    assert_eq!(clients.len(), 12);
    for (name, id) in &clients {
        let expected = match name.rsplit_once('-').unwrap().0 {
            "over-limit" => Expectation::OverLimit,
            "refuses-login" => Expectation::FailsAt(Stage::Authenticate),
            "silent" => Expectation::FailsAt(Stage::Connect),
            _ => Expectation::Collected,
        };
        assert_eq!(demo.expectation(id), Some(expected), "{name}");
        assert_eq!(mode(&directory.join(name)), 0o700, "{name}");
    }
    assert_eq!(demo.expectation(&ClientId::new("127.0.0.1", 1)), None);
    let password = config.split_once(" password=\"").unwrap().1.split('"').next().unwrap();
    let auth = AuthMethod::with_password(password);
    let address = demo.servers().first().unwrap().address();
    let client = Client::connect(address, "demo", auth, ServerCheckMethod::NoCheck).await.unwrap();
    assert_eq!(client.execute("pwd").await.unwrap().stdout.trim(), directory.join("web-01").to_str().unwrap());
    demo.stop().await.unwrap();
    assert!(!directory.exists());

    for none in [0, 10_001] {
        assert_eq!(Demo::start(none).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

/// Collects from one server, with everything as in a sweep.
async fn collect(directory: &Path, server: &SshServer, username: &str) -> Collection {
    let known_hosts = directory.join("known_hosts");
    let config = format!(
        r#"<config><collector timeout="10s"/><smtp host="127.0.0.1" from="sweep@localhost"/>
        <ssh known-hosts="{}" host-keys="accept-new"/>
        <client name="one" ip="{}" port="{}" username="{username}" password="{PASSWORD}"/></config>"#,
        known_hosts.display(),
        server.address().ip(),
        server.address().port(),
    );
    let path = directory.join("config.xml");
    fs::write(&path, config).unwrap();
    let config = Config::load(&path).unwrap().config;
    let (spine, events) = Spine::new();
    let hub = Hub::start(events);
    let collector = Collector::new(&config, SessionKeeping::CloseAfterUse, spine).unwrap();
    let client = config.clients.first().unwrap();
    let cancel = CancellationToken::new();
    let collection = collector.collect(client, SweepId(Uuid::new_v4()), EventsWanted::No, &cancel).await;
    drop(collector);
    hub.finish().await;
    collection
}

async fn a_persona_is_collected_in_place_of_this_machine() {
    let directory = tempfile::tempdir().unwrap();
    let username = Uuid::new_v4().simple().to_string();
    let account =
        || Account { username: username.clone(), password: Some((Asks::Directly, PASSWORD.into())), ..account() };
    let started = |behaviour| {
        let played = (Persona::new("db-03", 2), Instant::now());
        SshServer::start_playing(SshServer::loopback(0), directory.path().to_owned(), account(), behaviour, played)
    };
    let server = started(Behaviour::Healthy).await.unwrap();
    let pace = Persona::new("db-03", 2).pace(Duration::ZERO);
    let began = Instant::now();
    let reading = collect(directory.path(), &server, &username).await.outcome.unwrap().reading;
    assert!(began.elapsed() >= pace.total() / 2, "{:?} of {pace:?}", began.elapsed());
    assert_eq!(reading.host_name.as_deref(), Some("db-03.demo.example"));
    assert!(reading.top_cpu.iter().any(|process| process.name == "postgres"), "{:?}", reading.top_cpu);
    // The real agent has answered before, and is there.
    let said = String::from_utf8_lossy(&server.written()).into_owned();
    assert_eq!(said.matches(envelope::BEGIN).count(), 2, "{said}");
    drop(server);

    for (behaviour, stage) in [
        (Behaviour::KillsMidAnswer, Stage::Execute),
        (Behaviour::AltersAnswer, Stage::Decrypt),
        (Behaviour::RefusesLogin, Stage::Authenticate),
    ] {
        let server = started(behaviour).await.unwrap();
        let failure = collect(directory.path(), &server, &username).await.outcome.unwrap_err();
        assert_eq!(failure.stage, stage, "{behaviour:?}: {failure}");
    }

    let plain = SshServer::start(SshServer::loopback(0), directory.path().to_owned(), account(), Behaviour::Healthy);
    let reading = collect(directory.path(), &plain.await.unwrap(), &username).await.outcome.unwrap().reading;
    assert_ne!(reading.host_name.as_deref(), Some("db-03.demo.example"));
    support::remove_kept(&username);
}

async fn a_director_adds_to_the_legend_and_ends_with_the_demo() {
    let mut demo = Demo::start(4).await.unwrap();
    let before = demo.legend().to_owned();
    demo.enliven();
    let after = demo.legend().to_owned();
    demo.enliven();
    assert_eq!(demo.legend(), after);
    let added = after.strip_prefix(&before).unwrap();
    assert!(added.contains("recover") && added.ends_with('\n') && added.lines().count() == 1, "{added}");
    timeout(SOON, demo.stop()).await.unwrap().unwrap();
}

async fn a_thousand_clients_start_within_seconds() {
    let started = Instant::now();
    let demo = Demo::start(1000).await.unwrap();
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    let mut addresses: Vec<_> = demo.servers().iter().map(|server| server.address().ip()).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 1000);
    assert!(addresses.iter().all(std::net::IpAddr::is_loopback));
    demo.stop().await.unwrap();
}

fn mail(subject: &str) -> Message {
    Message::builder()
        .from("sweep@localhost".parse().unwrap())
        .to("operator@localhost".parse().unwrap())
        .subject(subject)
        .body("one\n.two\n..three\nümlaut\n".to_owned())
        .unwrap()
}

fn transport(sink: &Sink) -> AsyncSmtpTransport<Tokio1Executor> {
    AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1").port(sink.address().port()).build()
}

async fn the_sink_keeps_what_lettre_sends() {
    let sink = Sink::start().await.unwrap();
    let transport = transport(&sink);
    for number in 0..5 {
        transport.send(mail(&format!("number {number}"))).await.unwrap();
    }
    timeout(SOON, sink.received(5)).await.unwrap();
    for (number, received) in sink.mails().iter().enumerate() {
        assert_eq!(
            (received.from.as_str(), received.recipients.as_slice()),
            ("sweep@localhost", &["operator@localhost".to_owned()][..])
        );
        let mail = Mail::parse(&received.content);
        assert_eq!(mail.subject, format!("number {number}"));
        assert_eq!(mail.text.replace("\r\n", "\n").trim_end(), "one\n.two\n..three\nümlaut");
    }
    sink.stop().await.unwrap();
}

async fn the_sink_fails_as_it_is_told() {
    let sink = Sink::start().await.unwrap();
    for (fault, code, kept) in [
        (Fault::refuses(Moment::Greeting, 421), Some("421"), 0),
        (Fault::refuses(Moment::Hello, 451), Some("451"), 0),
        (Fault::refuses(Moment::Sender, 451), Some("451"), 0),
        (Fault::refuses(Moment::Recipient, 550), Some("550"), 0),
        (Fault::refuses(Moment::Data, 451), Some("451"), 0),
        (Fault::refuses(Moment::Content, 554), Some("554"), 0),
        (Fault::FULL, Some("452"), 0),
        (Fault::Silent, None, 0),
        (Fault::ClosesAfterKeeping, None, 1),
    ] {
        sink.fail(fault);
        let before = sink.mails().len();
        let transport = transport(&sink);
        let sent = transport.send(mail("x"));
        if fault == Fault::Silent {
            assert!(timeout(STALLED, sent).await.is_err(), "the silent sink has answered");
            continue;
        }
        let error = sent.await.unwrap_err();
        let status = error.status().map(|code| code.to_string());
        assert_eq!(status.as_deref(), code, "{fault:?}: {error}");
        assert_eq!(error.is_permanent(), code.is_some_and(|code| code.starts_with('5')), "{fault:?}: {error}");
        assert_eq!(sink.mails().len() - before, kept, "{fault:?}");
    }
    sink.fail(Fault::Slow(Duration::from_millis(100)));
    let started = Instant::now();
    transport(&sink).send(mail("late")).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(500), "{:?}", started.elapsed());
    sink.fail(Fault::None);
    transport(&sink).send(mail("well")).await.unwrap();
    assert_eq!(Mail::parse(&sink.mails().last().unwrap().content).subject, "well");
    sink.stop().await.unwrap();
}
