//! The columns of the log view.

use super::{Align, Cell, Column, Context, REST};
use crate::{
    fleet::stream::{LogLevel, LogLine},
    tui::{format, theme::Role},
};

/// The columns, from left to right.
pub(in crate::tui) static COLUMNS: [Column<LogLine>; 3] = [
    Column {
        headings: &["TIME"],
        align: Align::Left,
        width: |_| 8,
        cell: |line, context, _| Cell::Text(format::time(line.at).into(), context.style(Role::Dim)),
        sort: None,
        exports: &[],
    },
    Column {
        headings: &["LEVEL"],
        align: Align::Left,
        width: |_| 5,
        cell: |line, context, _| Cell::Text(line.level.word().into(), context.style(role(line.level))),
        sort: None,
        exports: &[],
    },
    Column { headings: &["MESSAGE"], align: Align::Left, width: |_| REST, cell: message, sort: None, exports: &[] },
];

fn message<'a>(line: &'a LogLine, context: &Context<'a>, _: u16) -> Cell<'a> {
    let role = if line.level == LogLevel::Debug { Role::Dim } else { Role::Text };
    Cell::Text(line.text.as_str().into(), context.style(role))
}

fn role(level: LogLevel) -> Role {
    match level {
        LogLevel::Error => Role::Bad,
        LogLevel::Warn => Role::Warning,
        LogLevel::Info => Role::Text,
        LogLevel::Debug => Role::Dim,
    }
}
