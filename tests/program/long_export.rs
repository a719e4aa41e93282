//! Exports of hundreds of thousands of rows: their memory usage, and what happens if they are interrupted.

use std::{
    fs,
    io::Read as _,
    process::{Child, ChildStderr, Command, Stdio},
    time::Duration,
};

use fleetsweep::demo::Behaviour;
use support::{Fleetsweep, Outcome, Signal, Trial};

use crate::{
    export::{change, leftovers, printed},
    site::{Fleet, SOON, UNDER},
};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs() => a_long_export_takes_no_more_memory_than_a_short_one;
    }
}

/// Adds `rows` rows of 8 clients. The table contains nothing else.
async fn fill(program: &Fleetsweep, rows: u32) {
    change(
        program,
        &format!(
            "BEGIN; DELETE FROM cores; DELETE FROM collections;
             INSERT OR IGNORE INTO clients (id, ip, port, name, failed_in_a_row)
               WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8) SELECT i, 'c' || i, 22, 'c' || i, 0 FROM n;
             INSERT INTO collections (id, collection_uuid, sweep_uuid, client_id, started_at_ms, duration_ms, attempts, status,
               collected_at_ms, host_name, cpu_percent, memory_total_bytes, memory_used_bytes, memory_percent)
               WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
               SELECT i, 'u', 's', 1 + i % 8, i / 100, 0, 1, 'ok', i / 100, 'host-' || i, 12.5, 1000, 500, 50.0 FROM n;
             COMMIT"
        ),
    )
    .await;
}

/// The running program with its output piped to the test.
fn piped(program: &Fleetsweep, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_fleetsweep"))
        .args(arguments)
        .current_dir(program.path(""))
        .env("HOME", program.path(""))
        // One arena for all threads. Otherwise the peak depends on which threads happened to allocate memory.
        .env("MALLOC_ARENA_MAX", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn all(stderr: Option<ChildStderr>) -> String {
    let mut text = String::new();
    stderr.unwrap().read_to_string(&mut text).unwrap();
    text
}

/// The number of lines of an export, and its peak memory, KiB.
fn measured(program: &Fleetsweep, arguments: &[&str]) -> (usize, u64) {
    let mut child = piped(program, arguments);
    let mut stdout = child.stdout.take().unwrap();
    let mut buffer = vec![0; 64 * 1024];
    let (mut lines, mut peak, mut reads) = (0, 0, 0_usize);
    loop {
        let count = stdout.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        lines += buffer[..count].iter().filter(|byte| **byte == b'\n').count();
        // It waits for the reader, so it cannot be far ahead.
        reads += 1;
        if reads % 16 == 1
            && let Ok(status) = fs::read_to_string(format!("/proc/{}/status", child.id()))
            && let Some(line) = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))
        {
            peak = line.trim().trim_end_matches(" kB").trim().parse().unwrap();
        }
    }
    assert_eq!((child.wait().unwrap().code(), all(child.stderr.take())), (Some(0), String::new()));
    (lines, peak)
}

async fn a_long_export_takes_no_more_memory_than_a_short_one() {
    let fleet = Fleet::of(&[Behaviour::Healthy]).await;
    let program = &fleet.program;
    fleet.program.write_config(&fleet.config(UNDER).text());
    printed(program, "--once").await;
    let mut peaks = Vec::new();
    for rows in [20_000, 400_000] {
        fill(program, rows).await;
        let (lines, peak) = measured(program, &["export"]);
        assert_eq!(lines, usize::try_from(rows).unwrap() + 1);
        peaks.push(peak);
    }
    // The caches fill up. Keeping all rows would take about 200 MB.
    assert!(peaks[0] > 0 && 2 * peaks[1] < 3 * peaks[0], "{peaks:?} KiB");

    // The reader closes the pipe after the first lines.
    for format in ["csv", "jsonl"] {
        let mut child = piped(program, &["export", "--format", format]);
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0; 100]).unwrap();
        drop(stdout);
        assert_eq!((child.wait().unwrap().code(), all(child.stderr.take())), (Some(0), String::new()), "{format}");
    }

    // An interrupted export leaves no file.
    let running = program.spawn(["export", "--output", "all.csv"]);
    support::wait_until("the export to have begun", SOON, async || !leftovers(program).is_empty()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    running.signal(Signal::TERM);
    let Outcome { code, stderr, .. } = running.ended(SOON).await;
    assert_eq!((code, leftovers(program), program.path("all.csv").exists()), (Some(1), vec![], false), "{stderr}");
    assert!(stderr.contains("all.csv was not written"), "{stderr}");
}
