//! What each action does. The table of actions is [`crate::tui::action`].

use crate::{
    fleet::{
        ClientId,
        order::{Order, Selection},
        state::ClientView,
        stream::{Play, Source},
    },
    tui::{
        action::{self, Action, Confirm},
        model::{Model, failure_text},
        port::{Command, Query},
        view::{Held, Overlay, Pane, Tab, Travel},
    },
};

impl Model {
    /// An action by key or palette: refused in the past, asked about where the table says so.
    pub(super) fn act(&mut self, action: Action) -> Vec<Command> {
        let Some(entry) = action::of(action) else { return Vec::new() };
        self.prepare();
        if self.is_replay() && !entry.in_past && action != Action::Pause {
            self.say(true, format!("{}: this is a recording", entry.name));
            return Vec::new();
        }
        if self.is_past() && !entry.in_past {
            let way = if self.view.travel.is_some() { "End returns to live" } else { "f lets it go on" };
            self.say(true, format!("{}: this is not the present; {way}", entry.name));
            return Vec::new();
        }
        let asks = match entry.confirm {
            Confirm::Never => false,
            Confirm::Always => true,
            // Elsewhere quitting ends nothing but the view.
            Confirm::WhileSweeping => self.is_sweeping() && self.source == Source::Own,
        };
        // What would come to nothing is not asked about, but said.
        let is_possible = if action == Action::Cancel {
            self.selected().is_some_and(|client| client.running.is_some())
        } else {
            action != Action::TakeOver || self.has_lost_its_collector()
        };
        if asks && is_possible {
            self.view.overlay = Overlay::Confirm { action };
            return Vec::new();
        }
        self.perform(action)
    }

    pub(super) fn perform(&mut self, action: Action) -> Vec<Command> {
        self.prepare();
        // What is acted on, or looked at closely, stays selected.
        self.view.chosen |= matches!(
            action,
            Action::Open | Action::Mark | Action::Collect | Action::Cancel | Action::Acknowledge | Action::Copy
        );
        match action {
            Action::Up => self.step(-1),
            Action::Down => self.step(1),
            Action::PageUp => self.step(-self.page()),
            Action::PageDown => self.step(self.page()),
            Action::First => self.step(isize::MIN / 2),
            Action::Last => self.step(isize::MAX / 2),
            Action::NextPane => self.turn_pane(true),
            Action::PreviousPane => self.turn_pane(false),
            Action::ViewFleet => self.turn_to(Tab::Fleet),
            Action::ViewAlerts => self.turn_to(Tab::Alerts),
            Action::ViewMails => self.turn_to(Tab::Mails),
            Action::ViewLog => self.turn_to(Tab::Log),
            Action::Open => self.open(),
            Action::Back => return self.back(),
            Action::NextFailure => self.seek(true, |client| client.failure().is_some(), "no client has failed"),
            Action::PreviousFailure => self.seek(false, |client| client.failure().is_some(), "no client has failed"),
            Action::SearchNext | Action::SearchPrevious => {
                let (search, now) = (self.view.search.clone(), self.shown_at());
                if search.is_empty() {
                    self.say(false, "nothing was filtered for yet: / first");
                } else {
                    let nothing = "no listed client meets the last filter";
                    self.seek(action == Action::SearchNext, |client| search.meets(client, now), nothing);
                }
            }
            Action::Filter => {
                self.view.tab = Tab::Fleet;
                self.view.detail_open = false;
                self.view.overlay = Overlay::Filter { before: self.view.filter_text.clone() };
            }
            Action::Sort => {
                self.view.sort = self.view.sort.next();
                self.refresh();
            }
            Action::SortReverse => {
                self.view.sort.reversed = !self.view.sort.reversed;
                self.refresh();
            }
            Action::Mark => {
                if let Some(client) = self.view.selected.clone() {
                    if !self.view.marks.remove(&client) {
                        self.view.marks.insert(client);
                    }
                    self.step(1);
                }
            }
            Action::MarkAll => {
                let all = self.rows.iter().all(|id| self.view.marks.contains(id));
                for id in &self.rows {
                    if all {
                        self.view.marks.remove(id);
                    } else {
                        self.view.marks.insert(id.clone());
                    }
                }
            }
            Action::Span => self.view.span = self.view.span.next(),
            Action::Collect => return self.collect(),
            Action::CollectFailed => {
                let failed = self.fleet.clients().filter(|client| client.failure().is_some()).count();
                if failed == 0 {
                    self.say(false, "no client has failed");
                    return Vec::new();
                }
                self.say(false, format!("collecting {failed} failed"));
                return vec![Command::Order(Order::Collect(Selection::Failed))];
            }
            Action::CollectAll => return vec![Command::Order(Order::Collect(Selection::All))],
            Action::Cancel => match self.selected() {
                Some(client) if client.running.is_some() => {
                    return vec![Command::Order(Order::Cancel(client.card.id.clone()))];
                }
                Some(_) | None => self.say(false, "nothing is under way at this client"),
            },
            Action::TakeOver if self.has_lost_its_collector() => {
                self.say(false, "taking over");
                return vec![Command::TakeOver];
            }
            Action::TakeOver => self.say(false, "a collector is at work: there is nothing to take over"),
            Action::Pause if self.is_replay() => return vec![Command::Play(Play::PauseOrGo)],
            Action::Pause => {
                return vec![Command::Order(if self.fleet.is_paused() { Order::Resume } else { Order::Pause })];
            }
            Action::Acknowledge => match self.alert_in_hand() {
                Some(alert) if !alert.acknowledged => {
                    let (client, metric, instance) = (alert.client.clone(), alert.metric, alert.instance.clone());
                    return vec![Command::Order(Order::Acknowledge { client, metric, instance })];
                }
                Some(_) => self.say(false, "acknowledged already"),
                None => self.say(false, "no open alert is selected"),
            },
            Action::Freeze => {
                let held = Held { fleet: self.fleet.clone(), at: self.now };
                self.view.frozen = if self.view.frozen.is_some() { None } else { Some(Box::new(held)) };
                self.refresh();
            }
            Action::Earlier if self.is_replay() => return vec![Command::Play(Play::Earlier)],
            Action::Later if self.is_replay() => return vec![Command::Play(Play::Later)],
            Action::Live if self.is_replay() && self.view.frozen.is_none() => return vec![Command::Play(Play::End)],
            Action::Faster | Action::Slower => {
                if self.is_replay() {
                    let play = if action == Action::Faster { Play::Faster } else { Play::Slower };
                    return vec![Command::Play(play)];
                }
                self.say(false, "only a recording plays faster or slower");
            }
            Action::Earlier => return self.travel(false),
            Action::Later => return self.travel(true),
            Action::Live => {
                if self.is_past() {
                    self.view.travel = None;
                    self.view.frozen = None;
                    self.refresh();
                } else {
                    self.step(isize::MAX / 2);
                }
            }
            Action::Copy => return self.copy(),
            Action::Export => self.view.overlay = Overlay::Export,
            Action::Mouse => {
                self.view.mouse = !self.view.mouse;
                return vec![Command::Mouse(self.view.mouse)];
            }
            Action::Palette => self.view.overlay = Overlay::Palette { text: String::new(), row: 0 },
            Action::Help => self.view.overlay = Overlay::Help { top: 0 },
            Action::Redraw => return vec![Command::Redraw],
            Action::Suspend => return vec![Command::Suspend],
            Action::Quit | Action::QuitNow => return vec![Command::Quit],
        }
        Vec::new()
    }

    /// So many rows in whatever has the focus.
    pub(super) fn step(&mut self, by: isize) {
        let moved = |at: usize, most: usize| at.saturating_add_signed(by).min(most);
        match (self.view.tab, self.view.pane) {
            (Tab::Fleet, _) if self.view.detail_open => self.view.detail_top = moved(self.view.detail_top, 500),
            (Tab::Fleet, Pane::Detail) => self.view.detail_top = moved(self.view.detail_top, 500),
            (Tab::Fleet, Pane::Clients) => {
                self.row = moved(self.row, self.rows.len().saturating_sub(1));
                self.select(self.rows.get(self.row).cloned());
            }
            // Kept within the list by `prepare`.
            (Tab::Fleet, Pane::Alerts) | (Tab::Alerts, _) => self.view.alert = moved(self.view.alert, usize::MAX),
            (Tab::Mails, _) if self.view.detail_open => self.view.mail_top = moved(self.view.mail_top, 5000),
            (Tab::Mails, _) => {
                self.view.mail = moved(self.view.mail, usize::MAX);
                self.view.mail_top = 0;
            }
            (Tab::Log, _) => {
                let most = self.log.len().saturating_sub(1);
                self.view.log_back = self.view.log_back.saturating_add_signed(-by).min(most);
            }
        }
        self.prepare();
    }

    pub(super) fn page(&self) -> isize {
        let layout = self.layout();
        let rows = match self.view.tab {
            Tab::Fleet => layout.table_rows(),
            Tab::Alerts | Tab::Mails | Tab::Log => layout.body.height,
        };
        isize::try_from(rows.saturating_sub(1).max(1)).unwrap_or(1)
    }

    pub(super) fn select(&mut self, client: Option<ClientId>) {
        self.view.chosen = true;
        if self.view.selected != client {
            self.view.selected = client;
            self.view.detail_top = 0;
        }
    }

    pub(super) fn turn_pane(&mut self, forward: bool) {
        if self.view.tab != Tab::Fleet {
            self.turn_to(Tab::Fleet);
            return;
        }
        let layout = self.layout();
        let mut panes = vec![Pane::Clients];
        if layout.detail.is_some() {
            panes.push(Pane::Detail);
        }
        if layout.alerts.is_some() {
            panes.push(Pane::Alerts);
        }
        let here = panes.iter().position(|pane| *pane == self.view.pane).unwrap_or(0);
        let by = if forward { 1 } else { panes.len() - 1 };
        self.view.pane = panes.get((here + by) % panes.len()).copied().unwrap_or_default();
    }

    pub(super) fn turn_to(&mut self, tab: Tab) {
        if self.view.tab != tab {
            self.view.tab = tab;
            self.view.detail_open = false;
        }
    }

    pub(super) fn open(&mut self) {
        match (self.view.tab, self.view.pane) {
            (Tab::Fleet, Pane::Alerts) | (Tab::Alerts, _) => {
                let client = match (self.alert_rows(), self.view.tab) {
                    (Some(rows), Tab::Alerts) => rows.get(self.view.alert).map(|row| row.alert.client.clone()),
                    _ => self.alert_list().get(self.view.alert).map(|alert| alert.client.clone()),
                };
                if let Some(client) = client {
                    self.turn_to(Tab::Fleet);
                    self.view.pane = Pane::Clients;
                    if !self.rows.contains(&client) {
                        self.set_filter(String::new());
                    }
                    self.select(Some(client));
                    self.prepare();
                }
            }
            (Tab::Fleet, Pane::Clients | Pane::Detail) | (Tab::Mails, _) => {
                self.view.detail_open = !self.view.detail_open;
            }
            (Tab::Log, _) => self.view.log_back = 0,
        }
    }

    /// Out of one thing at a time, the innermost first.
    pub(super) fn back(&mut self) -> Vec<Command> {
        if self.view.detail_open {
            self.view.detail_open = false;
        } else if self.view.tab != Tab::Fleet {
            self.turn_to(Tab::Fleet);
        } else if self.view.pane != Pane::Clients {
            self.view.pane = Pane::Clients;
        } else if !self.view.marks.is_empty() {
            self.view.marks.clear();
        } else if !self.view.filter_text.is_empty() {
            self.set_filter(String::new());
        } else if self.is_past() {
            return self.perform(Action::Live);
        }
        Vec::new()
    }

    /// To the next or previous listed client that `wanted` meets, coming round at the end.
    pub(super) fn seek(&mut self, forward: bool, wanted: impl Fn(&ClientView) -> bool, nothing: &str) {
        let count = self.rows.len();
        let found = (1..=count).find_map(|by| {
            let at = (self.row + if forward { by } else { count - by }) % count;
            let client = self.shown().client(self.rows.get(at)?)?;
            wanted(client).then(|| client.card.id.clone())
        });
        match found {
            Some(client) => {
                self.turn_to(Tab::Fleet);
                self.view.pane = Pane::Clients;
                self.select(Some(client));
                self.prepare();
            }
            None => self.say(false, nothing),
        }
    }

    pub(super) fn collect(&mut self) -> Vec<Command> {
        let clients: Vec<ClientId> = if self.view.marks.is_empty() {
            self.view.selected.iter().cloned().collect()
        } else {
            self.view.marks.iter().filter(|id| self.fleet.client(id).is_some()).cloned().collect()
        };
        match clients.as_slice() {
            [] => {
                self.say(false, "no client is selected");
                return Vec::new();
            }
            [one] => {
                let name = self.fleet.client(one).map_or_else(|| one.to_string(), |client| client.card.name.clone());
                self.say(false, format!("collecting {name}"));
            }
            many => self.say(false, format!("collecting {} marked clients", many.len())),
        }
        self.view.marks.clear();
        vec![Command::Order(Order::Collect(Selection::These(clients)))]
    }

    pub(super) fn copy(&mut self) -> Vec<Command> {
        let text = match self.view.tab {
            Tab::Fleet => self.selected().map(|client| match client.failure() {
                Some(failure) => failure_text(client, failure),
                None => format!("{} {}\n", client.card.name, client.card.id),
            }),
            Tab::Alerts => self.alert_in_hand().map(|alert| {
                let value = alert.metric.show(alert.value);
                format!("{} {} {value} since {}\n", alert.client, alert.key(), alert.raised_at)
            }),
            Tab::Mails => {
                let mail = self.mails.as_ref().and_then(|mails| mails.get(self.view.mail));
                mail.map(|mail| format!("To: {}\nSubject: {}\n\n{}\n", mail.recipient, mail.subject, mail.body))
            }
            Tab::Log => {
                let lines = self.log.iter().map(|line| format!("{} {} {}\n", line.at, line.level.word(), line.text));
                Some(lines.collect())
            }
        };
        match text {
            Some(text) => {
                self.say(false, "copied");
                vec![Command::Copy(text)]
            }
            None => {
                self.say(false, "nothing is selected");
                Vec::new()
            }
        }
    }

    /// One sweep back or on. Past the newest lies the present.
    pub(super) fn travel(&mut self, later: bool) -> Vec<Command> {
        let Some(sweeps) = &self.sweeps else {
            if later && self.view.travel.is_none() {
                return Vec::new();
            }
            let travel = self.view.travel.get_or_insert(Travel { to: None, fleet: None });
            travel.to = if travel.fleet.is_some() { travel.to } else { None };
            return vec![Command::Ask(Query::Sweeps)];
        };
        let here = match self.view.travel.as_ref().and_then(|travel| travel.to) {
            Some(to) => sweeps.iter().position(|sweep| sweep.id == to).unwrap_or(sweeps.len()),
            // At rest the present is the newest one's end.
            None if self.is_sweeping() => sweeps.len(),
            None => sweeps.len().saturating_sub(1),
        };
        let wanted = if later { here + 1 } else { here.wrapping_sub(1) };
        match sweeps.get(wanted).map(|sweep| sweep.id) {
            Some(id) => {
                let before = self.view.travel.take().and_then(|travel| travel.fleet);
                // What was shown stays until the answer is there.
                self.view.travel = Some(Travel { to: Some(id), fleet: before });
                self.refresh();
                vec![Command::Ask(Query::Past(id))]
            }
            None if later => {
                self.view.travel = None;
                self.refresh();
                Vec::new()
            }
            None => {
                // The oldest sweep may still be on its way: then it stays the one that was asked for.
                if self.view.travel.as_ref().is_some_and(|travel| travel.to.is_none() && travel.fleet.is_none()) {
                    self.view.travel = None;
                }
                self.say(false, "there is no earlier sweep in the database");
                Vec::new()
            }
        }
    }
}
