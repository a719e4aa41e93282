//! The dashboard's state: the fleet as told, the data as answered, the view as steered. Pure.

use std::{collections::VecDeque, time::Duration};

use jiff::Timestamp;

use super::{
    again::Again,
    columns::Context,
    data::StatusMessage,
    kept::Kept,
    layout::{Layout, Shown},
    theme::Look,
    view::{Overlay, Pane, Place, Tab, View},
    window::Window,
};
use crate::fleet::{
    ClientId, Failure, SweepId,
    alerts::AlertView,
    eta,
    history::{AlertRow, EventRow, MailRow, Point, Span},
    select::sort,
    state::{ClientView, Fleet, SweepView},
    stream::{About, Collector, LogLine, StreamOrigin},
};

/// How long a line for the operator is shown.
const SAID_FOR: Duration = Duration::from_secs(6);

/// How many log lines are kept; the oldest go first.
pub(super) const LOG_KEPT: usize = 2000;

/// How many rows of each list are asked for at once. Mails come with their texts.
pub(super) const ALERTS: u32 = 500;
pub(super) const MAILS: u32 = 100;
pub(super) const SWEEPS: u32 = 500;

/// Everything the screen is drawn from.
#[derive(Debug, Clone)]
pub struct Model {
    /// The fleet now.
    pub(super) fleet: Fleet,
    /// Where the operator is.
    pub(super) view: View,
    /// What the header says.
    pub(super) about: About,
    /// Where the stream comes from.
    pub(super) source: StreamOrigin,
    /// The log, oldest first.
    pub(super) log: VecDeque<LogLine>,
    /// The history of one client, as last answered.
    pub(super) history: Option<History>,
    /// The security events of one client, as last answered.
    pub(super) events: Option<(ClientId, Vec<EventRow>)>,
    /// The alert history, as far as it is loaded.
    pub(super) alerts: Window<AlertRow>,
    /// The outbox, as far as it is loaded.
    pub(super) mails: Window<MailRow>,
    /// How many mails wait and how many were refused, of all.
    pub(super) mail_counts: (u64, u64),
    /// The sweeps that can be travelled to, as far as they are loaded.
    pub(super) sweeps: Window<SweepView>,
    /// What is shown while the past that is wanted is not known.
    pub(super) nothing: Fleet,
    /// What was asked for last, so that nothing is asked twice.
    pub(super) asked: Asked,
    /// When what the database did not answer is asked for again.
    pub(super) again: Again,
    /// The line for the operator, and until when it is shown.
    pub(super) said: Option<(StatusMessage, Timestamp)>,
    /// What the terminal can show.
    pub(super) look: Look,
    /// Columns and rows.
    pub(super) size: (u16, u16),
    /// The time.
    pub(super) now: Timestamp,
    /// The clients that are listed, in their order.
    pub(super) rows: Vec<ClientId>,
    /// Where the selected client was listed last: its neighbour is selected when it goes.
    pub(super) row: usize,
    /// Whether `rows` must be made anew.
    pub(super) rows_stale: bool,
    /// The alerts, mails or lines of the log that are listed, by their places in what is known of them; whichever of the
    /// three is shown.
    pub(super) found: Vec<usize>,
    /// Whether `found` must be made anew.
    pub(super) found_stale: bool,
    /// What was selected in the lists last.
    pub(super) kept: Kept,
    /// The time left of the sweep under way, and of which sweep and when that was reckoned.
    pub(super) time_left: (Option<(SweepId, Timestamp)>, Option<Duration>),
    /// Whether the screen may look different from when it was drawn last.
    pub(super) changed: bool,
}

/// The history of one client.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct History {
    pub(super) client: ClientId,
    pub(super) span: Span,
    /// Up to when; `None` is now.
    pub(super) until: Option<Timestamp>,
    pub(super) points: Vec<Point>,
}

/// What was asked for last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) history: Option<(ClientId, Span, Option<Timestamp>)>,
    pub(super) events: Option<ClientId>,
}

impl Model {
    /// A dashboard that knows nothing yet. `size` is the terminal's, columns and rows.
    #[must_use]
    pub fn new(about: About, look: Look, size: (u16, u16), now: Timestamp) -> Self {
        Self {
            fleet: Fleet::default(),
            view: View::default(),
            about,
            source: StreamOrigin::Own,
            log: VecDeque::new(),
            history: None,
            events: None,
            alerts: Window::new(ALERTS),
            mails: Window::new(MAILS),
            mail_counts: (0, 0),
            sweeps: Window::new(SWEEPS),
            nothing: Fleet::default(),
            asked: Asked::default(),
            again: Again::default(),
            said: None,
            look,
            size,
            now,
            rows: Vec::new(),
            row: 0,
            rows_stale: true,
            found: Vec::new(),
            found_stale: true,
            kept: Kept::default(),
            time_left: (None, None),
            changed: true,
        }
    }

    /// The fleet that is shown: a past one, the one held still, or the one now. Of a past one that is not known yet,
    /// nothing.
    #[must_use]
    pub fn shown(&self) -> &Fleet {
        match (&self.view.travel, &self.view.frozen) {
            (Some(travel), _) => travel.fleet().unwrap_or(&self.nothing),
            (None, Some(held)) => &held.fleet,
            (None, None) => &self.fleet,
        }
    }

    /// The time that the screen speaks of: ages count from here.
    #[must_use]
    pub fn shown_at(&self) -> Timestamp {
        match (&self.view.travel, &self.view.frozen) {
            (Some(travel), _) => {
                let sweep = travel.fleet().and_then(Fleet::newest_sweep).or_else(|| travel.sweep());
                sweep.map_or(self.now, SweepView::latest_at)
            }
            (None, Some(held)) => held.at,
            (None, None) => self.now,
        }
    }

    /// Whether a past is wanted that is not known.
    #[must_use]
    pub fn waits_for_past(&self) -> bool {
        self.view.travel.as_ref().is_some_and(|travel| travel.fleet().is_none())
    }

    /// Whether something other than the present is shown.
    #[must_use]
    pub fn is_past(&self) -> bool {
        self.view.travel.is_some() || self.view.frozen.is_some()
    }

    /// Whether a recording is shown.
    pub(super) fn is_replay(&self) -> bool {
        matches!(self.source, StreamOrigin::Replay(_))
    }

    /// The collector that is looked at, as long as it does not answer.
    pub(super) fn lost_collector(&self) -> Option<Collector> {
        match self.source {
            StreamOrigin::Attached { collector: lost @ (Collector::Unreachable | Collector::Gone), .. } => Some(lost),
            StreamOrigin::Attached { collector: Collector::Connected, .. }
            | StreamOrigin::Own
            | StreamOrigin::Replay(_) => None,
        }
    }

    /// Whether a sweep is under way now.
    #[must_use]
    pub fn is_sweeping(&self) -> bool {
        self.fleet.newest_sweep().is_some_and(|sweep| sweep.duration_ms.is_none())
    }

    /// The listed clients, in their order.
    pub(super) fn listed(&self) -> impl Iterator<Item = &ClientView> {
        self.rows.iter().filter_map(|id| self.shown().client(id))
    }

    /// The selected client.
    #[must_use]
    pub fn selected(&self) -> Option<&ClientView> {
        self.shown().client(self.view.selected.as_ref()?)
    }

    /// When the next sweep begins by the schedule, seconds from now; `None` where that is not known or not to be.
    pub(super) fn next_sweep_in_seconds(&self) -> Option<u64> {
        let is_due = !self.fleet.is_paused() && !self.is_replay() && self.lost_collector().is_none();
        let interval_ms = i64::try_from(self.about.interval_ms.filter(|_| is_due)?).ok()?;
        let last = self.fleet.newest_scheduled_sweep()?.started_at.as_millisecond();
        // Rounded up: 0:00 would say that it has begun.
        let left = last.saturating_add(interval_ms).saturating_sub(self.now.as_millisecond());
        u64::try_from(left).ok().filter(|left| *left > 0).map(|left| left.div_ceil(1000))
    }

    /// How the operator knows a client: by its name, as long as the fleet has it.
    pub(super) fn name_of(&self, client: &ClientId) -> String {
        self.shown().client(client).map_or_else(|| client.to_string(), |client| client.card.name.clone())
    }

    /// Where everything stands on the screen.
    pub(super) fn layout(&self) -> Layout {
        let shown = Shown { clients: self.shown().clients().len(), alerts: self.shown().alerts().count() };
        Layout::of(self.size, self.view.tab, self.view.overlay != Overlay::None, shown)
    }

    /// What the cells of a list depend on besides their item.
    pub(super) fn context(&self, look: Look) -> Context<'_> {
        Context {
            fleet: self.shown(),
            now: self.shown_at(),
            look,
            is_marked_under_cursor: false,
            mails: &[],
            limit: None,
        }
    }

    /// Whether the client's details are on the screen.
    pub(super) fn shows_detail(&self) -> bool {
        self.view.tab == Tab::Fleet && (self.view.detail_open || self.layout().detail.is_some())
    }

    /// The alerts of the fleet view, the newest first.
    pub(super) fn alert_list(&self) -> Vec<&AlertView> {
        self.shown().alerts().newest_first()
    }

    /// The alert history as the database tells it; `None` where it was not asked yet, or is not what is shown.
    pub(super) fn alert_rows(&self) -> Option<&[AlertRow]> {
        self.alerts.rows().filter(|_| !self.is_past())
    }

    /// Up to when histories are wanted; `None` is now.
    pub(super) fn until(&self) -> Option<Timestamp> {
        self.is_past().then(|| self.shown_at())
    }

    /// The alert that is selected; of a selected client the first open one that is acknowledged or not, as wanted, or
    /// its first.
    pub(super) fn selected_alert(&self, acknowledged: bool) -> Option<&AlertView> {
        match (self.view.place(), self.view.pane) {
            (Place::Alerts, _) => {
                let base = self.alert_base();
                self.found.get(self.view.alert).and_then(|at| base.get(*at)).map(|(alert, _)| *alert)
            }
            (Place::Clients, Pane::Alerts) => self.alert_list().get(self.view.pane_alert).copied(),
            (Place::Clients | Place::Details, _) => {
                let client = self.view.selected.as_ref()?;
                let alerts = self.shown().alerts();
                let wanted = alerts.open_of(client).find(|alert| alert.acknowledged.is_given() == acknowledged);
                wanted.or_else(|| alerts.open_of(client).next())
            }
            (Place::Mails | Place::Mail | Place::Log | Place::LogLine, _) => None,
        }
    }

    /// Brings rows, selection, scroll position and the time left up to date; to be called before drawing.
    pub fn prepare(&mut self) {
        self.prepare_lists();
        let sweep = self.fleet.newest_sweep().filter(|sweep| sweep.duration_ms.is_none());
        let reckoned_for = sweep.map(|sweep| (sweep.id, self.now));
        if self.time_left.0 != reckoned_for {
            // Once a second, not for each frame: the whole past of every client is in it.
            self.time_left = (reckoned_for, sweep.and_then(|sweep| eta::time_left(&self.fleet, sweep, self.now)));
        }
        if self.waits_for_past() {
            // The selection waits with it.
            self.rows.clear();
            self.rows_stale = true;
            return;
        }
        if self.rows_stale {
            self.rows = {
                let (key, reversed) = (self.view.sort.key(), self.view.sort.reversed);
                sort::list(self.shown(), &self.view.filter, key, reversed, self.shown_at())
            };
            self.rows_stale = false;
        }
        if !self.view.chosen {
            self.view.selected = self.rows.first().cloned();
        }
        let at = self.view.selected.as_ref().and_then(|selected| self.rows.iter().position(|id| id == selected));
        self.row = at.unwrap_or(self.row).min(self.rows.len().saturating_sub(1));
        if at.is_none() {
            self.view.selected = self.rows.get(self.row).cloned();
        }
        let height = usize::from(self.layout().table_rows());
        let most = self.rows.len().saturating_sub(height);
        if self.row < self.view.top {
            self.view.top = self.row;
        } else if height > 0 && self.row >= self.view.top + height {
            self.view.top = self.row + 1 - height;
        }
        self.view.top = self.view.top.min(most);
    }

    /// Brings the rows of the lists up to date, and keeps the selected ones within them.
    pub(super) fn prepare_lists(&mut self) {
        if self.found_stale {
            self.find();
            self.found_stale = false;
        }
        self.stay_selected();
    }

    /// Selects a client by the operator's choice.
    pub(super) fn select(&mut self, client: Option<ClientId>) {
        self.view.chosen = true;
        if self.view.selected != client {
            self.view.selected = client;
            self.view.detail_top = 0;
        }
    }

    /// Has the next [`prepare`](Self::prepare) list the clients anew.
    pub(super) fn refresh(&mut self) {
        self.rows_stale = true;
        self.found_stale |= self.view.tab == Tab::Alerts;
    }

    /// Shows a line to the operator for a while.
    pub(super) fn say(&mut self, is_error: bool, text: impl Into<String>) {
        let until = self.now.checked_add(SAID_FOR).unwrap_or(Timestamp::MAX);
        self.said = Some((StatusMessage { is_error, text: text.into() }, until));
    }

    /// Whether the screen may look different since the last call.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}

/// A failure as one text, for the clipboard.
pub(super) fn failure_text(client: &ClientView, failure: &Failure) -> String {
    format!(
        "{} ({}) failed at {}: {failure}\n{}\n",
        client.card.name,
        client.card.id,
        failure.stage,
        failure.kind.next_step()
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

    use crate::{
        fleet::{
            Event, EventKind, Metric,
            alert::{HoldReason, Notice, Step},
            stream::Frame,
        },
        tui::{
            messages::Message,
            script::{self, DARK},
        },
    };

    #[test]
    fn an_alert_that_is_acknowledged_already_is_still_selected() {
        let mut model = script::model(20, (120, 40), DARK);
        let alert = model.selected_alert(false).unwrap().clone();
        assert!(alert.metric == Metric::Unreachable && !alert.acknowledged.is_given());
        let kind = EventKind::Alert {
            metric: alert.metric,
            instance: alert.instance,
            limit: alert.limit,
            value: alert.value,
            raised_at: alert.raised_at,
            step: Step::Continues,
            notice: Notice::Hold(HoldReason::Acknowledged),
        };
        let event = Event { at: script::now(), sweep: None, client: Some(alert.client), kind };
        model.update(Message::Frames(vec![Frame::Event(Arc::new(event))]));
        assert_eq!(model.update(Message::Key(KeyEvent::new(KeyCode::Char('a'), KeyModifiers::NONE))), []);
        assert_eq!(model.said.as_ref().unwrap().0.text, "This alert is already acknowledged.");
    }

    #[test]
    fn the_time_left_is_reckoned_once_a_second_and_for_each_sweep() {
        let mut model = script::model(500, (120, 40), DARK);
        let first = model.time_left;
        assert!(first.0 == Some((script::SWEEP, script::now())) && first.1.is_some(), "{first:?}");
        let tell = |client, kind| {
            let event = Event { at: script::now(), sweep: Some(script::SWEEP), client, kind };
            Message::Frames(vec![Frame::Event(Arc::new(event))])
        };
        let stage = EventKind::StageEntered { stage: crate::fleet::Stage::Connect, attempt: 1 };
        model.update(tell(Some(script::id(499)), stage));
        model.prepare();
        assert_eq!(model.time_left, first);
        let later = script::before(-1000);
        model.update(Message::Tick(later));
        model.prepare();
        assert_eq!(model.time_left.0, Some((script::SWEEP, later)));
        model.update(tell(None, EventKind::SweepEnded { number: 128, duration_ms: 1, ok: 0, failed: 0 }));
        model.prepare();
        assert_eq!(model.time_left, (None, None));
    }
}
