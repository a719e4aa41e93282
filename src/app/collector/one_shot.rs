//! The collector for `--once`, which runs one sweep, sends mails, applies retention and ends. The caller reads the
//! result from the events.

use std::{pin::pin, time::Duration};

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    app::{
        error::RunError,
        mail::outbox_worker::{LAST_MAIL, MAIL_WAIT, OutboxWorker},
    },
    bus::Request,
    config::Config,
    fleet::{
        SweepId,
        event::Trigger,
        login_hold::HeldLogins,
        order::{Order, Reply},
    },
    store::{Due, StoreError, lock_owner::Mode},
};

use super::{
    engine::{Engine, Sessions},
    lock::OwnerRecord,
    retention::{self, Keeping},
};

/// How long a run waits at its end for a database that is away. The next run stores what is left in the spool.
pub const DATABASE_WAIT: Duration = Duration::from_secs(10);

/// How long a run deletes old rows. The next run deletes the rest.
const RETENTION_TIME: Duration = Duration::from_secs(2);

/// Executes one order. It is answered when the sweep over all clients has started. Returns when the mails were offered
/// and old rows are deleted. `stop` cancels the sweep.
///
/// # Errors
/// [`RunError`] if the sweep could not start; [`RunError::Database`] if the database failed after it.
pub async fn sweep(
    engine: &Engine,
    config: &Config,
    requests: &mut mpsc::Receiver<Request>,
    stop: &CancellationToken,
) -> Result<(), RunError> {
    OwnerRecord::publish(&engine.store, None, Mode::Once).await;
    let (mut outbox, mut trouble_mailer) = engine.mailing(config).await?;
    let pipeline = engine.pipeline(config, Sessions::Closed).await?;
    let Some(request) = requests.recv().await else { return Ok(()) };
    let sweep = SweepId(Uuid::now_v7());
    let held = match request.issued.order {
        Order::OnceRetryingLogins(_) => HeldLogins::Retried,
        Order::Once(_)
        | Order::Collect(_)
        | Order::Pause
        | Order::Resume
        | Order::Cancel(_)
        | Order::Acknowledge { .. }
        | Order::Unacknowledge { .. }
        | Order::Note(_)
        | Order::Each(_) => HeldLogins::Respected,
    };
    let due = engine.scheduler.claim(pipeline.clients());
    request.answer(Reply::Done { text: format!("sweeping {} clients", due.due.len()), sweep: Some(sweep) });
    engine.scheduler.run_sweep(&pipeline, sweep, (Trigger::Once, held), due, stop).await;
    pipeline.close().await;
    engine.store.settle(DATABASE_WAIT).await;
    engine.troubles.note_away(&engine.store.status().borrow());
    let mails_until = Instant::now() + MAIL_WAIT;
    // Before the mails, because a slow server might leave no time.
    trouble_mailer.deliver(mails_until).await;
    if engine.store.is_away() {
        return Ok(());
    }
    offer_mails(&mut outbox, mails_until, stop).await?;
    trouble_mailer.deliver(mails_until.max(Instant::now() + LAST_MAIL)).await;
    let deletion =
        retention::forget(&engine.store, Keeping::configured(&config.database), &engine.troubles, Some(RETENTION_TIME))
            .await?;
    if let Some(behind) = deletion.waits_for {
        retention::say_why(behind);
    }
    Ok(())
}

/// Offers every waiting mail, with the time limit of a run.
async fn offer_mails(outbox: &mut OutboxWorker, until: Instant, stop: &CancellationToken) -> Result<(), StoreError> {
    let end = stop.child_token();
    let mut offering = pin!(outbox.offer(Due::All, &end));
    tokio::select! {
        offered = &mut offering => offered.map(drop),
        () = tokio::time::sleep_until(until - LAST_MAIL) => {
            tracing::warn!("the SMTP server is slow: the remaining mails stay in the outbox");
            end.cancel();
            offering.await.map(drop)
        }
    }
}
