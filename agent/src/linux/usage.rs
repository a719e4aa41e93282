//! The processes with the highest usage during the sampling window, and how many have a name. Measured with two samples.

use std::{collections::HashMap, fs, process, time::Instant};

use fleetsweep_agent::report::Process;

use super::process::{Stat, all};
use crate::shares::{of_one_core, top};

/// The first sample.
pub(crate) struct Sample {
    begun: Instant,
    /// CPU time and start time of each process. The start time is needed because ids are reused.
    spent_ms: Result<HashMap<u32, (u64, u64)>, String>,
    spent_at: Instant,
    ended_agents: Vec<u32>,
}

/// The result of both samples.
pub(crate) struct Usage {
    pub(crate) top_cpu: Vec<Process>,
    pub(crate) top_memory: Vec<Process>,
    /// How many processes have each of the requested names; `None` if there are none, or other accounts are hidden.
    pub(crate) counts: Option<Vec<(String, u32)>>,
    /// Whether `/proc` only shows this account's own processes.
    pub(crate) others_hidden: bool,
}

impl Sample {
    /// Takes the first sample.
    pub(crate) fn begin() -> Self {
        let begun = Instant::now();
        let processes = all();
        let spent_at = Instant::now();
        let ended_agents = processes.as_ref().map(|all| ended_like(process::id(), all)).unwrap_or_default();
        let spent_ms = processes.map(|processes| {
            processes.into_iter().map(|(pid, stat)| (pid, (stat.started_ticks, stat.spent_ms))).collect()
        });
        Self { begun, spent_ms, spent_at, ended_agents }
    }

    /// Processes with the name of this one that have ended and have not disappeared.
    pub(crate) fn ended_agents(&self) -> &[u32] {
        &self.ended_agents
    }

    /// When the window began.
    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }

    /// Takes the second sample. The machine has this number of cores. `names` are those of processes to count.
    ///
    /// # Errors
    /// If the processes cannot be listed.
    pub(crate) fn end(self, cores: usize, names: &[String]) -> Result<Usage, String> {
        let before = self.spent_ms?;
        let mut running = all()?;
        let spent_in = self.spent_at.elapsed();
        let others_hidden = !running.iter().any(|(pid, _)| *pid == 1);
        running.retain(|(pid, _)| *pid != process::id());
        let counts = (!names.is_empty() && !others_hidden).then(|| count(names, &running, words_of));
        let page_bytes = rustix::param::page_size() as u64;
        let used = |(pid, stat): (u32, Stat)| Process {
            pid,
            cpu_percent: of_one_core(spent(&before, pid, &stat), spent_in, cores),
            name: stat.name,
            memory_bytes: stat.resident_pages.saturating_mul(page_bytes),
        };
        let mut processes: Vec<Process> = running.into_iter().map(used).collect();
        Ok(Usage {
            top_cpu: top(&mut processes, |process| process.cpu_percent),
            top_memory: top(&mut processes, |process| process.memory_bytes),
            counts,
            others_hidden,
        })
    }
}

fn ended_like(own: u32, processes: &[(u32, Stat)]) -> Vec<u32> {
    let Some((_, this)) = processes.iter().find(|(pid, _)| *pid == own) else { return Vec::new() };
    let ended = processes.iter().filter(|(_, process)| process.is_zombie && process.name == this.name);
    ended.map(|(pid, _)| *pid).collect()
}

/// The CPU time of a process since the first sample; for a process that began later, all of it.
fn spent(before: &HashMap<u32, (u64, u64)>, pid: u32, now: &Stat) -> u64 {
    match before.get(&pid) {
        Some((start, spent)) if *start == now.started_ticks => now.spent_ms.saturating_sub(*spent),
        Some(_) | None => now.spent_ms,
    }
}

/// The longest name that the kernel keeps of a process, bytes.
const KERNEL_NAME_BYTES: usize = 15;

/// How many processes have each of the names. The kernel cuts names; a longer one is found in the first two words of the
/// command line, which are read with `words_of`. A process that replaced its command line counts by the cut name.
fn count(names: &[String], processes: &[(u32, Stat)], words_of: fn(u32) -> Vec<String>) -> Vec<(String, u32)> {
    let mut counts: Vec<(String, u32)> = names.iter().map(|name| (name.clone(), 0)).collect();
    for (pid, process) in processes.iter().filter(|(_, process)| !process.is_zombie) {
        let known = &*process.name;
        let is_cut = known.len() == KERNEL_NAME_BYTES;
        let mut words = None;
        for (name, count) in &mut counts {
            let is_it = known == *name
                || is_cut && name.len() > KERNEL_NAME_BYTES && name.starts_with(known) && {
                    let words = words.get_or_insert_with(|| words_of(*pid));
                    words.contains(name) || !words.iter().any(|word| word.starts_with(known))
                };
            *count += u32::from(is_it);
        }
    }
    counts
}

/// The file names in the first two words of the command line: the program, or the interpreter and its script. Nothing
/// else of it is kept, because it can contain secrets.
fn words_of(pid: u32) -> Vec<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = line.split(|byte| *byte == 0).take(2);
    words
        .filter_map(|word| word.rsplit(|byte| *byte == b'/').next())
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(pid: u32) -> Vec<String> {
        let words: &[&str] = match pid {
            1 => &["prometheus-node-exporter", "--web"],
            2 => &["prometheus-node-other"],
            3 => &["python3", "prometheus-node-exporter"],
            _ => &["serving"],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn processes_are_counted_by_name_also_if_the_kernel_cuts_it() {
        let names = ["nginx", "prometheus-node-exporter", "none"].map(str::to_owned);
        let process = |(pid, name): (u32, &str)| {
            let is_zombie = pid == 10;
            (pid, Stat { name: name.into(), is_zombie, spent_ms: 0, started_ticks: 0, resident_pages: 0 })
        };
        let running = [
            (8, "nginx"),
            (9, "nginx"),
            (10, "nginx"),
            (7, "nginx-debug"),
            (1, "prometheus-node"),
            (2, "prometheus-node"),
            (3, "prometheus-node"),
            (4, "prometheus-node"),
        ]
        .map(process);
        let counts = count(&names, &running, words);
        let counts: Vec<(&str, u32)> = counts.iter().map(|(name, count)| (&**name, *count)).collect();
        assert_eq!(counts, [("nginx", 2), ("prometheus-node-exporter", 3), ("none", 0)]);
        assert_eq!((ended_like(8, &running), ended_like(7, &running)), (vec![10], vec![]));
    }

    #[test]
    fn an_id_that_was_used_again_counts_all_of_its_time() {
        let stat = |started_ticks, spent_ms| Stat {
            name: String::new(),
            is_zombie: false,
            spent_ms,
            started_ticks,
            resident_pages: 0,
        };
        let before = HashMap::from([(7, (100, 5000))]);
        for (pid, now, expected) in
            [(7, stat(100, 5030), 30), (7, stat(900, 20), 20), (8, stat(100, 40), 40), (7, stat(100, 4990), 0)]
        {
            assert_eq!(spent(&before, pid, &now), expected);
        }
    }
}
