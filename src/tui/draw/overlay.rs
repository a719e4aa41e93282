//! The hint line, and the overlays: help, palette, questions.

use ratatui::{layout::Rect, style::Style};

use super::{canvas::Canvas, help, palette};
use crate::tui::{
    action::Action,
    actions, export, filtering,
    model::Model,
    moment,
    text::{columns_of, end},
    theme::Role,
    view::{Overlay, Place},
};

/// The last row: an input, a question, a message, or the keys.
pub(super) fn hint_line(canvas: &mut Canvas<'_>, model: &Model, area: Rect) {
    let (dim, text, accent) = (canvas.style(Role::Dim), canvas.style(Role::Text), canvas.style(Role::Accent));
    let width = area.width.saturating_sub(1);
    match &model.view.overlay {
        Overlay::Filter { .. } => filter_line(canvas, model, area),
        Overlay::GoTo { text, error } => go_to_line(canvas, area, text, error.as_deref()),
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
            let what = format!("Export {} as  ", export::subject(model).as_deref().unwrap_or("nothing"));
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
    let moves = match model.view.place() {
        Place::Details | Place::Mail => "scroll",
        Place::Clients | Place::Alerts | Place::Mails | Place::Log | Place::LogLine => "move",
    };
    let mut hints = vec![(canvas.glyphs().arrows.to_owned(), moves)];
    let mut entries: Vec<Action> = Action::ALL.to_vec();
    entries.retain(|action| actions::hint(model, *action).is_some());
    entries.sort_by_key(|action| actions::hint(model, *action));
    // As many as fit, the most important ones first; displayed in the order of the table.
    let mut room = area.width.saturating_sub(3 + columns_of(moves) + columns_of(canvas.glyphs().arrows));
    entries.retain(|action| {
        let width = columns_of(&label(model, *action)) + 1 + columns_of(actions::spec(*action).name) + gap;
        let fits = width <= room;
        room = if fits { room - width } else { 0 };
        fits
    });
    entries.sort_by_key(|action| Action::ALL.iter().position(|known| known == action));
    hints.extend(entries.iter().map(|action| (label(model, *action), actions::spec(*action).name)));
    let mut x = area.x + 1;
    for (key, name) in hints {
        x = canvas.text(x, area.y, area.right().saturating_sub(x), &key, accent);
        x = canvas.text(x + 1, area.y, area.right().saturating_sub(x + 1), name, dim);
        x = x.saturating_add(gap);
    }
}

/// The first key of an action.
fn label(model: &Model, action: Action) -> String {
    actions::spec(action).label(model.look.unicode)
}

fn filter_line(canvas: &mut Canvas<'_>, model: &Model, area: Rect) {
    let (dim, text, accent) = (canvas.style(Role::Dim), canvas.style(Role::Text), canvas.style(Role::Accent));
    let mut x = canvas.text(area.x + 1, area.y, area.width, "/", accent);
    // The end of a long filter remains visible.
    let room = usize::from(area.width / 2).max(8);
    let typed = filtering::text(model);
    let shown = end(typed, room);
    x = canvas.text(x, area.y, area.right().saturating_sub(x), shown, text);
    canvas.tint(
        Rect { x, y: area.y, width: 1, height: 1 },
        Style::new().add_modifier(ratatui::style::Modifier::REVERSED),
    );
    let (note, style) = match (filtering::error(model), filtering::counts(model)) {
        (Some(error), _) => (error.to_owned(), canvas.style(Role::Bad)),
        (None, _) if typed.trim().is_empty() => (filtering::example(model.view.place()).to_owned(), dim),
        (None, Some((found, all))) => (format!("{found} of {all}"), canvas.style(Role::Good)),
        (None, None) => (String::new(), dim),
    };
    x = canvas.text(x + 2, area.y, area.right().saturating_sub(x + 3), &note, style);
    let keys: &[(&str, Style)] = &[("Enter", accent), (" apply  ", dim), ("Esc", accent), (" discard", dim)];
    let width: u16 = keys.iter().map(|(text, _)| columns_of(text)).sum();
    if x + width + 3 < area.right() {
        canvas.pieces(area.right() - width - 1, area.y, width, keys);
    }
}

/// The input of a time, with the possible formats.
fn go_to_line(canvas: &mut Canvas<'_>, area: Rect, typed: &str, error: Option<&str>) {
    let (dim, text, accent) = (canvas.style(Role::Dim), canvas.style(Role::Text), canvas.style(Role::Accent));
    let mut x = canvas.text(area.x + 1, area.y, area.width, "go to ", accent);
    x = canvas.text(x, area.y, area.width / 2, typed, text);
    canvas.tint(
        Rect { x, y: area.y, width: 1, height: 1 },
        Style::new().add_modifier(ratatui::style::Modifier::REVERSED),
    );
    let (note, style) = error.map_or((moment::FORMS, dim), |error| (error, canvas.style(Role::Bad)));
    x = canvas.text(x + 2, area.y, area.right().saturating_sub(x + 3), note, style);
    let keys: &[(&str, Style)] = &[("Enter", accent), (" go  ", dim), ("Esc", accent), (" leave", dim)];
    let width: u16 = keys.iter().map(|(text, _)| columns_of(text)).sum();
    if x + width + 3 < area.right() {
        canvas.pieces(area.right() - width - 1, area.y, width, keys);
    }
}

/// Help and palette.
pub(super) fn over(canvas: &mut Canvas<'_>, model: &Model, screen: Rect) {
    match &model.view.overlay {
        Overlay::Help { top, search } => help::page(canvas, model, screen, *top, search.as_deref()),
        Overlay::Palette { text, row } => palette::list(canvas, model, screen, text, *row),
        Overlay::None | Overlay::Filter { .. } | Overlay::GoTo { .. } | Overlay::Confirm { .. } | Overlay::Export => {}
    }
}
