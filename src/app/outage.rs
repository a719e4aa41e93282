//! Tells that the database is away, how much waits for it, and that it is back. Not what is done meanwhile: that is
//! the store's.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

use crate::{
    fleet::EventKind,
    spine::Spine,
    store::condition::{Away, Condition},
};

use super::bell::Bell;

/// How often the number of what waits is told at most.
const EVERY: Duration = Duration::from_secs(1);

/// Tells until the store is closed. When the database is back the outbox is woken: the mails that were decided
/// meanwhile are in it only now.
pub async fn tell(mut condition: watch::Receiver<Condition>, spine: Spine, bell: Arc<Bell>) {
    // The outage that was told last, and its number.
    let mut told: Option<(u64, u64)> = None;
    let mut ended = 0;
    let mut next = Instant::now();
    loop {
        let now = condition.borrow_and_update().clone();
        if let Some(end) = now.ended.filter(|end| end.number > ended) {
            ended = end.number;
            if told.is_none_or(|(number, _)| number < end.number) {
                let why = Some(super::chain(&end.why));
                spine.tell(None, None, EventKind::DatabaseAway { since: end.since, waiting: end.stored, why }).await;
            }
            let after_ms = super::milliseconds(end.after);
            spine.tell(None, None, EventKind::DatabaseBack { stored: end.stored, after_ms }).await;
            bell.mail_decided();
        }
        let mut wait = None;
        if let Some(Away { number, since, waiting, why }) = now.away
            && told != Some((number, waiting))
        {
            let is_new = told.is_none_or(|(before, _)| before < number);
            if is_new || Instant::now() >= next {
                let why = is_new.then(|| super::chain(&why));
                spine.tell(None, None, EventKind::DatabaseAway { since, waiting, why }).await;
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
            changed = condition.changed() => if changed.is_err() { return },
            () = until => {}
        }
    }
}
