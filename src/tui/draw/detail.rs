//! The details of one client: what happened in its last collection, what to do about it, what it is like.

use jiff::Timestamp;
use ratatui::{
    layout::Rect,
    style::{Modifier, Style},
    text::{Line, Span as Piece},
};
use unicode_width::UnicodeWidthStr as _;

use super::{
    canvas::{Canvas, steps},
    chart,
};
use crate::{
    fleet::{Failure, Phase, Reading, Stage, reading::Usage, security::short_source, state::ClientView},
    tui::{format, model::Model, theme::Role},
};

/// One row of the details.
enum Row {
    /// Pieces of text.
    Text(Line<'static>),
    /// One stage of the timeline: its word, its begin and end as shares of the whole (0 to 1), how long it
    /// took, whether it failed.
    Stage { word: &'static str, span: Option<(f64, f64)>, took: String, state: StageState },
    /// Rows of a chart; the first of them carries it.
    Chart { values: Vec<Option<f64>>, height: u16, role: Role },
    /// A share with a label before and a text after.
    Gauge { label: String, percent: f64, after: String, exceeded: bool },
    /// One cell a core.
    Cores(Vec<f64>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum StageState {
    Passed,
    UnderWay,
    Failed,
    NotReached,
}

/// The details under their title.
pub(super) fn pane(canvas: &mut Canvas<'_>, model: &Model, area: Rect, focused: bool) {
    let (strong, dim) = (canvas.style(Role::Strong), canvas.style(Role::Dim));
    let Some(client) = model.selected() else {
        canvas.title(area, &[("Details", strong)], &[]);
        canvas.text(area.x + 1, area.y + 1, area.width, "no client is selected", dim);
        return;
    };
    let name = if focused { canvas.style(Role::Accent).add_modifier(Modifier::BOLD) } else { strong };
    let phase = Phase::of(client);
    let state = format!("{} {}", canvas.look().phase_glyph(phase), phase.word());
    let attempts = match (&client.running, &client.last) {
        (Some(running), _) => format!(" · attempt {}", running.attempt),
        (None, Some(last)) => format!(" · {} attempt{}", last.attempts, if last.attempts == 1 { "" } else { "s" }),
        (None, None) => String::new(),
    };
    canvas.title(area, &[(&client.card.name, name)], &[(&state, canvas.look().phase_style(phase)), (&attempts, dim)]);
    let inner = Rect {
        x: area.x + 2,
        y: area.y + 1,
        width: area.width.saturating_sub(3),
        height: area.height.saturating_sub(1),
    };
    let rows = rows(canvas, model, client, inner);
    let height: usize = rows.iter().map(|row| usize::from(row.height())).sum();
    let hidden = height.saturating_sub(usize::from(inner.height));
    let mut skip = model.view.detail_top.min(hidden);
    let mut y = inner.y;
    for row in &rows {
        if skip >= usize::from(row.height()) {
            skip -= usize::from(row.height());
            continue;
        }
        skip = 0;
        let room = inner.bottom().saturating_sub(y);
        if room == 0 {
            break;
        }
        put(canvas, row, Rect { y, height: row.height().min(room), ..inner });
        y += row.height();
    }
    if model.view.detail_top < hidden && area.width > 20 {
        let more = format!(" {} more ", hidden - model.view.detail_top);
        canvas.text_before(area.right().saturating_sub(1), area.bottom().saturating_sub(1), 12, &more, dim);
    }
}

impl Row {
    fn height(&self) -> u16 {
        match self {
            Self::Chart { height, .. } => *height,
            Self::Text(_) | Self::Stage { .. } | Self::Gauge { .. } | Self::Cores(_) => 1,
        }
    }
}

fn put(canvas: &mut Canvas<'_>, row: &Row, area: Rect) {
    let (dim, text) = (canvas.style(Role::Dim), canvas.style(Role::Text));
    match row {
        Row::Text(line) => canvas.line(area.x, area.y, area.width, line),
        Row::Stage { word, span, took, state } => {
            canvas.text(area.x, area.y, 8, word, dim);
            let room = area.width.saturating_sub(9 + 9);
            let role = match state {
                StageState::Passed => Role::Good,
                StageState::UnderWay => Role::Active,
                StageState::Failed => Role::Bad,
                StageState::NotReached => Role::Dim,
            };
            if let Some((from, to)) = span {
                let (from, to) = (share(*from, room), share(*to, room));
                let glyph = canvas.glyphs().bar;
                for x in from..to.max(from + 1).min(room) {
                    canvas.text(area.x + 9 + x, area.y, 1, glyph, canvas.style(role));
                }
                if from >= room && room > 0 {
                    canvas.text(area.x + 8 + room, area.y, 1, canvas.glyphs().half, canvas.style(role));
                }
            }
            let right = area.right().saturating_sub(2);
            if *state == StageState::NotReached {
                canvas.text(area.x + 9, area.y, area.width.saturating_sub(9), took, dim);
            } else {
                canvas.text_before(right, area.y, 8, took, text);
            }
            if *state == StageState::Failed {
                let glyph = canvas.look().phase_glyph(Phase::Failed);
                canvas.text(area.right().saturating_sub(1), area.y, 1, glyph, canvas.style(Role::Bad));
            }
        }
        Row::Chart { values, role, .. } => chart::bars(canvas, area, values, *role),
        Row::Gauge { label, percent, after, exceeded } => {
            let label_width = (area.width / 3).clamp(8, 24);
            canvas.text(area.x, area.y, label_width - 1, label, text);
            let width = 10.min(area.width.saturating_sub(label_width));
            let filled = steps(*percent, width);
            let role = if *exceeded { Role::Warning } else { Role::Good };
            for column in 0..width {
                let (glyph, role) =
                    if column < filled { (canvas.glyphs().full, role) } else { (canvas.glyphs().empty, Role::Dim) };
                canvas.text(area.x + label_width + column, area.y, 1, glyph, canvas.style(role));
            }
            let x = area.x + label_width + width;
            canvas.text(x, area.y, area.right().saturating_sub(x), &format!(" {percent:>3.0}%  {after}"), dim);
        }
        Row::Cores(cores) => {
            let x = canvas.text(area.x, area.y, 8, "cores", dim).max(area.x + 9);
            let room = area.right().saturating_sub(x);
            // More cores than columns: the busiest of its neighbours stands for them.
            let each = cores.len().div_ceil(usize::from(room.max(1))).max(1);
            for (column, part) in (x..area.right()).zip(cores.chunks(each)) {
                let most = part.iter().copied().fold(0.0, f64::max);
                canvas.text(column, area.y, 1, chart::height(canvas.glyphs(), Some(most)), canvas.style(Role::Active));
            }
        }
    }
}

/// A share of the whole as a number of columns.
fn share(part: f64, width: u16) -> u16 {
    let exact = (part.clamp(0.0, 1.0) * f64::from(width)).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "lies between 0 and width")]
    let columns = exact as u16;
    columns
}

fn rows(canvas: &Canvas<'_>, model: &Model, client: &ClientView, area: Rect) -> Vec<Row> {
    let mut list = List { rows: Vec::new(), canvas };
    let now = model.shown_at();
    let reading = client.reading.as_ref().map(|(_, reading)| &**reading);
    identity(&mut list, client, reading, area.width);
    list.blank();
    timeline(&mut list, client, now);
    if let Some(failure) = client.running.as_ref().map_or(client.failure(), |running| running.failed_before.as_ref()) {
        let heading = if client.running.is_some() { "last error" } else { "error" };
        list.blank();
        error(&mut list, heading, failure, area.width);
    }
    charts(&mut list, model, client, area);
    if let Some(reading) = reading {
        machine(&mut list, client, reading);
        if !reading.warnings.is_empty() {
            list.blank();
            list.text(Role::Dim, "the agent could not read".to_owned());
            for warning in &reading.warnings {
                list.text(Role::Warning, format!("! {warning}"));
            }
        }
    }
    if let Some((_, events)) = model.events.as_ref().filter(|(id, events)| *id == client.card.id && !events.is_empty())
        && !model.is_past()
    {
        list.blank();
        list.text(Role::Dim, format!("security events, newest of {}", events.len()));
        for event in events {
            list.rows.push(Row::Text(Line::from(vec![
                Piece::styled(format!("{} ", format::time_or_date(event.at, now)), canvas.style(Role::Dim)),
                Piece::styled(format!("{} ", event.level), canvas.style(level(&event.level))),
                Piece::styled(format!("{}: {}", short_source(&event.source), event.message), canvas.style(Role::Text)),
            ])));
        }
    }
    list.rows
}

struct List<'p, 'b> {
    rows: Vec<Row>,
    canvas: &'p Canvas<'b>,
}

impl List<'_, '_> {
    fn text(&mut self, role: Role, text: String) {
        self.rows.push(Row::Text(Line::styled(text, self.canvas.style(role))));
    }

    fn blank(&mut self) {
        self.rows.push(Row::Text(Line::default()));
    }

    /// Text at the left and text at the right of one row.
    fn both(&mut self, left: (&str, Style), right: (&str, Style), width: u16) {
        let gap = usize::from(width).saturating_sub(left.0.width() + right.0.width());
        self.rows.push(Row::Text(Line::from(vec![
            Piece::styled(left.0.to_owned(), left.1),
            Piece::raw(" ".repeat(gap)),
            Piece::styled(right.0.to_owned(), right.1),
        ])));
    }
}

/// Account, address, system: on one row where they fit.
fn identity(list: &mut List<'_, '_>, client: &ClientView, reading: Option<&Reading>, width: u16) {
    let mut text = format!("{}@{}", client.card.username, client.card.id);
    for fact in reading.iter().flat_map(|reading| [&reading.os_version, &reading.architecture]).flatten() {
        if text.width() + 3 + fact.width() > usize::from(width) {
            list.text(Role::Dim, std::mem::take(&mut text));
        } else {
            text.push_str(" · ");
        }
        text.push_str(fact);
    }
    list.text(Role::Dim, text);
}

/// The stages of the collection under way, else of the last one.
fn timeline(list: &mut List<'_, '_>, client: &ClientView, now: Timestamp) {
    let (stages, end, failed) = match (&client.running, &client.last) {
        (Some(running), _) => (&running.stages, now, None),
        (None, Some(last)) => (&last.stages, last.at, last.failure.as_ref().map(|failure| failure.stage)),
        (None, None) => {
            list.text(Role::Dim, "not collected yet".to_owned());
            return;
        }
    };
    let ms = |at: Timestamp| at.as_millisecond() as f64;
    let active = stages.iter().filter(|(stage, _)| *stage != Stage::Queued && *stage != Stage::Done);
    let Some(begin) = active.clone().next().map(|(_, at)| *at) else {
        let text = match (&client.running, &client.last) {
            (Some(_), _) => "waiting for a free place".to_owned(),
            (None, Some(last)) => {
                let ago = format::since(last.at, now);
                format!("collected in {}, {ago} ago; its stages were not recorded", format::took(last.duration_ms))
            }
            (None, None) => String::new(),
        };
        list.text(Role::Dim, text);
        return;
    };
    let whole = (ms(end) - ms(begin)).max(1.0);
    let active: Vec<_> = active.collect();
    for stage in Stage::ALL {
        let word = match stage {
            Stage::Queued | Stage::Done => continue,
            Stage::Authenticate => "login",
            Stage::Connect | Stage::Upload | Stage::Execute | Stage::Decrypt | Stage::Store => stage.word(),
        };
        let at = active.iter().position(|(known, _)| *known == stage);
        let Some((index, (_, from))) = at.and_then(|index| Some((index, active.get(index)?))) else {
            // A failure is stored as well: what lies between was not reached.
            let reached =
                failed.map_or_else(|| active.last().is_some_and(|(last, _)| *last > stage), |failed| failed > stage);
            let took = if reached { "not needed" } else { "not reached" };
            if client.running.is_none() {
                let (span, took) = (None, took.to_owned());
                list.rows.push(Row::Stage { word, span, took, state: StageState::NotReached });
            }
            continue;
        };
        let is_last = index + 1 == active.len();
        let to = active.get(index + 1).map_or(end, |(_, at)| *at);
        let state = match (failed, &client.running) {
            (Some(failed), _) if failed == stage => StageState::Failed,
            (_, Some(_)) if is_last => StageState::UnderWay,
            (Some(_) | None, _) => StageState::Passed,
        };
        let span = Some(((ms(*from) - ms(begin)) / whole, (ms(to) - ms(begin)) / whole));
        let took = u64::try_from(to.as_millisecond() - from.as_millisecond()).unwrap_or(0);
        list.rows.push(Row::Stage { word, span, took: format::took(took), state });
    }
}

/// The exact error, its causes, and the next step.
fn error(list: &mut List<'_, '_>, heading: &str, failure: &Failure, width: u16) {
    let (dim, bad, accent) =
        (list.canvas.style(Role::Dim), list.canvas.style(Role::Bad), list.canvas.style(Role::Accent));
    let width = usize::from(width);
    list.text(Role::Dim, heading.to_owned());
    list.rows.push(Row::Text(Line::styled(format!("  {}", failure.kind.words()), bad)));
    let corner = list.canvas.glyphs().cause;
    for cause in &failure.causes {
        for (index, line) in format::wrap(cause, width.saturating_sub(4)).into_iter().enumerate() {
            let lead = if index == 0 { corner } else { " " };
            list.text(Role::Text, format!("  {lead} {line}"));
        }
    }
    for (index, line) in format::wrap(failure.kind.next_step(), width.saturating_sub(5)).into_iter().enumerate() {
        let lead = if index == 0 { "try  " } else { "     " };
        list.rows.push(Row::Text(Line::from(vec![Piece::styled(lead, dim), Piece::raw(line)])));
    }
    list.rows.push(Row::Text(Line::from(vec![
        Piece::raw("     "),
        Piece::styled("c", accent),
        Piece::styled(" collect again · ", dim),
        Piece::styled("y", accent),
        Piece::styled(" copy error", dim),
    ])));
}

/// CPU and memory over the chosen span.
fn charts(list: &mut List<'_, '_>, model: &Model, client: &ClientView, area: Rect) {
    let now = model.shown_at();
    let answered = model
        .history
        .as_ref()
        .filter(|history| history.client == client.card.id && history.span == model.view.span)
        .filter(|history| history.until == model.until());
    let points: Vec<(Timestamp, Option<f64>, Option<f64>)> = match answered {
        Some(history) => history.points.iter().map(|p| (p.at, p.cpu_percent, p.memory_percent)).collect(),
        None => client.recent.iter().map(|s| (s.at, s.cpu_percent, s.memory_percent)).collect(),
    };
    let height = match area.height {
        0..30 => 1,
        30..44 => 2,
        _ => 4,
    };
    let (dim, strong) = (list.canvas.style(Role::Dim), list.canvas.style(Role::Strong));
    let span = model.view.span.word();
    for (index, name) in ["cpu", "mem"].into_iter().enumerate() {
        let pick =
            |(at, cpu, memory): &(Timestamp, Option<f64>, Option<f64>)| (*at, if index == 0 { *cpu } else { *memory });
        let series: Vec<_> = points.iter().map(pick).collect();
        let last = series.iter().rev().find_map(|(_, value)| *value);
        let from = now.as_millisecond() - model.view.span.milliseconds();
        let most = series
            .iter()
            .filter(|(at, _)| at.as_millisecond() >= from)
            .filter_map(|(_, value)| *value)
            .reduce(f64::max);
        if height > 1 || index == 0 {
            list.blank();
        }
        let figures = match (last, most) {
            (Some(last), Some(most)) => format!("{last:.0}%  max {most:.0}%"),
            (Some(last), None) => format!("{last:.0}%  none in {span}"),
            (None, _) => "not measured".to_owned(),
        };
        let title = if index == 0 { format!("{name}, last {span}   t other span") } else { name.to_owned() };
        list.both((&title, dim), (&figures, strong), area.width);
        let values = chart::columns(&series, model.view.span, now, area.width);
        list.rows.push(Row::Chart { values, height, role: if index == 0 { Role::Active } else { Role::Good } });
    }
}

/// What the machine is like.
fn machine(list: &mut List<'_, '_>, client: &ClientView, reading: &Reading) {
    if !reading.cores.is_empty() {
        list.rows.push(Row::Cores(reading.cores.iter().map(|core| core.get()).collect()));
    }
    list.blank();
    let mut facts = Vec::new();
    if let Some(seconds) = reading.uptime_seconds {
        facts.push(format!("up {}", format::uptime(seconds)));
    }
    if let Some([one, five, fifteen]) = reading.load {
        facts.push(format!("load {one:.2} {five:.2} {fifteen:.2}"));
    }
    if let Some(memory) = reading.memory {
        facts.push(format!("mem {} of {}", memory.used, memory.total));
    }
    if let Some(percent) = reading.swap.and_then(Usage::percent) {
        facts.push(format!("swap {:.0}%", percent.get()));
    }
    for pair in facts.chunks(2) {
        list.text(Role::Text, pair.join(" · "));
    }
    if let Some(ahead) = reading.clock_ahead_ms.filter(|ahead| ahead.abs() >= 2000) {
        let way = if ahead > 0 { "ahead" } else { "behind" };
        list.text(Role::Warning, format!("! its clock is {} {way}", format::age(ahead.abs())));
    }
    if !reading.file_systems.is_empty() {
        list.blank();
        let exceeded = client.exceeded.iter().find(|exceeded| exceeded.metric == crate::fleet::Metric::Disk);
        for system in &reading.file_systems {
            let Some(percent) = system.percent() else { continue };
            list.rows.push(Row::Gauge {
                label: system.mount.clone(),
                percent: percent.get(),
                after: format!("{} free", system.available),
                exceeded: exceeded.is_some_and(|exceeded| percent.get() > exceeded.limit),
            });
        }
    }
    for (heading, processes) in [("most cpu", &reading.top_cpu), ("most memory", &reading.top_memory)] {
        if processes.is_empty() {
            continue;
        }
        list.blank();
        list.text(Role::Dim, heading.to_owned());
        for process in processes {
            let text = format!(
                "{:>7}  {:<18.18} {:>5.1}%  {:>9}",
                process.pid,
                process.name,
                process.cpu_percent,
                process.memory.to_string()
            );
            list.text(Role::Text, text);
        }
    }
    for interface in &reading.interfaces {
        if interface.received.0 > 0 || interface.sent.0 > 0 {
            let (received, sent) = (interface.received, interface.sent);
            list.text(Role::Dim, format!("{}: received {received}, sent {sent}", interface.name));
        }
    }
}

/// What most events are is not to stand out.
fn level(level: &str) -> Role {
    if matches!(level, "audit success" | "information" | "notice" | "debug") { Role::Dim } else { Role::Warning }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_columns_within_their_room() {
        for (part, expected) in [(-1.0, 0), (0.0, 0), (0.5, 5), (1.0, 10), (9.0, 10)] {
            assert_eq!(share(part, 10), expected);
        }
    }
}
