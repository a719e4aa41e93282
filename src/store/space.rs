//! The space of a SQLite file: how much its rows use, and giving back what deleted rows have left, in small steps between
//! collections. Servers manage their own space.

use super::pool::Transaction;

/// The number of pages of one step, 4 MiB. This takes some ten milliseconds.
const STEP: i64 = 1_000;

/// Of this many pages, one stays free for rows to come, so that the file does not shrink and grow all the time.
const RESERVE: i64 = 50;

/// The pages of a file.
struct Pages {
    all: i64,
    free: i64,
    bytes_each: i64,
}

async fn pages(transaction: &mut sqlx::SqliteConnection) -> Result<Pages, sqlx::Error> {
    let (all, free, bytes_each): (i64, i64, i64) = sqlx::query_as(
        "SELECT page_count, freelist_count, page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
    )
    .fetch_one(transaction)
    .await?;
    Ok(Pages { all, free, bytes_each })
}

/// How many bytes of the file have content; `None` for a server.
pub(super) async fn used_bytes(transaction: &mut Transaction) -> Result<Option<u64>, sqlx::Error> {
    let Transaction::Sqlite(connection) = transaction else { return Ok(None) };
    let Pages { all, free, bytes_each } = pages(connection).await?;
    Ok(Some(u64::try_from(all.saturating_sub(free).saturating_mul(bytes_each)).unwrap_or(0)))
}

/// Gives back a number of free pages. Returns whether there may be more. A file that was created by an older version
/// keeps its free pages for new rows.
pub(super) async fn give_back(transaction: &mut Transaction) -> Result<bool, sqlx::Error> {
    let Transaction::Sqlite(connection) = transaction else { return Ok(false) };
    let (mode,): (i64,) = sqlx::query_as("PRAGMA auto_vacuum").fetch_one(&mut **connection).await?;
    let Pages { all, free, .. } = pages(connection).await?;
    let surplus = free - all / RESERVE;
    // 2 is INCREMENTAL.
    if mode != 2 || surplus <= 0 {
        return Ok(false);
    }
    let sql = format!("PRAGMA incremental_vacuum({})", surplus.min(STEP));
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut **connection).await?;
    Ok(surplus > STEP)
}
