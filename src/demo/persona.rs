//! Who a demo client pretends to be: a machine with a trade, a size and a life of its own, so that a fleet on one
//! machine does not report that machine's numbers again and again. Pure: a persona and a time give a report.
//!
//! It is made up, and says nothing about the machine that the demo runs on. How it reaches the collector is in
//! [`super::actor`].

use std::time::Duration;

use fleetsweep_agent::report::{Cpu, FileSystem, Host, Interface, Load, Memory, Process, Report, Swap, Warning};

use super::chance::{between, drift, number, pick, seed_of, share, wave};

mod security;
mod trade;

use trade::{DEBIAN, SYSTEMS, System, Trade};

const GIB: u64 = 1 << 30;
const DAY_SECONDS: f64 = 86_400.0;

/// The sampling window that a report gives: what the agent is asked for.
const WINDOW: Duration = Duration::from_millis(250);

/// No CPU use is higher without a [`Surge`]: below any limit, also where the first sweep of a large fleet is long.
const CALM_CPU_PERCENT: f64 = 74.0;

/// The CPU use at the height of a [`Surge`].
const SURGE_CPU_PERCENT: f64 = 97.5;

/// How long a [`Surge`] takes to its height, and back.
const SURGE_RISES_SECONDS: f64 = 3.0;

/// How far a file system fills before somebody tidies up, percent of its size.
const FILLS_PERCENT: f64 = 14.0;

/// Where a kept number of a persona comes from, so that no two things share their chance by mistake.
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
    pub(super) const WARNING: u64 = 9000;
    pub(super) const PACE: u64 = 9100;
    /// With the number of a stretch of time added.
    pub(super) const SECURITY: u64 = 1 << 40;
}

/// A made-up machine.
#[derive(Debug, Clone)]
pub struct Persona {
    seed: u64,
    host_name: String,
    trade: &'static Trade,
    system: System,
    cores: u16,
    memory_bytes: u64,
    swap_bytes: u64,
    /// How long it had been up when the demo began, seconds.
    up_seconds: f64,
}

/// A time of much work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Surge {
    /// When it begins, as time since the demo began.
    pub begins: Duration,
    /// When it is over.
    pub ends: Duration,
}

/// How long a client takes for each part of a visit, beside the work itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// Before it greets.
    pub greeting: Duration,
    /// Before it judges a credential.
    pub login: Duration,
    /// Before a command begins.
    pub command: Duration,
    /// Before a command's last block.
    pub answer: Duration,
}

impl Pace {
    /// All of it.
    #[must_use]
    pub fn total(self) -> Duration {
        self.greeting + self.login + self.command + self.answer
    }
}

impl Surge {
    /// From 0, nothing, to 1, its height.
    fn height(self, since: Duration) -> f64 {
        let risen = since.saturating_sub(self.begins).as_secs_f64() / SURGE_RISES_SECONDS;
        let left = self.ends.saturating_sub(since).as_secs_f64() / SURGE_RISES_SECONDS;
        risen.min(left).clamp(0.0, 1.0)
    }
}

impl Persona {
    /// The persona of the `number`th client, from 0: its trade is in its name, the operating systems take turns.
    #[must_use]
    pub fn new(name: &str, number: usize) -> Self {
        let (seed, trade) = (seed_of(name), trade::of(name));
        let memory_bytes = pick(seed, salt::MEMORY, trade.memory_gib, 8) * GIB;
        Self {
            seed,
            host_name: format!("{name}.demo.example"),
            trade,
            // Neighbours differ in their trade too: the fifth is another fourth of the list than the first.
            system: SYSTEMS.into_iter().cycle().nth((number + number / 4) % SYSTEMS.len()).unwrap_or(DEBIAN),
            cores: pick(seed, salt::CORES, trade.cores, 4),
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

    /// What it reports so long after the demo began, when its clock shows this.
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
            agent_duration: WINDOW + Duration::from_millis(9),
            clock_unix_ms: Some(clock_unix_ms),
            warnings: self.warning(since).into_iter().collect(),
            host: Host {
                name: Some(self.host_name.clone()),
                os_family: Some("linux".to_owned()),
                os_version: Some(self.system.version.to_owned()),
                kernel: Some(self.system.kernel.to_owned()),
                architecture: Some("x86_64".to_owned()),
            },
            load: Some(self.load(since, surge)),
            cpu: Some(cpu),
            memory: Some(memory),
            swap: self.swap(since),
            uptime: Some(up),
            boot_unix_ms: Some(clock_unix_ms.saturating_sub(up_ms)),
            file_systems: self.file_systems(since),
            interfaces: self.interfaces(up.as_secs_f64()),
            top_cpu,
            top_memory: processes,
            events: None,
        }
    }

    /// How fast it is in a visit that comes so long after the demo began: 20 ms to 1.2 s in all.
    #[must_use]
    pub fn pace(&self, since: Duration) -> Pace {
        // Most machines of a fleet are near, a few are far.
        let whole = 0.02 + 1.18 * share(self.seed, salt::PACE).powf(1.3);
        // No visit takes as long as the one before; the longest stays the longest.
        let whole = whole * (0.85 + 0.15 * drift(self.seed, salt::PACE, since.as_secs_f64(), 5.0));
        let whole = whole.max(0.02);
        // Less of it before a session than in it: a session is kept, and a greeting has the shortest deadline.
        let weights = [(1, 0.5), (2, 0.5), (3, 1.0), (4, 1.0)]
            .map(|(part, weight)| weight * between(self.seed, salt::PACE + part, (0.4, 1.6)));
        let all: f64 = weights.iter().sum();
        let [greeting, login, command, answer] = weights.map(|weight| Duration::from_secs_f64(whole * weight / all));
        Pace { greeting, login, command, answer }
    }

    /// A day of a few minutes: up and down around its own middle, with noise.
    fn cpu_percent(&self, seconds: f64, surge: f64) -> f64 {
        let middle = between(self.seed, salt::CPU, self.trade.cpu);
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
        // The busier all of them are, the less they differ.
        let spread = (0.5 * around).min(100.0 - around);
        let core_percent: Vec<f64> = (0..u64::from(self.cores))
            .map(|core| around + spread * drift(self.seed, salt::CORE + core, seconds, 4.0))
            .map(|percent| percent.clamp(0.0, 100.0))
            .collect();
        let total_percent = core_percent.iter().sum::<f64>() / f64::from(self.cores.max(1));
        Cpu { total_percent: total_percent.clamp(0.0, 100.0), core_percent, window: WINDOW }
    }

    /// Over the last minutes, so far as the demo lasts.
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
        let middle = between(self.seed, salt::MEMORY + 10, self.trade.memory);
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

    /// They fill slowly and are tidied up when it has become too much.
    fn file_systems(&self, since: Duration) -> Vec<FileSystem> {
        let own = [("/", 40), ("/boot", 1)].into_iter().chain(self.trade.mounts.iter().copied());
        own.zip(salt::FILES..)
            .map(|((mount, gib), salt)| {
                let begins = between(self.seed, salt, (14.0, 66.0));
                let per_minute = if mount == "/boot" { 0.0 } else { between(self.seed, salt + 100, (0.1, 0.9)) };
                let filled = FILLS_PERCENT * share(self.seed, salt + 200) + since.as_secs_f64() / 60.0 * per_minute;
                let total_bytes = gib * GIB;
                let used_bytes = part(total_bytes, begins + filled % FILLS_PERCENT);
                // What ext4 keeps for root; the others keep nothing.
                let kept = if self.system.file_system == "ext4" { total_bytes / 20 } else { 0 };
                let available_bytes = total_bytes.saturating_sub(used_bytes).saturating_sub(kept);
                let kind = self.system.file_system.to_owned();
                FileSystem { mount: mount.to_owned(), kind, total_bytes, used_bytes, available_bytes }
            })
            .collect()
    }

    /// Counters never go back: what rides on the mean is always flatter than the mean is steep.
    fn interfaces(&self, up_seconds: f64) -> Vec<Interface> {
        let counted = |salt: u64, per_second: f64| {
            let period = 240.0;
            let mean = per_second * between(self.seed, salt, (0.4, 1.6));
            let swing = period / 10.0 * wave(self.seed, salt + 1, up_seconds, period);
            whole(mean * (up_seconds + swing).max(0.0))
        };
        let (received, sent) = self.trade.network;
        let internal = counted(salt::NETWORK, 2.0e4);
        vec![
            Interface { name: "lo".to_owned(), received_bytes: internal, sent_bytes: internal },
            Interface {
                name: self.system.interface.to_owned(),
                received_bytes: counted(salt::NETWORK + 10, received),
                sent_bytes: counted(salt::NETWORK + 20, sent),
            },
        ]
    }

    fn processes(&self, since: Duration, cpu_percent: f64, used_bytes: u64) -> Vec<Process> {
        let all_cores = cpu_percent * f64::from(self.cores);
        let mut pid = 300;
        self.trade
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

    /// Now and then an agent cannot read something.
    fn warning(&self, since: Duration) -> Option<Warning> {
        let half_minute = since.as_secs() / 30;
        number(self.seed, salt::WARNING + half_minute).is_multiple_of(12).then(|| Warning {
            what: "file system /mnt/backup".to_owned(),
            why: "Stale file handle (os error 116)".to_owned(),
        })
    }
}

/// So many percent of a number of bytes, never more than all of them.
fn part(of: u64, percent: f64) -> u64 {
    // Whole hundredths of a percent: exact enough, and no size becomes a float.
    let hundredths = whole(percent.clamp(0.0, 100.0) * 100.0);
    of / 10_000 * hundredths + of % 10_000 * hundredths / 10_000
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the fraction is to go, and `as` takes what is out of range to the nearest end"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests;
