//! The palette: the actions that match the typed text.

use ratatui::{
    layout::Rect,
    style::{Modifier, Style},
};

use super::{
    canvas::{Canvas, small},
    window::window,
};
use crate::tui::{actions, model::Model, text::columns_of, theme::Role};

/// The typed text and the matching actions. Actions that do not apply in the view are dim.
pub(super) fn list(canvas: &mut Canvas<'_>, model: &Model, screen: Rect, text: &str, row: usize) {
    let found = actions::matching(model, text);
    let height = screen.height.saturating_sub(4).clamp(3, 16);
    let inner = window(canvas, screen, 77, height, "Commands", "Enter runs it, Esc closes");
    let (dim, accent) = (canvas.style(Role::Dim), canvas.style(Role::Accent));
    let mut x = canvas.text(inner.x, inner.y, inner.width, ":", accent);
    x = canvas.text(x, inner.y, inner.right().saturating_sub(x), text, canvas.style(Role::Text));
    if x < inner.right() {
        let cursor = Style::new().add_modifier(Modifier::REVERSED);
        canvas.tint(Rect { x, y: inner.y, width: 1, height: 1 }, cursor);
    }
    let rows = usize::from(inner.height.saturating_sub(1));
    let first = (row + 1).saturating_sub(rows.max(1));
    for (index, action) in found.iter().enumerate().skip(first).take(rows) {
        let y = inner.y + 1 + small(index - first);
        let place = Rect { x: inner.x, y, width: inner.width, height: 1 };
        if index == row {
            canvas.tint(place, canvas.look().selection());
            canvas.text(place.x, y, 1, canvas.glyphs().selected, accent);
        }
        let entry = actions::spec(*action);
        let (name, key) =
            if actions::applies(model, *action) { (canvas.style(Role::Text), accent) } else { (dim, dim) };
        canvas.text(place.x + 2, y, 17.min(inner.width), entry.name, name);
        canvas.text(place.x + 19, y, 9, &entry.label(model.look.unicode), key);
        canvas.text(place.x + 29, y, inner.width.saturating_sub(29), entry.help, dim);
    }
    if found.is_empty() && rows > 0 {
        canvas.text(inner.x + 2, inner.y + 1, inner.width.saturating_sub(2), "No command matches.", dim);
    }
    let below = found.len().saturating_sub(first + rows);
    let glyphs = canvas.glyphs();
    let hidden = [(first, glyphs.up), (below, glyphs.down)];
    let hidden: Vec<_> = hidden.iter().filter(|(count, _)| *count > 0).map(|(n, sign)| format!("{n} {sign}")).collect();
    let sign = format!(" {} ", hidden.join("  "));
    if !hidden.is_empty() && columns_of(&sign) < inner.width {
        // In the frame, so that it hides no row.
        canvas.text_before(inner.right(), inner.bottom(), inner.width, &sign, dim);
    }
}
