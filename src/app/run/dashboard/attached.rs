//! A dashboard that shows the events of another process, until that process is no longer the collector and this one
//! takes over. [`crate::app::attach::takeover`] decides when.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    app::{
        attach::{
            find,
            takeover::{self, NewCollector, TakeoverContext, TakeoverOutcome},
        },
        config_source::{ConfigSource, cards},
        endpoint::Endpoint,
        error::{RunError, chain},
        process::{identity::actor, logging::LogTap},
        run::{own::OwnCollector, readers::Readers},
        source::{Link, Source},
    },
    bus::Request,
    config::Config,
    relay::{self, client::Incoming, record::Recorder},
    store::{LockOwner, Reader, lock_owner::Mode},
};

use super::{
    pump::pump,
    session::{settle, show, start_screen},
};

/// Shows the events of another collector. When that has gone, this process may take over.
///
/// # Errors
/// [`RunError`] if it could not start.
pub async fn run(
    source: &ConfigSource,
    config: &Config,
    owner: Option<Box<LockOwner>>,
    record: Option<Recorder>,
    tap: &LogTap,
    stop: &CancellationToken,
) -> Result<(), RunError> {
    let mut readers = Readers::default();
    let record = readers.record_frames(record);
    let (shown, stream, link) = Source::attached(config, owner.map(|owner| *owner), record).await?;
    let Link { requests, orders, out, history, clients, takeover } = link;
    let screen = start_screen(stop)?;
    let pump = pump(stream, screen.feed());
    let watching = async {
        let succeeded = watch(source, &history, &takeover, requests, out.clone(), stop).await;
        let Some((NewCollector { engine, config, bus }, requests)) = succeeded else { return Ok(()) };
        *held(&clients) = cards(&config);
        tracing::info!("this dashboard sweeps now: the collector it was attached to has ended");
        tap.open_into(bus.handle());
        let mut readers = Readers::default();
        readers.log(&bus);
        let mut subscriber = bus.subscribe();
        let passing = tokio::spawn(async move {
            let mut passed = out.send(Incoming::Succeeded).await;
            while passed.is_ok()
                && let Some(frame) = subscriber.next().await
            {
                passed = out.send(Incoming::Frame(frame)).await;
            }
        });
        let mut endpoint = Endpoint::default();
        if let Err(error) = endpoint.listen(&config).await {
            // The dashboard sweeps all the same: its operator is there to see it.
            tracing::error!("there are no metrics: {}", chain(&error));
        }
        let own = OwnCollector { engine, config, bus, readers, orders, requests, endpoint };
        let ended = own.serve(source, Mode::Dashboard, None, stop).await;
        if let Err(error) = passing.await {
            tracing::error!("passing the stream to the dashboard failed: {error}");
        }
        ended
    };
    let ended = show(screen, shown, watching, stop).await;
    settle(pump).await;
    readers.ended().await;
    history.close().await;
    ended
}

/// Follows the collector until `stop` or a takeover. After a takeover, returns with the orders from then on.
async fn watch(
    source: &ConfigSource,
    reader: &Reader,
    takeover: &TakeoverContext,
    request: mpsc::Receiver<Request>,
    out: mpsc::Sender<Incoming>,
    stop: &CancellationToken,
) -> Option<(NewCollector, mpsc::Receiver<Request>)> {
    let find = async || {
        let (owner, socket) = find::find(reader).await?;
        takeover.met(&owner);
        Ok(socket)
    };
    let (successor, waiting) = (Mutex::new(None), Mutex::new(Waiting::default()));
    let rest = |pause, is_news: bool| {
        let (out, successor, waiting) = (&out, &successor, &waiting);
        async move {
            let wanted = std::mem::take(&mut held(waiting).wanted);
            let (why, is_gone) = match takeover::try_takeover(source, takeover, wanted).await {
                Ok(TakeoverOutcome::Taken(taken)) => {
                    *held(successor) = Some(*taken);
                    return true;
                }
                Ok(TakeoverOutcome::Held(error)) if wanted => {
                    let why = match &error.owner {
                        Some(owner) => format!("the database is in use by {owner}: end that one first"),
                        None => HELD.to_owned(),
                    };
                    (Some(why), false)
                }
                // Why it cannot be reached is shown already, unless it has only just come.
                Ok(TakeoverOutcome::Held(_)) => (held(waiting).is_gone().then(|| HELD.to_owned()), false),
                Ok(TakeoverOutcome::NeedsConfirmation(confirm_reason)) => {
                    let key = "press T to sweep from this dashboard";
                    (Some(format!("no collector is running; {confirm_reason}: {key}")), true)
                }
                Err(failed) => (Some(format!("this dashboard cannot sweep: {}", chain(&failed))), false),
            };
            let said = why.map(|why| (why, is_gone));
            // The reason of the attempt is shown unless another one is shown already.
            let is_new = held(waiting).is_new(said.as_ref()) || is_news;
            if let Some((why, is_gone)) = said.filter(|_| is_new) {
                // An error means that the screen has ended.
                let _ = out.send(Incoming::Missing { why, is_gone }).await;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = takeover.wanted() => held(waiting).wanted = true,
            }
            false
        }
    };
    let attaching = relay::client::attach(find, rest, actor(), request, out.clone(), stop.clone());
    let request = attaching.await?;
    let successor = held(&successor).take()?;
    Some((successor, request))
}

/// The state between two attempts to take over.
#[derive(Debug, Default)]
struct Waiting {
    /// Whether the operator wants this process to take over.
    wanted: bool,
    /// Why this process did not take over, and whether no collector was running.
    said: Option<(String, bool)>,
}

/// Why this process does not sweep while another one does.
const HELD: &str = "another collector holds the database";

impl Waiting {
    /// Whether this result differs from that of the previous attempt.
    fn is_new(&mut self, said: Option<&(String, bool)>) -> bool {
        let is_new = self.said.as_ref() != said;
        self.said = said.cloned();
        is_new
    }

    /// Whether no collector was running at the previous attempt.
    fn is_gone(&self) -> bool {
        self.said.as_ref().is_some_and(|(_, is_gone)| *is_gone)
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
