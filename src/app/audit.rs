//! Stores the audit entries of commands: in the database, or through the collector that is running there. A collector
//! stores those of its own operators itself.

use std::time::Duration;

use futures_util::future::try_join_all;
use jiff::Timestamp;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{
        attach,
        error::{RunError, chain},
        process::identity::actor,
    },
    bus::Orders,
    config::{Config, directories::Environment},
    fleet::{
        audit::AuditNote,
        order::{IssuedOrder, Order, Reply},
    },
    relay::client::Connection,
    store::{Reader, Store, StoreError, StoreErrorKind},
};

/// How long a collector that is starting or ending is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one attempt to reach the running collector takes.
const ATTEMPT: Duration = Duration::from_secs(1);
/// The most notes in one order, or on the way to the database at the same time.
const MOST_AT_ONCE: usize = 200;
/// How many frames of the running collector may wait. They are dropped, so this never fills up.
const WAITING: usize = 64;

/// Stores notes of this process's operator.
///
/// # Errors
/// [`RunError`] if the database and the running collector cannot be used.
pub async fn store(config: &Config, notes: &[AuditNote]) -> Result<(), RunError> {
    if notes.is_empty() {
        return Ok(());
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Store::open_configured(&config.database, &Environment::of_process()).await {
            Ok(store) => {
                let stored = write(&store, notes).await;
                store.close().await;
                return Ok(stored?);
            }
            Err(error) if error.kind == StoreErrorKind::InUse => match pass_on(config, notes).await {
                Ok(()) => return Ok(()),
                // It may be about to end.
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(error) => tracing::debug!("the audit is tried again: {}", chain(&error)),
            },
            Err(error) => return Err(error.into()),
        }
    }
}

/// Stores notes of this process's operator in an open database.
///
/// # Errors
/// That of the first note that could not be stored.
pub async fn write(store: &Store, notes: &[AuditNote]) -> Result<(), StoreError> {
    let (at, actor) = (Timestamp::now(), actor());
    for some in notes.chunks(MOST_AT_ONCE) {
        let entry = |note: &AuditNote| {
            let AuditNote { action, target, detail } = note.clone();
            let (store, actor) = (store.clone(), actor.clone());
            async move { store.audit(at, &actor, action, &target, &detail).await }
        };
        // Several at once, so that the database stores them in one transaction.
        try_join_all(some.iter().map(entry).collect::<Vec<_>>()).await?;
    }
    Ok(())
}

/// Asks the running collector to store the notes.
async fn pass_on(config: &Config, notes: &[AuditNote]) -> Result<(), RunError> {
    let history = Reader::open_configured(&config.database).await?;
    let find = async || attach::find::find(&history).await.map(|(_, socket)| socket);
    let stop = CancellationToken::new();
    let connected = Connection::within(find, &actor(), ATTEMPT, &stop).await;
    let connection = connected.map_err(|error| RunError::Collector(chain(&error)))?;
    let (orders, mut requests) = Orders::new();
    let (out, mut frames) = mpsc::channel(WAITING);
    let ask = async {
        let mut refused = Ok(());
        for some in notes.chunks(MOST_AT_ONCE) {
            let order = Order::Note(some.to_vec());
            if let Reply::Refused { text } = orders.ask(IssuedOrder { actor: actor(), order }).await {
                refused = Err(RunError::Collector(text));
                break;
            }
        }
        stop.cancel();
        refused
    };
    let drop_frames = async { while frames.recv().await.is_some() {} };
    let run = async {
        let ended = connection.run(&mut requests, &out, &stop).await;
        // The frames end with this, and orders that still wait are refused.
        drop((out, requests));
        ended
    };
    let (asked, _ended, ()) = tokio::join!(ask, run, drop_frames);
    asked
}
