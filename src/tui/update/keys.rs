//! What the keys of each overlay do, what is typed, what the mouse does.

use crossterm::event::{KeyCode, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use crate::{
    fleet::select::{Filter, filter::NotAFilter},
    tui::{
        action::{self, Action, Key},
        draw::hit,
        export::{self, Format},
        model::Model,
        port::Command,
        view::{Overlay, Pane},
    },
};

impl Model {
    pub(super) fn key(&mut self, key: Key) -> Vec<Command> {
        if key == Key::Ctrl('c') {
            return vec![Command::Quit];
        }
        match self.view.overlay.clone() {
            Overlay::None => action::bound_to(key).map(|entry| self.act(entry.action)).unwrap_or_default(),
            Overlay::Help { top } => self.key_in_help(key, top),
            Overlay::Palette { text, row } => self.key_in_palette(key, text, row),
            Overlay::Filter { before } => self.key_in_filter(key, before),
            Overlay::Confirm { action } => {
                self.view.overlay = Overlay::None;
                match key {
                    Key::Char('y' | 'Y') | Key::Code(KeyCode::Enter) => self.perform(action),
                    Key::Char(_) | Key::Ctrl(_) | Key::Code(_) => Vec::new(),
                }
            }
            Overlay::Export => {
                self.view.overlay = Overlay::None;
                let format = match key {
                    Key::Char('j' | 'J') => Format::Json,
                    Key::Char('c' | 'C') => Format::Csv,
                    Key::Char(_) | Key::Ctrl(_) | Key::Code(_) => return Vec::new(),
                };
                self.prepare();
                let file_name = export::file_name(format, self.now);
                match export::text(self.listed(), format) {
                    Ok(text) => vec![Command::Export { file_name, text }],
                    Err(error) => {
                        self.say(true, format!("Could not export: {error}"));
                        Vec::new()
                    }
                }
            }
        }
    }

    pub(super) fn key_in_help(&mut self, key: Key, top: usize) -> Vec<Command> {
        let action = action::bound_to(key).map(|entry| entry.action);
        let top = match action {
            Some(Action::Down) => top + 1,
            Some(Action::Up) => top.saturating_sub(1),
            Some(Action::PageDown) => top + 10,
            Some(Action::PageUp) => top.saturating_sub(10),
            Some(Action::First) => 0,
            _ => {
                self.view.overlay = Overlay::None;
                return Vec::new();
            }
        };
        // Nothing lies below the last line of the table.
        self.view.overlay = Overlay::Help { top: top.min(action::TABLE.len()) };
        Vec::new()
    }

    pub(super) fn key_in_palette(&mut self, key: Key, mut text: String, mut row: usize) -> Vec<Command> {
        let found = action::matching(&text).len();
        match key {
            Key::Code(KeyCode::Esc) => {
                self.view.overlay = Overlay::None;
                return Vec::new();
            }
            Key::Code(KeyCode::Enter) => {
                self.view.overlay = Overlay::None;
                return match action::matching(&text).get(row) {
                    Some(entry) => self.act(entry.action),
                    None => Vec::new(),
                };
            }
            Key::Code(KeyCode::Down | KeyCode::Tab) => row = (row + 1).min(found.saturating_sub(1)),
            Key::Code(KeyCode::Up | KeyCode::BackTab) => row = row.saturating_sub(1),
            Key::Code(KeyCode::Backspace) => {
                text.pop();
                row = 0;
            }
            Key::Ctrl('u') => (text, row) = (String::new(), 0),
            Key::Char(character) => {
                text.push(character);
                row = 0;
            }
            Key::Code(_) | Key::Ctrl(_) => {}
        }
        self.view.overlay = Overlay::Palette { text, row };
        Vec::new()
    }

    pub(super) fn key_in_filter(&mut self, key: Key, before: String) -> Vec<Command> {
        match key {
            Key::Code(KeyCode::Esc) => {
                self.view.overlay = Overlay::None;
                self.set_filter(before);
            }
            Key::Code(KeyCode::Enter) => {
                // What cannot be understood stays to be mended.
                if self.view.filter_error.is_none() {
                    self.view.overlay = Overlay::None;
                    self.view.filter_text = self.view.filter_text.trim().to_owned();
                }
            }
            Key::Code(KeyCode::Backspace) => {
                let mut text = self.view.filter_text.clone();
                text.pop();
                self.set_filter(text);
            }
            Key::Ctrl('u') => self.set_filter(String::new()),
            Key::Ctrl('w') => {
                let text = self.view.filter_text.trim_end();
                let kept = text.rfind(' ').and_then(|at| text.get(..=at)).unwrap_or("").to_owned();
                self.set_filter(kept);
            }
            Key::Code(KeyCode::Down) => return self.perform(Action::Down),
            Key::Code(KeyCode::Up) => return self.perform(Action::Up),
            Key::Char(character) => self.typed(character),
            Key::Code(_) | Key::Ctrl(_) => {}
        }
        Vec::new()
    }

    /// A character for whatever is being typed into; elsewhere it is passed over.
    pub(super) fn typed(&mut self, character: char) {
        match &mut self.view.overlay {
            Overlay::Filter { .. } => {
                let mut text = self.view.filter_text.clone();
                text.push(character);
                self.set_filter(text);
            }
            Overlay::Palette { text, row } => {
                text.push(character);
                *row = 0;
            }
            Overlay::None | Overlay::Help { .. } | Overlay::Confirm { .. } | Overlay::Export => {}
        }
    }

    pub(super) fn set_filter(&mut self, text: String) {
        match text.parse::<Filter>() {
            Ok(filter) => {
                if !filter.is_empty() {
                    self.view.search = filter.clone();
                }
                self.view.filter = filter;
                self.view.filter_error = None;
            }
            Err(error) => {
                // The words that can be understood hold meanwhile.
                self.view.filter = understood(&text, &error);
                self.view.filter_error = Some(error.to_string());
            }
        }
        self.view.filter_text = text;
        self.refresh();
    }

    pub(super) fn mouse(&mut self, mouse: MouseEvent) -> Vec<Command> {
        self.prepare();
        match mouse.kind {
            MouseEventKind::ScrollUp => self.step(-3),
            MouseEventKind::ScrollDown => self.step(3),
            MouseEventKind::Down(MouseButton::Left) if mouse.modifiers == KeyModifiers::NONE => {
                if let Some(client) = hit::client_at(self, mouse.column, mouse.row) {
                    self.view.pane = Pane::Clients;
                    self.select(Some(client));
                    self.prepare();
                } else if let Some(alert) = hit::alert_at(self, mouse.column, mouse.row) {
                    self.view.pane = Pane::Alerts;
                    self.view.alert = alert;
                }
            }
            MouseEventKind::Down(_)
            | MouseEventKind::Up(_)
            | MouseEventKind::Drag(_)
            | MouseEventKind::Moved
            | MouseEventKind::ScrollLeft
            | MouseEventKind::ScrollRight => self.changed = false,
        }
        Vec::new()
    }
}

/// The filter of a text without the word that `error` is about, and without any other that cannot be
/// understood.
fn understood(text: &str, error: &NotAFilter) -> Filter {
    let mut text = text.to_owned();
    let mut wrong = error.term.clone();
    loop {
        let shorter = text.replacen(&wrong, " ", 1);
        match shorter.parse() {
            Ok(filter) => return filter,
            Err(NotAFilter { .. }) if shorter.len() >= text.len() => return Filter::default(),
            Err(error) => (wrong, text) = (error.term, shorter),
        }
    }
}
