//! Draws alerts: the pane below the clients, and the complete history.

use jiff::Timestamp;
use ratatui::{
    layout::Rect,
    style::{Modifier, Style},
};

use super::{
    canvas::Canvas,
    list::{self, Listing, Space},
};
use crate::{
    fleet::alerts::AlertView,
    tui::{
        columns::{Context, alerts::COLUMNS},
        format,
        model::Model,
        theme::Role,
        view::{Pane, Past, Tab, Travel},
    },
};

/// The rows of the pane below the clients.
pub(super) fn rows(area: Rect) -> Rect {
    Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area }
}

/// The pane below the clients.
pub(super) fn pane(canvas: &mut Canvas<'_>, model: &Model, area: Rect) {
    let book = model.shown().alerts();
    let now = model.shown_at();
    let focused = model.view.pane == Pane::Alerts;
    let today = now.as_millisecond().div_euclid(86_400_000) * 86_400_000;
    let midnight = Timestamp::from_millisecond(today).unwrap_or(now);
    let count = format!(" {} open · {} today", book.open_count(), book.raised_since(midnight));
    title(canvas, area, &count, focused, area.width >= 60);
    let alerts: Vec<(&AlertView, &[String])> =
        model.alert_list().into_iter().map(|alert| (alert, [].as_slice())).collect();
    list(canvas, model, &list::Areas { heading: None, rows: rows(area) }, &alerts, (focused, model.view.pane_alert));
    if alerts.is_empty() && area.height > 1 {
        canvas.text(area.x + 1, area.y + 1, area.width, "No alerts.", canvas.style(Role::Dim));
    }
}

/// The alert history, in the whole body.
pub(super) fn history(canvas: &mut Canvas<'_>, model: &Model, area: Rect) {
    let alerts = model.alerts_found();
    let all = model.alert_base().len();
    let filter = &model.view.alert_filter;
    let count = match (model.alert_rows(), &model.view.travel) {
        (None, Some(Travel { past: Past::Asked, .. })) => format!(" {}", format::asking(canvas.look().unicode)),
        (None, Some(Travel { past: Past::Failed(why), .. })) => format!(" failed: {why}"),
        (loaded, _) if !filter.text.is_empty() => {
            let found = match loaded {
                Some(_) => list::filtered(&model.alerts, alerts.len()),
                None => format!("{} of {}", format::grouped(alerts.len() as u64), format::grouped(all as u64)),
            };
            format!(" {found} · filter: {}", filter.text)
        }
        (loaded, _) => {
            let open = format::grouped(model.shown().alerts().open_count() as u64);
            let failed = model.alerts.failed().filter(|_| !model.is_past());
            let listed = match (loaded, failed) {
                (Some(_), _) => list::place(&model.alerts, model.view.alert),
                (None, Some(why)) => format!("failed: {why}"),
                (None, None) => format::grouped(all as u64),
            };
            format!(" {open} open · {listed} in the history")
        }
    };
    let (strong, dim) = (canvas.style(Role::Strong), canvas.style(Role::Dim));
    canvas.view_title(area, &[("Alerts", strong), (&count, dim)], Tab::Alerts);
    let areas = list::Areas::of(area);
    list(canvas, model, &areas, &alerts, (true, model.view.alert));
    if alerts.is_empty() && areas.rows.height > 0 && !model.waits_for_past() {
        let none = match model.alert_rows() {
            _ if all == 0 => "No alert has been raised yet.".to_owned(),
            Some(_) => list::nothing_found(&model.alerts, "alert"),
            None => "No alert matches. Esc clears the filter.".to_owned(),
        };
        canvas.text(area.x + 1, areas.rows.y, area.width, &none, dim);
    }
}

fn title(canvas: &mut Canvas<'_>, area: Rect, count: &str, focused: bool, with_keys: bool) {
    let (dim, accent) = (canvas.style(Role::Dim), canvas.style(Role::Accent));
    let name = if focused { accent.add_modifier(Modifier::BOLD) } else { canvas.style(Role::Strong) };
    let keys: &[(&str, Style)] = &[("a", accent), (" acknowledge · ", dim), ("2", accent), (" all alerts", dim)];
    canvas.title(area, &[("Alerts", name), (count, dim)], if with_keys { keys } else { &[] });
}

/// The visible alerts with the mails about each.
fn list(
    canvas: &mut Canvas<'_>,
    model: &Model,
    areas: &list::Areas,
    alerts: &[(&AlertView, &[String])],
    (has_selection, selected): (bool, usize),
) {
    let area = areas.rows;
    let first = list::first(selected, area.height);
    let visible = alerts.iter().skip(first).take(usize::from(area.height));
    let items = visible.map(|(alert, mails)| (*alert, Context { mails, ..model.context(canvas.look()) }));
    let listing = Listing::of(&COLUMNS, items, Space { width: area.width, ..Space::default() });
    if let Some(heading) = areas.heading {
        listing.heading(canvas, heading, None);
    }
    for (index, y) in (area.y..area.bottom()).enumerate() {
        let place = Rect { y, height: 1, ..area };
        if has_selection && first + index == selected && first + index < alerts.len() {
            list::select(canvas, place);
        }
        listing.row(canvas, index, place);
    }
}
