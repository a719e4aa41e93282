//! The keys in the table of actions.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// A typed character.
    Char(char),
    /// With Ctrl.
    Ctrl(char),
    /// Another key.
    Code(KeyCode),
}

impl Key {
    /// The key of a terminal event; `None` if the table cannot contain it.
    #[must_use]
    pub(super) fn of(event: KeyEvent) -> Option<Self> {
        if event.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SUPER | KeyModifiers::META) {
            return None;
        }
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        if let KeyCode::Char(character) = event.code {
            return Some(if control { Self::Ctrl(character.to_ascii_lowercase()) } else { Self::Char(character) });
        }
        if control { None } else { Some(Self::Code(event.code)) }
    }

    /// Its label on the screen.
    #[must_use]
    pub(super) fn label(self, unicode: bool) -> String {
        let pick = |glyph: &str, word: &str| if unicode { glyph.to_owned() } else { word.to_owned() };
        match self {
            Self::Char(' ') => "space".to_owned(),
            Self::Char(character) => character.to_string(),
            Self::Ctrl(character) => format!("^{}", character.to_ascii_uppercase()),
            Self::Code(KeyCode::Up) => pick("↑", "up"),
            Self::Code(KeyCode::Down) => pick("↓", "down"),
            Self::Code(KeyCode::Left) => pick("←", "left"),
            Self::Code(KeyCode::Right) => pick("→", "right"),
            Self::Code(KeyCode::Enter) => pick("⏎", "enter"),
            Self::Code(KeyCode::PageUp) => "pgup".to_owned(),
            Self::Code(KeyCode::PageDown) => "pgdn".to_owned(),
            Self::Code(KeyCode::BackTab) => "shift-tab".to_owned(),
            Self::Code(code) => code.to_string().to_lowercase(),
        }
    }
}
