//! The dashboard with other processes: another dashboard, a collector without a screen, `--once`, and a recording.

use fleetsweep::demo::{Behaviour, SshServer};
use serde_json::Value;
use support::{Running, Signal, TerminalOptions, Trial};

use crate::site::{OVER, RARELY, SOON, Session, Site, UNDER, audited, collected};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs(Tmux) =>
            a_second_dashboard_is_attached_and_steers_the_same_collector,
            a_collector_without_a_screen_is_steered_from_an_attached_one,
            an_attached_dashboard_survives_a_restart_of_its_collector,
            databases_of_one_name_in_two_directories_have_collectors_of_their_own,
            a_single_sweep_goes_through_the_running_collector,
            what_was_recorded_is_played_without_contacting_anybody;
    }
}

const ALL: &str = "SELECT count(*) FROM v1_collections";

async fn two(rules: &str) -> Site {
    Site::of(&[Behaviour::Healthy, Behaviour::RefusesLogin], RARELY, rules).await
}

/// A collector without a screen, after one sweep.
async fn collector(site: &Site) -> Running {
    let running = site.program.spawn(["--headless"]);
    let database = site.program.path("fleet.db");
    support::wait_until("the first sweep", SOON, async || database.exists() && has_views(site).await >= 2).await;
    running
}

/// The number of collections; 0 while the database is being created.
async fn has_views(site: &Site) -> u64 {
    let views = site.sql("SELECT count(*) FROM sqlite_master WHERE name = 'v1_collections'").await;
    if views == ["1"] { site.number(ALL).await } else { 0 }
}

async fn a_second_dashboard_is_attached_and_steers_the_same_collector() {
    let site = Site::of(&[Behaviour::Healthy, Behaviour::StallsMidAnswer], RARELY, UNDER).await;
    let first = Session::at(&site).await;
    first.reaches(&collected(1), 1).await;
    let second = Session::at(&site).await;
    let screen = second.terminal.sees("attached to").await;
    assert!(screen.contains("client-1") && screen.contains("sweep #1"), "{screen}");
    second.terminal.sees("execute client-2").await;
    // The other dashboard shows the actions of the first.
    second.press(&["/"]).await;
    second.terminal.type_text("client-1").await;
    second.press(&["Enter", "c"]).await;
    first.reaches(&collected(1), 2).await;
    first.terminal.sees("sweep #2").await;
    first.press(&["p"]).await;
    second.terminal.sees("PAUSED").await;
    assert_eq!(site.servers[1].connections(), 1, "the attached one contacts clients itself");
    // Quitting only ends the view, so there is no question, even during a sweep.
    second.press(&["q"]).await;
    second.is_left(0).await;
    first.press(&["c"]).await;
    first.press(&["C-c"]).await;
    first.is_left(0).await;
    site.is_consistent().await;
}

async fn a_collector_without_a_screen_is_steered_from_an_attached_one() {
    let site = two(OVER).await;
    let mut running = collector(&site).await;
    site.sink.received(1).await;
    let session = Session::at(&site).await;
    session.terminal.sees("attached to").await;
    session.press(&["j", "c"]).await;
    session.reaches(&collected(1), 2).await;
    session.press(&["a"]).await;
    session.terminal.sees("acknowledged").await;
    session.press(&["p"]).await;
    session.terminal.sees("PAUSED").await;
    for action in ["collect", "acknowledge", "pause"] {
        session.reaches(&audited(action), 1).await;
    }
    session.press(&["q"]).await;
    session.is_left(0).await;
    assert!(running.is_running(), "the collector has ended with its view");
    running.signal(Signal::TERM);
    let outcome = running.ended(SOON).await;
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    // A new dashboard finds no collector and becomes one. The acknowledgement is still there.
    let session = Session::at(&site).await;
    let screen = session.terminal.sees("swept in").await;
    assert!(!screen.contains("attached to"), "{screen}");
    session.terminal.sees("acknowledged").await;
    session.press(&["C-c"]).await;
    session.is_left(0).await;
}

async fn an_attached_dashboard_survives_a_restart_of_its_collector() {
    let site = two(UNDER).await;
    let running = collector(&site).await;
    let session = Session::at(&site).await;
    session.terminal.sees("attached to").await;
    session.terminal.sees("LIVE").await;
    running.signal(Signal::KILL);
    running.ended(SOON).await;
    let screen = session.terminal.sees("COLLECTOR GONE").await;
    assert!(screen.contains("client-1") && screen.contains("client-2"), "what was known has gone:\n{screen}");
    // There is no collector to do it, which is reported.
    session.press(&["c"]).await;
    let hint = |screen: &str| screen.lines().last().unwrap_or_default().trim().to_owned();
    session
        .terminal
        .shows("a refusal", SOON, |screen| !hint(screen).contains("? help") && !hint(screen).contains("Collecting"))
        .await;
    let before = site.number(ALL).await;
    let running = site.program.spawn(["--headless"]);
    session.terminal.sees("LIVE").await;
    session.reaches(ALL, before + 2).await;
    session.has_ended_sweep(2).await;
    let before = site.number(&collected(1)).await;
    session.press(&["Home", "j", "c"]).await;
    session.reaches(&collected(1), before + 1).await;
    session.press(&["q"]).await;
    session.is_left(0).await;
    running.signal(Signal::TERM);
    assert_eq!(running.ended(SOON).await.code, Some(0));
    site.is_consistent().await;
}

async fn databases_of_one_name_in_two_directories_have_collectors_of_their_own() {
    let (here, there) = (two(UNDER).await, two(UNDER).await);
    let (ours, theirs) = (collector(&here).await, collector(&there).await);
    let outcome = here.program.run(["--once", "--format", "json"]).await;
    assert_eq!(outcome.code, Some(1), "one client refuses its login: {outcome:#?}");
    assert_eq!((here.number(ALL).await, there.number(ALL).await), (4, 2));
    for running in [ours, theirs] {
        running.signal(Signal::TERM);
        assert_eq!(running.ended(SOON).await.code, Some(0));
    }
}

async fn a_single_sweep_goes_through_the_running_collector() {
    let site = Site::of(&[Behaviour::Healthy; 2], RARELY, UNDER).await;
    let session = Session::at(&site).await;
    session.is_swept().await;
    let connections = || site.servers.iter().map(SshServer::connections).sum::<usize>();
    let before = connections();
    let outcome = site.program.run(["--once", "--format", "json"]).await;
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(document["summary"]["ok"].as_u64(), Some(2), "{document:#}");
    // Also on the screen, over the kept sessions.
    session.terminal.sees("sweep #2").await;
    assert_eq!((site.number(ALL).await, connections()), (4, before));
    session.press(&["q"]).await;
    session.is_left(0).await;
}

async fn what_was_recorded_is_played_without_contacting_anybody() {
    let site = two(OVER).await;
    let session = Session::before_the_start(&site, TerminalOptions::of_size(120, 40)).await;
    session.start("--record run.jsonl").await;
    session.is_swept().await;
    session.press(&["r", "y"]).await;
    session.has_ended_sweep(2).await;
    session.press(&["q"]).await;
    session.is_left(0).await;
    let recording = std::fs::read_to_string(site.program.path("run.jsonl")).unwrap();
    assert!(recording.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{recording}");
    assert!(!recording.contains("open sesame"), "a password is in the recording");

    support::wait_until("the sessions to end", SOON, async || {
        site.servers.iter().all(|server| server.connections() == 0)
    })
    .await;
    std::fs::rename(site.program.path("config.xml"), site.program.path("config.away")).unwrap();
    let before = site.number(ALL).await;
    session.start("--replay run.jsonl").await;
    session.terminal.sees("REPLAY").await;
    session.press(&["p"]).await;
    session.terminal.sees("REPLAY stopped").await;
    session.press(&["+"]).await;
    session.press(&["End"]).await;
    let is_at_its_end = |screen: &str| screen.lines().next().is_some_and(|header| header.contains("100%"));
    let screen = session.terminal.shows("the end", SOON, is_at_its_end).await;
    assert!(screen.contains("sweep #2") && screen.contains("client-2") && screen.contains("✗ failed"), "{screen}");
    session.press(&["Left"]).await;
    session.terminal.shows("an earlier sweep", SOON, |screen| !is_at_its_end(screen)).await;
    // A recording cannot be changed.
    session.press(&["c"]).await;
    session.terminal.sees("in a recording").await;
    session.press(&["q"]).await;
    session.is_left(0).await;
    assert_eq!(site.number(ALL).await, before);
    assert!(site.servers.iter().all(|server| server.connections() == 0));
}
