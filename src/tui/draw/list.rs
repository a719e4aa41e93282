//! Draws lists by their columns: the heading and single rows. Not what the columns are, and not which rows are
//! visible.

use ratatui::layout::Rect;

use super::{
    canvas::{Canvas, columns_of, small, steps},
    chart,
};
use crate::tui::{
    columns::{Align, Cell, Column, Context, REST},
    theme::Role,
};

/// The parts of a list that fills a view.
pub(super) struct Areas {
    /// The heading; `None` where there is no room for it.
    pub(super) heading: Option<Rect>,
    /// The rows.
    pub(super) rows: Rect,
}

impl Areas {
    /// For an area whose first row is its title.
    pub(super) fn of(area: Rect) -> Self {
        let has_heading = area.height >= 8;
        let taken = (1 + u16::from(has_heading)).min(area.height);
        Self {
            heading: has_heading.then_some(Rect { y: area.y + 1, height: 1, ..area }),
            rows: Rect { y: area.y + taken, height: area.height - taken, ..area },
        }
    }
}

/// The first item that is shown in so many rows, so that the selected one is visible.
pub(super) fn first(selected: usize, rows: u16) -> usize {
    (selected + 1).saturating_sub(usize::from(rows.max(1)))
}

/// Highlights the row of the selected item.
pub(super) fn select(canvas: &mut Canvas<'_>, area: Rect) {
    canvas.tint(area, canvas.look().selection());
    canvas.text(area.x, area.y, 1, canvas.glyphs().selected, canvas.style(Role::Accent));
}

/// The heading of each column. `is_sorted` tells by which one the list is sorted.
pub(super) fn heading<'c, T: 'static>(
    canvas: &mut Canvas<'_>,
    columns: impl Iterator<Item = &'c Column<T>>,
    widths: &[u16],
    area: Rect,
    is_sorted: impl Fn(usize) -> bool,
) {
    let mut places = Places::new(area);
    for (index, (column, width)) in columns.zip(widths).enumerate() {
        let Some((x, width)) = places.take(*width) else { continue };
        let Some(text) = column.headings.iter().find(|text| columns_of(text) <= width) else { continue };
        let style = canvas.style(if is_sorted(index) { Role::Accent } else { Role::Dim });
        put_text(canvas, (x, area.y), width, column.align, text, style);
    }
}

/// One row: a cell per column.
pub(super) fn row<'c, 'a, T: 'static>(
    canvas: &mut Canvas<'_>,
    columns: impl Iterator<Item = &'c Column<T>>,
    widths: &[u16],
    area: Rect,
    (item, context): (&'a T, &Context<'a>),
) {
    let mut places = Places::new(area);
    for (column, width) in columns.zip(widths) {
        let Some((x, width)) = places.take(*width) else { continue };
        match (column.cell)(item, context, width) {
            Cell::Text(text, style) => put_text(canvas, (x, area.y), width, column.align, &text, style),
            Cell::Gauge { percent, is_fresh, is_exceeded } => {
                gauge(canvas, (x, area.y), width, percent, is_fresh, is_exceeded);
            }
            Cell::Bars { percents, style } => {
                let from = x + width.saturating_sub(small(percents.len()));
                for (x, percent) in (from..x + width).zip(percents) {
                    canvas.text(x, area.y, 1, chart::height(canvas.glyphs(), percent), style);
                }
            }
        }
    }
}

fn put_text(
    canvas: &mut Canvas<'_>,
    (x, y): (u16, u16),
    width: u16,
    align: Align,
    text: &str,
    style: ratatui::style::Style,
) {
    match align {
        Align::Left => {
            canvas.text(x, y, width, text, style);
        }
        Align::Right => {
            canvas.text_before(x + width, y, width, text, style);
        }
    }
}

/// How many columns the number of a gauge takes.
const SHARE: u16 = 5;

/// A gauge: solid for the last collection, dotted for what was known before. Where the width allows it a bar, then
/// the number.
fn gauge(
    canvas: &mut Canvas<'_>,
    (x, y): (u16, u16),
    width: u16,
    percent: Option<f64>,
    is_fresh: bool,
    is_exceeded: bool,
) {
    let glyphs = canvas.glyphs();
    let bar = width.saturating_sub(SHARE);
    let text_style = canvas.style(match (percent.is_some() && is_fresh, is_exceeded) {
        (true, true) => Role::Warning,
        (true, false) => Role::Text,
        (false, _) => Role::Dim,
    });
    let text = percent.map_or_else(|| glyphs.none.to_owned(), |percent| format!("{percent:.0}%"));
    canvas.text_before(x + width, y, width - bar, &text, text_style);
    let Some(percent) = percent else { return };
    let filled = steps(percent, bar);
    let (full, empty) = if is_fresh { (glyphs.full, glyphs.empty) } else { (glyphs.stale, glyphs.stale_empty) };
    let full_style = canvas.style(match (is_fresh, is_exceeded) {
        (true, true) => Role::Warning,
        (true, false) => Role::Good,
        (false, _) => Role::Dim,
    });
    for column in 0..bar {
        let (glyph, style) = if column < filled { (full, full_style) } else { (empty, canvas.style(Role::Dim)) };
        canvas.text(x + column, y, 1, glyph, style);
    }
}

/// Goes through a row from column to column.
struct Places {
    x: u16,
    right: u16,
}

impl Places {
    fn new(area: Rect) -> Self {
        // The first column of the screen is for the sign of the selected row.
        Self { x: area.x + 1, right: area.right() }
    }

    /// Where the next column begins and how wide it is; `None` where it is left out or does not fit.
    fn take(&mut self, width: u16) -> Option<(u16, u16)> {
        let x = self.x;
        let room = self.right.saturating_sub(x);
        if width == 0 || room == 0 {
            return None;
        }
        self.x = x.saturating_add(width).saturating_add(1);
        if width == REST || width <= room { Some((x, width.min(room))) } else { Some((x, room)) }
    }
}
