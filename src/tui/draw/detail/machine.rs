//! The details of a machine: charts, memory, file systems, processes, rates, security events.

use jiff::Timestamp;
use ratatui::{
    layout::Rect,
    text::{Line, Span as Piece},
};

use super::row::{List, Row};
use crate::{
    fleet::{Metric, Reading, history::EventRow, reading::Usage, security::short_source, state::ClientView},
    tui::{
        columns::{
            Context,
            machine::{BY_CPU, BY_MEMORY, FILE_SYSTEMS},
        },
        draw::chart::{self, Chart},
        format,
        model::Model,
        text::columns_of,
        theme::Role,
    },
};

/// CPU and memory over the selected span.
pub(super) fn charts(list: &mut List<'_, '_, '_>, model: &Model, client: &ClientView, area: Rect) {
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
        0..26 => 1,
        26..44 => 2,
        44..64 => 4,
        64..80 => 6,
        _ => 10,
    };
    let (dim, strong) = (list.canvas.style(Role::Dim), list.canvas.style(Role::Strong));
    let span = model.view.span.word();
    for (index, (name, metric)) in [("cpu", Metric::Cpu), ("mem", Metric::Memory)].into_iter().enumerate() {
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
        let limit = client.card.limit(metric);
        let figures = match (last, most) {
            (Some(last), Some(most)) => format!("{last:.0}%  max {most:.0}%"),
            (Some(last), None) => format!("{last:.0}%  none in {span}"),
            (None, _) => "not measured".to_owned(),
        };
        let title = if index == 0 { format!("{name}, last {span} · t next span") } else { name.to_owned() };
        // A chart with several rows shows its limit next to it.
        let limited = limit.filter(|_| height < 2).map(|limit| format!("{figures}  limit {limit:.0}%"));
        let fits = |text: &String| columns_of(&title) + columns_of(text) < area.width;
        let figures = limited.filter(fits).unwrap_or(figures);
        list.both((&title, dim), (&figures, strong), area.width);
        let columns = chart::columns_within(area.width, height);
        let values = chart::columns(&series, model.view.span, now, columns);
        let role = if index == 0 { Role::Active } else { Role::Good };
        list.rows.push(Row::Chart { chart: Chart { values, role, limit }, height });
    }
    let [first, middle, last] = chart::times(model.view.span, now);
    let room = usize::from(chart::columns_within(area.width, height)).saturating_sub(first.len() + last.len());
    list.text(Role::Dim, format!("{first}{middle:^room$}{last}"));
}

/// The properties of the machine.
pub(super) fn machine<'m>(
    list: &mut List<'_, '_, 'm>,
    model: &'m Model,
    client: &ClientView,
    reading: &'m Reading,
    width: u16,
) {
    if !reading.cores.is_empty() {
        list.rows.push(Row::Cores(reading.cores.iter().map(|core| core.get()).collect()));
    }
    list.blank();
    let mut facts = Vec::new();
    if let Some(span_ms) = reading.rates.cpu_span_ms.filter(|_| reading.cpu.is_some()) {
        facts.push(format!("cpu average of {:.1} s", span_ms as f64 / 1000.0));
        let others = [("stolen", reading.rates.steal), ("waiting for disks", reading.rates.io_wait)];
        let kept = others.iter().filter_map(|(name, share)| Some((name, share.filter(|share| share.get() >= 0.5)?)));
        facts.extend(kept.map(|(name, share)| format!("{name} {:.0}%", share.get())));
    }
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
    if let Some(commit) = reading.states.commit {
        facts.push(format!("committed {} of {}", commit.used, commit.limit));
    }
    if let Some(celsius) = reading.states.temperature_celsius {
        facts.push(Metric::Temperature.show(celsius));
    }
    for pair in facts.chunks(2) {
        list.text(Role::Text, pair.join(" · "));
    }
    for unit in reading.states.failed_units.iter().flatten() {
        list.text(Role::Warning, format!("! unit {unit} failed"));
    }
    if reading.states.restart_needed == Some(true) {
        list.text(Role::Warning, "! a restart is needed for updates".to_owned());
    }
    if let Some(count) = reading.states.security_updates.filter(|count| *count > 0) {
        list.text(Role::Warning, format!("! {}", Metric::Updates.show(f64::from(count))));
    }
    if let Some(ahead) = reading.clock_ahead_ms.filter(|ahead| ahead.abs() >= 2000) {
        let way = if ahead > 0 { "ahead" } else { "behind" };
        list.text(Role::Warning, format!("! clock is {} {way}", format::age(ahead.abs())));
    }
    let context = model.context(list.canvas.look());
    if !reading.file_systems.is_empty() {
        list.blank();
        let context = Context { limit: client.card.limit(Metric::Disk), ..context };
        list.list(&FILE_SYSTEMS, reading.file_systems.iter().map(|system| (system, context)), width);
        let now = model.shown_at();
        for (system, _) in reading.outlooks().iter().filter(|(_, outlook)| outlook.days().is_some()) {
            if let Some(words) = system.outlook_words(now) {
                list.text(Role::Text, format!("{}: {words}", system.mount));
            }
        }
    }
    for (columns, processes) in [(&BY_CPU, &reading.top_cpu), (&BY_MEMORY, &reading.top_memory)] {
        if !processes.is_empty() {
            list.blank();
            list.list(columns, processes.iter().map(|process| (process, context)), width);
        }
    }
    rates(list, reading);
}

/// Traffic, work of disks and pressure.
fn rates(list: &mut List<'_, '_, '_>, reading: &Reading) {
    let rates = &reading.rates;
    if rates.oom_kills.is_some_and(|kills| kills > 0) {
        let kills = Metric::Oom.show(rates.oom_kills.unwrap_or(0) as f64);
        let victims = rates.oom_victims.join(", ");
        let named = if victims.is_empty() { String::new() } else { format!(": {victims}") };
        list.text(Role::Warning, format!("! {kills}{named}"));
    }
    for interface in reading.interfaces.iter().filter(|interface| interface.received.0 > 0 || interface.sent.0 > 0) {
        let (name, received, sent) = (&interface.name, interface.received, interface.sent);
        let rate = rates.interfaces.iter().find(|rate| rate.name == interface.name);
        let now = rate.and_then(|rate| Some((rate.received_mbit?, rate.sent_mbit?)));
        list.text(
            Role::Dim,
            match now {
                Some((in_mbit, out_mbit)) => {
                    format!("{name}: in {in_mbit:.1} out {out_mbit:.1} Mbit/s, {received} {sent} since boot")
                }
                None => format!("{name}: received {received}, sent {sent}"),
            },
        );
    }
    for disk in &rates.disks {
        let Some(busy) = disk.busy else { continue };
        let moved = disk.read_bytes.zip(disk.written_bytes);
        let moved = moved.map(|(read, written)| format!(", read {:.1} written {:.1} MB/s", read / 1e6, written / 1e6));
        list.text(Role::Dim, format!("{}: busy {:.0}%{}", disk.name, busy.get(), moved.unwrap_or_default()));
    }
    let pressure: Vec<String> =
        rates.pressure.iter().filter_map(|rate| Some(format!("{} {:.0}%", rate.resource, rate.some?.get()))).collect();
    if !pressure.is_empty() {
        list.text(Role::Dim, format!("pressure: {}", pressure.join(" · ")));
    }
}

/// The newest security events.
pub(super) fn security_events(list: &mut List<'_, '_, '_>, events: &[EventRow], now: Timestamp) {
    list.blank();
    list.text(Role::Dim, format!("security events, newest first ({})", events.len()));
    for event in events {
        let (dim, text) = (list.canvas.style(Role::Dim), list.canvas.style(Role::Text));
        list.rows.push(Row::Text(Line::from(vec![
            Piece::styled(format!("{} ", format::time_or_date(event.at, now)), dim),
            Piece::styled(format!("{} ", event.level), list.canvas.style(level(&event.level))),
            Piece::styled(format!("{}: {}", short_source(&event.source), event.message), text),
        ])));
    }
}

/// The most common levels are dim.
fn level(level: &str) -> Role {
    if matches!(level, "audit success" | "information" | "notice" | "debug") { Role::Dim } else { Role::Warning }
}
