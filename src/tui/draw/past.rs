//! Time travel: the title with the time bar, and a text in place of a fleet that is not loaded.

use ratatui::{layout::Rect, style::Style};

use super::{canvas::Canvas, gauge};
use crate::tui::{
    actions::time::place,
    format,
    model::Model,
    text::columns_of,
    theme::Role,
    view::{Goal, Past, Travel},
};

/// The most columns of the time bar.
const BAR: usize = 60;

/// The title of a past fleet: its sweep, its position among all sweeps, and how to leave.
pub(super) fn title(canvas: &mut Canvas<'_>, model: &Model, area: Rect) {
    let Some(travel) = &model.view.travel else { return };
    let (strong, dim, accent) = (canvas.style(Role::Strong), canvas.style(Role::Dim), canvas.style(Role::Accent));
    let here = place(model);
    // Counted from the oldest sweep.
    let number = here.map(|here| model.sweeps.total().saturating_sub(model.sweeps.place(here)).saturating_add(1));
    let count = number.map_or_else(String::new, |number| {
        format!(" {} of {}", format::grouped(number), format::grouped(model.sweeps.total()))
    });
    let (state, style) = match &travel.past {
        Past::Asked => (format!(" · {}", format::asking(canvas.look().unicode)), accent),
        Past::Failed(_) => {
            let again = match model.again.seconds_left(model.now) {
                Some(seconds) => format!("again in {}", format::clock_span(seconds)),
                None => format::asking(canvas.look().unicode).to_owned(),
            };
            (format!(" · failed, {again}"), canvas.style(Role::Bad))
        }
        Past::Known { unreadable, .. } => (format::unreadable(*unreadable), canvas.style(Role::Warning)),
    };
    let legend = if area.width >= 100 { format!("{}  ", canvas.glyphs().failed_legend[0]) } else { String::new() };
    let keys =
        [("left/right", accent), (" step  ", dim), ("g", accent), (" time  ", dim), ("End", accent), (" live", dim)];
    let remark: Vec<_> = [(legend.as_str(), dim)].into_iter().chain(keys).collect();
    let end = canvas.title(area, &[(&when(travel), strong), (&count, dim), (&state, style)], &remark);
    let taken: u16 = remark.iter().map(|(text, _)| columns_of(text)).sum();
    bar(canvas, model, area, (end, area.right().saturating_sub(taken + 4)), here);
}

/// In place of a fleet that is not loaded: the wanted sweep and its state.
pub(super) fn waiting(canvas: &mut Canvas<'_>, model: &Model, area: Rect) {
    title(canvas, model, area);
    let Some(travel) = &model.view.travel else { return };
    let (text, style) = match &travel.past {
        Past::Asked => (format::asking(canvas.look().unicode).to_owned(), canvas.style(Role::Dim)),
        Past::Failed(why) => (format!("failed: {why}"), canvas.style(Role::Bad)),
        Past::Known { .. } => return,
    };
    let width = area.width.saturating_sub(2);
    for (y, line) in (area.y + 1..area.bottom()).zip(format::wrap(&text, usize::from(width))) {
        canvas.text(area.x + 1, y, width, &line, style);
    }
}

fn when(travel: &Travel) -> String {
    match &travel.to {
        Goal::Sweep(sweep) => format!("Sweep of {}", sweep.started_at.strftime("%F %H:%M:%SZ")),
        Goal::At(at) => format!("Sweep at {}", at.strftime("%F %H:%M:%SZ")),
        Goal::Oldest => "Oldest sweep".to_owned(),
        Goal::Before(_) => "Past sweeps".to_owned(),
    }
}

/// The time bar: one column per sweep with the fraction of failed clients, the newest on the right.
fn bar(canvas: &mut Canvas<'_>, model: &Model, area: Rect, (from, to): (u16, u16), here: Option<usize>) {
    let sweeps = model.sweeps.rows().unwrap_or_default();
    let columns = usize::from(to.saturating_sub(from)).min(BAR);
    let Some(here) = here.filter(|_| columns >= 5) else { return };
    // Newest first. The shown sweep remains visible.
    let first = if here >= columns { (here + 1 + columns / 2).min(sweeps.len()).saturating_sub(columns) } else { 0 };
    let mut x = canvas.text(from, area.y, 1, " ", Style::new());
    let shown = sweeps.iter().enumerate().skip(first).take(columns);
    for (index, sweep) in shown.collect::<Vec<_>>().into_iter().rev() {
        let (glyph, role) = if index == here {
            (canvas.glyphs().dot, Role::Accent)
        } else if sweep.failed > 0 {
            let glyph = gauge::share(canvas.glyphs().failed, sweep.failed, sweep.finished());
            // A fraction that is too small for its sign is not highlighted.
            (glyph, if sweep.failed * 16 >= sweep.finished() { Role::Bad } else { Role::Dim })
        } else {
            (canvas.glyphs().between, Role::Dim)
        };
        x = canvas.text(x, area.y, 1, glyph, canvas.style(role));
    }
    canvas.text(x, area.y, 1, " ", Style::new());
}
