//! The processes with the highest usage during the sampling window. Measured with two samples.

use std::{collections::HashMap, process, time::Instant};

use fleetsweep_agent::report::Process;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System, ThreadKind};

use crate::shares::{of_one_core, top};

/// The first sample.
pub(crate) struct Sample {
    system: Result<System, sysinfo::Error>,
    begun: Instant,
    /// CPU time and start time of each process. The start time is needed because ids are reused.
    spent_ms: HashMap<Pid, (u64, u64)>,
    spent_at: Instant,
}

/// The result of both samples.
pub(crate) struct Usage {
    pub(crate) top_cpu: Vec<Process>,
    pub(crate) top_memory: Vec<Process>,
    /// Whether `/proc` only shows this account's own processes.
    pub(crate) others_hidden: bool,
}

impl Sample {
    /// Takes the first sample.
    pub(crate) fn begin() -> Self {
        let begun = Instant::now();
        let mut system = System::new();
        let mut spent_ms = HashMap::new();
        if let Ok(system) = &mut system {
            refresh(system, ProcessRefreshKind::nothing().without_tasks().with_cpu());
            spent_ms.extend(
                system
                    .processes()
                    .iter()
                    .map(|(pid, process)| (*pid, (process.start_time(), process.accumulated_cpu_time()))),
            );
        }
        Self { system, begun, spent_ms, spent_at: Instant::now() }
    }

    /// When the window began.
    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }

    /// Takes the second sample. The machine has this number of cores.
    pub(crate) fn end(self, cores: usize) -> Result<Usage, String> {
        let mut system = self.system.map_err(|error| error.to_string())?;
        refresh(&mut system, ProcessRefreshKind::nothing().without_tasks().with_cpu().with_memory());
        let spent_in = self.spent_at.elapsed();
        let mut processes: Vec<Process> = system
            .processes()
            .iter()
            .filter(|(pid, process)| {
                pid.as_u32() != process::id() && process.thread_kind() != Some(ThreadKind::Userland)
            })
            .map(|(pid, process)| Process {
                pid: pid.as_u32(),
                name: process.name().to_string_lossy().into_owned(),
                cpu_percent: of_one_core(spent(&self.spent_ms, *pid, process), spent_in, cores),
                memory_bytes: process.memory(),
            })
            .collect();
        Ok(Usage {
            top_cpu: top(&mut processes, |process| process.cpu_percent),
            top_memory: top(&mut processes, |process| process.memory_bytes),
            others_hidden: system.process(Pid::from_u32(1)).is_none(),
        })
    }
}

fn refresh(system: &mut System, what: ProcessRefreshKind) {
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
}

/// The CPU time of a process since the first sample; for a process that began later, all of it.
///
/// The library's own value is not used: it divides by the time since its last refresh of the cores, which is not the
/// time between two samples of this process if there are thousands of processes.
fn spent(before: &HashMap<Pid, (u64, u64)>, pid: Pid, process: &sysinfo::Process) -> u64 {
    let now = process.accumulated_cpu_time();
    match before.get(&pid) {
        Some((start, spent)) if *start == process.start_time() => now.saturating_sub(*spent),
        Some(_) | None => now,
    }
}
