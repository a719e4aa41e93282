//! The complete pipeline with real servers: from the configuration over OpenSSH to the database and to mails in Exim.

use std::net::SocketAddr;

use fleetsweep::demo::Behaviour;
use support::{Exim, EximOptions, Fleetsweep, Sshd, SshdOptions, Trial, free_port, wait_until};

use crate::site::{Config, Fleet, OVER, SOON, UNDER, document, mails, number, once, program, sql};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs() => an_alert_on_what_a_client_does_not_have_is_a_warning;
        needs(Sshd, Exim, Root) =>
            an_exceeded_limit_of_a_real_machine_is_stored_and_mailed_to_everyone,
            an_alert_is_mailed_once_and_its_end_once,
            every_mails_at_each_collection_and_no_end_unasked,
            a_machine_that_is_gone_is_mailed_as_unreachable_and_as_reachable_again,
            mails_leave_encrypted_and_with_a_login_or_not_at_all;
    }
}

/// A `<client>` that is a real sshd, with login by key.
fn machine(sshd: &Sshd, mail: &str, rules: &str) -> String {
    let (ip, port, username, key) = (sshd.addresses()[0], sshd.port(), sshd.username(), sshd.key());
    format!(
        r#"<client name="box" ip="{ip}" port="{port}" username="{username}" key="{}" mail="{mail}">{rules}</client>"#,
        key.display()
    )
}

fn machine_of_ops(sshd: &Sshd, rules: &str) -> Vec<String> {
    vec![machine(sshd, "ops@example.com", rules)]
}

async fn servers() -> (Sshd, Exim) {
    (Sshd::start(SshdOptions::default()).await, Exim::start(EximOptions::default()).await)
}

/// Waits until Exim has delivered this many mails, and returns their subjects in order of arrival.
async fn subjects(exim: &Exim, count: usize) -> Vec<String> {
    wait_until("the mails to be delivered", SOON, async || exim.mails().len() >= count).await;
    exim.mails().into_iter().map(|mail| mail.subject).collect()
}

async fn an_alert_on_what_a_client_does_not_have_is_a_warning() {
    let fleet = Fleet::of(&[Behaviour::Healthy]).await;
    let rules = r#"<alert type="disk" mount="/no/such/mount" limit="0%"/><alert type="disk" mount="/" limit="100%"/>"#;
    fleet.program.write_config(&fleet.config(rules).text());
    let outcome = fleet.program.run(["--once", "-vv"]).await;
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    let said: Vec<&str> = outcome.stderr.lines().filter(|line| line.contains("an <alert> names it")).collect();
    let warning = "mount /no/such/mount: an <alert> names it, but no file system that can be written is mounted there";
    assert!(said.len() == 1 && said[0].contains(warning), "{outcome:#?}");
}

async fn an_exceeded_limit_of_a_real_machine_is_stored_and_mailed_to_everyone() {
    let (sshd, exim) = servers().await;
    let rules = format!(r#"{OVER}<alert type="disk" mount="/" limit="0%"/>"#);
    let clients = vec![machine(&sshd, "ops@example.com, Night &lt;night@example.com&gt;", &rules)];
    let program = program().with_config(&Config::new(exim.address(), clients).text());

    let outcome = program.run(["--once", "--format", "json", "--fail-on-alert"]).await;
    assert_eq!(outcome.code, Some(4), "{outcome:#?}");
    let document = document(&outcome);
    assert_eq!(mails(&document), (2, 0));

    let sweep = document["sweep"].as_str().unwrap();
    let expected = format!("127.20.0.1|{}|{sweep}|1|ok|NULL|NULL", sshd.port());
    let columns = "client_ip, client_port, sweep_id, attempts, status, stage, error";
    assert_eq!(sql(&program, &format!("SELECT {columns} FROM v1_collections")).await, [expected]);
    let sample =
        "SELECT client_name, cpu_percent BETWEEN 0 AND 100, memory_used_bytes BETWEEN 1 AND memory_total_bytes,
        abs(memory_percent - 100.0 * memory_used_bytes / memory_total_bytes) < 0.1, uptime_seconds > 0, load_1 >= 0,
        disk_percent BETWEEN 0.1 AND 100, host_name <> '' FROM v1_samples";
    assert_eq!(sql(&program, sample).await, ["box|1|1|1|1|1|1|1"]);
    let both = "SELECT count(*) FROM (SELECT * FROM v1_samples INTERSECT SELECT * FROM v1_latest)";
    assert_eq!(number(&program, both).await, 1);
    let in_the_document = document["clients"][0]["memory_percent"].as_f64().unwrap();
    let stored: f64 = sql(&program, "SELECT memory_percent FROM v1_samples").await[0].parse().unwrap();
    assert!((in_the_document - stored).abs() < 0.051, "{in_the_document} {stored}");
    let cores = std::fs::read_to_string("/proc/stat").unwrap();
    let cores = cores.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).count();
    let stored = "SELECT count(*), min(core), max(core), min(cpu_percent) >= 0, max(cpu_percent) <= 100 FROM v1_cores";
    assert_eq!(sql(&program, stored).await, [format!("{cores}|0|{}|1|1", cores - 1)]);
    let alerts = "SELECT DISTINCT type, limit_value, value > 0, resolved_at_ms, last_mail_at_ms = raised_at_ms
        FROM v1_alerts ORDER BY type";
    assert_eq!(sql(&program, alerts).await, ["disk|0.0|1|NULL|1", "memory|0.0|1|NULL|1"]);
    let outbox = "SELECT recipient, kind, status, attempts, last_error, sent_at_ms >= created_at_ms
        FROM v1_mails ORDER BY recipient";
    assert_eq!(
        sql(&program, outbox).await,
        ["night@example.com|alert|sent|1|NULL|1", "ops@example.com|alert|sent|1|NULL|1"]
    );

    // Two limits and two recipients: one mail to each, about both.
    subjects(&exim, 2).await;
    let delivered = exim.mails();
    let mut recipients: Vec<_> = delivered.iter().flat_map(|mail| mail.to.clone()).collect();
    recipients.sort();
    assert_eq!(recipients, ["night@example.com", "ops@example.com"]);
    let raised = sql(&program, "SELECT strftime('%H:%M', raised_at_ms / 1000, 'unixepoch') FROM v1_alerts").await;
    for mail in delivered {
        assert_eq!(mail.from, "fleetsweep@example.com");
        assert!(mail.subject.contains("box") && mail.subject.contains("memory") && mail.subject.contains("disk"));
        for row in sql(&program, "SELECT trim(upper(type) || ' ' || instance), value FROM v1_alerts").await {
            let (what, value) = row.split_once('|').unwrap();
            let line = format!("{what} {:.1} %, limit 0", value.parse::<f64>().unwrap());
            assert!(mail.text.contains(&line), "no {line:?} in:\n{}", mail.text);
        }
        let since = mail.text.lines().find_map(|line| line.strip_prefix("Since: ")).unwrap();
        assert!(since.contains(&raised[0]), "{since} {raised:?}");
        let (_, processes) = mail.text.split_once("Most memory:").unwrap();
        let first = processes.lines().find(|line| !line.trim().is_empty()).unwrap();
        assert!(first.ends_with(')') && first.contains(" (") && first.contains("iB"), "{first:?}");
        let stored = sql(&program, "SELECT DISTINCT body FROM v1_mails").await;
        assert_eq!(stored[0].trim().lines().collect::<Vec<_>>(), mail.text.trim().lines().collect::<Vec<_>>());
    }
}

/// Sweeps with each set of rules and returns the number of mails of each sweep.
async fn sweep_with(program: &Fleetsweep, config: impl Fn(&str) -> Config, rules: &[&str]) -> Vec<u64> {
    let mut sent = Vec::new();
    for rules in rules {
        program.write_config(&config(rules).text());
        let (now, waiting) = mails(&once(program).await);
        assert_eq!(waiting, 0);
        sent.push(now);
    }
    sent
}

async fn an_alert_is_mailed_once_and_its_end_once() {
    let (sshd, exim) = servers().await;
    let program = program();
    let config = |rules: &str| Config::new(exim.address(), machine_of_ops(&sshd, rules));
    assert_eq!(sweep_with(&program, config, &[OVER, OVER, UNDER, UNDER, OVER]).await, [1, 0, 1, 0, 1]);
    let subjects = subjects(&exim, 3).await;
    assert!(subjects[0].contains("memory") && subjects[0].contains("> 0"), "{subjects:?}");
    assert!(subjects[1].contains("memory back to"), "{subjects:?}");
    let kinds = sql(&program, "SELECT kind, status FROM v1_mails ORDER BY created_at_ms").await;
    assert_eq!(kinds, ["alert|sent", "recovery|sent", "alert|sent"]);
    let alerts = "SELECT resolved_at_ms > raised_at_ms, last_mail_at_ms > raised_at_ms
        FROM v1_alerts ORDER BY raised_at_ms";
    assert_eq!(sql(&program, alerts).await, ["1|1", "NULL|0"]);
}

async fn every_mails_at_each_collection_and_no_end_unasked() {
    let (sshd, exim) = servers().await;
    let program = program();
    let config = |rules: &str| Config {
        alerts: r#"repeat="every""#,
        ..Config::new(exim.address(), machine_of_ops(&sshd, rules))
    };
    assert_eq!(sweep_with(&program, config, &[OVER, OVER, OVER, UNDER]).await, [1, 1, 1, 0]);
    subjects(&exim, 3).await;
    // The first mail has no history. All three may have the same subject.
    let mails = exim.mails();
    let with_history = mails.iter().filter(|mail| mail.text.contains("History since")).count();
    assert_eq!(with_history, 2, "{mails:#?}");
}

async fn a_machine_that_is_gone_is_mailed_as_unreachable_and_as_reachable_again() {
    let (mut sshd, exim) = servers().await;
    let program = program();
    // "More than" the limit: at the second failed sweep in a row.
    let rules = r#"<alert type="unreachable" limit="1"/>"#;
    program.write_config(&Config::new(exim.address(), machine_of_ops(&sshd, rules)).text());
    sshd.stop();
    for sent in [0, 1] {
        let outcome = program.run(["--once", "--format", "json"]).await;
        assert_eq!(outcome.code, Some(1), "{outcome:#?}");
        assert_eq!(mails(&document(&outcome)), (sent, 0));
    }
    sshd.listen().await;
    assert_eq!(mails(&once(&program).await), (1, 0));
    let subjects = subjects(&exim, 2).await;
    assert!(subjects[0].contains("unreachable") && subjects[1].contains("reachable again"), "{subjects:?}");
    let text = &exim.mails()[0].text;
    assert!(text.contains("Failed at connect") && text.contains("What to do: "), "{text}");
    let collections = "SELECT status, stage FROM v1_collections ORDER BY started_at_ms";
    assert_eq!(sql(&program, collections).await, ["failed|connect", "failed|connect", "ok|NULL"]);
    assert_eq!(sql(&program, "SELECT type, limit_value, value FROM v1_alerts").await, ["unreachable|1.0|0.0"]);
}

async fn mails_leave_encrypted_and_with_a_login_or_not_at_all() {
    let sshd = Sshd::start(SshdOptions::default()).await;
    let login = Some(("sweep".to_owned(), "pass word".to_owned()));
    let nowhere = SocketAddr::from(([127, 0, 0, 1], free_port()));
    for (security, options) in [
        ("starttls", EximOptions { starttls: true, login: login.clone(), ..EximOptions::default() }),
        ("tls", EximOptions { tls: true, login, ..EximOptions::default() }),
    ] {
        let exim = Exim::start(options).await;
        let smtp = format!(
            r#"host="127.0.0.1" port="{}" security="{security}" username="sweep" password="env:SMTP_PASSWORD""#,
            exim.address().port()
        );
        let config = Config { smtp, ..Config::new(nowhere, machine_of_ops(&sshd, OVER)) };
        let certificate = exim.certificate().display().to_string();
        for (trusted, password, waits_for) in
            [(false, "pass word", Some("certificate")), (true, "wrong word", Some("535")), (true, "pass word", None)]
        {
            let program = program().with_environment("SMTP_PASSWORD", password).with_config(&config.text());
            let program = if trusted { program.with_environment("SSL_CERT_FILE", &certificate) } else { program };
            let outcome = program.run(["--once", "--format", "json", "-vv"]).await;
            assert_eq!(outcome.code, Some(0), "{outcome:#?}");
            let row = sql(&program, "SELECT status, last_error FROM v1_mails").await.concat();
            match waits_for {
                Some(word) => assert!(row.starts_with("waiting|") && row.contains(word), "{security}: {row}"),
                None => assert_eq!(row, "sent|NULL", "{security}"),
            }
            assert!(!format!("{outcome:?}{row}").contains(password), "the password shows");
        }
        assert_eq!(subjects(&exim, 1).await.len(), 1);
    }
}
