//! Usage during the sampling window: CPU usage in total and per core, and the processes with the highest usage. Takes
//! both samples; `counters` parses the tables.

use std::{
    collections::HashMap,
    process,
    time::{Duration, Instant},
};

use fleetsweep_agent::report::{CoreTime, Cpu, Process, Warning};

use super::{
    api::counters::{PROCESSES, PROCESSORS, Status, groups, of_group, of_system},
    counters,
};
use crate::{
    notes::Warnings,
    shares::{self, of_one_core, top},
};

/// The first sample.
pub(super) struct Sample {
    begun: Instant,
    processors: Result<Vec<CoreTime>, Status>,
    /// CPU time and start time of each process. The start time is needed because ids are reused.
    spent_ms: HashMap<u32, (u64, u64)>,
    spent_at: Instant,
    warnings: Vec<Warning>,
}

/// The result of both samples.
pub(super) struct Usage {
    pub(super) cpu: Option<Cpu>,
    /// The time of each processor at the second sample.
    pub(super) cores: Vec<CoreTime>,
    pub(super) top_cpu: Vec<Process>,
    pub(super) top_memory: Vec<Process>,
    /// How many processes have each of the requested names, whatever their capitals; `None` if there are none.
    pub(super) counts: Option<Vec<(String, u32)>>,
    pub(super) warnings: Vec<Warning>,
}

impl Sample {
    /// Takes the first sample.
    pub(super) fn begin() -> Self {
        let begun = Instant::now();
        let mut warnings = Warnings::default();
        let (processors, unmeasured) = processors(&groups());
        warnings.extend(unmeasured);
        let spent_ms = of_system(PROCESSES)
            .map(|table| {
                let lines = counters::processes(&table).into_iter();
                lines.map(|process| (process.pid, (process.started, process.spent_ms))).collect()
            })
            .unwrap_or_default();
        Self { begun, processors, spent_ms, spent_at: Instant::now(), warnings: warnings.into() }
    }

    /// When the window began.
    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    /// Takes the second sample. `names` are those of processes to count.
    pub(super) fn end(self, names: &[String]) -> Usage {
        let mut warnings = Warnings::default();
        warnings.extend(self.warnings);
        let groups = groups();
        // Failures were already reported with the first sample.
        let (after, _) = processors(&groups);
        let window = self.begun.elapsed();
        let cpu = match (&self.processors, &after) {
            (Ok(before), Ok(after)) => shares::cpu(before, after, window),
            (Err(status), _) | (_, Err(status)) => Err(status.to_string()),
        };
        let cores = groups.iter().sum::<u32>().max(1) as usize;
        let table = warnings.keep("processes", of_system(PROCESSES));
        let spent_in = self.spent_at.elapsed();
        let counts = table.as_ref().filter(|_| !names.is_empty());
        let counts = counts.map(|table| counters::count(&counters::processes(table), names));
        let mut processes = table.map(|table| busy(&table, &self.spent_ms, spent_in, cores)).unwrap_or_default();
        Usage {
            cpu: warnings.keep("CPU use", cpu),
            cores: after.unwrap_or_default(),
            top_cpu: top(&mut processes, |process| process.cpu_percent),
            top_memory: top(&mut processes, |process| process.memory_bytes),
            counts,
            warnings: warnings.into(),
        }
    }
}

/// The processes with their usage since the first sample; for a process that began later, all of it.
fn busy(table: &counters::Table, before: &HashMap<u32, (u64, u64)>, elapsed: Duration, cores: usize) -> Vec<Process> {
    let lines = counters::processes(table).into_iter().filter(|line| line.pid != process::id());
    lines
        .map(|line| {
            let spent_ms = match before.get(&line.pid) {
                Some((started, spent_ms)) if *started == line.started => line.spent_ms.saturating_sub(*spent_ms),
                Some(_) | None => line.spent_ms,
            };
            let cpu_percent = of_one_core(spent_ms, elapsed, cores);
            Process { pid: line.pid, name: line.name, cpu_percent, memory_bytes: line.memory_bytes }
        })
        .collect()
}

fn processors(groups: &[u32]) -> (Result<Vec<CoreTime>, Status>, Vec<Warning>) {
    counters::of_groups(groups, || of_system(PROCESSORS), |group| of_group(PROCESSORS, group))
}
