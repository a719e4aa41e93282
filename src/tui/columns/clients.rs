//! The columns of the client table, and the order by which it is sorted.

use std::borrow::Cow;

use super::{
    Align, Cell, Column, Context, Export, Order, number as sort_number, text,
    width::{Claim, Size, number, up_to, whole},
};
use crate::{
    fleet::{
        Metric, Phase, Reading,
        alert::Exceeded,
        cell,
        metric::Unit,
        outlook::{HORIZON_DAYS, Outlook},
        select::sort::{ByClient, Key, severity},
        state::ClientView,
    },
    tui::{format, theme::Role},
};

every! {
    /// A column of the client table.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum ClientColumn {
        /// The current stage of the client, or its last result.
        State,
        /// The name.
        Name,
        /// CPU use.
        Cpu,
        /// Memory use.
        Memory,
        /// CPU use of the last collections.
        CpuHistory,
        /// Swap use; exported only.
        Swap,
        /// Use of the fullest file system.
        Disk,
        /// When the file system that is full first will be.
        FullIn,
        /// Load per core.
        Load,
        /// Time since boot; exported only.
        Uptime,
        /// How long the last collection took.
        Took,
        /// The age of the reading.
        Age,
        /// The failure or the exceeded limits.
        Note,
    }
}

/// The order of the client table. Clients without a value are last in either direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// The column; `None` is the order of the configuration.
    pub by: Option<ClientColumn>,
    /// Whether it is reversed.
    pub reversed: bool,
}

/// Clients that need attention come first.
impl Default for Sort {
    fn default() -> Self {
        Self { by: Some(ClientColumn::State), reversed: false }
    }
}

impl Sort {
    /// Its name on the screen.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.order().map_or("config", |order| order.word)
    }

    /// Whether the largest value comes first: the most severe, the highest, the oldest.
    pub(in crate::tui) fn falls(self) -> bool {
        self.order().is_some_and(|order| order.largest_first) != self.reversed
    }

    /// The compared value; `None` for the order of the configuration.
    pub(in crate::tui) fn key(self) -> Option<ByClient> {
        self.order().map(|order| order.key)
    }

    /// The next sortable column; after the last one, the order of the configuration.
    #[must_use]
    pub fn next(self) -> Self {
        self.beside(1)
    }

    /// The previous sortable column; before the first one, the order of the configuration.
    #[must_use]
    pub fn previous(self) -> Self {
        self.beside(Self::choices().count() - 1)
    }

    /// All sort orders, in the order of the columns. The order of the configuration comes last.
    fn choices() -> impl Iterator<Item = Option<ClientColumn>> + Clone {
        let sortable = ClientColumn::ALL.iter().copied().filter(|column| column.spec().sort.is_some());
        sortable.map(Some).chain([None])
    }

    /// Moves by a number of choices, wrapping around.
    fn beside(self, by: usize) -> Self {
        let here = Self::choices().position(|choice| choice == self.by).unwrap_or(0);
        let by = Self::choices().cycle().nth(here + by).flatten();
        Self { by, reversed: false }
    }

    fn order(self) -> Option<&'static Order> {
        self.by.and_then(|column| column.spec().sort.as_ref())
    }
}

/// The exported values of a client: its identity, then the columns in order.
pub(in crate::tui) fn exports() -> impl Iterator<Item = &'static Export<ClientView>> + Clone {
    let others = ClientColumn::ALL.iter().filter(|column| **column != ClientColumn::Name);
    std::iter::once(&ClientColumn::Name).chain(others).flat_map(|column| column.spec().exports)
}

impl ClientColumn {
    /// The properties of the column.
    pub(in crate::tui) fn spec(self) -> &'static Column<ClientView> {
        match self {
            Self::State => &Column {
                headings: &["STATE"],
                align: Align::Left,
                width: const { &[whole(0, Size::Of(1)), whole(5, Size::Of(9))] },
                cell: state,
                sort: Some(Order { word: "severity", key: |client| Key::Rank(severity(client)), largest_first: true }),
                exports: &[
                    Export { name: "state", value: |client, _| text(Phase::of(client).word()) },
                    Export { name: "error", value: |client, _| client.failure().map(ToString::to_string).into() },
                ],
            },
            Self::Name => &Column {
                headings: &["CLIENT"],
                align: Align::Left,
                width: NAME,
                cell: |client, context| Cell::Name(client.card.name.as_str().into(), context.style(Role::Text)),
                sort: Some(Order { word: "name", key: |client| Key::Name(&client.card.name), largest_first: false }),
                exports: &[
                    Export { name: "name", value: |client, _| text(&client.card.name) },
                    Export { name: "ip", value: |client, _| text(client.card.id.address()) },
                    Export { name: "port", value: |client, _| cell::Cell::Integer(client.card.id.port().into()) },
                ],
            },
            Self::Cpu => &Column {
                headings: &["CPU %", "CPU"],
                align: Align::Left,
                width: GAUGE,
                cell: |client, _| gauge(client, Metric::Cpu, cpu(client)),
                sort: Some(Order { word: "cpu", key: |client| sort_number(cpu(client)), largest_first: true }),
                exports: &[Export { name: "cpu_percent", value: |client, _| cpu(client).into() }],
            },
            Self::Memory => &Column {
                headings: &["MEM %", "MEM"],
                align: Align::Left,
                width: GAUGE,
                cell: |client, _| gauge(client, Metric::Memory, memory(client)),
                sort: Some(Order { word: "memory", key: |client| sort_number(memory(client)), largest_first: true }),
                exports: &[Export { name: "memory_percent", value: |client, _| memory(client).into() }],
            },
            Self::CpuHistory => &Column {
                headings: &["CPU HISTORY", "CPU HIST", "HIST"],
                align: Align::Left,
                width: const { &[whole(12, Size::Of(8)), up_to(17, Size::Of(16)), up_to(23, Size::Content(0, u16::MAX))] },
                cell: cpu_history,
                sort: None,
                exports: &[],
            },
            Self::Swap => &Column {
                headings: &[],
                align: Align::Right,
                width: &[],
                cell: |client, context| percent(client, context, Metric::Swap, swap(client)),
                sort: None,
                exports: &[Export { name: "swap_percent", value: |client, _| swap(client).into() }],
            },
            Self::Disk => &Column {
                headings: &["DISK"],
                align: Align::Right,
                width: const { &[number(14, 4)] },
                cell: |client, context| percent(client, context, Metric::Disk, disk(client)),
                sort: Some(Order { word: "disk", key: |client| sort_number(disk(client)), largest_first: true }),
                exports: &[Export { name: "disk_percent", value: |client, _| disk(client).into() }],
            },
            Self::FullIn => &Column {
                headings: &["FULL IN"],
                align: Align::Right,
                width: const { &[number(17, 7)] },
                cell: |client, context| {
                    let text = outlook(client).map(Outlook::short);
                    // Of the past, only the number is known.
                    let text = text.or_else(|| value(client, Metric::DiskFull).map(|days| Unit::Days.show_short(days)));
                    context.number(text, value_style(client, context, Metric::DiskFull))
                },
                sort: Some(Order {
                    word: "full in",
                    key: |client| {
                        let urgency = outlook(client).map(Outlook::urgency);
                        urgency.or_else(|| value(client, Metric::DiskFull)).map_or(Key::Absent, Key::Least)
                    },
                    largest_first: false,
                }),
                // In the last column.
                exports: &[],
            },
            Self::Load => &Column {
                headings: &["LOAD/CORE", "LOAD"],
                align: Align::Right,
                width: const { &[number(15, 4), whole(18, Size::Of(9))] },
                cell: |client, context| {
                    let text = load(client).map(|load| format!("{load:.2}"));
                    context.number(text, value_style(client, context, Metric::Load))
                },
                sort: Some(Order { word: "load/core", key: |client| sort_number(load(client)), largest_first: true }),
                exports: &[Export { name: "load_per_core", value: |client, _| load(client).into() }],
            },
            Self::Uptime => &Column {
                headings: &[],
                align: Align::Right,
                width: &[],
                cell: |client, context| context.number(uptime(client).map(format::uptime), context.style(Role::Dim)),
                sort: None,
                exports: &[Export { name: "uptime_seconds", value: |client, _| count(uptime(client)) }],
            },
            Self::Took => &Column {
                headings: &["TOOK"],
                align: Align::Right,
                width: const { &[number(13, 5)] },
                cell: |client, context| context.number(took_ms(client).map(format::took), context.style(Role::Dim)),
                sort: Some(Order {
                    word: "took",
                    key: |client| sort_number(took_ms(client).map(|took| took as f64)),
                    largest_first: true,
                }),
                exports: &[Export { name: "duration_ms", value: |client, _| count(took_ms(client)) }],
            },
            Self::Age => &Column {
                headings: &["AGE"],
                align: Align::Right,
                width: const { &[number(7, 3)] },
                cell: |client, context| {
                    let age = client.reading.as_ref().map(|(at, _)| format::since(*at, context.now));
                    context.number(age, context.style(Role::Dim))
                },
                sort: Some(Order {
                    word: "age",
                    // The earliest reading has the highest age.
                    largest_first: true,
                    key: |client| client.reading.as_ref().map_or(Key::Absent, |(at, _)| Key::Time(*at)),
                }),
                exports: &[Export {
                    name: "collected_at",
                    value: |client, _| client.reading.as_ref().map(|(at, _)| at.to_string()).into(),
                }],
            },
            Self::Note => &Column {
                headings: &["NOTE"],
                align: Align::Left,
                width: const {
                    &[whole(6, Size::Content(4, 8)), up_to(10, Size::Content(4, u16::MAX)), up_to(29, Size::All)]
                },
                cell: note,
                sort: None,
                // These came later, and the others keep their places in CSV.
                exports: &[
                    Export {
                        name: "full_in_days",
                        value: |client, _| {
                            let days = value(client, Metric::DiskFull).filter(|days| *days < HORIZON_DAYS);
                            days.map(|days| (days * 100.0).round() / 100.0).into()
                        },
                    },
                    Export {
                        name: "disk_outlook",
                        value: |client, _| outlook(client).map(|outlook| outlook.word().to_owned()).into(),
                    },
                ],
            },
        }
    }
}

/// An exported count.
fn count(count: Option<u64>) -> cell::Cell {
    count.map(|count| i64::try_from(count).unwrap_or(i64::MAX)).into()
}

fn reading(client: &ClientView) -> Option<&Reading> {
    client.reading.as_ref().map(|(_, reading)| &**reading)
}

/// The value of a metric, the worst one if there are several.
fn value(client: &ClientView, metric: Metric) -> Option<f64> {
    client.sample.worst(metric)
}

/// CPU use, percent.
fn cpu(client: &ClientView) -> Option<f64> {
    value(client, Metric::Cpu)
}

/// Memory use, percent.
fn memory(client: &ClientView) -> Option<f64> {
    value(client, Metric::Memory)
}

/// Swap use, percent.
fn swap(client: &ClientView) -> Option<f64> {
    value(client, Metric::Swap)
}

/// Use of the fullest file system, percent.
fn disk(client: &ClientView) -> Option<f64> {
    value(client, Metric::Disk)
}

/// The outlook of the file system that is full first.
fn outlook(client: &ClientView) -> Option<Outlook> {
    reading(client)?.outlooks().first().map(|(_, outlook)| *outlook)
}

/// Load over one minute, per core.
fn load(client: &ClientView) -> Option<f64> {
    value(client, Metric::Load)
}

/// Seconds since boot.
fn uptime(client: &ClientView) -> Option<u64> {
    reading(client)?.uptime_seconds
}

/// How long the last collection took, milliseconds.
fn took_ms(client: &ClientView) -> Option<u64> {
    client.last.as_ref().map(|last| last.duration_ms)
}

/// A name gets its full width, but only a part of a narrow list. The bars get what is left.
const NAME: &[Claim] =
    &[whole(1, Size::Content(6, 8)), up_to(9, Size::Share(6, 55)), up_to(20, Size::Content(6, u16::MAX))];

/// A number, with a bar if there is space.
const GAUGE: &[Claim] =
    &[whole(2, Size::Of(4)), whole(11, Size::Of(9)), up_to(16, Size::Of(15)), up_to(22, Size::Of(35))];

fn is_exceeded(client: &ClientView, metric: Metric) -> bool {
    client.exceeded.iter().any(|exceeded| exceeded.metric == metric)
}

/// Values that are not from the last collection are dim. Values over the limit are highlighted.
fn value_style(client: &ClientView, context: &Context<'_>, metric: Metric) -> ratatui::style::Style {
    context.style(match (is_exceeded(client, metric), client.is_fresh()) {
        (true, _) => Role::Warning,
        (false, true) => Role::Text,
        (false, false) => Role::Dim,
    })
}

fn percent(client: &ClientView, context: &Context<'_>, metric: Metric, percent: Option<f64>) -> Cell<'static> {
    let text = percent.map(|percent| format!("{percent:.0}%"));
    context.number(text, value_style(client, context, metric))
}

fn gauge(client: &ClientView, metric: Metric, percent: Option<f64>) -> Cell<'static> {
    Cell::Gauge { percent, is_fresh: client.is_fresh(), is_exceeded: is_exceeded(client, metric) }
}

fn state<'a>(client: &'a ClientView, context: &Context<'a>) -> Cell<'a> {
    let phase = Phase::of(client);
    let marked = context.look.glyphs().marked;
    let glyph = if context.is_marked_under_cursor { marked } else { context.look.phase_glyph(phase) };
    let wordings = vec![format!("{glyph} {}", phase.word()).into(), glyph.into()];
    Cell::Wordings(wordings, context.look.phase_style(phase))
}

fn cpu_history<'a>(client: &'a ClientView, context: &Context<'a>) -> Cell<'a> {
    let percents = client.recent.iter().map(|sample| sample.cpu_percent).collect();
    Cell::Bars { percents, style: context.style(if client.is_fresh() { Role::Active } else { Role::Dim }) }
}

/// The most important text about a client: its failure, otherwise its exceeded limits.
fn note<'a>(client: &'a ClientView, context: &Context<'a>) -> Cell<'a> {
    let cell = |text: String, role| Cell::Text(text.into(), context.style(role));
    if let Some(running) = &client.running
        && running.attempt > 1
    {
        let why = running.failed_before.as_ref().map_or("", |failure| failure.kind.spec().short);
        return cell(format!("attempt {}: {why}", running.attempt), Role::Warning);
    }
    if let Some(failure) = client.failure() {
        let role = if Phase::of(client) == Phase::Failed { Role::Bad } else { Role::Dim };
        return cell(format!("! {}", failure.kind.spec().short), role);
    }
    match client.exceeded.as_slice() {
        [] => cell(String::new(), Role::Text),
        exceeded => Cell::Wordings(limits(exceeded), context.style(Role::Warning)),
    }
}

/// The exceeded limits in several wordings: with values and limits, with values, with the number of further ones.
fn limits(exceeded: &[Exceeded]) -> Vec<Cow<'static, str>> {
    let one = |exceeded: &Exceeded, with_limit: bool| {
        let spec = exceeded.metric.spec();
        let instance = if exceeded.instance.is_host() { String::new() } else { format!(" {}", exceeded.instance) };
        let value = if with_limit {
            spec.unit.compare_short(exceeded.value, spec.worse.sign(), exceeded.limit)
        } else {
            spec.unit.show_short_beside(exceeded.value, exceeded.limit)
        };
        format!("{}{instance} {value}", spec.short)
    };
    let all = |with_limit| exceeded.iter().map(|it| one(it, with_limit)).collect::<Vec<_>>().join(", ");
    let mut wordings = vec![format!("! {}", all(true)), format!("! {}", all(false))];
    if let [first, others @ ..] = exceeded {
        let more = if others.is_empty() { String::new() } else { format!(" +{}", others.len()) };
        wordings.push(format!("! {}{more}", one(first, false)));
        wordings.push(format!("! {}{more}", first.metric.spec().short));
    }
    wordings.into_iter().map(Cow::Owned).collect()
}

#[cfg(test)]
mod tests;
