//! The columns of the mail list.

use super::{Align, Cell, Column, Context, Export, REST, text};
use crate::{
    fleet::{
        cell,
        history::{MailRow, MailStatus},
    },
    tui::{format, theme::Role},
};

/// From this width on, screen columns, there is room for the kind of a mail and a long recipient.
const WIDE: u16 = 100;

/// The columns, from left to right.
pub(in crate::tui) static COLUMNS: [Column<MailRow>; 5] = [
    Column {
        headings: &["TIME"],
        align: Align::Left,
        width: |_| 8,
        cell: |mail, context, _| {
            Cell::Text(format::time_or_date(mail.created_at, context.now).into(), context.style(Role::Dim))
        },
        sort: None,
        exports: &[Export { name: "created_at", value: |mail, _| text(&mail.created_at.to_string()) }],
    },
    Column {
        headings: &["STATUS"],
        align: Align::Left,
        width: |_| 9,
        cell: status,
        sort: None,
        exports: &[
            Export { name: "status", value: |mail, _| text(word(mail.status)) },
            Export { name: "attempts", value: |mail, _| cell::Cell::Integer(mail.attempts.into()) },
            Export { name: "answer", value: |mail, _| mail.answer.clone().into() },
        ],
    },
    Column {
        headings: &["KIND"],
        align: Align::Left,
        width: |room| if room.width >= WIDE { 9 } else { 0 },
        cell: |mail, context, _| Cell::Text(mail.kind.word().into(), context.style(Role::Dim)),
        sort: None,
        exports: &[Export { name: "kind", value: |mail, _| text(mail.kind.word()) }],
    },
    Column {
        headings: &["RECIPIENT"],
        align: Align::Left,
        width: |room| if room.width >= WIDE { 27 } else { 19 },
        cell: |mail, context, _| Cell::Text(mail.recipient.as_str().into(), context.style(Role::Text)),
        sort: None,
        exports: &[Export { name: "recipient", value: |mail, _| text(&mail.recipient) }],
    },
    Column {
        headings: &["SUBJECT"],
        align: Align::Left,
        width: |_| REST,
        cell: |mail, context, _| Cell::Text(mail.subject.as_str().into(), context.style(Role::Text)),
        sort: None,
        exports: &[
            Export { name: "subject", value: |mail, _| text(&mail.subject) },
            Export { name: "text", value: |mail, _| text(&mail.body) },
        ],
    },
];

fn status<'a>(mail: &'a MailRow, context: &Context<'a>, _: u16) -> Cell<'a> {
    let glyphs = context.look.glyphs();
    let (glyph, role) = match mail.status {
        MailStatus::Waiting { .. } => (glyphs.between, Role::Warning),
        MailStatus::Sent { .. } => (glyphs.ended, Role::Good),
        MailStatus::Refused => ("!", Role::Bad),
    };
    Cell::Text(format!("{glyph} {}", word(mail.status)).into(), context.style(role))
}

fn word(status: MailStatus) -> &'static str {
    match status {
        MailStatus::Waiting { .. } => "waiting",
        MailStatus::Sent { .. } => "sent",
        MailStatus::Refused => "refused",
    }
}
