//! The dashboard: a screen over a stream. Here the two are connected: frames in, orders and questions out.
//! Not what is drawn, and not what is collected.

use std::{
    fs,
    future::Future,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    signal::unix::SignalKind,
    sync::mpsc,
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    fleet::{
        event::ClientCard,
        order::{Order, Reply, Signed},
        stream::{About, Play},
    },
    relay::{self, client::Incoming, record::Recorder, replay::Recording},
    spine::{Asked, Door, Hub, Orders, Spine},
    store::{Holder, Reader, holder::Mode},
    tui::{
        Answer, Command, Look, Message,
        data::Said,
        screen::{Feed, Screen},
        terminal,
    },
};

use super::{
    Failed, answers,
    base::{self, Base, Opened},
    beside,
    counter::Counter,
    inlet::{Attached, Inlet},
    logging::LogTap,
    readers::Readers,
    source::Source,
    takeover::{self, Succession, Successor, Tried},
    work::{self, Desk},
};

/// How long the terminal may take to be given back.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many pieces of a stream from elsewhere may wait for the screen. When it is full, that stream is not
/// read; a collector then gives the whole fleet in place of what was missed, a recording waits.
const WAITING: usize = 256;

/// What a screen is connected to.
struct Wires {
    /// The way to the collector.
    orders: Orders,
    /// The database; `None` where there is none to ask.
    reader: Option<Reader>,
    /// The clients of today.
    cards: Box<dyn Fn() -> Vec<ClientCard> + Send + Sync>,
    /// Who plays the recording that is shown.
    player: Option<mpsc::Sender<Play>>,
    /// Where this process may become the collector: what it waits with.
    succession: Option<Arc<Succession>>,
}

/// Sweeps under the eyes of an operator until the screen or `stop` ends it. Where another process collects
/// into the same database already, its stream is shown instead.
///
/// # Errors
/// [`Failed`] where it could not begin.
pub async fn run(source: &Source, record: Option<&Path>, tap: &LogTap, stop: &CancellationToken) -> Result<(), Failed> {
    let config = source.load()?;
    let record = record.map(Recorder::create).transpose()?;
    let (spine, told) = Spine::new();
    let hub = Hub::start(told);
    match Base::open_now(&config, source.costs, spine).await? {
        Opened::Ours(base) => own(source, config, *base, hub, record, tap, stop).await,
        Opened::Held(held) => attached(source, &config, held.holder, record, tap, stop).await,
    }
}

/// This process sweeps.
async fn own(
    source: &Source,
    config: Config,
    base: Base,
    hub: Hub,
    record: Option<Recorder>,
    tap: &LogTap,
    stop: &CancellationToken,
) -> Result<(), Failed> {
    tap.open_into(hub.door());
    let (orders, asked) = Orders::new();
    let door = hub.door();
    let wires = Wires {
        orders: orders.clone(),
        reader: Some(base.store.reader()),
        cards: cards_of(door.clone()),
        player: None,
        succession: None,
    };
    let screen = start_screen(stop)?;
    let mut readers = Readers::default();
    readers.log(&hub);
    readers.record(&hub, record);
    let pump = Inlet::Own(hub.listen()).pump(screen.feed());
    let counter = Counter::open(&base, &door, orders, Mode::Dashboard).await;
    let desk = Desk { door, asked, reloads: None, stop: stop.clone() };
    let shown = show(screen, wires, work::serve(Arc::new(base), source, config, desk), stop).await;
    hub.finish().await;
    if let Some(counter) = counter {
        counter.close().await;
    }
    readers.ended().await;
    settle(pump).await;
    shown
}

/// Another process sweeps; when that has gone, this one may.
async fn attached(
    source: &Source,
    config: &Config,
    holder: Option<Box<Holder>>,
    record: Option<Recorder>,
    tap: &LogTap,
    stop: &CancellationToken,
) -> Result<(), Failed> {
    let reader = Reader::open(&config.database.url).await?;
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
    let rest = |pause| {
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
            let is_new = held(waiting).is_new(said.as_ref());
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

/// A recording is played.
///
/// # Errors
/// [`Failed`] where it cannot be played.
pub async fn replay(file: &Path, stop: &CancellationToken) -> Result<(), Failed> {
    let path = file.to_owned();
    let recording = tokio::task::spawn_blocking(move || Recording::open(&path)).await.map_err(io::Error::other)??;
    // What is asked for without a collector is refused.
    let (orders, _) = Orders::new();
    let (player, plays) = mpsc::channel(WAITING);
    let (out, played) = mpsc::channel(WAITING);
    let wires = Wires { orders, reader: None, cards: Box::new(Vec::new), player: Some(player), succession: None };
    let screen = start_screen(stop)?;
    let pump = Inlet::Replay(played).pump(screen.feed());
    let playing = async {
        tokio::select! {
            played = relay::replay::play(recording, plays, out) => Ok(played?),
            () = stop.cancelled() => Ok(()),
        }
    };
    let shown = show(screen, wires, playing, stop).await;
    settle(pump).await;
    shown
}

/// The stream has ended: its last pieces reach the screen, or nobody takes them any more.
async fn settle(pump: JoinHandle<()>) {
    if let Ok(Err(error)) = tokio::time::timeout(PATIENCE, pump).await {
        tracing::error!("feeding the screen broke: {error}");
    }
}

/// Takes the terminal. From then on a hangup ends the run: the terminal is gone.
fn start_screen(stop: &CancellationToken) -> Result<Screen, Failed> {
    let mut hangups = tokio::signal::unix::signal(SignalKind::hangup())?;
    let stop = stop.clone();
    tokio::spawn(async move {
        if hangups.recv().await.is_some() {
            tracing::info!("the terminal has gone: what has been received is stored first");
            stop.cancel();
        }
    });
    let look = Look::from_environment(|name| std::env::var(name).ok());
    Ok(Screen::start(About::default(), look)?)
}

fn cards_of(door: Door) -> Box<dyn Fn() -> Vec<ClientCard> + Send + Sync> {
    Box::new(move || door.look(|fleet| fleet.clients().map(|client| client.card.clone()).collect()))
}

/// Does what the screen wants until `working` ends, which `stop` has it do; then gives the terminal back.
async fn show(
    mut screen: Screen,
    wires: Wires,
    working: impl Future<Output = Result<(), Failed>>,
    stop: &CancellationToken,
) -> Result<(), Failed> {
    let feed = screen.feed();
    let wires = Arc::new(wires);
    let mut continued = tokio::signal::unix::signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?;
    let mut errands = JoinSet::new();
    let mut working = pin!(working);
    let mut open = true;
    let ended = loop {
        tokio::select! {
            ended = &mut working => break ended,
            command = screen.next_command(), if open => match command {
                Some(Command::Quit) if stop.is_cancelled() => {
                    // Asked twice: as with signals, that is meant.
                    terminal::restore();
                    std::process::exit(128 + 2);
                }
                Some(Command::Quit) => {
                    say(&feed, false, "ending: what has been received is stored first");
                    stop.cancel();
                }
                // The terminal is gone, or the screen broke.
                None => {
                    open = false;
                    stop.cancel();
                }
                Some(command) => {
                    errands.spawn(run_errand(wires.clone(), feed.clone(), command));
                }
            },
            _ = continued.recv() => {
                // A screen that takes nothing is not to be redrawn either.
                let _ = feed.send(Message::Continued);
            }
            Some(done) = errands.join_next() => {
                if let Err(error) = done {
                    tracing::error!("something that the screen asked for broke: {error}");
                }
            }
        }
    };
    errands.abort_all();
    let finished = tokio::task::spawn_blocking(move || screen.finish(PATIENCE)).await.map_err(io::Error::other)?;
    ended?;
    match finished {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(()),
        // Whoever took the terminal away knows.
        Err(error) if stop.is_cancelled() && is_gone(&error) => Ok(()),
        finished => Ok(finished?),
    }
}

/// Whether an error says that the terminal is not there any more.
fn is_gone(error: &io::Error) -> bool {
    let gone = [rustix::io::Errno::IO, rustix::io::Errno::NXIO].map(|errno| Some(errno.raw_os_error()));
    gone.contains(&error.raw_os_error()) || error.kind() == io::ErrorKind::BrokenPipe
}

/// One thing that the screen wants done.
async fn run_errand(wires: Arc<Wires>, feed: Feed, command: Command) {
    let answer = match command {
        Command::Order(order) => Answer::Said(ask(&wires.orders, order).await),
        Command::Ask(query) => match &wires.reader {
            Some(reader) => answers::answer(reader, query, (wires.cards)(), Timestamp::now()).await,
            None => answers::nothing(),
        },
        Command::Export { file_name, text } => {
            let written = tokio::task::spawn_blocking(move || export(&file_name, &text)).await;
            Answer::Said(
                written.unwrap_or_else(|error| Said { is_error: true, text: format!("not exported: {error}") }),
            )
        }
        Command::TakeOver => {
            if let Some(succession) = &wires.succession {
                succession.want();
            }
            return;
        }
        Command::Play(play) => {
            if let Some(player) = &wires.player {
                // A player that has ended has nothing to play.
                let _ = player.send(play).await;
            }
            return;
        }
        // The screen's own, or taken care of before.
        Command::Copy(_) | Command::Mouse(_) | Command::Redraw | Command::Suspend | Command::Quit => return,
    };
    let sent = tokio::task::spawn_blocking(move || feed.send_waiting(Message::Answer(answer))).await;
    if let Err(error) = sent {
        tracing::error!("an answer for the screen was lost: {error}");
    }
}

async fn ask(orders: &Orders, order: Order) -> Said {
    match orders.ask(Signed { actor: super::actor(), order }).await {
        Reply::Done { text, .. } => Said { is_error: false, text },
        Reply::Refused { text } => Said { is_error: true, text },
    }
}

/// Writes into the working directory, never over what is there.
fn export(file_name: &str, text: &str) -> Said {
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file_name)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    let place = std::path::absolute(Path::new(file_name)).unwrap_or_else(|_| file_name.into());
    match written {
        Ok(()) => Said { is_error: false, text: format!("written to {}", place.display()) },
        Err(error) => Said { is_error: true, text: format!("not exported to {}: {error}", place.display()) },
    }
}

fn say(feed: &Feed, is_error: bool, text: &str) {
    // A screen that lags says other things.
    let _ = feed.send(Message::Answer(Answer::Said(Said { is_error, text: text.to_owned() })));
}
