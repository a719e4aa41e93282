//! The daily limit of security events that are stored and mailed for one client. Pure.

use std::num::NonZeroU32;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::SecurityEvent;

/// The average size of an event in bytes, with a margin: that of a Windows domain controller, with all fields.
const BYTES_OF_ONE: u64 = 2048;

/// The size that the store needs for an event besides its texts, in bytes.
const BYTES_AROUND: u64 = 64;

const SECONDS_OF_A_DAY: i64 = 86_400;

/// How many events one client may have stored per day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// An allowance of this many events with an average size of 2 KiB.
    pub events: NonZeroU32,
}

/// How much of it a client has used. Days are in UTC, by the collector's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Spent {
    /// The day, counted from the Unix epoch.
    pub day: i64,
    /// The number of stored events.
    pub stored: u64,
    /// The size of the stored events, bytes.
    pub bytes: u64,
    /// The number of events that were not stored.
    pub left_out: u64,
}

/// The part of the events of one collection that the allowance permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// How many of them are stored and attached, from the first on.
    pub events: usize,
    /// What is used after that.
    pub spent: Spent,
}

impl Allowance {
    /// The limit in bytes per day.
    #[must_use]
    pub fn bytes(self) -> u64 {
        u64::from(self.events.get()) * BYTES_OF_ONE
    }

    /// Applies the allowance to events, oldest first.
    #[must_use]
    pub fn allow(self, before: Spent, events: &[SecurityEvent], now: Timestamp) -> Allowed {
        let mut spent = before.on(now);
        let mut allowed = 0;
        for event in events {
            let bytes = spent.bytes.saturating_add(bytes_of(event));
            if spent.stored >= u64::from(self.events.get()) || bytes > self.bytes() {
                break;
            }
            spent.stored += 1;
            spent.bytes = bytes;
            allowed += 1;
        }
        spent.left_out = spent.left_out.saturating_add((events.len() - allowed) as u64);
        Allowed { events: allowed, spent }
    }
}

impl Spent {
    /// The use at the given day: a new day starts at 0. A clock that is set back does not start a new day.
    fn on(self, now: Timestamp) -> Self {
        let day = now.as_second().div_euclid(SECONDS_OF_A_DAY);
        if day > self.day { Self { day, ..Self::default() } } else { Self { day, ..self } }
    }
}

fn bytes_of(event: &SecurityEvent) -> u64 {
    let SecurityEvent { record_id, channel, event_id: _, level, occurred_unix_ms: _, source, user, message, data } =
        event;
    let texts = [record_id, level, source, message].into_iter().chain(user).chain(channel);
    let fields = data.iter().flat_map(|(name, value)| [name, value]);
    texts.chain(fields).map(|text| text.len() as u64).sum::<u64>() + BYTES_AROUND
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(count: usize, message_bytes: usize) -> Vec<SecurityEvent> {
        let event = SecurityEvent {
            record_id: String::new(),
            channel: None,
            event_id: None,
            level: String::new(),
            occurred_unix_ms: 0,
            source: String::new(),
            user: None,
            message: "x".repeat(message_bytes),
            data: Vec::new(),
        };
        vec![event; count]
    }

    #[test]
    fn a_day_has_so_many_events_and_bytes_and_the_next_one_again() {
        let allowance = Allowance { events: NonZeroU32::new(100).unwrap() };
        let mut spent = Spent::default();
        for (at, count, bytes, expected) in [
            // Exactly as many events as allowed.
            ("2026-03-01T00:00:00Z", 60, 10, (60, 60, 0)),
            ("2026-03-01T12:00:00Z", 60, 10, (40, 100, 20)),
            ("2026-03-01T23:59:59Z", 5, 10, (0, 100, 25)),
            ("2026-03-02T00:00:00Z", 5, 10, (5, 5, 0)),
            // 200 KiB: three of 64 KiB.
            ("2026-03-03T00:00:00Z", 9, 64 * 1024, (3, 3, 6)),
            // A small one still fits.
            ("2026-03-03T00:01:00Z", 1, 10, (1, 4, 6)),
            // The clock jumps ahead and back: the used part stays used, and the next day is a new one.
            ("2026-06-20T00:00:00Z", 100, 10, (100, 100, 0)),
            ("2026-03-03T00:02:00Z", 1, 10, (0, 100, 1)),
            ("2026-03-03T23:00:00Z", 1, 10, (0, 100, 2)),
            ("2026-03-04T00:00:00Z", 1, 10, (1, 1, 0)),
        ] {
            let allowed = allowance.allow(spent, &events(count, bytes), at.parse().unwrap());
            spent = allowed.spent;
            assert_eq!((allowed.events, spent.stored, spent.left_out), expected, "{at}");
            assert!(spent.bytes <= allowance.bytes());
        }
    }

    #[test]
    fn every_text_of_an_event_counts() {
        let plain = &events(1, 5)[0];
        let user = SecurityEvent { user: Some("1234".into()), ..plain.clone() };
        let data = SecurityEvent { data: vec![("12".into(), "345".into()); 2], ..plain.clone() };
        assert_eq!([bytes_of(plain), bytes_of(&user), bytes_of(&data)], [69, 73, 79]);
    }
}
