//! Applies messages and returns the resulting commands. Pure.

use std::sync::Arc;

use super::{
    actions,
    data::Answer,
    key::Key,
    messages::{Command, Message},
    model::{Asked, History, LOG_KEPT, Model, SWEEPS},
    query::Query,
    view::{Past, Place, Tab},
    window::Window,
};
use crate::fleet::{
    Event, EventKind,
    history::Point,
    listing::Listed,
    stream::{Collector, Frame, LogLevel, LogLine, StreamOrigin},
};
use crossterm::event::KeyEventKind;

mod keys;
mod mouse;

/// Pasted text as one line: white space separates words, other control characters are removed.
fn one_line(text: &str) -> String {
    let characters = text.trim_end().chars().map(|c| if c.is_whitespace() { ' ' } else { c });
    characters.filter(|c| !c.is_control()).collect()
}

impl Model {
    /// Applies a message. Returns the resulting commands.
    pub fn update(&mut self, message: Message) -> Vec<Command> {
        self.changed = true;
        match message {
            Message::Frames(frames) => {
                // Log lines only change the screen if the log is displayed.
                let only_log = frames.iter().all(|frame| matches!(frame, Frame::Log(_)));
                self.changed = !only_log || self.view.tab == Tab::Log;
                for frame in frames {
                    self.take_in(frame);
                }
                Vec::new()
            }
            Message::Origin(source) => {
                if let StreamOrigin::Replay(replay) = &source {
                    self.now = replay.at;
                    self.rows_stale = true;
                }
                if let StreamOrigin::Attached { collector: Collector::Connected, .. } = &source {
                    // A stream begins with the last lines of its log.
                    self.log.clear();
                    self.found_stale = true;
                }
                self.changed = self.source != source;
                self.source = source;
                Vec::new()
            }
            Message::Answer(answer) => self.answered(answer),
            Message::Tick(now) => {
                // A recording has its own time.
                if !matches!(self.source, StreamOrigin::Replay(_)) {
                    self.now = now;
                }
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
                    Some(key) => keys::press(self, key),
                    None => Vec::new(),
                }
            }
            Message::Paste(text) => {
                for character in one_line(&text).chars().take(256) {
                    keys::typed(self, character);
                }
                Vec::new()
            }
            Message::Mouse(mouse) => mouse::mouse(self, mouse),
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

    fn take_in(&mut self, frame: Frame) {
        match frame {
            Frame::About(about) => self.about = about,
            Frame::Fleet(fleet) => {
                self.fleet = Arc::unwrap_or_clone(fleet);
                self.refresh();
                // All query results may be outdated, because events were missed.
                self.outdate_lists();
            }
            Frame::Remembered(memory) => {
                self.fleet.remember(Arc::unwrap_or_clone(memory));
                self.refresh();
            }
            Frame::Event(event) => {
                self.fleet.apply(&event);
                self.invalidate(&event);
                self.refresh();
            }
            Frame::Log(line) => self.note(line),
        }
    }

    /// Appends a line to the log.
    fn note(&mut self, line: LogLine) {
        // The selected line stays selected, except the last one, which follows the log.
        let stays = self.view.log_back > 0 || self.view.place() == Place::LogLine;
        if stays && self.is_listed(&line) {
            self.view.log_back = (self.view.log_back + 1).min(LOG_KEPT);
        }
        self.found_stale |= self.view.tab == Tab::Log;
        self.log.push_back(line);
        if self.log.len() > LOG_KEPT {
            self.log.pop_front();
        }
    }

    /// The queries for the current view. Must be called when no message has come for a moment, so that holding a key
    /// sends no queries. For a recording there are none, because it contains all data.
    pub fn settle(&mut self) -> Vec<Command> {
        self.prepare();
        if self.is_replay() {
            return Vec::new();
        }
        let mut queries = Vec::new();
        if self.shows_detail()
            && !self.waits_for_past()
            && let Some(client) = self.view.selected.clone()
        {
            let (span, until) = (self.view.span, self.until());
            let wanted = Some((client.clone(), span, until));
            if self.asked.history != wanted {
                (self.asked.history, self.asked.awaits_history) = (wanted, true);
                queries.push(Query::History { client: client.clone(), span, until });
            }
            if self.asked.events.as_ref() != Some(&client) {
                self.asked.events = Some(client.clone());
                queries.push(Query::SecurityEvents(client));
            }
        }
        let mut commands: Vec<Command> = queries.into_iter().map(Command::Ask).collect();
        if self.again.take_due(self.now) {
            self.alerts.retry();
            self.mails.retry();
            self.sweeps.retry();
            commands.extend(actions::time::ask_again(self));
        }
        commands.extend(self.load_on(0));
        commands
    }

    /// The next request for the displayed list after a move by `step` rows. Only one at a time.
    pub(super) fn load_on(&mut self, step: isize) -> Vec<Command> {
        if self.is_replay() {
            return Vec::new();
        }
        let travelled = actions::time::place(self);
        let sweeps = travelled.and_then(|here| self.sweeps.want(here)).map(Query::Sweeps);
        let list = match self.view.tab {
            Tab::Alerts => {
                let near = self.near(&self.alerts, self.view.alert, step);
                self.alerts.want(near).map(Query::AlertHistory)
            }
            Tab::Mails => {
                let near = self.near(&self.mails, self.view.mail, step);
                self.mails.want(near).map(Query::Mails)
            }
            Tab::Fleet | Tab::Log => None,
        };
        sweeps.into_iter().chain(list).map(Command::Ask).collect()
    }

    /// The loaded row near a row of the list, which decides what is loaded next. A filtered list loads more until it fills
    /// the screen, as long as no loaded row has to be dropped; after that, only when the selection moves beyond its ends.
    fn near<T: Listed>(&self, window: &Window<T>, listed: usize, step: isize) -> usize {
        if self.view.list_filter().is_none_or(|filter| filter.words.is_empty()) {
            return self.found.get(listed).copied().unwrap_or(0);
        }
        let below = self.found.len().saturating_sub(listed + 1);
        let fills_the_screen = below >= usize::from(self.size.1);
        if (!fills_the_screen && window.has_room()) || (step > 0 && below == 0) {
            usize::MAX
        } else if step < 0 && listed == 0 {
            0
        } else {
            // Near neither end.
            window.rows().map_or(0, <[T]>::len) / 2
        }
    }

    /// All rows of the lists may be outdated, and pending requests may not be answered.
    fn outdate_lists(&mut self) {
        self.asked = Asked::default();
        self.again.is_back(self.now);
        self.alerts.forget_questions();
        self.mails.forget_questions();
        if self.view.travel.is_some() {
            self.sweeps.grow();
        } else {
            self.sweeps = Window::new(SWEEPS);
        }
    }

    /// Marks data as outdated because of an event, in addition to the fleet itself.
    fn invalidate(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Alert { .. } | EventKind::Acknowledged { .. } | EventKind::Unacknowledged { .. } => {
                self.alerts.outdate();
            }
            EventKind::Mail { .. } => {
                self.mails.outdate();
                self.alerts.outdate();
            }
            // Sweeps that end during time travel extend the time bar.
            EventKind::SweepEnded { .. } if self.view.travel.is_some() => self.sweeps.grow(),
            EventKind::SweepEnded { .. } => self.sweeps = Window::new(SWEEPS),
            // Earlier results are from before the outage.
            EventKind::DatabaseBack { .. } => self.outdate_lists(),
            EventKind::ConfigurationRefused { errors } => {
                let first = errors.first().map_or("", String::as_str);
                self.say(true, format!("The changed configuration is invalid and was not applied: {first}"));
            }
            EventKind::Collected { reading, .. } => {
                if let Some(history) = &mut self.history
                    && history.until.is_none()
                    && event.client.as_ref() == Some(&history.client)
                {
                    let memory = reading.memory.and_then(crate::fleet::reading::Usage::percent);
                    let (cpu_percent, memory_percent) = (reading.cpu.map(f64::from), memory.map(f64::from));
                    history.points.push(Point { at: event.at, cpu_percent, memory_percent });
                }
                // A chart that was asked for before may lack this collection.
                if self.asked.awaits_history {
                    self.asked.history.take_if(|(client, ..)| event.client.as_ref() == Some(client));
                }
                if self.asked.events == event.client {
                    self.asked.events = None;
                }
            }
            EventKind::Configured { .. }
            | EventKind::SweepStarted { .. }
            | EventKind::StageEntered { .. }
            | EventKind::AttemptFailed { .. }
            | EventKind::CollectionFailed { .. }
            | EventKind::DatabaseAway { .. }
            | EventKind::SchedulePaused { .. } => {}
        }
    }

    fn answered(&mut self, answer: Answer) -> Vec<Command> {
        if !matches!(answer, Answer::Failed { .. } | Answer::Status(_)) {
            self.again.answers(self.now);
        }
        match answer {
            Answer::History { client, span, until, points } => {
                self.asked.awaits_history = false;
                self.history = Some(History { client, span, until, points });
            }
            Answer::SecurityEvents { client, events } => self.events = Some((client, events)),
            Answer::AlertHistory { wish, page } => {
                let mut row = self.loaded_row(Tab::Alerts, self.view.alert);
                self.alerts.take(wish, page, &mut row);
                self.view.alert = self.listed_row(Tab::Alerts, row);
            }
            Answer::Mails { wish, page, waiting, refused } => {
                self.mail_counts = (waiting, refused);
                let mut row = self.loaded_row(Tab::Mails, self.view.mail);
                self.mails.take(wish, page, &mut row);
                self.view.mail = self.listed_row(Tab::Mails, row);
            }
            Answer::Sweeps { wish, page } => {
                let mut here = actions::time::place(self).unwrap_or(0);
                if self.sweeps.take(wish, page, &mut here) {
                    return actions::time::arrive(self);
                }
            }
            Answer::Past { sweep, fleet, unreadable } => {
                if let Some(travel) = self.view.travel.as_mut().filter(|travel| travel.is_to(sweep)) {
                    travel.past = Past::Known { fleet, unreadable };
                    self.refresh();
                }
            }
            Answer::Failed { query, why } => self.not_answered(query, why),
            Answer::Status(said) => {
                // The message disappears after some seconds, but an error stays in the log.
                if said.is_error {
                    self.note(LogLine { at: self.now, level: LogLevel::Error, client: None, text: said.text.clone() });
                }
                self.say(said.is_error, said.text);
            }
        }
        Vec::new()
    }

    /// The loaded row for a row of a list that may be filtered.
    fn loaded_row(&self, tab: Tab, listed: usize) -> usize {
        if self.view.tab == tab { self.found.get(listed).copied().unwrap_or(0) } else { listed }
    }

    /// The reverse, after the loaded rows have changed. If the row is filtered out, the next one.
    fn listed_row(&mut self, tab: Tab, loaded: usize) -> usize {
        if self.view.tab != tab {
            return loaded;
        }
        self.found_stale = true;
        self.prepare_lists();
        self.found.partition_point(|at| *at < loaded)
    }

    fn not_answered(&mut self, query: Query, why: String) {
        match query {
            Query::Past(sweep) => {
                if let Some(travel) = self.view.travel.as_mut().filter(|travel| travel.is_to(sweep)) {
                    travel.past = Past::Failed(why);
                    self.again.failed(self.now);
                }
            }
            Query::Sweeps(wish) => {
                if !self.sweeps.fail(wish, &why) {
                    return;
                }
                self.again.failed(self.now);
                match &mut self.view.travel {
                    Some(travel) if travel.sweep().is_none() => travel.past = Past::Failed(why),
                    Some(_) | None => self.say(true, why),
                }
            }
            Query::AlertHistory(wish) if self.alerts.fail(wish, &why) => self.again.failed(self.now),
            Query::Mails(wish) if self.mails.fail(wish, &why) => self.again.failed(self.now),
            Query::AlertHistory(_) | Query::Mails(_) => {}
            Query::History { .. } | Query::SecurityEvents(_) => self.say(true, why),
        }
    }
}
