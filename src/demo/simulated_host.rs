//! A simulated host of a demo client, with its own workload, size and readings. Without it, all clients of a demo would
//! report the same machine. Pure: a simulated host and a time give a report.
//!
//! The report contains nothing about the machine that the demo runs on. [`super::simulated_agent`] sends it.

use std::time::Duration;

use fleetsweep_agent::report::{
    Counters, Cpu, Disk, FileSystem, Host, Interface, Load, Memory, Pressure, Process, Report, Resource, Swap, Warning,
};

use super::pseudorandom::{between, drift, number, pick, seed_of, share, wave};

mod security_log;
mod workload;

use workload::{DEBIAN, SYSTEMS, System, Workload};

const GIB: u64 = 1 << 30;
const DAY_SECONDS: f64 = 86_400.0;

/// The sampling window in a report. It is the one that the agent is asked for.
const WINDOW: Duration = Duration::from_millis(250);

/// How long the simulated agent claims to work.
const AGENT_TAKES: Duration = Duration::from_millis(259);

/// The highest CPU usage without a [`Surge`]. It is below the limits of the demo.
const CALM_CPU_PERCENT: f64 = 74.0;

/// The CPU usage in a [`Surge`].
const SURGE_CPU_PERCENT: f64 = 97.5;

/// The time in which a [`Surge`] rises, and in which it falls.
const SURGE_RISES_SECONDS: f64 = 3.0;

/// How much a file system fills before files are deleted, percent of its size.
const FILLS_PERCENT: f64 = 14.0;

/// Distinct salts, so that no two properties of a host use the same random number.
mod salt {
    pub(super) const CORES: u64 = 1;
    pub(super) const MEMORY: u64 = 2;
    pub(super) const SWAP: u64 = 3;
    pub(super) const BOOT: u64 = 4;
    pub(super) const CPU: u64 = 5;
    pub(super) const CORE: u64 = 100;
    pub(super) const PROCESS: u64 = 6000;
    pub(super) const FILES: u64 = 7000;
    pub(super) const NETWORK: u64 = 8000;
    pub(super) const DISKS: u64 = 8500;
    pub(super) const WARNING: u64 = 9000;
    pub(super) const DELAYS: u64 = 9100;
    /// The number of an interval is added to it.
    pub(super) const SECURITY: u64 = 1 << 40;
}

/// A simulated machine.
#[derive(Debug, Clone)]
pub struct SimulatedHost {
    seed: u64,
    host_name: String,
    workload: &'static Workload,
    system: System,
    cores: u16,
    memory_bytes: u64,
    swap_bytes: u64,
    /// The uptime at the start of the demo, seconds.
    up_seconds: f64,
}

/// How a file system of a simulated host fills.
#[derive(Debug, Clone, Copy)]
struct DiskPlan {
    mount: &'static str,
    /// Its size.
    gib: u64,
    /// What is used at least, or at the start of the demo if it fills without end.
    begins_percent: f64,
    /// What is filled of [`FILLS_PERCENT`] at the start of the demo.
    filled_percent: f64,
    /// How fast it fills until files are deleted; 0 if it does not.
    percent_per_minute: f64,
    /// How fast it fills without end; 0 if it does not.
    percent_per_day: f64,
}

impl DiskPlan {
    /// What is used after it was filled by so much, and so many days after the start of the demo.
    fn percent(self, filled_percent: f64, days: f64) -> f64 {
        let until_deleted = (self.filled_percent + filled_percent).rem_euclid(FILLS_PERCENT);
        self.begins_percent + until_deleted + self.percent_per_day * days
    }
}

/// A period of high CPU usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Surge {
    /// When it begins, since the start of the demo.
    pub begins: Duration,
    /// When it ends, since the start of the demo.
    pub ends: Duration,
}

/// Additional delays of a client in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delays {
    /// Before the SSH identification.
    pub greeting: Duration,
    /// Before the answer to a credential.
    pub login: Duration,
    /// Before a command starts.
    pub command: Duration,
    /// Before the last block of a command's output.
    pub answer: Duration,
}

impl Delays {
    /// The sum of all delays.
    #[must_use]
    pub fn total(self) -> Duration {
        self.greeting + self.login + self.command + self.answer
    }
}

impl Surge {
    /// From 0 (no effect) to 1 (full effect).
    fn height(self, since: Duration) -> f64 {
        let risen = since.saturating_sub(self.begins).as_secs_f64() / SURGE_RISES_SECONDS;
        let left = self.ends.saturating_sub(since).as_secs_f64() / SURGE_RISES_SECONDS;
        risen.min(left).clamp(0.0, 1.0)
    }
}

impl SimulatedHost {
    /// The host of the `number`th client, from 0. The workload depends on the name and the operating system on the
    /// number.
    #[must_use]
    pub fn new(name: &str, number: usize) -> Self {
        let (seed, workload) = (seed_of(name), workload::of(name));
        let memory_bytes = pick(seed, salt::MEMORY, workload.memory_gib, 8) * GIB;
        Self {
            seed,
            host_name: format!("{name}.demo.example"),
            workload,
            // Names repeat after four clients, so the same name must not always have the same operating system.
            system: SYSTEMS.into_iter().cycle().nth((number + number / 4) % SYSTEMS.len()).unwrap_or(DEBIAN),
            cores: pick(seed, salt::CORES, workload.cores, 4),
            memory_bytes,
            swap_bytes: if share(seed, salt::SWAP) < 0.25 { 0 } else { (memory_bytes / 4).min(8 * GIB) },
            up_seconds: between(seed, salt::BOOT, (0.1, 11.0)).powi(2) * DAY_SECONDS,
        }
    }

    /// Its host name.
    #[must_use]
    pub fn host_name(&self) -> &str {
        &self.host_name
    }

    /// The report at a time since the start of the demo, with this time of the host's clock.
    #[must_use]
    pub fn report(&self, since: Duration, clock_unix_ms: i64, surge: Option<Surge>) -> Report {
        let up = Duration::from_secs_f64(self.up_seconds) + since;
        let up_ms = i64::try_from(up.as_millis()).unwrap_or(i64::MAX);
        let cpu = self.cpu(since, surge);
        let memory = self.memory(since);
        let mut processes = self.processes(since, cpu.total_percent, memory.used_bytes);
        processes.sort_by(|a, b| b.cpu_percent.total_cmp(&a.cpu_percent));
        let top_cpu = processes.clone();
        processes.sort_by_key(|process| std::cmp::Reverse(process.memory_bytes));
        Report {
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            agent_duration: AGENT_TAKES,
            // The agent reads the clock when it begins.
            clock_unix_ms: Some(clock_unix_ms.saturating_sub(i64::try_from(AGENT_TAKES.as_millis()).unwrap_or(0))),
            warnings: self.warning(since).into_iter().collect(),
            host: Host {
                name: Some(self.host_name.clone()),
                os_family: Some("linux".to_owned()),
                os_version: Some(self.system.version.to_owned()),
                kernel: Some(self.system.kernel.to_owned()),
                architecture: Some("x86_64".to_owned()),
            },
            temperature_millicelsius: Some(temperature(cpu.total_percent)),
            load: Some(self.load(since, surge)),
            cpu: Some(cpu),
            memory: Some(memory),
            swap: self.swap(since),
            uptime: Some(up),
            boot_unix_ms: Some(clock_unix_ms.saturating_sub(up_ms)),
            file_systems: self.file_systems(since),
            interfaces: self.interfaces(up.as_secs_f64()),
            counters: Some(self.counters(up)),
            top_cpu,
            top_memory: processes,
            ..Report::default()
        }
    }

    /// The delays at a time since the start of the demo: 20 ms to 1.2 s in total.
    #[must_use]
    pub fn delays(&self, since: Duration) -> Delays {
        // Most hosts are fast, a few are slow.
        let whole = 0.02 + 1.18 * share(self.seed, salt::DELAYS).powf(1.3);
        // The delays differ a little from session to session.
        let whole = whole * (0.85 + 0.15 * drift(self.seed, salt::DELAYS, since.as_secs_f64(), 5.0));
        let whole = whole.max(0.02);
        // Less before the login than afterwards, because sessions are kept and the greeting has the shortest deadline.
        let weights = [(1, 0.5), (2, 0.5), (3, 1.0), (4, 1.0)]
            .map(|(part, weight)| weight * between(self.seed, salt::DELAYS + part, (0.4, 1.6)));
        let all: f64 = weights.iter().sum();
        let [greeting, login, command, answer] = weights.map(|weight| Duration::from_secs_f64(whole * weight / all));
        Delays { greeting, login, command, answer }
    }

    /// A wave with a period of a few minutes around the host's mean, with noise.
    fn cpu_percent(&self, seconds: f64, surge: f64) -> f64 {
        let middle = between(self.seed, salt::CPU, self.workload.cpu);
        let period = between(self.seed, salt::CPU + 1, (150.0, 420.0));
        let calm = middle
            + middle * 0.45 * wave(self.seed, salt::CPU + 2, seconds, period)
            + 4.0 * drift(self.seed, salt::CPU + 3, seconds, 6.0);
        let calm = calm.clamp(0.5, CALM_CPU_PERCENT);
        calm + (SURGE_CPU_PERCENT - calm) * surge
    }

    fn cpu(&self, since: Duration, surge: Option<Surge>) -> Cpu {
        let seconds = since.as_secs_f64();
        let height = surge.map_or(0.0, |surge| surge.height(since));
        let around = self.cpu_percent(seconds, height);
        // The higher the usage, the less the cores differ.
        let spread = (0.5 * around).min(100.0 - around);
        let core_percent: Vec<f64> = (0..u64::from(self.cores))
            .map(|core| around + spread * drift(self.seed, salt::CORE + core, seconds, 4.0))
            .map(|percent| percent.clamp(0.0, 100.0))
            .collect();
        let total_percent = core_percent.iter().sum::<f64>() / f64::from(self.cores.max(1));
        Cpu { total_percent: total_percent.clamp(0.0, 100.0), core_percent, window: WINDOW }
    }

    /// The load averages. They begin with the demo.
    fn load(&self, since: Duration, surge: Option<Surge>) -> Load {
        let over = |minutes: u32| {
            let past = since.saturating_sub(Duration::from_secs(30) * minutes);
            let height = surge.map_or(0.0, |surge| surge.height(past));
            let busy = self.cpu_percent(past.as_secs_f64(), height) / 100.0 * f64::from(self.cores);
            busy * (1.1 + 0.15 * drift(self.seed, salt::CPU + 10, past.as_secs_f64(), 20.0))
        };
        Load { one: over(1), five: over(5), fifteen: over(15) }
    }

    fn memory(&self, since: Duration) -> Memory {
        let middle = between(self.seed, salt::MEMORY + 10, self.workload.memory);
        let period = between(self.seed, salt::MEMORY + 20, (240.0, 600.0));
        let seconds = since.as_secs_f64();
        let percent = middle
            + 7.0 * wave(self.seed, salt::MEMORY + 30, seconds, period)
            + 1.2 * drift(self.seed, salt::MEMORY + 40, seconds, 8.0);
        let used_bytes = part(self.memory_bytes, percent.clamp(2.0, 95.0));
        Memory {
            total_bytes: self.memory_bytes,
            used_bytes,
            available_bytes: self.memory_bytes.saturating_sub(used_bytes),
        }
    }

    fn swap(&self, since: Duration) -> Option<Swap> {
        let most = 24.0 * share(self.seed, salt::SWAP + 10);
        let percent = most * (0.6 + 0.4 * drift(self.seed, salt::SWAP + 20, since.as_secs_f64(), 45.0));
        let total_bytes = self.swap_bytes;
        (total_bytes > 0).then(|| Swap { total_bytes, used_bytes: part(total_bytes, percent) })
    }

    /// Most fill until files are deleted, some without end.
    fn file_systems(&self, since: Duration) -> Vec<FileSystem> {
        let minutes = since.as_secs_f64() / 60.0;
        self.disks()
            .map(|disk| {
                let total_bytes = disk.gib * GIB;
                let used_bytes = part(total_bytes, disk.percent(disk.percent_per_minute * minutes, minutes / 1440.0));
                // ext4 reserves blocks for root, the others do not.
                let kept = if self.system.file_system == "ext4" { total_bytes / 20 } else { 0 };
                let available_bytes = total_bytes.saturating_sub(used_bytes).saturating_sub(kept);
                let (mount, kind) = (disk.mount.to_owned(), self.system.file_system.to_owned());
                FileSystem { mount, kind, total_bytes, used_bytes, available_bytes, inodes: None }
            })
            .collect()
    }

    /// The used space of each file system so many days before the demo, by mount. Deletions were some days apart.
    #[must_use]
    pub fn used_before(&self, days: f64) -> Vec<(&'static str, u64)> {
        let used = |disk: DiskPlan| {
            let fills = if disk.percent_per_minute > 0.0 { FILLS_PERCENT * 0.37 } else { 0.0 };
            (disk.mount, part(disk.gib * GIB, disk.percent(-fills * days, -days)))
        };
        self.disks().map(used).collect()
    }

    fn disks(&self) -> impl Iterator<Item = DiskPlan> {
        let own = [("/", 40), ("/boot", 1)].into_iter().chain(self.workload.mounts.iter().copied());
        own.zip(salt::FILES..).map(|((mount, gib), salt)| {
            let (begins, per_minute) =
                (between(self.seed, salt, (14.0, 66.0)), between(self.seed, salt + 100, (0.1, 0.9)));
            let filled_percent = FILLS_PERCENT * share(self.seed, salt + 200);
            let grows = mount != "/" && mount != "/boot" && share(self.seed, salt + 300) < 0.4;
            match (mount, grows) {
                (_, true) => DiskPlan {
                    mount,
                    gib,
                    begins_percent: between(self.seed, salt, (62.0, 84.0)),
                    filled_percent: 0.0,
                    percent_per_minute: 0.0,
                    percent_per_day: between(self.seed, salt + 400, (0.5, 2.0)),
                },
                (_, false) => DiskPlan {
                    mount,
                    gib,
                    begins_percent: begins,
                    filled_percent,
                    percent_per_minute: if mount == "/boot" { 0.0 } else { per_minute },
                    percent_per_day: 0.0,
                },
            }
        })
    }

    /// A counter since the start. It never decreases, because the slope of the wave is smaller than the mean rate.
    fn counted(&self, salt: u64, per_second: f64, up_seconds: f64) -> u64 {
        let period = 240.0;
        let mean = per_second * between(self.seed, salt, (0.4, 1.6));
        let swing = period / 10.0 * wave(self.seed, salt + 1, up_seconds, period);
        whole(mean * (up_seconds + swing).max(0.0))
    }

    /// Without the time of cores: the CPU use of a demo is that of the moment.
    fn counters(&self, up: Duration) -> Counters {
        let counted = |salt: u64, per_second| self.counted(salt::DISKS + salt, per_second, up.as_secs_f64());
        let (reads, writes) = (counted(10, 40.0), counted(20, 90.0));
        Counters {
            boot_id: format!("{:016x}", number(self.seed, salt::BOOT)),
            monotonic_ms: u64::try_from(up.as_millis()).unwrap_or(u64::MAX),
            context_switches: Some(counted(30, 3000.0)),
            page_faults: Some(counted(40, 900.0)),
            major_page_faults: Some(counted(50, 2.0)),
            oom_kills: Some(0),
            disks: vec![Disk {
                name: "sda".to_owned(),
                read_bytes: reads * 32_768,
                written_bytes: writes * 16_384,
                reads,
                writes,
                // The mean is at most 19 %.
                busy_ms: Some(counted(60, 120.0)),
                window_busy_percent: Some(12.0),
            }],
            pressure: Resource::ALL
                .into_iter()
                .zip([(70, 30_000.0), (80, 1000.0), (90, 9000.0)])
                .map(|(resource, (salt, us_per_second))| Pressure {
                    resource,
                    some_us: counted(salt, us_per_second),
                    full_us: None,
                    window_some_percent: Some(us_per_second / 10_000.0),
                })
                .collect(),
            ..Counters::default()
        }
    }

    fn interfaces(&self, up_seconds: f64) -> Vec<Interface> {
        let counted = |salt: u64, per_second| self.counted(salt, per_second, up_seconds);
        let (received, sent) = self.workload.network;
        let internal = counted(salt::NETWORK, 2.0e4);
        vec![
            Interface {
                name: self.system.interface.to_owned(),
                received_bytes: counted(salt::NETWORK + 10, received),
                sent_bytes: counted(salt::NETWORK + 20, sent),
                speed_mbit: Some(10_000),
                ..Interface::default()
            },
            Interface {
                name: "lo".to_owned(),
                received_bytes: internal,
                sent_bytes: internal,
                is_loopback: true,
                ..Interface::default()
            },
        ]
    }

    fn processes(&self, since: Duration, cpu_percent: f64, used_bytes: u64) -> Vec<Process> {
        let all_cores = cpu_percent * f64::from(self.cores);
        let mut pid = 300;
        self.workload
            .processes
            .iter()
            .zip(salt::PROCESS..)
            .map(|(program, salt)| {
                pid += 1 + u32::try_from(number(self.seed, salt) % 900).unwrap_or(0);
                let swing = 0.9 + 0.1 * drift(self.seed, salt + 100, since.as_secs_f64(), 7.0);
                Process {
                    pid,
                    name: program.name.to_owned(),
                    cpu_percent: all_cores * program.cpu * swing,
                    memory_bytes: part(used_bytes, 100.0 * program.memory),
                }
            })
            .collect()
    }

    /// Occasionally, the agent warns about a file system.
    fn warning(&self, since: Duration) -> Option<Warning> {
        let half_minute = since.as_secs() / 30;
        number(self.seed, salt::WARNING + half_minute).is_multiple_of(12).then(|| Warning {
            what: "file system /mnt/backup".to_owned(),
            why: "Stale file handle (os error 116)".to_owned(),
        })
    }
}

/// The temperature of a processor with this use, thousandths of a degree Celsius.
#[expect(clippy::cast_possible_truncation, reason = "far below the greatest number")]
fn temperature(cpu_percent: f64) -> i32 {
    (41_000.0 + 300.0 * cpu_percent).round() as i32
}

/// A percentage of a number of bytes, at most all of them.
fn part(of: u64, percent: f64) -> u64 {
    // Calculated in hundredths of a percent, so that no size is converted to a float.
    let hundredths = whole(percent.clamp(0.0, 100.0) * 100.0);
    of / 10_000 * hundredths + of % 10_000 * hundredths / 10_000
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the fraction is dropped intentionally, and `as` saturates"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests;
