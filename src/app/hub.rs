//! The hub: folds every event into the fleet and passes it on to whoever listens.
//!
//! It never waits for a listener, so a stopped terminal never holds up collection. It decides nothing.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::{
    sync::{broadcast, mpsc},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::fleet::{Event, state::Fleet};

/// How many events a listener may lag behind. When it is full the oldest are overwritten: the listener is
/// told how many it missed and goes on from the folded [`Fleet`], which misses nothing.
const LISTENER_CAPACITY: usize = 8192;

/// The running hub.
#[derive(Debug)]
pub struct Hub {
    fleet: Arc<RwLock<Fleet>>,
    listeners: broadcast::Sender<Arc<Event>>,
    closing: CancellationToken,
    task: JoinHandle<()>,
}

impl Hub {
    /// Starts folding what arrives at `events`.
    #[must_use]
    pub fn start(mut events: mpsc::Receiver<Event>) -> Self {
        let fleet = Arc::new(RwLock::new(Fleet::default()));
        let (listeners, _) = broadcast::channel(LISTENER_CAPACITY);
        let closing = CancellationToken::new();
        let task = tokio::spawn({
            let (fleet, listeners, closing) = (fleet.clone(), listeners.clone(), closing.clone());
            let take = move |event: Event| {
                fleet.write().unwrap_or_else(PoisonError::into_inner).apply(&event);
                // An error means that nobody listens, which is fine.
                let _ = listeners.send(Arc::new(event));
            };
            async move {
                loop {
                    tokio::select! {
                        event = events.recv() => match event {
                            Some(event) => take(event),
                            None => return,
                        },
                        () = closing.cancelled() => break,
                    }
                }
                events.close();
                while let Some(event) = events.recv().await {
                    take(event);
                }
            }
        });
        Self { fleet, listeners, closing, task }
    }

    /// Listens from now on.
    #[must_use]
    pub fn listen(&self) -> Listener {
        Listener { events: self.listeners.subscribe(), fleet: self.fleet.clone() }
    }

    /// Takes in what has been told so far, ends, and returns the fleet as it is then.
    pub async fn finish(self) -> Fleet {
        self.closing.cancel();
        if let Err(error) = self.task.await {
            tracing::error!("the hub of events broke: {error}");
        }
        drop(self.listeners);
        std::mem::take(&mut *self.fleet.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One reader of the stream.
#[derive(Debug)]
pub struct Listener {
    events: broadcast::Receiver<Arc<Event>>,
    fleet: Arc<RwLock<Fleet>>,
}

impl Listener {
    /// Calls `heed` with the fleet and each event until the hub ends. Events that were missed by
    /// lagging behind are counted to the log; the fleet holds their effect all the same.
    pub async fn each(mut self, mut heed: impl FnMut(&Fleet, &Event)) {
        loop {
            match self.events.recv().await {
                Ok(event) => heed(&self.fleet.read().unwrap_or_else(PoisonError::into_inner), &event),
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "events came faster than they could be shown");
                }
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fleet::{ClientId, EventKind, event::ClientCard},
        spine::Spine,
    };

    fn configured(count: u32) -> EventKind {
        let card = |number| ClientCard {
            id: ClientId::new(format!("c{number}"), 22),
            name: format!("c{number}"),
            username: "ops".to_owned(),
        };
        EventKind::Configured { clients: (0..count).map(card).collect() }
    }

    #[tokio::test]
    async fn what_was_told_before_the_end_is_folded_even_while_a_teller_lives() {
        let (spine, events) = Spine::new();
        let hub = Hub::start(events);
        spine.tell(None, None, configured(3)).await;
        assert_eq!(hub.finish().await.clients().count(), 3);
        // Telling after the end neither waits nor panics.
        spine.tell(None, None, configured(4)).await;
    }

    #[tokio::test]
    async fn a_listener_that_never_reads_holds_nobody_up() {
        let (spine, events) = Spine::new();
        let hub = Hub::start(events);
        let lazy = hub.listen();
        for _ in 0..3 * LISTENER_CAPACITY {
            spine.tell(None, None, configured(1)).await;
        }
        spine.tell(None, None, configured(2)).await;
        assert_eq!(hub.finish().await.clients().count(), 2);
        let mut seen = 0;
        lazy.each(|_, _| seen += 1).await;
        assert_eq!(seen, LISTENER_CAPACITY);
    }
}
