//! The first two rows: the name of the fleet, the progress of the sweep, whether this is the present; and the stage
//! strip.

use ratatui::{layout::Rect, style::Style};

use super::{canvas::Canvas, gauge};
use crate::{
    fleet::{
        Phase,
        phase::Tally,
        stream::{Collector, StreamOrigin},
    },
    tui::{format, model::Model, text::columns_of, theme::Role, view::Past},
};

/// The header. The progress is always that of the present.
pub(super) fn line(canvas: &mut Canvas<'_>, model: &Model, area: Rect) {
    if area.height == 0 {
        return;
    }
    let (dim, strong, text) = (canvas.style(Role::Dim), canvas.style(Role::Strong), canvas.style(Role::Text));
    let (progress, percent) = progress(canvas, model, area.width);
    let (sign, sign_style) = sign(canvas, model);
    let sign = if area.width < 24 { String::new() } else { sign };
    let clock = match area.width {
        0..100 => String::new(),
        _ if model.is_past() => String::new(),
        _ => format!(" {}Z", format::time(model.now)),
    };
    let numbers = if sign.is_empty() { progress.trim_end_matches([' ', '·', '-']) } else { &progress };
    let right_width = columns_of(numbers) + columns_of(&sign) + columns_of(&clock) + 2;
    let mut at = area.x;
    if area.width >= 40 {
        at = canvas.text(at + 1, area.y, area.width, "fleetsweep", strong);
        let room = area.right().saturating_sub(at + right_width + 1);
        let about = about(model, area.width);
        let about = about.iter().find(|text| columns_of(text) <= room || about.len() == 1);
        at = canvas.text(at, area.y, room, about.map_or("", String::as_str), dim);
    }
    // From the right: clock, sign, numbers, bar.
    let mut right = area.right().saturating_sub(u16::from(area.width >= 40));
    right = canvas.text_before(right, area.y, right.saturating_sub(at), &clock, text);
    right = canvas.text_before(right, area.y, right.saturating_sub(at), &sign, sign_style);
    right = right.saturating_sub(u16::from(!sign.is_empty()));
    right = canvas.text_before(right, area.y, right.saturating_sub(at), numbers, text);
    // The bar gets the rest.
    let width = right.saturating_sub(at + 2).min(BAR_MOST);
    if let Some(percent) = percent
        && width >= BAR_LEAST
    {
        let (styles, glyphs) = ((canvas.style(Role::Accent), dim), &canvas.glyphs().progress);
        gauge::bar(canvas, (right - width - 1, area.y), width, percent, glyphs, styles);
    }
}

/// The width of the progress bar, columns.
const BAR_LEAST: u16 = 6;
const BAR_MOST: u16 = 40;

/// The name of the fleet and the interval in several wordings, the longest first. The collector to which the dashboard
/// is attached is cut off rather than omitted.
fn about(model: &Model, width: u16) -> Vec<String> {
    let name = if width >= 50 { format!(" {}", model.about.name) } else { String::new() };
    let sweep = model.fleet.newest_sweep().map_or_else(String::new, |sweep| format!(" · sweep #{}", sweep.number));
    let schedule = &model.about.schedule;
    match &model.source {
        StreamOrigin::Attached { to, .. } => vec![format!("{name}{sweep} · attached to {to}")],
        StreamOrigin::Own | StreamOrigin::Replay(_) if width >= 100 && !schedule.is_empty() => {
            vec![format!("{name}{sweep} · {schedule}"), format!("{name}{sweep}"), name, sweep]
        }
        StreamOrigin::Own | StreamOrigin::Replay(_) => vec![format!("{name}{sweep}"), name, sweep],
    }
}

/// The numbers of the progress, and the percentage while a sweep is running.
fn progress(canvas: &Canvas<'_>, model: &Model, width: u16) -> (String, Option<f64>) {
    let between = canvas.glyphs().between;
    if model.is_asking() {
        return (format!("{} {between}", format::asking(canvas.look().unicode)), None);
    }
    let Some(sweep) = model.fleet.newest_sweep() else {
        let clients = model.fleet.clients().count();
        return (format!("{clients} client{} {between} no sweep yet {between}", format::plural(clients)), None);
    };
    let (finished, all) = (sweep.finished(), sweep.clients.len());
    if let Some(duration_ms) = sweep.duration_ms {
        let ago = format::since(sweep.latest_at(), model.now);
        // The collector to which the dashboard is attached is more important.
        let has_room = width >= 140 || !matches!(model.source, StreamOrigin::Attached { .. });
        let next = match model.next_sweep_in_seconds().filter(|_| has_room) {
            Some(seconds) if width >= 100 => format!(" {between} next sweep in {}", format::clock_span(seconds)),
            Some(seconds) if width >= 72 => format!(" {between} next in {}", format::clock_span(seconds)),
            Some(_) | None => String::new(),
        };
        return (format!("{all} swept in {}, {ago} ago{next} {between}", format::took(duration_ms)), None);
    }
    let percent = if all == 0 { 100.0 } else { finished as f64 / all as f64 * 100.0 };
    let left = match model.time_left.1 {
        Some(left) if width >= 56 => {
            // Rounded up, because 0:00 would mean that the sweep has ended.
            let seconds = u64::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1);
            format!(" {between} ETA {}", format::clock_span(seconds))
        }
        Some(_) | None => String::new(),
    };
    let count = match width {
        0..76 => format!("{finished}/{all}"),
        76..100 => format!("{finished}/{all} clients"),
        _ => format!("{finished} of {all} clients"),
    };
    // Rounded down, so that 100 % is only shown when all are done.
    (format!("{count} {:.0}%{left} {between}", percent.floor()), Some(percent))
}

/// The sign for the present or the past.
fn sign(canvas: &Canvas<'_>, model: &Model) -> (String, Style) {
    let glyphs = canvas.glyphs();
    if let Some(travel) = &model.view.travel {
        let text = match &travel.past {
            Past::Asked => format!("{} PAST {}", glyphs.pause, format::asking(canvas.look().unicode)),
            Past::Failed(_) => format!("{} PAST failed", glyphs.pause),
            Past::Known { .. } => format!("{} PAST {}Z", glyphs.pause, format::time(model.shown_at())),
        };
        return (text, canvas.style(Role::Warning));
    }
    if let Some(held) = &model.view.frozen {
        return (format!("{} FROZEN {}Z", glyphs.pause, format::time(held.at)), canvas.style(Role::Warning));
    }
    match &model.source {
        StreamOrigin::Own | StreamOrigin::Attached { collector: Collector::Connected, .. } => {}
        StreamOrigin::Attached { collector: Collector::Unreachable, .. } => {
            return (format!("{} COLLECTOR UNREACHABLE", glyphs.pause), canvas.style(Role::Bad));
        }
        StreamOrigin::Attached { collector: Collector::Gone, .. } => {
            return (format!("{} COLLECTOR GONE", glyphs.pause), canvas.style(Role::Bad));
        }
        StreamOrigin::Replay(replay) => {
            let word = if replay.paused { "stopped".to_owned() } else { format!("{}x", replay.speed) };
            let text = format!("{} REPLAY {word} {:.0}%", glyphs.dot, replay.percent.floor());
            return (text, canvas.style(Role::Warning));
        }
    }
    if let Some(away) = model.fleet.database_away() {
        return (format!("! DATABASE DOWN {} waiting", away.waiting), canvas.style(Role::Warning));
    }
    if model.fleet.is_paused() {
        return (format!("{} PAUSED", glyphs.pause), canvas.style(Role::Warning));
    }
    (format!("{} LIVE", glyphs.dot), canvas.style(Role::Good))
}

/// Pieces of text with their styles.
type Pieces = Vec<(String, Style)>;

/// The stage strip: the number of clients in each stage, from left to right. On the right are the failed ones and the
/// alerts, which are always shown.
pub(super) fn strip(canvas: &mut Canvas<'_>, model: &Model, area: Rect) {
    let tally = Tally::of(model.shown());
    let alerts = model.shown().alerts().open_count();
    let room = area.width.saturating_sub(2);
    let width = |pieces: &Pieces| pieces.iter().map(|(text, _)| columns_of(text)).sum::<u16>();
    let mut shown = (Pieces::new(), Pieces::new());
    for (words, names, gap) in [(true, true, 3), (false, true, 2), (false, false, 2), (false, false, 1)] {
        shown = (flow(canvas, &tally, words), outcome(canvas, &tally, alerts, (names, gap)));
        if width(&shown.0) + width(&shown.1) < room {
            break;
        }
    }
    let (flow, outcome) = shown;
    let right = area.right().saturating_sub(1);
    let x = right.saturating_sub(width(&outcome)).max(area.x);
    put(canvas, (area.x + 1, area.y), x.saturating_sub(area.x + 2), &flow);
    put(canvas, (x, area.y), right.saturating_sub(x), &outcome);
}

fn put(canvas: &mut Canvas<'_>, (x, y): (u16, u16), width: u16, pieces: &Pieces) {
    let pieces: Vec<_> = pieces.iter().map(|(text, style)| (text.as_str(), *style)).collect();
    canvas.pieces(x, y, width, &pieces);
}

/// The stages in order. `with_words` adds their names.
fn flow(canvas: &Canvas<'_>, tally: &Tally, with_words: bool) -> Pieces {
    let (dim, text) = (canvas.style(Role::Dim), canvas.style(Role::Text));
    let flow = [Phase::New, Phase::Queued, Phase::Connect, Phase::Upload, Phase::Execute, Phase::Decrypt, Phase::Ok];
    let mut pieces = Pieces::new();
    for phase in flow {
        let count = tally.count(phase);
        if phase == Phase::New && count == 0 {
            continue;
        }
        if !pieces.is_empty() {
            let gap = if with_words { "  " } else { " " };
            pieces.push((format!("{gap}{}{gap}", canvas.glyphs().arrow), dim));
        }
        if phase != Phase::New {
            let style = if count == 0 { dim } else { canvas.look().phase_style(phase) };
            pieces.push((format!("{} ", canvas.look().phase_glyph(phase)), style));
        }
        let style = if count == 0 { dim } else { text };
        let has_word = with_words || matches!(phase, Phase::New | Phase::Ok);
        pieces.push((if has_word { format!("{} {count}", phase.word()) } else { count.to_string() }, style));
    }
    pieces
}

/// The number of failed clients and of alerts, with names or only signs, separated by a number of columns.
fn outcome(canvas: &Canvas<'_>, tally: &Tally, alerts: usize, (with_names, gap): (bool, usize)) -> Pieces {
    let dim = canvas.style(Role::Dim);
    let failed = tally.count(Phase::Failed);
    let glyph = canvas.look().phase_glyph(Phase::Failed);
    let (failed_text, alerts_text) = if with_names {
        (format!("{glyph} failed {failed}"), format!("! alert{} {alerts}", format::plural(alerts)))
    } else {
        (format!("{glyph} {failed}"), format!("! {alerts}"))
    };
    vec![
        (failed_text, if failed == 0 { dim } else { canvas.style(Role::Bad) }),
        (" ".repeat(gap), dim),
        (alerts_text, if alerts == 0 { dim } else { canvas.style(Role::Warning) }),
    ]
}
