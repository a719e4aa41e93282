//! Names for the identities (SIDs) of accounts and groups in messages. Well-known ones have their names already. What knows
//! the others, and how long it is asked, is decided by the caller.

use std::collections::HashMap;

use fleetsweep_agent::report::SecurityEvent;

use super::words;

/// How the identity of an account or group of a machine or domain begins.
const PREFIX: &str = "S-1-5-21-";
/// The most identities that are looked up.
const MOST: usize = 64;
/// The longest name, bytes.
const NAME_BYTES: usize = 128;
/// How many bytes the names may add to a report. It has room for them.
const ADDED_BYTES: usize = 64 << 10;

/// Writes the names of identities before them, in messages and as accounts: `CONTOSO\eve (S-1-5-21-1-2-3-1105)`. The fields
/// stay as they are. `name_of` is asked once for each identity.
pub(super) fn name_identities(events: &mut [SecurityEvent], mut name_of: impl FnMut(&str) -> Option<String>) {
    let mut known: HashMap<String, Option<String>> = HashMap::new();
    let mut room = ADDED_BYTES;
    let mut named = |text: &str| -> Option<String> {
        let mut written = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(PREFIX) {
            let (before, from) = rest.split_at_checked(at)?;
            let end = from.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(from.len());
            let (identity, after) = from.split_at_checked(end)?;
            written.push_str(before);
            rest = after;
            // In parentheses, its name is before it already.
            let name = if before.ends_with('(') || !known.contains_key(identity) && known.len() >= MOST {
                None
            } else {
                known
                    .entry(identity.to_owned())
                    .or_insert_with(|| name_of(identity).map(|name| words::cut(name, NAME_BYTES)))
                    .as_ref()
                    .filter(|name| !name.is_empty() && name.len() < room)
            };
            match name {
                Some(name) => {
                    room = room.saturating_sub(name.len() + "  ()".len());
                    written.push_str(&format!("{name} ({identity})"));
                }
                None => written.push_str(identity),
            }
        }
        written.push_str(rest);
        (written != text).then_some(written)
    };
    for event in events {
        if let Some(message) = named(&event.message) {
            event.message = message;
        }
        if let Some(user) = event.user.as_deref().and_then(&mut named) {
            event.user = Some(user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(message: &str, user: Option<&str>) -> SecurityEvent {
        SecurityEvent {
            record_id: "1".into(),
            channel: None,
            event_id: Some(4732),
            level: "audit success".into(),
            occurred_unix_ms: 0,
            user: user.map(str::to_owned),
            message: message.into(),
            source: "x".into(),
            data: vec![("MemberSid".into(), "S-1-5-21-1-2-3-1105".into())],
        }
    }

    fn name_of(identity: &str) -> Option<String> {
        match identity {
            "S-1-5-21-1-2-3-1105" => Some("CONTOSO\\eve".to_owned()),
            "S-1-5-21-1-2-3-1106" => Some("ü".repeat(1000)),
            _ => None,
        }
    }

    #[test]
    fn an_identity_has_its_name_before_it() {
        let long = format!("{}… (S-1-5-21-1-2-3-1106)", "ü".repeat(64));
        for (message, expected) in [
            ("Member S-1-5-21-1-2-3-1105 added", "Member CONTOSO\\eve (S-1-5-21-1-2-3-1105) added"),
            ("S-1-5-21-1-2-3-1105", "CONTOSO\\eve (S-1-5-21-1-2-3-1105)"),
            (
                "a S-1-5-21-1-2-3-1105, S-1-5-21-1-2-3-1105.",
                "a CONTOSO\\eve (S-1-5-21-1-2-3-1105), CONTOSO\\eve (S-1-5-21-1-2-3-1105).",
            ),
            ("S-1-5-21-1-2-3-1106", &long),
            // Unknown, well known, longer, in part.
            ("S-1-5-21-1-2-3-9 left", "S-1-5-21-1-2-3-9 left"),
            ("Domain Admins (S-1-5-21-1-2-3-1105)", "Domain Admins (S-1-5-21-1-2-3-1105)"),
            ("S-1-5-21-1-2-3-11051", "S-1-5-21-1-2-3-11051"),
            ("S-1-5-21-", "S-1-5-21-"),
            ("S-1-5-32-544 and ü", "S-1-5-32-544 and ü"),
            ("", ""),
        ] {
            let mut events = [event(message, Some(message))];
            name_identities(&mut events, name_of);
            let [event] = events;
            assert_eq!(event.message, expected);
            assert_eq!(event.user.as_deref(), Some(expected));
            assert_eq!(event.data[0].1, "S-1-5-21-1-2-3-1105");
        }
    }

    #[test]
    fn each_is_looked_up_once_and_not_too_many_are() {
        let mut asked = 0;
        let mut events: Vec<SecurityEvent> =
            (0..1000).map(|number| event(&format!("S-1-5-21-1-2-3-{number} S-1-5-21-1-2-3-7"), None)).collect();
        name_identities(&mut events, |_| {
            asked += 1;
            Some("x".repeat(2000))
        });
        assert_eq!(asked, MOST);
        let added: usize = events.iter().map(|event| event.message.matches("xx").count() * 2).sum();
        assert!(added < ADDED_BYTES, "{added}");
        assert!(added > ADDED_BYTES / 2, "{added}");
    }
}
