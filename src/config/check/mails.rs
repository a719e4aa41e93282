//! The maximum number of mails per day, and how it is calculated. The real number is usually much lower.

use std::{
    fmt::{self, Write as _},
    iter::Sum,
    time::Duration,
};

use crate::{
    config::{Client, span::show_duration},
    fleet::{Rule, rule::Repeat},
};

const DAY: Duration = Duration::from_secs(86_400);

/// Mails a day, over all recipients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct MailsADay {
    /// If every alert is raised and lasts.
    pub lasting: u64,
    /// If every alert is raised and ends as often as possible. This is the worst case.
    pub restless: u64,
    /// Security events of clients with `events="yes"`.
    pub events: u64,
    /// Security events of clients without `events`, if all of them run Windows.
    pub events_by_platform: u64,
}

impl MailsADay {
    /// Those about one client.
    pub(super) fn of(client: &Client, interval: Duration) -> Self {
        let sweeps = sweeps_a_day(interval);
        let recipients = client.mail.len() as u64;
        // All alerts of one collection are in one mail.
        let alerts = |mails: fn(&Rule, u64) -> u64| {
            let sum = client.rules.iter().map(|rule| mails(rule, sweeps)).fold(0, u64::saturating_add);
            sum.min(sweeps) * recipients
        };
        let events = match client.events_mail {
            Repeat::Every => sweeps,
            Repeat::After(period) => times_a_day(period).min(sweeps),
        } * recipients;
        Self {
            lasting: alerts(lasting),
            restless: alerts(|rule, sweeps| lasting(rule, sweeps).max(restless(rule, sweeps))),
            events: if client.events == Some(true) { events } else { 0 },
            events_by_platform: if client.events.is_none() { events } else { 0 },
        }
    }

    /// Whether any are about security events.
    pub(super) fn has_events(self) -> bool {
        self.events > 0 || self.events_by_platform > 0
    }

    /// Writes the numbers and how they follow from the configuration.
    pub(super) fn write_reckoning(self, out: &mut String, interval: Duration) -> fmt::Result {
        let Self { lasting, restless, events, events_by_platform } = self;
        let (sweeps, every) = (sweeps_a_day(interval), show_duration(interval));
        if self == Self::default() {
            return writeln!(out, "  none: no client has both `mail` and a reason to send mail");
        }
        for (mails, what) in [
            (lasting, "about alerts, if each is raised once and lasts all day"),
            (restless, "about alerts, if each is raised and ends as often as possible"),
            (events, "about security events, as `events-mail` says, for clients with events=\"yes\""),
            (events_by_platform, "about security events, if all clients without `events` run Windows"),
        ] {
            if mails > 0 {
                writeln!(out, "  {mails:>9}  {what}")?;
            }
        }
        writeln!(
            out,
            "  A day has {sweeps} sweeps, one every {every}. An alert with repeat=\"every\" is mailed after each of them. An\n  \
             alert with a duration is mailed when it is raised, and again after that time for as long as it lasts. With\n  \
             recovery=\"yes\" its end is mailed too. An alert is raised after `for` sweeps in a row over the limit\n  \
             (unreachable: as many more as its limit) and ends after one sweep below it: a higher `for` or a lower\n  \
             `clear` gives fewer mails. All alerts of a client in one sweep are one mail to each recipient. Its\n  \
             security events are one mail too, even if there are no new ones; only very long lists are split. With a\n  \
             duration, `events-mail` gathers them, but grave events are mailed after the collection that found them."
        )
    }
}

/// In short, for one client.
impl fmt::Display for MailsADay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lasting, restless, events, events_by_platform } = self;
        write!(f, "at most {lasting} mails a day while alerts last, {restless} if they are raised and end repeatedly")?;
        match (events, events_by_platform) {
            (0, 0) => Ok(()),
            (0, windows) => write!(f, ", {windows} more about security events on Windows"),
            (events, _) => write!(f, ", {events} more about security events"),
        }
    }
}

impl Sum for MailsADay {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, next| Self {
            lasting: sum.lasting.saturating_add(next.lasting),
            restless: sum.restless.saturating_add(next.restless),
            events: sum.events.saturating_add(next.events),
            events_by_platform: sum.events_by_platform.saturating_add(next.events_by_platform),
        })
    }
}

/// How many sweeps can start within a day.
fn sweeps_a_day(interval: Duration) -> u64 {
    u64::try_from(DAY.as_nanos().div_ceil(interval.as_nanos().max(1))).unwrap_or(u64::MAX)
}

/// How often a period begins within a day.
fn times_a_day(period: Duration) -> u64 {
    u64::try_from(DAY.as_nanos() / period.as_nanos().max(1)).unwrap_or(u64::MAX).saturating_add(1)
}

/// The mails about one alert that is raised and lasts all day: the first one, and the reminders.
fn lasting(rule: &Rule, sweeps: u64) -> u64 {
    match rule.repeat {
        Repeat::Every => sweeps,
        Repeat::After(time) => times_a_day(time).min(sweeps),
    }
}

/// The mails about one alert that begins and ends as fast as it can.
fn restless(rule: &Rule, sweeps: u64) -> u64 {
    let to_begin = u64::from(rule.for_sweeps).saturating_add(rule.metric.unit().sweeps_up_to(rule.limit));
    let mails = if rule.recovery { 2 } else { 1 };
    sweeps.div_ceil(to_begin.saturating_add(1)).saturating_mul(mails).min(sweeps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Metric;

    fn check(metric: Metric, limit: f64, for_sweeps: u32, repeat: Repeat, recovery: bool, expected: (u64, u64)) {
        let rule = Rule { metric, instance: None, exclude: vec![], limit, clear: limit, for_sweeps, repeat, recovery };
        assert_eq!((lasting(&rule, 1440), restless(&rule, 1440)), expected, "{rule:?}");
    }

    #[test]
    fn the_bound_follows_from_the_rule() {
        let hours = |hours: u64| Repeat::After(Duration::from_secs(hours * 3600));
        check(Metric::Cpu, 80.0, 1, Repeat::Every, true, (1440, 1440));
        check(Metric::Cpu, 80.0, 1, hours(4), false, (7, 720));
        check(Metric::Cpu, 80.0, 1, hours(4), true, (7, 1440));
        check(Metric::Cpu, 80.0, 3, hours(4), true, (7, 720));
        check(Metric::Cpu, 80.0, 1, hours(48), false, (1, 720));
        check(Metric::Cpu, 80.0, 1, Repeat::After(Duration::from_secs(1)), false, (1440, 720));
        check(Metric::Unreachable, 2.0, 1, hours(24), true, (2, 720));
    }

    #[test]
    fn a_day_begins_as_many_sweeps_as_intervals_fit() {
        for (seconds, sweeps) in [(60, 1440), (7 * 3600, 4), (86_400, 1), (5 * 86_400, 1)] {
            assert_eq!(sweeps_a_day(Duration::from_secs(seconds)), sweeps);
        }
    }
}
