//! The edge to the commands of `Match exec`: runs one with a deadline and remembers its answer, so that a command that
//! does not depend on the host is run once. Not when one is asked.

use std::{
    collections::HashMap,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::environment::Answer;

/// How long one command may take.
const LONGEST: Duration = Duration::from_secs(5);
/// How long all commands may take. Those behind it are answered with no.
const LONGEST_IN_ALL: Duration = Duration::from_secs(30);
/// How often the end of a command is looked for.
const PAUSE: Duration = Duration::from_millis(2);

/// The answers so far.
#[derive(Debug, Default)]
pub struct Commands(Mutex<Answers>);

#[derive(Debug, Default)]
struct Answers {
    answers: HashMap<String, Answer>,
    spent: Duration,
}

impl Commands {
    /// Runs `sh -c COMMAND`, unless its answer is known. It blocks for a few seconds at most.
    pub fn ask(&self, command: &str) -> Answer {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = known.answers.get(command) {
            return *answer;
        }
        let begun = Instant::now();
        let answer = if run(command, LONGEST.min(LONGEST_IN_ALL.saturating_sub(known.spent))) {
            Answer::Yes
        } else {
            Answer::No
        };
        known.spent += begun.elapsed();
        known.answers.insert(command.to_owned(), answer);
        answer
    }
}

fn run(command: &str, longest: Duration) -> bool {
    if longest.is_zero() {
        return false;
    }
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let Ok(mut child) = shell.spawn() else { return false };
    let end = Instant::now() + longest;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if Instant::now() < end => thread::sleep(PAUSE),
            Ok(None) | Err(_) => {
                stop(&mut child);
                return false;
            }
        }
    }
}

/// Ends the command and what it started.
fn stop(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        // What has ended meanwhile needs no signal.
        let _ended = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _status = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_answers_by_its_exit_code_and_within_its_time() {
        let commands = Commands::default();
        for (command, expected) in [("true", Answer::Yes), ("exit 3", Answer::No), ("nonsense-command", Answer::No)] {
            assert_eq!(commands.ask(command), expected, "{command}");
        }
        let begun = Instant::now();
        assert!(!run("sleep 60 & wait", Duration::from_millis(50)));
        assert!(begun.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn the_same_command_is_run_once() {
        let folder = tempfile::tempdir().unwrap();
        let command = format!("echo x >> {}/runs", folder.path().display());
        let commands = Commands::default();
        for _ in 0..3 {
            assert_eq!(commands.ask(&command), Answer::Yes);
        }
        assert_eq!(std::fs::read_to_string(folder.path().join("runs")).unwrap(), "x\n");
    }
}
