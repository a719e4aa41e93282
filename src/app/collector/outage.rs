//! Publishes that the database is away, how much waits for it, and that it is back. The store handles the outage
//! itself.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

use crate::{
    app::{error::chain, mail::wakeup::OutboxWakeup, units::milliseconds},
    bus::Publisher,
    fleet::EventKind,
    store::database_status::{Away, DatabaseStatus},
};

/// The least time between two events about the number of waiting changes.
const EVERY: Duration = Duration::from_secs(1);

/// Publishes events until the store is closed. When the database is back, it wakes the outbox worker, because mails of
/// the outage are now in the outbox.
pub async fn tell(mut status: watch::Receiver<DatabaseStatus>, publisher: Publisher, wakeup: Arc<OutboxWakeup>) {
    // The last published outage and its number.
    let mut told: Option<(u64, u64)> = None;
    let mut ended = 0;
    let mut next = Instant::now();
    loop {
        let now = status.borrow_and_update().clone();
        if let Some(end) = now.ended.filter(|end| end.number > ended) {
            ended = end.number;
            if told.is_none_or(|(number, _)| number < end.number) {
                let why = Some(chain(&end.why));
                publisher
                    .publish(None, None, EventKind::DatabaseAway { since: end.since, waiting: end.stored, why })
                    .await;
            }
            let after_ms = milliseconds(end.after);
            publisher.publish(None, None, EventKind::DatabaseBack { stored: end.stored, after_ms }).await;
            wakeup.mail_decided();
        }
        let mut wait = None;
        if let Some(Away { number, since, waiting, why }) = now.away
            && told != Some((number, waiting))
        {
            let is_new = told.is_none_or(|(before, _)| before < number);
            if is_new || Instant::now() >= next {
                let why = is_new.then(|| chain(&why));
                publisher.publish(None, None, EventKind::DatabaseAway { since, waiting, why }).await;
                told = Some((number, waiting));
                next = Instant::now() + EVERY;
            } else {
                wait = Some(next);
            }
        }
        let until = async {
            match wait {
                Some(next) => tokio::time::sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = status.changed() => if changed.is_err() { return },
            () = until => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use jiff::Timestamp;

    use super::*;
    use crate::{
        bus::EventBus,
        store::{StoreError, StoreErrorKind, database_status::Ended},
    };

    fn why() -> Arc<StoreError> {
        Arc::new(StoreError { kind: StoreErrorKind::Locked, place: "fleet.db".into(), owner: None, source: None })
    }

    fn away(number: u64, waiting: u64) -> DatabaseStatus {
        let away = Away { number, since: Timestamp::UNIX_EPOCH, waiting, why: why() };
        DatabaseStatus { away: Some(away), ..DatabaseStatus::default() }
    }

    fn ended(number: u64, stored: u64) -> DatabaseStatus {
        let after = Duration::from_secs(9);
        let ended = Ended { number, since: Timestamp::UNIX_EPOCH, why: why(), stored, after };
        DatabaseStatus { ended: Some(ended), ..DatabaseStatus::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn beginning_and_end_are_told_at_once_and_the_number_once_a_second() {
        let (status, watched) = watch::channel(DatabaseStatus::default());
        let (publisher, told) = Publisher::new();
        let bus = EventBus::start(told);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let listening = tokio::spawn(bus.subscribe().each({
            let heard = heard.clone();
            move |_, event| {
                let found = if let EventKind::DatabaseAway { waiting, why, .. } = &event.kind {
                    (*waiting, why.is_some())
                } else if let EventKind::DatabaseBack { stored, .. } = &event.kind {
                    (1000 + *stored, false)
                } else {
                    panic!("{event:?}")
                };
                heard.lock().unwrap().push(found);
            }
        }));
        let telling = tokio::spawn(tell(watched, publisher, Arc::default()));
        // The test clock advances only when all tasks wait.
        let moment = async |ms| tokio::time::sleep(Duration::from_millis(ms)).await;
        moment(10).await;
        for waiting in 1..=5 {
            status.send(away(1, waiting)).unwrap();
            moment(100).await;
        }
        moment(1000).await;
        status.send(away(1, 7)).unwrap();
        moment(1).await;
        status.send(ended(1, 7)).unwrap();
        moment(1).await;
        // An outage that is over before it was noticed.
        status.send(away(2, 1)).unwrap();
        status.send(ended(2, 3)).unwrap();
        moment(1).await;
        drop(status);
        telling.await.unwrap();
        bus.finish().await;
        listening.await.unwrap();
        let expected = [(1, true), (5, false), (1007, false), (3, true), (1003, false)];
        assert_eq!(*heard.lock().unwrap(), expected);
    }
}
