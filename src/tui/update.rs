//! What each message changes, and what is asked for because of it. Pure; not how it looks.

use std::sync::Arc;

use super::{
    actions,
    data::Answer,
    key::Key,
    messages::{Command, Message, Query},
    model::{Asked, History, LOG_KEPT, Model},
    view::{Place, Tab},
};
use crate::fleet::{
    Event, EventKind,
    history::Point,
    stream::{Frame, LogLevel, LogLine, StreamOrigin},
};
use crossterm::event::KeyEventKind;

mod keys;
mod mouse;

/// Pasted text as one line: white space keeps its words apart, other control characters are left out.
fn one_line(text: &str) -> String {
    let characters = text.trim_end().chars().map(|c| if c.is_whitespace() { ' ' } else { c });
    characters.filter(|c| !c.is_control()).collect()
}

impl Model {
    /// Takes in a message; returns what the operator wants because of it.
    pub fn update(&mut self, message: Message) -> Vec<Command> {
        self.changed = true;
        match message {
            Message::Frames(frames) => {
                // A log that is not shown changes nothing that is.
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
                if let StreamOrigin::Attached { connected: true, .. } = &source {
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
                // A recording has a time of its own.
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
                // Whatever was missed may have made any of it old.
                self.asked = Asked::default();
                self.sweeps = None;
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
        // The selected line stays selected; only the last one gives way to what comes after it.
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

    /// What is worth asking for, now that the operator's hand rests. To be called when no message has come
    /// for a moment: holding a key down asks nothing.
    pub fn settle(&mut self) -> Vec<Command> {
        self.prepare();
        let mut queries = Vec::new();
        if self.shows_detail()
            && let Some(client) = self.view.selected.clone()
        {
            let (span, until) = (self.view.span, self.until());
            let wanted = Some((client.clone(), span, until));
            if self.asked.history != wanted {
                self.asked.history = wanted;
                queries.push(Query::History { client: client.clone(), span, until });
            }
            if self.asked.events.as_ref() != Some(&client) {
                self.asked.events = Some(client.clone());
                queries.push(Query::SecurityEvents(client));
            }
        }
        // Sweeps that end while the past is looked at lengthen the time bar.
        let travels = self.view.travel.as_ref().is_some_and(|travel| travel.to.is_some());
        if travels && self.sweeps.is_none() && !self.asked.sweeps {
            self.asked.sweeps = true;
            queries.push(Query::Sweeps);
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
    fn invalidate(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Alert { .. } | EventKind::Acknowledged { .. } | EventKind::Unacknowledged { .. } => {
                self.asked.alerts = false;
            }
            EventKind::Mail { .. } => (self.asked.mails, self.asked.alerts) = (false, false),
            EventKind::SweepEnded { .. } => (self.sweeps, self.asked.sweeps) = (None, false),
            // What was asked before is of the time before the outage.
            EventKind::DatabaseBack { .. } => {
                (self.asked.mails, self.asked.alerts, self.sweeps) = (false, false, None);
            }
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
        match answer {
            Answer::History { client, span, until, points } => {
                self.history = Some(History { client, span, until, points });
            }
            Answer::SecurityEvents { client, events } => self.events = Some((client, events)),
            Answer::AlertHistory(rows) => (self.alerts, self.found_stale) = (Some(rows), true),
            Answer::Mails(rows) => (self.mails, self.found_stale) = (Some(rows), true),
            Answer::Sweeps(sweeps) => {
                self.sweeps = Some(sweeps);
                if self.view.travel.as_ref().is_some_and(|travel| travel.to.is_none()) {
                    return actions::time::travel(self, false);
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
            Answer::Status(said) => {
                // The line for the operator is gone after some seconds; an error can be looked up.
                if said.is_error {
                    self.note(LogLine { at: self.now, level: LogLevel::Error, client: None, text: said.text.clone() });
                }
                self.say(said.is_error, said.text);
            }
        }
        Vec::new()
    }
}
