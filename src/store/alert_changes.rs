//! Writes changes of alerts by a judged collection, and acknowledgements by operators. The writer adds the audit entry.

use uuid::Uuid;

use super::{
    convert::{to_json, to_ms},
    error::StoreErrorKind,
    pool::{Transaction, execute, fetch_one},
    write::Acknowledgement,
    write_error::WriteError,
};
use crate::fleet::{
    alert::{Change, Notice, Step},
    mail::{Mail, MailKind},
};

/// Writes the change of an alert by a collection.
pub(super) async fn write(
    transaction: &mut Transaction,
    client: i64,
    change: &Change,
    ended_at_ms: i64,
) -> Result<(), sqlx::Error> {
    let alert = &change.alert;
    let id = alert.id.to_string();
    let notice = to_json(&change.notice)?;
    let raised_at_ms = to_ms(alert.raised_at);
    let resolved_at_ms = match change.step {
        Step::Raised | Step::Continues => None,
        Step::Resolved | Step::Gone | Step::Withdrawn => Some(ended_at_ms.max(raised_at_ms)),
    };
    // A collection does not change the acknowledgement, because it may have started before the operator acknowledged.
    let met = execute!(
        transaction,
        "UPDATE alerts SET limit_value = ?, last_value = ?, peak_value = ?, resolved_at_ms = ?, last_mail_at_ms = ?,
         notice = ? WHERE id = ?",
        alert.limit,
        alert.value,
        alert.peak,
        resolved_at_ms,
        alert.last_mail_at.map(to_ms),
        &notice,
        &id
    )?;
    if met == 0 {
        execute!(
            transaction,
            "INSERT INTO alerts (id, client_id, metric, instance, limit_value, last_value, peak_value, raised_at_ms,
             resolved_at_ms, last_mail_at_ms, acknowledged_at_ms, acknowledged_by, notice)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            &id,
            client,
            change.metric.word(),
            change.instance.name(),
            alert.limit,
            alert.value,
            alert.peak,
            raised_at_ms,
            resolved_at_ms,
            alert.last_mail_at.map(to_ms),
            alert.acknowledged_at.map(to_ms),
            alert.acknowledged_by.as_deref(),
            &notice
        )?;
    }
    Ok(())
}

/// Stores which mails are about which alerts: each alert mail of a collection is about all changes that are mailed.
pub(super) async fn link_mails(
    transaction: &mut Transaction,
    changes: &[Change],
    mails: &[Mail],
) -> Result<(), sqlx::Error> {
    for change in changes.iter().filter(|change| matches!(change.notice, Notice::Send(_))) {
        for mail in mails {
            match mail.kind {
                MailKind::Alert | MailKind::Recovery => {}
                MailKind::Events | MailKind::Test | MailKind::Trouble => continue,
            }
            execute!(
                transaction,
                "INSERT INTO alert_mails (alert_id, mail_id) VALUES (?, ?)",
                change.alert.id.to_string(),
                mail.id.to_string()
            )?;
        }
    }
    Ok(())
}

/// Stores that an open alert was acknowledged, and by whom. If it is acknowledged already, nothing changes, because the
/// first acknowledgement counts.
pub(super) async fn acknowledge(transaction: &mut Transaction, given: &Acknowledgement) -> Result<(), WriteError> {
    let Acknowledgement { client, alert, at, actor, .. } = given;
    let about = given.about();
    // The order matters: in MariaDB the second expression sees the new value of the first.
    let met = execute!(
        transaction,
        "UPDATE alerts SET acknowledged_by = CASE WHEN acknowledged_at_ms IS NULL THEN ? ELSE acknowledged_by END,
         acknowledged_at_ms = COALESCE(acknowledged_at_ms, ?) WHERE id = ? AND metric = ?
         AND instance = ? AND client_id = (SELECT id FROM clients WHERE ip = ? AND port = ?) AND resolved_at_ms IS NULL",
        actor,
        to_ms(*at),
        alert.to_string(),
        about.metric.word(),
        about.instance.name(),
        client.address(),
        i64::from(client.port())
    )?;
    if met > 0 { Ok(()) } else { Err(not_open(transaction, *alert).await?) }
}

/// Stores that the acknowledgement of an open alert was withdrawn.
pub(super) async fn unacknowledge(
    transaction: &mut Transaction,
    withdrawn: &Acknowledgement,
) -> Result<(), WriteError> {
    let Acknowledgement { client, alert, .. } = withdrawn;
    let about = withdrawn.about();
    let met = execute!(
        transaction,
        "UPDATE alerts SET acknowledged_by = NULL, acknowledged_at_ms = NULL WHERE id = ? AND metric = ?
         AND instance = ? AND client_id = (SELECT id FROM clients WHERE ip = ? AND port = ?) AND resolved_at_ms IS NULL",
        alert.to_string(),
        about.metric.word(),
        about.instance.name(),
        client.address(),
        i64::from(client.port())
    )?;
    if met > 0 { Ok(()) } else { Err(not_open(transaction, *alert).await?) }
}

/// Why there was no matching open alert.
async fn not_open(transaction: &mut Transaction, alert: Uuid) -> Result<WriteError, sqlx::Error> {
    let (ended,): (i64,) = fetch_one!(
        transaction,
        (i64,),
        "SELECT COUNT(*) FROM alerts WHERE id = ? AND resolved_at_ms IS NOT NULL",
        alert.to_string()
    )?;
    Ok(WriteError::Refused(if ended > 0 { StoreErrorKind::AlertEnded } else { StoreErrorKind::NoSuchAlert }))
}
