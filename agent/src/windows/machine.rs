//! The order of the measurements, and the simple queries.

use std::{
    env::consts,
    thread,
    time::{Duration, Instant},
};

use fleetsweep_agent::{
    report::{Commit, Counters, Host, Interface, Memory, Report},
    request::Request,
};
use sysinfo::{NetworkData, Networks, System};

use super::{
    api::{
        self,
        counters::{PAGE_FILES, PERFORMANCE, of_system},
        links::{self, Link},
        volumes,
    },
    counters, disks, events, services, usage,
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
    let disks_before = api::disks::performances();
    // All fast parts run during the sampling window.
    let mut report = Report {
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        clock_unix_ms: clock(),
        host: host(&mut warnings),
        uptime: warnings.keep("uptime", System::uptime().map(Duration::from_secs)),
        boot_unix_ms: warnings
            .keep("boot time", System::boot_time())
            .and_then(|seconds| i64::try_from(seconds.checked_mul(1000)?).ok()),
        interfaces: warnings.keep("network counters", interfaces()).unwrap_or_default(),
        ..Report::default()
    };
    if let Some(status) = warnings.keep("memory", api::counters::memory()) {
        let available_bytes = status.available.min(status.total);
        let used_bytes = status.total - available_bytes;
        report.memory = Some(Memory { total_bytes: status.total, used_bytes, available_bytes });
        let used_bytes = status.commit_limit.saturating_sub(status.commit_available);
        report.commit = Some(Commit { limit_bytes: status.commit_limit, used_bytes });
    }
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
    let usage = sample.end(request.questions.processes());
    let disks = disks::disks(&disks_before, api::disks::performances());
    let page_faults = of_system(PERFORMANCE).ok().and_then(|table| counters::page_faults(&table));
    report.counters = warnings.keep("identity of the start", api::counters::boot()).map(|boot| Counters {
        boot_id: counters::boot_id(&boot),
        monotonic_ms: api::counters::monotonic_ms(),
        cores: usage.cores,
        page_faults: page_faults.map(|(all, _)| all),
        major_page_faults: page_faults.map(|(_, major)| major),
        disks,
        ..Counters::default()
    });
    report.cpu = usage.cpu;
    report.top_cpu = usage.top_cpu;
    report.top_memory = usage.top_memory;
    report.process_counts = usage.counts;
    warnings.extend(usage.warnings);
    if request.questions.units {
        report.failed_units = warnings.keep("services", api::services::stopped()).map(services::failed);
    }
    // After the window, because this work would otherwise count as CPU usage of the machine.
    let patience = patience::of_events(request.deadline);
    let (events, troubles) =
        events::look(&request.events, request.questions.logs(), report.clock_unix_ms.unwrap_or(0), patience);
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

fn interfaces() -> Result<Vec<Interface>, sysinfo::Error> {
    // Without them, traffic has no share of the link.
    let links = links::all().unwrap_or_default();
    let mut interfaces: Vec<Interface> = Networks::new_with_refreshed_list()?
        .iter()
        .map(|(name, data)| interface(name.to_string_lossy().into_owned(), data, &links))
        .collect();
    interfaces.sort_by(|one, other| (one.is_loopback, &one.name).cmp(&(other.is_loopback, &other.name)));
    Ok(interfaces)
}

fn interface(name: String, data: &NetworkData, links: &[Link]) -> Interface {
    let link = links.iter().find(|link| link.name == name);
    Interface {
        index: link.map(|link| link.index),
        received_bytes: data.total_received(),
        sent_bytes: data.total_transmitted(),
        received_packets: Some(data.total_packets_received()),
        sent_packets: Some(data.total_packets_transmitted()),
        received_errors: Some(data.total_errors_on_received()),
        sent_errors: Some(data.total_errors_on_transmitted()),
        speed_mbit: link.and_then(|link| counters::speed_mbit(link.bits_per_second)),
        is_loopback: name.starts_with(LOOPBACK),
        name,
        ..Interface::default()
    }
}
