//! The first two rows: what is swept, how far the sweep is, whether this is the present; and the stage
//! strip.

use ratatui::{layout::Rect, style::Style};

use super::canvas::{Canvas, columns_of, steps};
use crate::{
    fleet::{Phase, phase::Tally, stream::StreamOrigin},
    tui::{format, model::Model, theme::Role},
};

/// The header. Progress is that of the present, whatever is shown beneath.
pub(super) fn line(canvas: &mut Canvas<'_>, model: &Model, area: Rect) {
    if area.height == 0 {
        return;
    }
    let (dim, strong, text) = (canvas.style(Role::Dim), canvas.style(Role::Strong), canvas.style(Role::Text));
    let progress = progress(canvas, model, area.width);
    let (mut sign, sign_style) = sign(canvas, model);
    if area.width < 24 {
        sign.clear();
    }
    let clock = match area.width {
        0..100 => String::new(),
        _ if model.is_past() => String::new(),
        _ => format!(" {}Z", format::time(model.now)),
    };
    let right_width = columns_of(&progress.0) + progress.1 + columns_of(&sign) + columns_of(&clock) + 5;
    let mut left = String::new();
    let sweep = model.fleet.newest_sweep();
    if area.width >= 50 {
        left = format!(" {}", model.about.name);
    }
    if let Some(sweep) = sweep {
        left.push_str(&format!(" · sweep #{}", sweep.number));
    }
    if let StreamOrigin::Attached { to, .. } = &model.source {
        left.push_str(&format!(" · attached to {to}"));
    } else if area.width >= 100 && !model.about.schedule.is_empty() {
        left.push_str(&format!(" · {}", model.about.schedule));
    }
    let mut at = area.x;
    if area.width >= 40 {
        at = canvas.text(at + 1, area.y, area.width, "fleetsweep", strong);
        let room = area.right().saturating_sub(at + right_width);
        at = canvas.text(at, area.y, room, &left, dim);
    }
    // From the right: clock, sign, numbers, bar.
    let mut right = area.right().saturating_sub(u16::from(area.width >= 40));
    right = canvas.text_before(right, area.y, right.saturating_sub(at), &clock, text);
    right = canvas.text_before(right, area.y, right.saturating_sub(at), &sign, sign_style);
    right = right.saturating_sub(u16::from(!sign.is_empty()));
    let numbers = if sign.is_empty() { progress.0.trim_end_matches([' ', '·', '-']) } else { &progress.0 };
    right = canvas.text_before(right, area.y, right.saturating_sub(at), numbers, text);
    if progress.1 > 0 && right > at + progress.1 {
        let (x, width) = (right - progress.1 - 1, progress.1);
        let filled = steps(progress.2, width);
        let (done, rest) = (canvas.glyphs().done, canvas.glyphs().rest);
        for column in 0..width {
            let (glyph, role) = if column < filled { (done, Role::Accent) } else { (rest, Role::Dim) };
            canvas.text(x + column, area.y, 1, glyph, canvas.style(role));
        }
    }
}

/// The numbers of the progress, the width of the bar before them, and its share of 100.
fn progress(canvas: &Canvas<'_>, model: &Model, width: u16) -> (String, u16, f64) {
    let between = canvas.glyphs().between;
    let Some(sweep) = model.fleet.newest_sweep() else {
        let clients = model.fleet.clients().count();
        return (format!("{clients} client{} {between} no sweep yet {between}", format::plural(clients)), 0, 0.0);
    };
    let (finished, all) = (sweep.finished(), sweep.clients.len());
    let percent = if all == 0 { 100.0 } else { finished as f64 / all as f64 * 100.0 };
    if let Some(duration_ms) = sweep.duration_ms {
        let ago = format::since(sweep.latest_at(), model.now);
        return (format!("{all} swept in {}, {ago} ago {between}", format::took(duration_ms)), 0, 100.0);
    }
    let left = match model.time_left.1 {
        Some(left) if width >= 56 => {
            // Rounded up: 0:00 would say that the sweep has ended.
            let seconds = u64::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1);
            format!(" {between} ETA {}", format::clock_span(seconds))
        }
        Some(_) | None => String::new(),
    };
    // Rounded down: 100 % is shown only when all are done.
    let bar = match width {
        0..56 => 0,
        56..100 => 12,
        100..160 => 24,
        _ => 40,
    };
    (format!("{finished}/{all} {:.0}%{left} {between}", percent.floor()), bar, percent)
}

/// Whether this is the present.
fn sign(canvas: &Canvas<'_>, model: &Model) -> (String, Style) {
    let glyphs = canvas.glyphs();
    if model.view.travel.is_some() {
        return (format!("{} PAST {}Z", glyphs.pause, format::time(model.shown_at())), canvas.style(Role::Warning));
    }
    if let Some(held) = &model.view.frozen {
        return (format!("{} FROZEN {}Z", glyphs.pause, format::time(held.at)), canvas.style(Role::Warning));
    }
    match &model.source {
        StreamOrigin::Own | StreamOrigin::Attached { connected: true, .. } => {}
        StreamOrigin::Attached { connected: false, .. } => {
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

/// The stage strip: how many clients are where, left to right as a sweep flows.
pub(super) fn strip(canvas: &mut Canvas<'_>, model: &Model, area: Rect) {
    let tally = Tally::of(model.shown());
    let alerts = model.shown().alerts().open_count();
    let with_words = area.width >= 100;
    let glyphs = canvas.glyphs();
    let (dim, text) = (canvas.style(Role::Dim), canvas.style(Role::Text));
    let mut x = area.x + 1;
    let flow = [Phase::New, Phase::Queued, Phase::Connect, Phase::Upload, Phase::Execute, Phase::Decrypt, Phase::Ok];
    let mut first = true;
    for phase in flow {
        let count = tally.count(phase);
        if phase == Phase::New && count == 0 {
            continue;
        }
        let room = area.right().saturating_sub(x);
        if !first {
            x = canvas.text(x, area.y, room, &format!("{}{} ", if with_words { "  " } else { " " }, glyphs.arrow), dim);
            x += u16::from(with_words);
        }
        first = false;
        let glyph = if phase == Phase::New { "" } else { canvas.look().phase_glyph(phase) };
        let word = if with_words || matches!(phase, Phase::New | Phase::Ok) { phase.word() } else { "" };
        let style = if count == 0 { dim } else { canvas.look().phase_style(phase) };
        for (piece, style) in [(glyph, style), (word, if count == 0 { dim } else { text })] {
            if !piece.is_empty() {
                x = canvas.text(x, area.y, area.right().saturating_sub(x), piece, style);
                x += 1;
            }
        }
        x = canvas.text(
            x,
            area.y,
            area.right().saturating_sub(x),
            &count.to_string(),
            if count == 0 { dim } else { text },
        );
    }
    let failed = tally.count(Phase::Failed);
    let failed_text = format!("{} failed {failed}", canvas.look().phase_glyph(Phase::Failed));
    let alerts_text = format!("! alert{} {alerts}", format::plural(alerts));
    let failed_style = if failed == 0 { dim } else { canvas.style(Role::Bad) };
    let alerts_style = if alerts == 0 { dim } else { canvas.style(Role::Warning) };
    let right = area.right().saturating_sub(1);
    let room = right.saturating_sub(x + 1);
    let gap = if with_words { 3 } else { 2 };
    if room >= columns_of(&failed_text) + columns_of(&alerts_text) + gap {
        let left = canvas.text_before(right, area.y, room, &alerts_text, alerts_style);
        canvas.text_before(left - gap, area.y, room, &failed_text, failed_style);
    } else if room >= columns_of(&failed_text) {
        canvas.text_before(right, area.y, room, &failed_text, failed_style);
    }
}
