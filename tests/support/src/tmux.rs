//! A real terminal: a tmux server with one pane and a plain shell in it, and functions to type, read the screen, resize
//! and close it.
//!
//! The shell has no line editing and does not restore terminal modes, so that changes that a program leaves behind are
//! visible.

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

/// The shell's prompt: the last exit code and this text.
const PROMPT: &str = "] ready>";

/// How often the screen is checked.
const EVERY: Duration = Duration::from_millis(20);

/// How many screens are taken until one is painted to its end.
const MOST_PAINTS: u32 = 10;

/// The time limit for tmux and the shell.
const PATIENCE: Duration = crate::SOON;

/// The options of a terminal.
#[derive(Debug, Clone)]
pub struct TerminalOptions {
    /// Columns and rows.
    pub size: (u16, u16),
    /// The value of `TERM`.
    pub term: String,
    /// Additional environment variables. The shell already has `PATH`, `HOME` and a UTF-8 `LANG`; a variable in this
    /// list replaces them.
    pub environment: Vec<(String, String)>,
    /// Whether the shell's environment shows that it runs in tmux.
    pub tells_tmux: bool,
}

impl Default for TerminalOptions {
    fn default() -> Self {
        Self { size: (80, 24), term: "tmux-256color".to_owned(), environment: Vec::new(), tells_tmux: false }
    }
}

impl TerminalOptions {
    /// The default options with another size.
    #[must_use]
    pub fn of_size(columns: u16, rows: u16) -> Self {
        Self { size: (columns, rows), ..Self::default() }
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn with_environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A terminal with a shell. It ends when it is dropped, with everything that runs in it.
#[derive(Debug)]
pub struct Terminal {
    tmux: PathBuf,
    socket: PathBuf,
    server: Pid,
    shell: Pid,
    /// Its device, `/dev/pts/…`.
    device: String,
    _directory: TempDir,
}

/// Everything that a program can leave behind in a terminal: the modes of tmux, and the kernel's line settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modes {
    /// Each as `name=value`.
    pub emulator: Vec<String>,
    /// Whether bracketed paste is on.
    pub brackets_pastes: bool,
    /// The output of `stty -a`, without the size.
    pub line: String,
}

impl Modes {
    /// A mode of tmux.
    ///
    /// # Panics
    /// If tmux does not know this mode.
    pub fn is_on(&self, name: &str) -> bool {
        let value = self.emulator.iter().find_map(|mode| mode.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_else(|| panic!("{name} is not in {:?}", self.emulator)) == "1"
    }
}

/// The modes that tmux reports for a pane.
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
    /// Starts a terminal with the shell in `home`.
    ///
    /// # Panics
    /// If it does not start.
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

    /// Presses keys by their tmux names: `Enter`, `Left`, `C-z`, or a single character.
    pub async fn keys(&self, keys: &[&str]) {
        self.do_it(&[&["send-keys", "--"], keys].concat()).await;
    }

    /// Types text.
    pub async fn type_text(&self, text: &str) {
        self.do_it(&["send-keys", "-l", "--", text]).await;
    }

    /// Pastes text like the paste function of a terminal.
    ///
    /// # Panics
    /// If tmux fails.
    pub async fn paste(&self, text: &str) {
        let mut command = self.command(&["load-buffer", "-b", "pasted", "-"]);
        let mut child = command.stdin(Stdio::piped()).spawn().expect("tmux");
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(text.as_bytes()).await.expect("tmux takes what is pasted");
        drop(input);
        assert!(child.wait().await.expect("a process of ours").success(), "tmux takes no paste");
        self.do_it(&["paste-buffer", "-p", "-d", "-b", "pasted"]).await;
    }

    /// Changes the size; the smallest is 1×1.
    pub async fn resize(&self, columns: u16, rows: u16) {
        self.do_it(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]).await;
    }

    /// The text on the screen, one line per row.
    pub async fn screen(&self) -> String {
        self.do_it(&["capture-pane", "-p"]).await
    }

    /// The screen with colours and attributes as escape sequences.
    pub async fn coloured_screen(&self) -> String {
        self.do_it(&["capture-pane", "-p", "-e"]).await
    }

    /// The last copied text; `None` if nothing was copied.
    pub async fn copied(&self) -> Option<String> {
        let output = output(self.command(&["show-buffer"]), "show-buffer").await;
        output.status.success().then(|| text(output))
    }

    /// Waits until the screen meets a condition and is painted to its end, and returns it. `what` names the condition:
    /// "the help".
    ///
    /// # Panics
    /// With the last screen, if it does not meet the condition in time.
    pub async fn shows(&self, what: &str, within: Duration, as_it_should: impl Fn(&str) -> bool) -> String {
        let started = Instant::now();
        loop {
            let screen = self.screen().await;
            if as_it_should(&screen) {
                return self.painted(screen, as_it_should).await;
            }
            assert!(started.elapsed() < within, "waited {within:?} in vain for {what} on this screen:\n{screen}");
            tokio::time::sleep(EVERY).await;
        }
    }

    /// The screen after one that meets a condition, when it no longer changes. One that was taken in the middle of a paint
    /// lacks the rest. Where the screen always moves, or the condition passes, this is the last one that met it.
    async fn painted(&self, mut screen: String, as_it_should: impl Fn(&str) -> bool) -> String {
        for _ in 0..MOST_PAINTS {
            tokio::time::sleep(EVERY).await;
            let next = self.screen().await;
            if next == screen || !as_it_should(&next) {
                break;
            }
            screen = next;
        }
        screen
    }

    /// Waits until a text is on the screen, and returns the screen.
    pub async fn sees(&self, text: &str) -> String {
        self.shows(&format!("`{text}`"), PATIENCE, |screen| screen.contains(text)).await
    }

    /// Waits for a condition that does not depend on the screen.
    ///
    /// # Panics
    /// With the last screen, if the condition does not hold in time.
    pub async fn waits_for(&self, what: &str, within: Duration, mut condition: impl AsyncFnMut() -> bool) {
        let started = Instant::now();
        while !condition().await {
            if started.elapsed() >= within {
                panic!("waited {within:?} in vain for {what}; on the screen:\n{}", self.screen().await);
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// The program in the foreground; `None` if this is the shell or there is none.
    pub fn program(&self) -> Option<Pid> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.shell.as_raw_nonzero())).ok()?;
        // The fields after the name: state, parent, group, session, terminal, foreground group. The name may contain
        // spaces.
        let (_, after) = stat.rsplit_once(") ")?;
        let group = after.split(' ').nth(5)?.parse::<i32>().ok().filter(|group| *group > 0)?;
        Pid::from_raw(group).filter(|group| *group != self.shell)
    }

    /// Waits until a program runs in the foreground.
    ///
    /// # Panics
    /// If none does.
    pub async fn started(&self) -> Pid {
        self.waits_for("a program to start", PATIENCE, async || self.program().is_some()).await;
        self.program().expect("a program that has just started")
    }

    /// Waits for the shell's prompt and returns the exit code in it. If a signal ended or stopped the program, this is
    /// 128 plus the signal.
    ///
    /// # Panics
    /// With the last screen, if the program does not end in time.
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

    /// The modes of the terminal while the shell waits at its prompt.
    ///
    /// # Panics
    /// If the shell does not echo what is typed.
    pub async fn modes(&self) -> Modes {
        // With bracketed paste, the terminal sends a sequence before the text, which the kernel echoes.
        let mark = "pasted here";
        self.paste(mark).await;
        let screen = self.sees(mark).await;
        let brackets_pastes = screen.contains("[200~");
        self.keys(&["C-u"]).await;
        self.shows("an empty prompt", PATIENCE, |screen| screen.trim_end().ends_with(PROMPT)).await;
        Modes { emulator: self.emulator().await, brackets_pastes, line: self.line().await }
    }

    /// The modes of tmux, even while a program runs.
    pub async fn emulator(&self) -> Vec<String> {
        let format: Vec<String> = MODES.iter().map(|mode| format!("{mode}=#{{{mode}}}")).collect();
        let told = self.do_it(&["display-message", "-p", &format.join(" ")]).await;
        told.split_whitespace().map(str::to_owned).collect()
    }

    /// The line settings of the kernel: the output of `stty -a`, without the size.
    pub async fn line(&self) -> String {
        let mut command = Command::new(path_of("stty"));
        command.args(["-F", &self.device, "-a"]);
        let told = text(finished(command, "stty").await);
        told.lines().skip(1).collect::<Vec<_>>().join("\n")
    }

    /// From now on, also writes all output to a file.
    pub async fn record(&self, file: &Path) {
        self.do_it(&["pipe-pane", &format!("exec cat > '{}'", file.display())]).await;
    }

    /// Stops the terminal from reading, like a connection that hangs. Until [`read_again`](Self::read_again), no other
    /// function can be used.
    pub fn stop_reading(&self) {
        signal(self.server, Signal::STOP);
    }

    /// Makes the terminal read again.
    pub fn read_again(&self) {
        signal(self.server, Signal::CONT);
    }

    /// Closes the terminal, like a closed window or a broken connection.
    pub async fn close(&self) {
        // The server ends with its last pane, possibly before it has replied.
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
        // Killed, because a stopped server does not react to commands.
        if let Some(program) = self.program() {
            let _ = kill_process_group(program, Signal::KILL);
        }
        let _ = kill_process(self.server, Signal::KILL);
    }
}

/// Sends a signal to a process.
///
/// # Panics
/// If the process does not exist.
pub fn signal(process: Pid, signal: Signal) {
    kill_process(process, signal).unwrap_or_else(|error| panic!("process {}: {error}", process.as_raw_nonzero()));
}

/// Whether a process exists and has not ended.
pub fn is_running(process: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).unwrap_or_default();
    // A process that has ended but was not waited for has the state Z.
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
