//! What the security log of a persona says: now and then somebody tries passwords, and now and then an operator works
//! as root. Pure, as the rest of it.

use std::time::Duration;

use fleetsweep_agent::report::{EventAccess, EventLog, SecurityEvent};

use super::{Persona, number, salt};

/// In a stretch of time as long as this something may happen.
const STRETCH_SECONDS: i64 = 20;

/// In one of so many stretches something does.
const EVERY: u64 = 20;

/// How far back the first report goes: there is something to be seen from the beginning.
const FIRST: Duration = Duration::from_secs(600);

/// Somebody who tries passwords makes so many attempts at most.
const ATTEMPTS: u64 = 5;

/// The accounts that are tried.
const TRIED: [&str; 6] = ["root", "admin", "postgres", "oracle", "test", "ubuntu"];

/// What an operator does as root.
const DONE: [&str; 4] = [
    "/usr/bin/systemctl restart nginx",
    "/usr/bin/apt-get upgrade",
    "/usr/bin/journalctl -u ssh",
    "/usr/sbin/usermod -aG adm deploy",
];

impl Persona {
    /// The log so long after the demo began, when its clock shows this; after a bookmark that it gave before.
    #[must_use]
    pub fn security_log(&self, since: Duration, clock_unix_ms: i64, bookmark: Option<&str>) -> EventLog {
        let now = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        let first = now - i64::try_from(FIRST.as_secs()).unwrap_or(0);
        let from = bookmark.and_then(|bookmark| bookmark.parse::<i64>().ok()).map_or(first, |from| from.max(first));
        let mut events = Vec::new();
        for stretch in from.div_euclid(STRETCH_SECONDS)..=now.div_euclid(STRETCH_SECONDS) {
            let happened = self.happened(stretch).into_iter();
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

    /// What happens in a stretch of time: each event with its second.
    fn happened(&self, stretch: i64) -> Vec<(i64, SecurityEvent)> {
        let begins = stretch * STRETCH_SECONDS;
        let chance = number(self.seed, salt::SECURITY.wrapping_add_signed(stretch));
        if !chance.is_multiple_of(EVERY) {
            return Vec::new();
        }
        let chance = chance / EVERY;
        let pick = |of: &[&'static str], chance: u64| {
            let index = usize::try_from(chance % of.len() as u64).unwrap_or(0);
            of.get(index).copied().unwrap_or_default()
        };
        if chance.is_multiple_of(3) {
            let command = pick(&DONE, chance / 3);
            let message = format!("deploy : TTY=pts/0 ; PWD=/home/deploy ; USER=root ; COMMAND={command}");
            return vec![(begins, event(begins, "notice", "sudo", "deploy", message))];
        }
        // Addresses and ports of the range for documentation.
        let (host, port) = (chance % 250 + 1, 30_000 + chance % 20_000);
        let attempts = (0..).zip(0..=chance / 7 % ATTEMPTS);
        let attempt = |(after, attempt): (i64, u64)| {
            let user = pick(&TRIED, chance + attempt);
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
            let persona = Persona::new(&format!("web-{n:02}"), n);
            let at = |seconds: u64, bookmark: &str| {
                let clock = CLOCK + 1000 * i64::try_from(seconds).unwrap();
                persona.security_log(Duration::from_secs(seconds), clock, Some(bookmark))
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
        let persona = Persona::new("web-01", 0);
        let [first, foreign] =
            [None, Some("journal s=1 2")].map(|bookmark| persona.security_log(Duration::from_secs(3), CLOCK, bookmark));
        assert_eq!(first, foreign);
        assert!(first.events.iter().all(|event| event.occurred_unix_ms <= CLOCK));
    }
}
