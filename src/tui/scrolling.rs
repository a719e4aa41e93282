//! Moves the selection, scrolls, and changes the view and the pane.

use super::{
    messages::Command,
    model::Model,
    query::Query,
    view::{Pane, Tab},
};
use crate::fleet::listing::Part;

/// The largest scroll position of details.
const DETAIL_LINES: usize = 500;

/// The largest scroll position of a mail.
const MAIL_LINES: usize = 5000;

/// Moves by a number of rows in the focused list.
pub(super) fn step(model: &mut Model, by: isize) -> Vec<Command> {
    let moved = |at: usize, most: usize| at.saturating_add_signed(by).min(most);
    match (model.view.tab, model.view.pane) {
        (Tab::Fleet, Pane::Clients) if !model.view.detail_open => {
            model.row = moved(model.row, model.rows.len().saturating_sub(1));
            model.select(model.rows.get(model.row).cloned());
        }
        // `prepare` keeps it within the list.
        (Tab::Fleet, Pane::Alerts) if !model.view.detail_open => {
            model.view.pane_alert = moved(model.view.pane_alert, usize::MAX);
        }
        (Tab::Fleet, Pane::Clients | Pane::Detail | Pane::Alerts) => {
            model.view.detail_top = moved(model.view.detail_top, DETAIL_LINES);
        }
        (Tab::Alerts, _) => model.view.alert = moved(model.view.alert, usize::MAX),
        (Tab::Mails, _) if model.view.detail_open => model.view.mail_top = moved(model.view.mail_top, MAIL_LINES),
        (Tab::Mails, _) => {
            model.view.mail = moved(model.view.mail, usize::MAX);
            model.view.mail_top = 0;
        }
        (Tab::Log, _) => {
            let most = model.found.len().saturating_sub(1);
            model.view.log_back = model.view.log_back.saturating_add_signed(-by).min(most);
        }
    }
    model.prepare();
    load_on(model, by)
}

/// Moves to the first row of the focused list.
pub(super) fn to_start(model: &mut Model) -> Vec<Command> {
    let query = match model.view.tab {
        Tab::Alerts if model.alert_rows().is_some() && model.alerts.has_newer() => {
            Query::AlertHistory(model.alerts.jump(Part::Newest))
        }
        Tab::Mails if !model.view.detail_open && model.mails.has_newer() => {
            Query::Mails(model.mails.jump(Part::Newest))
        }
        Tab::Fleet | Tab::Alerts | Tab::Mails | Tab::Log => return step(model, isize::MIN / 2),
    };
    step(model, isize::MIN / 2);
    vec![Command::Ask(query)]
}

/// Moves to the last row of the focused list, even if it is not loaded.
pub(super) fn to_end(model: &mut Model) -> Vec<Command> {
    let query = match model.view.tab {
        Tab::Alerts if model.alert_rows().is_some() && model.alerts.has_older() => {
            Query::AlertHistory(model.alerts.jump(Part::Oldest))
        }
        Tab::Mails if !model.view.detail_open && model.mails.has_older() => {
            Query::Mails(model.mails.jump(Part::Oldest))
        }
        Tab::Fleet | Tab::Alerts | Tab::Mails | Tab::Log => return step(model, isize::MAX / 2),
    };
    step(model, isize::MAX / 2);
    vec![Command::Ask(query)]
}

/// Loads further rows when the operator comes near the end. Also repeats a failed request.
fn load_on(model: &mut Model, by: isize) -> Vec<Command> {
    match model.view.tab {
        Tab::Alerts => model.alerts.retry(),
        Tab::Mails => model.mails.retry(),
        Tab::Fleet | Tab::Log => return Vec::new(),
    }
    model.load_on(by)
}

/// The number of rows of a page in the current view; at least 1.
pub(super) fn page(model: &Model) -> isize {
    let layout = model.layout();
    let rows = match model.view.tab {
        Tab::Fleet => layout.table_rows(),
        Tab::Alerts | Tab::Mails | Tab::Log => layout.body.height,
    };
    isize::try_from(rows.saturating_sub(1).max(1)).unwrap_or(1)
}

/// Moves the focus to the next or previous pane of the fleet view.
pub(super) fn turn_pane(model: &mut Model, forward: bool) -> Vec<Command> {
    let layout = model.layout();
    let mut panes = vec![Pane::Clients];
    if layout.detail.is_some() {
        panes.push(Pane::Detail);
    }
    if layout.alerts.is_some() {
        panes.push(Pane::Alerts);
    }
    let here = panes.iter().position(|pane| *pane == model.view.pane).unwrap_or(0);
    let by = if forward { 1 } else { panes.len() - 1 };
    model.view.pane = panes.get((here + by) % panes.len()).copied().unwrap_or_default();
    Vec::new()
}

/// Shows a view.
pub(super) fn show(model: &mut Model, tab: Tab) -> Vec<Command> {
    if model.view.tab != tab {
        model.view.tab = tab;
        model.view.detail_open = false;
        model.found_stale = true;
    }
    Vec::new()
}
