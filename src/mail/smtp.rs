//! Hands mails to the SMTP server, one after the other over one connection that is kept between them.
//! Tells what is the mail's fault from what is the server's. Not the outbox, not when to try again.

use std::{error::Error, fmt, time::Duration};

use lettre::transport::smtp::{
    Error as SmtpError,
    authentication::{Credentials, Mechanism},
    client::{AsyncSmtpConnection, TlsParameters},
    commands,
    extension::{ClientId, Extension, MailBodyParameter, MailParameter},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout};

use crate::{
    config::{Smtp, SmtpSecurity},
    fleet::{mail::Mail, reading::clean},
};

use super::{
    message::Letter,
    outcome::{Answer, Concerns, EnhancedCode, Phase, SendError, refusal},
};

#[cfg(test)]
mod tests;

/// How long one mail may take, from connecting to the server's last word, beside the time for its bytes.
const DEADLINE: Duration = Duration::from_secs(60);

/// The slowest way to a server on which a mail with large attachments still arrives, in bytes a second.
const SLOWEST: u64 = 64 * 1024;

/// How long a connection without work is used again. Servers close idle ones after minutes; firewalls
/// forget them in silence.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// How soon a kept connection has to answer before it is given up for a new one.
const KEPT_ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// How long taking leave may take.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

/// The longest words of a server that are kept, in characters.
const WORDS_CHARS: usize = 300;

/// Hands mails to one SMTP server.
pub struct SmtpClient {
    smtp: Smtp,
    tls: Option<TlsParameters>,
    login: Option<Login>,
    deadline: Duration,
    kept: Option<Kept>,
}

/// A connection between two mails.
struct Kept {
    connection: AsyncSmtpConnection,
    since: Instant,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// TLS cannot be set up: the system's certificates cannot be used.
    #[error("TLS for the SMTP server {host} cannot be set up")]
    Tls {
        /// The server.
        host: String,
        /// Why.
        #[source]
        source: SmtpError,
    },
}

/// An account, and what of it must not be shown.
struct Login {
    credentials: Credentials,
    /// The password and the forms in which it travels: a server may say our own lines back to us.
    unspeakable: Vec<String>,
}

impl Login {
    fn new(username: &str, password: &SecretString) -> Self {
        use base64ct::{Base64, Encoding};
        let password = password.expose_secret();
        let mut unspeakable = vec![
            Base64::encode_string(format!("\0{username}\0{password}").as_bytes()),
            Base64::encode_string(password.as_bytes()),
            password.to_owned(),
        ];
        unspeakable.retain(|secret| !secret.is_empty());
        Self { credentials: Credentials::new(username.to_owned(), password.to_owned()), unspeakable }
    }
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
    /// A client for a server; contacts nothing yet. `password` is that of the account in `smtp`, where
    /// there is one.
    ///
    /// # Errors
    /// [`SetupError`] where TLS cannot be set up.
    pub fn with_password(smtp: &Smtp, password: Option<&SecretString>) -> Result<Self, SetupError> {
        let tls = match smtp.security {
            SmtpSecurity::None => None,
            SmtpSecurity::StartTls | SmtpSecurity::Tls => Some(
                TlsParameters::new(smtp.host.clone())
                    .map_err(|source| SetupError::Tls { host: smtp.host.clone(), source })?,
            ),
        };
        let login = smtp.login.as_ref().zip(password).map(|(login, password)| Login::new(&login.username, password));
        Ok(Self { smtp: smtp.clone(), tls, login, deadline: DEADLINE, kept: None })
    }

    /// The same with another deadline for each mail (60 s unless told); large ones get more.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Hands one mail over. It takes no longer than the deadline, whatever the server does. Dropped in
    /// between, it closes the connection.
    ///
    /// # Errors
    /// [`SendError`]: deferred or refused. After a deferral for lack of an answer the server may have the
    /// mail; the next try carries the same Message-ID.
    pub async fn send(&mut self, mail: &Mail) -> Result<Answer, SendError> {
        self.send_until(mail, std::future::pending()).await
    }

    /// The same, given up when `end` is there before the server's answer.
    ///
    /// # Errors
    /// As [`send`](Self::send); a mail that is given up is deferred.
    pub async fn send_until(&mut self, mail: &Mail, end: impl Future<Output = ()>) -> Result<Answer, SendError> {
        let letter = Letter::new(&self.smtp.from, mail).map_err(|error| SendError::Refused {
            during: Phase::Content,
            words: self.speakable(&error.to_string()),
        })?;
        let mut during = Phase::Connect;
        let deadline = self.deadline + Duration::from_secs(letter.content.len() as u64 / SLOWEST);
        let patience = tokio::select! {
            biased;
            result = timeout(deadline, self.converse(&letter, &mut during)) => match result {
                Ok(result) => return result,
                Err(_) => format!("within {}", humantime::format_duration(deadline)),
            },
            () = end => "in the time that was left".to_owned(),
        };
        let words = format!("no answer from {} {patience}", self.server());
        Err(SendError::Deferred { during, concerns: Concerns::Server, words })
    }

    /// Takes leave of the server. To be called when there is nothing more to send for a while.
    pub async fn quit(&mut self) {
        if let Some(mut kept) = self.kept.take() {
            match timeout(LEAVE_WITHIN, kept.connection.quit()).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::debug!("the SMTP server had closed the connection already: {error}"),
                Err(_) => tracing::debug!("the SMTP server did not answer to QUIT"),
            }
        }
    }

    /// One mail, one conversation. Keeps the connection where the server still answers on it.
    async fn converse(&mut self, letter: &Letter, during: &mut Phase) -> Result<Answer, SendError> {
        let mut connection = self.connection_with_sender(letter, during).await?;
        match hand_over(&mut connection, letter, during).await {
            Ok(answer) => {
                self.keep(connection);
                Ok(Answer(self.speakable(&answer)))
            }
            Err(error) => {
                let error_told = self.told(*during, &error);
                let lives_on = error.status().is_some_and(|code| u16::from(code) != 421);
                if lives_on && connection.command(commands::Rset).await.is_ok() {
                    self.keep(connection);
                }
                Err(error_told)
            }
        }
    }

    /// A connection on which the server has taken the sender. A kept one that does not is no failure:
    /// servers close idle connections, and limit how many mails one may carry.
    async fn connection_with_sender(
        &mut self,
        letter: &Letter,
        during: &mut Phase,
    ) -> Result<AsyncSmtpConnection, SendError> {
        if let Some(Kept { mut connection, since }) = self.kept.take()
            && since.elapsed() < KEPT_FOR
        {
            match timeout(KEPT_ANSWERS_WITHIN, name_sender(&mut connection, letter)).await {
                Ok(Ok(())) => return Ok(connection),
                Ok(Err(error)) => tracing::debug!("a kept connection to the SMTP server is of no more use: {error}"),
                Err(_) => tracing::debug!("a kept connection to the SMTP server does not answer"),
            }
        }
        let mut connection = self.connect(during).await?;
        *during = Phase::Sender;
        match name_sender(&mut connection, letter).await {
            Ok(()) => Ok(connection),
            Err(error) => Err(self.told(*during, &error)),
        }
    }

    async fn connect(&self, during: &mut Phase) -> Result<AsyncSmtpConnection, SendError> {
        let name = ClientId::default();
        *during = Phase::Connect;
        let wrapped = match self.smtp.security {
            SmtpSecurity::Tls => self.tls.clone(),
            SmtpSecurity::None | SmtpSecurity::StartTls => None,
        };
        let server = (self.smtp.host.as_str(), self.smtp.port);
        let mut connection = AsyncSmtpConnection::connect_tokio1(server, None, &name, wrapped, None)
            .await
            .map_err(|error| self.told(*during, &error))?;
        if self.smtp.security == SmtpSecurity::StartTls
            && let Some(tls) = &self.tls
        {
            *during = Phase::StartTls;
            connection.starttls(tls.clone(), &name).await.map_err(|error| self.told(*during, &error))?;
        }
        if let Some(login) = &self.login {
            *during = Phase::Login;
            connection
                .auth(&[Mechanism::Plain, Mechanism::Login], &login.credentials)
                .await
                .map_err(|error| self.told(*during, &error))?;
        }
        Ok(connection)
    }

    fn keep(&mut self, connection: AsyncSmtpConnection) {
        self.kept = Some(Kept { connection, since: Instant::now() });
    }

    /// What an error means for the mail.
    fn told(&self, during: Phase, error: &SmtpError) -> SendError {
        let said = cause(error).map(ToString::to_string);
        let status = error.status().map(u16::from);
        let words = match (status, said) {
            (Some(status), Some(said)) => self.speakable(&format!("{status} {said}")),
            (Some(status), None) => status.to_string(),
            (None, Some(said)) => self.speakable(&format!("{}: {said}", self.server())),
            (None, None) => self.speakable(&format!("{}: {error}", self.server())),
        };
        match status {
            Some(status) => {
                let text = cause(error).map(ToString::to_string).unwrap_or_default();
                let (enhanced, text) = EnhancedCode::split(&text);
                refusal(during, status, enhanced, text, words, None)
            }
            None => SendError::Deferred { during, concerns: Concerns::Server, words },
        }
    }

    /// The largest mail that the server takes, as it announced when last asked; `None` where that is not known, or
    /// where it names no limit.
    #[must_use]
    pub fn announced_size(&self) -> Option<u64> {
        None
    }

    fn server(&self) -> String {
        if self.smtp.host.contains(':') {
            format!("[{}]:{}", self.smtp.host, self.smtp.port)
        } else {
            format!("{}:{}", self.smtp.host, self.smtp.port)
        }
    }

    /// `words` cleaned, and without what must not be shown.
    fn speakable(&self, words: &str) -> String {
        let mut words = words.to_owned();
        for secret in self.login.iter().flat_map(|login| &login.unspeakable) {
            words = words.replace(secret, "[password]");
        }
        clean(&words, WORDS_CHARS)
    }
}

/// What lies beneath an error of lettre: what the server said, or what went wrong in the system. Lettre's
/// own layers say nothing more.
fn cause(error: &SmtpError) -> Option<&(dyn Error + 'static)> {
    let mut cause = error.source();
    while let Some(layer) = cause.and_then(|cause| cause.downcast_ref::<SmtpError>()) {
        cause = layer.source();
    }
    cause
}

async fn name_sender(connection: &mut AsyncSmtpConnection, letter: &Letter) -> Result<(), SmtpError> {
    let mut parameters = Vec::new();
    // Where the server knows no SMTPUTF8, what it thinks of such an address it says when it is named.
    if letter.needs_smtputf8() && connection.server_info().supports_feature(Extension::SmtpUtfEight) {
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if !letter.content.is_ascii() && connection.server_info().supports_feature(Extension::EightBitMime) {
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    connection.command(commands::Mail::new(Some(letter.from.clone()), parameters)).await.map(drop)
}

/// From the recipient to the server's last word, which is given back.
async fn hand_over(
    connection: &mut AsyncSmtpConnection,
    letter: &Letter,
    during: &mut Phase,
) -> Result<String, SmtpError> {
    *during = Phase::Recipient;
    connection.command(commands::Rcpt::new(letter.to.clone(), Vec::new())).await?;
    *during = Phase::Content;
    connection.command(commands::Data).await?;
    // The content is no command, but it goes the same way: what is sent, then what is answered.
    let response = connection.command(letter.data()).await?;
    let lines: Vec<&str> = response.message().collect();
    Ok(format!("{} {}", response.code(), lines.join(" ")))
}
