//! Gathers the report of a Linux machine. Each part is read by one of the modules below, which omits what it cannot
//! read and adds a warning.

mod container;
mod counters;
mod events;
mod file_systems;
mod hanging;
mod host;
mod kernel;
mod machine;
mod memory;
mod mounts;
mod oom;
mod process;
mod program;
mod temperature;
mod units;
mod updates;
mod usage;

use std::{fs, path::Path, thread, time::Instant};

use container::Container;
use fleetsweep_agent::{
    report::{MAX_FILE_SYSTEMS, Memory, Report, Warning},
    request::Request,
};
use hanging::Hanging;
use mounts::Mount;

use crate::{
    file_systems::measure,
    notes::{Warnings, clock},
    patience,
};

/// Gathers the report of this machine. Takes little longer than the sampling window of the request.
pub(crate) fn look(request: &Request, started: Instant) -> Report {
    let mut warnings = Warnings::default();
    let begin = machine::Snapshot::take(&mut warnings);
    let sample = usage::Sample::begin();
    let hanging = Hanging::of(sample.ended_agents());
    // All fast parts run during the sampling window.
    let mut report = Report {
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        clock_unix_ms: clock(),
        host: host::host(&hanging, patience::of_files(request.deadline), &mut warnings),
        ..Report::default()
    };
    // It is also needed for the limits of memory, and is long on some machines.
    let mountinfo = read_bytes(&mut warnings, "file systems", "/proc/self/mountinfo");
    if let Some(meminfo) = read(&mut warnings, "memory and swap", "/proc/meminfo") {
        report.memory = warnings
            .keep("memory", kernel::memory(&meminfo))
            .map(|memory| whole_memory(memory, mountinfo.as_deref().unwrap_or_default()));
        report.swap = warnings.keep("swap", kernel::swap(&meminfo)).flatten();
        let overcommit = fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap_or_default();
        report.commit = kernel::commit(&meminfo, &overcommit);
    }
    let of_files = patience::of_files(request.deadline);
    let root = Path::new("/");
    let updates = || (updates::restart_needed(root), updates::security_updates(root));
    (report.restart_needed, report.security_updates) =
        warnings.keep("pending updates", hanging.ask("updates", of_files, updates)).unwrap_or_default();
    report.temperature_millicelsius = temperature::highest(&hanging, patience::of_sensors(request.deadline));
    if let Some(uptime) = read(&mut warnings, "uptime", "/proc/uptime") {
        report.uptime = warnings.keep("uptime", kernel::uptime(&uptime));
    }
    if let Some(stat) = &begin.stat {
        report.boot_unix_ms = warnings.keep("boot time", kernel::boot(stat));
    }
    if let Some(load) = read(&mut warnings, "load", "/proc/loadavg") {
        report.load = warnings.keep("load", kernel::load(&load));
    }
    if let Some(table) = &mountinfo {
        measure_file_systems(table, request, &hanging, &mut warnings, &mut report);
    }
    thread::sleep((sample.begun() + request.window).saturating_duration_since(Instant::now()));
    // The counters first, because the processes take longer.
    let end = machine::Snapshot::take(&mut warnings);
    report.cpu = end.cpu(&begin).and_then(|cpu| warnings.keep("CPU use", cpu));
    let cores = report.cpu.as_ref().map_or(1, |cpu| cpu.core_percent.len());
    match sample.end(cores, request.questions.processes()) {
        Ok(usage) => {
            report.top_cpu = usage.top_cpu;
            report.top_memory = usage.top_memory;
            report.process_counts = usage.counts;
            if usage.others_hidden {
                warnings.add("processes of other accounts", "/proc hides them (hidepid)");
            }
        }
        Err(why) => warnings.add("processes", why),
    }
    report.interfaces = end.interfaces(&begin, &mut warnings);
    let container = mountinfo.as_deref().and_then(Container::of);
    let counters = end.counters(&begin, container.as_ref(), &mut warnings);
    // In a container, the log of the kernel also names the processes of others.
    if container.is_none() && counters.oom_kills.is_some_and(|kills| kills > 0) {
        report.oom_victims = oom::victims();
    }
    report.counters = Some(counters);
    // After the window, because this work would otherwise count as CPU use of the machine.
    if request.questions.units {
        let deadline = Instant::now() + patience::of_units(request.deadline);
        report.failed_units = warnings.keep("failed units", units::failed(deadline)).flatten();
    }
    let patience = patience::of_events(request.deadline);
    let (events, troubles) =
        events::look(&request.events, request.questions.logs(), report.clock_unix_ms.unwrap_or(0), patience);
    report.events = events;
    warnings.extend(troubles);
    report.warnings = warnings.into();
    report.agent_duration = started.elapsed();
    report
}

/// Measures the file systems of the table, except those for whose answer an earlier agent still waits.
fn measure_file_systems(
    mountinfo: &[u8],
    request: &Request,
    hanging: &Hanging,
    warnings: &mut Warnings,
    report: &mut Report,
) {
    let of_files = patience::of_files(request.deadline);
    let fstab = hanging.ask("fstab", of_files, || fs::read("/etc/fstab").unwrap_or_default());
    let fstab = warnings.keep("/etc/fstab", fstab).unwrap_or_default();
    let upper = mounts::upper_directory(mountinfo).and_then(|path| {
        // In a container, its path is that of another directory, which may not answer.
        let device = hanging.ask("upperdir", of_files, move || file_systems::device_of(&path).ok());
        warnings.keep("upper directory of /", device).flatten()
    });
    let named = request.questions.mounts();
    let mut selection = mounts::worth_reporting(mountinfo, &fstab, named, upper, MAX_FILE_SYSTEMS);
    if let Ok(device) = file_systems::device_of(Path::new("/")) {
        selection.add_confined_root(device, MAX_FILE_SYSTEMS);
    }
    let named = selection.mounts.into_iter().map(|mount| (mount.point.to_string_lossy().into_owned(), mount));
    let is_open = |mount: &Mount| hanging.has(&hanging::of_file_system(mount.device));
    let (open, mounts): (Vec<_>, Vec<_>) = named.partition(|(_, mount)| is_open(mount));
    let patience = patience::of_file_systems(request.deadline);
    let mut measured = measure(mounts, selection.omitted, patience, file_systems::ask);
    for (name, _) in open {
        let (what, why) = (format!("file system {name}"), hanging::STILL_OPEN.to_owned());
        measured.warnings.push(Warning { what, why });
        measured.silent.push(name);
    }
    warnings.extend(measured.keep_in(report));
}

/// The memory as this process may use it. The files do not exist everywhere.
fn whole_memory(memory: Memory, mountinfo: &[u8]) -> Memory {
    let cgroups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let memory = match fs::read_to_string("/proc/spl/kstat/zfs/arcstats") {
        Ok(arcstats) if !memory::is_of_container(mountinfo) => memory::with_zfs_cache(memory, &arcstats),
        Ok(_) | Err(_) => memory,
    };
    memory::within(memory, &memory::limits(&cgroups, mountinfo, memory.total_bytes))
}

/// The text of a kernel file, or a warning. It may contain any bytes, for example in names of programs.
fn read(warnings: &mut Warnings, what: &str, path: &str) -> Option<String> {
    Some(String::from_utf8_lossy(&read_bytes(warnings, what, path)?).into_owned())
}

/// The same without changes.
fn read_bytes(warnings: &mut Warnings, what: &str, path: &str) -> Option<Vec<u8>> {
    warnings.keep(what, fs::read(path).map_err(|error| format!("{path}: {error}")))
}
