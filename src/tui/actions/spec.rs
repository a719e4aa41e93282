//! What is known of an action: its keys, its words, where and when it can be used, and what it does. Not the actions.

use crate::tui::{key::Key, messages::Command, model::Model, view::Place};

/// All that is known of one action. Key map, hint line, help and palette are made from it.
pub(in crate::tui) struct Spec {
    /// The keys, the one to show first.
    pub(in crate::tui) keys: &'static [Key],
    /// Further keys that mean it while a past sweep is shown, whatever they mean otherwise.
    pub(in crate::tui) keys_in_past: &'static [Key],
    /// Its name in the palette and in hints, at most 16 characters.
    pub(in crate::tui) name: &'static str,
    /// One line of help.
    pub(in crate::tui) help: &'static str,
    /// Other words by which the palette finds it.
    pub(super) synonyms: &'static [&'static str],
    /// Its part of the help.
    pub(in crate::tui) group: Group,
    /// In which views it applies. Dispatch, hint line, palette and help go by it.
    pub(in crate::tui) scope: Scope,
    /// Its place in the hint line.
    pub(super) hint: Hint,
    /// When it can be used.
    pub(super) when: When,
    /// The question that is asked first; `None` where it is done at once.
    pub(in crate::tui) question: fn(&Model) -> Option<String>,
    /// Whether it makes the selection the operator's choice: it then stays when rows are sorted anew.
    pub(super) keeps_selection: bool,
    /// What it does.
    pub(super) run: fn(&mut Model) -> Vec<Command>,
}

impl Spec {
    /// Its first key as it is written on the screen.
    pub(in crate::tui) fn label(&self, unicode: bool) -> String {
        self.keys.first().map_or_else(String::new, |key| key.label(unicode))
    }
}

/// A part of the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) enum Group {
    /// Moving about.
    Move,
    /// Finding clients.
    Find,
    /// Acting on clients.
    Act,
    /// Looking at another time.
    Time,
    /// Views and the screen itself.
    Screen,
}

impl Group {
    /// Every part, in its order.
    pub(in crate::tui) const ALL: [Self; 5] = [Self::Move, Self::Find, Self::Act, Self::Time, Self::Screen];

    /// Its heading.
    pub(in crate::tui) fn heading(self) -> &'static str {
        match self {
            Self::Move => "Move",
            Self::Find => "Find",
            Self::Act => "Act",
            Self::Time => "Time",
            Self::Screen => "Screen",
        }
    }
}

/// Whether an action stands in the hint line. A lower place is shown first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hint {
    /// It is not shown there.
    Never,
    /// At this place, wherever the action applies.
    Place(u8),
    /// At this place in these views alone.
    In(&'static [Place], u8),
    /// First while a recording is played; otherwise at this place, if at any.
    Recording(Option<u8>),
    /// First while the collector does not answer; otherwise not shown.
    CollectorLost,
}

/// The views in which an action applies: those that show what it acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) enum Scope {
    /// Every one.
    Everywhere,
    /// The client table alone.
    Table,
    /// Those that show clients: the fleet and the details.
    Clients,
    /// Those that show alerts.
    Alerts,
}

impl Scope {
    /// Whether a view belongs to it.
    pub(in crate::tui) fn includes(self, place: Place) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Table => place == Place::Clients,
            Self::Clients => matches!(place, Place::Clients | Place::Details),
            Self::Alerts => matches!(place, Place::Clients | Place::Details | Place::Alerts),
        }
    }

    /// For a view that does not belong to it: what its actions act on, and the key that goes there.
    pub(super) fn elsewhere(self, place: Place) -> Option<(&'static str, &'static str)> {
        if self.includes(place) {
            return None;
        }
        let fleet = if place == Place::Details { "press Esc to go back" } else { "press 1 for the fleet" };
        match self {
            Self::Everywhere => None,
            Self::Table => Some(("the client table", fleet)),
            Self::Clients => Some(("clients", fleet)),
            Self::Alerts => Some(("alerts", "press 2 for the alerts")),
        }
    }
}

/// When an action can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// In every view and state.
    Always,
    /// Not while the past or a frozen screen is shown.
    NotInPast,
    /// Nor while a recording is played.
    Live,
}

/// The views that show one thing that was opened.
pub(super) const OPENED: &[Place] = &[Place::Details, Place::Mail, Place::LogLine];

/// The views that list things which can be opened.
pub(super) const LISTS: &[Place] = &[Place::Clients, Place::Alerts, Place::Mails, Place::Log];

/// An action that applies everywhere, can always be used, is done at once, and stands in no hint.
pub(super) const fn spec(
    group: Group,
    keys: &'static [Key],
    name: &'static str,
    help: &'static str,
    run: fn(&mut Model) -> Vec<Command>,
) -> Spec {
    Spec {
        keys,
        keys_in_past: &[],
        name,
        help,
        group,
        synonyms: &[],
        scope: Scope::Everywhere,
        hint: Hint::Never,
        when: When::Always,
        question: |_| None,
        keeps_selection: false,
        run,
    }
}
