//! Mails that a server does not accept at first: refusals of our login wait for a corrected configuration, refused
//! addresses are reported, large mails are split, and mails that wait too long expire.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use fleetsweep::{
    config::directories::Environment,
    demo::Behaviour,
    fleet::mail::{Attachment, Mail, MailKind},
    store::Store,
};
use jiff::Timestamp;
use support::{Exim, EximOptions, Signal, StrictRules, StrictSmtp, Trial, free_port, wait_until};
use uuid::Uuid;

use crate::site::{Config, Fleet, OVER, SOON, UNDER, client, mails, number, once, refused, smtp_at, sql};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs() =>
            a_refusal_of_us_waits_loudly_for_a_corrected_configuration,
            a_corrected_configuration_takes_effect_at_once,
            a_recipient_that_may_not_be_relayed_to_holds_up_no_other,
            a_mail_on_which_the_server_breaks_holds_up_no_other,
            a_refused_address_is_counted_and_said_at_any_verbosity,
            what_a_running_collector_cannot_mail_is_counted_by_the_run_that_asked,
            a_mail_is_given_up_when_it_has_waited_and_not_when_a_clock_leaps,
            a_large_list_arrives_in_pieces,
            a_list_that_fits_nowhere_is_replaced_by_the_command_that_prints_it,
            runs_killed_while_they_split_a_mail_lose_no_line_and_split_it_once,
            reminders_and_ends_hang_under_the_first_mail_of_their_alert;
        needs(Exim, Root) =>
            exim_takes_a_large_list_in_pieces_and_what_it_does_not_relay_waits;
    }
}

/// A healthy client and a mail server with configurable replies.
struct Post {
    fleet: Fleet,
    server: StrictSmtp,
}

impl Post {
    async fn new(rules: StrictRules) -> Self {
        let post = Self { fleet: Fleet::of(&[Behaviour::Healthy]).await, server: StrictSmtp::start(rules) };
        post.fleet.program.write_config(&post.config(UNDER).text());
        post
    }

    fn config(&self, rules: &str) -> Config {
        Config { smtp: smtp_at(self.server.address()), ..self.fleet.config(rules) }
    }

    /// Puts mails into the outbox, as an earlier run would have.
    async fn seed(&self, mails: Vec<Mail>) {
        let url = format!("sqlite:{}", self.fleet.program.path("fleet.db").display());
        let store = Store::open(&url.into(), &Environment::default()).await.unwrap();
        for mail in mails {
            store.queue(mail).await.unwrap();
        }
        store.close().await;
    }
}

fn replies(replies: &[(&str, &str)]) -> StrictRules {
    let reply = |(line, reply): &(&str, &str)| ((*line).to_owned(), (*reply).to_owned());
    StrictRules { replies: replies.iter().map(reply).collect(), ..StrictRules::default() }
}

fn mail_to(recipient: &str) -> Mail {
    Mail {
        id: Uuid::now_v7(),
        kind: MailKind::Alert,
        recipient: recipient.to_owned(),
        subject: "a mail".to_owned(),
        body: "text\n".to_owned(),
        attachments: Vec::new(),
        thread: Vec::new(),
        export_command: None,
        created_at: Timestamp::now(),
    }
}

/// A mail with this many numbered lines of about 60 bytes, in two files.
fn large_mail(lines: usize) -> Mail {
    let file = |name: &str, from: usize, to: usize| {
        let text: String =
            (from..to).map(|line| format!("{line}\tan event that somebody may want to read\n")).collect();
        Attachment { file_name: name.to_owned(), text: format!("line\tevent\n{text}").into() }
    };
    Mail {
        kind: MailKind::Events,
        attachments: vec![file("one.txt", 0, lines / 2), file("two.txt", lines / 2, lines)],
        export_command: Some("fleetsweep export events --client box".to_owned()),
        ..mail_to("ops@example.com")
    }
}

/// The numbers of the lines that arrived.
fn lines(server: &StrictSmtp) -> Vec<usize> {
    let files = server.mails().into_iter().flat_map(|mail| mail.attachments);
    files.flat_map(numbers).collect()
}

fn numbers((_, text): (String, String)) -> Vec<usize> {
    text.lines().skip(1).map(|line| line.split('\t').next().unwrap().parse().unwrap()).collect()
}

fn errors<'a>(stderr: &'a str, words: &str) -> Vec<&'a str> {
    stderr.lines().filter(|line| line.contains("ERROR") && line.contains(words)).collect()
}

async fn a_refusal_of_us_waits_loudly_for_a_corrected_configuration() {
    for (line, reply) in [
        ("RCPT", "554 5.7.1 <ops@example.com>: Relay access denied"),
        ("RCPT", "550 relay not permitted"),
        ("RCPT", "504 5.5.2 <vm>: Helo command rejected: need fully-qualified hostname"),
        ("RCPT", "530 5.7.0 Authentication required"),
        ("MAIL", "550 5.1.8 Sender address rejected: Domain not found"),
        ("EHLO", "554 5.7.1 no mail from you"),
        ("", "554 5.7.1 your address is listed"),
    ] {
        let post = Post::new(replies(&[(line, reply)])).await;
        post.seed((0..3).map(|_| mail_to("ops@example.com")).collect()).await;
        let outcome = post.fleet.program.run(["--once", "--format", "json", "-q"]).await;
        assert_eq!(outcome.code, Some(0), "{reply}: {outcome:#?}");
        let document = crate::site::document(&outcome);
        assert_eq!((mails(&document), refused(&document)), ((0, 3), 0), "{reply}");
        let told = errors(&outcome.stderr, "the mail server refuses this collector");
        let words = reply.split_once(' ').unwrap().1;
        assert!(told.len() == 1 && told[0].contains(words) && told[0].contains("5d"), "{reply}: {}", outcome.stderr);
        let shown = number(&post.fleet.program, "SELECT count(*) FROM v1_mails WHERE last_error IS NOT NULL").await;
        assert!(shown >= 1);

        post.server.change(StrictRules::default());
        let document = once(&post.fleet.program).await;
        assert_eq!((mails(&document), refused(&document)), ((3, 0), 0), "{reply}");
    }
}

async fn a_corrected_configuration_takes_effect_at_once() {
    let post = Post::new(replies(&[("RCPT", "554 5.7.1 Relay access denied")])).await;
    let other = StrictSmtp::start(StrictRules::default());
    post.seed(vec![mail_to("ops@example.com"), mail_to("night@example.com")]).await;
    let program = &post.fleet.program;
    let running = program.spawn(["--headless"]);
    let waiting =
        "SELECT count(*) FROM v1_mails WHERE status = 'waiting' AND attempts > 0 AND last_error LIKE '%Relay%'";
    // The tables exist since the seeding.
    wait_until("both to be refused", SOON, async || number(program, waiting).await == 2).await;
    program.write_config(&Config { smtp: smtp_at(other.address()), ..post.config(UNDER) }.text());
    let reloaded = Instant::now();
    running.signal(Signal::HUP);
    wait_until("both to leave", SOON, async || other.mails().len() == 2).await;
    assert!(reloaded.elapsed() < Duration::from_secs(20), "the back-off of 30 s was waited for");
    running.signal(Signal::TERM);
    assert_eq!(running.ended(SOON).await.code, Some(0));
}

async fn a_recipient_that_may_not_be_relayed_to_holds_up_no_other() {
    let post = Post::new(replies(&[("RCPT TO:<OUT@", "554 5.7.1 Relay access denied")])).await;
    let recipients = ["out@example.net", "ops@example.com", "out@example.net", "night@example.com"];
    post.seed(recipients.map(mail_to).into()).await;
    assert_eq!(mails(&once(&post.fleet.program).await), (2, 2));
    assert_eq!(post.server.recipients(), ["ops@example.com", "night@example.com"]);
    assert_eq!(post.server.heard("RCPT TO:<OUT@"), 1, "the second one would have met the same");
    let out =
        "SELECT attempts, last_error LIKE '%Relay access denied%' FROM v1_mails WHERE status = 'waiting' ORDER BY 1";
    assert_eq!(sql(&post.fleet.program, out).await, ["0|1", "1|1"]);
}

async fn a_mail_on_which_the_server_breaks_holds_up_no_other() {
    for line in ["RCPT TO:<BAD@", "."] {
        let is_content = line == ".";
        let closes = vec![if is_content { "RCPT TO:<BAD@".to_owned() } else { line.to_owned() }];
        let post = Post::new(StrictRules { closes, ..StrictRules::default() }).await;
        post.seed(["bad@example.com", "ops@example.com", "night@example.com"].map(mail_to).into()).await;
        assert_eq!(mails(&once(&post.fleet.program).await), (2, 1));
        assert_eq!(post.server.recipients(), ["ops@example.com", "night@example.com"]);
    }
    // A server that closes the connection on every mail is not used any more after the second.
    let post = Post::new(StrictRules { closes: vec![".".to_owned()], ..StrictRules::default() }).await;
    post.seed((0..5).map(|number| mail_to(&format!("{number}@example.com"))).collect()).await;
    assert_eq!(mails(&once(&post.fleet.program).await), (0, 5));
    assert_eq!(post.server.heard("DATA"), 2);
}

async fn a_refused_address_is_counted_and_said_at_any_verbosity() {
    let rules = || replies(&[("RCPT TO:<GONE@", "550 5.1.1 User unknown")]);
    for arguments in [&["--once"][..], &["--once", "-q"], &["--once", "-v"]] {
        let post = Post::new(rules()).await;
        post.seed(vec![mail_to("gone@example.com"), mail_to("ops@example.com")]).await;
        let outcome = post.fleet.program.run(arguments).await;
        assert_eq!(outcome.code, Some(0), "{outcome:#?}");
        assert!(outcome.stdout.contains("mail: 1 sent, 0 waiting, 1 refused"), "{}", outcome.stdout);
        let told = errors(&outcome.stderr, "gone@example.com");
        assert_eq!(told.len(), 1, "{}", outcome.stderr);
        assert!(told[0].contains("550 5.1.1 User unknown") && told[0].contains("correct the `mail`"), "{}", told[0]);
        // The next run neither sends nor counts it.
        assert_eq!(refused(&once(&post.fleet.program).await), 0);
    }
    let post = Post::new(rules()).await;
    post.seed(vec![mail_to("gone@example.com")]).await;
    let outcome = post.fleet.program.run(["--once", "--format", "prometheus"]).await;
    assert!(outcome.stdout.contains("\nfleetsweep_mails_refused 1\n"), "{}", outcome.stdout);
    let exported = post.fleet.program.run(["export", "--format", "prometheus"]).await;
    assert!(exported.stdout.contains("\nfleetsweep_mails_refused 1\n"), "{}", exported.stdout);
}

async fn what_a_running_collector_cannot_mail_is_counted_by_the_run_that_asked() {
    let post = Post::new(replies(&[("RCPT", "550 5.1.1 User unknown")])).await;
    let program = &post.fleet.program;
    let alerts = r#"repeat="every""#;
    let config = Config { alerts, collector: r#"interval="1h" timeout="20s""#, ..post.config(OVER) };
    program.write_config(&config.text());
    let running = program.spawn(["--headless"]);
    let swept = "SELECT count(*) FROM v1_mails WHERE status = 'refused'";
    let is_swept = async || program.path("fleet.db").exists() && sql_or_none(&post, swept).await >= Some(1);
    wait_until("its first sweep", SOON, is_swept).await;
    let outcome = program.run(["--once", "--format", "json"]).await;
    assert_eq!(refused(&crate::site::document(&outcome)), 1, "{outcome:#?}");
    assert_eq!(errors(&outcome.stderr, "User unknown").len(), 1, "{}", outcome.stderr);
    running.signal(Signal::TERM);
    running.ended(SOON).await;
}

/// The number that a query returns; `None` before the tables exist.
async fn sql_or_none(post: &Post, query: &str) -> Option<u64> {
    let tables = sql(&post.fleet.program, "SELECT count(*) FROM sqlite_master WHERE name = 'v1_mails'").await;
    if tables == ["1"] { Some(number(&post.fleet.program, query).await) } else { None }
}

/// Changes the outbox as another program would.
async fn tamper(post: &Post, statement: &str) {
    use sqlx::Connection as _;
    let url = format!("sqlite:{}", post.fleet.program.path("fleet.db").display());
    let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn a_mail_is_given_up_when_it_has_waited_and_not_when_a_clock_leaps() {
    const DAY_MS: i64 = 86_400_000;
    let status = "SELECT status, last_error FROM v1_mails ORDER BY recipient";
    // The mail has an old time from a wrong clock, or the clock is wrong now. A single comparison of times does not
    // make it expire.
    let post = Post::new(replies(&[("RCPT", "554 5.7.1 Relay access denied")])).await;
    post.seed(vec![mail_to("ops@example.com")]).await;
    tamper(&post, &format!("UPDATE mails SET created_at_ms = created_at_ms - {}", 100 * DAY_MS)).await;
    for _ in 0..3 {
        assert_eq!((mails(&once(&post.fleet.program).await)), (0, 1));
    }
    let waited = number(&post.fleet.program, "SELECT waited_ms FROM mails").await;
    assert!((30 * 3_600_000..31 * 3_600_000).contains(&waited), "a quarter of 5 d: {waited}");

    // It has waited in every run. (A finished mail that is older than `retention` would be deleted immediately.)
    let waited =
        format!("UPDATE mails SET waited_ms = {}, created_at_ms = created_at_ms + {}", 5 * DAY_MS, 100 * DAY_MS);
    tamper(&post, &waited).await;
    let outcome = post.fleet.program.run(["--once", "--format", "json"]).await;
    assert_eq!(outcome.code, Some(0));
    assert_eq!(refused(&crate::site::document(&outcome)), 1);
    let rows = sql(&post.fleet.program, status).await;
    assert!(rows[0].starts_with("refused|given up after 5d: ") && rows[0].ends_with("Relay access denied"), "{rows:?}");
    assert_eq!(errors(&outcome.stderr, "permanently refused: given up after 5d").len(), 1, "{}", outcome.stderr);

    // While the server is unavailable, no mail is tried and all wait.
    let post = Post::new(StrictRules::default()).await;
    post.seed(["a", "b", "c"].map(|name| mail_to(&format!("{name}@example.com"))).into()).await;
    tamper(&post, &format!("UPDATE mails SET waited_ms = {} WHERE recipient <> 'b@example.com'", 2 * DAY_MS)).await;
    let away = format!(r#"host="127.0.0.1" port="{}" give-up="2d""#, free_port());
    post.fleet.program.write_config(&Config { smtp: away, ..post.config(UNDER) }.text());
    let document = once(&post.fleet.program).await;
    assert_eq!((mails(&document), refused(&document)), ((0, 1), 2));
    let rows = sql(&post.fleet.program, "SELECT status FROM v1_mails ORDER BY recipient").await;
    assert_eq!(rows, ["refused", "waiting", "refused"]);

    // The next attempt was set before the clock was set back. The mail does not wait until then.
    let post = Post::new(StrictRules::default()).await;
    post.seed(vec![mail_to("ops@example.com")]).await;
    tamper(&post, &format!("UPDATE mails SET attempts = 1, next_at_ms = next_at_ms + {}", 100 * DAY_MS)).await;
    let running = post.fleet.program.spawn(["--headless"]);
    wait_until("the mail to leave", SOON, async || post.server.mails().len() == 1).await;
    running.signal(Signal::TERM);
    running.ended(SOON).await;
}

async fn a_large_list_arrives_in_pieces() {
    const LINES: usize = 6000;
    let (most, all) = (150_000, (0..LINES).collect::<Vec<_>>());
    for keywords in [vec!["SIZE 150000"], vec!["size 150000", "8BITMIME"], vec!["SIZE 0"], vec!["SIZE"], vec![]] {
        let keywords: Vec<String> = keywords.into_iter().map(str::to_owned).collect();
        let rules = StrictRules { keywords: keywords.clone(), most_bytes: Some(most), ..StrictRules::default() };
        let post = Post::new(rules).await;
        let mail = large_mail(LINES);
        post.seed(vec![mail.clone(), mail_to("night@example.com")]).await;
        let document = once(&post.fleet.program).await;
        assert_eq!(mails(&document).1, 0, "{keywords:?}");
        assert_eq!(refused(&document), 0);
        assert!(post.server.sizes().iter().all(|size| *size <= most), "{:?}", post.server.sizes());
        let mut arrived = lines(&post.server);
        arrived.sort_unstable();
        assert_eq!(arrived, all, "{keywords:?}");
        let parts: Vec<_> = post.server.mails().into_iter().filter(|mail| mail.to == ["ops@example.com"]).collect();
        assert!(parts.len() > 1 && parts.iter().all(|part| part.subject.contains("(part ")), "{parts:#?}");
        assert_eq!(parts[0].message_id, format!("{}@example.com", mail.id), "the first keeps its name");
        assert!(parts[1..].iter().all(|part| part.raw.contains(&format!("References: <{}@example.com>", mail.id))));
        assert!(parts[0].text.contains("export events --client box"), "{}", parts[0].text);
    }
}

async fn a_list_that_fits_nowhere_is_replaced_by_the_command_that_prints_it() {
    for size in [8_000, 20_000] {
        let keywords = vec![format!("SIZE {size}")];
        let post = Post::new(StrictRules { keywords, most_bytes: Some(size), ..StrictRules::default() }).await;
        post.seed(vec![large_mail(6000)]).await;
        assert_eq!(mails(&once(&post.fleet.program).await).1, 0);
        let received = post.server.mails();
        let bare: Vec<_> = received.iter().filter(|mail| mail.attachments.is_empty()).collect();
        assert!(
            !bare.is_empty() && bare.iter().all(|mail| mail.text.contains("fleetsweep export events --client box"))
        );
    }
    // Not even a small part fits: the mail waits, and this is reported.
    let keywords = vec!["SIZE 100".to_owned()];
    let post = Post::new(StrictRules { keywords, most_bytes: Some(100), ..StrictRules::default() }).await;
    post.seed(vec![large_mail(6000), mail_to("ops@example.com")]).await;
    let outcome = post.fleet.program.run(["--once", "--format", "json"]).await;
    let document = crate::site::document(&outcome);
    assert_eq!((mails(&document).0, refused(&document)), (0, 0), "{outcome:#?}");
    assert!(mails(&document).1 >= 2);
    assert!(!errors(&outcome.stderr, "too large").is_empty(), "{}", outcome.stderr);
    post.server.change(StrictRules::default());
    assert_eq!(mails(&once(&post.fleet.program).await).1, 0);
}

async fn runs_killed_while_they_split_a_mail_lose_no_line_and_split_it_once() {
    const LINES: usize = 20_000;
    for kill in 0..8_u64 {
        let rules = StrictRules {
            keywords: vec!["SIZE 400000".to_owned()],
            most_bytes: Some(400_000),
            ..StrictRules::default()
        };
        let post = Post::new(rules).await;
        post.seed(vec![large_mail(LINES)]).await;
        let mut running = post.fleet.program.spawn(["--headless"]);
        // At a time between the first attempt and the last part.
        let life = Duration::from_millis(60 * kill);
        let began = Instant::now();
        wait_until("the server to be spoken to", SOON, async || post.server.heard("EHLO") > 0 || !running.is_running())
            .await;
        tokio::time::sleep(life.saturating_sub(began.elapsed().min(Duration::from_millis(1)))).await;
        running.signal(Signal::KILL);
        running.ended(SOON).await;
        // The mail is either complete or split, at any time.
        let subjects = sql(&post.fleet.program, "SELECT subject FROM mails").await;
        let parts = subjects.len();
        let is_whole = subjects == ["a mail"];
        let distinct: BTreeSet<&String> = subjects.iter().collect();
        assert!(is_whole || (parts > 1 && distinct.len() == parts), "{subjects:?}");
        assert_eq!(mails(&once(&post.fleet.program).await).1, 0);
        let arrived: BTreeSet<usize> = lines(&post.server).into_iter().collect();
        assert_eq!(arrived, (0..LINES).collect(), "killed after {life:?}");
        let after = sql(&post.fleet.program, "SELECT DISTINCT status FROM mails").await;
        assert_eq!(after, ["sent"]);
        // A mail that was accepted while the run was killed arrives twice with the same id.
        let ids: BTreeSet<String> = post.server.mails().into_iter().map(|mail| mail.message_id).collect();
        let rows = number(&post.fleet.program, "SELECT count(*) FROM mails").await;
        assert_eq!(ids.len() as u64, rows);
    }
}

async fn reminders_and_ends_hang_under_the_first_mail_of_their_alert() {
    let post = Post::new(StrictRules::default()).await;
    let one = |rules: &str| {
        let clients = vec![client("client-1", post.fleet.servers[0].address(), crate::site::LOGIN, rules)];
        Config { alerts: r#"repeat="1s" recovery="yes""#, clients, ..post.config(rules) }
    };
    let disk = r#"<alert type="disk" mount="/" limit="0%"/>"#;
    let both = format!("{OVER}{disk}");
    for rules in [
        OVER,
        OVER,
        &both,
        &format!("{UNDER}{disk}"),
        &format!("{UNDER}<alert type=\"disk\" mount=\"/\" limit=\"100%\"/>"),
    ] {
        post.fleet.program.write_config(&one(rules).text());
        assert_eq!(mails(&once(&post.fleet.program).await), (1, 0));
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    let received = post.server.mails();
    let id = |number: usize| format!("<{}>", received[number].message_id);
    let header = |number: usize, name: &str| {
        // Unfolds header lines.
        let head = received[number].raw.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ").replace("\r\n\t", " ");
        let line = head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned));
        line.unwrap_or_default().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    // 0: memory; 1: its reminder; 2: its reminder and disk; 3: memory ended and a reminder of disk; 4: disk ended.
    let expected = [vec![], vec![id(0)], vec![id(0)], vec![id(0), id(2)], vec![id(2)]];
    for (number, expected) in expected.iter().enumerate() {
        assert_eq!(&header(number, "References"), expected, "{number}");
        assert_eq!(header(number, "In-Reply-To"), expected.last().cloned().into_iter().collect::<Vec<_>>(), "{number}");
        let list = header(number, "List-Id").concat();
        assert!(list.starts_with("<fleetsweep.") && list == header(0, "List-Id").concat(), "{list}");
        assert_eq!(header(number, "Auto-Submitted"), ["auto-generated"]);
    }
}

async fn exim_takes_a_large_list_in_pieces_and_what_it_does_not_relay_waits() {
    let options = EximOptions { refuses_to_relay: true, most_bytes: Some(120_000), ..EximOptions::default() };
    let exim = Exim::start(options).await;
    let post = Post::new(StrictRules::default()).await;
    post.seed(vec![large_mail(6000), mail_to("out@example.net"), mail_to("ops@example.com")]).await;
    let config = Config { smtp: smtp_at(exim.address()), ..post.config(UNDER) };
    post.fleet.program.write_config(&config.text());
    let outcome = post.fleet.program.run(["--once", "--format", "json"]).await;
    let document = crate::site::document(&outcome);
    assert_eq!((mails(&document).1, refused(&document)), (1, 0), "{outcome:#?}");
    assert_eq!(errors(&outcome.stderr, "relay not permitted").len(), 1, "{}", outcome.stderr);
    let sent = usize::try_from(mails(&document).0).unwrap();
    wait_until("the mails to be delivered", SOON, async || exim.mails().len() >= sent).await;
    let mut arrived: Vec<usize> =
        exim.mails().into_iter().flat_map(|mail| mail.attachments).flat_map(numbers).collect();
    arrived.sort_unstable();
    assert_eq!(arrived, (0..6000).collect::<Vec<_>>());
    assert!(exim.mails().iter().all(|mail| mail.raw.len() <= 122_000), "with the headers that it adds");
}
