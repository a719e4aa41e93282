//! The client table: only the rows that are seen are built. Not their order.

use ratatui::{layout::Rect, style::Modifier};

use super::{
    chart,
    layout::Layout,
    pen::{Pen, columns_of, small, steps},
    words,
};
use crate::{
    fleet::{
        ClientId, Metric, Phase, Reading,
        reading::Usage,
        select::{Sort, SortKey},
        state::ClientView,
    },
    tui::{
        model::Model,
        theme::Role,
        view::{Overlay, Pane},
    },
};

/// The widths of the columns; 0 leaves a column out. The note takes the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Columns {
    state: u16,
    name: u16,
    gauge: u16,
    share: u16,
    spark: u16,
    disk: u16,
    load: u16,
    took: u16,
    age: u16,
}

impl Columns {
    /// For a table of this width and the longest name in it. `beside` says that details stand beside it.
    fn of(width: u16, longest: u16, beside: bool) -> Self {
        let name = longest.clamp(6, if width >= 110 { 24 } else { 16 });
        let (gauge, spark) = match width {
            0..62 => (0, 0),
            62..72 => (5, 0),
            // Why something failed is worth more than a longer bar.
            72..90 if beside && name > 12 => (4, 6),
            72..90 if beside => (6, 10),
            72..90 => (8, 0),
            _ => (10, 16),
        };
        Self {
            state: if width < 34 { 1 } else { 9 },
            name,
            gauge,
            share: if width < 46 { 0 } else { 5 },
            spark,
            disk: if width >= 104 { 5 } else { 0 },
            load: if width >= 116 { 9 } else { 0 },
            took: if (70..90).contains(&width) && beside || width < 70 { 0 } else { 5 },
            age: if width < 40 { 0 } else { 3 },
        }
    }
}

/// The table under its title and heading.
pub(super) fn pane(pen: &mut Pen<'_>, model: &Model, area: Rect, beside: bool) {
    let layout = Layout::of(model);
    let head = layout.table_head();
    if head >= 1 {
        title(pen, model, area);
    }
    let longest = model.shown().clients().map(|client| columns_of(&client.card.name)).max().unwrap_or(0);
    let columns = Columns::of(area.width, longest, beside);
    if head >= 2 {
        heading(pen, model.view.sort, Rect { y: area.y + 1, height: 1, ..area }, columns);
    }
    let rows = Rect { y: area.y + head, height: area.height.saturating_sub(head), ..area };
    for (index, id) in model.rows.iter().skip(model.view.top).take(usize::from(rows.height)).enumerate() {
        if let Some(client) = model.shown().client(id) {
            let place = Rect { y: rows.y + small(index), height: 1, ..rows };
            row(pen, model, client, place, columns);
        }
    }
    if model.rows.is_empty() && rows.height > 0 {
        let text = match (model.shown().clients().next(), &model.view.filter_error) {
            (None, _) => "no clients yet",
            (Some(_), _) => "no client meets the filter: Esc drops it",
        };
        pen.text(rows.x + 1, rows.y, rows.width.saturating_sub(1), text, pen.style(Role::Dim));
    }
}

fn title(pen: &mut Pen<'_>, model: &Model, area: Rect) {
    let (strong, dim, accent) = (pen.style(Role::Strong), pen.style(Role::Dim), pen.style(Role::Accent));
    let bad = pen.style(Role::Bad);
    let focused = if model.view.pane == Pane::Clients { accent.add_modifier(Modifier::BOLD) } else { strong };
    let all = model.shown().clients().count();
    let filtered = !model.view.filter.is_empty() || !model.view.filter_text.is_empty();
    let count = if filtered { format!(" {} of {all}", model.rows.len()) } else { format!(" {all}") };
    let marks = match model.view.marks.len() {
        0 => String::new(),
        marks => format!(" · {marks} marked"),
    };
    let glyphs = pen.glyphs();
    let arrow = if model.view.sort.reversed { glyphs.up } else { glyphs.down };
    let sort = format!("{} {arrow}", model.view.sort.key.word());
    let typing = matches!(model.view.overlay, Overlay::Filter { .. });
    let (filter, filter_style) = match (&model.view.filter_error, model.view.filter_text.as_str(), typing) {
        (Some(error), _, false) => (error.as_str(), bad),
        (_, "", _) => ("none", dim),
        (_, text, _) => (text, accent),
    };
    // A long filter is cut at its end, before the title gives way.
    let room = usize::from(area.width.saturating_sub(44)).max(4);
    let filter: String = filter.chars().take(room).collect();
    pen.title(
        area,
        &[("Clients", focused), (&count, dim), (&marks, accent)],
        &[("sort: ", dim), (&sort, pen.style(Role::Text)), ("  filter: ", dim), (&filter, filter_style)],
    );
}

fn heading(pen: &mut Pen<'_>, sort: Sort, area: Rect, columns: Columns) {
    let dim = pen.style(Role::Dim);
    let accent = pen.style(Role::Accent);
    let mut put = Cursor::new(area);
    let style = |key: SortKey| if sort.key == key { accent } else { dim };
    put.left(pen, columns.state, if columns.state > 1 { "STATE" } else { "" }, style(SortKey::Severity));
    put.left(pen, columns.name, "CLIENT", style(SortKey::Name));
    let share = columns.gauge + columns.share;
    let (cpu, memory) = if columns.gauge > 0 { ("CPU %", "MEM %") } else { ("CPU", "MEM") };
    if columns.gauge > 0 {
        put.left(pen, share, cpu, style(SortKey::Cpu));
        put.left(pen, share, memory, style(SortKey::Memory));
    } else {
        put.right(pen, share, cpu, style(SortKey::Cpu));
        put.right(pen, share, memory, style(SortKey::Memory));
    }
    put.left(pen, columns.spark, &format!("CPU x{}", columns.spark), dim);
    put.right(pen, columns.disk, "DISK", style(SortKey::Disk));
    put.right(pen, columns.load, "LOAD/CORE", style(SortKey::Load));
    put.right(pen, columns.took, "TOOK", style(SortKey::Took));
    put.right(pen, columns.age, "AGE", style(SortKey::Age));
    put.left(pen, put.rest(), "NOTE", dim);
}

fn row(pen: &mut Pen<'_>, model: &Model, client: &ClientView, area: Rect, columns: Columns) {
    let (text, dim) = (pen.style(Role::Text), pen.style(Role::Dim));
    let now = model.shown_at();
    let selected = model.view.selected.as_ref() == Some(&client.card.id);
    if selected {
        pen.tint(area, pen.look().selection());
    }
    let glyphs = pen.glyphs();
    if selected {
        pen.text(area.x, area.y, 1, glyphs.selected, pen.style(Role::Accent));
    } else if model.view.marks.contains(&client.card.id) {
        pen.text(area.x, area.y, 1, glyphs.marked, pen.style(Role::Accent));
    }
    let marked = selected && model.view.marks.contains(&client.card.id);
    let mut put = Cursor::new(area);
    let phase = Phase::of(client);
    let state_style = pen.look().phase_style(phase);
    let glyph = if marked { glyphs.marked } else { pen.look().phase_glyph(phase) };
    let word = if columns.state > 1 { format!("{glyph} {}", phase.word()) } else { glyph.to_owned() };
    put.left(pen, columns.state, &word, state_style);
    put.left(pen, columns.name, &client.card.name, text);
    let fresh = client.is_fresh();
    let reading = client.reading.as_ref().map(|(_, reading)| &**reading);
    let cpu = reading.and_then(|reading| reading.cpu).map(f64::from);
    let memory = reading.and_then(|reading| reading.memory).and_then(Usage::percent).map(f64::from);
    for (value, metric) in [(cpu, Metric::Cpu), (memory, Metric::Memory)] {
        let exceeded = client.exceeded.iter().any(|exceeded| exceeded.metric == metric);
        let x = put.take(columns.gauge + columns.share);
        gauge(pen, (x, area.y), columns.gauge, value, fresh, exceeded);
        if columns.share > 0 {
            let (shown, style) = match value {
                None => (glyphs.none.to_owned(), dim),
                Some(value) if exceeded && fresh => (format!("{value:.0}%"), pen.style(Role::Warning)),
                Some(value) => (format!("{value:.0}%"), if fresh { text } else { dim }),
            };
            let right = x + columns.gauge + columns.share;
            pen.text_before(right, area.y, columns.share, &shown, style);
        }
    }
    if columns.spark > 0 {
        let x = put.take(columns.spark);
        let from = client.recent.len().saturating_sub(usize::from(columns.spark));
        for (at, sample) in client.recent.iter().skip(from).enumerate() {
            let glyph = chart::height(glyphs, sample.cpu_percent);
            let pad = columns.spark.saturating_sub(small(client.recent.len() - from));
            pen.text(x + pad + small(at), area.y, 1, glyph, pen.style(if fresh { Role::Active } else { Role::Dim }));
        }
    }
    let number = |value: Option<String>| value.unwrap_or_else(|| glyphs.none.to_owned());
    let style = if fresh { text } else { dim };
    let disk = reading.and_then(Reading::disk_percent).map(|percent| format!("{:.0}%", percent.get()));
    let disk_exceeded = client.exceeded.iter().any(|exceeded| exceeded.metric == Metric::Disk);
    put.right(pen, columns.disk, &number(disk), if disk_exceeded { pen.style(Role::Warning) } else { style });
    let load = reading.and_then(Reading::load_per_core).map(|load| format!("{load:.2}"));
    put.right(pen, columns.load, &number(load), style);
    let took = client.last.as_ref().map(|last| words::took(last.duration_ms));
    put.right(pen, columns.took, &number(took), dim);
    let age = client.reading.as_ref().map(|(at, _)| words::since(*at, now));
    put.right(pen, columns.age, &number(age), dim);
    let (note, role) = note(client, phase);
    put.left(pen, put.rest(), &note, pen.style(role));
}

/// A gauge: solid for the last collection, dotted for what was known before.
fn gauge(pen: &mut Pen<'_>, (x, y): (u16, u16), width: u16, value: Option<f64>, fresh: bool, exceeded: bool) {
    let glyphs = pen.glyphs();
    let Some(value) = value else { return };
    let filled = steps(value, width);
    let (full, empty) = if fresh { (glyphs.full, glyphs.empty) } else { (glyphs.stale, glyphs.stale_empty) };
    let full_style = pen.style(match (fresh, exceeded) {
        (true, true) => Role::Warning,
        (true, false) => Role::Good,
        (false, _) => Role::Dim,
    });
    for column in 0..width {
        let (glyph, style) = if column < filled { (full, full_style) } else { (empty, pen.style(Role::Dim)) };
        pen.text(x + column, y, 1, glyph, style);
    }
}

/// The one thing worth saying of a client: why it failed, else which limits it exceeds.
fn note(client: &ClientView, phase: Phase) -> (String, Role) {
    if let Some(running) = &client.running
        && running.attempt > 1
    {
        let why = running.failed_before.as_ref().map_or("", |failure| failure.kind.spec().short);
        return (format!("try {}: {why}", running.attempt), Role::Warning);
    }
    if let Some(failure) = client.failure() {
        let role = if phase == Phase::Failed { Role::Bad } else { Role::Dim };
        return (format!("! {}", failure.kind.spec().short), role);
    }
    let exceeded = client.exceeded.iter().map(|exceeded| {
        let (value, limit) =
            (words::value(exceeded.metric, exceeded.value), words::value(exceeded.metric, exceeded.limit));
        format!("{} {value} > {limit}", short(exceeded.metric))
    });
    let text = exceeded.collect::<Vec<_>>().join(", ");
    if text.is_empty() { (text, Role::Text) } else { (format!("! {text}"), Role::Warning) }
}

/// A metric as the table's headings write it.
fn short(metric: Metric) -> &'static str {
    match metric {
        Metric::Memory => "mem",
        Metric::Cpu | Metric::Swap | Metric::Disk | Metric::Load | Metric::Unreachable => metric.word(),
    }
}

/// Goes through a row from column to column.
struct Cursor {
    x: u16,
    y: u16,
    right: u16,
}

impl Cursor {
    fn new(area: Rect) -> Self {
        Self { x: area.x + 1, y: area.y, right: area.right() }
    }

    /// Takes a column and the gap after it.
    fn take(&mut self, width: u16) -> u16 {
        let x = self.x;
        if width > 0 {
            self.x = self.x.saturating_add(width + 1);
        }
        x
    }

    fn left(&mut self, pen: &mut Pen<'_>, width: u16, text: &str, style: ratatui::style::Style) {
        let x = self.take(width);
        pen.text(x, self.y, width.min(self.right.saturating_sub(x)), text, style);
    }

    fn right(&mut self, pen: &mut Pen<'_>, width: u16, text: &str, style: ratatui::style::Style) {
        if width == 0 {
            return;
        }
        let x = self.take(width);
        if x + width <= self.right {
            pen.text_before(x + width, self.y, width, text, style);
        }
    }

    fn rest(&self) -> u16 {
        self.right.saturating_sub(self.x)
    }
}

/// The client at a place of the table.
pub(super) fn client_at(model: &Model, layout: &Layout, column: u16, row: u16) -> Option<ClientId> {
    let first = layout.table.y + layout.table_head();
    if !layout.table.contains((column, row).into()) || row < first {
        return None;
    }
    model.rows.get(model.view.top + usize::from(row - first)).cloned()
}

#[cfg(test)]
mod tests;
