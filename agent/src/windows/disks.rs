//! Makes disks of a report from the counters of the kernel. Pure.

use fleetsweep_agent::report::Disk;

/// The kernel counts time in units of 100 ns.
const STEPS_PER_MS: u64 = 10_000;

/// The counters of a disk at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Performance {
    pub(super) read_bytes: u64,
    pub(super) written_bytes: u64,
    pub(super) reads: u64,
    pub(super) writes: u64,
    /// The time without an operation in progress.
    pub(super) idle_steps: u64,
    /// When the counters were read.
    pub(super) at_steps: u64,
}

/// The disks at the end of the sampling window, by their numbers.
pub(super) fn disks(before: &[(u32, Performance)], after: Vec<(u32, Performance)>) -> Vec<Disk> {
    let disk = |(number, now): (u32, Performance)| {
        let earlier = before.iter().find(|(other, _)| *other == number);
        Disk {
            name: format!("PhysicalDrive{number}"),
            read_bytes: now.read_bytes,
            written_bytes: now.written_bytes,
            reads: now.reads,
            writes: now.writes,
            // Only its differences mean anything, because the clock began long before.
            busy_ms: now.at_steps.checked_sub(now.idle_steps).map(|busy| busy / STEPS_PER_MS),
            window_busy_percent: earlier.and_then(|(_, before)| busy_percent(before, &now)),
        }
    };
    after.into_iter().map(disk).collect()
}

/// The time with an operation in progress, percent 0 to 100; `None` if the counters did not advance or were reset.
fn busy_percent(before: &Performance, now: &Performance) -> Option<f64> {
    let (all, idle) = (now.at_steps.checked_sub(before.at_steps)?, now.idle_steps.checked_sub(before.idle_steps)?);
    (all > 0).then(|| 100.0 * all.saturating_sub(idle) as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(at_ms: u64, idle_ms: u64) -> Performance {
        let steps = |ms: u64| ms * STEPS_PER_MS;
        Performance {
            read_bytes: 10,
            written_bytes: 20,
            reads: 1,
            writes: 2,
            idle_steps: steps(idle_ms),
            at_steps: steps(at_ms),
        }
    }

    #[test]
    fn a_disk_is_busy_while_it_is_not_idle() {
        for (before, now, busy_ms, window) in [
            (at(10_000, 4000), at(10_250, 4200), Some(6050), Some(20.0)),
            (at(10_000, 4000), at(10_250, 4000), Some(6250), Some(100.0)),
            // Idle time is read a moment later than the time.
            (at(10_000, 4000), at(10_250, 4251), Some(5999), Some(0.0)),
            (at(10_000, 4000), at(10_000, 4000), Some(6000), None),
            // Counters that were reset, and a clock that was set back.
            (at(10_000, 4000), at(10_250, 10), Some(10_240), None),
            (at(10_000, 4000), at(3000, 4200), None, None),
        ] {
            let disks = disks(&[(7, at(1, 1)), (0, before)], vec![(0, now)]);
            assert_eq!((disks[0].busy_ms, disks[0].window_busy_percent), (busy_ms, window), "{now:?}");
            assert_eq!((&*disks[0].name, disks[0].written_bytes, disks[0].writes), ("PhysicalDrive0", 20, 2));
        }
        assert_eq!(disks(&[], vec![(1, at(5, 1))])[0].window_busy_percent, None);
    }
}
