//! What trends of file systems need: the used space of the last weeks from the roll-ups, and the trends that were
//! estimated last.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use jiff::Timestamp;
use sqlx::{ColumnIndex, Decode, Row, Type};

use super::{
    convert::{client_id, from_ms, to_ms},
    history_rows::SLOTS,
    pool::fetch_all,
    read_pool::ReadPool,
    readable::{Unreadable, fetch_readable},
};
use crate::fleet::{
    ClientId,
    metric::Instance,
    rollup::{self, Quantity, Tier},
    trend::{MOST_POINTS, Point, Trend, Trends, WINDOW_DAYS},
};

const DAY_MS: i64 = 86_400_000;

/// A part of the history of a group.
struct Part {
    start_ms: i64,
    /// The mean of each slot, thousandths of a byte; `None` without a value.
    means: [Option<f64>; SLOTS],
}

impl<'r, R> sqlx::FromRow<'r, R> for Part
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Type<R::Database> + Decode<'r, R::Database>,
    f64: Type<R::Database> + Decode<'r, R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        let mut means = [None; SLOTS];
        for (index, mean) in means.iter_mut().enumerate() {
            *mean = row.try_get(1 + index)?;
        }
        Ok(Self { start_ms: row.try_get(0)?, means })
    }
}

/// The means of a group in parts of equal length. Parameters: the length, group, tier, begin. The database makes them, so
/// that few rows are read.
static PARTS: LazyLock<String> = LazyLock::new(|| {
    let means: Vec<String> = (0..SLOTS).map(|slot| format!("SUM(sum_{slot:02}) / SUM(count_{slot:02})")).collect();
    format!(
        "SELECT start_ms - start_ms % ?, {} FROM history_buckets /*! FORCE INDEX (history_buckets_by_group) */
         WHERE group_id = ? AND tier_seconds = ? AND start_ms >= ? GROUP BY 1 ORDER BY 1",
        means.join(", ")
    )
});

/// The used space of each mount of a client in the last weeks, at most about [`MOST_POINTS`] values each, from the hours
/// that have ended.
pub(super) async fn used_space(
    pool: &ReadPool,
    client: &ClientId,
    now: Timestamp,
) -> Result<HashMap<Instance, Vec<Point>>, sqlx::Error> {
    let mut transaction = pool.begin_read().await?;
    let places: Vec<(String, i32, i32)> = fetch_all!(
        &mut transaction,
        (String, i32, i32),
        "SELECT instance, group_id, slot FROM history_series
         WHERE client_id = (SELECT id FROM clients WHERE ip = ? AND port = ?) AND metric = ?",
        client.address(),
        i64::from(client.port()),
        Quantity::DiskUsed.word()
    )?;
    let mut groups: BTreeMap<i32, Vec<(usize, Instance)>> = BTreeMap::new();
    for (instance, group, slot) in places {
        let slot = usize::try_from(slot).unwrap_or(SLOTS);
        groups.entry(group).or_default().push((slot, Instance::new(&instance)));
    }
    let hour_ms = Tier::Hour.milliseconds();
    let begin_ms = Tier::Hour.start_of(to_ms(now).saturating_sub(WINDOW_DAYS * DAY_MS));
    let mut found: HashMap<Instance, Vec<Point>> = HashMap::new();
    for (group, series) in groups {
        let first: Vec<(Option<i64>,)> = fetch_all!(
            &mut transaction,
            (Option<i64>,),
            "SELECT MIN(start_ms) FROM history_buckets WHERE group_id = ? AND tier_seconds = ? AND start_ms >= ?",
            group,
            Tier::Hour.seconds(),
            begin_ms
        )?;
        let Some(first_ms) = first.into_iter().find_map(|(first,)| first) else { continue };
        let hours = to_ms(now).saturating_sub(first_ms) / hour_ms;
        // One less, because the first part and the newest value make two more.
        let most = i64::try_from(MOST_POINTS).unwrap_or(i64::MAX) - 2;
        let part_ms = (hours / most + 1) * hour_ms;
        let parts: Vec<Part> = fetch_all!(
            &mut transaction,
            Part,
            PARTS.clone(),
            part_ms,
            group,
            i64::from(Tier::Hour.seconds()),
            begin_ms
        )?;
        for Part { start_ms, means } in parts {
            let day = (start_ms + part_ms / 2) as f64 / DAY_MS as f64;
            for (slot, instance) in &series {
                let Some(mean) = means.get(*slot).copied().flatten() else { continue };
                let used_bytes = rollup::in_unit(mean);
                found.entry(instance.clone()).or_default().push(Point { day, used_bytes });
            }
        }
    }
    Ok(found)
}

#[derive(sqlx_macros::FromRow)]
struct TrendRow {
    ip: String,
    port: i64,
    trends_at_ms: i64,
    mount: String,
    trend_low: i64,
    trend_middle: i64,
    trend_high: i64,
    trend_is_steady: i64,
}

/// The trends that were estimated last.
pub(super) async fn trends(pool: &ReadPool) -> Result<(HashMap<ClientId, Trends>, Unreadable), sqlx::Error> {
    let mut unreadable = Unreadable::default();
    let mut transaction = pool.begin_read().await?;
    let rows: Vec<TrendRow> = fetch_readable!(
        &mut transaction,
        TrendRow,
        &mut unreadable,
        "SELECT clients.ip, clients.port, clients.trends_at_ms, file_systems.mount, file_systems.trend_low,
         file_systems.trend_middle, file_systems.trend_high, file_systems.trend_is_steady
         FROM file_systems JOIN clients ON clients.id = file_systems.client_id
         WHERE clients.trends_at_ms IS NOT NULL AND file_systems.trend_is_steady IS NOT NULL"
    )?;
    let mut trends: HashMap<ClientId, Trends> = HashMap::new();
    for row in rows {
        let (low, middle, high) = (row.trend_low, row.trend_middle, row.trend_high);
        let trend = Trend { low, middle, high, is_steady: row.trend_is_steady > 0 };
        let of = client_id(row.ip, row.port).and_then(|client| Ok((client, from_ms(row.trends_at_ms)?)));
        let Some((client, estimated_at)) = unreadable.keep(of) else { continue };
        let of_client = trends.entry(client).or_insert_with(|| Trends { estimated_at, by_mount: HashMap::new() });
        of_client.by_mount.insert(row.mount, trend);
    }
    Ok((trends, unreadable))
}
