//! Where the operator is: what is selected, marked, filtered, open. Not what the fleet is like.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{action::Action, columns::clients::Sort};
use crate::fleet::{ClientId, SweepId, history::Span, select::Filter, state::Fleet};

/// The state of the view.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Which view is shown.
    pub tab: Tab,
    /// Which pane of the fleet view takes the keys.
    pub pane: Pane,
    /// The selected client: by its identity, so that sorting never moves the selection.
    pub selected: Option<ClientId>,
    /// Whether the operator chose it. Until then it is whatever stands first, so that what needs attention is
    /// seen at the start.
    pub chosen: bool,
    /// The first row of the client table that is shown.
    pub top: usize,
    /// Marked clients.
    pub marks: BTreeSet<ClientId>,
    /// The filter as typed.
    pub filter_text: String,
    /// The filter that is applied: the last one typed that could be understood.
    pub filter: Filter,
    /// Why what is typed cannot be understood.
    pub filter_error: Option<String>,
    /// The last filter that was not empty; `n` and `N` go by it.
    pub search: Filter,
    /// The order of the client table.
    pub sort: Sort,
    /// What lies over the view.
    pub overlay: Overlay,
    /// The screen held still.
    pub frozen: Option<Box<Held>>,
    /// The past sweep that is shown or waited for.
    pub travel: Option<Travel>,
    /// The span of the charts.
    pub span: Span,
    /// Whether details fill the screen.
    pub detail_open: bool,
    /// Lines of the details that are scrolled away.
    pub detail_top: usize,
    /// The selected row of the alerts, from the top.
    pub alert: usize,
    /// The selected row of the mails, from the top.
    pub mail: usize,
    /// Lines of the mail that are scrolled away.
    pub mail_top: usize,
    /// Lines of the log below the last one shown; 0 follows the log.
    pub log_back: usize,
    /// Whether the terminal reports the mouse.
    pub mouse: bool,
}

/// A fleet held still.
#[derive(Debug, Clone)]
pub struct Held {
    /// The fleet as it was.
    pub fleet: Fleet,
    /// When, by the collector's clock.
    pub at: Timestamp,
}

/// A journey into the past.
#[derive(Debug, Clone)]
pub struct Travel {
    /// The sweep that is wanted; `None` until the list of sweeps has arrived.
    pub to: Option<SweepId>,
    /// What is shown, once it has arrived.
    pub fleet: Option<Box<Fleet>>,
}

/// The views.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tab {
    /// Map, clients, alerts.
    #[default]
    Fleet,
    /// The alert history.
    Alerts,
    /// The outbox.
    Mails,
    /// The log.
    Log,
}

impl Tab {
    /// Every view, by its number key.
    pub const ALL: [Self; 4] = [Self::Fleet, Self::Alerts, Self::Mails, Self::Log];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Fleet => "fleet",
            Self::Alerts => "alerts",
            Self::Mails => "mails",
            Self::Log => "log",
        }
    }
}

/// The panes of the fleet view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pane {
    /// The client table.
    #[default]
    Clients,
    /// The details beside it.
    Detail,
    /// The alerts beneath.
    Alerts,
}

/// What lies over the view and takes the keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Overlay {
    /// No overlay is open.
    #[default]
    None,
    /// The help, so many lines scrolled away.
    Help {
        /// How many lines are scrolled away.
        top: usize,
    },
    /// The palette.
    Palette {
        /// As typed.
        text: String,
        /// The selected row.
        row: usize,
    },
    /// The filter is being typed; Esc brings back what was there before.
    Filter {
        /// What was there before.
        before: String,
    },
    /// A question before an action.
    Confirm {
        /// Which action.
        action: Action,
    },
    /// As what to export.
    Export,
}
