//! Walks through logs of all kinds, in one report. Several reports are tested in `gaps`.

mod gaps;

use std::collections::BTreeSet;

use fleetsweep_agent::report::{Report, Warning};

use super::*;
use crate::windows::events::tests::{SUCCESS, escaped, read, xml};

const NOW_MS: i64 = 1_795_340_521_000;
const MINUTE_MS: i64 = 60_000;

/// The time of a record: one minute earlier for each later record up to `newest`.
fn at(record_id: u64, newest: u64) -> i64 {
    NOW_MS - i64::try_from(newest - record_id).unwrap() * MINUTE_MS
}

fn event(record_id: u64, at_ms: i64) -> SecurityEvent {
    SecurityEvent {
        record_id: record_id.to_string(),
        channel: None,
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

/// The records of a log, newest first.
fn log(oldest: u64, newest: u64) -> impl Iterator<Item = Step> {
    (oldest..=newest).rev().map(move |record_id| record(record_id, newest))
}

fn cleared(record_id: u64, newest: u64) -> Step {
    let event = SecurityEvent { event_id: Some(1102), ..event(record_id, at(record_id, newest)) };
    Step::Record { record_id, event }
}

fn after(record_id: u64, newest: u64) -> Bound {
    Bound::After(Mark { record_id, at_ms: at(record_id, newest) })
}

/// The report about a log without gaps.
fn told(steps: impl IntoIterator<Item = Step>, down_to: Bound) -> (EventLog, Vec<Warning>) {
    walk(Channel::SECURITY, open(steps), down_to, vec![], Caps::REPORT, NOW_MS)
}

/// Opens a log as often as necessary.
fn open(steps: impl IntoIterator<Item = Step>) -> impl Fn(Option<u64>) -> std::vec::IntoIter<Step> {
    let steps: Vec<Step> = steps.into_iter().collect();
    move |below| {
        let is_above = |step: &&Step| match (step, below) {
            (_, None) => false,
            (Step::Record { record_id, .. }, Some(below)) => *record_id >= below,
            (Step::Spoilt(_) | Step::Stopped(_), Some(_)) => true,
        };
        steps.iter().skip_while(is_above).cloned().collect::<Vec<_>>().into_iter()
    }
}

fn ids(log: &EventLog) -> Vec<u64> {
    log.events.iter().map(|event| event.record_id.parse().unwrap()).collect()
}

fn whys(warnings: &[Warning]) -> Vec<&str> {
    assert!(warnings.iter().all(|warning| warning.what == "security log"));
    warnings.iter().map(|warning| &*warning.why).collect()
}

#[test]
fn a_walk_ends_at_its_bookmark_its_age_or_the_oldest() {
    for (name, steps, down_to, expected) in [
        ("new since the bookmark", log(1, 10).collect::<Vec<_>>(), after(7, 10), vec![8, 9, 10]),
        ("nothing new", log(1, 10).collect(), after(10, 10), vec![]),
        ("all new", log(8, 10).collect(), after(7, 10), vec![8, 9, 10]),
        ("by age", log(1, 10).collect(), Bound::Since(NOW_MS - 2 * MINUTE_MS), vec![8, 9, 10]),
        ("nothing of that age", log(1, 10).collect(), Bound::Since(NOW_MS + 1), vec![]),
        ("younger than asked for", log(4, 6).collect(), Bound::Since(0), vec![4, 5, 6]),
    ] {
        let (log, warnings) = told(steps, down_to);
        assert_eq!((ids(&log), log.access, log.truncated), (expected, EventAccess::Read, false), "{name}");
        let newest = if name == "younger than asked for" { 6 } else { 10 };
        assert_eq!(log.bookmark, Some(format!("record {newest} {NOW_MS}")), "{name}");
        assert_eq!((&*log.source, whys(&warnings)), ("Security", vec![]), "{name}");
    }
}

#[test]
fn records_of_a_wrong_clock_do_not_end_the_walk() {
    let old = |record_id| Step::Record { record_id, event: event(record_id, 0) };
    let steps = |wrong: std::ops::RangeInclusive<u64>| -> Vec<Step> {
        (1..=1000).rev().map(|id| if wrong.contains(&id) { old(id) } else { record(id, 1000) }).collect()
    };
    let since = Bound::Since(at(101, 1000));
    for (wrong, first) in [
        (600..=600, 101),
        (501..=999, 101),
        // The last of those that are young enough.
        (101..=110, 111),
        // This many are the end.
        (500..=999, 1000),
    ] {
        let (log, warnings) = told(steps(wrong.clone()), since);
        assert!(ids(&log).into_iter().eq(first..=1000), "{wrong:?}: {:?}", ids(&log).first());
        assert_eq!((log.truncated, whys(&warnings)), (false, vec![]), "{wrong:?}");
    }
    // They are not lost if a report is full or ends among them.
    for (caps, stop) in [(Caps { events: 300, ..Caps::REPORT }, 1000), (Caps::REPORT, 350)] {
        let steps = steps(600..=700);
        let stopped = steps.iter().take(stop).cloned().chain((stop < 1000).then_some(Step::Stopped(Stop::Late)));
        let (first, _) = walk(Channel::SECURITY, open(stopped), since, vec![], caps, NOW_MS);
        let place = Place::parse(first.bookmark.as_ref().unwrap()).unwrap();
        let (second, _) =
            walk(Channel::SECURITY, open(steps), Bound::After(place.newest), place.gaps, Caps::REPORT, NOW_MS);
        let all: BTreeSet<u64> = ids(&first).into_iter().chain(ids(&second)).collect();
        assert_eq!(all.len(), first.events.len() + second.events.len());
        assert!(first.truncated && all.into_iter().eq(101..=1000));
    }
}

#[test]
fn more_than_fits_is_a_gap() {
    let newest = 20_000;
    for (down_to, gap) in [
        (after(5000, newest), format!("gap 15001 after 5000 {}", at(5000, newest))),
        (Bound::Since(0), "gap 15001 since 0".to_owned()),
    ] {
        let (log_, warnings) = told(log(1, newest), down_to);
        assert!(ids(&log_).into_iter().eq(15_001..=20_000), "{:?}", ids(&log_).first());
        assert_eq!((log_.truncated, whys(&warnings)), (true, vec![]));
        assert_eq!(log_.bookmark, Some(format!("record 20000 {NOW_MS} {gap}")));
    }
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
        [told((1..=200).rev().map(large), Bound::Since(0)).0, told(many, Bound::Since(0)).0].into_iter().zip([3, 500])
    {
        assert!(log.truncated && log.events.len() >= least, "{}", log.events.len());
        let empty = Report { events: Some(EventLog::default()), ..Report::default() }.to_xml().len();
        let counted: usize = log.events.iter().map(xml_bytes).sum();
        let mut report = Report { events: Some(log), ..Report::default() };
        report.fit();
        let really = report.to_xml().len() - empty;
        assert!(really <= counted + 200 && really <= Caps::REPORT.bytes + 200, "{really} {counted}");
        assert_eq!(Report::from_xml(report.to_xml().as_bytes()).as_ref(), Ok(&report));
    }
}

#[test]
fn a_cleared_log_is_read_from_its_start_within_a_day() {
    let year_ago = Bound::After(Mark { record_id: 7, at_ms: NOW_MS - 365 * A_DAY_MS });
    let lost = "records 101 to 150 (50) went when it was cleared before they were read";
    for (name, steps, down_to, expected, expected_whys) in [
        ("the newest is below the bookmark", log(1, 10).collect::<Vec<_>>(), after(900, 1000), 1..=10, vec![]),
        ("another record has the bookmark's id", log(1, 10).collect(), year_ago, 1..=10, vec![]),
        ("what came after the bookmark's id is new at any age", log(1, 2000).collect(), year_ago, 8..=2000, vec![]),
        ("it counts on", log(152, 160).chain([cleared(151, 160)]).collect(), after(100, 160), 151..=160, vec![lost]),
        ("first contact", log(2, 5).chain([cleared(1, 5)]).collect(), Bound::Since(0), 1..=5, vec![]),
    ] {
        let (log, warnings) = told(steps, down_to);
        assert_eq!((log.access, log.truncated), (EventAccess::Cleared, false), "{name}");
        assert!(ids(&log).into_iter().eq(expected.clone()), "{name}: {:?}", ids(&log).first());
        assert_eq!(whys(&warnings), expected_whys, "{name}");
        assert_eq!(log.bookmark, Some(format!("record {} {NOW_MS}", expected.end())), "{name}");
    }
}

#[test]
fn overwritten_records_are_named() {
    let (log_, warnings) = told(log(50, 60), after(40, 60));
    assert_eq!((log_.access, log_.truncated), (EventAccess::Read, false));
    assert_eq!(ids(&log_), (50..=60).collect::<Vec<_>>());
    assert_eq!(whys(&warnings), ["records 41 to 49 (9) were overwritten before they were read"]);
}

#[test]
fn records_that_cannot_be_read_cost_a_warning() {
    let mut steps: Vec<Step> = log(41, 60).collect();
    steps[0] = Step::Spoilt("it is torn".to_owned());
    steps[19] = Step::Spoilt("of another reason".to_owned());
    let (log, warnings) = told(steps, after(40, 60));
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
        let (log, warnings) = told(steps, after(7, 10));
        assert_eq!(whys(&warnings), expected);
        // Without a new bookmark, the old one is kept.
        assert_eq!(log, EventLog { source: "Security".to_owned(), access, ..EventLog::default() });
    }
}

#[test]
fn a_log_that_stops_halfway_keeps_what_was_read_and_leaves_a_gap() {
    for (stop, why) in [(Stop::Late, "the time for it was over"), (Stop::Broken("error 1734".to_owned()), "error 1734")]
    {
        let steps = log(51, 60).chain([Step::Stopped(stop.clone())]);
        let (log_, warnings) = told(steps, after(40, 60));
        assert_eq!((log_.access, log_.truncated), (EventAccess::Read, true));
        assert_eq!(ids(&log_), (51..=60).collect::<Vec<_>>());
        assert_eq!(whys(&warnings), [format!("records 41 to 50 (10) were not read yet: {why}")]);
        let gap = format!("gap 51 after 40 {}", at(40, 60));
        assert_eq!(log_.bookmark, Some(format!("record 60 {NOW_MS} {gap}")));
        // If nothing was missed, there is no gap.
        let steps = log(41, 60).chain([Step::Stopped(stop)]);
        let (log_, warnings) = told(steps, after(40, 60));
        assert_eq!((log_.truncated, whys(&warnings)), (false, vec![]));
    }
}

#[test]
fn the_largest_record_fits_alone() {
    let text = "\"".repeat(10_000);
    let names: Vec<String> = (10..90).map(|number| format!("{number}{text}")).collect();
    let mut fields: Vec<_> = names.iter().map(|name| (escaped(name), &*text)).collect();
    fields.extend(["TargetUserName", "TargetDomainName"].map(|name| (name.to_owned(), &*text)));
    fields.reverse();
    let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, *value)).collect();
    let bytes = xml_bytes(&read(&xml(4624, SUCCESS, &fields)));
    assert!((1 << 20..Caps::REPORT.bytes).contains(&bytes), "{bytes}");
}

#[test]
fn an_event_is_told_however_large_it_is() {
    for caps in [Caps { events: 0, bytes: 0 }, Caps { events: 9, bytes: 1 }] {
        let (log_, _) = walk(Channel::SECURITY, open(log(1, 10)), after(7, 10), vec![], caps, NOW_MS);
        assert_eq!((ids(&log_), log_.truncated), (vec![10], true));
    }
}

#[test]
fn ids_at_the_end_of_their_range_do_no_harm() {
    let step = |record_id| Step::Record { record_id, event: event(record_id, NOW_MS) };
    for down_to in [Bound::Since(i64::MIN), Bound::After(Mark { record_id: u64::MAX, at_ms: 0 })] {
        for gaps in
            [vec![], vec![Gap { below: 0, down_to, tried: true }, Gap { below: u64::MAX, down_to, tried: false }]]
        {
            let steps = [step(u64::MAX), step(0), Step::Stopped(Stop::Late)];
            walk(Channel::SECURITY, open(steps), down_to, gaps, Caps { events: 1, bytes: 0 }, i64::MIN);
        }
    }
}
