//! How the dashboard is left: by its keys, by signals, by way of the shell's job control. The terminal is always
//! as it was, and what had been received is in the database.

use fleetsweep::demo::Behaviour;
use support::{Signal, Trial, signal};

use crate::site::{OFTEN, PROGRAM, RARELY, SOON, Seat, Site, UNDER, collected};

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

/// One client that is collected at once, and one that hangs: a sweep that stays under way.
async fn hanging() -> Site {
    Site::of(&[Behaviour::Healthy, Behaviour::StallsMidAnswer], RARELY, UNDER).await
}

async fn sweeping(site: &Site) -> Seat<'_> {
    let seat = Seat::at(site).await;
    seat.reaches(&collected(1), 1).await;
    seat.terminal.sees("execute client-2").await;
    seat
}

/// What a run that was ended in mid-sweep leaves.
async fn is_in_order(site: &Site) {
    let outcomes = site.sql("SELECT client_ip, status FROM v1_collections ORDER BY 1").await;
    assert_eq!(outcomes, ["127.10.0.1|ok", "127.10.0.2|failed"]);
    site.is_consistent().await;
}

async fn quitting_asks_while_a_sweep_is_under_way() {
    let site = hanging().await;
    let seat = sweeping(&site).await;
    seat.press(&["q"]).await;
    seat.terminal.sees("A sweep is running. End it and quit?").await;
    seat.press(&["n"]).await;
    seat.no_longer_shows("End it and quit?").await;
    seat.press(&["q"]).await;
    seat.terminal.sees("End it and quit?").await;
    seat.press(&["y"]).await;
    seat.is_left(0).await;
    is_in_order(&site).await;
}

async fn control_c_quits_without_a_question() {
    let site = hanging().await;
    let seat = sweeping(&site).await;
    // In a text field as well.
    seat.press(&["/", "a", "C-c"]).await;
    seat.is_left(0).await;
    is_in_order(&site).await;
}

async fn a_termination_and_a_hangup_end_it_in_order() {
    for number in [Signal::TERM, Signal::HUP, Signal::INT] {
        let site = hanging().await;
        let seat = sweeping(&site).await;
        signal(seat.terminal.program().unwrap(), number);
        seat.is_left(0).await;
        is_in_order(&site).await;
    }
}

async fn a_kill_leaves_a_whole_database() {
    let site = Site::of(&[Behaviour::Healthy; 4], OFTEN, UNDER).await;
    let seat = Seat::at(&site).await;
    seat.reaches("SELECT count(*) FROM v1_collections", 6).await;
    signal(seat.terminal.program().unwrap(), Signal::KILL);
    // Nobody can give a terminal back after that, so that no prompt is looked for; a database must bear it.
    seat.terminal.waits_for("the end", SOON, async || seat.terminal.program().is_none()).await;
    site.is_consistent().await;
}

async fn a_suspended_dashboard_comes_back() {
    let site = Site::of(&[Behaviour::Healthy, Behaviour::RefusesLogin], RARELY, UNDER).await;
    let seat = Seat::at(&site).await;
    seat.is_swept().await;
    seat.press(&["/"]).await;
    seat.terminal.type_text("client-1").await;
    seat.press(&["Enter"]).await;
    for _ in 0..2 {
        seat.press(&["C-z"]).await;
        let code = seat.terminal.ended(SOON).await;
        assert!(code == 128 + Signal::TSTP.as_raw(), "{code}, on the screen:\n{}", seat.terminal.screen().await);
        seat.is_as_before().await;
        seat.terminal.run("fg").await;
        seat.is_taken().await;
        // As it was left, and all of it.
        let screen = seat.terminal.sees("filter: client-1").await;
        assert!(screen.contains("Fleet map") && screen.contains("? help"), "{screen}");
    }
    // And it still hears.
    seat.press(&["?"]).await;
    seat.terminal.sees("any other key closes").await;
    seat.press(&["Escape"]).await;
    seat.no_longer_shows("any other key closes").await;
    seat.press(&["q"]).await;
    seat.is_left(0).await;
}

async fn a_stop_from_outside_is_survived() {
    let site = Site::of(&[Behaviour::Healthy], RARELY, UNDER).await;
    let seat = Seat::at(&site).await;
    seat.is_swept().await;
    let program = seat.terminal.program().unwrap();
    signal(program, Signal::STOP);
    seat.terminal.waits_for("the shell to notice", SOON, async || seat.terminal.program().is_none()).await;
    // Nobody could give the terminal back. Its modes are those of the dashboard, in which Enter is no line end.
    seat.terminal.type_text("clear; fg").await;
    seat.press(&["C-j"]).await;
    seat.terminal.waits_for("the program again", SOON, async || seat.terminal.program().is_some()).await;
    let screen = seat.terminal.sees("Fleet map").await;
    assert!(screen.contains("fleetsweep config") && screen.contains("? help"), "{screen}");
    seat.press(&["q"]).await;
    seat.terminal.ended(SOON).await;
    seat.is_as_before().await;
}

async fn the_mouse_and_the_pastes_are_given_back() {
    let site = Site::of(&[Behaviour::Healthy], RARELY, UNDER).await;
    let seat = Seat::at(&site).await;
    seat.is_swept().await;
    let has_mouse = async || seat.terminal.emulator().await.contains(&"mouse_any_flag=1".to_owned());
    assert!(!has_mouse().await, "the mouse is taken unasked");
    seat.press(&["m"]).await;
    seat.terminal.waits_for("the mouse", SOON, has_mouse).await;
    // Through the shell and back: it is still wanted.
    seat.press(&["C-z"]).await;
    seat.terminal.ended(SOON).await;
    seat.is_as_before().await;
    seat.terminal.run("fg").await;
    seat.terminal.waits_for("the mouse", SOON, has_mouse).await;
    seat.press(&["q"]).await;
    seat.is_left(0).await;
}

async fn without_a_terminal_it_names_what_to_use() {
    let site = Site::of(&[Behaviour::Healthy], RARELY, UNDER).await;
    let seat = Seat::before_the_start(&site, support::TerminalOptions::of_size(120, 40)).await;
    for (number, line) in [
        format!("{PROGRAM} > out"),
        format!("{PROGRAM} < /dev/null"),
        format!("{PROGRAM} < /dev/null > out"),
        // In a pipe the shell tells the exit code of its end alone.
        format!("({PROGRAM}; echo $? > code) | cat; (exit $(cat code))"),
    ]
    .into_iter()
    .enumerate()
    {
        seat.terminal.run(&format!("clear; {line}; echo run {number} ended with $?")).await;
        let screen = seat.terminal.sees(&format!("run {number} ended with 2")).await;
        assert!(screen.contains("--once") && screen.contains("--headless"), "{screen}");
        seat.is_as_before().await;
    }
    assert!(!site.program.path("fleet.db").exists(), "the database was made");
    assert_eq!(site.servers[0].connections(), 0);
}
