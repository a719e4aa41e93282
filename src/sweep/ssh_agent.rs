//! The ssh-agent during a login: its keys, and signatures by them. The agent is ours: if it hangs, that is not a timeout
//! of the client. Which keys are shown to a server is decided in [`super::public_keys`].

use russh::{
    SendError, Signer,
    keys::{
        self, Certificate, HashAlg,
        agent::{AgentIdentity, AgentSessionBinding, client::AgentClient},
        ssh_key::public::KeyData,
    },
};
use tokio::{
    net::UnixStream,
    time::{Instant, timeout_at},
};

use super::{credential_sources::CredentialSources, key_files, shortage::CredentialError};
use crate::config::Login;

/// How failures name the list of keys.
const LIST: &str = "the list of the ssh-agent's keys";

/// The reason why a login was not signed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignError {
    /// The agent did not answer.
    #[error("did not sign in time")]
    TimedOut,
    /// The session has ended.
    #[error(transparent)]
    Session(#[from] SendError),
    /// The agent or the key refused.
    #[error(transparent)]
    Key(#[from] keys::Error),
}

/// The ssh-agent, with a deadline for signing. The client's own time is not limited here.
pub(super) struct AgentSigner {
    agent: AgentClient<UnixStream>,
    until: Instant,
    /// The key that signs instead of the one that is shown: the agent does not know a certificate that is in a file.
    instead: Option<AgentIdentity>,
}

impl Signer for AgentSigner {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        key: &AgentIdentity,
        hash: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, SignError> {
        let key = self.instead.as_ref().unwrap_or(key);
        match timeout_at(self.until, self.agent.sign_request(key, hash, to_sign)).await {
            Ok(issued) => Ok(issued?),
            Err(_) => Err(SignError::TimedOut),
        }
    }
}

impl AgentSigner {
    /// Signs as the agent's key that the offer names.
    pub(super) fn sign_for(&mut self, offer: &AgentOffer) {
        self.instead = offer.signed_by.clone();
    }
}

/// What is shown to a server.
pub(super) struct AgentOffer {
    pub(super) shown: AgentIdentity,
    signed_by: Option<AgentIdentity>,
}

/// The ssh-agent with the keys that a login may use.
pub(super) struct OpenAgent {
    pub(super) signer: AgentSigner,
    identities: Vec<AgentIdentity>,
}

impl OpenAgent {
    /// Connects to the agent of a login and asks for its keys.
    ///
    /// # Errors
    /// Why there are none.
    pub(super) async fn open(
        login: &Login,
        binding: Option<AgentSessionBinding>,
        ours: &CredentialSources<'_>,
    ) -> Result<Self, CredentialError> {
        let asking = async {
            let mut agent = connect(login).await?;
            if let Some(binding) = &binding
                && let Err(error) = agent.bind_session(binding, false).await
            {
                // Agents before OpenSSH 8.9 do not support this and do not need it.
                tracing::debug!(%error, "the ssh-agent was not bound to the session");
            }
            let identities = list(&mut agent).await?;
            Ok((agent, identities))
        };
        let (agent, identities) = ours.wait_for(LIST, asking).await?;
        Ok(Self { signer: AgentSigner { agent, until: ours.until(), instead: None }, identities })
    }

    /// The public keys, in the order of the agent, each once.
    pub(super) fn keys(&self) -> Vec<KeyData> {
        let mut keys: Vec<KeyData> = Vec::new();
        for identity in &self.identities {
            let key = identity.public_key().key_data().clone();
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    /// What can be shown for a key: certificates of the agent, then of files, then the key itself. Empty if the agent
    /// does not have the key.
    pub(super) fn offers(&self, key: &KeyData, of_files: &[Certificate]) -> Vec<AgentOffer> {
        let held = || self.identities.iter().filter(|identity| identity.public_key().key_data() == key);
        let is_certificate = |identity: &&AgentIdentity| matches!(identity, AgentIdentity::Certificate { .. });
        let plain = held().find(|identity| !is_certificate(identity));
        let own = held().filter(is_certificate).map(|shown| AgentOffer { shown: shown.clone(), signed_by: None });
        let of_files = of_files.iter().filter_map(|certificate| {
            let is_known = held().any(|identity| match identity {
                AgentIdentity::Certificate { certificate: known, .. } => known.signature() == certificate.signature(),
                AgentIdentity::PublicKey { .. } => false,
            });
            let signed_by = plain.filter(|_| !is_known)?.clone();
            Some(AgentOffer { shown: certificate.clone().into(), signed_by: Some(signed_by) })
        });
        let plain = plain.map(|shown| AgentOffer { shown: shown.clone(), signed_by: None });
        own.chain(of_files).chain(plain).collect()
    }
}

/// The keys of the ssh-agent that a login uses, in words that change with each of them.
///
/// # Errors
/// Why there are none.
pub(super) async fn keys(login: &Login, ours: &CredentialSources<'_>) -> Result<Vec<String>, CredentialError> {
    let asking = async { list(&mut connect(login).await?).await };
    let only = login.agent_keys.as_deref().map(key_files::public_keys);
    let identities = ours.wait_for(LIST, asking).await?;
    let used = identities
        .iter()
        .filter(|identity| only.as_ref().is_none_or(|only| only.contains(identity.public_key().key_data())));
    let words = used.map(|identity| {
        let fingerprint = identity.public_key().fingerprint(HashAlg::Sha256).to_string();
        match identity {
            AgentIdentity::PublicKey { .. } => fingerprint,
            AgentIdentity::Certificate { certificate, .. } => {
                format!("{fingerprint} {} {}", certificate.serial(), certificate.valid_before())
            }
        }
    });
    Ok(words.collect())
}

async fn connect(login: &Login) -> Result<AgentClient<UnixStream>, CredentialError> {
    let connected = match &login.agent_socket {
        Some(path) => AgentClient::connect_uds(path).await,
        None => AgentClient::connect_env().await,
    };
    connected.map_err(|error| CredentialError::after(&error, format!("no ssh-agent: {error}")))
}

async fn list(agent: &mut AgentClient<UnixStream>) -> Result<Vec<AgentIdentity>, CredentialError> {
    let unlisted = |error| CredentialError::after(&error, format!("the ssh-agent does not list its keys: {error}"));
    agent.request_identities().await.map_err(unlisted)
}
