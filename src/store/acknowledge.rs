//! Acknowledging an alert: no reminders from then on. Not the entry in the audit, which the writer adds.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    StoreErrorKind,
    pool::{Transaction, execute, fetch_one},
    to_ms,
    writer::Unwritten,
};
use crate::fleet::{ClientId, Metric};

/// The word of it in the audit.
pub(super) const ACTION: &str = "acknowledge";

/// Notes that an open alert was acknowledged. A second time changes nothing: what counts is when somebody knew.
pub(super) async fn set(
    transaction: &mut Transaction,
    client: &ClientId,
    metric: Metric,
    alert: Uuid,
    at: Timestamp,
) -> Result<(), Unwritten> {
    let met = execute!(
        transaction,
        "UPDATE alerts SET acknowledged_at_ms = COALESCE(acknowledged_at_ms, ?) WHERE id = ? AND metric = ?
         AND client_id = (SELECT id FROM clients WHERE ip = ? AND port = ?) AND resolved_at_ms IS NULL",
        to_ms(at),
        alert.to_string(),
        metric.word(),
        client.address(),
        i64::from(client.port())
    )?;
    if met > 0 {
        return Ok(());
    }
    let (ended,): (i64,) = fetch_one!(
        transaction,
        (i64,),
        "SELECT COUNT(*) FROM alerts WHERE id = ? AND resolved_at_ms IS NOT NULL",
        alert.to_string()
    )?;
    Err(Unwritten::Refused(if ended > 0 { StoreErrorKind::AlertEnded } else { StoreErrorKind::NoSuchAlert }))
}
