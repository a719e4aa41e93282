//! Events that are stored but not mailed: one configured expression.

use std::fmt;

use regex::{Regex, RegexBuilder};

use super::{SecurityEvent, SecurityLog, allowance::Allowed};

/// The memory that a compiled expression may take, bytes.
const MAX_COMPILED_BYTES: usize = 1 << 20;

/// The events that are not mailed: an expression that is searched in `4625 PROVIDER: MESSAGE`, where an event without an
/// id has no number in front.
#[derive(Clone)]
pub struct Noise(Regex);

impl fmt::Debug for Noise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Noise").finish_non_exhaustive()
    }
}

impl Noise {
    /// Compiles an expression.
    ///
    /// # Errors
    /// The error of the regular expression library, also if it takes too much memory.
    pub fn new(expression: &str) -> Result<Self, regex::Error> {
        RegexBuilder::new(expression).size_limit(MAX_COMPILED_BYTES).build().map(Self)
    }

    /// Whether an event is noise.
    #[must_use]
    pub fn covers(&self, event: &SecurityEvent) -> bool {
        let SecurityEvent { event_id, source, message, .. } = event;
        let text = match event_id {
            Some(id) => format!("{id} {source}: {message}"),
            None => format!("{source}: {message}"),
        };
        self.0.is_match(&text)
    }

    /// The log without noise, how many of its events are kept, and how many are noise.
    #[must_use]
    pub fn without(&self, log: &SecurityLog, allowed: Allowed) -> (SecurityLog, Allowed, usize) {
        let is_noise: Vec<bool> = log.events.iter().map(|event| self.covers(event)).collect();
        let stored = is_noise.iter().take(allowed.events).filter(|is_noise| !**is_noise).count();
        let rest = log.events.iter().zip(&is_noise).filter(|(_, is_noise)| !**is_noise).map(|(event, _)| event.clone());
        let rest = SecurityLog { events: rest.collect(), ..log.clone() };
        let left_out = is_noise.len() - rest.events.len();
        (rest, Allowed { events: stored, ..allowed }, left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::security::{EventAccess, allowance::Spent};

    fn event(event_id: Option<u32>, source: &str, message: &str) -> SecurityEvent {
        SecurityEvent {
            record_id: String::new(),
            channel: None,
            event_id,
            level: String::new(),
            occurred_unix_ms: 0,
            source: source.into(),
            user: None,
            message: message.into(),
            data: Vec::new(),
        }
    }

    #[test]
    fn noise_is_left_out_and_counted() {
        let events = vec![
            event(Some(4769), "P", "Ticket"),
            event(None, "CRON", "session opened"),
            event(Some(14769), "P", "other"),
            event(None, "sshd", "says CRON: x"),
            event(Some(4769), "P", "beyond the allowance"),
        ];
        let log = SecurityLog {
            channel: "x".into(),
            access: EventAccess::Read,
            bookmark: None,
            truncated: false,
            events: events.clone(),
        };
        let allowed = Allowed { events: 4, spent: Spent::default() };
        let (rest, allowed, left_out) = Noise::new("^CRON: |^4769 ").unwrap().without(&log, allowed);
        assert_eq!((rest.events, allowed.events, left_out), (vec![events[2].clone(), events[3].clone()], 2, 3));
    }

    #[test]
    fn an_expression_that_takes_too_much_memory_is_refused() {
        assert!(Noise::new(r"(\w{1,500}){1,500}").is_err());
    }
}
