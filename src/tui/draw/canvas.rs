//! Writes text into cells and clips it to its area.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
    text::Line,
};

use crate::tui::{
    text::{ascii, columns_of, cut_end},
    theme::{Glyphs, Look, Role},
    view::Tab,
};

/// A buffer and the look.
pub(super) struct Canvas<'a> {
    buffer: &'a mut Buffer,
    look: Look,
}

impl<'a> Canvas<'a> {
    pub(super) fn new(buffer: &'a mut Buffer, look: Look) -> Self {
        Self { buffer, look }
    }

    pub(super) fn look(&self) -> Look {
        self.look
    }

    pub(super) fn style(&self, role: Role) -> Style {
        self.look.style(role)
    }

    pub(super) fn glyphs(&self) -> &'static Glyphs {
        self.look.glyphs()
    }

    /// Writes `text` from `x`, at most `width` columns of it; returns the column after it. Text outside of the buffer
    /// is omitted. If the text is too long, its last column shows this.
    pub(super) fn text(&mut self, x: u16, y: u16, width: u16, text: &str, style: Style) -> u16 {
        let area = self.buffer.area;
        if y >= area.bottom() || x >= area.right() || width == 0 {
            return x;
        }
        let width = width.min(area.right() - x);
        let text = self.plain(text);
        // The background may be dim (a rule), but the text only is if its style says so.
        let dim = style.add_modifier.contains(Modifier::DIM);
        let style = if dim { style } else { style.remove_modifier(Modifier::DIM) };
        let text = cut_end(&text, width, self.glyphs().more);
        self.buffer.set_stringn(x, y, &text, usize::from(width), style).0
    }

    /// Writes text that ends before column `right`; returns the column where it begins.
    pub(super) fn text_before(&mut self, right: u16, y: u16, width: u16, text: &str, style: Style) -> u16 {
        let columns = columns_of(text).min(width);
        let x = right.saturating_sub(columns);
        self.text(x, y, columns, text, style);
        x
    }

    /// Pieces of text with their styles.
    pub(super) fn pieces(&mut self, x: u16, y: u16, width: u16, pieces: &[(&str, Style)]) -> u16 {
        let (mut at, right) = (x, x.saturating_add(width));
        for (text, style) in pieces {
            at = self.text(at, y, right.saturating_sub(at), text, *style);
        }
        at
    }

    /// One line of spans.
    pub(super) fn line(&mut self, x: u16, y: u16, width: u16, line: &Line<'_>) {
        let (mut at, right) = (x, x.saturating_add(width));
        for span in &line.spans {
            at = self.text(at, y, right.saturating_sub(at), &span.content, line.style.patch(span.style));
        }
    }

    /// A rule in the first row of `area` with a title on the left and a remark on the right. Returns the column after
    /// the title.
    pub(super) fn title(&mut self, area: Rect, title: &[(&str, Style)], remark: &[(&str, Style)]) -> u16 {
        if area.height == 0 || area.width < 4 {
            return area.x;
        }
        let rule = self.glyphs().rule;
        let dim = self.style(Role::Dim);
        for x in area.x..area.right() {
            self.text(x, area.y, 1, rule, dim);
        }
        // One column of the rule comes before the title.
        let at = area.x + 2;
        let room = area.right().saturating_sub(at + 1);
        let title_width: u16 = title.iter().map(|(text, _)| columns_of(text)).sum::<u16>() + 2;
        self.text(at - 1, area.y, 1, " ", dim);
        let end = self.pieces(at, area.y, room, title);
        self.text(end, area.y, 1, " ", dim);
        let remark_width: u16 = remark.iter().map(|(text, _)| columns_of(text)).sum();
        if remark_width > 0 && title_width + remark_width + 5 <= area.width {
            let x = area.right() - remark_width - 2;
            self.text(x - 1, area.y, 1, " ", dim);
            let after = self.pieces(x, area.y, remark_width, remark);
            self.text(after, area.y, 1, " ", dim);
        }
        end
    }

    /// The title of a view in the whole body, with the views and their keys on the right.
    pub(super) fn view_title(&mut self, area: Rect, title: &[(&str, Style)], shown: Tab) {
        let (dim, accent) = (self.style(Role::Dim), self.style(Role::Accent));
        let number = ["1", "2", "3", "4"];
        let mut remark = Vec::new();
        for (tab, number) in Tab::ALL.into_iter().zip(number) {
            let word = if tab == shown { self.style(Role::Text) } else { dim };
            remark.extend([(if tab == Tab::Fleet { "" } else { "  " }, dim), (number, accent), (" ", dim)]);
            remark.push((tab.word(), word));
        }
        self.title(area, title, &remark);
    }

    /// Applies `style` to cells that are already drawn.
    pub(super) fn tint(&mut self, area: Rect, style: Style) {
        self.buffer.set_style(area.intersection(self.buffer.area), style);
    }

    /// Clears cells.
    pub(super) fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        for y in area.y..area.bottom() {
            // A wide character that begins before the area would cover its first column.
            if let Some(before) = area.x.checked_sub(1).and_then(|x| self.buffer.cell_mut((x, y)))
                && columns_of(before.symbol()) > 1
            {
                before.set_symbol(" ");
            }
            for x in area.x..area.right() {
                if let Some(cell) = self.buffer.cell_mut((x, y)) {
                    cell.reset();
                }
            }
        }
    }

    /// `text` for this terminal: if it does not support Unicode, characters outside of ASCII are replaced with `?`. Our
    /// own texts have ASCII forms.
    fn plain<'t>(&self, text: &'t str) -> std::borrow::Cow<'t, str> {
        if self.look.unicode || text.is_ascii() {
            return text.into();
        }
        ascii(text).into()
    }
}

/// A number of rows or columns, at most what a terminal can have.
pub(super) fn small(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}
