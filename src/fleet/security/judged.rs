//! What is known of each event of a log, also from the others: whether a message repeats what the same process has said
//! already, whether a login came from an address from which others failed, and whether it is routine.

use core::net::IpAddr;
use std::collections::{HashMap, HashSet};

use super::{
    SecurityEvent,
    class::Class,
    numbered::{Numbered, field, numbered},
    powerful,
    routine::{Routine, Visitor, Visits, is_system},
    shape::Shape,
    syslog::{self, Message, Pattern},
};

/// An event with its class.
#[derive(Debug)]
pub(super) struct Judged<'a> {
    pub(super) class: Class,
    pub(super) routine: Option<Routine>,
    pub(super) kind: Kind<'a>,
    /// How a subject names it.
    pub(super) headline: Option<&'static str>,
    /// The group with far-reaching rights that got a member.
    pub(super) powerful_group: Option<&'static str>,
    /// How many times it happened.
    pub(super) count: u64,
    pub(super) account: Option<&'a str>,
    pub(super) address: Option<&'a str>,
    pub(super) workstation: Option<&'a str>,
}

/// What separates the groups of one class and program.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind<'a> {
    /// The values of the deciding fields of a known number.
    Fields(Vec<&'a str>),
    /// A pattern of messages, by its place in memory.
    Pattern(usize),
    /// The words of a message between numbers, addresses and names.
    Words(Vec<&'a str>),
}

/// The fields with the address of another machine.
const ADDRESSES: [&str; 5] = ["IpAddress", "ClientAddress", "ClientIPAddress", "SourceAddress", "CallingStationID"];
/// The fields with the name of another machine.
const WORKSTATIONS: [&str; 3] = ["WorkstationName", "Workstation", "ClientName"];
/// Logons of Windows that an address can be blamed for.
const LOGONS: [u32; 2] = [4624, 4768];

/// A failed logon of Windows, and the failed check of a password by NTLM.
const FAILED_LOGON: u32 = 4625;
const PASSWORD_CHECK: u32 = 4776;
/// The longest time between the two records of one failed logon, milliseconds.
const BESIDE_MS: i64 = 2_000;

/// The events of a log with their classes, in their order.
pub(super) fn judge<'a>(events: &'a [SecurityEvent], visitor: Visitor<'a>) -> Vec<Judged<'a>> {
    let messages: Vec<Option<Message<'_>>> =
        events.iter().map(|event| event.event_id.is_none().then(|| syslog::message(event))).collect();
    let visits = Visits::find(visitor, events, &messages);
    let mut echoes = Echoes::of(&messages);
    let mut judged: Vec<Judged<'_>> = events
        .iter()
        .zip(&messages)
        .map(|(event, message)| match message {
            Some(message) => from_message(event, message, &mut echoes, &visits),
            None => from_number(event, numbered(event, event.event_id.unwrap_or_default()), &visits),
        })
        .collect();
    set_repeated_checks_apart(events, &mut judged);
    let failed: HashSet<&str> =
        judged.iter().filter(|judged| judged.class == Class::FailedLogin).filter_map(|judged| judged.address).collect();
    for ((event, message), judged) in events.iter().zip(&messages).zip(&mut judged) {
        let is_login = match message {
            Some(message) => message.is_login,
            None => {
                event.event_id.is_some_and(|id| LOGONS.contains(&id))
                    && judged.class == Class::Other
                    && judged.address.is_some_and(|address| !is_own_machine(address))
            }
        };
        let from_there = judged.address.is_some_and(|address| failed.contains(address));
        if is_login && from_there && judged.routine != Some(Routine::Collector) {
            judged.class = Class::Intrusion;
            judged.routine = None;
        }
    }
    judged
}

/// Windows records a failed logon by NTLM to its own accounts twice: the check of the password, and the logon. Takes each
/// check that has a logon of the same account beside it out of the failed logins.
fn set_repeated_checks_apart(events: &[SecurityEvent], judged: &mut [Judged<'_>]) {
    let mut logons: HashMap<String, Vec<i64>> = HashMap::new();
    let account = |judged: &Judged<'_>| judged.account.map(str::to_lowercase);
    for (event, judged) in events.iter().zip(&*judged) {
        if event.event_id == Some(FAILED_LOGON)
            && let Some(account) = account(judged)
        {
            logons.entry(account).or_default().push(event.occurred_unix_ms);
        }
    }
    // Each logon is beside one check. The latest is at the end of its list.
    for times in logons.values_mut() {
        times.sort_unstable_by(|one, other| other.cmp(one));
    }
    let mut checks: Vec<(i64, usize)> = events
        .iter()
        .enumerate()
        .filter(|(_, event)| event.event_id == Some(PASSWORD_CHECK))
        .map(|(index, event)| (event.occurred_unix_ms, index))
        .collect();
    checks.sort_unstable();
    for (at_ms, index) in checks {
        let Some(judged) = judged.get_mut(index).filter(|judged| judged.class == Class::FailedLogin) else { continue };
        let Some(times) = account(judged).and_then(|account| logons.get_mut(&account)) else { continue };
        while times.last().is_some_and(|time| time.saturating_add(BESIDE_MS) < at_ms) {
            times.pop();
        }
        if times.last().is_some_and(|time| *time <= at_ms.saturating_add(BESIDE_MS)) {
            times.pop();
            judged.class = Class::Other;
            judged.headline = None;
        }
    }
}

/// Windows writes the address of its own machine for logons at the keyboard.
fn is_own_machine(address: &str) -> bool {
    address.parse().is_ok_and(|address: IpAddr| address.is_loopback() || address.is_unspecified())
}

fn from_number<'a>(event: &'a SecurityEvent, known: Numbered, visits: &Visits<'a>) -> Judged<'a> {
    let Numbered { class, row, headline } = known;
    let first = |names: &[&str]| names.iter().find_map(|name| field(event, name));
    let is_upkeep = row.is_some_and(|row| row.is_upkeep);
    let routine = if class.spec().is_grave && !is_upkeep {
        None
    } else if visits.has(event) {
        Some(Routine::Collector)
    } else {
        is_system(event).then_some(Routine::System)
    };
    let kind = match row {
        Some(row) => Kind::Fields(row.by.iter().map(|name| field(event, name).unwrap_or_default()).collect()),
        None => words(event),
    };
    let powerful_group = row
        .filter(|row| row.is_membership && class == row.class)
        .and_then(|_| field(event, "TargetSid"))
        .and_then(powerful::windows);
    let address = first(&ADDRESSES);
    let workstation = match row.and_then(|row| row.workstation) {
        Some(name) => field(event, name),
        None => first(&WORKSTATIONS),
    };
    Judged {
        class,
        routine,
        kind,
        headline,
        powerful_group,
        count: 1,
        account: event.user.as_deref(),
        // An IPv4 address is sometimes written as an IPv6 address.
        address: address.map(|address| address.strip_prefix("::ffff:").unwrap_or(address)),
        workstation,
    }
}

fn from_message<'a>(
    event: &'a SecurityEvent,
    message: &Message<'a>,
    echoes: &mut Echoes<'a>,
    visits: &Visits<'a>,
) -> Judged<'a> {
    let counts = echoes.counts(message);
    let class = if counts { message.class } else { Class::Other };
    let routine = if class.spec().is_grave {
        None
    } else if visits.has_message(event, message) {
        Some(Routine::Collector)
    } else {
        message.is_cron.then_some(Routine::Cron)
    };
    let kind = match message.pattern {
        // Strangers choose the words of these messages.
        Some(pattern) if pattern.class == Class::FailedLogin => Kind::Pattern(place(pattern)),
        Some(_) | None => words(event),
    };
    Judged {
        class,
        routine,
        kind,
        headline: message.headline.filter(|_| counts),
        powerful_group: message.powerful_group,
        count: message.count,
        account: message.account,
        address: message.address,
        workstation: None,
    }
}

fn words(event: &SecurityEvent) -> Kind<'_> {
    Kind::Words(Shape::of(&event.message).literals().to_vec())
}

fn place(pattern: &'static Pattern) -> usize {
    std::ptr::from_ref(pattern).addr()
}

/// Which messages of a process only repeat what another one has said.
struct Echoes<'a> {
    /// The processes that wrote a message of a class that is no echo.
    said: HashSet<(Class, &'a str)>,
    /// The kind of echo that counts, for the others.
    counted: HashMap<(Class, &'a str), usize>,
}

impl<'a> Echoes<'a> {
    fn of(messages: &[Option<Message<'a>>]) -> Self {
        let is_first_hand = |message: &&Message<'_>| message.pattern.is_some_and(|pattern| !pattern.is_echo);
        let said = messages.iter().flatten().filter(is_first_hand);
        Self {
            said: said.filter_map(|message| Some((message.class, message.process?))).collect(),
            counted: HashMap::new(),
        }
    }

    /// Whether a message counts for its class.
    fn counts(&mut self, message: &Message<'a>) -> bool {
        let Some(pattern) = message.pattern.filter(|pattern| pattern.is_echo) else { return true };
        let Some(process) = message.process else { return true };
        let key = (message.class, process);
        !self.said.contains(&key) && *self.counted.entry(key).or_insert_with(|| place(pattern)) == place(pattern)
    }
}
