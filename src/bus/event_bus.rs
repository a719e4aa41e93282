//! The event bus: folds published events into the fleet and passes them to every subscriber.
//!
//! It never waits for a subscriber, so a stopped terminal does not delay collections.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use tokio::{sync::broadcast, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::Published;
use crate::fleet::{
    Event,
    state::Fleet,
    stream::{About, Frame, LogLine},
};

/// How many frames a subscriber may lag behind. When the channel is full, the oldest are overwritten. The subscriber
/// then gets the folded [`Fleet`] in their place, so that it only misses log lines.
const SUBSCRIBER_CAPACITY: usize = 8192;

/// How many log lines are kept for later subscribers; the oldest are dropped first.
const LOG_KEPT: usize = 500;

/// The running bus.
#[derive(Debug)]
pub struct EventBus {
    state: Arc<Shared>,
    /// All frames except log lines are sent while `state` is locked for writing. A subscriber that joins while it is
    /// locked for reading therefore misses none and gets none twice.
    subscribers: broadcast::Sender<Frame>,
    closing: CancellationToken,
    task: JoinHandle<()>,
}

/// The state that the bus and its subscribers share.
#[derive(Debug, Default)]
struct Shared {
    state: RwLock<State>,
    /// The last log lines, for later subscribers. It has a separate lock, because a line may be logged while `state` is
    /// locked.
    log: Mutex<VecDeque<LogLine>>,
}

impl Shared {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> MutexGuard<'_, VecDeque<LogLine>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct State {
    about: About,
    fleet: Fleet,
}

impl State {
    fn take(&mut self, frame: &Frame) {
        match frame {
            Frame::About(about) => self.about = about.clone(),
            Frame::Fleet(fleet) => self.fleet = Fleet::clone(fleet),
            Frame::Remembered(memory) => self.fleet.remember(memory.as_ref().clone()),
            Frame::Event(event) => self.fleet.apply(event),
            Frame::Log(_) => {}
        }
    }

    /// The first frames of a subscriber.
    fn opening(&self) -> VecDeque<Frame> {
        VecDeque::from([Frame::About(self.about.clone()), Frame::Fleet(Arc::new(self.fleet.clone()))])
    }
}

impl EventBus {
    /// Starts to fold the events from `told`.
    #[must_use]
    pub fn start(Published(mut told): Published) -> Self {
        let state = Arc::new(Shared::default());
        let (subscribers, _) = broadcast::channel(SUBSCRIBER_CAPACITY);
        let closing = CancellationToken::new();
        let task = tokio::spawn({
            let (state, subscribers, closing) = (state.clone(), subscribers.clone(), closing.clone());
            let take = move |frame: Frame| {
                let mut state = state.write();
                state.take(&frame);
                // An error means that there are no subscribers, which is fine.
                let _ = subscribers.send(frame);
            };
            async move {
                loop {
                    tokio::select! {
                        frame = told.recv() => match frame {
                            Some(frame) => take(frame),
                            None => return,
                        },
                        () = closing.cancelled() => break,
                    }
                }
                told.close();
                while let Some(frame) = told.recv().await {
                    take(frame);
                }
            }
        });
        Self { state, subscribers, closing, task }
    }

    /// A subscriber that gets the state as it is now and every event from then on.
    #[must_use]
    pub fn subscribe(&self) -> Subscriber {
        Subscriber::new(self.state.clone(), || self.subscribers.subscribe())
    }

    /// A handle to subscribe. It does not keep the bus alive.
    #[must_use]
    pub fn handle(&self) -> BusHandle {
        BusHandle { state: self.state.clone(), subscribers: self.subscribers.downgrade() }
    }

    /// Folds all published events, ends, and returns the final fleet.
    pub async fn finish(self) -> Fleet {
        self.closing.cancel();
        if let Err(error) = self.task.await {
            tracing::error!("the event bus failed: {error}");
        }
        drop(self.subscribers);
        // The state stays, so that a lagging subscriber can still catch up.
        self.state.read().fleet.clone()
    }
}

/// A handle to subscribe and to send log lines. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BusHandle {
    state: Arc<Shared>,
    subscribers: broadcast::WeakSender<Frame>,
}

impl BusHandle {
    /// Subscribes; `None` if the bus has ended.
    #[must_use]
    pub fn subscribe(&self) -> Option<Subscriber> {
        let subscribers = self.subscribers.upgrade()?;
        Some(Subscriber::new(self.state.clone(), || subscribers.subscribe()))
    }

    /// Passes a log line to every current and later subscriber.
    pub fn log(&self, line: LogLine) {
        let mut log = self.state.log();
        if log.len() >= LOG_KEPT {
            log.pop_front();
        }
        log.push_back(line.clone());
        drop(log);
        if let Some(subscribers) = self.subscribers.upgrade() {
            // An error means that there are no subscribers, which is fine.
            let _ = subscribers.send(Frame::Log(line));
        }
    }

    /// The current fleet.
    #[must_use]
    pub fn fleet(&self) -> Fleet {
        self.look(Fleet::clone)
    }

    /// Reads the current fleet. Nothing is folded meanwhile.
    pub fn look<T>(&self, see: impl FnOnce(&Fleet) -> T) -> T {
        see(&self.state.read().fleet)
    }
}

/// A subscriber of the bus.
#[derive(Debug)]
pub struct Subscriber {
    state: Arc<Shared>,
    opening: VecDeque<Frame>,
    frames: broadcast::Receiver<Frame>,
}

impl Subscriber {
    fn new(state: Arc<Shared>, subscribe: impl FnOnce() -> broadcast::Receiver<Frame>) -> Self {
        let held = state.read();
        let (mut opening, frames) = (held.opening(), subscribe());
        drop(held);
        // A line that is being logged at this moment may be sent twice, but none is missed.
        opening.extend(state.log().iter().cloned().map(Frame::Log));
        Self { state, opening, frames }
    }

    /// The next frame; `None` once the bus has ended. The first two frames describe what is swept and the current
    /// fleet. A subscriber that lagged too far behind gets the fleet in place of missed frames.
    pub async fn next(&mut self) -> Option<Frame> {
        if let Some(first) = self.opening.pop_front() {
            return Some(first);
        }
        match self.frames.recv().await {
            Ok(frame) => Some(frame),
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                tracing::debug!(missed, "a reader of events lags: it gets the whole fleet");
                self.catch_up();
                self.opening.pop_front()
            }
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// A frame that can be received without waiting.
    pub fn next_now(&mut self) -> Option<Frame> {
        if let Some(first) = self.opening.pop_front() {
            return Some(first);
        }
        match self.frames.try_recv() {
            Ok(frame) => Some(frame),
            Err(broadcast::error::TryRecvError::Lagged(_)) => {
                self.catch_up();
                self.opening.pop_front()
            }
            Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed) => None,
        }
    }

    fn catch_up(&mut self) {
        let held = self.state.read();
        self.frames = self.frames.resubscribe();
        self.opening = held.opening();
    }

    /// Calls `heed` with the fleet and each event until the bus ends. Events that were missed because of lagging are
    /// skipped, but the fleet contains their effect.
    pub async fn each(mut self, mut heed: impl FnMut(&Fleet, &Event)) {
        while let Some(frame) = self.next().await {
            match frame {
                Frame::Event(event) => heed(&self.state.read().fleet, &event),
                Frame::About(_) | Frame::Fleet(_) | Frame::Remembered(_) | Frame::Log(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bus::Publisher,
        fleet::{ClientId, EventKind, event::ClientCard},
    };

    fn configured(count: u32) -> EventKind {
        let card = |number| ClientCard {
            id: ClientId::new(format!("c{number}"), 22),
            name: format!("c{number}"),
            username: "ops".to_owned(),
            limits: Vec::new(),
        };
        EventKind::Configured { clients: (0..count).map(card).collect() }
    }

    #[tokio::test]
    async fn what_was_told_before_the_end_is_folded_even_while_a_teller_lives() {
        let (publisher, events) = Publisher::new();
        let bus = EventBus::start(events);
        publisher.publish(None, None, configured(3)).await;
        assert_eq!(bus.finish().await.clients().count(), 3);
        // Publishing after the end neither waits nor panics.
        publisher.publish(None, None, configured(4)).await;
    }

    #[tokio::test]
    async fn a_subscriber_that_lagged_goes_on_from_the_fleet_and_counts_nothing_twice() {
        let (publisher, events) = Publisher::new();
        let bus = EventBus::start(events);
        publisher.publish(None, None, configured(1)).await;
        let sweep = Some(crate::fleet::SweepId(uuid::Uuid::from_u128(1)));
        let client = ClientId::new("c0", 22);
        let begun = EventKind::SweepStarted {
            number: 1,
            trigger: crate::fleet::event::Trigger::Manual,
            clients: vec![client.clone()],
        };
        publisher.publish(sweep, None, begun).await;
        let mut lazy = bus.subscribe();
        for _ in 0..SUBSCRIBER_CAPACITY + 5 {
            let failure = crate::fleet::Failure::new(crate::fleet::Stage::Connect, crate::fleet::FailureKind::Refused);
            let kind = EventKind::CollectionFailed {
                collection: uuid::Uuid::nil(),
                duration_ms: 1,
                attempts: 1,
                failure,
                alerts: Vec::new(),
            };
            publisher.publish(sweep, Some(&client), kind).await;
        }
        let mut fleet = Fleet::default();
        let follow = async {
            while let Some(frame) = lazy.next().await {
                match frame {
                    Frame::Fleet(whole) => fleet = Fleet::clone(&whole),
                    Frame::Event(event) => fleet.apply(&event),
                    Frame::Remembered(memory) => fleet.remember(memory.as_ref().clone()),
                    Frame::About(_) | Frame::Log(_) => {}
                }
            }
        };
        let (whole, ()) = tokio::join!(bus.finish(), follow);
        assert!(fleet == whole);
        assert_eq!(whole.newest_sweep().unwrap().failed, SUBSCRIBER_CAPACITY + 5);
    }

    #[tokio::test]
    async fn a_subscriber_that_never_reads_holds_nobody_up() {
        let (publisher, events) = Publisher::new();
        let bus = EventBus::start(events);
        let lazy = bus.subscribe();
        for _ in 0..3 * SUBSCRIBER_CAPACITY {
            publisher.publish(None, None, configured(1)).await;
        }
        publisher.publish(None, None, configured(2)).await;
        assert_eq!(bus.finish().await.clients().count(), 2);
        let mut seen = 0;
        lazy.each(|_, _| seen += 1).await;
        // It lagged: the missed events are in the fleet, and nothing came after them.
        assert_eq!(seen, 0);
    }
}
