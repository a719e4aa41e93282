//! The reason why a transaction was not committed, inside the store. Callers get [`super::error`].

use super::error_kind::StoreErrorKind;

/// The reason why a transaction was not committed.
#[derive(Debug)]
pub(super) enum WriteError {
    /// The database or its driver failed.
    Driver(sqlx::Error),
    /// The change contradicts the data in the database.
    Refused(StoreErrorKind),
}

impl From<sqlx::Error> for WriteError {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(error)
    }
}
