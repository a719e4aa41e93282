//! Gives back the space that deleted rows have left in a SQLite file, in small steps between collections. Servers manage
//! their own space.

use super::pool::Transaction;

/// The number of pages of one step, 4 MiB. This takes some ten milliseconds.
const STEP: i64 = 1_000;

/// Of this many pages, one stays free for rows to come, so that the file does not shrink and grow all the time.
const RESERVE: i64 = 50;

/// Gives back a number of free pages. Returns whether there may be more. A file that was created by an older version
/// keeps its free pages for new rows.
pub(super) async fn give_back(transaction: &mut Transaction) -> Result<bool, sqlx::Error> {
    let Transaction::Sqlite(connection) = transaction else { return Ok(false) };
    let (mode, all, free): (i64, i64, i64) = sqlx::query_as(
        "SELECT auto_vacuum, page_count, freelist_count
         FROM pragma_auto_vacuum, pragma_page_count, pragma_freelist_count",
    )
    .fetch_one(&mut **connection)
    .await?;
    let surplus = free - all / RESERVE;
    // 2 is INCREMENTAL.
    if mode != 2 || surplus <= 0 {
        return Ok(false);
    }
    let sql = format!("PRAGMA incremental_vacuum({})", surplus.min(STEP));
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut **connection).await?;
    Ok(surplus > STEP)
}
