//! A running collector as a run mode sees it, whether it is this process, another one, or a recording that is played:
//! what it tells, where it takes orders, what it has stored. Not what a run mode makes of that.

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

/// How many pieces of a stream from elsewhere may wait to be read. When it is full that stream is not taken in: a
/// collector then gives the whole fleet in place of what was missed, a recording waits.
pub const WAITING: usize = 1024;

/// Where a run mode gives orders and asks what is stored.
#[derive(Debug)]
pub enum Source {
    /// This process collects.
    Own {
        /// Where it takes orders.
        orders: Orders,
        /// Its database.
        history: Reader,
        /// The fleet as it stands.
        bus: BusHandle,
    },
    /// Another process collects.
    Attached {
        /// Where orders are passed on to it.
        orders: Orders,
        /// Its database.
        history: Reader,
        /// The clients of today, as this process's configuration has them.
        clients: Arc<Mutex<Vec<ClientCard>>>,
        /// For the time when it has gone.
        takeover: Arc<TakeoverContext>,
    },
    /// A recording is played.
    Replayed {
        /// Who plays it.
        player: mpsc::Sender<Play>,
    },
}

/// The other side of an attached source: what connects it to the collector of another process.
#[derive(Debug)]
pub struct Link {
    /// The orders to pass on.
    pub requests: mpsc::Receiver<Request>,
    /// Where they are given.
    pub orders: Orders,
    /// Where what the collector tells goes.
    pub out: mpsc::Sender<Incoming>,
    /// The database of the collector.
    pub history: Reader,
    /// The clients of today.
    pub clients: Arc<Mutex<Vec<ClientCard>>>,
    /// What is learnt of the collector.
    pub takeover: Arc<TakeoverContext>,
}

impl Source {
    /// The collector of this process, which takes its orders from where `orders` go.
    #[must_use]
    pub fn own(engine: &Engine, bus: &EventBus, orders: Orders) -> (Self, Stream) {
        let source = Self::Own { orders, history: engine.store.reader(), bus: bus.handle() };
        (source, Stream::Own(bus.subscribe()))
    }

    /// The collector of another process that `config` names the database of, `owner` as far as it is known. What it
    /// tells also goes to `record`.
    ///
    /// # Errors
    /// [`RunError::Database`] where that database cannot be opened for reading.
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
        let stream = Stream::Attached(Attached { incoming, record, to, takeover: takeover.clone() });
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

    /// Gives an order of this process's operator.
    pub async fn order(&self, order: Order) -> Reply {
        match self {
            Self::Own { orders, .. } | Self::Attached { orders, .. } => {
                orders.ask(IssuedOrder { actor: actor(), order }).await
            }
            Self::Replayed { .. } => Reply::Refused { text: "this is a recording: nothing was done".to_owned() },
        }
    }

    /// The database to ask for what is not in the stream; `None` for a recording.
    #[must_use]
    pub fn history(&self) -> Option<&Reader> {
        match self {
            Self::Own { history, .. } | Self::Attached { history, .. } => Some(history),
            Self::Replayed { .. } => None,
        }
    }

    /// The clients of today; none for a recording.
    #[must_use]
    pub fn clients(&self) -> Vec<ClientCard> {
        match self {
            Self::Own { bus, .. } => bus.look(|fleet| fleet.clients().map(|client| client.card.clone()).collect()),
            Self::Attached { clients, .. } => clients.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Self::Replayed { .. } => Vec::new(),
        }
    }

    /// The operator wants this process to take the collector's place.
    pub fn take_over(&self) {
        match self {
            Self::Attached { takeover, .. } => takeover.want(),
            Self::Own { .. } | Self::Replayed { .. } => {}
        }
    }

    /// Controls a recording that is played.
    pub async fn play(&self, play: Play) {
        match self {
            // A player that has ended has nothing to play.
            Self::Replayed { player } => drop(player.send(play).await),
            Self::Own { .. } | Self::Attached { .. } => {}
        }
    }
}

/// What comes from a source.
#[derive(Debug)]
pub enum Update {
    /// A piece of the stream.
    Frame(Frame),
    /// The connection to another process stands, or the recording has been played so far.
    State(stream::StreamOrigin),
    /// The connection to another process is lost, or not made yet.
    Gone {
        /// To whom.
        to: String,
        /// The reason, for the operator.
        why: String,
    },
    /// This process has taken the collector's place; its own stream begins.
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
    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Option<Update> {
        match self {
            Self::Own(subscriber) => subscriber.next().await.map(Update::Frame),
            Self::Attached(attached) => {
                let incoming = attached.incoming.recv().await?;
                Some(attached.take_in(incoming).await)
            }
            Self::Replayed(played) => played.recv().await.map(replayed),
        }
    }

    /// What waits already; `None` where nothing does.
    pub async fn next_now(&mut self) -> Option<Update> {
        match self {
            Self::Own(subscriber) => subscriber.next_now().map(Update::Frame),
            Self::Attached(attached) => {
                let incoming = attached.incoming.try_recv().ok()?;
                Some(attached.take_in(incoming).await)
            }
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

/// The stream of another process, as the connection to it brings it.
#[derive(Debug)]
pub struct Attached {
    incoming: mpsc::Receiver<Incoming>,
    /// Where it is recorded as well; `None` once the recording has ended.
    record: Option<mpsc::Sender<Frame>>,
    /// To whom there was a connection last.
    to: String,
    /// Learns whom the collector sweeps.
    takeover: Arc<TakeoverContext>,
}

impl Attached {
    async fn take_in(&mut self, incoming: Incoming) -> Update {
        match incoming {
            Incoming::Frame(frame) => {
                self.learn(&frame);
                if let Some(record) = &self.record
                    && record.send(frame.clone()).await.is_err()
                {
                    self.record = None;
                }
                Update::Frame(frame)
            }
            Incoming::Connected { to } => {
                self.to.clone_from(&to);
                Update::State(stream::StreamOrigin::Attached { to, connected: true })
            }
            Incoming::Gone { why } => Update::Gone { to: self.to.clone(), why },
            Incoming::Succeeded => Update::Succeeded,
        }
    }

    fn learn(&self, frame: &Frame) {
        if let Frame::Fleet(fleet) = frame {
            let clients: BTreeSet<ClientId> = fleet.clients().map(|client| client.card.id.clone()).collect();
            // Before its configuration is read a collector has none.
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
