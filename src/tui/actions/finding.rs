//! Actions that find clients: next failure, filter, search, sort.

use super::spec::{Group, Hint, Scope, Spec, spec};
use crate::{
    fleet::state::ClientView,
    tui::{
        filtering,
        key::Key::Char,
        messages::Command,
        model::Model,
        scrolling::show,
        view::{Overlay, Pane, Place, Tab},
    },
};

pub(super) const NEXT_FAILURE: Spec = Spec {
    scope: Scope::Clients,
    synonyms: &["error", "problem", "goto"],
    hint: Hint::In(&[Place::Details], 9),
    ..spec(Group::Find, &[Char(']')], "next failure", "Go to the next failed client.", |model| failure(model, true))
};

pub(super) const PREVIOUS_FAILURE: Spec = Spec {
    scope: Scope::Clients,
    synonyms: &["error", "problem", "goto"],
    ..spec(Group::Find, &[Char('[')], "previous failure", "Go to the previous failed client.", |model| {
        failure(model, false)
    })
};

pub(super) const FILTER: Spec = Spec {
    synonyms: &["search", "find", "grep", "goto"],
    hint: Hint::Place(2),
    ..spec(Group::Find, &[Char('/')], "filter", "Filter what is shown: web-* !db cpu>90", |model| {
        // For a mail or a log line, the filter of its list is used.
        if matches!(model.view.place(), Place::Mail | Place::LogLine) {
            model.view.detail_open = false;
        }
        model.view.overlay = Overlay::Filter { before: filtering::text(model).to_owned() };
        Vec::new()
    })
};

pub(super) const SEARCH_NEXT: Spec = Spec {
    scope: Scope::Clients,
    synonyms: &["find"],
    ..spec(Group::Find, &[Char('n')], "search next", "Go to the next match of the last filter.", |model| {
        search(model, true)
    })
};

pub(super) const SEARCH_PREVIOUS: Spec = Spec {
    scope: Scope::Clients,
    synonyms: &["find"],
    ..spec(Group::Find, &[Char('N')], "search back", "Go to the previous match.", |model| search(model, false))
};

pub(super) const SORT: Spec = Spec {
    scope: Scope::Table,
    synonyms: &["order"],
    hint: Hint::Place(3),
    ..spec(Group::Find, &[Char('s')], "sort", "Sort by the next column.", |model| {
        model.view.sort = model.view.sort.next();
        model.refresh();
        Vec::new()
    })
};

pub(super) const SORT_LEFT: Spec = Spec {
    scope: Scope::Table,
    synonyms: &["order", "column"],
    ..spec(Group::Find, &[Char('<')], "sort left", "Sort by the column to the left.", |model| {
        model.view.sort = model.view.sort.previous();
        model.refresh();
        Vec::new()
    })
};

pub(super) const SORT_RIGHT: Spec = Spec {
    scope: Scope::Table,
    synonyms: &["order", "column"],
    ..spec(Group::Find, &[Char('>')], "sort right", "Sort by the column to the right.", |model| {
        model.view.sort = model.view.sort.next();
        model.refresh();
        Vec::new()
    })
};

pub(super) const SORT_REVERSE: Spec = Spec {
    scope: Scope::Table,
    synonyms: &["order"],
    ..spec(Group::Find, &[Char('S')], "reverse sort", "Reverse the order.", |model| {
        model.view.sort.reversed = !model.view.sort.reversed;
        model.refresh();
        Vec::new()
    })
};

fn failure(model: &mut Model, forward: bool) -> Vec<Command> {
    seek(model, forward, |client| client.failure().is_some(), "No client has failed.")
}

fn search(model: &mut Model, forward: bool) -> Vec<Command> {
    let (search, now) = (model.view.search.clone(), model.shown_at());
    if search.is_empty() {
        model.say(false, "There is no filter to search by. Press / to enter one.");
        return Vec::new();
    }
    seek(model, forward, |client| search.meets(client, now), "No listed client matches the last filter.")
}

/// Selects the next or previous listed client that is `wanted`. Wraps around at the end.
fn seek(model: &mut Model, forward: bool, wanted: impl Fn(&ClientView) -> bool, nothing: &str) -> Vec<Command> {
    let count = model.rows.len();
    let found = (1..=count).find_map(|by| {
        let at = (model.row + if forward { by } else { count - by }) % count;
        let client = model.shown().client(model.rows.get(at)?)?;
        wanted(client).then(|| client.card.id.clone())
    });
    match found {
        Some(client) => {
            show(model, Tab::Fleet);
            model.view.pane = Pane::Clients;
            model.select(Some(client));
            model.prepare();
        }
        None => model.say(false, nothing),
    }
    Vec::new()
}
