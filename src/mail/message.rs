//! Encodes a mail: the envelope addresses and the message with its headers.

use std::io::{self, Write as _};

use flate2::{Compression, write::GzEncoder};
use jiff::Timestamp;
use lettre::{
    Address, Message,
    message::{
        Attachment as Attached, Mailbox, MessageBuilder, MultiPart, SinglePart,
        header::{ContentType, ContentTypeErr, HeaderName, HeaderValue, MIME_VERSION_1_0},
    },
};

use uuid::Uuid;

use crate::fleet::{
    mail::{Attachment, Mail},
    reading::clean,
};

/// The longest subject, in characters. The composer creates clean subjects, but they are cleaned again here, so that a
/// row in the database cannot inject a header.
const SUBJECT_CHARS: usize = 200;

/// The longest host name in a header, in bytes. RFC 2919 allows 255 for the complete value.
const HOST_BYTES: usize = 200;

/// The longest file name of an attachment, in characters.
const FILE_NAME_CHARS: usize = 100;

/// An encoded mail.
#[derive(Debug)]
pub(super) struct EncodedMail {
    /// The sender's address.
    pub(super) from: Address,
    /// The recipient's address.
    pub(super) to: Address,
    /// Headers and text.
    pub(super) content: Vec<u8>,
}

/// The reason why a mail cannot be encoded.
#[derive(Debug, thiserror::Error)]
pub(super) enum EncodeError {
    /// The recipient is not a valid mail address.
    #[error("`{recipient}` is not a valid mail address: {reason}")]
    Recipient { recipient: String, reason: lettre::address::AddressError },
    /// Its domain cannot be converted to ASCII.
    #[error("the domain of `{address}` is none: check its spelling")]
    Domain { address: String },
    /// The message cannot be built.
    #[error("the message cannot be built: {0}")]
    Message(#[from] lettre::error::Error),
    /// The type of an attachment is not understood.
    #[error("the type of an attachment cannot be written: {0}")]
    ContentType(#[from] ContentTypeErr),
    /// An attachment cannot be compressed.
    #[error("an attachment cannot be compressed: {0}")]
    Compression(#[from] io::Error),
}

impl EncodedMail {
    /// Encodes a mail. The same mail always gives the same message, including Message-ID and date.
    pub(super) fn new(from: &Mailbox, mail: &Mail) -> Result<Self, EncodeError> {
        let to: Address = mail
            .recipient
            .parse()
            .map_err(|reason| EncodeError::Recipient { recipient: mail.recipient.clone(), reason })?;
        let to = with_ascii_domain(&to)?;
        let from = Mailbox::new(from.name.clone(), with_ascii_domain(&from.email)?);
        // The `Date` header of lettre does not support times before the epoch.
        let date = mail.created_at.max(Timestamp::UNIX_EPOCH);
        let builder = Message::builder()
            .from(from.clone())
            .to(Mailbox::new(None, to.clone()))
            .subject(clean(&mail.subject, SUBJECT_CHARS))
            .date(date.into())
            .message_id(Some(message_id(mail.id, &from)))
            .header(MIME_VERSION_1_0);
        let builder = match mail.thread.last() {
            Some(parent) => {
                let references: Vec<String> = mail.thread.iter().map(|id| message_id(*id, &from)).collect();
                builder.in_reply_to(message_id(*parent, &from)).references(references.join(" "))
            }
            None => builder,
        };
        let mut message = written(builder, mail)?;
        // RFC 3834: suppresses automatic replies.
        let auto_submitted = HeaderName::new_from_ascii_str("Auto-Submitted");
        message.headers_mut().insert_raw(HeaderValue::new(auto_submitted, "auto-generated".to_owned()));
        // RFC 2919: mail programs filter by this header.
        let list_id = HeaderName::new_from_ascii_str("List-Id");
        let host = gethostname::gethostname();
        message.headers_mut().insert_raw(HeaderValue::new(list_id, list_id_of(&host.to_string_lossy())));
        Ok(Self { from: from.email, to, content: message.formatted() })
    }

    /// An address with a non-ASCII local part, which only works if the server supports such addresses. Domains are
    /// always in ASCII.
    pub(super) fn beyond_ascii(&self) -> Option<&Address> {
        [&self.from, &self.to].into_iter().find(|address| !address.user().is_ascii())
    }
}

/// The address with its domain in ASCII (A-labels, RFC 5890), which every server supports.
fn with_ascii_domain(address: &Address) -> Result<Address, EncodeError> {
    let domain = address.domain();
    if domain.is_ascii() {
        return Ok(address.clone());
    }
    let not_known = || EncodeError::Domain { address: address.to_string() };
    let domain = idna::domain_to_ascii(domain).map_err(|_| not_known())?;
    Address::new(address.user(), domain).map_err(|_| not_known())
}

/// The Message-ID of a mail. It is the same in every attempt.
fn message_id(id: Uuid, from: &Mailbox) -> String {
    format!("<{id}@{}>", from.email.domain())
}

/// The List-Id of all mails of the collector on a host: `<fleetsweep.mon.example.com>`.
fn list_id_of(host: &str) -> String {
    let plain = |label: &str| -> String {
        label.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
    };
    let labels: Vec<String> = host.split('.').map(plain).filter(|label| !label.is_empty()).collect();
    let mut host = labels.join(".");
    host.truncate(HOST_BYTES);
    let host = host.trim_matches(['.', '-']);
    format!("<fleetsweep.{}>", if host.is_empty() { "localhost" } else { host })
}

/// The message with its text and attachments.
fn written(builder: MessageBuilder, mail: &Mail) -> Result<Message, EncodeError> {
    if mail.attachments.is_empty() {
        return Ok(builder.header(ContentType::TEXT_PLAIN).body(with_crlf(&mail.body))?);
    }
    // The boundary is the same in every attempt, and a client cannot know it when it writes its log.
    let boundary = format!("fleetsweep-{}", mail.id.simple());
    let text = SinglePart::builder().header(ContentType::TEXT_PLAIN).body(with_crlf(&mail.body));
    let mut parts = MultiPart::mixed().boundary(boundary).singlepart(text);
    for attachment in &mail.attachments {
        parts = parts.singlepart(attached(attachment)?);
    }
    Ok(builder.multipart(parts)?)
}

fn attached(attachment: &Attachment) -> Result<SinglePart, EncodeError> {
    let name = plain(&attachment.file_name);
    if attachment.is_compressed() {
        let kind = ContentType::parse("application/gzip")?;
        // Bytes are encoded as base64.
        Ok(Attached::new(name).body(gzip(&attachment.text)?, kind))
    } else {
        Ok(Attached::new(name).body(with_crlf(&attachment.text), ContentType::TEXT_PLAIN))
    }
}

/// The text as a file of gzip (RFC 1952). It contains no name and no time, so that every attempt sends the same.
fn gzip(text: &str) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes())?;
    encoder.finish()
}

/// The text with CR LF line ends. lettre itself would insert each CR into the whole text, which takes quadratic time.
fn with_crlf(text: &str) -> String {
    let mut whole = String::with_capacity(text.len() + text.len() / 32);
    for line in text.split_inclusive('\n') {
        match line.strip_suffix('\n') {
            Some(content) => {
                whole.push_str(content.strip_suffix('\r').unwrap_or(content));
                whole.push_str("\r\n");
            }
            None => whole.push_str(line),
        }
    }
    whole
}

/// A file name that every mail program and file system accepts. The composer makes only such names; they are converted
/// again here in case the database was changed.
fn plain(file_name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name = file_name.chars().map(|c| if is_plain(c) { c } else { '-' }).take(FILE_NAME_CHARS).collect::<String>();
    let name = name.trim_start_matches(['-', '.']);
    if name.is_empty() { "attachment.txt".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use mail_parser::{HeaderValue, MessageParser, MimeHeaders};

    use super::*;
    use crate::fleet::mail::MailKind;

    fn mail(subject: &str, body: &str) -> Mail {
        Mail {
            id: Uuid::from_u128(0x0123_4567_89ab_cdef),
            kind: MailKind::Alert,
            recipient: "ops@example.com".into(),
            subject: subject.into(),
            body: body.into(),
            attachments: Vec::new(),
            thread: Vec::new(),
            export_command: None,
            created_at: "2026-03-01T12:00:00Z".parse().unwrap(),
        }
    }

    fn from() -> Mailbox {
        "The sweeper <fleetsweep@mon.example.com>".parse().unwrap()
    }

    #[test]
    fn a_letter_says_what_the_mail_says() {
        let long = "ä → ".repeat(600);
        for (subject, body) in [
            ("[fleetsweep] web-1: memory 91.0 % > 85 %", "plain\ntext\n"),
            ("[fleetsweep] Köln: Speicher 91.0 %", "40 % → 91 %\n.\n..dots\nFrom here\n"),
            ("日本語のサーバー名前がとても長い場合でもヘッダーは正しく折り返されなければならない", long.trim_end()),
            ("", ""),
        ] {
            let letter = EncodedMail::new(&from(), &mail(subject, body)).unwrap();
            assert!(letter.content.is_ascii(), "goes through any server");
            assert!(letter.content.split(|byte| *byte == b'\n').all(|line| line.len() < 999));
            let message = MessageParser::default().parse(&letter.content).unwrap();
            assert_eq!(message.subject().unwrap_or(""), subject);
            assert_eq!(message.body_text(0).unwrap().replace("\r\n", "\n"), body);
            assert_eq!(message.message_id(), Some("00000000-0000-0000-0123-456789abcdef@mon.example.com"));
            assert_eq!(message.date().unwrap().to_rfc3339(), "2026-03-01T12:00:00Z");
            assert_eq!(message.from().unwrap().first().unwrap().address(), Some("fleetsweep@mon.example.com"));
            assert_eq!(message.from().unwrap().first().unwrap().name(), Some("The sweeper"));
            assert_eq!(message.to().unwrap().first().unwrap().address(), Some("ops@example.com"));
            assert_eq!(message.header("Auto-Submitted").and_then(HeaderValue::as_text), Some("auto-generated"));
            let kind = message.content_type().unwrap();
            assert_eq!((kind.ctype(), kind.subtype()), ("text", Some("plain")));
            assert_eq!(kind.attribute("charset"), Some("utf-8"));
            assert!(message.header("MIME-Version").is_some(), "or else the encoding counts for nothing");
        }
    }

    #[test]
    fn a_compressed_file_is_the_text_again_and_the_same_at_each_attempt() {
        use std::io::Read as _;
        let text = "ünï¢ödé\tof an event\n".repeat(5000);
        let mail = with_files(&[("db-security-events.txt.gz", &text)]);
        let letter = || EncodedMail::new(&from(), &mail).unwrap().content;
        let content = letter();
        assert_eq!(content, letter());
        assert!(content.len() < text.len() / 20, "{}", content.len());
        let message = MessageParser::default().parse(&content).unwrap();
        let part = message.attachment(0).unwrap();
        assert_eq!(part.attachment_name(), Some("db-security-events.txt.gz"));
        let kind = part.content_type().unwrap();
        assert_eq!((kind.ctype(), kind.subtype()), ("application", Some("gzip")));
        let mut read = String::new();
        flate2::read::GzDecoder::new(part.contents()).read_to_string(&mut read).unwrap();
        assert_eq!(read, text);
    }

    fn with_files(files: &[(&str, &str)]) -> Mail {
        let attachment = |&(name, text): &(&str, &str)| Attachment { file_name: name.into(), text: text.into() };
        Mail { attachments: files.iter().map(attachment).collect(), ..mail("subject", "body → body\n") }
    }

    /// The received text, and each file by its name.
    fn received(letter: &EncodedMail) -> Vec<(String, String)> {
        let message = MessageParser::default().parse(&letter.content).unwrap();
        let whole = |text: &str| text.replace("\r\n", "\n");
        let mut parts = vec![(String::new(), whole(&message.body_text(0).unwrap()))];
        for part in message.attachments() {
            let kind = part.content_type().unwrap();
            assert_eq!(
                (kind.ctype(), kind.subtype(), kind.attribute("charset")),
                ("text", Some("plain"), Some("utf-8"))
            );
            parts.push((part.attachment_name().unwrap().to_owned(), whole(part.text_contents().unwrap())));
        }
        parts
    }

    #[test]
    fn a_mail_hangs_under_the_first_ones_of_its_thread() {
        let id = |number: u128| format!("{}@mon.example.com", Uuid::from_u128(number));
        let many: Vec<u128> = (1..=9).collect();
        for thread in [&[][..], &[7], &[3, 7], &many] {
            let mail = Mail { thread: thread.iter().map(|id| Uuid::from_u128(*id)).collect(), ..mail("s", "b") };
            let letter = EncodedMail::new(&from(), &mail).unwrap();
            assert!(letter.content.split(|byte| *byte == b'\n').all(|line| line.len() < 999));
            let message = MessageParser::default().parse(&letter.content).unwrap();
            let listed = |value: &HeaderValue<'_>| -> Vec<String> {
                value.as_text_list().unwrap_or_default().iter().map(ToString::to_string).collect()
            };
            assert_eq!(listed(message.references()), thread.iter().map(|number| id(*number)).collect::<Vec<_>>());
            assert_eq!(
                listed(message.in_reply_to()),
                thread.last().map(|number| id(*number)).into_iter().collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn every_mail_of_a_collector_has_the_same_plain_list_id() {
        for (host, expected) in [
            ("mon-1", "<fleetsweep.mon-1>"),
            ("MON.Example.com", "<fleetsweep.mon.example.com>"),
            ("", "<fleetsweep.localhost>"),
            ("a>\r\nBcc: eve@example.net", "<fleetsweep.a---bcc--eve-example.net>"),
            ("..x..", "<fleetsweep.x>"),
            ("köln", "<fleetsweep.k-ln>"),
        ] {
            assert_eq!(list_id_of(host), expected, "{host:?}");
        }
        assert!(list_id_of(&"x".repeat(500)).len() < 255);
        let letter = EncodedMail::new(&from(), &mail("s", "b")).unwrap();
        assert!(String::from_utf8(letter.content).unwrap().contains("\r\nList-Id: <fleetsweep."));
    }

    #[test]
    fn the_same_mail_makes_the_same_letter() {
        for mail in [mail("subject", "body → body"), with_files(&[("one.txt", "a → b\n"), ("two.txt", "c\n")])] {
            let letter = || EncodedMail::new(&from(), &mail).unwrap().content;
            assert_eq!(letter(), letter());
        }
    }

    #[test]
    fn files_arrive_as_they_were_beside_the_text() {
        let long = format!("{}\n", "ä\tlong line ".repeat(300));
        let boundary = "--fleetsweep-00000000000000000123456789abcde0\n--fleetsweep--\n";
        let files =
            [("one.txt", "plain\n.\n..dots\nFrom here\n"), ("2of3.txt", &*long), ("b.txt", boundary), ("e.txt", "")];
        let letter = EncodedMail::new(&from(), &with_files(&files)).unwrap();
        assert!(letter.content.is_ascii(), "goes through any server");
        assert!(letter.content.split(|byte| *byte == b'\n').all(|line| line.len() < 999));
        let mut expected = vec![(String::new(), "body → body\n".to_owned())];
        expected.extend(files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
        assert_eq!(received(&letter), expected);
        let message = MessageParser::default().parse(&letter.content).unwrap();
        let kind = message.content_type().unwrap();
        assert_eq!((kind.ctype(), kind.subtype()), ("multipart", Some("mixed")));
        assert_eq!(kind.attribute("boundary"), Some("fleetsweep-00000000000000000123456789abcdef"));
        assert_eq!(message.header_values("MIME-Version").count(), 1);
        assert_eq!(message.message_id(), Some("00000000-0000-0000-0123-456789abcdef@mon.example.com"));
    }

    #[test]
    fn no_file_name_writes_a_header() {
        for (name, expected) in [
            ("a\r\nBcc: eve@example.net", "a--Bcc--eve-example.net"),
            ("a\"; filename=\"b", "a---filename--b"),
            ("../../etc/passwd", "etc-passwd"),
            ("\r\n\r\n--fleetsweep-0000", "fleetsweep-0000"),
            ("ä\0\u{2028}", "attachment.txt"),
        ] {
            let letter = EncodedMail::new(&from(), &with_files(&[(name, "text\n")])).unwrap();
            let expected = [("", "body → body\n"), (expected, "text\n")].map(|(a, b)| (a.to_owned(), b.to_owned()));
            assert_eq!(received(&letter), expected, "{name:?}");
            let message = MessageParser::default().parse(&letter.content).unwrap();
            assert!(message.bcc().is_none());
            assert_eq!(message.headers().len(), 9, "{:?}", message.headers());
        }
    }

    #[test]
    fn a_mail_of_many_lines_takes_a_time_that_grows_with_them() {
        // Quadratic time would take minutes.
        let lines = "\n".repeat(4 << 20);
        let began = std::time::Instant::now();
        let letter = EncodedMail::new(&from(), &with_files(&[("one.txt", &lines)])).unwrap();
        assert!(letter.content.len() >= 8 << 20);
        EncodedMail::new(&from(), &mail("subject", &lines)).unwrap();
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "{:?}", began.elapsed());
    }

    #[test]
    fn lines_end_with_cr_lf_whatever_they_ended_with() {
        for (text, expected) in
            [("", ""), ("a", "a"), ("a\n", "a\r\n"), ("a\r\n\nb", "a\r\n\r\nb"), ("a\rb\n", "a\rb\r\n"), ("\r", "\r")]
        {
            assert_eq!(with_crlf(text), expected, "{text:?}");
        }
    }

    #[test]
    fn no_subject_writes_a_header() {
        for subject in
            ["a\r\nBcc: eve@example.net", "a\nBcc: eve@example.net", "a\r\n\r\nbody", "a\u{2028}Bcc: e@e", "a\0b"]
        {
            let letter = EncodedMail::new(&from(), &mail(subject, "body")).unwrap();
            let message = MessageParser::default().parse(&letter.content).unwrap();
            assert!(message.bcc().is_none());
            assert_eq!(message.headers().len(), 10, "{:?}", message.headers());
            assert_eq!(message.body_text(0).unwrap().trim_end(), "body");
        }
    }

    #[test]
    fn a_domain_beyond_ascii_goes_out_in_ascii_in_envelope_and_headers() {
        for (recipient, expected, beyond_ascii) in [
            ("ops@bücher.example", "ops@xn--bcher-kva.example", false),
            ("ops@BÜCHER.Example", "ops@xn--bcher-kva.example", false),
            ("ops@bu\u{308}cher.example", "ops@xn--bcher-kva.example", false),
            ("ops@例え.テスト", "ops@xn--r8jz45g.xn--zckzah", false),
            ("ops@Example.com", "ops@Example.com", false),
            ("öps@bücher.example", "öps@xn--bcher-kva.example", true),
        ] {
            let from: Mailbox = "Der Fegende <feger@straße.example>".parse().unwrap();
            let mail = Mail { recipient: recipient.into(), ..mail("subject", "body") };
            let letter = EncodedMail::new(&from, &mail).unwrap();
            assert_eq!(letter.to.to_string(), expected);
            assert_eq!(letter.from.to_string(), "feger@xn--strae-oqa.example");
            assert_eq!(letter.beyond_ascii(), beyond_ascii.then_some(&letter.to));
            assert_eq!(letter.content.is_ascii(), !beyond_ascii);
            let message = MessageParser::default().parse(&letter.content).unwrap();
            assert_eq!(message.to().unwrap().first().unwrap().address(), Some(expected));
            assert_eq!(message.from().unwrap().first().unwrap().address(), Some("feger@xn--strae-oqa.example"));
        }
    }

    #[test]
    fn what_is_no_address_is_no_recipient() {
        for recipient in ["", "ops", "ops@example.com\r\nBcc: eve@example.net", "ops@example.com, eve@example.net"] {
            let mail = Mail { recipient: recipient.into(), ..mail("subject", "body") };
            assert!(matches!(EncodedMail::new(&from(), &mail), Err(EncodeError::Recipient { .. })), "{recipient}");
        }
    }

    #[test]
    fn a_clock_before_the_epoch_does_no_harm() {
        let mail = Mail { created_at: Timestamp::MIN, ..mail("subject", "body") };
        assert!(EncodedMail::new(&from(), &mail).is_ok());
    }
}
