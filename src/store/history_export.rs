//! Pages of the rows of `v1_history`, from the tables of buckets, where a row has the values of twelve series. Through the view,
//! a database would read all rows of a client for each page.

use std::{sync::Arc, vec};

use super::{
    error::StoreError,
    history_groups::Names,
    history_rows::{HistoryRow, SLOTS, Table},
    reader::Reader,
    view_rows::StoredClient,
};
use crate::fleet::{
    ClientId,
    cell::{Cell, Row},
    rollup::{Bucket, Tier, in_unit},
};

/// Buckets of one group and one length.
#[derive(Debug, Clone)]
struct Part {
    client: ClientId,
    group: i32,
    names: Arc<Names>,
    tier: Tier,
    table: Table,
    /// The first start that is not exported yet.
    from_ms: i64,
}

/// Pages of the history of clients.
#[derive(Debug)]
pub(super) struct HistoryPages {
    reader: Reader,
    /// The remaining clients.
    clients: vec::IntoIter<StoredClient>,
    /// What remains of the current one.
    parts: vec::IntoIter<Part>,
    /// What remains of the current part.
    current: Option<Part>,
    /// The first and the last start of a bucket.
    range_ms: (i64, i64),
}

impl HistoryPages {
    pub(super) fn of(reader: Reader, clients: Vec<StoredClient>, range_ms: (i64, i64)) -> Self {
        Self { reader, clients: clients.into_iter(), parts: Vec::new().into_iter(), current: None, range_ms }
    }

    pub(super) async fn next_page(&mut self, page: i64) -> Result<Option<Vec<Row>>, StoreError> {
        // A row of a table gives up to so many rows.
        let most = (page / SLOTS as i64).max(1);
        loop {
            let Some(part) = self.next_part().await? else { return Ok(None) };
            let range_ms = (part.from_ms, self.range_ms.1);
            let found = self.reader.history_buckets(part.table, (part.group, part.tier), range_ms, most).await?;
            let is_whole = i64::try_from(found.len()).is_ok_and(|count| count >= most);
            let next_ms = found.last().filter(|_| is_whole).and_then(|last| last.start_ms.checked_add(1));
            let rows: Vec<Row> = found.iter().flat_map(|bucket| rows(&part, bucket)).collect();
            if let Some(from_ms) = next_ms {
                self.current = Some(Part { from_ms, ..part });
            }
            if !rows.is_empty() {
                return Ok(Some(rows));
            }
        }
    }

    async fn next_part(&mut self) -> Result<Option<Part>, StoreError> {
        loop {
            if let Some(part) = self.current.take().or_else(|| self.parts.next()) {
                return Ok(Some(part));
            }
            let Some(client) = self.clients.next() else { return Ok(None) };
            let mut parts = Vec::new();
            for (group, names) in self.reader.history_groups(client.key).await? {
                let names = Arc::new(names);
                for tier in Tier::ALL {
                    for table in [Table::Buckets, Table::Open] {
                        let (client, names, from_ms) = (client.id.clone(), names.clone(), self.range_ms.0);
                        parts.push(Part { client, group, names, tier, table, from_ms });
                    }
                }
            }
            self.parts = parts.into_iter();
        }
    }
}

/// The rows of a bucket, in the order of the columns of the view.
fn rows(part: &Part, bucket: &HistoryRow) -> Vec<Row> {
    let of_slot = |(names, values): (&Option<(String, String)>, _)| {
        let (Some((metric, instance)), Some(values)) = (names, values) else { return None };
        Some(row(part, (metric, instance), bucket.start_ms, values))
    };
    part.names.iter().zip(bucket.slots).filter_map(of_slot).collect()
}

fn row(part: &Part, (metric, instance): (&str, &str), start_ms: i64, values: Bucket) -> Row {
    vec![
        Cell::Text(part.client.address().to_owned()),
        Cell::Integer(part.client.port().into()),
        Cell::Text(metric.to_owned()),
        Cell::Text(instance.to_owned()),
        Cell::Integer(start_ms),
        Cell::Integer(part.tier.seconds().into()),
        Cell::Integer(values.count.into()),
        Cell::Real(in_unit(values.minimum)),
        Cell::Real(values.mean()),
        Cell::Real(in_unit(values.maximum)),
    ]
}
