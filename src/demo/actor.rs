//! A server that plays a persona: the clock that the persona lives by, and the last block of an answer.
//!
//! The agent's own answer stands before that block, and by the rule of the wire the last block counts. It is
//! sealed for the request that the command line carried, so the collector opens and checks it like any other:
//! only the numbers are made up.

use std::{
    borrow::Cow,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use fleetsweep_agent::{
    SysRng, envelope,
    request::{EventsWanted, Request},
};
use jiff::Timestamp;

use super::persona::{Pace, Persona, Surge};

/// A persona that is being played since some time.
#[derive(Debug)]
pub struct Actor {
    persona: Persona,
    began: Instant,
    surge: Mutex<Option<Surge>>,
}

impl Actor {
    /// Plays a persona whose time began then.
    #[must_use]
    pub fn new(persona: Persona, began: Instant) -> Self {
        Self { persona, began, surge: Mutex::new(None) }
    }

    /// Who it plays.
    #[must_use]
    pub fn persona(&self) -> &Persona {
        &self.persona
    }

    /// Has much work from now on, for so long.
    pub(super) fn strain(&self, lasts: Duration) {
        let begins = self.began.elapsed();
        *self.surge() = Some(Surge { begins, ends: begins.saturating_add(lasts) });
    }

    /// How fast a visit is that comes now.
    pub(super) fn pace(&self) -> Pace {
        self.persona.pace(self.began.elapsed())
    }

    /// The block that ends the output of a command that carried a request; `None` for any other command.
    pub(super) fn answer(&self, command: &[u8]) -> Option<Bytes> {
        let request = request_in(command)?;
        let surge = *self.surge();
        let (since, clock_unix_ms) = (self.began.elapsed(), Timestamp::now().as_millisecond());
        let mut report = self.persona.report(since, clock_unix_ms, surge);
        report.events = match &request.events {
            EventsWanted::No => None,
            EventsWanted::Within(_) => Some(self.persona.security_log(since, clock_unix_ms, None)),
            EventsWanted::After(bookmark) => {
                Some(self.persona.security_log(since, clock_unix_ms, Some(bookmark.as_str())))
            }
        };
        match envelope::seal(report.to_xml().as_bytes(), &request, &mut SysRng) {
            Ok(block) => Some(block.into()),
            Err(error) => {
                tracing::warn!(%error, "a persona cannot answer: the agent's own report stays the last one");
                None
            }
        }
    }

    fn surge(&self) -> MutexGuard<'_, Option<Surge>> {
        self.surge.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A command line whose request asks for no security events: those of the machine that the demo runs on are not to be
/// read. The persona has its own.
pub(super) fn without_events(command: &[u8]) -> Cow<'_, [u8]> {
    match (request_in(command), std::str::from_utf8(command)) {
        (Some(request), Ok(text)) if request.events != EventsWanted::No => {
            let without = Request { events: EventsWanted::No, ..request.clone() };
            text.replacen(&request.to_argument(), &without.to_argument(), 1).into_bytes().into()
        }
        _ => command.into(),
    }
}

/// The request among the words of a command line, in quotes or not.
fn request_in(command: &[u8]) -> Option<Request> {
    let text = std::str::from_utf8(command).ok()?;
    text.split(|character: char| character.is_ascii_whitespace() || matches!(character, '\'' | '"'))
        .find_map(|word| Request::parse(word).ok())
}

#[cfg(test)]
mod tests {
    use fleetsweep_agent::{report::Report, request::EventsWanted};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn only_a_command_with_a_request_is_answered_and_only_for_that_request() {
        let actor = Actor::new(Persona::new("db-03", 2), Instant::now());
        let [(request, secret), (other, _)] = [(); 2].map(|()| {
            let secret = envelope::fresh_secret(&mut SysRng).unwrap();
            let request = Request {
                collection: Uuid::new_v4(),
                server_key: secret.public_key(),
                window: Duration::from_millis(250),
                deadline: Duration::from_secs(5),
                events: EventsWanted::No,
            };
            (request, secret)
        });
        let word = request.to_argument();
        for command in [format!("/tmp/agent {word}"), format!("exec /bin/sh -c 'a; b' x \"{word}\" y"), word.clone()] {
            let block = actor.answer(command.as_bytes()).unwrap();
            let xml = envelope::open(&block, &request, &secret).unwrap();
            let report = Report::from_xml(&xml).unwrap();
            assert_eq!(report.host.name.as_deref(), Some("db-03.demo.example"), "{command}");
            assert!(envelope::open(&block, &other, &secret).is_err());
        }
        let wanting = Request { events: EventsWanted::Within(Duration::from_secs(60)), ..request.clone() };
        let command = format!("/tmp/agent '{}' y", wanting.to_argument());
        assert_eq!(&*without_events(command.as_bytes()), format!("/tmp/agent '{word}' y").as_bytes());
        let block = actor.answer(command.as_bytes()).unwrap();
        assert!(Report::from_xml(&envelope::open(&block, &wanting, &secret).unwrap()).unwrap().events.is_some());
        for command in ["", "uname -sm", "1.2.3", word.trim_start_matches('1'), &format!("x{word}")] {
            assert_eq!(actor.answer(command.as_bytes()), None, "{command}");
        }
        assert_eq!(actor.answer(b"\xff"), None);
    }
}
