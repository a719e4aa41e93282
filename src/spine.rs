//! The spine: the one channel on which every part of the pipeline tells what happens.
//!
//! Not the fold of what was told (that is [`crate::fleet::state`]) and not who listens: `app` hands the
//! receiving end to one hub, which never waits for a listener.

use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::fleet::{ClientId, Event, EventKind, SweepId};

/// How many events may wait for the hub. When it is full, whoever tells waits: the hub only folds and
/// forwards, so it is full for moments at most, and no event is ever dropped here.
const CAPACITY: usize = 4096;

/// The telling end; cheap to clone.
#[derive(Debug, Clone)]
pub struct Spine(mpsc::Sender<Event>);

impl Spine {
    /// A spine and its receiving end.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Event>) {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        (Self(sender), receiver)
    }

    /// Tells of something that concerns the whole fleet or one client, now.
    pub async fn tell(&self, sweep: Option<SweepId>, client: Option<&ClientId>, kind: EventKind) {
        let event = Event { at: Timestamp::now(), sweep, client: client.cloned(), kind };
        if self.0.send(event).await.is_err() {
            tracing::debug!("an event came after the hub had ended");
        }
    }
}
