//! The reports of simulated hosts during a demo are valid, change smoothly and differ from each other.

use super::*;
use crate::fleet::{
    Reading,
    outlook::Outlook,
    trend::{Point, Trend},
};

const CLOCK: i64 = 1_790_000_000_000;

fn hosts() -> Vec<SimulatedHost> {
    let names = ["web", "app", "db", "cache", "web", "app", "db", "cache", "over-limit"];
    (0..180)
        .zip(names.iter().cycle())
        .map(|(number, name)| SimulatedHost::new(&format!("{name}-{number:03}"), number))
        .collect()
}

/// Times of the first two hours, few enough for a test.
fn times() -> impl Iterator<Item = Duration> {
    (0..240).map(|half_minute| Duration::from_millis(half_minute * 30_070))
}

#[test]
fn every_report_is_possible_and_survives_the_wire() {
    let surge = Surge { begins: Duration::from_secs(300), ends: Duration::from_secs(900) };
    for host in hosts() {
        for since in times().step_by(5) {
            let report = host.report(since, CLOCK, Some(surge));
            let mut fitted = report.clone();
            fitted.fit();
            assert_eq!(fitted, report, "a list or text is over the caps");
            // The wire format only has whole milliseconds, so the complete reports may differ.
            let read = Report::from_xml(report.to_xml().as_bytes()).unwrap();
            assert_eq!((&read.host, &read.cpu, &read.memory), (&report.host, &report.cpu, &report.memory));
            assert_eq!((&read.file_systems, &read.top_cpu), (&report.file_systems, &report.top_cpu));
            let reading = Reading::from_report(&read, CLOCK);
            assert_eq!(reading.host_name.as_deref(), Some(host.host_name()));
            assert_eq!(reading.clock_ahead_ms, Some(0));
            assert!((2..=4).contains(&reading.file_systems.len()));
            assert!(reading.fullest().unwrap().1.get() < 90.0, "{since:?} {:?}", reading.fullest());
            assert_eq!((reading.top_cpu.len(), reading.top_memory.len()), (5, 5));
            assert!(reading.top_cpu.is_sorted_by(|a, b| a.cpu_percent >= b.cpu_percent));
            assert!(reading.top_memory.is_sorted_by(|a, b| a.memory >= b.memory));
            let busy: f64 = reading.top_cpu.iter().map(|process| process.cpu_percent).sum();
            assert!(busy <= reading.cpu.unwrap().get() * reading.cores.len() as f64, "more than the machine");
        }
    }
}

#[test]
fn only_a_surge_exceeds_the_cpu_limit() {
    for host in hosts() {
        for since in times() {
            let report = host.report(since, CLOCK, None);
            let memory = report.memory.unwrap();
            assert!(report.cpu.unwrap().total_percent < 80.0, "{host:?} at {since:?}");
            assert!(memory.used_bytes < memory.total_bytes / 100 * 96, "{host:?} at {since:?}");
        }
        let surge = Surge { begins: Duration::from_secs(60), ends: Duration::from_secs(90) };
        let cpu = |seconds| host.report(Duration::from_secs(seconds), CLOCK, Some(surge)).cpu.unwrap().total_percent;
        for (seconds, over) in [(59, false), (64, true), (75, true), (86, true), (90, false), (200, false)] {
            let percent = cpu(seconds);
            assert!(if over { percent > 90.0 } else { percent < 80.0 }, "{percent} % at {seconds} s: {host:?}");
        }
    }
}

#[test]
fn values_change_smoothly_and_counters_never_decrease() {
    for host in hosts().iter().step_by(7) {
        let mut before = host.report(Duration::ZERO, CLOCK, None);
        for second in 1..600 {
            let now = host.report(Duration::from_secs(second), CLOCK, None);
            let [was, is] = [&before, &now].map(|report| report.cpu.as_ref().unwrap().total_percent);
            assert!((is - was).abs() < 12.0, "{was} to {is} in second {second}: {host:?}");
            assert!(before.uptime < now.uptime);
            for (was, is) in before.interfaces.iter().zip(&now.interfaces) {
                assert!(was.received_bytes <= is.received_bytes && was.sent_bytes <= is.sent_bytes, "{was:?} {is:?}");
            }
            before = now;
        }
        let used =
            |since| host.report(since, CLOCK, None).file_systems.iter().map(|s| s.used_bytes).collect::<Vec<_>>();
        assert_ne!(used(Duration::ZERO), used(Duration::from_secs(60)), "nothing fills");
    }
}

#[test]
fn a_host_is_deterministic_and_no_two_are_alike() {
    let at = Duration::from_secs(100);
    let all: Vec<Report> = hosts().iter().map(|host| host.report(at, CLOCK, None)).collect();
    assert_eq!(all, hosts().iter().map(|host| host.report(at, CLOCK, None)).collect::<Vec<_>>());
    let mut shown: Vec<String> = all
        .iter()
        .map(|report| {
            format!("{:.1} {}", report.cpu.as_ref().unwrap().total_percent, report.memory.as_ref().unwrap().used_bytes)
        })
        .collect();
    shown.sort();
    shown.dedup();
    assert_eq!(shown.len(), all.len());
    let mut systems: Vec<_> = all.iter().take(12).filter_map(|report| report.host.os_version.as_deref()).collect();
    systems.sort_unstable();
    systems.dedup();
    assert!(systems.len() >= 6, "{systems:?}");
    let warned = times().filter(|since| !hosts()[0].report(*since, CLOCK, None).warnings.is_empty()).count();
    assert!((1..60).contains(&warned), "{warned} of 240");
}

#[test]
fn the_processes_depend_on_the_name() {
    for (name, program) in
        [("web-01", "nginx"), ("app-02", "java"), ("db-03", "postgres"), ("cache-04", "redis-server"), ("x", "python3")]
    {
        let report = SimulatedHost::new(name, 0).report(Duration::ZERO, CLOCK, None);
        assert!(report.top_cpu.iter().any(|process| process.name == program), "{name}");
    }
}

#[test]
fn each_host_has_its_own_delays() {
    let totals: Vec<_> =
        hosts().iter().flat_map(|host| times().map(|since| host.delays(since).total()).collect::<Vec<_>>()).collect();
    let [least, most] = [totals.iter().min(), totals.iter().max()].map(|total| total.unwrap().as_millis());
    assert!((19..100).contains(&least), "{least} ms");
    assert!((1000..=1200).contains(&most), "{most} ms");
}

/// The past of a file system leads to its present, and some of them are filling.
#[test]
fn some_file_systems_of_a_fleet_are_filling_and_others_fluctuate() {
    let mut words = std::collections::BTreeMap::<_, usize>::new();
    for host in hosts().iter().take(40) {
        let mut reading = Reading::from_report(&host.report(Duration::ZERO, CLOCK, None), CLOCK);
        for system in &mut reading.file_systems {
            let past = (0..=180).rev().map(|number| f64::from(number) / 6.0).map(|days| {
                let used = host.used_before(days).into_iter().find(|(mount, _)| *mount == system.mount).unwrap().1;
                Point { day: -days, used_bytes: used as f64 }
            });
            let past: Vec<Point> = past.collect();
            assert_eq!(past.last().unwrap().used_bytes, system.used.0 as f64);
            system.trend = Trend::of(&past);
            let word = system.outlook().unwrap().word();
            *words.entry(word).or_default() += 1;
            assert!(system.outlook().and_then(Outlook::days).is_none_or(|days| days > 2.0), "{system:?}");
        }
    }
    assert!(["filling", "fluctuating", "over-1y"].iter().all(|word| words.get(word) >= Some(&8)), "{words:?}");
}
