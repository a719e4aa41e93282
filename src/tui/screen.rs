//! Runs the dashboard: one thread owns the model and the terminal, and one reads the keys.
//!
//! A terminal that has stopped reading blocks this thread and its feeder. The event bus continues, and later sends the
//! folded fleet in place of missed events.

use std::{
    io::{self, BufWriter, Stdout, Write},
    mem::ManuallyDrop,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossterm::event::{self, Event as TerminalEvent};
use jiff::Timestamp;
use ratatui::{Terminal, backend::CrosstermBackend};
use tokio::sync::mpsc;

use super::{
    background::{self, Heard, Listener},
    clipboard, draw,
    messages::{Command, Message},
    model::Model,
    terminal,
    theme::Look,
};
use crate::{
    fleet::stream::About,
    tui::data::{Answer, StatusMessage},
};

/// How many messages may wait for the screen. When the channel is full, [`Feed::send`] fails and [`Feed::send_waiting`]
/// waits. The thread that reads keys waits too, so further keys wait in the terminal.
const INBOX: usize = 1024;

/// How many commands may wait for `app`. When the channel is full, the screen waits. An operator types far slower than
/// commands are executed.
const OUTBOX: usize = 64;

/// At most 30 frames a second.
const FRAME: Duration = Duration::from_millis(33);

/// The idle time after which queries for the current view are sent.
const REST: Duration = Duration::from_millis(120);

/// The interval of clock updates.
const TICK: Duration = Duration::from_secs(1);

/// A SIGCONT within this time after our own suspension belongs to it and is ignored.
const OWN_RESUME: Duration = Duration::from_secs(1);

/// A running dashboard.
#[derive(Debug)]
pub struct Screen {
    feed: Feed,
    commands: mpsc::Receiver<Command>,
    thread: JoinHandle<io::Result<()>>,
}

/// Sends messages to a running dashboard. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Feed(SyncSender<Message>);

/// Why a message was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTaken {
    /// The screen is too slow.
    Full,
    /// The screen has ended.
    Ended,
}

impl Feed {
    /// Sends a message without waiting.
    ///
    /// # Errors
    /// [`NotTaken`] if it lags or has ended.
    pub fn send(&self, message: Message) -> Result<(), NotTaken> {
        self.0.try_send(message).map_err(|error| match error {
            TrySendError::Full(_) => NotTaken::Full,
            TrySendError::Disconnected(_) => NotTaken::Ended,
        })
    }
}

impl Feed {
    /// Sends a message and blocks until it is accepted.
    ///
    /// # Errors
    /// [`NotTaken::Ended`]
    pub fn send_waiting(&self, message: Message) -> Result<(), NotTaken> {
        self.0.send(message).map_err(|_| NotTaken::Ended)
    }
}

impl Screen {
    /// Takes over the terminal and starts.
    ///
    /// # Errors
    /// If the terminal cannot be taken or a thread cannot be started.
    pub fn start(about: About, look: Look) -> io::Result<Self> {
        terminal::restore_on_panic();
        terminal::take(false)?;
        let started = Self::start_taken(about, look);
        if started.is_err() {
            terminal::restore();
        }
        started
    }

    fn start_taken(about: About, look: Look) -> io::Result<Self> {
        let size = crossterm::terminal::size()?;
        let model = Model::new(about, look, size, Timestamp::now());
        let (sender, inbox) = sync_channel(INBOX);
        let (outbox, commands) = mpsc::channel(OUTBOX);
        let keys = sender.clone();
        let thread = thread::Builder::new().name("screen".to_owned()).spawn(move || {
            let ended = Runner::new(model, inbox, outbox, keys).and_then(Runner::run);
            terminal::restore();
            ended
        })?;
        Ok(Self { feed: Feed(sender), commands, thread })
    }

    /// The sender of messages.
    #[must_use]
    pub fn feed(&self) -> Feed {
        self.feed.clone()
    }

    /// The next command; `None` after the end of the screen. The last one is `Command::Quit`. The screen stays until
    /// [`finish`](Self::finish), so that the shutdown is visible.
    pub async fn next_command(&mut self) -> Option<Command> {
        self.commands.recv().await
    }

    /// Ends the screen and restores the terminal. Waits at most `patience` for a terminal that does not read; its modes
    /// are restored anyway.
    ///
    /// # Errors
    /// The error of the terminal that ended the screen; `TimedOut` if the terminal does not read, so that writing to it
    /// would block forever.
    pub fn finish(self, patience: Duration) -> io::Result<()> {
        let deadline = Instant::now() + patience;
        // The inbox has space soon or never.
        while !self.thread.is_finished() && Instant::now() < deadline {
            match self.feed.send(Message::Quit) {
                Ok(()) | Err(NotTaken::Ended) => break,
                Err(NotTaken::Full) => thread::park_timeout(Duration::from_millis(5)),
            }
        }
        drop(self.commands);
        while !self.thread.is_finished() && Instant::now() < deadline {
            thread::park_timeout(Duration::from_millis(5));
        }
        terminal::restore();
        if self.thread.is_finished() {
            self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the screen panicked")))
        } else {
            // The thread ends with the process.
            Err(io::Error::new(io::ErrorKind::TimedOut, "the terminal reads nothing"))
        }
    }
}

struct Runner {
    model: Model,
    inbox: Receiver<Message>,
    outbox: mpsc::Sender<Command>,
    keys: SyncSender<Message>,
    /// Never dropped: this would show the cursor and, without a terminal, write an error to standard error, which is
    /// also gone, so that it would panic. [`terminal::restore`] shows the cursor.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<BufWriter<Stdout>>>>,
    /// When the terminal was last taken over again after our own suspension.
    resumed: Option<Instant>,
    inside_tmux: bool,
}

impl Runner {
    fn new(
        model: Model,
        inbox: Receiver<Message>,
        outbox: mpsc::Sender<Command>,
        keys: SyncSender<Message>,
    ) -> io::Result<Self> {
        // One write per frame. The first frame of a large screen has about 30 kB.
        let out = BufWriter::with_capacity(64 * 1024, io::stdout());
        let terminal = ManuallyDrop::new(Terminal::new(CrosstermBackend::new(out))?);
        let inside_tmux = std::env::var_os("TMUX").is_some();
        Ok(Self { model, inbox, outbox, keys, terminal, resumed: None, inside_tmux })
    }

    fn run(mut self) -> io::Result<()> {
        self.repaint()?;
        self.draw()?;
        let mut drawn = Instant::now();
        self.ask_for_background()?;
        read_keys(self.keys.clone())?;
        let mut ticked = Instant::now();
        let mut settled = false;
        loop {
            let now = Instant::now();
            let waits_for_frame = self.model.changed;
            let until_tick = TICK.saturating_sub(now.duration_since(ticked));
            let patience = match (waits_for_frame, settled) {
                (true, _) => FRAME.saturating_sub(now.duration_since(drawn)),
                (false, false) => REST.min(until_tick),
                (false, true) => until_tick,
            };
            match self.inbox.recv_timeout(patience) {
                Ok(message) => {
                    settled = false;
                    if !self.take_in(message)? {
                        return Ok(());
                    }
                    // All waiting messages go into one frame.
                    while let Ok(message) = self.inbox.try_recv() {
                        if !self.take_in(message)? {
                            return Ok(());
                        }
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    if !waits_for_frame && !settled && ticked.elapsed() < TICK {
                        settled = true;
                        let queries = self.model.settle();
                        self.execute(queries)?;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if ticked.elapsed() >= TICK {
                ticked = Instant::now();
                self.model.update(Message::Tick(Timestamp::now()));
                let queries = self.model.settle();
                self.execute(queries)?;
            }
            if self.model.changed && drawn.elapsed() >= FRAME {
                self.draw()?;
                drawn = Instant::now();
            }
        }
    }

    fn draw(&mut self) -> io::Result<()> {
        let Some(_ours) = terminal::while_ours() else {
            return Err(given_back());
        };
        // The size may have changed before its message arrives.
        self.terminal.autoresize()?;
        let area = self.terminal.get_frame().area();
        self.model.size = (area.width, area.height);
        self.model.prepare();
        self.model.take_changed();
        let model = &self.model;
        self.terminal.draw(|frame| draw::draw(model, frame.buffer_mut()))?;
        Ok(())
    }

    /// The answer comes among the keys.
    fn ask_for_background(&mut self) -> io::Result<()> {
        if background::may_be_asked(|name| std::env::var(name).ok()) {
            let Some(_ours) = terminal::while_ours() else { return Err(given_back()) };
            let out = self.terminal.backend_mut();
            out.write_all(background::QUESTION)?;
            Write::flush(out)?;
        }
        Ok(())
    }

    /// Makes the next frame write every cell. `Terminal::clear` is not used, because it queries the cursor position and
    /// waits for the answer.
    fn repaint(&mut self) -> io::Result<()> {
        let size = self.terminal.size()?;
        // It clears immediately. If the terminal was restored, this would erase the report of a panic.
        let Some(_ours) = terminal::while_ours() else { return Err(given_back()) };
        self.terminal.resize(size.into())?;
        self.model.changed = true;
        Ok(())
    }

    /// Processes one message. Returns false if the screen must end.
    fn take_in(&mut self, message: Message) -> io::Result<bool> {
        if matches!(message, Message::Quit) {
            return Ok(false);
        }
        #[cfg(debug_assertions)]
        panic_if_asked(&message);
        if matches!(message, Message::Continued) {
            if self.resumed.is_some_and(|resumed| resumed.elapsed() < OWN_RESUME) {
                return Ok(true);
            }
            // Another program may have left the terminal in any mode.
            terminal::restore();
            terminal::take(self.model.view.mouse)?;
        }
        let commands = self.model.update(message);
        self.execute(commands)?;
        Ok(true)
    }

    /// Executes commands that concern the terminal, and passes the others to `app`.
    fn execute(&mut self, commands: Vec<Command>) -> io::Result<()> {
        for command in commands {
            match command {
                Command::Copy(text) => {
                    let Some(_ours) = terminal::while_ours() else { return Err(given_back()) };
                    if let Err(error) = clipboard::copy(self.terminal.backend_mut(), &text, self.inside_tmux) {
                        let text = format!("Could not copy: {error}");
                        self.model.update(Message::Answer(Answer::Status(StatusMessage { is_error: true, text })));
                    }
                }
                Command::Mouse(on) => {
                    let Some(_ours) = terminal::while_ours() else { return Err(given_back()) };
                    terminal::set_mouse(on)?;
                }
                Command::Redraw => self.repaint()?,
                Command::Suspend => {
                    terminal::suspend(self.model.view.mouse)?;
                    self.resumed = Some(Instant::now());
                    self.repaint()?;
                }
                Command::Order(_)
                | Command::TakeOver
                | Command::Play(_)
                | Command::Export { .. }
                | Command::Quit
                | Command::Ask(_) => {
                    // An error means that `app` has stopped listening: it is ending, and tells us so.
                    let _ = self.outbox.blocking_send(command);
                }
            }
        }
        Ok(())
    }
}

fn given_back() -> io::Error {
    io::Error::other("the terminal was given back")
}

/// For tests of a panic: in debug builds with this variable, F12 panics.
#[cfg(debug_assertions)]
#[expect(clippy::panic, reason = "that is what it is for")]
fn panic_if_asked(message: &Message) {
    use crossterm::event::{KeyCode, KeyEvent};
    if let Message::Key(KeyEvent { code: KeyCode::F(12), .. }) = message
        && std::env::var_os("FLEETSWEEP_TEST_PANIC").is_some()
    {
        panic!("asked to panic");
    }
}

/// Starts the thread that reads the terminal. It ends with the screen or the process.
fn read_keys(inbox: SyncSender<Message>) -> io::Result<()> {
    let read = move || {
        let mut listener = Listener::default();
        loop {
            // It ends when nobody receives the keys any more, or with the process.
            let read = match event::poll(Duration::from_millis(250)) {
                Ok(true) => event::read(),
                Ok(false) => continue,
                Err(error) => Err(error),
            };
            let message = match read {
                Ok(TerminalEvent::Key(key)) => match listener.take(key) {
                    Heard::Perhaps => continue,
                    Heard::Answer(background) => Message::Background(background),
                    Heard::Keys(keys) => {
                        if keys.into_iter().any(|key| inbox.send(Message::Key(key)).is_err()) {
                            return;
                        }
                        continue;
                    }
                },
                Ok(TerminalEvent::Mouse(mouse)) => Message::Mouse(mouse),
                Ok(TerminalEvent::Paste(text)) => Message::Paste(text),
                Ok(TerminalEvent::Resize(columns, rows)) => Message::Resize(columns, rows),
                Ok(TerminalEvent::FocusGained | TerminalEvent::FocusLost) => continue,
                // The terminal is gone.
                Err(error) => {
                    tracing::debug!("the terminal cannot be read: {error}");
                    let _ = inbox.send(Message::Quit);
                    return;
                }
            };
            if inbox.send(message).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("keys".to_owned()).spawn(read)?;
    Ok(())
}
