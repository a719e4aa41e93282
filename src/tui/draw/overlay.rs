//! The hint line, and what lies over the view: help, palette, questions.

use ratatui::{layout::Rect, style::Style};

use super::canvas::{Canvas, columns_of, small};
use crate::{
    fleet::Phase,
    tui::{
        action::Action,
        actions::{self, spec::Group},
        format::plural,
        model::Model,
        theme::Role,
        view::Overlay,
    },
};

/// The last row: what is typed, what is asked, what was said, else the keys.
pub(super) fn hint_line(canvas: &mut Canvas<'_>, model: &Model, area: Rect) {
    let (dim, text, accent) = (canvas.style(Role::Dim), canvas.style(Role::Text), canvas.style(Role::Accent));
    let width = area.width.saturating_sub(1);
    match &model.view.overlay {
        Overlay::Filter { .. } => filter_line(canvas, model, area),
        Overlay::Confirm { action } => {
            let question = (actions::spec(*action).question)(model).unwrap_or_default();
            let pieces: &[(&str, Style)] = &[
                (&question, canvas.style(Role::Warning)),
                ("  y", accent),
                (" yes  ", dim),
                ("any other key", accent),
                (" no", dim),
            ];
            canvas.pieces(area.x + 1, area.y, width, pieces);
        }
        Overlay::Export => {
            let what = format!("Export {} listed client{} as  ", model.rows.len(), plural(model.rows.len()));
            let pieces: &[(&str, Style)] =
                &[(&what, text), ("j", accent), (" JSON  ", dim), ("c", accent), (" CSV", dim)];
            canvas.pieces(area.x + 1, area.y, width, pieces);
        }
        Overlay::None | Overlay::Help { .. } | Overlay::Palette { .. } => {
            if let Some((said, _)) = &model.said {
                let style = if said.is_error { canvas.style(Role::Bad) } else { text };
                canvas.text(area.x + 1, area.y, width, &said.text, style);
            } else {
                keys(canvas, model, area);
            }
        }
    }
}

fn keys(canvas: &mut Canvas<'_>, model: &Model, area: Rect) {
    let (dim, accent) = (canvas.style(Role::Dim), canvas.style(Role::Accent));
    let gap = if area.width >= 100 { 2 } else { 1 };
    let mut hints = vec![(canvas.glyphs().arrows.to_owned(), "move")];
    let mut entries: Vec<Action> = Action::ALL.to_vec();
    entries.retain(|action| actions::hint(model, *action).is_some());
    entries.sort_by_key(|action| actions::hint(model, *action));
    // As many as fit, the most important first; shown in the order of the table.
    let mut room = area.width.saturating_sub(3 + columns_of("move") + columns_of(canvas.glyphs().arrows));
    entries.retain(|action| {
        let width = columns_of(&label(canvas, *action)) + 1 + columns_of(actions::spec(*action).name) + gap;
        let fits = width <= room;
        room = if fits { room - width } else { 0 };
        fits
    });
    entries.sort_by_key(|action| Action::ALL.iter().position(|known| known == action));
    hints.extend(entries.iter().map(|action| (label(canvas, *action), actions::spec(*action).name)));
    let mut x = area.x + 1;
    for (key, name) in hints {
        x = canvas.text(x, area.y, area.right().saturating_sub(x), &key, accent);
        x = canvas.text(x + 1, area.y, area.right().saturating_sub(x + 1), name, dim);
        x = x.saturating_add(gap);
    }
}

fn label(canvas: &Canvas<'_>, action: Action) -> String {
    actions::spec(action).keys.first().map_or_else(String::new, |key| key.label(canvas.look().unicode))
}

fn filter_line(canvas: &mut Canvas<'_>, model: &Model, area: Rect) {
    let (dim, text, accent) = (canvas.style(Role::Dim), canvas.style(Role::Text), canvas.style(Role::Accent));
    let mut x = canvas.text(area.x + 1, area.y, area.width, "/", accent);
    // The end of a long filter stays in sight.
    let room = usize::from(area.width / 2).max(8);
    let typed = &model.view.filter_text;
    let shown: String = typed.chars().skip(typed.chars().count().saturating_sub(room)).collect();
    x = canvas.text(x, area.y, area.right().saturating_sub(x), &shown, text);
    canvas.tint(
        Rect { x, y: area.y, width: 1, height: 1 },
        Style::new().add_modifier(ratatui::style::Modifier::REVERSED),
    );
    let (note, style) = match &model.view.filter_error {
        Some(error) => (error.clone(), canvas.style(Role::Bad)),
        None if typed.trim().is_empty() => {
            ("state:failed cpu>90 mem>80 disk>90 alert:yes error:timeout age>5m web-* !db".to_owned(), dim)
        }
        None => (format!("{} of {}", model.rows.len(), model.shown().clients().count()), canvas.style(Role::Good)),
    };
    x = canvas.text(x + 2, area.y, area.right().saturating_sub(x + 3), &note, style);
    let keys: &[(&str, Style)] = &[("Enter", accent), (" apply  ", dim), ("Esc", accent), (" discard", dim)];
    let width: u16 = keys.iter().map(|(text, _)| columns_of(text)).sum();
    if x + width + 3 < area.right() {
        canvas.pieces(area.right() - width - 1, area.y, width, keys);
    }
}

/// Help and palette, over everything else.
pub(super) fn over(canvas: &mut Canvas<'_>, model: &Model, screen: Rect) {
    match &model.view.overlay {
        Overlay::Help { top } => help(canvas, screen, *top),
        Overlay::Palette { text, row } => palette(canvas, screen, text, *row),
        Overlay::None | Overlay::Filter { .. } | Overlay::Confirm { .. } | Overlay::Export => {}
    }
}

/// An empty box with a title in the middle of the screen; its inside.
fn window(canvas: &mut Canvas<'_>, screen: Rect, width: u16, height: u16, title: &str, remark: &str) -> Rect {
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

fn help(canvas: &mut Canvas<'_>, screen: Rect, top: usize) {
    let mut lines: Vec<Vec<(String, Role)>> = Vec::new();
    for group in Group::ALL {
        if !lines.is_empty() {
            lines.push(Vec::new());
        }
        lines.push(vec![(group.heading().to_owned(), Role::Strong)]);
        for entry in Action::ALL.iter().map(|action| actions::spec(*action)).filter(|entry| entry.group == group) {
            let keys: Vec<_> = entry.keys.iter().map(|key| key.label(canvas.look().unicode)).collect();
            lines.push(vec![
                (format!("  {:<13}", keys.join(" ")), Role::Accent),
                (format!("{:<17}", entry.name), Role::Text),
                (entry.help.to_owned(), Role::Dim),
            ]);
        }
    }
    lines.push(Vec::new());
    lines.push(vec![("Signs".to_owned(), Role::Strong)]);
    for phase in Phase::ALL.into_iter().skip(1) {
        let meaning = match phase {
            Phase::New => "not collected yet",
            Phase::Queued => "due, waiting for a free slot",
            Phase::Connect => "connecting and logging in",
            Phase::Upload => "uploading the agent",
            Phase::Execute => "running the agent",
            Phase::Decrypt => "decrypting, checking and storing the report",
            Phase::Ok => "collected",
            Phase::Failed => "failed; the details say why and what to do",
        };
        let glyph = canvas.look().phase_glyph(phase);
        lines.push(vec![(format!("  {glyph} {:<9}", phase.word()), Role::Text), (format!("  {meaning}"), Role::Dim)]);
    }
    lines.push(vec![("  ! alert    ".to_owned(), Role::Warning), ("  a limit is exceeded".to_owned(), Role::Dim)]);
    let gauges = format!(
        "  {0}{0}{1}{1}  {2}{2}{3}{3} ",
        canvas.glyphs().full,
        canvas.glyphs().empty,
        canvas.glyphs().stale,
        canvas.glyphs().stale_empty
    );
    lines.push(vec![(gauges, Role::Text), ("  solid: this sweep; dotted: an earlier one".to_owned(), Role::Dim)]);
    let height = small(lines.len()).saturating_add(2).min(screen.height.saturating_sub(2));
    let inner = window(canvas, screen, 92, height, "Help", "arrows scroll, any other key closes");
    let hidden = lines.len().saturating_sub(usize::from(inner.height));
    for (y, line) in (inner.y..inner.bottom()).zip(lines.iter().skip(top.min(hidden))) {
        let pieces: Vec<_> = line.iter().map(|(text, role)| (text.as_str(), canvas.style(*role))).collect();
        canvas.pieces(inner.x, y, inner.width, &pieces);
    }
}

fn palette(canvas: &mut Canvas<'_>, screen: Rect, text: &str, row: usize) {
    let found = actions::matching(text);
    let height = screen.height.saturating_sub(4).clamp(3, 16);
    let inner = window(canvas, screen, 77, height, "Commands", "Enter runs it, Esc closes");
    let (dim, accent) = (canvas.style(Role::Dim), canvas.style(Role::Accent));
    let mut x = canvas.text(inner.x, inner.y, inner.width, ":", accent);
    x = canvas.text(x, inner.y, inner.right().saturating_sub(x), text, canvas.style(Role::Text));
    if x < inner.right() {
        let cursor = Style::new().add_modifier(ratatui::style::Modifier::REVERSED);
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
        let (entry, key) = (actions::spec(*action), label(canvas, *action));
        canvas.text(place.x + 2, y, 17.min(inner.width), entry.name, canvas.style(Role::Text));
        canvas.text(place.x + 19, y, 9, &key, accent);
        canvas.text(place.x + 29, y, inner.width.saturating_sub(29), entry.help, dim);
    }
    if found.is_empty() && rows > 0 {
        canvas.text(inner.x + 2, inner.y + 1, inner.width.saturating_sub(2), "No command matches.", dim);
    }
}
