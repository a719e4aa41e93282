//! The columns of the mail list.

use super::{
    Align, Cell, Column, Context, Export, text,
    width::{Size, number, up_to, whole},
};
use crate::{
    fleet::{
        cell,
        history::{MailRow, MailStatus},
    },
    tui::{format, theme::Role},
};

/// The columns, from left to right.
pub(in crate::tui) static COLUMNS: [Column<MailRow>; 5] = [
    Column {
        headings: &["TIME"],
        align: Align::Left,
        width: &[number(2, 8)],
        cell: |mail, context| {
            Cell::Text(format::time_or_date(mail.created_at, context.now).into(), context.style(Role::Dim))
        },
        sort: None,
        exports: &[Export { name: "created_at", value: |mail, _| text(&mail.created_at.to_string()) }],
    },
    Column {
        headings: &["STATUS"],
        align: Align::Left,
        width: &[whole(0, Size::Of(1)), whole(3, Size::Of(9))],
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
        width: &[whole(7, Size::Content(4, 9))],
        cell: |mail, context| Cell::Text(mail.kind.word().into(), context.style(Role::Dim)),
        sort: None,
        exports: &[Export { name: "kind", value: |mail, _| text(mail.kind.word()) }],
    },
    Column {
        headings: &["RECIPIENT"],
        align: Align::Left,
        width: &[whole(4, Size::Content(9, 12)), up_to(6, Size::Share(9, 40))],
        cell: |mail, context| Cell::Name(mail.recipient.as_str().into(), context.style(Role::Text)),
        sort: None,
        exports: &[Export { name: "recipient", value: |mail, _| text(&mail.recipient) }],
    },
    Column {
        headings: &["SUBJECT"],
        align: Align::Left,
        width: &[whole(1, Size::Content(7, 12)), up_to(5, Size::Share(7, 50)), up_to(8, Size::All)],
        cell: |mail, context| Cell::Text(mail.subject.as_str().into(), context.style(Role::Text)),
        sort: None,
        exports: &[
            Export { name: "subject", value: |mail, _| text(&mail.subject) },
            Export { name: "text", value: |mail, _| text(&mail.body) },
        ],
    },
];

fn status<'a>(mail: &'a MailRow, context: &Context<'a>) -> Cell<'a> {
    let glyphs = context.look.glyphs();
    let (glyph, role) = match mail.status {
        MailStatus::Waiting { .. } => (glyphs.between, Role::Warning),
        MailStatus::Sent { .. } => (glyphs.ended, Role::Good),
        MailStatus::Refused => ("!", Role::Bad),
    };
    Cell::Wordings(vec![format!("{glyph} {}", word(mail.status)).into(), glyph.into()], context.style(role))
}

fn word(status: MailStatus) -> &'static str {
    match status {
        MailStatus::Waiting { .. } => "waiting",
        MailStatus::Sent { .. } => "sent",
        MailStatus::Refused => "refused",
    }
}
