//! Long lists in pages: no row is lost or doubled between pages, and no query sorts the whole list.

use support::{Database, Trial};

use crate::{
    fleet::{
        ClientId, SweepId,
        alert::{Change, HoldReason, Notice, OpenAlert, Step},
        event::Trigger,
        listing::{ListKey, Listed, Page, Part},
        metric::Instance,
    },
    open,
    records::{alert, at, mail, plain, uuid},
    store::{Record, Store, StoreError},
};

pub(crate) fn trials() -> Vec<Trial> {
    support::trials_per_database![
        alerts_mails_and_sweeps_are_gone_through_to_their_ends,
        a_part_around_a_time_begins_with_the_last_sweep_before_it,
    ]
}

const COUNT: u64 = 23;

/// Adds this many alerts, mails and sweeps, many of them with the same time.
async fn fill(store: &Store) {
    for number in 1..=COUNT {
        let ms = i64::try_from(number / 4).unwrap() * 1000;
        let id = u128::from(number);
        let raised = OpenAlert { id: uuid(300 + id), raised_at: at(ms), last_mail_at: None, ..alert() };
        let change = Change {
            metric: crate::fleet::Metric::Cpu,
            instance: Instance::HOST,
            alert: raised,
            step: Step::Raised,
            notice: Notice::Hold(HoldReason::NoRecipient),
        };
        let client = ClientId::new(format!("10.0.5.{number}"), 22);
        store.record(Record { client, changes: vec![change], security: None, ..plain(id) }).await.unwrap();
        store.queue(mail(700 + id, ms)).await.unwrap();
        let sweep = SweepId(uuid(500 + id));
        store.sweep_started(sweep, number, Trigger::Schedule, at(ms), 1).await.unwrap();
        store.sweep_ended(sweep, at(ms + 5), 5, 1, 0).await.unwrap();
    }
    // A sweep that has not ended is in no list.
    store.sweep_started(SweepId(uuid(900)), COUNT + 1, Trigger::Manual, at(90_000), 1).await.unwrap();
}

/// Reads a list page by page in both directions.
async fn both_ways<T: Listed>(ask: impl AsyncFn(Part) -> Result<Page<T>, StoreError>) -> Vec<ListKey> {
    let mut down: Vec<ListKey> = Vec::new();
    let mut part = Part::Newest;
    loop {
        let page = ask(part).await.unwrap();
        assert_eq!((page.total, page.newer), (COUNT, matches!(part, Part::Newest).then_some(0)));
        assert_eq!(page.ends, page.rows.first().map(Listed::key).zip(page.rows.last().map(Listed::key)));
        down.extend(page.rows.iter().map(Listed::key));
        if !page.has_more {
            break;
        }
        part = Part::Older(*down.last().unwrap());
    }
    let mut up: Vec<ListKey> = Vec::new();
    let mut part = Part::Oldest;
    loop {
        let page = ask(part).await.unwrap();
        if part == Part::Oldest {
            assert_eq!(page.newer, Some(COUNT - page.rows.len() as u64));
        }
        up.splice(0..0, page.rows.iter().map(Listed::key));
        if !page.has_more {
            break;
        }
        part = Part::Newer(up[0]);
    }
    assert_eq!(down, up);
    let from = ask(Part::From(down[3])).await.unwrap();
    assert_eq!(from.rows.iter().map(Listed::key).collect::<Vec<_>>(), down[3..8]);
    down
}

async fn alerts_mails_and_sweeps_are_gone_through_to_their_ends(database: Database) {
    let store = open(&database).await;
    fill(&store).await;
    let reader = store.reader();
    for keys in [
        both_ways(async |part| reader.alerts_page(part, 5).await).await,
        both_ways(async |part| reader.mails_page(part, 5).await).await,
        both_ways(async |part| reader.sweeps_page(part, 5).await).await,
    ] {
        assert!(keys.len() as u64 == COUNT && keys.is_sorted_by(|newer, older| newer > older), "{keys:?}");
    }
}

async fn a_part_around_a_time_begins_with_the_last_sweep_before_it(database: Database) {
    let store = open(&database).await;
    fill(&store).await;
    for (ms, expected, newer) in [(3_500, 15, 6), (3_000, 15, 6), (90_000, 23, 0), (1_000, 7, 14)] {
        let page = store.reader().sweeps_page(Part::At(at(ms)), 5).await.unwrap();
        let first = page.rows.iter().find(|sweep| sweep.started_at <= at(ms)).unwrap();
        assert_eq!((first.number, page.newer, page.total), (expected, Some(newer), COUNT), "{ms}");
    }
    // There is none before the first one, so this is the oldest page.
    let page = store.reader().sweeps_page(Part::At(at(-1)), 5).await.unwrap();
    assert!(page.rows.last().unwrap().number == 1 && !page.rows.iter().any(|sweep| sweep.started_at <= at(-1)));
}
