//! Queries for lists: the security events of a client, the mails.

use jiff::Timestamp;

use super::{
    attachments,
    convert::{from_count, from_ms, unreadable},
    outbox,
    pages::{self, List, Totals},
    read_pool::ReadPool,
    readable::{Unreadable, fetch_readable},
};
use crate::fleet::{
    ClientId,
    history::{EventRow, MailRow, MailStatus},
    listing::{Page, Part},
};

pub(super) async fn security_events(
    pool: &ReadPool,
    client: &ClientId,
    most: u32,
) -> Result<(Vec<EventRow>, Unreadable), sqlx::Error> {
    let mut unreadable = Unreadable::default();
    let mut transaction = pool.begin_read().await?;
    let rows: Vec<(i64, String, String, String)> = fetch_readable!(
        &mut transaction,
        (i64, String, String, String),
        &mut unreadable,
        "SELECT occurred_at_ms, level, source, message FROM security_events
         WHERE client_id = (SELECT id FROM clients WHERE ip = ? AND port = ?)
         ORDER BY occurred_at_ms DESC, id DESC LIMIT ?",
        client.address(),
        i64::from(client.port()),
        i64::from(most)
    )?;
    let event = |(at, level, source, message)| EventRow { at: by_their_clock(at), level, source, message };
    Ok((rows.into_iter().map(event).collect(), unreadable))
}

/// The clock of a client may have any value. Times outside the calendar become the first or last one.
fn by_their_clock(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

#[derive(sqlx_macros::FromRow)]
struct Row {
    id: String,
    kind: String,
    recipient: String,
    subject: String,
    body: String,
    status: String,
    created_at_ms: i64,
    next_at_ms: Option<i64>,
    sent_at_ms: Option<i64>,
    attempts: i64,
    last_error: Option<String>,
    server_answer: Option<String>,
}

/// All mails.
const LIST: List = List {
    columns: "kind, recipient, subject, body, status, created_at_ms, next_at_ms, sent_at_ms, attempts, last_error,
     server_answer, id",
    bind: None,
    from: "mails /*! FORCE INDEX (mails_by_time) */",
    counted: "mails",
    condition: "1 = 1",
    order: "created_at_ms",
    id: "id",
};

/// A page of the mails by the time at which they were decided.
pub(super) async fn mails(
    pool: &ReadPool,
    totals: &Totals,
    part: Part,
    most: u32,
) -> Result<Page<MailRow>, sqlx::Error> {
    let mut transaction = pool.begin_read().await?;
    let mut found = pages::fetch::<Row, MailRow>(&mut transaction, &LIST, part, most).await?;
    let ids: Vec<String> = found.rows.iter().map(|row| row.id.to_string()).collect();
    let mut attached = attachments::rows(&mut transaction, &ids).await?;
    for (row, id) in found.rows.iter_mut().zip(&ids) {
        row.attachments = attached.remove(id).unwrap_or_default();
    }
    pages::page(&mut transaction, &LIST, totals, part, found).await
}

impl TryFrom<Row> for MailRow {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        let created_at = from_ms(row.created_at_ms)?;
        let status = match row.status.as_str() {
            "waiting" => MailStatus::Waiting { next_at: row.next_at_ms.map_or(Ok(created_at), from_ms)? },
            "sent" => MailStatus::Sent { at: row.sent_at_ms.map_or(Ok(created_at), from_ms)? },
            _ => MailStatus::Refused,
        };
        Ok(Self {
            id: row.id.parse().map_err(unreadable)?,
            kind: outbox::kind_of(row.kind)?,
            recipient: row.recipient,
            subject: row.subject,
            body: row.body,
            attachments: Vec::new(),
            created_at,
            status,
            attempts: from_count(row.attempts)?,
            answer: row.server_answer.or(row.last_error),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_of_a_client_is_one_of_ours() {
        for (ms, expected) in [(0, Timestamp::UNIX_EPOCH), (i64::MIN, Timestamp::MIN), (i64::MAX, Timestamp::MAX)] {
            assert_eq!(by_their_clock(ms), expected, "{ms}");
        }
    }
}
