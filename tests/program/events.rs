//! Security events of a real machine: mailed after every collection, each event exactly once, also after `kill -9`.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    process::{Command, Stdio},
    time::Duration,
};

use fleetsweep::demo::Sink;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use support::{Fleetsweep, Login, Mail, SOON, Signal, Sshd, SshdOptions, StrictRules, StrictSmtp, Trial, allowance};

use crate::site::{Config, mails, number, once, parsed, program, smtp_at, sql};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs(Sshd, Root) =>
            every_collection_is_mailed_whatever_the_log_says,
            a_log_that_holds_more_than_one_report_is_read_on_at_once,
            further_runs_of_the_agent_do_not_count_as_execute,
            a_daily_allowance_bounds_what_is_stored_and_mailed,
            gathered_events_are_one_mail_and_grave_ones_leave_at_once,
            killed_runs_lose_no_event_and_tell_none_twice,
            a_small_limit_of_the_mail_server_loses_none_of_thousands_of_events,
            the_command_in_a_mail_prints_the_list_that_was_too_large;
    }
}

/// How often a run is killed, and the longest time until then on an idle machine.
const KILLS: usize = 12;
const LIFE_MS: u64 = 2_000;

/// A machine whose `/var/log` only its user can read, and a mail server.
struct Site {
    sshd: Sshd,
    sink: Sink,
    config: Config,
    program: Fleetsweep,
}

impl Site {
    async fn new() -> Self {
        let login = Login::Throwaway { shell: "/bin/sh".into() };
        let mounts = vec![("/var/log", "size=8m")];
        let sshd = Sshd::start(SshdOptions { login, mounts, ..SshdOptions::default() }).await;
        let sink = Sink::start().await.unwrap();
        let (ip, port, username, key) = (sshd.addresses()[0], sshd.port(), sshd.username(), sshd.key());
        let client = format!(
            r#"<client name="box" ip="{ip}" port="{port}" username="{username}" key="{}" mail="ops@example.com"
                events="yes" redact="token=(\S+)"/>"#,
            key.display()
        );
        let config = Config::new(sink.address(), vec![client]);
        let program = program().with_config(&config.text());
        Self { sshd, sink, config, program }
    }

    /// Runs a command on the machine as its user.
    fn on_the_machine(&self, command: &str, input: &str) {
        let mut ssh = Command::new("ssh")
            .args([
                "-F",
                "none",
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                "UserKnownHostsFile=/dev/null",
                "-o",
                "LogLevel=ERROR",
                "-i",
            ])
            .arg(self.sshd.key())
            .args(["-p", &self.sshd.port().to_string()])
            .arg(format!("{}@{}", self.sshd.username(), self.sshd.addresses()[0]))
            .arg(command)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        ssh.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        assert!(ssh.wait().unwrap().success(), "{command}");
    }

    /// Logs these messages of sshd.
    fn happens(&self, messages: &[&str]) {
        let now = jiff::Timestamp::now();
        let lines: String = messages.iter().map(|message| format!("{now:.3} box sshd[7]: {message}\n")).collect();
        self.on_the_machine("cat >> /var/log/auth.log", &lines);
    }

    /// The mail of another collection.
    async fn mail(&self) -> Mail {
        let before = self.sink.mails().len();
        assert_eq!(mails(&once(&self.program).await), (1, 0));
        let mails = self.sink.mails();
        assert_eq!(mails.len(), before + 1);
        parsed(mails.last().unwrap())
    }
}

async fn every_collection_is_mailed_whatever_the_log_says() {
    let site = Site::new().await;
    let none = site.mail().await;
    assert_eq!(none.subject, "[fleetsweep] box: there is no security log to read");
    assert_eq!(none.attachments, []);

    site.happens(&[
        "Failed password for root from 10.0.0.7 port 4 ssh2",
        "Failed password for root from 10.0.0.7 port 5 ssh2",
        "Accepted publickey for ops; token=s3cret end",
    ]);
    let some = site.mail().await;
    assert_eq!(some.subject, "[fleetsweep] box: 2 failed logins, 3 security events");
    assert!(some.text.contains("2×"), "{}", some.text);
    assert!(some.text.contains("sshd: Failed password for root from 10.0.0.7 port … ssh2"), "{}", some.text);
    let [(name, list)] = some.attachments.as_slice() else { panic!("{some:#?}") };
    assert_eq!((name.as_str(), list.lines().count()), ("box-security-events.txt", 4));
    assert!(list.contains("port 4 ssh2\tpid=7\t") && list.contains("token=[redacted] end"), "{list}");

    let nothing = site.mail().await;
    assert_eq!(nothing.subject, "[fleetsweep] box: nothing new in the security log");
    assert!(nothing.text.contains("There is nothing new in the security log (/var/log/auth.log)."), "{}", nothing.text);
    assert_eq!(nothing.attachments, []);

    site.happens(&["Invalid user eve from 10.0.0.8 port 9"]);
    let one = site.mail().await;
    assert_eq!(one.subject, "[fleetsweep] box: 1 failed login, 1 security event");
    assert_eq!(one.attachments[0].1.lines().count(), 2, "{one:#?}");

    site.on_the_machine("chmod 0 /var/log/auth.log", "");
    let denied = site.mail().await;
    assert_eq!(denied.subject, "[fleetsweep] box: the security log may not be read");
    assert!(denied.text.contains("add it to the group adm or systemd-journal"), "{}", denied.text);

    site.on_the_machine("chmod 600 /var/log/auth.log; : > /var/log/auth.log", "");
    let cleared = site.mail().await;
    assert_eq!(cleared.subject, "[fleetsweep] box: the security log was cleared");

    assert_eq!(number(&site.program, "SELECT count(*) FROM v1_events").await, 4);
    assert_eq!(number(&site.program, "SELECT count(*) FROM security_events WHERE message LIKE '%s3cret%'").await, 0);
    let kinds = "SELECT kind, status, count(*) FROM v1_mails GROUP BY kind, status";
    assert_eq!(sql(&site.program, kinds).await, ["events|sent|6"]);
}

async fn a_log_that_holds_more_than_one_report_is_read_on_at_once() {
    // A report holds 500 events, and one collection takes eight reports.
    let site = Site::new().await;
    let messages: Vec<String> = (0..4_300).map(|number| format!("Accepted publickey for user{number}")).collect();
    site.happens(&messages.iter().map(String::as_str).collect::<Vec<_>>());
    for (events, subject) in [
        (4_000, "[fleetsweep] box: 4000 security events, more to come"),
        (300, "[fleetsweep] box: 300 security events"),
        (0, "[fleetsweep] box: nothing new in the security log"),
    ] {
        let mail = site.mail().await;
        assert_eq!(mail.subject, subject);
        let listed: usize = mail.attachments.iter().map(|(_, list)| list.lines().count() - 1).sum();
        assert_eq!(listed, events);
    }
    let stored = sql(&site.program, "SELECT message FROM security_events ORDER BY id").await;
    assert!(stored == messages, "not each once and in its order: {stored:?}");
    // Each stage is entered once, however often the agent ran.
    let twice = "SELECT count(*) FROM collections WHERE stages LIKE '%execute%execute%' OR stages IS NULL";
    assert_eq!(number(&site.program, twice).await, 0);
}

async fn further_runs_of_the_agent_do_not_count_as_execute() {
    // Four reports. The agent samples for 250 ms in each run.
    let site = Site::new().await;
    let messages: Vec<String> = (0..1_600).map(|number| format!("Accepted publickey for user{number}")).collect();
    site.happens(&messages.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(site.mail().await.subject, "[fleetsweep] box: 1600 security events");
    let stages = sql(&site.program, "SELECT stages FROM collections").await;
    let stages: Vec<(String, i64)> = serde_json::from_str(&stages[0]).unwrap();
    let names: Vec<&str> = stages.iter().map(|(stage, _)| stage.as_str()).collect();
    assert_eq!(names, ["connect", "authenticate", "upload", "execute", "decrypt", "store"]);
    let began = |name: &str| stages.iter().find(|(stage, _)| stage == name).unwrap().1;
    assert!(began("store") - began("decrypt") >= 750, "three runs: {stages:?}");
    // The agent begins before the collector learns that it does.
    assert!(began("decrypt") - began("upload") >= 250, "one run: {stages:?}");
}

async fn a_daily_allowance_bounds_what_is_stored_and_mailed() {
    let site = Site::new().await;
    let with = |events: u32| {
        let collector = format!(r#"interval="1s" timeout="20s" retries="0" max-events="{events}""#);
        site.program.write_config(&Config { collector: collector.leak(), ..site.config.clone() }.text());
    };
    let flood: Vec<String> =
        (0..600).map(|number| format!("Accepted password for ops from 10.0.0.7 port {number} ssh2")).collect();
    let flood = |from: usize, to: usize| site.happens(&flood[from..to].iter().map(String::as_str).collect::<Vec<_>>());
    let stored = "SELECT count(*) FROM v1_events";
    // Several runs, as by cron. The used allowance persists.
    let run = async |subject: &str, events: u64, warnings: usize| {
        let outcome = site.program.run(["--once"]).await;
        assert_eq!(outcome.code, Some(0), "{outcome:#?}");
        let mail = parsed(site.sink.mails().last().unwrap());
        assert_eq!(mail.subject, format!("[fleetsweep] box: {subject}"));
        assert_eq!(number(&site.program, stored).await, events, "{subject}");
        let said =
            outcome.stderr.lines().filter(|line| line.contains("the daily allowance of security events is used up"));
        assert_eq!(said.count(), warnings, "{}", outcome.stderr);
        mail
    };
    with(10);
    flood(0, 8);
    run("8 security events", 8, 0).await;
    flood(8, 100);
    let over = run("92 security events, 90 not kept", 10, 1).await;
    assert!(over.text.contains("90 of these events are neither stored nor attached") && over.text.contains("92×"));
    assert_eq!(over.attachments[0].1.lines().count(), 3, "a heading and two events: {over:#?}");
    flood(100, 105);
    let later = run("5 security events, 5 not kept", 10, 0).await;
    assert!(later.text.contains("neither stored nor attached, 95 today") && later.attachments.is_empty(), "{later:#?}");
    run("nothing new in the security log", 10, 0).await;
    // Omitted events are not sent later. A larger allowance applies from now on.
    with(20);
    flood(105, 107);
    run("2 security events", 12, 0).await;
    let options = SqliteConnectOptions::new().filename(site.program.path("fleet.db"));
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("UPDATE clients SET events_day = events_day - 1").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    // Moves it to yesterday.
    flood(107, 167);
    run("60 security events, 40 not kept", 32, 1).await;
    // Also in bytes: 40 KiB are a few of the longest messages.
    let options = SqliteConnectOptions::new().filename(site.program.path("fleet.db"));
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("UPDATE clients SET events_day = events_day - 1").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let long = format!("Failed password for {}", "x".repeat(7_900));
    site.happens(&[long.as_str(); 10]);
    run("10 failed logins, 10 security events, 5 not kept", 37, 1).await;
}

async fn gathered_events_are_one_mail_and_grave_ones_leave_at_once() {
    let site = Site::new().await;
    let with = |events_mail: &str| {
        let text =
            site.config.text().replace(r#"events="yes""#, &format!(r#"events="yes" events-mail="{events_mail}""#));
        site.program.write_config(&text);
    };
    let none = async || {
        let before = site.sink.mails().len();
        assert_eq!(mails(&once(&site.program).await), (0, 0));
        assert_eq!(site.sink.mails().len(), before);
    };
    with("1h");
    site.happens(&["Failed password for root from 10.0.0.7 port 4 ssh2"]);
    // The first one shows that it works.
    assert_eq!(site.mail().await.subject, "[fleetsweep] box: 1 failed login, 1 security event");
    for port in 5..7 {
        site.happens(&[&format!("Failed password for root from 10.0.0.7 port {port} ssh2")]);
        none().await;
    }
    // From an address that also failed.
    site.happens(&[
        "Accepted password for ops from 10.0.0.8 port 7 ssh2",
        "Failed password for x from 10.0.0.8 port 7 ssh2",
    ]);
    let urgent = site.mail().await;
    let subject = "[fleetsweep] box: 1 login from an address that also failed, 3 failed logins, 4 security events";
    assert_eq!(urgent.subject, subject);
    assert!(urgent.text.contains("This mail gathers several collections"), "{}", urgent.text);
    assert_eq!(urgent.attachments[0].1.lines().count(), 5, "{urgent:#?}");
    // It is not repeated, and the rest is not lost when nothing is gathered any more.
    site.happens(&["Accepted password for ops from 10.0.0.9 port 7 ssh2"]);
    none().await;
    with("every");
    site.happens(&["Accepted password for ops from 10.0.0.9 port 8 ssh2"]);
    assert_eq!(site.mail().await.subject, "[fleetsweep] box: 2 security events");
    assert_eq!(site.mail().await.subject, "[fleetsweep] box: nothing new in the security log");
    assert_eq!(number(&site.program, "SELECT count(*) FROM gathered_logs").await, 0);
}

async fn killed_runs_lose_no_event_and_tell_none_twice() {
    let given = std::env::var("FLEETSWEEP_TEST_SEED").ok();
    let seed: u64 = given.map_or_else(rand::random, |text| text.parse().expect("a seed is a number"));
    let mut random = StdRng::seed_from_u64(seed);
    let site = Site::new().await;
    let mut happened = BTreeSet::new();
    for kill in 0..KILLS {
        let message = format!("Accepted publickey for user{kill}");
        site.happens(&[&message]);
        happened.insert(message);
        let mut running = site.program.spawn(["--once"]);
        tokio::time::sleep(allowance(Duration::from_millis(random.random_range(0..LIFE_MS)))).await;
        if running.is_running() {
            running.signal(Signal::KILL);
        }
        running.ended(SOON).await;
    }
    let (_, waiting) = mails(&once(&site.program).await);
    assert_eq!(waiting, 0, "seed {seed}");

    let stored = sql(&site.program, "SELECT message FROM v1_events ORDER BY message").await;
    assert_eq!(stored, happened.iter().cloned().collect::<Vec<_>>(), "seed {seed}");
    let collections = number(&site.program, "SELECT count(*) FROM v1_collections WHERE status = 'ok'").await;
    let decided = number(&site.program, "SELECT count(*) FROM v1_mails WHERE kind = 'events'").await;
    assert_eq!(decided, collections, "seed {seed}");
    // A mail may arrive twice, with the same id, if the program was killed before it got the reply.
    let received: BTreeMap<String, Mail> =
        site.sink.mails().iter().map(parsed).map(|mail| (mail.message_id.clone(), mail)).collect();
    assert_eq!(received.len() as u64, decided, "seed {seed}");
    let lists = received.values().flat_map(|mail| &mail.attachments).flat_map(|(_, list)| list.lines().skip(1));
    let mut told: Vec<String> = lists.map(|line| line.split('\t').nth(5).unwrap().to_owned()).collect();
    told.sort();
    assert_eq!(told, stored, "seed {seed}");
}

async fn a_small_limit_of_the_mail_server_loses_none_of_thousands_of_events() {
    const LIMIT: usize = 200 * 1024;
    let site = Site::new().await;
    let keywords = vec![format!("SIZE {LIMIT}")];
    let server = StrictSmtp::start(StrictRules { keywords, most_bytes: Some(LIMIT), ..StrictRules::default() });
    let smtp = site.config.text().lines().find(|line| line.starts_with("<smtp")).unwrap().to_owned();
    let here = format!("<smtp {} from=\"fleetsweep@example.com\"/>", smtp_at(server.address()));
    site.program.write_config(&site.config.text().replace(&smtp, &here));
    let messages: Vec<String> = (0..4000)
        .map(|number| {
            format!("Failed password for invalid user account-{number} from 10.{}.7.9 port 4 ssh2", number % 200)
        })
        .collect();
    site.happens(&messages.iter().map(String::as_str).collect::<Vec<_>>());
    let (sent, waiting) = mails(&once(&site.program).await);
    let received = server.mails();
    assert_eq!((usize::try_from(sent).unwrap(), waiting), (received.len(), 0));
    assert!(received.len() > 2, "{}", received.len());
    let lists: String = received.iter().flat_map(|mail| &mail.attachments).map(|(_, list)| list.as_str()).collect();
    let told: BTreeSet<&str> =
        lists.lines().filter_map(|line| line.split('\t').nth(5)).filter(|message| *message != "message").collect();
    assert_eq!(told, messages.iter().map(String::as_str).collect());
    assert_eq!(sql(&site.program, "SELECT DISTINCT status FROM v1_mails").await, ["sent"]);
}

async fn the_command_in_a_mail_prints_the_list_that_was_too_large() {
    let site = Site::new().await;
    // Any client name works.
    let name = "it's a box*? {x}";
    let text = std::fs::read_to_string(site.program.path("config.xml")).unwrap();
    let keywords = vec!["SIZE 20000".to_owned()];
    let server = StrictSmtp::start(StrictRules { keywords, most_bytes: Some(20_000), ..StrictRules::default() });
    let smtp = text.lines().find(|line| line.starts_with("<smtp")).unwrap();
    let here = format!("<smtp {} from=\"fleetsweep@example.com\"/>", smtp_at(server.address()));
    site.program.write_config(&text.replace("name=\"box\"", &format!("name=\"{name}\"")).replace(smtp, &here));
    let messages: Vec<String> =
        (0..600).map(|number| format!("Accepted publickey for user{number} from 10.0.0.9")).collect();
    site.happens(&messages.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(mails(&once(&site.program).await), (1, 0));
    let [mail] = server.mails().try_into().unwrap();
    assert!(mail.attachments.is_empty(), "{mail:?}");
    let command = mail.text.lines().find(|line| line.contains("export events")).unwrap().trim();
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_fleetsweep")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    // The command works from any directory as it is printed.
    let printed = Command::new("sh").args(["-c", command]).current_dir("/").env("PATH", path).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    for message in &messages {
        assert!(printed.contains(message.as_str()), "{message} is not in what `{command}` prints:\n{printed}");
    }
}
