//! Private key files. Each is read and decoded once for all clients with the same passphrase.

use std::{
    collections::HashMap,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use russh::keys::PrivateKey;
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};

use super::{
    key_format::{self, KeyError},
    secrets::Secrets,
    shortage::{self, CredentialError},
};
use crate::config::{KeyFile, key_text::LARGEST_BYTES, safe_text};

/// Metadata of a file when it was read. If it changes, the file is decoded again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
}

/// The key in a file or an error.
type Outcome = Result<Arc<PrivateKey>, CredentialError>;
/// The cache slot of a file: the first task decodes it, the others wait. Decoding a key with a passphrase intentionally
/// takes 0.1 s of CPU time, so errors are cached, too, but per passphrase, because a wrong one must not affect other
/// clients. Errors of reading the file are not cached, because they may be temporary.
type Place = Arc<tokio::sync::Mutex<Vec<Decoded>>>;

/// The cached data of a file.
struct Decoded {
    from: Stamp,
    passphrase: Option<SecretString>,
    outcome: Outcome,
}

impl Decoded {
    fn is_of(&self, stamp: Stamp, passphrase: Option<&SecretString>) -> bool {
        let known = self.passphrase.as_ref().map(ExposeSecret::expose_secret);
        self.from == stamp && known == passphrase.map(ExposeSecret::expose_secret)
    }
}

/// The decoded keys.
#[derive(Default)]
pub(super) struct Keyring(Mutex<HashMap<PathBuf, Place>>);

impl Keyring {
    /// The key in a file.
    ///
    /// # Errors
    /// A message with the file, the problem and the solution. Never contains the passphrase.
    pub(super) async fn get(&self, file: &KeyFile, secrets: &Secrets) -> Outcome {
        let path = &file.path;
        let found = tokio::fs::metadata(path).await.map_err(|error| unreadable(path, &error))?;
        if found.len() > LARGEST_BYTES {
            let words = format!("the key file {} is no private key: it has {} bytes", found_at(path), found.len());
            return Err(CredentialError::new(words));
        }
        let stamp = Stamp { bytes: found.len(), modified: found.modified().ok() };
        let passphrase = match &file.passphrase {
            None => None,
            Some(source) => Some(secrets.get(source).await.map_err(|error| {
                let words = format!("the passphrase of the key file {}: {}", found_at(path), shortage::chain(&error));
                CredentialError::after(&error, words)
            })?),
        };
        let place = Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(path.clone()).or_default());
        let mut place = place.lock().await;
        if let Some(decoded) = place.iter().find(|decoded| decoded.is_of(stamp, passphrase.as_ref())) {
            return decoded.outcome.clone();
        }
        let (blocking_path, blocking_passphrase) = (path.clone(), passphrase.clone());
        // Both reading and decoding would block the sessions of other clients.
        let decoding = tokio::task::spawn_blocking(move || {
            let bytes = read(&blocking_path)?;
            Ok(decode(&blocking_path, &bytes, blocking_passphrase.as_ref()))
        });
        let outcome = decoding.await.unwrap_or_else(|error| {
            Err(CredentialError::new(format!("the key file {} was not decoded: {error}", found_at(path))))
        })?;
        place.retain(|decoded| decoded.from == stamp);
        place.push(Decoded { from: stamp, passphrase, outcome: outcome.clone() });
        outcome
    }
}

/// Why a key file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyTrouble {
    /// It is encrypted, and no passphrase is named.
    Locked,
    /// Another reason, with what to do. It contains no secret.
    Unusable(String),
}

/// Whether a key file can be used, before anybody is contacted.
///
/// # Errors
/// [`KeyTrouble`]
pub async fn check(file: &KeyFile) -> Result<(), KeyTrouble> {
    if file.is_public() {
        // The ssh-agent may get its key later.
        let found = tokio::fs::metadata(&file.path).await;
        return found.map(drop).map_err(|error| KeyTrouble::Unusable(unreadable(&file.path, &error).to_string()));
    }
    let Err(error) = Keyring::default().get(file, &Secrets::default()).await else { return Ok(()) };
    let is_locked =
        || read(&file.path).is_ok_and(|bytes| matches!(key_format::decode(&bytes, None), Err(KeyError::Locked)));
    Err(if file.passphrase.is_none() && is_locked() {
        KeyTrouble::Locked
    } else {
        KeyTrouble::Unusable(error.to_string())
    })
}

/// The path of an existing key file. If it does not exist, the text may be the key itself or a password, and is not
/// shown.
fn found_at(path: &Path) -> safe_text::SafeText {
    safe_text::existing_path(path)
}

fn unreadable(path: &Path, error: &std::io::Error) -> CredentialError {
    if error.kind() == std::io::ErrorKind::IsADirectory {
        let words = format!("the key file {} is a directory: write the path of a private key", found_at(path));
        return CredentialError::new(words);
    }
    CredentialError::after(error, format!("cannot read the key file {}: {error}", safe_text::path(path)))
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, CredentialError> {
    // The path may be a device of unlimited length.
    let start = || {
        let mut bytes = Zeroizing::new(Vec::new());
        std::fs::File::open(path)?.take(LARGEST_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    start().map_err(|error| unreadable(path, &error))
}

fn decode(path: &Path, bytes: &[u8], passphrase: Option<&SecretString>) -> Outcome {
    match key_format::decode(bytes, passphrase.map(ExposeSecret::expose_secret)) {
        Ok(key) => Ok(Arc::new(key)),
        Err(error) => Err(CredentialError::new(error.words(found_at(path).as_str()))),
    }
}

#[cfg(test)]
mod tests {
    use russh::keys::{self, ssh_key::LineEnding};

    use super::*;
    use crate::config::secret::SecretSource;

    async fn outcome(ring: &Keyring, path: &Path, passphrase: Option<&str>) -> Outcome {
        let passphrase = passphrase.map(|text| SecretSource::Literal(text.into()));
        ring.get(&KeyFile { path: path.to_owned(), passphrase }, &Secrets::default()).await
    }

    #[test]
    fn a_key_file_without_end_is_not_read_without_end() {
        assert_eq!(read(Path::new("/dev/zero")).ok().map(|text| text.len() as u64), Some(LARGEST_BYTES));
    }

    #[tokio::test]
    async fn each_way_in_which_a_key_file_is_unusable_has_its_own_words() {
        let folder = tempfile::tempdir().unwrap();
        let key = PrivateKey::random(&mut rand::rng(), keys::Algorithm::Ed25519).unwrap();
        let locked = key.encrypt(&mut rand::rng(), "correct").unwrap().to_openssh(LineEnding::LF).unwrap();
        let open = key.to_openssh(LineEnding::LF).unwrap();
        let public = key.public_key().to_openssh().unwrap();
        for (name, text, passphrase, expected) in [
            ("good", Some(open.as_str()), None, Ok(())),
            ("unlocked", Some(locked.as_str()), Some("correct"), Ok(())),
            ("superfluous", Some(open.as_str()), Some("anything"), Ok(())),
            ("locked", Some(locked.as_str()), None, Err("is locked: give its `passphrase`")),
            ("wrong", Some(locked.as_str()), Some("incorrect"), Err("the passphrase of the key file")),
            ("public", Some(public.as_str()), None, Err("contains a public key: name the private key")),
            ("noise", Some("nothing"), None, Err("contains no private key")),
            ("missing", None, None, Err("cannot read the key file")),
        ] {
            let path = folder.path().join(name);
            if let Some(text) = text {
                std::fs::write(&path, text).unwrap();
            }
            // What is checked before a sweep is what a sweep finds.
            let source = passphrase.map(|text| SecretSource::Literal(text.into()));
            let checked = check(&KeyFile { path: path.clone(), passphrase: source }).await;
            match (&checked, expected) {
                (Ok(()), Ok(())) => {}
                (Err(KeyTrouble::Locked), Err(_)) => assert_eq!(name, "locked"),
                (Err(KeyTrouble::Unusable(words)), Err(part)) => assert!(words.contains(part), "{name}: {words}"),
                (Ok(()), Err(_)) | (Err(_), Ok(())) => panic!("{name}: {checked:?}"),
            }
            match (outcome(&Keyring::default(), &path, passphrase).await, expected) {
                (Ok(_), Ok(())) => {}
                (Err(CredentialError { words, .. }), Err(part)) => {
                    assert!(words.contains(part), "{name}: {words}");
                    assert!(words.contains(name) && !words.contains("correct"), "{name}: {words}");
                }
                (outcome, _) => panic!("{name}: {outcome:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_wrong_passphrase_of_one_client_costs_no_other_client_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let key = PrivateKey::random(&mut rand::rng(), keys::Algorithm::Ed25519).unwrap();
        let locked = key.encrypt(&mut rand::rng(), "right").unwrap().to_openssh(LineEnding::LF).unwrap();
        std::fs::write(&path, locked).unwrap();
        let ring = Keyring::default();
        for (passphrase, opens) in
            [(Some("wrong"), false), (Some("right"), true), (None, false), (Some("wrong"), false)]
        {
            assert_eq!(outcome(&ring, &path, passphrase).await.is_ok(), opens, "{passphrase:?}");
        }
        let again = [Some("right"), Some("right")].map(|passphrase| outcome(&ring, &path, passphrase));
        let [first, second] = futures_util::future::join_all(again).await.try_into().unwrap();
        assert!(Arc::ptr_eq(&first.unwrap(), &second.unwrap()));
    }

    #[tokio::test]
    async fn a_file_that_could_not_be_read_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        // A directory in its place cannot be read, even by root.
        std::fs::create_dir(&path).unwrap();
        let ring = Keyring::default();
        let error = outcome(&ring, &path, None).await.unwrap_err();
        assert!(error.words.ends_with("is a directory: write the path of a private key"), "{error}");
        let place = Arc::clone(ring.0.lock().unwrap().get(&path).unwrap());
        assert_eq!(place.lock().await.len(), 0, "the failure to read is remembered");
    }

    #[tokio::test]
    async fn a_key_is_decoded_once_and_again_when_its_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let write = || {
            let key = PrivateKey::random(&mut rand::rng(), keys::Algorithm::Ed25519).unwrap();
            // The comment changes the length, because the clock may be too coarse.
            let comment = "x".repeat(if path.exists() { 40 } else { 4 });
            let key = PrivateKey::new(key.key_data().clone(), comment).unwrap();
            std::fs::write(&path, key.to_openssh(LineEnding::LF).unwrap()).unwrap();
        };
        write();
        let ring = Keyring::default();
        let first = outcome(&ring, &path, None).await.unwrap();
        assert!(Arc::ptr_eq(&first, &outcome(&ring, &path, None).await.unwrap()));
        write();
        assert!(!Arc::ptr_eq(&first, &outcome(&ring, &path, None).await.unwrap()));
    }
}
