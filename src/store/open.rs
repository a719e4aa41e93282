//! Opening a database: which kind a URL names, and the ways into it, for a collector and for a reader. Not the
//! schema, not the queries.

use std::{
    fs::OpenOptions,
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    str::FromStr as _,
    sync::Arc,
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{
    ConnectOptions as _, Connection,
    mysql::{MySqlConnectOptions, MySqlPoolOptions},
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    error::{StoreError, StoreErrorKind},
    holder,
    lock::{self, Lock, Server},
    pool::Pool,
};
use crate::config::harmless;

/// How long a connection may take, and how long another program's lock on a SQLite file is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Connections for questions: more than one, so that a long one does not hold up the others.
const READS: u32 = 4;

/// A collector's ways into its database.
pub(super) struct Opened {
    /// For the one writer: a single connection.
    pub(super) writes: Pool,
    /// For everyone else.
    pub(super) reads: Pool,
    /// The database as it may be shown.
    pub(super) place: Arc<str>,
    /// Keeps other collectors out.
    pub(super) lock: Lock,
    /// Names the database among all others, whichever way leads to it.
    pub(super) identity: String,
    /// Where it is a file: which.
    pub(super) file: Option<PathBuf>,
}

/// What a URL names.
pub(super) struct Target {
    /// The database as it may be shown.
    pub(super) place: Arc<str>,
    /// Names the database of a server among all others, its schema included, which stands in `options`. Unlike
    /// `place` it hides nothing, so it is not shown.
    identity: String,
    kind: Kind,
}

enum Kind {
    Sqlite { options: SqliteConnectOptions, may_create: bool },
    Server(Server),
}

impl Target {
    /// Reads a URL; contacts nobody.
    pub(super) fn of(url: &SecretString) -> Result<Self, StoreError> {
        let text = url.expose_secret();
        let scheme = text.split(':').next().unwrap_or_default();
        // The driver's own words on a URL could quote its password.
        let bad = || StoreError::plain(&format!("({scheme})").into(), StoreErrorKind::BadUrl);
        match scheme {
            "sqlite" => Self::sqlite(text, SqliteConnectOptions::from_str(text).map_err(|_| bad())?),
            "postgres" | "postgresql" => {
                let options = PgConnectOptions::from_str(text).map_err(|_| bad())?.disable_statement_logging();
                let name = options.get_database().unwrap_or_else(|| options.get_username());
                let (host, port) = (options.get_host(), options.get_port());
                let place = harmless::database_place(true, host, port, name).as_str().into();
                let identity = format!("postgres://{host}:{port}/{name} {}", part(text));
                check_files(text, &place)?;
                Ok(Self { place, identity, kind: Kind::Server(Server::Postgres(options)) })
            }
            "mysql" | "mariadb" => {
                let options = MySqlConnectOptions::from_str(text).map_err(|_| bad())?.disable_statement_logging();
                let name = options.get_database().unwrap_or_default();
                let (host, port) = (options.get_host(), options.get_port());
                let place = harmless::database_place(false, host, port, name).as_str().into();
                let identity = format!("mysql://{host}:{port}/{name} ");
                check_files(text, &place)?;
                Ok(Self { place, identity, kind: Kind::Server(Server::MySql(options)) })
            }
            _ => Err(StoreError::plain(&"(unknown kind)".into(), StoreErrorKind::BadUrl)),
        }
    }

    fn sqlite(url: &str, options: SqliteConnectOptions) -> Result<Self, StoreError> {
        if url.contains(":memory:") || url.contains("mode=memory") {
            // Every connection would have one of its own, and mails that are lost with the process are no outbox.
            return Err(StoreError::plain(&":memory:".into(), StoreErrorKind::BadUrl));
        }
        let may_create = !url.contains("mode=ro") && !url.contains("immutable=");
        let options = options.foreign_keys(true).busy_timeout(PATIENCE).disable_statement_logging();
        let place = harmless::database_file(&options.get_filename().to_string_lossy()).as_str().into();
        Ok(Self { place, identity: String::new(), kind: Kind::Sqlite { options, may_create } })
    }

    /// The ways in of a collector, all others locked out. A SQLite file is made where it is missing, readable
    /// by its owner alone; the files that SQLite puts beside it take over its rights.
    pub(super) async fn hold(self) -> Result<Opened, StoreError> {
        let Some(lock) = self.lock().await? else { return Err(self.in_use().await) };
        let (writes, reads) = match &self.kind {
            Kind::Sqlite { options, .. } => self.open_sqlite(options).await?,
            Kind::Server(server) => (self.connect(server, 1), self.connect(server, READS)),
        };
        self.check_texts(&writes).await?;
        let file = match &self.kind {
            // It is there by now: whichever links lead there.
            Kind::Sqlite { options, .. } => {
                Some(options.get_filename().canonicalize().map_err(|error| StoreError::from_file(&self.place, error))?)
            }
            Kind::Server(_) => None,
        };
        let identity = match &file {
            Some(file) => file.display().to_string(),
            None => self.identity,
        };
        Ok(Opened { writes, reads, place: self.place, lock, identity, file })
    }

    /// Whether every text can be stored, and told from every other.
    async fn check_texts(&self, pool: &Pool) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_driver(&self.place, error);
        let (kind, found) = match pool {
            Pool::Sqlite(_) => return Ok(()),
            Pool::Postgres(pool) => {
                let (encoding,): (String,) = sqlx::query_as("SELECT CAST(current_setting('server_encoding') AS TEXT)")
                    .fetch_one(pool)
                    .await
                    .map_err(failed)?;
                if encoding == "UTF8" {
                    return Ok(());
                }
                (StoreErrorKind::WrongEncoding, format!("its encoding is {encoding}"))
            }
            Pool::MySql(pool) => {
                // Any other collation takes `GPU-17` and `gpu-17` for one, or has no room for every character.
                let (collation,): (String,) =
                    sqlx::query_as("SELECT @@collation_database").fetch_one(pool).await.map_err(failed)?;
                if collation.starts_with("utf8mb4") && collation.ends_with("_bin") {
                    return Ok(());
                }
                (StoreErrorKind::WrongCollation, format!("its collation is {collation}"))
            }
        };
        Err(StoreError::new(&self.place, kind, io::Error::other(found)))
    }

    /// The way in of a reader: changes nothing, locks nothing. It connects once, so that what is wrong is said
    /// now and for its own reason.
    pub(super) async fn read(&self) -> Result<Pool, StoreError> {
        match &self.kind {
            Kind::Sqlite { .. } => {}
            Kind::Server(Server::Postgres(options)) => close(&self.place, self.once(options.connect()).await?).await?,
            Kind::Server(Server::MySql(options)) => close(&self.place, self.once(options.connect()).await?).await?,
        }
        Ok(self.reads())
    }

    fn reads(&self) -> Pool {
        match &self.kind {
            // In WAL mode a reader maps the index of the log (`-shm`), and makes it where no collector runs: that
            // takes the right to write the directory, not the database.
            Kind::Sqlite { options, .. } => {
                Pool::Sqlite(sqlite_pool(READS).connect_lazy_with(options.clone().read_only(true)))
            }
            Kind::Server(server) => self.connect(server, READS),
        }
    }

    /// `None` where another collector has it.
    async fn lock(&self) -> Result<Option<Lock>, StoreError> {
        match &self.kind {
            Kind::Sqlite { options, may_create } => {
                if *may_create {
                    create(options.get_filename()).map_err(|error| StoreError::from_file(&self.place, error))?;
                }
                lock::file(options.get_filename()).map_err(|error| StoreError::from_file(&self.place, error))
            }
            // The first connection of all: it fails at once, where a pool would try again and again, and in the
            // end know no reason.
            Kind::Server(server) => self.once(Lock::of_server(server, &self.place)).await,
        }
    }

    async fn in_use(&self) -> StoreError {
        let asking = async { tokio::time::timeout(PATIENCE, holder::read(&self.reads())).await };
        let found = match asking.await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::debug!(%error, "who holds the database could not be read");
                None
            }
            Err(passed) => {
                tracing::debug!(%passed, "who holds the database could not be read in time");
                None
            }
        };
        StoreError { holder: found.map(Box::new), ..StoreError::plain(&self.place, StoreErrorKind::InUse) }
    }

    async fn open_sqlite(&self, options: &SqliteConnectOptions) -> Result<(Pool, Pool), StoreError> {
        // FULL: a commit is on the disk before it is answered. NORMAL would survive a killed process, but a power
        // failure could take back the last transactions, and with them mails that were already decided. Many
        // collections share a transaction, so one sync serves them all.
        let options = options.clone().journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        let failed = |error| StoreError::from_driver(&self.place, error);
        // SQLite itself takes back a transaction for which there was no room. The driver does not learn of it, and
        // would refuse every further one on that connection: it is closed in place of being used again.
        let writes = sqlite_pool(1)
            .after_release(|connection, _| Box::pin(std::future::ready(Ok(!connection.is_in_transaction()))))
            .connect_with(options.clone())
            .await
            .map_err(failed)?;
        let reads = sqlite_pool(READS).connect_lazy_with(options.pragma("query_only", "ON"));
        Ok((Pool::Sqlite(writes), Pool::Sqlite(reads)))
    }

    fn connect(&self, server: &Server, most: u32) -> Pool {
        match server {
            Server::Postgres(options) => Pool::Postgres(
                PgPoolOptions::new().max_connections(most).acquire_timeout(PATIENCE).connect_lazy_with(options.clone()),
            ),
            Server::MySql(options) => Pool::MySql(
                MySqlPoolOptions::new()
                    .max_connections(most)
                    .acquire_timeout(PATIENCE)
                    .connect_lazy_with(options.clone()),
            ),
        }
    }

    /// Waits for a first answer, not for ever.
    async fn once<T>(&self, connecting: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
        match tokio::time::timeout(PATIENCE, connecting).await {
            Ok(connected) => connected.map_err(|error| StoreError::from_driver(&self.place, error)),
            Err(passed) => Err(StoreError::new(&self.place, StoreErrorKind::Unreachable, passed)),
        }
    }
}

/// What a URL says of the options of a session.
fn part(url: &str) -> String {
    let of = |url: url::Url| {
        let options = url.query_pairs().filter(|(name, _)| name.starts_with("options"));
        options.map(|(name, value)| format!("{name}={value} ")).collect()
    };
    url::Url::parse(url).map(of).unwrap_or_default()
}

/// What names a file in the URL of a server.
const FILES: [&str; 8] =
    ["sslrootcert", "ssl-root-cert", "sslca", "ssl-ca", "sslcert", "ssl-cert", "sslkey", "ssl-key"];

/// The files of certificates and keys that a URL names can be read: the driver would not say which cannot.
fn check_files(url: &str, place: &Arc<str>) -> Result<(), StoreError> {
    let Ok(url) = url::Url::parse(url) else { return Ok(()) };
    for (_, file) in url.query_pairs().filter(|(name, _)| FILES.contains(&name.as_ref())) {
        // In place of a file there may be what would stand in it.
        if !file.trim_start().starts_with("-----BEGIN")
            && let Err(error) = std::fs::File::open(&*file)
        {
            let named = io::Error::new(error.kind(), format!("{}: {error}", harmless::path(Path::new(&*file))));
            return Err(StoreError::new(place, StoreErrorKind::Tls, named));
        }
    }
    Ok(())
}

fn sqlite_pool(most: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new().max_connections(most).acquire_timeout(2 * PATIENCE)
}

async fn close<C: Connection>(place: &Arc<str>, connection: C) -> Result<(), StoreError> {
    connection.close().await.map_err(|error| StoreError::from_driver(place, error))
}

/// Makes the file where it is missing.
fn create(file: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
