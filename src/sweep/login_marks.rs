//! Marks that show whether a refused credential has changed. They are stored in the database, so a reader of the database
//! must not be able to use them.
//!
//! A mark is an HMAC over the client, the account and what identifies the credential. For a key file that is its path,
//! size and time of change, for the ssh-agent its public keys: nothing secret. For a password it is the password, which
//! people choose and which could be guessed. The key of its HMAC is therefore derived from the password and a random salt
//! by scrypt, so that each guess costs 16 MiB and some hundredths of a second, as where passwords are stored for a login.
//! The program creates one salt when it starts and stores it with each mark. With a salt for each client, a guess
//! would not be harder, but a sweep would need the slow step for each client, also where a hundred clients share a
//! password. The marks do not show that they share it, because the client is part of the hashed data.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use base64ct::{Base64, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use tokio::sync::{OnceCell, Semaphore};

use crate::config::Client;

/// The cost of scrypt: 2^14 rounds of 1 KiB.
const LOG_N: u8 = 14;

/// What identifies a credential.
#[derive(Clone)]
pub(super) enum Substance {
    /// A file, as it is on the disk.
    File { path: PathBuf, bytes: u64, modified: Option<SystemTime> },
    /// The public keys of the ssh-agent.
    AgentKeys(Vec<String>),
    /// A password.
    Password(SecretString),
}

/// A key that was derived from a password, or is being derived.
type Derived = Arc<OnceCell<[u8; 32]>>;

/// Computes marks. The slow part is done once for each password and salt.
pub(super) struct LoginMarks {
    salt: String,
    /// The index is a keyed hash of password and salt, so that no further copy of a password is kept.
    derived: Mutex<HashMap<[u8; 32], Derived>>,
    process_key: [u8; 32],
    /// Allows one derivation at a time, because each takes 16 MiB.
    turn: Arc<Semaphore>,
}

impl Default for LoginMarks {
    fn default() -> Self {
        Self {
            salt: Base64::encode_string(&rand::random::<[u8; 16]>()),
            derived: Mutex::default(),
            process_key: rand::random(),
            turn: Arc::new(Semaphore::new(1)),
        }
    }
}

impl LoginMarks {
    /// The salt of new marks.
    pub(super) fn salt(&self) -> &str {
        &self.salt
    }

    /// The mark of a credential of a client; `None` if it could not be computed.
    pub(super) async fn mark(&self, salt: &str, client: &Client, substance: &Substance) -> Option<String> {
        let port = client.id.port().to_string();
        let mut parts: Vec<Vec<u8>> = [client.id.address(), &port, &client.username].map(Into::into).to_vec();
        let key = match substance {
            Substance::File { path, bytes, modified } => {
                let modified = modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
                parts.push(b"file".to_vec());
                parts.push(path.as_os_str().as_encoded_bytes().to_vec());
                parts.push(format!("{bytes} {}", modified.as_nanos()).into_bytes());
                hash(&[], [salt.as_bytes()])
            }
            Substance::AgentKeys(keys) => {
                parts.push(b"ssh-agent".to_vec());
                parts.extend(keys.iter().map(|key| key.clone().into_bytes()));
                hash(&[], [salt.as_bytes()])
            }
            Substance::Password(password) => {
                parts.push(b"password".to_vec());
                self.derive(salt, password).await?
            }
        };
        Some(Base64::encode_string(&hash(&key, parts.iter().map(Vec::as_slice))))
    }

    async fn derive(&self, salt: &str, password: &SecretString) -> Option<[u8; 32]> {
        let name = hash(&self.process_key, [salt.as_bytes(), password.expose_secret().as_bytes()]);
        let place = Arc::clone(self.derived.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default());
        let deriving = || async {
            let _turn = self.turn.acquire().await.ok()?;
            let (salt, password) = (salt.to_owned(), password.clone());
            let working = tokio::task::spawn_blocking(move || {
                let mut key = [0; 32];
                let cost = scrypt::Params::new(LOG_N, 8, 1).ok()?;
                scrypt::scrypt(password.expose_secret().as_bytes(), salt.as_bytes(), &cost, &mut key).ok()?;
                Some(key)
            });
            working.await.ok().flatten()
        };
        place.get_or_try_init(|| async { deriving().await.ok_or(()) }).await.ok().copied()
    }
}

/// A keyed hash of some parts. The length of each part is hashed too, so that different parts cannot be confused.
fn hash<'a>(key: &[u8], parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{config::Config, fleet::ClientId};

    fn client(address: &str, username: &str) -> Client {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.xml");
        let text = format!(
            r#"<config><database url="sqlite:x"/><smtp host="127.0.0.1" from="a@localhost"/>
            <client ip="{address}" username="{username}" password="x"/></config>"#
        );
        std::fs::write(&path, text).unwrap();
        Config::load(&path).unwrap().config.clients.remove(0)
    }

    fn password(text: &str) -> Substance {
        Substance::Password(text.into())
    }

    fn file(path: &str, bytes: u64, modified: u64) -> Substance {
        let modified = Some(UNIX_EPOCH + Duration::from_secs(modified));
        Substance::File { path: path.into(), bytes, modified }
    }

    fn agent(keys: &[&str]) -> Substance {
        Substance::AgentKeys(keys.iter().map(|key| (*key).to_owned()).collect())
    }

    #[tokio::test]
    async fn a_mark_is_the_same_in_every_run_and_differs_with_whatever_changes() {
        let one = client("10.0.0.1", "ops");
        assert_eq!(one.id, ClientId::new("10.0.0.1", 22));
        let of = async |salt: &str, client: &Client, substance: Substance| {
            let [first, second] = [LoginMarks::default(), LoginMarks::default()];
            let mark = first.mark(salt, client, &substance).await.unwrap();
            assert_eq!(second.mark(salt, client, &substance).await.unwrap(), mark);
            mark
        };
        let mut marks = vec![
            of("s", &one, password("secret")).await,
            of("t", &one, password("secret")).await,
            of("s", &one, password("secrets")).await,
            of("s", &client("10.0.0.2", "ops"), password("secret")).await,
            of("s", &client("10.0.0.1", "opa"), password("secret")).await,
            of("s", &one, file("/k", 1, 1)).await,
            of("s", &one, file("/l", 1, 1)).await,
            of("s", &one, file("/k", 2, 1)).await,
            of("s", &one, file("/k", 1, 2)).await,
            of("s", &one, agent(&["a", "b"])).await,
            of("s", &one, agent(&["ab"])).await,
        ];
        let count = marks.len();
        marks.sort();
        marks.dedup();
        assert_eq!(marks.len(), count);
    }

    #[tokio::test]
    async fn a_password_is_slow_to_try_and_is_derived_once() {
        let marks = LoginMarks::default();
        let clients = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|address| client(address, "ops"));
        let secret = password("secret");
        let together = clients.iter().map(|client| marks.mark("s", client, &secret));
        let marked = futures_util::future::join_all(together).await;
        assert!(marked.iter().all(Option::is_some) && marked[0] != marked[1]);
        assert_eq!(marks.derived.lock().unwrap().len(), 1);
        // The figures of the introduction: 2^14 times 128 bytes times 8 are 16 MiB.
        assert_eq!(128 * 8 * (1_u64 << LOG_N), 16 << 20);
    }
}
