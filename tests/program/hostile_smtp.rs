//! The program with a mail server that violates the protocol. The effects on the SMTP client are in its unit tests;
//! here are those that users see.

use fleetsweep::demo::Behaviour;
use support::{HostileSmtp, Postfix, Step, THE_END, TestCertificate, Trial, say, wait_until};

use crate::site::{Config, Fleet, OVER, SOON, mails, program, smtp_at, sql};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs() =>
            a_server_that_says_x_for_ever_costs_no_memory,
            a_mail_is_not_sent_because_somebody_on_the_way_says_so,
            a_refusal_of_our_name_leaves_the_mail_waiting,
            a_self_signed_certificate_is_trusted_by_its_file,
            a_file_of_certificates_that_is_of_no_use_is_an_error_of_the_configuration;
        needs(Postfix, Root) => a_real_postfix_refuses_us_or_the_recipient_and_we_know_which;
    }
}

const OUTBOX: &str = "SELECT status, last_error FROM v1_mails";

/// Far more than the program needs, and far less than the server can send in a second.
const MEMORY_KIB: u64 = 400 * 1024;

/// The peak memory of a process.
fn peak_kib(pid: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap_or(0)
}

async fn a_server_that_says_x_for_ever_costs_no_memory() {
    for fault in [b"x".repeat(64 * 1024), b"250-x\r\n".repeat(8 * 1024)] {
        let server = HostileSmtp::start(vec![Step::SayForEver(fault)]).await;
        let nowhere = ([127, 0, 0, 1], support::free_port()).into();
        let client = crate::site::client("one", nowhere, crate::site::LOGIN, "");
        let program = program().with_config(&Config::new(server.address(), vec![client]).text());
        let mut running = program.spawn(["mail-test"]);
        let pid = running.pid().as_raw_nonzero().to_string();
        let mut peak = 0;
        wait_until("the end of mail-test", SOON, async || {
            peak = peak.max(peak_kib(&pid));
            !running.is_running()
        })
        .await;
        let outcome = running.ended(SOON).await;
        assert_eq!(outcome.code, Some(1), "{outcome:#?}");
        assert!(outcome.stdout.contains("its reply"), "{outcome:#?}");
        assert!(peak < MEMORY_KIB, "{peak} KiB");
        assert!(server.sent_bytes() < 32 << 20, "{} bytes", server.sent_bytes());
    }
}

async fn a_mail_is_not_sent_because_somebody_on_the_way_says_so() {
    let script = vec![
        say("220 hostile\r\n"),
        Step::ServeUntil("STARTTLS", "STARTTLS"),
        say("220 go\r\n250-x\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n250 queued\r\n"),
        Step::StartTls,
        Step::Hear,
        say("550 no mail from you\r\n"),
        Step::FallSilent,
    ];
    let server = HostileSmtp::start(script).await;
    let fleet = Fleet::of(&[Behaviour::Healthy]).await;
    std::fs::write(fleet.program.path("ca.pem"), &server.certificate().authority_pem).unwrap();
    let mut config = fleet.config(OVER);
    let ca = fleet.program.path("ca.pem").display().to_string();
    config.smtp = format!(r#"{} security="starttls" ca="{ca}""#, smtp_at(server.address()));
    let document = fleet.once(&config).await;
    assert_eq!(mails(&document), (0, 1));
    let row = sql(&fleet.program, OUTBOX).await.concat();
    assert!(row.starts_with("waiting|") && row.contains("response injection"), "{row}");
    assert!(!server.verbs().contains("TLS EHLO"), "{:?}", server.heard());
}

async fn a_refusal_of_our_name_leaves_the_mail_waiting() {
    let refusal = "504 5.5.2 <vm>: Helo command rejected: need fully-qualified hostname";
    let script = vec![
        say("220 postfix\r\n"),
        Step::ServeUntil("RCPT", "PIPELINING\nSIZE 10240000\nENHANCEDSTATUSCODES\n8BITMIME"),
        say(format!("{refusal}\r\n")),
        Step::ServeUntil(THE_END, ""),
    ];
    let server = HostileSmtp::start(script).await;
    let fleet = Fleet::of(&[Behaviour::Healthy]).await;
    let mut config = fleet.config(OVER);
    config.smtp = format!(r#"{} helo="vm""#, smtp_at(server.address()));
    assert_eq!(mails(&fleet.once(&config).await), (0, 1));
    let row = sql(&fleet.program, OUTBOX).await.concat();
    assert!(row.starts_with("waiting|") && row.contains(refusal), "{row}");
    assert_eq!(server.heard().get(1).map(String::as_str), Some("EHLO vm"));
    // After the configuration is corrected, the mail is still there.
    let after = fleet.once(&fleet.config(OVER)).await;
    assert_eq!(mails(&after), (1, 0));
    assert_eq!(fleet.sink.mails().len(), 1);
}

async fn a_self_signed_certificate_is_trusted_by_its_file() {
    let certificate = TestCertificate::as_by_openssl("localhost");
    let script = vec![Step::StartTls, say("220 hostile\r\n"), Step::ServeUntil(THE_END, "")];
    let server = HostileSmtp::with(vec![script], certificate).await;
    let nowhere = ([127, 0, 0, 1], support::free_port()).into();
    let mut config = Config::new(nowhere, vec![crate::site::client("one", nowhere, crate::site::LOGIN, "")]);
    let port = server.address().port();
    for (ca, code, words) in [("", 1, "ca=\"FILE\""), (r#" ca="ca.pem""#, 0, "sent: 250")] {
        config.smtp = format!(r#"host="localhost" port="{port}" security="tls"{ca}"#);
        let program = program().with_config(&config.text());
        std::fs::write(program.path("ca.pem"), &server.certificate().authority_pem).unwrap();
        let outcome = program.run(["mail-test"]).await;
        assert_eq!(outcome.code, Some(code), "{outcome:#?}");
        assert!(outcome.stdout.contains(words), "{outcome:#?}");
    }
}

async fn a_file_of_certificates_that_is_of_no_use_is_an_error_of_the_configuration() {
    let nowhere = ([127, 0, 0, 1], support::free_port()).into();
    let mut config = Config::new(nowhere, vec![crate::site::client("one", nowhere, crate::site::LOGIN, "")]);
    for (ca, words) in [("missing.pem", "it does not exist"), ("config.xml", "no certificate")] {
        config.smtp = format!(r#"host="localhost" security="tls" ca="{ca}""#);
        let program = program().with_config(&config.text());
        for arguments in [&["check"][..], &["--once"]] {
            let outcome = program.run(arguments).await;
            assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{outcome:#?}");
            assert!(outcome.stderr.contains("config.xml:4:"), "{outcome:#?}");
            assert!(outcome.stderr.contains(words) && outcome.stderr.contains(ca), "{outcome:#?}");
        }
    }
}

async fn a_real_postfix_refuses_us_or_the_recipient_and_we_know_which() {
    let postfix = Postfix::start(&[
        "smtpd_helo_restrictions = reject_non_fqdn_helo_hostname, reject_invalid_helo_hostname",
        "smtpd_sender_restrictions = reject_non_fqdn_sender",
        "local_recipient_maps = inline:{ {ops@example.com = known} }",
        "message_size_limit = 100000",
    ])
    .await;
    let nowhere = ([127, 0, 0, 1], support::free_port()).into();
    let check = async |smtp: &str, recipient: &str, code: i32, words: &str| {
        let client = crate::site::client("one", nowhere, crate::site::LOGIN, "").replace("ops@example.com", recipient);
        let mut config = Config::new(postfix.address(), vec![client]);
        config.smtp.push_str(smtp);
        let outcome = program().with_config(&config.text()).run(["mail-test"]).await;
        assert_eq!(outcome.code, Some(code), "{outcome:#?}");
        assert!(outcome.stdout.contains(words), "{words}: {outcome:#?}");
    };
    check("", "ops@example.com", 0, "sent: 250 2.0.0 Ok").await;
    let refused_name = "not now, at the recipient: 504 5.5.2 <vm>: Helo command rejected";
    check(r#" helo="vm""#, "ops@example.com", 1, refused_name).await;
    let relaying = "not now, at the recipient: 554 5.7.1 <ops@example.net>: Relay access denied";
    check("", "ops@example.net", 1, relaying).await;
    check("", "nobody@example.com", 1, "the recipient was refused: 550 5.1.1 <nobody@example.com>").await;
    wait_until("the mail to go on", SOON, async || postfix.log().contains("status=sent")).await;
}
