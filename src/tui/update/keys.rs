//! The effects of keys in overlays, and typed text. Outside of overlays, the table of actions applies.

use crossterm::event::KeyCode;

use crate::tui::{
    action::Action,
    actions,
    draw::help,
    export::{self, Format},
    filtering,
    key::Key,
    messages::Command,
    model::Model,
    moment,
    view::Overlay,
};

/// Passes a key to the overlay or the action.
pub(super) fn press(model: &mut Model, key: Key) -> Vec<Command> {
    if key == Key::Ctrl('c') {
        return vec![Command::Quit];
    }
    match model.view.overlay.clone() {
        Overlay::None => actions::meant_by(model, key).map(|action| actions::act(model, action)).unwrap_or_default(),
        Overlay::Help { top, search } => key_in_help(model, key, top, search),
        Overlay::Palette { text, row } => key_in_palette(model, key, text, row),
        Overlay::Filter { before } => key_in_filter(model, key, before),
        Overlay::GoTo { text, .. } => key_in_go_to(model, key, text),
        Overlay::Confirm { action } => {
            model.view.overlay = Overlay::None;
            match key {
                Key::Char('y' | 'Y') | Key::Code(KeyCode::Enter) => actions::perform(model, action),
                Key::Char(_) | Key::Ctrl(_) | Key::Code(_) => Vec::new(),
            }
        }
        Overlay::Export => {
            model.view.overlay = Overlay::None;
            let format = match key {
                Key::Char('j' | 'J') => Format::Json,
                Key::Char('c' | 'C') => Format::Csv,
                Key::Char(_) | Key::Ctrl(_) | Key::Code(_) => return Vec::new(),
            };
            model.prepare();
            let file_name = export::file_name(model.view.place(), format, model.now);
            match export::shown(model, format) {
                Ok(text) => vec![Command::Export { file_name, text }],
                Err(error) => {
                    model.say(true, format!("Could not export: {error}"));
                    Vec::new()
                }
            }
        }
    }
}

fn key_in_help(model: &mut Model, key: Key, top: usize, mut search: Option<String>) -> Vec<Command> {
    let top = match (actions::bound_to(key), key, &mut search) {
        (_, Key::Char(character), Some(text)) => {
            text.push(character);
            0
        }
        (_, Key::Code(KeyCode::Backspace), Some(text)) => {
            text.pop();
            0
        }
        (_, Key::Ctrl('u'), Some(text)) => {
            text.clear();
            0
        }
        (Some(Action::Down), ..) => top + 1,
        (Some(Action::Up), ..) => top.saturating_sub(1),
        (Some(Action::PageDown), ..) => top + 10,
        (Some(Action::PageUp), ..) => top.saturating_sub(10),
        (Some(Action::First), ..) => 0,
        (Some(Action::Filter), ..) => {
            search = Some(String::new());
            0
        }
        _ => {
            model.view.overlay = Overlay::None;
            return Vec::new();
        }
    };
    model.view.overlay = Overlay::Help { top: top.min(help::most_lines(model)), search };
    Vec::new()
}

fn key_in_palette(model: &mut Model, key: Key, mut text: String, mut row: usize) -> Vec<Command> {
    let found = actions::matching(model, &text).len();
    match key {
        Key::Code(KeyCode::Esc) => {
            model.view.overlay = Overlay::None;
            return Vec::new();
        }
        Key::Code(KeyCode::Enter) => {
            let found = actions::matching(model, &text);
            model.view.overlay = Overlay::None;
            return match found.get(row) {
                Some(action) => actions::act(model, *action),
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
    model.view.overlay = Overlay::Palette { text, row };
    Vec::new()
}

fn key_in_filter(model: &mut Model, key: Key, before: String) -> Vec<Command> {
    match key {
        Key::Code(KeyCode::Esc) => {
            model.view.overlay = Overlay::None;
            filtering::set(model, before);
        }
        Key::Code(KeyCode::Enter) => {
            // Invalid input stays, so that it can be corrected.
            if filtering::error(model).is_none() {
                model.view.overlay = Overlay::None;
                let text = filtering::text(model).trim().to_owned();
                filtering::set(model, text);
            }
        }
        Key::Code(KeyCode::Backspace) => {
            let mut text = filtering::text(model).to_owned();
            text.pop();
            filtering::set(model, text);
        }
        Key::Ctrl('u') => filtering::set(model, String::new()),
        Key::Ctrl('w') => {
            let text = filtering::text(model).trim_end();
            let kept = text.rfind(' ').and_then(|at| text.get(..=at)).unwrap_or("").to_owned();
            filtering::set(model, kept);
        }
        Key::Code(KeyCode::Down) => return actions::perform(model, Action::Down),
        Key::Code(KeyCode::Up) => return actions::perform(model, Action::Up),
        Key::Char(character) => typed(model, character),
        Key::Code(_) | Key::Ctrl(_) => {}
    }
    Vec::new()
}

fn key_in_go_to(model: &mut Model, key: Key, mut text: String) -> Vec<Command> {
    match key {
        Key::Code(KeyCode::Esc) => {
            model.view.overlay = Overlay::None;
            return Vec::new();
        }
        Key::Code(KeyCode::Enter) => match moment::parse(&text, model.now) {
            Ok(at) => {
                model.view.overlay = Overlay::None;
                return actions::time::go_to(model, at);
            }
            Err(error) => {
                // Stays, so that it can be corrected.
                model.view.overlay = Overlay::GoTo { text, error: Some(error.to_string()) };
                return Vec::new();
            }
        },
        Key::Code(KeyCode::Backspace) => {
            text.pop();
        }
        Key::Ctrl('u') => text.clear(),
        Key::Char(character) => text.push(character),
        Key::Code(_) | Key::Ctrl(_) => {}
    }
    model.view.overlay = Overlay::GoTo { text, error: None };
    Vec::new()
}

/// A character for the current input; ignored if there is none.
pub(super) fn typed(model: &mut Model, character: char) {
    match &mut model.view.overlay {
        Overlay::Filter { .. } => {
            let mut text = filtering::text(model).to_owned();
            text.push(character);
            filtering::set(model, text);
        }
        Overlay::Palette { text, row } => {
            text.push(character);
            *row = 0;
        }
        Overlay::GoTo { text, error } => {
            text.push(character);
            *error = None;
        }
        Overlay::Help { top, search: Some(text) } => {
            text.push(character);
            *top = 0;
        }
        Overlay::None | Overlay::Help { search: None, .. } | Overlay::Confirm { .. } | Overlay::Export => {}
    }
}
