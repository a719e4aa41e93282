//! Summarizes a security log in a few lines: groups of similar events, most severe first. It does not judge the client.

use std::collections::HashMap;

use super::{SecurityEvent, shape::Shape};

/// The subject of a kind of event, most severe first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Concern {
    /// A failed login.
    FailedLogin,
    /// Another failure or denial.
    Failure,
    /// The log itself was changed or cleared.
    Cleared,
    /// Privileges were used or granted.
    Privilege,
    /// An account was created, deleted or changed.
    Account,
    /// Anything else.
    Other,
}

impl Concern {
    /// All concerns, most severe first.
    pub const ALL: [Self; 6] =
        [Self::FailedLogin, Self::Failure, Self::Cleared, Self::Privilege, Self::Account, Self::Other];

    /// The name of one such event and the plural.
    #[must_use]
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::FailedLogin => ("failed login", "failed logins"),
            Self::Failure => ("failure", "failures"),
            Self::Cleared => ("cleared log", "cleared logs"),
            Self::Privilege => ("use of privileges", "uses of privileges"),
            Self::Account => ("change of an account", "changes of accounts"),
            Self::Other => ("other event", "other events"),
        }
    }

    /// The subject of an event, from its event id if it has one, and from its message.
    #[must_use]
    pub fn of(event: &SecurityEvent) -> Self {
        if let Some(concern) = event.event_id.and_then(by_number) {
            return concern;
        }
        let message = event.message.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
        let program = event.source.to_lowercase();
        if says(&FAILED_LOGINS) {
            Self::FailedLogin
        } else if says(&["log was cleared", "log cleared", "journal has been cleared"]) {
            Self::Cleared
        } else if FAILED_LEVELS.contains(&event.level.to_lowercase().as_str()) || says(&FAILURES) {
            Self::Failure
        } else if ACCOUNT_PROGRAMS.contains(&program.as_str()) || says(&ACCOUNTS) {
            Self::Account
        } else if PRIVILEGE_PROGRAMS.contains(&program.as_str()) || says(&["session opened for user root"]) {
            Self::Privilege
        } else {
            Self::Other
        }
    }
}

/// Messages that programs write once per failed login. Other messages about the same login count as failures, so that
/// logins are not counted twice.
const FAILED_LOGINS: [&str; 6] = [
    "failed password for",
    "failed publickey for",
    "failed keyboard-interactive",
    "failed none for",
    "failed login",
    "failed su for",
];
const FAILURES: [&str; 9] = [
    "authentication failure",
    "incorrect password",
    "invalid user",
    "failed",
    "denied",
    "not allowed",
    "not in sudoers",
    "maximum authentication attempts",
    "too many authentication failures",
];
const FAILED_LEVELS: [&str; 6] = ["audit failure", "error", "critical", "alert", "emergency", "failure"];
const ACCOUNTS: [&str; 5] = ["new user:", "new group:", "delete user", "password changed", "to group"];
const ACCOUNT_PROGRAMS: [&str; 10] =
    ["useradd", "adduser", "userdel", "usermod", "groupadd", "groupdel", "groupmod", "gpasswd", "passwd", "chpasswd"];
const PRIVILEGE_PROGRAMS: [&str; 6] = ["sudo", "su", "doas", "pkexec", "polkitd", "polkit-agent-helper-1"];

/// Event ids of Windows with a fixed subject.
fn by_number(event_id: u32) -> Option<Concern> {
    Some(match event_id {
        4625 | 4771 | 6273 => Concern::FailedLogin,
        4649 => Concern::Failure,
        517 | 1100..=1102 | 1104 | 4715 | 4719 | 4912 => Concern::Cleared,
        // A new service or task may run with other privileges.
        4672 | 4697 | 4698 | 4702 => Concern::Privilege,
        4704 | 4706 | 4713 | 4716..=4718 | 4728 | 4732 | 4739 | 4756 | 4765 | 4766 | 4794 | 4964 => Concern::Privilege,
        4720..=4727 | 4729..=4731 | 4733..=4735 | 4737 | 4738 | 4740..=4743 => Concern::Account,
        4754 | 4755 | 4757 | 4758 | 4764 | 4767 | 4780 | 4781 => Concern::Account,
        _ => return None,
    })
}

/// A group of events that differ only in numbers, addresses and names that strangers chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group<'a> {
    /// Their subject.
    pub concern: Concern,
    /// The program or provider that wrote them.
    pub source: &'a str,
    /// Their event id; `None` if the log has none.
    pub event_id: Option<u32>,
    /// Their message, with `…` for the parts that differ.
    pub message: String,
    /// The time of the earliest, by the client's clock.
    pub first_unix_ms: i64,
    /// The time of the latest.
    pub last_unix_ms: i64,
    /// Their indices in the log; never empty.
    pub events: Vec<usize>,
}

/// The key of a group.
#[derive(PartialEq, Eq, Hash)]
struct Likeness<'a> {
    concern: Concern,
    source: &'a str,
    event_id: Option<u32>,
    literals: Vec<&'a str>,
}

/// Puts each event into exactly one group. The most severe groups come first. Failures are sorted by frequency; of the
/// others, the rarest come first, because unusual events are more interesting than a job that becomes root every
/// minute.
#[must_use]
pub fn groups(events: &[SecurityEvent]) -> Vec<Group<'_>> {
    let mut places: HashMap<Likeness<'_>, usize> = HashMap::new();
    let mut found: Vec<(Group<'_>, Shape<'_>)> = Vec::new();
    for (index, event) in events.iter().enumerate() {
        let shape = Shape::of(&event.message);
        let concern = Concern::of(event);
        let at_ms = event.occurred_unix_ms;
        let (source, event_id) = (event.source.as_str(), event.event_id);
        let likeness = Likeness { concern, source, event_id, literals: shape.literals().to_vec() };
        let place = *places.entry(likeness).or_insert(found.len());
        match found.get_mut(place) {
            Some((group, common)) => {
                common.meet(&shape);
                group.first_unix_ms = group.first_unix_ms.min(at_ms);
                group.last_unix_ms = group.last_unix_ms.max(at_ms);
                group.events.push(index);
            }
            None => {
                let (first_unix_ms, last_unix_ms, message) = (at_ms, at_ms, String::new());
                let events = vec![index];
                let group = Group { concern, source, event_id, message, first_unix_ms, last_unix_ms, events };
                found.push((group, shape));
            }
        }
    }
    let mut groups: Vec<Group<'_>> =
        found.into_iter().map(|(group, shape)| Group { message: shape.text(), ..group }).collect();
    groups.sort_by_key(|group| {
        let count = i64::try_from(group.events.len()).unwrap_or(i64::MAX);
        let by_frequency = match group.concern {
            Concern::FailedLogin | Concern::Failure => -count,
            Concern::Cleared | Concern::Privilege | Concern::Account | Concern::Other => count,
        };
        (group.concern, by_frequency, group.first_unix_ms)
    });
    groups
}

/// The number of events of each concern, most severe first, without those that do not occur.
#[must_use]
pub fn counts(groups: &[Group<'_>]) -> Vec<(Concern, usize)> {
    let count = |concern| groups.iter().filter(|group| group.concern == concern).map(|group| group.events.len()).sum();
    Concern::ALL.into_iter().map(|concern| (concern, count(concern))).filter(|(_, count)| *count > 0).collect()
}

#[cfg(test)]
mod tests;
