//! Finds the item at a position of the screen, for the mouse.

use super::{alerts, list, map};
use crate::{
    fleet::ClientId,
    tui::{model::Model, view::Tab},
};

/// The client in the table or on the map at this position.
pub(in crate::tui) fn client_at(model: &Model, column: u16, row: u16) -> Option<ClientId> {
    if model.view.tab != Tab::Fleet || model.view.detail_open {
        return None;
    }
    let layout = model.layout();
    if let Some(area) = layout.map
        && area.contains((column, row).into())
    {
        return map::client_at(model, area, column, row);
    }
    let first = layout.table.y + layout.table_head();
    if !layout.table.contains((column, row).into()) || row < first {
        return None;
    }
    model.rows.get(model.view.top + usize::from(row - first)).cloned()
}

/// The index of the alert in the list at this position.
pub(in crate::tui) fn alert_at(model: &Model, column: u16, row: u16) -> Option<usize> {
    let layout = model.layout();
    let (rows, selected) = if model.view.tab == Tab::Alerts {
        (list::Areas::of(layout.body).rows, model.view.alert)
    } else {
        (alerts::rows(layout.alerts?), model.view.pane_alert)
    };
    let is_hit = rows.contains((column, row).into()) && !model.view.detail_open;
    is_hit.then(|| usize::from(row - rows.y) + list::first(selected, rows.height))
}
