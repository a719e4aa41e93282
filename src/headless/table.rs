//! The table that `--once` prints: one line per client and a summary below. It is readable without colour.

use std::fmt::Write as _;

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};

use crate::fleet::{
    Percent, Reading, SweepId,
    reading::Usage,
    state::{ClientView, Finished, Fleet, SweepView},
};

use super::json::Mails;

/// The narrowest width, in columns, to which the table is fitted. On narrower terminals, and on those that report a
/// width of 0, cells would be wrapped after each letter, so the terminal wraps the lines instead.
pub const NARROWEST: u16 = 60;

/// The style of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Whether to use colours: standard output is a terminal that supports them.
    pub colour: bool,
    /// The width to wrap at, in columns, at least [`NARROWEST`]; `None` to leave lines unwrapped, because the output is
    /// not a terminal or the terminal is too narrow.
    pub width: Option<u16>,
}

/// The result of one sweep as text. Each line ends with a line end.
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
    table.set_header(COLUMNS.iter().map(|column| column.heading));
    for (column, described) in table.column_iter_mut().zip(&COLUMNS) {
        column.set_padding((0, 2));
        column.set_cell_alignment(described.align);
    }
    for id in &view.clients {
        if let Some(client) = fleet.client(id) {
            let outcome = Outcome::of(client, sweep);
            table.add_row(COLUMNS.iter().map(|column| (column.cell)(&outcome)));
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

/// A column of the table.
struct Column {
    heading: &'static str,
    align: CellAlignment,
    cell: fn(&Outcome<'_>) -> Cell,
}

/// The data of one client's row.
struct Outcome<'a> {
    client: &'a ClientView,
    /// Its collection in the sweep; `None` if it had none.
    last: Option<&'a Finished>,
    /// The reading of that collection; `None` if it failed.
    reading: Option<&'a Reading>,
}

/// The columns, from left to right.
static COLUMNS: [Column; 10] = [
    Column { heading: "STATE", align: CellAlignment::Left, cell: state },
    Column { heading: "CLIENT", align: CellAlignment::Left, cell: |row| Cell::new(&row.client.card.name) },
    Column { heading: "ADDRESS", align: CellAlignment::Left, cell: |row| Cell::new(row.client.card.id.to_string()) },
    Column {
        heading: "CPU",
        align: CellAlignment::Right,
        cell: |row| share(row.reading.and_then(|reading| reading.cpu)),
    },
    Column {
        heading: "MEM",
        align: CellAlignment::Right,
        cell: |row| share(row.reading.and_then(|reading| reading.memory).and_then(Usage::percent)),
    },
    Column {
        heading: "SWAP",
        align: CellAlignment::Right,
        cell: |row| share(row.reading.and_then(|reading| reading.swap).and_then(Usage::percent)),
    },
    Column {
        heading: "DISK",
        align: CellAlignment::Right,
        cell: |row| share(row.reading.and_then(Reading::disk_percent)),
    },
    Column {
        heading: "UPTIME",
        align: CellAlignment::Right,
        cell: |row| or_dash(row.reading.and_then(|reading| reading.uptime_seconds).map(uptime)),
    },
    Column {
        heading: "TOOK",
        align: CellAlignment::Right,
        cell: |row| or_dash(row.last.map(|last| seconds(last.duration_ms))),
    },
    Column { heading: "NOTE", align: CellAlignment::Left, cell: |row| Cell::new(note(row)) },
];

impl<'a> Outcome<'a> {
    fn of(client: &'a ClientView, sweep: SweepId) -> Self {
        let last = client.last.as_ref().filter(|last| last.sweep == sweep);
        let reading = client.reading.as_ref().filter(|_| last.is_some_and(|last| last.failure.is_none()));
        Self { client, last, reading: reading.map(|(_, reading)| &**reading) }
    }
}

fn state(row: &Outcome<'_>) -> Cell {
    match row.last {
        None => Cell::new("- none"),
        Some(last) if last.failure.is_some() => Cell::new("x failed").fg(Color::Red).add_attribute(Attribute::Bold),
        Some(_) if !row.client.exceeded.is_empty() => {
            Cell::new("! alert").fg(Color::Yellow).add_attribute(Attribute::Bold)
        }
        Some(_) => Cell::new("  ok").fg(Color::Green),
    }
}

fn or_dash(text: Option<String>) -> Cell {
    Cell::new(text.unwrap_or_else(|| "-".to_owned()))
}

fn share(percent: Option<Percent>) -> Cell {
    or_dash(percent.map(|percent| percent.to_string()))
}

fn note(row: &Outcome<'_>) -> String {
    let mut notes: Vec<String> = Vec::new();
    if let Some(last) = row.last {
        if let Some(failure) = &last.failure {
            notes.push(format!("{}: {failure}", failure.stage));
        }
        if last.attempts > 1 {
            notes.push(format!("{} attempts", last.attempts));
        }
    }
    for exceeded in &row.client.exceeded {
        let (about, value, limit) = (exceeded.key(), exceeded.value, exceeded.limit);
        let (unit, sign) = (about.metric.unit(), about.metric.spec().worse.sign());
        notes.push(format!("{about} {}", unit.compare(value, sign, limit)));
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

    /// A fleet after a sweep in which one client succeeded, one exceeded a limit and one failed.
    pub(crate) fn swept() -> Fleet {
        let mut fleet = Fleet::default();
        let mut tell = |client: Option<&ClientId>, kind| {
            let at = Timestamp::from_second(1_700_000_000).unwrap();
            fleet.apply(&Event { at, sweep: Some(SWEEP), client: client.cloned(), kind });
        };
        let ids = ["10.0.4.1", "10.0.4.2", "fd00::3"].map(|address| ClientId::new(address, 22));
        let names = ["web-1", "web-2", "db"];
        let card = |(id, name): (&ClientId, &str)| ClientCard {
            id: id.clone(),
            name: name.into(),
            username: "ops".into(),
            limits: Vec::new(),
        };
        tell(None, EventKind::Configured { clients: ids.iter().zip(names).map(card).collect() });
        tell(None, EventKind::SweepStarted { number: 1, trigger: Trigger::Once, clients: ids.to_vec() });
        let reading = |cpu, used| {
            Box::new(Reading {
                cpu: Percent::new(cpu).ok(),
                memory: Some(Usage { total: Bytes(1000), used: Bytes(used) }),
                uptime_seconds: Some(1_054_800),
                ..Reading::from_report(&Report::default(), 0)
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
