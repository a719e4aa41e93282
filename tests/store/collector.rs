//! One collector per database, and what other processes do at the same time. Uses several instances of the real
//! program.

use fleetsweep::{
    bus::Orders,
    demo::Behaviour,
    fleet::order::{IssuedOrder, Order, Reply},
    relay::client::Connection,
    store::Reader,
};
use support::{Database, NotifySocket, Signal, Trial, wait_until};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    site::{Config, Fleet, SOON, UNDER, once},
    url,
};

pub(crate) fn trials() -> Vec<Trial> {
    support::trials_per_database![
        a_second_collector_is_kept_out_and_a_single_sweep_is_had_by_the_first,
        a_killed_collector_leaves_no_lock
    ]
}

/// A fleet of one client that is swept once an hour, with this database.
async fn fleet_over(database: &Database) -> Fleet {
    let fleet = Fleet::of(&[Behaviour::Healthy]).await;
    let collector = r#"interval="1h" timeout="20s" retries="0""#;
    fleet.program.write_config(&Config { collector, database: database.url(), ..fleet.config(UNDER) }.text());
    fleet
}

async fn a_second_collector_is_kept_out_and_a_single_sweep_is_had_by_the_first(database: Database) {
    let fleet = fleet_over(&database).await;
    let manager = NotifySocket::bind(fleet.program.path("notify"));
    let service = fleet.program.spawn(["--headless"]);
    assert!(manager.next(SOON).await.iter().any(|line| line == "READY=1"));
    let collections = "SELECT COUNT(*) FROM v1_collections WHERE status = 'ok'";
    wait_until("the first sweep", SOON, async || database.count(collections).await == 1).await;

    let second = fleet.program.run(["--headless"]).await;
    assert_eq!(second.code, Some(3), "{second:#?}");
    let owner = format!("is in use by pid {}", service.pid().as_raw_nonzero());
    assert!(second.stderr.contains(&owner), "{owner}: {}", second.stderr);

    let document = once(&fleet.program).await;
    assert_eq!(document["summary"]["ok"].as_u64(), Some(1));
    assert_eq!(database.count(collections).await, 2);

    let paused = ordered(&database, Order::Pause).await;
    assert!(matches!(paused, Reply::Done { .. }), "{paused:?}");
    // The audit has the same result as the reply.
    let audit = async || database.rows("SELECT actor, action FROM v1_audit WHERE action <> 'pin'").await;
    wait_until("the order in the audit", SOON, async || audit().await == ["night shift|pause"]).await;

    service.signal(Signal::TERM);
    let outcome = service.ended(SOON).await;
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    assert_eq!(once(&fleet.program).await["summary"]["ok"].as_u64(), Some(1), "the lock is free again");
}

/// Sends an order to the collector of a database.
async fn ordered(database: &Database, order: Order) -> Reply {
    let reader = Reader::open(&url(database)).await.unwrap();
    let socket = reader.lock_owner().await.unwrap().unwrap().socket.unwrap();
    let connection = Connection::open(&socket, "night shift").await.unwrap();
    let (orders, mut request) = Orders::new();
    let (out, mut told) = mpsc::channel(1024);
    let stop = CancellationToken::new();
    let drain = async { while told.recv().await.is_some() {} };
    tokio::select! {
        reply = orders.ask(IssuedOrder { actor: "night shift".to_owned(), order }) => reply,
        why = connection.run(&mut request, &out, &stop) => panic!("{why}"),
        () = drain => panic!("the collector fell silent"),
    }
}

async fn a_killed_collector_leaves_no_lock(database: Database) {
    let fleet = fleet_over(&database).await;
    let manager = NotifySocket::bind(fleet.program.path("notify"));
    let service = fleet.program.spawn(["--headless"]);
    assert!(manager.next(SOON).await.iter().any(|line| line == "READY=1"));
    service.signal(Signal::KILL);
    service.ended(SOON).await;
    // The database names a collector that listens, but there is none any more.
    assert_eq!(once(&fleet.program).await["summary"]["ok"].as_u64(), Some(1));
}
