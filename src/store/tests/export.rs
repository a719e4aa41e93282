//! Exports against the views: the same rows, whatever the pages.

use proptest::prelude::*;
use sqlx::{Column as _, TypeInfo as _, ValueRef as _};

use super::*;
use crate::{
    fleet::rows::{Cell, Row, View},
    store::export::{StoredClient, Wanted},
};

/// Rows in which many times are the same, of three clients, and of some clients nothing.
const ROWS: &str = "
    INSERT INTO clients (id, ip, port, name, failed_in_a_row)
      VALUES (1, '10.0.0.1', 22, 'a', 0), (2, 'b.example.com', 2222, 'b', 0), (3, 'fd00::3', 22, 'c', 0), (4, 'none', 22, 'd', 0);
    CREATE TEMPORARY TABLE n AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60) SELECT i FROM n;
    INSERT INTO collections (id, collection_uuid, sweep_uuid, client_id, started_at_ms, duration_ms, attempts, status,
      collected_at_ms, host_name, cpu_percent, memory_total_bytes, load_1)
      SELECT i, 'u', 's', 1 + i % 3, 0, 0, 1, 'ok', CASE WHEN i % 10 = 9 THEN NULL ELSE i * 7 % 5 END,
        CASE WHEN i % 4 = 0 THEN NULL ELSE '=h' || i END, i / 3.0, i * 1000, NULL FROM n;
    INSERT INTO cores (collection_id, core, cpu_percent) SELECT n.i, core.i - 1, core.i FROM n JOIN n AS core ON core.i <= n.i % 4
      WHERE n.i % 10 <> 9;
    INSERT INTO alerts (id, client_id, metric, limit_value, last_value, peak_value, raised_at_ms, resolved_at_ms)
      SELECT printf('id-%02d', i * 17 % 60), 1 + i % 3, 'cpu', 90, i, i, i % 4, CASE WHEN i % 2 = 0 THEN i + 9 END FROM n;
    INSERT INTO security_events (id, client_id, channel, record_id, event_id, level, occurred_at_ms, stored_at_ms, source,
      message, data_fields)
      SELECT i, 1 + i % 3, 'journal', 's=' || i, NULL, 'info',
        CASE i WHEN 1 THEN 9223372036854775807 WHEN 2 THEN -9223372036854775808 ELSE i % 3 END, 0, 'sshd', 'm', '[]' FROM n;
    INSERT INTO mails (id, recipient, kind, subject, body, status, created_at_ms, attempts, client_id)
      SELECT printf('id-%02d', i * 17 % 60), 'ops@example.com', 'alert', 'subject ' || i, 'b', 'waiting', i % 4, 0,
        CASE WHEN i % 5 = 0 THEN NULL ELSE 1 + i % 3 END FROM n;
";

async fn home() -> Home {
    let home = Home::new();
    home.open().await.close().await;
    home.change(ROWS).await;
    home
}

/// Every row of an export in pages of a size, in its order.
async fn exported(reader: &Reader, view: View, wanted: Wanted, page: i64) -> Vec<Row> {
    let mut pages = reader.rows(view, wanted).await.unwrap().with_page(page);
    let mut all = Vec::new();
    while let Some(rows) = pages.next_page().await.unwrap() {
        assert!((1..=page).contains(&i64::try_from(rows.len()).unwrap()), "{view:?}: a page of {}", rows.len());
        all.extend(rows);
    }
    all
}

/// What another program reads from the view.
async fn read(home: &Home, view: View) -> Vec<Row> {
    let mut connection = SqliteConnection::connect(&format!("sqlite:{}", home.file().display())).await.unwrap();
    let sql = format!("SELECT * FROM {}", view.name());
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
    let row = |row: &sqlx::sqlite::SqliteRow| {
        let names: Vec<_> = row.columns().iter().map(|column| column.name().to_owned()).collect();
        let expected: Vec<_> = view.columns().iter().map(|column| column.name).collect();
        assert_eq!(names, expected, "{view:?}");
        let cell = |index: usize| {
            let raw = row.try_get_raw(index).unwrap();
            match (raw.is_null(), raw.type_info().name()) {
                (true, _) => Cell::Null,
                (false, "INTEGER") => Cell::Integer(row.get(index)),
                (false, "REAL") => Cell::Real(row.get(index)),
                (false, _) => Cell::Text(row.get(index)),
            }
        };
        (0..names.len()).map(cell).collect()
    };
    rows.iter().map(row).collect()
}

fn sorted(mut rows: Vec<Row>) -> Vec<String> {
    let mut shown: Vec<_> = rows.drain(..).map(|row| format!("{row:?}")).collect();
    shown.sort();
    shown
}

fn time(view: View, row: &Row) -> i64 {
    let name = match view {
        View::Samples | View::Cores => "collected_at_ms",
        View::Alerts => "raised_at_ms",
        View::Events => "occurred_at_ms",
        View::Mails => "created_at_ms",
    };
    let column = view.columns().iter().position(|column| column.name == name).unwrap();
    match row[column] {
        Cell::Integer(time) => time,
        ref other @ (Cell::Null | Cell::Real(_) | Cell::Text(_)) => panic!("{other:?} is no time"),
    }
}

/// The address and port, by which the rows of a client stand together.
fn owner(row: &Row) -> (String, String) {
    (format!("{:?}", row[0]), format!("{:?}", row[1]))
}

#[tokio::test]
async fn without_a_choice_the_rows_are_those_of_the_view_and_in_order() {
    let home = home().await;
    let reader = Reader::open(&home.url()).await.unwrap();
    for view in View::ALL {
        let rows = exported(&reader, view, Wanted::default(), 1000).await;
        assert!(rows.len() > 50, "{view:?}: {}", rows.len());
        assert_eq!(sorted(rows.clone()), sorted(read(&home, view).await), "{view:?}");
        let mut seen = Vec::new();
        for rows in rows.chunk_by(|one, next| view == View::Mails || owner(one) == owner(next)) {
            assert!(rows.is_sorted_by_key(|row| time(view, row)), "{view:?}");
            seen.push(owner(&rows[0]));
        }
        let parts = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(parts, seen.len(), "{view:?}: the rows of a client stand together");
    }
}

#[tokio::test]
async fn a_fraction_of_a_millisecond_does_not_count_what_was_before_it() {
    let home = home().await;
    let reader = Reader::open(&home.url()).await.unwrap();
    for (since, until, expected) in [
        ("1970-01-01T00:00:00.001Z", "1970-01-01T00:00:00.002Z", vec![1]),
        ("1970-01-01T00:00:00.0011Z", "1970-01-01T00:00:00.0021Z", vec![2]),
        ("1970-01-01T00:00:00.0011Z", "1970-01-01T00:00:00.0019Z", vec![]),
    ] {
        let wanted = Wanted { clients: None, since: since.parse().ok(), until: until.parse().ok() };
        let mut times: Vec<_> =
            exported(&reader, View::Mails, wanted, 7).await.iter().map(|row| time(View::Mails, row)).collect();
        times.dedup();
        assert_eq!(times, expected, "{since} {until}");
    }
}

#[test]
fn nothing_is_lost_or_doubled_between_pages_of_any_size() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (home, reader) = runtime.block_on(async {
        let home = home().await;
        let reader = Reader::open(&home.url()).await.unwrap();
        (home, reader)
    });
    let stored = runtime.block_on(reader.stored_clients()).unwrap();
    let whole: Vec<_> = View::ALL
        .into_iter()
        .map(|view| (view, runtime.block_on(exported(&reader, view, Wanted::default(), 1000))))
        .collect();
    // To whom a mail belongs is not in its view.
    let mut connection =
        runtime.block_on(SqliteConnection::connect(&format!("sqlite:{}", home.file().display()))).unwrap();
    let owners: HashMap<String, Option<i64>> = runtime
        .block_on(sqlx::query_as("SELECT subject, client_id FROM mails").fetch_all(&mut connection))
        .unwrap()
        .into_iter()
        .collect();
    let place = proptest::option::of(-1..7_i64);
    let cases = (1..70_i64, place.clone(), place, proptest::option::of(any::<[bool; 4]>()));
    proptest!(ProptestConfig::with_cases(48), |((page, since, until, chosen) in cases)| {
        let clients: Option<Vec<StoredClient>> = chosen.map(|chosen| {
            stored.iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(client, _)| client.clone()).collect()
        });
        let ids: Option<Vec<String>> = clients.as_ref().map(|clients| {
            clients.iter().map(|client| format!("{:?}", (Cell::Text(client.id.address().to_owned())))).collect()
        });
        let [from, to] = [since, until].map(|ms| ms.map(|ms| Timestamp::from_millisecond(ms).unwrap()));
        for (view, whole) in &whole {
            let meant = |row: &&Row| {
                let time = time(*view, row);
                let by_client = match (&ids, view, &row[2]) {
                    (None, _, _) => true,
                    (Some(_), View::Mails, Cell::Text(subject)) => owners[subject].is_some_and(|owner| {
                        chosen.unwrap()[usize::try_from(owner).unwrap() - 1]
                    }),
                    (Some(ids), _, _) => ids.contains(&owner(row).0),
                };
                by_client && since.is_none_or(|since| time >= since) && until.is_none_or(|until| time < until)
            };
            let expected: Vec<&Row> = whole.iter().filter(meant).collect();
            let wanted = Wanted { clients: clients.clone(), since: from, until: to };
            let found = runtime.block_on(exported(&reader, *view, wanted, page));
            prop_assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{:?}", view);
        }
    });
}

/// A query that sorts or reads all of a table for each of its pages takes minutes where there are millions of rows.
#[tokio::test]
async fn every_page_is_found_by_an_index() {
    let home = home().await;
    for view in View::ALL {
        let mut connection = SqliteConnection::connect(&format!("sqlite:{}", home.file().display())).await.unwrap();
        let sql = format!("EXPLAIN QUERY PLAN {} LIMIT 9", store::export::sql(view));
        let plan = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
        let of_the_times = plan.iter().any(|step| step.contains("_ms>? AND ") || step.contains("_ms<?)"));
        let sorts_all = plan.iter().any(|step| step == "USE TEMP B-TREE FOR ORDER BY");
        assert!(of_the_times && !sorts_all && !plan.iter().any(|step| step.contains("SCAN")), "{view:?}: {plan:#?}");
    }
}
