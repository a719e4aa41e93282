//! The spine: the one channel on which every part of the pipeline tells what happens, and the hub at its end
//! that folds it and passes it on.
//!
//! Not the fold itself (that is [`crate::fleet::state`]) and not who listens.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::fleet::{
    ClientId, Event, EventKind, SweepId,
    history::Memory,
    stream::{About, Frame},
};

mod hub;
mod orders;

pub use hub::{Door, Hub, Listener};
pub use orders::{Asked, HAS_ENDED, Orders};

/// How many events may wait for the hub. When it is full, whoever tells waits: the hub only folds and
/// forwards, so it is full for moments at most, and no event is ever dropped here.
const CAPACITY: usize = 4096;

/// The telling end; cheap to clone.
#[derive(Debug, Clone)]
pub struct Spine(mpsc::Sender<Frame>);

/// What was told and has not been folded yet.
#[derive(Debug)]
pub struct Told(mpsc::Receiver<Frame>);

impl Spine {
    /// A spine and its receiving end.
    #[must_use]
    pub fn new() -> (Self, Told) {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        (Self(sender), Told(receiver))
    }

    /// Tells of something that concerns the whole fleet or one client, now.
    pub async fn tell(&self, sweep: Option<SweepId>, client: Option<&ClientId>, kind: EventKind) {
        let event = Event { at: Timestamp::now(), sweep, client: client.cloned(), kind };
        self.send(Frame::Event(Arc::new(event))).await;
    }

    /// Tells what the database remembers of the clients told before.
    pub async fn remember(&self, memory: Memory) {
        self.send(Frame::Remembered(Arc::new(memory))).await;
    }

    /// Tells what is swept, and when.
    pub async fn describe(&self, about: About) {
        self.send(Frame::About(about)).await;
    }

    async fn send(&self, frame: Frame) {
        if self.0.send(frame).await.is_err() {
            tracing::debug!("something was told after the hub had ended");
        }
    }
}
