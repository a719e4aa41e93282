//! The dialogue with a server (RFC 5321): from connecting to the last reply for a mail. Each step has a deadline, and
//! the caller has one for the whole. The meaning of refusals is in `outcome`.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{
    auth::{Credentials, Mechanism},
    capabilities::Capabilities,
    connection::Connection,
    content::DotStuffed,
    failure::Failure,
    hello,
    mask::Mask,
    reply::Reply,
    tls::{self, Tls},
};
use crate::{
    config::Smtp,
    mail::{message::EncodedMail, outcome::Phase},
};

/// The time limit for connecting, for all addresses of a server together.
const CONNECTED_WITHIN: Duration = Duration::from_secs(20);

/// The least time for one of them.
const ONE_CONNECTED_WITHIN: Duration = Duration::from_secs(3);

/// How long a server that has stopped reading may take to send a reason.
const LAST_WORD_WITHIN: Duration = Duration::from_secs(1);

/// The time limit of the probe for TLS.
const PROBED_WITHIN: Duration = Duration::from_secs(3);

/// The port on which nearly all servers expect TLS from the first byte.
const TLS_PORT: u16 = 465;

/// Time limits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Of each step: TLS, or a command with its reply.
    pub(super) step: Duration,
    /// If a server has sent no greeting by then, a second connection probes whether it expects TLS. The first one is
    /// not used for that, because some servers delay the greeting intentionally and reject clients that send first.
    pub(super) probe_after: Duration,
}

/// The parameters of a dialogue.
pub(super) struct Server<'a> {
    pub(super) smtp: &'a Smtp,
    pub(super) tls: Option<&'a Tls>,
    pub(super) credentials: Option<&'a Credentials>,
    /// Our name for `EHLO`; `None` for the address.
    pub(super) name: Option<&'a str>,
    pub(super) limits: Limits,
}

/// A dialogue after the greeting and the login.
pub(super) struct Dialogue {
    connection: Connection,
    capabilities: Capabilities,
    limits: Limits,
    /// The largest mail that the configuration allows.
    most_bytes: u64,
}

impl Dialogue {
    /// Opens a connection and logs in. `during` is set to the current part.
    pub(super) async fn open(server: &Server<'_>, mask: &mut Mask, during: &mut Phase) -> Result<Self, Failure> {
        let limits = server.limits;
        *during = Phase::Connect;
        let (socket, address) = connect(&server.smtp.host, server.smtp.port).await?;
        let mut connection = Connection::new(socket);
        if let Some(tls) = server.tls
            && tls.begins_at_once()
        {
            connection = step(limits, connection.upgrade(tls)).await?;
            step(limits, greeting(&mut connection)).await?;
        } else {
            step(limits, greeting_in_clear(&mut connection, address, limits)).await?;
        }
        let literal = connection.local_address().map(hello::literal);
        let name = server.name.map(str::to_owned).or(literal).unwrap_or_else(|| "[127.0.0.1]".to_owned());
        let mut dialogue =
            Self { connection, capabilities: Capabilities::default(), limits, most_bytes: server.smtp.mail_size.0 };
        dialogue.introduce(&name).await?;
        if let Some(tls) = server.tls
            && !tls.begins_at_once()
        {
            *during = Phase::StartTls;
            dialogue = dialogue.start_tls(tls, &name).await?;
        }
        if let Some(credentials) = server.credentials {
            *during = Phase::Login;
            dialogue.log_in(credentials, server.tls.is_some(), mask).await?;
        }
        Ok(dialogue)
    }

    /// The largest mail that the server accepts, if it announces this.
    pub(super) fn limit_bytes(&self) -> Option<u64> {
        self.capabilities.limit_bytes()
    }

    async fn introduce(&mut self, name: &str) -> Result<(), Failure> {
        match self.command(&format!("EHLO {name}")).await {
            Ok(reply) => self.capabilities = Capabilities::parse(&reply),
            // It does not support EHLO.
            Err(Failure::Refused(reply)) if matches!(reply.code(), 500..=504) => {
                self.capabilities = Capabilities::default();
                self.command(&format!("HELO {name}")).await?;
            }
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    async fn start_tls(mut self, tls: &Tls, name: &str) -> Result<Self, Failure> {
        if !self.capabilities.starttls {
            return Err(Failure::NoStartTls);
        }
        self.command("STARTTLS").await?;
        let connection = step(self.limits, self.connection.upgrade(tls)).await?;
        // Capabilities from before TLS could come from an attacker.
        let mut dialogue = Self { connection, capabilities: Capabilities::default(), ..self };
        dialogue.introduce(name).await?;
        Ok(dialogue)
    }

    async fn log_in(&mut self, credentials: &Credentials, is_tls: bool, mask: &mut Mask) -> Result<(), Failure> {
        let offered = &self.capabilities.mechanisms;
        if offered.is_empty() {
            return Err(Failure::NoLogin { behind_tls: self.capabilities.starttls && !is_tls });
        }
        let mechanisms = Mechanism::offered(&self.capabilities, self.connection.is_private());
        let mut refused = Failure::NoMechanism(offered.clone());
        for mechanism in mechanisms {
            match self.log_in_by(mechanism, credentials, mask).await {
                // The server refuses this mechanism. Other refusals concern the password, and another attempt could
                // lock the account.
                Err(Failure::Refused(reply)) if matches!(reply.code(), 504 | 534) => refused = Failure::Refused(reply),
                ended => return ended,
            }
        }
        Err(refused)
    }

    async fn log_in_by(
        &mut self,
        mechanism: Mechanism,
        credentials: &Credentials,
        mask: &mut Mask,
    ) -> Result<(), Failure> {
        let mut reply = self.exchange(&credentials.command(mechanism)).await?;
        let mut answered = 0;
        while reply.code() == 334 {
            let Ok(answer) = credentials.answer(mechanism, answered, &reply.text(), mask) else {
                // Cancels the login.
                self.exchange("*").await?;
                return Err(Failure::BadChallenge { mechanism: mechanism.name() });
            };
            answered += 1;
            reply = self.exchange(&answer).await?;
        }
        accepted(reply)
    }

    /// Sends the sender, which begins a mail.
    pub(super) async fn name_sender(&mut self, letter: &EncodedMail) -> Result<(), Failure> {
        self.connection.renew_allowance();
        let bytes = letter.content.len() as u64;
        let (limit_bytes, is_ours) = match self.limit_bytes() {
            Some(announced) if announced <= self.most_bytes => (announced, false),
            Some(_) | None => (self.most_bytes, true),
        };
        if bytes > limit_bytes {
            return Err(Failure::TooLarge { bytes, limit_bytes, is_ours });
        }
        let mut command = format!("MAIL FROM:<{}>", letter.from);
        if self.capabilities.size.is_some() {
            command.push_str(&format!(" SIZE={bytes}"));
        }
        if self.capabilities.eight_bit_mime && !letter.content.is_ascii() {
            command.push_str(" BODY=8BITMIME");
        }
        if let Some(address) = letter.beyond_ascii() {
            if !self.capabilities.smtputf8 {
                let is_sender = *address == letter.from;
                return Err(Failure::NoSmtpUtf8 { address: address.to_string(), is_sender });
            }
            command.push_str(" SMTPUTF8");
        }
        self.command(&command).await.map(drop)
    }

    /// Sends the recipient and the content, and returns the last reply.
    pub(super) async fn hand_over(&mut self, letter: &EncodedMail, during: &mut Phase) -> Result<Reply, Failure> {
        *during = Phase::Recipient;
        self.command(&format!("RCPT TO:<{}>", letter.to)).await?;
        *during = Phase::Content;
        let reply = self.exchange("DATA").await?;
        if reply.code() != 354 {
            return Err(Failure::Refused(reply));
        }
        self.connection.expect_silence().await?;
        let (mut content, mut piece) = (DotStuffed::new(&letter.content), Vec::new());
        while content.next_piece(&mut piece) {
            if let Err(failure) = step(self.limits, self.connection.send(&piece)).await {
                return Err(self.last_word().await.unwrap_or(failure));
            }
        }
        // The server may need time for the mail, so the only limit is the deadline of the whole.
        let reply = self.connection.reply().await?;
        if is_success(&reply) { Ok(reply) } else { Err(Failure::Refused(reply)) }
    }

    /// Cancels a mail that was begun.
    pub(super) async fn reset(&mut self) -> Result<(), Failure> {
        self.connection.renew_allowance();
        self.command("RSET").await.map(drop)
    }

    /// Ends the dialogue.
    pub(super) async fn quit(mut self) -> Result<(), Failure> {
        self.connection.renew_allowance();
        self.command("QUIT").await?;
        self.connection.close().await;
        Ok(())
    }

    /// Sends a command that must succeed.
    async fn command(&mut self, line: &str) -> Result<Reply, Failure> {
        let reply = self.exchange(line).await?;
        if is_success(&reply) { Ok(reply) } else { Err(Failure::Refused(reply)) }
    }

    /// Sends a line and returns the reply.
    async fn exchange(&mut self, line: &str) -> Result<Reply, Failure> {
        if line.contains(['\r', '\n', '\0']) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a command of several lines is not sent").into());
        }
        let connection = &mut self.connection;
        step(self.limits, async {
            connection.expect_silence().await?;
            let mut bytes = secrecy::zeroize::Zeroizing::new(Vec::with_capacity(line.len() + 2));
            bytes.extend_from_slice(line.as_bytes());
            bytes.extend_from_slice(b"\r\n");
            connection.send(&bytes).await?;
            connection.reply().await
        })
        .await
    }

    /// The reason why the server has stopped reading, if it sends one.
    async fn last_word(&mut self) -> Option<Failure> {
        let reply = timeout(LAST_WORD_WITHIN, self.connection.reply()).await.ok()?.ok()?;
        (!is_success(&reply)).then_some(Failure::Refused(reply))
    }
}

async fn step<T>(limits: Limits, step: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    timeout(limits.step, step).await.unwrap_or(Err(Failure::TimedOut(limits.step)))
}

fn is_success(reply: &Reply) -> bool {
    (200..300).contains(&reply.code())
}

fn accepted(reply: Reply) -> Result<(), Failure> {
    if is_success(&reply) { Ok(()) } else { Err(Failure::Refused(reply)) }
}

/// Connects to the first address of a server that accepts the connection.
async fn connect(host: &str, port: u16) -> Result<(TcpStream, SocketAddr), Failure> {
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    let share = CONNECTED_WITHIN / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let mut failure = Failure::Broken(io::Error::new(io::ErrorKind::NotFound, "the host name has no address"));
    for address in addresses {
        let within = share.max(ONE_CONNECTED_WITHIN);
        match timeout(within, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => {
                socket.set_nodelay(true)?;
                return Ok((socket, address));
            }
            Ok(Err(error)) => failure = error.into(),
            Err(_) => failure = Failure::TimedOut(within),
        }
    }
    Err(failure)
}

async fn greeting(connection: &mut Connection) -> Result<(), Failure> {
    accepted(connection.reply().await?)
}

/// The greeting of a server without TLS. A server that sends nothing may expect TLS.
async fn greeting_in_clear(connection: &mut Connection, address: SocketAddr, limits: Limits) -> Result<(), Failure> {
    let silent_for = if address.port() == TLS_PORT { limits.probe_after / 4 } else { limits.probe_after };
    let waits_for_tls = async {
        tokio::time::sleep(silent_for).await;
        if !timeout(PROBED_WITHIN, speaks_tls(address)).await.unwrap_or(false) {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        greeted = greeting(connection) => greeted,
        () = waits_for_tls => Err(Failure::SpeaksTls),
    }
}

/// Whether a server replies to a TLS handshake with TLS.
async fn speaks_tls(address: SocketAddr) -> bool {
    let Some(hello) = tls::client_hello() else { return false };
    let probed = async {
        let mut socket = TcpStream::connect(address).await?;
        socket.write_all(&hello).await?;
        let mut first = [0; 2];
        socket.read_exact(&mut first).await?;
        io::Result::Ok(first)
    };
    probed.await.is_ok_and(|first| tls::is_record(&first))
}
