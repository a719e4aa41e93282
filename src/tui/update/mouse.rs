//! The effects of the mouse. `draw::hit` finds the item below it.

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use crate::tui::{
    draw::hit,
    messages::Command,
    model::Model,
    scrolling::step,
    view::{Pane, Tab},
};

/// Scrolls, or selects the clicked item.
pub(super) fn mouse(model: &mut Model, mouse: MouseEvent) -> Vec<Command> {
    model.prepare();
    match mouse.kind {
        MouseEventKind::ScrollUp => drop(step(model, -3)),
        MouseEventKind::ScrollDown => drop(step(model, 3)),
        MouseEventKind::Down(MouseButton::Left) if mouse.modifiers == KeyModifiers::NONE => {
            if let Some(client) = hit::client_at(model, mouse.column, mouse.row) {
                model.view.pane = Pane::Clients;
                model.select(Some(client));
                model.prepare();
            } else if let Some(alert) = hit::alert_at(model, mouse.column, mouse.row) {
                if model.view.tab == Tab::Alerts {
                    model.view.alert = alert;
                } else {
                    model.view.pane = Pane::Alerts;
                    model.view.pane_alert = alert;
                }
            }
        }
        MouseEventKind::Down(_)
        | MouseEventKind::Up(_)
        | MouseEventKind::Drag(_)
        | MouseEventKind::Moved
        | MouseEventKind::ScrollLeft
        | MouseEventKind::ScrollRight => model.changed = false,
    }
    Vec::new()
}
