//! Draws a model for tests, reads the cells, and presses keys.

use std::fmt::Write as _;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{Command, Message, Model, draw, text::columns_of};

pub(super) fn painted(model: &mut Model) -> Buffer {
    model.prepare();
    let area = Rect { x: 0, y: 0, width: model.size.0, height: model.size.1 };
    let mut buffer = Buffer::empty(area);
    draw::draw(model, &mut buffer);
    buffer
}

/// The text of each row without trailing spaces.
pub(super) fn rows(buffer: &Buffer) -> Vec<String> {
    (0..buffer.area.height).map(|y| row(buffer, y, buffer.area.width).trim_end().to_owned()).collect()
}

/// The text of the first columns of a row.
pub(super) fn row(buffer: &Buffer, y: u16, width: u16) -> String {
    let mut text = String::new();
    let mut x = 0;
    while x < width {
        let symbol = buffer[(x, y)].symbol();
        text.push_str(symbol);
        // A wide character covers the following cells.
        x += columns_of(symbol).max(1);
    }
    text
}

/// The text, and below it the styles: one letter per cell, with a legend.
pub(super) fn shown(model: &mut Model, with_styles: bool) -> String {
    let buffer = painted(model);
    let mut text = rows(&buffer).join("\n");
    if with_styles {
        let mut styles: Vec<Style> = vec![Style::reset()];
        let mut map = String::new();
        for y in 0..buffer.area.height {
            let mut line = String::new();
            for x in 0..buffer.area.width {
                let cell = &buffer[(x, y)];
                let plain = cell.symbol() == " "
                    && cell.bg == ratatui::style::Color::Reset
                    && !cell.modifier.contains(ratatui::style::Modifier::REVERSED);
                let style = if plain { Style::reset() } else { cell.style() };
                let at = styles.iter().position(|known| *known == style).unwrap_or_else(|| {
                    styles.push(style);
                    styles.len() - 1
                });
                line.push(if at == 0 { ' ' } else { char::from(b'a' + u8::try_from(at - 1).unwrap()) });
            }
            let _ = writeln!(map, "{}", line.trim_end());
        }
        let _ = write!(text, "\n\n--- styles ---\n{map}");
        for (at, style) in styles.iter().enumerate().skip(1) {
            let letter = char::from(b'a' + u8::try_from(at - 1).unwrap());
            let _ =
                writeln!(text, "{letter}: {:?} on {:?} {:?}", style.fg.unwrap(), style.bg.unwrap(), style.add_modifier);
        }
    }
    text
}

/// Presses one key per character. Arrows, Tab (`\t`), Home (`⇤`), End (`⇥`), page up (`⇞`) and page down (`⇟`), Enter
/// and Esc have their own characters.
pub(super) fn press(model: &mut Model, keys: &str) -> Vec<Command> {
    let mut commands = Vec::new();
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            '\x1b' => KeyCode::Esc,
            '\t' => KeyCode::Tab,
            '←' => KeyCode::Left,
            '→' => KeyCode::Right,
            '↓' => KeyCode::Down,
            '⇤' => KeyCode::Home,
            '⇥' => KeyCode::End,
            '⇞' => KeyCode::PageUp,
            '⇟' => KeyCode::PageDown,
            key => KeyCode::Char(key),
        };
        commands.extend(model.update(Message::Key(KeyEvent::new(code, KeyModifiers::NONE))));
    }
    commands
}
