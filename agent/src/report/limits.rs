//! The limits of a report. The writer truncates to them, and the reader rejects longer lists and texts.

use std::{borrow::Cow, mem};

use super::{Disk, FileSystem, Interface, Process, Report, Resource, SecurityEvent, Warning};
use crate::envelope::MAX_REPORT_BYTES;

/// The most cores.
pub const MAX_CORES: usize = 4096;
/// The most file systems.
pub const MAX_FILE_SYSTEMS: usize = 512;
/// The most network interfaces.
pub const MAX_INTERFACES: usize = 1024;
/// The most disks.
pub const MAX_DISKS: usize = 256;
/// The most processes in each of the two lists.
pub const MAX_PROCESSES: usize = 16;
/// The most failed units, and the most names of processes.
pub const MAX_UNITS: usize = 1024;
/// The most processes that were killed because memory ran out.
pub const MAX_VICTIMS: usize = 16;
/// The most warnings.
pub const MAX_WARNINGS: usize = 256;
/// The most security events.
pub const MAX_EVENTS: usize = 5000;
/// The most data fields of a security event.
pub const MAX_DATA_FIELDS: usize = 64;
/// The longest text, bytes of UTF-8.
pub const MAX_TEXT_BYTES: usize = 4 << 10;
/// The longest message of a security event, bytes of UTF-8.
pub const MAX_MESSAGE_BYTES: usize = 32 << 10;
/// The lengths to which texts are truncated, one after the other, in a report that is too large for an envelope. The
/// last one leaves enough space for all events that an agent puts into one report.
const SHORTER_BYTES: [usize; 3] = [1024, 256, 64];

impl Report {
    /// Truncates all lists and texts to the limits of the reader, and adds a warning for each truncated list.
    ///
    /// If the report is still larger than the limit of an envelope, the texts except the security events are truncated
    /// further; the size of security events is limited elsewhere. Users of a client choose names of mounts and
    /// programs, and must not be able to prevent the report.
    pub fn fit(&mut self) {
        let mut shortened = Vec::new();
        let mut shorten = |what: &str, length: usize, max: usize| {
            if length > max {
                shortened.push(Warning {
                    what: what.to_owned(),
                    why: format!("{length} are more than the {max} a report carries"),
                });
            }
        };
        if let Some(cpu) = &mut self.cpu {
            shorten("further cores", cpu.core_percent.len(), MAX_CORES);
            cpu.core_percent.truncate(MAX_CORES);
        }
        shorten("further file systems", self.file_systems.len(), MAX_FILE_SYSTEMS);
        let cut = self.file_systems.len().saturating_sub(MAX_FILE_SYSTEMS);
        self.omitted_file_systems = self.omitted_file_systems.saturating_add(u32::try_from(cut).unwrap_or(u32::MAX));
        self.file_systems.truncate(MAX_FILE_SYSTEMS);
        self.silent_mounts.truncate(MAX_FILE_SYSTEMS);
        shorten("further network interfaces", self.interfaces.len(), MAX_INTERFACES);
        self.interfaces.truncate(MAX_INTERFACES);
        if let Some(units) = &mut self.failed_units {
            shorten("further failed units", units.len(), MAX_UNITS);
            units.truncate(MAX_UNITS);
        }
        if let Some(counts) = &mut self.process_counts {
            counts.truncate(MAX_UNITS);
        }
        if let Some(counters) = &mut self.counters {
            // The cores are the same as those above.
            counters.cores.truncate(MAX_CORES);
            shorten("further disks", counters.disks.len(), MAX_DISKS);
            counters.disks.truncate(MAX_DISKS);
            counters.pressure.truncate(Resource::ALL.len());
        }
        self.oom_victims.truncate(MAX_VICTIMS);
        self.top_cpu.truncate(MAX_PROCESSES);
        self.top_memory.truncate(MAX_PROCESSES);
        if let Some(log) = &mut self.events {
            shorten("further security events", log.events.len(), MAX_EVENTS);
            log.truncated |= log.events.len() > MAX_EVENTS;
            log.events.truncate(MAX_EVENTS);
            for event in &mut log.events {
                event.data.truncate(MAX_DATA_FIELDS);
            }
        }
        // Truncations are reported first, because the end of a long list of warnings may itself be truncated.
        shortened.append(&mut self.warnings);
        shortened.truncate(MAX_WARNINGS);
        self.warnings = shortened;
        self.fit_texts(MAX_TEXT_BYTES);
        self.fit_events();
        self.fit_envelope();
    }

    fn fit_envelope(&mut self) {
        let whole_bytes = self.to_xml().len();
        if whole_bytes <= MAX_REPORT_BYTES {
            return;
        }
        let events = self.events.take();
        let events_bytes = whole_bytes - self.to_xml().len();
        // If the events alone are too large, truncating the rest does not help.
        if let Some(room_bytes) = MAX_REPORT_BYTES.checked_sub(events_bytes) {
            for max_bytes in SHORTER_BYTES {
                if self.to_xml().len() <= room_bytes {
                    break;
                }
                self.fit_texts(max_bytes);
            }
        }
        self.events = events;
    }

    /// All texts except the security events.
    fn fit_texts(&mut self, max_bytes: usize) {
        fit(&mut self.agent_version, max_bytes);
        for Warning { what, why } in &mut self.warnings {
            fit(what, max_bytes);
            fit(why, max_bytes);
        }
        let host = &mut self.host;
        for text in
            [&mut host.name, &mut host.os_family, &mut host.os_version, &mut host.kernel, &mut host.architecture]
        {
            fit_optional(text, max_bytes);
        }
        for FileSystem { mount, kind, .. } in &mut self.file_systems {
            fit(mount, max_bytes);
            fit(kind, max_bytes);
        }
        for mount in &mut self.silent_mounts {
            fit(mount, max_bytes);
        }
        for Interface { name, .. } in &mut self.interfaces {
            fit(name, max_bytes);
        }
        for victim in &mut self.oom_victims {
            fit(victim, max_bytes);
        }
        for unit in self.failed_units.iter_mut().flatten() {
            fit(unit, max_bytes);
        }
        for (name, _) in self.process_counts.iter_mut().flatten() {
            fit(name, max_bytes);
        }
        if let Some(counters) = &mut self.counters {
            fit(&mut counters.boot_id, max_bytes);
            for Disk { name, .. } in &mut counters.disks {
                fit(name, max_bytes);
            }
        }
        for Process { name, .. } in self.top_cpu.iter_mut().chain(&mut self.top_memory) {
            fit(name, max_bytes);
        }
    }

    fn fit_events(&mut self) {
        if let Some(log) = &mut self.events {
            fit(&mut log.source, MAX_TEXT_BYTES);
            fit_optional(&mut log.bookmark, MAX_TEXT_BYTES);
            for SecurityEvent { record_id, channel, level, source, user, message, data, .. } in &mut log.events {
                fit_optional(channel, MAX_TEXT_BYTES);
                for text in [record_id, level, source] {
                    fit(text, MAX_TEXT_BYTES);
                }
                fit_optional(user, MAX_TEXT_BYTES);
                fit(message, MAX_MESSAGE_BYTES);
                for (name, value) in data {
                    fit(name, MAX_TEXT_BYTES);
                    fit(value, MAX_TEXT_BYTES);
                }
            }
        }
    }
}

fn fit_optional(text: &mut Option<String>, max_bytes: usize) {
    if let Some(text) = text {
        fit(text, max_bytes);
    }
}

fn fit(text: &mut String, max_bytes: usize) {
    // First, because a replacement is longer than the replaced character.
    if let Cow::Owned(replaced) = writable(text) {
        let _ = mem::replace(text, replaced);
    }
    text.truncate(text.floor_char_boundary(max_bytes));
}

/// `text` with U+FFFD in place of each character that is invalid in XML.
pub(super) fn writable(text: &str) -> Cow<'_, str> {
    let forbidden = |character: char| matches!(character, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}');
    if text.contains(forbidden) { text.replace(forbidden, "\u{fffd}").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Cpu, EventLog};

    #[test]
    fn what_does_not_fit_is_cut_and_said() {
        // The long ones are more than an envelope carries, which is checked below.
        let mut events = vec![event(); MAX_REPORT_BYTES / MAX_MESSAGE_BYTES + 1];
        events.resize(MAX_EVENTS + 1, SecurityEvent { message: String::new(), ..event() });
        let mut report = Report {
            cpu: Some(Cpu { total_percent: 1.0, core_percent: vec![0.0; MAX_CORES + 1], window: Default::default() }),
            warnings: vec![Warning { what: "x".into(), why: "y".into() }; MAX_WARNINGS],
            events: Some(EventLog { events, ..EventLog::default() }),
            ..Report::default()
        };
        report.host.name = Some("ä".repeat(MAX_TEXT_BYTES));
        report.fit();
        assert_eq!(report.cpu.as_ref().unwrap().core_percent.len(), MAX_CORES);
        assert_eq!(report.warnings.len(), MAX_WARNINGS);
        assert_eq!(report.warnings[0].to_owned().what, "further cores");
        assert_eq!(report.warnings[0].why, "4097 are more than the 4096 a report carries");
        let log = report.events.as_ref().unwrap();
        assert!(log.truncated);
        assert_eq!(log.events.len(), MAX_EVENTS);
        assert_eq!(log.events[0].message.len(), MAX_MESSAGE_BYTES - MAX_MESSAGE_BYTES % 3);
        assert_eq!(report.host.name.as_ref().unwrap().len(), MAX_TEXT_BYTES);
        assert_eq!(
            Report::from_xml(report.to_xml().as_bytes()).map(|read| read.cpu),
            Err(crate::report::ReportError::TooLarge(report.to_xml().len()))
        );
        report.events.as_mut().unwrap().events.truncate(10);
        assert_eq!(Report::from_xml(report.to_xml().as_bytes()), Ok(report));
    }

    /// Found by fuzzing: a user who can mount a FUSE file system could prevent the agent from answering.
    #[test]
    fn names_that_users_choose_do_not_make_a_report_too_large() {
        let long = || "\"".repeat(MAX_TEXT_BYTES);
        let system = || FileSystem {
            mount: long(),
            kind: long(),
            total_bytes: 1,
            used_bytes: 1,
            available_bytes: 0,
            inodes: None,
        };
        let warning = || Warning { what: long(), why: long() };
        let events = vec![SecurityEvent { message: "\"".repeat(MAX_MESSAGE_BYTES), ..event() }; 16];
        let mut report = Report {
            file_systems: vec![system(); MAX_FILE_SYSTEMS],
            warnings: vec![warning(); MAX_WARNINGS],
            events: Some(EventLog { events: events.clone(), bookmark: Some("b".repeat(1024)), ..EventLog::default() }),
            ..Report::default()
        };
        report.host.name = Some("web-1".to_owned());
        report.fit();
        let xml = report.to_xml();
        assert!(xml.len() <= MAX_REPORT_BYTES, "{} bytes", xml.len());
        let log = report.events.as_ref().unwrap();
        assert_eq!((log.events.as_slice(), log.bookmark.as_ref().map(String::len)), (events.as_slice(), Some(1024)));
        assert_eq!((report.file_systems.len(), report.warnings.len()), (MAX_FILE_SYSTEMS, MAX_WARNINGS));
        assert_eq!(Report::from_xml(xml.as_bytes()), Ok(report));
    }

    fn event() -> SecurityEvent {
        SecurityEvent {
            record_id: "1".into(),
            channel: None,
            event_id: None,
            level: "info".into(),
            occurred_unix_ms: 0,
            source: "sshd".into(),
            user: None,
            // Each character has three bytes after its replacement.
            message: "\x01".repeat(MAX_MESSAGE_BYTES),
            data: vec![],
        }
    }

    #[test]
    fn only_what_xml_cannot_carry_is_replaced() {
        for (raw, expected) in [
            ("plain", "plain"),
            ("tab\tline\nreturn\r", "tab\tline\nreturn\r"),
            ("a\0b\x1b[31m", "a\u{fffd}b\u{fffd}[31m"),
            ("\u{ffff}\u{fffe}", "\u{fffd}\u{fffd}"),
            ("\u{7f}\u{85}", "\u{7f}\u{85}"),
        ] {
            assert_eq!(writable(raw), expected);
        }
    }
}
