//! Tests of the table of metrics.

use std::collections::BTreeSet;

use fleetsweep_agent::report::Report;

use super::*;
use crate::fleet::{
    Bytes,
    rates::{DiskRates, PressureRate, Rates},
    reading::Inodes,
    states::{Commit, States},
    trend::Trend,
};

#[test]
fn words_columns_and_gauges_name_one_metric_each() {
    let (mut names, mut columns) = (BTreeSet::new(), BTreeSet::new());
    for metric in Metric::ALL {
        let spec = metric.spec();
        assert!(names.insert(spec.word), "{metric}");
        assert!(spec.short == spec.word || names.insert(spec.short), "{metric}");
        assert!(spec.stored.is_none_or(|stored| columns.insert(stored.to_string())), "{metric}");
        assert!(spec.gauge.is_none_or(|gauge| names.insert(gauge.name)), "{metric}");
        // The columns of the database have this width, and a colon separates the metric from the instance.
        assert!(spec.word.len() <= 16 && !spec.word.contains(':'), "{metric}");
        assert_eq!(spec.word.parse(), Ok(metric));
        assert_eq!(serde_json::to_value(metric).unwrap(), spec.word);
        assert_eq!(serde_json::from_value::<Metric>(spec.word.into()).unwrap(), metric);
    }
    assert_eq!("CPU".parse::<Metric>(), Err(InvalidMetric("CPU".to_owned())));
}

/// A reading in which everything was measured.
fn everything() -> Reading {
    Reading {
        cpu: Percent::new(11.0).ok(),
        cores: vec![Percent::ZERO; 4],
        load: Some([6.0, 1.0, 1.0]),
        memory: Some(Usage { total: Bytes(100), used: Bytes(22) }),
        swap: Some(Usage { total: Bytes(100), used: Bytes(33) }),
        file_systems: [("/", 10), ("/var", 44), ("/home", 20)]
            .map(|(mount, used)| FileSystem {
                mount: mount.into(),
                kind: "ext4".into(),
                total: Bytes(100),
                used: Bytes(used),
                available: Bytes(100 - used),
                inodes: Some(Inodes { total: 100, free: if mount == "/var" { 30 } else { 90 } }),
                trend: (mount == "/var").then_some(Trend { low: 7, middle: 8, high: 9, is_steady: true }),
            })
            .into(),
        rates: Rates {
            interfaces: vec![
                InterfaceRates {
                    name: "lo".into(),
                    received_mbit: Some(999.0),
                    is_loopback: true,
                    ..Default::default()
                },
                InterfaceRates {
                    name: "eth0".into(),
                    received_mbit: Some(55.0),
                    sent_mbit: Some(54.0),
                    speed_mbit: Some(100),
                    ..Default::default()
                },
            ],
            disks: vec![
                DiskRates { name: "sda".into(), busy: Percent::new(66.0).ok(), ..DiskRates::default() },
                DiskRates { name: "sdb".into(), ..DiskRates::default() },
            ],
            pressure: vec![PressureRate { resource: "io".into(), some: Percent::new(77.0).ok() }],
            oom_kills: Some(8),
            restarts: Some(1),
            ..Rates::default()
        },
        states: States {
            commit: Some(Commit { limit: Bytes(100), used: Bytes(50) }),
            failed_units: Some(vec!["nginx".into()]),
            process_counts: vec![("nginx".into(), 6)],
            security_updates: Some(7),
            restart_needed: Some(true),
            temperature_celsius: Some(61.5),
            ..States::default()
        },
        clock_ahead_ms: Some(-1250),
        ..Reading::from_report(&Report::default(), 0)
    }
}

#[test]
fn each_metric_reads_its_own_value() {
    let nothing = Reading::from_report(&Report::default(), 0);
    // One for each, in the order of the table.
    let expected: [f64; Metric::ALL.len()] = [
        11.0, 22.0, 33.0, 44.0, 1.5, 55.0, 55.0, 66.0, 77.0, 8.0, 1.0, 0.0, 70.0, 50.0, 1.0, 6.0, 6.0, 1.25, 7.0, 1.0,
        61.5, 7.0,
    ];
    for (metric, expected) in Metric::ALL.into_iter().zip(expected) {
        let values = metric.measure(Observed::reading(&everything()));
        let instance = match metric.spec().scope {
            Scope::Host => "",
            Scope::Mount => "/var",
            Scope::Interface => "eth0",
            Scope::Disk => "sda",
            Scope::Resource => "io",
            Scope::Service | Scope::Process => "nginx",
        };
        assert!(values.measured().contains(&(Instance::new(instance), expected)), "{metric}");
        assert_eq!(metric.worst(&values), Some(expected), "{metric}");
        let values = metric.measure(Observed::reading(&nothing));
        assert_eq!(metric.worst(&values).is_some(), metric == Metric::Unreachable, "{metric}");
    }
}

#[test]
fn of_units_their_number_counts_and_none_is_a_number_too() {
    let failed = |units: &[&str], omitted_failed_units| {
        let failed_units = Some(units.iter().map(|unit| (*unit).to_owned()).collect());
        let reading =
            Reading { states: States { failed_units, omitted_failed_units, ..States::default() }, ..everything() };
        Metric::Units.worst(&Metric::Units.measure(Observed::reading(&reading)))
    };
    assert_eq!([failed(&[], 0), failed(&["a", "b"], 0), failed(&["a", "b"], 70)], [Some(0.0), Some(2.0), Some(72.0)]);
    let limits = Metric::ALL.into_iter().filter(|metric| metric.default_limit().is_some()).collect::<Vec<_>>();
    assert_eq!(limits, [Metric::Oom, Metric::Reboot, Metric::Units, Metric::RebootRequired]);
}

#[test]
fn what_is_worse_depends_on_the_metric() {
    for (worse, value, than, expected) in [
        (Worse::High, 2.0, 1.0, true),
        (Worse::High, 1.0, 1.0, false),
        (Worse::Low, 1.0, 1.0, false),
        (Worse::Low, 0.5, 1.0, true),
    ] {
        assert_eq!(worse.is_worse(value, than), expected);
    }
    assert_eq!((Worse::High.worst(1.0, 2.0), Worse::Low.worst(1.0, 2.0)), (2.0, 1.0));
}
