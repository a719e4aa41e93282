//! Reads rows one by one. Unreadable rows are omitted and counted. Errors of the connection still end a query.

use std::collections::HashSet;

use futures_util::{Stream, TryStreamExt as _};
use sqlx::{ColumnIndex, Decode, FromRow, Type};

/// Counts omitted rows, whose values this program did not write.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    rows: u64,
    /// The ids of unreadable collections. Several queries read them, but they count once.
    collections: HashSet<i64>,
}

impl Unreadable {
    /// The number of omitted rows.
    pub(super) fn count(&self) -> u64 {
        self.rows.saturating_add(self.collections.len() as u64)
    }

    /// The value; `None` if it cannot be read, which is counted.
    pub(super) fn keep<T>(&mut self, read: Result<T, sqlx::Error>) -> Option<T> {
        self.keep_of(None, read)
    }

    /// The value in a row of a collection; `None` if it cannot be read, which is counted.
    pub(super) fn keep_of<T>(&mut self, collection: Option<i64>, read: Result<T, sqlx::Error>) -> Option<T> {
        read.inspect_err(|error| {
            tracing::debug!("a row of the database cannot be read and is left out: {error}");
            match collection {
                Some(id) => drop(self.collections.insert(id)),
                None => self.rows += 1,
            }
        })
        .ok()
    }

    /// The rows that can be converted.
    pub(super) fn convert<R, T: TryFrom<R, Error = sqlx::Error>>(&mut self, rows: Vec<R>) -> Vec<T> {
        rows.into_iter().filter_map(|row| self.keep(T::try_from(row))).collect()
    }
}

/// The column name of the id in queries of collections.
pub(super) const COLLECTION: &str = "collection_row";

/// Whether an error concerns the values of a single row.
pub(super) fn is_of_row(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. })
}

/// The readable rows of a query.
pub(super) async fn collect<R, T>(
    rows: impl Stream<Item = Result<R, sqlx::Error>> + Unpin,
    unreadable: &mut Unreadable,
) -> Result<Vec<T>, sqlx::Error>
where
    R: sqlx::Row,
    &'static str: ColumnIndex<R>,
    for<'r> i64: Type<R::Database> + Decode<'r, R::Database>,
    T: for<'r> FromRow<'r, R>,
{
    let mut rows = rows;
    let mut all = Vec::new();
    while let Some(row) = rows.try_next().await? {
        match T::from_row(&row) {
            Err(error) if !is_of_row(&error) => return Err(error),
            read => all.extend(unreadable.keep_of(row.try_get(COLLECTION).ok(), read)),
        }
    }
    Ok(all)
}

/// Like `fetch_all!`, without unreadable rows, which `$unreadable` counts.
macro_rules! fetch_readable {
    ($transaction:expr, $row:ty, $unreadable:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::store::pool::on_driver!($transaction, |connection, text| {
            let rows = sqlx::query(text($sql.into()))$(.bind($bind))*.fetch(connection);
            $crate::store::readable::collect::<_, $row>(rows, $unreadable).await
        })
    };
}

/// Like `fetch_of!`, without unreadable rows, which `$unreadable` counts.
macro_rules! fetch_readable_of {
    ($transaction:expr, $row:ty, $unreadable:expr, $sql:literal, $keys:expr) => {
        async {
            let mut all: Vec<$row> = Vec::new();
            for keys in $keys.chunks($crate::store::pool::KEYS) {
                let sql = format!($sql, vec!["?"; keys.len()].join(", "));
                let rows = $crate::store::pool::on_driver!($transaction, |connection, text| {
                    let mut query = sqlx::query(text(sql.into()));
                    for key in keys {
                        query = query.bind(key);
                    }
                    $crate::store::readable::collect::<_, $row>(query.fetch(connection), $unreadable).await
                });
                all.extend(rows?);
            }
            Ok::<_, sqlx::Error>(all)
        }
        .await
    };
}

pub(super) use {fetch_readable, fetch_readable_of};
