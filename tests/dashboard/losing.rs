//! Failures of the terminal or the program: a closed window, a terminal that does not read, a panic. Collections
//! continue, and everything is consistent afterwards.

use std::time::{Duration, Instant};

use fleetsweep::{
    demo::Behaviour,
    fleet::stream::About,
    tui::{Look, screen::Screen},
};
use support::{Terminal, TerminalOptions, Trial, allowance, is_running};

use crate::site::{OFTEN, SOON, Session, Site, UNDER, collected};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs(Tmux) =>
            a_closed_terminal_ends_it_within_seconds,
            a_terminal_that_reads_nothing_holds_up_no_collection,
            a_terminal_that_reads_nothing_holds_up_no_end,
            a_panic_gives_the_terminal_back_before_it_is_reported,
            a_panic_of_the_program_ends_it_in_order;
    }
}

/// The argument with which this test binary runs `panic_behind_a_screen`.
pub(crate) const PANIC: &str = "panic-behind-a-screen";

/// The message of that panic.
const SAYS: &str = "this panic is meant";

/// The time limit for a clean shutdown without a terminal.
const ENDS_WITHIN: Duration = Duration::from_secs(8);

async fn a_closed_terminal_ends_it_within_seconds() {
    let site = Site::of(&[Behaviour::Healthy, Behaviour::StallsMidAnswer], OFTEN, UNDER).await;
    let session = Session::at(&site).await;
    session.reaches(&collected(1), 2).await;
    let program = session.terminal.program().unwrap();
    let closed = Instant::now();
    session.terminal.close().await;
    support::wait_until("the program to end", SOON, async || !is_running(program)).await;
    assert!(closed.elapsed() < allowance(ENDS_WITHIN), "{:?}", closed.elapsed());
    site.is_consistent().await;
    // Its last collection is stored, too: the one that hung was cancelled.
    let outcomes = site.sql("SELECT DISTINCT status FROM v1_collections WHERE client_ip = '127.10.0.2'").await;
    assert_eq!(outcomes, ["failed"], "\n{}", site.log());
}

/// A session in a terminal that has stopped reading, with full buffers.
async fn stuck(site: &Site) -> Session<'_> {
    let session = Session::with(site, TerminalOptions::of_size(200, 60)).await;
    session.reaches(&collected(1), 2).await;
    let program = session.terminal.program().unwrap();
    // Keys that change the whole screen. They wait in the terminal's queue until the program reads them.
    session.terminal.stop_reading();
    let before = site.number(&collected(1)).await;
    support::wait_until("collection to go on", SOON, async || site.number(&collected(1)).await >= before + 10).await;
    assert!(is_running(program));
    session
}

async fn a_terminal_that_reads_nothing_holds_up_no_collection() {
    let site = Site::of(&[Behaviour::Healthy; 8], OFTEN, UNDER).await;
    let session = stuck(&site).await;
    session.terminal.read_again();
    let screen = session.terminal.sees("LIVE").await;
    // It shows the current state, not everything that it has missed.
    let sweeps = site.number("SELECT count(DISTINCT sweep_id) FROM v1_collections").await;
    let number = |screen: &str| {
        let after = screen.split("sweep #").nth(1)?;
        after.split(' ').next()?.parse::<u64>().ok()
    };
    assert!(number(&screen).is_some(), "{screen}");
    session.terminal.shows("the present", SOON, |screen| number(screen).is_some_and(|number| number >= sweeps)).await;
    session.press(&["C-c"]).await;
    session.is_left(0).await;
}

async fn a_terminal_that_reads_nothing_holds_up_no_end() {
    let site = Site::of(&[Behaviour::Healthy; 8], OFTEN, UNDER).await;
    let session = stuck(&site).await;
    let program = session.terminal.program().unwrap();
    let asked = Instant::now();
    support::signal(program, support::Signal::TERM);
    support::wait_until("the program to end", SOON, async || !is_running(program)).await;
    assert!(asked.elapsed() < allowance(ENDS_WITHIN), "{:?}", asked.elapsed());
    session.terminal.read_again();
    // Output to such a terminal is lost, so its screen is not restored, but its line settings are.
    assert_eq!(session.terminal.line().await, session.line_before());
    site.is_consistent().await;
}

async fn a_panic_gives_the_terminal_back_before_it_is_reported() {
    let home = tempfile::tempdir().unwrap();
    let terminal = Terminal::start(home.path(), TerminalOptions::of_size(120, 40)).await;
    let before = terminal.modes().await;
    terminal.run(&format!("{} {PANIC}", std::env::current_exe().unwrap().display())).await;
    let screen = terminal.sees(SAYS).await;
    assert_eq!(terminal.ended(SOON).await, 101, "{screen}");
    assert_eq!(terminal.modes().await, before, "{screen}");
    // On the shell's screen, from the first column on.
    assert!(screen.lines().any(|line| line.starts_with("thread 'main'") || line.starts_with(SAYS)), "{screen}");
}

async fn a_panic_of_the_program_ends_it_in_order() {
    let site = Site::of(&[Behaviour::Healthy; 2], OFTEN, UNDER).await;
    let options = TerminalOptions::of_size(120, 40).with_environment("FLEETSWEEP_TEST_PANIC", "1");
    let session = Session::with(&site, options).await;
    session.reaches(&collected(1), 1).await;
    session.press(&["F12"]).await;
    // The screen failed, not the collections.
    session.is_left(1).await;
    let screen = session.terminal.screen().await;
    assert!(screen.contains("asked to panic") && screen.contains("the screen panicked"), "{screen}");
    site.is_consistent().await;
    // The lock is released and the data is consistent, so the next start works.
    let before = site.number(&collected(1)).await;
    session.start("").await;
    session.reaches(&collected(1), before + 1).await;
    session.press(&["C-c"]).await;
    session.is_left(0).await;
}

/// Takes over the terminal like the dashboard, and panics while it draws.
pub(crate) fn panic_behind_a_screen() -> ! {
    let look = Look::from_environment(|name| std::env::var(name).ok());
    let _screen = Screen::start(About::default(), look).unwrap();
    // Waits until the first frame is being drawn, which is the worst time for a panic.
    while fleetsweep::tui::terminal::while_ours().is_none() {
        std::thread::yield_now();
    }
    panic!("{SAYS}");
}
