//! Leaving the dashboard by key, by signal and by the job control of the shell. The terminal is restored, and received
//! data is in the database.

use fleetsweep::demo::Behaviour;
use support::{Signal, Trial, signal};

use crate::site::{OFTEN, PROGRAM, RARELY, SOON, Session, Site, UNDER, collected};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs(Tmux) =>
            quitting_asks_while_a_sweep_is_under_way,
            control_c_quits_without_a_question,
            a_termination_and_a_hangup_end_it_in_order,
            a_kill_leaves_a_whole_database,
            a_suspended_dashboard_comes_back,
            a_stop_from_outside_is_survived,
            the_mouse_and_the_pastes_are_given_back,
            without_a_terminal_it_names_what_to_use;
    }
}

/// One client that is collected immediately, and one that hangs, so that the sweep does not end.
async fn hanging() -> Site {
    Site::of(&[Behaviour::Healthy, Behaviour::StallsMidAnswer], RARELY, UNDER).await
}

async fn sweeping(site: &Site) -> Session<'_> {
    let session = Session::at(site).await;
    session.reaches(&collected(1), 1).await;
    session.terminal.sees("execute client-2").await;
    session
}

/// Checks the database after a run that was ended in the middle of a sweep.
async fn is_in_order(site: &Site) {
    let outcomes = site.sql("SELECT client_ip, status FROM v1_collections ORDER BY 1").await;
    assert_eq!(outcomes, ["127.10.0.1|ok", "127.10.0.2|failed"]);
    site.is_consistent().await;
}

async fn quitting_asks_while_a_sweep_is_under_way() {
    let site = hanging().await;
    let session = sweeping(&site).await;
    session.press(&["q"]).await;
    session.terminal.sees("A sweep is running. End it and quit?").await;
    session.press(&["n"]).await;
    session.no_longer_shows("End it and quit?").await;
    session.press(&["q"]).await;
    session.terminal.sees("End it and quit?").await;
    session.press(&["y"]).await;
    session.is_left(0).await;
    is_in_order(&site).await;
}

async fn control_c_quits_without_a_question() {
    let site = hanging().await;
    let session = sweeping(&site).await;
    // Also in a text field.
    session.press(&["/", "a", "C-c"]).await;
    session.is_left(0).await;
    is_in_order(&site).await;
}

async fn a_termination_and_a_hangup_end_it_in_order() {
    for number in [Signal::TERM, Signal::HUP, Signal::INT] {
        let site = hanging().await;
        let session = sweeping(&site).await;
        signal(session.terminal.program().unwrap(), number);
        session.is_left(0).await;
        is_in_order(&site).await;
    }
}

async fn a_kill_leaves_a_whole_database() {
    let site = Site::of(&[Behaviour::Healthy; 4], OFTEN, UNDER).await;
    let session = Session::at(&site).await;
    session.reaches("SELECT count(*) FROM v1_collections", 6).await;
    signal(session.terminal.program().unwrap(), Signal::KILL);
    // The terminal cannot be restored, so there is no prompt to wait for. The database must be consistent.
    session.terminal.waits_for("the end", SOON, async || session.terminal.program().is_none()).await;
    site.is_consistent().await;
}

async fn a_suspended_dashboard_comes_back() {
    let site = Site::of(&[Behaviour::Healthy, Behaviour::RefusesLogin], RARELY, UNDER).await;
    let session = Session::at(&site).await;
    session.is_swept().await;
    session.press(&["/"]).await;
    session.terminal.type_text("client-1").await;
    session.press(&["Enter"]).await;
    for _ in 0..2 {
        session.press(&["C-z"]).await;
        let code = session.terminal.ended(SOON).await;
        assert!(code == 128 + Signal::TSTP.as_raw(), "{code}, on the screen:\n{}", session.terminal.screen().await);
        session.is_as_before().await;
        session.terminal.run("fg").await;
        session.is_taken().await;
        // The same screen as before.
        let parts = ["filter: client-1", "Fleet map", "? help"];
        let is_whole = |screen: &str| parts.iter().all(|part| screen.contains(part));
        session.terminal.shows("the whole screen", SOON, is_whole).await;
    }
    // It reacts to keys.
    session.press(&["?"]).await;
    session.terminal.sees("any other key closes").await;
    session.press(&["Escape"]).await;
    session.no_longer_shows("any other key closes").await;
    session.press(&["q"]).await;
    session.is_left(0).await;
}

async fn a_stop_from_outside_is_survived() {
    let site = Site::of(&[Behaviour::Healthy], RARELY, UNDER).await;
    let session = Session::at(&site).await;
    session.is_swept().await;
    let program = session.terminal.program().unwrap();
    signal(program, Signal::STOP);
    session.terminal.waits_for("the shell to notice", SOON, async || session.terminal.program().is_none()).await;
    // The terminal could not be restored. In the dashboard's modes, Enter is not a line end.
    session.terminal.type_text("clear; fg").await;
    session.press(&["C-j"]).await;
    session.terminal.waits_for("the program again", SOON, async || session.terminal.program().is_some()).await;
    let screen = session.terminal.sees("Fleet map").await;
    assert!(screen.contains("fleetsweep config") && screen.contains("? help"), "{screen}");
    session.press(&["q"]).await;
    session.terminal.ended(SOON).await;
    session.is_as_before().await;
}

async fn the_mouse_and_the_pastes_are_given_back() {
    let site = Site::of(&[Behaviour::Healthy], RARELY, UNDER).await;
    let session = Session::at(&site).await;
    session.is_swept().await;
    let has_mouse = async || session.terminal.emulator().await.contains(&"mouse_any_flag=1".to_owned());
    assert!(!has_mouse().await, "the mouse is taken unasked");
    session.press(&["m"]).await;
    session.terminal.waits_for("the mouse", SOON, has_mouse).await;
    // The mouse is still on after the program was stopped and continued.
    session.press(&["C-z"]).await;
    session.terminal.ended(SOON).await;
    session.is_as_before().await;
    session.terminal.run("fg").await;
    session.terminal.waits_for("the mouse", SOON, has_mouse).await;
    session.press(&["q"]).await;
    session.is_left(0).await;
}

async fn without_a_terminal_it_names_what_to_use() {
    let site = Site::of(&[Behaviour::Healthy], RARELY, UNDER).await;
    let session = Session::before_the_start(&site, support::TerminalOptions::of_size(120, 40)).await;
    for (number, line) in [
        format!("{PROGRAM} > out"),
        format!("{PROGRAM} < /dev/null"),
        format!("{PROGRAM} < /dev/null > out"),
        // The shell only reports the exit code of the last program in a pipe.
        format!("({PROGRAM}; echo $? > code) | cat; (exit $(cat code))"),
    ]
    .into_iter()
    .enumerate()
    {
        session.terminal.run(&format!("clear; {line}; echo run {number} ended with $?")).await;
        let screen = session.terminal.sees(&format!("run {number} ended with 2")).await;
        assert!(screen.contains("--once") && screen.contains("--headless"), "{screen}");
        session.is_as_before().await;
    }
    assert!(!site.program.path("fleet.db").exists(), "the database was made");
    assert_eq!(site.servers[0].connections(), 0);
}
