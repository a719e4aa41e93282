//! The log view: the last lines, following unless scrolled away.

use ratatui::layout::Rect;

use super::{canvas::Canvas, list};
use crate::tui::{
    columns::{self, Space, log::COLUMNS},
    model::Model,
    theme::Role,
    view::Tab,
};

/// The log over the whole body.
pub(super) fn page(canvas: &mut Canvas<'_>, model: &Model, area: Rect) {
    let (strong, dim) = (canvas.style(Role::Strong), canvas.style(Role::Dim));
    let following = match model.view.log_back {
        0 => "following".to_owned(),
        back => format!("{back} more below, Enter follows"),
    };
    let count = format!(" {} · {following}", model.log.len());
    canvas.view_title(area, &[("Log", strong), (&count, dim)], Tab::Log);
    let areas = list::Areas::of(area);
    let widths = columns::widths(COLUMNS.iter(), Space { width: area.width, longest_name: 0, beside: false });
    if let Some(heading) = areas.heading {
        list::heading(canvas, COLUMNS.iter(), &widths, heading, |_| false);
    }
    let context = model.context(canvas.look());
    let end = model.log.len().saturating_sub(model.view.log_back);
    let from = end.saturating_sub(usize::from(areas.rows.height));
    for (y, line) in (areas.rows.y..areas.rows.bottom()).zip(model.log.iter().skip(from).take(end - from)) {
        let place = Rect { y, height: 1, ..areas.rows };
        list::row(canvas, COLUMNS.iter(), &widths, place, (line, &context));
    }
    if model.log.is_empty() && areas.rows.height > 0 {
        canvas.text(area.x + 1, areas.rows.y, area.width, "The log is empty.", dim);
    }
}
