//! The columns of the mail list.

use super::{Align, Cell, Column, Context, REST};
use crate::{
    fleet::history::{MailRow, MailStatus},
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
        exports: &[],
    },
    Column { headings: &["STATUS"], align: Align::Left, width: |_| 9, cell: status, sort: None, exports: &[] },
    Column {
        headings: &["KIND"],
        align: Align::Left,
        width: |room| if room.width >= WIDE { 9 } else { 0 },
        cell: |mail, context, _| Cell::Text(mail.kind.word().into(), context.style(Role::Dim)),
        sort: None,
        exports: &[],
    },
    Column {
        headings: &["RECIPIENT"],
        align: Align::Left,
        width: |room| if room.width >= WIDE { 27 } else { 19 },
        cell: |mail, context, _| Cell::Text(mail.recipient.as_str().into(), context.style(Role::Text)),
        sort: None,
        exports: &[],
    },
    Column {
        headings: &["SUBJECT"],
        align: Align::Left,
        width: |_| REST,
        cell: |mail, context, _| Cell::Text(mail.subject.as_str().into(), context.style(Role::Text)),
        sort: None,
        exports: &[],
    },
];

fn status<'a>(mail: &'a MailRow, context: &Context<'a>, _: u16) -> Cell<'a> {
    let glyphs = context.look.glyphs();
    let (glyph, word, role) = match mail.status {
        MailStatus::Waiting { .. } => (glyphs.between, "waiting", Role::Warning),
        MailStatus::Sent { .. } => (glyphs.ended, "sent", Role::Good),
        MailStatus::Refused => ("!", "refused", Role::Bad),
    };
    Cell::Text(format!("{glyph} {word}").into(), context.style(role))
}
