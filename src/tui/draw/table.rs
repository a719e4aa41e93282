//! The client table. Only visible rows are created.

use ratatui::{layout::Rect, style::Modifier};

use super::{
    canvas::{Canvas, small},
    list::{self, Listing, Space},
};
use crate::{
    fleet::state::ClientView,
    tui::{
        columns::{Context, clients::ClientColumn},
        model::Model,
        text::{columns_of, cut_end},
        theme::Role,
        view::{Overlay, Pane},
    },
};

/// The table with its title and heading.
pub(super) fn pane(canvas: &mut Canvas<'_>, model: &Model, area: Rect) {
    let fleet = model.shown();
    let head = model.layout().table_head();
    if head >= 1 {
        title(canvas, model, area);
    }
    let rows = Rect { y: area.y + head, height: area.height.saturating_sub(head), ..area };
    let visible = model.rows.iter().skip(model.view.top).take(usize::from(rows.height));
    let visible: Vec<_> = visible.filter_map(|id| fleet.client(id)).collect();
    let is_selected = |client: &ClientView| model.view.selected.as_ref() == Some(&client.card.id);
    let is_marked = |client: &ClientView| model.view.marks.contains(&client.card.id);
    let items = visible.iter().map(|client| {
        let is_marked_under_cursor = is_selected(client) && is_marked(client);
        (*client, Context { is_marked_under_cursor, ..model.context(canvas.look()) })
    });
    let sorted = ClientColumn::ALL.iter().position(|column| model.view.sort.by == Some(*column));
    let longest_name = fleet.clients().map(|client| columns_of(&client.card.name)).max().unwrap_or(0);
    let columns = ClientColumn::ALL.iter().map(|column| column.spec());
    let listing = Listing::of(columns, items, Space { width: area.width, sorted, longest_name });
    if head >= 2 {
        let sorted = sorted.map(|at| (at, arrow(canvas, model)));
        listing.heading(canvas, Rect { y: area.y + 1, height: 1, ..area }, sorted);
    }
    for (index, client) in visible.iter().enumerate() {
        let place = Rect { y: rows.y + small(index), height: 1, ..rows };
        if is_selected(client) {
            list::select(canvas, place);
        } else if is_marked(client) {
            canvas.text(place.x, place.y, 1, canvas.glyphs().marked, canvas.style(Role::Accent));
        }
        listing.row(canvas, index, place);
    }
    if model.rows.is_empty() && rows.height > 0 {
        let text = if fleet.clients().len() == 0 {
            list::no_clients(model)
        } else {
            "No clients match. Esc clears the filter."
        };
        canvas.text(rows.x + 1, rows.y, rows.width.saturating_sub(1), text, canvas.style(Role::Dim));
    }
}

/// The arrow in the direction of smaller values.
fn arrow(canvas: &Canvas<'_>, model: &Model) -> &'static str {
    if model.view.sort.falls() { canvas.glyphs().down } else { canvas.glyphs().up }
}

fn title(canvas: &mut Canvas<'_>, model: &Model, area: Rect) {
    let (strong, dim, accent) = (canvas.style(Role::Strong), canvas.style(Role::Dim), canvas.style(Role::Accent));
    let bad = canvas.style(Role::Bad);
    let focused = if model.view.pane == Pane::Clients { accent.add_modifier(Modifier::BOLD) } else { strong };
    let all = model.shown().clients().count();
    let filtered = !model.view.filter.is_empty() || !model.view.filter_text.is_empty();
    let count = if filtered { format!(" {} of {all}", model.rows.len()) } else { format!(" {all}") };
    let marks = match model.view.marks.len() {
        0 => String::new(),
        marks => format!(" · {marks} marked"),
    };
    let glyphs = canvas.glyphs();
    let sort = format!("{} {}", model.view.sort.word(), arrow(canvas, model));
    let typing = matches!(model.view.overlay, Overlay::Filter { .. });
    let (filter, filter_style) = match (&model.view.filter_error, model.view.filter_text.as_str(), typing) {
        (Some(error), _, false) => (error.as_str(), bad),
        (_, "", _) => ("none", dim),
        (_, text, _) => (text, accent),
    };
    // A long filter is cut off at its end before the title is.
    let room = usize::from(area.width.saturating_sub(44)).max(4);
    let filter = cut_end(filter, small(room), glyphs.more);
    canvas.title(
        area,
        &[("Clients", focused), (&count, dim), (&marks, accent)],
        &[("sort: ", dim), (&sort, canvas.style(Role::Text)), ("  filter: ", dim), (&filter, filter_style)],
    );
}

#[cfg(test)]
mod tests;
