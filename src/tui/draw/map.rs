//! The fleet map: one cell a client, or the worst of several, in the configuration's order, so that a
//! sweep is seen travelling.

use ratatui::{
    layout::Rect,
    style::{Modifier, Style},
};

use super::canvas::{Canvas, small};
use crate::{
    fleet::{ClientId, Phase, select::sort, state::ClientView},
    tui::{format, model::Model, theme::Role},
};

/// How many clients share a cell.
fn clients_per_cell(clients: usize, area: Rect) -> usize {
    let cells = usize::from(area.width.saturating_sub(2)) * usize::from(area.height.saturating_sub(1));
    clients.div_ceil(cells.max(1)).max(1)
}

/// The map under its title.
pub(super) fn pane(canvas: &mut Canvas<'_>, model: &Model, area: Rect) {
    let fleet = model.shown();
    let count = fleet.clients().count();
    let each = clients_per_cell(count, area);
    title(canvas, model, area, each);
    let columns = usize::from(area.width.saturating_sub(2)).max(1);
    let mut cell: Option<(&ClientView, bool)> = None;
    let mut drawn = 0;
    for (index, client) in fleet.clients().enumerate() {
        let selected = model.view.selected.as_ref() == Some(&client.card.id);
        cell = Some(match cell {
            Some((worst, before)) if rank(worst) <= rank(client) => (worst, before || selected),
            Some((_, before)) => (client, before || selected),
            None => (client, selected),
        });
        if (index + 1) % each == 0 || index + 1 == count {
            let (x, y) = (small(drawn % columns), small(drawn / columns));
            if let Some((worst, selected)) = cell.take()
                && y + 1 < area.height
            {
                let (glyph, style) = look_of(canvas, worst);
                let style = if selected { style.add_modifier(Modifier::REVERSED) } else { style };
                canvas.text(area.x + 1 + x, area.y + 1 + y, 1, glyph, style);
            }
            drawn += 1;
        }
    }
    if count == 0 {
        canvas.text(area.x + 1, area.y + 1, area.width, "No clients yet.", canvas.style(Role::Dim));
    }
}

/// Failed, over a limit, under way, the rest.
fn rank(client: &ClientView) -> u8 {
    match Phase::of(client) {
        Phase::Queued => 7,
        Phase::New => 8,
        Phase::Connect | Phase::Upload | Phase::Execute | Phase::Decrypt | Phase::Ok | Phase::Failed => {
            sort::severity(client)
        }
    }
}

fn look_of(canvas: &Canvas<'_>, client: &ClientView) -> (&'static str, Style) {
    let phase = Phase::of(client);
    if phase == Phase::Ok && !client.exceeded.is_empty() {
        return ("!", canvas.style(Role::Warning));
    }
    (
        if phase == Phase::New { canvas.glyphs().rest } else { canvas.look().phase_glyph(phase) },
        canvas.look().phase_style(phase),
    )
}

fn title(canvas: &mut Canvas<'_>, model: &Model, area: Rect, each: usize) {
    let (strong, dim, accent) = (canvas.style(Role::Strong), canvas.style(Role::Dim), canvas.style(Role::Accent));
    if let Some(travel) = &model.view.travel {
        let sweeps = model.sweeps.as_deref().unwrap_or_default();
        let here = sweeps.iter().position(|sweep| Some(sweep.id) == travel.to);
        let when = match here.and_then(|here| sweeps.get(here)) {
            Some(sweep) => format!("Sweep of {}", sweep.started_at.strftime("%F %H:%M:%SZ")),
            None => "Past sweeps".to_owned(),
        };
        let place = here.map_or_else(String::new, |here| format!(" {} of {}", here + 1, sweeps.len()));
        let remark = [("left/right", accent), (" step  ", dim), ("End", accent), (" live", dim)];
        let end = canvas.title(area, &[(&when, strong), (&place, dim)], &remark);
        bar(canvas, model, area, end, here);
        return;
    }
    let of = match each {
        1 => "1 cell = 1 client".to_owned(),
        each => format!("1 cell = {each} client{}, worst shown", format::plural(each)),
    };
    if area.width >= 100 {
        let of = format!("{of} · ");
        canvas.title(area, &[("Fleet map", strong)], &[(&of, dim), ("[ ]", accent), (" next failure", dim)]);
    } else {
        canvas.title(area, &[("Fleet map", strong)], &[(&of, dim)]);
    }
}

/// The time bar: one column a sweep, the newest at the right.
fn bar(canvas: &mut Canvas<'_>, model: &Model, area: Rect, from: u16, here: Option<usize>) {
    let sweeps = model.sweeps.as_deref().unwrap_or_default();
    let columns = usize::from(area.right().saturating_sub(from + 27)).min(60);
    let Some(here) = here.filter(|_| columns >= 5) else { return };
    // The present sweep stays in sight.
    let first = if sweeps.len() - here > columns {
        here.saturating_sub(columns / 2)
    } else {
        sweeps.len().saturating_sub(columns)
    };
    let mut x = from;
    x = canvas.text(x, area.y, 1, " ", Style::new());
    for (index, sweep) in sweeps.iter().enumerate().skip(first).take(columns) {
        let (glyph, role) = if index == here {
            (canvas.glyphs().dot, Role::Accent)
        } else if sweep.failed > 0 {
            (canvas.look().phase_glyph(Phase::Failed), Role::Bad)
        } else {
            (canvas.glyphs().between, Role::Dim)
        };
        x = canvas.text(x, area.y, 1, glyph, canvas.style(role));
    }
    canvas.text(x, area.y, 1, " ", Style::new());
}

/// The client at a place of the map.
pub(super) fn client_at(model: &Model, area: Rect, column: u16, row: u16) -> Option<ClientId> {
    let x = usize::from(column.checked_sub(area.x + 1)?);
    let y = usize::from(row.checked_sub(area.y + 1)?);
    let columns = usize::from(area.width.saturating_sub(2));
    if x >= columns {
        return None;
    }
    let each = clients_per_cell(model.shown().clients().count(), area);
    let cell = model.shown().clients().skip((y * columns + x) * each).take(each);
    cell.min_by_key(|client| rank(client)).map(|client| client.card.id.clone())
}
