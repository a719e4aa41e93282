//! The properties of an action: its keys and texts, where and when it can be used, and its function.

use crate::tui::{key::Key, messages::Command, model::Model, view::Place};

/// The properties of an action. Key map, hint line, help and palette use them.
pub(in crate::tui) struct Spec {
    /// The keys. The first one is displayed.
    pub(in crate::tui) keys: &'static [Key],
    /// Additional keys while a past sweep is shown. They take precedence over the normal keys.
    pub(in crate::tui) keys_in_past: &'static [Key],
    /// Its name in the palette and in hints, at most 16 characters.
    pub(in crate::tui) name: &'static str,
    /// One line of help.
    pub(in crate::tui) help: &'static str,
    /// Further words for the palette.
    pub(super) synonyms: &'static [&'static str],
    /// Its group in the help.
    pub(in crate::tui) group: Group,
    /// The views in which it applies.
    pub(in crate::tui) scope: Scope,
    /// Its position in the hint line.
    pub(super) hint: Hint,
    /// When it can be used.
    pub(super) when: When,
    /// The question before it; `None` if there is none.
    pub(in crate::tui) question: fn(&Model) -> Option<String>,
    /// Whether it counts as selecting the client. A selected client stays selected when rows are sorted again.
    pub(super) keeps_selection: bool,
    /// Its function.
    pub(super) run: fn(&mut Model) -> Vec<Command>,
}

impl Spec {
    /// The label of its first key.
    pub(in crate::tui) fn label(&self, unicode: bool) -> String {
        self.keys.first().map_or_else(String::new, |key| key.label(unicode))
    }
}

/// A group in the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) enum Group {
    /// Navigation.
    Move,
    /// Finding clients.
    Find,
    /// Actions on clients.
    Act,
    /// Time travel.
    Time,
    /// Views and the screen itself.
    Screen,
}

impl Group {
    /// All groups in order.
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

/// The position of an action in the hint line. Lower positions are shown first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hint {
    /// It is never shown there.
    Never,
    /// At this position, wherever the action applies.
    Place(u8),
    /// At this position, only in these views.
    In(&'static [Place], u8),
    /// First during a replay; otherwise at this position, if there is one.
    Recording(Option<u8>),
    /// First while the collector does not answer; otherwise not shown.
    CollectorLost,
}

/// The views in which an action applies, because they show the items on which it acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) enum Scope {
    /// All views.
    Everywhere,
    /// Only the client table.
    Table,
    /// Views with clients: the fleet and the details.
    Clients,
    /// Views with alerts.
    Alerts,
}

impl Scope {
    /// Whether it contains a view.
    pub(in crate::tui) fn includes(self, place: Place) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Table => place == Place::Clients,
            Self::Clients => matches!(place, Place::Clients | Place::Details),
            Self::Alerts => matches!(place, Place::Clients | Place::Details | Place::Alerts),
        }
    }

    /// For other views: the items on which its actions act, and the key of their view.
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
    /// Always.
    Always,
    /// Not while the past or a frozen screen is shown.
    NotInPast,
    /// Also not during a replay.
    Live,
}

/// The views with one opened item.
pub(super) const OPENED: &[Place] = &[Place::Details, Place::Mail, Place::LogLine];

/// The views with lists whose items can be opened.
pub(super) const LISTS: &[Place] = &[Place::Clients, Place::Alerts, Place::Mails, Place::Log];

/// An action that applies everywhere and always, without a question, and is in no hint.
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
