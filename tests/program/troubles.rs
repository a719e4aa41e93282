//! Mails about troubles of the collector itself to the recipients in `<collector mail="…">`: one for each beginning and
//! one for each end, from many short runs as well as from a service, even without a working database or disk.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use fleetsweep::demo::{Behaviour, Fault, ReceivedMail, SmtpStep};
use support::{Mail, Outcome, Signal, StrictRules, StrictSmtp, Trial, wait_until};

use crate::site::{Config, Fleet, OVER, SOON, UNDER, document, mails, number, parsed, smtp_at};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs() =>
            a_database_that_cannot_be_opened_is_told_once_by_many_runs,
            changed_host_keys_are_listed_in_one_mail,
            a_collector_that_is_cut_off_mails_one_address_and_no_owner,
            some_clients_that_are_down_are_told_as_ever,
            without_a_recipient_of_troubles_owners_hear_of_every_client,
            a_server_that_refuses_us_is_told_over_what_is_left,
            what_cannot_be_told_is_told_by_a_later_run,
            without_a_recipient_a_trouble_is_logged_once_with_its_end,
            a_database_file_that_is_removed_while_a_service_runs_is_told_with_its_end;
        needs(Root) =>
            a_full_disk_is_told_by_runs_that_can_store_nothing,
            a_full_disk_is_told_by_a_service_that_can_store_nothing;
    }
}

const ADMIN: &str = "admin@example.com";

/// How long a database may be unavailable before this is mailed or it is tried again, on a busy machine.
const LONG: Duration = Duration::from_secs(120);

/// The attributes of `<collector>` with a recipient for its troubles.
const TOLD: &str = r#"interval="1s" timeout="2s" retries="0" mail="admin@example.com""#;

fn config(fleet: &Fleet, rules: &str) -> Config {
    Config { collector: TOLD, ..fleet.config(rules) }
}

/// The mails to a recipient, in order.
fn mails_to(fleet: &Fleet, recipient: &str) -> Vec<Mail> {
    let to = |mail: &ReceivedMail| mail.recipients == [recipient];
    fleet.sink.mails().iter().filter(|mail| to(mail)).map(parsed).collect()
}

fn subjects(mails: &[Mail]) -> Vec<&str> {
    mails.iter().map(|mail| mail.subject.split_once(": ").unwrap().1).collect()
}

/// Checks that the second mail is a reply to the first.
fn assert_threaded(mails: &[Mail]) {
    let under = format!("References: <{}>", mails[0].message_id);
    assert!(mails[1].raw.contains(&under), "{}", mails[1].raw);
}

async fn run(fleet: &Fleet) -> Outcome {
    fleet.program.run(["--once", "--format", "json"]).await
}

async fn a_database_that_cannot_be_opened_is_told_once_by_many_runs() {
    let fleet = Fleet::of(&[Behaviour::Healthy]).await;
    let whole = config(&fleet, UNDER);
    let broken = Config { database: "sqlite:no/such/fleet.db".into(), ..whole.clone() };
    fleet.program.write_config(&broken.text());
    for _ in 0..3 {
        let outcome = run(&fleet).await;
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(3), ""), "{outcome:#?}");
    }
    let told = mails_to(&fleet, ADMIN);
    assert_eq!(subjects(&told), ["the database cannot be used"]);
    assert!(told[0].text.contains("cannot be reached") && told[0].text.contains("What to do: "), "{}", told[0].text);

    fleet.program.write_config(&whole.text());
    for _ in 0..2 {
        assert_eq!(run(&fleet).await.code, Some(0));
    }
    let told = mails_to(&fleet, ADMIN);
    assert_eq!(subjects(&told), ["the database cannot be used", "resolved: the database cannot be used"]);
    assert_threaded(&told);
    assert_eq!(number(&fleet.program, "SELECT count(*) FROM v1_mails").await, 0, "it went past the outbox");
    // No state is left.
    let state = fs::read_dir(fleet.program.path(".local/state/fleetsweep")).unwrap();
    assert!(state.map(|entry| entry.unwrap().file_name()).all(|name| !name.to_string_lossy().ends_with(".json")));
}

async fn changed_host_keys_are_listed_in_one_mail() {
    let fleet = Fleet::of(&[Behaviour::Healthy; 4]).await;
    fleet.program.write_config(&config(&fleet, UNDER).text());
    assert_eq!(run(&fleet).await.code, Some(0));
    for server in &fleet.servers[..3] {
        server.behave(Behaviour::ChangesHostKey);
    }
    for _ in 0..2 {
        assert_eq!(run(&fleet).await.code, Some(1));
    }
    let told = mails_to(&fleet, ADMIN);
    assert_eq!(subjects(&told), ["host keys changed"]);
    for (number, listed) in [(1, true), (2, true), (3, true), (4, false)] {
        assert_eq!(told[0].text.contains(&format!("client-{number} (127.10.0.{number}:")), listed, "{}", told[0].text);
    }
    fleet.servers[0].behave(Behaviour::Healthy);
    run(&fleet).await;
    assert_eq!(mails_to(&fleet, ADMIN).len(), 1, "two are left");
    for server in &fleet.servers {
        server.behave(Behaviour::Healthy);
    }
    run(&fleet).await;
    let told = mails_to(&fleet, ADMIN);
    assert_eq!(subjects(&told), ["host keys changed", "resolved: host keys changed"]);
    assert_threaded(&told);
}

async fn a_database_file_that_is_removed_while_a_service_runs_is_told_with_its_end() {
    let fleet = Fleet::of(&[Behaviour::Healthy]).await;
    fleet.program.write_config(&config(&fleet, UNDER).text());
    let running = fleet.program.spawn(["--headless"]);
    let database = fleet.program.path("fleet.db");
    let swept = "SELECT count(*) FROM v1_samples";
    let made = "SELECT count(*) FROM sqlite_master WHERE name = 'v1_samples'";
    wait_until("a sweep", SOON, async || {
        database.exists() && number(&fleet.program, made).await == 1 && number(&fleet.program, swept).await > 0
    })
    .await;
    fs::remove_file(&database).unwrap();
    wait_until("the beginning to be told", LONG, async || !mails_to(&fleet, ADMIN).is_empty()).await;
    let told = mails_to(&fleet, ADMIN);
    assert_eq!(subjects(&told), ["the database cannot be used"]);
    assert!(told[0].text.contains("fleet.db is gone"), "{}", told[0].text);
    assert!(told[0].text.contains("changes wait in the spool"), "{}", told[0].text);
    // A new file is used.
    fs::write(&database, "").unwrap();
    wait_until("the end to be told", LONG, async || mails_to(&fleet, ADMIN).len() >= 2).await;
    let told = mails_to(&fleet, ADMIN);
    assert_eq!(subjects(&told), ["the database cannot be used", "resolved: the database cannot be used"]);
    assert_threaded(&told);
    running.signal(Signal::TERM);
    let outcome = running.ended(SOON).await;
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    assert!(number(&fleet.program, swept).await > 0, "what waited is stored");
    assert_eq!(mails_to(&fleet, ADMIN).len(), 2);
}

/// Raised by the first failure.
const UNREACHABLE: &str = r#"<alert type="unreachable" limit="0"/>"#;

async fn a_collector_that_is_cut_off_mails_one_address_and_no_owner() {
    let fleet = Fleet::of(&[Behaviour::Healthy; 4]).await;
    fleet.program.write_config(&config(&fleet, UNREACHABLE).text());
    assert_eq!(run(&fleet).await.code, Some(0));
    for server in &fleet.servers {
        server.behave(Behaviour::Silent);
    }
    for _ in 0..3 {
        let outcome = run(&fleet).await;
        assert_eq!(outcome.code, Some(1), "{outcome:#?}");
        assert_eq!(document(&outcome)["summary"]["alerts"], 0);
    }
    assert_eq!(subjects(&mails_to(&fleet, ADMIN)), ["nearly no client can be reached"]);
    assert_eq!(mails_to(&fleet, "ops@example.com").len(), 0);
    // The collections failed anyway, and this is stored.
    assert_eq!(number(&fleet.program, "SELECT count(*) FROM v1_collections WHERE status = 'failed'").await, 12);
    assert_eq!(number(&fleet.program, "SELECT count(*) FROM v1_alerts").await, 0);

    // All but one are back. The one is reported as usual.
    for server in &fleet.servers[..3] {
        server.behave(Behaviour::Healthy);
    }
    run(&fleet).await;
    let told = mails_to(&fleet, ADMIN);
    let title = "nearly no client can be reached";
    assert_eq!(subjects(&told), [title, &format!("resolved: {title}")]);
    assert_threaded(&told);
    let owners = mails_to(&fleet, "ops@example.com");
    assert_eq!(owners.len(), 1);
    assert!(owners[0].subject.contains("client-4: unreachable"), "{}", owners[0].subject);
}

async fn some_clients_that_are_down_are_told_as_ever() {
    let fleet = Fleet::of(&[Behaviour::Healthy; 4]).await;
    fleet.program.write_config(&config(&fleet, UNREACHABLE).text());
    run(&fleet).await;
    for server in &fleet.servers[..3] {
        server.behave(Behaviour::Silent);
    }
    run(&fleet).await;
    assert_eq!(mails_to(&fleet, "ops@example.com").len(), 3);
    assert_eq!(mails_to(&fleet, ADMIN).len(), 0);
    // All clients fail now, and the others failed before, so there is nothing to compare with.
    fleet.servers[3].behave(Behaviour::Silent);
    run(&fleet).await;
    assert_eq!(mails_to(&fleet, "ops@example.com").len(), 4);
    assert_eq!(mails_to(&fleet, ADMIN).len(), 0);
}

async fn without_a_recipient_of_troubles_owners_hear_of_every_client() {
    let fleet = Fleet::of(&[Behaviour::Healthy; 3]).await;
    let collector = r#"interval="1s" timeout="2s" retries="0""#;
    fleet.program.write_config(&Config { collector, ..fleet.config(UNREACHABLE) }.text());
    run(&fleet).await;
    for server in &fleet.servers {
        server.behave(Behaviour::Silent);
    }
    let outcome = run(&fleet).await;
    assert_eq!(mails_to(&fleet, "ops@example.com").len(), 3);
    assert!(outcome.stderr.contains("nearly no client can be reached"), "{}", outcome.stderr);
}

async fn a_server_that_refuses_us_is_told_over_what_is_left() {
    let fleet = Fleet::of(&[Behaviour::Healthy]).await;
    let rules = || {
        let reply = ("RCPT TO:<OPS@".to_owned(), "554 5.7.1 Relay access denied".to_owned());
        StrictRules { replies: vec![reply], ..StrictRules::default() }
    };
    let server = StrictSmtp::start(rules());
    let config = Config { smtp: smtp_at(server.address()), ..config(&fleet, OVER) };
    fleet.program.write_config(&config.text());
    for _ in 0..3 {
        let outcome = run(&fleet).await;
        assert_eq!(mails(&document(&outcome)), (0, 1), "{outcome:#?}");
    }
    assert_eq!(server.recipients(), [ADMIN]);
    let told = server.mails();
    assert_eq!(subjects(&told), ["the mail server refuses this collector"]);
    assert!(told[0].text.contains("554 5.7.1 Relay access denied"), "{}", told[0].text);
    server.change(StrictRules::default());
    for sent in [1, 0] {
        assert_eq!(mails(&document(&run(&fleet).await)), (sent, 0));
    }
    assert_eq!(server.recipients(), [ADMIN, "ops@example.com", ADMIN]);
    assert!(server.mails()[2].subject.contains("resolved: the mail server refuses this collector"));
}

async fn what_cannot_be_told_is_told_by_a_later_run() {
    let fleet = Fleet::of(&[Behaviour::Healthy]).await;
    let whole = config(&fleet, UNDER);
    let broken = Config { database: "sqlite:no/such/fleet.db".into(), ..whole.clone() };
    fleet.program.write_config(&broken.text());
    fleet.sink.fail(Fault::refuses(SmtpStep::Greeting, 421));
    for _ in 0..2 {
        let outcome = run(&fleet).await;
        assert!(outcome.stderr.contains("could not mail"), "{}", outcome.stderr);
    }
    // It ended before anybody was told, so the recipients get one mail about both.
    fleet.program.write_config(&whole.text());
    run(&fleet).await;
    fleet.sink.fail(Fault::None);
    for _ in 0..2 {
        run(&fleet).await;
    }
    let told = mails_to(&fleet, ADMIN);
    assert_eq!(subjects(&told), ["resolved: the database cannot be used"]);
    assert!(told[0].text.contains("Lasted ") && told[0].text.contains("since "), "{}", told[0].text);
}

async fn without_a_recipient_a_trouble_is_logged_once_with_its_end() {
    let fleet = Fleet::of(&[Behaviour::Healthy]).await;
    let whole = fleet.config(UNDER);
    let broken = Config { database: "sqlite:no/such/fleet.db".into(), ..whole.clone() };
    let words = |outcome: &Outcome, words: &str| outcome.stderr.lines().filter(|line| line.contains(words)).count();
    fleet.program.write_config(&broken.text());
    let told: Vec<usize> = [run(&fleet).await, run(&fleet).await].iter().map(|run| words(run, "ERROR")).collect();
    assert_eq!(told, [1, 0]);
    fleet.program.write_config(&whole.text());
    let ended: Vec<usize> = [run(&fleet).await, run(&fleet).await].iter().map(|run| words(run, "resolved: ")).collect();
    assert_eq!(ended, [1, 0]);
    assert_eq!(fleet.sink.mails().len(), 0);
}

/// A small disk for everything that the program writes.
struct Disk {
    path: PathBuf,
    _place: tempfile::TempDir,
}

impl Disk {
    fn mount() -> Self {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("disk");
        fs::create_dir(&path).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m,mode=700", "none"]).arg(&path).status();
        assert!(mounted.unwrap().success(), "no tmpfs");
        Self { path, _place: place }
    }

    /// Fills the disk completely.
    fn fill(&self) {
        let mut filler = fs::File::create(self.path.join("filler")).unwrap();
        while std::io::Write::write_all(&mut filler, &[0; 4096]).is_ok() {}
        let mut rest = fs::File::create(self.path.join("rest"));
        if let Ok(rest) = &mut rest {
            while std::io::Write::write_all(rest, b"x").is_ok() {}
        }
    }

    fn free(&self) {
        for name in ["filler", "rest"] {
            let _gone = fs::remove_file(self.path.join(name));
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

/// A fleet with database, spool and state on a small disk.
async fn on_a_small_disk(disk: &Disk, runtime: &Path) -> (Fleet, Config) {
    let fleet = Fleet::of(&[Behaviour::Healthy]).await.with_program(|program| {
        program
            .with_environment("STATE_DIRECTORY", &disk.path.display().to_string())
            .with_environment("XDG_RUNTIME_DIR", &runtime.display().to_string())
    });
    let database = format!("sqlite:{}", disk.path.join("fleet.db").display());
    let config = Config { database, ..config(&fleet, UNDER) };
    fleet.program.write_config(&config.text());
    (fleet, config)
}

async fn a_full_disk_is_told_by_runs_that_can_store_nothing() {
    let (disk, runtime) = (Disk::mount(), tempfile::tempdir().unwrap());
    let (fleet, _) = on_a_small_disk(&disk, runtime.path()).await;
    assert_eq!(run(&fleet).await.code, Some(0));
    disk.fill();
    for _ in 0..3 {
        let outcome = run(&fleet).await;
        assert_eq!(outcome.code, Some(3), "{outcome:#?}");
    }
    let told = mails_to(&fleet, ADMIN);
    assert_eq!(told.len(), 1, "{:?}", subjects(&told));
    assert!(told[0].text.contains("full"), "{}", told[0].text);
    disk.free();
    for _ in 0..2 {
        assert_eq!(run(&fleet).await.code, Some(0));
    }
    let told = mails_to(&fleet, ADMIN);
    assert_eq!(told.len(), 2, "{:?}", subjects(&told));
    assert!(subjects(&told)[1].starts_with("resolved: "));
    assert_threaded(&told);
}

async fn a_full_disk_is_told_by_a_service_that_can_store_nothing() {
    let (disk, runtime) = (Disk::mount(), tempfile::tempdir().unwrap());
    let (fleet, _) = on_a_small_disk(&disk, runtime.path()).await;
    assert_eq!(run(&fleet).await.code, Some(0));
    let running = fleet.program.spawn(["--headless"]);
    let database = disk.path.join("fleet.db");
    let swept = async || support::rows(&database, "SELECT count(*) FROM v1_samples").await[0][0].clone();
    wait_until("a further sweep", SOON, async || swept().await.is_some_and(|count| count.parse::<u64>().unwrap() > 2))
        .await;
    disk.fill();
    wait_until("the beginning to be told", LONG, async || !mails_to(&fleet, ADMIN).is_empty()).await;
    // It is the same trouble in every sweep.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(mails_to(&fleet, ADMIN).len(), 1, "{:?}", subjects(&mails_to(&fleet, ADMIN)));
    disk.free();
    wait_until("the end to be told", LONG, async || mails_to(&fleet, ADMIN).len() >= 2).await;
    let told = mails_to(&fleet, ADMIN);
    assert!(subjects(&told)[1].starts_with("resolved: "), "{:?}", subjects(&told));
    assert_threaded(&told);
    running.signal(Signal::TERM);
    let outcome = running.ended(SOON).await;
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    assert_eq!(mails_to(&fleet, ADMIN).len(), 2);
}
