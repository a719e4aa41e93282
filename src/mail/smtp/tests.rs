//! The SMTP client with a small server that can be told to misbehave. Real servers are tested in `tests/program`.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use uuid::Uuid;

use super::*;

mod attacks;
mod capabilities;
mod tls;

use crate::{
    config::{AttachmentFormat, SmtpLogin, secret::SecretSource},
    fleet::{Bytes, mail::MailKind},
};

/// What the server does at a line that starts with a word. `.` is the end of a mail, the empty word a new connection.
#[derive(Debug, Clone, Copy)]
enum Misbehaviour {
    /// Sends this reply each time.
    Answer(&'static str, &'static str),
    /// Sends this reply to the first such line only.
    AnswerOnce(&'static str, &'static str),
    /// Sends this reply once and closes the connection.
    CloseOnce(&'static str, &'static str),
    /// Sends nothing any more.
    FallSilent(&'static str),
}

/// An SMTP server on loopback.
struct Server {
    port: u16,
    /// All received lines without mails, with `connected` for each connection.
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(mischief: &[Misbehaviour]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mischief = Arc::new(Mutex::new(mischief.to_vec()));
        let all = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&all), Arc::clone(&mischief)));
            }
        });
        Self { port, heard }
    }

    fn client(&self) -> SmtpClient {
        self.client_with(SmtpSecurity::None, None)
    }

    fn client_with(&self, security: SmtpSecurity, password: Option<&str>) -> SmtpClient {
        let password = password.map(SecretString::from);
        let smtp = Smtp {
            host: "127.0.0.1".into(),
            port: self.port,
            security,
            from: "fleetsweep@localhost".parse().unwrap(),
            helo: None,
            ca: None,
            login: password
                .clone()
                .map(|password| SmtpLogin { username: "ops".into(), password: SecretSource::Literal(password) }),
            give_up: Duration::from_secs(86_400),
            mail_size: Bytes(100_000_000),
            attachments: AttachmentFormat::Text,
        };
        let mut client = SmtpClient::with_password(&smtp, password.as_ref()).unwrap();
        // The test must not depend on the name server of this machine.
        client.full_name = Some(None);
        client
    }

    /// The first word of each received line.
    fn verbs(&self) -> String {
        let heard = self.heard.lock().unwrap();
        let verbs: Vec<&str> = heard.iter().map(|line| line.split([' ', ':']).next().unwrap()).collect();
        verbs.join(" ")
    }
}

async fn serve(stream: TcpStream, heard: Arc<Mutex<Vec<String>>>, mischief: Arc<Mutex<Vec<Misbehaviour>>>) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    let mut in_mail = false;
    loop {
        let usual = match line.trim_end() {
            "" => "220 test server",
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            "." => "250 2.0.0 taken",
            line if line.starts_with("EHLO") => "250-test\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME",
            line if line.starts_with("AUTH") => "235 welcome",
            _ => "250 ok",
        };
        heard.lock().unwrap().push(if line.is_empty() { "connected".into() } else { line.trim_end().to_owned() });
        let (answer, closes) = {
            let mut mischief = mischief.lock().unwrap();
            let meets = |word: &str| if word.is_empty() { line.is_empty() } else { line.starts_with(word) };
            let place = mischief.iter().position(|mischief| match mischief {
                Misbehaviour::Answer(word, _)
                | Misbehaviour::AnswerOnce(word, _)
                | Misbehaviour::CloseOnce(word, _)
                | Misbehaviour::FallSilent(word) => meets(word),
            });
            match place.map(|place| (place, mischief[place])) {
                None => (Some(usual), false),
                Some((_, Misbehaviour::Answer(_, answer))) => (Some(answer), false),
                Some((_, Misbehaviour::FallSilent(_))) => (None, false),
                Some((place, Misbehaviour::AnswerOnce(_, answer))) => {
                    mischief.remove(place);
                    (Some(answer), false)
                }
                Some((place, Misbehaviour::CloseOnce(_, answer))) => {
                    mischief.remove(place);
                    (Some(answer), true)
                }
            }
        };
        if let Some(answer) = answer.filter(|answer| !answer.is_empty()) {
            in_mail = answer.starts_with("354");
            // The client may have closed the connection.
            if stream.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
                return;
            }
        }
        if closes {
            return;
        }
        loop {
            line.clear();
            match stream.read_line(&mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) if !in_mail || line == ".\r\n" => break,
                Ok(_) => {}
            }
        }
    }
}

fn mail(number: u128) -> Mail {
    Mail {
        id: Uuid::from_u128(number),
        kind: MailKind::Test,
        recipient: "ops@localhost".into(),
        subject: "subject".into(),
        body: "body\n".into(),
        attachments: Vec::new(),
        thread: Vec::new(),
        export_command: None,
        created_at: Timestamp::UNIX_EPOCH,
    }
}

const TAKEN: &str = "250 2.0.0 taken";

fn deferred(during: Phase, concerns: DeferralScope, words: &str) -> Result<Answer, SendError> {
    Err(SendError::Deferred { during, concerns, words: words.into() })
}

fn refused(during: Phase, words: &str) -> Result<Answer, SendError> {
    Err(SendError::Refused { during, words: words.into() })
}

#[tokio::test]
async fn mails_share_a_connection_until_the_client_quits() {
    let server = Server::start(&[]).await;
    let mut client = server.client();
    for number in 0..3 {
        assert_eq!(client.send(&mail(number)).await, Ok(Answer(TAKEN.into())));
    }
    client.quit().await;
    assert_eq!(client.send(&mail(3)).await, Ok(Answer(TAKEN.into())));
    let one = "MAIL RCPT DATA .";
    assert_eq!(server.verbs(), format!("connected EHLO {one} {one} {one} QUIT connected EHLO {one}"));
}

#[tokio::test]
async fn what_the_server_answers_decides_whether_a_mail_is_put_off_or_refused() {
    use Misbehaviour::{Answer, CloseOnce};
    for (mischief, expected) in [
        (Answer("", "421 too many"), deferred(Phase::Connect, DeferralScope::Server, "421 too many")),
        (Answer("", "554 no mail here"), deferred(Phase::Connect, DeferralScope::Us, "554 no mail here")),
        (Answer("EHLO", "550 who are you"), deferred(Phase::Connect, DeferralScope::Us, "550 who are you")),
        (Answer("MAIL", "451 busy"), deferred(Phase::Sender, DeferralScope::Server, "451 busy")),
        (Answer("MAIL", "550 no such sender"), deferred(Phase::Sender, DeferralScope::Us, "550 no such sender")),
        (Answer("RCPT", "450 greylisted"), deferred(Phase::Recipient, DeferralScope::Mail, "450 greylisted")),
        (Answer("RCPT", "452 disk full"), deferred(Phase::Recipient, DeferralScope::Mail, "452 disk full")),
        (
            Answer("RCPT", "550-5.1.1 no such user\r\n550 5.1.1 ask the \x1b[31mpostmaster"),
            refused(Phase::Recipient, "550 5.1.1 no such user ask the [31mpostmaster"),
        ),
        (Answer("RCPT", "530 login first"), deferred(Phase::Recipient, DeferralScope::Us, "530 login first")),
        (Answer("DATA", "451 later"), deferred(Phase::Content, DeferralScope::Mail, "451 later")),
        (Answer("DATA", "554 no"), refused(Phase::Content, "554 no")),
        (Answer(".", "452 disk full"), deferred(Phase::Content, DeferralScope::Mail, "452 disk full")),
        (Answer(".", "554 spam"), refused(Phase::Content, "554 spam")),
        (CloseOnce("RCPT", "421 closing"), deferred(Phase::Recipient, DeferralScope::Server, "421 closing")),
    ] {
        let server = Server::start(&[mischief]).await;
        assert_eq!(server.client().send(&mail(1)).await, expected, "{mischief:?}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_puts_the_mail_off() {
    for (word, phase) in [
        ("", Phase::Connect),
        ("EHLO", Phase::Connect),
        ("MAIL", Phase::Sender),
        ("RCPT", Phase::Recipient),
        (".", Phase::Content),
    ] {
        let server = Server::start(&[Misbehaviour::CloseOnce(word, "")]).await;
        let error = server.client().send(&mail(1)).await.unwrap_err();
        assert!(
            matches!(&error, SendError::Deferred { during, concerns: DeferralScope::Server, .. } if *during == phase),
            "{word}: {error:?}",
        );
        assert!(error.to_string().contains(&format!("127.0.0.1:{}: ", server.port)), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_puts_the_mail_off() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server { port: listener.local_addr().unwrap().port(), heard: Arc::default() };
    drop(listener);
    let error = server.client().send(&mail(1)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("not now, at connecting: 127.0.0.1:{}: Connection refused (os error 111)", server.port),
    );
}

#[tokio::test]
async fn a_silent_server_puts_the_mail_off_at_the_deadline() {
    for (word, phase) in
        [("", Phase::Connect), ("MAIL", Phase::Sender), ("RCPT", Phase::Recipient), (".", Phase::Content)]
    {
        let server = Server::start(&[Misbehaviour::FallSilent(word)]).await;
        let mut client = server.client().with_deadline(Duration::from_millis(300));
        let words = format!("no answer from 127.0.0.1:{} within 300ms", server.port);
        assert_eq!(client.send(&mail(1)).await, deferred(phase, DeferralScope::Server, &words), "{word}");
    }
}

#[tokio::test]
async fn after_a_mail_that_was_not_taken_the_next_one_goes_over_the_same_connection() {
    for answer in ["550 no such user", "450 greylisted"] {
        let server = Server::start(&[Misbehaviour::AnswerOnce("RCPT", answer)]).await;
        let mut client = server.client();
        assert!(client.send(&mail(1)).await.is_err());
        assert_eq!(client.send(&mail(2)).await, Ok(Answer(TAKEN.into())));
        assert_eq!(server.verbs(), "connected EHLO MAIL RCPT RSET MAIL RCPT DATA .");
    }
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_is_no_failure() {
    // The server closes the connection after its reply to the first mail. The client notices this at the second one.
    let server = Server::start(&[Misbehaviour::CloseOnce(".", TAKEN)]).await;
    let mut client = server.client();
    for number in 0..2 {
        assert_eq!(client.send(&mail(number)).await, Ok(Answer(TAKEN.into())));
    }
    let one = "connected EHLO MAIL RCPT DATA .";
    assert_eq!(server.verbs(), format!("{one} {one}"));
}

#[tokio::test]
async fn a_server_that_wants_a_new_connection_for_each_mail_gets_it() {
    let server = Server::start(&[Misbehaviour::AnswerOnce("MAIL", "421 enough")]).await;
    let mut client = server.client();
    let dialogue = client.open(&mut Phase::Connect).await.unwrap();
    client.keep(dialogue, false);
    assert_eq!(client.send(&mail(1)).await, Ok(Answer(TAKEN.into())));
    assert_eq!(server.verbs(), "connected EHLO MAIL connected EHLO MAIL RCPT DATA .");
}

#[tokio::test]
async fn starttls_is_upgraded_or_nothing_is_sent() {
    let server = Server::start(&[]).await;
    let mut client = server.client_with(SmtpSecurity::StartTls, Some("open sesame"));
    let error = client.send(&mail(1)).await.unwrap_err();
    assert!(
        matches!(error, SendError::Deferred { during: Phase::StartTls, concerns: DeferralScope::Server, .. }),
        "{error:?}"
    );
    assert_eq!(server.verbs(), "connected EHLO");
}

#[tokio::test]
async fn a_refused_login_concerns_us_and_never_tells_the_password() {
    // `\0ops\0open sesame` and `open sesame` in base64, as a server may quote them.
    let whole = "535 bad command AUTH PLAIN AG9wcwBvcGVuIHNlc2FtZQ== (open sesame, b3BlbiBzZXNhbWU=)";
    let server = Server::start(&[Misbehaviour::Answer("AUTH", whole)]).await;
    let mut client = server.client_with(SmtpSecurity::None, Some("open sesame"));
    let words = "535 bad command AUTH PLAIN [password] ([password], [password])";
    assert_eq!(client.send(&mail(1)).await, deferred(Phase::Login, DeferralScope::Us, words));
    assert!(!server.verbs().contains("MAIL"));
    assert!(!format!("{client:?}").contains("sesame"));
}

#[tokio::test]
async fn a_login_is_made_once_for_each_connection() {
    let server = Server::start(&[]).await;
    let mut client = server.client_with(SmtpSecurity::None, Some("open sesame"));
    for number in 0..2 {
        assert_eq!(client.send(&mail(number)).await, Ok(Answer(TAKEN.into())));
    }
    assert_eq!(server.verbs(), "connected EHLO AUTH MAIL RCPT DATA . MAIL RCPT DATA .");
}
