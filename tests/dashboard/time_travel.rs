//! Time travel in a real terminal: many sweeps, a failing query, an invalid row, long lists.

use fleetsweep::demo::Behaviour;
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use support::Trial;

use crate::site::{DATABASE, RARELY, SOON, Session, Site, UNDER};

pub(crate) fn trials() -> Vec<Trial> {
    support::trial_list! {
        needs(Tmux) =>
            a_key_held_down_passes_a_thousand_sweeps_and_no_wrong_row_is_ever_shown,
            a_past_that_cannot_be_had_says_why_and_the_next_one_is_shown,
            a_row_that_cannot_be_read_costs_that_row,
            a_time_is_gone_to,
            alerts_load_on_to_their_end_and_say_how_many_there_are;
    }
}

/// The number of past sweeps, one per minute.
const PAST: u32 = 1200;

/// Changes the database as another program would.
async fn change(site: &Site, sql: &str) {
    let file = site.program.path(DATABASE);
    let options = SqliteConnectOptions::new().filename(file).foreign_keys(false).busy_timeout(SOON);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// A statement that inserts a row for each number `n` from 1 on.
fn insert(table: &str, count: u32, columns: &str, values: &str) -> String {
    format!(
        "INSERT INTO {table} ({columns})
         WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
         SELECT {values} FROM numbers;"
    )
}

/// A fleet of one client with many past sweeps. In each of them, its CPU usage was 77 % and its memory usage 44 %.
async fn with_a_long_past() -> Site {
    let site = Site::of(&[Behaviour::Healthy], RARELY, UNDER).await;
    let outcome = site.program.run(["--once"]).await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let began = site.number("SELECT MIN(started_at_ms) FROM sweeps").await;
    let at = format!("{began} - ({PAST} + 1 - n) * 60000");
    let (sweep, collection) =
        ("printf('00000001-0000-0000-0000-%012x', n)", "printf('00000002-0000-0000-0000-%012x', n)");
    let sweeps = insert(
        "sweeps",
        PAST,
        "sweep_uuid, sweep_number, set_off_by, started_at_ms, ended_at_ms, duration_ms, client_count, ok_count,
         failed_count, last_collection",
        &format!("{sweep}, n, 'schedule', {at}, {at} + 900, 900, 1, 1, 0, n - 10000"),
    );
    let collections = insert(
        "collections",
        PAST,
        "id, collection_uuid, sweep_uuid, client_id, started_at_ms, duration_ms, attempts, status, collected_at_ms,
         host_name, cpu_percent, memory_total_bytes, memory_used_bytes, memory_percent",
        &format!(
            "n - 10000, {collection}, {sweep}, (SELECT id FROM clients), {at}, 300, 1, 'ok', {at} + 300, 'past', 77.0,
             1000, 440, 44.0"
        ),
    );
    change(&site, &format!("UPDATE sweeps SET sweep_number = {PAST} + 1; {sweeps} {collections}")).await;
    site
}

/// Checks that the screen only shows data of the sweep that it names.
fn is_of_its_sweep(screen: &str) {
    let Some(title) = screen.lines().find(|line| line.contains("Sweep of") || line.contains("Past sweeps")) else {
        return;
    };
    let place = title.split(" of ").nth(1).and_then(|rest| rest.rsplit_once(' ')).map_or("", |(_, place)| place);
    let place: u32 = place.replace(',', "").parse().unwrap_or(0);
    let has_row = screen.contains("client-1");
    if title.contains("asking…") || title.contains("· failed") {
        assert!(!has_row, "{screen}");
    } else if (1..=PAST).contains(&place) {
        assert!(has_row && screen.contains(" 77%") && screen.contains(" 44%"), "{screen}");
    }
}

async fn a_key_held_down_passes_a_thousand_sweeps_and_no_wrong_row_is_ever_shown() {
    let site = with_a_long_past().await;
    let seat = Session::at(&site).await;
    seat.has_ended_sweep(PAST + 2).await;
    for _ in 0..20 {
        seat.press(&["Left"; 50]).await;
        is_of_its_sweep(&seat.terminal.screen().await);
    }
    // Between sweeps, the newest one is the same as the present, so the first step goes to the one before.
    let screen = seat.terminal.sees(" 202 of 1,202").await;
    is_of_its_sweep(&screen);
    let screen = seat.terminal.shows("its rows", SOON, |screen| screen.contains("client-1")).await;
    is_of_its_sweep(&screen);
    for (key, place) in [("PPage", " 192 of 1,202"), ("NPage", " 202 of 1,202"), ("Home", " 1 of 1,202")] {
        seat.press(&[key]).await;
        seat.terminal.sees(place).await;
        let screen = seat.terminal.shows("its rows", SOON, |screen| screen.contains("client-1")).await;
        is_of_its_sweep(&screen);
    }
    let log = site.log();
    assert!(!log.contains("cannot be reached") && !log.contains("damaged"), "{log}");
    seat.press(&["End"]).await;
    seat.terminal.sees("LIVE").await;
    seat.press(&["q"]).await;
    seat.is_left(0).await;
}

async fn a_past_that_cannot_be_had_says_why_and_the_next_one_is_shown() {
    let site = with_a_long_past().await;
    let seat = Session::at(&site).await;
    seat.has_ended_sweep(PAST + 2).await;
    seat.press(&["Left"]).await;
    seat.terminal.shows("its rows", SOON, |screen| screen.contains("1,201 of") && screen.contains("client-1")).await;
    change(&site, "ALTER TABLE readings RENAME TO elsewhere").await;
    seat.press(&["Left"]).await;
    let screen = seat.terminal.sees("failed: database").await;
    assert!(screen.contains("PAST failed") && screen.contains("refused the question"), "{screen}");
    assert!(!screen.contains("client-1") && !screen.contains("cannot be reached"), "{screen}");
    change(&site, "ALTER TABLE elsewhere RENAME TO readings").await;
    seat.press(&["Left"]).await;
    seat.terminal.shows("its rows", SOON, |screen| screen.contains("1,199 of") && screen.contains("client-1")).await;
    seat.press(&["C-c"]).await;
    seat.is_left(0).await;
}

async fn a_row_that_cannot_be_read_costs_that_row() {
    let site = with_a_long_past().await;
    change(&site, &format!("UPDATE collections SET cpu_percent = 'nonsense' WHERE id = {PAST} - 10000")).await;
    let seat = Session::at(&site).await;
    seat.has_ended_sweep(PAST + 2).await;
    seat.press(&["Left", "Left"]).await;
    let screen = seat.terminal.sees("1,200 of 1,202 · 1 row unreadable").await;
    assert!(screen.contains("client-1") && !screen.contains("damaged"), "{screen}");
    // An earlier sweep does not use that row.
    seat.press(&["Left"]).await;
    let screen = seat.terminal.shows("its rows", SOON, |s| s.contains("1,199 of 1,202") && s.contains("77%")).await;
    assert!(!screen.contains("unreadable"), "{screen}");
    seat.press(&["q"]).await;
    seat.is_left(0).await;
}

async fn a_time_is_gone_to() {
    let site = with_a_long_past().await;
    let seat = Session::with(&site, support::TerminalOptions::of_size(80, 24)).await;
    seat.is_swept().await;
    seat.press(&["g"]).await;
    seat.terminal.sees("yesterday 3:00").await;
    seat.terminal.type_text("in a while").await;
    seat.press(&["Enter"]).await;
    seat.terminal.sees("not a time: write -1h").await;
    seat.press(&["C-u"]).await;
    seat.terminal.type_text("-2h").await;
    seat.press(&["Enter"]).await;
    // Two hours are 120 sweeps, and the one that began just before.
    let screen = seat.terminal.shows("its rows", SOON, |screen| screen.contains("77%")).await;
    is_of_its_sweep(&screen);
    assert!([" 1,081 of", " 1,082 of"].iter().any(|place| screen.contains(place)), "{screen}");
    seat.press(&["Escape"]).await;
    seat.terminal.sees("LIVE").await;
    seat.press(&["q"]).await;
    seat.is_left(0).await;
}

async fn alerts_load_on_to_their_end_and_say_how_many_there_are() {
    let site = with_a_long_past().await;
    let began = site.number("SELECT MIN(started_at_ms) FROM sweeps").await;
    let at = format!("{began} - n * 1000");
    let hold = r#"'{"mail":"hold","reason":"no_recipient"}'"#;
    let alerts = insert(
        "alerts",
        3000,
        "id, client_id, metric, instance, limit_value, last_value, peak_value, raised_at_ms, resolved_at_ms, notice",
        &format!(
            "printf('00000003-0000-0000-0000-%012x', n), (SELECT id FROM clients), 'cpu', '', 1, 5.0, 5.0, {at}, {at} + 5,
             {hold}"
        ),
    );
    change(&site, &alerts).await;
    let seat = Session::at(&site).await;
    seat.has_ended_sweep(PAST + 2).await;
    seat.press(&["2"]).await;
    seat.terminal.sees(" 1 of 3,000 in the history").await;
    // Page by page, beyond those that are loaded at first. At their end, a key waits for nothing: the next one goes on.
    let beyond = |screen: &str| {
        let place = screen.split(" of 3,000").next().and_then(|before| before.rsplit(' ').next());
        place.and_then(|place| place.parse::<u32>().ok()).is_some_and(|place| place > 600)
    };
    let presses_on = async || {
        seat.press(&["NPage"]).await;
        beyond(&seat.terminal.screen().await)
    };
    seat.terminal.waits_for("more than were loaded at first", SOON, presses_on).await;
    seat.press(&["G"]).await;
    let screen = seat.terminal.sees(" 3,000 of 3,000 in the history").await;
    assert!(screen.contains("client-1"), "{screen}");
    seat.press(&["Home"]).await;
    seat.terminal.sees(" 1 of 3,000 in the history").await;
    seat.press(&["q"]).await;
    seat.is_left(0).await;
}
