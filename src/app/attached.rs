//! A dashboard over the stream of another process, until that is the collector no more and this process may be. Not
//! when it may: that is [`super::takeover`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    fleet::event::ClientCard,
    relay::{self, client::Incoming, record::Recorder},
    spine::{Asked, Hub, Orders},
    store::{Holder, Reader, holder::Mode},
};

use super::{
    Failed,
    base::{self, Base},
    beside,
    counter::Counter,
    dashboard::{WAITING, Wires, settle, show, start_screen},
    inlet::{Attached, Inlet},
    logging::LogTap,
    readers::Readers,
    source::Source,
    takeover::{self, Succession, Successor, Tried},
    work::{self, Desk},
};

/// Shows what another process sweeps; when that has gone, this one may sweep.
///
/// # Errors
/// [`Failed`] where it could not begin.
pub async fn run(
    source: &Source,
    config: &Config,
    holder: Option<Box<Holder>>,
    record: Option<Recorder>,
    tap: &LogTap,
    stop: &CancellationToken,
) -> Result<(), Failed> {
    let reader = Reader::open_configured(&config.database).await?;
    let (orders, asked) = Orders::new();
    let (out, incoming) = mpsc::channel(WAITING);
    let cards = Arc::new(Mutex::new(cards_in(config)));
    let to = holder.as_ref().map_or_else(|| "a collector".to_owned(), ToString::to_string);
    let succession = Succession::of(holder.map(|holder| *holder));
    let wires = Wires {
        orders: orders.clone(),
        reader: Some(reader.clone()),
        cards: Box::new({
            let cards = cards.clone();
            move || cards.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }),
        player: None,
        succession: Some(succession.clone()),
    };
    let mut recording = JoinSet::new();
    let record = record.map(|recorder| {
        let (frames, waiting) = mpsc::channel(WAITING);
        recording.spawn(recorder.run_frames(waiting));
        frames
    });
    let screen = start_screen(stop)?;
    let pump = Inlet::Attached(Attached::new(incoming, record, to, succession.clone())).pump(screen.feed());
    let watching = async {
        let succeeded = watch(source, &reader, &succession, asked, out.clone(), stop).await;
        let Some((Successor { base, config, hub }, asked)) = succeeded else { return Ok(()) };
        *cards.lock().unwrap_or_else(PoisonError::into_inner) = cards_in(&config);
        succeed(source, config, base, hub, (orders, asked), out, tap, stop).await
    };
    let shown = show(screen, wires, watching, stop).await;
    settle(pump).await;
    while recording.join_next().await.is_some() {}
    reader.close().await;
    shown
}

fn cards_in(config: &Config) -> Vec<ClientCard> {
    config.clients.iter().map(base::card).collect()
}

/// Looks at the collector until `stop`, or until this process has taken its place; then with what is asked from then on.
async fn watch(
    source: &Source,
    reader: &Reader,
    succession: &Succession,
    asked: mpsc::Receiver<Asked>,
    out: mpsc::Sender<Incoming>,
    stop: &CancellationToken,
) -> Option<(Successor, mpsc::Receiver<Asked>)> {
    let find = async || {
        let (holder, socket) = beside::find(reader).await?;
        succession.met(&holder);
        Ok(socket)
    };
    let (successor, waiting) = (Mutex::new(None), Mutex::new(Waiting::default()));
    let rest = |pause, is_news: bool| {
        let (out, successor, waiting) = (&out, &successor, &waiting);
        async move {
            let wanted = std::mem::take(&mut held(waiting).wanted);
            let said = match takeover::try_to_succeed(source, succession, wanted).await {
                Ok(Tried::Taken(taken)) => {
                    *held(successor) = Some(*taken);
                    return true;
                }
                Ok(Tried::Held) if wanted => Some("another collector has the database".to_owned()),
                Ok(Tried::Held) => None,
                Ok(Tried::Asks(surprise)) => Some(format!("nobody sweeps; {surprise}: T has this dashboard sweep")),
                Err(failed) => Some(format!("this dashboard cannot sweep: {}", super::chain(&failed))),
            };
            // A reason that came from elsewhere stands in its place on the screen.
            let is_new = held(waiting).is_new(said.as_ref()) || is_news;
            if let Some(why) = said.filter(|_| is_new) {
                // An error means that the screen has ended.
                let _ = out.send(Incoming::Gone { why }).await;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = succession.wanted() => held(waiting).wanted = true,
            }
            false
        }
    };
    let attaching = relay::client::attach(find, rest, super::actor(), asked, out.clone(), stop.clone());
    let asked = attaching.await?;
    let successor = held(&successor).take()?;
    Some((successor, asked))
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

/// Collects in the place of another process, over the same screen.
#[expect(clippy::too_many_arguments, reason = "what an attached dashboard has at hand, handed over once")]
async fn succeed(
    source: &Source,
    config: Config,
    base: Base,
    hub: Hub,
    (orders, asked): (Orders, mpsc::Receiver<Asked>),
    out: mpsc::Sender<Incoming>,
    tap: &LogTap,
    stop: &CancellationToken,
) -> Result<(), Failed> {
    tracing::info!("this dashboard sweeps now: the collector it was attached to has ended");
    tap.open_into(hub.door());
    let door = hub.door();
    let mut readers = Readers::default();
    readers.log(&hub);
    let mut listener = hub.listen();
    let passing = tokio::spawn(async move {
        let mut passed = out.send(Incoming::Succeeded).await;
        while passed.is_ok()
            && let Some(frame) = listener.next().await
        {
            passed = out.send(Incoming::Frame(frame)).await;
        }
    });
    let counter = Counter::open(&base, &door, orders, Mode::Dashboard).await;
    let desk = Desk { door, asked, reloads: None, stop: stop.clone() };
    let worked = work::serve(Arc::new(base), source, config, desk).await;
    hub.finish().await;
    if let Some(counter) = counter {
        counter.close().await;
    }
    readers.ended().await;
    if let Err(error) = passing.await {
        tracing::error!("passing the stream to the screen broke: {error}");
    }
    worked
}
