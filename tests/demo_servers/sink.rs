//! The mail sink with lettre as the client.

use std::time::{Duration, Instant};

use fleetsweep::demo::{Fault, Sink, SmtpStep};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use support::{Mail, SOON, Trial};
use tokio::time::timeout;

use crate::fixture::STALLED;

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs() =>
            the_sink_keeps_what_lettre_sends,
            the_sink_fails_as_it_is_told;
    }
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
        (Fault::refuses(SmtpStep::Greeting, 421), Some("421"), 0),
        (Fault::refuses(SmtpStep::Hello, 451), Some("451"), 0),
        (Fault::refuses(SmtpStep::Sender, 451), Some("451"), 0),
        (Fault::refuses(SmtpStep::Recipient, 550), Some("550"), 0),
        (Fault::refuses(SmtpStep::Data, 451), Some("451"), 0),
        (Fault::refuses(SmtpStep::Content, 554), Some("554"), 0),
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
