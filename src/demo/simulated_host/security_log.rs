//! The security log of a simulated host: occasional failed logins and commands of an operator as root. Pure.

use std::time::Duration;

use fleetsweep_agent::report::{EventAccess, EventLog, SecurityEvent};

use super::{SimulatedHost, number, salt};

/// The length of an interval. In each interval there is one incident or none.
const INTERVAL_SECONDS: i64 = 20;

/// There is an incident in about one of this many intervals.
const EVERY: u64 = 20;

/// How far back the first report goes, so that it already contains events.
const FIRST: Duration = Duration::from_secs(600);

/// The most failed logins of an incident.
const ATTEMPTS: u64 = 5;

/// The accounts of failed logins.
const TRIED: [&str; 6] = ["root", "admin", "postgres", "oracle", "test", "ubuntu"];

/// The commands of an operator as root.
const DONE: [&str; 4] = [
    "/usr/bin/systemctl restart nginx",
    "/usr/bin/apt-get upgrade",
    "/usr/bin/journalctl -u ssh",
    "/usr/sbin/usermod -aG adm deploy",
];

impl SimulatedHost {
    /// The log at a time since the start of the demo, with this time of the host's clock, after an earlier bookmark.
    #[must_use]
    pub fn security_log(&self, since: Duration, clock_unix_ms: i64, bookmark: Option<&str>) -> EventLog {
        let now = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        let first = now - i64::try_from(FIRST.as_secs()).unwrap_or(0);
        let from = bookmark.and_then(|bookmark| bookmark.parse::<i64>().ok()).map_or(first, |from| from.max(first));
        let mut events = Vec::new();
        for interval in from.div_euclid(INTERVAL_SECONDS)..=now.div_euclid(INTERVAL_SECONDS) {
            let happened = self.happened(interval).into_iter();
            events.extend(happened.filter(|(second, _)| (from + 1..=now).contains(second)).map(|(second, event)| {
                let occurred_unix_ms = clock_unix_ms.saturating_sub(1000 * (now - second));
                SecurityEvent { occurred_unix_ms, ..event }
            }));
        }
        EventLog {
            source: "journal".to_owned(),
            access: EventAccess::Read,
            bookmark: Some(now.to_string()),
            truncated: false,
            events,
        }
    }

    /// The events of an interval, each with its second.
    fn happened(&self, interval: i64) -> Vec<(i64, SecurityEvent)> {
        let begins = interval * INTERVAL_SECONDS;
        let random = number(self.seed, salt::SECURITY.wrapping_add_signed(interval));
        if !random.is_multiple_of(EVERY) {
            return Vec::new();
        }
        let random = random / EVERY;
        let pick = |of: &[&'static str], random: u64| {
            let index = usize::try_from(random % of.len() as u64).unwrap_or(0);
            of.get(index).copied().unwrap_or_default()
        };
        if random.is_multiple_of(3) {
            let command = pick(&DONE, random / 3);
            let message = format!("deploy : TTY=pts/0 ; PWD=/home/deploy ; USER=root ; COMMAND={command}");
            return vec![(begins, event(begins, "notice", "sudo", "deploy", message))];
        }
        // An address of the range for documentation.
        let (host, port) = (random % 250 + 1, 30_000 + random % 20_000);
        let attempts = (0..).zip(0..=random / 7 % ATTEMPTS);
        let attempt = |(after, attempt): (i64, u64)| {
            let user = pick(&TRIED, random + attempt);
            let port = port + attempt;
            let message = format!("Failed password for invalid user {user} from 203.0.113.{host} port {port} ssh2");
            (begins + 2 * after, event(begins + 2 * after, "warning", "sshd", user, message))
        };
        attempts.map(attempt).collect()
    }
}

fn event(second: i64, level: &str, source: &str, user: &str, message: String) -> SecurityEvent {
    SecurityEvent {
        record_id: format!("demo-{second}"),
        channel: None,
        event_id: None,
        level: level.to_owned(),
        occurred_unix_ms: 0,
        source: source.to_owned(),
        user: Some(user.to_owned()),
        message,
        data: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: i64 = 1_772_435_649_000;

    #[test]
    fn each_event_is_told_once_and_some_happen_in_a_few_minutes() {
        let mut all = 0;
        for n in 0..8 {
            let host = SimulatedHost::new(&format!("web-{n:02}"), n);
            let at = |seconds: u64, bookmark: &str| {
                let clock = CLOCK + 1000 * i64::try_from(seconds).unwrap();
                host.security_log(Duration::from_secs(seconds), clock, Some(bookmark))
            };
            let whole = at(600, "0");
            let mut parts = Vec::new();
            let mut bookmark = "0".to_owned();
            for seconds in (10..=600).step_by(10) {
                let log = at(seconds, &bookmark);
                parts.extend(log.events);
                bookmark = log.bookmark.unwrap();
            }
            assert_eq!(parts, whole.events);
            assert!(whole.events.is_sorted_by_key(|event| event.occurred_unix_ms));
            all += whole.events.len();
        }
        assert!((10..200).contains(&all), "{all} events");
    }

    #[test]
    fn the_first_report_and_one_after_a_foreign_bookmark_go_back_a_while() {
        let host = SimulatedHost::new("web-01", 0);
        let [first, foreign] =
            [None, Some("journal s=1 2")].map(|bookmark| host.security_log(Duration::from_secs(3), CLOCK, bookmark));
        assert_eq!(first, foreign);
        assert!(first.events.iter().all(|event| event.occurred_unix_ms <= CLOCK));
    }
}
