//! Several reports about one log: records that one omits are in the next ones.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const CAPS: Caps = Caps { events: 5, bytes: usize::MAX };

/// A log to which records are written between reports.
#[derive(Default)]
struct Machine {
    /// Oldest first: the id, the time, and whether it is readable.
    records: Vec<(u64, i64, bool)>,
    newest: u64,
    now_ms: i64,
    bookmark: Option<String>,
}

impl Machine {
    fn new() -> Self {
        // As if the first report had ended before the first record.
        Self { now_ms: NOW_MS, bookmark: Some(format!("record 0 {NOW_MS}")), ..Self::default() }
    }

    fn write(&mut self, count: u64, can_be_read: bool) {
        for _ in 0..count {
            self.newest += 1;
            self.now_ms += 1;
            self.records.push((self.newest, self.now_ms, can_be_read));
        }
    }

    fn overwrite(&mut self, count: usize) {
        self.records.drain(..count.min(self.records.len().saturating_sub(1)));
    }

    /// The next report. Reading stops after this many steps in each part.
    fn report(&mut self, caps: Caps, stop: Option<(usize, Stop)>) -> (EventLog, Vec<Warning>) {
        let open = |below: Option<u64>| {
            let (steps, stop) = (stop.as_ref().map_or(usize::MAX, |(steps, _)| *steps), stop.clone());
            let is_below = move |(record_id, _, _): &&(u64, i64, bool)| below.is_none_or(|below| *record_id < below);
            let records = self.records.iter().rev().filter(is_below).map(|(record_id, at_ms, can_be_read)| {
                if !can_be_read {
                    return Step::Spoilt("it is torn".to_owned());
                }
                Step::Record { record_id: *record_id, event: event(*record_id, *at_ms) }
            });
            records.take(steps).chain(stop.map(|(_, stop)| Step::Stopped(stop))).collect::<Vec<_>>().into_iter()
        };
        let place = Place::parse(self.bookmark.as_ref().unwrap()).unwrap();
        let (log, warnings) = walk(Channel::SECURITY, open, Bound::After(place.newest), place.gaps, caps, self.now_ms);
        assert_eq!(log.bookmark.is_some(), !matches!(log.access, EventAccess::Denied | EventAccess::Unavailable));
        if let Some(bookmark) = &log.bookmark {
            let gaps = Place::parse(bookmark).unwrap().gaps;
            assert_eq!(log.truncated, !gaps.is_empty());
            self.bookmark = log.bookmark.clone();
        }
        assert!(log.events.is_sorted_by(|one, other| one.occurred_unix_ms < other.occurred_unix_ms));
        (log, warnings)
    }

    fn ids(&mut self) -> (Vec<u64>, bool) {
        let (log, warnings) = self.report(CAPS, None);
        assert_eq!((log.access, whys(&warnings)), (EventAccess::Read, vec![]));
        (ids(&log), log.truncated)
    }
}

/// The ids of the first and the last record that a warning reports as lost.
fn lost(why: &str) -> Option<(u64, u64)> {
    let words: Vec<&str> = why.split([' ', '(', ')']).collect();
    let is_lost = ["are given up", "were overwritten", "went when"].iter().any(|how| why.contains(how));
    match *words {
        ["records", first, "to", last, "", count, ..] if is_lost => {
            let (first, last): (u64, u64) = (first.parse().unwrap(), last.parse().unwrap());
            assert_eq!(count.parse(), Ok(last - first + 1), "{why}");
            Some((first, last))
        }
        _ => None,
    }
}

#[test]
fn a_flood_is_told_by_several_reports() {
    let mut machine = Machine::new();
    machine.write(12, true);
    for expected in [(vec![8, 9, 10, 11, 12], true), (vec![3, 4, 5, 6, 7], true), (vec![1, 2], false), (vec![], false)]
    {
        assert_eq!(machine.ids(), expected);
    }
}

#[test]
fn what_is_new_comes_before_what_was_left_out() {
    let mut machine = Machine::new();
    for (written, expected, gaps) in [
        (8, (vec![4, 5, 6, 7, 8], true), " gap 4 after 0"),
        (7, (vec![11, 12, 13, 14, 15], true), " gap 11 after 8 gap 4 after 0"),
        // Both new ones, the rest of the newest gap, and the first of the next.
        (2, (vec![3, 9, 10, 16, 17], true), " gap 3 after 0"),
        (5, (vec![18, 19, 20, 21, 22], true), " gap 3 after 0"),
        (0, (vec![1, 2], false), ""),
    ] {
        machine.write(written, true);
        assert_eq!(machine.ids(), expected);
        let text = machine.bookmark.as_ref().unwrap();
        // Without the times.
        let words: Vec<&str> = text.split(' ').filter(|word| word.len() < 13).skip(2).collect();
        assert_eq!(words.join(" "), gaps.trim(), "{text}");
    }
}

#[test]
fn a_ninth_gap_costs_the_oldest() {
    let mut machine = Machine::new();
    for _ in 0..8 {
        machine.write(7, true);
        assert_eq!(machine.ids().0.len(), 5);
    }
    machine.write(7, true);
    let (log, warnings) = machine.report(CAPS, None);
    assert!(log.truncated);
    let why = "records 1 to 2 (2) are given up: more parts of the log are unread than a bookmark holds";
    assert_eq!(whys(&warnings), [why]);
}

#[test]
fn a_gap_that_was_overwritten_is_closed_and_named() {
    let mut machine = Machine::new();
    machine.write(20, true);
    assert_eq!(machine.ids().0, [16, 17, 18, 19, 20]);
    machine.overwrite(12);
    let (log, warnings) = machine.report(CAPS, None);
    assert_eq!((ids(&log), log.truncated), (vec![13, 14, 15], false));
    assert_eq!(whys(&warnings), ["records 1 to 12 (12) were overwritten before they were read"]);
    // With an age as the bound, it is unknown whether there were more.
    machine.bookmark = Some(format!("record 20 {} gap 13 since 0", NOW_MS + 20));
    assert_eq!(machine.ids(), (vec![], false));
}

#[test]
fn a_cleared_log_has_no_old_gaps() {
    let mut machine = Machine::new();
    machine.write(20, true);
    assert_eq!(machine.ids().0, [16, 17, 18, 19, 20]);
    (machine.records, machine.newest) = (vec![], 0);
    machine.write(3, true);
    let (log, warnings) = machine.report(CAPS, None);
    assert_eq!((log.access, ids(&log), log.truncated), (EventAccess::Cleared, vec![1, 2, 3], false));
    assert_eq!(whys(&warnings), ["records 1 to 15 (15) went when it was cleared before they were read"]);
}

#[test]
fn a_log_that_was_cleared_and_flooded_is_read_from_its_start() {
    let mut machine = Machine::new();
    machine.write(4, true);
    assert_eq!(machine.ids(), (vec![1, 2, 3, 4], false));
    (machine.records, machine.newest) = (vec![], 0);
    machine.write(12, true);
    assert_eq!(machine.ids(), (vec![8, 9, 10, 11, 12], true));
    let (log, warnings) = machine.report(CAPS, None);
    // The record with the id of the last reported one is another one.
    assert_eq!((log.access, ids(&log), log.truncated), (EventAccess::Cleared, vec![3, 4, 5, 6, 7], true));
    assert_eq!((machine.ids(), whys(&warnings)), ((vec![1, 2], false), vec![]));
}

#[test]
fn a_gap_is_given_up_where_it_fails_twice_at_its_start() {
    let mut machine = Machine::new();
    machine.write(20, true);
    assert_eq!(machine.ids().0, [16, 17, 18, 19, 20]);
    machine.write(1, true);
    let broken = || Some((2, Stop::Broken("error 1500".to_owned())));
    // Two steps are a new record and the last reported one; in a gap, two of its records.
    let (log, warnings) = machine.report(CAPS, broken());
    assert_eq!(ids(&log), [14, 15, 21]);
    assert_eq!(whys(&warnings), ["records 1 to 13 (13) were not read yet: error 1500"]);
    for record in machine.records.iter_mut().filter(|(record_id, _, _)| (12..=13).contains(record_id)) {
        record.2 = false;
    }
    let spoilt = "2 records cannot be read, the newest because it is torn";
    let late = || Some((2, Stop::Late));
    for (stop, expected) in [
        (broken(), "were not read yet: error 1500"),
        // A timeout is not counted as a failure, and also does not reset it.
        (late(), "were not read yet: the time for it was over"),
        (broken(), "are given up: error 1500"),
    ] {
        let (log, warnings) = machine.report(CAPS, stop);
        assert_eq!((log.events.len(), log.truncated), (0, !expected.contains("given up")));
        assert_eq!(whys(&warnings), [spoilt.to_owned(), format!("records 1 to 13 (13) {expected}")]);
    }
    assert_eq!(machine.ids(), (vec![], false));

    // If reading continues after all, the failure is reset.
    machine.bookmark = Some(format!("record 21 {} gap 12 after 0 1 tried", NOW_MS + 21));
    assert_eq!(ids(&machine.report(CAPS, broken()).0), [10, 11]);
    assert_eq!(machine.bookmark, Some(format!("record 21 {} gap 10 after 0 1", NOW_MS + 21)));
}

/// An event between two reports, or a report.
#[derive(Debug, Clone)]
enum LogStep {
    Written { count: u64, can_be_read: bool },
    Overwritten(usize),
    Cleared,
    Report(Caps, Option<(usize, Stop)>),
}

fn written() -> impl Strategy<Value = LogStep> {
    (1..20_u64, prop::bool::weighted(0.9)).prop_map(|(count, can_be_read)| LogStep::Written { count, can_be_read })
}

fn some_caps() -> impl Strategy<Value = Caps> {
    (0..12_usize, prop_oneof![Just(usize::MAX), 0..4000_usize]).prop_map(|(events, bytes)| Caps { events, bytes })
}

fn some_stop() -> impl Strategy<Value = Option<(usize, Stop)>> {
    let stop = prop_oneof![Just(Stop::Late), Just(Stop::Broken("error 1722".to_owned()))];
    prop_oneof![3 => Just(None), 1 => (0..20_usize, stop).prop_map(Some)]
}

/// The times of all reported records, and the ids of those that were reported as lost.
#[derive(Default)]
struct Told {
    at_ms: BTreeSet<i64>,
    lost: BTreeSet<u64>,
    given_up: bool,
}

impl Told {
    fn add(&mut self, (log, warnings): (EventLog, Vec<Warning>)) {
        for event in log.events {
            assert!(self.at_ms.insert(event.occurred_unix_ms), "record {} is told twice", event.record_id);
        }
        for why in whys(&warnings) {
            self.given_up |= why.contains("given up");
            if let Some((first, last)) = lost(why) {
                self.lost.extend(first..=last);
            }
        }
    }

    /// Processes all events, and then makes reports until nothing is left.
    fn of(machine: &mut Machine, steps: Vec<LogStep>) -> Self {
        let mut told = Self::default();
        for step in steps {
            match step {
                LogStep::Written { count, can_be_read } => machine.write(count, can_be_read),
                LogStep::Overwritten(count) => machine.overwrite(count),
                LogStep::Cleared => (machine.records, machine.newest) = (vec![], 0),
                LogStep::Report(caps, stop) => told.add(machine.report(caps, stop)),
            }
        }
        machine.write(1, true);
        loop {
            let report = machine.report(CAPS, None);
            let (is_over, count) = (!report.0.truncated, report.0.events.len());
            told.add(report);
            if is_over {
                return told;
            }
            assert!(count > 0, "a report that says there is more goes on");
        }
    }
}

proptest! {
    #[test]
    fn every_record_is_told_once_or_named_as_lost(steps in prop::collection::vec(prop_oneof![
        6 => written(),
        1 => (0..20_usize).prop_map(LogStep::Overwritten),
        6 => (some_caps(), some_stop()).prop_map(|(caps, stop)| LogStep::Report(caps, stop)),
    ], 0..60)) {
        let mut machine = Machine::new();
        let can_be_read: Vec<bool> = steps.iter().flat_map(|step| match step {
            LogStep::Written { count, can_be_read } => vec![*can_be_read; usize::try_from(*count).unwrap()],
            LogStep::Overwritten(_) | LogStep::Cleared | LogStep::Report(..) => vec![],
        }).collect();
        let told = Told::of(&mut machine, steps);
        for (record_id, can_be_read) in (1..).zip(can_be_read) {
            let is_told = told.at_ms.contains(&(NOW_MS + i64::try_from(record_id).unwrap()));
            let is_lost = told.lost.contains(&record_id);
            prop_assert!(is_told != is_lost || !(can_be_read || is_told), "record {record_id}: {is_told} {is_lost}");
        }
    }

    #[test]
    fn every_record_of_a_log_that_was_cleared_is_told_once(steps in prop::collection::vec(prop_oneof![
        6 => (1..20_u64).prop_map(|count| LogStep::Written { count, can_be_read: true }),
        1 => Just(LogStep::Cleared),
        6 => some_caps().prop_map(|caps| LogStep::Report(caps, None)),
    ], 0..40)) {
        let mut machine = Machine::new();
        let told = Told::of(&mut machine, steps);
        for (record_id, at_ms, _) in &machine.records {
            prop_assert!(told.given_up || told.at_ms.contains(at_ms), "record {record_id}");
        }
    }
}
