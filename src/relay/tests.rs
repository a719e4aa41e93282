//! The two ends of the socket together: real sockets, a real hub, real orders.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    client::{AttachError, Connection, Incoming, attach},
    record::fold,
    script,
    server::{Server, ServerError, Service},
};
use crate::{
    fleet::{
        SweepId,
        order::{Order, Reply, Signed},
        state::Fleet,
    },
    spine::{Asked, Hub, Orders, Spine},
};

const SWEEP: Option<SweepId> = Some(SweepId(uuid::Uuid::nil()));

async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), work).await.unwrap()
}

/// A collector that sweeps nothing.
struct Collector {
    spine: Spine,
    hub: Hub,
    taken: mpsc::Receiver<Asked>,
    orders: Orders,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Collector {
    fn start(path: &Path) -> Self {
        let (spine, told) = Spine::new();
        let hub = Hub::start(told);
        let (orders, taken) = Orders::new();
        let (stop, serving) = serve(path, &hub, &orders);
        Self { spine, hub, taken, orders, stop, serving }
    }

    async fn stop_serving(&mut self) {
        self.stop.cancel();
        soon(&mut self.serving).await.unwrap();
    }

    async fn tell(&self, count: usize) {
        self.spine.tell(None, None, script::configured(3)).await;
        for n in 0..count {
            self.spine.tell(SWEEP, Some(&script::id(n % 3)), script::collected(n)).await;
        }
    }
}

fn serve(path: &Path, hub: &Hub, orders: &Orders) -> (CancellationToken, JoinHandle<()>) {
    let stop = CancellationToken::new();
    let service = Service { door: hub.door(), orders: orders.clone(), collector: "the test (pid 1)".to_owned() };
    let serving = tokio::spawn(Server::bind(path).unwrap().run(service, stop.clone()));
    (stop, serving)
}

/// A dashboard that is attached, wherever `place` says.
struct Dashboard {
    orders: Orders,
    incoming: mpsc::Receiver<Incoming>,
    fleet: Fleet,
    stop: CancellationToken,
    attached: JoinHandle<()>,
}

impl Dashboard {
    fn attach(place: &Arc<Mutex<PathBuf>>) -> Self {
        let (orders, asked) = Orders::new();
        let (out, incoming) = mpsc::channel(16);
        let stop = CancellationToken::new();
        let place = place.clone();
        let find = move || {
            let path = place.lock().unwrap().clone();
            async move { if path.as_os_str().is_empty() { Err("nobody collects".to_owned()) } else { Ok(path) } }
        };
        let attached = tokio::spawn(attach(find, "ops".to_owned(), asked, out, stop.clone()));
        Self { orders, incoming, fleet: Fleet::default(), stop, attached }
    }

    async fn next(&mut self) -> Option<Incoming> {
        let incoming = soon(self.incoming.recv()).await;
        if let Some(Incoming::Frame(frame)) = &incoming {
            fold(&mut self.fleet, frame);
        }
        incoming
    }

    async fn connected(&mut self) -> String {
        loop {
            if let Incoming::Connected { to } = self.next().await.unwrap() {
                return to;
            }
        }
    }

    async fn gone(&mut self) -> String {
        loop {
            if let Incoming::Gone { why } = self.next().await.unwrap() {
                return why;
            }
        }
    }

    /// Reads until its fleet is as this one.
    async fn sees(&mut self, fleet: &Fleet) {
        while self.fleet != *fleet {
            self.next().await.unwrap();
        }
    }
}

fn place(path: &Path) -> Arc<Mutex<PathBuf>> {
    Arc::new(Mutex::new(path.to_owned()))
}

fn home() -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("x.sock");
    (home, path)
}

fn signed(order: Order) -> Signed {
    Signed { actor: "ops".to_owned(), order }
}

fn done(text: &str) -> Reply {
    Reply::Done { text: text.to_owned(), sweep: None }
}

fn refusal(reply: Reply) -> String {
    match reply {
        Reply::Refused { text } => text,
        Reply::Done { text, .. } => panic!("it was done: {text}"),
    }
}

/// Says a line; returns what is answered first.
async fn greeted(path: &Path, hello: &[u8]) -> (BufReader<UnixStream>, serde_json::Value) {
    let mut stream = BufReader::new(UnixStream::connect(path).await.unwrap());
    stream.get_mut().write_all(hello).await.unwrap();
    let mut line = String::new();
    soon(stream.read_line(&mut line)).await.unwrap();
    (stream, serde_json::from_str(&line).unwrap_or_default())
}

const HELLO: &[u8] = b"{\"fleetsweep\":1,\"version\":\"0.1.0\",\"actor\":\"ops\"}\n";

#[tokio::test]
async fn every_reader_sees_the_fleet_as_the_hub_does_whenever_it_came() {
    let (_home, path) = home();
    let collector = Collector::start(&path);
    let mut early = Dashboard::attach(&place(&path));
    assert_eq!(early.connected().await, "the test (pid 1)");
    let tell = collector.tell(200);
    let (mut late, ()) = tokio::join!(
        async {
            early.next().await;
            Dashboard::attach(&place(&path))
        },
        tell
    );
    let door = collector.hub.door();
    let ends = async { collector.hub.finish().await };
    let fleet = soon(ends).await;
    assert!(door.listen().is_none());
    // Each was told all before its connection ended.
    early.sees(&fleet).await;
    late.sees(&fleet).await;
    assert!(early.gone().await.contains("has closed the connection"));
    assert!(early.gone().await.contains("the collector is ending"));
}

#[tokio::test]
async fn orders_travel_beside_each_other_and_their_replies_come_back() {
    let (_home, path) = home();
    let mut collector = Collector::start(&path);
    let mut dashboard = Dashboard::attach(&place(&path));
    dashboard.connected().await;
    let (first, second) = (dashboard.orders.clone(), dashboard.orders.clone());
    let ask = async { tokio::join!(first.ask(signed(Order::Pause)), second.ask(signed(Order::Resume))) };
    let carry_out = async {
        let one = collector.taken.recv().await.unwrap();
        let two = collector.taken.recv().await.unwrap();
        assert_eq!([&one.signed, &two.signed], [&signed(Order::Pause), &signed(Order::Resume)]);
        // The second is done first, and the stream goes on meanwhile.
        two.answer(done("two"));
        collector.tell(50).await;
        one.answer(done("one"));
    };
    let watch = async {
        loop {
            dashboard.next().await;
        }
    };
    let ((one, two), ()) = tokio::select! {
        both = soon(async { tokio::join!(ask, carry_out) }) => both,
        () = watch => unreachable!(),
    };
    assert_eq!((one, two), (done("one"), done("two")));
}

#[tokio::test]
async fn who_does_not_read_holds_nothing_up_and_gets_the_fleet_afterwards() {
    let (_home, path) = home();
    let collector = Collector::start(&path);
    let (mut lazy, welcome) = greeted(&path, HELLO).await;
    assert_eq!(welcome["fleetsweep"], 1);
    assert_eq!(welcome["collector"], "the test (pid 1)");
    assert_eq!(welcome["pid"], std::process::id());
    let mut dashboard = Dashboard::attach(&place(&path));
    dashboard.connected().await;
    // More than a listener and a socket hold.
    soon(collector.tell(12_000)).await;
    let fleet = soon(collector.hub.finish()).await;
    dashboard.sees(&fleet).await;
    let mut text = String::new();
    soon(lazy.read_to_string(&mut text)).await.unwrap();
    let mut late = Fleet::default();
    let mut wholes = 0;
    for line in text.lines().filter(|line| !line.is_empty()) {
        let told: super::line::ToldLine = serde_json::from_str(line).unwrap();
        let frame = told.frame.unwrap();
        wholes += usize::from(matches!(frame, crate::fleet::stream::Frame::Fleet(_)));
        fold(&mut late, &frame);
    }
    assert_eq!(late, fleet);
    assert!(wholes >= 2, "it was told everything, though it did not read");
}

#[tokio::test]
async fn a_collector_that_is_started_again_is_found_at_the_same_place_and_at_another() {
    let (home, path) = home();
    let place = place(Path::new(""));
    let mut dashboard = Dashboard::attach(&place);
    assert_eq!(dashboard.gone().await, "no collector is found: nobody collects");
    let said = refusal(soon(dashboard.orders.ask(signed(Order::Pause))).await);
    assert!(said.contains("the order was not sent: no collector is found"), "{said}");
    let other = home.path().join("y.sock");
    for path in [&path, &path, &other] {
        *place.lock().unwrap() = path.clone();
        let mut collector = Collector::start(path);
        dashboard.connected().await;
        collector.tell(5).await;
        let expected = collector.hub.door().fleet();
        dashboard.sees(&expected).await;
        // One order is under way when the connection breaks.
        let orders = dashboard.orders.clone();
        let asking = tokio::spawn(async move { orders.ask(signed(Order::Pause)).await });
        let under_way = soon(collector.taken.recv()).await.unwrap();
        collector.stop_serving().await;
        assert!(!path.exists());
        let said = refusal(soon(asking).await.unwrap());
        assert!(said.contains("broke before it answered"), "{said}");
        under_way.answer(done("nobody hears"));
        assert!(dashboard.gone().await.contains("has closed the connection"));
        assert!(dashboard.gone().await.contains("does not answer at"));
    }
    dashboard.stop.cancel();
    soon(dashboard.attached).await.unwrap();
    let said = refusal(soon(dashboard.orders.ask(signed(Order::Pause))).await);
    assert!(said.contains("nothing was done"), "{said}");
}

#[tokio::test]
async fn a_foreign_version_is_refused_with_both_versions_on_both_sides() {
    let (home, path) = home();
    let _collector = Collector::start(&path);
    let (mut stream, welcome) = greeted(&path, b"{\"fleetsweep\":2,\"version\":\"9.9.9\"}\n").await;
    let expected = "the collector is version 0.1.0, this program 9.9.9: use the same version of fleetsweep for both";
    assert_eq!(welcome["refused"], expected);
    assert_eq!(soon(stream.read_to_end(&mut Vec::new())).await.unwrap(), 0);

    let other = home.path().join("y.sock");
    let foreign = UnixListener::bind(&other).unwrap();
    let answer = async {
        let (mut stream, _) = foreign.accept().await.unwrap();
        stream.write_all(b"{\"fleetsweep\":7,\"version\":\"2.0.0\"}\n").await.unwrap();
        stream
    };
    let (error, _stream) = soon(async { tokio::join!(Connection::open(&other, "ops"), answer) }).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("the collector is version 2.0.0, this program 0.1.0"), "{error}");
}

#[tokio::test]
async fn the_socket_is_its_owners_and_an_old_one_is_replaced_and_nothing_else() {
    let (_home, path) = home();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let server = Server::bind(&path).unwrap();
    assert_eq!(server.path(), path);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    drop(server);
    assert!(!path.exists());
    // One that was replaced leaves its successor's file alone.
    let server = Server::bind(&path).unwrap();
    let successor = Server::bind(&path).unwrap();
    drop(server);
    assert!(path.exists());
    drop(successor);
    fs::write(&path, "mine").unwrap();
    let error = Server::bind(&path).unwrap_err();
    assert!(matches!(error, ServerError::InTheWay(_)), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

#[tokio::test]
async fn garbage_closes_its_own_connection_alone() {
    let (_home, path) = home();
    let collector = Collector::start(&path);
    let mut dashboard = Dashboard::attach(&place(&path));
    dashboard.connected().await;
    let mut long = vec![b'x'; 70_000];
    long.push(b'\n');
    for hello in [b"garbage\n".as_slice(), b"\xff\xfe\n", b"{}\n", &long] {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        // It may be closed before all of it was said.
        let _ = stream.write_all(hello).await;
        let _ = soon(stream.read_to_end(&mut Vec::new())).await;
    }
    for order in [b"garbage\n".as_slice(), b"{\"id\":-1,\"order\":{}}\n", b"[[[[[[[\n"] {
        let (mut stream, _) = greeted(&path, HELLO).await;
        stream.get_mut().write_all(order).await.unwrap();
        let _ = soon(stream.read_to_end(&mut Vec::new())).await;
    }
    collector.tell(5).await;
    let fleet = soon(collector.hub.finish()).await;
    dashboard.sees(&fleet).await;
}

#[tokio::test]
async fn one_too_many_is_told_so_and_closed() {
    let (_home, path) = home();
    let _collector = Collector::start(&path);
    let mut held = Vec::new();
    for _ in 0..32 {
        let (stream, welcome) = greeted(&path, HELLO).await;
        assert!(welcome["refused"].is_null());
        held.push(stream);
    }
    let error = soon(Connection::open(&path, "ops")).await.unwrap_err();
    assert!(matches!(&error, AttachError::Refused(why) if why.contains("32 are attached already")), "{error}");
    // When one leaves there is room again.
    drop(held.pop());
    let stop = CancellationToken::new();
    let find = || std::future::ready(Ok(path.clone()));
    soon(Connection::within(find, "ops", Duration::from_secs(20), &stop)).await.unwrap();
}

#[tokio::test]
async fn a_run_attaches_once_within_its_time_and_ends_at_the_first_loss() {
    let (_home, path) = home();
    let stop = CancellationToken::new();
    let find = || std::future::ready(Ok(path.clone()));
    let short = Duration::from_millis(300);
    let error = Connection::within(find, "ops", short, &stop).await.unwrap_err();
    assert!(matches!(error, AttachError::Connect { .. }), "{error}");

    let mut collector = Collector::start(&path);
    let connection = Connection::within(find, "ops", Duration::from_secs(20), &stop).await.unwrap();
    assert_eq!(connection.to(), "the test (pid 1)");
    let (_orders, mut asked) = Orders::new();
    let (out, _incoming) = mpsc::channel(64);
    let (why, ()) =
        soon(async { tokio::join!(connection.run(&mut asked, &out, &stop), collector.stop_serving()) }).await;
    assert!(why.contains("has closed the connection"), "{why}");
    stop.cancel();
    let error = Connection::within(find, "ops", short, &stop).await.unwrap_err();
    assert!(matches!(error, AttachError::Cancelled), "{error}");
}

#[tokio::test]
async fn a_collector_that_hangs_is_noticed() {
    let (_home, path) = home();
    let hanging = UnixListener::bind(&path).unwrap();
    let mut dashboard = Dashboard::attach(&place(&path));
    let (mut stream, _) = soon(hanging.accept()).await.unwrap();
    stream.write_all(b"{\"fleetsweep\":1,\"collector\":\"one that hangs\"}\n").await.unwrap();
    dashboard.connected().await;
    tokio::time::pause();
    assert!(dashboard.gone().await.contains("says nothing for 20 s"));
}
