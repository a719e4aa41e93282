//! A real terminal under test: a tmux server of its own with one pane, in it a plain shell, and what an
//! operator can do there: type, look, resize, leave. Not what is run in it.
//!
//! The shell edits no lines and keeps no terminal modes, so that whatever a program leaves behind is there
//! to be seen.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

use crate::tool::path_of;

/// The shell's prompt is this after the last exit code.
const PROMPT: &str = "] ready>";

/// How often the screen is looked at.
const EVERY: Duration = Duration::from_millis(20);

/// How long tmux and the shell may take for anything, on a busy machine.
const PATIENCE: Duration = crate::SOON;

/// What a terminal is started with.
#[derive(Debug, Clone)]
pub struct TerminalOptions {
    /// Columns and rows.
    pub size: (u16, u16),
    /// What `TERM` says in it.
    pub term: String,
    /// What else is in the shell's environment, beside the search path, `HOME` and a UTF-8 `LANG`; a name
    /// that is there already is replaced.
    pub environment: Vec<(String, String)>,
    /// Whether the shell knows that it is inside tmux.
    pub tells_tmux: bool,
}

impl Default for TerminalOptions {
    fn default() -> Self {
        Self { size: (80, 24), term: "tmux-256color".to_owned(), environment: Vec::new(), tells_tmux: false }
    }
}

impl TerminalOptions {
    /// The usual ones with another size.
    #[must_use]
    pub fn of_size(columns: u16, rows: u16) -> Self {
        Self { size: (columns, rows), ..Self::default() }
    }

    /// The same with a variable in the environment.
    #[must_use]
    pub fn with_environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A terminal with a shell in it. It ends when it is dropped, and all that runs in it.
#[derive(Debug)]
pub struct Terminal {
    tmux: PathBuf,
    socket: PathBuf,
    server: Pid,
    shell: Pid,
    /// The device, `/dev/pts/…`.
    device: String,
    _directory: TempDir,
}

/// The modes in which a terminal is, as tmux tells them by name, and what the kernel does with its lines: all
/// that a program can leave behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modes {
    /// `name=value`, one a mode.
    pub emulator: Vec<String>,
    /// Whether pasted text comes in brackets.
    pub brackets_pastes: bool,
    /// What `stty -a` says, without the size.
    pub line: String,
}

impl Modes {
    /// One mode of the emulator.
    ///
    /// # Panics
    /// Where tmux does not know it.
    pub fn is_on(&self, name: &str) -> bool {
        let value = self.emulator.iter().find_map(|mode| mode.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_else(|| panic!("{name} is not in {:?}", self.emulator)) == "1"
    }
}

/// What tmux tells of a pane's emulator.
const MODES: [&str; 14] = [
    "alternate_on",
    "cursor_flag",
    "insert_flag",
    "keypad_cursor_flag",
    "keypad_flag",
    "mouse_all_flag",
    "mouse_any_flag",
    "mouse_button_flag",
    "mouse_sgr_flag",
    "mouse_standard_flag",
    "mouse_utf8_flag",
    "origin_flag",
    "pane_in_mode",
    "wrap_flag",
];

impl Terminal {
    /// Starts one, with the shell in `home`.
    ///
    /// # Panics
    /// Where it does not start.
    pub async fn start(home: &Path, options: TerminalOptions) -> Self {
        let TerminalOptions { size: (columns, rows), term, environment, tells_tmux } = options;
        let directory = tempfile::tempdir().expect("a directory for tmux");
        let socket = directory.path().join("socket");
        let tmux = path_of("tmux");
        let mut command = Command::new(&tmux);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", home);
        command.env("TMPDIR", std::env::temp_dir()).arg("-u").arg("-S").arg(&socket).args(["-f", "/dev/null"]);
        command.args(["start-server", ";", "set", "-g", "status", "off", ";", "set", "-g", "set-clipboard", "on", ";"]);
        command.args(["set", "-g", "default-terminal", &term, ";"]);
        command.args(["new-session", "-d", "-x", &columns.to_string(), "-y", &rows.to_string(), "-c"]).arg(home);
        command.arg("--").arg(path_of("env"));
        if !tells_tmux {
            command.args(["-u", "TMUX", "-u", "TMUX_PANE"]);
        }
        command.args([&format!("TERM={term}"), "LANG=C.UTF-8", &format!("PS1=[$?{PROMPT} ")]);
        command.args(environment.iter().map(|(name, value)| format!("{name}={value}")));
        command.args(["sh", ";", "display-message", "-p", "#{pid} #{pane_pid} #{pane_tty}"]);
        let told = text(finished(command, "the start").await);
        let words: Vec<&str> = told.split_whitespace().collect();
        let [server, shell, device] = words.as_slice() else { panic!("tmux says {told:?} of its pane") };
        let (server, shell, device) = (pid(server), pid(shell), (*device).to_owned());
        let terminal = Self { tmux, socket, server, shell, device, _directory: directory };
        terminal.shows("the shell's prompt", PATIENCE, |screen| screen.contains(PROMPT)).await;
        terminal
    }

    /// Types a command line and Enter.
    pub async fn run(&self, line: &str) {
        self.type_text(line).await;
        self.keys(&["Enter"]).await;
    }

    /// Presses keys by the names that tmux gives them: `Enter`, `Left`, `C-z`; a character is itself.
    pub async fn keys(&self, keys: &[&str]) {
        self.do_it(&[&["send-keys", "--"], keys].concat()).await;
    }

    /// Types text as it is.
    pub async fn type_text(&self, text: &str) {
        self.do_it(&["send-keys", "-l", "--", text]).await;
    }

    /// Pastes text, as the terminal's own paste does it.
    ///
    /// # Panics
    /// Where tmux does not take it.
    pub async fn paste(&self, text: &str) {
        let mut command = self.command(&["load-buffer", "-b", "pasted", "-"]);
        let mut child = command.stdin(Stdio::piped()).spawn().expect("tmux");
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(text.as_bytes()).await.expect("tmux takes what is pasted");
        drop(input);
        assert!(child.wait().await.expect("a process of ours").success(), "tmux takes no paste");
        self.do_it(&["paste-buffer", "-p", "-d", "-b", "pasted"]).await;
    }

    /// Gives it another size, 1×1 or more.
    pub async fn resize(&self, columns: u16, rows: u16) {
        self.do_it(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]).await;
    }

    /// The text on the screen, a line a row.
    pub async fn screen(&self) -> String {
        self.do_it(&["capture-pane", "-p"]).await
    }

    /// The same with its colours and attributes, as escape sequences.
    pub async fn coloured_screen(&self) -> String {
        self.do_it(&["capture-pane", "-p", "-e"]).await
    }

    /// What was copied last; `None` where nothing was.
    pub async fn copied(&self) -> Option<String> {
        let output = output(self.command(&["show-buffer"]), "show-buffer").await;
        output.status.success().then(|| text(output))
    }

    /// Waits until the screen is as it should be, and returns it. `what` names that: "the help".
    ///
    /// # Panics
    /// With the last screen, where it does not become so within the time.
    pub async fn shows(&self, what: &str, within: Duration, as_it_should: impl Fn(&str) -> bool) -> String {
        let started = Instant::now();
        loop {
            let screen = self.screen().await;
            if as_it_should(&screen) {
                return screen;
            }
            assert!(started.elapsed() < within, "waited {within:?} in vain for {what} on this screen:\n{screen}");
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Waits until a text is on the screen, and returns the screen.
    pub async fn sees(&self, text: &str) -> String {
        self.shows(&format!("`{text}`"), PATIENCE, |screen| screen.contains(text)).await
    }

    /// Waits for something that is not on the screen.
    ///
    /// # Panics
    /// With the last screen, where it does not come within the time.
    pub async fn waits_for(&self, what: &str, within: Duration, mut condition: impl AsyncFnMut() -> bool) {
        let started = Instant::now();
        while !condition().await {
            if started.elapsed() >= within {
                panic!("waited {within:?} in vain for {what}; on the screen:\n{}", self.screen().await);
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// The program in the foreground; `None` where that is the shell itself, or nobody.
    pub fn program(&self) -> Option<Pid> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.shell.as_raw_nonzero())).ok()?;
        // The fields after the name, which may hold anything: state, parent, group, session, terminal, its group.
        let (_, after) = stat.rsplit_once(") ")?;
        let group = after.split(' ').nth(5)?.parse::<i32>().ok().filter(|group| *group > 0)?;
        Pid::from_raw(group).filter(|group| *group != self.shell)
    }

    /// Waits until a program has started in the foreground.
    ///
    /// # Panics
    /// Where none does.
    pub async fn started(&self) -> Pid {
        self.waits_for("a program to start", PATIENCE, async || self.program().is_some()).await;
        self.program().expect("a program that has just started")
    }

    /// Waits until the shell has its prompt back, and returns the exit code that it tells: of a program that
    /// has ended or was stopped, 128 and the signal where that was one.
    ///
    /// # Panics
    /// With the last screen, where the program does not end within the time.
    pub async fn ended(&self, within: Duration) -> i32 {
        let started = Instant::now();
        loop {
            let lines = self.do_it(&["capture-pane", "-p", "-J"]).await;
            let last = lines.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
            if self.program().is_none()
                && let Some((before, "")) = last.trim_end().rsplit_once(PROMPT)
                && let Some((_, code)) = before.rsplit_once('[')
            {
                return code.parse().unwrap_or_else(|_| panic!("no exit code in this prompt: {last}"));
            }
            assert!(started.elapsed() < within, "the program has not ended within {within:?}; on the screen:\n{lines}");
            tokio::time::sleep(EVERY).await;
        }
    }

    /// The modes of the terminal, with the shell's prompt on it.
    ///
    /// # Panics
    /// Where the shell does not answer to what is typed.
    pub async fn modes(&self) -> Modes {
        // With brackets on, the terminal puts a sequence before the text, and the kernel echoes that.
        let mark = "pasted here";
        self.paste(mark).await;
        let screen = self.sees(mark).await;
        let brackets_pastes = screen.contains("[200~");
        self.keys(&["C-u"]).await;
        self.shows("an empty prompt", PATIENCE, |screen| screen.trim_end().ends_with(PROMPT)).await;
        Modes { emulator: self.emulator().await, brackets_pastes, line: self.line().await }
    }

    /// The modes of the emulator alone, whatever runs.
    pub async fn emulator(&self) -> Vec<String> {
        let format: Vec<String> = MODES.iter().map(|mode| format!("{mode}=#{{{mode}}}")).collect();
        let told = self.do_it(&["display-message", "-p", &format.join(" ")]).await;
        told.split_whitespace().map(str::to_owned).collect()
    }

    /// What the kernel does with the lines typed, as `stty -a` tells it, without the size.
    pub async fn line(&self) -> String {
        let mut command = Command::new(path_of("stty"));
        command.args(["-F", &self.device, "-a"]);
        let told = text(finished(command, "stty").await);
        told.lines().skip(1).collect::<Vec<_>>().join("\n")
    }

    /// Has all that the terminal gets from now on written to a file too, byte by byte.
    pub async fn record(&self, file: &Path) {
        self.do_it(&["pipe-pane", &format!("exec cat > '{}'", file.display())]).await;
    }

    /// Has the terminal read nothing more, as over a connection that hangs. Nothing else can be asked of it
    /// until [`read_again`](Self::read_again).
    pub fn stop_reading(&self) {
        signal(self.server, Signal::STOP);
    }

    /// Has the terminal read again.
    pub fn read_again(&self) {
        signal(self.server, Signal::CONT);
    }

    /// Closes the terminal, as when its window is closed or its connection breaks.
    pub async fn close(&self) {
        // The last pane takes the server with it, perhaps before it has answered.
        let _ = output(self.command(&["kill-pane"]), "kill-pane").await;
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.tmux);
        command.env_remove("TMUX").arg("-u").arg("-S").arg(&self.socket).args(words);
        command
    }

    async fn do_it(&self, words: &[&str]) -> String {
        text(finished(self.command(words), &words.join(" ")).await)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Not asked but killed: a server that was stopped answers nothing.
        if let Some(program) = self.program() {
            let _ = kill_process_group(program, Signal::KILL);
        }
        let _ = kill_process(self.server, Signal::KILL);
    }
}

/// Sends a signal to a process that is there.
///
/// # Panics
/// Where it is not.
pub fn signal(process: Pid, signal: Signal) {
    kill_process(process, signal).unwrap_or_else(|error| panic!("process {}: {error}", process.as_raw_nonzero()));
}

/// Whether a process is there and has not ended.
pub fn is_running(process: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).unwrap_or_default();
    // One that has ended and was not waited for is a zombie.
    stat.rsplit_once(") ").is_some_and(|(_, after)| !after.starts_with('Z'))
}

fn pid(word: &str) -> Pid {
    word.parse().ok().and_then(Pid::from_raw).unwrap_or_else(|| panic!("{word:?} is no process id"))
}

fn text(output: Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn output(mut command: Command, what: &str) -> Output {
    command.kill_on_drop(true);
    let ended = timeout(PATIENCE, command.output()).await;
    ended.unwrap_or_else(|_elapsed| panic!("tmux does not answer to {what}")).expect("a program that is there")
}

async fn finished(command: Command, what: &str) -> Output {
    let output = output(command, what).await;
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    output
}
