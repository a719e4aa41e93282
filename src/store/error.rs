//! What can be wrong with the database: a closed list, each with what the operator can do. Not the handling of it.

use std::{error::Error, fmt, io, sync::Arc};

use sqlx::migrate::MigrateError;

use super::holder::Holder;

/// Why the database did not do as asked. The driver's own words are the error's source.
#[derive(Debug, Clone, thiserror::Error)]
#[error("database {place} {}", words(*.kind, .holder.as_deref()))]
pub struct StoreError {
    /// Which it is.
    pub kind: StoreErrorKind,
    /// The database as it may be shown: a path, or server and name. Never a password.
    pub place: Arc<str>,
    /// Who has it, where it is in use and that could be read.
    pub holder: Option<Box<Holder>>,
    /// What the driver or the operating system said.
    #[source]
    pub source: Option<Arc<dyn Error + Send + Sync>>,
}

/// Every way in which the database fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// The URL names no database that can be used.
    BadUrl,
    /// The file cannot be opened, or the server does not answer.
    Unreachable,
    /// The server refused user, password or database name.
    LoginRefused,
    /// TLS was asked for, and there is none, or none that can be trusted.
    Tls,
    /// The account may not do what is needed there.
    NoRight,
    /// The file or the server takes no changes.
    ReadOnly,
    /// No space is left; nothing of the transaction was stored.
    Full,
    /// Another program holds it.
    Locked,
    /// Another collector collects into it.
    InUse,
    /// The server lets no further connection of this account in.
    TooManyConnections,
    /// A pooler stands before the server that does not keep the session.
    Pooled,
    /// The file was removed or moved away in mid-run.
    Missing,
    /// Something else came to lie in the place of the file in mid-run.
    Replaced,
    /// The file is something else.
    NotADatabase,
    /// It is damaged, or holds what this program never wrote.
    Corrupt,
    /// A newer fleetsweep made it.
    NewerSchema {
        /// The newest migration in it.
        found: i64,
        /// The newest this program has.
        known: i64,
    },
    /// An older fleetsweep made it, and a reader changes nothing.
    OlderSchema {
        /// The newest migration in it; 0 where there is none.
        found: i64,
        /// The newest this program has.
        known: i64,
    },
    /// Its schema is not the one that this program made.
    OtherSchema,
    /// MariaDB or MySQL would take different texts for equal, or lose characters.
    WrongCollation,
    /// PostgreSQL has no room for every character.
    WrongEncoding,
    /// It did not take one row; nothing of that record was stored.
    Rejected,
    /// It has no such mail.
    NoSuchMail,
    /// It has no such alert.
    NoSuchAlert,
    /// That alert has ended.
    AlertEnded,
    /// It is away, and so is what waits for it in the spool: what is asked cannot wait with it.
    Away,
    /// It is away, and the spool takes nothing more.
    SpoolFull,
    /// It is away, and the spool cannot be used; or the spool of an earlier run cannot be read.
    SpoolFailed,
    /// [`Store::close`](super::Store::close) came first.
    Closed,
}

/// What to do about a database in use.
const USE_ANOTHER: &str = "end that one first, or name another database as `url` on <database>";

/// What is wrong, by name where somebody is the reason.
fn words(kind: StoreErrorKind, holder: Option<&Holder>) -> String {
    match holder {
        Some(holder) if kind == StoreErrorKind::InUse => format!("is in use by {holder}: {USE_ANOTHER}"),
        Some(_) | None => kind.to_string(),
    }
}

impl fmt::Display for StoreErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadUrl => f.write_str(
                "cannot be used: write sqlite:FILE, postgres://USER:PASSWORD@HOST/NAME or mysql://USER:PASSWORD@HOST/NAME as `url` on <database>",
            ),
            Self::Unreachable => {
                f.write_str("cannot be reached: check `url` on <database>, that its directory exists or its server runs")
            }
            Self::LoginRefused => {
                f.write_str("refused the login: check user, password and database name in `url` on <database>")
            }
            Self::Tls => f.write_str(
                "does not give the TLS that `url` on <database> asks for, or that a server on another machine has to give: have it offer TLS, name the file of its certificate authority as sslrootcert (postgres) or ssl-ca (mysql), change sslmode or ssl-mode, or allow clear text with tls=\"off\"",
            ),
            Self::NoRight => f.write_str(
                "denies this account a right that is needed: on PostgreSQL run ALTER DATABASE … OWNER TO …, on MariaDB and MySQL GRANT ALL ON …, for the user in `url` on <database>",
            ),
            Self::ReadOnly => f.write_str(
                "is read-only: give this account the right to write it (for a file, its directory too), or name a server that is no replica",
            ),
            Self::Full => f.write_str("is full: free some space; nothing of this was stored"),
            Self::Locked => f.write_str("is locked by another program: end that program's transaction and try again"),
            Self::InUse => write!(f, "is in use by another fleetsweep: {USE_ANOTHER}"),
            Self::TooManyConnections => f.write_str(
                "lets too few connections of this account in: fleetsweep needs 2 and uses up to 6: raise CONNECTION LIMIT of the role and max_connections (PostgreSQL), max_user_connections and max_connections (MariaDB, MySQL), or the pool's size where a pooler stands before it",
            ),
            Self::Pooled => f.write_str(
                "is behind a pooler that gives each transaction another session: fleetsweep needs session pooling: write pool_mode=session for this database into pgbouncer.ini, or name the PostgreSQL server itself as `url` on <database>",
            ),
            Self::Missing => f.write_str(
                "is gone: its file was removed or moved away while it was in use: put it back, or put an empty file there to begin a new database",
            ),
            Self::Replaced => f.write_str(
                "was replaced: something else lies where its file was opened: put the file back, or another database of fleetsweep, or an empty file to begin a new one",
            ),
            Self::NotADatabase => {
                f.write_str("is no SQLite database: name another file as `url` on <database>; this one was not changed")
            }
            Self::Corrupt => f.write_str("is damaged: restore a backup, or move it away and begin a new one"),
            Self::NewerSchema { found, known } => write!(
                f,
                "has schema {found}, and this program knows {known} at most: run the newer fleetsweep that made it, or use another database"
            ),
            Self::OlderSchema { found: 0, .. } => {
                f.write_str("holds nothing of fleetsweep yet: collect into it first, which prepares it")
            }
            Self::OlderSchema { found, known } => write!(
                f,
                "has schema {found}, and this program reads {known}: collect into it once with this version, which brings it up to date"
            ),
            Self::OtherSchema => {
                f.write_str("has a schema that is not this program's: restore a backup, or use another database")
            }
            Self::WrongCollation => f.write_str(
                "needs a binary collation: run ALTER DATABASE … CHARACTER SET utf8mb4 COLLATE utf8mb4_bin before the first start",
            ),
            Self::WrongEncoding => f.write_str(
                "needs the encoding UTF8: make it anew with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0",
            ),
            Self::Rejected => f.write_str("did not take a row: nothing of this record was stored; please report it"),
            Self::NoSuchMail => f.write_str("has no such mail"),
            Self::NoSuchAlert => f.write_str("has no such alert"),
            Self::AlertEnded => f.write_str("has that alert as ended: there is nothing left to acknowledge"),
            Self::Away => f.write_str("is away for now, and changes wait for it: try again when it is back"),
            Self::SpoolFull => f.write_str(
                "is away, and its spool is full (256 MiB): nothing of this was stored; bring the database back",
            ),
            Self::SpoolFailed => f.write_str("has a spool that cannot be used: nothing of this was stored"),
            Self::Closed => f.write_str("is closed"),
        }
    }
}

impl StoreErrorKind {
    /// Whether one record can be the reason, so that others of the same transaction may fare better alone.
    /// On a full disk the smaller ones may: above all that a mail was sent, lest it is sent again.
    pub(super) fn may_concern_one_record(self) -> bool {
        match self {
            Self::Rejected | Self::NoSuchMail | Self::NoSuchAlert | Self::AlertEnded | Self::Full => true,
            Self::BadUrl
            | Self::Unreachable
            | Self::LoginRefused
            | Self::Tls
            | Self::NoRight
            | Self::ReadOnly
            | Self::Locked
            | Self::InUse
            | Self::TooManyConnections
            | Self::Pooled
            | Self::Missing
            | Self::Replaced
            | Self::NotADatabase
            | Self::Corrupt
            | Self::NewerSchema { .. }
            | Self::OlderSchema { .. }
            | Self::OtherSchema
            | Self::WrongCollation
            | Self::WrongEncoding
            | Self::Away
            | Self::SpoolFull
            | Self::SpoolFailed
            | Self::Closed => false,
        }
    }

    /// Whether the database is only away: what was to be stored waits in the spool until it is back.
    #[must_use]
    pub fn will_pass(self) -> bool {
        match self {
            // The server is stopped or restarted, the network is cut, the file's disk is gone for a moment.
            Self::Unreachable
            // In mid-run: a password is being changed, a server is restored with its old accounts. At the start
            // it is a mistake in the configuration, and said as that.
            | Self::LoginRefused
            // A server that became a replica during a fail-over, a disk that was remounted after an error.
            | Self::ReadOnly
            // Rights and certificates are being changed, and are not complete yet.
            | Self::NoRight
            | Self::Tls
            // Somebody frees space.
            | Self::Full
            // A backup or a long transaction of another program ends.
            | Self::Locked
            // Others leave.
            | Self::TooManyConnections
            // Somebody puts a file there.
            | Self::Missing
            | Self::Replaced => true,
            // Another collector writes there now: what this one knows is no longer true.
            Self::InUse
            // These do not change by waiting: somebody has to mend something, and has to hear of it by failures.
            | Self::BadUrl
            | Self::Pooled
            | Self::NotADatabase
            | Self::Corrupt
            | Self::NewerSchema { .. }
            | Self::OlderSchema { .. }
            | Self::OtherSchema
            | Self::WrongCollation
            | Self::WrongEncoding
            // It is there, and does not want this.
            | Self::Rejected
            | Self::NoSuchMail
            | Self::NoSuchAlert
            | Self::AlertEnded
            // Said by this program itself.
            | Self::Away
            | Self::SpoolFull
            | Self::SpoolFailed
            | Self::Closed => false,
        }
    }

    /// Whether what was to be stored is nowhere now, though nothing was wrong with it.
    pub(super) fn loses_what_happened(self) -> bool {
        !matches!(
            self,
            Self::Rejected
                | Self::NoSuchMail
                | Self::NoSuchAlert
                | Self::AlertEnded
                | Self::Away
                | Self::InUse
                | Self::Closed
        )
    }

    /// Whether it is about where a file lies.
    pub(super) fn is_of_file(self) -> bool {
        matches!(self, Self::Missing | Self::Replaced)
    }

    /// Whether an answer to a question shows that changes are taken again too. On a full disk, beside a lock and
    /// from a replica, questions are answered all the time.
    pub(super) fn ends_with_an_answer(self) -> bool {
        matches!(self, Self::Unreachable | Self::LoginRefused | Self::Tls)
    }
}

impl StoreError {
    /// An error with its cause.
    pub(super) fn new(place: &Arc<str>, kind: StoreErrorKind, source: impl Error + Send + Sync + 'static) -> Self {
        Self { kind, place: Arc::clone(place), holder: None, source: Some(Arc::new(source)) }
    }

    /// An error that says it all itself.
    pub(super) fn plain(place: &Arc<str>, kind: StoreErrorKind) -> Self {
        Self { kind, place: Arc::clone(place), holder: None, source: None }
    }

    /// What the driver said, classified.
    pub(super) fn from_driver(place: &Arc<str>, error: sqlx::Error) -> Self {
        Self::new(place, classify(&error), error)
    }

    /// What the operating system said of a file, classified.
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

/// Finds the kind of a driver's error.
fn classify(error: &sqlx::Error) -> StoreErrorKind {
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
        StoreErrorKind::Corrupt
    } else {
        StoreErrorKind::Unreachable
    }
}

/// Whether the server let no further connection in, or none within the time that is waited.
pub(super) fn is_crowded(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::PoolTimedOut) || classify(error) == StoreErrorKind::TooManyConnections
}

/// Whether it is about TLS. A certificate that is not trusted arrives as an error of the connection, with data that
/// makes no sense: a database itself never says that.
fn is_tls(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Tls(_))
        || matches!(error, sqlx::Error::Io(io) if io.kind() == io::ErrorKind::InvalidData)
}

/// By SQLite's primary result code, the low byte of the extended one (sqlite.org/rescode.html).
fn classify_sqlite(code: Option<&str>) -> StoreErrorKind {
    /// No space was left for the index of the write-ahead log.
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

/// By SQLSTATE, as PostgreSQL has it (postgresql.org/docs/current/errcodes-appendix.html).
fn classify_sqlstate(code: Option<&str>, message: &str) -> StoreErrorKind {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    match code {
        Some("53300") => StoreErrorKind::TooManyConnections,
        // Prepared statements that another session has already, or that this one lost.
        Some("42P05" | "26000") => StoreErrorKind::Pooled,
        // What pgbouncer says itself has this code, whatever it is about.
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

/// By error number, as MariaDB and MySQL share it (mariadb.com/kb/en/mariadb-error-code-reference).
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

/// The kind of an error of the migrations, as far as they alone can say.
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

    #[test]
    fn who_holds_the_database_is_named_where_that_is_known() {
        let holder = Holder {
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
        let known = StoreError { holder: Some(Box::new(holder)), ..unknown };
        assert!(
            known.to_string().starts_with("database fleet.db is in use by pid 4711 of ops on collector-1: end that")
        );
        let mode = Some(super::super::holder::Mode::Dashboard);
        let holder = known.holder.map(|holder| Box::new(Holder { mode, ..*holder }));
        let said = StoreError { holder, ..StoreError::plain(&"fleet.db".into(), StoreErrorKind::InUse) }.to_string();
        assert!(said.contains("in use by pid 4711 of ops on collector-1 (dashboard): end that"), "{said}");
    }

    #[test]
    fn an_error_names_place_and_mend() {
        let error = StoreError::plain(&"fleet.db".into(), StoreErrorKind::NewerSchema { found: 7, known: 1 });
        assert_eq!(
            error.to_string(),
            "database fleet.db has schema 7, and this program knows 1 at most: run the newer fleetsweep that made it, or use another database"
        );
    }
}
