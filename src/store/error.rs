//! The error of the store: its kind, the database and the error of the driver.

use std::{error::Error, io, sync::Arc};

pub use super::error_kind::StoreErrorKind;
use super::{classify::classify, error_kind::USE_ANOTHER, lock_owner::LockOwner};

/// An error of the database. The driver's error is the source.
#[derive(Debug, Clone, thiserror::Error)]
#[error("database {place} {}", words(*.kind, .owner.as_deref()))]
pub struct StoreError {
    /// The kind of error.
    pub kind: StoreErrorKind,
    /// The database for display: a path, or server and name. Never a password.
    pub place: Arc<str>,
    /// The owner of the lock, if the database is in use and the owner is known.
    pub owner: Option<Box<LockOwner>>,
    /// The error of the driver or the operating system.
    #[source]
    pub source: Option<Arc<dyn Error + Send + Sync>>,
}

/// The message, which names the lock owner if it is the reason.
fn words(kind: StoreErrorKind, owner: Option<&LockOwner>) -> String {
    match owner {
        Some(owner) if kind == StoreErrorKind::InUse => format!("is in use by {owner}: {USE_ANOTHER}"),
        Some(_) | None => kind.to_string(),
    }
}

impl StoreError {
    /// An error with its cause.
    pub(super) fn new(place: &Arc<str>, kind: StoreErrorKind, source: impl Error + Send + Sync + 'static) -> Self {
        Self { kind, place: Arc::clone(place), owner: None, source: Some(Arc::new(source)) }
    }

    /// An error without a source.
    pub(super) fn plain(place: &Arc<str>, kind: StoreErrorKind) -> Self {
        Self { kind, place: Arc::clone(place), owner: None, source: None }
    }

    /// Classifies an error of the driver.
    pub(super) fn from_driver(place: &Arc<str>, error: sqlx::Error) -> Self {
        Self::new(place, classify(&error), error)
    }

    /// Classifies an error of the operating system about a file.
    pub(super) fn from_file(place: &Arc<str>, error: io::Error) -> Self {
        let kind = if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) {
            StoreErrorKind::ReadOnly
        } else if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            StoreErrorKind::Full
        } else {
            StoreErrorKind::Unreachable
        };
        Self::new(place, kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_the_database_is_named_where_that_is_known() {
        let owner = LockOwner {
            host: "collector-1".into(),
            pid: 4711,
            account: "ops".into(),
            socket: None,
            started_at: jiff::Timestamp::UNIX_EPOCH,
            version: "0.1.0".into(),
            mode: None,
            mark: None,
            is_ending: false,
        };
        let unknown = StoreError::plain(&"fleet.db".into(), StoreErrorKind::InUse);
        assert!(unknown.to_string().starts_with("database fleet.db is in use by another fleetsweep: end that one"));
        let known = StoreError { owner: Some(Box::new(owner)), ..unknown };
        assert!(
            known.to_string().starts_with("database fleet.db is in use by pid 4711 of ops on collector-1: end that")
        );
        let mode = Some(crate::store::lock_owner::Mode::Dashboard);
        let owner = known.owner.map(|owner| Box::new(LockOwner { mode, ..*owner }));
        let said = StoreError { owner, ..StoreError::plain(&"fleet.db".into(), StoreErrorKind::InUse) }.to_string();
        assert!(said.contains("in use by pid 4711 of ops on collector-1 (dashboard): end that"), "{said}");
    }

    #[test]
    fn an_error_names_place_and_remedy() {
        let error = StoreError::plain(&"fleet.db".into(), StoreErrorKind::NewerSchema { found: 7, known: 1 });
        assert_eq!(
            error.to_string(),
            "database fleet.db has schema 7, and this program knows 1 at most: run the newer fleetsweep that made it, or use another database"
        );
    }
}
