//! Wrong clocks: nothing is deleted, nothing waits for ever, and nothing stays the newest for ever.

use std::time::Duration;

use fleetsweep::{demo::Behaviour, store::clock::ClockReading};
use jiff::Timestamp;
use sqlx::{Connection as _, SqliteConnection};
use support::{Database, Engine, Trial, faketime};

use crate::{
    fleet::{ClientId, Metric, SweepId, event::Trigger},
    open,
    records::{at, mail, plain, uuid},
    site::{Config, Fleet, UNDER, number},
    store::{Due, Record},
};

const DAY: Duration = Duration::from_secs(86_400);

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = support::trials_per_database![
        a_clock_that_leaps_is_believed_only_as_far_as_time_has_passed,
        collections_of_a_clock_that_was_ahead_hold_up_no_deleting,
        what_a_clock_that_was_ahead_put_off_is_due_and_is_not_the_newest_for_ever,
    ];
    trials.extend(support::trial_list! {
        needs(Faketime) => runs_with_a_wrong_clock_delete_nothing;
    });
    trials
}

async fn a_clock_that_leaps_is_believed_only_as_far_as_time_has_passed(database: Database) {
    let store = open(&database).await;
    let real = ClockReading::of_system();
    let hour = Duration::from_secs(3600);
    let leapt = |days: u32, uptime: Duration| ClockReading { wall: real.wall + days * DAY, uptime, ..real.clone() };
    let believed = store.trusted_time(leapt(100, real.uptime + Duration::from_secs(60))).await.unwrap();
    assert!(believed.now.unwrap() < real.wall + hour, "{believed:?}");
    if database.engine() == Engine::Sqlite {
        assert!(believed.behind > 99 * DAY, "{believed:?}");
    } else {
        assert!(believed.behind < hour, "the server's own clock does not agree: {believed:?}");
    }
    // Another process, then another boot of the machine.
    store.close().await;
    let store = open(&database).await;
    let believed = store.trusted_time(leapt(100, real.uptime + Duration::from_secs(90))).await.unwrap();
    assert!(believed.now.unwrap() < real.wall + hour, "{believed:?}");
    let other = ClockReading { boot: "another".into(), ..leapt(100, Duration::from_secs(9)) };
    let believed = store.trusted_time(other).await.unwrap();
    assert!(believed.now.unwrap() < real.wall + DAY + hour, "{believed:?}");
    let unset = ClockReading { wall: Timestamp::UNIX_EPOCH, ..real.clone() };
    let believed = store.trusted_time(unset).await.unwrap();
    assert!(believed.now.unwrap() <= Timestamp::UNIX_EPOCH, "deleting waits: {believed:?}");
    let believed = store.trusted_time(ClockReading::of_system()).await.unwrap();
    assert!(believed.now.unwrap() >= real.wall && believed.behind == Duration::ZERO, "{believed:?}");
}

async fn collections_of_a_clock_that_was_ahead_hold_up_no_deleting(database: Database) {
    let store = open(&database).await;
    let now = Timestamp::now();
    let of = |number, started_at| Record { started_at, client: ClientId::new("c", 22), ..plain(number) };
    for number in 0..300 {
        store.record(of(number, now + 100 * DAY)).await.unwrap();
    }
    for number in 300..310 {
        store.record(of(number, now - 50 * DAY)).await.unwrap();
    }
    store.record(of(310, now + 100 * DAY)).await.unwrap();
    store.record(of(311, now - DAY)).await.unwrap();
    store.record(of(312, at(5))).await.unwrap();
    while store.forget(now - 30 * DAY).await.unwrap() {}
    // Rows that were stored before an old row are old, whatever their time is. Rows that were stored later are not.
    assert_eq!(database.count("SELECT COUNT(*) FROM v1_collections").await, 3);
}

async fn what_a_clock_that_was_ahead_put_off_is_due_and_is_not_the_newest_for_ever(database: Database) {
    let store = open(&database).await;
    let now = Timestamp::now();
    let ahead = now + 100 * DAY;
    store.queue(mail(1, 5)).await.unwrap();
    store.queue(mail(2, 5)).await.unwrap();
    store.mail_deferred(uuid(1), 1, ahead, "451 later").await.unwrap();
    store.mail_deferred(uuid(2), 1, now + Duration::from_secs(1800), "451 later").await.unwrap();
    let due = store.mails_due(now, Due::Ready, None, 9).await.unwrap();
    assert_eq!(due.iter().map(|due| due.mail.id).collect::<Vec<_>>(), [uuid(1)]);

    let client = ClientId::new("c", 22);
    for (number, started_at) in [(1, ahead), (2, now)] {
        let sweep = SweepId(uuid(number));
        store.sweep_started(sweep, u64::try_from(number).unwrap(), Trigger::Schedule, started_at, 1).await.unwrap();
        store.record(Record { sweep, started_at, client: client.clone(), ..plain(number) }).await.unwrap();
        store.sweep_ended(sweep, started_at, 9, 1, 0).await.unwrap();
    }
    let newest = store.reader().sweeps(1).await.unwrap();
    assert_eq!(newest.iter().map(|sweep| sweep.number).collect::<Vec<_>>(), [2]);
    let recent = store.recent(&client, Metric::Cpu, 1).await.unwrap();
    assert!(recent[0].0 < now + DAY, "{recent:?}");
    assert_eq!(database.rows("SELECT COUNT(*) FROM v1_latest WHERE collected_at_ms > 0").await, ["1"]);
}

/// Repeated runs of the program in a process with a wrong clock.
async fn runs_with_a_wrong_clock_delete_nothing() {
    let fleet = Fleet::of(&[Behaviour::Healthy]).await;
    let config: Config = fleet.config(UNDER);
    fleet.program.write_config(&config.text());
    let library = faketime().display().to_string();
    let mut runs = 0;
    for clock in ["+0", "+100d", "+100d", "+30000d", "-20000d", "+100d", "+0"] {
        let outcome = fleet
            .program
            .run_with(
                ["--once"],
                &[("LD_PRELOAD", &library), ("FAKETIME", clock), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")],
            )
            .await;
        assert_eq!(outcome.code, Some(0), "{clock}: {outcome:#?}");
        runs += 1;
        assert_eq!(number(&fleet.program, "SELECT COUNT(*) FROM v1_collections").await, runs, "{clock}");
        let is_told = outcome.stderr.contains("ahead of the time that is known to have passed");
        assert_eq!(is_told, clock.starts_with("+1") || clock.starts_with("+3"), "{clock}: {}", outcome.stderr);
    }
    // Rows that are really old are deleted immediately.
    let connection = SqliteConnection::connect(&format!("sqlite:{}", fleet.program.path("fleet.db").display()));
    let change = "UPDATE collections SET started_at_ms = started_at_ms - 100 * 86400000 WHERE id = 1";
    sqlx::raw_sql(change).execute(&mut connection.await.unwrap()).await.unwrap();
    assert_eq!(fleet.program.run(["--once"]).await.code, Some(0));
    assert_eq!(number(&fleet.program, "SELECT COUNT(*) FROM v1_collections").await, runs);
}
