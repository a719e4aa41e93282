//! Reads the files with counters, at the beginning and at the end of the sampling window. They are parsed in
//! [`super::counters`].

use std::{collections::HashSet, fs, time::Instant};

use fleetsweep_agent::report::{Counters, Cpu, Disk, Interface, Resource};
use rustix::time::{ClockId, clock_gettime};

use super::{
    container::Container,
    counters::{self, Device},
    read,
};
use crate::{notes::Warnings, shares};

/// The most disks in a report.
const MOST_DISKS: usize = 64;
/// The most interfaces whose number and speed are looked up. It takes the kernel longer than everything else about an
/// interface.
const MOST_SPEEDS: usize = 64;
/// The beginning of a name of devices that combine or encrypt others.
const MAPPED: &str = "dm-";

/// The files at one moment. A file that could not be read is absent, with a warning.
pub(crate) struct Snapshot {
    pub(crate) stat: Option<String>,
    net: Option<String>,
    disks: Option<String>,
    at: Instant,
    monotonic_ms: u64,
}

impl Snapshot {
    /// Reads the files.
    pub(crate) fn take(warnings: &mut Warnings) -> Self {
        Self {
            stat: read(warnings, "CPU use and boot time", "/proc/stat"),
            net: read(warnings, "network counters", "/proc/net/dev"),
            // Absent in some containers.
            disks: fs::read_to_string("/proc/diskstats").ok(),
            at: Instant::now(),
            monotonic_ms: monotonic_ms(),
        }
    }

    /// CPU use since an earlier snapshot.
    pub(crate) fn cpu(&self, before: &Self) -> Option<Result<Cpu, String>> {
        let (before_stat, stat) = (before.stat.as_ref()?, self.stat.as_ref()?);
        let cores = |stat: &str| counters::cores(stat).map_err(|unknown| unknown.to_string());
        let window = self.at.saturating_duration_since(before.at);
        let cpu = cores(before_stat).and_then(|before| shares::cpu(&before, &cores(stat)?, window));
        Some(cpu)
    }

    /// The interfaces, physical ones first, with their rates since an earlier snapshot.
    pub(crate) fn interfaces(&self, before: &Self, warnings: &mut Warnings) -> Vec<Interface> {
        let Some(net) = &self.net else { return Vec::new() };
        let mut interfaces = warnings.keep("network counters", counters::interfaces(net)).unwrap_or_default();
        let earlier = before.net.as_deref().and_then(|net| counters::interfaces(net).ok()).unwrap_or_default();
        counters::add_rates(&mut interfaces, &earlier, self.window_ms(before));
        let is_virtual = names("/sys/devices/virtual/net");
        interfaces.sort_by_key(|interface| (interface.is_loopback, is_virtual.contains(&interface.name)));
        for interface in interfaces.iter_mut().take(MOST_SPEEDS) {
            let index = fs::read_to_string(format!("/sys/class/net/{}/ifindex", interface.name));
            interface.index = index.ok().and_then(|index| index.trim().parse().ok());
            let speed = fs::read_to_string(format!("/sys/class/net/{}/speed", interface.name));
            // Virtual and wireless links have an error or -1, some drivers 0.
            interface.speed_mbit = speed.ok().and_then(|speed| speed.trim().parse().ok()).filter(|speed| *speed > 0);
        }
        interfaces
    }

    /// The other counters. If the start of the machine cannot be identified, it has no name, and only the values of the
    /// window can be used.
    pub(crate) fn counters(&self, before: &Self, container: Option<&Container>, warnings: &mut Warnings) -> Counters {
        let boot_id = read(warnings, "identity of the start", "/proc/sys/kernel/random/boot_id").unwrap_or_default();
        // Kernels without these files exist.
        let vmstat = fs::read_to_string("/proc/vmstat").unwrap_or_default();
        let of_machine = |resource: Resource| {
            let text = fs::read_to_string(format!("/proc/pressure/{}", resource.word())).ok()?;
            counters::pressure(resource, &text).ok()
        };
        let pressure = |resource| container.map_or_else(|| of_machine(resource), |own| own.pressure(resource));
        let stat = self.stat.as_deref().unwrap_or_default();
        Counters {
            boot_id: boot_id.trim().to_owned(),
            monotonic_ms: self.monotonic_ms,
            cores: counters::cores(stat).unwrap_or_default(),
            context_switches: counters::number(stat, "ctxt"),
            page_faults: counters::number(&vmstat, "pgfault"),
            major_page_faults: counters::number(&vmstat, "pgmajfault"),
            oom_kills: container.map_or_else(|| counters::number(&vmstat, "oom_kill"), Container::oom_kills),
            disks: self.disks(before, warnings),
            pressure: Resource::ALL.into_iter().filter_map(pressure).collect(),
        }
    }

    /// The disks, physical ones first, without their parts.
    fn disks(&self, before: &Self, warnings: &mut Warnings) -> Vec<Disk> {
        let mut devices = self.disks.as_deref().map(counters::devices).unwrap_or_default();
        let earlier = before.disks.as_deref().map(counters::devices).unwrap_or_default();
        counters::add_busy(&mut devices, &earlier, self.window_ms(before));
        let whole = names("/sys/block");
        if !whole.is_empty() {
            // A slash in a name is an exclamation mark here.
            devices.retain(|device| whole.contains(&device.name.replace('/', "!")));
        }
        let is_virtual = names("/sys/devices/virtual/block");
        devices.sort_by_key(|device| is_virtual.contains(device.name));
        if let Some(omitted @ 1..) = devices.len().checked_sub(MOST_DISKS) {
            let why = format!("{omitted} of {} are left out: a report carries {MOST_DISKS}", devices.len());
            warnings.add("further disks", why);
            devices.truncate(MOST_DISKS);
        }
        let named = |Device { name, mut disk }: Device<'_>| {
            if name.starts_with(MAPPED)
                && let Ok(mapped) = fs::read_to_string(format!("/sys/block/{name}/dm/name"))
            {
                mapped.trim().clone_into(&mut disk.name);
            }
            disk
        };
        devices.into_iter().map(named).collect()
    }

    fn window_ms(&self, before: &Self) -> u64 {
        u64::try_from(self.at.saturating_duration_since(before.at).as_millis()).unwrap_or(u64::MAX)
    }
}

/// The names in a directory; empty if it cannot be read.
fn names(directory: &str) -> HashSet<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// The time since the start, without the time that the machine was suspended, milliseconds.
fn monotonic_ms() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let whole = |number: i64| u64::try_from(number).unwrap_or(0);
    whole(now.tv_sec).saturating_mul(1000).saturating_add(whole(now.tv_nsec) / 1_000_000)
}
