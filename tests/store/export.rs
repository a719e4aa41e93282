//! Exports contain the same rows as the views, with any page size.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proptest::prelude::*;
use support::{Database, Trial};
use tokio::{runtime::Handle, task::block_in_place};

use crate::{
    fleet::{
        cell::{Cell, Row},
        rows::View,
    },
    open,
    store::{
        Reader,
        export::{Pages, RowFilter, StoredClient},
    },
    url,
};

pub(crate) fn trials() -> Vec<Trial> {
    support::trials_per_database![
        without_a_choice_the_rows_are_those_of_the_view_and_in_order,
        a_fraction_of_a_millisecond_does_not_count_what_was_before_it,
        nothing_is_lost_or_doubled_between_pages_of_any_size,
    ]
}

/// Adds rows of three clients, many with the same time, and a fourth client without rows.
async fn fill(database: &Database) -> Reader {
    open(database).await.close().await;
    let null_or = |is_null: bool, text: String| if is_null { "NULL".to_owned() } else { text };
    let all = |row: &dyn Fn(i64) -> String| (1..=60).map(row).collect::<Vec<_>>().join(", ");
    let client = |i: i64| 1 + i % 3;
    let id = |i: i64| format!("'id-{:02}'", i * 17 % 60);
    let clients = "(1, '10.0.0.1', 22, 'a', 0), (2, 'b.example.com', 2222, 'b', 0), (3, 'fd00::3', 22, 'c', 0),
         (4, 'none', 22, 'd', 0)";
    database.change(&format!("INSERT INTO clients (id, ip, port, name, failed_in_a_row) VALUES {clients}")).await;
    let collection = |i: i64| {
        let at = null_or(i % 10 == 9, (i * 7 % 5).to_string());
        let host = null_or(i % 4 == 0, format!("'=h{i}'"));
        format!("({i}, 'u', 's', {}, 0, 0, 1, 'ok', {at}, {host}, {:?}, {})", client(i), i as f64 / 4.0, i * 1000)
    };
    let columns = "id, collection_uuid, sweep_uuid, client_id, started_at_ms, duration_ms, attempts, status,
         collected_at_ms, host_name, cpu_percent, memory_total_bytes";
    database.change(&format!("INSERT INTO collections ({columns}) VALUES {}", all(&collection))).await;
    let cores =
        (1..=60_i64).filter(|i| i % 10 != 9).flat_map(|i| (0..i % 4).map(move |core| format!("({i}, {core}, 2.5)")));
    let cores = cores.collect::<Vec<_>>().join(", ");
    database.change(&format!("INSERT INTO cores (collection_id, core, cpu_percent) VALUES {cores}")).await;
    let alert = |i: i64| {
        let resolved = null_or(i % 2 == 1, (i + 9).to_string());
        format!("({}, {}, 'cpu', 90, {i}, {i}, {}, {resolved})", id(i), client(i), i % 4)
    };
    let columns = "id, client_id, metric, limit_value, last_value, peak_value, raised_at_ms, resolved_at_ms";
    database.change(&format!("INSERT INTO alerts ({columns}) VALUES {}", all(&alert))).await;
    let event = |i: i64| {
        let at = match i {
            1 => i64::MAX,
            2 => i64::MIN + 1,
            _ => i % 3,
        };
        format!("({i}, {}, 'journal', 's={i}', NULL, 'info', {at}, 0, 'sshd', 'm', '[]')", client(i))
    };
    let columns = "id, client_id, channel, record_id, event_id, level, occurred_at_ms, stored_at_ms, source, message,
         data_fields";
    database.change(&format!("INSERT INTO security_events ({columns}) VALUES {}", all(&event))).await;
    let mail = |i: i64| {
        let owner = null_or(i % 5 == 0, client(i).to_string());
        format!("({}, 'ops@example.com', 'alert', 'subject {i}', 'b', 'waiting', {}, 0, {owner})", id(i), i % 4)
    };
    let columns = "id, recipient, kind, subject, body, status, created_at_ms, attempts, client_id";
    database.change(&format!("INSERT INTO mails ({columns}) VALUES {}", all(&mail))).await;
    database.change(&history()).await;
    for (table, instance, columns) in [
        ("file_systems", "mount", "kind, total_bytes, used_bytes, available_bytes"),
        ("interfaces", "interface", "received_bytes, sent_bytes"),
    ] {
        let values = if table == "interfaces" { "7, 9" } else { "'ext4', 9, 7, 2" };
        let instances = all(&|i| format!("({}, {}, {values})", client(i), id(i)));
        database.change(&format!("INSERT INTO {table} (client_id, {instance}, {columns}) VALUES {instances}")).await;
    }
    database.change("UPDATE clients SET latest_collection = id WHERE id < 4").await;
    Reader::open(&url(database)).await.unwrap()
}

/// Three groups of two clients, with buckets at the first six milliseconds in each tier, and one that is filled now.
fn history() -> String {
    let series = "(1, 'cpu', '', 1, 0), (1, 'memory', '', 1, 1), (1, 'disk', '/=', 2, 0), (2, 'cpu', '', 3, 0),
         (2, 'new metric', 'x', 3, 11)";
    let mut sql = format!("INSERT INTO history_series (client_id, metric, instance, group_id, slot) VALUES {series};");
    for (group, slots) in [(1, &["00", "01"][..]), (2, &["00"]), (3, &["00", "11"])] {
        for (tier, start) in [300, 3_600, 86_400].into_iter().flat_map(|tier| (0..7).map(move |start| (tier, start))) {
            let table = if start == 6 { "history_open" } else { "history_buckets" };
            let part = |part: &str| slots.iter().map(|slot| format!(", {part}_{slot}")).collect::<String>();
            let columns = ["count", "minimum", "sum", "maximum", "last"].map(part).concat();
            // Not every series has a value in every bucket.
            let value = |value: i64| if start == group { ", NULL".to_owned() } else { format!(", {value}") };
            let values =
                [3, 1_000, 10_000 + start, 9_000, 5_000].map(|number| value(number).repeat(slots.len())).concat();
            sql += &format!(
                "INSERT INTO {table} (group_id, tier_seconds, start_ms{columns}) VALUES ({group}, {tier}, {start}{values});"
            );
        }
    }
    sql
}

/// All rows of an export with this page size, in order.
async fn exported(reader: &Reader, view: View, wanted: RowFilter, page: u32) -> Vec<Row> {
    let mut pages = Pages::of(reader.clone(), view, wanted).await.unwrap().in_pages_of(page);
    let mut all = Vec::new();
    while let Some(rows) = pages.next_page().await.unwrap() {
        // A bucket of the history can have twelve values.
        let most = if view == View::History { page.max(12) } else { page };
        assert!((1..=most as usize).contains(&rows.len()), "{view:?}: a page of {}", rows.len());
        all.extend(rows);
    }
    all
}

/// A row in the same form as those of the database.
fn shown(view: View, row: &Row) -> String {
    let line = |(name, cell): (&str, &Cell)| match cell {
        Cell::Null => format!("{name}=NULL"),
        Cell::Integer(number) => format!("{name}={number}"),
        Cell::Real(number) => format!("{name}={number:?}"),
        Cell::Text(text) => format!("{name}={text}"),
    };
    let names = view.columns().iter().map(|column| column.name);
    names.zip(row).map(line).collect::<Vec<_>>().join("\n")
}

fn time(view: View, row: &Row) -> i64 {
    let name = match view {
        View::Samples | View::Cores => "collected_at_ms",
        View::Alerts => "raised_at_ms",
        View::Events => "occurred_at_ms",
        View::Mails => "created_at_ms",
        View::History => "bucket_start_ms",
        View::FileSystems | View::Interfaces => "collected_at_ms",
        View::Clients => "last_collected_at_ms",
    };
    let column = view.columns().iter().position(|column| column.name == name).unwrap();
    match row[column] {
        Cell::Integer(time) => time,
        // A client without a successful collection.
        Cell::Null if view == View::Clients => 0,
        ref other @ (Cell::Null | Cell::Real(_) | Cell::Text(_)) => panic!("{other:?} is no time"),
    }
}

/// The text in a column.
fn text(row: &Row, column: usize) -> &str {
    match &row[column] {
        Cell::Text(text) => text,
        other @ (Cell::Null | Cell::Integer(_) | Cell::Real(_)) => panic!("{other:?} is no text"),
    }
}

async fn without_a_choice_the_rows_are_those_of_the_view_and_in_order(database: Database) {
    let reader = fill(&database).await;
    for view in View::ALL {
        let rows = exported(&reader, view, RowFilter::default(), 1000).await;
        assert!(rows.len() >= if view == View::Clients { 4 } else { 50 }, "{view:?}: {}", rows.len());
        let mut ours: Vec<_> = rows.iter().map(|row| shown(view, row)).collect();
        let mut theirs = database.named_rows(&format!("SELECT * FROM {}", view.name())).await;
        ours.sort();
        theirs.sort();
        assert_eq!(ours, theirs, "{view:?}");
        let mut seen = BTreeSet::new();
        for rows in rows.chunk_by(|one, next| view == View::Mails || text(one, 0) == text(next, 0)) {
            let mut series: BTreeMap<String, Vec<i64>> = BTreeMap::new();
            for row in rows {
                let name =
                    if view == View::History { format!("{:?}", (&row[2], &row[3], &row[5])) } else { String::new() };
                series.entry(name).or_default().push(time(view, row));
            }
            assert!(series.values().all(|times| times.is_sorted()), "{view:?}");
            assert!(seen.insert(text(&rows[0], 0)), "{view:?}: the rows of a client stand together");
        }
    }
}

async fn a_fraction_of_a_millisecond_does_not_count_what_was_before_it(database: Database) {
    let reader = fill(&database).await;
    for (since, until, expected) in [
        ("1970-01-01T00:00:00.001Z", "1970-01-01T00:00:00.002Z", vec![1]),
        ("1970-01-01T00:00:00.0011Z", "1970-01-01T00:00:00.0021Z", vec![2]),
        ("1970-01-01T00:00:00.0011Z", "1970-01-01T00:00:00.0019Z", vec![]),
    ] {
        let wanted = RowFilter { clients: None, since: since.parse().ok(), until: until.parse().ok() };
        let rows = exported(&reader, View::Mails, wanted, 7).await;
        let mut times: Vec<_> = rows.iter().map(|row| time(View::Mails, row)).collect();
        times.dedup();
        assert_eq!(times, expected, "{since} {until}");
    }
}

async fn nothing_is_lost_or_doubled_between_pages_of_any_size(database: Database) {
    let reader = fill(&database).await;
    let stored = reader.stored_clients().await.unwrap();
    let mut whole = Vec::new();
    for view in View::ALL {
        whole.push((view, exported(&reader, view, RowFilter::default(), 1000).await));
    }
    // The view of mails does not contain the client.
    let owners = database.rows("SELECT subject, ip FROM mails JOIN clients ON clients.id = mails.client_id").await;
    let owners: BTreeMap<&str, &str> = owners.iter().map(|row| row.split_once('|').unwrap()).collect();
    let time_of_day = prop::option::of(-1..7_i64);
    let cases = (1..70_u32, time_of_day.clone(), time_of_day, prop::option::of(any::<[bool; 4]>()));
    let check = |(page, since, until, chosen): (u32, Option<i64>, Option<i64>, Option<[bool; 4]>)| {
        let clients: Option<Vec<StoredClient>> = chosen.map(|chosen| {
            stored.iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(client, _)| client.clone()).collect()
        });
        let is_of_them = |address: &str| {
            clients.as_ref().is_none_or(|clients| clients.iter().any(|client| client.id.address() == address))
        };
        let [from, to] = [since, until].map(|ms| ms.map(|ms| Timestamp::from_millisecond(ms).unwrap()));
        for (view, whole) in &whole {
            let meant = |row: &&Row| {
                let time = time(*view, row);
                let by_client = match view {
                    View::Mails => owners.get(text(row, 2)).map_or(clients.is_none(), |owner| is_of_them(owner)),
                    View::Samples
                    | View::Cores
                    | View::Alerts
                    | View::Events
                    | View::History
                    | View::FileSystems
                    | View::Interfaces
                    | View::Clients => is_of_them(text(row, 0)),
                };
                by_client && since.is_none_or(|since| time >= since) && until.is_none_or(|until| time < until)
            };
            let expected: Vec<&Row> = whole.iter().filter(meant).collect();
            let wanted = RowFilter { clients: clients.clone(), since: from, until: to };
            let found = Handle::current().block_on(exported(&reader, *view, wanted, page));
            prop_assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{:?}", view);
        }
        Ok(())
    };
    block_in_place(|| proptest!(ProptestConfig::with_cases(16), |(case in cases)| check(case)?));
}
