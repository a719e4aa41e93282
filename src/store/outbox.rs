//! The outbox: mails that were decided, until the SMTP server took or refused them, and after. Not their
//! sending, and not the back-off.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    from_count, from_ms,
    pool::{Pool, Transaction, execute, fetch_all, fetch_one},
    to_ms, unreadable,
};
use crate::fleet::mail::{Mail, MailKind};

/// Which waiting mails are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Every one, whatever its back-off.
    All,
    /// Those whose time has come.
    Ready,
}

/// A waiting mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxMail {
    /// The mail itself.
    pub mail: Mail,
    /// How often it was offered.
    pub attempts: u32,
    /// When it is to be offered next.
    pub next_at: Timestamp,
    /// Why it was not taken when it was last offered.
    pub last_error: Option<String>,
}

/// Mails by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MailCounts {
    /// Not yet accepted by the SMTP server.
    pub waiting: u64,
    /// Accepted.
    pub sent: u64,
    /// Refused for good.
    pub refused: u64,
}

#[derive(sqlx::FromRow)]
struct MailRow {
    id: String,
    recipient: String,
    kind: String,
    subject: String,
    body: String,
    created_at_ms: i64,
    next_at_ms: Option<i64>,
    attempts: i64,
    last_error: Option<String>,
}

/// A word in the database that names nothing.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no kind of mail")]
struct NotAKind(String);

pub(super) async fn insert(transaction: &mut Transaction, mail: &Mail) -> Result<(), sqlx::Error> {
    let created_at_ms = to_ms(mail.created_at);
    execute!(
        transaction,
        "INSERT INTO mails (id, recipient, kind, subject, body, status, created_at_ms, next_at_ms, attempts)
         VALUES (?, ?, ?, ?, ?, 'waiting', ?, ?, 0)",
        mail.id.to_string(),
        &mail.recipient,
        mail.kind.word(),
        &mail.subject,
        &mail.body,
        created_at_ms,
        created_at_ms
    )?;
    Ok(())
}

pub(super) async fn sent(
    transaction: &mut Transaction,
    id: Uuid,
    at: Timestamp,
    answer: &str,
) -> Result<(), sqlx::Error> {
    one(execute!(
        transaction,
        "UPDATE mails SET status = 'sent', sent_at_ms = ?, server_answer = ?, attempts = attempts + 1,
         next_at_ms = NULL, last_error = NULL WHERE id = ?",
        to_ms(at),
        answer,
        id.to_string()
    )?)
}

pub(super) async fn deferred(
    transaction: &mut Transaction,
    id: Uuid,
    attempts: u32,
    next_at: Timestamp,
    error: &str,
) -> Result<(), sqlx::Error> {
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
) -> Result<(), sqlx::Error> {
    one(execute!(
        transaction,
        "UPDATE mails SET status = 'refused', attempts = attempts + 1, next_at_ms = NULL, refused_at_ms = ?,
         last_error = ? WHERE id = ? AND status = 'waiting'",
        to_ms(at),
        error,
        id.to_string()
    )?)
}

/// A change of one mail has met one row.
fn one(rows: u64) -> Result<(), sqlx::Error> {
    if rows == 1 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}

pub(super) async fn due(
    pool: &Pool,
    now: Timestamp,
    due: Due,
    after: Option<Uuid>,
    most: u32,
) -> Result<Vec<OutboxMail>, sqlx::Error> {
    let latest = match due {
        Due::All => i64::MAX,
        Due::Ready => to_ms(now),
    };
    let mut transaction = pool.begin_read().await?;
    let rows = fetch_all!(
        &mut transaction,
        MailRow,
        "SELECT id, recipient, kind, subject, body, created_at_ms, next_at_ms, attempts, last_error FROM mails
         WHERE status = 'waiting' AND next_at_ms <= ? AND id > ? ORDER BY id LIMIT ?",
        latest,
        after.map(|id| id.to_string()).unwrap_or_default(),
        i64::from(most)
    )?;
    rows.into_iter().map(OutboxMail::try_from).collect()
}

impl TryFrom<MailRow> for OutboxMail {
    type Error = sqlx::Error;

    fn try_from(row: MailRow) -> Result<Self, sqlx::Error> {
        let kind = MailKind::ALL.into_iter().find(|kind| kind.word() == row.kind);
        let created_at = from_ms(row.created_at_ms)?;
        Ok(Self {
            mail: Mail {
                id: row.id.parse().map_err(unreadable)?,
                kind: kind.ok_or_else(|| unreadable(NotAKind(row.kind)))?,
                recipient: row.recipient,
                subject: row.subject,
                body: row.body,
                created_at,
            },
            attempts: from_count(row.attempts)?,
            next_at: row.next_at_ms.map_or(Ok(created_at), from_ms)?,
            last_error: row.last_error,
        })
    }
}

pub(super) async fn counts(pool: &Pool) -> Result<MailCounts, sqlx::Error> {
    let mut transaction = pool.begin_read().await?;
    let rows: Vec<(String, i64)> =
        fetch_all!(&mut transaction, (String, i64), "SELECT status, COUNT(*) FROM mails GROUP BY status")?;
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

pub(super) async fn next_at(pool: &Pool) -> Result<Option<Timestamp>, sqlx::Error> {
    let mut transaction = pool.begin_read().await?;
    let (next,): (Option<i64>,) =
        fetch_one!(&mut transaction, (Option<i64>,), "SELECT MIN(next_at_ms) FROM mails WHERE status = 'waiting'")?;
    next.map(from_ms).transpose()
}
