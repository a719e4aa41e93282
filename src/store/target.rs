//! Parses a database URL: a file or a server, with the options of the driver and the TLS mode. Opens no connection.

use std::{io, str::FromStr as _, sync::Arc};

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{
    ConnectOptions as _,
    mysql::{MySqlConnectOptions, MySqlSslMode},
    postgres::{PgConnectOptions, PgSslMode},
    sqlite::SqliteConnectOptions,
};

use super::{
    deadlines::CONNECT_DEADLINE,
    error::{StoreError, StoreErrorKind},
    lock::Server,
};
use crate::config::{
    Database,
    database::{self, DatabaseTls, Encryption},
    safe_text,
};

/// The database of a configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct DatabaseUrl<'a> {
    url: &'a SecretString,
    tls: Option<DatabaseTls>,
}

impl<'a> DatabaseUrl<'a> {
    pub(super) fn configured(database: &'a Database) -> Self {
        Self { url: &database.url, tls: database.tls }
    }

    /// A URL with the default of `tls`.
    pub(super) fn plain(url: &'a SecretString) -> Self {
        Self { url, tls: None }
    }
}

/// The target of a URL.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// The database for display.
    pub(super) place: Arc<str>,
    /// Identifies the database of a server, with the schema in its options. Unlike `place`, it may contain secrets and
    /// must not be shown.
    pub(super) identity: String,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Sqlite { options: SqliteConnectOptions, may_create: bool },
    Server(Server),
}

impl Target {
    /// Parses a URL.
    pub(super) fn of(DatabaseUrl { url, tls }: DatabaseUrl<'_>) -> Result<Self, StoreError> {
        let text = url.expose_secret();
        let scheme = text.split(':').next().unwrap_or_default();
        // The driver's errors about a URL could contain its password.
        let bad = || StoreError::plain(&format!("({scheme})").into(), StoreErrorKind::BadUrl);
        match scheme {
            "sqlite" => Self::sqlite(text, SqliteConnectOptions::from_str(text).map_err(|_| bad())?),
            "postgres" | "postgresql" => {
                let options = PgConnectOptions::from_str(text).map_err(|_| bad())?;
                let server = Server::Postgres(postgres(options, text, tls));
                Self::server(text, server)
            }
            "mysql" | "mariadb" => {
                let options = MySqlConnectOptions::from_str(text).map_err(|_| bad())?;
                Self::server(text, Server::MySql(mysql(options, text, tls)))
            }
            _ => Err(StoreError::plain(&"(unknown kind)".into(), StoreErrorKind::BadUrl)),
        }
    }

    fn server(url: &str, server: Server) -> Result<Self, StoreError> {
        let (is_postgres, host, port, name, part) = match &server {
            Server::Postgres(options) => {
                let name = options.get_database().unwrap_or_else(|| options.get_username());
                (true, bracketed(options.get_host()), options.get_port(), name, part(url))
            }
            Server::MySql(options) => {
                let name = options.get_database().unwrap_or_default();
                (false, bracketed(options.get_host()), options.get_port(), name, String::new())
            }
        };
        let place = safe_text::database_place(is_postgres, &host, port, name).as_str().into();
        let scheme = if is_postgres { "postgres" } else { "mysql" };
        let identity = format!("{scheme}://{host}:{port}/{name} {part}");
        check_files(url, &place)?;
        Ok(Self { place, identity, kind: Kind::Server(server) })
    }

    fn sqlite(url: &str, options: SqliteConnectOptions) -> Result<Self, StoreError> {
        if url.contains(":memory:") || url.contains("mode=memory") {
            // Each connection would have its own database, and the outbox would be lost at the end of the process.
            return Err(StoreError::plain(&":memory:".into(), StoreErrorKind::BadUrl));
        }
        let may_create = !["mode=ro", "mode=rw&", "immutable="].iter().any(|option| url.contains(option))
            && !url.ends_with("mode=rw");
        let options = options.foreign_keys(true).busy_timeout(CONNECT_DEADLINE).disable_statement_logging();
        let place = safe_text::database_file(&options.get_filename().to_string_lossy()).as_str().into();
        Ok(Self { place, identity: String::new(), kind: Kind::Sqlite { options, may_create } })
    }
}

fn postgres(options: PgConnectOptions, url: &str, tls: Option<DatabaseTls>) -> PgConnectOptions {
    let host = unbracketed(options.get_host());
    // PGSSLMODE has the same effect as in the URL, except for its default.
    let written = database::written(url).or(match options.get_ssl_mode() {
        PgSslMode::Allow | PgSslMode::Disable => Some(Encryption::Never),
        PgSslMode::Prefer => None,
        PgSslMode::Require => Some(Encryption::Always),
        PgSslMode::VerifyCa => Some(Encryption::Authority),
        PgSslMode::VerifyFull => Some(Encryption::Name),
    });
    let is_local = options.get_socket().is_some() || database::is_local(&host);
    let mode = match database::effective(written, database::names_authority(url), is_local, tls) {
        Encryption::Never => PgSslMode::Disable,
        Encryption::Offered => PgSslMode::Prefer,
        Encryption::Always => PgSslMode::Require,
        Encryption::Authority => PgSslMode::VerifyCa,
        Encryption::Name => PgSslMode::VerifyFull,
    };
    // Poolers refuse the parameter `extra_float_digits`, which is not needed, because numbers are sent in binary form.
    options.host(&host).ssl_mode(mode).extra_float_digits(None).disable_statement_logging()
}

fn mysql(options: MySqlConnectOptions, url: &str, tls: Option<DatabaseTls>) -> MySqlConnectOptions {
    let host = unbracketed(options.get_host());
    let is_local = options.get_socket().is_some() || database::is_local(&host);
    let mode = match database::effective(database::written(url), database::names_authority(url), is_local, tls) {
        Encryption::Never => MySqlSslMode::Disabled,
        Encryption::Offered => MySqlSslMode::Preferred,
        Encryption::Always => MySqlSslMode::Required,
        Encryption::Authority => MySqlSslMode::VerifyCa,
        Encryption::Name => MySqlSslMode::VerifyIdentity,
    };
    options.host(&host).ssl_mode(mode).disable_statement_logging()
}

/// An IPv6 address without brackets, because the driver would look up a name with brackets.
fn unbracketed(host: &str) -> String {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).to_owned()
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// The session options in a URL.
fn part(url: &str) -> String {
    let of = |url: url::Url| {
        let options = url.query_pairs().filter(|(name, _)| name.starts_with("options"));
        options.map(|(name, value)| format!("{name}={value} ")).collect()
    };
    url::Url::parse(url).map(of).unwrap_or_default()
}

/// Checks that the certificate and key files in a URL can be read, because the driver does not name the file.
fn check_files(url: &str, place: &Arc<str>) -> Result<(), StoreError> {
    for file in database::files(url) {
        if let Err(error) = std::fs::File::open(&file.path) {
            let named = io::Error::new(error.kind(), format!("{}: {error}", safe_text::path(&file.path)));
            return Err(StoreError::new(place, StoreErrorKind::Tls, named));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The TLS mode and the host of a server.
    fn of(url: &str, tls: Option<DatabaseTls>) -> (String, String) {
        match Target::of(DatabaseUrl { url: &url.into(), tls }).unwrap().kind {
            Kind::Server(Server::Postgres(options)) => {
                (format!("{:?}", options.get_ssl_mode()), options.get_host().to_owned())
            }
            Kind::Server(Server::MySql(options)) => {
                (format!("{:?}", options.get_ssl_mode()), options.get_host().to_owned())
            }
            Kind::Sqlite { .. } => panic!("{url} is a file"),
        }
    }

    #[test]
    fn the_driver_is_told_to_encrypt() {
        for (url, tls, mode, host) in [
            ("postgres://u@db/d", None, "Require", "db"),
            ("postgres://u@db/d", Some(DatabaseTls::Off), "Prefer", "db"),
            ("postgres://u@db/d?sslmode=disable", None, "Require", "db"),
            ("postgres://u@[::1]/d", None, "Prefer", "::1"),
            ("postgres://u@[2001:db8::1]/d", None, "Require", "2001:db8::1"),
            ("postgres://u@localhost/d?host=10.0.0.1", None, "Require", "10.0.0.1"),
            ("mysql://u@10.0.0.1/d", None, "Required", "10.0.0.1"),
            ("mysql://u@[2001:db8::1]/d?ssl-mode=VERIFY_IDENTITY", None, "VerifyIdentity", "2001:db8::1"),
            ("mysql://u@db/d?socket=/run/s", None, "Preferred", "db"),
            ("mysql://u@localhost/d", Some(DatabaseTls::Required), "Required", "localhost"),
        ] {
            assert_eq!(of(url, tls), (mode.to_owned(), host.to_owned()), "{url} {tls:?}");
        }
    }

    #[test]
    fn a_file_is_made_unless_the_url_says_otherwise() {
        for (url, expected) in [
            ("sqlite:f.db", true),
            ("sqlite:f.db?mode=rwc", true),
            ("sqlite:f.db?mode=rw", false),
            ("sqlite:f.db?mode=rw&cache=private", false),
            ("sqlite:f.db?mode=ro", false),
        ] {
            let target = Target::of(DatabaseUrl::plain(&url.into())).unwrap();
            assert!(matches!(target.kind, Kind::Sqlite { may_create, .. } if may_create == expected), "{url}");
        }
    }
}
