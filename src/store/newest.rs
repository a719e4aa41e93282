//! The file systems and interfaces of each client in its newest reading, one row each. Rows that have not changed are not
//! written again.

use std::collections::BTreeMap;

use super::{
    pool::{Transaction, execute, on_driver},
    upsert::upsert,
};
use crate::fleet::{
    Bytes, Reading,
    cell::{Cell, Kind},
    outlook::Outlook,
    reading::FileSystem,
    trend::Trend,
};

/// A table of instances.
struct Table {
    name: &'static str,
    /// The column with the name of the instance.
    key: &'static str,
    columns: &'static [(&'static str, Kind)],
    /// The values of each instance, in the order of the columns.
    rows: fn(&Reading) -> Rows,
}

/// The rows of a client by the name of the instance. A name is unique in the database, so of several the last counts.
type Rows = BTreeMap<String, Vec<Cell>>;

const TABLES: [Table; 2] = [
    Table {
        name: "file_systems",
        key: "mount",
        columns: &[
            ("kind", Kind::Text),
            ("total_bytes", Kind::Integer),
            ("used_bytes", Kind::Integer),
            ("available_bytes", Kind::Integer),
            ("trend_low", Kind::Integer),
            ("trend_middle", Kind::Integer),
            ("trend_high", Kind::Integer),
            ("trend_is_steady", Kind::Integer),
            ("outlook", Kind::Text),
            ("full_in_days", Kind::Real),
            ("full_earliest_days", Kind::Real),
            ("full_latest_days", Kind::Real),
        ],
        rows: |reading| {
            let row = |system: &FileSystem| {
                let sizes = [system.total, system.used, system.available].map(size);
                let cells = [Cell::Text(system.kind.clone())].into_iter().chain(sizes).chain(trend(system));
                (system.mount.clone(), cells.collect())
            };
            reading.file_systems.iter().map(row).collect()
        },
    },
    Table {
        name: "interfaces",
        key: "interface",
        columns: &[("received_bytes", Kind::Integer), ("sent_bytes", Kind::Integer)],
        rows: |reading| {
            let row = |interface: &crate::fleet::reading::Interface| {
                (interface.name.clone(), [interface.received, interface.sent].map(size).into())
            };
            reading.interfaces.iter().map(row).collect()
        },
    },
];

/// The trend of a file system and what it means.
fn trend(system: &FileSystem) -> [Cell; 8] {
    let (trend, outlook) = (system.trend, system.outlook());
    let slope = |of: fn(Trend) -> i64| trend.map(of).into();
    // A hundredth of a day is a quarter of an hour. More is not known, and would be a change with each collection.
    let days = |days: Option<f64>| days.filter(|days| days.is_finite()).map(|days| (days * 100.0).round() / 100.0);
    let (earliest, latest) = outlook.and_then(Outlook::range_days).unzip();
    [
        slope(|trend| trend.low),
        slope(|trend| trend.middle),
        slope(|trend| trend.high),
        slope(|trend| i64::from(trend.is_steady)),
        outlook.map(|outlook| outlook.word().to_owned()).into(),
        days(outlook.and_then(Outlook::days)).into(),
        days(earliest).into(),
        days(latest).into(),
    ]
}

fn size(bytes: Bytes) -> Cell {
    Cell::Integer(i64::try_from(bytes.0).unwrap_or(i64::MAX))
}

/// The most rows of one statement, with at most 14 parameters each.
const ROWS: usize = 500;

/// The rows of one client in the database.
#[derive(Debug, Clone)]
pub(super) struct Newest([Rows; TABLES.len()]);

/// Makes the rows of a client those of a reading. `known` are the rows in the database, if they are known.
pub(super) async fn replace(
    transaction: &mut Transaction,
    client: i64,
    known: &mut Option<Newest>,
    reading: &Reading,
) -> Result<(), sqlx::Error> {
    let rows = TABLES.map(|table| (table.rows)(reading));
    for (index, (table, rows)) in TABLES.iter().zip(&rows).enumerate() {
        let before = known.as_ref().and_then(|Newest(before)| before.get(index));
        match before {
            None => {
                execute!(transaction, format!("DELETE FROM {} WHERE client_id = ?", table.name), client)?;
            }
            Some(before) => {
                for gone in before.keys().filter(|name| !rows.contains_key(*name)) {
                    let sql = format!("DELETE FROM {} WHERE client_id = ? AND {} = ?", table.name, table.key);
                    execute!(transaction, sql, client, gone)?;
                }
            }
        }
        let is_changed = |(name, cells): &(&String, &Vec<Cell>)| before.and_then(|rows| rows.get(*name)) != Some(cells);
        let changed: Vec<(&String, &Vec<Cell>)> = rows.iter().filter(is_changed).collect();
        for changed in changed.chunks(ROWS) {
            write(transaction, table, client, changed).await?;
        }
    }
    *known = Some(Newest(rows));
    Ok(())
}

async fn write(
    transaction: &mut Transaction,
    table: &Table,
    client: i64,
    rows: &[(&String, &Vec<Cell>)],
) -> Result<(), sqlx::Error> {
    let key = ["client_id", table.key];
    let columns: Vec<&str> = key.into_iter().chain(table.columns.iter().map(|(name, _)| *name)).collect();
    let is_mysql = matches!(transaction, Transaction::MySql(_));
    let sql = upsert(table.name, &key, &columns, rows.len(), is_mysql);
    on_driver!(transaction, |connection, text| {
        let mut query = sqlx::query(text(sql.into()));
        for (name, cells) in rows {
            query = query.bind(client).bind(name.as_str());
            for (cell, (_, kind)) in cells.iter().zip(table.columns) {
                query = match (cell, kind) {
                    (Cell::Integer(number), _) => query.bind(*number),
                    (Cell::Real(number), _) => query.bind(*number),
                    (Cell::Text(text), _) => query.bind(text.as_str()),
                    // NULL has a type, too.
                    (Cell::Null, Kind::Integer) => query.bind(None::<i64>),
                    (Cell::Null, Kind::Real) => query.bind(None::<f64>),
                    (Cell::Null, Kind::Text) => query.bind(None::<String>),
                };
            }
        }
        query.execute(connection).await.map(drop)
    })
}
