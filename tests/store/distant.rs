//! A PostgreSQL server far away: a relay in front of it delays what it passes on.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use fleetsweep::demo::Behaviour;
use serde_json::Value;
use support::{Postgres, SOON, Signal, Trial, wait_until};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{
    outage::{events, of_type},
    site::{Config, Fleet, OVER, document},
};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs(Postgres) => what_waited_is_stored_in_a_distant_database;
    }
}

/// Passes connections on to a server, each piece of data after a delay.
struct Relay {
    address: SocketAddr,
    delay_ms: Arc<AtomicU64>,
    _task: JoinSet<()>,
}

impl Relay {
    async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, delay_ms) = (listener.local_addr().unwrap(), Arc::new(AtomicU64::new(0)));
        let (delay, mut task) = (delay_ms.clone(), JoinSet::new());
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let delay = delay.clone();
                connections.spawn(async move {
                    let Ok(server) = TcpStream::connect(server).await else { return };
                    let ((from_client, to_client), (from_server, to_server)) =
                        (client.into_split(), server.into_split());
                    tokio::select! {
                        () = pass(from_client, to_server, &delay) => {}
                        () = pass(from_server, to_client, &delay) => {}
                    }
                });
            }
        });
        Self { address, delay_ms, _task: task }
    }
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, delay_ms: &AtomicU64) {
    let mut piece = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        tokio::time::sleep(Duration::from_millis(delay_ms.load(Ordering::Relaxed))).await;
        if to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}

/// How many changes wait according to the last event of a recording about the database.
fn waiting(recording: &Path) -> u64 {
    let told = events(recording);
    of_type(&told, "database_away").last().and_then(|(_, kind)| kind["waiting"].as_u64()).unwrap_or(0)
}

/// A regression test: 256 changes were stored in one transaction, which took longer than it may. The database counted as
/// unreachable, and the same was tried again for ever.
async fn what_waited_is_stored_in_a_distant_database() {
    let mut server = Postgres::start_durable().await;
    let name = server.access().new_database(None).await;
    let url = server.access().url_of_owner(&name);
    let (before, rest) = url.split_once("@127.0.0.1:").unwrap();
    let (port, path) = rest.split_once('/').unwrap();
    let relay = Relay::start((Ipv4Addr::LOCALHOST, port.parse().unwrap()).into()).await;
    let database = format!("{before}@{}/{path}", relay.address);
    let fleet = Fleet::of(&[Behaviour::Healthy; 5]).await;
    let config = Config { database, alerts: r#"repeat="every""#, ..fleet.config(OVER) };
    fleet.program.write_config(&config.text());

    let running = fleet.program.spawn(["--headless", "--record", "recording"]);
    let recording = fleet.program.path("recording");
    let collected = || of_type(&events(&recording), "collected").count();
    wait_until("the first collections", SOON, async || collected() >= 5).await;
    server.stop();
    wait_until("changes to wait", SOON, async || waiting(&recording) >= 200).await;
    running.signal(Signal::TERM);
    let ended = running.ended(SOON).await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");

    server.start_again().await;
    relay.delay_ms.store(DELAY_MS, Ordering::Relaxed);
    let stored = fleet.program.run(["--once", "--format", "json"]).await;
    assert_eq!(stored.code, Some(0), "{stored:#?}");
    assert_eq!(document(&stored)["summary"]["ok"], 5);
    let told = events(&recording);
    let sql = "SELECT CAST(collection_uuid AS TEXT) FROM collections";
    let rows = server.access().cells(&url, sql).await.unwrap();
    let rows: BTreeSet<String> = rows.into_iter().map(|mut row| row.remove(0).1.unwrap()).collect();
    let lost: Vec<&Value> = of_type(&told, "collected")
        .filter(|(_, kind)| !rows.contains(kind["collection"].as_str().unwrap()))
        .map(|(_, kind)| kind)
        .collect();
    assert!(lost.is_empty(), "{lost:#?}");
    assert!(of_type(&told, "collected").count() > 20);
}

/// In one direction. A change then takes about a third of a second.
const DELAY_MS: u64 = 10;
