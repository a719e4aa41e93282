//! Alerts: the pane beneath the clients, and the whole history. Not their judgement.

use jiff::Timestamp;
use ratatui::{
    layout::Rect,
    style::{Modifier, Style},
};

use super::{
    pen::{Pen, small},
    words,
};
use crate::{
    fleet::{
        Metric,
        alert::{HoldReason, Notice},
        alerts::{AlertBook, AlertEnd, AlertView},
        event::MailStep,
    },
    tui::{
        model::Model,
        theme::Role,
        view::{Pane, Tab},
    },
};

/// The first alert that is shown in so many rows, so that the selected one is among them.
pub(super) fn top(model: &Model, rows: u16) -> usize {
    (model.view.alert + 1).saturating_sub(usize::from(rows.max(1)))
}

/// The pane beneath the clients.
pub(super) fn pane(pen: &mut Pen<'_>, model: &Model, area: Rect) {
    let book = model.shown().alerts();
    let now = model.shown_at();
    let focused = model.view.pane == Pane::Alerts;
    let today = now.as_millisecond().div_euclid(86_400_000) * 86_400_000;
    let midnight = Timestamp::from_millisecond(today).unwrap_or(now);
    let count = format!(" {} open · {} today", book.open_count(), book.raised_since(midnight));
    title(pen, area, &count, focused, area.width >= 60);
    let alerts = model.alert_list();
    let rows = area.height.saturating_sub(1);
    for (index, alert) in alerts.iter().enumerate().skip(top(model, rows)).take(usize::from(rows)) {
        let y = area.y + 1 + small(index - top(model, rows));
        let mailed = mailed(alert, book, now);
        let place = Rect { y, height: 1, ..area };
        row(pen, model, alert, &mailed, place, focused && index == model.view.alert);
    }
    if alerts.is_empty() && rows > 0 {
        pen.text(area.x + 1, area.y + 1, area.width, "no alerts", pen.style(Role::Dim));
    }
}

/// The alert history over the whole body.
pub(super) fn history(pen: &mut Pen<'_>, model: &Model, area: Rect) {
    let book = model.shown().alerts();
    let now = model.shown_at();
    let rows = area.height.saturating_sub(1);
    let first = top(model, rows);
    let known: Vec<(&AlertView, String)> = match model.alert_rows() {
        Some(history) => history
            .iter()
            .map(|row| {
                let told = if row.mails.is_empty() { mailed(&row.alert, book, now) } else { row.mails.join(", ") };
                (&row.alert, told)
            })
            .collect(),
        None => model.alert_list().into_iter().map(|alert| (alert, mailed(alert, book, now))).collect(),
    };
    let count = format!(" {} open · {} in the history", book.open_count(), known.len());
    let (strong, dim) = (pen.style(Role::Strong), pen.style(Role::Dim));
    pen.view_title(area, &[("Alerts", strong), (&count, dim)], Tab::Alerts);
    for (index, (alert, mailed)) in known.iter().enumerate().skip(first).take(usize::from(rows)) {
        let place = Rect { y: area.y + 1 + small(index - first), height: 1, ..area };
        row(pen, model, alert, mailed, place, index == model.view.alert);
    }
    if known.is_empty() && rows > 0 {
        pen.text(area.x + 1, area.y + 1, area.width, "no alert was ever raised", pen.style(Role::Dim));
    }
}

fn title(pen: &mut Pen<'_>, area: Rect, count: &str, focused: bool, with_keys: bool) {
    let (dim, accent) = (pen.style(Role::Dim), pen.style(Role::Accent));
    let name = if focused { accent.add_modifier(Modifier::BOLD) } else { pen.style(Role::Strong) };
    let keys: &[(&str, Style)] = &[("a", accent), (" acknowledge · ", dim), ("2", accent), (" all alerts", dim)];
    pen.title(area, &[("Alerts", name), (count, dim)], if with_keys { keys } else { &[] });
}

fn row(pen: &mut Pen<'_>, model: &Model, alert: &AlertView, mailed: &str, area: Rect, selected: bool) {
    let (text, dim) = (pen.style(Role::Text), pen.style(Role::Dim));
    let now = model.shown_at();
    if selected {
        pen.tint(area, pen.look().selection());
        pen.text(area.x, area.y, 1, pen.glyphs().selected, pen.style(Role::Accent));
    }
    let (glyph, role) = match (alert.ended, alert.metric) {
        (Some(_), _) => (pen.glyphs().ended, Role::Good),
        (None, Metric::Unreachable) => (pen.look().phase_glyph(crate::fleet::Phase::Failed), Role::Bad),
        (None, Metric::Cpu | Metric::Memory | Metric::Swap | Metric::Disk | Metric::Load) => ("!", Role::Warning),
    };
    let at = alert.ended.map_or(alert.raised_at, |(at, _)| at);
    let name = model.shown().client(&alert.client).map_or_else(|| alert.client.to_string(), |c| c.card.name.clone());
    let (what_width, mail_width) = match area.width {
        0..60 => (22, 0),
        60..100 => (25, 20),
        100..150 => (30, 40),
        _ => (40, 70),
    };
    let name_width = if area.width < 100 { 12 } else { 16 };
    let mut x = area.x + 1;
    let quiet = alert.ended.is_some() || alert.acknowledged;
    for (width, piece, style) in [
        (9, words::time_or_date(at, now).as_str(), dim),
        (2, glyph, pen.style(role)),
        (name_width, &name, if quiet { dim } else { text }),
        (what_width, &what(alert), if quiet { dim } else { text }),
        (mail_width, mailed, dim),
    ] {
        if width > 0 {
            pen.text(x, area.y, width.min(area.right().saturating_sub(x)).saturating_sub(1), piece, style);
            x = x.saturating_add(width);
        }
    }
    let lasted = match alert.ended {
        None => format!("open {}", words::since(alert.raised_at, now)),
        Some((at, AlertEnd::Resolved)) => {
            let lasted = words::since(alert.raised_at, at);
            if area.width < 100 { format!("after {lasted}") } else { format!("closed after {lasted}") }
        }
        Some((_, AlertEnd::Gone)) => "gone".to_owned(),
        Some((_, AlertEnd::Withdrawn)) => "rule removed".to_owned(),
    };
    pen.text(x, area.y, area.right().saturating_sub(x), &lasted, dim);
}

fn what(alert: &AlertView) -> String {
    let (value, limit) = (words::value(alert.metric, alert.value), words::value(alert.metric, alert.limit));
    match (alert.metric, alert.ended) {
        (Metric::Unreachable, None) => {
            format!("failed {value} sweep{} in a row", if alert.value == 1.0 { "" } else { "s" })
        }
        (Metric::Unreachable, Some(_)) => "reachable again".to_owned(),
        (_, None) => format!("{} {value} {} {limit}", alert.key(), alert.metric.spec().worse.sign()),
        (_, Some((_, AlertEnd::Gone))) => format!("{} {value}, gone", alert.key()),
        (_, Some((_, AlertEnd::Resolved | AlertEnd::Withdrawn))) => format!("{} back to {value}", alert.key()),
    }
}

/// Who was told, or why nobody was.
fn mailed(alert: &AlertView, book: &AlertBook, now: Timestamp) -> String {
    if alert.acknowledged && alert.ended.is_none() {
        return "acknowledged".to_owned();
    }
    if let Some(mail) = book.mail_about(alert) {
        let (_, step) = &mail.step;
        return match step {
            MailStep::Queued => format!("mail waits for {}", mail.recipient),
            MailStep::Sent { .. } => format!("mailed {}", mail.recipient),
            MailStep::Deferred { error, next_at } => {
                let left = next_at.as_second().saturating_sub(now.as_second());
                let left = words::clock_span(u64::try_from(left).unwrap_or(0));
                format!("not mailed: {error}, retry {left}")
            }
            MailStep::Refused { error } => format!("refused: {error}"),
        };
    }
    match (alert.notice, alert.mailed_in) {
        (Notice::Send(_), _) => "mail decided",
        (Notice::Hold(HoldReason::NoRecipient), _) => "no recipient",
        (Notice::Hold(HoldReason::RecentlyMailed), _) | (_, Some(_)) => "mailed before",
        (Notice::Hold(HoldReason::Acknowledged), None) => "acknowledged",
        (Notice::Hold(HoldReason::BelowLimit), None) => "below its limit now",
        (Notice::Hold(HoldReason::NoRecoveryMail), None) => "no recovery mail",
        (Notice::Hold(HoldReason::Gone), None) => "gone",
        (Notice::Hold(HoldReason::RuleRemoved), None) => "rule removed",
    }
    .to_owned()
}
