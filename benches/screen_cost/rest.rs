//! The program at rest in a real terminal: bytes written and CPU time while nothing happens, compared with the
//! installed monitors.

use std::{fs, time::Duration};

use support::{Terminal, TerminalOptions, Tool};
use tempfile::TempDir;

/// How long each program is measured.
const WATCHED: Duration = Duration::from_secs(30);

/// The time limit until a program is at rest.
const SETTLES: Duration = Duration::from_secs(120);

/// The number of CPU time ticks per second, the same on all current architectures.
const TICKS_A_SECOND: f64 = 100.0;

const CLIENTS: u16 = 200;

pub(crate) fn measure() {
    if let Some(missing) = Tool::Tmux.missing() {
        println!("\nat rest: left out: {missing}");
        return;
    }
    println!("\nat rest over {WATCHED:?}, 120x40\n");
    println!("{:<34} {:>12} {:>16}", "", "bytes/s", "CPU ms/s");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let dashboard = format!("{} --demo {CLIENTS}", env!("CARGO_BIN_EXE_fleetsweep"));
        watch(&format!("fleetsweep --demo {CLIENTS}, paused"), &dashboard, async |terminal: &Terminal| {
            terminal.shows("the end of the first sweep", SETTLES, |screen| screen.contains("swept in")).await;
            terminal.keys(&["p"]).await;
            terminal.sees("PAUSED").await;
        })
        .await;
        for (program, line) in [("top", "top -d 1"), ("htop", "htop -d 10")] {
            if is_installed(program) {
                watch(line, line, async |terminal: &Terminal| {
                    terminal.sees("PID").await;
                })
                .await;
            } else {
                println!("{program} is not installed: left out");
            }
        }
    });
}

/// Waits until a program is at rest and measures it.
async fn watch(name: &str, line: &str, comes_to_rest: impl AsyncFn(&Terminal)) {
    let directory = TempDir::new().unwrap();
    let terminal = Terminal::start(directory.path(), TerminalOptions::of_size(120, 40)).await;
    terminal.run(line).await;
    let program = terminal.started().await;
    comes_to_rest(&terminal).await;
    // The last query and those that follow it are not part of the rest.
    tokio::time::sleep(Duration::from_secs(8)).await;
    let recording = directory.path().join("recording");
    terminal.record(&recording).await;
    let stat = format!("/proc/{}/stat", program.as_raw_nonzero());
    let before = ticks(&stat);
    tokio::time::sleep(WATCHED).await;
    let after = ticks(&stat);
    let bytes = fs::metadata(&recording).map_or(0, |file| file.len());
    let seconds = WATCHED.as_secs_f64();
    let cpu = (after - before) / TICKS_A_SECOND * 1000.0 / seconds;
    println!("{name:<34} {:>12.1} {cpu:>16.2}", bytes as f64 / seconds);
}

/// The CPU time of a process in user and kernel mode.
fn ticks(stat: &str) -> f64 {
    let stat = fs::read_to_string(stat).unwrap();
    let (_, after) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<&str> = after.split(' ').collect();
    fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
