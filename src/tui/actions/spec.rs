//! What is known of an action: its keys, its words, when it can be used, and what it does. Not the actions.

use crate::tui::{key::Key, messages::Command, model::Model};

/// All that is known of one action. Key map, hint line, help and palette are made from it.
pub(in crate::tui) struct Spec {
    /// The keys, the one to show first.
    pub(in crate::tui) keys: &'static [Key],
    /// Its name in the palette and in hints, at most 16 characters.
    pub(in crate::tui) name: &'static str,
    /// One line of help.
    pub(in crate::tui) help: &'static str,
    /// Its part of the help.
    pub(in crate::tui) group: Group,
    /// Its place in the hint line.
    pub(super) hint: Hint,
    /// In which views the hint is shown.
    pub(super) views: Views,
    /// When it can be used.
    pub(super) when: When,
    /// The question that is asked first; `None` where it is done at once.
    pub(in crate::tui) question: fn(&Model) -> Option<String>,
    /// Whether it makes the selection the operator's choice: it then stays when rows are sorted anew.
    pub(super) keeps_selection: bool,
    /// What it does.
    pub(super) run: fn(&mut Model) -> Vec<Command>,
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
    /// At this place.
    Place(u8),
    /// First while a recording is played; otherwise at this place, if at any.
    Recording(Option<u8>),
    /// First while the collector does not answer; otherwise not.
    CollectorGone,
}

/// The views in which a hint is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Views {
    /// Every one.
    All,
    /// Those that list clients.
    Clients,
    /// Those that list alerts.
    Alerts,
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

/// An action that can always be used, is done at once, and stands in no hint.
pub(super) const fn spec(
    group: Group,
    keys: &'static [Key],
    name: &'static str,
    help: &'static str,
    run: fn(&mut Model) -> Vec<Command>,
) -> Spec {
    Spec {
        keys,
        name,
        help,
        group,
        hint: Hint::Never,
        views: Views::All,
        when: When::Always,
        question: |_| None,
        keeps_selection: false,
        run,
    }
}
