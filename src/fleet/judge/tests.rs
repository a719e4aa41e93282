//! The judge over time: the results of sequences of collections as tables, and properties that always hold.

use fleetsweep_agent::report::Report;
use proptest::prelude::*;

use super::*;
use crate::fleet::{Bytes, Failure, FailureKind, Percent, Reading, Stage, failure::Blame, reading::Usage};

mod instances;

fn rule(metric: Metric, limit: f64, repeat: Repeat) -> Rule {
    Rule { metric, instance: None, exclude: vec![], limit, clear: limit, for_sweeps: 1, repeat, recovery: true }
}

const fn hours(hours: u64) -> Repeat {
    Repeat::After(Duration::from_secs(hours * 3600))
}

fn reading(change: impl FnOnce(&mut Reading)) -> Reading {
    let mut reading = Reading::from_report(&Report::default(), 0);
    change(&mut reading);
    reading
}

fn memory(percent: f64) -> Reading {
    reading(|r| r.memory = Some(Usage { total: Bytes(1000), used: Bytes(per_mille(percent)) }))
}

fn silence() -> Failure {
    Failure::new(Stage::Connect, FailureKind::TimedOut)
}

/// The word under which a unit variant is serialised.
fn word(value: impl Serialize) -> String {
    serde_json::to_value(value).unwrap().as_str().unwrap().replace('_', " ")
}

fn told(verdict: &Verdict) -> String {
    verdict.changes.iter().map(told_of).collect::<Vec<_>>().join("; ")
}

fn told_of(change: &Change) -> String {
    let step = word(change.step);
    match change.notice {
        Notice::Send(reason) => format!("{step}, mailed: {}", word(reason)),
        Notice::Hold(reason) => format!("{step}, held: {}", word(reason)),
    }
}

/// The collections of a client, one per line: `time | what happens | what the judge says`.
///
/// The time is `5h`, `5h30m` and so on after noon of some day, and may run backwards. What happens: a
/// number is the memory in percent, `-` a reading without memory, `failed` a failed collection,
/// `cancelled` a cancelled one, `short` one for which the collector had too little; before it may stand `limit 95`, `no rule`, `nobody` (no recipient),
/// `ack` (an operator acknowledged since), each followed by a comma.
fn check(rule: &Rule, life: &str) {
    let noon: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    let mut state = ClientState::default();
    for line in life.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let [time, happens, expected] = line.split('|').map(str::trim).collect::<Vec<_>>()[..] else {
            panic!("three columns: {line}");
        };
        let (sign, time) = time.strip_prefix('-').map_or((1, time), |time| (-1, time));
        let after = jiff::SignedDuration::try_from(humantime::parse_duration(time).unwrap()).unwrap();
        let now = noon.checked_add(after * sign).unwrap();
        let (mut rules, mut has_recipient) = (vec![rule.clone()], true);
        let mut words: Vec<&str> = happens.split(',').map(str::trim).collect();
        let seen = words.pop().unwrap();
        for word in words {
            match word {
                "no rule" => rules.clear(),
                "nobody" => has_recipient = false,
                "ack" => {
                    let alert = state.rules.get_mut(&rule.metric.into()).unwrap().alert.as_mut().unwrap();
                    alert.acknowledged_at = Some(now);
                }
                limit => {
                    let limit = limit.strip_prefix("limit ").unwrap().parse().unwrap();
                    rules = vec![Rule { limit, clear: limit, ..rule.clone() }];
                }
            }
        }
        let failure = match seen {
            "cancelled" => Failure::new(Stage::Execute, FailureKind::Cancelled),
            "short" => Failure::new(Stage::Connect, FailureKind::CollectorShort),
            _ => silence(),
        };
        let seen = match seen {
            "failed" | "cancelled" | "short" => None,
            "-" => Some(reading(|_| ())),
            percent => Some(memory(percent.parse().unwrap())),
        };
        let observation = seen.as_ref().map_or(Observation::Failed(&failure), Observation::Reading);
        let verdict = judge(&state, &rules, has_recipient, observation, now, &mut Uuid::new_v4);
        assert_eq!(told(&verdict), expected, "at: {line}");
        state = verdict.state;
    }
}

#[test]
fn a_restart_is_one_mail_and_its_end_is_none() {
    let rule = Rule { for_sweeps: 1, recovery: true, ..rule(Metric::Reboot, 0.0, hours(4)) };
    let mut state = ClientState::default();
    let noon: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    for (minute, restarts, expected) in [
        (0, None, ""),
        (1, Some(0), ""),
        (2, Some(1), "raised, mailed: raised"),
        (3, Some(0), "resolved, held: no recovery mail"),
        (4, Some(0), ""),
        (5, Some(1), "raised, mailed: raised"),
        // It restarts again and again.
        (6, Some(1), "continues, held: recently mailed"),
        (7, None, ""),
        (8, Some(0), "resolved, held: no recovery mail"),
    ] {
        let now = noon.checked_add(jiff::SignedDuration::from_mins(minute)).unwrap();
        let reading = reading(|reading| reading.rates.restarts = restarts);
        let rules = std::slice::from_ref(&rule);
        let verdict = judge(&state, rules, true, Observation::Reading(&reading), now, &mut Uuid::new_v4);
        assert_eq!(told(&verdict), expected, "minute {minute}");
        state = verdict.state;
    }
}

#[test]
fn a_limit_is_exceeded_only_when_the_value_is_strictly_greater() {
    check(
        &rule(Metric::Memory, 80.0, hours(4)),
        "0h  | 80   |
         1h  | 80.1 | raised, mailed: raised
         2h  | 80   | resolved, mailed: recovered
         3h  | 79   |",
    );
}

#[test]
fn an_alert_with_a_duration_is_mailed_once_then_reminded_of_and_its_end_is_mailed() {
    check(
        &rule(Metric::Memory, 80.0, hours(4)),
        "0h      | 90 | raised, mailed: raised
         1h      | 95 | continues, held: recently mailed
         3h59m   | 90 | continues, held: recently mailed
         4h      | 90 | continues, mailed: reminder
         7h      | 90 | continues, held: recently mailed
         9h      | 90 | continues, mailed: reminder
         12h30m  | 90 | continues, held: recently mailed
         13h     | 50 | resolved, mailed: recovered
         13h1m   | 90 | raised, mailed: raised",
    );
}

#[test]
fn an_alert_with_every_is_mailed_at_every_collection_over_the_limit() {
    check(
        &Rule { clear: 70.0, ..rule(Metric::Memory, 80.0, Repeat::Every) },
        "0h | 90 | raised, mailed: raised
         1h | 90 | continues, mailed: every collection
         2h | 90 | continues, mailed: every collection
         3h | 75 | continues, held: below limit
         4h | 81 | continues, mailed: every collection
         5h | 70 | resolved, mailed: recovered",
    );
}

#[test]
fn between_clear_and_limit_an_alert_stays_open_without_reminders() {
    check(
        &Rule { clear: 70.0, ..rule(Metric::Memory, 80.0, hours(1)) },
        "0h | 75 |
         1h | 90 | raised, mailed: raised
         2h | 75 | continues, held: below limit
         9h | 71 | continues, held: below limit
         10h | 85 | continues, mailed: reminder
         11h | 70 | resolved, mailed: recovered",
    );
}

#[test]
fn an_alert_waits_for_as_many_collections_in_a_row_as_the_rule_says() {
    check(
        &Rule { for_sweeps: 3, ..rule(Metric::Memory, 80.0, hours(4)) },
        "1m | 90 |
         2m | 90 |
         3m | 80 |
         4m | 90 |
         5m | 90 |
         6m | 90 | raised, mailed: raised
         7m | 80 | resolved, mailed: recovered
         8m | 90 |",
    );
}

#[test]
fn what_was_not_measured_neither_counts_nor_breaks_a_row_nor_ends_an_alert() {
    check(
        &Rule { for_sweeps: 2, ..rule(Metric::Memory, 80.0, hours(1)) },
        "1m  | 90        |
         2m  | -         |
         3m  | failed    |
         4m  | cancelled |
         5m  | 90        | raised, mailed: raised
         3h  | -         |
         4h  | failed    |
         5h  | 90        | continues, mailed: reminder
         6h  | 10        | resolved, mailed: recovered",
    );
}

#[test]
fn without_a_recipient_nothing_is_mailed_and_the_first_mail_follows_when_there_is_one() {
    check(
        &rule(Metric::Memory, 80.0, hours(1)),
        "0h | nobody, 90 | raised, held: no recipient
         2h | nobody, 90 | continues, held: no recipient
         3h | 90         | continues, mailed: raised
         4h | nobody, 10 | resolved, held: no recipient",
    );
    check(
        &rule(Metric::Memory, 80.0, hours(1)),
        "0h | nobody, 90 | raised, held: no recipient
         1h | 10         | resolved, held: no recovery mail",
    );
}

#[test]
fn an_acknowledged_alert_is_mailed_once_more_when_it_ends() {
    for repeat in [Repeat::Every, hours(1)] {
        check(
            &rule(Metric::Memory, 80.0, repeat),
            "0h | 90      | raised, mailed: raised
             2h | ack, 90 | continues, held: acknowledged
             9h | 90      | continues, held: acknowledged
            10h | 10      | resolved, mailed: recovered
            11h | 90      | raised, mailed: raised",
        );
    }
}

#[test]
fn the_end_is_not_mailed_where_recovery_is_off() {
    check(
        &Rule { recovery: false, ..rule(Metric::Memory, 80.0, hours(1)) },
        "0h | 90 | raised, mailed: raised
         1h | 10 | resolved, held: no recovery mail",
    );
}

#[test]
fn an_open_alert_is_judged_by_the_limit_of_now_and_ends_with_its_rule() {
    check(
        &rule(Metric::Memory, 80.0, hours(4)),
        "0h | 90           | raised, mailed: raised
         1h | limit 95, 90 | resolved, mailed: recovered
         2h | 90           | raised, mailed: raised
         3h | no rule, 90  | withdrawn, held: rule removed
         4h | no rule, 90  |
         5h | 90           | raised, mailed: raised
         6h | no rule, failed | withdrawn, held: rule removed",
    );
}

#[test]
fn a_clock_that_is_set_back_neither_pours_out_reminders_nor_silences_them() {
    check(
        &rule(Metric::Memory, 80.0, hours(4)),
        "0h      | 90 | raised, mailed: raised
         -1h     | 90 | continues, held: recently mailed
         0h      | 90 | continues, held: recently mailed
         -8760h  | 90 | continues, held: recently mailed
         -8757h  | 90 | continues, held: recently mailed
         -8756h  | 90 | continues, mailed: reminder
         -8755h  | 10 | resolved, mailed: recovered",
    );
}

#[test]
fn a_client_is_unreachable_after_more_failed_sweeps_than_the_limit_and_until_it_answers() {
    check(
        &rule(Metric::Unreachable, 2.0, hours(4)),
        "1m | failed    |
         2m | failed    |
         3m | cancelled |
         4m | failed    | raised, mailed: raised
         5m | cancelled |
         6m | failed    | continues, held: recently mailed
         5h | failed    | continues, mailed: reminder
         6h | -         | resolved, mailed: recovered
         7h | failed    |
         8h | 50        |
         9h | failed    |
        10h | failed    |
        11h | failed    | raised, mailed: raised",
    );
}

#[test]
fn an_alert_keeps_its_beginning_its_peak_and_its_last_value() {
    let rules = [rule(Metric::Memory, 80.0, hours(4))];
    let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
    let mut state = ClientState::default();
    for (minute, percent) in [(0, 90.0), (1, 97.0), (2, 85.0)] {
        let reading = memory(percent);
        let mut id = || Uuid::from_u128(7);
        state = judge(&state, &rules, true, Observation::Reading(&reading), at(minute), &mut id).state;
    }
    let expected = OpenAlert {
        id: Uuid::from_u128(7),
        raised_at: at(0),
        limit: 80.0,
        value: 85.0,
        peak: 97.0,
        last_mail_at: Some(at(0)),
        acknowledged_at: None,
        acknowledged_by: None,
    };
    assert_eq!(state.rules[&Metric::Memory.into()].alert, Some(expected));
}

/// One collection of a random life.
#[derive(Debug, Clone)]
struct Moment {
    seconds_later: u64,
    memory: Option<f64>,
    cpu: Option<f64>,
    fails: bool,
    has_recipient: bool,
    acknowledges: bool,
}

fn moments() -> impl Strategy<Value = Vec<Moment>> {
    let percent = || proptest::option::weighted(0.9, 0.0..=100.0_f64);
    let moment = (
        0..4000_u64,
        percent(),
        percent(),
        proptest::bool::weighted(0.2),
        any::<bool>(),
        proptest::bool::weighted(0.1),
    )
        .prop_map(|(seconds_later, memory, cpu, fails, has_recipient, acknowledges)| Moment {
            seconds_later,
            memory,
            cpu,
            fails,
            has_recipient,
            acknowledges,
        });
    proptest::collection::vec(moment, 1..60)
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let one = |metric: Metric, most: f64| {
        let repeat = prop_oneof![Just(Repeat::Every), (1..5_u64).prop_map(hours)];
        (0.0..=most, 0.0..=1.0_f64, 1..4_u32, repeat, any::<bool>()).prop_map(
            move |(limit, share, for_sweeps, repeat, recovery)| Rule {
                metric,
                instance: None,
                exclude: vec![],
                limit,
                clear: limit * share,
                for_sweeps,
                repeat,
                recovery,
            },
        )
    };
    (one(Metric::Cpu, 100.0), one(Metric::Memory, 100.0), one(Metric::Unreachable, 3.0))
        .prop_map(|(cpu, memory, unreachable)| vec![cpu, memory, unreachable])
}

proptest! {
    #[test]
    fn whatever_happens_alerts_begin_and_end_by_turns_and_mails_keep_their_distance(
        rules in rules(), life in moments(),
    ) {
        let mut state = ClientState::default();
        let mut now = Timestamp::UNIX_EPOCH;
        let mut open: BTreeMap<Metric, Uuid> = BTreeMap::new();
        let mut mailed: BTreeMap<Metric, Timestamp> = BTreeMap::new();
        for moment in life {
            now = now.checked_add(Duration::from_secs(moment.seconds_later)).unwrap();
            if moment.acknowledges {
                for alert in state.rules.values_mut().filter_map(|rule| rule.alert.as_mut()) {
                    alert.acknowledged_at = Some(now);
                }
            }
            let reading = reading(|r| {
                r.cpu = moment.cpu.map(|value| Percent::new(value).unwrap());
                r.memory = moment.memory.map(|p| Usage { total: Bytes(1000), used: Bytes(per_mille(p)) });
            });
            let failure = silence();
            let observation =
                if moment.fails { Observation::Failed(&failure) } else { Observation::Reading(&reading) };
            let before = state.clone();
            let verdict = judge(&before, &rules, moment.has_recipient, observation, now, &mut Uuid::new_v4);

            prop_assert!(verdict.changes.is_sorted_by(|a, b| a.metric < b.metric), "one change for each metric");
            for change in &verdict.changes {
                let rule = rules.iter().find(|rule| rule.metric == change.metric).unwrap();
                let before = before.rules.get(&change.key()).and_then(|rule| rule.alert.as_ref());
                prop_assert!(!moment.fails || change.metric == Metric::Unreachable);
                match change.step {
                    Step::Raised => {
                        prop_assert!(change.alert.value > rule.limit);
                        prop_assert_eq!(open.insert(change.metric, change.alert.id), None);
                        mailed.remove(&change.metric);
                    }
                    Step::Continues => prop_assert_eq!(open.get(&change.metric), Some(&change.alert.id)),
                    Step::Resolved => {
                        prop_assert!(change.alert.value <= rule.clear);
                        prop_assert_eq!(open.remove(&change.metric), Some(change.alert.id));
                    }
                    Step::Gone => prop_assert!(false, "the host is always there"),
                    Step::Withdrawn => prop_assert!(false, "every rule stays"),
                }
                if let Notice::Send(reason) = change.notice {
                    prop_assert!(moment.has_recipient);
                    prop_assert_eq!(change.alert.last_mail_at, Some(now));
                    let last = mailed.insert(change.metric, now);
                    prop_assert_eq!(reason == NoticeReason::Raised, last.is_none());
                    match reason {
                        NoticeReason::Raised => prop_assert!(change.alert.value > rule.limit),
                        NoticeReason::EveryCollection => prop_assert_eq!(rule.repeat, Repeat::Every),
                        NoticeReason::Reminder => {
                            let elapsed = Duration::try_from(now.duration_since(last.unwrap())).unwrap();
                            prop_assert!(matches!(rule.repeat, Repeat::After(repeat) if elapsed >= repeat));
                        }
                        NoticeReason::Recovered => prop_assert!(rule.recovery && change.step == Step::Resolved),
                        NoticeReason::Gone => prop_assert!(false, "the host is always there"),
                    }
                    let acknowledged = before.is_some_and(|alert| alert.acknowledged_at.is_some());
                    prop_assert!(!acknowledged || change.step == Step::Resolved);
                }
            }
            let still_open: BTreeMap<Metric, Uuid> = verdict
                .state
                .rules
                .iter()
                .filter_map(|(key, rule)| Some((key.metric, rule.alert.as_ref()?.id)))
                .collect();
            prop_assert_eq!(&still_open, &open);
            prop_assert!(verdict.exceeded.iter().all(|exceeded| open.contains_key(&exceeded.metric)));
            prop_assert_eq!(moment.fails, verdict.state.failed_in_a_row > 0);
            state = verdict.state;
        }
    }

    #[test]
    fn no_clock_makes_the_judge_panic_or_mail_twice_at_one_time(
        times in proptest::collection::vec(
            Timestamp::MIN.as_second()..=Timestamp::MAX.as_second(), 2..20),
    ) {
        let rules = [rule(Metric::Memory, 80.0, hours(4))];
        let (reading, mut state) = (memory(90.0), ClientState::default());
        for second in times {
            let now = Timestamp::from_second(second).unwrap();
            let mut mails = 0;
            for _ in 0..2 {
                let verdict =
                    judge(&state, &rules, true, Observation::Reading(&reading), now, &mut Uuid::new_v4);
                mails += verdict.changes.iter().filter(|c| matches!(c.notice, Notice::Send(_))).count();
                state = verdict.state;
            }
            prop_assert!(mails <= 1);
        }
    }
}

/// A share of 1,000 bytes.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100 %")]
fn per_mille(percent: f64) -> u64 {
    (percent * 10.0).round() as u64
}

#[test]
fn a_failure_of_the_collectors_own_neither_counts_nor_ends_a_row() {
    check(
        &rule(Metric::Unreachable, 2.0, hours(4)),
        "1m | failed    |
         2m | short     |
         3m | short     |
         4m | short     |
         5m | failed    |
         6m | failed    | raised, mailed: raised
         7m | short     |
         8m | -         | resolved, mailed: recovered",
    );
    for kind in FailureKind::ALL.into_iter().filter(|kind| kind.blame() == Blame::Collector) {
        let failure = Failure::new(Stage::Connect, kind);
        let before = ClientState { failed_in_a_row: 7, ..ClientState::default() };
        let rules = [rule(Metric::Unreachable, 0.0, Repeat::Every)];
        let verdict =
            judge(&before, &rules, true, Observation::Failed(&failure), Timestamp::UNIX_EPOCH, &mut Uuid::new_v4);
        assert_eq!((&verdict.state, verdict.changes.len(), verdict.exceeded.len()), (&before, 0, 0), "{kind:?}");
    }
}
