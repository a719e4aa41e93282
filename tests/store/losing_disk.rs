//! A lost SQLite file and a full disk with the real program: its messages and the data afterwards.

use std::{fs, path::Path, process::Command, time::Duration};

use fleetsweep::demo::Behaviour;
use support::{Signal, Trial, rows, wait_until};

use crate::site::{Config, Fleet, UNDER, number};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs() => a_file_that_is_removed_in_mid_run_is_told_and_taken_up_again, a_run_whose_file_is_removed_exits_with_3;
        needs(Root) => a_full_disk_has_its_spool_on_another_one;
    }
}

const SOON: Duration = Duration::from_secs(60);

async fn a_file_that_is_removed_in_mid_run_is_told_and_taken_up_again() {
    let fleet = Fleet::of(&[Behaviour::Healthy, Behaviour::Healthy]).await;
    fleet.program.write_config(&fleet.config(UNDER).text());
    let path = fleet.program.path("fleet.db");
    let running = fleet.program.spawn(["--headless"]);
    wait_until("a sweep", SOON, async || path.exists() && rows_in(&path).await > 1).await;
    fs::remove_file(&path).unwrap();
    let spool = fleet.program.path("fleet.db.spool");
    wait_until("changes to wait", SOON, async || spool_bytes(&spool) > 10_000).await;
    fs::write(&path, "").unwrap();
    wait_until("them to be stored", SOON, async || spool_bytes(&spool) == 0).await;
    running.signal(Signal::TERM);
    let outcome = running.ended(SOON).await;
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    assert!(outcome.stderr.contains("fleet.db is gone: its file was removed or moved away"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("the database is back"), "{}", outcome.stderr);
    // No sweep after the loss is missing.
    let sweeps =
        "SELECT MAX(sweep_number) - MIN(sweep_number) + 1 - COUNT(*) FROM sweeps WHERE ended_at_ms IS NOT NULL";
    assert!(rows_in(&path).await > 2);
    assert_eq!(number(&fleet.program, sweeps).await, 0);
}

/// The size of the spool in a directory, bytes.
fn spool_bytes(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    let waiting = entries.filter(|entry| entry.path().extension().is_some_and(|end| end == "jsonl"));
    waiting.filter_map(|entry| entry.metadata().ok()).map(|found| found.len()).sum()
}

async fn a_run_whose_file_is_removed_exits_with_3() {
    let fleet = Fleet::of(&[Behaviour::Healthy, Behaviour::Slow(Duration::from_secs(5))]).await;
    fleet.program.write_config(&fleet.config(UNDER).text());
    let path = fleet.program.path("fleet.db");
    let running = fleet.program.spawn(["--once"]);
    wait_until("a collection", SOON, async || path.exists() && rows_in(&path).await > 0).await;
    fs::remove_file(&path).unwrap();
    let outcome = running.ended(SOON).await;
    assert_eq!(outcome.code, Some(3), "{outcome:#?}");
    assert!(
        outcome.stderr.contains("changes wait in the spool; nothing is lost, the next run stores them"),
        "{outcome:#?}"
    );
    assert!(outcome.stderr.contains("fleet.db is gone"), "{outcome:#?}");
    assert!(!path.exists());
    let next = fleet.program.run(["--once"]).await;
    assert_eq!(next.code, Some(0), "{next:#?}");
    assert_eq!(rows_in(&path).await, 3, "the one that waited, and two new ones");
}

async fn rows_in(path: &Path) -> usize {
    let tables = rows(path, "SELECT name FROM sqlite_master WHERE name = 'collections'").await;
    if tables.is_empty() { 0 } else { rows(path, "SELECT id FROM collections").await.len() }
}

/// A small file system. It is removed when this is dropped.
struct Disk(std::path::PathBuf);

impl Disk {
    fn mount(path: &Path, size: &str) -> Self {
        fs::create_dir_all(path).unwrap();
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "tmpfs"])
            .arg(path)
            .status()
            .unwrap();
        assert!(status.success());
        Self(path.to_owned())
    }

    fn resize(&self, size: &str) {
        let options = format!("remount,size={size}");
        assert!(Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().unwrap();
    }
}

async fn a_full_disk_has_its_spool_on_another_one() {
    let fleet = Fleet::of(&[Behaviour::Healthy, Behaviour::Healthy]).await;
    let disk = Disk::mount(&fleet.program.path("data"), "2m");
    let path = fleet.program.path("data/fleet.db");
    fleet.program.write_config(&Config { database: "sqlite:data/fleet.db".into(), ..fleet.config(UNDER) }.text());
    let first = fleet.program.run(["--once"]).await;
    assert_eq!(first.code, Some(0), "{first:#?}");
    let running = fleet.program.spawn(["--headless"]);
    wait_until("a sweep", SOON, async || rows_in(&path).await > 2).await;
    // Fill the disk to the last byte.
    let rest = fleet.program.path("data/rest");
    let filled = Command::new("dd").arg("if=/dev/zero").arg(format!("of={}", rest.display())).arg("bs=4096").output();
    assert!(!filled.unwrap().status.success(), "the disk is full");
    let elsewhere = fleet.program.path(".local/state/fleetsweep/spool");
    wait_until("changes to wait on another disk", SOON, async || spool_bytes(&elsewhere) > 10_000).await;
    running.signal(Signal::TERM);
    let outcome = running.ended(SOON).await;
    assert!(outcome.stderr.contains("data/fleet.db is full"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("are kept in") && outcome.stderr.contains(".local/state"), "{}", outcome.stderr);
    assert!(spool_bytes(&elsewhere) > 0, "what waits, waits for the next run");
    disk.resize("50m");
    let last = fleet.program.run(["--once"]).await;
    assert_eq!(last.code, Some(0), "{last:#?}");
    assert_eq!(spool_bytes(&elsewhere), 0);
    let failed = "SELECT id FROM collections WHERE error LIKE '%not stored%'";
    assert_eq!(rows(&path, failed).await.len(), 0);
    assert!(rows_in(&path).await > 4);
}
