//! The columns of the lists in the details: processes and file systems.

use std::borrow::Cow;

use super::{
    Align, Cell, Column,
    width::{Size, number, up_to, whole},
};
use crate::{
    fleet::{
        Percent,
        outlook::Outlook,
        reading::{FileSystem, Process},
    },
    tui::theme::Role,
};

/// The processes with the highest CPU use.
pub(in crate::tui) static BY_CPU: [Column<Process>; 4] = processes(&["TOP PROCESSES BY CPU", "TOP BY CPU"]);

/// The processes with the highest memory use.
pub(in crate::tui) static BY_MEMORY: [Column<Process>; 4] = processes(&["TOP PROCESSES BY MEMORY", "TOP BY MEMORY"]);

const fn processes(headings: &'static [&'static str]) -> [Column<Process>; 4] {
    [
        Column {
            headings,
            align: Align::Left,
            width: const { &[whole(0, Size::Content(6, 10)), up_to(4, Size::Content(24, 40))] },
            cell: |process, context| Cell::Name(process.name.as_str().into(), context.style(Role::Text)),
            sort: None,
            exports: &[],
        },
        Column {
            headings: &["PID"],
            align: Align::Right,
            width: const { &[number(3, 7)] },
            cell: |process, context| Cell::Text(process.pid.to_string().into(), context.style(Role::Dim)),
            sort: None,
            exports: &[],
        },
        Column {
            headings: &["CPU"],
            align: Align::Right,
            width: const { &[number(1, 6)] },
            cell: |process, context| {
                Cell::Text(format!("{:.1}%", process.cpu_percent).into(), context.style(Role::Text))
            },
            sort: None,
            exports: &[],
        },
        Column {
            headings: &["MEMORY"],
            align: Align::Right,
            width: const { &[number(2, 9)] },
            cell: |process, context| Cell::Text(process.memory.to_string().into(), context.style(Role::Text)),
            sort: None,
            exports: &[],
        },
    ]
}

/// The file systems.
pub(in crate::tui) static FILE_SYSTEMS: [Column<FileSystem>; 5] = [
    Column {
        headings: &["FILE SYSTEM", "MOUNT"],
        align: Align::Left,
        width: const { &[whole(0, Size::Content(6, 10)), up_to(4, Size::Content(11, 60))] },
        cell: |system, context| Cell::Name(system.mount.as_str().into(), context.style(Role::Text)),
        sort: None,
        exports: &[],
    },
    Column {
        headings: &["USED"],
        align: Align::Left,
        width: const { &[whole(1, Size::Of(4)), whole(3, Size::Of(9)), up_to(5, Size::Of(21))] },
        cell: |system, context| {
            let percent = system.percent().map(Percent::get);
            let is_exceeded = percent.zip(context.limit).is_some_and(|(percent, limit)| percent > limit);
            Cell::Gauge { percent, is_fresh: true, is_exceeded }
        },
        sort: None,
        exports: &[],
    },
    Column {
        headings: &["FREE"],
        align: Align::Right,
        width: const { &[number(2, 9)] },
        cell: |system, context| size(system.available.to_string(), context.style(Role::Dim)),
        sort: None,
        exports: &[],
    },
    Column {
        headings: &["FULL IN"],
        align: Align::Right,
        width: const { &[number(5, 7)] },
        cell: |system, context| {
            let text = system.outlook().map(Outlook::short);
            context.number(text, context.style(Role::Text))
        },
        sort: None,
        exports: &[],
    },
    Column {
        headings: &["SIZE"],
        align: Align::Right,
        width: const { &[number(6, 9)] },
        cell: |system, context| size(system.total.to_string(), context.style(Role::Dim)),
        sort: None,
        exports: &[],
    },
];

fn size(text: String, style: ratatui::style::Style) -> Cell<'static> {
    Cell::Text(Cow::Owned(text), style)
}
