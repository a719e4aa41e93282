//! Reads the rows of the views page by page, so that an export of any length takes little memory and no query runs
//! long. The queries are in [`super::view_rows`].
//!
//! Rows come client after client, each client's oldest first; those of the history group after group and tier after tier. A page goes on behind the time and id of the last row, so
//! that rows of the same millisecond are neither lost nor doubled between two pages.

use std::{collections::HashSet, vec};

use jiff::Timestamp;

pub use super::view_rows::StoredClient;
use super::{
    convert::to_ms,
    error::StoreError,
    history_export::HistoryPages,
    reader::Reader,
    view_rows::{self, Found, Position, Source},
};
use crate::fleet::{cell::Row, rows::View};

/// The number of rows of one query.
const PAGE: i64 = 1000;

/// The selection of rows.
#[derive(Debug, Clone, Default)]
pub struct RowFilter {
    /// Only those of these clients; `None` for all, including rows without a client.
    pub clients: Option<Vec<StoredClient>>,
    /// Only those since this time.
    pub since: Option<Timestamp>,
    /// Only those before this time.
    pub until: Option<Timestamp>,
}

/// Pages of the rows of a view. Between two pages, no query or transaction is open.
#[derive(Debug)]
pub struct Pages {
    page: i64,
    /// The number of unreadable rows.
    unreadable: u64,
    rows: Rows,
}

/// Where the rows come from.
#[derive(Debug)]
enum Rows {
    View(Box<ViewPages>),
    History(HistoryPages),
}

/// Pages of the rows of any other view than the history.
#[derive(Debug)]
struct ViewPages {
    reader: Reader,
    view: View,
    source: Source,
    /// The clients whose mails are selected; `None` for all.
    owners: Option<HashSet<i64>>,
    first: Position,
    /// The latest selected time.
    until_ms: i64,
    /// The remaining clients; for mails a single entry.
    parts: vec::IntoIter<i64>,
    /// The current client and the position of the next page.
    current: Option<(i64, Position)>,
}

impl Pages {
    /// Selects rows of a view.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn of(reader: Reader, view: View, wanted: RowFilter) -> Result<Self, StoreError> {
        let since_ms = wanted.since.map_or(i64::MIN, ceiling_ms);
        // The clock of a client may have any value, so the default has no limit.
        let until_ms = wanted.until.map_or(i64::MAX, |until| ceiling_ms(until).saturating_sub(1));
        let Some(source) = view_rows::source(view) else {
            let clients = match wanted.clients {
                Some(clients) => clients,
                None => reader.stored_clients().await?,
            };
            let history = HistoryPages::of(reader, clients, (since_ms, until_ms));
            return Ok(Self { page: PAGE, unreadable: 0, rows: Rows::History(history) });
        };
        let (owners, parts) = match (view, wanted.clients) {
            (View::Mails, clients) => {
                (clients.map(|clients| clients.iter().map(|client| client.key).collect()), vec![0])
            }
            (_, Some(clients)) => (None, clients.iter().map(|client| client.key).collect()),
            (_, None) => (None, reader.stored_clients().await?.iter().map(|client| client.key).collect()),
        };
        let (first, parts) = (source.first(since_ms), parts.into_iter());
        let pages = ViewPages { reader, view, source, owners, first, until_ms, parts, current: None };
        Ok(Self { page: PAGE, unreadable: 0, rows: Rows::View(Box::new(pages)) })
    }

    /// The next rows; `None` after the last. They may include rows that were stored meanwhile.
    ///
    /// # Errors
    /// The error of the database, if the query fails.
    pub async fn next_page(&mut self) -> Result<Option<Vec<Row>>, StoreError> {
        match &mut self.rows {
            Rows::View(pages) => pages.next_page(self.page, &mut self.unreadable).await,
            Rows::History(pages) => pages.next_page(self.page).await,
        }
    }

    /// The number of rows that were omitted so far because they cannot be read.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Sets the page size. A page of the history has at least the series of a bucket.
    #[must_use]
    pub fn in_pages_of(self, rows: u32) -> Self {
        Self { page: rows.max(1).into(), ..self }
    }
}

impl ViewPages {
    async fn next_page(&mut self, page: i64, unreadable: &mut u64) -> Result<Option<Vec<Row>>, StoreError> {
        loop {
            let next = self.current.take().or_else(|| self.parts.next().map(|part| (part, self.first.clone())));
            let Some((part, after)) = next else { return Ok(None) };
            let found = self.reader.page((self.view, self.source), part, &after, self.until_ms, page).await?;
            let whole = i64::try_from(found.len()).is_ok_and(|count| count >= page);
            self.current = found.last().filter(|_| whole).map(|last| (part, last.position.clone()));
            let meant = |found: &Found| match &self.owners {
                Some(owners) => found.owner.is_some_and(|owner| owners.contains(&owner)),
                None => true,
            };
            let mut rows: Vec<Row> = Vec::with_capacity(found.len());
            for found in found.into_iter().filter(meant) {
                match found.row {
                    Some(row) => rows.push(row),
                    None => *unreadable += 1,
                }
            }
            if !rows.is_empty() {
                return Ok(Some(rows));
            }
        }
    }
}

/// The first millisecond that is not before a time.
fn ceiling_ms(at: Timestamp) -> i64 {
    let ms = to_ms(at);
    if Timestamp::from_millisecond(ms).is_ok_and(|whole| whole < at) { ms.saturating_add(1) } else { ms }
}
