//! The callbacks of the SSH library for a session: it checks the host key with [`super::host_key`], refuses all
//! requests of a server, and counts its messages.

use std::{sync::Arc, time::Instant};

use russh::{
    Channel, ChannelId, ChannelOpenFailure, Disconnect, Names,
    client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, RemoteDisconnectInfo, Session},
    keys::PublicKeyOrCertificate,
};
use tokio_util::sync::DropGuard;
use tracing::{Instrument as _, Span};

use super::{
    abuse::Abuse,
    algorithms::{self, AlgorithmSet, HostKeys},
    host_key::{HostKeyPurpose, Verified},
    known_as::KnownAs,
    known_hosts::KnownHosts,
    server_key::ServerKey,
    session_state::{Ending, SessionState},
    span, stream,
};
use crate::fleet::{ClientId, Failure};

/// The handler of one session.
pub(super) struct SessionHandler {
    pub(super) hosts: Arc<KnownHosts>,
    pub(super) client: ClientId,
    /// The name under which its host key is looked up.
    known_as: KnownAs,
    pub(super) purpose: HostKeyPurpose,
    /// The algorithms that are offered to the client.
    pub(super) offered: AlgorithmSet,
    pub(super) state: SessionState,
    /// The library runs a session in a separate task. Until its host key is accepted, its log lines belong to the span
    /// of the caller; afterwards to a span of the session, which other sweeps may use.
    connecting: Option<Span>,
    _ended: DropGuard,
}

/// The reason why this handler or the library ended a session.
#[derive(Debug)]
pub(super) enum EndReason {
    /// The host key was refused.
    Refused(Failure),
    /// The host key was seen, which was the purpose of the connection.
    KeySeen,
    /// The client showed behaviour that no honest one shows.
    Abuse(Abuse),
    /// The library's error.
    Ssh(russh::Error),
}

impl From<Abuse> for EndReason {
    fn from(abuse: Abuse) -> Self {
        Self::Abuse(abuse)
    }
}

impl From<russh::Error> for EndReason {
    fn from(error: russh::Error) -> Self {
        if let russh::Error::IO(error) = &error
            && let Some(abuse) = stream::abuse(error)
        {
            return Self::Abuse(abuse.clone());
        }
        Self::Ssh(error)
    }
}

impl SessionHandler {
    /// The handler of a new session.
    pub(super) fn new(
        hosts: Arc<KnownHosts>,
        client: ClientId,
        known_as: KnownAs,
        purpose: HostKeyPurpose,
        offered: AlgorithmSet,
    ) -> Self {
        let state = SessionState::new();
        let ended = state.ended.clone().drop_guard();
        Self { hosts, client, known_as, purpose, offered, state, connecting: Some(Span::current()), _ended: ended }
    }

    async fn judge(&mut self, key: &ServerKey) -> Result<(), EndReason> {
        let span = self.connecting.take().unwrap_or_else(|| span::of_session(&self.client));
        let judging = self.purpose.judge(&self.hosts, &self.known_as, key).instrument(span);
        let outcome = judging.await.map_err(EndReason::Refused)?;
        match outcome {
            Verified::LogIn => Ok(()),
            Verified::KeySeen => Err(EndReason::KeySeen),
        }
    }

    /// The host keys that are offered to the client, in the order of the current `known_hosts` file.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub(super) fn host_keys(&self) -> Result<HostKeys, Failure> {
        self.purpose.offered(&self.hosts, &self.known_as, self.offered)
    }

    fn channel_opened(&self) -> Result<(), EndReason> {
        span::of_session(&self.client)
            .in_scope(|| tracing::debug!("the client opened a channel to us and was refused"));
        Ok(self.state.allowance.channel_opened()?)
    }
}

/// By default, the library accepts all channels that a server opens. Each of these functions refuses it by dropping
/// `reply`.
impl Handler for SessionHandler {
    type Error = EndReason;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, EndReason> {
        let shown = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => ServerKey::Key(key.clone()),
            PublicKeyOrCertificate::Certificate(certificate) => ServerKey::Certificate(Box::new(certificate.clone())),
        };
        self.judge(&shown).await?;
        self.state.host_key.get_or_init(|| shown);
        Ok(true)
    }

    async fn auth_banner(&mut self, banner: &str, _session: &mut Session) -> Result<(), EndReason> {
        self.state.texts.note(banner);
        Ok(())
    }

    async fn kex_done(
        &mut self,
        _secret: Option<&[u8]>,
        names: &Names,
        _session: &mut Session,
    ) -> Result<(), EndReason> {
        Ok(self.state.allowance.keys_exchanged(algorithms::effort(names.kex), Instant::now())?)
    }

    async fn channel_open_confirmation(
        &mut self,
        _id: ChannelId,
        max_packet_size: u32,
        _window_size: u32,
        _session: &mut Session,
    ) -> Result<(), EndReason> {
        Ok(self.state.allowance.channel_confirmed(max_packet_size)?)
    }

    async fn channel_open_failure(
        &mut self,
        _id: ChannelId,
        _reason: ChannelOpenFailure,
        description: &str,
        _language: &str,
        _session: &mut Session,
    ) -> Result<(), EndReason> {
        self.state.refusals.note(description);
        Ok(())
    }

    async fn data(&mut self, channel: ChannelId, data: &[u8], _session: &mut Session) -> Result<(), EndReason> {
        let (allowance, bytes) = (&self.state.allowance, data.len());
        Ok(if self.state.carried.contains(channel) { allowance.carried(bytes) } else { allowance.output(bytes) }?)
    }

    async fn extended_data(
        &mut self,
        _channel: ChannelId,
        _ext: u32,
        data: &[u8],
        _session: &mut Session,
    ) -> Result<(), EndReason> {
        Ok(self.state.allowance.output(data.len())?)
    }

    async fn server_channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), EndReason> {
        self.channel_opened()
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _host_to_connect: &str,
        _port_to_connect: u32,
        _originator_address: &str,
        _originator_port: u32,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), EndReason> {
        self.channel_opened()
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _socket_path: &str,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), EndReason> {
        self.channel_opened()
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _connected_address: &str,
        _connected_port: u32,
        _originator_address: &str,
        _originator_port: u32,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), EndReason> {
        self.channel_opened()
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _socket_path: &str,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), EndReason> {
        self.channel_opened()
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _channel: Channel<Msg>,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), EndReason> {
        self.channel_opened()
    }

    async fn server_channel_open_x11(
        &mut self,
        _channel: Channel<Msg>,
        _originator_address: &str,
        _originator_port: u32,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), EndReason> {
        self.channel_opened()
    }

    /// Accepted here, so that it is refused and counted like the others.
    async fn should_accept_unknown_server_channel(&mut self, _id: ChannelId, _channel_type: &str) -> bool {
        true
    }

    async fn server_channel_open_unknown(
        &mut self,
        _channel: Channel<Msg>,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), EndReason> {
        self.channel_opened()
    }

    async fn disconnected(&mut self, reason: DisconnectReason<EndReason>) -> Result<(), EndReason> {
        let ending = match reason {
            DisconnectReason::ReceivedDisconnect(RemoteDisconnectInfo {
                reason_code:
                    Disconnect::HostNotAllowedToConnect
                    | Disconnect::AuthCancelledByUser
                    | Disconnect::NoMoreAuthMethodsAvailable
                    | Disconnect::IllegalUserName,
                message,
                ..
            }) => Ending::LoginRefused(message),
            DisconnectReason::ReceivedDisconnect(RemoteDisconnectInfo {
                reason_code: Disconnect::ProtocolError | Disconnect::ServiceNotAvailable | Disconnect::ByApplication,
                message,
                ..
            }) => Ending::Farewell(message),
            DisconnectReason::ReceivedDisconnect(said) => Ending::Message(said.message),
            DisconnectReason::Error(EndReason::Abuse(abuse)) => {
                span::of_session(&self.client).in_scope(|| tracing::warn!("the session was ended: {abuse}"));
                Ending::Abuse(abuse)
            }
            DisconnectReason::Error(EndReason::Ssh(russh::Error::KeepaliveTimeout)) => {
                Ending::Message("it no longer answered".to_owned())
            }
            DisconnectReason::Error(EndReason::Ssh(russh::Error::NoAuthMethod)) => Ending::NoFurtherMethod,
            // The connection ended without a further reason.
            DisconnectReason::Error(EndReason::Ssh(russh::Error::Disconnect | russh::Error::HUP)) => return Ok(()),
            DisconnectReason::Error(EndReason::Ssh(russh::Error::IO(error)))
                if error.kind() == std::io::ErrorKind::UnexpectedEof =>
            {
                return Ok(());
            }
            DisconnectReason::Error(EndReason::Ssh(russh::Error::IO(error))) => Ending::Message(error.to_string()),
            DisconnectReason::Error(EndReason::Ssh(error)) => Ending::Unsound(error.to_string()),
            DisconnectReason::Error(EndReason::Refused(_) | EndReason::KeySeen) => return Ok(()),
        };
        self.state.ending.note(ending);
        Ok(())
    }
}
