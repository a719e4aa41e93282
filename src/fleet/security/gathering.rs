//! Decides when the mail about the security events of a client is sent if `events-mail` gathers several collections into
//! one. Pure. What is gathered is in the database, so that no restart loses or repeats any of it.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{EventAccess, SecurityLog};
use crate::fleet::rule::Repeat;

/// The most events that are gathered. With more, the mail is sent before the period is over.
const MOST_EVENTS: u64 = 20_000;

/// A collection that comes this much before the end of the period belongs to the next mail's time: a schedule is never
/// exact. A twentieth of the period, but not more than this.
const SLACK: Duration = Duration::from_secs(300);

/// What is gathered of a client since its last mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gathering {
    /// When the period began: at the last mail.
    pub since: Timestamp,
    /// The number of collections with something to say.
    pub logs: u64,
    /// The number of their events.
    pub events: u64,
}

/// A log that was not mailed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatheredLog {
    /// When it was collected.
    pub at: Timestamp,
    /// When this program logged in for it, from and to in milliseconds, by the client's clock.
    pub login_unix_ms: Option<(i64, i64)>,
    /// The log with its events, without its bookmark.
    pub log: SecurityLog,
}

/// What a collection changes about what is gathered. It is stored with the collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GatheringChange {
    /// The log of this collection is added.
    Add {
        /// As in [`GatheredLog`].
        login_unix_ms: Option<(i64, i64)>,
    },
    /// All of it is mailed. The next period begins now, or none does.
    Mailed {
        /// When the next period begins; `None` if mails are not gathered.
        since: Option<Timestamp>,
    },
}

/// What happens to the log of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is mailed, with everything that is gathered.
    Mail,
    /// It is gathered.
    Gather,
    /// There is no log, and it is not yet time for the mail about earlier ones.
    Nothing,
}

/// The log of a collection, as far as the decision depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Collected<'a> {
    /// The log.
    pub log: &'a SecurityLog,
    /// Whether it has events of a class that is mailed at once.
    pub is_urgent: bool,
    /// Whether all of its events are stored. What is not stored can only be mailed now.
    pub is_kept: bool,
}

/// Decides what happens to the log of a collection; `None` if the collection has none.
#[must_use]
pub fn decide(mails: Repeat, before: Option<Gathering>, collected: Option<Collected<'_>>, now: Timestamp) -> Step {
    let is_over = before.is_none_or(|gathering| is_over(mails, gathering, now));
    let Some(Collected { log, is_urgent, is_kept }) = collected else {
        let has_more = before.is_some_and(|gathering| gathering.logs > 0);
        return if is_over && has_more { Step::Mail } else { Step::Nothing };
    };
    let gathered = before.map_or(0, |gathering| gathering.events).saturating_add(log.events.len() as u64);
    if is_over || is_urgent || !is_kept || log.access == EventAccess::Cleared || gathered > MOST_EVENTS {
        Step::Mail
    } else {
        Step::Gather
    }
}

/// Whether the period has passed. A clock that was set back ends it, too.
fn is_over(mails: Repeat, gathering: Gathering, now: Timestamp) -> bool {
    let Repeat::After(period) = mails else { return true };
    let period = period.saturating_sub(SLACK.min(period / 20));
    now < gathering.since || Duration::try_from(now.duration_since(gathering.since)).is_ok_and(|past| past >= period)
}

/// What is gathered after a change.
#[must_use]
pub fn after(before: Option<Gathering>, change: GatheringChange, log: Option<&SecurityLog>) -> Option<Gathering> {
    match change {
        GatheringChange::Mailed { since } => since.map(|since| Gathering { since, logs: 0, events: 0 }),
        GatheringChange::Add { .. } => before.map(|gathering| match log {
            Some(log) if says_something(log) => Gathering {
                logs: gathering.logs.saturating_add(1),
                events: gathering.events.saturating_add(log.events.len() as u64),
                ..gathering
            },
            Some(_) | None => gathering,
        }),
    }
}

/// Whether a log is worth keeping: it has events, or a problem.
#[must_use]
pub fn says_something(log: &SecurityLog) -> bool {
    !log.events.is_empty() || log.access != EventAccess::Read || log.truncated
}

/// All logs in one, oldest first: the events of all of them, and the rest of the last one. `None` if there is none.
#[must_use]
pub fn joined(gathered: &[GatheredLog], last: Option<&SecurityLog>) -> Option<SecurityLog> {
    let mut whole = last.or_else(|| gathered.last().map(|gathered| &gathered.log))?.clone();
    whole.events.clear();
    whole.events.extend(gathered.iter().flat_map(|gathered| gathered.log.events.iter().cloned()));
    whole.events.extend(last.into_iter().flat_map(|log| log.events.iter().cloned()));
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::security::SecurityEvent;

    fn log(events: usize) -> SecurityLog {
        let event = SecurityEvent {
            record_id: String::new(),
            channel: None,
            event_id: None,
            level: String::new(),
            occurred_unix_ms: 0,
            source: String::new(),
            user: None,
            message: String::new(),
            data: Vec::new(),
        };
        SecurityLog {
            channel: "journal".into(),
            access: EventAccess::Read,
            bookmark: None,
            truncated: false,
            events: vec![event; events],
        }
    }

    fn at(time: &str) -> Timestamp {
        format!("2026-03-01T{time}Z").parse().unwrap()
    }

    #[test]
    fn a_mail_leaves_at_the_end_of_the_period_or_when_something_is_urgent() {
        let hour = Repeat::After(Duration::from_secs(3600));
        let since = |time, events| Some(Gathering { since: at(time), logs: 1, events });
        for (mails, before, events, urgent, kept, now, expected) in [
            (Repeat::Every, None, 3, false, true, "12:00:00", Step::Mail),
            (Repeat::Every, since("11:59:00", 0), 3, false, true, "12:00:00", Step::Mail),
            // The first one shows that it works.
            (hour, None, 3, false, true, "12:00:00", Step::Mail),
            (hour, since("11:30:00", 0), 3, false, true, "12:00:00", Step::Gather),
            (hour, since("11:30:00", 0), 0, false, true, "12:00:00", Step::Gather),
            (hour, since("11:30:00", 0), 3, true, true, "12:00:00", Step::Mail),
            (hour, since("11:30:00", 0), 3, false, false, "12:00:00", Step::Mail),
            (hour, since("11:30:00", 19_999), 3, false, true, "12:00:00", Step::Mail),
            (hour, since("11:00:00", 0), 0, false, true, "12:00:00", Step::Mail),
            // A schedule of an hour is never exact.
            (hour, since("11:00:05", 0), 0, false, true, "12:00:00", Step::Mail),
            (hour, since("11:03:05", 0), 0, false, true, "12:00:00", Step::Gather),
            // The clock was set back.
            (hour, since("12:30:00", 0), 0, false, true, "12:00:00", Step::Mail),
        ] {
            let log = log(events);
            let collected = Some(Collected { log: &log, is_urgent: urgent, is_kept: kept });
            assert_eq!(decide(mails, before, collected, at(now)), expected, "{before:?} {events} {now}");
        }
        let cleared = SecurityLog { access: EventAccess::Cleared, ..log(0) };
        let collected = Some(Collected { log: &cleared, is_urgent: false, is_kept: true });
        assert_eq!(decide(hour, since("11:30:00", 0), collected, at("12:00:00")), Step::Mail);
        // A client that cannot be reached any more.
        for (before, expected) in [
            (None, Step::Nothing),
            (since("11:30:00", 0), Step::Nothing),
            (since("10:30:00", 0), Step::Mail),
            (since("10:30:00", 0).map(|gathering| Gathering { logs: 0, ..gathering }), Step::Nothing),
        ] {
            assert_eq!(decide(hour, before, None, at("12:00:00")), expected, "{before:?}");
        }
    }

    #[test]
    fn what_is_gathered_is_counted_until_it_is_mailed() {
        let since = at("11:00:00");
        let add = GatheringChange::Add { login_unix_ms: None };
        let mut gathering = after(None, GatheringChange::Mailed { since: Some(since) }, Some(&log(7)));
        assert_eq!(gathering, Some(Gathering { since, logs: 0, events: 0 }));
        for (events, expected) in [(3, (1, 3)), (0, (1, 3)), (2, (2, 5))] {
            gathering = after(gathering, add, Some(&log(events)));
            assert_eq!(gathering.map(|gathering| (gathering.logs, gathering.events)), Some(expected));
        }
        assert_eq!(after(gathering, GatheringChange::Mailed { since: None }, None), None);
    }

    #[test]
    fn joined_logs_have_all_events_and_the_state_of_the_last() {
        let gathered = |events| GatheredLog { at: at("11:00:00"), login_unix_ms: None, log: log(events) };
        let denied = SecurityLog { access: EventAccess::Denied, ..log(0) };
        let joined_with = |last| joined(&[gathered(2), gathered(3)], last).unwrap();
        assert_eq!(
            (joined_with(Some(&denied)).events.len(), joined_with(Some(&denied)).access),
            (5, EventAccess::Denied)
        );
        assert_eq!(joined_with(None).events.len(), 5);
        assert_eq!(joined(&[], None), None);
    }
}
