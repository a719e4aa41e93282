//! Parses the counters of the kernel: time of cores, interfaces, disks, pressure, page faults. Pure. The files are read in
//! [`super::machine`].

use std::collections::HashMap;

use fleetsweep_agent::report::{CoreTime, Disk, Interface, Pressure, Resource};

use super::kernel::{Unknown, hundredths};

/// The kernel counts CPU time in hundredths of a second, whatever its tick is.
const MS_PER_TICK: u64 = 10;
/// The unit of sizes in `/proc/diskstats`, whatever the disk's own sectors are.
const SECTOR_BYTES: u64 = 512;
/// At this number, the counter of a disk's busy time begins again.
const BUSY_MS_WRAP: u64 = 1 << 32;
/// Devices that are no disks: in memory, files in other file systems, removable media.
const NO_DISKS: [&str; 5] = ["fd", "loop", "ram", "sr", "zram"];

/// The time of each core that is online, from `/proc/stat`.
pub(crate) fn cores(stat: &str) -> Result<Vec<CoreTime>, Unknown> {
    let core = |line: &str| {
        let (core, times) = line.strip_prefix("cpu")?.split_once(' ')?;
        // The line without a number is the sum.
        let core = core.parse().ok()?;
        let mut times =
            times.split_ascii_whitespace().map(|ticks| Some(ticks.parse::<u64>().ok()?.saturating_mul(MS_PER_TICK)));
        // Later kinds, which old kernels lack, are optional. The last two are of guests, which others contain.
        let mut next = || times.next().flatten();
        Some(CoreTime {
            core,
            user_ms: next()?,
            nice_ms: Some(next()?),
            system_ms: next()?,
            idle_ms: next()?,
            io_wait_ms: next(),
            interrupt_ms: next(),
            soft_interrupt_ms: next(),
            steal_ms: next(),
        })
    };
    let cores: Vec<CoreTime> = stat.lines().take_while(|line| line.starts_with("cpu")).filter_map(core).collect();
    if cores.is_empty() { Err(Unknown("the time of any core")) } else { Ok(cores) }
}

/// The number after a name in a file with one name per line: `/proc/stat`, `/proc/vmstat`.
pub(crate) fn number(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// From `/proc/net/dev`: two lines of headings, then `NAME: received bytes and seven more, sent bytes and more`.
pub(crate) fn interfaces(devices: &str) -> Result<Vec<Interface>, Unknown> {
    let interface = |line: &str| {
        // A name may contain a colon (old aliases); the numbers do not.
        let (name, numbers) = line.rsplit_once(':')?;
        let [received_bytes, received_packets, received_errors, .., sent_bytes, sent_packets, sent_errors] =
            first_numbers::<11>(numbers)?;
        let name = name.trim().to_owned();
        Some(Interface {
            is_loopback: name == "lo",
            name,
            received_bytes,
            sent_bytes,
            received_packets: Some(received_packets),
            sent_packets: Some(sent_packets),
            received_errors: Some(received_errors),
            sent_errors: Some(sent_errors),
            ..Interface::default()
        })
    };
    devices.lines().skip(2).map(interface).collect::<Option<_>>().ok_or(Unknown("the network counters"))
}

/// Adds the rates during the window, from the counters at its beginning. A counter that was reset has none.
pub(crate) fn add_rates(interfaces: &mut [Interface], before: &[Interface], window_ms: u64) {
    if window_ms == 0 {
        return;
    }
    let before: HashMap<&str, &Interface> = before.iter().map(|interface| (&*interface.name, interface)).collect();
    let rate = |now: u64, before: u64| Some(now.checked_sub(before)?.saturating_mul(1000) / window_ms);
    for interface in interfaces {
        if let Some(before) = before.get(&*interface.name) {
            interface.window_received_bytes_per_second = rate(interface.received_bytes, before.received_bytes);
            interface.window_sent_bytes_per_second = rate(interface.sent_bytes, before.sent_bytes);
        }
    }
}

/// A device of `/proc/diskstats`: a disk, or a part of one.
pub(crate) struct Device<'a> {
    /// Its name in the kernel.
    pub(crate) name: &'a str,
    pub(crate) disk: Disk,
}

/// From `/proc/diskstats`, without devices that are no disks and those that were never used.
pub(crate) fn devices(diskstats: &str) -> Vec<Device<'_>> {
    let device = |line| {
        let mut words = str::split_ascii_whitespace(line).skip(2);
        let name = words.next()?;
        let is_no_disk =
            |kind: &&str| name.strip_prefix(kind).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if NO_DISKS.iter().any(is_no_disk) {
            return None;
        }
        let mut numbers = [0_u64; 10];
        for number in &mut numbers {
            *number = words.next()?.parse().ok()?;
        }
        let [reads, _, read_sectors, _, writes, _, written_sectors, _, _, busy_ms] = numbers;
        (reads > 0 || writes > 0).then(|| Device {
            name,
            disk: Disk {
                name: name.to_owned(),
                read_bytes: read_sectors.saturating_mul(SECTOR_BYTES),
                written_bytes: written_sectors.saturating_mul(SECTOR_BYTES),
                reads,
                writes,
                busy_ms: Some(busy_ms),
                window_busy_percent: None,
            },
        })
    };
    diskstats.lines().filter_map(device).collect()
}

/// Adds the busy time during the window, from the counters at its beginning.
pub(crate) fn add_busy(devices: &mut [Device<'_>], before: &[Device<'_>], window_ms: u64) {
    let before: HashMap<&str, Option<u64>> = before.iter().map(|device| (device.name, device.disk.busy_ms)).collect();
    for device in devices {
        let Some((now, Some(before))) = device.disk.busy_ms.zip(before.get(device.name).copied()) else { continue };
        let busy_ms = now.checked_sub(before).or_else(|| now.checked_add(BUSY_MS_WRAP)?.checked_sub(before));
        // A counter that was reset is no time within the window. The kernel rounds up to its ticks.
        device.disk.window_busy_percent = busy_ms
            .filter(|busy_ms| window_ms > 0 && *busy_ms <= window_ms + window_ms / 8)
            .map(|busy_ms| (100.0 * busy_ms as f64 / window_ms as f64).min(100.0));
    }
}

/// From `/proc/pressure/RESOURCE`: lines like `some avg10=0.41 avg60=3.46 avg300=22.21 total=229265991`.
pub(crate) fn pressure(resource: Resource, text: &str) -> Result<Pressure, Unknown> {
    let line = |name| text.lines().find_map(|line| str::strip_prefix(line, name)?.strip_prefix(' '));
    let value =
        |line: &str, name| line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='))?.parse().ok();
    let some = line("some").ok_or(Unknown("the pressure"))?;
    let average = some.split(' ').find_map(|word| word.strip_prefix("avg10="));
    Ok(Pressure {
        resource,
        some_us: value(some, "total").ok_or(Unknown("the pressure"))?,
        full_us: line("full").and_then(|full| value(full, "total")),
        window_some_percent: average
            .and_then(|average| hundredths(average, 0))
            .map(|hundredths| (hundredths as f64 / 100.0).min(100.0)),
    })
}

/// The first numbers of a line.
fn first_numbers<const N: usize>(line: &str) -> Option<[u64; N]> {
    let mut numbers = [0; N];
    let mut words = line.split_ascii_whitespace();
    for number in &mut numbers {
        *number = words.next()?.parse().ok()?;
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cores_are_counted_in_milliseconds_with_guests_in_the_time_of_programs() {
        let stat = "cpu  30 0 60 90 12 0 3 15 9 0\ncpu0 10 1 20 30 4 5 6 7 8 9\ncpu2 20 0 40 60\n\
                    intr 99 1\nctxt 743221\nbtime 1767139199\ncpu1 1 1 1 1\n";
        let full = CoreTime {
            core: 0,
            user_ms: 100,
            nice_ms: Some(10),
            system_ms: 200,
            idle_ms: 300,
            io_wait_ms: Some(40),
            interrupt_ms: Some(50),
            soft_interrupt_ms: Some(60),
            steal_ms: Some(70),
        };
        let old =
            CoreTime { core: 2, user_ms: 200, nice_ms: Some(0), system_ms: 400, idle_ms: 600, ..CoreTime::default() };
        assert_eq!(cores(stat), Ok(vec![full, old]));
        assert_eq!(number(stat, "ctxt"), Some(743_221));
        assert_eq!(number(stat, "ct"), None);
        for stat in ["", "cpu  1 2 3 4\n", "cpu0 1 2 3\n", "cpu0 1 2 3 -4\n"] {
            assert_eq!(cores(stat), Err(Unknown("the time of any core")), "{stat}");
        }
        let most = format!("cpu0 {0} 0 0 {0}\n", u64::MAX);
        assert_eq!(cores(&most).unwrap()[0].user_ms, u64::MAX);
    }

    #[test]
    fn interfaces_come_with_what_they_received_and_sent() {
        let devices = "Inter-|   Receive                                                |  Transmit\n \
             face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    \
             lo:  9616     120    0    0    0     0          0         0     9616     121    0    0    0     0       0          0\n  \
             eth0:1       2    3    4    5     6          7         8     18446744073709551615     10    11    0    0     0       0          0\n\
             eth0:1: 5 0 0 0 0 0 0 0 6 0 0 0 0 0 0 0\n";
        let interfaces = interfaces(devices).unwrap();
        let expected = [("lo", 9616, 9616, true), ("eth0", 1, u64::MAX, false), ("eth0:1", 5, 6, false)];
        let bytes = interfaces.iter().map(|i| (&*i.name, i.received_bytes, i.sent_bytes, i.is_loopback));
        assert!(bytes.eq(expected), "{interfaces:?}");
        let packets = [(Some(120), Some(121)), (Some(2), Some(10)), (Some(0), Some(0))];
        assert!(interfaces.iter().map(|i| (i.received_packets, i.sent_packets)).eq(packets), "{interfaces:?}");
        assert_eq!((interfaces[1].received_errors, interfaces[1].sent_errors), (Some(3), Some(11)));
        assert_eq!(super::interfaces("a\nb\neth0: one\n"), Err(Unknown("the network counters")));
        assert_eq!(super::interfaces("a\nb\n"), Ok(vec![]));
    }

    #[test]
    fn rates_are_of_the_window_and_absent_after_a_reset() {
        let interface = |name: &str, received_bytes, sent_bytes| Interface {
            name: name.to_owned(),
            received_bytes,
            sent_bytes,
            ..Interface::default()
        };
        let before = [interface("eth0", 1000, 500), interface("gone", 1, 1)];
        let mut now = vec![interface("eth0", 1250, 400), interface("new", 7, 7)];
        add_rates(&mut now, &before, 0);
        assert_eq!(now[0].window_received_bytes_per_second, None);
        add_rates(&mut now, &before, 250);
        let rates = |i: &Interface| (i.window_received_bytes_per_second, i.window_sent_bytes_per_second);
        assert_eq!(now.iter().map(rates).collect::<Vec<_>>(), [(Some(1000), None), (None, None)]);
    }

    #[test]
    fn disks_are_devices_that_were_used_and_are_busy_within_the_window() {
        let before = devices(
            "   7       0 loop0 9 0 8 0 0 0 0 0 0 9 0 0 0 0 0 0 0\n 254       0 vda 57566 7850 4074394 38686 37376 49576 10852248 123265 0 4294967290 170171\n\
             254 1 vda1 1 0 8 0 0 0 0 0 0 5 0\n   8 0 sdb 0 0 0 0 0 0 0 0 0 0 0\n 8 16 short 1 2\n\n 259 0 nvme0n1 1 0 1 0 1 0 1 0 0 1000 0\n",
        );
        let first = Disk {
            name: "vda".into(),
            read_bytes: 4_074_394 * 512,
            written_bytes: 10_852_248 * 512,
            reads: 57_566,
            writes: 37_376,
            busy_ms: Some(4_294_967_290),
            window_busy_percent: None,
        };
        assert_eq!(before[0].disk, first);
        assert_eq!(before.iter().map(|device| device.name).collect::<Vec<_>>(), ["vda", "vda1", "nvme0n1"]);
        // The first one wrapped, the second one was reset, the third is new.
        let mut now = devices(
            "254 0 vda 1 0 1 0 0 0 0 0 0 119 0\n 254 1 vda1 1 0 8 0 0 0 0 0 0 255 0\n\
             259 0 nvme0n1 1 0 1 0 1 0 1 0 0 10 0\n 8 0 sda 1 0 1 0 0 0 0 0 0 77 0\n",
        );
        add_busy(&mut now, &before, 250);
        let busy: Vec<_> = now.iter().map(|device| device.disk.window_busy_percent).collect();
        assert_eq!(busy, [Some(50.0), Some(100.0), None, None]);
    }

    #[test]
    fn pressure_is_the_total_and_the_kernels_own_average() {
        let text = "some avg10=1.25 avg60=3.46 avg300=22.21 total=229265991\n\
                    full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        let expected = Pressure {
            resource: Resource::Io,
            some_us: 229_265_991,
            full_us: Some(7),
            window_some_percent: Some(1.25),
        };
        assert_eq!(pressure(Resource::Io, text), Ok(expected));
        // Before Linux 5.13, there is no second line for cores.
        assert_eq!(pressure(Resource::Cpu, "some total=1").unwrap().full_us, None);
        for text in ["", "some avg10=0.00\n", "full total=1", "some total=-1"] {
            assert_eq!(pressure(Resource::Cpu, text), Err(Unknown("the pressure")), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_a_fault(text in "(cpu[0-9]? |some |total=|eth0: |8 0 sda |[0-9]{1,21} ?|avg10=|[.\n ]|\\PC){0,80}") {
            let _ = cores(&text);
            let _ = interfaces(&text);
            let _ = pressure(Resource::Io, &text);
            let mut now = devices(&text);
            add_busy(&mut now, &devices(&text), 250);
        }
    }
}
