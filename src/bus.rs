//! The event bus, to which every part of the pipeline publishes events and which passes them to all subscribers, and
//! the channel on which operators send orders to the collector.
//!
//! The state of the fleet is folded in [`crate::fleet::state`].

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

/// How many events may wait for the bus. When the channel is full, the publisher waits. The bus only folds and
/// forwards, so this is short. No event is dropped here.
const CAPACITY: usize = 4096;

/// Publishes events. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Publisher(mpsc::Sender<Frame>);

/// The published events that are not folded yet.
#[derive(Debug)]
pub struct Published(mpsc::Receiver<Frame>);

impl Publisher {
    /// A publisher and its receiving end.
    #[must_use]
    pub fn new() -> (Self, Published) {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        (Self(sender), Published(receiver))
    }

    /// Publishes an event about the whole fleet or one client, with the current time.
    pub async fn publish(&self, sweep: Option<SweepId>, client: Option<&ClientId>, kind: EventKind) {
        let event = Event { at: Timestamp::now(), sweep, client: client.cloned(), kind };
        self.send(Frame::Event(Arc::new(event))).await;
    }

    /// Publishes the stored history of the clients that were published before.
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
