//! A metric with a value for each instance: an alert of its own for each of them, whatever happens to the others.

use super::*;
use crate::fleet::metric::{Instance, InstancePattern};

/// A rule for `disk` over 90 %, mailed when it is raised and when it ends.
fn every_mount() -> Rule {
    rule(Metric::Disk, 90.0, hours(4))
}

fn one_mount(mount: &str, limit: f64) -> Rule {
    Rule { instance: Some(Instance::new(mount)), ..rule(Metric::Disk, limit, hours(4)) }
}

/// `/var 95, /home -` as values: a dash is an instance that was not measured. `-` alone: nothing was measured.
fn values(text: &str) -> Values {
    if text == "-" {
        return Values::NotMeasured;
    }
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    Values::Each(
        pairs
            .map(|pair| pair.split_once(' ').unwrap())
            .map(|(name, value)| (Instance::new(name), value.parse().ok()))
            .collect(),
    )
}

/// The alerts of mounts, one collection per line: `values | what the judge says`. Each line is a minute after the one
/// before.
fn check(rules: &[Rule], life: &str) -> ClientState {
    let mut state = ClientState::default();
    for (minute, line) in (0..).zip(life.lines().map(str::trim).filter(|line| !line.is_empty())) {
        let (seen, expected) = line.split_once('|').unwrap();
        let values = values(seen.trim());
        let values_of = |metric| if metric == Metric::Disk { values.clone() } else { Values::NotMeasured };
        let now = Timestamp::from_second(minute * 60).unwrap();
        let context = JudgeContext { has_recipient: true, now };
        let verdict = judge_values(&state.rules, rules, values_of, context, &mut Uuid::new_v4);
        let told: Vec<String> =
            verdict.changes.iter().map(|change| format!("{} {}", change.instance, told_of(change))).collect();
        assert_eq!(told.join("; "), expected.trim(), "at: {line}");
        let open = verdict.state.rules.iter().filter(|(_, rule)| rule.alert.is_some()).count();
        assert!(verdict.exceeded.len() <= open, "at: {line}");
        state = verdict.state;
    }
    state
}

#[test]
fn a_rule_for_what_the_client_does_not_have_is_a_warning() {
    use crate::fleet::{rates::InterfaceRates, reading::FileSystem};
    let system = |mount: &str| FileSystem {
        mount: mount.to_owned(),
        kind: "ext4".to_owned(),
        total: Bytes(10),
        used: Bytes(5),
        available: Bytes(5),
        inodes: None,
        trend: None,
    };
    let of = |metric, name: &str| Rule { instance: Some(Instance::new(name)), ..rule(metric, 90.0, hours(4)) };
    let rules = [
        every_mount(),
        one_mount("/var/", 90.0),
        one_mount("/vra", 90.0),
        of(Metric::Inodes, "/vra"),
        one_mount("/silent", 90.0),
        of(Metric::Network, "eth7"),
        of(Metric::Processes, "nginx"),
        of(Metric::Units, "cron.service"),
        of(Metric::Pressure, "io"),
    ];
    let check = |change: &dyn Fn(&mut Reading), expected: &[&str]| {
        let reading = reading(|reading| {
            reading.file_systems = vec![system("/"), system("/var")];
            reading.silent_mounts = vec!["/silent".to_owned()];
            change(reading);
        });
        assert_eq!(warnings_of_absent(&rules, &reading), expected);
    };
    let vra = "mount /vra: an <alert> names it, but no file system that can be written is mounted there";
    let eth7 = "interface eth7: an <alert> names it, but there is none with this name";
    check(&|_| {}, &[vra]);
    let interface = |name: &str| InterfaceRates { name: name.to_owned(), ..InterfaceRates::default() };
    check(&|reading| reading.rates.interfaces = vec![interface("eth0")], &[vra, eth7]);
    check(&|reading| reading.rates.interfaces = vec![interface("eth7")], &[vra]);
    check(&|reading| reading.file_systems.push(system("/vra")), &[]);
    // What was cut may be it.
    check(&|reading| reading.omitted_file_systems = 1, &[]);
}

#[test]
fn each_instance_has_an_alert_of_its_own() {
    let state = check(
        &[every_mount()],
        "/home 50, /var 95 | /var raised, mailed: raised
         /home 96, /var 95 | /home raised, mailed: raised; /var continues, held: recently mailed
         /home 96, /var 20 | /home continues, held: recently mailed; /var resolved, mailed: recovered
         /home 97, /var 20 | /home continues, held: recently mailed",
    );
    let keys: Vec<String> = state.rules.keys().map(ToString::to_string).collect();
    assert_eq!(keys, ["disk /home"]);
}

#[test]
fn sweeps_over_the_limit_are_counted_for_each_instance() {
    check(
        &[Rule { for_sweeps: 2, ..every_mount() }],
        "/home 95, /var 50 |
         /home 50, /var 95 |
         /home 95, /var 95 | /var raised, mailed: raised",
    );
}

#[test]
fn the_alert_of_an_instance_that_is_gone_ends_and_begins_anew_when_it_comes_back() {
    check(
        &[Rule { for_sweeps: 2, ..every_mount() }],
        "/home 20, /var 95 |
         /home 20, /var 95 | /var raised, mailed: raised
         /home 20          | /var gone, mailed: gone
         /home 20          |
         /home 20, /var 95 |
         /home 20, /var 95 | /var raised, mailed: raised
                           | /var gone, mailed: gone",
    );
    check(
        &[Rule { recovery: false, ..every_mount() }],
        "/var 95 | /var raised, mailed: raised
         /home 1 | /var gone, held: gone",
    );
}

#[test]
fn what_was_not_measured_says_nothing_of_an_instance() {
    check(
        &[every_mount()],
        "/home 95, /var 95 | /home raised, mailed: raised; /var raised, mailed: raised
         /home -, /var 95  | /var continues, held: recently mailed
         -                 |
         /home 95, /var 20 | /home continues, held: recently mailed; /var resolved, mailed: recovered",
    );
}

#[test]
fn a_rule_without_an_instance_applies_to_each_that_has_none_of_its_own() {
    check(
        &[every_mount(), one_mount("/backup", 99.0)],
        "/backup 95, /home 95 | /home raised, mailed: raised
         /backup 99.5, /home 20 | /backup raised, mailed: raised; /home resolved, mailed: recovered",
    );
    check(&[one_mount("/backup", 99.0)], "/backup 95, /home 95 |");
}

#[test]
fn the_alerts_of_all_instances_are_withdrawn_with_their_rule() {
    let rules = [every_mount(), one_mount("/backup", 99.0)];
    let state = check(&rules, "/backup 99.5, /home 95 | /backup raised, mailed: raised; /home raised, mailed: raised");
    let withdrawn = |rules: &[Rule], values: &Values| {
        let values_of = |metric| if metric == Metric::Disk { values.clone() } else { Values::NotMeasured };
        let context = JudgeContext { has_recipient: true, now: Timestamp::UNIX_EPOCH };
        let verdict = judge_values(&state.rules, rules, values_of, context, &mut Uuid::new_v4);
        let steps = verdict.changes.iter().map(|change| (change.instance.to_string(), change.step));
        steps.filter(|(_, step)| *step == Step::Withdrawn).map(|(instance, _)| instance).collect::<Vec<_>>()
    };
    let now = values("/backup 99.5, /home 95");
    assert_eq!(withdrawn(&[], &now), ["/backup", "/home"]);
    // Also if the collection failed.
    assert_eq!(withdrawn(&[], &Values::NotMeasured), ["/backup", "/home"]);
    assert_eq!(withdrawn(&rules[1..], &now), ["/home"]);
    assert_eq!(withdrawn(&rules[..1], &now), [""; 0]);
}

#[test]
fn a_state_from_before_there_were_instances_is_read() {
    let old = r#"{"failed_in_a_row":2,"rules":{"cpu":{"over_in_a_row":3,"alert":null}}}"#;
    let state: ClientState = serde_json::from_str(old).unwrap();
    assert_eq!(state.rules[&Metric::Cpu.into()].over_in_a_row, 3);
    assert_eq!(serde_json::to_string(&state).unwrap(), old);
    let of_mount = ClientState {
        rules: [(
            AlertKey { metric: Metric::Disk, instance: Instance::new("/var") },
            RuleState { over_in_a_row: 1, alert: None },
        )]
        .into(),
        ..ClientState::default()
    };
    let json = serde_json::to_string(&of_mount).unwrap();
    assert_eq!(json, r#"{"failed_in_a_row":0,"rules":{"disk:/var":{"over_in_a_row":1,"alert":null}}}"#);
    assert_eq!(serde_json::from_str::<ClientState>(&json).unwrap(), of_mount);
}

#[test]
fn what_a_rule_leaves_out_has_no_alert() {
    let but_backups = Rule { exclude: vec![InstancePattern::new("/backup/*")], ..every_mount() };
    check(
        &[but_backups.clone(), one_mount("/backup/db/", 99.0)],
        "/backup/a 99.5, /backup/db 98, /home 95 | /home raised, mailed: raised
         /backup/a 99.5, /backup/db 99.5, /home 20 | /backup/db raised, mailed: raised; /home resolved, mailed: recovered",
    );
    // A rule that leaves out what has an alert withdraws it.
    let state = check(
        &[every_mount()],
        "/backup/a 95, /home 95 | /backup/a raised, mailed: raised; /home raised, mailed: raised",
    );
    let all = values("/backup/a 95, /home 95");
    let values_of = |metric| if metric == Metric::Disk { all.clone() } else { Values::NotMeasured };
    let context = JudgeContext { has_recipient: true, now: Timestamp::UNIX_EPOCH };
    let verdict = judge_values(&state.rules, &[but_backups], values_of, context, &mut Uuid::new_v4);
    let steps: Vec<_> = verdict.changes.iter().map(|change| (change.instance.name(), change.step)).collect();
    assert_eq!(steps, [("/backup/a", Step::Withdrawn), ("/home", Step::Continues)]);
}

#[test]
fn a_mount_that_is_not_in_a_list_that_was_cut_keeps_its_alert() {
    let state =
        check(&[every_mount()], "/home 95, /var 95 | /home raised, mailed: raised; /var raised, mailed: raised");
    let part = Values::Part([(Instance::new("/home"), Some(20.0))].into());
    let values_of = |metric| if metric == Metric::Disk { part.clone() } else { Values::NotMeasured };
    let context = JudgeContext { has_recipient: true, now: Timestamp::UNIX_EPOCH };
    let verdict = judge_values(&state.rules, &[every_mount()], values_of, context, &mut Uuid::new_v4);
    let steps: Vec<_> = verdict.changes.iter().map(|change| (change.instance.name(), change.step)).collect();
    assert_eq!(steps, [("/home", Step::Resolved)]);
    assert!(verdict.state.rules.keys().any(|key| key.instance.name() == "/var"));
}

#[test]
fn an_alert_from_before_a_metric_had_instances_is_withdrawn_without_a_mail() {
    let mut state = ClientState::default();
    let alert = OpenAlert {
        id: Uuid::from_u128(7),
        raised_at: Timestamp::UNIX_EPOCH,
        limit: 90.0,
        value: 95.0,
        peak: 95.0,
        last_mail_at: Some(Timestamp::UNIX_EPOCH),
        acknowledged_at: None,
        acknowledged_by: None,
    };
    state.rules.insert(Metric::Disk.into(), RuleState { over_in_a_row: 1, alert: Some(alert) });
    let context = JudgeContext { has_recipient: true, now: Timestamp::UNIX_EPOCH };
    let values_of = |metric| if metric == Metric::Disk { values("/ 95") } else { Values::NotMeasured };
    let verdict = judge_values(&state.rules, &[every_mount()], values_of, context, &mut Uuid::new_v4);
    let steps: Vec<_> = verdict.changes.iter().map(|change| (change.instance.name(), change.step)).collect();
    assert_eq!(steps, [("", Step::Withdrawn), ("/", Step::Raised)]);
    assert!(matches!(verdict.changes[0].notice, Notice::Hold(HoldReason::RuleRemoved)));
}

#[test]
fn a_unit_that_is_no_longer_listed_has_recovered() {
    let units = rule(Metric::Units, 0.0, hours(4));
    let listed = |names: &[&str], omitted| Values::Listed {
        values: names.iter().map(|name| (Instance::new(name), 1.0)).collect(),
        omitted,
    };
    let values = |names: &[&str]| listed(names, 0);
    let mut state = ClientState::default();
    let mut told = |values: Values| {
        let values_of = |metric| if metric == Metric::Units { values.clone() } else { Values::NotMeasured };
        let context = JudgeContext { has_recipient: true, now: Timestamp::UNIX_EPOCH };
        let verdict = judge_values(&state.rules, std::slice::from_ref(&units), values_of, context, &mut Uuid::new_v4);
        state = verdict.state.clone();
        let steps = verdict.changes.iter().map(|change| (change.instance.name().to_owned(), change.step));
        steps.collect::<Vec<_>>()
    };
    assert_eq!(told(values(&["a"])), [("a".to_owned(), Step::Raised)]);
    assert_eq!(told(values(&["a", "b"])), [("a".to_owned(), Step::Continues), ("b".to_owned(), Step::Raised)]);
    assert_eq!(told(Values::NotMeasured), []);
    // One that is not in a list that was cut may have failed all the same.
    assert_eq!(told(listed(&["b"], 1)), [("b".to_owned(), Step::Continues)]);
    assert_eq!(told(values(&["b"])), [("a".to_owned(), Step::Resolved), ("b".to_owned(), Step::Continues)]);
    assert_eq!(told(values(&[])), [("b".to_owned(), Step::Resolved)]);
}
