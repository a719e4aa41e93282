//! A box over the view.

use ratatui::layout::Rect;

use super::canvas::Canvas;
use crate::tui::{text::columns_of, theme::Role};

/// Draws an empty box with a title in the middle of the screen; returns its inside.
pub(super) fn window(
    canvas: &mut Canvas<'_>,
    screen: Rect,
    width: u16,
    height: u16,
    title: &str,
    remark: &str,
) -> Rect {
    let (width, height) = (width.min(screen.width), height.min(screen.height));
    let area = Rect { x: (screen.width - width) / 2, y: (screen.height - height) / 3, width, height };
    canvas.clear(area);
    let dim = canvas.style(Role::Dim);
    if width < 4 || height < 3 {
        return area;
    }
    let [top_left, top_right, bottom_right, bottom_left, across, down] = canvas.glyphs().border;
    let (right, bottom) = (area.right() - 1, area.bottom() - 1);
    for x in area.x..=right {
        canvas.text(x, area.y, 1, across, dim);
        canvas.text(x, bottom, 1, across, dim);
    }
    for y in area.y..=bottom {
        canvas.text(area.x, y, 1, down, dim);
        canvas.text(right, y, 1, down, dim);
    }
    for (x, y, corner) in [
        (area.x, area.y, top_left),
        (right, area.y, top_right),
        (right, bottom, bottom_right),
        (area.x, bottom, bottom_left),
    ] {
        canvas.text(x, y, 1, corner, dim);
    }
    canvas.text(area.x + 2, area.y, width.saturating_sub(4), &format!(" {title} "), canvas.style(Role::Strong));
    if columns_of(title) + columns_of(remark) + 10 < width {
        canvas.text_before(right - 1, area.y, width, &format!(" {remark} "), dim);
    }
    Rect { x: area.x + 2, y: area.y + 1, width: width - 4, height: height - 2 }
}
