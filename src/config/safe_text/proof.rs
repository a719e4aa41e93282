//! Decides for each type of value when a text is certainly of that type, so that it may be shown. If in doubt, it is
//! hidden. Whether a value is valid is decided elsewhere.

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    path::Path,
};

use lettre::message::Mailbox;
use url::Url;

use super::{HIDDEN, SafeText, known, words, wrong_word};
use crate::{
    config::{
        address,
        range::Pattern,
        schema::{self, ValueKind},
    },
    fleet::ClientId,
};

fn proved(text: impl Into<String>) -> SafeText {
    SafeText(Cow::Owned(text.into()))
}

fn shown_if(proof: bool, text: &str) -> SafeText {
    if proof { proved(text) } else { SafeText::hidden() }
}

/// Whether a value may be shown even if the text around it is malformed. This is so only for types whose values cannot
/// contain anything else.
pub(in crate::config) fn in_any_state(kind: ValueKind, text: &str) -> bool {
    match kind {
        ValueKind::Choice(_) | ValueKind::Metric => wrong_word(text, kind.words()).is_some(),
        ValueKind::Whole(_)
        | ValueKind::Duration
        | ValueKind::DurationOrChoice(_)
        | ValueKind::Size
        | ValueKind::Limit => is_measure(text) || wrong_word(text, kind.words()).is_some(),
        ValueKind::Address => is_address(text),
        ValueKind::Socket => is_socket(text),
        ValueKind::PathOrChoice(words) => words.contains(&text),
        ValueKind::Servers
        | ValueKind::Path
        | ValueKind::PathOrNothing
        | ValueKind::Namespace
        | ValueKind::Mail
        | ValueKind::Account
        | ValueKind::Label
        | ValueKind::DatabaseUrl
        | ValueKind::Expression
        | ValueKind::Secret => false,
    }
}

/// A valid value of a type, hidden if it may contain a secret.
pub(in crate::config) fn valid(kind: ValueKind, text: &str) -> SafeText {
    match kind {
        ValueKind::Choice(_)
        | ValueKind::Metric
        | ValueKind::Whole(_)
        | ValueKind::Duration
        | ValueKind::DurationOrChoice(_)
        | ValueKind::Size
        | ValueKind::Limit => shown_if(in_any_state(kind, text), text),
        ValueKind::Address => addresses(text),
        ValueKind::Socket => shown_if(is_socket(text), text),
        ValueKind::Path | ValueKind::PathOrNothing => path(Path::new(text)),
        ValueKind::PathOrChoice(words) => {
            if words.contains(&text) {
                proved(text)
            } else {
                path(Path::new(text))
            }
        }
        ValueKind::Mail => text.parse().map_or_else(|_| SafeText::hidden(), |mailbox| mail(&mailbox)),
        ValueKind::Account => account(text),
        ValueKind::Label => label(text),
        ValueKind::DatabaseUrl => database(text),
        // Each part is shown where it was parsed.
        ValueKind::Servers | ValueKind::Expression | ValueKind::Secret | ValueKind::Namespace => SafeText::hidden(),
    }
}

/// Whether a text consists only of a few numbers with units: `60s`, `1h 30m`, `99.5 %`, `-1`.
fn is_measure(text: &str) -> bool {
    const UNITS: [&str; 33] = [
        "", "%", "ms", "msec", "s", "sec", "secs", "second", "seconds", "m", "min", "mins", "minute", "minutes", "h",
        "hr", "hrs", "hour", "hours", "d", "day", "days", "w", "week", "weeks", "y", "MB", "GB", "TB", "KiB", "MiB",
        "GiB", "TiB",
    ];
    const MOST_DIGITS: usize = 8;
    let mut rest = text.trim();
    if rest.is_empty() || rest.len() > 24 {
        return false;
    }
    while !rest.is_empty() {
        rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',').unwrap_or(rest.len());
        let (digits, behind) = rest.split_at_checked(number).unwrap_or_default();
        let behind = behind.trim_start();
        let unit = behind.find(|c: char| !c.is_ascii_alphabetic() && c != '%').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at_checked(unit).unwrap_or_default();
        let has_digit = digits.bytes().any(|byte| byte.is_ascii_digit());
        if !has_digit || digits.len() > MOST_DIGITS || !UNITS.contains(&unit) {
            return false;
        }
        rest = behind.trim_start();
    }
    true
}

/// Whether a text is certainly an address or a range of addresses: an IP address, or a host name with a domain. A
/// single word may be anything.
fn is_address(text: &str) -> bool {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if bare.parse::<IpAddr>().is_ok() || text == "localhost" {
        return true;
    }
    let Some(example) = example_of(text) else { return false };
    let Ok(address) = address::parse(&example) else { return false };
    let is_domain = |address: &str| {
        let last = address.rsplit_once('.').map(|(_, last)| last).unwrap_or_default();
        last.len() >= 2 && last.bytes().all(|byte| byte.is_ascii_alphabetic())
    };
    address.parse::<IpAddr>().is_ok() || is_domain(&address)
}

/// Whether a text is an IP address, or `localhost`, with a port.
fn is_socket(text: &str) -> bool {
    let of_localhost = text.strip_prefix("localhost:").is_some_and(|port| port.parse::<u16>().is_ok());
    of_localhost || text.parse::<SocketAddr>().is_ok()
}

/// A text without its ranges; `None` if they are malformed or long.
fn example_of(text: &str) -> Option<String> {
    if text.len() > 120 || Pattern::parse(text).is_err() {
        return None;
    }
    let mut example = String::new();
    for (index, part) in text.split(['[', ']']).enumerate() {
        // Pieces with odd numbers are between brackets.
        example.push_str(if index % 2 == 0 { part } else { "1" });
    }
    Some(example)
}

/// The `ip` of a valid client: an address, a host name or a range.
pub(in crate::config) fn addresses(text: &str) -> SafeText {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-.:%_[], ".contains(c);
    shown_if(text.len() <= 255 && text.chars().all(plain), text)
}

/// A host name or address of a valid configuration.
fn host(text: &str) -> SafeText {
    shown_if(address::parse(text).is_ok(), text)
}

/// The address or host name of a server, if it is certainly one.
pub(in crate::config) fn server(text: &str) -> Option<SafeText> {
    is_address(text).then(|| proved(text))
}

/// The identity of a client, if its address is certainly one.
pub(in crate::config) fn client(id: &ClientId) -> Option<SafeText> {
    is_address(id.address()).then(|| proved(id.to_string()))
}

/// The name of a client, if it consists of words. A misplaced secret often contains other characters.
pub(in crate::config) fn label(text: &str) -> SafeText {
    let plain = |c: char| c.is_alphanumeric() || " ._-+#()[],/".contains(c);
    shown_if(text.chars().count() <= 200 && text.chars().all(plain), text)
}

/// The name of an account, such as `ops`, `DOMAIN\ops` or `ops@example.com`. With a password in it, as in `ops:…@host`,
/// it is hidden.
#[must_use]
pub fn account(text: &str) -> SafeText {
    let plain = |text: &str| {
        (1..=64).contains(&text.chars().count()) && text.chars().all(|c| c.is_alphanumeric() || "._-+$".contains(c))
    };
    let name = |text: &str| text.split_once('\\').map_or_else(|| plain(text), |(one, two)| plain(one) && plain(two));
    let proof = match text.rsplit_once('@') {
        Some((user, domain)) => name(user) && is_address(domain),
        None => name(text),
    };
    shown_if(proof, text)
}

/// A mail address, without a display name.
pub(in crate::config) fn mail(mailbox: &Mailbox) -> SafeText {
    let address = mailbox.email.to_string();
    let plain = |c: char| c.is_alphanumeric() || "._-+@".contains(c);
    shown_if(address.chars().all(plain), &address)
}

/// A path, if it certainly is one: it starts at the root, the home or the working directory, or its name is typical for
/// such files. A key or a password may have been written in place of a path.
#[must_use]
pub fn path(path: &Path) -> SafeText {
    const LONGEST: usize = 300;
    let Some(text) = path.to_str() else { return SafeText::hidden() };
    let plain = |more: &str| text.chars().all(|c| c.is_alphanumeric() || "._-/+~,".contains(c) || more.contains(c));
    let drive = |text: &str| {
        let mut letters = text.chars();
        letters.next().is_some_and(|letter| letter.is_ascii_alphabetic()) && letters.as_str().starts_with(":\\")
    };
    let proof = if ["/", "~/", "./", "../"].iter().any(|start| text.starts_with(start)) {
        plain(" @=()#")
    } else if drive(text) {
        plain(" @=()#:\\")
    } else {
        plain("") && (has_customary_name(text) || text.contains('/') && !text.split('/').any(looks_random))
    };
    shown_if(proof && text.len() <= LONGEST, text)
}

/// Whether a path ends with a typical name of a key file, a host key file, a database or the like.
fn has_customary_name(text: &str) -> bool {
    let name = text.rsplit('/').next().unwrap_or_default();
    name.starts_with("id_")
        || name.contains("known_hosts")
        || [".pem", ".key", ".txt", ".db", ".sqlite", ".crt", ".secret"].iter().any(|end| name.ends_with(end))
}

/// Whether a word mixes upper case, lower case and digits, as generated secrets do.
fn looks_random(word: &str) -> bool {
    let any = |is: fn(&char) -> bool| word.chars().any(|c| is(&c));
    any(char::is_ascii_uppercase) && any(char::is_ascii_lowercase) && any(char::is_ascii_digit)
}

/// The path of a file that exists, which shows that it is a path.
#[must_use]
pub fn existing_path(path: &Path) -> SafeText {
    let text = path.to_string_lossy();
    proved(text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect::<String>())
}

/// The name of an environment variable, if it is written in the usual form (`A_Z0_9`).
pub(in crate::config) fn environment_name(name: &str) -> SafeText {
    let plain = name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    let begins = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    shown_if(plain && begins && name.len() <= 100, name)
}

/// The error in a regular expression. The parser has a fixed list of reasons, and none of them repeats the expression.
pub(in crate::config) fn expression_error(error: &regex_syntax::Error) -> SafeText {
    match error {
        regex_syntax::Error::Parse(error) => proved(error.kind().to_string()),
        regex_syntax::Error::Translate(error) => proved(error.kind().to_string()),
        _ => "it cannot be read".into(),
    }
}

/// The name of a database, if it certainly is one.
fn database_name(text: &str) -> SafeText {
    let plain = |c: char| c.is_alphanumeric() || "_-.$".contains(c);
    shown_if((1..=64).contains(&text.chars().count()) && text.chars().all(plain), text)
}

/// The file of a database, if it certainly is one.
#[must_use]
pub fn database_file(text: &str) -> SafeText {
    shown_if(text.chars().all(|c| c.is_alphanumeric() || "._-/+~ ,".contains(c)), text)
}

/// A database on a server, in the form used in messages.
#[must_use]
pub fn database_place(is_postgres: bool, server: &str, port: u16, name: &str) -> SafeText {
    let scheme = if is_postgres { "postgres://" } else { "mysql://" };
    let socket = server.starts_with('/');
    let server = if socket { path(Path::new(server)) } else { host(server) };
    words![scheme, server, ":", port, "/", if name.is_empty() { "".into() } else { database_name(name) }]
}

/// The URL of a database without its password and without anything that is not certainly harmless.
fn database(url: &str) -> SafeText {
    let (scheme, rest) = url.split_once(':').unwrap_or_default();
    if scheme == "sqlite" {
        let (file, options) = rest.split_once('?').map_or((rest, false), |(file, _)| (file, true));
        return words!["sqlite:", database_file(file), if options { "?***" } else { "" }];
    }
    let Some(scheme) = ["postgres", "postgresql", "mysql", "mariadb"].into_iter().find(|known| *known == scheme) else {
        return SafeText::hidden();
    };
    let Ok(parsed) = Url::parse(url) else { return words![scheme, "://", HIDDEN] };
    let user = match (parsed.username(), parsed.password()) {
        ("", None) => "".into(),
        // A user without a password may be a misplaced password.
        (_, None) => words![HIDDEN, "@"],
        (user, Some(_)) => words![account(user), ":", HIDDEN, "@"],
    };
    let server = match (parsed.host_str(), parsed.port()) {
        (None | Some(""), _) => "".into(),
        (Some(name), None) => host(name),
        (Some(name), Some(port)) => words![host(name), ":", port],
    };
    let name = database_name(parsed.path().trim_start_matches('/'));
    let options: Vec<SafeText> = parsed.query_pairs().map(|(name, value)| option(&name, &value)).collect();
    let between = if options.is_empty() { "" } else { "?" };
    words![scheme, "://", user, server, "/", name, between, SafeText::join(&options, "&")]
}

/// One option of a URL.
fn option(name: &str, value: &str) -> SafeText {
    const MODES: [&str; 11] = [
        "disable",
        "allow",
        "prefer",
        "require",
        "verify-ca",
        "verify-full",
        "disabled",
        "preferred",
        "required",
        "verify_ca",
        "verify_identity",
    ];
    const FILES: [&str; 9] =
        ["sslrootcert", "ssl-root-cert", "sslca", "ssl-ca", "sslcert", "ssl-cert", "sslkey", "ssl-key", "socket"];
    let file = |value: &str| if value.starts_with('/') { path(Path::new(value)) } else { SafeText::hidden() };
    let (name, value) = match name {
        "sslmode" | "ssl-mode" => {
            let mode = MODES.contains(&value.to_lowercase().as_str());
            (if name == "sslmode" { "sslmode" } else { "ssl-mode" }, shown_if(mode, value))
        }
        "host" => ("host", if value.starts_with('/') { file(value) } else { host(value) }),
        "port" => ("port", shown_if(value.parse::<u16>().is_ok(), value)),
        other => match FILES.into_iter().find(|known| *known == other) {
            Some(known) => (known, file(value)),
            None => return SafeText::hidden(),
        },
    };
    words![name, "=", value]
}

/// A number with or without a unit in quotes, right or wrong, or a word that people write for one; otherwise `this`.
pub(in crate::config) fn number(text: &str) -> SafeText {
    if !is_measure(text) {
        return known(text, schema::FOREIGN_WORDS.into_iter()).map_or("this".into(), |word| words!["`", word, "`"]);
    }
    let pieces: Vec<&str> = text.split_whitespace().collect();
    SafeText(Cow::Owned(format!("`{}`", pieces.join(" "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(prove: impl Fn(&str) -> SafeText, shown: &[&str], hidden: &[&str]) {
        for text in shown {
            assert_eq!(prove(text).as_str(), *text);
        }
        for text in hidden {
            assert_eq!(prove(text).as_str(), HIDDEN, "{text}");
        }
    }

    #[test]
    fn a_value_is_shown_where_it_is_certainly_of_its_type() {
        check(
            |text| path(Path::new(text)),
            &[
                "/home/ops/.ssh/id_ed25519",
                "~/k",
                "./pw",
                "keys/ops",
                "id_rsa",
                "my_known_hosts",
                "/run/a@b.service/PW",
            ],
            &[
                "hunter2",
                "",
                "-----BEGIN OPENSSH PRIVATE KEY----- b3Blbn",
                "k3J/9a+xQw1",
                "ops:hunter2@h/x",
                "/x\u{1b}[31m",
                &format!("/{}", "a".repeat(400)),
            ],
        );
        check(
            account,
            &["ops", "DOMAIN\\ops", "svc$", "ops@example.com", "jörg"],
            &["ops:hunter2", "ops:hunter2@10.0.0.1", "hunter2@h", "a b", "", "x=y"],
        );
        check(label, &["web-01", "Web server 1", "w[01-12]"], &["ops:hunter2@h", "password=hunter2", "a\nb"]);
        check(database_name, &["fleet", "fleet_2"], &["u:hunter2@h", "", "a b", "x%40"]);
        check(environment_name, &["OPS_PASSWORD", "_X1"], &[" HUNTER2", "hunter2", "1A", "", "A-B"]);
        check(
            |text| valid(ValueKind::Mail, text),
            &["ops@example.com"],
            &["\"ops:hunter2\"@example.com", "hunter2", "a@b.c, d@e.f"],
        );
        assert_eq!(valid(ValueKind::Mail, "hunter2 <ops@example.com>").as_str(), "ops@example.com");
    }

    #[test]
    fn an_address_is_certain_with_its_numbers_or_its_domain() {
        for (text, expected) in [
            ("10.0.4.1", true),
            ("2001:db8::1", true),
            ("[::1]", true),
            ("localhost", true),
            ("10.0.[4-5].[1-40]", true),
            ("db.example.com", true),
            ("web-[01-12].example.com", true),
            ("hunter2", false),
            ("ops:hunter2@10.0.0.1", false),
            ("fe80::1%hunter2", false),
            ("ssh://ops:hunter2@h.example.com", false),
            ("a.b[", false),
            ("12345678", false),
        ] {
            assert_eq!(is_address(text), expected, "{text}");
        }
    }

    #[test]
    fn the_url_of_a_database_is_shown_without_what_may_be_secret() {
        for (url, expected) in [
            ("sqlite:fleetsweep.db", "sqlite:fleetsweep.db"),
            ("sqlite:///var/lib/f.db?mode=rwc", "sqlite:///var/lib/f.db?***"),
            ("sqlite:u:hunter2@h/d", "sqlite:***"),
            ("sqlite:/x/password=hunter2", "sqlite:***"),
            ("postgres://sweep:hunter2@db/fleet", "postgres://sweep:***@db/fleet"),
            ("postgres://u:p@hunter2@h:5433/d", "postgres://u:***@h:5433/d"),
            ("postgres://u:p%40hunter2@h/d", "postgres://u:***@h/d"),
            ("postgres://u%3Ahunter2@h/d", "postgres://***@h/d"),
            ("mysql://u@h/d?password=hunter2", "mysql://***@h/d?***"),
            ("mysql://hunter2@h/d?hunter2", "mysql://***@h/d?***"),
            (
                "postgres://u@h/d?sslmode=verify-full&sslrootcert=/etc/ca.pem&sslpassword=hunter2",
                "postgres://***@h/d?sslmode=verify-full&sslrootcert=/etc/ca.pem&***",
            ),
            ("postgres://u@h/d?sslmode=hunter2&sslkey=hunter2", "postgres://***@h/d?sslmode=***&sslkey=***"),
            ("postgres:///d?host=/run/postgresql", "postgres:///d?host=/run/postgresql"),
            ("postgres://h/u:hunter2@d", "postgres://h/***"),
            ("postgres:u:hunter2@h", "postgres:///***"),
            ("hunter2", "***"),
        ] {
            assert_eq!(database(url).as_str(), expected, "{url}");
        }
    }
}
