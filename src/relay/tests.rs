//! The two ends of the socket together: real sockets, a real bus, real orders.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use super::{
    client::{AttachError, Connection},
    record::fold,
    script,
    server::{Server, ServerError},
};
use crate::{
    bus::Orders,
    fleet::{order::Order, state::Fleet},
};

mod ends;

use ends::*;

#[tokio::test]
async fn every_reader_sees_the_fleet_as_the_hub_does_whenever_it_came() {
    let (_home, path) = home();
    let collector = Collector::start(&path);
    let mut early = Dashboard::attach(&place(&path));
    assert_eq!(early.connected().await, "the test (pid 1)");
    let (mut late, fleet) = tokio::join!(
        async {
            early.next().await;
            let mut late = Dashboard::attach(&place(&path));
            late.connected().await;
            late
        },
        collector.tell(200)
    );
    let bus = collector.bus.handle();
    assert_eq!(soon(collector.bus.finish()).await, fleet);
    assert!(bus.subscribe().is_none());
    // Each of them got the complete stream before its connection ended.
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
    let ask = async { tokio::join!(first.ask(issued(Order::Pause)), second.ask(issued(Order::Resume))) };
    let carry_out = async {
        let one = collector.taken.recv().await.unwrap();
        let two = collector.taken.recv().await.unwrap();
        assert_eq!([&one.issued, &two.issued], [&issued(Order::Pause), &issued(Order::Resume)]);
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
async fn only_so_many_orders_of_a_connection_are_under_way() {
    let (_home, path) = home();
    let mut collector = Collector::start(&path);
    let (mut stream, _) = greeted(&path, HELLO).await;
    for id in 0..17 {
        let line = format!("{{\"id\":{id},\"order\":{{\"actor\":\"a\\u001b[31m\",\"order\":\"pause\"}}}}\n");
        stream.get_mut().write_all(line.as_bytes()).await.unwrap();
    }
    let mut under_way = Vec::new();
    for _ in 0..16 {
        under_way.push(soon(collector.taken.recv()).await.unwrap());
    }
    // Control characters, which could change the colours of the reader's terminal, are removed from the name.
    assert_eq!(under_way[0].issued.actor, "a[31m");
    // The stream continues meanwhile. By then, the seventeenth would have been connected.
    collector.tell(20).await;
    assert!(collector.taken.try_recv().is_err());
    under_way.pop().unwrap().answer(done("one"));
    soon(collector.taken.recv()).await.unwrap().answer(done("seventeen"));
    let mut replies = Vec::new();
    while replies.len() < 2 {
        let mut line = String::new();
        soon(stream.read_line(&mut line)).await.unwrap();
        replies.extend(serde_json::from_str::<super::line::ServerLine>(&line).unwrap().reply);
    }
    assert_eq!(replies, [done("one"), done("seventeen")]);
}

#[tokio::test]
async fn who_does_not_read_holds_nothing_up_and_gets_the_fleet_afterwards() {
    let (_home, path) = home();
    let collector = Collector::start(&path);
    let (mut lazy, welcome) = greeted(&path, HELLO).await;
    assert_eq!(welcome["fleetsweep"], 2);
    assert_eq!(welcome["collector"], "the test (pid 1)");
    assert_eq!(welcome["pid"], std::process::id());
    let mut dashboard = Dashboard::attach(&place(&path));
    dashboard.connected().await;
    // More than a listener and a socket hold.
    let fleet = soon(collector.tell(12_000)).await;
    assert_eq!(fleet.client(&script::id(0)).unwrap().recent.len(), 60);
    dashboard.sees(&fleet).await;
    let mut late = Fleet::default();
    let mut wholes = 0;
    while late != fleet {
        let mut line = String::new();
        soon(lazy.read_line(&mut line)).await.unwrap();
        let told: super::line::ServerLine = serde_json::from_str(&line).unwrap();
        let frame = told.frame.unwrap();
        if matches!(frame, crate::fleet::stream::Frame::Fleet(_)) {
            wholes += 1;
        }
        fold(&mut late, &frame);
    }
    assert!(wholes >= 2, "it was told everything, though it did not read");
}

#[tokio::test]
async fn a_collector_that_is_started_again_is_found_at_the_same_place_and_at_another() {
    let (home, path) = home();
    let place = place(Path::new(""));
    let mut dashboard = Dashboard::attach(&place);
    assert_eq!(dashboard.gone().await, "no collector found: nobody collects");
    let said = refusal(soon(dashboard.orders.ask(issued(Order::Pause))).await);
    assert!(said.contains("the order was not sent: no collector found"), "{said}");
    let other = home.path().join("y.sock");
    for path in [&path, &path, &other] {
        *place.lock().unwrap() = path.clone();
        let mut collector = Collector::start(path);
        dashboard.connected().await;
        let fleet = collector.tell(5).await;
        dashboard.sees(&fleet).await;
        // One order is under way when the connection breaks.
        let orders = dashboard.orders.clone();
        let asking = tokio::spawn(async move { orders.ask(issued(Order::Pause)).await });
        let under_way = soon(collector.taken.recv()).await.unwrap();
        collector.stop_serving().await;
        assert!(!path.exists());
        let said = refusal(soon(asking).await.unwrap());
        assert!(said.contains("broke before it answered"), "{said}");
        under_way.answer(done("nobody hears"));
        assert!(dashboard.gone().await.contains("has closed the connection"));
        assert!(dashboard.gone().await.contains("does not answer: it has ended"));
    }
    dashboard.stop.cancel();
    soon(dashboard.attached).await.unwrap();
    let said = refusal(soon(dashboard.orders.ask(issued(Order::Pause))).await);
    assert!(said.contains("the order was not carried out"), "{said}");
}

#[tokio::test]
async fn a_foreign_version_is_refused_with_both_versions_on_both_sides() {
    let (home, path) = home();
    let _collector = Collector::start(&path);
    let (mut stream, welcome) = greeted(&path, b"{\"fleetsweep\":1,\"version\":\"9.9.9\"}\n").await;
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
        // The connection may be closed before everything was sent.
        let _ = stream.write_all(hello).await;
        let _ = soon(stream.read_to_end(&mut Vec::new())).await;
    }
    for order in [b"garbage\n".as_slice(), b"{\"id\":-1,\"order\":{}}\n", b"[[[[[[[\n"] {
        let (mut stream, _) = greeted(&path, HELLO).await;
        stream.get_mut().write_all(order).await.unwrap();
        let _ = soon(stream.read_to_end(&mut Vec::new())).await;
    }
    let fleet = collector.tell(5).await;
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
    let (_orders, mut request) = Orders::new();
    let (out, _incoming) = mpsc::channel(64);
    let (why, ()) =
        soon(async { tokio::join!(connection.run(&mut request, &out, &stop), collector.stop_serving()) }).await;
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
    stream.write_all(b"{\"fleetsweep\":2,\"collector\":\"one that hangs\"}\n").await.unwrap();
    dashboard.connected().await;
    tokio::time::pause();
    assert!(dashboard.gone().await.contains("says nothing for 20 s"));
}
