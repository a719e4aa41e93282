//! A running collector as a run mode sees it, whether it is this process, another one, or a recording: its events, its
//! orders and its database.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::mpsc;

use crate::{
    bus::{BusHandle, EventBus, Orders, Request, Subscriber},
    config::Config,
    fleet::{
        ClientId, EventKind,
        event::ClientCard,
        order::{IssuedOrder, Order, Reply},
        stream::{self, Frame, Play},
    },
    relay::{client::Incoming, replay::Played},
    store::{LockOwner, Reader},
};

use super::{
    attach::takeover::TakeoverContext, collector::engine::Engine, config_source::cards, error::RunError,
    process::identity::actor,
};

/// How many frames of another process or a recording may wait to be read. When the channel is full, the stream is not
/// read: a collector then sends the whole fleet in place of missed events, and a recording waits.
pub const WAITING: usize = 1024;

/// Where a run mode sends orders and queries.
#[derive(Debug)]
pub enum Source {
    /// This process collects.
    Own {
        /// Sends orders to it.
        orders: Orders,
        /// Its database.
        history: Reader,
        /// Access to the current fleet.
        bus: BusHandle,
    },
    /// Another process collects.
    Attached {
        /// Sends orders, which are passed on to it.
        orders: Orders,
        /// Its database.
        history: Reader,
        /// The clients in this process's configuration.
        clients: Arc<Mutex<Vec<ClientCard>>>,
        /// The data for a takeover.
        takeover: Arc<TakeoverContext>,
    },
    /// A recording is played.
    Replayed {
        /// Sends commands to the player.
        player: mpsc::Sender<Play>,
    },
}

/// The other end of an attached source, for the task that connects it to the collector of another process.
#[derive(Debug)]
pub struct Link {
    /// The orders to pass on to the collector.
    pub requests: mpsc::Receiver<Request>,
    /// Sends such orders.
    pub orders: Orders,
    /// Receives the frames of the collector.
    pub out: mpsc::Sender<Incoming>,
    /// The database of the collector.
    pub history: Reader,
    /// The clients in this process's configuration.
    pub clients: Arc<Mutex<Vec<ClientCard>>>,
    /// The data for a takeover.
    pub takeover: Arc<TakeoverContext>,
}

impl Source {
    /// The collector of this process, which receives `orders`.
    #[must_use]
    pub fn own(engine: &Engine, bus: &EventBus, orders: Orders) -> (Self, Stream) {
        let source = Self::Own { orders, history: engine.store.reader(), bus: bus.handle() };
        (source, Stream::Own(bus.subscribe()))
    }

    /// The collector of another process, with the database of `config`. `owner` describes it if it is known. Its frames
    /// also go to `record`.
    ///
    /// # Errors
    /// [`RunError::Database`] if that database cannot be opened for reading.
    pub async fn attached(
        config: &Config,
        owner: Option<LockOwner>,
        record: Option<mpsc::Sender<Frame>>,
    ) -> Result<(Self, Stream, Link), RunError> {
        let history = Reader::open_configured(&config.database).await?;
        let (orders, requests) = Orders::new();
        let (out, incoming) = mpsc::channel(WAITING);
        let to = owner.as_ref().map_or_else(|| "a collector".to_owned(), ToString::to_string);
        let takeover = TakeoverContext::of(owner);
        let clients = Arc::new(Mutex::new(cards(config)));
        let stream = Stream::Attached(Attached::new(incoming, record, to, takeover.clone()));
        let source = Self::Attached {
            orders: orders.clone(),
            history: history.clone(),
            clients: clients.clone(),
            takeover: takeover.clone(),
        };
        Ok((source, stream, Link { requests, orders, out, history, clients, takeover }))
    }

    /// A recording that is played.
    #[must_use]
    pub fn replayed(player: mpsc::Sender<Play>, played: mpsc::Receiver<Played>) -> (Self, Stream) {
        (Self::Replayed { player }, Stream::Replayed(played))
    }

    /// Sends an order of this process's operator.
    pub async fn order(&self, order: Order) -> Reply {
        match self {
            Self::Own { orders, .. } | Self::Attached { orders, .. } => {
                orders.ask(IssuedOrder { actor: actor(), order }).await
            }
            Self::Replayed { .. } => Reply::Refused { text: "this is a recording: nothing was done".to_owned() },
        }
    }

    /// The database, for what is not in the events; `None` for a recording.
    #[must_use]
    pub fn history(&self) -> Option<&Reader> {
        match self {
            Self::Own { history, .. } | Self::Attached { history, .. } => Some(history),
            Self::Replayed { .. } => None,
        }
    }

    /// The configured clients; none for a recording.
    #[must_use]
    pub fn clients(&self) -> Vec<ClientCard> {
        match self {
            Self::Own { bus, .. } => bus.look(|fleet| fleet.clients().map(|client| client.card.clone()).collect()),
            Self::Attached { clients, .. } => clients.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Self::Replayed { .. } => Vec::new(),
        }
    }

    /// The operator wants this process to take over.
    pub fn take_over(&self) {
        match self {
            Self::Attached { takeover, .. } => takeover.want(),
            Self::Own { .. } | Self::Replayed { .. } => {}
        }
    }

    /// Controls a recording that is played.
    pub async fn play(&self, play: Play) {
        match self {
            // A player that has ended ignores commands.
            Self::Replayed { player } => drop(player.send(play).await),
            Self::Own { .. } | Self::Attached { .. } => {}
        }
    }
}

/// What comes from a source.
#[derive(Debug)]
pub enum Update {
    /// A frame of the stream.
    Frame(Frame),
    /// The connection to another process is established, or the recording has been played up to here.
    State(stream::StreamOrigin),
    /// The connection to another process is lost or not established yet.
    Missing {
        /// The collector.
        to: String,
        /// The reason, for the operator.
        why: String,
        /// Whether it is known that no collector is running.
        is_gone: bool,
    },
    /// This process has taken over; its own stream begins.
    Succeeded,
}

/// The stream of a source.
#[derive(Debug)]
pub enum Stream {
    /// Of this process.
    Own(Subscriber),
    /// Of another process.
    Attached(Attached),
    /// Of a recording.
    Replayed(mpsc::Receiver<Played>),
}

impl Stream {
    /// The next update; `None` at the end.
    pub async fn next(&mut self) -> Option<Update> {
        match self {
            Self::Own(subscriber) => subscriber.next().await.map(Update::Frame),
            Self::Attached(attached) => loop {
                if let Some(connected) = attached.connected.take() {
                    return Some(connected);
                }
                let incoming = attached.incoming.recv().await?;
                if let Some(update) = attached.take_in(incoming).await {
                    return Some(update);
                }
            },
            Self::Replayed(played) => played.recv().await.map(replayed),
        }
    }

    /// An update that waits already; `None` if there is none.
    pub async fn next_now(&mut self) -> Option<Update> {
        match self {
            Self::Own(subscriber) => subscriber.next_now().map(Update::Frame),
            Self::Attached(attached) => loop {
                if let Some(connected) = attached.connected.take() {
                    return Some(connected);
                }
                let incoming = attached.incoming.try_recv().ok()?;
                if let Some(update) = attached.take_in(incoming).await {
                    return Some(update);
                }
            },
            Self::Replayed(played) => played.try_recv().ok().map(replayed),
        }
    }
}

fn replayed(played: Played) -> Update {
    match played {
        Played::Frame(frame) => Update::Frame(frame),
        Played::At(replay) => Update::State(stream::StreamOrigin::Replay(replay)),
    }
}

/// The frames from the connection to another process.
#[derive(Debug)]
pub struct Attached {
    incoming: mpsc::Receiver<Incoming>,
    /// The recording; `None` if there is none or it has ended.
    record: Option<mpsc::Sender<Frame>>,
    /// The collector of the last connection.
    to: String,
    /// Whether the connection is established and the fleet has not come yet. A screen that says `attached` before that
    /// would show a collector without clients.
    awaits_fleet: bool,
    /// The update to return next.
    connected: Option<Update>,
    /// Stores which clients the collector sweeps.
    takeover: Arc<TakeoverContext>,
}

impl Attached {
    fn new(
        incoming: mpsc::Receiver<Incoming>,
        record: Option<mpsc::Sender<Frame>>,
        to: String,
        takeover: Arc<TakeoverContext>,
    ) -> Self {
        Self { incoming, record, to, awaits_fleet: false, connected: None, takeover }
    }

    async fn take_in(&mut self, incoming: Incoming) -> Option<Update> {
        match incoming {
            Incoming::Frame(frame) => {
                self.learn(&frame);
                if let Some(record) = &self.record
                    && record.send(frame.clone()).await.is_err()
                {
                    self.record = None;
                }
                if self.awaits_fleet && matches!(frame, Frame::Fleet(_)) {
                    self.awaits_fleet = false;
                    let (to, collector) = (self.to.clone(), stream::Collector::Connected);
                    self.connected = Some(Update::State(stream::StreamOrigin::Attached { to, collector }));
                }
                Some(Update::Frame(frame))
            }
            Incoming::Connected { to } => {
                self.to = to;
                self.awaits_fleet = true;
                None
            }
            Incoming::Missing { why, is_gone } => {
                self.awaits_fleet = false;
                Some(Update::Missing { to: self.to.clone(), why, is_gone })
            }
            Incoming::Succeeded => Some(Update::Succeeded),
        }
    }

    fn learn(&self, frame: &Frame) {
        if let Frame::Fleet(fleet) = frame {
            let clients: BTreeSet<ClientId> = fleet.clients().map(|client| client.card.id.clone()).collect();
            // A collector has no clients before it has read its configuration.
            if !clients.is_empty() {
                self.takeover.sweeps(clients);
            }
        } else if let Frame::Event(event) = frame
            && let EventKind::Configured { clients } = &event.kind
        {
            self.takeover.sweeps(clients.iter().map(|card| card.id.clone()).collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{state::Fleet, stream::About};

    /// The screen once said `attached`, `0 clients` and `no sweep yet` for a moment.
    #[tokio::test]
    async fn a_collector_counts_as_attached_once_its_fleet_is_known() {
        let (sender, incoming) = mpsc::channel(8);
        let mut stream =
            Stream::Attached(Attached::new(incoming, None, "a collector".to_owned(), TakeoverContext::of(None)));
        let mut check = async |incoming: Incoming, expected: &[&str]| {
            sender.send(incoming).await.unwrap();
            let mut found = Vec::new();
            while let Some(update) = stream.next_now().await {
                found.push(match update {
                    Update::Frame(Frame::Fleet(_)) => "fleet",
                    Update::Frame(_) => "frame",
                    Update::State(_) => "attached",
                    Update::Missing { .. } => "missing",
                    Update::Succeeded => "succeeded",
                });
            }
            assert_eq!(found, expected);
        };
        let connected = || Incoming::Connected { to: "pid 7".to_owned() };
        let about = || Incoming::Frame(Frame::About(About::default()));
        let fleet = || Incoming::Frame(Frame::Fleet(Arc::new(Fleet::default())));
        check(connected(), &[]).await;
        check(about(), &["frame"]).await;
        check(fleet(), &["fleet", "attached"]).await;
        // One that lags gets the fleet again.
        check(fleet(), &["fleet"]).await;
        check(connected(), &[]).await;
        check(Incoming::Missing { why: "gone".to_owned(), is_gone: true }, &["missing"]).await;
        check(fleet(), &["fleet"]).await;
    }
}
