//! Charts over time. The axes are fixed: from 0 to 100 %, and time moves by whole columns.

use jiff::Timestamp;
use ratatui::layout::Rect;

use super::canvas::Canvas;
use crate::{
    fleet::history::Span,
    tui::theme::{Glyphs, Role},
};

/// The glyph for a percentage; a blank if there is none.
pub(super) fn height(glyphs: &'static Glyphs, percent: Option<f64>) -> &'static str {
    let Some(percent) = percent else { return " " };
    eighths(glyphs, percent / 100.0 * 8.0)
}

/// The glyph for 0 to 8 eighths of a cell. 0 has the lowest glyph.
fn eighths(glyphs: &'static Glyphs, eighths: f64) -> &'static str {
    let [first, rest @ ..] = &glyphs.heights;
    let mut glyph = first;
    for (index, higher) in rest.iter().enumerate() {
        if eighths.round() >= index as f64 + 2.0 {
            glyph = higher;
        }
    }
    glyph
}

/// One value per column: the highest of its part of `span` up to `now`. Between two points, columns have the value of
/// the previous point, unless the gap is unusually long.
pub(super) fn columns(points: &[(Timestamp, Option<f64>)], span: Span, now: Timestamp, count: u16) -> Vec<Option<f64>> {
    let count_ms = i64::from(count.max(1));
    let bucket = (span.milliseconds() / count_ms).max(1);
    // Columns begin at multiples of their duration, so that the chart does not move every second.
    let last = now.as_millisecond().div_euclid(bucket);
    let mut values: Vec<Option<f64>> = vec![None; usize::from(count)];
    let mut times: Vec<usize> = Vec::new();
    // The last point before the first column also applies to it.
    let mut reaching: Option<(f64, usize)> = None;
    for (at, value) in points {
        let Ok(back) = usize::try_from(last - at.as_millisecond().div_euclid(bucket)) else { continue };
        let Some(column) = usize::from(count).checked_sub(back + 1) else {
            reaching = value.map(|value| (value, back - usize::from(count)));
            continue;
        };
        times.push(column);
        if let (Some(slot), Some(value)) = (values.get_mut(column), value) {
            *slot = Some(slot.map_or(*value, |known: f64| known.max(*value)));
        }
    }
    let mut gaps: Vec<usize> = times.windows(2).filter_map(|pair| pair.last()?.checked_sub(*pair.first()?)).collect();
    gaps.sort_unstable();
    let ordinary = gaps.get(gaps.len() / 2).copied().unwrap_or(0) * 2 + 1;
    let mut kept = reaching;
    for slot in &mut values {
        match (*slot, kept) {
            (Some(value), _) => kept = Some((value, 0)),
            (None, Some((value, age))) if age < ordinary => {
                *slot = Some(value);
                kept = Some((value, age + 1));
            }
            (None, _) => kept = None,
        }
    }
    // The time after the last point has no value yet.
    if let Some(newest) = times.iter().max() {
        for slot in values.iter_mut().skip(newest + 1) {
            *slot = None;
        }
    }
    values
}

/// A chart.
pub(super) struct Chart {
    /// One value per column, percent.
    pub(super) values: Vec<Option<f64>>,
    /// The colour of values within the limit.
    pub(super) role: Role,
    /// The limit, percent, if it is known.
    pub(super) limit: Option<f64>,
}

/// The width of the scale to the right of a chart, columns.
const SCALE: u16 = 5;

/// The number of columns for values. A chart with several rows has its scale next to it.
pub(super) fn columns_within(width: u16, rows: u16) -> u16 {
    if has_scale(width, rows) { width - SCALE } else { width }
}

fn has_scale(width: u16, rows: u16) -> bool {
    rows >= 2 && width >= 4 * SCALE
}

/// Draws a chart into an area, with 0 % at the bottom and 100 % at the top. Values over the limit are highlighted. The
/// limit is a line where the values are lower.
pub(super) fn put(canvas: &mut Canvas<'_>, area: Rect, chart: &Chart) {
    let rows = area.height;
    let plot = Rect { width: columns_within(area.width, rows), ..area };
    let limit_row = chart.limit.filter(|_| rows >= 2).map(|limit| row_of(limit, rows));
    let line = canvas.glyphs().progress.empty;
    for (x, value) in (plot.x..plot.right()).zip(&chart.values) {
        let is_exceeded = value.zip(chart.limit).is_some_and(|(value, limit)| value > limit);
        let style = canvas.style(if is_exceeded { Role::Warning } else { chart.role });
        let total = value.unwrap_or(0.0) / 100.0 * 8.0 * f64::from(rows);
        for (row, y) in (0..rows).zip((plot.y..plot.bottom()).rev()) {
            let here = total - 8.0 * f64::from(row);
            if value.is_some() && (row == 0 || here >= 0.5) {
                canvas.text(x, y, 1, eighths(canvas.glyphs(), here.clamp(0.0, 8.0)), style);
            } else if limit_row == Some(row) {
                canvas.text(x, y, 1, line, canvas.style(Role::Dim));
            }
        }
    }
    if has_scale(area.width, rows) {
        scale(canvas, Rect { x: plot.right(), width: SCALE, ..area }, chart.limit.zip(limit_row));
    }
}

/// The percentages at the top, at the bottom and, if there is space, in the middle; the limit next to its line.
fn scale(canvas: &mut Canvas<'_>, area: Rect, limit: Option<(f64, u16)>) {
    let rows = area.height;
    let mut labels = vec![(rows - 1, 100.0, Role::Dim), (0, 0.0, Role::Dim)];
    if rows >= 5 {
        labels.push((rows / 2, 50.0, Role::Dim));
    }
    if let Some((limit, row)) = limit {
        labels.retain(|(known, _, _)| *known != row);
        labels.push((row, limit, Role::Warning));
    }
    for (row, percent, role) in labels {
        let y = area.bottom().saturating_sub(row + 1);
        canvas.text_before(area.right(), y, area.width, &format!("{percent:.0}%"), canvas.style(role));
    }
}

/// The row of a percentage, from the bottom.
fn row_of(percent: f64, rows: u16) -> u16 {
    (0..rows).rev().find(|row| percent > f64::from(*row) * 100.0 / f64::from(rows)).unwrap_or(0)
}

/// The times of the first, the middle and the last column: times of the day, or dates if the span is longer than a day.
pub(super) fn times(span: Span, now: Timestamp) -> [String; 3] {
    const HOUR: i64 = 3_600_000;
    let format = match span.milliseconds() / HOUR {
        0..=48 => "%H:%M",
        49..=1_440 => "%d %b",
        _ => "%b %Y",
    };
    let at = |back_ms: i64| {
        let at = Timestamp::from_millisecond(now.as_millisecond().saturating_sub(back_ms)).unwrap_or(now);
        at.strftime(format).to_string()
    };
    [at(span.milliseconds()), at(span.milliseconds() / 2), at(0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::{Background, Colours, Look};

    #[test]
    fn a_share_has_its_height() {
        let look = Look { colours: Colours::Mono, background: Background::Dark, unicode: true };
        let shown: String =
            [0.0, 5.0, 20.0, 50.0, 94.0, 100.0].iter().map(|value| height(look.glyphs(), Some(*value))).collect();
        assert_eq!(shown, "▁▁▂▄██");
        assert_eq!(height(look.glyphs(), None), " ");
    }

    fn drawn(height: u16, limit: Option<f64>, values: &[f64]) -> Vec<String> {
        let look = Look { colours: Colours::Mono, background: Background::Dark, unicode: true };
        let area = Rect { x: 0, y: 0, width: 24, height };
        let mut buffer = ratatui::buffer::Buffer::empty(area);
        let values = values.iter().copied().map(Some).collect();
        put(&mut Canvas::new(&mut buffer, look), area, &Chart { values, role: Role::Active, limit });
        let row = |y| (0..area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..height).map(row).collect()
    }

    #[test]
    fn a_chart_has_a_scale_and_its_limit_is_a_line() {
        assert_eq!(
            drawn(4, Some(70.0), &[10.0, 50.0, 80.0, 100.0]),
            ["  ▂█                100%", "╌╌██                 70%", " ███", "▃███                  0%",]
                .map(ToOwned::to_owned)
        );
        assert_eq!(drawn(1, Some(70.0), &[10.0, 100.0]), ["▁█"]);
    }

    #[test]
    fn columns_stand_still_and_hold_their_value_over_ordinary_gaps() {
        let minute = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        // Every ten minutes over an hour in 12 columns of five minutes, with a gap of one hour before.
        let points: Vec<_> = [130, 140, 150, 160].map(|at| (minute(at), Some(at as f64 / 2.0))).to_vec();
        let shown = |now| columns(&points, Span::Hour, now, 12);
        let expected = [
            None,
            None,
            None,
            None,
            Some(65.0),
            Some(65.0),
            Some(70.0),
            Some(70.0),
            Some(75.0),
            Some(75.0),
            Some(80.0),
            None,
        ];
        assert_eq!(shown(minute(165)), expected);
        assert_eq!(shown(minute(169)), expected, "the chart creeps");
        assert_eq!(columns(&[], Span::Day, minute(0), 3), [None, None, None]);
    }
}
