//! Draws bars for percentages with a resolution below one cell.

use ratatui::style::Style;

use super::canvas::Canvas;
use crate::tui::theme::Bar;

/// Draws a bar of `width` cells that is filled to `percent`. Any value above 0 is visible, and only 100 % fills it
/// completely.
pub(super) fn bar(
    canvas: &mut Canvas<'_>,
    (x, y): (u16, u16),
    width: u16,
    percent: f64,
    bar: &Bar,
    (full, empty): (Style, Style),
) {
    let each = bar.parts.len() + 1;
    let filled = steps(percent, usize::from(width) * each);
    for (cell, x) in (x..x.saturating_add(width)).enumerate() {
        let here = filled.saturating_sub(cell * each);
        let (glyph, style) = match here {
            0 => (bar.empty, empty),
            here if here >= each => (bar.full, full),
            here => (bar.parts.get(here - 1).copied().unwrap_or(bar.full), full),
        };
        canvas.text(x, y, 1, glyph, style);
    }
}

/// How many of `all` steps a percentage fills.
pub(super) fn steps(percent: f64, all: usize) -> usize {
    let exact = (percent.clamp(0.0, 100.0) / 100.0 * all as f64).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "lies between 0 and all")]
    let steps = exact as usize;
    let least = usize::from(percent > 0.0);
    let most = if percent < 100.0 { all.saturating_sub(1) } else { all };
    steps.max(least).min(most)
}

/// The sign of a fraction, from a list of signs for increasing fractions. The last one is for 100 %.
pub(super) fn share(signs: &[&'static str], part: usize, whole: usize) -> &'static str {
    let percent = part as f64 / whole.max(1) as f64 * 100.0;
    signs.get(steps(percent, signs.len()).saturating_sub(1)).copied().unwrap_or(" ")
}

#[cfg(test)]
mod tests {
    use ratatui::{buffer::Buffer, layout::Rect};

    use super::*;
    use crate::tui::script::{ASCII, DARK};

    fn check(percent: f64, width: u16, expected: [&str; 4]) {
        let area = Rect { x: 0, y: 0, width, height: 1 };
        let shown = [DARK, ASCII].map(|look| {
            [&look.glyphs().fresh, &look.glyphs().stale].map(|glyphs| {
                let mut buffer = Buffer::empty(area);
                bar(&mut Canvas::new(&mut buffer, look), (0, 0), width, percent, glyphs, Default::default());
                buffer.content().iter().map(ratatui::buffer::Cell::symbol).collect::<String>()
            })
        });
        assert_eq!(shown.concat(), expected, "{percent} % in {width} columns");
    }

    #[test]
    fn shares_differ_within_a_cell() {
        check(0.0, 4, ["░░░░", "┈┈┈┈", "....", "...."]);
        check(0.1, 4, ["▏░░░", "╾┈┈┈", "-...", ",..."]);
        check(7.0, 4, ["▎░░░", "╾┈┈┈", "-...", ",..."]);
        check(32.0, 4, ["█▎░░", "┅╾┈┈", "#-..", ":,.."]);
        check(50.0, 4, ["██░░", "┅┅┈┈", "##..", "::.."]);
        check(99.9, 4, ["███▉", "┅┅┅╾", "###=", ":::,"]);
        check(100.0, 4, ["████", "┅┅┅┅", "####", "::::"]);
        check(50.0, 0, ["", "", "", ""]);
    }
}
