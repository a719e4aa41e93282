//! The end of a collector, for any reason, while dashboards are attached to it: another one takes over, and the screen
//! shows which.

use std::time::Duration;

use fleetsweep::demo::Behaviour;
use support::{Database, Engine, Running, Signal, TerminalOptions, Tool, Trial, signal, wait_until};

use crate::site::{RARELY, SOON, Session, Site, UNDER};

pub(crate) fn trials() -> Vec<Trial> {
    macro_rules! on {
        ($engine:ident, $needs:expr => $($test:ident),+) => {
            [$(support::trial(concat!(stringify!($test), " on ", stringify!($engine)), $needs, || {
                Box::pin(async { $test(Database::new(Engine::$engine).await).await })
            })),+]
        };
    }
    let mut trials = Vec::new();
    trials.extend(on!(Sqlite, &[Tool::Tmux] =>
        whoever_is_attached_sweeps_when_the_other_is_left,
        one_of_two_attached_sweeps_when_the_collector_is_killed,
        whoever_came_while_the_collector_hung_sweeps_in_the_end,
        a_service_is_replaced_only_when_the_operator_says_so,
        other_clients_are_swept_only_when_the_operator_says_so,
        whoever_came_while_the_other_was_ending_sweeps_in_the_end,
        a_collector_that_cannot_be_reached_is_not_said_to_have_gone
    ));
    trials.extend(on!(Postgres, &[Tool::Tmux, Tool::Postgres] =>
        whoever_is_attached_sweeps_when_the_other_is_left,
        one_of_two_attached_sweeps_when_the_collector_is_killed,
        a_service_is_replaced_only_when_the_operator_says_so,
        a_collector_that_cannot_be_reached_is_not_said_to_have_gone
    ));
    trials
}

/// The message of a dashboard that becomes the collector.
const SWEEPS_NOW: &str = "this dashboard sweeps now";

const COLLECTED: &str = "SELECT COUNT(*) FROM v1_collections WHERE status = 'ok'";

/// The number of the newest sweep.
const NEWEST_SWEEP: &str = "SELECT MAX(sweep_number) FROM sweeps";

/// The process that has announced itself as the collector.
const LOCK_OWNER: &str = "SELECT process_id, run_mode FROM collectors WHERE process_id IS NOT NULL";

async fn site(database: &Database) -> Site {
    Site::over(&database.url(), &[Behaviour::Healthy; 2], RARELY, UNDER).await
}

/// A dashboard after one sweep.
async fn sweeping<'a>(site: &'a Site, database: &Database) -> Session<'a> {
    let session = Session::at(site).await;
    session.is_swept().await;
    assert_eq!(database.count(COLLECTED).await, 2);
    session
}

/// A dashboard that is attached to the collector.
async fn attached(site: &Site) -> Session<'_> {
    let session = Session::at(site).await;
    let looks = |screen: &str| screen.contains("attached to") && screen.contains("LIVE");
    session.terminal.shows("the collector's stream", SOON, looks).await;
    session
}

fn is_own(screen: &str) -> bool {
    screen.contains("LIVE") && !screen.contains("attached to") && screen.contains("swept in")
}

/// Waits until a dashboard is the collector and has swept, and starts a further sweep by key. `before` is the newest sweep
/// before: the screen shows its end until the dashboard sweeps itself.
async fn becomes_the_collector(session: &Session<'_>, database: &Database, before: i64) {
    let has_swept = |screen: &str| is_own(screen) && sweep_number(screen) > Some(before);
    let screen = session.terminal.shows("a sweep of its own", SOON, has_swept).await;
    let pid = session.terminal.program().unwrap().as_raw_nonzero();
    wait_until("the new collector in the database", SOON, async || {
        database.rows(LOCK_OWNER).await == [format!("{pid}|dashboard")]
    })
    .await;
    let (collected, sweep) = (database.count(COLLECTED).await, sweep_number(&screen));
    session.press(&["c"]).await;
    wait_until("a collection by key", SOON, async || database.count(COLLECTED).await > collected).await;
    // Until the screen shows the end of its sweep, `q` asks before it quits.
    let ended = |screen: &str| screen.contains("swept in") && sweep_number(screen) > sweep;
    session.terminal.shows("the end of that sweep", SOON, ended).await;
}

/// The number of the newest sweep in the header.
fn sweep_number(screen: &str) -> Option<i64> {
    let (_, after) = screen.split_once("sweep #")?;
    after.split_whitespace().next()?.parse().ok()
}

async fn whoever_is_attached_sweeps_when_the_other_is_left(database: Database) {
    let site = site(&database).await;
    let first = sweeping(&site, &database).await;
    let second = attached(&site).await;
    let before = database.count(NEWEST_SWEEP).await;
    first.press(&["q"]).await;
    first.is_left(0).await;
    second.terminal.sees(SWEEPS_NOW).await;
    becomes_the_collector(&second, &database, before).await;
    // It is a collector like any other: a new dashboard attaches to it and takes over after it.
    let third = attached(&site).await;
    let before = database.count(NEWEST_SWEEP).await;
    second.press(&["C-c"]).await;
    second.is_left(0).await;
    becomes_the_collector(&third, &database, before).await;
    third.press(&["q"]).await;
    third.is_left(0).await;
    assert_eq!(database.rows(LOCK_OWNER).await, Vec::<String>::new(), "one that has ended is still named");
}

async fn one_of_two_attached_sweeps_when_the_collector_is_killed(database: Database) {
    let site = site(&database).await;
    let first = sweeping(&site, &database).await;
    let (second, third) = (attached(&site).await, attached(&site).await);
    let before = database.count(NEWEST_SWEEP).await;
    signal(first.terminal.program().unwrap(), Signal::KILL);
    let mut winner = None;
    wait_until("a new collector", SOON, async || {
        for session in [&second, &third] {
            if is_own(&session.terminal.screen().await) {
                winner = Some(session.terminal.program().unwrap());
            }
        }
        winner.is_some()
    })
    .await;
    let (winner, other) = if winner == second.terminal.program() { (&second, &third) } else { (&third, &second) };
    let pid = winner.terminal.program().unwrap().as_raw_nonzero();
    let attached_to_it = format!("attached to pid {pid} (dashboard)");
    other
        .terminal
        .shows("the new collector", SOON, |screen| screen.contains(&attached_to_it) && screen.contains("LIVE"))
        .await;
    becomes_the_collector(winner, &database, before).await;
    // Collections of one dashboard are shown by the other.
    other.terminal.sees("sweep #3").await;
    let before = database.count(NEWEST_SWEEP).await;
    winner.press(&["C-c"]).await;
    winner.is_left(0).await;
    becomes_the_collector(other, &database, before).await;
    other.press(&["C-c"]).await;
    other.is_left(0).await;
}

async fn whoever_came_while_the_collector_hung_sweeps_in_the_end(database: Database) {
    let site = site(&database).await;
    let first = sweeping(&site, &database).await;
    let hanging = first.terminal.program().unwrap();
    signal(hanging, Signal::STOP);
    let second = Session::at(&site).await;
    // It holds the database still.
    let screen = second.terminal.sees("COLLECTOR UNREACHABLE").await;
    assert!(!screen.contains("COLLECTOR GONE"), "{screen}");
    let before = database.count(NEWEST_SWEEP).await;
    signal(hanging, Signal::KILL);
    becomes_the_collector(&second, &database, before).await;
    second.press(&["C-c"]).await;
    second.is_left(0).await;
}

/// A service after one sweep.
async fn service(site: &Site, database: &Database, collected: i64) -> Running {
    let running = site.program.spawn(["--headless"]);
    let pid = running.pid().as_raw_nonzero();
    wait_until("the service", SOON, async || {
        database.answers(LOCK_OWNER).await
            && database.rows(LOCK_OWNER).await == [format!("{pid}|headless")]
            && database.count(COLLECTED).await >= collected
    })
    .await;
    running
}

async fn a_service_is_replaced_only_when_the_operator_says_so(database: Database) {
    let site = site(&database).await;
    let running = service(&site, &database, 2).await;
    let session = attached(&site).await;
    running.signal(Signal::TERM);
    assert_eq!(running.ended(SOON).await.code, Some(0));
    // The offer is a hint, or a message in place of the hints for some seconds when another reason becomes known.
    let gone = |screen: &str| {
        let offers = screen.contains("T take over") || screen.contains("press T to sweep from this dashboard");
        screen.contains("COLLECTOR GONE") && offers
    };
    session.terminal.shows("the end of the service, and what can be done", SOON, gone).await;
    // A service manager gets enough time to restart the service.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(gone(&session.terminal.screen().await), "{}", session.terminal.screen().await);
    let running = service(&site, &database, 4).await;
    session.terminal.shows("the service again", SOON, |screen| screen.contains("LIVE")).await;
    // A working collector cannot be replaced.
    session.press(&["T"]).await;
    session.terminal.sees("A collector is running.").await;
    let before = database.count(NEWEST_SWEEP).await;
    running.signal(Signal::KILL);
    running.ended(SOON).await;
    session.terminal.shows("the end of the service", SOON, gone).await;
    session.press(&["T"]).await;
    session.terminal.sees("Sweep from here from now on?").await;
    session.press(&["n"]).await;
    session.no_longer_shows("Sweep from here from now on?").await;
    session.press(&["T"]).await;
    session.terminal.sees("Sweep from here from now on?").await;
    session.press(&["y"]).await;
    becomes_the_collector(&session, &database, before).await;
    // A service that starts now reports which process prevents it.
    let outcome = site.program.run(["--headless"]).await;
    assert_eq!(outcome.code, Some(3), "{outcome:#?}");
    let pid = session.terminal.program().unwrap().as_raw_nonzero();
    assert!(outcome.stderr.contains(&format!("is in use by pid {pid} of ")), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("(dashboard): end that one"), "{}", outcome.stderr);
    session.press(&["C-c"]).await;
    session.is_left(0).await;
}

async fn other_clients_are_swept_only_when_the_operator_says_so(database: Database) {
    let site = site(&database).await;
    let first = sweeping(&site, &database).await;
    let second = Session::before_the_start(&site, TerminalOptions::of_size(120, 40)).await;
    second.start("--client client-1").await;
    second.terminal.sees("LIVE").await;
    first.press(&["q"]).await;
    first.is_left(0).await;
    second.terminal.sees("it swept other clients than this dashboard would").await;
    assert_eq!(database.rows(LOCK_OWNER).await, Vec::<String>::new());
    second.press(&["T", "y"]).await;
    second.terminal.shows("a sweep of its own", SOON, is_own).await;
    wait_until("a sweep of one client", SOON, async || database.count(COLLECTED).await == 3).await;
    second.press(&["C-c"]).await;
    second.is_left(0).await;
}

async fn whoever_came_while_the_other_was_ending_sweeps_in_the_end(database: Database) {
    let site = site(&database).await;
    let first = sweeping(&site, &database).await;
    // The test decides how long its end takes.
    let ending = first.terminal.program().unwrap();
    signal(ending, Signal::STOP);
    database.change("UPDATE collectors SET is_ending = 1 WHERE process_id IS NOT NULL").await;
    let second = Session::at(&site).await;
    second.terminal.sees("which is ending").await;
    assert!(second.terminal.screen().await.contains("COLLECTOR UNREACHABLE"));
    let before = database.count(NEWEST_SWEEP).await;
    signal(ending, Signal::KILL);
    // No question, because it was a dashboard of the same operator.
    second.terminal.sees(SWEEPS_NOW).await;
    becomes_the_collector(&second, &database, before).await;
    second.press(&["C-c"]).await;
    second.is_left(0).await;
}

async fn a_collector_that_cannot_be_reached_is_not_said_to_have_gone(database: Database) {
    let site = site(&database).await;
    let first = sweeping(&site, &database).await;
    database.change("UPDATE collectors SET host_name = 'mon-1' WHERE process_id IS NOT NULL").await;
    let second = Session::at(&site).await;
    second.terminal.sees("attach on that machine").await;
    // The dashboard repeats its attempts, and the key only shows which process prevents it.
    second.press(&["T"]).await;
    second.terminal.sees("Sweep from here if it has ended?").await;
    second.press(&["y"]).await;
    let screen = second.terminal.sees("the database is in use by").await;
    assert!(screen.contains("mon-1"), "{screen}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let screen = second.terminal.screen().await;
    assert!(!screen.contains("no collector is running"), "{screen}");
    assert!(screen.contains("COLLECTOR UNREACHABLE") && !screen.contains("COLLECTOR GONE"), "{screen}");
    // After its end, the operator decides, because it ran on another machine and may be restarted there.
    let before = database.count(NEWEST_SWEEP).await;
    signal(first.terminal.program().unwrap(), Signal::KILL);
    second.terminal.sees("it ran on another machine").await;
    // Also in time travel and in any view. The operator can always take over later.
    second.press(&["f", "4", "T"]).await;
    second.terminal.sees("Sweep from here from now on?").await;
    second.press(&["y"]).await;
    second.terminal.sees(SWEEPS_NOW).await;
    second.press(&["1", "f"]).await;
    becomes_the_collector(&second, &database, before).await;
    second.press(&["C-c"]).await;
    second.is_left(0).await;
}
