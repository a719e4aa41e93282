//! A collector and dashboards for tests of the socket.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    bus::{EventBus, Orders, Publisher, Request},
    fleet::{
        EventKind, SweepId,
        order::{IssuedOrder, Order, Reply},
        state::Fleet,
    },
    relay::{
        client::{Incoming, attach},
        record::fold,
        script,
        server::{Server, Service},
    },
};

pub(super) const SWEEP: Option<SweepId> = Some(SweepId(uuid::Uuid::nil()));

pub(super) async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), work).await.unwrap()
}

/// A collector that sweeps nothing.
pub(super) struct Collector {
    pub(super) publisher: Publisher,
    pub(super) bus: EventBus,
    pub(super) taken: mpsc::Receiver<Request>,
    pub(super) stop: CancellationToken,
    pub(super) serving: JoinHandle<()>,
}

impl Collector {
    pub(super) fn start(path: &Path) -> Self {
        let (publisher, told) = Publisher::new();
        let bus = EventBus::start(told);
        let (orders, taken) = Orders::new();
        let (stop, serving) = serve(path, &bus, &orders);
        Self { publisher, bus, taken, stop, serving }
    }

    pub(super) async fn stop_serving(&mut self) {
        self.stop.cancel();
        soon(&mut self.serving).await.unwrap();
    }

    /// Publishes this many collections. Returns the resulting fleet.
    pub(super) async fn tell(&self, count: usize) -> Fleet {
        self.publisher.publish(None, None, script::configured(3)).await;
        for n in 0..count {
            self.publisher.publish(SWEEP, Some(&script::id(n % 3)), script::collected(n)).await;
        }
        let last = EventKind::SchedulePaused { paused: true, actor: "ops".to_owned() };
        self.publisher.publish(None, None, last).await;
        let bus = self.bus.handle();
        loop {
            let fleet = bus.fleet();
            if fleet.is_paused() {
                return fleet;
            }
            tokio::task::yield_now().await;
        }
    }
}

pub(super) fn serve(path: &Path, bus: &EventBus, orders: &Orders) -> (CancellationToken, JoinHandle<()>) {
    let stop = CancellationToken::new();
    let service = Service {
        bus: bus.handle(),
        orders: orders.clone(),
        collector: "the test (pid 1)".to_owned(),
        most_connections: 32,
    };
    let serving = tokio::spawn(Server::bind(path).unwrap().run(service, stop.clone()));
    (stop, serving)
}

/// A dashboard that is attached at `place`.
pub(super) struct Dashboard {
    pub(super) orders: Orders,
    pub(super) incoming: mpsc::Receiver<Incoming>,
    pub(super) fleet: Fleet,
    pub(super) stop: CancellationToken,
    pub(super) attached: JoinHandle<()>,
}

impl Dashboard {
    pub(super) fn attach(place: &Arc<Mutex<PathBuf>>) -> Self {
        let (orders, request) = Orders::new();
        let (out, incoming) = mpsc::channel(16);
        let stop = CancellationToken::new();
        let place = place.clone();
        let find = move || {
            let path = place.lock().unwrap().clone();
            async move { if path.as_os_str().is_empty() { Err("nobody collects".to_owned()) } else { Ok(path) } }
        };
        let rest = async |pause, _is_news: bool| {
            tokio::time::sleep(pause).await;
            false
        };
        let attaching = attach(find, rest, "ops".to_owned(), request, out, stop.clone());
        let attached = tokio::spawn(async { assert!(attaching.await.is_none()) });
        Self { orders, incoming, fleet: Fleet::default(), stop, attached }
    }

    pub(super) async fn next(&mut self) -> Option<Incoming> {
        let incoming = soon(self.incoming.recv()).await;
        if let Some(Incoming::Frame(frame)) = &incoming {
            fold(&mut self.fleet, frame);
        }
        incoming
    }

    pub(super) async fn connected(&mut self) -> String {
        loop {
            if let Incoming::Connected { to } = self.next().await.unwrap() {
                return to;
            }
        }
    }

    pub(super) async fn gone(&mut self) -> String {
        loop {
            if let Incoming::Missing { why, .. } = self.next().await.unwrap() {
                return why;
            }
        }
    }

    /// Reads until its fleet is as this one.
    pub(super) async fn sees(&mut self, fleet: &Fleet) {
        while self.fleet != *fleet {
            self.next().await.unwrap();
        }
    }
}

pub(super) fn place(path: &Path) -> Arc<Mutex<PathBuf>> {
    Arc::new(Mutex::new(path.to_owned()))
}

pub(super) fn home() -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("x.sock");
    (home, path)
}

pub(super) fn issued(order: Order) -> IssuedOrder {
    IssuedOrder { actor: "ops".to_owned(), order }
}

pub(super) fn done(text: &str) -> Reply {
    Reply::Done { text: text.to_owned(), sweep: None }
}

pub(super) fn refusal(reply: Reply) -> String {
    match reply {
        Reply::Refused { text } => text,
        Reply::Done { text, .. } => panic!("it was done: {text}"),
    }
}

/// Sends a line and returns the first answer.
pub(super) async fn greeted(path: &Path, hello: &[u8]) -> (BufReader<UnixStream>, serde_json::Value) {
    let mut stream = BufReader::new(UnixStream::connect(path).await.unwrap());
    stream.get_mut().write_all(hello).await.unwrap();
    let mut line = String::new();
    soon(stream.read_line(&mut line)).await.unwrap();
    (stream, serde_json::from_str(&line).unwrap_or_default())
}

pub(super) const HELLO: &[u8] = b"{\"fleetsweep\":2,\"version\":\"0.1.0\",\"actor\":\"ops\"}\n";
