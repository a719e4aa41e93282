//! The complete list of security events as text files, one line per event. Nothing is omitted: the list continues in
//! further files if necessary.

use jiff::Timestamp;

use crate::fleet::{mail::Attachment, security::SecurityEvent};

/// The first line of each file.
const HEAD: &str = "time\tlevel\tid\tsource\tuser\tmessage\tdata\trecord\n";

/// The longest name of a client in a file name, in bytes.
const NAME_BYTES: usize = 60;

/// The events as files of at most `part_bytes`; a single longer line is a file of its own. Empty if there are no
/// events.
pub(super) fn files(client_name: &str, events: &[SecurityEvent], part_bytes: usize) -> Vec<Attachment> {
    let mut texts: Vec<String> = Vec::new();
    for event in events {
        let line = line(event);
        match texts.last_mut() {
            Some(text) if text.len() + line.len() <= part_bytes => text.push_str(&line),
            Some(_) | None => texts.push(format!("{HEAD}{line}")),
        }
    }
    let (name, count) = (in_file_name(client_name), texts.len());
    let file = |(number, text): (usize, String)| {
        let part = if count > 1 { format!("-{number}of{count}") } else { String::new() };
        Attachment { file_name: format!("{name}-security-events{part}.txt"), text: text.into() }
    };
    (1..).zip(texts).map(file).collect()
}

/// Only characters that every file system and every mail program accepts.
fn in_file_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let mut plain: String = name.chars().map(plain).collect();
    plain.truncate(NAME_BYTES);
    let plain = plain.trim_matches(['-', '.']);
    if plain.is_empty() { "client".to_owned() } else { plain.to_owned() }
}

/// One event. The texts contain no tabs and line breaks.
fn line(event: &SecurityEvent) -> String {
    let SecurityEvent { record_id, channel, event_id, level, occurred_unix_ms, source, user, message, data } = event;
    let data: Vec<String> = data.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let event_id = event_id.map(|id| id.to_string()).unwrap_or_default();
    let user = user.as_deref().unwrap_or_default();
    let source = &channel.as_ref().map_or_else(|| source.clone(), |channel| format!("{channel}: {source}"));
    let fields = [&time(*occurred_unix_ms), level, &event_id, source, user, message, &data.join("; "), record_id];
    let shown = fields.map(|field| if field.is_empty() { "-" } else { field });
    shown.join("\t") + "\n"
}

/// A time of a client's clock, which may be any number.
fn time(unix_ms: i64) -> String {
    match Timestamp::from_millisecond(unix_ms) {
        Ok(at) => at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        Err(_) => format!("{unix_ms} ms"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn event(at_ms: i64, message: &str) -> SecurityEvent {
        SecurityEvent {
            record_id: "s=1".into(),
            channel: None,
            event_id: Some(4625),
            level: "audit failure".into(),
            occurred_unix_ms: at_ms,
            source: "Security".into(),
            user: Some("eve".into()),
            message: message.into(),
            data: vec![("LogonType".into(), "3".into()), ("ip".into(), "10.0.0.7".into())],
        }
    }

    #[test]
    fn an_event_is_one_line_and_what_is_not_there_a_dash() {
        let bare = SecurityEvent { event_id: None, user: None, data: Vec::new(), ..event(i64::MAX, "") };
        let files = files("db", &[event(1_772_334_600_007, "no = entry"), bare], 10_000);
        let [file] = files.as_slice() else { panic!("{files:?}") };
        assert_eq!(file.file_name, "db-security-events.txt");
        assert_eq!(
            &*file.text,
            "time\tlevel\tid\tsource\tuser\tmessage\tdata\trecord\n\
             2026-03-01T03:10:00.007Z\taudit failure\t4625\tSecurity\teve\tno = entry\tLogonType=3; ip=10.0.0.7\ts=1\n\
             9223372036854775807 ms\taudit failure\t-\tSecurity\t-\t-\t-\ts=1\n"
        );
        assert_eq!(super::files("db", &[], 10_000), []);
    }

    #[test]
    fn a_file_name_is_plain_whatever_the_client_is_called() {
        for (name, expected) in [
            ("db.example.com", "db.example.com"),
            ("../../etc/passwd", "etc-passwd"),
            ("a\"; name=\"b\r\nX: y", "a---name--b--X--y"),
            ("Köln 1", "K-ln-1"),
            ("日本", "client"),
            ("", "client"),
        ] {
            assert_eq!(in_file_name(name), expected);
        }
        assert_eq!(in_file_name(&"x".repeat(200)).len(), NAME_BYTES);
    }

    proptest! {
        #[test]
        fn every_event_is_in_one_file_in_order(messages in vec("[a-z]{0,90}", 0..40), part_bytes in 0_usize..900) {
            let events: Vec<_> = messages.iter().map(|message| event(0, message)).collect();
            let files = files("db", &events, part_bytes);
            let lines: Vec<&str> = files.iter().flat_map(|file| file.text.lines().skip(1)).collect();
            let listed: Vec<String> = events.iter().map(|event| line(event).trim_end_matches('\n').to_owned()).collect();
            prop_assert_eq!(lines, listed);
            for file in &files {
                prop_assert!(file.text.starts_with(HEAD));
                prop_assert!(file.text.len() <= part_bytes || file.text.lines().count() == 2);
            }
        }
    }
}
