//! Calculates percentages and the processes with the highest usage from counters. Pure. The counters depend on the
//! platform.

use std::time::Duration;

use fleetsweep_agent::report::{CoreSpan, CoreTime, Cpu, Process};

/// The number of processes in each of the two lists.
const LISTED: usize = 5;

/// The processes with the highest values, highest first, without those with zero.
///
/// Selects the entries one by one. For five entries, this is as fast as sorting, and smaller.
pub(crate) fn top<T: PartialOrd + Default>(processes: &mut [Process], of: fn(&Process) -> T) -> Vec<Process> {
    let mut top = Vec::with_capacity(LISTED);
    let mut rest = processes;
    while top.len() < LISTED {
        let all = rest.iter().enumerate();
        let Some((most, _)) = all.reduce(|most, next| if of(next.1) > of(most.1) { next } else { most }) else { break };
        rest.get_mut(..=most).unwrap_or_default().rotate_right(1);
        match rest.split_first_mut() {
            Some((first, others)) if of(first) > T::default() => {
                top.push(first.clone());
                rest = others;
            }
            Some(_) | None => break,
        }
    }
    top
}

/// CPU use between two readings of the cores, of all cores that are in both. A core whose counters were reset, did not
/// advance or advanced by more than the window counts as idle.
pub(crate) fn cpu(before: &[CoreTime], after: &[CoreTime], window: Duration) -> Result<Cpu, String> {
    let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
    let span = |(index, after): (usize, &CoreTime)| {
        // Usually at the same position.
        let same = before.get(index).filter(|before| before.core == after.core);
        let span = after.since(same.or_else(|| before.iter().find(|before| before.core == after.core))?);
        span.filter(|span| span.is_within(window_ms))
    };
    let spans: Vec<Option<CoreSpan>> = after.iter().enumerate().map(span).collect();
    let total = CoreSpan::sum(spans.iter().flatten().copied());
    let busy = |span: &Option<CoreSpan>| round(span.as_ref().and_then(CoreSpan::busy_percent).unwrap_or(0.0));
    match total.busy_percent() {
        None => Err("the counters of the cores did not advance".to_owned()),
        Some(percent) => {
            Ok(Cpu { total_percent: round(percent), core_percent: spans.iter().map(busy).collect(), window })
        }
    }
}

/// Percent of one core, rounded to hundredths; at most that of `cores` cores.
pub(crate) fn of_one_core(spent_ms: u64, elapsed: Duration, cores: usize) -> f64 {
    let percent = 100.0 * spent_ms as f64 / (elapsed.as_secs_f64() * 1000.0).max(1.0);
    round(percent.min(100.0 * cores as f64))
}

/// Rounded to hundredths.
pub(crate) fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_five_that_use_most_come_most_first_and_idle_ones_not_at_all() {
        let processes = |memory: &[u64]| -> Vec<Process> {
            memory
                .iter()
                .zip(1..)
                .map(|(memory_bytes, pid)| Process {
                    pid,
                    name: String::new(),
                    cpu_percent: 0.0,
                    memory_bytes: *memory_bytes,
                })
                .collect()
        };
        for (memory, expected) in [
            (&[][..], &[][..]),
            (&[0, 0], &[]),
            (&[7], &[1]),
            (&[0, 5, 0, 9], &[4, 2]),
            (&[1, 2, 3, 4, 5, 6, 7], &[7, 6, 5, 4, 3]),
            (&[7, 6, 5, 4, 3, 2, 1], &[1, 2, 3, 4, 5]),
            (&[4, 4, 9, 4], &[3, 1, 2, 4]),
        ] {
            let mut processes = processes(memory);
            let pids: Vec<u32> = top(&mut processes, |process| process.memory_bytes).iter().map(|p| p.pid).collect();
            assert_eq!(pids, expected, "{memory:?}");
            assert!(top(&mut processes, |process| process.cpu_percent).is_empty());
        }
    }

    #[test]
    fn cores_that_come_and_go_are_left_out_of_the_total() {
        let core = |core, user_ms, idle_ms| CoreTime { core, user_ms, idle_ms, ..CoreTime::default() };
        let window = Duration::from_millis(250);
        let before = [core(0, 100, 100), core(1, 100, 1000), core(3, 100, 100)];
        for (after, expected) in [
            (vec![core(0, 200, 300), core(1, 100, 1300), core(3, 400, 100)], Some((44.44, vec![33.33, 0.0, 100.0]))),
            (vec![core(0, 200, 200), core(3, 200, 100)], Some((66.67, vec![50.0, 100.0]))),
            // A new core, and one that was off in between.
            (vec![core(0, 200, 200), core(1, 150, 7), core(2, 900, 1)], Some((50.0, vec![50.0, 0.0, 0.0]))),
            // A counter that jumps.
            (vec![core(0, 100 + (1 << 40), 100), core(3, 200, 100)], Some((100.0, vec![0.0, 100.0]))),
            (vec![core(0, 100, u64::MAX)], None),
            (before.to_vec(), None),
            (vec![core(7, 1, 1)], None),
            (vec![], None),
        ] {
            let cpu = cpu(&before, &after, window).ok();
            assert_eq!(cpu.map(|cpu| (cpu.total_percent, cpu.core_percent)), expected, "{after:?}");
        }
    }

    #[test]
    fn shares_are_of_one_core_and_never_more_than_there_are() {
        for (spent_ms, elapsed_ms, cores, expected) in [
            (0, 250, 2, 0.0),
            (250, 250, 2, 100.0),
            (10, 300, 2, 3.33),
            (490, 250, 2, 196.0),
            (900, 250, 2, 200.0),
            (10, 0, 1, 100.0),
        ] {
            assert_eq!(of_one_core(spent_ms, Duration::from_millis(elapsed_ms), cores), expected);
        }
    }
}
