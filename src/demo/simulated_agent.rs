//! Answers for the agent of a demo client with the report of a simulated host.
//!
//! The output of the real agent comes first, but the last block in the output is the one that counts. It is sealed for
//! the request in the command line, so the collector opens and checks it like that of a real agent.

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

use super::simulated_host::{Delays, SimulatedHost, Surge};

/// A simulated host and the start of its simulation.
#[derive(Debug)]
pub struct SimulatedAgent {
    host: SimulatedHost,
    began: Instant,
    surge: Mutex<Option<Surge>>,
}

impl SimulatedAgent {
    /// Simulates this host, beginning at `began`.
    #[must_use]
    pub fn new(host: SimulatedHost, began: Instant) -> Self {
        Self { host, began, surge: Mutex::new(None) }
    }

    /// Starts a period of high CPU usage.
    pub(super) fn start_surge(&self, lasts: Duration) {
        let begins = self.began.elapsed();
        *self.surge() = Some(Surge { begins, ends: begins.saturating_add(lasts) });
    }

    /// The delays of a session at this time.
    pub(super) fn delays(&self) -> Delays {
        self.host.delays(self.began.elapsed())
    }

    /// The last block of a command's output, if its command line contains a request; otherwise `None`.
    pub(super) fn answer(&self, command: &[u8]) -> Option<Bytes> {
        let request = request_in(command)?;
        let surge = *self.surge();
        let (since, clock_unix_ms) = (self.began.elapsed(), Timestamp::now().as_millisecond());
        let mut report = self.host.report(since, clock_unix_ms, surge);
        report.events = match &request.events {
            EventsWanted::No => None,
            EventsWanted::Within(_) => Some(self.host.security_log(since, clock_unix_ms, None)),
            EventsWanted::After(bookmark) => {
                Some(self.host.security_log(since, clock_unix_ms, Some(bookmark.as_str())))
            }
        };
        match envelope::seal(report.to_xml().as_bytes(), &request, &mut SysRng) {
            Ok(block) => Some(block.into()),
            Err(error) => {
                tracing::warn!(%error, "a simulated agent cannot answer; the report of the real one is used");
                None
            }
        }
    }

    fn surge(&self) -> MutexGuard<'_, Option<Surge>> {
        self.surge.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The command line with a request without security events, because those of the machine that the demo runs on must not
/// be read. The simulated host has its own.
pub(super) fn without_events(command: &[u8]) -> Cow<'_, [u8]> {
    match (request_in(command), std::str::from_utf8(command)) {
        (Some(request), Ok(text)) if request.events != EventsWanted::No => {
            let without = Request { events: EventsWanted::No, ..request.clone() };
            text.replacen(&request.to_argument(), &without.to_argument(), 1).into_bytes().into()
        }
        _ => command.into(),
    }
}

/// The request in a command line, quoted or not.
fn request_in(command: &[u8]) -> Option<Request> {
    let text = std::str::from_utf8(command).ok()?;
    text.split(|character: char| character.is_ascii_whitespace() || matches!(character, '\'' | '"'))
        .find_map(|word| Request::parse(word).ok())
}

#[cfg(test)]
mod tests {
    use fleetsweep_agent::{
        report::Report,
        request::{EventsWanted, Questions},
    };
    use uuid::Uuid;

    use super::*;

    #[test]
    fn only_a_command_with_a_request_is_answered_and_only_for_that_request() {
        let agent = SimulatedAgent::new(SimulatedHost::new("db-03", 2), Instant::now());
        let [(request, secret), (other, _)] = [(); 2].map(|()| {
            let secret = envelope::fresh_secret(&mut SysRng).unwrap();
            let request = Request {
                collection: Uuid::new_v4(),
                server_key: secret.public_key(),
                window: Duration::from_millis(250),
                deadline: Duration::from_secs(5),
                events: EventsWanted::No,
                questions: Questions::default(),
            };
            (request, secret)
        });
        let word = request.to_argument();
        for command in [format!("/tmp/agent {word}"), format!("exec /bin/sh -c 'a; b' x \"{word}\" y"), word.clone()] {
            let block = agent.answer(command.as_bytes()).unwrap();
            let xml = envelope::open(&block, &request, &secret).unwrap();
            let report = Report::from_xml(&xml).unwrap();
            assert_eq!(report.host.name.as_deref(), Some("db-03.demo.example"), "{command}");
            assert!(envelope::open(&block, &other, &secret).is_err());
        }
        let wanting = Request { events: EventsWanted::Within(Duration::from_secs(60)), ..request.clone() };
        let command = format!("/tmp/agent '{}' y", wanting.to_argument());
        assert_eq!(&*without_events(command.as_bytes()), format!("/tmp/agent '{word}' y").as_bytes());
        let block = agent.answer(command.as_bytes()).unwrap();
        assert!(Report::from_xml(&envelope::open(&block, &wanting, &secret).unwrap()).unwrap().events.is_some());
        for command in ["", "uname -sm", "1.2.3", word.trim_start_matches('1'), &format!("x{word}")] {
            assert_eq!(agent.answer(command.as_bytes()), None, "{command}");
        }
        assert_eq!(agent.answer(b"\xff"), None);
    }
}
