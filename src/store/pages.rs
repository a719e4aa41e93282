//! Pages of long lists by key, so that all pages cost the same, and the length of the list.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{ColumnIndex, Decode, FromRow, Type, mysql::MySqlRow, postgres::PgRow, sqlite::SqliteRow};
use uuid::Uuid;

use super::{
    convert::{from_count, unreadable},
    pool::{Transaction, fetch_one, on_driver},
    readable::is_of_row,
};
use crate::fleet::listing::{ListKey, Page, Part};

/// A list in SQL. MariaDB would sort the whole table and not use the index, so a hint names the index.
#[derive(Debug)]
pub(super) struct List {
    /// The columns without the key.
    pub(super) columns: &'static str,
    /// The value of the parameter in the columns.
    pub(super) bind: Option<i64>,
    /// The tables.
    pub(super) from: &'static str,
    /// The tables for counting.
    pub(super) counted: &'static str,
    /// The condition for the rows.
    pub(super) condition: &'static str,
    /// The column by which they are ordered.
    pub(super) order: &'static str,
    /// The column that distinguishes rows with the same order.
    pub(super) id: &'static str,
}

/// The rows of a page.
#[derive(Debug)]
pub(super) struct Found<T> {
    /// Newest first.
    pub(super) rows: Vec<T>,
    pub(super) ends: Option<(ListKey, ListKey)>,
    pub(super) unreadable: Vec<ListKey>,
    pub(super) has_more: bool,
}

impl<T> Found<T> {
    /// Appends an older page, whose end becomes the end.
    pub(super) fn followed_by(mut self, older: Self) -> Self {
        self.rows.extend(older.rows);
        self.unreadable.extend(older.unreadable);
        let ends = match (self.ends, older.ends) {
            (Some((first, _)), Some((_, last))) => Some((first, last)),
            (one, other) => one.or(other),
        };
        Self { ends, has_more: older.has_more, ..self }
    }
}

enum Bind {
    Number(i64),
    Text(String),
}

/// At most `most` rows of a page. For a page around a time, the caller must find the key first.
pub(super) async fn fetch<S, T>(
    transaction: &mut Transaction,
    list: &List,
    part: Part,
    most: u32,
) -> Result<Found<T>, sqlx::Error>
where
    S: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, MySqlRow>,
    T: TryFrom<S, Error = sqlx::Error>,
{
    let (sql, mut binds, is_reversed) = sql(list, part);
    binds.push(Bind::Number(i64::from(most) + 1));
    let mut read: Vec<(Option<ListKey>, Option<T>)> = on_driver!(transaction, |connection, text| {
        let mut query = sqlx::query(text(sql.into()));
        for bind in &binds {
            query = match bind {
                Bind::Number(number) => query.bind(*number),
                Bind::Text(text) => query.bind(text.as_str()),
            };
        }
        let rows = query.fetch_all(connection).await?;
        rows.iter().map(read::<_, S, T>).collect::<Result<Vec<_>, _>>()
    })?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let has_more = read.len() > most;
    read.truncate(most);
    if is_reversed {
        read.reverse();
    }
    Ok(found(read, has_more))
}

/// The statement with its parameters, and whether it returns the oldest row first.
fn sql(list: &List, part: Part) -> (String, Vec<Bind>, bool) {
    let List { columns, bind, from, condition, order, id, .. } = list;
    let mut binds: Vec<Bind> = bind.iter().map(|bind| Bind::Number(*bind)).collect();
    let (key, later, or_equal, is_reversed) = match part {
        Part::Newest | Part::At(_) => (None, "<", "", false),
        Part::Oldest => (None, ">", "", true),
        Part::From(key) => (Some(key), "<", "=", false),
        Part::Older(key) => (Some(key), "<", "", false),
        Part::Newer(key) => (Some(key), ">", "", true),
    };
    let mut beyond = String::new();
    if let Some(key) = key {
        beyond = format!(" AND {order} {later}= ? AND ({order} {later} ? OR {id} {later}{or_equal} ?)");
        binds.extend([Bind::Number(key.order), Bind::Number(key.order), Bind::Text(key.id.to_string())]);
    }
    let direction = if is_reversed { "ASC" } else { "DESC" };
    let sql = format!(
        "SELECT {columns}, {order} AS page_order, {id} AS page_id FROM {from} WHERE {condition}{beyond}
         ORDER BY {order} {direction}, {id} {direction} LIMIT ?"
    );
    (sql, binds, is_reversed)
}

/// A row and its key, as far as they can be read.
fn read<'r, R, S, T>(row: &'r R) -> Result<(Option<ListKey>, Option<T>), sqlx::Error>
where
    R: sqlx::Row,
    &'static str: ColumnIndex<R>,
    i64: Type<R::Database> + Decode<'r, R::Database>,
    String: Type<R::Database> + Decode<'r, R::Database>,
    S: FromRow<'r, R>,
    T: TryFrom<S, Error = sqlx::Error>,
{
    let id: Result<String, _> = row.try_get("page_id");
    let key = id
        .and_then(|id| Ok(ListKey { order: row.try_get("page_order")?, id: id.parse::<Uuid>().map_err(unreadable)? }));
    Ok((readable(key)?, readable(S::from_row(row).and_then(T::try_from))?))
}

/// `None` if the error concerns this row only.
fn readable<T>(read: Result<T, sqlx::Error>) -> Result<Option<T>, sqlx::Error> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if is_of_row(&error) => {
            tracing::debug!("a row of the database cannot be read and is left out: {error}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// A row with an unreadable key cannot be continued from. It counts as the first.
const NOWHERE: ListKey = ListKey { order: i64::MAX, id: Uuid::max() };

fn found<T>(read: Vec<(Option<ListKey>, Option<T>)>, has_more: bool) -> Found<T> {
    let mut keys = read.iter().filter_map(|(key, _)| *key);
    let first = keys.next();
    let ends = first.map(|first| (first, keys.next_back().unwrap_or(first)));
    let mut rows = Vec::with_capacity(read.len());
    let mut unreadable = Vec::new();
    for (key, row) in read {
        match (key, row) {
            (Some(_), Some(row)) => rows.push(row),
            (key, _) => unreadable.push(key.unwrap_or(NOWHERE)),
        }
    }
    Found { rows, ends, unreadable, has_more }
}

/// A page with the number of other rows.
pub(super) async fn page<T>(
    transaction: &mut Transaction,
    list: &List,
    totals: &Totals,
    part: Part,
    found: Found<T>,
) -> Result<Page<T>, sqlx::Error> {
    let newer = match (part, found.ends) {
        (Part::Newest, _) => Some(0),
        (Part::Oldest | Part::At(_), Some((first, _))) => Some(newer_than(transaction, list, first).await?),
        (Part::Oldest | Part::At(_) | Part::From(_) | Part::Older(_) | Part::Newer(_), _) => None,
    };
    let total = totals.of(transaction, list).await?;
    let Found { rows, ends, unreadable, has_more } = found;
    Ok(Page { rows, ends, unreadable, newer, has_more, total })
}

/// The number of rows of a list that are newer than a key.
async fn newer_than(transaction: &mut Transaction, list: &List, key: ListKey) -> Result<u64, sqlx::Error> {
    let List { counted, condition, order, id, .. } = list;
    let sql =
        format!("SELECT COUNT(*) FROM {counted} WHERE {condition} AND {order} >= ? AND ({order} > ? OR {id} > ?)");
    let (count,): (i64,) = fetch_one!(transaction, (i64,), sql, key.order, key.order, key.id.to_string())?;
    from_count(count)
}

/// The lengths of lists, cached. Counting a million rows takes long, so a list is only counted again when fifty times
/// as long has passed as the counting took.
#[derive(Debug, Clone, Default)]
pub(super) struct Totals(Arc<Mutex<HashMap<&'static str, Counted>>>);

#[derive(Debug, Clone, Copy)]
struct Counted {
    total: u64,
    at: Instant,
    took: Duration,
}

/// How many times as long as the counting took its result is valid.
const GOOD_FOR: u32 = 50;

impl Totals {
    /// The number of rows of a list.
    async fn of(&self, transaction: &mut Transaction, list: &List) -> Result<u64, sqlx::Error> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(list.counted).copied();
        if let Some(known) = known
            && known.at.elapsed() < known.took.saturating_mul(GOOD_FOR)
        {
            return Ok(known.total);
        }
        let began = Instant::now();
        let sql = format!("SELECT COUNT(*) FROM {} WHERE {}", list.counted, list.condition);
        let (count,): (i64,) = fetch_one!(transaction, (i64,), sql)?;
        let counted = Counted { total: from_count(count)?, at: Instant::now(), took: began.elapsed() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(list.counted, counted);
        Ok(counted.total)
    }
}
