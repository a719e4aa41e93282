//! Tables of two collections and the averages between them.

use std::{collections::BTreeMap, time::Duration};

use fleetsweep_agent::report::{self, Cpu, Disk, Interface, Pressure, Report};
use proptest::prelude::*;

use super::*;

/// A minute.
const MINUTE_MS: u64 = 60_000;

/// A core: user, system, idle, waiting for disks, stolen, milliseconds.
fn core(core: u32, [user_ms, system_ms, idle_ms, io_wait_ms, steal_ms]: [u64; 5]) -> CoreTime {
    CoreTime {
        core,
        user_ms,
        nice_ms: Some(0),
        system_ms,
        idle_ms,
        io_wait_ms: Some(io_wait_ms),
        interrupt_ms: Some(0),
        soft_interrupt_ms: Some(0),
        steal_ms: Some(steal_ms),
    }
}

/// A machine with two cores, an interface, a disk and pressure, `ms` after its start. In the window, it was busy at 7 %,
/// received 1 Mbit/s, the disk was busy at 8 %, and tasks waited for 9 % of the time.
fn report(ms: u64, cores: &[CoreTime]) -> Report {
    Report {
        cpu: Some(Cpu { total_percent: 7.0, core_percent: vec![7.0; cores.len()], window: Duration::from_millis(250) }),
        uptime: Some(Duration::from_millis(ms)),
        interfaces: vec![Interface {
            name: "eth0".into(),
            speed_mbit: Some(1000),
            window_received_bytes_per_second: Some(125_000),
            window_sent_bytes_per_second: Some(125_000),
            ..Interface::default()
        }],
        counters: Some(report::Counters {
            boot_id: "first".into(),
            monotonic_ms: ms,
            cores: cores.to_vec(),
            oom_kills: Some(0),
            disks: vec![Disk {
                name: "sda".into(),
                busy_ms: Some(0),
                window_busy_percent: Some(8.0),
                ..Disk::default()
            }],
            pressure: vec![Pressure {
                resource: Resource::Io,
                some_us: 0,
                full_us: None,
                window_some_percent: Some(9.0),
            }],
            ..report::Counters::default()
        }),
        ..Report::default()
    }
}

/// The reading of the second of two reports.
fn averaged(before: &Report, now: &Report) -> Reading {
    let mut reading = Reading::from_report(now, 0);
    if let (Some(before), Some(now)) = (Counters::from_report(before), Counters::from_report(now)) {
        reading.average_since(&before, &now);
    }
    reading
}

/// CPU use and the span that it is averaged over.
fn cpu(reading: &Reading) -> (f64, u64) {
    (reading.cpu.unwrap().get(), reading.rates.cpu_span_ms.unwrap())
}

const IDLE: [u64; 5] = [0, 0, 1_000_000, 0, 0];

fn first() -> Report {
    report(1_000_000, &[core(0, IDLE), core(1, IDLE)])
}

/// A minute later, with one core half busy and the other one idle.
fn second() -> Report {
    let busy = [20_000, 10_000, 1_025_000, 5000, 0];
    report(1_000_000 + MINUTE_MS, &[core(0, busy), core(1, [0, 0, 1_060_000, 0, 0])])
}

/// The value of the window.
const WINDOW: (f64, u64) = (7.0, 250);

#[test]
fn the_average_is_of_the_whole_time_since_the_last_collection() {
    let reading = averaged(&first(), &second());
    assert_eq!(cpu(&reading), (25.0, MINUTE_MS));
    assert_eq!(reading.cores.iter().map(|core| core.get()).collect::<Vec<_>>(), [50.0, 0.0]);
    assert_eq!(reading.rates.io_wait.map(Percent::get), Some(4.17));
    assert_eq!(reading.rates.steal, Some(Percent::ZERO));
}

/// The time of the start follows the clock on some systems. Only a clock that is never set counts.
#[test]
fn a_clock_that_is_set_changes_its_offset_and_no_average() {
    for step_ms in [0, 3_600_000, -3_600_000, i64::MAX / 2] {
        let mut now = second();
        now.clock_unix_ms = Some(step_ms);
        now.boot_unix_ms = Some(step_ms);
        let reading = averaged(&first(), &now);
        assert_eq!(cpu(&reading), (25.0, MINUTE_MS), "{step_ms}");
        assert_eq!(reading.rates.restarts, Some(0), "{step_ms}");
        assert_eq!(reading.clock_ahead_ms, Some(step_ms + reading_delay(&now)), "{step_ms}");
    }
}

/// How long the agent worked after it had read its clock.
fn reading_delay(report: &Report) -> i64 {
    i64::try_from(report.agent_duration.as_millis()).unwrap()
}

#[test]
fn only_collections_of_one_start_and_of_the_same_quarter_of_an_hour_are_compared() {
    let change = |change: fn(&mut Report)| {
        let mut now = second();
        change(&mut now);
        cpu(&averaged(&first(), &now))
    };
    assert_eq!(cpu(&averaged(&first(), &second())), (25.0, MINUTE_MS));
    // Another start.
    assert_eq!(change(|now| now.counters.as_mut().unwrap().boot_id = "second".into()), WINDOW);
    // The same start, but an earlier moment: a virtual machine that was reset to a snapshot.
    assert_eq!(cpu(&averaged(&second(), &first())), WINDOW);
    // In quick succession.
    assert_eq!(change(|now| now.counters.as_mut().unwrap().monotonic_ms = 1_000_199), WINDOW);
    let soon = |now: &mut Report| {
        let counters = now.counters.as_mut().unwrap();
        counters.monotonic_ms = 1_000_200;
        counters.cores = vec![core(0, [50, 50, 1_000_100, 0, 0]), core(1, [0, 0, 1_000_200, 0, 0])];
    };
    assert_eq!(change(soon), (25.0, 200));
    // Long ago.
    let later = |now: &mut Report, ms| {
        now.counters.as_mut().unwrap().monotonic_ms = 1_000_000 + ms;
        now.uptime = Some(Duration::from_millis(1_000_000 + ms));
    };
    let mut now = second();
    later(&mut now, LONGEST_MS);
    assert_eq!(cpu(&averaged(&first(), &now)), (25.0, LONGEST_MS));
    later(&mut now, LONGEST_MS + 1);
    assert_eq!(cpu(&averaged(&first(), &now)), WINDOW);
    // It was suspended for an hour, in which only one of the clocks stood still.
    assert_eq!(change(|now| now.uptime = Some(Duration::from_secs(4660))), WINDOW);
    assert_eq!(change(|now| now.uptime = Some(Duration::from_secs(1))), WINDOW);
    assert_eq!(change(|now| now.uptime = None), (25.0, MINUTE_MS));
    // The time of day does not matter.
    assert_eq!(change(|now| now.clock_unix_ms = Some(i64::MIN)), (25.0, MINUTE_MS));
    assert_eq!(change(|now| now.boot_unix_ms = Some(i64::MAX)), (25.0, MINUTE_MS));
}

#[test]
fn cores_that_come_and_go_and_counters_that_go_back_make_no_peak() {
    let check = |before: &[CoreTime], now: &[CoreTime], expected: (f64, u64), cores: &[f64]| {
        let reading = averaged(&report(1_000_000, before), &report(1_000_000 + MINUTE_MS, now));
        assert_eq!(cpu(&reading), expected, "{now:?}");
        assert_eq!(reading.cores.iter().map(|core| core.get()).collect::<Vec<_>>(), cores, "{now:?}");
    };
    let half = [30_000, 0, 1_030_000, 0, 0];
    let pair = [core(0, IDLE), core(1, IDLE)];
    // A core that was added has the value of the window, and does not count in the total.
    check(&pair[..1], &[core(0, half), core(1, [9_000_000, 0, 5, 0, 0])], (50.0, MINUTE_MS), &[50.0, 7.0]);
    // A core that was removed.
    check(&pair, &[core(1, half)], (50.0, MINUTE_MS), &[50.0]);
    // A core that was off for a while counts anew.
    check(&pair, &[core(0, half), core(1, [10, 0, 50, 0, 0])], (50.0, MINUTE_MS), &[50.0, 7.0]);
    // All counters were reset, or most.
    check(&pair, &[core(0, [10, 0, 50, 0, 0]), core(1, [10, 0, 50, 0, 0])], WINDOW, &[7.0, 7.0]);
    check(&pair, &[core(2, half), core(3, half)], WINDOW, &[7.0, 7.0]);
    // Waiting for disks went back, as the kernel allows: it was idle time.
    let waited = [core(0, [0, 0, 1_000_000, 50_000, 0])];
    check(&waited, &[core(0, [30_000, 0, 1_079_000, 1000, 0])], (50.0, MINUTE_MS), &[50.0]);
    check(&waited, &[core(0, [30_000, 0, 999_000, 81_000, 0])], (50.0, MINUTE_MS), &[50.0]);
    // Nothing advanced.
    check(&pair, &pair, WINDOW, &[7.0, 7.0]);
    // Half of the time was stolen: the machine used all that it had.
    check(&pair[..1], &[core(0, [30_000, 0, 1_000_000, 0, 30_000])], (100.0, MINUTE_MS), &[100.0]);
    // A counter that jumps, by more than an eighth of the time.
    check(&pair[..1], &[core(0, [67_500, 0, 1_000_000, 0, 0])], (100.0, MINUTE_MS), &[100.0]);
    check(&pair[..1], &[core(0, [67_501, 0, 1_000_000, 0, 0])], WINDOW, &[7.0]);
    check(&pair[..1], &[core(0, [60_000, 0, 1_000_000, 0, 7501])], WINDOW, &[7.0]);
    check(&pair[..1], &[core(0, [u64::MAX, 0, 1_000_000, 0, 0])], WINDOW, &[7.0]);
    check(&pair, &[core(0, half), core(1, [1 << 40, 0, 1_000_000, 0, 0])], (50.0, MINUTE_MS), &[50.0, 7.0]);
    check(&pair[..1], &[core(0, [u64::MAX, 0, 1_060_000, 0, 0])], WINDOW, &[7.0]);
    check(&[core(0, [u64::MAX; 5])], &[core(0, half)], WINDOW, &[7.0]);
    // No cores.
    check(&pair, &[], WINDOW, &[]);
    check(&[], &pair, WINDOW, &[7.0, 7.0]);
}

/// Received and sent, Mbit/s, after these counters, if those before were 1 GB each.
fn traffic(received_bytes: u64, sent_bytes: u64, speed_mbit: Option<u32>) -> (Option<f64>, Option<f64>, Option<f64>) {
    let (mut before, mut now) = (first(), second());
    for (report, received, sent) in
        [(&mut before, 1_000_000_000, 1_000_000_000), (&mut now, received_bytes, sent_bytes)]
    {
        report.interfaces[0].received_bytes = received;
        report.interfaces[0].sent_bytes = sent;
        report.interfaces[0].speed_mbit = speed_mbit;
    }
    let reading = averaged(&before, &now);
    let rates = &reading.rates.interfaces[0];
    (rates.received_mbit, rates.sent_mbit, rates.share().map(Percent::get))
}

#[test]
fn traffic_is_of_the_whole_time_and_what_no_link_can_transfer_is_none() {
    const GB: u64 = 1_000_000_000;
    let window = (Some(1.0), Some(1.0), Some(0.1));
    for (received, sent, speed, expected) in [
        // 750 MB and 7.5 MB in a minute.
        (GB + 750_000_000, GB + 7_500_000, Some(1000), (Some(100.0), Some(1.0), Some(10.0))),
        (GB + 750_000_000, GB + 7_500_000, None, (Some(100.0), Some(1.0), None)),
        (GB, GB, Some(1000), (Some(0.0), Some(0.0), Some(0.0))),
        // More than the link says, as over virtual links.
        (GB + 15 * GB, GB, Some(1000), (Some(2000.0), Some(0.0), Some(100.0))),
        // Counters that were reset, that wrapped at 32 bits, and that jump.
        (5, 5, Some(1000), window),
        (5, GB + 5, Some(1000), window),
        (u64::MAX, GB, Some(1000), window),
        (u64::MAX, GB, None, (Some(1.0), Some(1.0), None)),
        (GB, GB, Some(0), (Some(0.0), Some(0.0), None)),
    ] {
        assert_eq!(traffic(received, sent, speed), expected, "{received} {sent}");
    }
    // An interface that is new, or that had another name.
    let (before, mut now) = (first(), second());
    now.interfaces[0].name = "eth1".into();
    now.interfaces[0].received_bytes = 9 * GB;
    assert_eq!(averaged(&before, &now).rates.interfaces[0].received_mbit, Some(1.0));
}

/// Two interfaces exchanged their names: 666,533 Mbit/s.
#[test]
fn an_interface_that_got_the_name_of_another_is_not_compared_with_it() {
    for (before_index, now_index, expected) in [
        (Some(2), Some(2), 100.0),
        (Some(2), Some(3), 1.0),
        // One of the agents does not tell.
        (None, Some(2), 100.0),
        (Some(2), None, 100.0),
    ] {
        let (mut before, mut now) = (first(), second());
        before.interfaces[0].index = before_index;
        now.interfaces[0].index = now_index;
        now.interfaces[0].received_bytes = 750_000_000;
        let received = averaged(&before, &now).rates.interfaces[0].received_mbit;
        assert_eq!(received, Some(expected), "{before_index:?} {now_index:?}");
    }
}

/// 10 TB/s were accepted.
#[test]
fn a_disk_transfers_what_one_can_and_also_without_a_busy_time() {
    let rates = |busy_ms: Option<u64>, read_bytes: u64, reads: u64| {
        let (mut before, mut now) = (first(), second());
        before.counters.as_mut().unwrap().disks[0].busy_ms = busy_ms.map(|_| 0);
        let disk = &mut now.counters.as_mut().unwrap().disks[0];
        (disk.busy_ms, disk.read_bytes, disk.reads, disk.written_bytes) = (busy_ms, read_bytes, reads, 60_000);
        let rates = averaged(&before, &now).rates;
        let disk = &rates.disks[0];
        (disk.read_bytes, disk.written_bytes, disk.operations)
    };
    let read = Some(1e6);
    for (busy_ms, bytes, reads, expected) in [
        (Some(100), 60_000_000, 600, (read, Some(1000.0), Some(10.0))),
        (None, 60_000_000, 600, (read, Some(1000.0), Some(10.0))),
        (Some(100), 600_000_000_000_000, 600, (None, Some(1000.0), Some(10.0))),
        (Some(100), 60_000_000, u64::MAX, (read, Some(1000.0), None)),
        // It was reset.
        (Some(1 << 40), 60_000_000, 600, (None, None, None)),
    ] {
        assert_eq!(rates(busy_ms, bytes, reads), expected, "{busy_ms:?} {bytes} {reads}");
    }
}

#[test]
fn a_disk_is_busy_for_at_most_all_of_the_time() {
    let busy = |before_ms: Option<u64>, now_ms: Option<u64>| {
        let (mut before, mut now) = (first(), second());
        before.counters.as_mut().unwrap().disks[0].busy_ms = before_ms;
        now.counters.as_mut().unwrap().disks[0].busy_ms = now_ms;
        averaged(&before, &now).rates.disks[0].busy.map(Percent::get)
    };
    for (before, now, expected) in [
        (Some(5000), Some(35_000), 50.0),
        (Some(5000), Some(5000), 0.0),
        // The kernel rounds up.
        (Some(5000), Some(65_700), 100.0),
        // It wrapped, as it does after 49 days of work: 20 s before and 10 s after.
        (Some((1 << 32) - 20_000), Some(10_000), 50.0),
        // It was reset.
        (Some(3_000_000_000), Some(10), 8.0),
        (Some(5000), Some(0), 8.0),
        // It jumps.
        (Some(5000), Some(u64::MAX), 8.0),
        (Some(u64::MAX), Some(5000), 8.0),
        (None, Some(5000), 8.0),
        (Some(5000), None, 8.0),
    ] {
        assert_eq!(busy(before, now), Some(expected), "{before:?} {now:?}");
    }
}

#[test]
fn pressure_is_compared_over_at_least_ten_seconds() {
    let pressure = |span_ms: u64, waited_us: u64| {
        let (before, mut now) = (first(), report(1_000_000 + span_ms, &[]));
        now.counters.as_mut().unwrap().pressure[0].some_us = waited_us;
        averaged(&before, &now).rates.pressure[0].some.map(Percent::get)
    };
    for (span_ms, waited_us, expected) in [
        (MINUTE_MS, 15_000_000, 25.0),
        (MINUTE_MS, 61_000_000, 100.0),
        (MINUTE_MS, 70_000_000, 9.0),
        (MINUTE_MS, u64::MAX, 9.0),
        // The kernel updates it every two seconds.
        (9_999, 5_000_000, 9.0),
        (10_000, 5_000_000, 50.0),
    ] {
        assert_eq!(pressure(span_ms, waited_us), Some(expected), "{span_ms} {waited_us}");
    }
}

#[test]
fn restarts_and_kills_are_counted_however_long_ago_the_last_collection_was() {
    let counted = |before: Option<u64>, now: Option<u64>, boot_id: &str, span_ms: u64| {
        let (mut first, mut second) = (first(), report(1_000_000 + span_ms, &[]));
        first.counters.as_mut().unwrap().oom_kills = before;
        second.counters.as_mut().unwrap().oom_kills = now;
        second.counters.as_mut().unwrap().boot_id = boot_id.into();
        let rates = averaged(&first, &second).rates;
        (rates.restarts, rates.oom_kills)
    };
    for (before, now, boot_id, span_ms, expected) in [
        (Some(3), Some(3), "first", MINUTE_MS, (Some(0), Some(0))),
        (Some(3), Some(5), "first", MINUTE_MS, (Some(0), Some(2))),
        (Some(3), Some(5), "first", 30 * 24 * 60 * MINUTE_MS, (Some(0), Some(2))),
        // A counter that was reset.
        (Some(3), Some(2), "first", MINUTE_MS, (Some(0), None)),
        // All of them are later than the restart.
        (Some(3), Some(4), "second", MINUTE_MS, (Some(1), Some(4))),
        (None, Some(4), "first", MINUTE_MS, (Some(0), None)),
        (Some(3), None, "second", MINUTE_MS, (Some(1), None)),
    ] {
        assert_eq!(counted(before, now, boot_id, span_ms), expected, "{before:?} {now:?} {boot_id}");
    }
    // A container that was restarted: the start and the counters are those of its host.
    let container = |before_s: u64, now_s: u64, ms: u64| {
        let (mut before, mut now) = (first(), report(ms, &[]));
        before.uptime = Some(Duration::from_secs(before_s));
        now.uptime = Some(Duration::from_secs(now_s));
        (before.counters.as_mut().unwrap().oom_kills, now.counters.as_mut().unwrap().oom_kills) = (Some(3), Some(4));
        let rates = averaged(&before, &now).rates;
        (rates.restarts, rates.oom_kills)
    };
    let later = 1_000_000 + MINUTE_MS;
    assert_eq!(container(864_000, 30, later), (Some(1), Some(1)));
    assert_eq!(container(864_000, 863_999, later), (Some(0), Some(1)));
    assert_eq!(container(864_000, 864_060, later), (Some(0), Some(1)));
    // A virtual machine that was reset to a snapshot.
    assert_eq!(container(864_000, 863_000, 900_000), (Some(0), Some(1)));
    // Of a first collection, nothing is known.
    let rates = Reading::from_report(&second(), 0).rates;
    assert_eq!((rates.restarts, rates.oom_kills), (None, None));
}

#[test]
fn the_processes_that_were_killed_since_the_last_collection_are_the_last_ones() {
    let named = |before: Option<u64>, now: Option<u64>, boot_id: &str| {
        let (mut first, mut second) = (first(), report(1_000_000 + MINUTE_MS, &[]));
        first.counters.as_mut().unwrap().oom_kills = before;
        let counters = second.counters.as_mut().unwrap();
        (counters.oom_kills, counters.boot_id) = (now, boot_id.into());
        second.oom_victims = ["java (7)", "mysqld\x1b (8)", "stress (9)"].map(str::to_owned).into();
        averaged(&first, &second).rates.oom_victims
    };
    for (before, now, boot_id, expected) in [
        (Some(3), Some(4), "first", &["stress (9)"][..]),
        (Some(2), Some(4), "first", &["mysqld (8)", "stress (9)"]),
        // The log no longer has all of them.
        (Some(3), Some(40), "first", &["java (7)", "mysqld (8)", "stress (9)"]),
        (Some(9), Some(2), "second", &["mysqld (8)", "stress (9)"]),
        (Some(4), Some(4), "first", &[]),
        (None, Some(4), "first", &[]),
        (Some(5), Some(4), "first", &[]),
    ] {
        assert_eq!(named(before, now, boot_id), expected, "{before:?} {now:?} {boot_id}");
    }
}

#[test]
fn a_percentage_of_the_window_that_is_impossible_is_left_out_with_a_warning() {
    for (busy, some, expected) in [
        (101.0, 0.0, "busy time of disk sda: 101 is not a share from 0 to 100 %"),
        (0.0, -1.0, "pressure on io: -1 is not a share from 0 to 100 %"),
    ] {
        let mut report = first();
        let counters = report.counters.as_mut().unwrap();
        counters.disks[0].window_busy_percent = Some(busy);
        counters.pressure[0].window_some_percent = Some(some);
        let reading = Reading::from_report(&report, 0);
        assert_eq!(reading.warnings, [expected]);
        let kept = (reading.rates.disks[0].busy.is_some(), reading.rates.pressure[0].some.is_some());
        assert_eq!(kept, (busy == 0.0, some == 0.0));
    }
}

#[test]
fn interfaces_beyond_those_that_are_kept_are_a_warning() {
    let mut report = first();
    let interface = |number| Interface { name: format!("veth{number}"), ..Interface::default() };
    for (count, expected) in [
        (64, &[][..]),
        (70, &["further network interfaces: 6 of 70 have no rates: 64 of a client are kept".to_owned()]),
    ] {
        report.interfaces = (0..count).map(interface).collect();
        let reading = Reading::from_report(&report, 0);
        assert_eq!((reading.rates.interfaces.len(), &*reading.warnings), (64, expected));
    }
}

/// A number of any size: around the places where counters wrap, and small ones.
fn some_count() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), 0..100_000_u64, (1_u64 << 32) - 50_000..(1 << 32) + 50_000, Just(u64::MAX), Just(0)]
}

prop_compose! {
    fn some_report()(
        ms in prop_oneof![some_count(), 0..2 * LONGEST_MS],
        uptime in proptest::option::of(some_count()),
        boot_id in "[ab]",
        cores in proptest::collection::vec((0..4_u32, proptest::array::uniform5(some_count())), 0..5),
        [received_bytes, sent_bytes, busy, waited, kills] in proptest::array::uniform5(some_count()),
        speed_mbit in any::<Option<u32>>(),
    ) -> Report {
        let cores: Vec<CoreTime> = cores.into_iter().map(|(number, times)| core(number, times)).collect();
        let mut report = report(ms, &cores);
        report.uptime = uptime.map(Duration::from_millis);
        let interface = Interface { received_bytes, sent_bytes, speed_mbit, ..report.interfaces[0].clone() };
        report.interfaces[0] = interface;
        let counters = report.counters.as_mut().unwrap();
        counters.boot_id = boot_id;
        counters.disks[0].busy_ms = Some(busy);
        counters.pressure[0].some_us = waited;
        (counters.oom_kills, counters.context_switches) = (Some(kills), Some(waited));
        report
    }
}

proptest! {
    #[test]
    fn whatever_a_client_counts_no_value_is_outside_of_its_range(before in some_report(), now in some_report()) {
        let reading = averaged(&before, &now);
        let rates = &reading.rates;
        // A percentage cannot be outside of its range, by its type.
        prop_assert!(rates.cpu_span_ms.is_some_and(|ms| (SHORTEST_MS..=LONGEST_MS).contains(&ms)));
        prop_assert!(reading.cpu.is_some());
        for interface in &rates.interfaces {
            for mbit in [interface.received_mbit, interface.sent_mbit].into_iter().flatten() {
                prop_assert!((0.0..=4e6).contains(&mbit), "{mbit}");
            }
        }
        prop_assert!(rates.context_switches.is_none_or(f64::is_finite));
        prop_assert!(rates.restarts.is_some_and(|restarts| restarts <= 1));
        // It survives its JSON.
        let counters = Counters::from_report(&now).unwrap();
        let json = serde_json::to_string(&counters).unwrap();
        prop_assert_eq!(serde_json::from_str::<Counters>(&json).unwrap(), counters);
    }
}

#[test]
fn a_reading_from_before_there_were_counters_has_no_rates() {
    let mut json = serde_json::to_value(averaged(&first(), &second())).unwrap();
    json.as_object_mut().unwrap().remove("rates");
    assert_eq!(serde_json::from_value::<Reading>(json).unwrap().rates, crate::fleet::rates::Rates::default());
    let empty = Counters { boot_id: "b".into(), ..Counters::default() };
    assert_eq!(empty.interfaces, BTreeMap::new());
}
