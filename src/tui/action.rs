//! The one table of what the operator can do: it feeds the key map, the hint line, the help and the
//! palette. Not what an action does (that is the model's).

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Everything the operator can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// One page up.
    PageUp,
    /// One page down.
    PageDown,
    /// To the first row.
    First,
    /// To the last row.
    Last,
    /// The focus to the next pane.
    NextPane,
    /// The focus to the pane before.
    PreviousPane,
    /// The fleet.
    ViewFleet,
    /// The alert history.
    ViewAlerts,
    /// The outbox.
    ViewMails,
    /// The log.
    ViewLog,
    /// Details of the selected row.
    Open,
    /// Out of what is open: overlay, details, marks, filter.
    Back,
    /// To the next failed client.
    NextFailure,
    /// To the failed client before.
    PreviousFailure,
    /// Type a filter.
    Filter,
    /// To the next client that meets the last filter.
    SearchNext,
    /// To the one before.
    SearchPrevious,
    /// The next sort key.
    Sort,
    /// The sort the other way round.
    SortReverse,
    /// Mark or unmark the selected client.
    Mark,
    /// Mark all listed clients.
    MarkAll,
    /// The next span of the charts.
    Span,
    /// Collect selected or marked clients.
    Collect,
    /// Collect all failed clients.
    CollectFailed,
    /// Collect all clients.
    CollectAll,
    /// Cancel the selected client's collection.
    Cancel,
    /// Pause or resume the schedule.
    Pause,
    /// Acknowledge an alert.
    Acknowledge,
    /// Freeze or thaw the screen.
    Freeze,
    /// The sweep before.
    Earlier,
    /// The sweep after.
    Later,
    /// Back to live; there already: to the last row.
    Live,
    /// A recording: faster.
    Faster,
    /// A recording: slower.
    Slower,
    /// Sweep here, where the collector has gone.
    TakeOver,
    /// Copy what is selected.
    Copy,
    /// Export what is shown.
    Export,
    /// The mouse on or off.
    Mouse,
    /// The palette.
    Palette,
    /// The help.
    Help,
    /// Draw anew.
    Redraw,
    /// Suspend.
    Suspend,
    /// Quit.
    Quit,
    /// Quit without a question.
    QuitNow,
}

/// Where an action stands in the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Moving about.
    Move,
    /// Finding clients.
    Find,
    /// Acting on clients.
    Act,
    /// Looking back.
    Time,
    /// Views and the screen itself.
    Screen,
}

impl Group {
    /// Every group, in the help's order.
    pub const ALL: [Self; 5] = [Self::Move, Self::Find, Self::Act, Self::Time, Self::Screen];

    /// Its heading.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Move => "move",
            Self::Find => "find",
            Self::Act => "act",
            Self::Time => "time",
            Self::Screen => "screen",
        }
    }
}

/// When an action asks before it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirm {
    /// Never.
    Never,
    /// Always.
    Always,
    /// While a sweep is under way.
    WhileSweeping,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// What it does.
    pub action: Action,
    /// The keys, the one to show first.
    pub keys: &'static [Key],
    /// Two words at most: its name in the palette and in hints.
    pub name: &'static str,
    /// One line of help.
    pub help: &'static str,
    /// Where it stands in the help.
    pub group: Group,
    /// Its place in the hint line, the first to be shown first; `None` keeps it out.
    pub hint: Option<u8>,
    /// Whether it works while the past or a frozen screen is shown.
    pub in_past: bool,
    /// Whether it asks first.
    pub confirm: Confirm,
}

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// A character as it is typed.
    Char(char),
    /// With Ctrl.
    Ctrl(char),
    /// Another key.
    Code(KeyCode),
}

impl Key {
    /// The key of a terminal event; `None` for what the table does not know.
    #[must_use]
    pub fn of(event: KeyEvent) -> Option<Self> {
        if event.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SUPER | KeyModifiers::META) {
            return None;
        }
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        if let KeyCode::Char(character) = event.code {
            return Some(if control { Self::Ctrl(character.to_ascii_lowercase()) } else { Self::Char(character) });
        }
        if control { None } else { Some(Self::Code(event.code)) }
    }

    /// How it is written on the screen.
    #[must_use]
    pub fn label(self, unicode: bool) -> String {
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

const fn entry(
    action: Action,
    keys: &'static [Key],
    name: &'static str,
    help: &'static str,
    group: Group,
    hint: Option<u8>,
) -> Entry {
    Entry { action, keys, name, help, group, hint, in_past: true, confirm: Confirm::Never }
}

/// An action on clients as they are now: not offered while something else is shown.
const fn live(entry: Entry, confirm: Confirm) -> Entry {
    Entry { in_past: false, confirm, ..entry }
}

use Key::{Char, Code, Ctrl};

/// The table.
pub const TABLE: &[Entry] = &[
    entry(Action::Up, &[Code(KeyCode::Up), Char('k')], "up", "one row up", Group::Move, None),
    entry(Action::Down, &[Code(KeyCode::Down), Char('j')], "down", "one row down", Group::Move, None),
    entry(Action::PageUp, &[Code(KeyCode::PageUp), Ctrl('u')], "page up", "one page up", Group::Move, None),
    entry(Action::PageDown, &[Code(KeyCode::PageDown), Ctrl('d')], "page down", "one page down", Group::Move, None),
    entry(Action::First, &[Char('g'), Code(KeyCode::Home)], "first row", "to the first row", Group::Move, None),
    entry(Action::Last, &[Char('G')], "last row", "to the last row", Group::Move, None),
    entry(Action::NextPane, &[Code(KeyCode::Tab)], "next pane", "the focus to the next pane", Group::Move, None),
    entry(
        Action::PreviousPane,
        &[Code(KeyCode::BackTab)],
        "previous pane",
        "the focus to the pane before",
        Group::Move,
        None,
    ),
    entry(Action::Open, &[Code(KeyCode::Enter)], "details", "details of the selected row", Group::Move, Some(1)),
    entry(Action::Back, &[Code(KeyCode::Esc)], "back", "close details, drop marks, drop filter", Group::Move, None),
    entry(Action::NextFailure, &[Char(']')], "next failure", "to the next failed client", Group::Find, None),
    entry(Action::PreviousFailure, &[Char('[')], "previous failure", "to the failed client before", Group::Find, None),
    entry(Action::Filter, &[Char('/')], "filter", "state:failed cpu>90 alert:yes web-* !db", Group::Find, Some(2)),
    entry(Action::SearchNext, &[Char('n')], "search next", "next client that meets the last filter", Group::Find, None),
    entry(Action::SearchPrevious, &[Char('N')], "search back", "to the one before", Group::Find, None),
    entry(Action::Sort, &[Char('s')], "sort", "sort by the next column", Group::Find, Some(3)),
    entry(Action::SortReverse, &[Char('S')], "reverse sort", "sort the other way round", Group::Find, None),
    entry(Action::Mark, &[Char(' ')], "mark", "mark or unmark the selected client", Group::Act, Some(9)),
    entry(Action::MarkAll, &[Char('*')], "mark all", "mark all listed clients, or none", Group::Act, None),
    live(
        entry(Action::Collect, &[Char('c')], "collect", "collect selected or marked clients now", Group::Act, Some(4)),
        Confirm::Never,
    ),
    live(
        entry(
            Action::CollectFailed,
            &[Char('C')],
            "collect failed",
            "collect all failed clients now",
            Group::Act,
            Some(10),
        ),
        Confirm::Never,
    ),
    live(
        entry(Action::CollectAll, &[Char('r')], "collect all", "collect all clients now", Group::Act, None),
        Confirm::Always,
    ),
    live(
        entry(Action::Cancel, &[Char('x')], "cancel", "cancel the selected client's collection", Group::Act, None),
        Confirm::Always,
    ),
    live(
        entry(Action::Pause, &[Char('p')], "pause", "pause or resume the schedule", Group::Act, Some(11)),
        Confirm::Never,
    ),
    live(
        entry(
            Action::Acknowledge,
            &[Char('a')],
            "acknowledge",
            "no reminders of an alert until it ends",
            Group::Act,
            Some(12),
        ),
        Confirm::Never,
    ),
    live(
        entry(Action::TakeOver, &[Char('T')], "take over", "sweep here when the collector has gone", Group::Act, None),
        Confirm::Always,
    ),
    entry(Action::Copy, &[Char('y')], "copy", "copy the error, the mail or the row", Group::Act, Some(13)),
    entry(Action::Export, &[Char('e')], "export", "write what is listed as JSON or CSV", Group::Act, None),
    entry(Action::Freeze, &[Char('f')], "freeze", "hold the screen still; collection goes on", Group::Time, Some(5)),
    entry(
        Action::Earlier,
        &[Code(KeyCode::Left), Char('h')],
        "earlier sweep",
        "the screen as it stood one sweep earlier",
        Group::Time,
        None,
    ),
    entry(Action::Later, &[Code(KeyCode::Right), Char('l')], "later sweep", "one sweep later", Group::Time, None),
    entry(Action::Live, &[Code(KeyCode::End)], "live", "back to live; if live, to the last row", Group::Time, None),
    entry(Action::Faster, &[Char('+'), Char('=')], "faster", "play a recording twice as fast", Group::Time, None),
    entry(Action::Slower, &[Char('-')], "slower", "play a recording half as fast", Group::Time, None),
    entry(Action::Span, &[Char('t')], "chart span", "charts over 1h, 6h, 24h, 7d, 30d", Group::Time, None),
    entry(Action::ViewFleet, &[Char('1')], "fleet", "the fleet: map, clients, alerts", Group::Screen, None),
    entry(Action::ViewAlerts, &[Char('2')], "alerts", "the alert history", Group::Screen, None),
    entry(Action::ViewMails, &[Char('3')], "mails", "the outbox, with the text of each mail", Group::Screen, None),
    entry(Action::ViewLog, &[Char('4')], "log", "the log", Group::Screen, None),
    entry(Action::Palette, &[Char(':')], "commands", "every action by its name", Group::Screen, Some(8)),
    entry(Action::Help, &[Char('?'), Code(KeyCode::F(1))], "help", "this page", Group::Screen, Some(6)),
    entry(Action::Mouse, &[Char('m')], "mouse", "on or off; off lets the terminal select", Group::Screen, None),
    entry(Action::Redraw, &[Ctrl('l')], "redraw", "draw everything anew", Group::Screen, None),
    entry(Action::Suspend, &[Ctrl('z')], "suspend", "back to the shell; `fg` returns", Group::Screen, None),
    Entry {
        confirm: Confirm::WhileSweeping,
        ..entry(Action::Quit, &[Char('q')], "quit", "end; what has been received is stored", Group::Screen, Some(7))
    },
    entry(Action::QuitNow, &[Ctrl('c')], "quit now", "end without a question", Group::Screen, None),
];

/// The row of an action.
#[must_use]
pub fn of(action: Action) -> Option<&'static Entry> {
    TABLE.iter().find(|entry| entry.action == action)
}

/// What a key does; `None` for a key that does nothing.
#[must_use]
pub fn bound_to(key: Key) -> Option<&'static Entry> {
    TABLE.iter().find(|entry| entry.keys.contains(&key))
}

/// The rows whose name or help holds every word of `text`, those whose name begins with it first.
#[must_use]
pub fn matching(text: &str) -> Vec<&'static Entry> {
    let text = text.to_lowercase();
    let mut found: Vec<_> = TABLE
        .iter()
        .filter(|entry| text.split_whitespace().all(|word| entry.name.contains(word) || entry.help.contains(word)))
        .collect();
    found.sort_by_key(|entry| (!entry.name.starts_with(text.trim()), !entry.name.contains(text.trim())));
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_key_has_two_meanings() {
        let mut seen = Vec::new();
        for entry in TABLE {
            for key in entry.keys {
                assert!(!seen.contains(key), "{key:?} of {:?}", entry.action);
                seen.push(*key);
            }
        }
    }

    #[test]
    fn every_action_has_one_row_with_a_key_a_name_and_help() {
        let actions: BTreeSet<_> = TABLE.iter().map(|entry| entry.action).collect();
        assert_eq!(actions.len(), TABLE.len());
        // The last variant counts them: an action without a row would make the sum differ.
        assert_eq!(TABLE.len(), Action::QuitNow as usize + 1);
        for entry in TABLE {
            assert!(!entry.keys.is_empty() && !entry.name.is_empty() && !entry.help.is_empty(), "{:?}", entry.action);
            assert!(entry.name.len() <= 16, "{}", entry.name);
        }
    }

    #[test]
    fn keys_that_terminals_and_multiplexers_take_for_themselves_are_left_alone() {
        for taken in ['a', 'b', 's', 'q'] {
            assert!(bound_to(Ctrl(taken)).is_none(), "Ctrl-{taken}");
        }
    }

    #[test]
    fn the_palette_finds_by_name_before_help() {
        for (text, first) in [
            ("collect f", Action::CollectFailed),
            ("fre", Action::Freeze),
            ("clipboard", Action::Up),
            ("span", Action::Span),
        ] {
            let found = matching(text);
            if text == "clipboard" {
                assert!(found.is_empty());
            } else {
                assert_eq!(found[0].action, first, "{text}");
            }
        }
        assert_eq!(matching("").len(), TABLE.len());
    }
}
