//! The log view: the lines around the selected one, or the complete selected line.

use ratatui::layout::Rect;

use super::{
    canvas::{Canvas, small},
    list::{self, Listing, Space},
};
use crate::{
    fleet::stream::LogLine,
    tui::{
        columns::log::{COLUMNS, role},
        format,
        model::Model,
        text::columns_of,
        theme::Role,
        view::Tab,
    },
};

/// The log in the whole body; a single line if it is opened.
pub(super) fn page(canvas: &mut Canvas<'_>, model: &Model, area: Rect) {
    if model.view.detail_open {
        if let Some(line) = model.selected_line() {
            whole(canvas, line, area);
        }
        return;
    }
    let (strong, dim) = (canvas.style(Role::Strong), canvas.style(Role::Dim));
    let following = match model.view.log_back {
        0 => "following".to_owned(),
        back => format!("{back} more below, G follows"),
    };
    let (listed, all) = (model.found.len(), model.log.len());
    let filter = &model.view.log_filter;
    let count = if filter.text.is_empty() {
        format!(" {all} · {following}")
    } else {
        format!(" {listed} of {all} · {following} · filter: {}", filter.text)
    };
    canvas.view_title(area, &[("Log", strong), (&count, dim)], Tab::Log);
    let areas = list::Areas::of(area);
    let longest_name = model.log.iter().filter_map(|line| line.client.as_deref()).map(columns_of).max().unwrap_or(0);
    // The last lines, if the selected one is among them.
    let rows = usize::from(areas.rows.height);
    let selected = model.log_row().unwrap_or(0);
    let first = selected.min(listed.saturating_sub(rows));
    let items = model.log_found().skip(first).take(rows).map(|line| (line, model.context(canvas.look())));
    let listing = Listing::of(&COLUMNS, items, Space { width: area.width, longest_name, ..Space::default() });
    if let Some(heading) = areas.heading {
        listing.heading(canvas, heading, None);
    }
    for index in 0..listed.saturating_sub(first).min(rows) {
        let place = Rect { y: areas.rows.y + small(index), height: 1, ..areas.rows };
        if first + index == selected {
            list::select(canvas, place);
        }
        listing.row(canvas, index, place);
    }
    if listed == 0 && rows > 0 {
        let none = if all == 0 { "The log is empty." } else { "No line matches. Esc clears the filter." };
        canvas.text(area.x + 1, areas.rows.y, area.width, none, dim);
    }
}

/// One line, in as many rows as necessary.
fn whole(canvas: &mut Canvas<'_>, line: &LogLine, area: Rect) {
    let dim = canvas.style(Role::Dim);
    let at = line.at.strftime("%F %H:%M:%SZ").to_string();
    canvas.title(area, &[("Log line", canvas.style(Role::Strong))], &[("arrows go to the lines around it", dim)]);
    let level = (format!("level    {}", line.level.word()), canvas.style(role(line.level)));
    let mut lines = vec![(format!("time     {at}"), dim), level];
    if let Some(client) = &line.client {
        lines.push((format!("client   {client}"), canvas.style(Role::Text)));
    }
    lines.push((String::new(), dim));
    let width = area.width.saturating_sub(2);
    lines.extend(format::wrap(&line.text, usize::from(width)).into_iter().map(|text| (text, canvas.style(Role::Text))));
    for (y, (text, style)) in (area.y.saturating_add(1)..area.bottom()).zip(&lines) {
        canvas.text(area.x + 1, y, width, text, *style);
    }
}
