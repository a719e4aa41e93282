//! The order of the measurements, and the simple queries.

use std::{
    env::consts,
    io, thread,
    time::{Duration, Instant},
};

use fleetsweep_agent::{
    report::{Counters, Host, Interface, Memory, Report},
    request::Request,
};
use sysinfo::{Networks, System};

use super::{
    api::{
        self,
        counters::{PAGE_FILES, of_system},
        volumes,
    },
    counters, events, usage,
};
use crate::{
    file_systems::measure,
    notes::{Warnings, clock},
    patience,
};

/// The beginning of the names of interfaces that only connect the machine with itself.
const LOOPBACK: &str = "Loopback";

/// Gathers the report of this machine. Takes little longer than the sampling window of the request.
pub(crate) fn look(request: &Request, started: Instant) -> Report {
    let mut warnings = Warnings::default();
    let sample = usage::Sample::begin();
    // All fast parts run during the sampling window.
    let mut report = Report {
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        clock_unix_ms: clock(),
        host: host(&mut warnings),
        memory: warnings.keep("memory", memory()),
        uptime: warnings.keep("uptime", System::uptime().map(Duration::from_secs)),
        boot_unix_ms: warnings
            .keep("boot time", System::boot_time())
            .and_then(|seconds| i64::try_from(seconds.checked_mul(1000)?).ok()),
        interfaces: warnings.keep("network counters", interfaces()).unwrap_or_default(),
        ..Report::default()
    };
    if let Some(table) = warnings.keep("swap", of_system(PAGE_FILES)) {
        report.swap = counters::page_files(&table);
    }
    if let Some(paths) = warnings.keep("file systems", volumes::mounted()) {
        let patience = patience::of_file_systems(request.deadline);
        let paths = paths.into_iter().map(|path| (path.clone(), path)).collect();
        let measured = measure(paths, 0, patience, volumes::ask);
        warnings.extend(measured.keep_in(&mut report));
    }
    thread::sleep((sample.begun() + request.window).saturating_duration_since(Instant::now()));
    let usage = sample.end();
    report.counters = warnings.keep("identity of the start", api::counters::boot()).map(|boot| Counters {
        boot_id: counters::boot_id(&boot),
        monotonic_ms: api::counters::monotonic_ms(),
        cores: usage.cores,
        ..Counters::default()
    });
    report.cpu = usage.cpu;
    report.top_cpu = usage.top_cpu;
    report.top_memory = usage.top_memory;
    warnings.extend(usage.warnings);
    // After the window, because this work would otherwise count as CPU usage of the machine.
    let patience = patience::of_events(request.deadline);
    let (events, troubles) = events::look(&request.events, report.clock_unix_ms.unwrap_or(0), patience);
    report.events = events;
    warnings.extend(troubles);
    report.warnings = warnings.into();
    report.agent_duration = started.elapsed();
    report
}

fn host(warnings: &mut Warnings) -> Host {
    let build = warnings.keep("build of the operating system", System::kernel_version());
    let name = warnings.keep("name of the operating system", System::long_os_version());
    Host {
        name: warnings.keep("host name", System::host_name()),
        os_family: Some(consts::OS.to_owned()),
        os_version: name.map(|name| match &build {
            Some(build) => format!("{name} ({build})"),
            None => name,
        }),
        kernel: build,
        architecture: Some(System::cpu_arch()),
    }
}

fn memory() -> io::Result<Memory> {
    let (total_bytes, available_bytes) = api::counters::memory()?;
    let available_bytes = available_bytes.min(total_bytes);
    Ok(Memory { total_bytes, used_bytes: total_bytes - available_bytes, available_bytes })
}

fn interfaces() -> Result<Vec<Interface>, sysinfo::Error> {
    let mut interfaces: Vec<Interface> = Networks::new_with_refreshed_list()?
        .iter()
        .map(|(name, counters)| Interface {
            name: name.to_string_lossy().into_owned(),
            received_bytes: counters.total_received(),
            sent_bytes: counters.total_transmitted(),
            received_packets: Some(counters.total_packets_received()),
            sent_packets: Some(counters.total_packets_transmitted()),
            received_errors: Some(counters.total_errors_on_received()),
            sent_errors: Some(counters.total_errors_on_transmitted()),
            is_loopback: name.to_string_lossy().starts_with(LOOPBACK),
            ..Interface::default()
        })
        .collect();
    interfaces.sort_by(|one, other| (one.is_loopback, &one.name).cmp(&(other.is_loopback, &other.name)));
    Ok(interfaces)
}
