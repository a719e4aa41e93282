//! The dashboard: a screen over a stream. Here the two are connected: frames in, orders and questions out.
//! Not what is drawn, not what is collected, and not the stream of another process ([`super::attached`]).

use std::{
    fs,
    future::Future,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    pin::pin,
    sync::Arc,
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
    relay::{self, record::Recorder, replay::Recording},
    spine::{Door, Hub, Orders, Spine},
    store::{Reader, holder::Mode},
    tui::{
        Answer, Command, Look, Message,
        data::Said,
        screen::{Feed, Screen},
        terminal,
    },
};

use super::{
    Failed, answers, attached,
    base::{self, Base, Opened},
    counter::Counter,
    inlet::Inlet,
    logging::LogTap,
    readers::Readers,
    source::Source,
    takeover::Succession,
    work::{self, Desk},
};

/// How long the terminal may take to be given back.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many pieces of a stream from elsewhere may wait for the screen. When it is full, that stream is not
/// read; a collector then gives the whole fleet in place of what was missed, a recording waits.
pub(super) const WAITING: usize = 256;

/// What a screen is connected to.
pub(super) struct Wires {
    /// The way to the collector.
    pub(super) orders: Orders,
    /// The database; `None` where there is none to ask.
    pub(super) reader: Option<Reader>,
    /// The clients of today.
    pub(super) cards: Box<dyn Fn() -> Vec<ClientCard> + Send + Sync>,
    /// Who plays the recording that is shown.
    pub(super) player: Option<mpsc::Sender<Play>>,
    /// Where this process may become the collector: what it waits with.
    pub(super) succession: Option<Arc<Succession>>,
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
    match Base::open_now(&config, source.costs, spine).await {
        Ok(Opened::Ours(base)) => own(source, config, *base, hub, record, tap, stop).await,
        Ok(Opened::Held(held)) => attached::run(source, &config, held.holder, record, tap, stop).await,
        Err(failed) => {
            base::tell_of_database(&config, None, &failed).await;
            Err(failed)
        }
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
pub(super) async fn settle(pump: JoinHandle<()>) {
    if let Ok(Err(error)) = tokio::time::timeout(PATIENCE, pump).await {
        tracing::error!("feeding the screen broke: {error}");
    }
}

/// Takes the terminal. From then on a hangup ends the run: the terminal is gone.
pub(super) fn start_screen(stop: &CancellationToken) -> Result<Screen, Failed> {
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
pub(super) async fn show(
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
