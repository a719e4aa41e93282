//! The log view: the last lines, following unless scrolled away.

use ratatui::layout::Rect;

use super::{pen::Pen, words};
use crate::{
    fleet::stream::LogLevel,
    tui::{model::Model, theme::Role, view::Tab},
};

/// The log over the whole body.
pub(super) fn page(pen: &mut Pen<'_>, model: &Model, area: Rect) {
    let (strong, dim) = (pen.style(Role::Strong), pen.style(Role::Dim));
    let following = match model.view.log_back {
        0 => "following".to_owned(),
        back => format!("{back} below, enter follows"),
    };
    let count = format!(" {} · {following}", model.log.len());
    pen.view_title(area, &[("Log", strong), (&count, dim)], Tab::Log);
    let rows = usize::from(area.height.saturating_sub(1));
    let end = model.log.len().saturating_sub(model.view.log_back);
    let from = end.saturating_sub(rows);
    for (y, line) in (area.y + 1..area.bottom()).zip(model.log.iter().skip(from).take(end - from)) {
        let role = match line.level {
            LogLevel::Error => Role::Bad,
            LogLevel::Warn => Role::Warning,
            LogLevel::Info => Role::Text,
            LogLevel::Debug => Role::Dim,
        };
        let mut x = pen.text(area.x + 1, y, area.width, &words::time(line.at), dim);
        x = pen.text(x + 1, y, 5, line.level.word(), pen.style(role));
        let style = if role == Role::Dim { dim } else { pen.style(Role::Text) };
        pen.text(x + 1, y, area.right().saturating_sub(x + 1), &line.text, style);
    }
    if model.log.is_empty() && rows > 0 {
        pen.text(area.x + 1, area.y + 1, area.width, "nothing logged yet", dim);
    }
}
