//! Login with the keys of the ssh-agent at `SSH_AUTH_SOCK`. The agent is ours: if it hangs, that is not a timeout of
//! the client.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use russh::{
    SendError, Signer,
    keys::{
        self, HashAlg, PrivateKey, PublicKey,
        agent::{AgentIdentity, client::AgentClient},
        ssh_key::public::KeyData,
    },
};
use tokio::{
    net::UnixStream,
    time::{Instant, timeout_at},
};

use super::{
    algorithms::AlgorithmSet, credential::Outcome, credential_sources::CredentialSources, session::Session,
    shortage::CredentialError,
};
use crate::config::{Client, Login};

/// How failures name the list of keys.
const LIST: &str = "the list of the ssh-agent's keys";
/// The most of a key file that is read.
const LARGEST_KEY_FILE: u64 = 64 << 10;

/// The reason why a login was not signed.
#[derive(Debug, thiserror::Error)]
enum SignError {
    #[error("did not sign in time")]
    TimedOut,
    #[error(transparent)]
    Session(#[from] SendError),
    #[error(transparent)]
    Agent(#[from] keys::Error),
}

/// The ssh-agent with a deadline for signing. The client's own time is not limited here.
struct BoundedSigner {
    agent: AgentClient<UnixStream>,
    until: Instant,
}

impl Signer for BoundedSigner {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        key: &AgentIdentity,
        hash: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, SignError> {
        match timeout_at(self.until, self.agent.sign_request(key, hash, to_sign)).await {
            Ok(issued) => Ok(issued?),
            Err(_) => Err(SignError::TimedOut),
        }
    }
}

/// The public keys of the ssh-agent that a login uses, in words.
///
/// # Errors
/// Why there are none.
pub(super) async fn keys(login: &Login, ours: &CredentialSources<'_>) -> Result<Vec<String>, CredentialError> {
    let asking = async {
        let mut agent = connect(login).await?;
        list(&mut agent, login).await
    };
    let identities = ours.wait_for(LIST, asking).await?;
    Ok(identities.iter().map(|identity| identity.public_key().fingerprint(HashAlg::Sha256).to_string()).collect())
}

async fn connect(login: &Login) -> Result<AgentClient<UnixStream>, CredentialError> {
    let connected = match &login.agent_socket {
        Some(path) => AgentClient::connect_uds(path).await,
        None => AgentClient::connect_env().await,
    };
    connected.map_err(|error| CredentialError::after(&error, format!("no ssh-agent: {error}")))
}

/// The keys that a login may use.
async fn list(agent: &mut AgentClient<UnixStream>, login: &Login) -> Result<Vec<AgentIdentity>, CredentialError> {
    let unlisted = |error| CredentialError::after(&error, format!("the ssh-agent does not list its keys: {error}"));
    let mut identities = agent.request_identities().await.map_err(unlisted)?;
    if let Some(files) = &login.agent_keys {
        let only = public_keys(files);
        identities.retain(|identity| only.contains(identity.public_key().key_data()));
    }
    Ok(identities)
}

/// The public keys of key files: of the file beside it with `.pub`, or of the file itself. A file that cannot be read
/// has none.
fn public_keys(files: &[PathBuf]) -> Vec<KeyData> {
    let read = |path: &Path| {
        let mut text = String::new();
        File::open(path).ok()?.take(LARGEST_KEY_FILE).read_to_string(&mut text).ok()?;
        let public = PublicKey::from_openssh(&text).ok();
        // The public part is legible even if the file is encrypted.
        public.or_else(|| PrivateKey::from_openssh(&text).ok().map(|key| key.public_key().clone()))
    };
    let of_file = |path: &PathBuf| {
        let mut beside = path.clone().into_os_string();
        beside.push(".pub");
        read(Path::new(&beside)).or_else(|| read(path)).map(|key| key.key_data().clone())
    };
    files.iter().filter_map(of_file).collect()
}

/// Tries the keys of the ssh-agent that the client's login allows.
pub(super) async fn authenticate(session: &mut Session, client: &Client, ours: &CredentialSources<'_>) -> Outcome {
    let user = client.username.as_str();
    let binding = session.handle().agent_session_binding();
    let asking = async {
        let mut agent = connect(&client.login).await?;
        if let Some(binding) = binding
            && let Err(error) = agent.bind_session(binding, false).await
        {
            // Agents before OpenSSH 8.9 do not support this and do not need it.
            tracing::debug!(%error, "the ssh-agent was not bound to the session");
        }
        let identities = list(&mut agent, &client.login).await?;
        Ok((agent, identities))
    };
    let (agent, identities) = match ours.wait_for(LIST, asking).await {
        Ok(request) => request,
        Err(unusable) => return Outcome::Unusable(unusable),
    };
    let mut signer = BoundedSigner { agent, until: ours.until() };
    let mut refused = None;
    let mut failed = None;
    for identity in identities {
        let hash = if identity.public_key().algorithm().is_rsa() {
            session.rsa_hash(AlgorithmSet::of(client)).await
        } else {
            None
        };
        let handle = session.handle();
        let result = match identity {
            AgentIdentity::PublicKey { key, .. } => {
                handle.authenticate_publickey_with(user, key, hash, &mut signer).await
            }
            AgentIdentity::Certificate { certificate, .. } => {
                handle.authenticate_certificate_with(user, certificate, hash, &mut signer).await
            }
        };
        match result.map(Outcome::from) {
            Ok(Outcome::Refused(methods)) if !methods.is_empty() => refused = Some(methods),
            // One was refused. The end of the session is reported with the next credential.
            Ok(Outcome::Refused(_)) if refused.is_some() => break,
            Ok(outcome) => return outcome,
            Err(_) if !session.is_open() => {
                if refused.is_none() {
                    return Outcome::Lost;
                }
                break;
            }
            // A late reply would be taken for that to the next request, so this agent is not used any more.
            Err(error @ SignError::TimedOut) => {
                return Outcome::Unusable(CredentialError::new(format!("the ssh-agent {error}: look why it hangs")));
            }
            // The key may need a confirmation or a missing token. Other keys may work.
            Err(error @ (SignError::Session(_) | SignError::Agent(_))) => failed = Some(error.to_string()),
        }
    }
    match (refused, failed) {
        (Some(methods), _) => Outcome::Refused(methods),
        (None, Some(error)) => Outcome::Unusable(CredentialError::new(format!("the ssh-agent does not sign: {error}"))),
        (None, None) => {
            Outcome::Unusable(CredentialError::new("the ssh-agent holds no key: add one with `ssh-add`".to_owned()))
        }
    }
}
