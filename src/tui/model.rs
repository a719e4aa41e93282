//! The state of the dashboard: the fleet, results of queries, and the view. Pure.

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

/// How long a message for the operator is shown.
const SAID_FOR: Duration = Duration::from_secs(6);

/// The most log lines. The oldest are dropped first.
pub(super) const LOG_KEPT: usize = 2000;

/// The number of rows of a request, per list. Mails include their texts.
pub(super) const ALERTS: u32 = 500;
pub(super) const MAILS: u32 = 100;
pub(super) const SWEEPS: u32 = 500;

/// The state from which the screen is drawn.
#[derive(Debug, Clone)]
pub struct Model {
    /// The current fleet.
    pub(super) fleet: Fleet,
    /// The state of the view.
    pub(super) view: View,
    /// The description of the fleet for the header.
    pub(super) about: About,
    /// The origin of the stream.
    pub(super) source: StreamOrigin,
    /// The log, oldest first.
    pub(super) log: VecDeque<LogLine>,
    /// The last result for the history of a client.
    pub(super) history: Option<History>,
    /// The last result for the security events of a client.
    pub(super) events: Option<(ClientId, Vec<EventRow>)>,
    /// The loaded part of the alert history.
    pub(super) alerts: Window<AlertRow>,
    /// The loaded part of the outbox.
    pub(super) mails: Window<MailRow>,
    /// The total numbers of waiting and of refused mails.
    pub(super) mail_counts: (u64, u64),
    /// The loaded part of the sweeps that are available for time travel.
    pub(super) sweeps: Window<SweepView>,
    /// An empty fleet, displayed while the wanted past is not loaded.
    pub(super) nothing: Fleet,
    /// The last queries, so that none is repeated.
    pub(super) asked: Asked,
    /// When what the database did not answer is asked for again.
    pub(super) again: Again,
    /// The message for the operator, and until when it is shown.
    pub(super) said: Option<(StatusMessage, Timestamp)>,
    /// The capabilities of the terminal.
    pub(super) look: Look,
    /// Columns and rows.
    pub(super) size: (u16, u16),
    /// The current time.
    pub(super) now: Timestamp,
    /// The listed clients in order.
    pub(super) rows: Vec<ClientId>,
    /// The last row of the selected client. If the client is removed, its neighbour is selected.
    pub(super) row: usize,
    /// Whether `rows` must be updated.
    pub(super) rows_stale: bool,
    /// The indices of the listed alerts, mails or log lines in the current view.
    pub(super) found: Vec<usize>,
    /// Whether `found` must be updated.
    pub(super) found_stale: bool,
    /// The last selected items of the lists.
    pub(super) kept: Kept,
    /// The remaining time of the current sweep, with the sweep and the time of the estimate.
    pub(super) time_left: (Option<(SweepId, Timestamp)>, Option<Duration>),
    /// Whether the screen may look different from the last drawn one.
    pub(super) changed: bool,
}

/// The history of one client.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct History {
    pub(super) client: ClientId,
    pub(super) span: Span,
    /// The end of the span; `None` is now.
    pub(super) until: Option<Timestamp>,
    pub(super) points: Vec<Point>,
}

/// The last queries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) history: Option<(ClientId, Span, Option<Timestamp>)>,
    /// Whether no chart was received since.
    pub(super) awaits_history: bool,
    pub(super) events: Option<ClientId>,
}

impl Model {
    /// An empty dashboard. `size` is that of the terminal, columns and rows.
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

    /// The displayed fleet: a past one, the frozen one, or the current one. Empty if the wanted past is not loaded.
    #[must_use]
    pub fn shown(&self) -> &Fleet {
        match (&self.view.travel, &self.view.frozen) {
            (Some(travel), _) => travel.fleet().unwrap_or(&self.nothing),
            (None, Some(held)) => &held.fleet,
            (None, None) => &self.fleet,
        }
    }

    /// The time of the displayed fleet, for ages.
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

    /// Whether a past is wanted that is not loaded.
    #[must_use]
    pub fn waits_for_past(&self) -> bool {
        self.view.travel.as_ref().is_some_and(|travel| travel.fleet().is_none())
    }

    /// Whether the displayed fleet is not the current one.
    #[must_use]
    pub fn is_past(&self) -> bool {
        self.view.travel.is_some() || self.view.frozen.is_some()
    }

    /// Whether the clients are not known yet. A configuration has at least one; a recording may begin without any.
    pub(super) fn is_asking(&self) -> bool {
        self.fleet.clients().len() == 0 && !self.is_replay()
    }

    /// Whether this is a replay.
    pub(super) fn is_replay(&self) -> bool {
        matches!(self.source, StreamOrigin::Replay(_))
    }

    /// The collector that the dashboard is attached to, if it does not answer.
    pub(super) fn lost_collector(&self) -> Option<Collector> {
        match self.source {
            StreamOrigin::Attached { collector: lost @ (Collector::Unreachable | Collector::Gone), .. } => Some(lost),
            StreamOrigin::Attached { collector: Collector::Connected, .. }
            | StreamOrigin::Own
            | StreamOrigin::Replay(_) => None,
        }
    }

    /// Whether a sweep is running now.
    #[must_use]
    pub fn is_sweeping(&self) -> bool {
        self.fleet.newest_sweep().is_some_and(|sweep| sweep.duration_ms.is_none())
    }

    /// The listed clients in order.
    pub(super) fn listed(&self) -> impl Iterator<Item = &ClientView> {
        self.rows.iter().filter_map(|id| self.shown().client(id))
    }

    /// The selected client.
    #[must_use]
    pub fn selected(&self) -> Option<&ClientView> {
        self.shown().client(self.view.selected.as_ref()?)
    }

    /// The seconds until the next scheduled sweep; `None` if this is unknown or there is none.
    pub(super) fn next_sweep_in_seconds(&self) -> Option<u64> {
        let is_due = !self.fleet.is_paused() && !self.is_replay() && self.lost_collector().is_none();
        let interval_ms = i64::try_from(self.about.interval_ms.filter(|_| is_due)?).ok()?;
        let last = self.fleet.newest_scheduled_sweep()?.started_at.as_millisecond();
        // Rounded up, because 0:00 would mean that it has begun. The time here may be that of a tick before the sweep.
        let left = last.saturating_add(interval_ms).saturating_sub(self.now.as_millisecond()).min(interval_ms);
        u64::try_from(left).ok().filter(|left| *left > 0).map(|left| left.div_ceil(1000))
    }

    /// The name of a client if it is in the fleet.
    pub(super) fn name_of(&self, client: &ClientId) -> String {
        self.shown().client(client).map_or_else(|| client.to_string(), |client| client.card.name.clone())
    }

    /// The layout of the screen.
    pub(super) fn layout(&self) -> Layout {
        let shown = Shown { clients: self.shown().clients().len(), alerts: self.shown().alerts().count() };
        Layout::of(self.size, self.view.tab, self.view.overlay != Overlay::None, shown)
    }

    /// The data besides the item that cells of a list depend on.
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

    /// Whether the details of a client are on the screen.
    pub(super) fn shows_detail(&self) -> bool {
        self.view.tab == Tab::Fleet && (self.view.detail_open || self.layout().detail.is_some())
    }

    /// The alerts of the fleet view, newest first.
    pub(super) fn alert_list(&self) -> Vec<&AlertView> {
        self.shown().alerts().newest_first()
    }

    /// The loaded alert history; `None` if it was not requested yet or is not displayed.
    pub(super) fn alert_rows(&self) -> Option<&[AlertRow]> {
        self.alerts.rows().filter(|_| !self.is_past())
    }

    /// The end of the requested history; `None` is now.
    pub(super) fn until(&self) -> Option<Timestamp> {
        self.is_past().then(|| self.shown_at())
    }

    /// The selected alert. For a selected client, the first open one that is acknowledged or not, as requested,
    /// otherwise its first.
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

    /// Updates rows, selection, scroll position and remaining time. Must be called before drawing.
    pub fn prepare(&mut self) {
        self.prepare_lists();
        let sweep = self.fleet.newest_sweep().filter(|sweep| sweep.duration_ms.is_none());
        let reckoned_for = sweep.map(|sweep| (sweep.id, self.now));
        if self.time_left.0 != reckoned_for {
            // Once per second and not for each frame, because it uses the complete history of every client.
            self.time_left = (reckoned_for, sweep.and_then(|sweep| eta::time_left(&self.fleet, sweep, self.now)));
        }
        if self.waits_for_past() {
            // The selection waits, too.
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

    /// Updates the rows of the lists and keeps the selection within them.
    pub(super) fn prepare_lists(&mut self) {
        if self.found_stale {
            self.find();
            self.found_stale = false;
        }
        self.stay_selected();
    }

    /// Selects a client as the operator's choice.
    pub(super) fn select(&mut self, client: Option<ClientId>) {
        self.view.chosen = true;
        if self.view.selected != client {
            self.view.selected = client;
            self.view.detail_top = 0;
        }
    }

    /// Makes the next [`prepare`](Self::prepare) update the list of clients.
    pub(super) fn refresh(&mut self) {
        self.rows_stale = true;
        self.found_stale |= self.view.tab == Tab::Alerts;
    }

    /// Shows a message to the operator for a while.
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
