//! The fleet map in the order of the configuration: one cell per client, or per group of clients with the fraction of
//! failed ones. It shows the progress of a sweep.

use ratatui::{
    layout::Rect,
    style::{Modifier, Style},
};

use super::{
    canvas::{Canvas, small},
    gauge, list, past,
};
use crate::{
    fleet::{ClientId, Phase, select::sort, state::ClientView},
    tui::{model::Model, theme::Role},
};

/// The number of clients per cell.
fn clients_per_cell(clients: usize, area: Rect) -> usize {
    let cells = usize::from(area.width.saturating_sub(2)) * usize::from(area.height.saturating_sub(1));
    clients.div_ceil(cells.max(1)).max(1)
}

/// The map with its title.
pub(super) fn pane(canvas: &mut Canvas<'_>, model: &Model, area: Rect) {
    let fleet = model.shown();
    let count = fleet.clients().count();
    let each = clients_per_cell(count, area);
    title(canvas, model, area, each);
    let columns = usize::from(area.width.saturating_sub(2)).max(1);
    let mut cell = Cell::default();
    let mut drawn = 0;
    for (index, client) in fleet.clients().enumerate() {
        cell.add(client, model.view.selected.as_ref() == Some(&client.card.id));
        if (index + 1) % each == 0 || index + 1 == count {
            let (x, y) = (small(drawn % columns), small(drawn / columns));
            let cell = std::mem::take(&mut cell);
            if y + 1 < area.height {
                let (glyph, style) = cell.look(canvas);
                let style = if cell.is_selected { style.add_modifier(Modifier::REVERSED) } else { style };
                canvas.text(area.x + 1 + x, area.y + 1 + y, 1, glyph, style);
            }
            drawn += 1;
        }
    }
    if count == 0 {
        canvas.text(area.x + 1, area.y + 1, area.width, list::no_clients(model), canvas.style(Role::Dim));
    }
}

/// The clients that share a cell.
#[derive(Default)]
struct Cell<'f> {
    clients: usize,
    failed: usize,
    exceeded: usize,
    worst: Option<(&'f ClientView, u8)>,
    is_selected: bool,
}

impl<'f> Cell<'f> {
    fn add(&mut self, client: &'f ClientView, is_selected: bool) {
        let phase = Phase::of(client);
        self.clients += 1;
        self.failed += usize::from(phase == Phase::Failed);
        self.exceeded += usize::from(phase == Phase::Ok && !client.exceeded.is_empty());
        let rank = rank(client);
        if self.worst.is_none_or(|(_, worst)| rank < worst) {
            self.worst = Some((client, rank));
        }
        self.is_selected |= is_selected;
    }

    /// The state of a single client. For several clients, the fraction that failed, otherwise the fraction over a
    /// limit, otherwise the state that needs the most attention.
    fn look(&self, canvas: &Canvas<'_>) -> (&'static str, Style) {
        let glyphs = canvas.glyphs();
        match self {
            Self { clients: 2.., failed: 1.., .. } => {
                (gauge::share(glyphs.failed, self.failed, self.clients), canvas.style(Role::Bad))
            }
            Self { clients: 2.., exceeded: 1.., .. } => {
                (gauge::share(glyphs.exceeded, self.exceeded, self.clients), canvas.style(Role::Warning))
            }
            Self { worst, .. } => worst.map_or((" ", Style::new()), |(client, _)| look_of(canvas, client)),
        }
    }
}

/// The order of attention: failed, over a limit, in progress, the rest.
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
        if phase == Phase::New { canvas.glyphs().progress.empty } else { canvas.look().phase_glyph(phase) },
        canvas.look().phase_style(phase),
    )
}

fn title(canvas: &mut Canvas<'_>, model: &Model, area: Rect, each: usize) {
    let (strong, dim, accent) = (canvas.style(Role::Strong), canvas.style(Role::Dim), canvas.style(Role::Accent));
    if model.view.travel.is_some() {
        past::title(canvas, model, area);
        return;
    }
    let is_wide = area.width >= 100;
    let glyphs = canvas.glyphs();
    let ([failed, failed_long], [exceeded, exceeded_long]) = (glyphs.failed_legend, glyphs.exceeded_legend);
    let of = match (each, is_wide) {
        (1, false) => "1 cell = 1 client".to_owned(),
        (1, true) => "1 cell = 1 client · ".to_owned(),
        (each, false) => format!("1 cell = {each} clients: {failed}, {exceeded}"),
        (each, true) => format!("1 cell = {each} clients: {failed_long}, {exceeded_long} · "),
    };
    let next: &[(&str, Style)] = if is_wide { &[("[ ]", accent), (" next failure", dim)] } else { &[] };
    canvas.title(area, &[("Fleet map", strong)], &[&[(of.as_str(), dim)], next].concat());
}

/// The client at a position of the map.
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
