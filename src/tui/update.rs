//! What each message changes, and what is asked for because of it. Pure; not how it looks.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use jiff::Timestamp;

use super::{
    action::{self, Action, Confirm, Key},
    data::{Answer, Point, Said},
    draw::layout::Layout,
    export::{self, Format},
    model::{History, LOG_KEPT, Model, failure_text},
    port::{Command, Message, Query},
    view::{Held, Overlay, Pane, Tab, Travel},
};
use crate::fleet::{
    ClientId, Event, EventKind,
    select::{Filter, filter::NotAFilter},
    state::ClientView,
};

/// The filter of a text without the word that `error` is about, and without any other that cannot be
/// understood.
fn understood(text: &str, error: &NotAFilter) -> Filter {
    let mut text = text.to_owned();
    let mut wrong = error.term.clone();
    loop {
        let shorter = text.replacen(&wrong, " ", 1);
        match shorter.parse() {
            Ok(filter) => return filter,
            Err(NotAFilter { .. }) if shorter.len() >= text.len() => return Filter::default(),
            Err(error) => (wrong, text) = (error.term, shorter),
        }
    }
}

/// How long a line for the operator is shown.
const SAID_FOR: Duration = Duration::from_secs(6);

impl Model {
    /// Takes in a message; returns what the operator wants because of it.
    pub fn update(&mut self, message: Message) -> Vec<Command> {
        self.changed = true;
        match message {
            Message::Events(events) => {
                for event in &events {
                    self.fleet.apply(event);
                    self.heed(event);
                }
                self.refresh();
                Vec::new()
            }
            Message::Fleet(fleet) => {
                self.fleet = *fleet;
                self.refresh();
                Vec::new()
            }
            Message::Remembered { clients, alerts } => {
                self.fleet.remember(clients, alerts);
                self.refresh();
                Vec::new()
            }
            Message::About(about) => {
                self.about = about;
                Vec::new()
            }
            Message::Paused(paused) => {
                self.paused = paused;
                Vec::new()
            }
            Message::Log(lines) => {
                if self.view.log_back > 0 {
                    self.view.log_back = (self.view.log_back + lines.len()).min(LOG_KEPT);
                }
                self.log.extend(lines);
                let excess = self.log.len().saturating_sub(LOG_KEPT);
                self.log.drain(..excess);
                self.changed = self.view.tab == Tab::Log;
                Vec::new()
            }
            Message::Answer(answer) => self.answered(answer),
            Message::Tick(now) => {
                self.now = now;
                self.rows_stale = true;
                if self.said.as_ref().is_some_and(|(_, until)| now >= *until) {
                    self.said = None;
                }
                Vec::new()
            }
            Message::Key(key) => {
                if key.kind == KeyEventKind::Release {
                    self.changed = false;
                    return Vec::new();
                }
                match Key::of(key) {
                    Some(key) => self.key(key),
                    None => Vec::new(),
                }
            }
            Message::Paste(text) => {
                for character in text.chars().filter(|c| !c.is_control()).take(256) {
                    self.typed(character);
                }
                Vec::new()
            }
            Message::Mouse(mouse) => self.mouse(mouse),
            Message::Resize(columns, rows) => {
                self.size = (columns, rows);
                Vec::new()
            }
            Message::Background(background) => {
                self.changed = self.look.background != background;
                self.look.background = background;
                Vec::new()
            }
            Message::Continued => vec![Command::Redraw],
            Message::Quit => Vec::new(),
        }
    }

    /// What is worth asking for, now that the operator's hand rests. To be called when no message has come
    /// for a moment: holding a key down asks nothing.
    pub fn settle(&mut self) -> Vec<Command> {
        self.prepare();
        let mut queries = Vec::new();
        if self.shows_detail()
            && let Some(client) = self.view.selected.clone()
        {
            let wanted = Some((client.clone(), self.view.span));
            if self.asked.history != wanted {
                self.asked.history = wanted;
                queries.push(Query::History { client: client.clone(), span: self.view.span });
            }
            if self.asked.events.as_ref() != Some(&client) {
                self.asked.events = Some(client.clone());
                queries.push(Query::SecurityEvents(client));
            }
        }
        if self.view.tab == Tab::Alerts && !self.asked.alerts {
            self.asked.alerts = true;
            queries.push(Query::AlertHistory);
        }
        if self.view.tab == Tab::Mails && !self.asked.mails {
            self.asked.mails = true;
            queries.push(Query::Mails);
        }
        queries.into_iter().map(Command::Ask).collect()
    }

    /// What an event makes old, beyond the fleet itself.
    fn heed(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Alert { .. } => self.asked.alerts = false,
            EventKind::Mail { .. } => (self.asked.mails, self.asked.alerts) = (false, false),
            EventKind::SweepEnded { .. } => self.sweeps = None,
            EventKind::ConfigurationRefused { errors } => {
                let first = errors.first().map_or("", String::as_str);
                self.say(true, format!("changed configuration refused, the old one stays: {first}"));
            }
            EventKind::Collected { reading, .. } => {
                if let Some(history) = &mut self.history
                    && event.client.as_ref() == Some(&history.client)
                {
                    let memory = reading.memory.and_then(crate::fleet::reading::Usage::percent);
                    let (cpu_percent, memory_percent) = (reading.cpu.map(f64::from), memory.map(f64::from));
                    history.points.push(Point { at: event.at, cpu_percent, memory_percent });
                }
                if self.asked.events == event.client {
                    self.asked.events = None;
                }
            }
            EventKind::Configured { .. }
            | EventKind::SweepStarted { .. }
            | EventKind::StageEntered { .. }
            | EventKind::AttemptFailed { .. }
            | EventKind::CollectionFailed { .. } => {}
        }
    }

    fn refresh(&mut self) {
        self.rows_stale = true;
    }

    fn say(&mut self, is_error: bool, text: impl Into<String>) {
        let until = self.now.checked_add(SAID_FOR).unwrap_or(Timestamp::MAX);
        self.said = Some((Said { is_error, text: text.into() }, until));
    }

    fn answered(&mut self, answer: Answer) -> Vec<Command> {
        match answer {
            Answer::History { client, span, points } => self.history = Some(History { client, span, points }),
            Answer::SecurityEvents { client, events } => self.events = Some((client, events)),
            Answer::AlertHistory(rows) => self.alerts = Some(rows),
            Answer::Mails(rows) => self.mails = Some(rows),
            Answer::Sweeps(sweeps) => {
                self.sweeps = Some(sweeps);
                if self.view.travel.as_ref().is_some_and(|travel| travel.to.is_none()) {
                    return self.travel(false);
                }
            }
            Answer::Past { sweep, fleet } => {
                if let Some(travel) = &mut self.view.travel
                    && travel.to == Some(sweep)
                {
                    travel.fleet = Some(fleet);
                    self.refresh();
                }
            }
            Answer::Said(said) => self.say(said.is_error, said.text),
        }
        Vec::new()
    }

    fn key(&mut self, key: Key) -> Vec<Command> {
        if key == Key::Ctrl('c') {
            return vec![Command::Quit];
        }
        match self.view.overlay.clone() {
            Overlay::None => action::bound_to(key).map(|entry| self.act(entry.action)).unwrap_or_default(),
            Overlay::Help { top } => self.key_in_help(key, top),
            Overlay::Palette { text, row } => self.key_in_palette(key, text, row),
            Overlay::Filter { before } => self.key_in_filter(key, before),
            Overlay::Confirm { action } => {
                self.view.overlay = Overlay::None;
                match key {
                    Key::Char('y' | 'Y') | Key::Code(KeyCode::Enter) => self.perform(action),
                    Key::Char(_) | Key::Ctrl(_) | Key::Code(_) => Vec::new(),
                }
            }
            Overlay::Export => {
                self.view.overlay = Overlay::None;
                let format = match key {
                    Key::Char('j' | 'J') => Format::Json,
                    Key::Char('c' | 'C') => Format::Csv,
                    Key::Char(_) | Key::Ctrl(_) | Key::Code(_) => return Vec::new(),
                };
                self.prepare();
                let file_name = export::file_name(format, self.now);
                vec![Command::Export { file_name, text: export::text(self, format) }]
            }
        }
    }

    fn key_in_help(&mut self, key: Key, top: usize) -> Vec<Command> {
        let action = action::bound_to(key).map(|entry| entry.action);
        let top = match action {
            Some(Action::Down) => top + 1,
            Some(Action::Up) => top.saturating_sub(1),
            Some(Action::PageDown) => top + 10,
            Some(Action::PageUp) => top.saturating_sub(10),
            Some(Action::First) => 0,
            _ => {
                self.view.overlay = Overlay::None;
                return Vec::new();
            }
        };
        // Nothing lies below the last line of the table.
        self.view.overlay = Overlay::Help { top: top.min(action::TABLE.len()) };
        Vec::new()
    }

    fn key_in_palette(&mut self, key: Key, mut text: String, mut row: usize) -> Vec<Command> {
        let found = action::matching(&text).len();
        match key {
            Key::Code(KeyCode::Esc) => {
                self.view.overlay = Overlay::None;
                return Vec::new();
            }
            Key::Code(KeyCode::Enter) => {
                self.view.overlay = Overlay::None;
                return match action::matching(&text).get(row) {
                    Some(entry) => self.act(entry.action),
                    None => Vec::new(),
                };
            }
            Key::Code(KeyCode::Down | KeyCode::Tab) => row = (row + 1).min(found.saturating_sub(1)),
            Key::Code(KeyCode::Up | KeyCode::BackTab) => row = row.saturating_sub(1),
            Key::Code(KeyCode::Backspace) => {
                text.pop();
                row = 0;
            }
            Key::Ctrl('u') => (text, row) = (String::new(), 0),
            Key::Char(character) => {
                text.push(character);
                row = 0;
            }
            Key::Code(_) | Key::Ctrl(_) => {}
        }
        self.view.overlay = Overlay::Palette { text, row };
        Vec::new()
    }

    fn key_in_filter(&mut self, key: Key, before: String) -> Vec<Command> {
        match key {
            Key::Code(KeyCode::Esc) => {
                self.view.overlay = Overlay::None;
                self.set_filter(before);
            }
            Key::Code(KeyCode::Enter) => {
                // What cannot be understood stays to be mended.
                if self.view.filter_error.is_none() {
                    self.view.overlay = Overlay::None;
                    self.view.filter_text = self.view.filter_text.trim().to_owned();
                }
            }
            Key::Code(KeyCode::Backspace) => {
                let mut text = self.view.filter_text.clone();
                text.pop();
                self.set_filter(text);
            }
            Key::Ctrl('u') => self.set_filter(String::new()),
            Key::Ctrl('w') => {
                let text = self.view.filter_text.trim_end();
                let kept = text.rfind(' ').and_then(|at| text.get(..=at)).unwrap_or("").to_owned();
                self.set_filter(kept);
            }
            Key::Code(KeyCode::Down) => return self.perform(Action::Down),
            Key::Code(KeyCode::Up) => return self.perform(Action::Up),
            Key::Char(character) => self.typed(character),
            Key::Code(_) | Key::Ctrl(_) => {}
        }
        Vec::new()
    }

    /// A character for whatever is being typed into; elsewhere it is passed over.
    fn typed(&mut self, character: char) {
        match &mut self.view.overlay {
            Overlay::Filter { .. } => {
                let mut text = self.view.filter_text.clone();
                text.push(character);
                self.set_filter(text);
            }
            Overlay::Palette { text, row } => {
                text.push(character);
                *row = 0;
            }
            Overlay::None | Overlay::Help { .. } | Overlay::Confirm { .. } | Overlay::Export => {}
        }
    }

    fn set_filter(&mut self, text: String) {
        match text.parse::<Filter>() {
            Ok(filter) => {
                if !filter.is_empty() {
                    self.view.search = filter.clone();
                }
                self.view.filter = filter;
                self.view.filter_error = None;
            }
            Err(error) => {
                // The words that can be understood hold meanwhile.
                self.view.filter = understood(&text, &error);
                self.view.filter_error = Some(error.to_string());
            }
        }
        self.view.filter_text = text;
        self.refresh();
    }

    /// An action by key or palette: refused in the past, asked about where the table says so.
    fn act(&mut self, action: Action) -> Vec<Command> {
        let Some(entry) = action::of(action) else { return Vec::new() };
        self.prepare();
        if self.is_past() && !entry.in_past {
            let way = if self.view.travel.is_some() { "End returns to live" } else { "f lets it go on" };
            self.say(true, format!("{}: this is not the present; {way}", entry.name));
            return Vec::new();
        }
        let asks = match entry.confirm {
            Confirm::Never => false,
            Confirm::Always => true,
            Confirm::WhileSweeping => self.is_sweeping() && self.about.attached_to.is_none(),
        };
        if asks && (action != Action::Cancel || self.selected().is_some_and(|client| client.running.is_some())) {
            self.view.overlay = Overlay::Confirm { action };
            return Vec::new();
        }
        self.perform(action)
    }

    fn perform(&mut self, action: Action) -> Vec<Command> {
        self.prepare();
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
                self.view.sort.key = self.view.sort.key.step(true);
                self.view.sort.reversed = false;
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
                return vec![Command::CollectFailed];
            }
            Action::CollectAll => return vec![Command::CollectAll],
            Action::Cancel => match self.selected() {
                Some(client) if client.running.is_some() => {
                    return vec![Command::Cancel(client.card.id.clone())];
                }
                Some(_) | None => self.say(false, "nothing is under way at this client"),
            },
            Action::Pause => return vec![if self.paused { Command::Resume } else { Command::Pause }],
            Action::Acknowledge => match self.alert_in_hand() {
                Some(alert) if !alert.acknowledged => {
                    return vec![Command::Acknowledge { client: alert.client.clone(), metric: alert.metric }];
                }
                Some(_) => self.say(false, "acknowledged already"),
                None => self.say(false, "no open alert is selected"),
            },
            Action::Freeze => {
                let held = Held { fleet: self.fleet.clone(), at: self.now };
                self.view.frozen = if self.view.frozen.is_some() { None } else { Some(Box::new(held)) };
                self.refresh();
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
    fn step(&mut self, by: isize) {
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

    fn page(&self) -> isize {
        let layout = Layout::of(self);
        let rows = match self.view.tab {
            Tab::Fleet => layout.table_rows(),
            Tab::Alerts | Tab::Mails | Tab::Log => layout.body.height,
        };
        isize::try_from(rows.saturating_sub(1).max(1)).unwrap_or(1)
    }

    fn select(&mut self, client: Option<ClientId>) {
        if self.view.selected != client {
            self.view.selected = client;
            self.view.detail_top = 0;
        }
    }

    fn turn_pane(&mut self, forward: bool) {
        if self.view.tab != Tab::Fleet {
            self.turn_to(Tab::Fleet);
            return;
        }
        let layout = Layout::of(self);
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

    fn turn_to(&mut self, tab: Tab) {
        if self.view.tab != tab {
            self.view.tab = tab;
            self.view.detail_open = false;
        }
    }

    fn open(&mut self) {
        match (self.view.tab, self.view.pane) {
            (Tab::Fleet, Pane::Alerts) | (Tab::Alerts, _) => {
                let client = match (&self.alerts, self.view.tab) {
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
    fn back(&mut self) -> Vec<Command> {
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
    fn seek(&mut self, forward: bool, wanted: impl Fn(&ClientView) -> bool, nothing: &str) {
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

    fn collect(&mut self) -> Vec<Command> {
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
        vec![Command::CollectNow(clients)]
    }

    fn copy(&mut self) -> Vec<Command> {
        let text = match self.view.tab {
            Tab::Fleet => self.selected().map(|client| match client.failure() {
                Some(failure) => failure_text(client, failure),
                None => format!("{} {}\n", client.card.name, client.card.id),
            }),
            Tab::Alerts => self.alert_in_hand().map(|alert| {
                let value = alert.metric.show(alert.value);
                format!("{} {} {value} since {}\n", alert.client, alert.metric, alert.raised_at)
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
    fn travel(&mut self, later: bool) -> Vec<Command> {
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
            None => sweeps.len(),
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
                if here == sweeps.len() {
                    self.view.travel = None;
                }
                self.say(false, "there is no earlier sweep in the database");
                Vec::new()
            }
        }
    }

    fn mouse(&mut self, mouse: MouseEvent) -> Vec<Command> {
        self.prepare();
        let layout = Layout::of(self);
        match mouse.kind {
            MouseEventKind::ScrollUp => self.step(-3),
            MouseEventKind::ScrollDown => self.step(3),
            MouseEventKind::Down(MouseButton::Left) if mouse.modifiers == KeyModifiers::NONE => {
                if let Some(client) = layout.client_at(self, mouse.column, mouse.row) {
                    self.view.pane = Pane::Clients;
                    self.select(Some(client));
                    self.prepare();
                } else if let Some(alert) = layout.alert_at(self, mouse.column, mouse.row) {
                    self.view.pane = Pane::Alerts;
                    self.view.alert = alert;
                }
            }
            MouseEventKind::Down(_)
            | MouseEventKind::Up(_)
            | MouseEventKind::Drag(_)
            | MouseEventKind::Moved
            | MouseEventKind::ScrollLeft
            | MouseEventKind::ScrollRight => self.changed = false,
        }
        Vec::new()
    }
}
