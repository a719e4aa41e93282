//! The state of the view: what is selected, marked, filtered and open.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{action::Action, columns::clients::Sort};
use crate::fleet::{
    ClientId, SweepId,
    history::Span,
    select::{Filter, filter::words::Words},
    state::{Fleet, SweepView},
};

/// The state of the view.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The current view.
    pub tab: Tab,
    /// The pane of the fleet view that has the focus.
    pub pane: Pane,
    /// The selected client. It is identified by its address, so that sorting never moves the selection.
    pub selected: Option<ClientId>,
    /// Whether the operator selected it. Until then, the first client is selected, so that those that need attention
    /// are visible.
    pub chosen: bool,
    /// The first visible row of the client table.
    pub top: usize,
    /// Marked clients.
    pub marks: BTreeSet<ClientId>,
    /// The filter as typed.
    pub filter_text: String,
    /// The applied filter: the last valid one.
    pub filter: Filter,
    /// The error in the typed filter.
    pub filter_error: Option<String>,
    /// The filter of the details.
    pub detail_filter: ListFilter,
    /// The filter of the alert history.
    pub alert_filter: ListFilter,
    /// The filter of the mails.
    pub mail_filter: ListFilter,
    /// The filter of the log.
    pub log_filter: ListFilter,
    /// The last filter that was not empty, for `n` and `N`.
    pub search: Filter,
    /// The order of the client table.
    pub sort: Sort,
    /// The overlay.
    pub overlay: Overlay,
    /// The frozen screen.
    pub frozen: Option<Box<Held>>,
    /// The past sweep that is displayed or requested.
    pub travel: Option<Travel>,
    /// The span of the charts.
    pub span: Span,
    /// Whether details fill the screen.
    pub detail_open: bool,
    /// The scroll position of the details, lines.
    pub detail_top: usize,
    /// The selected row of the alerts below the clients, from the top.
    pub pane_alert: usize,
    /// The selected row of the alert history, from the top.
    pub alert: usize,
    /// The selected row of the mails, from the top.
    pub mail: usize,
    /// The scroll position of the mail, lines.
    pub mail_top: usize,
    /// The number of log lines below the selected one; 0 follows the log.
    pub log_back: usize,
    /// Whether the terminal reports the mouse.
    pub mouse: bool,
}

/// The filter of a list other than that of the clients.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ListFilter {
    /// The typed text.
    pub text: String,
    /// The applied filter.
    pub words: Words,
    /// The error in the typed text.
    pub error: Option<String>,
}

/// A frozen fleet.
#[derive(Debug, Clone)]
pub struct Held {
    /// The fleet.
    pub fleet: Fleet,
    /// The time of the freeze, by the collector's clock.
    pub at: Timestamp,
}

/// Time travel.
#[derive(Debug, Clone)]
pub struct Travel {
    /// The wanted sweep.
    pub to: Goal,
    /// Its fleet. Never that of another sweep.
    pub past: Past,
    /// Steps to older sweeps that are still to be taken when these sweeps are loaded.
    pub steps_left: usize,
}

/// The wanted sweep of time travel.
#[derive(Debug, Clone, PartialEq)]
pub enum Goal {
    /// This sweep.
    Sweep(Box<SweepView>),
    /// This many sweeps before the present. Which one it is is determined when the sweeps are known.
    Before(usize),
    /// The oldest sweep.
    Oldest,
    /// The last sweep that began at or before this time.
    At(Timestamp),
}

/// The state of a past fleet.
#[derive(Debug, Clone)]
pub enum Past {
    /// It was requested.
    Asked,
    /// It failed for this reason.
    Failed(String),
    /// The fleet at that time.
    Known {
        /// The fleet.
        fleet: Box<Fleet>,
        /// The number of rows that are omitted because they cannot be read.
        unreadable: u64,
    },
}

impl Travel {
    /// The past fleet, if it is loaded.
    #[must_use]
    pub fn fleet(&self) -> Option<&Fleet> {
        match &self.past {
            Past::Known { fleet, .. } => Some(fleet),
            Past::Asked | Past::Failed(_) => None,
        }
    }

    /// Whether this is the wanted sweep.
    #[must_use]
    pub fn is_to(&self, sweep: SweepId) -> bool {
        self.sweep().is_some_and(|to| to.id == sweep)
    }

    /// The wanted sweep, if it is known.
    #[must_use]
    pub fn sweep(&self) -> Option<&SweepView> {
        match &self.to {
            Goal::Sweep(sweep) => Some(sweep),
            Goal::Before(_) | Goal::Oldest | Goal::At(_) => None,
        }
    }
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
    /// All views, in the order of their number keys.
    pub const ALL: [Self; 4] = [Self::Fleet, Self::Alerts, Self::Mails, Self::Log];

    /// Its name.
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

every! {
    /// What the keys act on: a list, or an opened item.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Place {
        /// The fleet view: map, clients, alerts.
        Clients,
        /// The details of one client over the whole screen.
        Details,
        /// The alert history.
        Alerts,
        /// The list of mails.
        Mails,
        /// The text of one mail over the whole screen.
        Mail,
        /// The log.
        Log,
        /// One line of the log over the whole screen.
        LogLine,
    }
}

impl View {
    /// The filter by words of the current view; `None` for the client table, which has its own filter language.
    pub(super) fn list_filter(&self) -> Option<&ListFilter> {
        match self.place() {
            Place::Clients => None,
            Place::Details => Some(&self.detail_filter),
            Place::Alerts => Some(&self.alert_filter),
            Place::Mails | Place::Mail => Some(&self.mail_filter),
            Place::Log | Place::LogLine => Some(&self.log_filter),
        }
    }

    /// The filter by words, mutable.
    pub(super) fn list_filter_mut(&mut self) -> Option<&mut ListFilter> {
        match self.place() {
            Place::Clients => None,
            Place::Details => Some(&mut self.detail_filter),
            Place::Alerts => Some(&mut self.alert_filter),
            Place::Mails | Place::Mail => Some(&mut self.mail_filter),
            Place::Log | Place::LogLine => Some(&mut self.log_filter),
        }
    }

    /// What the keys act on now.
    #[must_use]
    pub fn place(&self) -> Place {
        match (self.tab, self.detail_open) {
            (Tab::Fleet, false) => Place::Clients,
            (Tab::Fleet, true) => Place::Details,
            (Tab::Alerts, _) => Place::Alerts,
            (Tab::Mails, false) => Place::Mails,
            (Tab::Mails, true) => Place::Mail,
            (Tab::Log, false) => Place::Log,
            (Tab::Log, true) => Place::LogLine,
        }
    }
}

/// The panes of the fleet view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pane {
    /// The client table.
    #[default]
    Clients,
    /// The details next to it.
    Detail,
    /// The alerts below.
    Alerts,
}

/// An overlay, which gets the keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Overlay {
    /// No overlay is open.
    #[default]
    None,
    /// The help.
    Help {
        /// The scroll position, lines.
        top: usize,
        /// The search text while it is typed.
        search: Option<String>,
    },
    /// The palette.
    Palette {
        /// The typed text.
        text: String,
        /// The selected row.
        row: usize,
    },
    /// The filter is being typed. Esc restores the previous one.
    Filter {
        /// The previous filter.
        before: String,
    },
    /// A question before an action.
    Confirm {
        /// The action.
        action: Action,
    },
    /// A time for time travel is being typed.
    GoTo {
        /// The typed text.
        text: String,
        /// The error in it.
        error: Option<String>,
    },
    /// The format of an export is being selected.
    Export,
}
