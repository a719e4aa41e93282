//! For comparison: ratatui's table, built completely for each frame.

use ratatui::{
    Frame,
    layout::Constraint,
    style::{Color, Style},
    widgets::{Cell, Row, TableState},
};

/// The cells of a row.
#[derive(Debug, Clone)]
struct Line {
    state: &'static str,
    name: String,
    cpu: usize,
    memory: usize,
    spark: String,
}

/// A table with this many rows, the third one selected.
#[derive(Debug)]
pub(crate) struct Table {
    lines: Vec<Line>,
    state: TableState,
}

impl Table {
    pub(crate) fn of(clients: usize) -> Self {
        let line = |n: usize| Line {
            state: "■ ok",
            name: format!("web-{n:05}"),
            cpu: n * 7 % 100,
            memory: n * 13 % 100,
            spark: "▁▂▂▃▅▇▆▅▃▂▁▂▂▃▅▇".to_owned(),
        };
        Self { lines: (0..clients).map(line).collect(), state: TableState::new().with_selected(2) }
    }

    /// Replaces a row.
    pub(crate) fn change(&mut self, turn: u32) {
        if let Some(line) = self.lines.get_mut(3) {
            line.state = if turn.is_multiple_of(2) { "◆ execute" } else { "△ upload" };
        }
    }

    pub(crate) fn draw(&mut self, frame: &mut Frame<'_>) {
        let gauge = |percent: usize| {
            let filled = percent / 10;
            format!("{}{} {percent:>3}%", "█".repeat(filled), "░".repeat(10 - filled))
        };
        let rows = self.lines.iter().map(|line| {
            Row::new([
                Cell::from(line.state).style(Style::new().fg(Color::Green)),
                Cell::from(line.name.as_str()),
                Cell::from(gauge(line.cpu)),
                Cell::from(gauge(line.memory)),
                Cell::from(line.spark.as_str()).style(Style::new().fg(Color::Cyan)),
                Cell::from(format!("{}s", line.cpu)),
            ])
        });
        let widths = [9, 12, 15, 15, 16, 4].map(Constraint::Length);
        let table = ratatui::widgets::Table::new(rows, widths)
            .header(Row::new(["STATE", "CLIENT", "CPU %", "MEM %", "CPU x16", "AGE"]))
            .row_highlight_style(Style::new().bg(Color::DarkGray));
        frame.render_stateful_widget(table, frame.area(), &mut self.state);
    }
}
