//! The mails about a client's security log: a summary in the text and the complete list as an attachment. One to each
//! recipient after every collection, even if there is nothing to report; several if the list is long.

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    config,
    fleet::{
        Reading,
        mail::Attachment,
        reading::clean,
        security::{
            EventAccess, SecurityLog,
            allowance::{Allowed, Spent},
            digest::{self, Concern, Group},
            short_source,
        },
    },
    mail::words::{self, SUBJECT_CHARS},
};

use super::{facts::ClientFacts, listing};

/// The largest attachment.
const PART_BYTES: usize = 2 << 20;

/// The most attachments of a mail. This many of the largest ones stay below 10 MiB when encoded, which most servers
/// accept. Encoding adds a third.
const PARTS_OF_A_MAIL: usize = 3;

/// How many groups the text shows. A mail then has about 60 lines.
const GROUPS: usize = 28;

/// How many groups of each concern are shown before others get more lines.
const GROUPS_OF_EACH: usize = 4;

/// The longest message of a group, in characters.
const MESSAGE_CHARS: usize = 160;

/// The longest name of a program, in characters.
const SOURCE_CHARS: usize = 40;

/// The most warnings of the agent, and the longest one, in characters.
const WARNINGS: usize = 4;
const WARNING_CHARS: usize = 200;

/// A smaller difference of a client's clock from ours is not reported, in milliseconds.
const CLOCK_TOLERANCE_MS: u64 = 60_000;

/// The subjects of the agent's warnings that concern the log.
const ABOUT_THE_LOG: [&str; 5] = ["security events", "security log", "further security events", "journal", "/var/log/"];

/// A collection with a security log, which is redacted already.
#[derive(Debug, Clone, Copy)]
pub struct EventsContext<'a> {
    /// The client, with its recipients.
    pub client: &'a config::Client,
    /// The result of the collection.
    pub reading: &'a Reading,
    /// The complete log of the collection.
    pub log: &'a SecurityLog,
    /// How many of its events are stored and attached. The others are only in the summary.
    pub allowed: Allowed,
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
    /// Set if the daily allowance is used up.
    overrun: Option<Overrun>,
    /// `14 security events`; `None` if there are none.
    count: Option<String>,
    /// The number of events by concern, in words; empty if none is severe.
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

/// The groups of one concern.
#[derive(Debug, Serialize)]
struct Section {
    title: String,
    groups: Vec<GroupFacts>,
    /// What is omitted, in words.
    left_out: Option<String>,
}

#[derive(Debug, Serialize)]
struct GroupFacts {
    count: String,
    time: String,
    source: String,
    message: String,
}

/// A mail before its template is rendered: data, subject and attachments.
pub(super) struct Draft {
    pub(super) facts: EventsFacts,
    pub(super) subject: String,
    pub(super) attachments: Vec<Attachment>,
}

/// The mails of one collection, the same for each recipient; at least one.
pub(super) fn drafts(occasion: &EventsContext<'_>) -> Vec<Draft> {
    drafts_of_parts(occasion, PART_BYTES)
}

/// The mails of one collection with attachments of at most this size.
pub(super) fn drafts_of_parts(occasion: &EventsContext<'_>, part_bytes: usize) -> Vec<Draft> {
    let groups = digest::groups(&occasion.log.events);
    let listed = occasion.log.events.get(..occasion.allowed.events).unwrap_or(&occasion.log.events);
    let files = listing::files(&occasion.client.name, listed, part_bytes);
    let mut loads: Vec<Vec<Attachment>> = files.chunks(PARTS_OF_A_MAIL).map(<[Attachment]>::to_vec).collect();
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

/// The subject: the client, problems of the log, the number of events and the subjects of the most severe ones.
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
    if !log.events.is_empty() {
        matters.push(counted(log.events.len(), ("security event", "security events")));
    }
    match digest::counts(groups).first() {
        Some((Concern::Other, _)) | None => {}
        Some((concern, count)) => matters.push(counted(*count, concern.words())),
    }
    if log.truncated {
        matters.push("more to come".to_owned());
    }
    if let Some(left_out) = left_out(occasion) {
        matters.push(format!("{left_out} not kept"));
    }
    let which = if mails > 1 { format!(" ({mail} of {mails})") } else { String::new() };
    let room = SUBJECT_CHARS.saturating_sub(which.len());
    clean(&format!("[fleetsweep] {}: {}", occasion.client.name, matters.join(", ")), room) + &which
}

fn counted(count: usize, (one, several): (&str, &str)) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {several}") }
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
        let EventsContext { client, reading, log, allowed: _, now, collector_name, program: _ } = *occasion;
        let further = mail > 1;
        let in_words = |(concern, count): (Concern, usize)| counted(count, concern.words());
        Self {
            client: ClientFacts::of(client, Some(reading)),
            username: clean(config::safe_text::account(&client.username).as_str(), SOURCE_CHARS),
            channel: log.channel.clone(),
            access: match log.access {
                EventAccess::Read => "read",
                EventAccess::Denied => "denied",
                EventAccess::Unavailable => "unavailable",
                EventAccess::Cleared => "cleared",
            },
            truncated: log.truncated,
            overrun: Overrun::of(occasion),
            count: (!log.events.is_empty()).then(|| counted(log.events.len(), ("security event", "security events"))),
            counts: if is_grave(groups) {
                digest::counts(groups).into_iter().map(in_words).collect()
            } else {
                Vec::new()
            },
            warnings: warnings(reading, log),
            clock: reading.clock_ahead_ms.and_then(clock),
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

/// Whether any event is severe. The most severe groups come first.
fn is_grave(groups: &[Group<'_>]) -> bool {
    groups.first().is_some_and(|group| group.concern != Concern::Other)
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

/// The groups by concern. Each concern gets some lines before the most severe ones get more.
fn sections(all: &[Group<'_>]) -> Vec<Section> {
    let by_concern: Vec<&[Group<'_>]> = all.chunk_by(|one, next| one.concern == next.concern).collect();
    let mut room = GROUPS - by_concern.iter().map(|groups| groups.len().min(GROUPS_OF_EACH)).sum::<usize>().min(GROUPS);
    let mut sections = Vec::new();
    for groups in by_concern {
        let more = groups.len().saturating_sub(GROUPS_OF_EACH).min(room);
        room -= more;
        let (shown, others) = groups.split_at_checked(GROUPS_OF_EACH + more).unwrap_or((groups, &[]));
        let Some(concern) = shown.first().map(|group| group.concern) else { continue };
        let events = |groups: &[Group<'_>]| groups.iter().map(|group| group.events.len()).sum::<usize>();
        let words = if is_grave(all) { concern.words() } else { ("event", "events") };
        sections.push(Section {
            title: counted(events(groups), words),
            groups: shown.iter().map(GroupFacts::of).collect(),
            left_out: (!others.is_empty()).then(|| {
                let kinds = counted(others.len(), ("further kind", "further kinds"));
                format!("{kinds}, {},", counted(events(others), ("event", "events")))
            }),
        });
    }
    sections
}

impl GroupFacts {
    fn of(group: &Group<'_>) -> Self {
        let number = group.event_id.map(|id| format!("{id} ")).unwrap_or_default();
        Self {
            count: format!("{:>5}×", group.events.len()),
            time: words::span_of_their_clock(group.first_unix_ms, group.last_unix_ms),
            source: clean(short_source(group.source), SOURCE_CHARS),
            message: clean(&format!("{number}{}", group.message), MESSAGE_CHARS),
        }
    }
}
