//! One page of the rows of a view: the query and its rows. [`export`](super::export) decides which page comes next.
//!
//! Rows are found by client and time, for which every table has an index, and come in that order. Mails only come by
//! time, because their view has no client, and some belong to none.

use sqlx::{ColumnIndex, Decode, Type};

use super::{
    cells,
    convert::client_id,
    pool::on_driver,
    read_pool::ReadPool,
    readable::{Unreadable, fetch_readable, is_of_row},
};
use crate::fleet::{ClientId, cell::Row, rows::View};

/// A client in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredClient {
    pub(super) key: i64,
    /// The client.
    pub id: ClientId,
    /// Its name in the configuration when it was last collected.
    pub name: String,
}

/// A position between two rows.
#[derive(Debug, Clone)]
pub(super) struct Position {
    /// UTC milliseconds since the Unix epoch.
    pub(super) at_ms: i64,
    pub(super) id: Id,
    /// Only for cores, because one id has several of them.
    pub(super) core: i64,
}

/// The key of a row.
#[derive(Debug, Clone)]
pub(super) enum Id {
    Number(i64),
    Text(String),
}

/// A row with its position and, for mails, its client.
#[derive(Debug)]
pub(super) struct Found {
    /// `None` if it cannot be read.
    pub(super) row: Option<Row>,
    pub(super) position: Position,
    pub(super) owner: Option<i64>,
}

pub(super) async fn stored_clients(pool: &ReadPool) -> Result<(Vec<StoredClient>, Unreadable), sqlx::Error> {
    let mut unreadable = Unreadable::default();
    let mut transaction = pool.begin_read().await?;
    let rows: Vec<(i64, String, i64, String)> = fetch_readable!(
        &mut transaction,
        (i64, String, i64, String),
        &mut unreadable,
        "SELECT id, ip, port, name FROM clients ORDER BY id"
    )?;
    let client = |(key, ip, port, name)| Some(StoredClient { key, id: unreadable.keep(client_id(ip, port))?, name });
    Ok((rows.into_iter().filter_map(client).collect(), unreadable))
}

/// How the rows of a view are found, in SQL. MariaDB would sort all further rows of a client and not use the index, so
/// a hint names the index.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    /// The tables.
    from: &'static str,
    /// The column of the client, for a parameter.
    part: &'static str,
    /// The time by which rows are ordered.
    at: &'static str,
    /// The column that distinguishes rows with the same time.
    id: &'static str,
    /// Whether that is a text.
    id_is_text: bool,
    /// The core, or the client of a row.
    further: &'static str,
    /// Whether that distinguishes rows with the same id.
    further_is_key: bool,
}

impl Source {
    /// The position before all rows since a time.
    pub(super) fn first(&self, at_ms: i64) -> Position {
        let id = if self.id_is_text { Id::Text(String::new()) } else { Id::Number(i64::MIN) };
        Position { at_ms, id, core: i64::MIN }
    }
}

/// The source of a view about the newest sample, from which it is read. A client has few rows, all with one time.
macro_rules! of_newest {
    ($view:literal, $at:literal, $id:literal, $id_is_text:literal) => {
        Source {
            from: concat!(
                "clients JOIN ",
                $view,
                " ON ",
                $view,
                ".client_ip = clients.ip AND ",
                $view,
                ".client_port = clients.port"
            ),
            part: "clients.id = ?",
            at: concat!("COALESCE(", $view, ".", $at, ", 0)"),
            id: $id,
            id_is_text: $id_is_text,
            further: "clients.id",
            further_is_key: false,
        }
    };
}

/// `None` for the history, whose rows are read from tables of [another form](super::history_export).
pub(super) fn source(view: View) -> Option<Source> {
    Some(match view {
        View::History => return None,
        View::Samples => Source {
            from: "collections /*! FORCE INDEX (collections_by_sample) */
                   JOIN clients ON clients.id = collections.client_id",
            part: "collections.client_id = ?",
            at: "collections.collected_at_ms",
            id: "collections.id",
            id_is_text: false,
            further: "collections.client_id",
            further_is_key: false,
        },
        View::Cores => Source {
            from: "collections /*! FORCE INDEX (collections_by_sample) */
                   JOIN clients ON clients.id = collections.client_id
                   JOIN cores ON cores.collection_id = collections.id",
            part: "collections.client_id = ?",
            at: "collections.collected_at_ms",
            id: "collections.id",
            id_is_text: false,
            further: "cores.core",
            further_is_key: true,
        },
        View::Alerts => Source {
            from: "alerts /*! FORCE INDEX (alerts_by_client) */ JOIN clients ON clients.id = alerts.client_id",
            part: "alerts.client_id = ?",
            at: "alerts.raised_at_ms",
            id: "alerts.id",
            id_is_text: true,
            further: "alerts.client_id",
            further_is_key: false,
        },
        View::Events => Source {
            from: "security_events /*! FORCE INDEX (security_events_by_time) */
                   JOIN clients ON clients.id = security_events.client_id",
            part: "security_events.client_id = ?",
            at: "security_events.occurred_at_ms",
            id: "security_events.id",
            id_is_text: false,
            further: "security_events.client_id",
            further_is_key: false,
        },
        View::Mails => Source {
            from: "mails /*! FORCE INDEX (mails_by_time) */",
            part: "0 = ?",
            at: "mails.created_at_ms",
            id: "mails.id",
            id_is_text: true,
            further: "mails.client_id",
            further_is_key: false,
        },
        View::FileSystems => of_newest!("v1_file_systems", "collected_at_ms", "v1_file_systems.mount", true),
        View::Interfaces => of_newest!("v1_interfaces", "collected_at_ms", "v1_interfaces.interface", true),
        View::Clients => of_newest!("v1_clients", "last_collected_at_ms", "clients.id", false),
    })
}

/// The query for rows after a position: the columns of the view and the position. The names of the latter are not
/// column names of a view.
pub(super) fn sql(view: View, source: &Source) -> String {
    let Source { from, part, at, id, further, further_is_key, id_is_text: _ } = source;
    let columns: Vec<String> =
        view.columns().iter().map(|column| format!("{}.{} AS {}", column.table, column.field, column.name)).collect();
    let (same_id, then_core) = if *further_is_key {
        (format!(" OR ({id} = ? AND {further} > ?)"), format!(", {further}"))
    } else {
        (String::new(), String::new())
    };
    format!(
        "SELECT {}, {at} AS page_at, {id} AS page_id, {further} AS page_further FROM {from}
         WHERE {part} AND {at} >= ? AND {at} <= ? AND ({at} > ? OR {id} > ?{same_id}) ORDER BY {at}, {id}{then_core}",
        columns.join(", ")
    )
}

pub(super) async fn page(
    pool: &ReadPool,
    (view, source): (View, Source),
    part: i64,
    after: &Position,
    until_ms: i64,
    most: i64,
) -> Result<Vec<Found>, sqlx::Error> {
    let Position { at_ms, id, core } = after;
    let mut binds = vec![Id::Number(part), Id::Number(*at_ms), Id::Number(until_ms), Id::Number(*at_ms), id.clone()];
    if source.further_is_key {
        binds.extend([id.clone(), Id::Number(*core)]);
    }
    binds.push(Id::Number(most));
    let sql = format!("{} LIMIT ?", sql(view, &source));
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
        rows.iter().map(|row| found(row, view, source.id_is_text)).collect::<Result<Vec<_>, _>>()
    })?;
    // Before the rows are written to the output, because its reader may be slow.
    transaction.commit().await?;
    Ok(found)
}

fn found<'r, R>(row: &'r R, view: View, id_is_text: bool) -> Result<Found, sqlx::Error>
where
    R: sqlx::Row,
    &'static str: ColumnIndex<R>,
    i64: Type<R::Database> + Decode<'r, R::Database>,
    f64: Type<R::Database> + Decode<'r, R::Database>,
    String: Type<R::Database> + Decode<'r, R::Database>,
{
    let further: Option<i64> = row.try_get("page_further")?;
    Ok(Found {
        row: match view.columns().iter().map(|column| cells::read(row, column)).collect() {
            Err(error) if is_of_row(&error) => None,
            cells => Some(cells?),
        },
        position: Position {
            at_ms: row.try_get("page_at")?,
            id: if id_is_text { Id::Text(row.try_get("page_id")?) } else { Id::Number(row.try_get("page_id")?) },
            core: further.unwrap_or(i64::MIN),
        },
        owner: further,
    })
}
