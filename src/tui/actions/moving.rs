//! Actions that move the selection or change what is open.

use crossterm::event::KeyCode;

use super::{
    spec::{Group, Hint, LISTS, OPENED, Scope, Spec, spec},
    time,
};
use crate::tui::{
    filtering,
    key::Key::{Char, Code, Ctrl},
    messages::Command,
    model::Model,
    scrolling::{page, show, step, to_end, to_start, turn_pane},
    view::{Pane, Place, Tab},
};

pub(super) const UP: Spec =
    spec(Group::Move, &[Code(KeyCode::Up), Char('k')], "up", "Move up one row.", |model| step(model, -1));

pub(super) const DOWN: Spec =
    spec(Group::Move, &[Code(KeyCode::Down), Char('j')], "down", "Move down one row.", |model| step(model, 1));

pub(super) const PAGE_UP: Spec =
    spec(Group::Move, &[Code(KeyCode::PageUp), Ctrl('u')], "page up", "Move up one page.", |model| {
        step(model, -page(model))
    });

pub(super) const PAGE_DOWN: Spec =
    spec(Group::Move, &[Code(KeyCode::PageDown), Ctrl('d')], "page down", "Move down one page.", |model| {
        step(model, page(model))
    });

pub(super) const FIRST: Spec = Spec {
    synonyms: &["top", "begin", "start"],
    ..spec(Group::Move, &[Code(KeyCode::Home)], "first row", "Go to the first row.", to_start)
};

pub(super) const LAST: Spec =
    Spec { synonyms: &["bottom", "end"], ..spec(Group::Move, &[Char('G')], "last row", "Go to the last row.", to_end) };

pub(super) const NEXT_PANE: Spec = Spec {
    scope: Scope::Table,
    synonyms: &["focus"],
    ..spec(Group::Move, &[Code(KeyCode::Tab)], "next pane", "Move the focus to the next pane.", |model| {
        turn_pane(model, true)
    })
};

pub(super) const PREVIOUS_PANE: Spec = Spec {
    scope: Scope::Table,
    synonyms: &["focus"],
    ..spec(Group::Move, &[Code(KeyCode::BackTab)], "previous pane", "Move the focus to the previous pane.", |model| {
        turn_pane(model, false)
    })
};

pub(super) const OPEN: Spec = Spec {
    synonyms: &["open", "show"],
    hint: Hint::In(LISTS, 1),
    keeps_selection: true,
    ..spec(Group::Move, &[Code(KeyCode::Enter)], "details", "Show details of the selected row.", open)
};

pub(super) const BACK: Spec = Spec {
    synonyms: &["close", "leave"],
    hint: Hint::In(OPENED, 1),
    ..spec(Group::Move, &[Code(KeyCode::Esc)], "back", "Close details, clear marks, clear filter.", back)
};

fn open(model: &mut Model) -> Vec<Command> {
    match (model.view.tab, model.view.pane) {
        (Tab::Fleet, Pane::Alerts) | (Tab::Alerts, _) if !model.view.detail_open => {
            if let Some(client) = model.selected_alert(false).map(|alert| alert.client.clone()) {
                show(model, Tab::Fleet);
                model.view.pane = Pane::Clients;
                if !model.rows.contains(&client) {
                    filtering::set(model, String::new());
                }
                model.select(Some(client));
                model.prepare();
            }
        }
        (Tab::Fleet | Tab::Alerts | Tab::Mails | Tab::Log, _) => {
            model.view.detail_open = !model.view.detail_open;
        }
    }
    Vec::new()
}

/// Leaves the innermost open thing.
fn back(model: &mut Model) -> Vec<Command> {
    let has_filter = model.view.list_filter().is_some_and(|filter| !filter.text.is_empty());
    let is_of_list = !matches!(model.view.place(), Place::Mail | Place::LogLine);
    if has_filter && is_of_list {
        filtering::set(model, String::new());
    } else if model.view.detail_open {
        model.view.detail_open = false;
    } else if model.view.tab != Tab::Fleet {
        show(model, Tab::Fleet);
    } else if model.view.pane != Pane::Clients {
        model.view.pane = Pane::Clients;
    } else if !model.view.marks.is_empty() {
        model.view.marks.clear();
    } else if !model.view.filter_text.is_empty() {
        filtering::set(model, String::new());
    } else if model.is_past() {
        return time::live(model);
    }
    Vec::new()
}
