//! The kinds of database errors: the message of each, what the operator can do, and how the store reacts.
//! [`super::classify`] determines the kind.

use std::fmt;

use super::deadlines::TRANSACTION_DEADLINE;

/// All kinds of database errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// The URL is not that of a usable database.
    BadUrl,
    /// The file cannot be opened, or the server does not answer.
    Unreachable,
    /// The server refused user, password or database name.
    LoginRefused,
    /// TLS is required but is not available, or its certificate is not trusted.
    Tls,
    /// The account lacks a privilege.
    NoRight,
    /// The file or the server does not accept changes.
    ReadOnly,
    /// There is no space; nothing of the transaction was stored.
    Full,
    /// Another program has locked it.
    Locked,
    /// Another collector uses it.
    InUse,
    /// The server does not accept a further connection of this account.
    TooManyConnections,
    /// A connection pooler in front of the server does not keep sessions.
    Pooled,
    /// The file was removed or moved away during the run.
    Missing,
    /// The file was replaced during the run.
    Replaced,
    /// The file is not a SQLite database.
    NotADatabase,
    /// All connections of this program are used by other queries.
    Busy,
    /// It is there but does not answer in time.
    Slow,
    /// It is damaged.
    Corrupt,
    /// It does not support a query, because its tables are not those of this program.
    Unanswered,
    /// A row that this program did not write cannot be read.
    Unreadable,
    /// It was created by a newer version.
    NewerSchema {
        /// The newest migration in it.
        found: i64,
        /// The newest migration of this program.
        known: i64,
    },
    /// It was created by an older version, and a reader does not migrate it.
    OlderSchema {
        /// The newest migration in it; 0 if there is none.
        found: i64,
        /// The newest migration of this program.
        known: i64,
    },
    /// Its schema is not that of this program.
    OtherSchema,
    /// MariaDB or MySQL would treat different texts as equal, or lose characters.
    WrongCollation,
    /// PostgreSQL cannot store every character.
    WrongEncoding,
    /// It rejected a row; nothing of that record was stored.
    Rejected,
    /// There is no such mail.
    NoSuchMail,
    /// There is no such alert.
    NoSuchAlert,
    /// The alert has ended.
    AlertEnded,
    /// It is away, and this request cannot wait in the spool.
    Away,
    /// It is away, and the spool is full.
    SpoolFull,
    /// It is away, and the spool cannot be used; or the spool of an earlier run cannot be read.
    SpoolFailed,
    /// [`Store::close`](super::Store::close) was called before.
    Closed,
}

/// What to do about a database in use.
pub(super) const USE_ANOTHER: &str = "end that one first, or name another database as `url` on <database>";

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
            Self::Busy => f.write_str("is busy with other questions of this program: try again in a moment"),
            Self::Slow => write!(
                f,
                "did not answer within {} s: it is busy, or its server hangs: try again later",
                TRANSACTION_DEADLINE.as_secs()
            ),
            Self::Unanswered => f.write_str(
                "refused the question: look whether another program has changed its tables, else please report it",
            ),
            Self::Unreadable => f.write_str("holds a row that this program did not write and cannot read"),
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
    /// Whether one record can be the reason, so that the others should be tried alone. On a full disk, small records
    /// may succeed, for example that a mail was sent, which prevents that it is sent again.
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
            | Self::Busy
            | Self::Slow
            | Self::Unanswered
            | Self::Unreadable
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

    /// Whether the database is only away. Changes then wait in the spool until it is back.
    #[must_use]
    pub fn will_pass(self) -> bool {
        match self {
            // The server is stopped or restarted, the network fails, or the disk of the file is missing for a moment.
            Self::Unreachable
            // During a run: a password is being changed, or a server is restored with its old accounts. At the start,
            // it is reported as an error in the configuration.
            | Self::LoginRefused
            // A server became a replica in a fail-over, or a disk was remounted after an error.
            | Self::ReadOnly
            // Privileges and certificates are being changed.
            | Self::NoRight
            | Self::Tls
            // Somebody frees space.
            | Self::Full
            // A backup or a long transaction of another program ends.
            | Self::Locked
            // Other connections are closed.
            | Self::TooManyConnections
            | Self::Busy
            | Self::Slow
            // The file is moved back.
            | Self::Missing
            | Self::Replaced => true,
            // Another collector writes there now, so the cached data is invalid.
            Self::InUse
            // Waiting does not help. The cause must be fixed, and the errors must be noticed.
            | Self::BadUrl
            | Self::Pooled
            | Self::NotADatabase
            | Self::Unanswered
            | Self::Unreadable
            | Self::Corrupt
            | Self::NewerSchema { .. }
            | Self::OlderSchema { .. }
            | Self::OtherSchema
            | Self::WrongCollation
            | Self::WrongEncoding
            // The database works, but rejects this.
            | Self::Rejected
            | Self::NoSuchMail
            | Self::NoSuchAlert
            | Self::AlertEnded
            // Errors of this program itself.
            | Self::Away
            | Self::SpoolFull
            | Self::SpoolFailed
            | Self::Closed => false,
        }
    }

    /// Whether it is about the path of a file.
    pub(super) fn is_of_file(self) -> bool {
        matches!(self, Self::Missing | Self::Replaced)
    }

    /// Whether an answer to a query means that changes are accepted again. With a full disk, a lock or a replica,
    /// queries are always answered.
    pub(super) fn ends_with_an_answer(self) -> bool {
        matches!(self, Self::Unreachable | Self::LoginRefused | Self::Tls)
    }
}
