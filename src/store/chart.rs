//! The points of a chart: from samples where the chart is short, from roll-ups where it is long.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    convert::{from_count, from_ms, to_ms},
    pool::{Transaction, fetch_all},
    read_pool::ReadPool,
    readable::{Unreadable, fetch_readable},
};
use crate::fleet::{
    ClientId, Metric,
    history::{Point, Span},
    rollup::{Bucket, Tier},
};

/// The most points of a chart, more than the columns of a screen.
const POINTS: i64 = 400;

/// The time span of one point. Spans are counted from the epoch, so that a point does not move as time passes. A chart
/// can therefore touch one span more than its length.
fn part(span: Span) -> i64 {
    span.milliseconds() / (POINTS - 1) + 1
}

/// The query of a chart. Parameters: address, port, start, end, time span of a point. The newest time in a span is the
/// time of its point, which for a single sample is its own time. Public for benchmarks of the query plan.
pub const HISTORY: &str = "SELECT MAX(collected_at_ms), AVG(cpu_percent), AVG(memory_percent)
    FROM collections /*! FORCE INDEX (collections_by_chart) */
    WHERE client_id = (SELECT id FROM clients WHERE ip = ? AND port = ?)
    AND collected_at_ms > ? AND collected_at_ms <= ?
    GROUP BY collected_at_ms - collected_at_ms % ? ORDER BY 1";

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
    /// The sum and the count of CPU and memory.
    values: [(f64, u32); 2],
}

impl Sum {
    fn mean(&self, index: usize) -> Option<f64> {
        let (sum, count) = self.values.get(index).copied().unwrap_or_default();
        (count > 0).then(|| sum / f64::from(count))
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
        let values = [cpu, memory].map(|value| value.map_or((0.0, 0), |value| (value, 1)));
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
    for (index, metric) in [Metric::Cpu, Metric::Memory].into_iter().enumerate() {
        for (start_ms, mean, count) in
            means(transaction, client, (metric.word(), ""), tier, (after_ms, until_ms)).await?
        {
            begin_ms = Some(begin_ms.map_or(start_ms, |known| known.min(start_ms)));
            // The time of a point is the newest in it.
            let newest_ms = start_ms.saturating_add(tier.milliseconds() - 1).min(now_ms);
            let sum = sums.entry(newest_ms.div_euclid(part_ms)).or_default();
            sum.newest_ms = sum.newest_ms.max(newest_ms);
            if let Some((total, counted)) = sum.values.get_mut(index) {
                *total += mean * f64::from(count);
                *counted = counted.saturating_add(count);
            }
        }
    }
    Ok(begin_ms.map(|begin_ms| (begin_ms, sums)))
}

/// The buckets of a series that end after a time and begin until another: their start, mean and count, oldest first.
pub(super) async fn means(
    transaction: &mut Transaction,
    client: &ClientId,
    (metric, instance): (&str, &str),
    tier: Tier,
    (after_ms, until_ms): (i64, i64),
) -> Result<Vec<(i64, f64, u32)>, sqlx::Error> {
    let places: Vec<(i32, i32)> = fetch_all!(
        transaction,
        (i32, i32),
        "SELECT group_id, slot FROM history_series WHERE client_id = (SELECT id FROM clients WHERE ip = ? AND port = ?)
         AND metric = ? AND instance = ?",
        client.address(),
        i64::from(client.port()),
        metric,
        instance
    )?;
    let Some((group, slot)) = places.into_iter().next() else { return Ok(Vec::new()) };
    let begin_ms = tier.start_of(after_ms.saturating_add(1));
    let of = |table: &str| {
        format!(
            "SELECT start_ms, sum_{slot:02}, count_{slot:02} FROM {table}
             WHERE group_id = ? AND tier_seconds = ? AND start_ms >= ? AND start_ms <= ? AND count_{slot:02} > 0"
        )
    };
    let buckets = "history_buckets /*! FORCE INDEX (history_buckets_by_group) */";
    let sql = format!("{} UNION ALL {} ORDER BY 1", of(buckets), of("history_open"));
    let (seconds, group) = (i64::from(tier.seconds()), i64::from(group));
    let rows: Vec<(i64, f64, i32)> = fetch_all!(
        transaction,
        (i64, f64, i32),
        sql,
        group,
        seconds,
        begin_ms,
        until_ms,
        group,
        seconds,
        begin_ms,
        until_ms
    )?;
    rows.into_iter()
        .map(|(start_ms, sum, count)| {
            let count = from_count(count.into())?;
            Ok((start_ms, Bucket { count, sum, minimum: sum, maximum: sum, last: sum }.mean(), count))
        })
        .collect()
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
    fn a_chart_reads_the_coarsest_source_that_is_fine_enough() {
        use {Source::*, Tier::*};
        for (span, expected) in [
            (Span::Hour, [Samples, Buckets(FiveMinutes), Buckets(Hour), Buckets(Day)]),
            (Span::Day, [Samples, Buckets(FiveMinutes), Buckets(Hour), Buckets(Day)]),
            (Span::Week, [Buckets(FiveMinutes), Buckets(Hour), Buckets(Day), Samples]),
            (Span::Month, [Buckets(Hour), Buckets(Day), Buckets(FiveMinutes), Samples]),
            (Span::Year, [Buckets(Hour), Buckets(Day), Buckets(FiveMinutes), Samples]),
            (Span::FiveYears, [Buckets(Day), Buckets(Hour), Buckets(FiveMinutes), Samples]),
        ] {
            assert_eq!(sources(part(span)), expected, "{span:?}");
        }
    }
}
