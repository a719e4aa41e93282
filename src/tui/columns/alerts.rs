//! The columns of the alert lists.

use std::borrow::Cow;

use jiff::Timestamp;

use super::{
    Align, Cell, Column, Context, Export, text,
    width::{Size, number, up_to, whole},
};
use crate::{
    fleet::{
        Phase,
        alert::{Acknowledged, HoldReason, Notice},
        alerts::{AlertEnd, AlertList, AlertView},
        cell,
        event::MailStep,
        metric::Evidence,
    },
    tui::{format, theme::Role},
};

/// The columns, from left to right.
pub(in crate::tui) static COLUMNS: [Column<AlertView>; 6] = [
    Column {
        headings: &["TIME"],
        align: Align::Left,
        width: &[number(3, 8)],
        cell: |alert, context| {
            let at = alert.ended.map_or(alert.raised_at, |(at, _)| at);
            Cell::Text(format::time_or_date(at, context.now).into(), context.style(Role::Dim))
        },
        sort: None,
        exports: &[
            Export { name: "raised_at", value: |alert, _| text(&alert.raised_at.to_string()) },
            Export { name: "ended_at", value: |alert, _| alert.ended.map(|(at, _)| at.to_string()).into() },
        ],
    },
    Column {
        headings: &[],
        align: Align::Left,
        width: &[whole(0, Size::Of(1))],
        cell: sign,
        sort: None,
        exports: &[Export { name: "state", value: |alert, _| text(state(alert)) }],
    },
    Column {
        headings: &["CLIENT"],
        align: Align::Left,
        width: &[whole(1, Size::Content(6, 8)), up_to(5, Size::Share(6, 40)), up_to(20, Size::Content(6, u16::MAX))],
        cell: |alert, context| Cell::Name(name_of(alert, context), context.style(text_role(alert))),
        sort: None,
        exports: &[
            Export { name: "client", value: |alert, context| text(&name_of(alert, context)) },
            Export { name: "ip", value: |alert, _| text(alert.client.address()) },
            Export { name: "port", value: |alert, _| cell::Cell::Integer(alert.client.port().into()) },
        ],
    },
    Column {
        headings: &["ALERT"],
        align: Align::Left,
        width: &[whole(2, Size::Content(6, 12)), up_to(6, Size::Content(6, u16::MAX))],
        cell: |alert, context| Cell::Wordings(what(alert), context.style(text_role(alert))),
        sort: None,
        exports: &[
            Export { name: "type", value: |alert, _| text(alert.metric.word()) },
            Export { name: "instance", value: |alert, _| text(alert.instance.name()) },
            Export { name: "value", value: |alert, _| cell::Cell::Real(alert.value) },
            Export { name: "limit", value: |alert, _| cell::Cell::Real(alert.limit) },
        ],
    },
    Column {
        headings: &["MAIL"],
        align: Align::Left,
        width: &[whole(7, Size::Content(4, 12)), up_to(8, Size::Content(4, u16::MAX))],
        cell: |alert, context| Cell::Text(told(alert, context).into(), context.style(Role::Dim)),
        sort: None,
        exports: &[
            Export { name: "mail", value: |alert, context| text(&told(alert, context)) },
            Export {
                name: "acknowledged_at",
                value: |alert, _| acknowledgement(alert).map(|(at, _)| at.to_string()).into(),
            },
            Export {
                name: "acknowledged_by",
                value: |alert, _| acknowledgement(alert).and_then(|(_, actor)| actor.map(str::to_owned)).into(),
            },
        ],
    },
    Column {
        headings: &["DURATION"],
        align: Align::Left,
        width: &[whole(4, Size::Content(8, 9)), up_to(9, Size::Content(8, u16::MAX))],
        cell: lasted,
        sort: None,
        exports: &[Export {
            name: "end",
            value: |alert, _| {
                let word = |end| match end {
                    AlertEnd::Resolved => "resolved".to_owned(),
                    AlertEnd::Gone => "gone".to_owned(),
                    AlertEnd::Withdrawn => "rule removed".to_owned(),
                };
                alert.ended.map(|(_, end)| word(end)).into()
            },
        }],
    },
];

/// The name of its client; the address if the client is no longer in the fleet.
fn name_of<'a>(alert: &AlertView, context: &Context<'a>) -> Cow<'a, str> {
    match context.fleet.client(&alert.client) {
        Some(client) => client.card.name.as_str().into(),
        None => Cow::Owned(alert.client.to_string()),
    }
}

fn state(alert: &AlertView) -> &'static str {
    match (alert.ended.is_some(), alert.acknowledged.is_given()) {
        (true, _) => "ended",
        (false, true) => "acknowledged",
        (false, false) => "open",
    }
}

/// When it was acknowledged and by whom, as far as known.
fn acknowledgement(alert: &AlertView) -> Option<(Timestamp, Option<&str>)> {
    match &alert.acknowledged {
        Acknowledged::By { at, actor } => Some((*at, actor.as_deref())),
        Acknowledged::No | Acknowledged::Yes | Acknowledged::Withdrawn => None,
    }
}

/// Who acknowledged it, then who was mailed about it, or why nobody was.
fn told(alert: &AlertView, context: &Context<'_>) -> String {
    let known = match acknowledgement(alert) {
        Some((at, actor)) => {
            let at = format::clock_or_date(at, context.now);
            let by = actor.map_or_else(String::new, |actor| format!(" by {actor}"));
            Some(format!("acknowledged{by} at {at}"))
        }
        None if alert.acknowledged.is_given() => Some("acknowledged".to_owned()),
        None => None,
    };
    match (known, context.mails) {
        (Some(known), []) => known,
        (Some(known), mails) => format!("{known}, {}", mails.join(", ")),
        (None, []) => mailed(alert, context.fleet.alerts(), context.now),
        (None, mails) => mails.join(", "),
    }
}

fn text_role(alert: &AlertView) -> Role {
    if alert.ended.is_some() || alert.acknowledged.is_given() { Role::Dim } else { Role::Text }
}

fn sign<'a>(alert: &'a AlertView, context: &Context<'a>) -> Cell<'a> {
    let (glyph, role) = match (alert.ended, alert.metric.spec().evidence) {
        (Some(_), _) => (context.look.glyphs().ended, Role::Good),
        (None, Evidence::Failure) => (context.look.phase_glyph(Phase::Failed), Role::Bad),
        (
            None,
            Evidence::ProcessesByCpu
            | Evidence::ProcessesByMemory
            | Evidence::FileSystems
            | Evidence::Outlooks
            | Evidence::Nothing,
        ) => ("!", Role::Warning),
    };
    Cell::Text(glyph.into(), context.style(role))
}

fn lasted<'a>(alert: &'a AlertView, context: &Context<'a>) -> Cell<'a> {
    let wordings = match alert.ended {
        None => {
            let since = format::since(alert.raised_at, context.now);
            vec![format!("open {since}"), since]
        }
        Some((at, AlertEnd::Resolved)) => {
            let lasted = format::since(alert.raised_at, at);
            vec![format!("closed after {lasted}"), format!("after {lasted}"), lasted]
        }
        Some((_, AlertEnd::Gone)) => vec!["gone".to_owned()],
        Some((_, AlertEnd::Withdrawn)) => vec!["rule removed".to_owned(), "removed".to_owned()],
    };
    Cell::Wordings(wordings.into_iter().map(Cow::Owned).collect(), context.style(Role::Dim))
}

/// Its metric and instance in several wordings, the longest first.
fn what<'a>(alert: &AlertView) -> Vec<Cow<'a, str>> {
    let spec = alert.metric.spec();
    let value = spec.unit.show_short_beside(alert.value, alert.limit);
    let with_limit = spec.unit.compare_short(alert.value, spec.worse.sign(), alert.limit);
    let (key, short) = (alert.key(), spec.short);
    let wordings = match (spec.evidence, alert.ended) {
        (Evidence::Failure, None) => {
            let sweeps = if alert.value == 1.0 { "sweep" } else { "sweeps" };
            vec![format!("failed {value} {sweeps} in a row"), format!("failed {value} {sweeps}"), "failed".to_owned()]
        }
        (Evidence::Failure, Some(_)) => vec!["reachable again".to_owned(), "reachable".to_owned()],
        (_, None) => {
            vec![format!("{key} {with_limit}"), format!("{key} {value}"), format!("{short} {value}"), short.to_owned()]
        }
        (_, Some((_, AlertEnd::Gone))) => vec![format!("{key} {value}, gone"), format!("{short} gone")],
        (_, Some((_, AlertEnd::Resolved | AlertEnd::Withdrawn))) => {
            vec![format!("{key} back to {value}"), format!("{short} {value}"), short.to_owned()]
        }
    };
    wordings.into_iter().map(Cow::Owned).collect()
}

/// Who was mailed, or why nobody was.
fn mailed(alert: &AlertView, list: &AlertList, now: Timestamp) -> String {
    if let Some(mail) = list.mail_about(alert) {
        let (_, step) = &mail.step;
        return match step {
            MailStep::Queued => format!("mail to {} is waiting", mail.recipient),
            MailStep::Sent { .. } => format!("mailed {}", mail.recipient),
            MailStep::Deferred { error, next_at } => {
                let left = next_at.as_second().saturating_sub(now.as_second());
                let left = format::clock_span(u64::try_from(left).unwrap_or(0));
                format!("not mailed, retry in {left}: {error}")
            }
            MailStep::Refused { error } => format!("refused: {error}"),
        };
    }
    match (alert.notice, alert.mailed_in) {
        (Notice::Send(_), _) => "mail queued",
        (Notice::Hold(HoldReason::NoRecipient), _) => HoldReason::NoRecipient.words(),
        (Notice::Hold(_), Some(_)) => HoldReason::RecentlyMailed.words(),
        (Notice::Hold(reason), None) => reason.words(),
    }
    .to_owned()
}
