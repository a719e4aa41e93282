//! Actions on views and on the screen itself.

use crossterm::event::KeyCode;

use super::spec::{Group, Hint, Spec, spec};
use crate::{
    fleet::stream::StreamOrigin,
    tui::{
        key::Key::{Char, Code, Ctrl},
        messages::Command,
        scrolling::show,
        theme::Background,
        view::{Overlay, Tab},
    },
};

pub(super) const VIEW_FLEET: Spec = Spec {
    synonyms: &["goto", "clients", "hosts"],
    ..spec(Group::Screen, &[Char('1')], "fleet", "Show the fleet: map, clients, alerts.", |model| {
        show(model, Tab::Fleet)
    })
};

pub(super) const VIEW_ALERTS: Spec = Spec {
    synonyms: &["goto", "history", "incidents"],
    ..spec(Group::Screen, &[Char('2')], "alerts", "Show the alert history.", |model| show(model, Tab::Alerts))
};

pub(super) const VIEW_MAILS: Spec = Spec {
    synonyms: &["goto", "outbox", "queue"],
    ..spec(Group::Screen, &[Char('3')], "mails", "Show the mails, each with its text.", |model| show(model, Tab::Mails))
};

pub(super) const VIEW_LOG: Spec = Spec {
    synonyms: &["goto", "messages"],
    ..spec(Group::Screen, &[Char('4')], "log", "Show the log.", |model| show(model, Tab::Log))
};

pub(super) const PALETTE: Spec = Spec {
    hint: Hint::Place(8),
    ..spec(Group::Screen, &[Char(':')], "commands", "Choose any action by its name.", |model| {
        model.view.overlay = Overlay::Palette { text: String::new(), row: 0 };
        Vec::new()
    })
};

pub(super) const HELP: Spec = Spec {
    hint: Hint::Place(6),
    ..spec(Group::Screen, &[Char('?'), Code(KeyCode::F(1))], "help", "Show this page.", |model| {
        model.view.overlay = Overlay::Help { top: 0, search: None };
        Vec::new()
    })
};

pub(super) const MOUSE: Spec =
    spec(Group::Screen, &[Char('m')], "mouse", "Mouse on or off. Off, text can be selected.", |model| {
        model.view.mouse = !model.view.mouse;
        vec![Command::Mouse(model.view.mouse)]
    });

pub(super) const REDRAW: Spec = Spec {
    synonyms: &["refresh", "clear"],
    ..spec(Group::Screen, &[Ctrl('l')], "redraw", "Redraw the whole screen.", |_| vec![Command::Redraw])
};

pub(super) const THEME: Spec = Spec {
    synonyms: &["colours", "colors", "dark", "light", "background"],
    ..spec(Group::Screen, &[Char('L')], "theme", "Colours for a dark or a light background.", |model| {
        model.look.background = match model.look.background {
            Background::Dark => Background::Light,
            Background::Light => Background::Dark,
        };
        Vec::new()
    })
};

pub(super) const SUSPEND: Spec =
    spec(Group::Screen, &[Ctrl('z')], "suspend", "Go to the shell; `fg` comes back.", |_| vec![Command::Suspend]);

pub(super) const QUIT: Spec = Spec {
    hint: Hint::Place(7),
    // Quitting does not end a sweep of another collector or of a recording.
    question: |model| {
        let ends_sweep = model.is_sweeping() && model.source == StreamOrigin::Own;
        ends_sweep.then(|| "A sweep is running. End it and quit?".to_owned())
    },
    synonyms: &["exit"],
    ..spec(Group::Screen, &[Char('q')], "quit", "Quit. What has been received is stored.", |_| vec![Command::Quit])
};

pub(super) const QUIT_NOW: Spec =
    spec(Group::Screen, &[Ctrl('c')], "quit now", "Quit without being asked.", |_| vec![Command::Quit]);
