//! The earlier mails to which a mail is a reply: the first mails to its recipient about the same alerts; for security
//! events, the first one about the same client. The headers are in `mail`.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    convert::unreadable,
    pool::{Transaction, fetch_all},
};
use crate::fleet::{
    alert::{Change, Notice, Step},
    mail::{Mail, MailKind},
};

/// The first mail about the security events of a client to each recipient, as far as queried. It is kept after the mail
/// is deleted from the database, so that the thread continues.
#[derive(Debug, Clone, Default)]
pub(super) struct FirstEvents(HashMap<String, Uuid>);

/// The mails to which this one is a reply, oldest first. Must be called before it is stored.
pub(super) async fn of(
    transaction: &mut Transaction,
    client: i64,
    first_events: &mut FirstEvents,
    changes: &[Change],
    mail: &Mail,
) -> Result<Vec<Uuid>, sqlx::Error> {
    match mail.kind {
        MailKind::Alert | MailKind::Recovery => under_alerts(transaction, changes, mail).await,
        MailKind::Events => under_events(transaction, client, first_events, mail).await,
        MailKind::Test | MailKind::Trouble => Ok(Vec::new()),
    }
}

/// The first mail to the same recipient about each alert of this mail.
async fn under_alerts(
    transaction: &mut Transaction,
    changes: &[Change],
    mail: &Mail,
) -> Result<Vec<Uuid>, sqlx::Error> {
    let mut thread = Vec::new();
    for change in changes {
        match (change.notice, change.step) {
            (Notice::Hold(_), _) | (_, Step::Raised) => continue,
            (Notice::Send(_), Step::Continues | Step::Resolved | Step::Gone | Step::Withdrawn) => {}
        }
        // The ids of mails increase with time.
        let first: Vec<(String,)> = fetch_all!(
            transaction,
            (String,),
            "SELECT mails.id FROM alert_mails JOIN mails ON mails.id = alert_mails.mail_id
             WHERE alert_mails.alert_id = ? AND mails.recipient = ? ORDER BY mails.id LIMIT 1",
            change.alert.id.to_string(),
            &mail.recipient
        )?;
        for (id,) in first {
            thread.push(id.parse().map_err(unreadable)?);
        }
    }
    thread.sort_unstable();
    thread.dedup();
    Ok(thread)
}

async fn under_events(
    transaction: &mut Transaction,
    client: i64,
    FirstEvents(known): &mut FirstEvents,
    mail: &Mail,
) -> Result<Vec<Uuid>, sqlx::Error> {
    if let Some(first) = known.get(&mail.recipient) {
        return Ok(vec![*first]);
    }
    let first: Vec<(String,)> = fetch_all!(
        transaction,
        (String,),
        "SELECT id FROM mails WHERE client_id = ? AND kind = ? AND recipient = ? ORDER BY id LIMIT 1",
        client,
        mail.kind.word(),
        &mail.recipient
    )?;
    let first = first.into_iter().next().map(|(id,)| id.parse().map_err(unreadable)).transpose()?;
    known.insert(mail.recipient.clone(), first.unwrap_or(mail.id));
    Ok(first.into_iter().collect())
}

/// The value of the column.
pub(super) fn to_column(thread: &[Uuid]) -> Option<String> {
    let ids: Vec<String> = thread.iter().map(ToString::to_string).collect();
    (!ids.is_empty()).then(|| ids.join(" "))
}

/// Parses the column.
pub(super) fn from_column(column: Option<&str>) -> Result<Vec<Uuid>, sqlx::Error> {
    column.unwrap_or_default().split_whitespace().map(|id| id.parse().map_err(unreadable)).collect()
}
