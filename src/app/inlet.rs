//! What comes to a screen, wherever it comes from: this process, a running collector, a recording. From here
//! on there is one way. Not where it comes from.

use std::{collections::BTreeSet, sync::Arc};

use tokio::{runtime::Handle, sync::mpsc, task::JoinHandle};

use crate::{
    fleet::{
        ClientId, EventKind,
        stream::{Frame, Source},
    },
    relay::{client::Incoming, replay::Played},
    spine::Listener,
    tui::{Answer, Message, data::Said, screen::Feed},
};

use super::takeover::Succession;

/// How many pieces of the stream go to the screen in one message.
const BATCH: usize = 512;

/// Where a screen's stream comes from.
#[derive(Debug)]
pub enum Inlet {
    /// From this process.
    Own(Listener),
    /// From a running collector.
    Attached(Attached),
    /// From a recording.
    Replay(mpsc::Receiver<Played>),
}

/// The stream of a running collector.
#[derive(Debug)]
pub struct Attached {
    incoming: mpsc::Receiver<Incoming>,
    /// Where it is recorded as well; closed when the recording has ended.
    record: Option<mpsc::Sender<Frame>>,
    /// To whom there was a connection last.
    to: String,
    /// What is learnt of the collector, for the time when it has gone.
    succession: Arc<Succession>,
}

impl Attached {
    /// The stream that arrives there.
    #[must_use]
    pub fn new(
        incoming: mpsc::Receiver<Incoming>,
        record: Option<mpsc::Sender<Frame>>,
        to: String,
        succession: Arc<Succession>,
    ) -> Self {
        Self { incoming, record, to, succession }
    }

    /// Notes what passes, apart from the screen.
    fn note(&mut self, incoming: &Incoming) {
        if let Incoming::Frame(frame) = incoming {
            self.learn(frame);
        }
        if let (Some(record), Incoming::Frame(frame)) = (&self.record, incoming)
            && record.blocking_send(frame.clone()).is_err()
        {
            self.record = None;
        }
    }

    fn learn(&self, frame: &Frame) {
        if let Frame::Fleet(fleet) = frame {
            let clients: BTreeSet<ClientId> = fleet.clients().map(|client| client.card.id.clone()).collect();
            // Before its configuration is read a collector has none.
            if !clients.is_empty() {
                self.succession.sweeps(clients);
            }
        } else if let Frame::Event(event) = frame
            && let EventKind::Configured { clients } = &event.kind
        {
            self.succession.sweeps(clients.iter().map(|card| card.id.clone()).collect());
        }
    }

    fn messages(&mut self, incoming: Incoming) -> Vec<Message> {
        match incoming {
            Incoming::Connected { to } => {
                self.to.clone_from(&to);
                vec![Message::Source(Source::Attached { to, connected: true })]
            }
            Incoming::Gone { why } => vec![
                Message::Source(Source::Attached { to: self.to.clone(), connected: false }),
                Message::Answer(Answer::Said(Said { is_error: true, text: why })),
            ],
            Incoming::Frame(frame) => vec![Message::Frames(vec![frame])],
            Incoming::Succeeded => vec![
                Message::Source(Source::Own),
                Message::Answer(Answer::Said(Said {
                    is_error: false,
                    text: "this dashboard sweeps now: the collector it was attached to has ended".to_owned(),
                })),
            ],
        }
    }
}

impl Inlet {
    /// Passes everything on to the screen, as much as waits in one message. It waits for the screen; the stream
    /// does not wait for it, but gives the whole fleet for what was missed.
    pub fn pump(mut self, feed: Feed) -> JoinHandle<()> {
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || {
            while let Some(first) = self.next(&runtime) {
                let mut messages = first;
                for _ in 0..BATCH {
                    let Some(more) = self.next_now() else { break };
                    for message in more {
                        join(&mut messages, message);
                    }
                }
                for message in messages {
                    if feed.send_waiting(message).is_err() {
                        return;
                    }
                }
            }
        })
    }

    /// The next piece; `None` at the end.
    fn next(&mut self, runtime: &Handle) -> Option<Vec<Message>> {
        Some(match self {
            Self::Own(listener) => vec![Message::Frames(vec![runtime.block_on(listener.next())?])],
            Self::Attached(attached) => {
                let incoming = attached.incoming.blocking_recv()?;
                attached.note(&incoming);
                attached.messages(incoming)
            }
            Self::Replay(played) => vec![replayed(played.blocking_recv()?)],
        })
    }

    /// What waits already.
    fn next_now(&mut self) -> Option<Vec<Message>> {
        Some(match self {
            Self::Own(listener) => vec![Message::Frames(vec![listener.next_now()?])],
            Self::Attached(attached) => {
                let incoming = attached.incoming.try_recv().ok()?;
                attached.note(&incoming);
                attached.messages(incoming)
            }
            Self::Replay(played) => vec![replayed(played.try_recv().ok()?)],
        })
    }
}

fn replayed(played: Played) -> Message {
    match played {
        Played::Frame(frame) => Message::Frames(vec![frame]),
        Played::At(replay) => Message::Source(Source::Replay(replay)),
    }
}

/// Appends a message; neighbouring pieces of the stream become one.
fn join(messages: &mut Vec<Message>, message: Message) {
    match (messages.last_mut(), message) {
        (Some(Message::Frames(before)), Message::Frames(more)) => before.extend(more),
        (_, message) => messages.push(message),
    }
}
