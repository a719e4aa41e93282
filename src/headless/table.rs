//! The table that `--once` prints: one line a client, a summary beneath. Legible without colour.

use std::fmt::Write as _;

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};

use crate::fleet::{
    Percent, Reading, SweepId,
    reading::Usage,
    state::{ClientView, Fleet, SweepView},
};

use super::json::Mails;

/// The narrowest terminal to which the table is fitted, columns. In a narrower one, and in one that does not
/// tell its width (it then says 0), cells would be broken letter by letter: there the terminal breaks the lines.
pub const NARROWEST: u16 = 60;

/// How the table is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Whether colours may be used: standard output is a terminal that has them.
    pub colour: bool,
    /// The width to wrap at, columns, at least [`NARROWEST`]; `None` where lines are not wrapped: the output is no
    /// terminal, or none of a useful width.
    pub width: Option<u16>,
}

/// The result of one sweep as text, with a line end after each line.
#[must_use]
pub fn render(fleet: &Fleet, sweep: SweepId, mails: Mails, look: Look) -> String {
    let Some(view) = fleet.sweep(sweep) else { return String::new() };
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    match look.width {
        Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    if look.colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table.set_header(["STATE", "CLIENT", "ADDRESS", "CPU", "MEM", "SWAP", "DISK", "UPTIME", "TOOK", "NOTE"]);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
        if (3..=8).contains(&column.index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for id in &view.clients {
        if let Some(client) = fleet.client(id) {
            table.add_row(row(client, sweep));
        }
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let _ = writeln!(text, "\n{}", summary(fleet, view, mails));
    text
}

fn row(client: &ClientView, sweep: SweepId) -> Vec<Cell> {
    let last = client.last.as_ref().filter(|last| last.sweep == sweep);
    let failure = last.and_then(|last| last.failure.as_ref());
    let reading: Option<&Reading> = match (last, failure) {
        (Some(_), None) => client.reading.as_ref().map(|(_, reading)| &**reading),
        (None, _) | (_, Some(_)) => None,
    };
    let state = match (last, failure, client.exceeded.is_empty()) {
        (None, _, _) => Cell::new("- none"),
        (Some(_), Some(_), _) => Cell::new("x failed").fg(Color::Red).add_attribute(Attribute::Bold),
        (Some(_), None, false) => Cell::new("! alert").fg(Color::Yellow).add_attribute(Attribute::Bold),
        (Some(_), None, true) => Cell::new("  ok").fg(Color::Green),
    };
    vec![
        state,
        Cell::new(&client.card.name),
        Cell::new(client.card.id.to_string()),
        share(reading.and_then(|reading| reading.cpu)),
        share(reading.and_then(|reading| reading.memory).and_then(Usage::percent)),
        share(reading.and_then(|reading| reading.swap).and_then(Usage::percent)),
        share(reading.and_then(Reading::disk_percent)),
        Cell::new(reading.and_then(|reading| reading.uptime_seconds).map_or_else(|| "-".to_owned(), uptime)),
        Cell::new(last.map_or_else(|| "-".to_owned(), |last| seconds(last.duration_ms))),
        Cell::new(note(client, sweep)),
    ]
}

fn share(percent: Option<Percent>) -> Cell {
    Cell::new(percent.map_or_else(|| "-".to_owned(), |percent| percent.to_string()))
}

fn note(client: &ClientView, sweep: SweepId) -> String {
    let mut notes: Vec<String> = Vec::new();
    if let Some(last) = client.last.as_ref().filter(|last| last.sweep == sweep) {
        if let Some(failure) = &last.failure {
            notes.push(format!("{}: {failure}", failure.stage));
        }
        if last.attempts > 1 {
            notes.push(format!("{} attempts", last.attempts));
        }
    }
    for exceeded in &client.exceeded {
        let (about, value, limit) = (exceeded.key(), exceeded.value, exceeded.limit);
        let (unit, sign) = (about.metric.unit(), about.metric.spec().worse.sign());
        notes.push(format!("{about} {} {sign} {}", unit.show(value), unit.show(limit)));
    }
    notes.join("; ")
}

fn summary(fleet: &Fleet, view: &SweepView, mails: Mails) -> String {
    let alerts: usize = view.clients.iter().filter_map(|id| fleet.client(id)).map(|client| client.exceeded.len()).sum();
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let mut text = format!(
        "{} client{}: {} ok, {} failed; {alerts} limit{} exceeded; mail: {} sent, {} waiting, {} refused",
        view.clients.len(),
        plural(view.clients.len()),
        view.ok,
        view.failed,
        plural(alerts),
        mails.sent,
        mails.waiting,
        mails.refused,
    );
    if let Some(duration_ms) = view.duration_ms {
        let _ = write!(text, "; {}", seconds(duration_ms));
    }
    text
}

/// `0.25 s`, `12.3 s`.
fn seconds(milliseconds: u64) -> String {
    let seconds = milliseconds as f64 / 1000.0;
    if milliseconds < 10_000 { format!("{seconds:.2} s") } else { format!("{seconds:.1} s") }
}

/// The two largest units: `12d 4h`, `3h 20m`, `5m`.
fn uptime(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes}m"),
        (0, hours) => format!("{hours}h {minutes}m"),
        (days, hours) => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use fleetsweep_agent::report::Report;
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::fleet::{
        Bytes, ClientId, Event, EventKind, Failure, FailureKind, Metric, Stage,
        alert::Exceeded,
        event::{ClientCard, Trigger},
        metric::Instance,
    };

    pub(crate) const SWEEP: SweepId = SweepId(Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0001));

    /// A fleet after a sweep in which one client was fine, one over a limit, one failed.
    pub(crate) fn swept() -> Fleet {
        let mut fleet = Fleet::default();
        let mut tell = |client: Option<&ClientId>, kind| {
            let at = Timestamp::from_second(1_700_000_000).unwrap();
            fleet.apply(&Event { at, sweep: Some(SWEEP), client: client.cloned(), kind });
        };
        let ids = ["10.0.4.1", "10.0.4.2", "fd00::3"].map(|address| ClientId::new(address, 22));
        let names = ["web-1", "web-2", "db"];
        let card =
            |(id, name): (&ClientId, &str)| ClientCard { id: id.clone(), name: name.into(), username: "ops".into() };
        tell(None, EventKind::Configured { clients: ids.iter().zip(names).map(card).collect() });
        tell(None, EventKind::SweepStarted { number: 1, trigger: Trigger::Once, clients: ids.to_vec() });
        let reading = |cpu, used| {
            Box::new(Reading {
                cpu: Percent::new(cpu).ok(),
                memory: Some(Usage { total: Bytes(1000), used: Bytes(used) }),
                uptime_seconds: Some(1_054_800),
                ..Reading::from_report(&Report::default(), 0).unwrap()
            })
        };
        let collected = |reading, attempts, alerts| EventKind::Collected {
            collection: Uuid::nil(),
            duration_ms: 312,
            attempts,
            reading,
            alerts,
        };
        tell(Some(&ids[0]), collected(reading(3.25, 410), 1, Vec::new()));
        let exceeded = vec![Exceeded { metric: Metric::Memory, instance: Instance::HOST, limit: 50.0, value: 91.0 }];
        tell(Some(&ids[1]), collected(reading(7.0, 910), 2, exceeded));
        let failure = Failure::new(Stage::Connect, FailureKind::TimedOut).because("10 s passed");
        let failed = EventKind::CollectionFailed {
            collection: Uuid::nil(),
            duration_ms: 10_004,
            attempts: 1,
            failure,
            alerts: Vec::new(),
        };
        tell(Some(&ids[2]), failed);
        tell(None, EventKind::SweepEnded { number: 1, duration_ms: 10_010, ok: 2, failed: 1 });
        fleet
    }

    #[test]
    fn the_table_is_aligned_and_says_it_all_without_colour() {
        let look = Look { colour: false, width: None };
        insta::assert_snapshot!(render(&swept(), SWEEP, Mails { sent: 1, waiting: 2, refused: 3 }, look));
    }

    #[test]
    fn colour_adds_escape_sequences_and_nothing_else() {
        let mails = Mails { sent: 1, waiting: 2, refused: 3 };
        let plain = render(&swept(), SWEEP, mails, Look { colour: false, width: None });
        let coloured = render(&swept(), SWEEP, mails, Look { colour: true, width: None });
        assert!(!plain.contains('\x1b') && coloured.contains('\x1b'));
        let stripped: Vec<_> =
            anstream::adapter::strip_str(&coloured).to_string().lines().map(|l| l.trim_end().to_owned()).collect();
        assert_eq!(stripped, plain.lines().collect::<Vec<_>>());
    }

    #[test]
    fn durations_are_short() {
        for (seconds, shown) in [(59, "0m"), (300, "5m"), (12_000, "3h 20m"), (1_054_800, "12d 5h")] {
            assert_eq!(uptime(seconds), shown);
        }
        assert_eq!((seconds(312).as_str(), seconds(10_010).as_str()), ("0.31 s", "10.0 s"));
    }
}
