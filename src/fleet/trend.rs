//! The trend of a file system: how many bytes a day it grows, within which bounds, and whether that is a trend at all.
//! Pure. What it means for the space that is left is in [`outlook`](super::outlook).
//!
//! The slope is the Theil–Sen estimator, the median of the slopes of all pairs of points, which no few outliers change
//! (P. K. Sen, "Estimates of the Regression Coefficient Based on Kendall's Tau", JASA 63, 1968). Its bounds are order
//! statistics of the same slopes at a confidence of 95 %, from the variance of Kendall's S (R. O. Gilbert, "Statistical
//! Methods for Environmental Pollution Monitoring", 1987, 16.5). Consecutive values of a disk are not independent, which
//! would make the bounds too narrow: the variance is that of as many independent values as there are in effect, from
//! the correlation of neighbours (S. Yue, C. Wang, "The Mann-Kendall Test Modified by Effective Sample Size", 2004).
//! In simulations, the bounds contain the true slope in 96 of 100 cases with noise, and in two thirds with a random walk,
//! which no history of this length tells from a trend.
//!
//! A slope can be computed of anything. It is only a trend if it is `is_steady`:
//!
//! * There are points of at least three days, and at least twelve.
//! * The lower bound is above 0, and the upper one at most four times the lower one.
//! * The used space did not fall by more than a quarter of the growth in between. If files are deleted from time to time,
//!   nobody knows when it will be done again. If it was done once, and the time since then is a week and clearly longer
//!   than any other without a fall, only that time counts.
//! * The last days go on like the days before. If they have been twice as fast for three days, and used space was never
//!   that high, their slope is the trend. If the last week was faster than all of the bounds, its slope is the trend. If it
//!   is only the last day, or if the last week was much slower, there is none.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How much of the history counts, days.
pub const WINDOW_DAYS: i64 = 30;

/// The most points of which pairs are made. The cost grows with the square: 19,900 pairs.
pub const MOST_POINTS: usize = 200;

/// The fewest points of a trend.
const LEAST_POINTS: usize = 12;

/// The shortest history of a trend, days.
const LEAST_DAYS: f64 = 3.0;

/// The most by which used space may have fallen in between, as a share of its growth.
const MOST_FALL: f64 = 0.25;

/// The greatest quotient of the bounds.
const WIDEST: f64 = 4.0;

/// How many times as fast the last days must be to count alone.
const MUCH_FASTER: f64 = 2.0;

/// The days of the last week.
const WEEK: f64 = 7.0;

/// How many times as long as any other time without a fall the last one must be to count alone.
const MUCH_LONGER: f64 = 1.25;

/// How much slower the last week may be than the days before, as a share.
const SLOWER: f64 = 0.75;

/// The quantile of the normal distribution for a confidence of 95 %.
const CONFIDENCE: f64 = 1.96;

/// The highest correlation of neighbours that counts. That of a smooth curve is near 1, and its bounds would be infinite,
/// although it only bends a little.
const MOST_CORRELATION: f64 = 0.95;

/// The neighbours of which the median is taken before used space is searched for falls. Peaks of less than half as
/// many points do not count.
const SMOOTHED: usize = 5;

/// How often trends are estimated, milliseconds. To read a month of a client takes about 15 ms of CPU on SQLite, and a new
/// value of 200 changes little.
pub const EVERY_MS: i64 = 4 * 3_600_000;

/// How long they are good, milliseconds.
const GOOD_FOR_MS: i64 = 2 * 86_400_000;

/// A value of the history.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// When it was measured, days; only differences matter.
    pub day: f64,
    /// The used space, bytes.
    pub used_bytes: f64,
}

/// How used space changes, bytes a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trend {
    /// The lower bound.
    pub low: i64,
    /// The estimate.
    pub middle: i64,
    /// The upper bound.
    pub high: i64,
    /// Whether it grows steadily, so that the estimate may be extrapolated.
    pub is_steady: bool,
}

/// The trends of the file systems of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trends {
    /// When they were estimated.
    pub estimated_at: Timestamp,
    /// Those that are known, by mount.
    pub by_mount: HashMap<String, Trend>,
}

impl Trends {
    /// Whether they are to be estimated anew. That is every four hours, and `offset_ms` later, so that not all clients are
    /// estimated at once.
    #[must_use]
    pub fn are_due(&self, now: Timestamp, offset_ms: i64) -> bool {
        let period = |at: Timestamp| at.as_millisecond().saturating_sub(offset_ms).div_euclid(EVERY_MS);
        period(self.estimated_at) != period(now)
    }

    /// Whether they still say something. While the database does not answer, they are not estimated anew.
    #[must_use]
    pub fn are_good(&self, now: Timestamp) -> bool {
        let age_ms = now.as_millisecond().saturating_sub(self.estimated_at.as_millisecond());
        (-GOOD_FOR_MS..=GOOD_FOR_MS).contains(&age_ms)
    }
}

/// Slopes, bytes a day.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Slopes {
    low: f64,
    middle: f64,
    high: f64,
    is_steady: bool,
}

impl Trend {
    /// The trend of a history, in any order; `None` if it is too short.
    #[must_use]
    pub fn of(history: &[Point]) -> Option<Self> {
        let points = thinned(history);
        let all = recent(&points, slopes(&points)?);
        let since_fall = || {
            let part = since_fall(&points)?;
            Some(recent(part, slopes(part)?)).filter(|slopes| slopes.is_steady)
        };
        let Slopes { low, middle, high, is_steady } = if all.is_steady { all } else { since_fall().unwrap_or(all) };
        #[expect(clippy::cast_possible_truncation, reason = "a cast of a float keeps within the bounds of the type")]
        let whole = |slope: f64| slope.round() as i64;
        Some(Self { low: whole(low), middle: whole(middle), high: whole(high), is_steady })
    }
}

/// The slopes after a look at the last days alone.
fn recent(points: &[Point], all: Slopes) -> Slopes {
    let Some((end, length)) = points.last().map(|last| (last.day, span(points))) else { return all };
    let since = |days: f64| points.partition_point(|point| point.day < end - days);
    let of_last = |days: f64| points.get(since(days)..).and_then(slopes);
    let fast = MUCH_FASTER * all.high.max(0.0);
    if length >= 2.0 * LEAST_DAYS {
        let (before, days) = points.split_at(since(LEAST_DAYS));
        let highest = before.iter().map(|point| point.used_bytes).fold(f64::NEG_INFINITY, f64::max);
        let is_new = |slopes: &Slopes| {
            let grown = slopes.middle * span(days);
            days.last().is_some_and(|last| last.used_bytes - highest > grown / 2.0)
        };
        // A point less than three days ago is the first one, so the span is a little shorter.
        let fitted = fitted(days).filter(|slopes| slopes.is_steady && slopes.low > fast && is_new(slopes));
        if let Some(faster) = fitted {
            return faster;
        }
    }
    let rises: Vec<f64> = rises_by_day(points);
    if let [last, earlier @ ..] = rises.as_slice() {
        let highest = earlier.iter().copied().fold(0.0, f64::max);
        if *last > MUCH_FASTER * highest.max(all.high) {
            return Slopes { high: all.high.max(*last), is_steady: false, ..all };
        }
    }
    let week = of_last(WEEK).filter(|_| length >= 2.0 * WEEK);
    // It fills faster and faster.
    if let Some(week) = week.filter(|week| all.is_steady && week.is_steady && week.low > all.high) {
        return week;
    }
    let is_slower = week.is_some_and(|week| week.high < SLOWER * all.low);
    Slopes { is_steady: all.is_steady && !is_slower, ..all }
}

/// The points since used space last fell, if that is at least a week and clearly longer than any other time without a fall.
fn since_fall(points: &[Point]) -> Option<&[Point]> {
    let smoothed = smoothed(points);
    let (lowest, highest) =
        smoothed.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), used| (low.min(*used), high.max(*used)));
    let most_fall = MOST_FALL * (highest - lowest);
    // The beginnings of the times without a fall.
    let mut begins = vec![0];
    let mut top = f64::NEG_INFINITY;
    for (index, used_bytes) in smoothed.iter().copied().enumerate() {
        top = top.max(used_bytes);
        if top - used_bytes > most_fall {
            begins.push(index);
            top = used_bytes;
        }
    }
    let (last, earlier) = begins.split_last()?;
    let part = points.get(*last..)?;
    let ends = begins.iter().skip(1);
    let longest =
        earlier.iter().zip(ends).filter_map(|(begin, end)| points.get(*begin..*end)).map(span).fold(0.0, f64::max);
    (!earlier.is_empty() && span(part) >= WEEK && span(part) > MUCH_LONGER * longest).then_some(part)
}

/// By how much used space rose in each day, the last one first. Days count back from the last point.
fn rises_by_day(points: &[Point]) -> Vec<f64> {
    let mut rises = Vec::new();
    let Some(mut later) = points.last().copied() else { return rises };
    let end = later.day;
    for point in points.iter().rev() {
        if end - point.day >= (rises.len() + 1) as f64 {
            rises.push(later.used_bytes - point.used_bytes);
            later = *point;
        }
    }
    rises
}

fn span(points: &[Point]) -> f64 {
    points.first().zip(points.last()).map_or(0.0, |(first, last)| last.day - first.day)
}

/// The slopes, if there are enough points. They are sorted by time.
fn slopes(points: &[Point]) -> Option<Slopes> {
    if span(points) < LEAST_DAYS { None } else { fitted(points) }
}

fn fitted(points: &[Point]) -> Option<Slopes> {
    if points.len() < LEAST_POINTS {
        return None;
    }
    let mut pairs = Vec::with_capacity(points.len() * points.len() / 2);
    for (index, one) in points.iter().enumerate() {
        for other in points.iter().skip(index + 1) {
            let days = other.day - one.day;
            if days > 0.0 {
                pairs.push((other.used_bytes - one.used_bytes) / days);
            }
        }
    }
    let middle = median(&mut pairs)?;
    let (count, all) = (points.len() as f64, pairs.len() as f64);
    let correlation = correlation(points, middle);
    // The variance of Kendall's S without ties, of as many independent values as there are in effect.
    let variance = count * (count - 1.0) * (2.0 * count + 5.0) / 18.0 * (1.0 + correlation) / (1.0 - correlation);
    let width = CONFIDENCE * variance.sqrt();
    // The places of the bounds, counted from 1. With too few independent values, the bounds are the extremes.
    let (first, last) = (((all - width) / 2.0).floor(), ((all + width) / 2.0).floor() + 1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the number of pairs, which is a usize"
    )]
    let mut at = |place: f64| {
        let index = (place.clamp(1.0, all) - 1.0) as usize;
        *pairs.select_nth_unstable_by(index, f64::total_cmp).1
    };
    let (low, high) = (at(first), at(last));
    let grown = middle * span(points);
    let is_steady = low > 0.0 && high <= WIDEST * low && greatest_fall(points) <= MOST_FALL * grown;
    Some(Slopes { low, middle, high, is_steady })
}

/// The correlation of neighbours in the distances from the line, from 0 on.
fn correlation(points: &[Point], slope: f64) -> f64 {
    let mut rests: Vec<f64> = points.iter().map(|point| point.used_bytes - slope * point.day).collect();
    let mean = rests.iter().sum::<f64>() / rests.len() as f64;
    rests.iter_mut().for_each(|rest| *rest -= mean);
    let products: f64 = rests.windows(2).map(|pair| pair.iter().product::<f64>()).sum();
    let squares: f64 = rests.iter().map(|rest| rest * rest).sum();
    let found = products / squares;
    if found.is_finite() { found.clamp(0.0, MOST_CORRELATION) } else { 0.0 }
}

/// The greatest fall from a value to a later one, without single peaks.
fn greatest_fall(points: &[Point]) -> f64 {
    let (mut highest, mut fall) = (f64::NEG_INFINITY, 0.0_f64);
    for used_bytes in smoothed(points) {
        highest = highest.max(used_bytes);
        fall = fall.max(highest - used_bytes);
    }
    fall
}

/// The used space of each point without single peaks.
fn smoothed(points: &[Point]) -> Vec<f64> {
    let around = |index: usize| {
        let (begin, end) = (index.saturating_sub(SMOOTHED / 2), (index + SMOOTHED / 2 + 1).min(points.len()));
        let around = points.get(begin..end).unwrap_or_default();
        median(&mut around.iter().map(|point| point.used_bytes).collect::<Vec<f64>>())
    };
    (0..points.len()).filter_map(around).collect()
}

/// At most [`MOST_POINTS`], by time: the medians of as many time spans. Values that are no numbers are left out.
fn thinned(history: &[Point]) -> Vec<Point> {
    let is_number = |point: &&Point| point.day.is_finite() && point.used_bytes.is_finite();
    let mut points: Vec<Point> = history.iter().filter(is_number).copied().collect();
    points.sort_by(|one, other| one.day.total_cmp(&other.day));
    if points.len() <= MOST_POINTS {
        return points;
    }
    let (Some(begin), length) = (points.first().map(|first| first.day), span(&points)) else { return points };
    // The last point is in the last span.
    let part_of = |point: &Point| {
        let part = ((point.day - begin) / length * MOST_POINTS as f64).floor();
        if part.is_finite() { part.min(MOST_POINTS as f64 - 1.0) } else { 0.0 }
    };
    let parts = points.chunk_by(|one, other| part_of(one) == part_of(other));
    let middle_of = |part: &[Point]| {
        let of = |value: fn(&Point) -> f64| median(&mut part.iter().map(value).collect::<Vec<f64>>());
        Some(Point { day: of(|point| point.day)?, used_bytes: of(|point| point.used_bytes)? })
    };
    parts.filter_map(middle_of).collect()
}

/// The median; `None` of nothing.
fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    let is_even = values.len().is_multiple_of(2);
    let (lower, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    let below = lower.iter().copied().reduce(f64::max).filter(|_| is_even);
    Some(below.map_or(upper, |below| f64::midpoint(below, upper)))
}

#[cfg(test)]
mod tests;
