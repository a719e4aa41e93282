//! Queries of alerts for display: open and ended ones, with the mails about them.

use std::collections::HashMap;

use super::{
    convert::{client_id, from_ms, unreadable},
    pages::{self, List, Totals},
    pool::{Transaction, fetch_all, fetch_of, fetch_one},
    read_pool::ReadPool,
    readable::{Unreadable, fetch_readable, fetch_readable_of},
};
use crate::fleet::{
    SweepId,
    alert::{Acknowledged, HoldReason, Notice, NoticeReason},
    alerts::{AlertEnd, AlertView},
    history::AlertRow,
    listing::{Page, Part},
    metric::Instance,
};

/// The most ended alerts that are loaded.
const ENDED: i64 = 200;

#[derive(sqlx_macros::FromRow)]
pub(super) struct Row {
    id: String,
    pub(super) client_id: i64,
    ip: String,
    port: i64,
    pub(super) metric: String,
    instance: String,
    limit_value: f64,
    last_value: f64,
    pub(super) peak_value: f64,
    raised_at_ms: i64,
    resolved_at_ms: Option<i64>,
    pub(super) acknowledged_at_ms: Option<i64>,
    acknowledged_by: Option<String>,
    notice: String,
    mailed_in: Option<String>,
}

/// The columns of an alert. The parameter is the time up to which mails count.
///
/// The ids of mails increase with time, so the highest id is the newest mail.
macro_rules! alert_columns {
    () => {
        "alerts.id, alerts.client_id, clients.ip, clients.port, alerts.metric, alerts.instance,
         alerts.limit_value, alerts.last_value, alerts.peak_value, alerts.raised_at_ms, alerts.resolved_at_ms,
         alerts.acknowledged_at_ms, alerts.acknowledged_by, alerts.notice,
         (SELECT mails.sweep_uuid FROM alert_mails JOIN mails ON mails.id = alert_mails.mail_id
          WHERE alert_mails.alert_id = alerts.id AND mails.created_at_ms <= ?
          ORDER BY alert_mails.mail_id DESC LIMIT 1) AS mailed_in"
    };
}

/// The query for alerts that meet a condition.
macro_rules! alerts_sql {
    ($condition:literal) => {
        concat!(
            "SELECT ",
            alert_columns!(),
            " FROM alerts JOIN clients ON clients.id = alerts.client_id WHERE ",
            $condition
        )
    };
}

/// Which were open at a time. However many alerts there are, at most half of them are looked at, in an index that has all
/// that is needed: those that had been raised, or those that had not ended, whichever are likely to be fewer. An index that
/// a database is not to take is kept from it by the sign before a column; MariaDB is told which to take.
async fn ids_open_at(transaction: &mut Transaction, at_ms: i64) -> Result<Vec<String>, sqlx::Error> {
    let (first, last): (Option<i64>, Option<i64>) = fetch_one!(
        transaction,
        (Option<i64>, Option<i64>),
        "SELECT (SELECT MIN(raised_at_ms) FROM alerts), (SELECT MAX(raised_at_ms) FROM alerts)"
    )?;
    let is_early = first.zip(last).is_some_and(|(first, last)| at_ms < first.midpoint(last));
    let sql = if is_early {
        "SELECT id FROM alerts /*! FORCE INDEX (alerts_by_time) */
         WHERE raised_at_ms <= ? AND (+resolved_at_ms IS NULL OR +resolved_at_ms > ?)"
    } else {
        "SELECT id FROM alerts /*! FORCE INDEX (alerts_by_end) */
         WHERE +raised_at_ms <= ? AND resolved_at_ms > ?
         UNION ALL SELECT id FROM alerts /*! FORCE INDEX (alerts_by_end) */
         WHERE +raised_at_ms <= ? AND resolved_at_ms IS NULL"
    };
    let ids: Vec<(String,)> = if is_early {
        fetch_all!(transaction, (String,), sql, at_ms, at_ms)?
    } else {
        fetch_all!(transaction, (String,), sql, at_ms, at_ms, at_ms)?
    };
    Ok(ids.into_iter().map(|(id,)| id).collect())
}

/// The alerts that were open at a time, oldest first.
pub(super) async fn open_at(
    transaction: &mut Transaction,
    at_ms: i64,
    unreadable: &mut Unreadable,
) -> Result<Vec<Row>, sqlx::Error> {
    let ids = ids_open_at(transaction, at_ms).await?;
    let columns = alert_columns!().replace('?', &at_ms.to_string());
    let mut rows = fetch_readable_of!(
        transaction,
        Row,
        unreadable,
        "SELECT {columns} FROM alerts JOIN clients ON clients.id = alerts.client_id WHERE alerts.id IN ({})",
        ids
    )?;
    rows.sort_by(|one, other| (one.raised_at_ms, &one.id).cmp(&(other.raised_at_ms, &other.id)));
    Ok(rows)
}

/// The alerts that are open now, oldest first.
pub(super) async fn open(transaction: &mut Transaction, unreadable: &mut Unreadable) -> Result<Vec<Row>, sqlx::Error> {
    fetch_readable!(
        transaction,
        Row,
        unreadable,
        alerts_sql!("alerts.resolved_at_ms IS NULL ORDER BY alerts.raised_at_ms, alerts.id"),
        i64::MAX
    )
}

/// The alerts that are open now, for display.
pub(super) async fn open_views(pool: &ReadPool) -> Result<(Vec<AlertView>, Unreadable), sqlx::Error> {
    let mut unreadable = Unreadable::default();
    let mut transaction = pool.begin_read().await?;
    let rows = open(&mut transaction, &mut unreadable).await?;
    Ok((unreadable.convert(rows), unreadable))
}

/// The alerts that had ended last at a time, the last one first.
pub(super) async fn ended_at(
    transaction: &mut Transaction,
    at_ms: i64,
    unreadable: &mut Unreadable,
) -> Result<Vec<Row>, sqlx::Error> {
    fetch_readable!(
        transaction,
        Row,
        unreadable,
        alerts_sql!("alerts.resolved_at_ms <= ? ORDER BY alerts.resolved_at_ms DESC, alerts.id DESC LIMIT ?"),
        at_ms,
        at_ms,
        ENDED
    )
}

/// All alerts.
const LIST: List = List {
    columns: alert_columns!(),
    // All mails count.
    bind: Some(i64::MAX),
    // Each alert has its client. With this join, SQLite reads the alerts by time and not client by client.
    from: "alerts /*! FORCE INDEX (alerts_by_time) */ LEFT JOIN clients ON clients.id = alerts.client_id",
    counted: "alerts",
    condition: "1 = 1",
    order: "alerts.raised_at_ms",
    id: "alerts.id",
};

/// A page of the alerts by the time at which they were raised, with the mails about them.
pub(super) async fn page(
    pool: &ReadPool,
    totals: &Totals,
    part: Part,
    most: u32,
) -> Result<Page<AlertRow>, sqlx::Error> {
    let mut transaction = pool.begin_read().await?;
    let mut found = pages::fetch::<Row, AlertRow>(&mut transaction, &LIST, part, most).await?;
    let ids: Vec<String> = found.rows.iter().map(|row| row.id.to_string()).collect();
    let mut mails = mails(&mut transaction, &ids).await?;
    for (row, id) in found.rows.iter_mut().zip(&ids) {
        row.mails = mails.remove(id).unwrap_or_default();
    }
    pages::page(&mut transaction, &LIST, totals, part, found).await
}

impl TryFrom<Row> for AlertRow {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        let id = row.id.parse().map_err(unreadable)?;
        Ok(Self { id, alert: AlertView::try_from(row)?, mails: Vec::new() })
    }
}

#[derive(sqlx_macros::FromRow)]
struct Told {
    alert_id: String,
    recipient: String,
    status: String,
    last_error: Option<String>,
}

/// The newest mails about each alert, newest first. Eight at most, because with `repeat="every"` there is one per
/// sweep.
async fn mails(transaction: &mut Transaction, alerts: &[String]) -> Result<HashMap<String, Vec<String>>, sqlx::Error> {
    let told = fetch_of!(
        transaction,
        Told,
        "SELECT alert_id, recipient, status, last_error FROM
         (SELECT alert_mails.alert_id AS alert_id, mails.recipient AS recipient, mails.status AS status,
          mails.last_error AS last_error,
          ROW_NUMBER() OVER (PARTITION BY alert_mails.alert_id ORDER BY alert_mails.mail_id DESC) AS place
          FROM alert_mails JOIN mails ON mails.id = alert_mails.mail_id WHERE alert_mails.alert_id IN ({})) AS newest
         WHERE place <= 8 ORDER BY alert_id, place",
        alerts
    )?;
    let mut mails: HashMap<String, Vec<String>> = HashMap::new();
    for Told { alert_id, recipient, status, last_error } in told {
        mails.entry(alert_id).or_default().push(match (status.as_str(), last_error) {
            ("refused", Some(error)) => format!("{recipient}: refused: {error}"),
            (status, _) => format!("{recipient}: {status}"),
        });
    }
    Ok(mails)
}

impl TryFrom<Row> for AlertView {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        let notice: Notice = serde_json::from_str(&row.notice).map_err(unreadable)?;
        let end = match notice {
            // The judge uses these reasons for no other end.
            Notice::Hold(HoldReason::RuleRemoved) => AlertEnd::Withdrawn,
            Notice::Hold(HoldReason::Gone) | Notice::Send(NoticeReason::Gone) => AlertEnd::Gone,
            Notice::Hold(_) | Notice::Send(_) => AlertEnd::Resolved,
        };
        Ok(Self {
            client: client_id(row.ip, row.port)?,
            metric: row.metric.parse().map_err(unreadable)?,
            instance: Instance::new(&row.instance),
            limit: row.limit_value,
            value: row.last_value,
            raised_at: from_ms(row.raised_at_ms)?,
            ended: row.resolved_at_ms.map(|at| from_ms(at).map(|at| (at, end))).transpose()?,
            notice,
            mailed_in: row.mailed_in.map(|sweep| sweep.parse().map(SweepId).map_err(unreadable)).transpose()?,
            acknowledged: match row.acknowledged_at_ms {
                Some(at) => Acknowledged::By { at: from_ms(at)?, actor: row.acknowledged_by },
                None => Acknowledged::No,
            },
        })
    }
}
