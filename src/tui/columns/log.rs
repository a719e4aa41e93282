//! The columns of the log view.

use super::{Align, Cell, Column, Context, Export, REST, text};
use crate::{
    fleet::stream::{LogLevel, LogLine},
    tui::{format, theme::Role},
};

/// The columns, from left to right. The client comes before the message, which is what is cut.
pub(in crate::tui) static COLUMNS: [Column<LogLine>; 4] = [
    Column {
        headings: &["TIME"],
        align: Align::Left,
        width: |_| 8,
        cell: |line, context, _| Cell::Text(format::time(line.at).into(), context.style(Role::Dim)),
        sort: None,
        exports: &[Export { name: "time", value: |line, _| text(&line.at.to_string()) }],
    },
    Column {
        headings: &["LEVEL"],
        align: Align::Left,
        width: |_| 5,
        cell: |line, context, _| Cell::Text(line.level.word().into(), context.style(role(line.level))),
        sort: None,
        exports: &[Export { name: "level", value: |line, _| text(line.level.word().trim_end()) }],
    },
    Column {
        headings: &["CLIENT"],
        align: Align::Left,
        width: |room| if room.longest_name == 0 { 0 } else { room.longest_name.clamp(6, (room.width / 4).max(6)) },
        cell: |line, context, _| {
            Cell::Text(line.client.as_deref().unwrap_or_default().into(), context.style(Role::Text))
        },
        sort: None,
        exports: &[Export { name: "client", value: |line, _| line.client.clone().into() }],
    },
    Column {
        headings: &["MESSAGE"],
        align: Align::Left,
        width: |_| REST,
        cell: message,
        sort: None,
        exports: &[Export { name: "message", value: |line, _| text(&line.text) }],
    },
];

fn message<'a>(line: &'a LogLine, context: &Context<'a>, _: u16) -> Cell<'a> {
    let role = if line.level == LogLevel::Debug { Role::Dim } else { Role::Text };
    Cell::Text(line.text.as_str().into(), context.style(role))
}

/// What a level means.
pub(in crate::tui) fn role(level: LogLevel) -> Role {
    match level {
        LogLevel::Error => Role::Bad,
        LogLevel::Warn => Role::Warning,
        LogLevel::Info => Role::Text,
        LogLevel::Debug => Role::Dim,
    }
}
