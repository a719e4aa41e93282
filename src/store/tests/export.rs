//! The query plans of exports.

use super::*;
use crate::{
    fleet::rows::View,
    store::view_rows::{source, sql},
};

/// If a query sorts or reads the whole table for each page, an export of millions of rows takes minutes.
#[tokio::test]
async fn every_page_is_found_by_an_index() {
    let home = Home::new();
    home.open().await.close().await;
    for view in View::ALL {
        let Some(source) = source(view) else { continue };
        let mut connection = SqliteConnection::connect(&format!("sqlite:{}", home.file().display())).await.unwrap();
        let sql = format!("EXPLAIN QUERY PLAN {} LIMIT 9", sql(view, &source));
        let plan = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
        let of_the_times = plan.iter().any(|step| step.contains("_ms>? AND ") || step.contains("_ms<?)"));
        let sorts_all = plan.iter().any(|step| step == "USE TEMP B-TREE FOR ORDER BY");
        // What a client has in its newest sample fits into a page and has one time.
        let is_one_page = matches!(view, View::FileSystems | View::Interfaces | View::Clients);
        assert!(is_one_page || (of_the_times && !sorts_all), "{view:?}: {plan:#?}");
        assert!(!plan.iter().any(|step| step.contains("SCAN")), "{view:?}: {plan:#?}");
    }
}
