//! The outbox: mails that wait, and those that were sent or refused.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    attachments,
    convert::{client_id, from_count, from_ms, to_count, to_ms, unreadable},
    error::StoreErrorKind,
    pool::{Transaction, execute, fetch_all, fetch_one},
    read_pool::ReadPool,
    readable::{Unreadable, fetch_readable},
    threads,
    write_error::WriteError,
};
use crate::fleet::{
    ClientId, SweepId,
    mail::{Mail, MailKind},
};

/// A selection of waiting mails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// All of them, regardless of the next attempt.
    All,
    /// Those whose next attempt is due.
    Ready,
    /// Those that have waited at least this long.
    Waited(Duration),
}

/// A waiting mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxMail {
    /// The mail itself.
    pub mail: Mail,
    /// The client that it is about; `None` if it is not about a client.
    pub client: Option<ClientId>,
    /// The sweep in which it was decided; `None` outside of a sweep.
    pub sweep: Option<SweepId>,
    /// The number of attempts.
    pub attempts: u32,
    /// How long it has waited, as far as this was counted.
    pub waited: Duration,
    /// How often it was split because of its size.
    pub splits: u32,
    /// When the next attempt is due.
    pub next_at: Timestamp,
    /// The error of the last attempt.
    pub last_error: Option<String>,
}

/// The number of mails by status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MailCounts {
    /// Not yet accepted by the SMTP server.
    pub waiting: u64,
    /// Mails that the server accepted.
    pub sent: u64,
    /// Permanently refused.
    pub refused: u64,
}

/// The longest possible pause. A mail that is deferred for longer was deferred by a wrong clock, and is due at once.
const FARTHEST_MS: i64 = 86_400_000;

#[derive(sqlx_macros::FromRow)]
struct MailRow {
    id: String,
    recipient: String,
    kind: String,
    subject: String,
    body: String,
    created_at_ms: i64,
    next_at_ms: Option<i64>,
    attempts: i64,
    waited_ms: i64,
    splits: i64,
    thread_ids: Option<String>,
    export_command: Option<String>,
    last_error: Option<String>,
    sweep_uuid: Option<String>,
    ip: Option<String>,
    port: Option<i64>,
}

/// The properties that the parts of a mail inherit.
#[derive(sqlx_macros::FromRow)]
struct SplitRow {
    client_id: Option<i64>,
    sweep_uuid: Option<String>,
    waited_ms: i64,
    waited_at_ms: Option<i64>,
    splits: i64,
}

/// The client and sweep of a mail; `None` if there is none.
#[derive(Debug, Clone, Default)]
pub(super) struct Origin {
    pub(super) client: Option<i64>,
    pub(super) sweep: Option<String>,
}

/// An unknown word in the database.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no kind of mail")]
struct InvalidKind(String);

pub(super) async fn insert(transaction: &mut Transaction, mail: &Mail, origin: &Origin) -> Result<(), sqlx::Error> {
    let created_at_ms = to_ms(mail.created_at);
    execute!(
        transaction,
        "INSERT INTO mails (id, recipient, kind, subject, body, status, created_at_ms, next_at_ms, attempts, client_id,
         sweep_uuid, thread_ids, export_command) VALUES (?, ?, ?, ?, ?, 'waiting', ?, ?, 0, ?, ?, ?, ?)",
        mail.id.to_string(),
        &mail.recipient,
        mail.kind.word(),
        &mail.subject,
        &mail.body,
        created_at_ms,
        created_at_ms,
        origin.client,
        origin.sweep.as_deref(),
        threads::to_column(&mail.thread),
        mail.export_command.as_deref()
    )?;
    attachments::insert(transaction, mail.id, &mail.attachments).await
}

pub(super) async fn sent(
    transaction: &mut Transaction,
    id: Uuid,
    at: Timestamp,
    answer: &str,
) -> Result<(), WriteError> {
    one(execute!(
        transaction,
        "UPDATE mails SET status = 'sent', sent_at_ms = ?, server_answer = ?, attempts = attempts + 1,
         next_at_ms = NULL, last_error = NULL WHERE id = ?",
        to_ms(at),
        answer,
        id.to_string()
    )?)?;
    Ok(attachments::empty(transaction, id).await?)
}

pub(super) async fn deferred(
    transaction: &mut Transaction,
    id: Uuid,
    attempts: u32,
    next_at: Timestamp,
    error: &str,
) -> Result<(), WriteError> {
    one(execute!(
        transaction,
        "UPDATE mails SET attempts = ?, next_at_ms = ?, last_error = ? WHERE id = ? AND status = 'waiting'",
        i64::from(attempts),
        to_ms(next_at),
        error,
        id.to_string()
    )?)
}

pub(super) async fn refused(
    transaction: &mut Transaction,
    id: Uuid,
    at: Timestamp,
    error: &str,
) -> Result<(), WriteError> {
    one(execute!(
        transaction,
        "UPDATE mails SET status = 'refused', attempts = attempts + 1, next_at_ms = NULL, refused_at_ms = ?,
         last_error = ? WHERE id = ? AND status = 'waiting'",
        to_ms(at),
        error,
        id.to_string()
    )?)
}

/// Replaces a mail that is too large with smaller ones. The first keeps its id; the others are new and belong to the
/// same client and sweep. All of them are due immediately and have waited as long.
pub(super) async fn split(
    transaction: &mut Transaction,
    id: Uuid,
    parts: &[Mail],
    reason: &str,
) -> Result<(), WriteError> {
    let key = id.to_string();
    let found = fetch_all!(
        transaction,
        SplitRow,
        "SELECT client_id, sweep_uuid, waited_ms, waited_at_ms, splits FROM mails WHERE id = ? AND status = 'waiting'",
        &key
    )?;
    let (Some(whole), Some((first, others))) = (found.into_iter().next(), parts.split_first()) else {
        return Err(WriteError::Refused(StoreErrorKind::NoSuchMail));
    };
    let splits = whole.splits.saturating_add(1);
    execute!(
        transaction,
        "UPDATE mails SET subject = ?, body = ?, next_at_ms = created_at_ms, attempts = attempts + 1, last_error = ?,
         splits = ? WHERE id = ?",
        &first.subject,
        &first.body,
        reason,
        splits,
        &key
    )?;
    execute!(transaction, "DELETE FROM mail_attachments WHERE mail_id = ?", &key)?;
    attachments::insert(transaction, id, &first.attachments).await?;
    let origin = Origin { client: whole.client_id, sweep: whole.sweep_uuid };
    for mail in others {
        insert(transaction, mail, &origin).await?;
        execute!(
            transaction,
            "UPDATE mails SET waited_ms = ?, waited_at_ms = ?, splits = ? WHERE id = ?",
            whole.waited_ms,
            whole.waited_at_ms,
            splits,
            mail.id.to_string()
        )?;
    }
    Ok(())
}

/// Adds the time since the last count to the waiting time of each waiting mail, at most `most`. If the clock was set
/// back, nothing is added.
pub(super) async fn waited(transaction: &mut Transaction, at: Timestamp, most: Duration) -> Result<(), sqlx::Error> {
    let (at_ms, most_ms) = (to_ms(at), to_count(u64::try_from(most.as_millis()).unwrap_or(u64::MAX)));
    // MariaDB sets columns from left to right, so the time must be the last.
    execute!(
        transaction,
        "UPDATE mails SET waited_ms = waited_ms + CASE
           WHEN COALESCE(waited_at_ms, created_at_ms) >= ? THEN 0
           WHEN COALESCE(waited_at_ms, created_at_ms) <= ? THEN ?
           ELSE ? - COALESCE(waited_at_ms, created_at_ms) END,
         waited_at_ms = ? WHERE status = 'waiting'",
        at_ms,
        at_ms.saturating_sub(most_ms),
        most_ms,
        at_ms,
        at_ms
    )
    .map(drop)
}

/// Checks that a change of one mail met one row.
fn one(rows: u64) -> Result<(), WriteError> {
    if rows == 1 { Ok(()) } else { Err(WriteError::Refused(StoreErrorKind::NoSuchMail)) }
}

pub(super) async fn due(
    pool: &ReadPool,
    now: Timestamp,
    due: Due,
    after: Option<Uuid>,
    most: u32,
) -> Result<(Vec<OutboxMail>, Unreadable), sqlx::Error> {
    let mut unreadable = Unreadable::default();
    let (latest, waited) = match due {
        Due::All => (i64::MAX, Duration::ZERO),
        Due::Ready => (to_ms(now), Duration::ZERO),
        Due::Waited(waited) => (i64::MAX, waited),
    };
    let mut transaction = pool.begin_read().await?;
    let mut after = after.map(|id| id.to_string()).unwrap_or_default();
    loop {
        let mut rows = fetch_readable!(
            &mut transaction,
            MailRow,
            &mut unreadable,
            "SELECT mails.id, mails.recipient, mails.kind, mails.subject, mails.body, mails.created_at_ms,
             mails.next_at_ms, mails.attempts, mails.waited_ms, mails.splits, mails.thread_ids, mails.export_command,
             mails.last_error, mails.sweep_uuid, clients.ip, clients.port
             FROM mails LEFT JOIN clients ON clients.id = mails.client_id
             WHERE mails.status = 'waiting' AND (mails.next_at_ms <= ? OR mails.next_at_ms > ?) AND mails.waited_ms >= ?
             AND mails.id > ? ORDER BY mails.id LIMIT ?",
            latest,
            to_ms(now).saturating_add(FARTHEST_MS),
            to_count(u64::try_from(waited.as_millis()).unwrap_or(u64::MAX)),
            &after,
            i64::from(most)
        )?;
        let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
        rows.truncate(attachments::loadable(&mut transaction, &ids).await?);
        let last = rows.last().map(|row| row.id.clone());
        let mut mails = Vec::with_capacity(rows.len());
        for row in rows {
            let attachments = attachments::of(&mut transaction, &row.id).await?;
            let Some(waiting) = unreadable.keep(OutboxMail::try_from(row)) else { continue };
            mails.push(OutboxMail { mail: Mail { attachments, ..waiting.mail }, ..waiting });
        }
        match last {
            // Only unreadable mails, so look further. They must not block others.
            Some(last) if mails.is_empty() => after = last,
            Some(_) | None => return Ok((mails, unreadable)),
        }
    }
}

impl TryFrom<MailRow> for OutboxMail {
    type Error = sqlx::Error;

    fn try_from(row: MailRow) -> Result<Self, sqlx::Error> {
        let created_at = from_ms(row.created_at_ms)?;
        let client = row.ip.zip(row.port).map(|(ip, port)| client_id(ip, port)).transpose()?;
        Ok(Self {
            mail: Mail {
                id: row.id.parse().map_err(unreadable)?,
                kind: kind_of(row.kind)?,
                recipient: row.recipient,
                subject: row.subject,
                body: row.body,
                attachments: Vec::new(),
                thread: threads::from_column(row.thread_ids.as_deref())?,
                export_command: row.export_command,
                created_at,
            },
            client,
            sweep: row.sweep_uuid.map(|sweep| sweep.parse().map(SweepId).map_err(unreadable)).transpose()?,
            attempts: from_count(row.attempts)?,
            waited: Duration::from_millis(from_count(row.waited_ms)?),
            splits: from_count(row.splits)?,
            next_at: row.next_at_ms.map_or(Ok(created_at), from_ms)?,
            last_error: row.last_error,
        })
    }
}

/// The kind of mail for a word.
pub(super) fn kind_of(word: String) -> Result<MailKind, sqlx::Error> {
    let kind = MailKind::ALL.into_iter().find(|kind| kind.word() == word);
    kind.ok_or_else(|| unreadable(InvalidKind(word)))
}

pub(super) async fn counts(pool: &ReadPool) -> Result<MailCounts, sqlx::Error> {
    let mut transaction = pool.begin_read().await?;
    let rows = fetch_all!(&mut transaction, (String, i64), "SELECT status, COUNT(*) FROM mails GROUP BY status")?;
    by_status(rows)
}

pub(super) async fn unsent(pool: &ReadPool) -> Result<MailCounts, sqlx::Error> {
    let mut transaction = pool.begin_read().await?;
    let query = "SELECT status, COUNT(*) FROM mails WHERE status IN ('waiting', 'refused') GROUP BY status";
    by_status(fetch_all!(&mut transaction, (String, i64), query)?)
}

fn by_status(rows: Vec<(String, i64)>) -> Result<MailCounts, sqlx::Error> {
    let mut counts = MailCounts::default();
    for (status, count) in rows {
        let count = from_count(count)?;
        match status.as_str() {
            "waiting" => counts.waiting = count,
            "sent" => counts.sent = count,
            _ => counts.refused += count,
        }
    }
    Ok(counts)
}

pub(super) async fn next_at(pool: &ReadPool) -> Result<Option<Timestamp>, sqlx::Error> {
    let mut transaction = pool.begin_read().await?;
    let (next,): (Option<i64>,) =
        fetch_one!(&mut transaction, (Option<i64>,), "SELECT MIN(next_at_ms) FROM mails WHERE status = 'waiting'")?;
    next.map(from_ms).transpose()
}
