//! The rows of which details are made, and how each is drawn. Not what they say.

use ratatui::{
    layout::Rect,
    style::Style,
    text::{Line, Span as Piece},
};
use unicode_width::UnicodeWidthStr as _;

use crate::{
    fleet::Phase,
    tui::{
        draw::{
            canvas::{Canvas, steps},
            chart,
        },
        theme::Role,
    },
};

/// One row of the details.
pub(super) enum Row {
    /// Pieces of text.
    Text(Line<'static>),
    /// One stage of the timeline: its word, its begin and end as shares of the whole (0 to 1), how long it
    /// took, whether it failed.
    Stage { word: &'static str, span: Option<(f64, f64)>, took: String, state: StageState },
    /// Rows of a chart; the first of them carries it.
    Chart { values: Vec<Option<f64>>, height: u16, role: Role },
    /// A share with a label before and a text after.
    Gauge { label: String, percent: f64, after: String, exceeded: bool },
    /// One cell a core.
    Cores(Vec<f64>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum StageState {
    Passed,
    UnderWay,
    Failed,
    NotReached,
}

impl Row {
    /// What a filter by words looks at; `None` where it is no text.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Text(line) => Some(line.spans.iter().map(|span| span.content.as_ref()).collect()),
            Self::Stage { word, took, .. } => Some(format!("{word} {took}")),
            Self::Gauge { label, after, .. } => Some(format!("{label} {after}")),
            Self::Chart { .. } | Self::Cores(_) => None,
        }
    }

    pub(super) fn height(&self) -> u16 {
        match self {
            Self::Chart { height, .. } => *height,
            Self::Text(_) | Self::Stage { .. } | Self::Gauge { .. } | Self::Cores(_) => 1,
        }
    }
}

pub(super) fn put(canvas: &mut Canvas<'_>, row: &Row, area: Rect) {
    let (dim, text) = (canvas.style(Role::Dim), canvas.style(Role::Text));
    match row {
        Row::Text(line) => canvas.line(area.x, area.y, area.width, line),
        Row::Stage { word, span, took, state } => {
            canvas.text(area.x, area.y, 8, word, dim);
            let room = area.width.saturating_sub(9 + 9);
            let role = match state {
                StageState::Passed => Role::Good,
                StageState::UnderWay => Role::Active,
                StageState::Failed => Role::Bad,
                StageState::NotReached => Role::Dim,
            };
            if let Some((from, to)) = span {
                let (from, to) = (share(*from, room), share(*to, room));
                let glyph = canvas.glyphs().bar;
                for x in from..to.max(from + 1).min(room) {
                    canvas.text(area.x + 9 + x, area.y, 1, glyph, canvas.style(role));
                }
                if from >= room && room > 0 {
                    canvas.text(area.x + 8 + room, area.y, 1, canvas.glyphs().half, canvas.style(role));
                }
            }
            let right = area.right().saturating_sub(2);
            if *state == StageState::NotReached {
                canvas.text(area.x + 9, area.y, area.width.saturating_sub(9), took, dim);
            } else {
                canvas.text_before(right, area.y, 8, took, text);
            }
            if *state == StageState::Failed {
                let glyph = canvas.look().phase_glyph(Phase::Failed);
                canvas.text(area.right().saturating_sub(1), area.y, 1, glyph, canvas.style(Role::Bad));
            }
        }
        Row::Chart { values, role, .. } => chart::bars(canvas, area, values, *role),
        Row::Gauge { label, percent, after, exceeded } => {
            let label_width = (area.width / 3).clamp(8, 24);
            canvas.text(area.x, area.y, label_width - 1, label, text);
            let width = 10.min(area.width.saturating_sub(label_width));
            let filled = steps(*percent, width);
            let role = if *exceeded { Role::Warning } else { Role::Good };
            for column in 0..width {
                let (glyph, role) =
                    if column < filled { (canvas.glyphs().full, role) } else { (canvas.glyphs().empty, Role::Dim) };
                canvas.text(area.x + label_width + column, area.y, 1, glyph, canvas.style(role));
            }
            let x = area.x + label_width + width;
            canvas.text(x, area.y, area.right().saturating_sub(x), &format!(" {percent:>3.0}%  {after}"), dim);
        }
        Row::Cores(cores) => {
            let x = canvas.text(area.x, area.y, 8, "cores", dim).max(area.x + 9);
            let room = area.right().saturating_sub(x);
            // More cores than columns: the busiest of its neighbours stands for them.
            let each = cores.len().div_ceil(usize::from(room.max(1))).max(1);
            for (column, part) in (x..area.right()).zip(cores.chunks(each)) {
                let most = part.iter().copied().fold(0.0, f64::max);
                canvas.text(column, area.y, 1, chart::height(canvas.glyphs(), Some(most)), canvas.style(Role::Active));
            }
        }
    }
}

/// A share of the whole as a number of columns.
fn share(part: f64, width: u16) -> u16 {
    let exact = (part.clamp(0.0, 1.0) * f64::from(width)).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "lies between 0 and width")]
    let columns = exact as u16;
    columns
}

pub(super) struct List<'p, 'b> {
    pub(super) rows: Vec<Row>,
    pub(super) canvas: &'p Canvas<'b>,
}

impl List<'_, '_> {
    pub(super) fn text(&mut self, role: Role, text: String) {
        self.rows.push(Row::Text(Line::styled(text, self.canvas.style(role))));
    }

    pub(super) fn blank(&mut self) {
        self.rows.push(Row::Text(Line::default()));
    }

    /// Text at the left and text at the right of one row.
    pub(super) fn both(&mut self, left: (&str, Style), right: (&str, Style), width: u16) {
        let gap = usize::from(width).saturating_sub(left.0.width() + right.0.width());
        self.rows.push(Row::Text(Line::from(vec![
            Piece::styled(left.0.to_owned(), left.1),
            Piece::raw(" ".repeat(gap)),
            Piece::styled(right.0.to_owned(), right.1),
        ])));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_columns_within_their_room() {
        for (part, expected) in [(-1.0, 0), (0.0, 0), (0.5, 5), (1.0, 10), (9.0, 10)] {
            assert_eq!(share(part, 10), expected);
        }
    }
}
