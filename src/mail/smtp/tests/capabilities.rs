//! Our `EHLO` name, the choice of the login, and the effects of capabilities.

use support::{HostileSmtp, Step, THE_END, TestCertificate, say};

use super::{attacks::client_of, *};

fn healthy(offers: &'static str) -> Vec<Step> {
    vec![say("220 hostile\r\n"), Step::ServeUntil(THE_END, offers)]
}

#[tokio::test]
async fn we_introduce_ourselves_by_a_full_name_or_an_address() {
    let server = HostileSmtp::start(healthy("")).await;
    let mut client = client_of(&server, SmtpSecurity::None, None);
    assert!(client.send(&mail(1)).await.is_ok());
    let hello = server.heard().swap_remove(1);
    let name = hello.strip_prefix("EHLO ").unwrap();
    assert!(name == "[127.0.0.1]" || (name.contains('.') && !name.contains("local")), "{name}");

    client.full_name = Some(None);
    client.kept = None;
    assert!(client.send(&mail(2)).await.is_ok());
    client.smtp.helo = Some("mon.example.com".into());
    client.kept = None;
    assert!(client.send(&mail(3)).await.is_ok());
    let hellos: Vec<String> = server.heard().into_iter().filter(|line| line.starts_with("EHLO")).collect();
    assert_eq!(hellos.get(1..).unwrap(), ["EHLO [127.0.0.1]", "EHLO mon.example.com"]);
}

#[tokio::test]
async fn a_server_that_knows_no_ehlo_is_greeted_as_of_old() {
    for code in [500, 501, 502, 504] {
        let script =
            vec![say("220 old\r\n"), Step::Hear, say(format!("{code} what\r\n")), Step::ServeUntil(THE_END, "")];
        let server = HostileSmtp::start(script).await;
        assert!(client_of(&server, SmtpSecurity::None, None).send(&mail(1)).await.is_ok(), "{code}");
        assert_eq!(server.verbs(), "connected EHLO HELO MAIL RCPT DATA .");
    }
    for (reply, concerns) in
        [("421 closing", DeferralScope::Server), ("554 no", DeferralScope::Us), ("550 no", DeferralScope::Us)]
    {
        let script = vec![say("220 old\r\n"), Step::Hear, say(format!("{reply}\r\n")), Step::ServeUntil(THE_END, "")];
        let server = HostileSmtp::start(script).await;
        let result = client_of(&server, SmtpSecurity::None, None).send(&mail(1)).await;
        assert_eq!(result, deferred(Phase::Connect, concerns, reply));
        assert_eq!(server.verbs(), "connected EHLO");
    }
}

#[tokio::test]
async fn each_login_is_made_as_it_is_offered() {
    let challenge = |text: &str| say(format!("334 {text}\r\n"));
    let welcome = || [say("235 welcome\r\n"), Step::ServeUntil(THE_END, "")];
    let to_auth = |offers| vec![say("220 hostile\r\n"), Step::ServeUntil("AUTH", offers)];
    for (script, expected) in [
        (
            [to_auth("AUTH PLAIN LOGIN CRAM-MD5"), welcome().to_vec()].concat(),
            &["AUTH PLAIN AG9wcwBvcGVuIHNlc2FtZQ=="][..],
        ),
        ([to_auth("auth=plain"), welcome().to_vec()].concat(), &["AUTH PLAIN AG9wcwBvcGVuIHNlc2FtZQ=="]),
        (
            [to_auth("AUTH PLAIN"), vec![challenge(""), Step::Hear], welcome().to_vec()].concat(),
            &["AUTH PLAIN AG9wcwBvcGVuIHNlc2FtZQ==", "AG9wcwBvcGVuIHNlc2FtZQ=="],
        ),
        (
            [
                to_auth("AUTH=LOGIN"),
                vec![challenge("VXNlcm5hbWU6"), Step::Hear, challenge("UGFzc3dvcmQ6"), Step::Hear],
                welcome().to_vec(),
            ]
            .concat(),
            &["AUTH LOGIN", "b3Bz", "b3BlbiBzZXNhbWU="],
        ),
        (
            // The answer was verified with python3 -c "import hmac; hmac.new(b'open sesame', b'<1.2@h>',
            // 'md5').hexdigest()".
            [to_auth("AUTH XOAUTH2 CRAM-MD5"), vec![challenge("PDEuMkBoPg=="), Step::Hear], welcome().to_vec()]
                .concat(),
            &["AUTH CRAM-MD5", "CRAM"],
        ),
        (
            // The server refuses a mechanism that it offers.
            [
                to_auth("AUTH PLAIN LOGIN"),
                vec![say("504 5.5.4 not that one\r\n"), Step::Hear, challenge("VXNlcm5hbWU6"), Step::Hear],
                vec![challenge("UGFzc3dvcmQ6"), Step::Hear],
                welcome().to_vec(),
            ]
            .concat(),
            &["AUTH PLAIN AG9wcwBvcGVuIHNlc2FtZQ==", "AUTH LOGIN", "b3Bz", "b3BlbiBzZXNhbWU="],
        ),
    ] {
        let server = HostileSmtp::start(script).await;
        let mut client = client_of(&server, SmtpSecurity::None, Some("open sesame"));
        let result = client.send(&mail(1)).await;
        assert!(result.is_ok(), "{expected:?}: {result:?}");
        let mut heard = server.heard();
        let start = heard.iter().position(|line| line.starts_with("AUTH")).unwrap();
        let end = heard.iter().position(|line| line.starts_with("MAIL")).unwrap();
        let mut said: Vec<String> = heard.drain(start..end).collect();
        if expected.last() == Some(&"CRAM") {
            use base64ct::{Base64, Encoding};
            let answer = String::from_utf8(Base64::decode_vec(&said.pop().unwrap()).unwrap()).unwrap();
            assert_eq!(answer, "ops b5fadb6661b84e5a8bbc5a5c790cf67a");
            said.push("CRAM".into());
        }
        assert_eq!(said, expected);
    }
}

#[tokio::test]
async fn a_login_that_cannot_be_made_says_why() {
    for (offers, concerns, words) in [
        ("", DeferralScope::Us, "offers no login: remove username and password"),
        ("STARTTLS", DeferralScope::Us, "before TLS: set security=\"starttls\""),
        ("AUTH GSSAPI NTLM XOAUTH2", DeferralScope::Us, "offers only GSSAPI, NTLM, XOAUTH2 for the login"),
    ] {
        let server = HostileSmtp::start(healthy(offers)).await;
        match client_of(&server, SmtpSecurity::None, Some("open sesame")).send(&mail(1)).await {
            Err(SendError::Deferred { during: Phase::Login, concerns: found, words: said }) => {
                assert_eq!(found, concerns);
                assert!(said.contains(words), "{said}");
            }
            result => panic!("{offers}: {result:?}"),
        }
        assert!(!server.verbs().contains("MAIL"));
    }
    // Challenges that cannot be answered.
    for (offers, challenges) in [
        ("AUTH CRAM-MD5", vec![say("334 not base64!\r\n"), Step::Hear]),
        ("AUTH LOGIN", vec![say("334 a\r\n"), Step::Hear, say("334 b\r\n"), Step::Hear, say("334 c\r\n"), Step::Hear]),
    ] {
        let mut script = vec![say("220 hostile\r\n"), Step::ServeUntil("AUTH", offers)];
        script.extend(challenges);
        script.extend([say("501 cancelled\r\n"), Step::FallSilent]);
        let server = HostileSmtp::start(script).await;
        let error = client_of(&server, SmtpSecurity::None, Some("open sesame")).send(&mail(1)).await.unwrap_err();
        assert!(error.to_string().contains("login that cannot be answered"), "{error}");
        assert_eq!(server.heard().last().unwrap(), "*");
    }
}

#[tokio::test]
async fn no_form_of_the_password_comes_back_in_words() {
    for (offers, challenges) in [
        ("AUTH PLAIN", vec![]),
        ("AUTH LOGIN", vec![say("334 a\r\n"), Step::Hear, say("334 b\r\n"), Step::Hear]),
        ("AUTH CRAM-MD5", vec![say("334 PDEuMkBoPg==\r\n"), Step::Hear]),
    ] {
        for echo in ["535 bad:", "535-bad:\r\n535", "235-a\r\n999", "junk"] {
            let mut script = vec![say("220 hostile\r\n"), Step::ServeUntil("AUTH", offers)];
            script.extend(challenges.clone());
            script.extend([Step::Echo(echo), Step::FallSilent]);
            let server = HostileSmtp::start(script).await;
            let mut client = client_of(&server, SmtpSecurity::None, Some("open sesame"));
            let error = client.send(&mail(1)).await.unwrap_err();
            let last = server.heard().pop().unwrap();
            let secret = last.rsplit(' ').next().unwrap();
            let shown = format!("{error} {error:?} {client:?}");
            assert!(!shown.contains(secret), "{secret}: {shown}");
            assert!(shown.contains("[password]"), "{shown}");
        }
    }
}

#[tokio::test]
async fn the_size_is_told_and_a_limit_is_known_before_a_mail_is_sent() {
    for (offers, parameter, announced) in [
        ("SIZE 1000000", true, Some(1_000_000)),
        ("size 1000000", true, Some(1_000_000)),
        ("SIZE 0", true, None),
        ("SIZE", true, None),
        ("SIZE 99999999999999999999999", true, None),
        ("", false, None),
    ] {
        let server = HostileSmtp::start(healthy(offers)).await;
        let mut client = client_of(&server, SmtpSecurity::None, None);
        assert!(client.send(&mail(1)).await.is_ok(), "{offers}");
        assert_eq!(client.announced_size(), announced, "{offers}");
        let sender = server.heard().into_iter().find(|line| line.starts_with("MAIL")).unwrap();
        assert_eq!(sender.contains("> SIZE="), parameter, "{offers}: {sender}");
    }
    let server = HostileSmtp::start(healthy("SIZE 700")).await;
    let mut client = client_of(&server, SmtpSecurity::None, None);
    let large = Mail { body: "x\n".repeat(1000), ..mail(1) };
    for _ in 0..2 {
        let error = client.send(&large).await.unwrap_err();
        assert!(matches!(error, SendError::TooLarge { limit_bytes: Some(700), .. }), "{error:?}");
    }
    // The connection can still be used.
    assert!(client.send(&mail(2)).await.is_ok());
    assert_eq!(server.verbs(), "connected EHLO MAIL RCPT DATA .");
}

#[tokio::test]
async fn addresses_beyond_ascii_go_where_they_can() {
    let to = |recipient: &str| Mail { recipient: recipient.into(), ..mail(1) };
    for (recipient, offers, sender, envelope) in [
        ("ops@bücher.example", "SMTPUTF8\n8BITMIME", "MAIL FROM:<fleetsweep@example.com>", "ops@xn--bcher-kva.example"),
        ("ops@bücher.example", "", "MAIL FROM:<fleetsweep@example.com>", "ops@xn--bcher-kva.example"),
        (
            "öps@bücher.example",
            "smtputf8\n8bitmime",
            "MAIL FROM:<fleetsweep@example.com> BODY=8BITMIME SMTPUTF8",
            "öps@xn--bcher-kva.example",
        ),
    ] {
        let server = HostileSmtp::start(healthy(offers)).await;
        let mut client = client_of(&server, SmtpSecurity::None, None);
        assert!(client.send(&to(recipient)).await.is_ok(), "{recipient}");
        let heard = server.heard();
        assert_eq!(heard[2], sender);
        assert_eq!(heard[3], format!("RCPT TO:<{envelope}>"));
    }
    let server = HostileSmtp::start(healthy("8BITMIME")).await;
    let mut client = client_of(&server, SmtpSecurity::None, None);
    let error = client.send(&to("öps@bücher.example")).await.unwrap_err();
    let SendError::Refused { during: Phase::Recipient, words } = &error else { panic!("{error:?}") };
    assert!(words.contains("`öps@xn--bcher-kva.example`") && words.contains("SMTPUTF8"), "{words}");
    assert!(client.send(&mail(2)).await.is_ok());
    assert_eq!(server.verbs(), "connected EHLO MAIL RCPT DATA .");
}

#[tokio::test]
async fn a_refusal_waits_for_whom_it_concerns() {
    for (at, reply, expected) in [
        (
            "RCPT",
            "504 5.5.2 <vm>: Helo command rejected: need fully-qualified hostname",
            deferred(
                Phase::Recipient,
                DeferralScope::Us,
                "504 5.5.2 <vm>: Helo command rejected: need fully-qualified hostname",
            ),
        ),
        (
            "RCPT",
            "554 5.7.1 <ops@localhost>: Relay access denied",
            deferred(Phase::Recipient, DeferralScope::Us, "554 5.7.1 <ops@localhost>: Relay access denied"),
        ),
        ("RCPT", "550 relay not permitted", deferred(Phase::Recipient, DeferralScope::Us, "550 relay not permitted")),
        ("MAIL", "530 5.7.0 login first", deferred(Phase::Sender, DeferralScope::Us, "530 5.7.0 login first")),
        ("RCPT", "550-5.1.1 no\r\n550 5.1.1 such user", refused(Phase::Recipient, "550 5.1.1 no such user")),
        ("DATA", "554 5.7.1 Relay denied", deferred(Phase::Content, DeferralScope::Us, "554 5.7.1 Relay denied")),
        (".", "554 5.6.0 no such content", refused(Phase::Content, "554 5.6.0 no such content")),
        ("DATA", "250 what", deferred(Phase::Content, DeferralScope::Server, "250 what")),
    ] {
        let script = vec![
            say("220 hostile\r\n"),
            Step::ServeUntil(at, ""),
            say(format!("{reply}\r\n")),
            Step::ServeUntil(THE_END, ""),
        ];
        let server = HostileSmtp::with(vec![script], TestCertificate::of_names(&["127.0.0.1"])).await;
        assert_eq!(client_of(&server, SmtpSecurity::None, None).send(&mail(1)).await, expected);
    }
}
