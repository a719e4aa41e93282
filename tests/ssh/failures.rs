//! All ways in which a collection can fail, each with its stage, message and number of attempts. A failing client does
//! not affect others.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use fleetsweep::demo::Behaviour;
use support::{Fleetsweep, Signal, SshdOptions, allowance, free_port, rows, wait_until};

use crate::sweeping::{
    DemoClient, PATIENT, SOON, Swept, at, client, key_login, known_host, password_login, program, sshd_with, sweep,
};

/// An expected failure: name, stage, beginning of the message, another part of it, attempts.
type Failing = (&'static str, &'static str, &'static str, &'static str, u32);

/// Connecting has a third of the timeout, 10 s.
const SETTINGS: &str = r#"<collector timeout="30s" retries="1"/>
    <ssh known-hosts="known_hosts" host-keys="strict"/>"#;

pub(crate) async fn each_failure_has_its_stage_and_its_words_and_the_others_are_collected() {
    let sshd = sshd_with("/bin/sh", SshdOptions { addresses: 8, ..SshdOptions::default() }).await;
    let nologin = sshd_with("/usr/sbin/nologin", SshdOptions::default()).await;
    let mounted = async |mounts: &[(&'static str, &'static str)]| {
        sshd_with("/bin/sh", SshdOptions { mounts: mounts.to_vec(), ..SshdOptions::default() }).await
    };
    let no_exec = mounted(&["/tmp", "/var/tmp", "/dev/shm", "~"].map(|place| (place, "noexec"))).await;
    let no_exec_in_tmp = mounted(&[("/tmp", "noexec")]).await;
    let full = mounted(&["/tmp", "/var/tmp", "/dev/shm", "~"].map(|place| (place, "size=64k"))).await;
    let full_tmp = mounted(&[("/tmp", "size=64k")]).await;

    let stranger = sshd.key().with_extension("pub");
    let stranger = fs::read_to_string(stranger).unwrap();
    let hosts = [&nologin, &no_exec, &no_exec_in_tmp, &full, &full_tmp].map(|sshd| (sshd, at(sshd, 0)));
    let mut known: String = hosts.iter().map(|(sshd, at)| known_host(*at, &sshd.host_key("ed25519"))).collect();
    for number in [0, 1, 2, 5, 6, 7] {
        known += &known_host(at(&sshd, number), &sshd.host_key("ed25519"));
    }
    // The fourth address has another key than the pinned one; the fifth has no pinned key.
    known += &known_host(at(&sshd, 3), &stranger);
    known += &format!("@revoked {}", known_host(at(&sshd, 5), &sshd.host_key("ed25519")));

    let (key, name) = (key_login(&sshd), sshd.username());
    let mut clients = vec![
        client("by password", at(&sshd, 0), &password_login(&name, sshd.user().password())),
        client("by key", at(&sshd, 1), &key),
        client("noexec in /tmp", at(&no_exec_in_tmp, 0), &key_login(&no_exec_in_tmp)),
        client("/tmp is full", at(&full_tmp, 0), &key_login(&full_tmp)),
        client("nothing listens", (at(&sshd, 0).0, free_port()), &key),
        client("wrong password", at(&sshd, 2), &password_login(&name, "wrong")),
        client("changed host key", at(&sshd, 3), &key),
        client("unknown host key", at(&sshd, 4), &key),
        client("revoked host key", at(&sshd, 5), &key),
        client("no key file", at(&sshd, 6), &format!(r#"username="{name}" key="/nonexistent""#)),
        client("no ssh-agent", at(&sshd, 7), &format!(r#"username="{name}""#)),
        client("nologin", at(&nologin, 0), &key_login(&nologin)),
        client("noexec", at(&no_exec, 0), &key_login(&no_exec)),
        client("full", at(&full, 0), &key_login(&full)),
    ];
    let mut demos = Vec::new();
    for (name, behaviour) in [
        ("noisy", Behaviour::Noisy),
        ("silent", Behaviour::Silent),
        ("garbage", Behaviour::GarbageBanner),
        ("endless banner", Behaviour::EndlessBanner),
        ("refuses login", Behaviour::RefusesLogin),
        ("closes after login", Behaviour::ClosesAfterLogin),
        ("refuses commands", Behaviour::RefusesCommands),
        ("stalls in mid-upload", Behaviour::StallsMidUpload),
        ("stalls in mid-answer", Behaviour::StallsMidAnswer),
        ("killed agent", Behaviour::KillsMidAnswer),
        ("altered answer", Behaviour::AltersAnswer),
        ("endless answer", Behaviour::EndlessAnswer),
    ] {
        let demo = DemoClient::start(behaviour).await;
        clients.push(demo.named(name));
        known += &demo.known_host();
        demos.push(demo);
    }
    let program = program(SETTINGS, &clients);
    fs::write(program.path("known_hosts"), known).unwrap();
    let swept = sweep(&program).await;

    const FAILING: [Failing; 21] = [
        ("nothing listens", "connect", "connection refused", "", 2),
        ("silent", "connect", "timed out", "`connect` was not done within 10s of the `timeout` of 30s", 1),
        ("garbage", "connect", "not an SSH server", "HTTP/1.1 400 Bad Request", 1),
        ("endless banner", "connect", "not an SSH server", "Authorised use only.", 1),
        ("changed host key", "connect", "HOST KEY CHANGED", "known_hosts pins ssh-ed25519 SHA256:", 1),
        ("unknown host key", "connect", "host key not known", "the client shows ssh-ed25519 SHA256:", 1),
        ("revoked host key", "connect", "host key revoked", "known_hosts revokes it", 1),
        ("wrong password", "authenticate", "authentication refused", "password was refused", 1),
        ("refuses login", "authenticate", "authentication refused", "password was refused", 1),
        ("no key file", "authenticate", "credential unusable", "/nonexistent: No such file", 1),
        ("no ssh-agent", "authenticate", "credential unusable", "no ssh-agent", 1),
        ("closes after login", "upload", "connection lost", "closed on purpose", 2),
        ("refuses commands", "upload", "command refused", "", 1),
        ("nologin", "upload", "command refused", "This account is currently not available.", 1),
        ("noexec", "upload", "no directory to run from", "Permission denied", 1),
        ("full", "upload", "disk full", "No space left on device", 1),
        ("stalls in mid-upload", "upload", "timed out", "`upload` was not done within 20s", 1),
        ("stalls in mid-answer", "execute", "timed out", "`execute` was not done within 20s 200ms", 1),
        ("killed agent", "execute", "agent failed", "killed by SIGKILL", 2),
        ("endless answer", "execute", "answer too large", "8388608 bytes", 1),
        ("altered answer", "decrypt", "envelope refused", "", 1),
    ];
    fail_as(&swept, &FAILING);
    snapshot_failures(&swept, &name);
    assert_eq!(swept.outcome.code, Some(1));
    let collected = |swept: &Swept| -> Vec<String> {
        swept.clients.values().filter(|row| row.status == "ok").map(|row| row.name.clone()).collect()
    };
    assert_eq!(collected(&swept), ["/tmp is full", "by key", "by password", "noexec in /tmp", "noisy"]);

    // A stage that timed out has used all its time, so the sweep takes no longer than the slowest client.
    let silent = Duration::from_millis(swept.client("silent").duration_ms);
    let most = allowance(Duration::from_secs(20));
    assert!((Duration::from_secs(10)..most).contains(&silent), "{silent:?}");
    assert!(swept.duration < allowance(Duration::from_secs(60)), "{:?}", swept.duration);
    are_stored(&program, &swept).await;
}

/// Checks that each client failed as expected.
fn fail_as(swept: &Swept, expected: &[Failing]) {
    let wrong: Vec<String> = expected
        .iter()
        .filter_map(|(name, stage, begins, holds, attempts)| {
            let row = swept.client(name);
            let error = row.error.clone().unwrap_or_default();
            let as_expected = row.stage.as_deref() == Some(*stage)
                && row.attempts == *attempts
                && error.starts_with(begins)
                && error.contains(holds);
            (!as_expected).then(|| format!("{name}: {:?} after {} attempts: {error}", row.stage, row.attempts))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The whole message of each failure, without what differs in each run. `username` is that of the account.
fn snapshot_failures(swept: &Swept, username: &str) {
    let failed = swept.clients.values().filter(|row| row.status == "failed");
    let told: Vec<String> = failed
        .map(|row| {
            let [stage, error] = [&row.stage, &row.error].map(|text| text.as_deref().unwrap_or_default());
            format!("{}: {stage}: {}", row.name, error.replace(username, "USER"))
        })
        .collect();
    let filters = vec![
        (r"SHA256:[A-Za-z0-9+/]{43}", "SHA256:KEY"),
        (r"127(\.[0-9]+){3}", "ADDRESS"),
        (r"(ADDRESS|\[ADDRESS\]):[0-9]+", "$1:PORT"),
        (r"(/[^/ :]+)+/known_hosts", "FOLDER/known_hosts"),
        (r"\b[0-9a-f]{32}\b", "NONCE"),
        (r"/tmp/\.tmp\w+", "TEMP"),
        (r"\bsweep[0-9]+x[0-9]+\b", "USER"),
    ];
    insta::with_settings!({filters => filters}, { insta::assert_snapshot!(told.join("\n")) });
}

/// The views contain the same results as the document.
async fn are_stored(program: &Fleetsweep, swept: &Swept) {
    let query = "SELECT client_ip, client_port, status, stage, error, attempts, duration_ms FROM v1_collections \
                 ORDER BY client_ip, client_port";
    let mut shown: Vec<Vec<Option<String>>> = Vec::new();
    for row in swept.clients.values() {
        let text = [row.ip.clone(), row.port.to_string(), row.status.clone()].map(Some);
        let rest =
            [row.stage.clone(), row.error.clone(), Some(row.attempts.to_string()), Some(row.duration_ms.to_string())];
        shown.push(text.into_iter().chain(rest).collect());
    }
    let mut stored = rows(&program.path("fleetsweep.db"), query).await;
    stored.sort();
    shown.sort();
    assert_eq!(stored, shown);
}

pub(crate) async fn a_refused_password_is_tried_once() {
    let sshd = sshd_with("/bin/sh", SshdOptions::default()).await;
    let settings = r#"<collector timeout="60s" retries="3"/>"#;
    let login = password_login(&sshd.username(), "wrong");
    let swept = sweep(&program(settings, &[client("one", at(&sshd, 0), &login)])).await;
    let (stage, error) = swept.failure("one");
    assert_eq!(stage, "authenticate");
    assert_eq!(error, "authentication refused: password was refused: the server takes publickey, password");
    assert_eq!(swept.client("one").attempts, 1);
    assert_eq!(sshd.log().matches("Failed password").count(), 1, "{}", sshd.log());
}

/// The program with a shell script as its agent.
pub(crate) fn with_agent(program: Fleetsweep, script: &str) -> Fleetsweep {
    let folder = program.path("agents");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("x86_64-unknown-linux-gnu");
    fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    let folder = folder.to_str().unwrap().to_owned();
    program.with_environment("FLEETSWEEP_AGENTS", &folder)
}

pub(crate) async fn an_agent_that_fails_is_said_with_its_end_and_tried_again() {
    let sshd = sshd_with("/bin/sh", SshdOptions::default()).await;
    for (script, expected, attempts) in [
        ("kill -KILL $$", "agent failed: killed by SIGKILL (out of memory?)", 2),
        ("kill -SEGV $$", "agent failed: killed by SIGSEGV", 2),
        (
            "echo cannot allocate memory >&2; exit 69",
            "agent failed: exit status 69: the agent met a fault of its own: cannot allocate memory",
            2,
        ),
        ("exit 67", "timed out: exit status 67: the agent ran into its deadline", 1),
        ("echo something else", "no answer from the agent", 2),
    ] {
        for keeping in ["keep", "remove"] {
            let settings = format!(r#"<collector timeout="60s" retries="1" agent="{keeping}"/>"#);
            let program = program(&settings, &[client("one", at(&sshd, 0), &key_login(&sshd))]);
            let swept = sweep(&with_agent(program, script)).await;
            let (stage, error) = swept.failure("one");
            // If a shell waits for the agent, it may add its own message.
            assert!(stage == "execute" && error.starts_with(expected), "{keeping}: {script}: {error}");
            assert_eq!(swept.client("one").attempts, attempts, "{script}");
        }
    }
    let program = program(PATIENT, &[client("one", at(&sshd, 0), &key_login(&sshd))]);
    sweep(&program).await.is_complete();
}

pub(crate) async fn a_server_that_drops_logins_above_its_limit_is_visited_again() {
    const CLIENTS: u16 = 8;
    let config = vec!["MaxStartups 2".to_owned()];
    let sshd = sshd_with("/bin/sh", SshdOptions { addresses: CLIENTS, config, ..SshdOptions::default() }).await;
    let clients: Vec<String> =
        (0..CLIENTS).map(|number| client(&number.to_string(), at(&sshd, number.into()), &key_login(&sshd))).collect();
    let swept = sweep(&program(r#"<collector timeout="120s" retries="10"/>"#, &clients)).await;
    swept.is_complete();
    assert!(sshd.log().contains("drop connection"), "{}", sshd.log());
    let attempts: u32 = swept.clients.values().map(|row| row.attempts).sum();
    assert!(attempts > CLIENTS.into(), "{attempts} attempts");
    // A client whose output is dropped until the end is reported as such.
    let swept = sweep(&program(r#"<collector timeout="120s" retries="0"/>"#, &clients)).await;
    for row in swept.clients.values().filter(|row| row.status != "ok") {
        let (stage, error) = swept.failure(&row.name);
        assert!(stage == "connect" && error.starts_with("connection lost: "), "{row:?}");
    }
}

pub(crate) async fn a_cancelled_client_is_stored_as_it_is_told() {
    let mut demos = Vec::new();
    for _ in 0..4 {
        demos.push(DemoClient::start(Behaviour::Silent).await);
    }
    let clients: Vec<String> = (0..).zip(&demos).map(|(number, demo)| demo.named(&format!("c{number}"))).collect();
    // One after the other, so that three of them have not begun when the run ends.
    let program = program(r#"<collector concurrency="1" timeout="300s" retries="0"/>"#, &clients);
    let running = program.spawn(["--once", "--format", "json"]);
    let begun = async || demos.iter().any(|demo| demo.server.connections() > 0);
    wait_until("a collection to begin", SOON, begun).await;
    running.signal(Signal::INT);
    let swept = Swept::of(running.ended(SOON).await);
    let mut stages: Vec<(&str, u32)> = Vec::new();
    for row in swept.clients.values() {
        let (stage, error) = swept.failure(&row.name);
        assert!(error.starts_with("cancelled"), "{error}");
        stages.push((stage, row.attempts));
    }
    stages.sort_unstable();
    assert_eq!(stages, [("connect", 1), ("queued", 0), ("queued", 0), ("queued", 0)]);
    are_stored(&program, &swept).await;
}

pub(crate) async fn a_line_of_the_log_names_its_sweep_client_and_stage() {
    let demo = DemoClient::start(Behaviour::Healthy).await;
    let address = demo.address();
    let nobody = free_port();
    let clients = [demo.named("web"), client("gone", (address.ip(), nobody), &demo.login())];
    let program = program(r#"<collector timeout="120s" retries="1"/>"#, &clients);
    let lines = |outcome: &support::Outcome| -> Vec<String> { outcome.stderr.lines().map(str::to_owned).collect() };
    let line = |lines: &[String], words: &str| -> String {
        let found: Vec<&String> = lines.iter().filter(|line| line.contains(words)).collect();
        let [line] = found.as_slice() else { panic!("not one line with `{words}` in {lines:#?}") };
        (*line).clone()
    };

    let outcome = program.run(["--once", "--format", "json", "-vv"]).await;
    let document: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let sweep = document.get("sweep").and_then(|sweep| sweep.as_str()).unwrap();
    let web = format!(r#"sweep={sweep} client={address} name="web""#);
    let gone = format!(r#"sweep={sweep} client={}:{nobody} name="gone""#, address.ip());
    let detailed = lines(&outcome);
    // Logged by a task of the library on the threads for sessions.
    let pinned = line(&detailed, "host key pinned at first sight");
    assert!(pinned.ends_with(&format!("{web} stage=connect")), "{pinned}");
    let attempt = line(&detailed, "an attempt failed");
    assert!(attempt.contains("stage=connect") && attempt.ends_with(&gone), "{attempt}");
    let stages: Vec<&String> = detailed.iter().filter(|line| line.contains("stage entered")).collect();
    let of_web = stages.iter().filter(|line| line.ends_with(&web)).count();
    assert_eq!((of_web, stages.len()), (6, 9), "{stages:#?}");

    // Without `-vv`, fewer lines are logged, and each begins with the event.
    let outcome = program.run(["--once", "--format", "json", "-v"]).await;
    let document: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let usual = lines(&outcome);
    let failed = line(&usual, "collection failed: connection refused");
    let sweep = document.get("sweep").and_then(|sweep| sweep.as_str()).unwrap();
    assert!(failed.contains(&format!("sweep={sweep} client=")), "{failed}");
    assert!(failed.ends_with(r#"name="gone""#), "{failed}");
    let (before, _) = failed.split_once("collection failed").unwrap();
    assert!(before.len() < 60 && before.contains(" WARN "), "{failed}");
    assert!(usual.iter().all(|line| !line.contains('\u{1b}')), "{usual:#?}");
}
