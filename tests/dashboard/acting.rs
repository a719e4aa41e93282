//! The operator's actions in the dashboard: collect, pause, cancel, acknowledge, copy and export. Each is checked on
//! the screen and in the database.

use std::{fs, time::Duration};

use fleetsweep::demo::Behaviour;
use serde_json::Value;
use support::{TerminalOptions, Trial};

use crate::site::{OFTEN, OVER, RARELY, SOON, Session, Site, UNDER, audited, collected};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs(Tmux) =>
            the_selected_client_is_collected_now,
            the_failed_ones_are_collected_now,
            a_login_that_is_held_is_tried_when_its_client_is_collected_by_hand,
            collecting_all_asks_first,
            the_schedule_is_paused_and_goes_on,
            a_hanging_collection_is_cancelled,
            an_acknowledged_alert_stays_so_after_a_restart,
            a_copy_reaches_the_buffer_of_tmux_by_either_way,
            what_is_listed_is_exported;
    }
}

const FAILED: &str = "SELECT count(*) FROM v1_collections WHERE status = 'failed'";
const ALL: &str = "SELECT count(*) FROM v1_collections";

/// Three clients, the third of which refuses its login, after one sweep.
async fn swept(site: &Site) -> Session<'_> {
    let session = Session::at(site).await;
    session.is_swept().await;
    assert_eq!(site.number(ALL).await, 3);
    session
}

async fn three(rules: &str) -> Site {
    Site::of(&[Behaviour::Healthy, Behaviour::Healthy, Behaviour::RefusesLogin], RARELY, rules).await
}

async fn the_selected_client_is_collected_now() {
    let site = three(UNDER).await;
    let session = swept(&site).await;
    // The failed client is first. The next one is healthy.
    session.press(&["j", "c"]).await;
    session.reaches(&collected(1), 2).await;
    session.terminal.sees("sweep #2").await;
    session.is_swept().await;
    assert_eq!(site.number(ALL).await, 4);
    session.reaches(&audited("collect"), 1).await;
    let rows = site.sql("SELECT target, detail FROM v1_audit WHERE action = 'collect'").await;
    assert!(rows[0].contains("127.10.0.1") && rows[0].contains("1 client"), "{rows:?}");
    // Two marked clients.
    session.press(&["Home", "Space", "Space", "c"]).await;
    session.terminal.sees("sweep #3").await;
    session.is_swept().await;
    assert_eq!(site.number(ALL).await, 6);
    session.press(&["q"]).await;
    session.is_left(0).await;
}

async fn the_failed_ones_are_collected_now() {
    let site = three(UNDER).await;
    let session = swept(&site).await;
    site.servers[2].behave(Behaviour::Healthy);
    session.press(&["C"]).await;
    session.reaches(&collected(3), 1).await;
    session.is_swept().await;
    assert_eq!((site.number(ALL).await, site.number(FAILED).await), (4, 1));
    session.press(&["C"]).await;
    session.terminal.sees("No client has failed.").await;
    session.press(&["q"]).await;
    session.is_left(0).await;
}

async fn a_login_that_is_held_is_tried_when_its_client_is_collected_by_hand() {
    let site = three(UNDER).await;
    let session = swept(&site).await;
    const REFUSED: &str = "SELECT count(*) FROM v1_collections WHERE error LIKE 'authentication refused%'";
    assert_eq!(site.number(REFUSED).await, 1);
    // The failed one stands first.
    session.press(&["c"]).await;
    session.reaches(REFUSED, 2).await;
    session.is_swept().await;
    site.servers[2].behave(Behaviour::Healthy);
    session.press(&["c"]).await;
    session.reaches(&collected(3), 1).await;
    session.is_swept().await;
    session.press(&["q"]).await;
    session.is_left(0).await;
}

async fn collecting_all_asks_first() {
    let site = three(UNDER).await;
    let session = swept(&site).await;
    session.press(&["r"]).await;
    session.terminal.sees("Collect all 3 clients now?").await;
    session.press(&["n"]).await;
    session.no_longer_shows("Collect all 3").await;
    session.press(&["r"]).await;
    session.terminal.sees("Collect all 3 clients now?").await;
    assert_eq!(site.number(ALL).await, 3);
    session.press(&["y"]).await;
    session.reaches(ALL, 6).await;
    session.reaches(&audited("collect"), 1).await;
    assert_eq!(site.number(&audited("collect")).await, 1);
    session.terminal.sees("sweep #2").await;
    session.is_swept().await;
    session.press(&["q"]).await;
    session.is_left(0).await;
}

async fn the_schedule_is_paused_and_goes_on() {
    let site = Site::of(&[Behaviour::Healthy], OFTEN, UNDER).await;
    let session = Session::at(&site).await;
    // More than the sweep at the start: the schedule is kept.
    session.reaches(ALL, 2).await;
    session.press(&["p"]).await;
    session.terminal.sees("PAUSED").await;
    session.is_swept().await;
    let before = site.number(ALL).await;
    // Longer than two intervals, in which no sweep must begin.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(site.number(ALL).await, before);
    // Manual collections still work.
    session.press(&["c"]).await;
    session.reaches(ALL, before + 1).await;
    session.press(&["p"]).await;
    session.terminal.sees("LIVE").await;
    session.reaches(ALL, before + 3).await;
    for action in ["pause", "resume", "collect"] {
        session.reaches(&audited(action), 1).await;
    }
    session.press(&["C-c"]).await;
    session.is_left(0).await;
}

async fn a_hanging_collection_is_cancelled() {
    let site = Site::of(&[Behaviour::Healthy, Behaviour::StallsMidAnswer], RARELY, UNDER).await;
    let session = Session::at(&site).await;
    session.reaches(&collected(1), 1).await;
    session.terminal.shows("one in execution", SOON, |screen| screen.contains("execute client-2")).await;
    session.press(&["/"]).await;
    session.terminal.type_text("client-2").await;
    session.press(&["Enter", "x"]).await;
    session.terminal.sees("Cancel the collection of client-2?").await;
    session.press(&["y"]).await;
    session.is_swept().await;
    session.reaches(FAILED, 1).await;
    session.reaches(&audited("cancel"), 1).await;
    let errors = site.sql("SELECT client_ip, error FROM v1_collections WHERE status = 'failed'").await;
    assert!(errors[0].starts_with("127.10.0.2|") && errors[0].contains("cancel"), "{errors:?}");
    // A cancelled collection says nothing about the client.
    assert_eq!(site.number("SELECT count(*) FROM v1_alerts").await, 0);
    session.press(&["q"]).await;
    session.is_left(0).await;
}

async fn an_acknowledged_alert_stays_so_after_a_restart() {
    let site = Site::of(&[Behaviour::Healthy], RARELY, OVER).await;
    let session = Session::at(&site).await;
    session.is_swept().await;
    site.sink.received(1).await;
    session.press(&["a"]).await;
    session.terminal.sees("acknowledged").await;
    session.reaches(&audited("acknowledge"), 1).await;
    let rows = site.sql("SELECT actor <> '', target FROM v1_audit WHERE action = 'acknowledge'").await;
    assert!(rows[0].starts_with("1|") && rows[0].contains("127.10.0.1"), "{rows:?}");
    session.press(&["a"]).await;
    session.terminal.sees("This alert is already acknowledged.").await;
    session.press(&["q"]).await;
    session.is_left(0).await;

    session.start("").await;
    session.is_swept().await;
    session.terminal.sees("acknowledged").await;
    session.press(&["a"]).await;
    session.terminal.sees("This alert is already acknowledged.").await;
    assert_eq!(site.number(&audited("acknowledge")).await, 1);
    session.press(&["q"]).await;
    session.is_left(0).await;
    assert_eq!(site.sink.mails().len(), 1);
}

async fn a_copy_reaches_the_buffer_of_tmux_by_either_way() {
    let site = three(UNDER).await;
    for tells_tmux in [false, true] {
        let session = Session::with(&site, TerminalOptions { tells_tmux, ..TerminalOptions::default() }).await;
        session.is_swept().await;
        assert_eq!(session.terminal.copied().await, None);
        // The first row is the failed client.
        session.press(&["Home", "y"]).await;
        session.terminal.sees("Copied.").await;
        session.terminal.waits_for("the copy", SOON, async || session.terminal.copied().await.is_some()).await;
        let copied = session.terminal.copied().await.unwrap();
        assert!(copied.contains("client-3") && copied.contains("authenticate"), "{copied:?}, in tmux: {tells_tmux}");
        session.press(&["q"]).await;
        session.is_left(0).await;
    }
}

async fn what_is_listed_is_exported() {
    let site = three(OVER).await;
    let session = swept(&site).await;
    let files = |extension: &'static str| {
        let entries = fs::read_dir(site.directory()).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(move |path| path.extension().is_some_and(|known| known == extension)).collect::<Vec<_>>()
    };
    session.press(&["/"]).await;
    session.terminal.type_text("state:ok").await;
    session.press(&["Enter", "e", "j"]).await;
    session.terminal.sees("written to").await;
    let document: Value = serde_json::from_slice(&fs::read(&files("json")[0]).unwrap()).unwrap();
    let text = document.to_string();
    assert!(text.contains("client-1") && text.contains("client-2") && !text.contains("client-3"), "{text}");

    session.press(&["Escape"]).await;
    session.terminal.sees("filter: none").await;
    session.press(&["e", "c"]).await;
    session.terminal.waits_for("the export", SOON, async || !files("csv").is_empty()).await;
    let csv = fs::read_to_string(&files("csv")[0]).unwrap();
    let columns: Vec<usize> = csv.lines().map(|line| line.matches(',').count()).collect();
    assert!(csv.lines().count() == 4 && columns.iter().all(|count| *count >= columns[0]), "{csv}");
    session.press(&["q"]).await;
    session.is_left(0).await;
}
