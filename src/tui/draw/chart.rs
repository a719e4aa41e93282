//! Charts over time. The axes stand still: shares run from 0 to 100 %, and time moves by whole columns.

use jiff::Timestamp;
use ratatui::layout::Rect;

use super::canvas::Canvas;
use crate::{
    fleet::history::Span,
    tui::theme::{Glyphs, Role},
};

/// The glyph for a share; a blank where there is none.
pub(super) fn height(glyphs: &'static Glyphs, percent: Option<f64>) -> &'static str {
    let Some(percent) = percent else { return " " };
    eighths(glyphs, percent / 100.0 * 8.0)
}

/// The glyph for 0 to 8 eighths of a cell; nothing at all is the lowest.
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

/// One value a column: the highest of its share of `span` up to `now`. Between two points a column keeps
/// the value before, as long as the gap is not out of the ordinary.
pub(super) fn columns(points: &[(Timestamp, Option<f64>)], span: Span, now: Timestamp, count: u16) -> Vec<Option<f64>> {
    let count_ms = i64::from(count.max(1));
    let bucket = (span.milliseconds() / count_ms).max(1);
    // Columns begin at whole multiples, so that the chart does not creep with every second.
    let last = now.as_millisecond().div_euclid(bucket);
    let mut values: Vec<Option<f64>> = vec![None; usize::from(count)];
    let mut times: Vec<usize> = Vec::new();
    // The last point before the first column reaches into it.
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
    // What comes after the last point is not known yet.
    if let Some(newest) = times.iter().max() {
        for slot in values.iter_mut().skip(newest + 1) {
            *slot = None;
        }
    }
    values
}

/// Draws columns into an area, 0 % at its bottom and 100 % at its top.
pub(super) fn bars(canvas: &mut Canvas<'_>, area: Rect, values: &[Option<f64>], role: Role) {
    let glyphs = canvas.glyphs();
    for (x, value) in (area.x..area.right()).zip(values) {
        let Some(value) = value else { continue };
        let total = value / 100.0 * 8.0 * f64::from(area.height);
        for (index, y) in (area.y..area.bottom()).rev().enumerate() {
            let here = total - 8.0 * index as f64;
            if index == 0 || here >= 0.5 {
                canvas.text(x, y, 1, eighths(glyphs, here.clamp(0.0, 8.0)), canvas.style(role));
            }
        }
    }
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

    #[test]
    fn columns_stand_still_and_hold_their_value_over_ordinary_gaps() {
        let minute = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        // Every ten minutes over an hour in 12 columns of five minutes, one hour's gap before.
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
