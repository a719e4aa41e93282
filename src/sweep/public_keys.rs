//! Which public keys are shown to a server in a login, in which order, and who signs: a key file or the ssh-agent.
//!
//! Each key that is shown counts for a server's limit of attempts, so none is shown twice. A certificate is shown before
//! its key. A key that the ssh-agent has is used there, so that no passphrase is needed, except for a `key` of
//! `config.xml`, which is only read from its file.

use std::{sync::Arc, time::SystemTime};

use russh::{
    Signer,
    client::AuthResult,
    keys::{
        self, Algorithm, Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey,
        agent::AgentIdentity,
        ssh_key::{private::KeypairData, public::KeyData},
    },
};
use signature::Signer as _;

use super::{
    algorithms::AlgorithmSet,
    certificates,
    credential::Outcome,
    credential_sources::CredentialSources,
    key_files,
    session::Session,
    shortage::CredentialError,
    ssh_agent::{AgentOffer, OpenAgent, SignError},
};
use crate::config::{Client, KeyFile, safe_text};

/// The public keys of one login.
pub(super) struct PublicKeys<'a> {
    client: &'a Client,
    ours: &'a CredentialSources<'a>,
    /// Asked at its first use.
    agent: Option<Result<OpenAgent, CredentialError>>,
    shown: Vec<KeyData>,
    /// What else a failure of the login has to say.
    pub(super) notes: Vec<String>,
}

impl<'a> PublicKeys<'a> {
    /// Nothing was shown yet.
    pub(super) fn new(client: &'a Client, ours: &'a CredentialSources<'a>) -> Self {
        Self { client, ours, agent: None, shown: Vec::new(), notes: Vec::new() }
    }

    /// Shows the key of a file. `None` if the session ended meanwhile.
    pub(super) async fn file(&mut self, session: &mut Session, file: &KeyFile) -> Option<Outcome> {
        let login = &self.client.login;
        if file.is_public() || login.ssh_agent {
            match key_files::public_key(&file.path) {
                Some(key) if self.shown.contains(&key) => return Some(Outcome::ShownBefore),
                Some(key) => match self.of_agent(session, &key, file).await {
                    Ok(offers) if !offers.is_empty() => {
                        self.shown.push(key);
                        return Some(self.by_agent(session, offers).await);
                    }
                    Ok(_) if file.is_public() => return Some(Outcome::Unusable(missing(file, &key))),
                    Err(error) if file.is_public() => {
                        let shown = safe_text::existing_path(&file.path);
                        let words = format!("the key {shown} selects one of the ssh-agent: {error}");
                        return Some(Outcome::Unusable(CredentialError { words, ..error }));
                    }
                    Ok(_) | Err(_) => {}
                },
                None if file.is_public() => return Some(Outcome::Unusable(no_public_key(file))),
                None => {}
            }
        }
        let key = match self.ours.key(file).await {
            Ok(key) => key,
            Err(unusable) => return Some(Outcome::Unusable(unusable)),
        };
        let public = key.public_key().key_data().clone();
        if self.shown.contains(&public) {
            return Some(Outcome::ShownBefore);
        }
        let certificates = self.certificates(&public, Some(file));
        self.shown.push(public);
        self.by_file(session, key, certificates).await
    }

    /// Shows the other keys of the ssh-agent that the login may use.
    pub(super) async fn agent(&mut self, session: &mut Session) -> Outcome {
        let login = &self.client.login;
        let mut keys = match self.open_agent(session).await {
            Ok(agent) => agent.keys(),
            Err(unusable) => return Outcome::Unusable(unusable),
        };
        if let Some(files) = &login.agent_keys {
            let only = key_files::public_keys(files);
            keys.retain(|key| only.contains(key));
        }
        let is_empty = keys.is_empty();
        keys.retain(|key| !self.shown.contains(key));
        // The default keys first, as `ssh` does.
        let defaults: Vec<_> = login.defaults.iter().filter_map(|file| key_files::public_key(&file.path)).collect();
        keys.sort_by_key(|key| defaults.iter().position(|default| default == key).unwrap_or(usize::MAX));
        let mut offers = Vec::new();
        for key in keys {
            let certificates = self.certificates(&key, None);
            if let Some(Ok(agent)) = &self.agent {
                offers.extend(agent.offers(&key, &certificates));
            }
            self.shown.push(key);
        }
        match (offers.is_empty(), is_empty) {
            (false, _) => self.by_agent(session, offers).await,
            (true, false) => Outcome::ShownBefore,
            (true, true) => {
                Outcome::Unusable(CredentialError::new("the ssh-agent holds no key: add one with `ssh-add`".to_owned()))
            }
        }
    }

    async fn open_agent(&mut self, session: &mut Session) -> Result<&mut OpenAgent, CredentialError> {
        if self.agent.is_none() {
            let binding = session.handle().agent_session_binding().cloned();
            self.agent = Some(OpenAgent::open(&self.client.login, binding, self.ours).await);
        }
        match &mut self.agent {
            Some(Ok(agent)) => Ok(agent),
            Some(Err(error)) => Err(error.clone()),
            None => Err(CredentialError::new("no ssh-agent".to_owned())),
        }
    }

    async fn of_agent(
        &mut self,
        session: &mut Session,
        key: &KeyData,
        file: &KeyFile,
    ) -> Result<Vec<AgentOffer>, CredentialError> {
        let certificates = self.certificates(key, Some(file));
        Ok(self.open_agent(session).await?.offers(key, &certificates))
    }

    /// The certificates of a key. Why one cannot be used is noted.
    fn certificates(&mut self, key: &KeyData, file: Option<&KeyFile>) -> Vec<Certificate> {
        let files = certificates::files(&self.client.login, file);
        let found = certificates::of(key, &files, SystemTime::now());
        for note in found.unusable {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        found.usable
    }

    /// Shows keys of the ssh-agent until one is accepted.
    async fn by_agent(&mut self, session: &mut Session, offers: Vec<AgentOffer>) -> Outcome {
        let user = self.client.username.as_str();
        let mut refused = None;
        let mut failed = None;
        for offer in offers {
            let hash = rsa_hash(session, self.client, &offer.shown.public_key().algorithm()).await;
            let Some(Ok(OpenAgent { signer, .. })) = &mut self.agent else { break };
            signer.sign_for(&offer);
            let result = show(session, user, offer.shown, hash, signer).await;
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
                    let unusable = CredentialError::new(format!("the ssh-agent {error}: look why it hangs"));
                    self.agent = Some(Err(unusable.clone()));
                    return Outcome::Unusable(unusable);
                }
                // The key may need a confirmation or a missing token. Other keys may work.
                Err(error @ (SignError::Session(_) | SignError::Key(_))) => failed = Some(error.to_string()),
            }
        }
        match (refused, failed) {
            (Some(methods), _) => Outcome::Refused(methods),
            (None, Some(error)) => {
                Outcome::Unusable(CredentialError::new(format!("the ssh-agent does not sign: {error}")))
            }
            (None, None) => Outcome::Lost,
        }
    }

    /// Shows the certificates of a key file, then its key. `None` if the session ended meanwhile.
    async fn by_file(
        &self,
        session: &mut Session,
        key: Arc<PrivateKey>,
        certificates: Vec<Certificate>,
    ) -> Option<Outcome> {
        let user = self.client.username.as_str();
        let hash = rsa_hash(session, self.client, &key.algorithm()).await;
        for certificate in certificates {
            let mut signer = KeySigner(Arc::clone(&key));
            let outcome = Outcome::from(show(session, user, certificate.into(), hash, &mut signer).await.ok()?);
            if !matches!(&outcome, Outcome::Refused(methods) if methods.contains(&russh::MethodKind::PublicKey)) {
                return Some(outcome);
            }
        }
        let key = PrivateKeyWithHashAlg::new(key, hash);
        session.handle().authenticate_publickey(user, key).await.ok().map(Outcome::from)
    }
}

async fn show<S: Signer>(
    session: &mut Session,
    user: &str,
    shown: AgentIdentity,
    hash: Option<HashAlg>,
    signer: &mut S,
) -> Result<AuthResult, S::Error> {
    let handle = session.handle();
    match shown {
        AgentIdentity::PublicKey { key, .. } => handle.authenticate_publickey_with(user, key, hash, signer).await,
        AgentIdentity::Certificate { certificate, .. } => {
            handle.authenticate_certificate_with(user, certificate, hash, signer).await
        }
    }
}

/// The hash of signatures by an RSA key; `None` for other keys.
async fn rsa_hash(session: &Session, client: &Client, algorithm: &Algorithm) -> Option<HashAlg> {
    if matches!(algorithm, Algorithm::Rsa { .. }) { session.rsa_hash(AlgorithmSet::of(client)).await } else { None }
}

/// Signs with a key file, for a certificate.
struct KeySigner(Arc<PrivateKey>);

impl Signer for KeySigner {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        hash: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, SignError> {
        let signed = if let KeypairData::Rsa(pair) = self.0.key_data() {
            (pair, hash).try_sign(&to_sign)
        } else {
            self.0.try_sign(&to_sign)
        };
        let signed: Vec<u8> =
            signed.map_err(|_| keys::Error::InvalidSignature)?.try_into().map_err(keys::Error::SshKey)?;
        let length = u32::try_from(signed.len()).map_err(|_| keys::Error::InvalidSignature)?;
        to_sign.extend_from_slice(&length.to_be_bytes());
        to_sign.extend_from_slice(&signed);
        Ok(to_sign)
    }
}

fn missing(file: &KeyFile, key: &KeyData) -> CredentialError {
    let fingerprint = PublicKey::from(key.clone()).fingerprint(HashAlg::Sha256);
    let private = file.path.with_extension("");
    let add = if private.is_file() {
        format!("add it with `ssh-add {}`", safe_text::existing_path(&private))
    } else {
        "add it with `ssh-add`".to_owned()
    };
    let shown = safe_text::existing_path(&file.path);
    CredentialError::new(format!("the ssh-agent does not have the key {shown} ({fingerprint}): {add}"))
}

fn no_public_key(file: &KeyFile) -> CredentialError {
    let words = match std::fs::metadata(&file.path) {
        Err(error) => format!("cannot read the key file {}: {error}", safe_text::path(&file.path)),
        Ok(_) => format!(
            "the key file {} contains no public key: name the private key, or copy the public key again",
            safe_text::existing_path(&file.path)
        ),
    };
    CredentialError::new(words)
}
