//! Walks down logs of every kind.

use fleetsweep_agent::report::{Report, Warning};

use super::*;

const NOW_MS: i64 = 1_795_340_521_000;
const MINUTE_MS: i64 = 60_000;

/// A record that was written as many minutes ago as it has records after it, up to `newest`.
fn at(record_id: u64, newest: u64) -> i64 {
    NOW_MS - i64::try_from(newest - record_id).unwrap() * MINUTE_MS
}

fn event(record_id: u64, at_ms: i64) -> SecurityEvent {
    SecurityEvent {
        record_id: record_id.to_string(),
        event_id: Some(4624),
        level: "audit success".to_owned(),
        occurred_unix_ms: at_ms,
        source: String::new(),
        user: None,
        message: String::new(),
        data: vec![],
    }
}

fn record(record_id: u64, newest: u64) -> Step {
    Step::Record { record_id, event: event(record_id, at(record_id, newest)) }
}

/// The records of a log from its newest to its oldest.
fn log(oldest: u64, newest: u64) -> impl Iterator<Item = Step> {
    (oldest..=newest).rev().map(move |record_id| record(record_id, newest))
}

fn cleared(record_id: u64, newest: u64) -> Step {
    let event = SecurityEvent { event_id: Some(1102), ..event(record_id, at(record_id, newest)) };
    Step::Record { record_id, event }
}

fn place(record_id: u64, newest: u64) -> Until {
    Until::Place(Place { record_id, at_ms: at(record_id, newest) })
}

fn ids(log: &EventLog) -> Vec<u64> {
    log.events.iter().map(|event| event.record_id.parse().unwrap()).collect()
}

fn whys(warnings: &[Warning]) -> Vec<&str> {
    assert!(warnings.iter().all(|warning| warning.what == "security log"));
    warnings.iter().map(|warning| &*warning.why).collect()
}

#[test]
fn a_bookmark_comes_back() {
    let place = Place { record_id: 17, at_ms: -3 };
    assert_eq!(place.to_string(), "record 17 -3");
    assert_eq!(Place::parse("record 17 -3"), Some(place));
    for text in ["", "record", "record 1", "record x 1", "record 1 x", "record 1 2 3", "time 17", "journal 1 2"] {
        assert_eq!(Place::parse(text), None, "{text}");
    }
}

#[test]
fn a_walk_ends_at_its_bookmark_its_age_or_the_oldest() {
    for (name, steps, until, expected) in [
        ("new since the bookmark", log(1, 10).collect::<Vec<_>>(), place(7, 10), vec![8, 9, 10]),
        ("nothing new", log(1, 10).collect(), place(10, 10), vec![]),
        ("all new", log(8, 10).collect(), place(7, 10), vec![8, 9, 10]),
        ("by age", log(1, 10).collect(), Until::Time(NOW_MS - 2 * MINUTE_MS), vec![8, 9, 10]),
        ("nothing of that age", log(1, 10).collect(), Until::Time(NOW_MS + 1), vec![]),
        ("younger than asked for", log(4, 6).collect(), Until::Time(0), vec![4, 5, 6]),
    ] {
        let (log, warnings) = walk(steps.into_iter(), until, NOW_MS);
        assert_eq!((ids(&log), log.access, log.truncated), (expected, EventAccess::Read, false), "{name}");
        let newest = if name == "younger than asked for" { 6 } else { 10 };
        assert_eq!(log.bookmark, Some(format!("record {newest} {NOW_MS}")), "{name}");
        assert_eq!((&*log.source, whys(&warnings)), ("Security", vec![]), "{name}");
    }
}

#[test]
fn more_than_fits_is_named() {
    let newest = 20_000;
    let (log_, warnings) = walk(log(1, newest), place(5000, newest), NOW_MS);
    assert!(ids(&log_).into_iter().eq(15_001..=20_000), "{:?}", ids(&log_).first());
    assert!(log_.truncated);
    assert_eq!(log_.bookmark, Some(format!("record 20000 {NOW_MS}")));
    assert_eq!(whys(&warnings), ["records 5001 to 15000 (10000) were not read: there are more than a report carries"]);
    let (log_, warnings) = walk(log(1, newest), Until::Time(0), NOW_MS);
    assert!(log_.truncated);
    assert_eq!(whys(&warnings), ["records up to 15000 were not read: there are more than a report carries"]);
}

#[test]
fn the_largest_events_still_fit_into_an_envelope() {
    let large = |record_id: u64| {
        let value = "\"".repeat(2 << 10);
        let data = vec![("a\u{1}".to_owned(), value.clone()); 64];
        let event = SecurityEvent { data, message: value, user: Some("&".repeat(500)), ..event(record_id, NOW_MS) };
        Step::Record { record_id, event }
    };
    let small = SecurityEvent { data: vec![("n".to_owned(), "\n\"x<".to_owned()); 64], ..event(1, NOW_MS) };
    let many = (1..=5000).rev().map(|record_id| Step::Record { record_id, event: small.clone() });
    for (log, least) in
        [walk((1..=200).rev().map(large), Until::Time(0), NOW_MS).0, walk(many, Until::Time(0), NOW_MS).0]
            .into_iter()
            .zip([3, 500])
    {
        assert!(log.truncated && log.events.len() >= least, "{}", log.events.len());
        let empty = Report { events: Some(EventLog::default()), ..Report::default() }.to_xml().len();
        let counted: usize = log.events.iter().map(xml_bytes).sum();
        let mut report = Report { events: Some(log), ..Report::default() };
        report.fit();
        let really = report.to_xml().len() - empty;
        assert!(really <= counted + 200 && really <= MAX_EVENT_BYTES + 200, "{really} {counted}");
        assert_eq!(Report::from_xml(report.to_xml().as_bytes()).as_ref(), Ok(&report));
    }
}

#[test]
fn a_cleared_log_is_read_from_its_start_within_a_day() {
    let year_ago = Until::Place(Place { record_id: 7, at_ms: NOW_MS - 365 * A_DAY_MS });
    let lost = "records 101 to 150 (50) went when it was cleared before they were read";
    for (name, steps, until, expected, expected_whys) in [
        ("the newest is below the bookmark", log(1, 10).collect::<Vec<_>>(), place(900, 1000), 1..=10, vec![]),
        ("another record has the bookmark's id", log(1, 10).collect(), year_ago, 1..=10, vec![]),
        ("what came after the bookmark's id is new at any age", log(1, 2000).collect(), year_ago, 8..=2000, vec![]),
        ("it counts on", log(152, 160).chain([cleared(151, 160)]).collect(), place(100, 160), 151..=160, vec![lost]),
        ("first contact", log(2, 5).chain([cleared(1, 5)]).collect(), Until::Time(0), 1..=5, vec![]),
    ] {
        let (log, warnings) = walk(steps.into_iter(), until, NOW_MS);
        assert_eq!((log.access, log.truncated), (EventAccess::Cleared, false), "{name}");
        assert!(ids(&log).into_iter().eq(expected.clone()), "{name}: {:?}", ids(&log).first());
        assert_eq!(whys(&warnings), expected_whys, "{name}");
        assert_eq!(log.bookmark, Some(format!("record {} {NOW_MS}", expected.end())), "{name}");
    }
}

#[test]
fn overwritten_records_are_named() {
    let (log_, warnings) = walk(log(50, 60), place(40, 60), NOW_MS);
    assert_eq!((log_.access, log_.truncated), (EventAccess::Read, true));
    assert_eq!(ids(&log_), (50..=60).collect::<Vec<_>>());
    assert_eq!(whys(&warnings), ["records 41 to 49 (9) were overwritten before they were read"]);
}

#[test]
fn records_that_cannot_be_read_cost_a_warning() {
    let mut steps: Vec<Step> = log(41, 60).collect();
    steps[0] = Step::Spoilt("it is torn".to_owned());
    steps[19] = Step::Spoilt("of another reason".to_owned());
    let (log, warnings) = walk(steps.into_iter(), place(40, 60), NOW_MS);
    assert_eq!((log.access, log.truncated), (EventAccess::Read, false));
    assert_eq!(ids(&log), (42..=59).collect::<Vec<_>>());
    assert_eq!(whys(&warnings), ["2 records cannot be read, the newest because it is torn"]);
    assert_eq!(log.bookmark, Some(format!("record 59 {}", at(59, 60))));
}

#[test]
fn a_log_that_gives_nothing_is_not_healthy() {
    let denied = Step::Stopped(Stop::Denied("error 5".to_owned()));
    for (steps, access, expected) in [
        (vec![], EventAccess::Unavailable, vec!["it holds no record at all"]),
        (
            vec![denied],
            EventAccess::Denied,
            vec!["this account may not read it: make it an Administrator or an Event Log Reader (error 5)"],
        ),
        (vec![Step::Stopped(Stop::Late)], EventAccess::Unavailable, vec!["the time for it was over"]),
        (vec![Step::Stopped(Stop::Broken("error 15007".to_owned()))], EventAccess::Unavailable, vec!["error 15007"]),
        (
            vec![Step::Spoilt("it is torn".to_owned())],
            EventAccess::Unavailable,
            vec!["1 records cannot be read, the newest because it is torn", "none of its records can be read"],
        ),
    ] {
        let (log, warnings) = walk(steps.into_iter(), place(7, 10), NOW_MS);
        assert_eq!(whys(&warnings), expected);
        // Without a bookmark of its own, the old one stays.
        assert_eq!(log, EventLog { source: "Security".to_owned(), access, ..EventLog::default() });
    }
}

#[test]
fn a_log_that_stops_halfway_keeps_what_was_read_and_names_the_rest() {
    for (stop, why) in [(Stop::Late, "the time for it was over"), (Stop::Broken("error 1734".to_owned()), "error 1734")]
    {
        let steps = log(51, 60).chain([Step::Stopped(stop)]);
        let (log, warnings) = walk(steps, place(40, 60), NOW_MS);
        assert_eq!((log.access, log.truncated), (EventAccess::Read, true));
        assert_eq!(ids(&log), (51..=60).collect::<Vec<_>>());
        assert_eq!(whys(&warnings), [format!("records 41 to 50 (10) were not read: {why}")]);
    }
}

#[test]
fn ids_at_the_end_of_their_range_do_no_harm() {
    let step = |record_id| Step::Record { record_id, event: event(record_id, NOW_MS) };
    for until in [Until::Time(i64::MIN), Until::Place(Place { record_id: u64::MAX, at_ms: 0 })] {
        walk([step(u64::MAX), step(0), Step::Stopped(Stop::Late)].into_iter(), until, i64::MIN);
    }
}
