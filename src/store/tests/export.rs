//! The query plans of exports.

use super::*;
use crate::{fleet::rows::View, store::view_rows::sql};

/// If a query sorts or reads the whole table for each page, an export of millions of rows takes minutes.
#[tokio::test]
async fn every_page_is_found_by_an_index() {
    let home = Home::new();
    home.open().await.close().await;
    for view in View::ALL {
        let mut connection = SqliteConnection::connect(&format!("sqlite:{}", home.file().display())).await.unwrap();
        let sql = format!("EXPLAIN QUERY PLAN {} LIMIT 9", sql(view));
        let plan = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
        let of_the_times = plan.iter().any(|step| step.contains("_ms>? AND ") || step.contains("_ms<?)"));
        let sorts_all = plan.iter().any(|step| step == "USE TEMP B-TREE FOR ORDER BY");
        assert!(of_the_times && !sorts_all && !plan.iter().any(|step| step.contains("SCAN")), "{view:?}: {plan:#?}");
    }
}
