//! The points of a chart: from samples where the chart is short, from roll-ups where it is long.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    convert::{from_ms, to_ms},
    pool::{Transaction, fetch_all},
    read_pool::ReadPool,
    readable::{Unreadable, fetch_readable},
};
use crate::fleet::{
    ClientId, Metric,
    history::{Point, Span},
    rollup::{Bucket, Tier, in_unit},
};

/// The most points of a chart, more than the columns of a screen.
const POINTS: i64 = 400;

/// The time span of one point. Spans are counted from the epoch, so that a point does not move as time passes. A chart
/// can therefore touch one span more than its length.
///
/// A point is made of whole buckets where the shortest one would have at least two fifths of a bucket. So a week is 168 hours,
/// and not 2,016 buckets of five minutes, each of which a server may have to read from another part of the disk.
fn part(span: Span) -> i64 {
    let shortest = span.milliseconds() / (POINTS - 1) + 1;
    let bucket_ms = Tier::ALL.into_iter().rev().map(Tier::milliseconds).find(|length| *length <= shortest * 5 / 2);
    bucket_ms.map_or(shortest, |length| (shortest + length - 1) / length * length)
}

/// The query of a chart. Parameters: address, port, start, end, time span of a point. The newest time in a span is the
/// time of its point, which for a single sample is its own time. Public for benchmarks of the query plan.
pub const HISTORY: &str = "SELECT MAX(collected_at_ms), AVG(cpu_percent), AVG(memory_percent)
    FROM collections /*! FORCE INDEX (collections_by_chart) */
    WHERE client_id = (SELECT id FROM clients WHERE ip = ? AND port = ?)
    AND collected_at_ms > ? AND collected_at_ms <= ?
    GROUP BY collected_at_ms - collected_at_ms % ? ORDER BY 1";

/// The metrics of a chart.
const CHARTED: [Metric; 2] = [Metric::Cpu, Metric::Memory];

/// Where values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Samples,
    Buckets(Tier),
}

/// The sources of a chart with points of this length, the best first: the coarsest that is fine enough, then those that
/// reach farther back, then those that have what is not rolled up yet.
fn sources(part_ms: i64) -> Vec<Source> {
    let fine = |tier: &Tier| tier.milliseconds() <= part_ms;
    let finer = Tier::ALL.into_iter().rev().filter(fine).map(Source::Buckets).chain([Source::Samples]);
    let mut finer = finer.collect::<Vec<_>>().into_iter();
    let coarser = Tier::ALL.into_iter().filter(|tier| !fine(tier)).map(Source::Buckets);
    finer.next().into_iter().chain(coarser).chain(finer).collect()
}

/// The values of one point.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    newest_ms: i64,
    /// The sum, in thousandths, and the count of CPU and memory.
    values: [(f64, f64); 2],
}

impl Sum {
    fn mean(&self, index: usize) -> Option<f64> {
        let (sum, count) = self.values.get(index).copied().unwrap_or_default();
        (count > 0.0).then(|| in_unit((sum / count).round()))
    }
}

pub(super) async fn points(
    pool: &ReadPool,
    client: &ClientId,
    span: Span,
    now: Timestamp,
) -> Result<(Vec<Point>, Unreadable), sqlx::Error> {
    let mut unreadable = Unreadable::default();
    let (now_ms, part_ms) = (to_ms(now), part(span));
    let after_ms = now_ms.saturating_sub(span.milliseconds());
    let mut transaction = pool.begin_read().await?;
    let mut sums: BTreeMap<i64, Sum> = BTreeMap::new();
    // What comes later is known already.
    let mut until_ms = now_ms;
    for source in sources(part_ms) {
        if until_ms <= after_ms {
            break;
        }
        let found = match source {
            Source::Samples => {
                samples(&mut transaction, client, (after_ms, until_ms), part_ms, &mut unreadable).await?
            }
            // What is known already is in a bucket that has not ended by then.
            Source::Buckets(tier) => {
                let until_ms =
                    if until_ms == now_ms { now_ms } else { until_ms.saturating_sub(tier.milliseconds() - 1) };
                buckets(&mut transaction, client, tier, (after_ms, until_ms), (part_ms, now_ms)).await?
            }
        };
        if let Some((begin_ms, found)) = found {
            until_ms = until_ms.min(begin_ms.saturating_sub(1));
            for (part, sum) in found {
                sums.entry(part).or_insert(sum);
            }
        }
    }
    let point = |sum: &Sum| {
        let at = unreadable.keep(from_ms(sum.newest_ms))?;
        Some(Point { at, cpu_percent: sum.mean(0), memory_percent: sum.mean(1) })
    };
    Ok((sums.values().filter_map(point).collect(), unreadable))
}

/// The time from which a source has values, and its points.
type Found = Option<(i64, BTreeMap<i64, Sum>)>;

async fn samples(
    transaction: &mut Transaction,
    client: &ClientId,
    (after_ms, until_ms): (i64, i64),
    part_ms: i64,
    unreadable: &mut Unreadable,
) -> Result<Found, sqlx::Error> {
    let rows: Vec<(i64, Option<f64>, Option<f64>)> = fetch_readable!(
        transaction,
        (i64, Option<f64>, Option<f64>),
        unreadable,
        HISTORY,
        client.address(),
        i64::from(client.port()),
        after_ms,
        until_ms,
        part_ms
    )?;
    let begin_ms = rows.first().map(|(at_ms, _, _)| *at_ms);
    let sum = |(newest_ms, cpu, memory): (i64, Option<f64>, Option<f64>)| {
        let values = [cpu, memory].map(|value| value.map_or((0.0, 0.0), |value| (Bucket::of(value).sum, 1.0)));
        (newest_ms.div_euclid(part_ms), Sum { newest_ms, values })
    };
    Ok(begin_ms.map(|begin_ms| (begin_ms, rows.into_iter().map(sum).collect())))
}

async fn buckets(
    transaction: &mut Transaction,
    client: &ClientId,
    tier: Tier,
    (after_ms, until_ms): (i64, i64),
    (part_ms, now_ms): (i64, i64),
) -> Result<Found, sqlx::Error> {
    let mut begin_ms: Option<i64> = None;
    let mut sums: BTreeMap<i64, Sum> = BTreeMap::new();
    for (group, slots) in slots(transaction, client).await? {
        let range = (tier.start_of(after_ms.saturating_add(1)), until_ms);
        for row in parts(transaction, (group, slots), tier, range, part_ms).await? {
            begin_ms = Some(begin_ms.map_or(row.first_ms, |known| known.min(row.first_ms)));
            // The time of a point is the newest in it.
            let newest_ms = row.last_ms.saturating_add(tier.milliseconds() - 1).min(now_ms);
            let sum = sums.entry(newest_ms.div_euclid(part_ms)).or_default();
            sum.newest_ms = sum.newest_ms.max(newest_ms);
            let found = [(row.cpu_sum, row.cpu_count), (row.memory_sum, row.memory_count)];
            for ((slot, found), value) in slots.into_iter().zip(found).zip(&mut sum.values) {
                if let (Some(_), (Some(total), Some(count))) = (slot, found) {
                    *value = (value.0 + total, value.1 + count);
                }
            }
        }
    }
    Ok(begin_ms.map(|begin_ms| (begin_ms, sums)))
}

/// The slots of CPU and memory by group, usually in the same one.
async fn slots(
    transaction: &mut Transaction,
    client: &ClientId,
) -> Result<BTreeMap<i32, [Option<i32>; 2]>, sqlx::Error> {
    let places: Vec<(String, i32, i32)> = fetch_all!(
        transaction,
        (String, i32, i32),
        "SELECT metric, group_id, slot FROM history_series
         WHERE client_id = (SELECT id FROM clients WHERE ip = ? AND port = ?) AND instance = '' AND metric IN (?, ?)",
        client.address(),
        i64::from(client.port()),
        CHARTED[0].word(),
        CHARTED[1].word()
    )?;
    let mut groups: BTreeMap<i32, [Option<i32>; 2]> = BTreeMap::new();
    for (metric, group, slot) in places {
        let slots = groups.entry(group).or_default();
        for (known, charted) in slots.iter_mut().zip(CHARTED) {
            if metric == charted.word() {
                *known = Some(slot);
            }
        }
    }
    Ok(groups)
}

/// The buckets of a group that belong to one point.
#[derive(sqlx_macros::FromRow)]
struct PartRow {
    /// The start of the first one.
    first_ms: i64,
    /// The start of the last one.
    last_ms: i64,
    cpu_sum: Option<f64>,
    cpu_count: Option<f64>,
    memory_sum: Option<f64>,
    memory_count: Option<f64>,
}

/// The buckets that begin in a range of time, summed up by points of this length. The database does that, because a row from it
/// costs more than a sum. The values of a metric that is not in the group are those of the other one.
async fn parts(
    transaction: &mut Transaction,
    (group, slots): (i32, [Option<i32>; 2]),
    tier: Tier,
    (begin_ms, until_ms): (i64, i64),
    part_ms: i64,
) -> Result<Vec<PartRow>, sqlx::Error> {
    let [cpu, memory] = slots;
    let (Some(cpu), Some(memory)) = (cpu.or(memory), memory.or(cpu)) else { return Ok(Vec::new()) };
    let of = |table: &str| {
        format!(
            "SELECT start_ms, sum_{cpu:02} AS cpu_sum, count_{cpu:02} AS cpu_count, sum_{memory:02} AS memory_sum,
             count_{memory:02} AS memory_count FROM {table}
             WHERE group_id = ? AND tier_seconds = ? AND start_ms >= ? AND start_ms <= ?"
        )
    };
    // The databases have no type of a sum of whole numbers in common, so it is one of real numbers.
    let sql = format!(
        "SELECT MIN(start_ms) AS first_ms, MAX(start_ms) AS last_ms, SUM(cpu_sum) AS cpu_sum,
         SUM(cpu_count + 0 * cpu_sum) AS cpu_count, SUM(memory_sum) AS memory_sum,
         SUM(memory_count + 0 * memory_sum) AS memory_count FROM ({} UNION ALL {}) AS buckets
         GROUP BY (start_ms + ?) - (start_ms + ?) % ?",
        of("history_buckets /*! FORCE INDEX (history_buckets_by_group) */"),
        of("history_open")
    );
    let (seconds, group, end) = (i64::from(tier.seconds()), i64::from(group), tier.milliseconds() - 1);
    fetch_all!(
        transaction,
        PartRow,
        sql,
        group,
        seconds,
        begin_ms,
        until_ms,
        group,
        seconds,
        begin_ms,
        until_ms,
        end,
        end,
        part_ms
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_span_has_more_parts_than_there_are_points() {
        for span in Span::ALL {
            // A chart can touch one span more than its length.
            assert!((POINTS - 1) * part(span) >= span.milliseconds(), "{span:?}");
        }
    }

    #[test]
    fn a_point_has_whole_buckets() {
        for (span, expected) in
            [(Span::Day, 5 * 60), (Span::Week, 3_600), (Span::Month, 2 * 3_600), (Span::Year, 86_400)]
        {
            assert_eq!(part(span), expected * 1_000, "{span:?}");
        }
        assert_eq!(part(Span::FiveYears) % Tier::Day.milliseconds(), 0);
    }

    #[test]
    fn a_chart_reads_the_coarsest_source_that_is_fine_enough() {
        use {Source::*, Tier::*};
        for (span, expected) in [
            (Span::Hour, [Samples, Buckets(FiveMinutes), Buckets(Hour), Buckets(Day)]),
            (Span::SixHours, [Samples, Buckets(FiveMinutes), Buckets(Hour), Buckets(Day)]),
            (Span::Day, [Buckets(FiveMinutes), Buckets(Hour), Buckets(Day), Samples]),
            (Span::Week, [Buckets(Hour), Buckets(Day), Buckets(FiveMinutes), Samples]),
            (Span::Month, [Buckets(Hour), Buckets(Day), Buckets(FiveMinutes), Samples]),
            (Span::Year, [Buckets(Day), Buckets(Hour), Buckets(FiveMinutes), Samples]),
            (Span::FiveYears, [Buckets(Day), Buckets(Hour), Buckets(FiveMinutes), Samples]),
        ] {
            assert_eq!(sources(part(span)), expected, "{span:?}");
        }
    }
}
