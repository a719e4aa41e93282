//! A reading: a report after validation. The rest of the program only uses readings.
//!
//! A client is not trusted until its report has passed [`Reading::from_report`]: impossible numbers are rejected, and
//! text is cut to length and stripped of control characters.

use std::time::Duration;

use fleetsweep_agent::report::{self, MAX_WARNINGS, Report};
use serde::{Deserialize, Serialize};

use super::{Bytes, Percent, rates::Rates, states::States};

pub use super::clean_text::clean;
use super::clean_text::text;
pub use super::invalid_reading::InvalidReading;
use super::invalid_reading::LeftOut;

mod file_system;

pub use file_system::{FileSystem, Inodes};

/// The state of a client at one collection. A value that was not measured is `None`, never 0. The default is that
/// nothing was measured.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Reading {
    /// The host name as the client reports it.
    pub host_name: Option<String>,
    /// `linux` or `windows`.
    pub os_family: Option<String>,
    /// Operating system and version.
    pub os_version: Option<String>,
    /// Kernel release.
    pub kernel: Option<String>,
    /// The architecture of the kernel, e.g. `x86_64`.
    pub architecture: Option<String>,
    /// CPU use of all cores together, averaged over `rates.cpu_span_ms`.
    pub cpu: Option<Percent>,
    /// CPU use of each core, averaged over the same time.
    pub cores: Vec<Percent>,
    /// Memory; `None` if it was not measured.
    pub memory: Option<Usage>,
    /// Swap; `None` if there is none.
    pub swap: Option<Usage>,
    /// Seconds since boot.
    pub uptime_seconds: Option<u64>,
    /// Load averages over 1, 5 and 15 minutes.
    pub load: Option<[f64; 3]>,
    /// Mounted file systems, without memory that the system mounts for itself.
    pub file_systems: Vec<FileSystem>,
    /// Mount points of file systems that did not answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silent_mounts: Vec<String>,
    /// How many file systems are not in these lists, because there are too many.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub omitted_file_systems: u32,
    /// Network interfaces.
    pub interfaces: Vec<Interface>,
    /// Processes that use most CPU, most first.
    pub top_cpu: Vec<Process>,
    /// Processes that use most memory, most first.
    pub top_memory: Vec<Process>,
    /// What is missing or cannot apply, each with its reason.
    pub warnings: Vec<String>,
    /// The agent's version.
    pub agent_version: String,
    /// The offset of the client's clock from ours, milliseconds; positive if it is ahead. See [`clock_ahead_ms`].
    pub clock_ahead_ms: Option<i64>,
    /// What its counters say about the time since the last collection.
    #[serde(default)]
    pub rates: Rates,
    /// States that are no counters.
    #[serde(default)]
    pub states: States,
}

/// Use of memory or swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The total.
    pub total: Bytes,
    /// In use; never above `total`.
    pub used: Bytes,
}

impl Usage {
    /// The used percentage; `None` if the total is 0.
    #[must_use]
    pub fn percent(self) -> Option<Percent> {
        Percent::of(self.used, self.total)
    }
}

/// A network interface, counters since boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Bytes received since boot.
    pub received: Bytes,
    /// Bytes sent since boot.
    pub sent: Bytes,
}

/// A process with high usage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its short name.
    pub name: String,
    /// Percent of one core; may exceed 100.
    pub cpu_percent: f64,
    /// Resident memory.
    pub memory: Bytes,
}

/// The most cores that a reading keeps; the wire format allows more.
const MOST_CORES: usize = 4096;

/// Above this, a load is none.
const MOST_LOAD: f64 = 1e6;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

fn optional_text(value: Option<&str>) -> Option<String> {
    value.map(text).filter(|text| !text.is_empty())
}

fn percent(part: &str, value: f64) -> Result<Percent, InvalidReading> {
    Percent::measured(value).map_err(|error| invalid(part, error))
}

fn invalid(part: &str, problem: impl ToString) -> InvalidReading {
    InvalidReading::new(part, problem)
}

fn usage(part: &str, total_bytes: u64, used_bytes: u64) -> Result<Usage, InvalidReading> {
    if used_bytes > total_bytes {
        return Err(invalid(part, format_args!("{used_bytes} bytes used of {total_bytes}")));
    }
    // The database keeps sizes as signed 64-bit numbers.
    if i64::try_from(total_bytes).is_err() {
        return Err(invalid(part, format_args!("{total_bytes} bytes are more than a machine has")));
    }
    Ok(Usage { total: Bytes(total_bytes), used: Bytes(used_bytes) })
}

/// A number from 0 to `most`, rounded to hundredths, as precise as systems tell it.
fn finite(part: &str, value: f64, most: f64) -> Result<f64, InvalidReading> {
    if (0.0..=most).contains(&value) {
        Ok((value * 100.0).round() / 100.0)
    } else {
        Err(invalid(part, format_args!("{value} is no sensible number")))
    }
}

/// The use of all cores, and of each.
fn cpu_use(cpu: &report::Cpu) -> Result<(Percent, Vec<Percent>), InvalidReading> {
    if cpu.core_percent.len() > MOST_CORES {
        return Err(invalid("cpu", format_args!("{} cores", cpu.core_percent.len())));
    }
    let cores = cpu.core_percent.iter().enumerate();
    let cores = cores.map(|(core, value)| percent(&format!("cpu core {core}"), *value)).collect::<Result<_, _>>()?;
    Ok((percent("cpu total", cpu.total_percent)?, cores))
}

/// The load averages over 1, 5 and 15 minutes.
fn load(load: &report::Load) -> Result<[f64; 3], InvalidReading> {
    Ok([
        finite("load over 1 minute", load.one, MOST_LOAD)?,
        finite("load over 5 minutes", load.five, MOST_LOAD)?,
        finite("load over 15 minutes", load.fifteen, MOST_LOAD)?,
    ])
}

impl Reading {
    /// Checks a report. `received_unix_ms` is our own clock when the answer arrived. Each part that is invalid is left out
    /// with a warning.
    #[must_use]
    pub fn from_report(report: &Report, received_unix_ms: i64) -> Self {
        let mut left_out = LeftOut::default();
        let (cpu, cores) = report.cpu.as_ref().and_then(|cpu| left_out.keep(cpu_use(cpu))).unzip();
        let load = report.load.as_ref().and_then(|reported| left_out.keep(load(reported)));
        let mut used = |part, total_bytes, used_bytes| left_out.keep(usage(part, total_bytes, used_bytes));
        let memory = report.memory.as_ref().and_then(|memory| used("memory", memory.total_bytes, memory.used_bytes));
        let swap = report.swap.as_ref().and_then(|swap| used("swap", swap.total_bytes, swap.used_bytes));
        let (file_systems, silent_mounts) = file_systems(report, &mut left_out);
        let mut processes = |list: &[report::Process]| -> Vec<Process> {
            list.iter().filter_map(|listed| left_out.keep(process(listed))).collect()
        };
        let (top_cpu, top_memory) = (processes(&report.top_cpu), processes(&report.top_memory));
        let rates = Rates::of_window(report, &mut left_out);
        let states = States::from_report(report, &mut left_out);
        let mut reading = Self {
            host_name: optional_text(report.host.name.as_deref()),
            os_family: optional_text(report.host.os_family.as_deref()),
            os_version: optional_text(report.host.os_version.as_deref()),
            kernel: optional_text(report.host.kernel.as_deref()),
            architecture: optional_text(report.host.architecture.as_deref()),
            cpu,
            cores: cores.unwrap_or_default(),
            memory,
            swap,
            uptime_seconds: report.uptime.map(|uptime| uptime.as_secs()),
            load,
            file_systems,
            silent_mounts,
            omitted_file_systems: report.omitted_file_systems,
            interfaces: report
                .interfaces
                .iter()
                .map(|interface| Interface {
                    name: text(&interface.name),
                    received: Bytes(interface.received_bytes),
                    sent: Bytes(interface.sent_bytes),
                })
                .collect(),
            top_cpu,
            top_memory,
            warnings: report
                .warnings
                .iter()
                .map(|warning| format!("{}: {}", text(&warning.what), text(&warning.why)))
                .collect(),
            agent_version: text(&report.agent_version),
            clock_ahead_ms: clock_ahead_ms(report, received_unix_ms, Duration::ZERO),
            rates,
            states,
        };
        reading.add_warnings(left_out.into_warnings());
        reading
    }

    /// Adds the warnings of another report of the same collection, without duplicates and at most as many as one report
    /// may have.
    pub fn add_warnings(&mut self, warnings: Vec<String>) {
        for warning in warnings {
            if self.warnings.len() < MAX_WARNINGS && !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }

    /// The fullest file system.
    #[must_use]
    pub fn fullest(&self) -> Option<(&FileSystem, Percent)> {
        self.file_systems
            .iter()
            .filter_map(|system| Some((system, system.percent()?)))
            .max_by(|(_, a), (_, b)| a.get().total_cmp(&b.get()))
    }

    /// Use of the fullest file system.
    #[must_use]
    pub fn disk_percent(&self) -> Option<Percent> {
        self.fullest().map(|(_, percent)| percent)
    }

    /// One-minute load average per core.
    #[must_use]
    pub fn load_per_core(&self) -> Option<f64> {
        let [one, _, _] = self.load?;
        let cores = u32::try_from(self.cores.len()).ok().filter(|count| *count > 0)?;
        Some(one / f64::from(cores))
    }
}

/// The offset of the client's clock from ours, milliseconds; positive if it is ahead. The agent reads its clock when it
/// begins. When it ends, its answer needs half of a round trip until it arrives. So the offset is wrong by at most half of
/// the round trip, if both ways do not take the same time.
#[must_use]
pub fn clock_ahead_ms(report: &Report, received_unix_ms: i64, round_trip: Duration) -> Option<i64> {
    let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let at_the_end = report.clock_unix_ms?.saturating_add(ms(report.agent_duration));
    Some(at_the_end.saturating_sub(received_unix_ms.saturating_sub(ms(round_trip / 2))))
}

/// The disks, and the mount points of those of which nothing is known: they did not answer, or what they say cannot be.
fn file_systems(report: &Report, left_out: &mut LeftOut) -> (Vec<FileSystem>, Vec<String>) {
    let mut silent: Vec<String> = report.silent_mounts.iter().map(|mount| text(mount)).collect();
    let mut disks = Vec::with_capacity(report.file_systems.len());
    for reported in report.file_systems.iter().filter(|system| file_system::is_disk(&system.kind, &system.mount)) {
        match left_out.keep(file_system(reported)) {
            Some(disk) => disks.push(disk),
            None => silent.push(text(&reported.mount)),
        }
    }
    (disks, silent)
}

fn file_system(system: &report::FileSystem) -> Result<FileSystem, InvalidReading> {
    let Usage { total, used } = usage(&format!("file system {}", system.mount), system.total_bytes, system.used_bytes)?;
    if system.available_bytes > system.total_bytes {
        return Err(invalid(
            &format!("file system {}", system.mount),
            format_args!("{} bytes available of {}", system.available_bytes, system.total_bytes),
        ));
    }
    let inodes = match system.inodes {
        Some(report::Inodes { total, free }) if free > total => {
            let problem = format_args!("{free} inodes free of {total}");
            return Err(invalid(&format!("file system {}", system.mount), problem));
        }
        inodes => inodes.map(|report::Inodes { total, free }| Inodes { total, free }),
    };
    Ok(FileSystem {
        inodes,
        mount: text(&system.mount),
        kind: text(&system.kind),
        total,
        used,
        available: Bytes(system.available_bytes),
        trend: None,
    })
}

fn process(process: &report::Process) -> Result<Process, InvalidReading> {
    Ok(Process {
        pid: process.pid,
        name: text(&process.name),
        cpu_percent: finite(&format!("cpu of process {}", process.pid), process.cpu_percent, 100.0 * 4096.0)?,
        memory: Bytes(process.memory_bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exactly one part of a good report is left out.
    fn check(change: impl FnOnce(&mut Report), warning: &str) {
        let mut report = Report {
            cpu: Some(report::Cpu { total_percent: 1.0, core_percent: vec![1.0], window: Duration::from_millis(250) }),
            memory: Some(report::Memory { total_bytes: 10, used_bytes: 5, available_bytes: 5 }),
            swap: Some(report::Swap { total_bytes: 2, used_bytes: 1 }),
            load: Some(report::Load { one: 1.0, five: 1.0, fifteen: 1.0 }),
            ..Report::default()
        };
        let parts = |reading: &Reading| {
            let parts =
                [reading.cpu.is_some(), reading.memory.is_some(), reading.swap.is_some(), reading.load.is_some()];
            (parts.into_iter().filter(|is_there| *is_there).count(), reading.warnings.join("\n"))
        };
        assert_eq!(parts(&Reading::from_report(&report, 0)), (4, String::new()));
        change(&mut report);
        let reading = Reading::from_report(&report, 0);
        assert_eq!(parts(&reading), (3, warning.to_owned()));
        assert_eq!(reading.cores.is_empty(), reading.cpu.is_none());
    }

    /// s3fs reports a size that no machine has, and each report of its client was refused.
    #[test]
    fn a_part_that_cannot_be_costs_itself_and_not_the_report() {
        let system = |mount: &str, total_bytes, used_bytes, available_bytes, inodes: Option<(u64, u64)>| {
            let inodes = inodes.map(|(total, free)| report::Inodes { total, free });
            let (mount, kind) = (mount.to_owned(), "fuse.s3fs".to_owned());
            report::FileSystem { mount, kind, total_bytes, used_bytes, available_bytes, inodes }
        };
        let process = |pid, cpu_percent| report::Process { pid, name: "p".into(), cpu_percent, memory_bytes: 1 };
        let report = Report {
            file_systems: vec![
                system("/a", 10, 5, 5, Some((7, 7))),
                system("/huge", u64::MAX, 0, u64::MAX, None),
                system("/used", 10, 11, 0, None),
                system("/available", 10, 1, 11, None),
                system("/inodes", 10, 1, 9, Some((7, 8))),
                system("/z\u{1b}", 10, 11, 5, None),
                system("/last", 10, 5, 5, None),
            ],
            silent_mounts: vec!["/silent".into()],
            top_cpu: vec![process(1, 5.0), process(2, f64::NAN), process(3, 1.0)],
            warnings: vec![report::Warning { what: "swap".into(), why: "none".into() }],
            ..Report::default()
        };
        let reading = Reading::from_report(&report, 0);
        assert_eq!(reading.file_systems.iter().map(|system| &*system.mount).collect::<Vec<_>>(), ["/a", "/last"]);
        assert_eq!(reading.silent_mounts, ["/silent", "/huge", "/used", "/available", "/inodes", "/z"]);
        assert_eq!(reading.top_cpu.iter().map(|process| process.pid).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(
            reading.warnings,
            [
                "swap: none",
                "file system /huge: 18446744073709551615 bytes are more than a machine has",
                "file system /used: 11 bytes used of 10",
                "file system /available: 11 bytes available of 10",
                "file system /inodes: 8 inodes free of 7",
                "file system /z: 11 bytes used of 10",
                "cpu of process 2: NaN is no sensible number",
            ]
        );
        // Memory that the system mounts for itself does not count, whatever it says.
        let mut memory = system("/run", 10, 11, 0, None);
        memory.kind = "tmpfs".into();
        let reading = Reading::from_report(&Report { file_systems: vec![memory], ..Report::default() }, 0);
        assert_eq!((reading.silent_mounts.len(), reading.warnings.len()), (0, 0));
    }

    /// lxcfs reports more swap in use than there is, and each report of its containers was refused.
    #[test]
    fn a_number_that_cannot_be_costs_its_own_value() {
        check(|r| r.cpu.as_mut().unwrap().total_percent = 101.0, "cpu total: 101 is not a share from 0 to 100 %");
        check(
            |r| r.cpu.as_mut().unwrap().core_percent = vec![0.0, f64::NAN],
            "cpu core 1: NaN is not a share from 0 to 100 %",
        );
        check(|r| r.cpu.as_mut().unwrap().core_percent = vec![0.0; 5000], "cpu: 5000 cores");
        check(|r| r.memory.as_mut().unwrap().used_bytes = 11, "memory: 11 bytes used of 10");
        check(
            |r| r.memory.as_mut().unwrap().total_bytes = u64::MAX,
            "memory: 18446744073709551615 bytes are more than a machine has",
        );
        check(|r| r.swap = Some(report::Swap { total_bytes: 1, used_bytes: 2 }), "swap: 2 bytes used of 1");
        check(|r| r.load.as_mut().unwrap().one = -1.0, "load over 1 minute: -1 is no sensible number");
    }

    /// The agent took 400 ms, and each way 150 ms.
    #[test]
    fn the_offset_of_the_clock_contains_neither_the_agents_work_nor_the_way() {
        for (clock, duration_ms, round_trip_ms, expected) in [
            (Some(1_000_150), 400, 300, Some(0)),
            (Some(1_005_150), 400, 300, Some(5000)),
            (Some(995_150), 400, 300, Some(-5000)),
            (Some(1_000_550), 0, 300, Some(0)),
            (None, 400, 300, None),
        ] {
            let report = Report {
                clock_unix_ms: clock,
                agent_duration: Duration::from_millis(duration_ms),
                ..Report::default()
            };
            let round_trip = Duration::from_millis(round_trip_ms);
            assert_eq!(clock_ahead_ms(&report, 1_000_700, round_trip), expected);
        }
        let hostile = Report {
            clock_unix_ms: Some(i64::MAX),
            agent_duration: Duration::from_millis(u64::MAX),
            ..Report::default()
        };
        assert_eq!(clock_ahead_ms(&hostile, 1, Duration::ZERO), Some(i64::MAX - 1));
    }

    #[test]
    fn the_fullest_file_system_counts_as_df_does() {
        let system = |mount: &str, used, available| FileSystem {
            mount: mount.into(),
            kind: "ext4".into(),
            total: Bytes(100),
            used: Bytes(used),
            available: Bytes(available),
            inodes: None,
            trend: None,
        };
        // Five percent reserved for root: `df` says 50 of 95.
        assert_eq!(system("/", 50, 45).percent().map(|p| p.get().round()), Some(53.0));
        let reading = Reading {
            file_systems: vec![system("/", 50, 45), system("/home", 90, 10), system("/empty", 0, 0)],
            ..Reading::from_report(&Report::default(), 0)
        };
        assert_eq!(reading.fullest().map(|(s, _)| s.mount.as_str()), Some("/home"));
    }

    #[test]
    fn the_fullest_disk_is_none_of_the_memory_that_the_system_mounts() {
        let system = |mount: &str, kind: &str, used_bytes| report::FileSystem {
            mount: mount.into(),
            kind: kind.into(),
            total_bytes: 100,
            used_bytes,
            available_bytes: 100 - used_bytes,
            inodes: None,
        };
        let file_systems = vec![system("/", "ext4", 40), system("/dev/shm", "tmpfs", 99), system("/run", "tmpfs", 98)];
        let reading = Reading::from_report(&Report { file_systems, ..Report::default() }, 0);
        assert_eq!(reading.file_systems.iter().map(|system| &*system.mount).collect::<Vec<_>>(), ["/"]);
        assert_eq!(reading.disk_percent().map(Percent::get), Some(40.0));
    }
}
