//! One SSH session of a demo server: the login and the start of commands.

use std::{borrow::Cow, collections::HashMap};

use russh::{
    Channel, ChannelId, ChannelOpenFailure, Disconnect, MethodKind, MethodSet,
    keys::PublicKey,
    server::{Auth, ChannelOpenHandle, Handle, Handler, Msg, PublicKeyOffer, Response, Session, VerifiedPublicKey},
};
use secrecy::{ExposeSecret, SecretString};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::command::{self, CommandContext};

/// The most open channels of a session. More are refused, as by sshd's `MaxSessions`.
const MAX_CHANNELS: usize = 10;

/// The account of a demo server.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its name.
    pub username: String,
    /// Its password and the method for it; `None` if only keys are accepted.
    pub password: Option<(PasswordMethod, SecretString)>,
    /// The accepted keys.
    pub authorized_keys: Vec<PublicKey>,
}

/// The SSH authentication method for a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordMethod {
    /// `password`.
    Password,
    /// `keyboard-interactive` with one question.
    KeyboardInteractive,
}

impl Account {
    fn has_password(&self, method: PasswordMethod, given: &str) -> bool {
        self.password.as_ref().is_some_and(|(how, password)| *how == method && password.expose_secret() == given)
    }

    /// The authentication methods that it accepts.
    pub(super) fn methods(&self) -> MethodSet {
        let mut methods = MethodSet::empty();
        if !self.authorized_keys.is_empty() {
            methods.push(MethodKind::PublicKey);
        }
        match self.password {
            Some((PasswordMethod::Password, _)) => methods.push(MethodKind::Password),
            Some((PasswordMethod::KeyboardInteractive, _)) => methods.push(MethodKind::KeyboardInteractive),
            None => (),
        }
        methods
    }
}

/// The server's side of one session.
pub(super) struct SessionHandler {
    account: Account,
    context: CommandContext,
    commands: TaskTracker,
    over: CancellationToken,
    channels: HashMap<ChannelId, OpenChannel>,
    uploaded_bytes: u64,
}

struct OpenChannel {
    /// Taken by the command that runs on it.
    idle: Option<Channel<Msg>>,
    over: CancellationToken,
}

impl SessionHandler {
    /// A session whose commands are tracked by `commands` and end when `over` is cancelled.
    pub(super) fn new(
        account: Account,
        context: CommandContext,
        commands: TaskTracker,
        over: CancellationToken,
    ) -> Self {
        Self { account, context, commands, over, channels: HashMap::new(), uploaded_bytes: 0 }
    }

    fn knows(&self, key: &PublicKey) -> bool {
        self.account.authorized_keys.iter().any(|known| known.key_data() == key.key_data())
    }

    async fn judge(&self, user: &str, right: bool) -> Auth {
        if let Some(agent) = &self.context.agent {
            tokio::time::sleep(agent.delays().login).await;
        }
        if right && user == self.account.username && !self.context.settings.refuses_login {
            Auth::Accept
        } else {
            Auth::reject()
        }
    }

    fn end_channel(&mut self, id: ChannelId) {
        if let Some(channel) = self.channels.remove(&id) {
            channel.over.cancel();
        }
    }

    /// Starts a command on an idle channel. Returns whether it was started.
    fn start(&mut self, id: ChannelId, command: &[u8], session: Handle) -> bool {
        if self.context.settings.refuses_commands {
            return false;
        }
        let Some(channel) = self.channels.get_mut(&id) else { return false };
        let Some(idle) = channel.idle.take() else { return false };
        let (reader, writer) = idle.split();
        let request =
            command::Request { command: command.to_vec(), reader, writer, session, over: channel.over.clone() };
        self.commands.spawn(command::run(self.context.clone(), request));
        true
    }
}

impl Handler for SessionHandler {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(self.judge(user, self.account.has_password(PasswordMethod::Password, password)).await)
    }

    async fn auth_publickey_offered(&mut self, user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        Ok(self.judge(user, self.knows(offer.public_key)).await)
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(self.judge(user, self.knows(key.public_key)).await)
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let Some(response) = response else {
            return Ok(Auth::Partial {
                name: Cow::Borrowed(""),
                instructions: Cow::Borrowed(""),
                prompts: Cow::Borrowed(&[(Cow::Borrowed("Password: "), false)]),
            });
        };
        let answers: Vec<_> = response.collect();
        let right = match answers.as_slice() {
            [only] => std::str::from_utf8(only)
                .is_ok_and(|given| self.account.has_password(PasswordMethod::KeyboardInteractive, given)),
            _ => false,
        };
        Ok(self.judge(user, right).await)
    }

    async fn auth_succeeded(&mut self, session: &mut Session) -> Result<(), Self::Error> {
        if self.context.settings.closes_after_login {
            session.disconnect(Disconnect::ByApplication, "closed on purpose", "")?;
        }
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if self.channels.len() >= MAX_CHANNELS {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        let over = self.over.child_token();
        self.channels.insert(channel.id(), OpenChannel { idle: Some(channel), over });
        reply.accept().await;
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Self::Error> {
        self.end_channel(channel);
        Ok(())
    }

    async fn data(&mut self, _channel: ChannelId, data: &[u8], _session: &mut Session) -> Result<(), Self::Error> {
        self.uploaded_bytes = self.uploaded_bytes.saturating_add(data.len() as u64);
        if self.context.settings.reads_at_most_bytes.is_some_and(|most| self.uploaded_bytes >= u64::from(most)) {
            // The session reads nothing while it waits here, so the client's window does not grow.
            self.over.cancelled().await;
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if self.start(channel, command, session.handle()) {
            session.channel_success(channel)
        } else {
            session.channel_failure(channel)
        }
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }
}
