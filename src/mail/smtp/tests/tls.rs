//! TLS: data from before TLS is not used, which certificates are trusted, and the wrong security setting for a port.

use support::{HostileSmtp, Step, THE_END, TestCertificate, say};

use super::{
    attacks::{client_of, deferral},
    *,
};

/// The steps until the reply to STARTTLS, with these capabilities before it.
fn to_starttls(offers: &'static str) -> Vec<Step> {
    vec![say("220 hostile\r\n"), Step::ServeUntil("STARTTLS", offers)]
}

fn healthy_behind(mut steps: Vec<Step>, offers: &'static str) -> Vec<Step> {
    steps.extend([Step::StartTls, Step::ServeUntil(THE_END, offers)]);
    steps
}

#[tokio::test]
async fn text_behind_the_reply_to_starttls_is_an_attack_and_is_not_believed() {
    let injected = "250-x\r\n250 AUTH PLAIN\r\n235 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n";
    let at_once = [
        format!("220 go\r\n{injected}"),
        format!("220-go\r\n220 ahead\r\n{injected}"),
        "220 go\r\n2".to_owned(),
        "220 go\r\n\0".to_owned(),
        "220 go\r\n\r\n".to_owned(),
        "220 go\n250 x\n".to_owned(),
    ];
    let mut scripts: Vec<Vec<Step>> = at_once.into_iter().map(|text| vec![say(text)]).collect();
    // In a separate packet, a moment later, in place of TLS.
    scripts.push(vec![say("220 go\r\n"), say(injected)]);
    scripts.push(vec![say("220 go\r\n"), Step::Pause(Duration::from_millis(300)), say(injected)]);
    for steps in scripts {
        let mut script = to_starttls("STARTTLS");
        script.extend(steps.clone());
        let server = HostileSmtp::start(healthy_behind(script, "AUTH PLAIN")).await;
        let error = client_of(&server, SmtpSecurity::StartTls, Some("open sesame")).send(&mail(1)).await.unwrap_err();
        let (during, concerns, words) = deferral(&error);
        assert_eq!((during, concerns), (Phase::StartTls, DeferralScope::Server), "{steps:?}: {words}");
        assert!(words.contains("response injection"), "{steps:?}: {words}");
        assert_eq!(server.verbs(), "connected EHLO STARTTLS", "{steps:?}");
    }
}

#[tokio::test]
async fn what_was_offered_in_clear_is_forgotten_behind_tls() {
    for (in_clear, behind, words) in [
        ("STARTTLS\nAUTH PLAIN", "", "offers no login"),
        ("STARTTLS\nAUTH PLAIN", "AUTH GSSAPI XOAUTH2", "offers only GSSAPI, XOAUTH2 for the login"),
    ] {
        let mut script = to_starttls(in_clear);
        script.push(say("220 go\r\n"));
        let server = HostileSmtp::start(healthy_behind(script, behind)).await;
        let error = client_of(&server, SmtpSecurity::StartTls, Some("open sesame")).send(&mail(1)).await.unwrap_err();
        let (during, concerns, said) = deferral(&error);
        assert_eq!((during, concerns), (Phase::Login, DeferralScope::Us), "{said}");
        assert!(said.contains(words), "{said}");
        assert_eq!(server.verbs(), "connected EHLO STARTTLS TLS EHLO");
    }
    // The reverse: capabilities after the upgrade count.
    let mut script = to_starttls("STARTTLS\nSIZE 10");
    script.push(say("220-go\r\n220 ahead\r\n"));
    let server = HostileSmtp::start(healthy_behind(script, "auth=plain\nSIZE 1000000")).await;
    let mut client = client_of(&server, SmtpSecurity::StartTls, Some("open sesame"));
    assert!(client.send(&mail(1)).await.is_ok());
    assert_eq!(client.announced_size(), Some(1_000_000));
    assert_eq!(server.verbs(), "connected EHLO STARTTLS TLS EHLO AUTH MAIL RCPT DATA .");
}

#[tokio::test]
async fn without_starttls_nothing_is_sent() {
    for (script, words) in [
        (vec![say("220 hostile\r\n"), Step::ServeUntil(THE_END, "AUTH PLAIN")], "does not offer STARTTLS"),
        (
            vec![say("220 hostile\r\n"), Step::Hear, say("502 no\r\n"), Step::ServeUntil(THE_END, "")],
            "not offer STARTTLS",
        ),
        ([to_starttls("STARTTLS"), vec![say("454 4.7.0 not now\r\n"), Step::FallSilent]].concat(), "454 4.7.0 not now"),
        ([to_starttls("STARTTLS"), vec![say("220 go\r\n"), Step::Close]].concat(), "127.0.0.1:"),
    ] {
        let server = HostileSmtp::start(script).await;
        let error = client_of(&server, SmtpSecurity::StartTls, Some("open sesame")).send(&mail(1)).await.unwrap_err();
        let (during, concerns, said) = deferral(&error);
        assert_eq!((during, concerns), (Phase::StartTls, DeferralScope::Server), "{said}");
        assert!(said.contains(words), "{said}");
        assert!(!server.heard().iter().any(|line| line.starts_with("AUTH") || line.starts_with("MAIL")));
    }
}

/// The result of a mail to a server with this certificate, under this name, with this file of trusted certificates.
async fn with_certificate(certificate: TestCertificate, host: &str, ca: &str) -> Result<Answer, SendError> {
    let script = vec![Step::StartTls, say("220 hostile\r\n"), Step::ServeUntil(THE_END, "")];
    let server = HostileSmtp::with(vec![script], certificate).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    std::fs::write(&path, ca).unwrap();
    let smtp = Smtp {
        host: host.into(),
        port: server.address().port(),
        security: SmtpSecurity::Tls,
        from: "fleetsweep@example.com".parse().unwrap(),
        helo: None,
        ca: Some(path),
        login: None,
        give_up: Duration::from_secs(86_400),
        mail_size: Bytes(100_000_000),
        attachments: AttachmentFormat::Text,
    };
    SmtpClient::with_password(&smtp, None).unwrap().send(&mail(1)).await
}

#[tokio::test]
async fn a_certificate_is_trusted_by_its_authority_or_as_itself() {
    let both = || TestCertificate::of_names(&["localhost", "127.0.0.1"]);
    for (certificate, host) in [
        (both(), "127.0.0.1"),
        (both(), "localhost"),
        (TestCertificate::by_authority(&["localhost"]), "localhost"),
        (TestCertificate::by_authority(&["127.0.0.1"]), "127.0.0.1"),
        (TestCertificate::as_by_openssl("localhost"), "localhost"),
        (TestCertificate::as_by_openssl("LocalHost"), "localhost"),
        (TestCertificate::as_by_openssl("127.0.0.1"), "127.0.0.1"),
    ] {
        let ca = format!("{}{}", TestCertificate::of_names(&["other"]).certificate_pem, certificate.authority_pem);
        let result = with_certificate(certificate, host, &ca).await;
        assert!(result.is_ok(), "{host}: {result:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_says_what_to_do() {
    let other = || TestCertificate::of_names(&["other.example.com"]);
    // Either the certificate itself or that of its authority is trusted.
    for (certificate, host, is_trusted, expected) in [
        (TestCertificate::expired("localhost"), "localhost", true, ["expired at 2021-01-01", "renew"]),
        (TestCertificate::not_yet_valid("localhost"), "localhost", true, ["not valid before 2190-01-01", "clock"]),
        (other(), "localhost", true, ["another name (other.example.com)", "host of <smtp>"]),
        (TestCertificate::as_by_openssl("other"), "localhost", true, ["another name (other)", "for localhost"]),
        (TestCertificate::as_by_openssl("other"), "127.0.0.1", true, ["another name (other)", "for 127.0.0.1"]),
        (TestCertificate::by_authority(&["other"]), "localhost", true, ["another name (other)", "host of <smtp>"]),
        (TestCertificate::of_names(&["localhost"]), "localhost", false, ["not trusted here", "ca=\"FILE\""]),
        (TestCertificate::as_by_openssl("localhost"), "localhost", false, ["self-signed", "ca=\"FILE\""]),
        (TestCertificate::by_authority(&["localhost"]), "localhost", false, ["an authority", "ca=\"FILE\""]),
    ] {
        let foreign = TestCertificate::of_names(&["x"]).certificate_pem;
        let ca = if is_trusted { certificate.authority_pem.clone() } else { foreign };
        let error = with_certificate(certificate, host, &ca).await.unwrap_err();
        let (during, concerns, words) = deferral(&error);
        assert_eq!((during, concerns), (Phase::Connect, DeferralScope::Us), "{words}");
        for part in expected {
            assert!(words.contains(part), "{part}: {words}");
        }
    }
}

#[tokio::test]
async fn the_wrong_way_to_a_port_is_named() {
    let tls_first = || vec![Step::StartTls, say("220 hostile\r\n"), Step::ServeUntil(THE_END, "")];
    for security in [SmtpSecurity::None, SmtpSecurity::StartTls] {
        let server = HostileSmtp::start(tls_first()).await;
        let mut client = client_of(&server, security, None);
        client.limits.probe_after = Duration::from_millis(100);
        let error = client.send(&mail(1)).await.unwrap_err().to_string();
        assert!(error.contains("speaks TLS from the first byte: set security=\"tls\""), "{error}");
    }
    let server = HostileSmtp::start(vec![say("220 hostile ESMTP\r\n"), Step::ServeUntil(THE_END, "")]).await;
    let mut client = client_of(&server, SmtpSecurity::Tls, None);
    match client.send(&mail(1)).await {
        Err(SendError::Deferred { during: Phase::Connect, concerns: DeferralScope::Us, words }) => {
            assert!(words.contains("`220 hostile ESMTP`"), "{words}");
            assert!(words.contains("set security=\"starttls\""), "{words}");
        }
        result => panic!("{result:?}"),
    }
}

#[tokio::test]
async fn a_server_that_greets_late_is_waited_for() {
    let late = vec![Step::Pause(Duration::from_millis(800)), say("220 late\r\n"), Step::ServeUntil(THE_END, "")];
    let silent = vec![Step::FallSilent];
    let server = HostileSmtp::with(vec![late, silent], TestCertificate::of_names(&["127.0.0.1"])).await;
    let mut client = client_of(&server, SmtpSecurity::None, None);
    client.limits.probe_after = Duration::from_millis(50);
    assert_eq!(client.send(&mail(1)).await, Ok(Answer(TAKEN.into())));
}

#[tokio::test]
async fn a_server_that_floods_the_handshake_ends_the_session() {
    for unit in [&b"\x16\x03\x01\x00\x01\x00"[..], b"\x15\x03\x01\x00\x02\x01\x00", b"\x17\x03\x03\x00\x00", b"x"] {
        let server = HostileSmtp::start(vec![Step::SayForEver(unit.repeat(200))]).await;
        let mut client = client_of(&server, SmtpSecurity::Tls, None);
        let began = std::time::Instant::now();
        assert!(matches!(client.send(&mail(1)).await, Err(SendError::Deferred { during: Phase::Connect, .. })));
        assert!(began.elapsed() < Duration::from_secs(20), "{unit:?}");
        assert!(server.sent_bytes() < 32 << 20, "{unit:?}");
    }
}
