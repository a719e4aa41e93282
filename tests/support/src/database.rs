//! A database of one test on one of the three engines: its URL, and queries and changes by another program.

use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::{
    AssertSqlSafe, Column, ConnectOptions, Connection, MySqlConnection, PgConnection, Row, SqliteConnection, TypeInfo,
    ValueRef, mysql::MySqlConnectOptions, postgres::PgConnectOptions, sqlite::SqliteConnectOptions,
};
use tempfile::TempDir;

use crate::{
    shared,
    wait::{SOON, wait_until},
};

/// The password of the account with all privileges.
pub(crate) const ADMIN_PASSWORD: &str = "boss of it all";

/// The account that owns every database of a test.
pub(crate) const SWEEPER: &str = "sweeper";

/// Its password, with what must be written otherwise in a URL.
pub(crate) const SWEEPER_PASSWORD: &str = "s3cr@t/of: it?";

/// The number of databases of this process.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// A database engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// An SQLite file.
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
    /// A MariaDB server.
    Mariadb,
}

/// A running server and its account with all privileges.
#[derive(Debug, Clone)]
pub struct Access {
    engine: Engine,
    port: u16,
    admin: &'static str,
}

/// A row: the name and the text of each column.
type Cells = Vec<(String, Option<String>)>;

/// Executes statements and returns the rows of the last one.
macro_rules! cells {
    ($connection:expr, $sql:expr) => {{
        let mut connection = $connection;
        let rows = sqlx::raw_sql(AssertSqlSafe($sql.to_owned())).fetch_all(&mut connection).await?;
        let mut all = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut cells = Vec::new();
            for column in row.columns() {
                let raw = row.try_get_raw(column.ordinal())?;
                let kind = raw.type_info().name().to_owned();
                let text: Option<String> = row.try_get_unchecked(column.ordinal())?;
                cells.push((column.name().to_owned(), text.map(|text| same_everywhere(&kind, text))));
            }
            all.push(cells);
        }
        connection.close().await?;
        Ok(all)
    }};
}

/// Makes values comparable: the engines format fractions differently.
fn same_everywhere(kind: &str, text: String) -> String {
    match kind {
        "REAL" | "FLOAT8" | "DOUBLE" => text.parse::<f64>().map(|value| format!("{value:?}")).unwrap_or(text),
        _ => text,
    }
}

impl Access {
    pub(crate) fn new(engine: Engine, port: u16, admin: &'static str) -> Self {
        Self { engine, port, admin }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a database on this server for an account.
    pub fn url(&self, user: &str, password: &str, name: &str) -> String {
        let scheme = match self.engine {
            Engine::Postgres => "postgres",
            Engine::Mariadb => "mysql",
            Engine::Sqlite => unreachable!("a file is no server"),
        };
        format!("{scheme}://{user}:{}@127.0.0.1:{}/{name}", encoded(password), self.port)
    }

    /// The URL of a database on this server for the account that owns it.
    pub fn url_of_owner(&self, name: &str) -> String {
        self.url(SWEEPER, SWEEPER_PASSWORD, name)
    }

    /// Creates an empty database that the sweeping account owns, and returns its name. `how` replaces the end of the
    /// `CREATE DATABASE` statement.
    ///
    /// # Panics
    /// If the server refuses.
    pub async fn new_database(&self, how: Option<&str>) -> String {
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        match self.engine {
            Engine::Postgres => {
                let how = how.unwrap_or("");
                self.change("postgres", &format!("CREATE DATABASE {name} OWNER {SWEEPER} {how}")).await;
            }
            Engine::Mariadb => {
                let how = how.unwrap_or("CHARACTER SET utf8mb4 COLLATE utf8mb4_bin");
                let text = format!("CREATE DATABASE {name} {how}; GRANT ALL ON {name}.* TO {SWEEPER}");
                self.change("mysql", &text).await;
            }
            Engine::Sqlite => unreachable!("a file is no server"),
        }
        name
    }

    /// The result of a query with an account.
    ///
    /// # Errors
    /// The error of the server.
    pub async fn cells(&self, url: &str, sql: &str) -> Result<Vec<Cells>, sqlx::Error> {
        match self.engine {
            Engine::Postgres => cells!(PgConnection::connect_with(&url.parse::<PgConnectOptions>()?).await?, sql),
            Engine::Mariadb => cells!(MySqlConnection::connect_with(&url.parse::<MySqlConnectOptions>()?).await?, sql),
            Engine::Sqlite => unreachable!("a file is no server"),
        }
    }

    /// Executes statements with all privileges.
    ///
    /// # Panics
    /// If the server refuses.
    pub async fn change(&self, name: &str, sql: &str) {
        let url = self.url(self.admin, ADMIN_PASSWORD, name);
        self.cells(&url, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Whether it accepts a login.
    pub(crate) async fn answers(&self) -> bool {
        let name = if self.engine == Engine::Postgres { "postgres" } else { "mysql" };
        self.cells(&self.url(self.admin, ADMIN_PASSWORD, name), "SELECT 1").await.is_ok()
    }
}

/// A text with percent-encoding for a URL.
pub fn encoded(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric();
    text.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// A database of one test.
#[derive(Debug)]
pub struct Database {
    engine: Engine,
    name: String,
    server: Option<Access>,
    directory: TempDir,
}

impl Database {
    /// A new, empty database. An SQLite file is not created yet.
    ///
    /// # Panics
    /// If its server does not start.
    pub async fn new(engine: Engine) -> Self {
        let server = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(shared::postgres()),
            Engine::Mariadb => Some(shared::mariadb()),
        };
        let name = match &server {
            None => "fleet.db".to_owned(),
            Some(access) => access.new_database(None).await,
        };
        Self { engine, name, server, directory: tempfile::tempdir().expect("a directory for a database") }
    }

    /// A new database on a server of the test.
    ///
    /// # Panics
    /// If the server refuses.
    pub async fn on(server: Access) -> Self {
        let (engine, name) = (server.engine, server.new_database(None).await);
        let directory = tempfile::tempdir().expect("a directory for a database");
        Self { engine, name, server: Some(server), directory }
    }

    /// Its engine.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Its name on the server, or the file name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its server.
    ///
    /// # Panics
    /// If it is an SQLite file.
    pub fn server(&self) -> &Access {
        self.server.as_ref().expect("a database on a server")
    }

    /// Its URL with the password of its owner.
    pub fn url(&self) -> String {
        match &self.server {
            None => format!("sqlite:{}", self.directory.path().join(&self.name).display()),
            Some(access) => access.url_of_owner(&self.name),
        }
    }

    async fn cells(&self, sql: &str) -> Vec<Cells> {
        let cells = match &self.server {
            Some(access) => access.cells(&self.url(), sql).await,
            None => self.cells_of_file(sql).await,
        };
        cells.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    async fn cells_of_file(&self, sql: &str) -> Result<Vec<Cells>, sqlx::Error> {
        let options = SqliteConnectOptions::new().filename(self.directory.path().join(&self.name));
        let options = options.create_if_missing(true).disable_statement_logging();
        cells!(SqliteConnection::connect_with(&options).await?, sql)
    }

    /// The rows as another program sees them, each as lines of `column=value`.
    ///
    /// # Panics
    /// If the query is refused.
    pub async fn named_rows(&self, sql: &str) -> Vec<String> {
        let cell = |(name, value): (String, Option<String>)| format!("{name}={}", value.as_deref().unwrap_or("NULL"));
        let row = |cells: Cells| cells.into_iter().map(cell).collect::<Vec<_>>().join("\n");
        self.cells(sql).await.into_iter().map(row).collect()
    }

    /// The rows as another program sees them, each as `ok|NULL|3`.
    ///
    /// # Panics
    /// If the query is refused.
    pub async fn rows(&self, sql: &str) -> Vec<String> {
        self.cells(sql).await.into_iter().map(shown).collect()
    }

    /// Whether a query succeeds. It fails before the program has created its tables.
    pub async fn answers(&self, sql: &str) -> bool {
        match &self.server {
            Some(access) => access.cells(&self.url(), sql).await.is_ok(),
            // The query must not create the file.
            None => self.directory.path().join(&self.name).exists() && self.cells_of_file(sql).await.is_ok(),
        }
    }

    /// The rows that an account of the server sees, each as `ok|NULL|3`.
    ///
    /// # Panics
    /// If the query is refused.
    pub async fn rows_to(&self, url: &str, sql: &str) -> Vec<String> {
        let cells = self.server().cells(url, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        cells.into_iter().map(shown).collect()
    }

    /// The number that a query returns.
    ///
    /// # Panics
    /// If it does not return one number.
    pub async fn count(&self, sql: &str) -> i64 {
        let rows = self.rows(sql).await;
        match rows.as_slice() {
            [one] => one.parse().unwrap_or_else(|_| panic!("{sql}: {one} is no count")),
            others => panic!("{sql}: {others:?}"),
        }
    }

    /// Executes statements as another program.
    ///
    /// # Panics
    /// If a statement fails.
    pub async fn change(&self, sql: &str) {
        self.cells(sql).await;
    }

    /// Takes away the lock of the collector, as a broken network or a removed file does.
    ///
    /// # Panics
    /// If there is no lock.
    pub async fn lose_lock(&self) {
        match self.engine {
            Engine::Sqlite => {
                let mut file = self.directory.path().join(&self.name).into_os_string();
                file.push(".lock");
                std::fs::remove_file(file).expect("the file that is locked");
            }
            Engine::Postgres => {
                let name = &self.name;
                let sql = format!(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks JOIN pg_database ON pg_database.oid = database
                     WHERE locktype = 'advisory' AND datname = '{name}'"
                );
                self.server().change("postgres", &sql).await;
            }
            Engine::Mariadb => {
                let url = self.server().url(self.server().admin, ADMIN_PASSWORD, &self.name);
                let sql = format!(
                    "SELECT MIN(id) FROM information_schema.processlist WHERE db = '{}' AND id <> CONNECTION_ID()
                     AND user = '{SWEEPER}'",
                    self.name
                );
                // The first connection of a collector has the lock.
                let rows = self.server().cells(&url, &sql).await.expect("the list of sessions");
                let id = rows.into_iter().map(shown).collect::<String>();
                self.server().change("mysql", &format!("KILL {id}")).await;
                // The server replies before the session has ended and released its lock.
                let sql = format!("SELECT id FROM information_schema.processlist WHERE id = {id}");
                wait_until("the session that was killed to end", SOON, async || {
                    self.server().cells(&url, &sql).await.expect("the list of sessions").is_empty()
                })
                .await;
            }
        }
    }
}

fn shown(cells: Cells) -> String {
    cells.into_iter().map(|(_, value)| value.unwrap_or_else(|| "NULL".to_owned())).collect::<Vec<_>>().join("|")
}
