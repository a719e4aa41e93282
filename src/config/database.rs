//! Parses the URL of the database: which databases and options it may name, and how the connection to a server is
//! protected. Pure: it contacts nobody and opens no file. The store opens the database.
//!
//! Messages never repeat a part of the URL, because any part may be a password that was typed in the wrong place.

use std::{
    borrow::Cow,
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

use secrecy::SecretString;
use url::{Url, form_urlencoded};

use super::{
    address,
    safe_text::{listed, words},
    schema,
    value_error::ValueError,
};

#[cfg(test)]
mod tests;

/// `tls` of `<database>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseTls {
    /// `required`: the connection must be encrypted.
    Required,
    /// `off`: clear text is allowed, even to another machine.
    Off,
}

/// How a connection is protected, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Encryption {
    /// Clear text.
    Never,
    /// TLS if the server offers it, clear text otherwise.
    Offered,
    /// TLS, but the server's certificate is not verified.
    Always,
    /// TLS, and the certificate must be from a trusted authority.
    Authority,
    /// The same, and the certificate must be for the server's name.
    Name,
}

/// The kind of server that a URL names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    Postgres,
    MySql,
}

const FORMS: &str = "write `sqlite:FILE`, `postgres://USER@HOST/DATABASE` or `mysql://USER@HOST/DATABASE`";

/// Options of a SQLite URL.
const OF_SQLITE: [&str; 3] = ["mode", "cache", "immutable"];

/// Options of a PostgreSQL URL that the driver knows, besides `options[NAME]`.
const OF_POSTGRES: [&str; 18] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "statement-cache-capacity",
    "ssl-mode",
    "ssl-root-cert",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
];

/// Options of a MySQL URL that the driver knows. The driver silently ignores all others.
const OF_MYSQL: [&str; 14] = [
    "ssl-mode",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "socket",
    "charset",
    "collation",
    "timezone",
    "time-zone",
    "statement-cache-capacity",
    "sslmode",
    "sslca",
    "sslcert",
    "sslkey",
];

/// The options that name files, for both kinds of servers.
const FILES: [&str; 8] =
    ["sslrootcert", "ssl-root-cert", "sslca", "ssl-ca", "sslcert", "ssl-cert", "sslkey", "ssl-key"];

/// The options that name a private key.
const KEYS: [&str; 2] = ["sslkey", "ssl-key"];

/// The options that name the authority of the server's certificate.
const AUTHORITIES: [&str; 4] = ["sslrootcert", "ssl-root-cert", "sslca", "ssl-ca"];

const POSTGRES_MODES: [(&str, Encryption); 6] = [
    ("disable", Encryption::Never),
    // The driver only tries clear text.
    ("allow", Encryption::Never),
    ("prefer", Encryption::Offered),
    ("require", Encryption::Always),
    ("verify-ca", Encryption::Authority),
    ("verify-full", Encryption::Name),
];

const MYSQL_MODES: [(&str, Encryption); 5] = [
    ("DISABLED", Encryption::Never),
    ("PREFERRED", Encryption::Offered),
    ("REQUIRED", Encryption::Always),
    ("VERIFY_CA", Encryption::Authority),
    ("VERIFY_IDENTITY", Encryption::Name),
];

impl Server {
    fn modes(self) -> &'static [(&'static str, Encryption)] {
        match self {
            Self::Postgres => &POSTGRES_MODES,
            Self::MySql => &MYSQL_MODES,
        }
    }

    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Postgres => &OF_POSTGRES,
            Self::MySql => &OF_MYSQL,
        }
    }

    /// What to add to a URL so that the server's certificate is verified.
    fn verified_by(self) -> &'static str {
        match self {
            Self::Postgres => "sslmode=verify-full&sslrootcert=FILE",
            Self::MySql => "ssl-mode=VERIFY_IDENTITY&ssl-ca=FILE",
        }
    }
}

/// An option of a URL: its decoded name and value, and its position in the URL.
struct UrlOption<'a> {
    name: Cow<'a, str>,
    value: Cow<'a, str>,
    at: Range<usize>,
}

/// The options of a URL, in their order.
fn options(url: &str) -> impl Iterator<Item = UrlOption<'_>> {
    let start = url.find('?').map_or(url.len(), |at| at + 1);
    let query = url.get(start..).unwrap_or_default();
    let mut at = start;
    query.split('&').filter_map(move |pair| {
        let place = at..at + pair.len();
        at = place.end + 1;
        let (name, value) = form_urlencoded::parse(pair.as_bytes()).next()?;
        Some(UrlOption { name, value, at: place })
    })
}

/// Parses the URL. Returns it with the scheme in the one form that the store knows and with `~` expanded.
pub(super) fn parse(text: &str, home: Option<&Path>) -> Result<SecretString, ValueError> {
    let Some((scheme, rest)) = text.split_once(':') else {
        return Err(ValueError::new("the database URL has no scheme", FORMS));
    };
    let (server, scheme) = match scheme {
        "sqlite" => return sqlite(text, rest, home),
        "postgres" | "postgresql" => (Server::Postgres, "postgres"),
        "mysql" | "mariadb" => (Server::MySql, "mysql"),
        _ => return Err(ValueError::new("the scheme of the database URL is unknown", FORMS)),
    };
    const IN_A_PASSWORD: &str =
        "in a password write `%40` for `@`, `%2F` for `/`, `%3A` for `:`, `%3F` for `?`, `%23` for `#`";
    let unreadable = |problem: &'static str| Err(ValueError::new(problem, words![FORMS, "; ", IN_A_PASSWORD]));
    // Without the slashes, the URL library takes the rest for the name of a database.
    if !rest.starts_with("//") {
        return unreadable("the database URL has no `//` after its scheme");
    }
    let url = format!("{scheme}:{rest}");
    let Ok(parsed) = Url::parse(&url) else {
        return unreadable("the database URL cannot be parsed");
    };
    // If a password contains one of these characters, the text after it would be taken for a part of the URL that may
    // be shown.
    if parsed.fragment().is_some() || parsed.path().contains(['@', ':']) {
        return unreadable("the database URL contains `#`, or `@` or `:` in the name of the database");
    }
    for option in options(text) {
        check_option(server, &option).map_err(|wrong| wrong.within(option.at))?;
    }
    let in_query = |wanted: &str| options(text).any(|option| option.name == wanted && !option.value.is_empty());
    match parsed.host_str().unwrap_or_default() {
        "" if !["host", "hostaddr", "socket"].iter().any(|wanted| in_query(wanted)) => {
            return Err(ValueError::new("the database URL names no host", FORMS));
        }
        hosts if hosts.contains(',') => {
            return Err(ValueError::new(
                "the database URL names several hosts",
                "write only the server that accepts writes",
            ));
        }
        _ => {}
    }
    if parsed.path().trim_matches('/').is_empty() && !in_query("dbname") {
        return Err(ValueError::new("the database URL names no database", FORMS));
    }
    Ok(SecretString::from(url))
}

/// The URL of a file.
fn sqlite(text: &str, rest: &str, home: Option<&Path>) -> Result<SecretString, ValueError> {
    const WHOLE: &str = "write the full path, for example `sqlite:/var/lib/fleetsweep/fleet.db`";
    let named = rest.strip_prefix("//").unwrap_or(rest);
    let (file, query) = match named.split_once('?') {
        Some((file, query)) => (file, Some(query)),
        None => (named, None),
    };
    if file.is_empty() {
        return Err(ValueError::new("the database URL names no file", FORMS));
    }
    if file.contains(":memory:") {
        return Err(ValueError::new(
            "a database in memory loses alerts and waiting mails when the program ends",
            FORMS,
        ));
    }
    if file.starts_with("file:") {
        return Err(ValueError::new("the database URL has two schemes", "write `sqlite:FILE` without `file:`"));
    }
    if file.starts_with("${") || file.strip_prefix('$').is_some_and(|name| name.starts_with(char::is_alphabetic)) {
        return Err(ValueError::new("environment variables are not expanded in the database URL", WHOLE));
    }
    if file.ends_with('/') {
        return Err(ValueError::new("the database URL names a directory", "write the name of a file in it"));
    }
    for option in options(text) {
        check_sqlite_option(&option).map_err(|wrong| wrong.within(option.at))?;
    }
    let Some(below) = file.strip_prefix('~') else { return Ok(SecretString::from(text)) };
    let Some(below) = below.strip_prefix('/') else {
        return Err(ValueError::new("`~` in the database URL must be followed by `/` and a file name", WHOLE));
    };
    let Some(home) = home else {
        let problem = "`~` in the database URL cannot be expanded: there is no home directory";
        return Err(ValueError::new(problem, "write the full path, or set HOME"));
    };
    // The store percent-decodes the path once more.
    let home = home.to_string_lossy().replace('%', "%25").replace('?', "%3F");
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Ok(SecretString::from(format!("sqlite:{home}/{below}{query}")))
}

fn check_sqlite_option(UrlOption { name, value, .. }: &UrlOption<'_>) -> Result<(), ValueError> {
    let (known, problem): (&[&'static str], &'static str) = match name.as_ref() {
        "mode" if value == "memory" => {
            return Err(ValueError::new(
                "a database in memory loses alerts and waiting mails when the program ends",
                "omit `mode`",
            ));
        }
        "mode" => (&["rwc", "rw", "ro"], "`mode` has an unknown value"),
        "cache" => (&["private", "shared"], "`cache` has an unknown value"),
        "immutable" => (&["false", "0"], "the database must not be `immutable`: the program writes to it"),
        _ => return Err(unknown_option(name, &OF_SQLITE)),
    };
    if known.contains(&value.as_ref()) {
        return Ok(());
    }
    Err(ValueError::new(problem, words!["write ", listed(known.iter().copied()), ", or omit the option"]))
}

fn check_option(server: Server, UrlOption { name, value, .. }: &UrlOption<'_>) -> Result<(), ValueError> {
    let name = name.as_ref();
    let is_session_option = server == Server::Postgres && name.starts_with("options[") && name.ends_with(']');
    if !is_session_option && !server.options().contains(&name) {
        return Err(unknown_option(name, server.options()));
    }
    let unless = |holds: bool, problem: &'static str, hint: &'static str| {
        if holds { Ok(()) } else { Err(ValueError::new(problem, hint)) }
    };
    match name {
        "sslmode" | "ssl-mode" if mode(server, value).is_none() => Err(ValueError::new(
            words!["`", if name == "sslmode" { "sslmode" } else { "ssl-mode" }, "` has an unknown value"],
            words!["write ", listed(server.modes().iter().map(|(word, _)| *word))],
        )),
        "port" => unless(
            value.parse::<u16>().is_ok_and(|port| port > 0),
            "`port` in the database URL is not a valid port",
            "write a whole number from 1 to 65535",
        ),
        "hostaddr" => unless(
            value.parse::<std::net::IpAddr>().is_ok(),
            "`hostaddr` in the database URL is not an IP address",
            "write an IP address, or write a host name as `host`",
        ),
        "statement-cache-capacity" => unless(
            value.parse::<u16>().is_ok(),
            "`statement-cache-capacity` is not a number",
            "write a whole number, or omit it",
        ),
        "charset" => unless(
            value.eq_ignore_ascii_case("utf8mb4"),
            "only the character set utf8mb4 can store every character",
            "omit `charset`",
        ),
        "collation" => unless(
            value.to_ascii_lowercase().starts_with("utf8mb4_"),
            "only the character set utf8mb4 can store every character",
            "omit `collation`",
        ),
        file if FILES.contains(&file) => unless(
            !value.is_empty(),
            "a file option in the database URL is empty",
            "write the path of the file, or omit the option",
        ),
        _ => Ok(()),
    }
}

fn unknown_option(written: &str, known: &[&'static str]) -> ValueError {
    let hint = match schema::meant(written, known.iter().copied()) {
        Some(meant) => words!["did you mean `", meant, "`?"],
        None => words!["remove it; the known options are ", listed(known.iter().copied())],
    };
    ValueError::new("the database URL has an unknown option", hint)
}

/// The meaning of a value of `sslmode`, in the driver's reading.
fn mode(server: Server, value: &str) -> Option<Encryption> {
    let value = match server {
        Server::Postgres => value.to_ascii_lowercase(),
        Server::MySql => value.to_ascii_uppercase(),
    };
    server.modes().iter().find(|(word, _)| *word == value).map(|(_, mode)| *mode)
}

fn server_of(url: &str) -> Option<Server> {
    match url.split(':').next()? {
        "postgres" => Some(Server::Postgres),
        "mysql" => Some(Server::MySql),
        _ => None,
    }
}

/// The encryption that a parsed URL asks for; `None` if it does not say.
#[must_use]
pub fn written(url: &str) -> Option<Encryption> {
    let server = server_of(url)?;
    let modes = options(url).filter(|option| option.name == "sslmode" || option.name == "ssl-mode");
    // The last one counts.
    modes.last().and_then(|option| mode(server, &option.value))
}

/// Whether a URL names the authority of the server's certificate.
#[must_use]
pub fn names_authority(url: &str) -> bool {
    options(url).any(|option| AUTHORITIES.contains(&option.name.as_ref()))
}

/// A file that a URL names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    /// Its path.
    pub path: PathBuf,
    /// Its position in the URL, in bytes.
    pub at: Range<usize>,
    /// Whether it is a private key; otherwise it is a certificate.
    pub is_key: bool,
}

/// The files that a URL names. Certificates and keys that are written in the URL itself are skipped.
pub fn files(url: &str) -> impl Iterator<Item = NamedFile> {
    options(url)
        .filter(|option| FILES.contains(&option.name.as_ref()) && !option.value.trim_start().starts_with("-----BEGIN"))
        .map(|option| {
            let is_key = KEYS.contains(&option.name.as_ref());
            NamedFile { path: PathBuf::from(option.value.into_owned()), at: option.at, is_key }
        })
}

/// Whether a server is on this machine: reached by a Unix socket or a loopback address. Names other than `localhost`
/// are not looked up, because the answer may change before the connection is made.
#[must_use]
pub fn is_local(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.starts_with('/') || address::is_loopback(host)
}

/// How a connection is protected in effect. `written` is what the URL says; `is_local` is whether the server is on this
/// machine.
#[must_use]
pub fn effective(
    written: Option<Encryption>,
    names_authority: bool,
    is_local: bool,
    tls: Option<DatabaseTls>,
) -> Encryption {
    let is_required = match tls {
        Some(DatabaseTls::Required) => true,
        Some(DatabaseTls::Off) => false,
        None => !is_local,
    };
    match (is_required, written) {
        (false, written) => written.unwrap_or(Encryption::Offered),
        // Naming an authority means that the server's certificate must be verified with it.
        (true, None) if names_authority => Encryption::Name,
        (true, Some(Encryption::Always)) if names_authority => Encryption::Authority,
        (true, written) => written.unwrap_or(Encryption::Always).max(Encryption::Always),
    }
}

/// The host of the server that a parsed URL names; `None` if it names a file.
fn host_of(url: &str) -> Option<String> {
    server_of(url)?;
    let given = |wanted: &str| options(url).filter(|option| option.name == wanted).last().map(|option| option.value);
    if let Some(socket) = given("socket").filter(|socket| !socket.is_empty()) {
        return Some(format!("/{socket}"));
    }
    if let Some(host) = given("hostaddr").or_else(|| given("host")).filter(|host| !host.is_empty()) {
        return Some(host.into_owned());
    }
    let parsed = Url::parse(url).ok()?;
    let host = parsed.host_str().unwrap_or_default();
    // The percent-encoded directory of a Unix socket.
    Some(if host.to_ascii_lowercase().starts_with("%2f") { "/".to_owned() } else { host.to_owned() })
}

/// Whether a parsed URL names a server, and not a file.
pub(super) fn is_server(url: &str) -> bool {
    server_of(url).is_some()
}

/// The error if a URL and `tls` contradict each other.
pub(super) fn contradiction(url: &str, tls: Option<DatabaseTls>) -> Option<ValueError> {
    let (server, host) = (server_of(url)?, host_of(url)?);
    let weak = written(url).is_some_and(|written| written < Encryption::Always);
    let key = if server == Server::Postgres { "sslmode" } else { "ssl-mode" };
    let problem = match tls {
        Some(DatabaseTls::Off) => return None,
        Some(DatabaseTls::Required) => words!["`", key, "` allows clear text, but tls=\"required\" does not"],
        None if is_local(&host) => return None,
        None => words![
            "`",
            key,
            "` allows clear text to another machine, so others on the network can read the database password"
        ],
    };
    let hint = words!["omit `", key, "`, add ", server.verified_by(), ", or write tls=\"off\" on <database>"];
    weak.then(|| ValueError::new(problem, hint))
}

/// How the connection of a parsed URL is protected, in words; `None` if it names a file.
#[must_use]
pub fn protection(url: &str, tls: Option<DatabaseTls>) -> Option<Protection> {
    let server = server_of(url)?;
    let is_local = is_local(&host_of(url)?);
    let encryption = effective(written(url), names_authority(url), is_local, tls);
    Some(Protection { encryption, is_local, tls, server })
}

/// How a connection is protected, as `check` says it.
#[derive(Debug, Clone, Copy)]
pub struct Protection {
    encryption: Encryption,
    is_local: bool,
    tls: Option<DatabaseTls>,
    server: Server,
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.encryption, self.is_local) {
            (Encryption::Name, _) => f.write_str("encrypted, with the server's certificate verified"),
            (Encryption::Authority, _) => {
                f.write_str("encrypted; the authority of the server's certificate is verified, but not its name")
            }
            (Encryption::Always, true) => f.write_str("to this machine, encrypted"),
            (Encryption::Always, false) => write!(
                f,
                "encrypted, but the server's certificate is not verified: who can answer in the server's place gets the \
                 password; add {}",
                self.server.verified_by()
            ),
            (Encryption::Never | Encryption::Offered, true) => {
                f.write_str("to this machine, encrypted if the server offers it")
            }
            (Encryption::Never | Encryption::Offered, false) => match self.tls {
                Some(DatabaseTls::Off) => f.write_str("CLEAR TEXT is allowed by tls=\"off\", even for the password"),
                Some(DatabaseTls::Required) | None => f.write_str("rejected: clear text to another machine"),
            },
        }
    }
}
