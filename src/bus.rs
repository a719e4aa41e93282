//! The event bus: the one channel on which every part of the pipeline publishes what happens, folded and passed on to
//! every subscriber, and the way back, on which operators give orders.
//!
//! Not the fold itself (that is [`crate::fleet::state`]) and not who subscribes.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::fleet::{
    ClientId, Event, EventKind, SweepId,
    history::StoredHistory,
    stream::{About, Frame},
};

mod event_bus;
mod orders;

pub use event_bus::{BusHandle, EventBus, Subscriber};
pub use orders::{HAS_ENDED, Orders, Request};

/// How many events may wait for the bus. When it is full, whoever publishes waits: the bus only folds and
/// forwards, so it is full for moments at most, and no event is ever dropped here.
const CAPACITY: usize = 4096;

/// The publishing end; cheap to clone.
#[derive(Debug, Clone)]
pub struct Publisher(mpsc::Sender<Frame>);

/// What was published and has not been folded yet.
#[derive(Debug)]
pub struct Published(mpsc::Receiver<Frame>);

impl Publisher {
    /// A publisher and its receiving end.
    #[must_use]
    pub fn new() -> (Self, Published) {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        (Self(sender), Published(receiver))
    }

    /// Publishes something that concerns the whole fleet or one client, as of now.
    pub async fn publish(&self, sweep: Option<SweepId>, client: Option<&ClientId>, kind: EventKind) {
        let event = Event { at: Timestamp::now(), sweep, client: client.cloned(), kind };
        self.send(Frame::Event(Arc::new(event))).await;
    }

    /// Publishes what the database remembers of the clients published before.
    pub async fn remember(&self, memory: StoredHistory) {
        self.send(Frame::Remembered(Arc::new(memory))).await;
    }

    /// Publishes what is swept, and when.
    pub async fn describe(&self, about: About) {
        self.send(Frame::About(about)).await;
    }

    async fn send(&self, frame: Frame) {
        if self.0.send(frame).await.is_err() {
            tracing::debug!("an event was published after the bus had ended");
        }
    }
}
