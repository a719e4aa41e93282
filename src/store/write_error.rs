//! Why a transaction was not committed, within the store. Callers get [`super::error`].

use super::error_kind::StoreErrorKind;

/// Why a transaction was not committed.
#[derive(Debug)]
pub(super) enum WriteError {
    /// The database or its driver failed.
    Driver(sqlx::Error),
    /// The change does not fit what the database holds.
    Refused(StoreErrorKind),
}

impl From<sqlx::Error> for WriteError {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(error)
    }
}
