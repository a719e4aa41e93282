//! The mails about a client's security log: a summary in the text and the complete list as an attachment. One to each
//! recipient after every collection, even if there is nothing to report; several if the list is long.

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    config::{self, AttachmentFormat},
    fleet::{
        Bytes, Reading,
        mail::Attachment,
        reading::clean,
        security::{
            EventAccess, SecurityLog,
            allowance::{Allowed, Spent},
            class::Class,
            digest::{self, Group, Headline},
            gathering::GatheredLog,
            routine::Visitor,
        },
        units::counted,
    },
    mail::words::{self, SUBJECT_CHARS},
};

use super::{
    facts::ClientFacts,
    listing,
    sections::{Section, count_in_words, sections},
};

/// The longest text of an attachment, so that any editor opens it.
const PART_BYTES: usize = 2 << 20;

/// How much more text fits into a mail if it is compressed, at least. Lists of real logs become eight to twenty times
/// smaller. What a client makes larger than this is split when the mail is sent.
const COMPRESSION: usize = 4;

/// The longest name of a client in a subject, in characters, so that there is room for what happened.
const CLIENT_CHARS: usize = 40;

/// The longest name of a program, in characters.
const SOURCE_CHARS: usize = 40;

/// The most warnings of the agent, and the longest one, in characters.
const WARNINGS: usize = 4;
const WARNING_CHARS: usize = 200;

/// A smaller difference of a client's clock from ours is not reported, in milliseconds.
const CLOCK_TOLERANCE_MS: u64 = 60_000;

/// The subjects of the agent's warnings that concern the log.
const ABOUT_THE_LOG: [&str; 6] =
    ["security events", "security log", "further security events", "journal", "/var/log/", "log "];

/// A collection with a security log, which is redacted already.
#[derive(Debug, Clone, Copy)]
pub struct EventsContext<'a> {
    /// The client, with its recipients.
    pub client: &'a config::Client,
    /// The result of the collection; `None` if it failed, and this is only about earlier ones.
    pub reading: Option<&'a Reading>,
    /// The complete log: of the collection, and in front of it what was gathered.
    pub log: &'a SecurityLog,
    /// The logs that were gathered before.
    pub gathered: &'a [GatheredLog],
    /// How many of its events are stored and attached. The others are only in the summary.
    pub allowed: Allowed,
    /// How many events are left out because of `ignore`.
    pub ignored: usize,
    /// How the list of events is attached.
    pub attachments: AttachmentFormat,
    /// The largest mail.
    pub mail_size: Bytes,
    /// When this program logged in for each log, from and to in milliseconds, by the client's clock, as far as this is
    /// known.
    pub logins_unix_ms: &'a [(i64, i64)],
    /// When it was decided.
    pub now: Timestamp,
    /// The host name of the collector.
    pub collector_name: &'a str,
    /// The command that runs this program there from any directory: `cd /srv/fleet && fleetsweep`.
    pub program: &'a str,
}

/// The template data of one mail.
#[derive(Debug, Serialize)]
pub(super) struct EventsFacts {
    client: ClientFacts,
    username: String,
    channel: String,
    access: &'static str,
    truncated: bool,
    /// Since when it gathers logs, in words; `None` if this is one collection.
    gathered: Option<String>,
    /// In how many of the gathered logs something was wrong, in words.
    unread: Option<String>,
    /// The number of events that are left out because of `ignore`, in words.
    ignored: Option<String>,
    /// Set if the daily allowance is used up.
    overrun: Option<Overrun>,
    /// `14 security events`; `None` if there are none.
    count: Option<String>,
    /// What is grave, in words; empty if nothing is.
    headlines: Vec<String>,
    /// The number of events by class, in words.
    counts: Vec<String>,
    warnings: Vec<String>,
    /// `3 min ahead of`; `None` if the client's clock is correct or unknown.
    clock: Option<String>,
    sections: Vec<Section>,
    /// The names of the attachments of this mail.
    files: Vec<String>,
    /// Which of how many mails it is. All except the first only contain more of the list.
    mail: usize,
    mails: usize,
    further: bool,
    now: String,
    collector: String,
}

/// A mail before its template is rendered: data, subject and attachments.
pub(super) struct Draft {
    pub(super) facts: EventsFacts,
    pub(super) subject: String,
    pub(super) attachments: Vec<Attachment>,
}

/// The mails of one collection, the same for each recipient; at least one.
pub(super) fn drafts(occasion: &EventsContext<'_>) -> Vec<Draft> {
    drafts_of_parts(occasion, PART_BYTES.min(room(occasion)))
}

/// How much text can be attached to one mail, bytes. Its encoding adds more than a third.
fn room(occasion: &EventsContext<'_>) -> usize {
    let bytes = usize::try_from(occasion.mail_size.0).unwrap_or(usize::MAX) / 3 * 2;
    match occasion.attachments {
        AttachmentFormat::Text => bytes,
        AttachmentFormat::Gzip => bytes.saturating_mul(COMPRESSION),
    }
}

/// The mails of one collection with attachments of at most this size.
pub(super) fn drafts_of_parts(occasion: &EventsContext<'_>, part_bytes: usize) -> Vec<Draft> {
    let groups = digest::groups(&occasion.log.events, visitor(occasion));
    let listed = occasion.log.events.get(..occasion.allowed.events).unwrap_or(&occasion.log.events);
    let mut files = listing::files(&occasion.client.name, listed, part_bytes);
    if occasion.attachments == AttachmentFormat::Gzip {
        files = files.iter().map(Attachment::compressed).collect();
    }
    let files_of_a_mail = (room(occasion) / part_bytes.max(1)).max(1);
    let mut loads: Vec<Vec<Attachment>> = files.chunks(files_of_a_mail).map(<[Attachment]>::to_vec).collect();
    if loads.is_empty() {
        loads.push(Vec::new());
    }
    let mails = loads.len();
    let draft = |(mail, attachments): (usize, Vec<Attachment>)| Draft {
        facts: EventsFacts::of(occasion, &groups, &attachments, (mail, mails)),
        subject: subject(occasion, &groups, (mail, mails)),
        attachments,
    };
    (1..).zip(loads).map(draft).collect()
}

/// The command that prints the attached events: those of this client from the first to the last, by its clock. `None`
/// if there are none.
pub(super) fn export_command(occasion: &EventsContext<'_>) -> Option<String> {
    // The times that other programs can parse: years 1 to 9999.
    const BOUNDS: (i64, i64) = (-62_135_596_800_000, 253_402_300_799_998);
    let times = || occasion.log.events.iter().map(|event| event.occurred_unix_ms.clamp(BOUNDS.0, BOUNDS.1));
    let shown = |ms: i64| {
        let at = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
        at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
    };
    let (since, until) = (shown(times().min()?), shown(times().max()? + 1));
    let client = in_shell(&pattern(occasion.client));
    Some(format!("{} export events --client {client} --since {since} --until {until}", occasion.program))
}

/// The pattern that matches only this client: its name, or its address and port if it has none.
fn pattern(client: &config::Client) -> String {
    let name = if client.name == client.id.address() { client.id.to_string() } else { client.name.clone() };
    globset::escape(&name.replace('\\', r"\\"))
}

/// A text quoted for a shell.
#[must_use]
pub fn in_shell(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '@' | '+' | ',' | '=');
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// This program as the client sees it.
fn visitor<'a>(occasion: &EventsContext<'a>) -> Visitor<'a> {
    Visitor { account: &occasion.client.username, logins_unix_ms: occasion.logins_unix_ms }
}

/// How often a gathered log could not be read.
fn unread(gathered: &[GatheredLog]) -> Option<String> {
    let is_unread =
        |gathered: &&GatheredLog| matches!(gathered.log.access, EventAccess::Denied | EventAccess::Unavailable);
    let count = gathered.iter().filter(is_unread).count();
    (count > 0).then(|| counted(count as u64, ("earlier collection", "earlier collections")))
}

/// The subject: the client, problems of the log, everything that is grave, and the number of events. If that is too
/// long, the last classes are only counted.
fn subject(occasion: &EventsContext<'_>, groups: &[Group<'_>], (mail, mails): (usize, usize)) -> String {
    let log = occasion.log;
    let mut matters = Vec::new();
    match log.access {
        EventAccess::Read if log.events.is_empty() => matters.push("nothing new in the security log".to_owned()),
        EventAccess::Read => {}
        EventAccess::Denied => matters.push("the security log may not be read".to_owned()),
        EventAccess::Unavailable => matters.push("there is no security log to read".to_owned()),
        EventAccess::Cleared => matters.push("the security log was cleared".to_owned()),
    }
    let mut after = Vec::new();
    let counts = digest::counts(groups);
    let headlines = digest::headlines(groups);
    if headlines.is_empty()
        && let Some(privileged) = counts.iter().find(|count| count.class == Class::PrivilegedLogin)
        && privileged.all > privileged.routine
    {
        after.push(counted(privileged.all - privileged.routine, privileged.class.spec().words));
    }
    if !log.events.is_empty() {
        let is_routine = counts.iter().all(|count| count.all == count.routine);
        let routine = if is_routine { ", all routine" } else { "" };
        after.push(counted(log.events.len() as u64, ("security event", "security events")) + routine);
    }
    if log.truncated {
        after.push("more to come".to_owned());
    }
    if let Some(left_out) = left_out(occasion) {
        after.push(format!("{left_out} not kept"));
    }
    let which = if mails > 1 { format!(" ({mail} of {mails})") } else { String::new() };
    let room = SUBJECT_CHARS.saturating_sub(which.len());
    let whole = |detailed: usize| {
        let named = headlines.iter().enumerate().map(|(index, headline)| match headline {
            Headline { detailed: words, .. } if index < detailed => words.clone(),
            Headline { short, .. } => short.clone(),
        });
        let all: Vec<String> = matters.iter().cloned().chain(named).chain(after.iter().cloned()).collect();
        format!("[fleetsweep] {}: {}", clean(&occasion.client.name, CLIENT_CHARS), all.join(", "))
    };
    let fits = |text: &String| text.chars().count() <= room;
    let longest = (0..=headlines.len()).rev().map(whole).find(fits).unwrap_or_else(|| whole(0));
    clean(&longest, room) + &which
}

/// How many events of this collection are neither stored nor attached; `None` if all are.
fn left_out(occasion: &EventsContext<'_>) -> Option<usize> {
    occasion.log.events.len().checked_sub(occasion.allowed.events).filter(|count| *count > 0)
}

/// The exhausted allowance.
#[derive(Debug, Serialize)]
struct Overrun {
    /// Events of this collection that are neither stored nor attached.
    left_out: usize,
    /// Events of the day so far.
    today: u64,
    /// Whether this is reported for the first time that day.
    first: bool,
}

impl Overrun {
    fn of(occasion: &EventsContext<'_>) -> Option<Self> {
        let left_out = left_out(occasion)?;
        let Spent { left_out: today, .. } = occasion.allowed.spent;
        Some(Self { left_out, today, first: today == left_out as u64 })
    }
}

impl EventsFacts {
    fn of(
        occasion: &EventsContext<'_>,
        groups: &[Group<'_>],
        attachments: &[Attachment],
        (mail, mails): (usize, usize),
    ) -> Self {
        let EventsContext {
            client,
            reading,
            log,
            gathered,
            allowed: _,
            ignored,
            attachments: _,
            mail_size: _,
            logins_unix_ms: _,
            now,
            collector_name,
            program: _,
        } = *occasion;
        let further = mail > 1;
        Self {
            client: ClientFacts::of(client, reading),
            username: clean(config::safe_text::account(&client.username).as_str(), SOURCE_CHARS),
            channel: log.channel.clone(),
            access: match log.access {
                EventAccess::Read => "read",
                EventAccess::Denied => "denied",
                EventAccess::Unavailable => "unavailable",
                EventAccess::Cleared => "cleared",
            },
            truncated: log.truncated,
            gathered: gathered.first().map(|first| words::moment(first.at)),
            unread: unread(gathered),
            ignored: (ignored > 0).then(|| counted(ignored as u64, ("event", "events"))),
            overrun: Overrun::of(occasion),
            count: (!log.events.is_empty())
                .then(|| counted(log.events.len() as u64, ("security event", "security events"))),
            headlines: digest::headlines(groups).into_iter().map(|headline| headline.detailed).collect(),
            counts: digest::counts(groups).into_iter().map(count_in_words).collect(),
            warnings: reading.map(|reading| warnings(reading, log)).unwrap_or_default(),
            clock: reading.and_then(|reading| reading.clock_ahead_ms).and_then(clock),
            sections: if further { Vec::new() } else { sections(groups) },
            files: attachments.iter().map(|file| file.file_name.clone()).collect(),
            mail,
            mails,
            further,
            now: words::moment(now),
            collector: clean(collector_name, words::TEXT_CHARS),
        }
    }
}

/// The warnings of the agent about the log.
fn warnings(reading: &Reading, log: &SecurityLog) -> Vec<String> {
    let channel = Some(log.channel.as_str()).filter(|channel| !channel.is_empty());
    let about = |warning: &&String| ABOUT_THE_LOG.into_iter().chain(channel).any(|what| warning.starts_with(what));
    reading.warnings.iter().filter(about).take(WARNINGS).map(|warning| clean(warning, WARNING_CHARS)).collect()
}

/// The error of a clock in words; `None` if it is small.
fn clock(ahead_ms: i64) -> Option<String> {
    let off_ms = ahead_ms.unsigned_abs();
    let off = words::duration(std::time::Duration::from_millis(off_ms));
    let direction = if ahead_ms > 0 { "ahead of" } else { "behind" };
    (off_ms >= CLOCK_TOLERANCE_MS).then(|| format!("{off} {direction}"))
}
