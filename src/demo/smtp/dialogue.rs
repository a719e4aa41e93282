//! The server's side of an SMTP session: input lines and replies. Pure.

/// The most recipients of one mail.
const MAX_RECIPIENTS: usize = 100;

/// The longest mail.
const MAX_MAIL_BYTES: usize = 4 * 1024 * 1024;

/// A mail as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedMail {
    /// The sender of the envelope; empty for a bounce.
    pub from: String,
    /// The recipients of the envelope.
    pub recipients: Vec<String>,
    /// Headers and body, without dot-stuffing, with lines ending in CR LF.
    pub content: Vec<u8>,
}

/// A step of an SMTP session that a server can refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpStep {
    /// The greeting, before the client has sent anything.
    Greeting,
    /// `HELO` or `EHLO`.
    Hello,
    /// `MAIL FROM`.
    Sender,
    /// `RCPT TO`.
    Recipient,
    /// `DATA`, before the mail itself.
    Data,
    /// The end of the mail.
    Content,
}

/// A step that the server refuses, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The refused step.
    pub at: SmtpStep,
    /// The reply code: 4xx for a temporary failure, 5xx for a permanent one.
    pub code: u16,
}

/// The next action of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Sends these lines.
    Say(String),
    /// Sends these lines and closes the connection.
    SayAndClose(String),
    /// Stores the mail, then sends these lines.
    Keep(ReceivedMail, String),
    /// Reads the next line, because the mail has not ended.
    ReadOn,
}

fn say(code: u16, words: &str) -> Answer {
    Answer::Say(format!("{code} {words}\r\n"))
}

/// The state of a session.
#[derive(Debug, Default)]
enum State {
    /// No mail has begun.
    #[default]
    Idle,
    /// `MAIL FROM` was accepted.
    Envelope { from: String, recipients: Vec<String> },
    /// `DATA` was accepted.
    Content { mail: ReceivedMail, too_long: bool },
}

/// The state of one session.
#[derive(Debug, Default)]
pub(super) struct Dialogue {
    introduced: bool,
    state: State,
}

impl Dialogue {
    /// The greeting.
    pub(super) fn greet(refusal: Option<Refusal>) -> Answer {
        refused(refusal, SmtpStep::Greeting).unwrap_or_else(|| say(220, "sink.localhost ESMTP, mails end here"))
    }

    /// The answer to a line. The line has no line end.
    pub(super) fn line(&mut self, line: &[u8], refusal: Option<Refusal>) -> Answer {
        match std::mem::take(&mut self.state) {
            State::Content { mail, too_long } => self.content(mail, too_long, line, refusal),
            state @ (State::Idle | State::Envelope { .. }) => {
                self.state = state;
                match std::str::from_utf8(line) {
                    Ok(text) => self.command(text.trim_end(), refusal),
                    Err(_) => say(500, "5.5.2 not understood"),
                }
            }
        }
    }

    fn command(&mut self, line: &str, refusal: Option<Refusal>) -> Answer {
        let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => self.hello(refusal, "250-sink.localhost\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"),
            "HELO" => self.hello(refusal, "250 sink.localhost\r\n"),
            "MAIL" => self.sender(argument, refusal),
            "RCPT" => self.recipient(argument, refusal),
            "DATA" => self.data(refusal),
            "RSET" => {
                self.state = State::Idle;
                say(250, "2.0.0 forgotten")
            }
            "NOOP" => say(250, "2.0.0 nothing done"),
            "QUIT" => Answer::SayAndClose("221 2.0.0 goodbye\r\n".to_owned()),
            _ => say(502, "5.5.1 no such command here"),
        }
    }

    fn hello(&mut self, refusal: Option<Refusal>, lines: &str) -> Answer {
        refused(refusal, SmtpStep::Hello).unwrap_or_else(|| {
            self.introduced = true;
            self.state = State::Idle;
            Answer::Say(lines.to_owned())
        })
    }

    fn sender(&mut self, argument: &str, refusal: Option<Refusal>) -> Answer {
        if !self.introduced || !matches!(self.state, State::Idle) {
            return say(503, "5.5.1 not now");
        }
        let Some(from) = address(argument, "FROM:") else { return say(501, "5.5.4 write MAIL FROM:<address>") };
        refused(refusal, SmtpStep::Sender).unwrap_or_else(|| {
            self.state = State::Envelope { from, recipients: Vec::new() };
            say(250, "2.1.0 sender accepted")
        })
    }

    fn recipient(&mut self, argument: &str, refusal: Option<Refusal>) -> Answer {
        let State::Envelope { recipients, .. } = &mut self.state else { return say(503, "5.5.1 not now") };
        let Some(to) = address(argument, "TO:").filter(|to| !to.is_empty()) else {
            return say(501, "5.5.4 write RCPT TO:<address>");
        };
        if recipients.len() >= MAX_RECIPIENTS {
            return say(452, "4.5.3 too many recipients");
        }
        refused(refusal, SmtpStep::Recipient).unwrap_or_else(|| {
            recipients.push(to);
            say(250, "2.1.5 recipient accepted")
        })
    }

    fn data(&mut self, refusal: Option<Refusal>) -> Answer {
        match std::mem::take(&mut self.state) {
            State::Envelope { from, recipients } if !recipients.is_empty() => {
                if let Some(answer) = refused(refusal, SmtpStep::Data) {
                    return answer;
                }
                let mail = ReceivedMail { from, recipients, content: Vec::new() };
                self.state = State::Content { mail, too_long: false };
                say(354, "go on, a line with a dot alone ends it")
            }
            state @ (State::Idle | State::Envelope { .. } | State::Content { .. }) => {
                self.state = state;
                say(503, "5.5.1 not now")
            }
        }
    }

    fn content(&mut self, mut mail: ReceivedMail, too_long: bool, line: &[u8], refusal: Option<Refusal>) -> Answer {
        if line == b"." {
            return match refused(refusal, SmtpStep::Content) {
                Some(answer) => answer,
                None if too_long => say(552, "5.3.4 too long a mail"),
                None => Answer::Keep(mail, "250 2.0.0 kept\r\n".to_owned()),
            };
        }
        let line = line.strip_prefix(b".").unwrap_or(line);
        let too_long = too_long || mail.content.len() + line.len() + 2 > MAX_MAIL_BYTES;
        if !too_long {
            mail.content.extend_from_slice(line);
            mail.content.extend_from_slice(b"\r\n");
        }
        self.state = State::Content { mail, too_long };
        Answer::ReadOn
    }
}

fn refused(refusal: Option<Refusal>, now: SmtpStep) -> Option<Answer> {
    refusal.filter(|refusal| refusal.at == now).map(|Refusal { code, .. }| {
        let class = code / 100;
        say(code, &format!("{class}.3.0 refused on purpose"))
    })
}

/// The address in `FROM:<a@b> SIZE=…`. The keyword is not case-sensitive.
fn address(argument: &str, keyword: &str) -> Option<String> {
    let (head, rest) = argument.split_at_checked(keyword.len())?;
    if !head.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let (address, _parameters) = rest.trim_start().strip_prefix('<')?.split_once('>')?;
    Some(address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reply codes to these lines, and the mails that were stored.
    fn converse(lines: &[&str], refusal: Option<Refusal>) -> (Vec<String>, Vec<ReceivedMail>) {
        let mut dialogue = Dialogue::default();
        let (mut codes, mut mails) = (Vec::new(), Vec::new());
        let greeting = Dialogue::greet(refusal);
        for answer in std::iter::once(greeting).chain(lines.iter().map(|line| dialogue.line(line.as_bytes(), refusal)))
        {
            let said = match answer {
                Answer::Say(said) => said,
                Answer::SayAndClose(said) => said.replace(' ', "!"),
                Answer::Keep(mail, said) => {
                    mails.push(mail);
                    said
                }
                Answer::ReadOn => continue,
            };
            codes.push(said.trim_end().chars().take(4).collect::<String>().trim_end().to_owned());
        }
        (codes, mails)
    }

    const WHOLE: [&str; 9] =
        ["EHLO me", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "DATA", "Subject: x", "", "..dot", ".", "QUIT"];

    #[test]
    fn a_mail_is_kept_with_its_envelope_and_its_dots() {
        let (codes, mails) = converse(&WHOLE, None);
        assert_eq!(codes, ["220", "250-", "250", "250", "354", "250", "221!"]);
        assert_eq!(
            mails,
            [ReceivedMail {
                from: "a@b".into(),
                recipients: vec!["c@d".into()],
                content: b"Subject: x\r\n\r\n.dot\r\n".to_vec(),
            }]
        );
    }

    #[test]
    fn each_moment_can_refuse() {
        for (at, position) in [
            (SmtpStep::Greeting, 0),
            (SmtpStep::Hello, 1),
            (SmtpStep::Sender, 2),
            (SmtpStep::Recipient, 3),
            (SmtpStep::Data, 4),
            (SmtpStep::Content, 5),
        ] {
            for code in [451, 550] {
                let (codes, mails) = converse(&WHOLE, Some(Refusal { at, code }));
                assert_eq!(codes[position], code.to_string(), "{at:?}");
                assert_eq!(mails.len(), usize::from(at == SmtpStep::Greeting), "{at:?}");
            }
        }
    }

    #[test]
    fn lines_out_of_order_or_out_of_shape_are_answered_and_change_nothing() {
        for (lines, expected) in [
            (vec!["MAIL FROM:<a@b>"], "503"),
            (vec!["EHLO me", "RCPT TO:<c@d>"], "503"),
            (vec!["EHLO me", "DATA"], "503"),
            (vec!["EHLO me", "MAIL FROM:<a@b>", "DATA"], "503"),
            (vec!["EHLO me", "MAIL FROM:<a@b>", "MAIL FROM:<a@b>"], "503"),
            (vec!["EHLO me", "MAIL FROM:<a@b>", "RSET", "RCPT TO:<c@d>"], "503"),
            (vec!["EHLO me", "MAIL a@b"], "501"),
            (vec!["EHLO me", "MAIL FROM:a@b"], "501"),
            (vec!["EHLO me", "MAIL FROM:<a@b>", "RCPT TO:<>"], "501"),
            (vec!["EHLO me", "mail from:<> SIZE=10"], "250"),
            (vec!["HELO me", "noop"], "250"),
            (vec!["VRFY root"], "502"),
            (vec![""], "502"),
        ] {
            let (codes, mails) = converse(&lines, None);
            assert_eq!(codes.last().map(String::as_str), Some(expected), "{lines:?}");
            assert!(mails.is_empty());
        }
        assert_eq!(Dialogue::default().line(b"\xff\xfe", None), say(500, "5.5.2 not understood"));
    }

    #[test]
    fn a_connection_carries_several_mails() {
        let lines: Vec<&str> = WHOLE[..8].iter().chain(&WHOLE[1..]).copied().collect();
        assert_eq!(converse(&lines, None).1.len(), 2);
    }

    #[test]
    fn too_many_recipients_and_too_long_a_mail_are_refused() {
        let mut lines = vec!["EHLO me", "MAIL FROM:<a@b>"];
        lines.extend(std::iter::repeat_n("RCPT TO:<c@d>", MAX_RECIPIENTS + 1));
        assert_eq!(converse(&lines, None).0.last().unwrap(), "452");

        let line = "x".repeat(60_000);
        let mut lines = vec!["EHLO me", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "DATA"];
        lines.extend(std::iter::repeat_n(line.as_str(), MAX_MAIL_BYTES / 60_000 + 1));
        lines.extend(["."]);
        let (codes, mails) = converse(&lines, None);
        assert_eq!((codes.last().unwrap().as_str(), mails.len()), ("552", 0));
    }
}
