//! The SMTP client: sends mails one after the other over one connection, which is kept between them.
//!
//! The time, memory and work that a server can cause are bounded: the lines and length of replies are limited
//! ([`reply`]), a server may send only a limited amount per mail, and each step and the whole have deadlines.
//! Capabilities from before TLS are dropped, and unsolicited data ends the session.

use std::{fmt, time::Duration};

use secrecy::SecretString;
use tokio::time::{Instant, timeout};

use super::{
    message::EncodedMail,
    outcome::{Answer, DeferralScope, Phase, SendError},
};
use crate::{
    config::{Smtp, SmtpSecurity},
    fleet::{mail::Mail, reading::clean},
};

pub use setup::SetupError;

use auth::Credentials;
use dialogue::{Dialogue, Limits, Server};
use failure::Failure;
use mask::Mask;
use tls::Tls;

pub mod capabilities;
pub mod reply;

mod auth;
mod connection;
mod content;
mod dialogue;
mod failure;
mod hello;
mod mask;
mod metered;
mod setup;
#[cfg(test)]
mod tests;
mod tls;

/// How long one mail may take, from connecting to the server's last reply, in addition to the time for its bytes.
const DEADLINE: Duration = Duration::from_secs(60);

/// How long one step (a command with its reply) may take, except the last one.
const STEP: Duration = Duration::from_secs(40);

/// A server that has not sent its greeting by then may expect TLS. This is shorter than the time that a single run
/// waits for its mails, so that it can report the problem.
const PROBE_AFTER: Duration = Duration::from_secs(6);

/// The slowest connection on which a mail with large attachments still succeeds, in bytes per second.
const SLOWEST: u64 = 64 * 1024;

/// How long an idle connection is reused. Servers close idle connections after minutes, and firewalls drop them
/// silently.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// How long a kept connection may take to answer before it is replaced by a new one.
const KEPT_ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// How long `QUIT` may take.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

/// The longest message of a server that is kept, in characters.
const WORDS_CHARS: usize = 300;

/// The longest message of our own about a problem, in characters. It ends with the solution.
const OWN_WORDS_CHARS: usize = 500;

/// Sends mails to one SMTP server.
pub struct SmtpClient {
    smtp: Smtp,
    tls: Option<Tls>,
    credentials: Option<Credentials>,
    mask: Mask,
    /// The full host name of this machine, once it was looked up.
    full_name: Option<Option<String>>,
    limit_bytes: Option<u64>,
    deadline: Duration,
    limits: Limits,
    kept: Option<Kept>,
}

/// A connection between two mails.
struct Kept {
    dialogue: Dialogue,
    since: Instant,
    /// Whether a mail was begun but not ended.
    needs_reset: bool,
}

impl fmt::Debug for SmtpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpClient")
            .field("host", &self.smtp.host)
            .field("port", &self.smtp.port)
            .finish_non_exhaustive()
    }
}

impl SmtpClient {
    /// A client for a server. Opens no connection yet. `password` is that of the account in `smtp`, if there is one.
    ///
    /// # Errors
    /// [`SetupError`] if TLS cannot be set up.
    pub fn with_password(smtp: &Smtp, password: Option<&SecretString>) -> Result<Self, SetupError> {
        let tls = match smtp.security {
            SmtpSecurity::None => None,
            SmtpSecurity::StartTls => Some(Tls::new(smtp, false)?),
            SmtpSecurity::Tls => Some(Tls::new(smtp, true)?),
        };
        let login = smtp.login.as_ref().zip(password);
        let credentials = login.map(|(login, password)| Credentials::new(&login.username, password));
        let mask = credentials.as_ref().map(Credentials::mask).unwrap_or_default();
        Ok(Self {
            smtp: smtp.clone(),
            tls,
            credentials,
            mask,
            full_name: None,
            limit_bytes: None,
            deadline: DEADLINE,
            limits: Limits { step: STEP, probe_after: PROBE_AFTER },
            kept: None,
        })
    }

    /// Sets the deadline of each mail. The default is 60 s. Large mails get more time.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The largest mail that the server accepts, as it announced in the last connection. `None` if this is not known or
    /// there is no limit.
    #[must_use]
    pub fn announced_size(&self) -> Option<u64> {
        self.limit_bytes
    }

    /// Sends one mail. This takes no longer than the deadline, whatever the server does. Dropping the future closes the
    /// connection.
    ///
    /// # Errors
    /// [`SendError`]: deferred, too large or refused. If it was deferred without a reply of the server, the server may
    /// have accepted it. The next attempt has the same Message-ID.
    pub async fn send(&mut self, mail: &Mail) -> Result<Answer, SendError> {
        self.send_until(mail, std::future::pending()).await
    }

    /// Sends one mail, but stops if `end` comes before the server's reply.
    ///
    /// # Errors
    /// As [`send`](Self::send); an aborted mail is deferred.
    pub async fn send_until(&mut self, mail: &Mail, end: impl Future<Output = ()>) -> Result<Answer, SendError> {
        let letter = EncodedMail::new(&self.smtp.from, mail).map_err(|error| SendError::Refused {
            during: Phase::Content,
            words: self.speakable(&error.to_string(), OWN_WORDS_CHARS),
        })?;
        let mut during = Phase::Connect;
        let deadline = self.deadline + Duration::from_secs(letter.content.len() as u64 / SLOWEST);
        let patience = tokio::select! {
            biased;
            result = timeout(deadline, self.converse(&letter, &mut during)) => match result {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(failure)) => return Err(self.told(during, &failure)),
                Err(_) => format!("within {}", humantime::format_duration(deadline)),
            },
            () = end => "in the time that was left".to_owned(),
        };
        let words = format!("no answer from {} {patience}", self.server());
        Err(SendError::Deferred { during, concerns: DeferralScope::Server, words })
    }

    /// Sends `QUIT`. Should be called if there is nothing more to send for a while.
    pub async fn quit(&mut self) {
        if let Some(kept) = self.kept.take() {
            match timeout(LEAVE_WITHIN, kept.dialogue.quit()).await {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => {
                    tracing::debug!("the SMTP server did not take leave: {}", self.told(Phase::Connect, &failure));
                }
                Err(_) => tracing::debug!("the SMTP server did not answer to QUIT"),
            }
        }
    }

    /// Sends one mail. Keeps the connection if the server still replies.
    async fn converse(&mut self, letter: &EncodedMail, during: &mut Phase) -> Result<Answer, Failure> {
        let mut dialogue = self.dialogue_with_sender(letter, during).await?;
        match dialogue.hand_over(letter, during).await {
            Ok(reply) => {
                self.keep(dialogue, false);
                Ok(Answer(self.speakable(&reply.words(), WORDS_CHARS)))
            }
            Err(failure) => {
                if failure.leaves_connection() {
                    self.keep(dialogue, true);
                }
                Err(failure)
            }
        }
    }

    /// A dialogue in which the server has accepted the sender. If a kept connection fails, a new one is opened, because
    /// servers close idle connections and limit the number of mails per connection.
    async fn dialogue_with_sender(&mut self, letter: &EncodedMail, during: &mut Phase) -> Result<Dialogue, Failure> {
        if let Some(Kept { mut dialogue, since, needs_reset }) = self.kept.take()
            && since.elapsed() < KEPT_FOR
        {
            let begun = async {
                if needs_reset {
                    dialogue.reset().await?;
                }
                dialogue.name_sender(letter).await
            };
            match timeout(KEPT_ANSWERS_WITHIN, begun).await {
                Ok(Ok(())) => return Ok(dialogue),
                Ok(Err(failure @ (Failure::TooLarge { .. } | Failure::NoSmtpUtf8 { .. }))) => {
                    *during = Phase::Sender;
                    self.keep(dialogue, false);
                    return Err(failure);
                }
                Ok(Err(failure)) => {
                    let why = self.told(Phase::Sender, &failure);
                    tracing::debug!("a kept connection to the SMTP server is of no more use: {why}");
                }
                Err(_) => tracing::debug!("a kept connection to the SMTP server does not answer"),
            }
        }
        let mut dialogue = self.open(during).await?;
        *during = Phase::Sender;
        match dialogue.name_sender(letter).await {
            Ok(()) => Ok(dialogue),
            Err(failure) => {
                if failure.leaves_connection() {
                    self.keep(dialogue, false);
                }
                Err(failure)
            }
        }
    }

    async fn open(&mut self, during: &mut Phase) -> Result<Dialogue, Failure> {
        if self.smtp.helo.is_none() && self.full_name.is_none() {
            self.full_name = Some(hello::full_name().await);
        }
        let server = Server {
            smtp: &self.smtp,
            tls: self.tls.as_ref(),
            credentials: self.credentials.as_ref(),
            name: self.smtp.helo.as_deref().or(self.full_name.as_ref().and_then(Option::as_deref)),
            limits: self.limits,
        };
        let dialogue = Dialogue::open(&server, &mut self.mask, during).await?;
        self.limit_bytes = dialogue.limit_bytes();
        Ok(dialogue)
    }

    fn keep(&mut self, dialogue: Dialogue, needs_reset: bool) {
        self.kept = Some(Kept { dialogue, since: Instant::now(), needs_reset });
    }

    /// The meaning of a failure for the mail.
    fn told(&self, during: Phase, failure: &Failure) -> SendError {
        let longest = if matches!(failure, Failure::Refused(_)) { WORDS_CHARS } else { OWN_WORDS_CHARS };
        failure.told(during, &self.server(), self.limit_bytes, |words| self.speakable(words, longest))
    }

    fn server(&self) -> String {
        if self.smtp.host.contains(':') {
            format!("[{}]:{}", self.smtp.host, self.smtp.port)
        } else {
            format!("{}:{}", self.smtp.host, self.smtp.port)
        }
    }

    /// A text without control characters and secrets.
    fn speakable(&self, words: &str, longest: usize) -> String {
        clean(&self.mask.apply(&clean(words, usize::MAX)), longest)
    }
}
