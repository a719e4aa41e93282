//! The bus: folds what is told into the fleet and passes it on to every subscriber.
//!
//! It never waits for a subscriber, so a stopped terminal never holds up collection. It decides nothing.

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

/// How many pieces of the stream a subscriber may lag behind. When it is full the oldest are overwritten: the
/// subscriber gets the folded [`Fleet`] in their place, which misses nothing but lines of the log.
const SUBSCRIBER_CAPACITY: usize = 8192;

/// How many lines of the log are kept for who comes later; the oldest go first.
const LOG_KEPT: usize = 500;

/// The running bus.
#[derive(Debug)]
pub struct EventBus {
    state: Arc<Shared>,
    /// Every piece but log lines is sent while `state` is locked for writing: who subscribes while it is
    /// locked for reading misses none and sees none twice.
    subscribers: broadcast::Sender<Frame>,
    closing: CancellationToken,
    task: JoinHandle<()>,
}

/// What the bus and its subscribers share.
#[derive(Debug, Default)]
struct Shared {
    state: RwLock<State>,
    /// The last lines of the log, for who comes later. On its own: a line may be logged while `state` is held.
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

    /// What a subscriber begins with.
    fn opening(&self) -> VecDeque<Frame> {
        VecDeque::from([Frame::About(self.about.clone()), Frame::Fleet(Arc::new(self.fleet.clone()))])
    }
}

impl EventBus {
    /// Starts folding what arrives at `told`.
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
                // An error means that nobody listens, which is fine.
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

    /// Listens from now on.
    #[must_use]
    pub fn subscribe(&self) -> Subscriber {
        Subscriber::new(self.state.clone(), || self.subscribers.subscribe())
    }

    /// A way to listen that may be handed on; it does not keep the bus alive.
    #[must_use]
    pub fn handle(&self) -> BusHandle {
        BusHandle { state: self.state.clone(), subscribers: self.subscribers.downgrade() }
    }

    /// Takes in what has been told so far, ends, and returns the fleet as it is then.
    pub async fn finish(self) -> Fleet {
        self.closing.cancel();
        if let Err(error) = self.task.await {
            tracing::error!("the event bus failed: {error}");
        }
        drop(self.subscribers);
        // Left in place: a subscriber that lags now still catches up with it.
        self.state.read().fleet.clone()
    }
}

/// A way to listen, and the way by which lines of the log enter the stream; cheap to clone.
#[derive(Debug, Clone)]
pub struct BusHandle {
    state: Arc<Shared>,
    subscribers: broadcast::WeakSender<Frame>,
}

impl BusHandle {
    /// Listens from now on; `None` where the bus has ended.
    #[must_use]
    pub fn subscribe(&self) -> Option<Subscriber> {
        let subscribers = self.subscribers.upgrade()?;
        Some(Subscriber::new(self.state.clone(), || subscribers.subscribe()))
    }

    /// Passes a line of the log on to every subscriber, now or later.
    pub fn log(&self, line: LogLine) {
        let mut log = self.state.log();
        if log.len() >= LOG_KEPT {
            log.pop_front();
        }
        log.push_back(line.clone());
        drop(log);
        if let Some(subscribers) = self.subscribers.upgrade() {
            // An error means that nobody listens, which is fine.
            let _ = subscribers.send(Frame::Log(line));
        }
    }

    /// The fleet as it stands.
    #[must_use]
    pub fn fleet(&self) -> Fleet {
        self.look(Fleet::clone)
    }

    /// Looks at the fleet as it stands; nothing is folded meanwhile.
    pub fn look<T>(&self, see: impl FnOnce(&Fleet) -> T) -> T {
        see(&self.state.read().fleet)
    }
}

/// One reader of the stream.
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
        // A line that is logged just now may be told twice; none is missed.
        opening.extend(state.log().iter().cloned().map(Frame::Log));
        Self { state, opening, frames }
    }

    /// The next piece; `None` once the bus has ended. The first two say what is swept and how the fleet
    /// stands. A subscriber that lagged too far behind gets the fleet in place of what it missed.
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

    /// What can be had without waiting.
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

    /// Calls `heed` with the fleet and each event until the bus ends. Events that were missed by
    /// lagging behind are passed over; the fleet holds their effect all the same.
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
        // Telling after the end neither waits nor panics.
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
        // It lagged: what it missed is in the fleet, and nothing came after that.
        assert_eq!(seen, 0);
    }
}
