//! A dashboard over the stream of another process, until that is the collector no more and this process may be. Not
//! when it may: that is [`crate::app::attach::takeover`].

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

/// Shows what another process sweeps; when that has gone, this one may sweep.
///
/// # Errors
/// [`RunError`] where it could not begin.
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
        let own = OwnCollector { engine, config, bus, readers, orders, requests };
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

/// Looks at the collector until `stop`, or until this process has taken its place; then with what is asked from then on.
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
            let said = match takeover::try_takeover(source, takeover, wanted).await {
                Ok(TakeoverOutcome::Taken(taken)) => {
                    *held(successor) = Some(*taken);
                    return true;
                }
                Ok(TakeoverOutcome::Held(error)) if wanted => Some(match &error.owner {
                    Some(owner) => format!("the database is in use by {owner}: end that one first"),
                    None => "another collector holds the database".to_owned(),
                }),
                Ok(TakeoverOutcome::Held(_)) => None,
                Ok(TakeoverOutcome::NeedsConfirmation(confirm_reason)) => {
                    Some(format!("no collector is running; {confirm_reason}: press T to sweep from this dashboard"))
                }
                Err(failed) => Some(format!("this dashboard cannot sweep: {}", chain(&failed))),
            };
            // A reason that came from elsewhere stands in its place on the screen.
            let is_new = held(waiting).is_new(said.as_ref()) || is_news;
            if let Some(why) = said.filter(|_| is_new) {
                // An error means that the screen has ended.
                let _ = out.send(Incoming::Gone { why }).await;
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

/// What is kept between two tries to take a collector's place.
#[derive(Debug, Default)]
struct Waiting {
    /// Whether the operator wants this process to.
    wanted: bool,
    said: Option<String>,
}

impl Waiting {
    /// Whether that was not said at the try before.
    fn is_new(&mut self, said: Option<&String>) -> bool {
        let is_new = self.said.as_ref() != said;
        self.said = said.cloned();
        is_new
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
