//! Where the operator is: what is selected, marked, filtered, open. Not what the fleet is like.

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
    /// The filter of the details.
    pub detail_filter: ListFilter,
    /// The filter of the alert history.
    pub alert_filter: ListFilter,
    /// The filter of the mails.
    pub mail_filter: ListFilter,
    /// The filter of the log.
    pub log_filter: ListFilter,
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
    /// The selected row of the alerts beneath the clients, from the top.
    pub pane_alert: usize,
    /// The selected row of the alert history, from the top.
    pub alert: usize,
    /// The selected row of the mails, from the top.
    pub mail: usize,
    /// Lines of the mail that are scrolled away.
    pub mail_top: usize,
    /// Lines of the log below the selected one; 0 follows the log.
    pub log_back: usize,
    /// Whether the terminal reports the mouse.
    pub mouse: bool,
}

/// The filter of a list other than that of the clients.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ListFilter {
    /// As typed.
    pub text: String,
    /// What is applied of it.
    pub words: Words,
    /// Why what is typed cannot be understood.
    pub error: Option<String>,
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
    /// Where it goes to.
    pub to: Goal,
    /// What stands there. It is of no other sweep.
    pub past: Past,
    /// Steps towards older sweeps that are still to be taken, once those sweeps are loaded.
    pub steps_left: usize,
}

/// Where a journey goes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Goal {
    /// To this sweep.
    Sweep(Box<SweepView>),
    /// So many sweeps before the present; which that is follows once the sweeps are known.
    Before(usize),
    /// To the oldest sweep.
    Oldest,
    /// To the last sweep that began then or before.
    At(Timestamp),
}

/// What is known of a past sweep.
#[derive(Debug, Clone)]
pub enum Past {
    /// Nothing yet: the database was asked.
    Asked,
    /// Nothing: this is the reason.
    Failed(String),
    /// The fleet as it stood then.
    Known {
        /// The fleet.
        fleet: Box<Fleet>,
        /// How many rows could not be read, and are left out.
        unreadable: u64,
    },
}

impl Travel {
    /// The past fleet, once it is there.
    #[must_use]
    pub fn fleet(&self) -> Option<&Fleet> {
        match &self.past {
            Past::Known { fleet, .. } => Some(fleet),
            Past::Asked | Past::Failed(_) => None,
        }
    }

    /// Whether it goes to this sweep.
    #[must_use]
    pub fn is_to(&self, sweep: SweepId) -> bool {
        self.sweep().is_some_and(|to| to.id == sweep)
    }

    /// The sweep, once it is known which.
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

every! {
    /// What the keys act on: a list, or what is opened of it.
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
    /// The filter by words of what is shown; `None` where that is the client table, which has a language of its own.
    pub(super) fn list_filter(&self) -> Option<&ListFilter> {
        match self.place() {
            Place::Clients => None,
            Place::Details => Some(&self.detail_filter),
            Place::Alerts => Some(&self.alert_filter),
            Place::Mails | Place::Mail => Some(&self.mail_filter),
            Place::Log | Place::LogLine => Some(&self.log_filter),
        }
    }

    /// The same, to be changed.
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
    /// The help.
    Help {
        /// How many lines are scrolled away.
        top: usize,
        /// What is searched for, while that is typed.
        search: Option<String>,
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
    /// A time to go to is being typed.
    GoTo {
        /// As typed.
        text: String,
        /// Why it cannot be gone to.
        error: Option<String>,
    },
    /// As what to export what is shown.
    Export,
}
