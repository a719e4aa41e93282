//! Values of the domain as the database keeps them, and back. Not the rows that they stand in.

use jiff::Timestamp;

use crate::fleet::ClientId;

/// A time as the database keeps it: UTC milliseconds since the Unix epoch.
pub(super) fn to_ms(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// A time that the database kept.
pub(super) fn from_ms(ms: i64) -> Result<Timestamp, sqlx::Error> {
    Timestamp::from_millisecond(ms).map_err(unreadable)
}

/// A count as the database keeps it. None of ours is beyond 2^63.
pub(super) fn to_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count that the database kept.
pub(super) fn from_count<T: TryFrom<i64>>(count: i64) -> Result<T, sqlx::Error>
where
    T::Error: std::error::Error + Send + Sync + 'static,
{
    T::try_from(count).map_err(unreadable)
}

/// A client that the database kept.
pub(super) fn client_id(ip: String, port: i64) -> Result<ClientId, sqlx::Error> {
    Ok(ClientId::new(ip, from_count(port)?))
}

/// A value that has no columns of its own, as JSON.
pub(super) fn to_json<T: serde::Serialize>(value: &T) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

/// The error of a row that this program never wrote.
pub(super) fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}
