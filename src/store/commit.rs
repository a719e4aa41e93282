//! One transaction: writes all of its changes, then commits. [`super::writer`] decides which changes share a
//! transaction, and what happens if it fails.

use std::sync::{PoisonError, atomic::Ordering};

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    alert_changes, catch_up, clock, collectors,
    convert::to_ms,
    error_kind::StoreErrorKind,
    outbox,
    pool::{Pool, Transaction, execute},
    record_cache::RecordCache,
    recording, retention, size_limit, space,
    spool::progress::Origin,
    sweeps,
    write::{Acknowledgement, Write},
    write_error::WriteError,
};
use crate::fleet::audit::AuditAction;

/// The origin of the changes of a transaction.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a> {
    /// Callers that wait for the result; the name of the transaction.
    Direct(Uuid),
    /// The spool, with the origin of each change. Changes that are stored already are skipped.
    Spool(&'a [Origin]),
}

/// Writes and commits the changes, and returns the updated cache.
pub(super) async fn commit(
    pool: &Pool,
    token: Uuid,
    source: Source<'_>,
    known: Option<RecordCache>,
    writes: &[&Write],
) -> Result<RecordCache, WriteError> {
    let mut transaction = pool.begin_write().await?;
    match write_all(&mut transaction, token, source, known, writes).await {
        Ok(known) => {
            transaction.commit().await?;
            Ok(known)
        }
        Err(error) => {
            if let Err(rollback) = transaction.rollback().await {
                tracing::debug!(error = %rollback, "a transaction could not be rolled back; its connection is given up");
            }
            Err(error)
        }
    }
}

async fn write_all(
    transaction: &mut Transaction,
    token: Uuid,
    source: Source<'_>,
    known: Option<RecordCache>,
    writes: &[&Write],
) -> Result<RecordCache, WriteError> {
    let in_use = || WriteError::Refused(StoreErrorKind::InUse);
    let mut stored_before = Vec::new();
    match source {
        Source::Direct(write) => {
            if !collectors::sign(transaction, token, write).await? {
                return Err(in_use());
            }
        }
        Source::Spool(origins) => {
            let progress = collectors::progress(transaction, token).await?.ok_or_else(in_use)?;
            stored_before = origins.iter().map(|origin| progress.has(*origin)).collect();
            collectors::advance(transaction, token, &progress.after(Uuid::new_v4(), origins)).await?;
        }
    }
    let mut known = match known {
        Some(known) => known,
        None => RecordCache::read(transaction).await?,
    };
    for (index, write) in writes.iter().enumerate() {
        if stored_before.get(index) == Some(&true) {
            continue;
        }
        match write {
            Write::Record(record) => recording::insert(transaction, &mut known, record).await?,
            Write::Queue(mail) => outbox::insert(transaction, mail, &outbox::Origin::default()).await?,
            Write::Sent { id, at, answer } => outbox::sent(transaction, *id, *at, answer).await?,
            Write::Deferred { id, attempts, next_at, error } => {
                outbox::deferred(transaction, *id, *attempts, *next_at, error).await?;
            }
            Write::Refused { id, at, error } => outbox::refused(transaction, *id, *at, error).await?,
            Write::Split { id, parts, reason } => outbox::split(transaction, *id, parts, reason).await?,
            Write::Waited { at, most } => outbox::waited(transaction, *at, *most).await?,
            Write::Audit { at, actor, action, target, detail } => {
                audit(transaction, &mut known, *at, [actor, action, target, detail]).await?;
            }
            Write::SweepStarted { sweep, number, set_off_by, at, clients } => {
                sweeps::started(transaction, *sweep, *number, *set_off_by, *at, *clients).await?;
            }
            Write::SweepEnded { sweep, at, duration_ms, ok, failed } => {
                sweeps::ended(transaction, *sweep, *at, *duration_ms, (*ok, *failed), known.last_collection()).await?;
            }
            Write::Acknowledge(given) => {
                alert_changes::acknowledge(transaction, given).await?;
                audit_alert(transaction, &mut known, given, AuditAction::Acknowledge).await?;
            }
            Write::Unacknowledge(withdrawn) => {
                alert_changes::unacknowledge(transaction, withdrawn).await?;
                audit_alert(transaction, &mut known, withdrawn, AuditAction::Unacknowledge).await?;
            }
            Write::Announce(owner) => collectors::announce(transaction, token, owner).await?,
            Write::Forget { before, more } => {
                more.store(retention::forget(transaction, *before).await?, Ordering::Relaxed);
            }
            Write::CatchUp { more } => {
                more.store(catch_up::catch_up(transaction, &mut known).await?, Ordering::Relaxed);
            }
            Write::AddHistory { client, name, values } => {
                catch_up::add(transaction, &mut known, (client, name), values).await?;
            }
            Write::ForgetHistory { before, more } => {
                more.store(retention::forget_history(transaction, before).await?, Ordering::Relaxed);
            }
            Write::Shrink { most, newest, done } => {
                let shrunk = size_limit::shrink(transaction, *most, *newest).await?;
                *done.lock().unwrap_or_else(PoisonError::into_inner) = shrunk;
            }
            Write::GiveBack { more } => more.store(space::give_back(transaction).await?, Ordering::Relaxed),
            Write::Observe { witness, believed } => {
                let now = clock::observe(transaction, witness).await?;
                // Sent once. A transaction that was rolled back returned the same.
                believed.get_or_init(|| now);
            }
            // The writer handles it.
            Write::Close => {}
        }
    }
    Ok(known)
}

/// Adds an audit entry about an alert: actor, action, target, details.
async fn audit_alert(
    transaction: &mut Transaction,
    known: &mut RecordCache,
    order: &Acknowledgement,
    action: AuditAction,
) -> Result<(), sqlx::Error> {
    let Acknowledgement { client, at, actor, .. } = order;
    audit(transaction, known, *at, [actor, action.word(), &client.to_string(), &order.about().to_string()]).await
}

async fn audit(
    transaction: &mut Transaction,
    known: &mut RecordCache,
    at: Timestamp,
    [actor, action, target, detail]: [&str; 4],
) -> Result<(), sqlx::Error> {
    let id = known.new_audit_id();
    execute!(
        transaction,
        "INSERT INTO audit_entries (id, at_ms, actor, action, target, detail) VALUES (?, ?, ?, ?, ?, ?)",
        id,
        to_ms(at),
        actor,
        action,
        target,
        detail
    )
    .map(drop)
}
