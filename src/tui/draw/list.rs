//! Draws lists by their columns: the heading and single rows.

use ratatui::layout::Rect;

use super::{
    canvas::{Canvas, small},
    chart, gauge,
};
use crate::{
    fleet::listing::Listed,
    tui::{
        columns::{
            Align, Cell, Column, Context,
            width::{self, Asks},
        },
        format,
        model::Model,
        text::{NameCut, best_cut, columns_of, cut_name},
        theme::Role,
        window::Window,
    },
};

/// The parts of a list in a view of its own.
pub(super) struct Areas {
    /// The heading; `None` if there is no space for it.
    pub(super) heading: Option<Rect>,
    /// The rows.
    pub(super) rows: Rect,
}

impl Areas {
    /// For an area whose first row is the title.
    pub(super) fn of(area: Rect) -> Self {
        let has_heading = area.height >= 8;
        let taken = (1 + u16::from(has_heading)).min(area.height);
        Self {
            heading: has_heading.then_some(Rect { y: area.y + 1, height: 1, ..area }),
            rows: Rect { y: area.y + taken, height: area.height - taken, ..area },
        }
    }
}

/// The index of the first visible item, so that the selected one is visible.
pub(super) fn first(selected: usize, rows: u16) -> usize {
    (selected + 1).saturating_sub(usize::from(rows.max(1)))
}

/// How many rows of a long list a filter has found: it looks through what is loaded.
pub(super) fn filtered<T: Listed>(window: &Window<T>, found: usize) -> String {
    let (loaded, total) = (window.rows().map_or(0, <[T]>::len) as u64, window.total());
    let (found, loaded_text) = (format::grouped(found as u64), format::grouped(loaded));
    let failed = window.failed().map_or_else(String::new, |why| format!(" · failed: {why}"));
    if loaded < total {
        format!("{found} among the {loaded_text} loaded of {}{failed}", format::grouped(total))
    } else {
        format!("{found} of {loaded_text}{failed}")
    }
}

/// What stands in place of clients if there are none.
pub(super) fn no_clients(model: &Model) -> &'static str {
    if model.is_asking() { format::asking(model.look.unicode) } else { "No clients yet." }
}

/// What stands where a filter leaves nothing of a long list.
pub(super) fn nothing_found<T: Listed>(window: &Window<T>, what: &str) -> String {
    if window.has_older() {
        format!("No {what} among those that are loaded matches. Down looks further, Esc clears the filter.")
    } else {
        format!("No {what} matches. Esc clears the filter.")
    }
}

/// The position of the selected row in a long list, `1,234 of 3,000`, and errors.
pub(super) fn place<T: Listed>(window: &Window<T>, selected: usize) -> String {
    let unreadable = format::unreadable(window.unreadable() as u64);
    let failed = window.failed().map_or_else(String::new, |why| format!(" · failed: {why}"));
    match window.rows() {
        None | Some([]) => format!("0{unreadable}{failed}"),
        Some(_) => {
            let (place, total) = (format::grouped(window.place(selected)), format::grouped(window.total()));
            format!("{place} of {total}{unreadable}{failed}")
        }
    }
}

/// Highlights the row of the selected item.
pub(super) fn select(canvas: &mut Canvas<'_>, area: Rect) {
    canvas.tint(area, canvas.look().selection());
    canvas.text(area.x, area.y, 1, canvas.glyphs().selected, canvas.style(Role::Accent));
}

/// The visible rows of a list, with the widths of its columns.
pub(super) struct Listing<'a> {
    columns: Vec<Shown>,
    rows: Vec<Vec<Cell<'a>>>,
}

/// A column of the list.
struct Shown {
    headings: &'static [&'static str],
    align: Align,
    /// 0 if it is not shown.
    width: u16,
    /// How names that are too long are cut.
    cut: NameCut,
}

/// The width of the arrow in a heading and the blank before it.
const ARROW: u16 = 2;

/// The parameters besides the visible rows that determine the widths of a list.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Space {
    /// The width of the list, with the column for the sign of the selected row.
    pub(super) width: u16,
    /// The column by which it is sorted, which is always shown.
    pub(super) sorted: Option<usize>,
    /// The length of the longest name, even if it is not visible, so that the width does not change while scrolling.
    pub(super) longest_name: u16,
}

impl<'a> Listing<'a> {
    /// The visible `items` with the context of each.
    pub(super) fn of<T: 'static>(
        columns: impl IntoIterator<Item = &'static Column<T>>,
        items: impl IntoIterator<Item = (&'a T, Context<'a>)>,
        room: Space,
    ) -> Self {
        let columns: Vec<_> = columns.into_iter().collect();
        let row = |(item, context): (&'a T, Context<'a>)| {
            columns.iter().map(|column| (column.cell)(item, &context)).collect::<Vec<_>>()
        };
        let rows: Vec<Vec<Cell<'a>>> = items.into_iter().map(row).collect();
        let asks: Vec<_> = columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let cells = rows.iter().filter_map(|row| row.get(at));
                let arrow = if room.sorted == Some(at) { ARROW } else { 0 };
                let heading = column.headings.last().map_or(0, |heading| columns_of(heading) + arrow);
                let widest = cells.map(|cell| widest(cell, room.longest_name)).fold(heading, u16::max);
                Asks { claims: column.width, content: widest, comes_first: room.sorted == Some(at) }
            })
            .collect();
        let widths = width::widths(&asks, room.width.saturating_sub(1));
        let shown = columns.iter().zip(widths).enumerate().map(|(at, (column, width))| Shown {
            headings: column.headings,
            align: column.align,
            width,
            cut: best_cut(rows.iter().filter_map(|row| name_of(row.get(at)?)), width),
        });
        Self { columns: shown.collect(), rows }
    }

    /// The headings of the columns. The arrow in the column by which the list is sorted points in the direction of
    /// smaller values. If there is no space for it, it replaces the last letter.
    pub(super) fn heading(&self, canvas: &mut Canvas<'_>, area: Rect, sorted: Option<(usize, &'static str)>) {
        for (at, x, column) in self.places(area) {
            let arrow = sorted.filter(|(sorted, _)| *sorted == at).map(|(_, arrow)| arrow);
            let room = column.width.saturating_sub(if arrow.is_some() { ARROW } else { 0 });
            let fits = column.headings.iter().find(|text| columns_of(text) <= room);
            let (text, style) = match (fits, arrow, column.headings.last()) {
                (Some(text), None, _) => ((*text).to_owned(), canvas.style(Role::Dim)),
                (Some(text), Some(arrow), _) => (format!("{text} {arrow}"), canvas.style(Role::Accent)),
                (None, Some(arrow), Some(text)) => {
                    let shown: String = text.chars().take(usize::from(column.width.saturating_sub(1))).collect();
                    (format!("{shown}{arrow}"), canvas.style(Role::Accent))
                }
                (None, _, _) => continue,
            };
            put_text(canvas, (x, area.y), column.width, column.align, &text, style);
        }
    }

    /// A row with one cell per column. `index` counts the visible rows.
    pub(super) fn row(&self, canvas: &mut Canvas<'_>, index: usize, area: Rect) {
        let Some(row) = self.rows.get(index) else { return };
        for (at, x, column) in self.places(area) {
            let (Some(cell), width) = (row.get(at), column.width) else { continue };
            let put = |canvas: &mut Canvas<'_>, text: &str, style| {
                put_text(canvas, (x, area.y), width, column.align, text, style);
            };
            match cell {
                Cell::Text(text, style) => put(canvas, text, *style),
                Cell::Name(name, style) => {
                    put(canvas, &cut_name(name, width, column.cut, canvas.glyphs().more), *style);
                }
                Cell::Wordings(wordings, style) => {
                    let fits = wordings.iter().find(|text| columns_of(text) <= width);
                    if let Some(text) = fits.or(wordings.last()) {
                        put(canvas, text, *style);
                    }
                }
                Cell::Gauge { percent, is_fresh, is_exceeded } => {
                    put_gauge(canvas, (x, area.y), width, *percent, *is_fresh, *is_exceeded);
                }
                Cell::Bars { percents, style } => {
                    let percents =
                        percents.get(percents.len().saturating_sub(usize::from(width))..).unwrap_or_default();
                    let from = x + width.saturating_sub(small(percents.len()));
                    for (x, percent) in (from..x + width).zip(percents) {
                        canvas.text(x, area.y, 1, chart::height(canvas.glyphs(), *percent), *style);
                    }
                }
            }
        }
    }

    /// The text of a row.
    pub(super) fn text(&self, index: usize) -> String {
        let words = self.rows.get(index).into_iter().flatten().filter_map(|cell| match cell {
            Cell::Text(text, _) | Cell::Name(text, _) => Some(text),
            Cell::Wordings(wordings, _) => wordings.first(),
            Cell::Gauge { .. } | Cell::Bars { .. } => None,
        });
        words.map(|word| &**word).collect::<Vec<_>>().join(" ")
    }

    /// The visible columns with their positions.
    fn places(&self, area: Rect) -> impl Iterator<Item = (usize, u16, &Shown)> {
        // The first column of the screen is for the sign of the selected row.
        let mut x = area.x.saturating_add(1);
        self.columns.iter().enumerate().filter(|(_, column)| column.width > 0).map(move |(at, column)| {
            let here = x;
            x = x.saturating_add(column.width).saturating_add(1);
            (at, here, column)
        })
    }
}

/// The full width of a cell.
fn widest(cell: &Cell<'_>, longest_name: u16) -> u16 {
    match cell {
        Cell::Text(text, _) => columns_of(text),
        Cell::Name(name, _) => columns_of(name).max(longest_name),
        Cell::Wordings(wordings, _) => wordings.first().map_or(0, |text| columns_of(text)),
        Cell::Gauge { .. } => 0,
        Cell::Bars { percents, .. } => small(percents.len()),
    }
}

fn name_of<'r>(cell: &'r Cell<'_>) -> Option<&'r str> {
    match cell {
        Cell::Name(name, _) => Some(name),
        Cell::Text(..) | Cell::Wordings(..) | Cell::Gauge { .. } | Cell::Bars { .. } => None,
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

/// The width of the number of a gauge.
const SHARE: u16 = 5;

/// A gauge: solid for a value of the last collection, dotted for an older one. A bar if there is space, then the
/// number.
fn put_gauge(
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
    let glyphs = if is_fresh { &glyphs.fresh } else { &glyphs.stale };
    let full = canvas.style(match (is_fresh, is_exceeded) {
        (true, true) => Role::Warning,
        (true, false) => Role::Good,
        (false, _) => Role::Dim,
    });
    let empty = canvas.style(Role::Dim);
    gauge::bar(canvas, (x, y), bar, percent, glyphs, (full, empty));
}
