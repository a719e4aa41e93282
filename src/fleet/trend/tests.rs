//! Trends of histories that are filling, fluctuating, level and worse.

use proptest::prelude::*;

use super::*;

const GIB: f64 = 1_073_741_824.0;

/// A history with a point every `hours`, of used GiB by day.
fn history(days: f64, hours: f64, used_gib: impl Fn(f64) -> f64) -> Vec<Point> {
    let days_of_points = (0_u32..).map(|number| f64::from(number) * hours / 24.0).take_while(|day| *day < days + 1e-6);
    days_of_points.map(|day| Point { day, used_bytes: used_gib(day) * GIB }).collect()
}

/// Numbers from -1 to 1 that look random.
fn noise(day: f64) -> f64 {
    let x = (day * 1_000.0).sin() * 43_758.547;
    2.0 * (x - x.floor()) - 1.0
}

/// The estimate in GiB a day if it is steady.
fn steady(history: &[Point]) -> Option<f64> {
    Trend::of(history).filter(|trend| trend.is_steady).map(|trend| trend.middle as f64 / GIB)
}

fn check(history: &[Point], expected: Option<f64>) {
    let found = steady(history);
    let is_near = match (found, expected) {
        (Some(found), Some(expected)) => (found - expected).abs() <= 0.03 * expected,
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    assert!(is_near, "{found:?} for {expected:?}: {:?}", Trend::of(history));
}

#[test]
fn a_disk_that_fills_has_the_slope_at_which_it_fills() {
    for (days, hours) in [(30.0, 1.0), (30.0, 4.0), (30.0, 24.0), (12.0, 24.0), (3.0, 1.0)] {
        check(&history(days, hours, |day| 40.0 + 1.9 * day), Some(1.9));
    }
    // Once a day by a timer, and a little bent.
    check(&history(20.0, 24.0, |day| 40.0 + 1.9 * day + 0.01 * day * day), Some(2.1));
    // Noise, the rhythm of days, that of weeks, and an import each week.
    check(&history(30.0, 1.0, |day| 40.0 + 1.9 * day + 2.0 * noise(day)), Some(1.9));
    check(&history(30.0, 1.0, |day| 40.0 + 1.9 * day + 2.0 * (day * std::f64::consts::TAU).sin()), Some(1.9));
    check(&history(30.0, 1.0, |day| 40.0 + 1.9 * day + (day / 7.0 * std::f64::consts::TAU).sin()), Some(1.9));
    // A rotation of logs that does not matter beside the growth.
    check(&history(30.0, 1.0, |day| 40.0 + 1.9 * day + (day % 7.0)), Some(1.95));
}

#[test]
fn what_is_no_trend_is_none() {
    // Logs that are rotated each day or each week, and a single deletion.
    check(&history(30.0, 1.0, |day| 40.0 + 20.0 * (day % 1.0)), None);
    check(&history(30.0, 1.0, |day| 40.0 + 5.0 * (day % 7.0)), None);
    for cleaned in [14.0, 15.0, 20.0, 27.0, 29.0] {
        check(&history(30.0, 1.0, |day| 40.0 + 1.9 * day - if day < cleaned { 0.0 } else { 25.0 }), None);
    }
    // A copy that was made once, also if it took a day.
    for copied in [5.0, 15.0, 25.0, 29.5] {
        check(&history(30.0, 1.0, |day| 40.0 + 100.0 * (day - copied).clamp(0.0, 1.0) + 0.01 * noise(day)), None);
    }
    // Level, shrinking, and noise alone.
    check(&history(30.0, 1.0, |_| 40.0), None);
    check(&history(30.0, 1.0, |day| 40.0 - 0.5 * day), None);
    check(&history(30.0, 1.0, |day| 40.0 + 5.0 * noise(day)), None);
    // It filled for three weeks, and then no more.
    check(&history(30.0, 1.0, |day| 40.0 + 1.9 * day.min(23.0)), None);
}

#[test]
fn a_history_is_too_short_below_three_days_and_twelve_points() {
    let line = |day: f64| 40.0 + day;
    for (days, hours, is_known) in
        [(2.9, 1.0, false), (3.0, 1.0, true), (10.0, 24.0, false), (11.0, 24.0, true), (0.0, 1.0, false)]
    {
        assert_eq!(Trend::of(&history(days, hours, line)).is_some(), is_known, "{days} {hours}");
    }
    assert_eq!(Trend::of(&[]), None);
    // Time that stands still, and what is no number.
    let still = Point { day: 1.0, used_bytes: 1.0 };
    assert_eq!(Trend::of(&[still; 500]), None);
    let nothing = Point { day: f64::NAN, used_bytes: f64::INFINITY };
    assert_eq!(Trend::of(&[nothing; 500]), None);
}

#[test]
fn three_days_that_are_much_faster_count_alone_and_one_day_makes_it_uncertain() {
    let faster = |since: f64, gib: f64| {
        history(30.0, 1.0, move |day| 40.0 + 0.1 * day + gib * (day - since).max(0.0) + 0.01 * noise(day))
    };
    check(&faster(30.0, 0.0), Some(0.1));
    check(&faster(26.9, 8.0), Some(8.1));
    check(&faster(29.0, 8.0), None);
    // Up to where it was before is not new.
    check(&history(30.0, 1.0, |day| if day < 26.0 { 60.0 } else { 20.0 + 8.0 * (day - 26.0) }), None);
    let uncertain = Trend::of(&faster(29.0, 8.0)).unwrap();
    assert!(uncertain.high as f64 / GIB > 7.0, "{uncertain:?}");
}

/// It was told to fill at half of its speed, between bounds that excluded it.
#[test]
fn growth_that_becomes_faster_and_faster_has_the_slope_of_the_last_week() {
    // 2.65 GiB a day on average of the last week, and 3 at its end.
    let filling = history(30.0, 1.0, |day| 40.0 + 0.05 * day * day);
    check(&filling, Some(2.65));
    let trend = Trend::of(&filling).unwrap();
    assert!(trend.low as f64 > 2.03 * GIB, "{trend:?}");
    check(&history(30.0, 1.0, |day| 40.0 + 0.05 * day * day + 0.1 * noise(day)), Some(2.65));
}

/// A single clean-up made it "fluctuate" for a month.
#[test]
fn after_a_single_clean_up_the_longest_time_without_one_counts() {
    let cleaned = |days: &'static [f64]| {
        history(30.0, 1.0, move |day| {
            40.0 + 1.9 * day - 25.0 * days.iter().filter(|cleaned| day >= **cleaned).count() as f64 + 0.01 * noise(day)
        })
    };
    for (days, expected) in [
        (&[3.0][..], Some(1.9)),
        (&[5.0], Some(1.9)),
        (&[12.0], Some(1.9)),
        (&[2.0, 8.0], Some(1.9)),
        // As long ago as it may be done again.
        (&[15.0], None),
        (&[10.0, 20.0], None),
        (&[24.0], None),
        (&[8.0, 15.0, 22.0], None),
    ] {
        let found = steady(&cleaned(days));
        let is_near =
            found.zip(expected).map_or(found == expected, |(found, expected)| (found - expected).abs() < 0.06);
        assert!(is_near, "{days:?}: {found:?} for {expected:?}");
    }
    // Level since then, or slower for a week.
    check(&history(30.0, 1.0, |day| if day < 5.0 { 80.0 } else { 40.0 + 0.01 * noise(day) }), None);
    check(&history(30.0, 1.0, |day| if day < 5.0 { 90.0 } else { 40.0 + 1.9 * (day - 5.0).min(18.0) }), None);
}

#[test]
fn the_bounds_contain_the_slope_and_say_how_sure_it_is() {
    let of = |noisy: f64| Trend::of(&history(30.0, 1.0, |day| 40.0 + 1.9 * day + noisy * noise(day))).unwrap();
    let (sure, unsure) = (of(0.5), of(4.0));
    for trend in [sure, unsure] {
        assert!(trend.low < trend.middle && trend.middle < trend.high, "{trend:?}");
        assert!((trend.low as f64) < 1.9 * GIB && 1.9 * GIB < trend.high as f64, "{trend:?}");
    }
    assert!(unsure.high - unsure.low > 2 * (sure.high - sure.low), "{sure:?} {unsure:?}");
}

#[test]
fn trends_are_estimated_every_four_hours_and_good_for_two_days() {
    let at = |minutes: i64| Timestamp::from_second(1_700_000_000 / 14_400 * 14_400 + 60 * minutes).unwrap();
    let trends = Trends { estimated_at: at(20), by_mount: HashMap::new() };
    for (now, offset, is_due, is_good) in [
        (20, 0, false, true),
        (239, 0, false, true),
        (240, 0, true, true),
        (20, 30, false, true),
        (29, 30, false, true),
        (30, 30, true, true),
        (60 * 24 * 2 + 20, 0, true, true),
        (60 * 24 * 2 + 21, 0, true, false),
        // The clock was set back.
        (-60, 0, true, true),
        (-60 * 24 * 3, 0, true, false),
    ] {
        let found = (trends.are_due(at(now), offset * 60_000), trends.are_good(at(now)));
        assert_eq!(found, (is_due, is_good), "{now} {offset}");
    }
}

/// The cost of a hostile or a very long history is that of a full one.
#[test]
fn the_number_of_points_is_bounded() {
    let long = history(30.0, 0.01, |day| day);
    assert!(long.len() > 70_000);
    let points = thinned(&long);
    assert_eq!(points.len(), MOST_POINTS);
    check(&long, Some(1.0));
    // All but one at the same time.
    let mut crowd = vec![Point { day: 0.0, used_bytes: 1.0 }; 10_000];
    crowd.push(Point { day: 1e-300, used_bytes: 2.0 });
    assert!(thinned(&crowd).len() <= MOST_POINTS);
}

proptest! {
    #[test]
    fn a_clean_line_has_exactly_its_slope(start in 0.0..1e12_f64, slope in 1e3..1e11_f64, days in 4_u32..40) {
        let points: Vec<Point> = (0..days * 6)
            .map(|number| f64::from(number) / 6.0)
            .map(|day| Point { day, used_bytes: start + slope * day })
            .collect();
        let trend = Trend::of(&points).unwrap();
        prop_assert!(trend.is_steady);
        for found in [trend.low, trend.middle, trend.high] {
            prop_assert!((found as f64 / slope - 1.0).abs() < 1e-3, "{} of {}", found, slope);
        }
    }

    /// One value of ten is anything.
    #[test]
    fn outliers_do_not_move_it(places in prop::collection::btree_set(0_usize..168, 0..16), wrong in 0.0..1e15_f64) {
        let mut points = history(7.0, 1.0, |day| 40.0 + 1.9 * day);
        for place in places {
            points[place].used_bytes = wrong;
        }
        let trend = Trend::of(&points).unwrap();
        prop_assert!((trend.middle as f64 / GIB / 1.9 - 1.0).abs() < 0.05, "{:?}", trend);
    }

    /// Bytes and days are only units.
    #[test]
    fn it_scales(factor in 1e-3..1e3_f64, shift in -1e5..1e5_f64, noisy in 0.0..3.0_f64) {
        let points = history(20.0, 3.0, |day| 40.0 + day + noisy * noise(day));
        let scaled: Vec<Point> = points
            .iter()
            .map(|point| Point { day: point.day + shift.round(), used_bytes: point.used_bytes * factor })
            .collect();
        let (one, other) = (Trend::of(&points).unwrap(), Trend::of(&scaled).unwrap());
        for (one, other) in [(one.low, other.low), (one.middle, other.middle), (one.high, other.high)] {
            prop_assert!((one as f64 * factor - other as f64).abs() <= 2.0 + 1e-5 * one.abs() as f64 * factor);
        }
        prop_assert_eq!(one.is_steady, other.is_steady);
    }

    #[test]
    fn anything_gives_an_answer(points in prop::collection::vec((any::<f64>(), any::<f64>()), 0..300)) {
        let points: Vec<Point> = points.into_iter().map(|(day, used_bytes)| Point { day, used_bytes }).collect();
        if let Some(trend) = Trend::of(&points) {
            prop_assert!(trend.low <= trend.middle && trend.middle <= trend.high || !trend.is_steady);
        }
    }
}
