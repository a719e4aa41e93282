//! Keys act on what is shown or say why they do not: in each view, with marks and with filters.

use std::{fs, path::PathBuf};

use fleetsweep::demo::Behaviour;
use serde_json::Value;
use support::Trial;

use crate::site::{OVER, RARELY, SOON, Session, Site, audited};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs(Tmux) =>
            a_key_that_does_not_apply_says_so_and_does_nothing,
            every_list_is_filtered_and_exported_where_it_is_shown,
            marked_alerts_are_acknowledged_with_one_question_and_taken_back;
    }
}

const ALL: &str = "SELECT count(*) FROM v1_collections";

/// Two clients with an alert and one that refuses its login, after one sweep.
async fn swept(site: &Site) -> Session<'_> {
    let session = Session::at(site).await;
    session.is_swept().await;
    site.sink.received(2).await;
    session
}

async fn three() -> Site {
    Site::of(&[Behaviour::Healthy, Behaviour::Healthy, Behaviour::RefusesLogin], RARELY, OVER).await
}

/// The exported files of a view with this extension.
fn exported(site: &Site, what: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(site.directory()).unwrap().map(|entry| entry.unwrap().path());
    let is_one = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // A file is there before it is written.
        let is_written = || fs::metadata(path).is_ok_and(|file| file.len() > 0);
        name.starts_with(&format!("fleetsweep-{what}-")) && name.ends_with(extension) && is_written()
    };
    entries.filter(is_one).collect()
}

async fn a_key_that_does_not_apply_says_so_and_does_nothing() {
    let site = three().await;
    let session = swept(&site).await;
    for (view, title) in [("3", "Mails"), ("4", "Log")] {
        session.press(&[view]).await;
        session.terminal.sees(title).await;
        for (key, said) in [
            ("c", "c (collect) acts on clients: press 1 for the fleet."),
            ("Space", "space (mark) acts on the client table: press 1 for the fleet."),
            ("C", "C (collect failed) acts on clients: press 1 for the fleet."),
            ("a", "a (acknowledge) acts on alerts: press 2 for the alerts."),
        ] {
            session.press(&[key]).await;
            session.terminal.sees(said).await;
        }
        let screen = session.terminal.screen().await;
        assert!(screen.contains(title), "a key has left the view:\n{screen}");
    }
    session.press(&["1"]).await;
    let screen = session.terminal.sees("Clients 3").await;
    assert!(!screen.contains("marked"), "{screen}");
    assert_eq!(site.number(ALL).await, 3);
    // In the details, the footer shows their keys, and the keys of the table have no effect.
    session.press(&["Enter"]).await;
    session
        .terminal
        .shows("the keys of the details", SOON, |screen| {
            let hints = screen.lines().last().unwrap_or_default();
            hints.contains("esc back") && hints.contains("t chart span") && !hints.contains("sort")
        })
        .await;
    session.press(&["s"]).await;
    session.terminal.sees("s (sort) acts on the client table: press Esc to go back.").await;
    session.press(&["q"]).await;
    session.is_left(0).await;
}

async fn every_list_is_filtered_and_exported_where_it_is_shown() {
    let site = three().await;
    let session = swept(&site).await;
    // Alerts: a filter on a column.
    session.press(&["2", "/"]).await;
    session.terminal.type_text("client:client-2").await;
    session.terminal.sees("1 of 2 · filter: client:client-2").await;
    session.press(&["Enter", "e"]).await;
    session.terminal.sees("Export 1 listed alert as").await;
    session.press(&["j"]).await;
    session.terminal.sees("written to").await;
    let alerts = exported(&site, "alerts", "json");
    let document: Value = serde_json::from_slice(&fs::read(&alerts[0]).unwrap()).unwrap();
    assert_eq!(document.as_array().map(Vec::len), Some(1), "{document:#}");
    assert_eq!((&document[0]["client"], &document[0]["type"]), (&"client-2".into(), &"memory".into()), "{document:#}");
    // Mails: a filter by a word.
    session.press(&["3"]).await;
    session.terminal.sees("Mails 1 of 2 ·").await;
    session.press(&["/"]).await;
    session.terminal.type_text("client-1").await;
    session.terminal.sees("1 of 2 · filter: client-1").await;
    session.press(&["Enter", "e", "c"]).await;
    session.terminal.waits_for("the mails", SOON, async || !exported(&site, "mails", "csv").is_empty()).await;
    let csv = fs::read_to_string(&exported(&site, "mails", "csv")[0]).unwrap();
    assert!(csv.starts_with("created_at,status,") && csv.contains("client-1") && !csv.contains("client-2"), "{csv}");
    // Log: a filter by level.
    session.press(&["4", "/"]).await;
    session.terminal.type_text("level:warn client:client-3").await;
    session.press(&["Enter"]).await;
    session.terminal.shows("one line", SOON, |screen| screen.contains(" 1 of ") && screen.contains("client-3")).await;
    session.press(&["e", "c"]).await;
    session.terminal.waits_for("the log", SOON, async || !exported(&site, "log", "csv").is_empty()).await;
    let csv = fs::read_to_string(&exported(&site, "log", "csv")[0]).unwrap();
    assert!(csv.lines().count() == 2 && csv.contains(",WARN,client-3,"), "{csv}");
    // The complete line, including what the list cuts off.
    session.press(&["Enter"]).await;
    let screen = session.terminal.sees("Log line").await;
    assert!(screen.contains("client   client-3") && screen.contains("authenticate"), "{screen}");
    // Leaves the line, the filter and the view.
    session.press(&["Escape"]).await;
    session.terminal.sees("filter: level:warn").await;
    session.press(&["Escape"]).await;
    session.no_longer_shows("filter: level:warn").await;
    session.press(&["Escape"]).await;
    // None of these filters applies to the clients.
    session.terminal.sees("Clients 3").await;
    session.press(&["q"]).await;
    session.is_left(0).await;
}

async fn marked_alerts_are_acknowledged_with_one_question_and_taken_back() {
    let site = three().await;
    let session = swept(&site).await;
    // Another dashboard is attached.
    let other = Session::at(&site).await;
    other.terminal.sees("attached to").await;
    session.press(&["*", "a"]).await;
    session.terminal.sees("Acknowledge 2 alerts of 2 clients?").await;
    session.press(&["n"]).await;
    session.no_longer_shows("Acknowledge 2 alerts").await;
    assert_eq!(site.number(&audited("acknowledge")).await, 0);
    session.press(&["a", "y"]).await;
    session.terminal.sees("2 acknowledged").await;
    session.reaches(&audited("acknowledge"), 2).await;
    let actor = site.sql("SELECT DISTINCT actor FROM v1_audit WHERE action = 'acknowledge'").await.remove(0);
    let says = format!("acknowledged by {actor} at ");
    for session in [&session, &other] {
        session.press(&["2"]).await;
        session.terminal.shows("by whom", SOON, |screen| screen.matches(&says).count() == 2).await;
    }
    // The other dashboard removes an acknowledgement.
    other.press(&["A"]).await;
    other.terminal.sees("no longer acknowledged: reminders about memory of client-").await;
    other.reaches(&audited("unacknowledge"), 1).await;
    for session in [&session, &other] {
        session.terminal.shows("one of them", SOON, |screen| screen.matches(&says).count() == 1).await;
    }
    other.press(&["A"]).await;
    other.terminal.sees("This alert is not acknowledged.").await;
    other.press(&["q"]).await;
    other.is_left(0).await;
    session.press(&["q"]).await;
    session.is_left(0).await;
    // Both are the same after a restart.
    session.start("").await;
    session.is_swept().await;
    session.press(&["2"]).await;
    session.terminal.shows("by whom", SOON, |screen| screen.matches(&says).count() == 1).await;
    session.press(&["q"]).await;
    session.is_left(0).await;
}
