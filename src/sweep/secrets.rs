//! A cache of secrets, each read once for all clients that share it. [`crate::config::secret`] reads them.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use secrecy::SecretString;

use super::audit_trail::AuditTrail;
use crate::{
    config::{
        AgeSecret,
        secret::{SecretError, SecretSource},
    },
    fleet::audit::AuditAction,
};

/// The key of a secret in the cache.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Name {
    Environment(String),
    File(PathBuf),
    Command(String),
    Credential(String),
    Age(AgeSecret),
}

/// The slot of a secret: the first task reads it, the others wait.
type Place = Arc<tokio::sync::Mutex<Option<(SecretString, Instant)>>>;

/// The cached secrets.
#[derive(Default)]
pub(super) struct Secrets {
    places: Mutex<HashMap<Name, Place>>,
    trail: AuditTrail,
}

impl Secrets {
    /// An empty cache that notes in `trail` which commands are run.
    pub(super) fn new(trail: AuditTrail) -> Self {
        Self { places: Mutex::default(), trail }
    }

    fn place(&self, name: Name) -> Place {
        Arc::clone(self.places.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default())
    }

    /// The secret of a source. A secret that could not be read is read again next time.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) async fn get(&self, source: &SecretSource) -> Result<SecretString, SecretError> {
        let Some(name) = name(source) else {
            return source.fetch().await;
        };
        let place = self.place(name);
        let mut secret = place.lock().await;
        match &*secret {
            Some((secret, _)) => Ok(secret.clone()),
            None => {
                let began = Instant::now();
                let read = source.fetch().await;
                if let Some(program) = source.program() {
                    let result = if read.is_ok() { "read by cmd:" } else { "cmd: failed" };
                    self.trail.note(AuditAction::Secret, program, result.to_owned());
                }
                Ok(secret.insert((read?, began)).0.clone())
            }
        }
    }

    /// Removes a refused secret from the cache, because it may have been changed.
    pub(super) async fn forget(&self, source: &SecretSource) {
        if let Some(name) = name(source) {
            *self.place(name).lock().await = None;
        }
    }

    /// Forgets a secret that was read longer ago than `age`.
    pub(super) async fn forget_old(&self, source: &SecretSource, age: Duration) {
        if let Some(name) = name(source) {
            self.place(name).lock().await.take_if(|(_, read)| read.elapsed() >= age);
        }
    }
}

/// `None` for a literal, which needs no cache.
fn name(source: &SecretSource) -> Option<Name> {
    match source {
        SecretSource::Literal(_) => None,
        SecretSource::Environment(name) => Some(Name::Environment(name.clone())),
        SecretSource::File(path) => Some(Name::File(path.clone())),
        SecretSource::Command(command) => Some(Name::Command(command.clone())),
        SecretSource::Credential(name) => Some(Name::Credential(name.clone())),
        SecretSource::Age(secret) => Some(Name::Age(secret.clone())),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[tokio::test]
    async fn a_secret_is_fetched_once_until_it_was_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let source = SecretSource::File(path.clone());
        let secrets = Secrets::default();
        assert!(secrets.get(&source).await.is_err());
        for (written, forget, expected) in
            [("one", false, "one"), ("two", false, "one"), ("two", true, "two"), ("three", false, "two")]
        {
            std::fs::write(&path, written).unwrap();
            if forget {
                secrets.forget(&source).await;
            }
            assert_eq!(secrets.get(&source).await.unwrap().expose_secret(), expected);
        }
        for (age, expected) in [(Duration::from_secs(3600), "two"), (Duration::ZERO, "three")] {
            secrets.forget_old(&source, age).await;
            assert_eq!(secrets.get(&source).await.unwrap().expose_secret(), expected, "{age:?}");
        }
    }
}
