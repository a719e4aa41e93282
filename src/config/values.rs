//! The text of one attribute to its value, or what is wrong with it and what to write instead. Pure;
//! what is written elsewhere in the file plays no part here.

use std::{
    num::NonZeroUsize,
    ops::{Range, RangeInclusive},
    path::{Path, PathBuf},
    time::Duration,
};

use lettre::message::{Mailbox, Mailboxes};
use url::Url;

use super::{AgentKeeping, HostKeyPolicy, SmtpSecurity, database::DatabaseTls, schema};
use crate::fleet::{Metric, Percent, rule::Repeat, security::redaction::Redaction};

/// Why a text is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub mend: String,
    /// Which bytes of the text; `None` for the whole.
    pub at: Option<Range<usize>>,
}

impl Wrong {
    pub(super) fn new(problem: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { problem: problem.into(), mend: mend.into(), at: None }
    }

    /// The same, about a part of the text.
    pub(super) fn within(self, at: Range<usize>) -> Self {
        Self { at: Some(at), ..self }
    }
}

/// A value as messages repeat it: in quotes, on one line, not too long.
pub(super) fn quote(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = text.chars().take(LONGEST).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// A span of time as the configuration writes it, in its largest whole unit: `90d`, `36h`, `1500ms`.
pub(super) fn show_duration(time: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    if time.subsec_nanos() != 0 || time.is_zero() {
        return format!("{}ms", time.as_millis());
    }
    let seconds = time.as_secs();
    UNITS
        .iter()
        .find(|(unit, _)| seconds.is_multiple_of(*unit))
        .map_or_else(|| format!("{seconds}s"), |(unit, letter)| format!("{}{letter}", seconds / unit))
}

/// A word of a closed list.
fn word<T: Copy>(text: &str, words: &[(&'static str, T)]) -> Result<T, Wrong> {
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let known = || words.iter().map(|(word, _)| *word);
    let mend = match schema::meant(text, known()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("write {}", schema::listed(known())),
    };
    Err(Wrong::new(format!("{} is not known here", quote(text)), mend))
}

/// `yes` or `no`.
pub(super) fn yes_or_no(text: &str) -> Result<bool, Wrong> {
    word(text, &[("yes", true), ("no", false)])
}

/// `security` of `<smtp>`.
pub(super) fn security(text: &str) -> Result<SmtpSecurity, Wrong> {
    word(text, &[("none", SmtpSecurity::None), ("starttls", SmtpSecurity::StartTls), ("tls", SmtpSecurity::Tls)])
}

/// `tls` of `<database>`.
pub(super) fn database_tls(text: &str) -> Result<DatabaseTls, Wrong> {
    word(text, &[("required", DatabaseTls::Required), ("off", DatabaseTls::Off)])
}

/// `host-keys`.
pub(super) fn host_keys(text: &str) -> Result<HostKeyPolicy, Wrong> {
    word(
        text,
        &[("strict", HostKeyPolicy::Strict), ("accept-new", HostKeyPolicy::AcceptNew), ("off", HostKeyPolicy::Off)],
    )
}

/// `agent`.
pub(super) fn agent(text: &str) -> Result<AgentKeeping, Wrong> {
    word(text, &[("keep", AgentKeeping::Keep), ("remove", AgentKeeping::Remove)])
}

/// `redact`: an expression, or nothing.
pub(super) fn redact(text: &str) -> Result<Option<Redaction>, Wrong> {
    const MEND: &str = "write an expression as in `password=(\\S+)`; `\\` before a sign means the sign itself";
    if text.is_empty() {
        return Ok(None);
    }
    Redaction::new(text).map(Some).map_err(|error| {
        // The reader's message is a picture of several lines, whose last one says what is wrong.
        let said = error.to_string();
        let said = said.lines().last().unwrap_or_default().trim_start_matches("error: ");
        Wrong::new(format!("{} is no regular expression: {said}", quote(text)), MEND)
    })
}

/// `type` of an `<alert>`.
pub(super) fn metric(text: &str) -> Result<Metric, Wrong> {
    word(text, &Metric::ALL.map(|metric| (metric.word(), metric)))
}

/// A whole number within bounds.
pub(super) fn whole(text: &str, bounds: RangeInclusive<u32>) -> Result<u32, Wrong> {
    let mend = || format!("write a whole number from {} to {}", bounds.start(), bounds.end());
    match text.parse::<u32>() {
        Ok(number) if bounds.contains(&number) => Ok(number),
        Ok(_) => Err(Wrong::new(format!("{} is out of bounds", quote(text)), mend())),
        Err(_) => Err(Wrong::new(format!("{} is no number that can stand here", quote(text)), mend())),
    }
}

/// `concurrency`.
pub(super) fn concurrency(text: &str) -> Result<NonZeroUsize, Wrong> {
    let number = whole(text, 1..=4096)?;
    usize::try_from(number)
        .ok()
        .and_then(NonZeroUsize::new)
        .ok_or_else(|| Wrong::new(format!("{} is out of bounds", quote(text)), "write at least 1"))
}

/// A TCP port.
pub(super) fn port(text: &str) -> Result<u16, Wrong> {
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        Ok(_) | Err(_) => {
            Err(Wrong::new(format!("{} is no port", quote(text)), "write a whole number from 1 to 65535"))
        }
    }
}

/// A span of time within bounds.
pub(super) fn duration(text: &str, bounds: RangeInclusive<Duration>) -> Result<Duration, Wrong> {
    let Ok(time) = humantime::parse_duration(text) else {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        return Err(if digits {
            Wrong::new(format!("{} lacks its unit", quote(text)), format!("write `{text}s` for seconds"))
        } else {
            Wrong::new(format!("{} is no span of time", quote(text)), "write one as in `30s`, `5m`, `4h` or `90d`")
        });
    };
    if bounds.contains(&time) {
        return Ok(time);
    }
    let (least, most) = (show_duration(*bounds.start()), show_duration(*bounds.end()));
    Err(Wrong::new(format!("{} is out of bounds", quote(text)), format!("write a time from {least} to {most}")))
}

/// `repeat`: `every` or a span of time.
pub(super) fn repeat(text: &str) -> Result<Repeat, Wrong> {
    const SHORTEST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(365 * 86_400);
    if text == "every" {
        return Ok(Repeat::Every);
    }
    duration(text, SHORTEST..=LONGEST).map(Repeat::After).map_err(|wrong| {
        let mend = format!("{}, or `every` for a mail at every collection", wrong.mend);
        Wrong { mend, ..wrong }
    })
}

/// `limit` and `clear` of an `<alert>`: in percent, as load per core, or a count, after the metric.
pub(super) fn limit(metric: Metric, text: &str) -> Result<f64, Wrong> {
    match metric {
        Metric::Cpu | Metric::Memory | Metric::Swap | Metric::Disk => percent(text),
        Metric::Load => match decimal(text) {
            Some(load) if (0.0..=1000.0).contains(&load) => Ok(load),
            Some(_) | None => Err(Wrong::new(
                format!("{} is no load per core", quote(text)),
                "write a number from 0 to 1000 without a unit, as in `1.5`",
            )),
        },
        Metric::Unreachable => whole(text, 0..=1_000_000).map(f64::from).map_err(|wrong| {
            Wrong::new(
                format!("{} is no count of failed sweeps", quote(text)),
                format!("{}: the alert is raised when more sweeps than that have failed in a row", wrong.mend),
            )
        }),
    }
}

fn percent(text: &str) -> Result<f64, Wrong> {
    const MEND: &str = "write a share from `0%` to `100%`";
    let Some(number) = text.strip_suffix('%') else {
        return Err(match decimal(text) {
            Some(_) => Wrong::new(format!("{} lacks its `%`", quote(text)), format!("write `{}%`", text.trim())),
            None => Wrong::new(format!("{} is no share", quote(text)), MEND),
        });
    };
    let Some(number) = decimal(number) else {
        return Err(Wrong::new(format!("{} is no share", quote(text)), MEND));
    };
    match Percent::new(number) {
        Ok(share) => Ok(share.get()),
        Err(_) => Err(Wrong::new(format!("{} lies outside 0–100 %", quote(text)), MEND)),
    }
}

/// A decimal number in plain digits: no exponent, no `inf`, no `+`.
fn decimal(text: &str) -> Option<f64> {
    let text = text.trim();
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-');
    if plain { text.parse().ok() } else { None }
}

/// Words on one line: a name, an account.
pub(super) fn line(text: &str) -> Result<String, Wrong> {
    const LONGEST: usize = 200;
    if text.trim().is_empty() {
        return Err(Wrong::new("the value is empty", "write it, or leave the attribute out"));
    }
    if text.chars().any(char::is_control) {
        return Err(Wrong::new(format!("{} holds control characters", quote(text)), "write it on one line"));
    }
    if text.chars().nth(LONGEST).is_some() {
        return Err(Wrong::new("the value is too long", format!("write at most {LONGEST} characters")));
    }
    Ok(text.trim().to_owned())
}

/// One mail address.
pub(super) fn mailbox(text: &str) -> Result<Mailbox, Wrong> {
    mails(text).and_then(|mailboxes| match <[Mailbox; 1]>::try_from(mailboxes) {
        Ok([mailbox]) => Ok(mailbox),
        Err(_) => Err(Wrong::new(format!("{} is more than one address", quote(text)), "write one address")),
    })
}

/// Mail addresses, separated by commas; each address once.
pub(super) fn mails(text: &str) -> Result<Vec<Mailbox>, Wrong> {
    const MEND: &str = "write addresses as in `ops@example.com, Ann <ann@example.com>`";
    if text.trim().is_empty() {
        return Err(Wrong::new("there is no mail address", "write one, or leave the attribute out"));
    }
    if text.chars().any(char::is_control) {
        return Err(Wrong::new("the mail addresses hold control characters", MEND));
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
    // Which of them is it?
    let mut start = 0;
    for piece in text.split(',') {
        let at = start + (piece.len() - piece.trim_start().len());
        start += piece.len() + 1;
        let piece = piece.trim();
        if piece.is_empty() {
            return Err(Wrong::new("a mail address is missing beside a comma", MEND).within(at..at + 1));
        }
        if piece.parse::<Mailbox>().is_err() {
            let problem = format!("{} is no mail address", quote(piece));
            return Err(Wrong::new(problem, MEND).within(at..at + piece.len()));
        }
    }
    Err(Wrong::new(format!("{} is no list of mail addresses", quote(text)), MEND))
}

/// A path; `~` becomes `home`.
pub(super) fn path(text: &str, home: Option<&Path>) -> Result<PathBuf, Wrong> {
    if text.is_empty() || text.contains('\0') {
        return Err(Wrong::new("there is no path", "write one, or leave the attribute out"));
    }
    let Some(rest) = text.strip_prefix('~') else { return Ok(PathBuf::from(text)) };
    let rest = match rest.strip_prefix('/') {
        Some(rest) => rest,
        None if rest.is_empty() => rest,
        None => return Err(Wrong::new(format!("{} names another user's home", quote(text)), "write the whole path")),
    };
    match home {
        Some(home) => Ok(home.join(rest)),
        None => Err(Wrong::new(
            format!("`~` in {} stands for nothing: there is no home directory here", quote(text)),
            "write the whole path, or set HOME",
        )),
    }
}

/// Whether the URL holds a password.
pub(super) fn url_has_password(url: &str) -> bool {
    Url::parse(url)
        .is_ok_and(|url| url.password().is_some() || url.query_pairs().any(|(name, _)| name.contains("password")))
}

#[cfg(test)]
mod tests;
