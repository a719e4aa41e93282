//! The columns of the log view.

use super::{
    Align, Cell, Column, Context, Export, text,
    width::{Size, number, up_to, whole},
};
use crate::{
    fleet::stream::{LogLevel, LogLine},
    tui::{format, theme::Role},
};

/// The columns, from left to right. The message is the last one, because it is cut off.
pub(in crate::tui) static COLUMNS: [Column<LogLine>; 4] = [
    Column {
        headings: &["TIME"],
        align: Align::Left,
        width: &[number(2, 8)],
        cell: |line, context| Cell::Text(format::time(line.at).into(), context.style(Role::Dim)),
        sort: None,
        exports: &[Export { name: "time", value: |line, _| text(&line.at.to_string()) }],
    },
    Column {
        headings: &["LEVEL"],
        align: Align::Left,
        width: &[whole(1, Size::Of(5))],
        cell: |line, context| Cell::Text(line.level.word().into(), context.style(role(line.level))),
        sort: None,
        exports: &[Export { name: "level", value: |line, _| text(line.level.word().trim_end()) }],
    },
    Column {
        headings: &["CLIENT"],
        align: Align::Left,
        width: &[whole(3, Size::Content(6, 8)), up_to(4, Size::Share(6, 40))],
        cell: |line, context| Cell::Name(line.client.as_deref().unwrap_or_default().into(), context.style(Role::Text)),
        sort: None,
        exports: &[Export { name: "client", value: |line, _| line.client.clone().into() }],
    },
    Column {
        headings: &["MESSAGE"],
        align: Align::Left,
        width: &[whole(0, Size::Content(7, 12)), up_to(5, Size::All)],
        cell: message,
        sort: None,
        exports: &[Export { name: "message", value: |line, _| text(&line.text) }],
    },
];

fn message<'a>(line: &'a LogLine, context: &Context<'a>) -> Cell<'a> {
    let role = if line.level == LogLevel::Debug { Role::Dim } else { Role::Text };
    Cell::Text(line.text.as_str().into(), context.style(role))
}

/// The role of a level.
pub(in crate::tui) fn role(level: LogLevel) -> Role {
    match level {
        LogLevel::Error => Role::Bad,
        LogLevel::Warn => Role::Warning,
        LogLevel::Info => Role::Text,
        LogLevel::Debug => Role::Dim,
    }
}
