//! What the database stores about mails that were not accepted at the first attempt: how long they have waited, the
//! parts of a large mail, and the threads of mails.

use std::time::Duration;

use support::{Database, Trial};
use uuid::Uuid;

use crate::{
    fleet::{
        ClientId, SweepId,
        alert::{Change, Notice, NoticeReason, Step},
        mail::{Attachment, Mail, MailKind},
        metric::Instance,
    },
    open,
    records::{alert, at, mail, record, state, uuid},
    store::{Due, Record, Store, StoreErrorKind},
};

pub(crate) fn trials() -> Vec<Trial> {
    support::trials_per_database![
        waiting_is_counted_up_and_no_leap_of_a_clock_counts_whole,
        a_mail_that_a_later_clock_put_off_is_due,
        smaller_mails_take_the_place_of_a_large_one,
        mails_about_an_alert_belong_under_the_first_to_the_same_recipient,
        mails_about_events_belong_under_the_first_of_their_client,
    ]
}

const HOUR: Duration = Duration::from_secs(3600);

fn hours(hours: i64) -> jiff::Timestamp {
    at(hours * 3_600_000)
}

async fn waited(store: &Store) -> Vec<(u128, u64)> {
    let due = store.mails_due(at(0), Due::All, None, 9).await.unwrap();
    due.iter().map(|due| (due.mail.id.as_u128(), due.waited.as_secs() / 3600)).collect()
}

async fn waiting_is_counted_up_and_no_leap_of_a_clock_counts_whole(database: Database) {
    let store = open(&database).await;
    store.queue(mail(1, 0)).await.unwrap();
    store.queue(Mail { created_at: hours(2), ..mail(2, 0) }).await.unwrap();
    store.queue(mail(3, 0)).await.unwrap();
    store.mail_sent(uuid(3), at(5), "250 ok").await.unwrap();
    for (now, most, expected) in [
        (3, 24, [3, 1]),
        (5, 24, [5, 3]),
        // A hundred days ahead, and back again.
        (2400, 24, [29, 27]),
        (6, 24, [29, 27]),
        (7, 24, [30, 28]),
        (2400, 1, [31, 29]),
    ] {
        store.count_waiting(hours(now), most * HOUR).await.unwrap();
        assert_eq!(waited(&store).await, [(1, expected[0]), (2, expected[1])], "{now}");
    }
    let long = store.mails_due(at(0), Due::Waited(30 * HOUR), None, 9).await.unwrap();
    assert_eq!(long.iter().map(|due| due.mail.id).collect::<Vec<_>>(), [uuid(1)]);
    store.mail_refused(uuid(1), at(9), "given up").await.unwrap();
    assert_eq!(store.mails_due(at(0), Due::Waited(30 * HOUR), None, 9).await.unwrap(), []);
}

async fn a_mail_that_a_later_clock_put_off_is_due(database: Database) {
    let store = open(&database).await;
    store.queue(mail(1, 0)).await.unwrap();
    for (next_hour, is_due) in [(0, true), (1, false), (2, false), (2400, true)] {
        store.mail_deferred(uuid(1), 1, hours(next_hour), "later").await.unwrap();
        let due = store.mails_due(at(1), Due::Ready, None, 9).await.unwrap();
        assert_eq!(!due.is_empty(), is_due, "{next_hour}");
    }
}

async fn smaller_mails_take_the_place_of_a_large_one(database: Database) {
    let store = open(&database).await;
    let file = |name: &str| Attachment { file_name: name.into(), text: "some\n".into() };
    let large = Mail { attachments: vec![file("one.txt"), file("two.txt")], kind: MailKind::Events, ..mail(1, 10) };
    store.record(Record { mails: vec![large.clone()], ..record(1) }).await.unwrap();
    store.count_waiting(hours(1), 24 * HOUR).await.unwrap();
    let part = |number: u128, name: &str| Mail {
        id: uuid(number),
        subject: format!("part {name}"),
        attachments: vec![file(name)],
        ..large.clone()
    };
    let parts = vec![part(1, "one.txt"), Mail { thread: vec![uuid(1)], ..part(8, "two.txt") }];
    store.mail_split(uuid(1), parts.clone(), "552 too large").await.unwrap();
    store.close().await;

    let store = open(&database).await;
    let due = store.mails_due(at(10), Due::Ready, None, 9).await.unwrap();
    assert_eq!(due.iter().map(|due| due.mail.clone()).collect::<Vec<_>>(), parts);
    for (waiting, attempts) in due.iter().zip([1, 0]) {
        assert_eq!((waiting.splits, waiting.attempts), (1, attempts));
        assert_eq!(waiting.client, Some(ClientId::new("10.0.4.1", 22)), "they belong where the large one did");
        assert_eq!(waiting.sweep, Some(SweepId(uuid(1))));
        assert_eq!(waiting.waited.as_secs(), 3599, "they have waited as long");
    }
    store.mail_sent(uuid(1), at(20), "250 ok").await.unwrap();
    // A mail that was sent is not split; nothing of this is stored.
    let again = store.mail_split(uuid(1), vec![part(1, "x"), part(9, "y")], "552").await.unwrap_err();
    assert_eq!(again.kind, StoreErrorKind::NoSuchMail);
    assert_eq!(database.count("SELECT COUNT(*) FROM mails").await, 2);
}

fn told(number: u128, alert_id: u128, step: Step, reason: NoticeReason, mails: Vec<Mail>) -> Record {
    let alert = crate::fleet::alert::OpenAlert { id: uuid(alert_id), ..alert() };
    Record {
        state: state(Some(alert.clone()), 3),
        changes: vec![Change {
            metric: crate::fleet::Metric::Cpu,
            instance: Instance::HOST,
            alert,
            step,
            notice: Notice::Send(reason),
        }],
        mails,
        ..record(number)
    }
}

async fn threads(store: &Store) -> Vec<(u128, Vec<u128>)> {
    let due = store.mails_due(at(0), Due::All, None, 99).await.unwrap();
    let ids = |thread: &[Uuid]| thread.iter().map(Uuid::as_u128).collect();
    due.iter().map(|due| (due.mail.id.as_u128(), ids(&due.mail.thread))).collect()
}

async fn mails_about_an_alert_belong_under_the_first_to_the_same_recipient(database: Database) {
    let store = open(&database).await;
    let to = |number, recipient: &str| Mail { recipient: recipient.into(), ..mail(number, 0) };
    let pair = |number| vec![to(number, "a@example.com"), to(number + 1, "b@example.com")];
    store.record(told(1, 100, Step::Raised, NoticeReason::Raised, pair(1))).await.unwrap();
    store.record(told(2, 100, Step::Continues, NoticeReason::Reminder, pair(3))).await.unwrap();
    store.close().await;
    let store = open(&database).await;
    let end = Mail { kind: MailKind::Recovery, ..to(5, "a@example.com") };
    // A recipient who was not mailed about the beginning.
    store
        .record(told(3, 100, Step::Resolved, NoticeReason::Recovered, vec![end, to(6, "c@example.com")]))
        .await
        .unwrap();
    store.record(told(4, 101, Step::Raised, NoticeReason::Raised, vec![to(7, "a@example.com")])).await.unwrap();
    // Both alerts in one mail.
    let both = Record {
        changes: [100, 101]
            .map(|id| told(5, id, Step::Continues, NoticeReason::Reminder, Vec::new()).changes.remove(0))
            .into(),
        mails: vec![to(8, "a@example.com")],
        ..record(5)
    };
    store.record(both).await.unwrap();
    let expected =
        [(1, vec![]), (2, vec![]), (3, vec![1]), (4, vec![2]), (5, vec![1]), (6, vec![]), (7, vec![]), (8, vec![1, 7])];
    assert_eq!(threads(&store).await, expected);
}

async fn mails_about_events_belong_under_the_first_of_their_client(database: Database) {
    let of = |number: u128, ip: &str, recipients: &[(u128, &str)]| Record {
        client: ClientId::new(ip, 22),
        changes: Vec::new(),
        mails: recipients
            .iter()
            .map(|(id, recipient)| Mail { kind: MailKind::Events, recipient: (*recipient).into(), ..mail(*id, 0) })
            .collect(),
        ..record(number)
    };
    let store = open(&database).await;
    store.record(of(1, "10.0.4.1", &[(1, "a@example.com"), (2, "a@example.com"), (3, "b@example.com")])).await.unwrap();
    store.record(of(2, "10.0.4.2", &[(4, "a@example.com")])).await.unwrap();
    store.record(of(3, "10.0.4.1", &[(5, "a@example.com")])).await.unwrap();
    store.close().await;
    // Another process continues the same threads.
    let store = open(&database).await;
    store.record(of(4, "10.0.4.1", &[(6, "b@example.com"), (7, "c@example.com")])).await.unwrap();
    let expected = [(1, vec![]), (2, vec![1]), (3, vec![]), (4, vec![]), (5, vec![1]), (6, vec![3]), (7, vec![])];
    assert_eq!(threads(&store).await, expected);
}
