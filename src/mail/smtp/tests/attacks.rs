//! Attacks by a server: without end, unsolicited, too slow, in pieces. Each is stopped by a limit, and no mail is lost.

use support::{HostileSmtp, Step, THE_END, TestCertificate, say};

use super::*;

/// More than the buffers of the sockets between two programs.
const IN_SOCKETS_BYTES: u64 = 32 << 20;

/// A long time limit for something that ends immediately, for a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// A client for a hostile server that trusts its certificate.
pub(super) fn client_of(server: &HostileSmtp, security: SmtpSecurity, password: Option<&str>) -> SmtpClient {
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, &server.certificate().authority_pem).unwrap();
    let password = password.map(SecretString::from);
    let smtp = Smtp {
        host: "127.0.0.1".into(),
        port: server.address().port(),
        security,
        from: "fleetsweep@example.com".parse().unwrap(),
        helo: None,
        ca: (security != SmtpSecurity::None).then_some(ca),
        login: password
            .clone()
            .map(|password| SmtpLogin { username: "ops".into(), password: SecretSource::Literal(password) }),
        give_up: Duration::from_secs(86_400),
        mail_size: Bytes(100_000_000),
        attachments: AttachmentFormat::Text,
    };
    SmtpClient::with_password(&smtp, password.as_ref()).unwrap()
}

/// A part of the dialogue, with the steps of a correct server until then.
#[derive(Debug, Clone, Copy)]
enum Place {
    Greeting,
    Ehlo,
    Auth,
    Mail,
    Rcpt,
    Data,
    Content,
}

impl Place {
    const ALL: [Self; 7] = [Self::Greeting, Self::Ehlo, Self::Auth, Self::Mail, Self::Rcpt, Self::Data, Self::Content];

    fn phase(self) -> Phase {
        match self {
            Self::Greeting | Self::Ehlo => Phase::Connect,
            Self::Auth => Phase::Login,
            Self::Mail => Phase::Sender,
            Self::Rcpt => Phase::Recipient,
            Self::Data | Self::Content => Phase::Content,
        }
    }

    /// The steps until this part, with TLS from the first byte or in clear text.
    fn steps(self, over_tls: bool) -> Vec<Step> {
        let mut steps = if over_tls { vec![Step::StartTls] } else { Vec::new() };
        let until = |word| Step::ServeUntil(word, "AUTH CRAM-MD5");
        let further = match self {
            Self::Greeting => return steps,
            Self::Ehlo => until("EHLO"),
            Self::Auth => until("AUTH"),
            Self::Mail => until("MAIL"),
            Self::Rcpt => until("RCPT"),
            Self::Data => until("DATA"),
            Self::Content => until("."),
        };
        steps.extend([say("220 hostile\r\n"), further]);
        steps
    }
}

/// Sends a mail to a server that misbehaves in one part. With a login, if that is the part.
async fn attack(place: Place, over_tls: bool, fault: Step, step: Duration) -> (SendError, HostileSmtp, Duration) {
    let mut script = place.steps(over_tls);
    script.push(fault);
    let server = HostileSmtp::start(script).await;
    let security = if over_tls { SmtpSecurity::Tls } else { SmtpSecurity::None };
    let password = matches!(place, Place::Auth).then_some("open sesame");
    let mut client = client_of(&server, security, password);
    client.limits.step = step;
    let began = std::time::Instant::now();
    let error = client.send(&mail(1)).await.unwrap_err();
    (error, server, began.elapsed())
}

/// The content of a deferral.
#[track_caller]
pub(super) fn deferral(error: &SendError) -> (Phase, DeferralScope, &str) {
    match error {
        SendError::Deferred { during, concerns, words } => (*during, *concerns, words),
        SendError::TooLarge { .. } | SendError::Refused { .. } => panic!("{error:?}"),
    }
}

#[track_caller]
fn waits_for_the_server(error: &SendError, during: Phase, words: &str, context: &str) {
    let (found, concerns, said) = deferral(error);
    assert_eq!((found, concerns), (during, DeferralScope::Server), "{context}: {said}");
    assert!(said.contains(words), "{context}: {said}");
}

#[tokio::test]
async fn a_reply_without_end_ends_the_session_and_takes_no_memory() {
    for over_tls in [false, true] {
        for (unit, words) in [
            (&b"xxxxxxxxxxxxxxxx"[..], "longer than 2048 bytes"),
            (b"\0\0\0\0\0\0\0\0", "longer than 2048 bytes"),
            (b"\r\r\r\r\r\r\r\r", "longer than 2048 bytes"),
            (b"\xff\xfe\xfd\xfc", "longer than 2048 bytes"),
            (b"250-no end\r\n", "more than 100 lines"),
            (b"250-\n", "more than 100 lines"),
        ] {
            for place in Place::ALL {
                let context = format!("{place:?}, over TLS: {over_tls}, {unit:?}");
                let (error, server, took) = attack(place, over_tls, Step::SayForEver(unit.repeat(64)), STEP).await;
                waits_for_the_server(&error, place.phase(), words, &context);
                assert!(took < SOON, "{context}: {took:?}");
                assert!(server.sent_bytes() < IN_SOCKETS_BYTES, "{context}: {}", server.sent_bytes());
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_reply_ends_the_session() {
    for (said, words) in [
        (&b"\n"[..], "no SMTP reply"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "no SMTP reply: `SSH-2.0-OpenSSH_9.6`"),
        (b"HTTP/1.1 400 Bad Request\r\n", "no SMTP reply: `HTTP/1.1 400 Bad Request`"),
        (b"250-a\r\n251 b\r\n", "begins with 250 and goes on with 251"),
        (b"2\x1b[31m50 ok\r\n", "no SMTP reply: `2[31m50 ok`"),
    ] {
        for place in Place::ALL {
            let (error, _, _) = attack(place, false, say(said), STEP).await;
            waits_for_the_server(&error, place.phase(), words, &format!("{place:?}"));
        }
    }
}

#[tokio::test]
async fn a_server_that_is_slow_or_silent_ends_at_the_deadline_of_the_step() {
    let step = Duration::from_millis(600);
    for fault in [Step::FallSilent, Step::Trickle(b"250-x\r\n".to_vec(), Duration::from_millis(100))] {
        // Each takes the time limit of a step, so they run at the same time.
        let attacks = [Place::Greeting, Place::Ehlo, Place::Auth, Place::Mail, Place::Rcpt, Place::Data].map(|place| {
            let fault = fault.clone();
            async move {
                let (error, _, took) = attack(place, false, fault, step).await;
                waits_for_the_server(&error, place.phase(), "no answer", &format!("{place:?}"));
                assert!(took < SOON, "{place:?}: {took:?}");
            }
        });
        futures_util::future::join_all(attacks).await;
    }
}

#[tokio::test]
async fn a_server_that_never_reads_ends_at_the_deadline() {
    let server = HostileSmtp::start(vec![
        say("220 hostile\r\n"),
        Step::ServeUntil("DATA", ""),
        say("354 go on\r\n"),
        Step::FallSilent,
    ])
    .await;
    let mut client = client_of(&server, SmtpSecurity::None, None);
    client.limits.step = Duration::from_millis(600);
    let large = Mail { body: "a line of some length, sent again and again\n".repeat(400_000), ..mail(1) };
    let error = client.send(&large).await.unwrap_err();
    waits_for_the_server(&error, Phase::Content, "no answer", "a large mail");
}

#[tokio::test]
async fn the_whole_dialogue_has_a_deadline_whatever_the_steps_take() {
    let late = |text: &str| [Step::Pause(Duration::from_millis(400)), say(text)];
    let mut script = vec![say("220 hostile\r\n"), Step::ServeUntil("MAIL", "")];
    for _ in 0..50 {
        script.extend(late("250-slow\r\n"));
    }
    let server = HostileSmtp::start(script).await;
    let mut client = client_of(&server, SmtpSecurity::None, None).with_deadline(Duration::from_millis(1500));
    let error = client.send(&mail(1)).await.unwrap_err();
    waits_for_the_server(&error, Phase::Sender, "within 1s 500ms", "slow lines");
}

#[tokio::test]
async fn a_server_that_talks_unasked_ends_the_session() {
    for place in [Place::Greeting, Place::Ehlo, Place::Mail, Place::Rcpt] {
        for unasked in ["250 ok\r\n", "250", "\0", "\r\n"] {
            let code = if matches!(place, Place::Greeting) { 220 } else { 250 };
            let mut script = place.steps(false);
            script.extend([say(format!("{code} ok\r\n{unasked}")), Step::ServeUntil(THE_END, "")]);
            let server = HostileSmtp::start(script).await;
            let error = client_of(&server, SmtpSecurity::None, None).send(&mail(1)).await.unwrap_err();
            let SendError::Deferred { concerns: DeferralScope::Server, words, .. } = &error else {
                panic!("{error:?}")
            };
            assert!(words.contains("nobody asked for"), "{place:?} {unasked:?}: {words}");
            assert!(!server.heard().contains(&".".to_owned()), "{place:?} {unasked:?}");
        }
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_in_a_reply_is_an_error() {
    for over_tls in [false, true] {
        for end in [Step::Close, Step::Vanish] {
            for place in Place::ALL {
                let mut script = place.steps(over_tls);
                script.extend([say("250-half a rep"), end.clone()]);
                let server = HostileSmtp::start(script).await;
                let security = if over_tls { SmtpSecurity::Tls } else { SmtpSecurity::None };
                let password = matches!(place, Place::Auth).then_some("open sesame");
                let error = client_of(&server, security, password).send(&mail(1)).await.unwrap_err();
                waits_for_the_server(&error, place.phase(), "127.0.0.1:", &format!("{place:?} {over_tls} {end:?}"));
            }
        }
    }
}

#[tokio::test]
async fn a_kept_connection_that_misbehaves_is_replaced_by_a_new_one() {
    let healthy = || vec![say("220 hostile\r\n"), Step::ServeUntil(THE_END, "")];
    let faults = || {
        [
            Step::SayForEver(b"x".repeat(1024)),
            Step::SayForEver(b"250 ok\r\n".repeat(64)),
            say("250 once more\r\n"),
            say("421 idle for too long\r\n"),
            Step::Close,
            Step::Vanish,
        ]
    };
    for fault in faults() {
        let first = vec![say("220 hostile\r\n"), Step::ServeUntil(".", ""), say("250 taken\r\n"), fault.clone()];
        let server = HostileSmtp::with(vec![first, healthy()], TestCertificate::of_names(&["127.0.0.1"])).await;
        let mut client = client_of(&server, SmtpSecurity::None, None);
        for number in 0..2 {
            assert!(client.send(&mail(number)).await.is_ok(), "{fault:?}");
        }
        assert!(server.sent_bytes() < IN_SOCKETS_BYTES);
    }
    for fault in faults() {
        let first =
            vec![say("220 hostile\r\n"), Step::ServeUntil("RCPT", ""), say("550 no\r\n"), Step::Hear, fault.clone()];
        let server = HostileSmtp::with(vec![first, healthy()], TestCertificate::of_names(&["127.0.0.1"])).await;
        let mut client = client_of(&server, SmtpSecurity::None, None);
        assert!(matches!(client.send(&mail(1)).await, Err(SendError::Refused { .. })), "{fault:?}");
        assert!(client.send(&mail(2)).await.is_ok(), "{fault:?}");
    }
}

#[tokio::test]
async fn taking_leave_has_its_time_whatever_the_server_says() {
    for fault in [
        Step::SayForEver(b"x".repeat(1024)),
        Step::SayForEver(b"250 ok\r\n".repeat(64)),
        Step::Trickle(b"221-bye\r\n".to_vec(), Duration::from_millis(50)),
        Step::FallSilent,
        Step::Close,
    ] {
        let server =
            HostileSmtp::start(vec![say("220 hostile\r\n"), Step::ServeUntil("QUIT", ""), fault.clone()]).await;
        let mut client = client_of(&server, SmtpSecurity::None, None);
        assert!(client.send(&mail(1)).await.is_ok());
        let began = std::time::Instant::now();
        client.quit().await;
        assert!(began.elapsed() < SOON, "{fault:?}");
        assert!(server.sent_bytes() < IN_SOCKETS_BYTES, "{fault:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_although_the_server_does_not_answer_to_what_follows() {
    let script = vec![say("220 hostile\r\n"), Step::ServeUntil("RCPT", ""), say("550 5.1.1 no\r\n"), Step::FallSilent];
    let server = HostileSmtp::start(script).await;
    let result = client_of(&server, SmtpSecurity::None, None).send(&mail(1)).await;
    assert_eq!(result, refused(Phase::Recipient, "550 5.1.1 no"));
}

#[tokio::test]
async fn a_server_that_refuses_a_mail_half_way_is_heard() {
    let script = vec![
        say("220 hostile\r\n"),
        Step::ServeUntil("DATA", ""),
        say("354 go on\r\n"),
        Step::Hear,
        say("552 5.3.4 that is enough\r\n"),
        Step::FallSilent,
    ];
    let server = HostileSmtp::start(script).await;
    let mut client = client_of(&server, SmtpSecurity::None, None);
    client.limits.step = Duration::from_millis(1500);
    let large = Mail { body: "a line of some length, sent again and again\n".repeat(400_000), ..mail(1) };
    let error = client.send(&large).await.unwrap_err();
    assert_eq!(error, SendError::TooLarge { limit_bytes: None, words: "552 5.3.4 that is enough".into() });
}

#[tokio::test]
async fn a_mail_that_is_given_up_leaves_nothing_behind() {
    let stuck = vec![say("220 hostile\r\n"), Step::ServeUntil("RCPT", ""), Step::FallSilent];
    let healthy = vec![say("220 hostile\r\n"), Step::ServeUntil(THE_END, "")];
    let server = HostileSmtp::with(vec![stuck, healthy], TestCertificate::of_names(&["127.0.0.1"])).await;
    let mut client = client_of(&server, SmtpSecurity::None, None);
    let reached = async {
        while !server.verbs().contains("RCPT") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let words = format!("no answer from {} in the time that was left", server.address());
    assert_eq!(client.send_until(&mail(1), reached).await, deferred(Phase::Recipient, DeferralScope::Server, &words));
    assert!(client.send(&mail(2)).await.is_ok());
    assert_eq!(server.verbs(), "connected EHLO MAIL RCPT connected EHLO MAIL RCPT DATA .");
}
