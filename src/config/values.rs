//! Parses the text of one attribute to its value, or to an error and a hint. Pure, and independent of the rest of the
//! file.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    num::{NonZeroU32, NonZeroUsize},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use lettre::message::{Mailbox, Mailboxes};
use url::Url;

use super::{
    address,
    choices::{AgentChoice, AgentKeeping, AttachmentFormat, HostKeyPolicy, SmtpSecurity},
    database::DatabaseTls,
    safe_text::{self, words},
    schema::{self, Bounds},
    value_error::ValueError,
};
use crate::fleet::{
    Bytes, Metric, Percent,
    metric::Unit,
    rule::Repeat,
    security::{allowance::Allowance, noise::Noise, redaction::Redaction},
};

/// A keyword.
fn word<T: Copy, const N: usize>(text: &str, words: [&'static str; N], values: [T; N]) -> Result<T, ValueError> {
    if let Some((_, value)) = words.iter().zip(values).find(|(word, _)| **word == text) {
        return Ok(value);
    }
    let hint = match schema::meant(text, words) {
        Some(meant) => words!["did you mean `", meant, "`?"],
        None => words!["write ", safe_text::listed(words)],
    };
    Err(ValueError::new(words![safe_text::word(text, words.into_iter()), " is not a known value"], hint))
}

/// `yes` or `no`.
pub(super) fn yes_or_no(text: &str) -> Result<bool, ValueError> {
    word(text, schema::YES_OR_NO, [true, false])
}

/// `security` of `<smtp>`.
pub(super) fn security(text: &str) -> Result<SmtpSecurity, ValueError> {
    word(text, schema::SECURITY, [SmtpSecurity::None, SmtpSecurity::StartTls, SmtpSecurity::Tls])
}

pub(super) fn attachments(text: &str) -> Result<AttachmentFormat, ValueError> {
    word(text, schema::ATTACHMENTS, [AttachmentFormat::Text, AttachmentFormat::Gzip])
}

/// `helo` of `<smtp>`: a host name, or an address in brackets.
pub(super) fn helo(text: &str) -> Result<String, ValueError> {
    const HINT: &str = "write the full name of this machine (mon.example.com), or its address as [192.0.2.1] or \
                        [IPv6:2001:db8::1]";
    let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let is_literal = inside.is_some_and(|inside| match inside.split_at_checked(5) {
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6:") => address.parse::<Ipv6Addr>().is_ok(),
        Some(_) | None => inside.parse::<Ipv4Addr>().is_ok(),
    });
    if is_literal {
        return Ok(text.to_owned());
    }
    match address::parse(text) {
        Ok(name) if name.parse::<IpAddr>().is_err() && !name.contains(['%', ':']) => {
            Ok(name.trim_end_matches('.').to_owned())
        }
        Ok(_) => Err(ValueError::new(
            "this is an address without brackets",
            "write it like [192.0.2.1] or [IPv6:2001:db8::1]",
        )),
        Err(_) => Err(ValueError::new("this is not a valid host name", HINT)),
    }
}

/// `tls` of `<database>`.
pub(super) fn database_tls(text: &str) -> Result<DatabaseTls, ValueError> {
    word(text, schema::DATABASE_TLS, [DatabaseTls::Required, DatabaseTls::Off])
}

/// `host-keys`.
pub(super) fn host_keys(text: &str) -> Result<HostKeyPolicy, ValueError> {
    word(text, schema::HOST_KEYS, [HostKeyPolicy::Strict, HostKeyPolicy::AcceptNew, HostKeyPolicy::Off])
}

/// `agent`: whether the uploaded agent stays on the client.
pub(super) fn agent(text: &str) -> Result<AgentChoice, ValueError> {
    let [keep, remove] = [AgentKeeping::Keep, AgentKeeping::Remove].map(AgentChoice::Uploaded);
    word(text, schema::AGENT, [keep, remove, AgentChoice::Installed])
}

/// `ignore`: a regular expression, or empty for none.
pub(super) fn ignore(text: &str) -> Result<Option<Noise>, ValueError> {
    expression(text, Noise::new)
}

/// `redact`: a regular expression, or empty for none.
pub(super) fn redact(text: &str) -> Result<Option<Redaction>, ValueError> {
    expression(text, Redaction::new)
}

fn expression<T, E>(text: &str, compile: impl Fn(&str) -> Result<T, E>) -> Result<Option<T>, ValueError> {
    const HINT: &str =
        "write an expression like `password=(\\S+)`; write `\\` before a special character to match it literally";
    if text.is_empty() {
        return Ok(None);
    }
    let reason = match regex_syntax::parse(text) {
        Ok(_) => "it is too large".into(),
        Err(error) => safe_text::expression_error(&error),
    };
    compile(text)
        .map(Some)
        .map_err(|_| ValueError::new(words!["this is not a valid regular expression: ", reason], HINT))
}

/// `type` of an `<alert>`.
pub(super) fn metric(text: &str) -> Result<Metric, ValueError> {
    word(text, Metric::ALL.map(Metric::word), Metric::ALL)
}

/// A whole number within the bounds of an attribute.
pub(super) fn within(text: &str, bounds: Bounds) -> Result<u32, ValueError> {
    whole(text, bounds.least..=bounds.most)
}

/// A whole number within bounds.
pub(super) fn whole(text: &str, bounds: RangeInclusive<u32>) -> Result<u32, ValueError> {
    let hint = || words!["write a whole number from ", *bounds.start(), " to ", *bounds.end()];
    match text.parse::<u32>() {
        Ok(number) if bounds.contains(&number) => Ok(number),
        Ok(_) => Err(ValueError::new(words![safe_text::number(text), " is out of bounds"], hint())),
        Err(_) => Err(ValueError::new(words![safe_text::number(text), " is not a whole number"], hint())),
    }
}

/// `max-size`: how much a database may take.
pub(super) fn database_size(text: &str) -> Result<Bytes, ValueError> {
    size(text, 10_000_000..=1_000_000_000_000_000, "write a size from `10MB` on, such as `500MB` or `10GB`")
}

/// `mail-size`: how large a mail may be. A smaller one would have no room for a part of a list.
pub(super) fn mail_size(text: &str) -> Result<Bytes, ValueError> {
    size(text, 64_000..=100_000_000, "write a size from `64kB` to `100MB`, such as `5MB`")
}

/// A number of bytes with a unit.
fn size(text: &str, bounds: RangeInclusive<u64>, hint: &'static str) -> Result<Bytes, ValueError> {
    const UNITS: [(&str, u64); 8] = [
        ("KIB", 1 << 10),
        ("MIB", 1 << 20),
        ("GIB", 1 << 30),
        ("TIB", 1 << 40),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
    ];
    let upper = text.trim().to_ascii_uppercase();
    let bytes = UNITS.iter().filter_map(|(unit, bytes)| Some((upper.strip_suffix(unit)?.trim_end(), *bytes))).next();
    let Some((number, unit)) = bytes else {
        return Err(ValueError::new(words![safe_text::number(text), " is not a size with a unit"], hint));
    };
    let Ok(number) = number.parse::<u64>() else {
        return Err(ValueError::new(words![safe_text::number(text), " is not a whole number with a unit"], hint));
    };
    let bytes = number.checked_mul(unit).filter(|bytes| bounds.contains(bytes));
    bytes.map(Bytes).ok_or_else(|| ValueError::new(words![safe_text::number(text), " is out of bounds"], hint))
}

/// `max-events`: the most security events of a client that are stored per day.
pub(super) fn max_events(text: &str) -> Result<Allowance, ValueError> {
    let number = within(text, schema::MAX_EVENTS)?;
    NonZeroU32::new(number)
        .map(|events| Allowance { events })
        .ok_or_else(|| ValueError::new(words![safe_text::number(text), " is out of bounds"], "write at least 1"))
}

/// `concurrency`: how many collections at once, 1 to 4,096.
pub(super) fn concurrency(text: &str) -> Result<NonZeroUsize, ValueError> {
    let number = within(text, schema::AT_ONCE)?;
    usize::try_from(number)
        .ok()
        .and_then(NonZeroUsize::new)
        .ok_or_else(|| ValueError::new(words![safe_text::number(text), " is out of bounds"], "write at least 1"))
}

/// `max-logins` of a bastion: how many logins at once, 1 to 4,096.
pub(super) fn max_logins(text: &str) -> Result<NonZeroUsize, ValueError> {
    concurrency(text)
}

/// A TCP port.
pub(super) fn port(text: &str) -> Result<u16, ValueError> {
    let number = within(text, schema::PORT).ok().and_then(|number| u16::try_from(number).ok());
    number.ok_or_else(|| {
        ValueError::new(words![safe_text::number(text), " is not a valid port"], "write a whole number from 1 to 65535")
    })
}

/// `listen`: an IP address of this machine, or `localhost`, and a port.
pub(super) fn listen(text: &str) -> Result<SocketAddr, ValueError> {
    const HINT: &str = "write an address of this machine and a port, like `127.0.0.1:9469` or `[::1]:9469`";
    let localhost = text.strip_prefix("localhost:").map(|port| format!("{}:{port}", Ipv4Addr::LOCALHOST));
    match localhost.as_deref().unwrap_or(text).parse::<SocketAddr>() {
        Ok(address) if address.port() > 0 => Ok(address),
        Ok(_) => Err(ValueError::new("0 is not a valid port", "write a port from 1 to 65535")),
        Err(_) => Err(match text.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => ValueError::new("this address has no port", "add the port: `127.0.0.1:9469`"),
            Ok(IpAddr::V6(_)) => ValueError::new(
                "this address has no port",
                "write the address in brackets, and the port after them: `[::1]:9469`",
            ),
            Err(_) => ValueError::new("this is not an address with a port", HINT),
        }),
    }
}

/// A duration within bounds.
pub(super) fn duration(text: &str, bounds: RangeInclusive<Duration>) -> Result<Duration, ValueError> {
    let Ok(time) = humantime::parse_duration(text) else {
        let said = safe_text::number(text);
        return Err(match safe_text::digits(text) {
            Some(digits) => ValueError::new(words![said, " has no unit"], words!["write `", digits, "s` for seconds"]),
            None => {
                ValueError::new(words![said, " is not a duration"], "write a duration like `30s`, `5m`, `4h` or `90d`")
            }
        });
    };
    if bounds.contains(&time) {
        return Ok(time);
    }
    let hint = words!["write a duration from ", *bounds.start(), " to ", *bounds.end()];
    Err(ValueError::new(words![safe_text::number(text), " is out of bounds"], hint))
}

/// `events-mail`: `every` or a duration.
pub(super) fn events_mail(text: &str) -> Result<Repeat, ValueError> {
    const SHORTEST: Duration = Duration::from_secs(60);
    const LONGEST: Duration = Duration::from_secs(7 * 86_400);
    if text == schema::EVERY {
        return Ok(Repeat::Every);
    }
    duration(text, SHORTEST..=LONGEST).map(Repeat::After).map_err(|wrong| {
        let hint = words![wrong.hint, ", or `every` for a mail after every collection"];
        ValueError { hint, ..wrong }
    })
}

/// `repeat`: `every` or a duration.
pub(super) fn repeat(text: &str) -> Result<Repeat, ValueError> {
    const SHORTEST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(365 * 86_400);
    if text == schema::EVERY {
        return Ok(Repeat::Every);
    }
    duration(text, SHORTEST..=LONGEST).map(Repeat::After).map_err(|wrong| {
        let hint = words![wrong.hint, ", or `every` for a mail at every collection"];
        ValueError { hint, ..wrong }
    })
}

/// `limit` and `clear` of an `<alert>`, in the unit of its metric.
pub(super) fn limit(unit: Unit, text: &str) -> Result<f64, ValueError> {
    match unit {
        Unit::Percent => percent(text),
        Unit::PerCore => match decimal(text) {
            Some(load) if (0.0..=1000.0).contains(&load) => Ok(load),
            Some(_) | None => Err(ValueError::new(
                words![safe_text::number(text), " is not a load per core"],
                "write a number from 0 to 1000 without a unit, like `1.5`",
            )),
        },
        Unit::MbitPerSecond => match decimal(text) {
            Some(mbit) if (0.0..=10_000_000.0).contains(&mbit) => Ok(mbit),
            Some(_) | None => Err(ValueError::new(
                words![safe_text::number(text), " is not a rate in Mbit/s"],
                "write a number from 0 to 10000000 without a unit, like `800`; with `%`, it is a share of the speed of the link",
            )),
        },
        Unit::Count { many, .. } => whole(text, 0..=1_000_000).map(f64::from).map_err(|wrong| {
            ValueError::new(words![safe_text::number(text), " is not a number of ", many], wrong.hint)
        }),
        Unit::Flag { .. } => whole(text, 0..=1).map(f64::from),
        Unit::Seconds => {
            duration(text, Duration::from_millis(1)..=Duration::from_secs(365 * 86_400)).map(|time| time.as_secs_f64())
        }
        Unit::Days => days(text),
        Unit::Celsius => {
            let number = text.trim().trim_end_matches(['C', '°']).trim_end();
            match decimal(number) {
                Some(celsius) if (-100.0..=1000.0).contains(&celsius) => Ok(celsius),
                Some(_) | None => Err(ValueError::new(
                    words![safe_text::number(text), " is not a temperature"],
                    "write degrees Celsius, like `80`",
                )),
            }
        }
        Unit::FailedSweeps => whole(text, 0..=1_000_000).map(f64::from).map_err(|wrong| {
            ValueError::new(
                words![safe_text::number(text), " is not a count of failed sweeps"],
                words![wrong.hint, ": the alert is raised when more sweeps than this have failed in a row"],
            )
        }),
    }
}

/// A number of days, or a duration with a unit.
fn days(text: &str) -> Result<f64, ValueError> {
    const SHORTEST: Duration = Duration::from_secs(3_600);
    const LONGEST: Duration = Duration::from_secs(365 * 86_400);
    const HINT: &str = "write a number of days from `1h` to `365d`, like `7` or `7d`";
    let bounds = SHORTEST..=LONGEST;
    let time = match decimal(text) {
        Some(number) => Duration::try_from_secs_f64(number * 86_400.0).ok(),
        None => humantime::parse_duration(text).ok(),
    };
    match time {
        Some(time) if bounds.contains(&time) => Ok(time.as_secs_f64() / 86_400.0),
        Some(_) => Err(ValueError::new(words![safe_text::number(text), " is out of bounds"], HINT)),
        None => Err(ValueError::new(words![safe_text::number(text), " is not a number of days"], HINT)),
    }
}

fn percent(text: &str) -> Result<f64, ValueError> {
    const HINT: &str = "write a percentage from `0%` to `100%`";
    let said = || safe_text::number(text);
    let Some(number) = text.strip_suffix('%') else {
        return Err(match (decimal(text), safe_text::digits(text.trim())) {
            (Some(_), Some(digits)) => ValueError::new(words![said(), " has no `%`"], words!["write `", digits, "%`"]),
            (Some(_), None) => ValueError::new(words![said(), " has no `%`"], "write it directly after the number"),
            (None, _) => ValueError::new(words![said(), " is not a percentage"], HINT),
        });
    };
    let Some(number) = decimal(number) else {
        return Err(ValueError::new(words![said(), " is not a percentage"], HINT));
    };
    match Percent::new(number) {
        Ok(share) => Ok(share.get()),
        Err(_) => Err(ValueError::new(words![said(), " is outside 0–100 %"], HINT)),
    }
}

/// A decimal number in plain digits, without exponent, `inf` or `+`.
fn decimal(text: &str) -> Option<f64> {
    let text = text.trim();
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-');
    if plain { text.parse().ok() } else { None }
}

/// A text on one line, such as the name of a client or account.
pub(super) fn line(text: &str) -> Result<String, ValueError> {
    const LONGEST: usize = 200;
    if text.trim().is_empty() {
        return Err(ValueError::new("the value is empty", "write a value, or omit the attribute"));
    }
    if text.chars().any(char::is_control) {
        return Err(ValueError::new("the value contains control characters", "write it on one line"));
    }
    if text.chars().nth(LONGEST).is_some() {
        return Err(ValueError::new("the value is too long", words!["write at most ", LONGEST, " characters"]));
    }
    Ok(text.trim().to_owned())
}

/// One mail address.
pub(super) fn mailbox(text: &str) -> Result<Mailbox, ValueError> {
    mails(text).and_then(|mailboxes| match <[Mailbox; 1]>::try_from(mailboxes) {
        Ok([mailbox]) => Ok(mailbox),
        Err(_) => Err(ValueError::new("this is more than one address", "write one address")),
    })
}

/// Mail addresses, separated by commas. Repeated addresses are dropped.
pub(super) fn mails(text: &str) -> Result<Vec<Mailbox>, ValueError> {
    const HINT: &str = "write addresses like `ops@example.com, Ann <ann@example.com>`";
    if text.trim().is_empty() {
        return Err(ValueError::new("there is no mail address", "write one, or omit the attribute"));
    }
    if text.chars().any(char::is_control) {
        return Err(ValueError::new("the mail addresses contain control characters", HINT));
    }
    if let Ok(mailboxes) = text.parse::<Mailboxes>() {
        let mut once: Vec<Mailbox> = Vec::new();
        for mailbox in mailboxes {
            if !once.iter().any(|other| other.email == mailbox.email) {
                once.push(mailbox);
            }
        }
        return Ok(once);
    }
    // Find which of the addresses is wrong.
    let mut start = 0;
    let count = text.split(',').count();
    for (number, piece) in (1_usize..).zip(text.split(',')) {
        let at = start + (piece.len() - piece.trim_start().len());
        start += piece.len() + 1;
        let piece = piece.trim();
        if piece.is_empty() {
            return Err(ValueError::new("a mail address is missing next to a comma", HINT).within(at..at + 1));
        }
        if piece.parse::<Mailbox>().is_err() {
            let problem = match count {
                1 => "this is not a valid mail address".into(),
                count => words!["address ", number, " of ", count, " is not a valid mail address"],
            };
            return Err(ValueError::new(problem, HINT).within(at..at + piece.len()));
        }
    }
    Err(ValueError::new("this is not a list of mail addresses", HINT))
}

/// A path, with `~` replaced by `home`.
pub(super) fn path(text: &str, home: Option<&Path>) -> Result<PathBuf, ValueError> {
    if text.is_empty() || text.contains('\0') {
        return Err(ValueError::new("the path is empty", "write one, or omit the attribute"));
    }
    let Some(rest) = text.strip_prefix('~') else { return Ok(PathBuf::from(text)) };
    let rest = match rest.strip_prefix('/') {
        Some(rest) => rest,
        None if rest.is_empty() => rest,
        None => return Err(ValueError::new("`~` with a user name is not supported", "write the full path")),
    };
    match home {
        Some(home) => Ok(home.join(rest)),
        None => Err(ValueError::new(
            "`~` cannot be expanded: there is no home directory",
            "write the full path, or set HOME",
        )),
    }
}

/// Whether the URL contains a password.
pub(super) fn url_has_password(url: &str) -> bool {
    Url::parse(url)
        .is_ok_and(|url| url.password().is_some() || url.query_pairs().any(|(name, _)| name.contains("password")))
}

#[cfg(test)]
mod tests;
