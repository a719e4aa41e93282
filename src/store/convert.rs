//! Conversions between values and their form in the database.

use jiff::Timestamp;

use crate::fleet::ClientId;

/// A time in the database: UTC milliseconds since the Unix epoch.
pub(super) fn to_ms(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// A time from the database.
pub(super) fn from_ms(ms: i64) -> Result<Timestamp, sqlx::Error> {
    Timestamp::from_millisecond(ms).map_err(unreadable)
}

/// A number for the database. All numbers are below 2^63.
pub(super) fn to_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A number from the database.
pub(super) fn from_count<T: TryFrom<i64>>(count: i64) -> Result<T, sqlx::Error>
where
    T::Error: std::error::Error + Send + Sync + 'static,
{
    T::try_from(count).map_err(unreadable)
}

/// A client from the database.
pub(super) fn client_id(ip: String, port: i64) -> Result<ClientId, sqlx::Error> {
    Ok(ClientId::new(ip, from_count(port)?))
}

/// A value without columns, as JSON.
pub(super) fn to_json<T: serde::Serialize>(value: &T) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

/// The error for a row that this program did not write.
pub(super) fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}
