//! The rows of the views a page at a time, so that an export of any length takes little memory and no query of it
//! long. Not their format.
//!
//! Rows are found by client and time, for which every table has an index, and come in that order: client after
//! client, the oldest first. A page goes on behind the time and id of the last row, so that rows of the same
//! millisecond are neither lost nor doubled between two pages. Only mails come by time alone: to which client a
//! mail belongs is not in its view, and some belong to none.

use std::{collections::HashSet, vec};

use jiff::Timestamp;
use sqlx::{ColumnIndex, Decode, Type};

use super::{
    Reader, StoreError, client_id,
    pool::{fetch_all, on_driver},
    reads::Reads,
    to_ms,
};
use crate::fleet::{
    ClientId,
    rows::{Cell, Column, Kind, Row, View},
};

/// Rows of one query.
const PAGE: i64 = 1000;

/// A client of which the database has something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredClient {
    key: i64,
    /// Which client.
    pub id: ClientId,
    /// Its name in the configuration when it was last collected.
    pub name: String,
}

/// Which rows are meant.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Those of these clients; `None` for all there are, those of no client included.
    pub clients: Option<Vec<StoredClient>>,
    /// Those from then on.
    pub since: Option<Timestamp>,
    /// Those from before then.
    pub until: Option<Timestamp>,
}

/// The rows of one view, page after page. Between two pages no query and no transaction is under way.
#[derive(Debug)]
pub struct Pages {
    reader: Reader,
    view: View,
    page: i64,
    /// Whose mails are meant; `None` for all.
    owners: Option<HashSet<i64>>,
    first: Position,
    /// The latest time that is meant.
    until_ms: i64,
    /// What is gone through one after the other: the clients, or in one go the mails.
    parts: vec::IntoIter<i64>,
    /// The part that is being gone through, and where it goes on.
    current: Option<(i64, Position)>,
}

/// A place between two rows of a part.
#[derive(Debug, Clone)]
pub(super) struct Position {
    at_ms: i64,
    id: Id,
    /// For cores, of which one id has many.
    core: i64,
}

#[derive(Debug, Clone)]
enum Id {
    Number(i64),
    Text(String),
}

/// A row, where it stands, and for mails whose it is.
#[derive(Debug)]
pub(super) struct Found {
    row: Row,
    position: Position,
    owner: Option<i64>,
}

impl Pages {
    pub(super) async fn of(reader: Reader, view: View, wanted: Wanted) -> Result<Self, StoreError> {
        let (owners, parts) = match (view, wanted.clients) {
            (View::Mails, clients) => {
                (clients.map(|clients| clients.iter().map(|client| client.key).collect()), vec![0])
            }
            (_, Some(clients)) => (None, clients.iter().map(|client| client.key).collect()),
            (_, None) => (None, reader.stored_clients().await?.iter().map(|client| client.key).collect()),
        };
        let id = match view {
            View::Samples | View::Cores | View::Events => Id::Number(i64::MIN),
            View::Alerts | View::Mails => Id::Text(String::new()),
        };
        Ok(Self {
            reader,
            view,
            page: PAGE,
            owners,
            first: Position { at_ms: wanted.since.map_or(i64::MIN, ceiling_ms), id, core: i64::MIN },
            // A client's clock may say any time, so that without a bound there is none.
            until_ms: wanted.until.map_or(i64::MAX, |until| ceiling_ms(until).saturating_sub(1)),
            parts: parts.into_iter(),
            current: None,
        })
    }

    /// The next rows; `None` after the last. Rows that are stored meanwhile may be among them.
    ///
    /// # Errors
    /// Why the database did not answer.
    pub async fn next_page(&mut self) -> Result<Option<Vec<Row>>, StoreError> {
        loop {
            let next = self.current.take().or_else(|| self.parts.next().map(|part| (part, self.first.clone())));
            let Some((part, after)) = next else { return Ok(None) };
            let found = self.reader.page(self.view, part, &after, self.until_ms, self.page).await?;
            let whole = i64::try_from(found.len()).is_ok_and(|count| count >= self.page);
            self.current = found.last().filter(|_| whole).map(|last| (part, last.position.clone()));
            let meant = |found: &Found| match &self.owners {
                Some(owners) => found.owner.is_some_and(|owner| owners.contains(&owner)),
                None => true,
            };
            let rows: Vec<Row> = found.into_iter().filter(meant).map(|found| found.row).collect();
            if !rows.is_empty() {
                return Ok(Some(rows));
            }
        }
    }

    /// The same in pages of another size.
    #[must_use]
    pub fn in_pages_of(self, rows: u32) -> Self {
        Self { page: rows.max(1).into(), ..self }
    }
}

/// The first millisecond that is not before a time.
fn ceiling_ms(at: Timestamp) -> i64 {
    let ms = to_ms(at);
    if Timestamp::from_millisecond(ms).is_ok_and(|whole| whole < at) { ms.saturating_add(1) } else { ms }
}

pub(super) async fn stored_clients(pool: &Reads) -> Result<Vec<StoredClient>, sqlx::Error> {
    let mut transaction = pool.begin_read().await?;
    let rows: Vec<(i64, String, i64, String)> =
        fetch_all!(&mut transaction, (i64, String, i64, String), "SELECT id, ip, port, name FROM clients ORDER BY id")?;
    rows.into_iter().map(|(key, ip, port, name)| Ok(StoredClient { key, id: client_id(ip, port)?, name })).collect()
}

/// A query for rows after a place: the columns of the view, then time and id, then a further column of the view's
/// own. MariaDB would sort all that is left of a client in place of taking the index.
macro_rules! page_sql {
    ($columns:literal, $from:literal, $part:literal, $at:literal, $id:literal, $further:literal, $behind:literal) => {
        concat!(
            "SELECT ",
            $columns,
            ", ",
            $at,
            ", ",
            $id,
            ", ",
            $further,
            " FROM ",
            $from,
            " WHERE ",
            $part,
            " AND ",
            $at,
            " >= ? AND ",
            $at,
            " <= ? AND (",
            $at,
            " > ? OR ",
            $id,
            " > ?",
            $behind,
            ") ORDER BY ",
            $at,
            ", ",
            $id
        )
    };
}

pub(super) fn sql(view: View) -> &'static str {
    match view {
        View::Samples => page_sql!(
            "clients.ip, clients.port, clients.name, collections.host_name, collections.collected_at_ms,
             collections.cpu_percent, collections.memory_total_bytes, collections.memory_used_bytes,
             collections.memory_percent, collections.swap_total_bytes, collections.swap_used_bytes,
             collections.swap_percent, collections.uptime_seconds, collections.load_1, collections.load_5,
             collections.load_15, collections.disk_percent",
            "collections /*! FORCE INDEX (collections_by_sample) */
             JOIN clients ON clients.id = collections.client_id",
            "collections.client_id = ?",
            "collections.collected_at_ms",
            "collections.id",
            "collections.client_id",
            ""
        ),
        View::Cores => concat!(
            page_sql!(
                "clients.ip, clients.port, collections.collected_at_ms, cores.core, cores.cpu_percent",
                "collections /*! FORCE INDEX (collections_by_sample) */
                 JOIN clients ON clients.id = collections.client_id
                 JOIN cores ON cores.collection_id = collections.id",
                "collections.client_id = ?",
                "collections.collected_at_ms",
                "collections.id",
                "cores.core",
                " OR (collections.id = ? AND cores.core > ?)"
            ),
            ", cores.core"
        ),
        View::Alerts => page_sql!(
            "clients.ip, clients.port, alerts.metric, alerts.limit_value, alerts.last_value, alerts.raised_at_ms,
             alerts.resolved_at_ms, alerts.last_mail_at_ms",
            "alerts /*! FORCE INDEX (alerts_by_client) */ JOIN clients ON clients.id = alerts.client_id",
            "alerts.client_id = ?",
            "alerts.raised_at_ms",
            "alerts.id",
            "alerts.client_id",
            ""
        ),
        View::Events => page_sql!(
            "clients.ip, clients.port, security_events.channel, security_events.record_id, security_events.event_id,
             security_events.level, security_events.occurred_at_ms, security_events.source, security_events.message",
            "security_events /*! FORCE INDEX (security_events_by_time) */
             JOIN clients ON clients.id = security_events.client_id",
            "security_events.client_id = ?",
            "security_events.occurred_at_ms",
            "security_events.id",
            "security_events.client_id",
            ""
        ),
        View::Mails => page_sql!(
            "recipient, kind, subject, body, status, created_at_ms, sent_at_ms, attempts, last_error",
            "mails /*! FORCE INDEX (mails_by_time) */",
            "0 = ?",
            "created_at_ms",
            "id",
            "client_id",
            ""
        ),
    }
}

pub(super) async fn page(
    pool: &Reads,
    view: View,
    part: i64,
    after: &Position,
    until_ms: i64,
    most: i64,
) -> Result<Vec<Found>, sqlx::Error> {
    let Position { at_ms, id, core } = after;
    let mut binds = vec![Id::Number(part), Id::Number(*at_ms), Id::Number(until_ms), Id::Number(*at_ms), id.clone()];
    if view == View::Cores {
        binds.extend([id.clone(), Id::Number(*core)]);
    }
    binds.push(Id::Number(most));
    let sql = format!("{} LIMIT ?", sql(view));
    let mut transaction = pool.begin_read().await?;
    let found = on_driver!(&mut transaction, |connection, text| {
        let mut query = sqlx::query(text(sql.into()));
        for bind in &binds {
            query = match bind {
                Id::Number(number) => query.bind(*number),
                Id::Text(text) => query.bind(text.as_str()),
            };
        }
        let rows = query.fetch_all(connection).await?;
        rows.iter().map(|row| found(row, view)).collect::<Result<Vec<_>, _>>()
    })?;
    // Before the rows are written somewhere: a reader of ours may be slow.
    transaction.commit().await?;
    Ok(found)
}

fn found<'r, R>(row: &'r R, view: View) -> Result<Found, sqlx::Error>
where
    R: sqlx::Row,
    usize: ColumnIndex<R>,
    i64: Type<R::Database> + Decode<'r, R::Database>,
    f64: Type<R::Database> + Decode<'r, R::Database>,
    String: Type<R::Database> + Decode<'r, R::Database>,
{
    let columns = view.columns();
    let cell = |(index, column): (usize, &Column)| {
        Ok(match column.kind {
            Kind::Integer => row.try_get::<Option<i64>, _>(index)?.map_or(Cell::Null, Cell::Integer),
            Kind::Real => row.try_get::<Option<f64>, _>(index)?.map_or(Cell::Null, Cell::Real),
            Kind::Text => row.try_get::<Option<String>, _>(index)?.map_or(Cell::Null, Cell::Text),
        })
    };
    let cells = columns.iter().enumerate().map(cell).collect::<Result<Row, sqlx::Error>>()?;
    let (at, id, further) = (columns.len(), columns.len() + 1, columns.len() + 2);
    let further: Option<i64> = row.try_get(further)?;
    Ok(Found {
        row: cells,
        position: Position {
            at_ms: row.try_get(at)?,
            id: match view {
                View::Samples | View::Cores | View::Events => Id::Number(row.try_get(id)?),
                View::Alerts | View::Mails => Id::Text(row.try_get(id)?),
            },
            core: further.unwrap_or(i64::MIN),
        },
        owner: further,
    })
}
