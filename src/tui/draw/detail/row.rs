//! The rows of the details and how they are drawn.

use std::rc::Rc;

use ratatui::{
    layout::Rect,
    style::Style,
    text::{Line, Span as Piece},
};

use crate::{
    fleet::Phase,
    tui::{
        columns::{Column, Context},
        draw::{
            canvas::Canvas,
            chart::{self, Chart},
            list::{Listing, Space},
        },
        text::columns_of,
        theme::Role,
    },
};

/// A row of the details.
pub(super) enum Row<'m> {
    /// Pieces of text.
    Text(Line<'static>),
    /// A stage of the timeline: its name, its beginning and end relative to the whole (0 to 1), its duration, its
    /// state.
    Stage { word: &'static str, span: Option<(f64, f64)>, took: String, state: StageState },
    /// A chart with several rows. The first row contains it.
    Chart { chart: Chart, height: u16 },
    /// The heading of a list.
    Heading(Rc<Listing<'m>>),
    /// One row of a list.
    Item(Rc<Listing<'m>>, usize),
    /// One cell per core.
    Cores(Vec<f64>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum StageState {
    Passed,
    UnderWay,
    Failed,
    NotReached,
}

impl Row<'_> {
    /// The text for a filter by words; `None` if there is no text.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Text(line) => Some(line.spans.iter().map(|span| span.content.as_ref()).collect()),
            Self::Stage { word, took, .. } => Some(format!("{word} {took}")),
            Self::Item(list, index) => Some(list.text(*index)),
            Self::Chart { .. } | Self::Heading(_) | Self::Cores(_) => None,
        }
    }

    pub(super) fn height(&self) -> u16 {
        match self {
            Self::Chart { height, .. } => *height,
            Self::Text(_) | Self::Stage { .. } | Self::Heading(_) | Self::Item(..) | Self::Cores(_) => 1,
        }
    }
}

pub(super) fn put(canvas: &mut Canvas<'_>, row: &Row<'_>, area: Rect) {
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
        Row::Chart { chart, .. } => chart::put(canvas, area, chart),
        // Lists begin with a blank column, other rows with text.
        Row::Heading(list) => list.heading(canvas, Rect { x: area.x.saturating_sub(1), ..area }, None),
        Row::Item(list, index) => list.row(canvas, *index, Rect { x: area.x.saturating_sub(1), ..area }),
        Row::Cores(cores) => {
            let x = canvas.text(area.x, area.y, 8, "cores", dim).max(area.x + 9);
            let room = area.right().saturating_sub(x);
            // If there are more cores than columns, a column shows the busiest of several cores.
            let each = cores.len().div_ceil(usize::from(room.max(1))).max(1);
            for (column, part) in (x..area.right()).zip(cores.chunks(each)) {
                let most = part.iter().copied().fold(0.0, f64::max);
                canvas.text(column, area.y, 1, chart::height(canvas.glyphs(), Some(most)), canvas.style(Role::Active));
            }
        }
    }
}

/// A fraction of the width, in columns.
fn share(part: f64, width: u16) -> u16 {
    let exact = (part.clamp(0.0, 1.0) * f64::from(width)).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "lies between 0 and width")]
    let columns = exact as u16;
    columns
}

pub(super) struct List<'p, 'b, 'm> {
    pub(super) rows: Vec<Row<'m>>,
    pub(super) canvas: &'p Canvas<'b>,
}

impl<'m> List<'_, '_, 'm> {
    pub(super) fn text(&mut self, role: Role, text: String) {
        self.rows.push(Row::Text(Line::styled(text, self.canvas.style(role))));
    }

    pub(super) fn blank(&mut self) {
        self.rows.push(Row::Text(Line::default()));
    }

    /// A list with its heading, in this number of columns.
    pub(super) fn list<T: 'static>(
        &mut self,
        columns: &'static [Column<T>],
        items: impl IntoIterator<Item = (&'m T, Context<'m>)>,
        width: u16,
    ) {
        let items: Vec<_> = items.into_iter().collect();
        let count = items.len();
        // The blank column before the first one is outside of the area.
        let list = Rc::new(Listing::of(columns, items, Space { width: width + 1, ..Space::default() }));
        self.rows.push(Row::Heading(list.clone()));
        self.rows.extend((0..count).map(|index| Row::Item(list.clone(), index)));
    }

    /// Text on the left and on the right of one row.
    pub(super) fn both(&mut self, left: (&str, Style), right: (&str, Style), width: u16) {
        let gap = usize::from(width.saturating_sub(columns_of(left.0)).saturating_sub(columns_of(right.0)));
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
