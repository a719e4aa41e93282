//! Classifies the errors of the drivers. [`super::error_kind`] defines the reactions.

use std::io;

use sqlx::migrate::MigrateError;

use super::{error_kind::StoreErrorKind, pool::Exhausted};

/// The kind of a driver's error.
pub(super) fn classify(error: &sqlx::Error) -> StoreErrorKind {
    if let sqlx::Error::Database(reported) = error {
        if let Some(sqlite) = reported.try_downcast_ref::<sqlx::sqlite::SqliteError>() {
            return classify_sqlite(sqlx::error::DatabaseError::code(sqlite).as_deref());
        }
        if let Some(mysql) = reported.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
            return classify_mysql(mysql.number());
        }
        return classify_sqlstate(reported.code().as_deref(), reported.message());
    }
    if let sqlx::Error::Migrate(migrate) = error {
        return classify_migration(migrate);
    }
    if matches!(error, sqlx::Error::PoolClosed) {
        StoreErrorKind::Closed
    } else if matches!(error, sqlx::Error::Configuration(_)) {
        StoreErrorKind::BadUrl
    } else if is_tls(error) {
        StoreErrorKind::Tls
    } else if matches!(
        error,
        sqlx::Error::RowNotFound
            | sqlx::Error::Decode(_)
            | sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::TypeNotFound { .. }
    ) {
        StoreErrorKind::Unreadable
    } else if is_exhausted(error) {
        StoreErrorKind::Busy
    } else {
        StoreErrorKind::Unreachable
    }
}

/// Whether the server did not accept a further connection, or not in time.
pub(super) fn is_crowded(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::PoolTimedOut) || classify(error) == StoreErrorKind::TooManyConnections
}

fn is_exhausted(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(io) if io.get_ref().and_then(|inner| inner.downcast_ref::<Exhausted>()).is_some())
}

/// Whether it is about TLS. An untrusted certificate is reported as an I/O error with the kind `InvalidData`, which
/// databases do not cause otherwise.
fn is_tls(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Tls(_))
        || matches!(error, sqlx::Error::Io(io) if io.kind() == io::ErrorKind::InvalidData)
}

/// Classifies by SQLite's primary result code, the low byte of the extended one (sqlite.org/rescode.html).
fn classify_sqlite(code: Option<&str>) -> StoreErrorKind {
    /// There was no space for the index of the write-ahead log.
    const IOERR_SHMSIZE: i32 = 4874;
    let Some(code) = code.and_then(|code| code.parse::<i32>().ok()) else { return StoreErrorKind::Rejected };
    if code == IOERR_SHMSIZE {
        return StoreErrorKind::Full;
    }
    match code & 0xff {
        5 | 6 => StoreErrorKind::Locked,
        3 | 8 => StoreErrorKind::ReadOnly,
        10 | 14 => StoreErrorKind::Unreachable,
        11 => StoreErrorKind::Corrupt,
        13 => StoreErrorKind::Full,
        26 => StoreErrorKind::NotADatabase,
        _ => StoreErrorKind::Rejected,
    }
}

/// Classifies by the SQLSTATE of PostgreSQL (postgresql.org/docs/current/errcodes-appendix.html).
fn classify_sqlstate(code: Option<&str>, message: &str) -> StoreErrorKind {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    match code {
        Some("53300") => StoreErrorKind::TooManyConnections,
        // Prepared statements that exist in another session or are missing in this one.
        Some("42P05" | "26000") => StoreErrorKind::Pooled,
        // pgbouncer uses this code for all of its own errors.
        Some("08P01") if says(&["statement pooling"]) => StoreErrorKind::Pooled,
        Some("08P01") if says(&["startup parameter"]) => StoreErrorKind::BadUrl,
        Some("08P01") if says(&["authentication failed", "no such user", "no such database", "does not exist"]) => {
            StoreErrorKind::LoginRefused
        }
        Some("08P01") if says(&["no more connections allowed", "query_wait_timeout", "max_client_conn"]) => {
            StoreErrorKind::TooManyConnections
        }
        Some("53100") => StoreErrorKind::Full,
        Some("25006") => StoreErrorKind::ReadOnly,
        Some("42501") => StoreErrorKind::NoRight,
        Some("55P03" | "40001" | "40P01") => StoreErrorKind::Locked,
        Some("3D000") => StoreErrorKind::LoginRefused,
        Some("XX001" | "XX002") => StoreErrorKind::Corrupt,
        Some(code) if code.starts_with("28") => StoreErrorKind::LoginRefused,
        Some(code) if code.starts_with("08") || code.starts_with("57P") || code.starts_with("53") => {
            StoreErrorKind::Unreachable
        }
        Some(_) | None => StoreErrorKind::Rejected,
    }
}

/// Classifies by the error number of MariaDB and MySQL (mariadb.com/kb/en/mariadb-error-code-reference).
fn classify_mysql(number: u16) -> StoreErrorKind {
    match number {
        1021 | 1114 => StoreErrorKind::Full,
        1045 | 1049 | 1698 => StoreErrorKind::LoginRefused,
        1044 | 1142 | 1143 | 1227 | 1370 => StoreErrorKind::NoRight,
        1036 | 1290 | 1792 | 1836 => StoreErrorKind::ReadOnly,
        1205 | 1213 => StoreErrorKind::Locked,
        1034 | 1035 | 1194 | 1195 | 1712 => StoreErrorKind::Corrupt,
        1040 | 1203 | 1226 => StoreErrorKind::TooManyConnections,
        1053 | 1077 | 1079 | 1129 | 1130 | 1158 | 1159 | 1160 | 1161 | 1927 | 4031 => StoreErrorKind::Unreachable,
        _ => StoreErrorKind::Rejected,
    }
}

/// The kind of a migration error, for errors that only occur there.
pub(super) fn classify_migration(error: &MigrateError) -> StoreErrorKind {
    if let MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) = error {
        classify(error)
    } else {
        StoreErrorKind::OtherSchema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_apart() {
        use StoreErrorKind::{
            BadUrl, Corrupt, Full, Locked, LoginRefused, NoRight, NotADatabase, Pooled, ReadOnly, Rejected,
            TooManyConnections, Unreachable,
        };
        for (code, expected) in [
            ("5", Locked),
            ("517", Locked),
            ("8", ReadOnly),
            ("1032", ReadOnly),
            ("13", Full),
            ("4874", Full),
            ("778", Unreachable),
            ("14", Unreachable),
            ("11", Corrupt),
            ("26", NotADatabase),
            ("1555", Rejected),
            ("nonsense", Rejected),
        ] {
            assert_eq!(classify_sqlite(Some(code)), expected, "{code}");
        }
        for (code, expected) in [
            ("53100", Full),
            ("53300", TooManyConnections),
            ("42P05", Pooled),
            ("57P01", Unreachable),
            ("28P01", LoginRefused),
            ("3D000", LoginRefused),
            ("42501", NoRight),
            ("23505", Rejected),
        ] {
            assert_eq!(classify_sqlstate(Some(code), ""), expected, "{code}");
        }
        for (message, expected) in [
            ("transaction blocks not allowed in statement pooling mode", Pooled),
            ("unsupported startup parameter: options", BadUrl),
            ("password authentication failed", LoginRefused),
            ("no such database: fleet", LoginRefused),
            ("no more connections allowed (max_client_conn)", TooManyConnections),
            ("query_wait_timeout", TooManyConnections),
            ("something else", Unreachable),
        ] {
            assert_eq!(classify_sqlstate(Some("08P01"), message), expected, "{message}");
        }
        for (number, expected) in [
            (1021, Full),
            (1045, LoginRefused),
            (1142, NoRight),
            (1205, Locked),
            (1062, Rejected),
            (1226, TooManyConnections),
        ] {
            assert_eq!(classify_mysql(number), expected, "{number}");
        }
    }
}
