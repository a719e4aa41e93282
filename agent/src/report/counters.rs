//! Counters of a machine since it was started. The differences between two collections are averages of the whole time
//! between them, which a sample at one moment is not.
//!
//! A counter that the machine does not have is absent, never 0. Counters may be reset, may wrap and, on some kernels,
//! may decrease. Whoever takes differences must expect this.

/// The counters.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Counters {
    /// Names this start of the machine. After a restart it is another one.
    pub boot_id: String,
    /// The time of a clock that is never set, milliseconds since an unknown moment before or at the start. It may stand
    /// still while the machine is suspended.
    pub monotonic_ms: u64,
    /// The time of each core that is online.
    pub cores: Vec<CoreTime>,
    /// Context switches of all cores.
    pub context_switches: Option<u64>,
    /// Page faults, including those without a read from disk.
    pub page_faults: Option<u64>,
    /// Page faults with a read from disk.
    pub major_page_faults: Option<u64>,
    /// Processes killed because memory ran out.
    pub oom_kills: Option<u64>,
    /// Disks, physical ones first.
    pub disks: Vec<Disk>,
    /// For how long tasks waited for a resource.
    pub pressure: Vec<Pressure>,
}

/// The time of one core by kind, milliseconds. Time of guests is contained in `user_ms` and `nice_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CoreTime {
    /// The number of the core.
    pub core: u32,
    /// In programs.
    pub user_ms: u64,
    /// In programs of low priority.
    pub nice_ms: Option<u64>,
    /// In the kernel, without interrupts if these are counted separately.
    pub system_ms: u64,
    /// Without work.
    pub idle_ms: u64,
    /// Without work, while a task of this core waited for a disk.
    pub io_wait_ms: Option<u64>,
    /// In interrupts.
    pub interrupt_ms: Option<u64>,
    /// In deferred work of interrupts.
    pub soft_interrupt_ms: Option<u64>,
    /// With work, while the hypervisor ran something else. The machine did not have this time.
    pub steal_ms: Option<u64>,
}

/// How far a kind of time may go back between two readings, milliseconds. The parts of a core's time are not read at the
/// same moment, and are rounded.
const SLACK_MS: i128 = 100;

impl CoreTime {
    /// The time without work, whether a task waited for a disk or not.
    fn all_idle_ms(&self) -> u64 {
        self.idle_ms.saturating_add(self.io_wait_ms.unwrap_or(0))
    }

    /// The time since an earlier reading of the same core; `None` if the counters were reset in between.
    ///
    /// On Linux, the time without work goes over from waiting for a disk to idle and back, so that each of the two may
    /// decrease. Only their sum does not.
    #[must_use]
    pub fn since(&self, before: &Self) -> Option<CoreSpan> {
        let difference = |now: u64, before: u64| {
            let difference = i128::from(now) - i128::from(before);
            (difference >= -SLACK_MS).then_some(difference)
        };
        let of_kind = |kind: fn(&Self) -> Option<u64>| match (kind(self), kind(before)) {
            (Some(now), Some(before)) => difference(now, before),
            // A kind that only one of the readings has.
            (None, _) | (_, None) => Some(0),
        };
        let mut busy = 0;
        for kind in [
            |core: &Self| Some(core.user_ms),
            |core: &Self| core.nice_ms,
            |core: &Self| Some(core.system_ms),
            |core: &Self| core.interrupt_ms,
            |core: &Self| core.soft_interrupt_ms,
        ] {
            busy += of_kind(kind)?;
        }
        let idle = difference(self.all_idle_ms(), before.all_idle_ms())?;
        let steal = of_kind(|core| core.steal_ms)?;
        let whole = |difference: i128| u64::try_from(difference.max(0)).unwrap_or(u64::MAX);
        Some(CoreSpan {
            busy_ms: whole(busy),
            idle_ms: whole(idle),
            io_wait_ms: self.io_wait_ms.zip(before.io_wait_ms).map(|(now, before)| now.saturating_sub(before)),
            steal_ms: self.steal_ms.map(|_| whole(steal)),
        })
    }
}

/// The time of one or more cores between two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CoreSpan {
    /// With work.
    pub busy_ms: u64,
    /// Without work.
    pub idle_ms: u64,
    /// The part of `idle_ms` in which a task waited for a disk.
    pub io_wait_ms: Option<u64>,
    /// With work, while the hypervisor ran something else. It is in no other field.
    pub steal_ms: Option<u64>,
}

impl CoreSpan {
    /// The sum of several cores.
    #[must_use]
    pub fn sum(spans: impl IntoIterator<Item = Self>) -> Self {
        let add = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            (one, other) => one.or(other),
        };
        spans.into_iter().fold(Self::default(), |sum, span| Self {
            busy_ms: sum.busy_ms.saturating_add(span.busy_ms),
            idle_ms: sum.idle_ms.saturating_add(span.idle_ms),
            io_wait_ms: add(sum.io_wait_ms, span.io_wait_ms),
            steal_ms: add(sum.steal_ms, span.steal_ms),
        })
    }

    /// The time with work, percent 0 to 100 of the time that the machine had; `None` if it had none.
    #[must_use]
    pub fn busy_percent(&self) -> Option<f64> {
        percent(self.busy_ms, self.busy_ms.checked_add(self.idle_ms)?)
    }

    /// The time that tasks waited for a disk, percent 0 to 100 of all time.
    #[must_use]
    pub fn io_wait_percent(&self) -> Option<f64> {
        percent(self.io_wait_ms?.min(self.idle_ms), self.all_ms()?)
    }

    /// The time that the hypervisor took, percent 0 to 100 of all time.
    #[must_use]
    pub fn steal_percent(&self) -> Option<f64> {
        percent(self.steal_ms?, self.all_ms()?)
    }

    /// Whether a core can have spent this time in a time of `span_ms`. The kernel updates its counters late, so it may be an
    /// eighth more, or a second. A counter that jumps says more.
    #[must_use]
    pub fn is_within(&self, span_ms: u64) -> bool {
        self.all_ms().is_some_and(|all_ms| all_ms <= span_ms.saturating_add((span_ms / 8).max(1000)))
    }

    fn all_ms(&self) -> Option<u64> {
        self.busy_ms.checked_add(self.idle_ms)?.checked_add(self.steal_ms.unwrap_or(0))
    }
}

fn percent(part_ms: u64, all_ms: u64) -> Option<f64> {
    (all_ms > 0).then(|| 100.0 * part_ms as f64 / all_ms as f64)
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Disk {
    /// Its name, e.g. `sda`.
    pub name: String,
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Completed reads.
    pub reads: u64,
    /// Completed writes.
    pub writes: u64,
    /// The time with at least one operation in progress, milliseconds. It wraps at 2^32 on Linux.
    pub busy_ms: Option<u64>,
    /// The same during the sampling window, percent 0 to 100; `None` if it was not measured.
    pub window_busy_percent: Option<f64>,
}

/// The resource that tasks wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// A core.
    Cpu,
    /// Memory.
    Memory,
    /// Disks.
    Io,
}

impl Resource {
    /// Every resource.
    pub const ALL: [Self; 3] = [Self::Cpu, Self::Memory, Self::Io];

    /// Its name in the report, and in Linux.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Io => "io",
        }
    }

    /// The resource with this name.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource| resource.word() == word)
    }
}

/// For how long tasks waited for a resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Pressure {
    /// The resource.
    pub resource: Resource,
    /// The time in which at least one task waited, microseconds.
    pub some_us: u64,
    /// The time in which all tasks that were not idle waited, microseconds.
    pub full_us: Option<u64>,
    /// The part of the last 10 seconds in which at least one task waited, as the kernel averages it, percent 0 to 100.
    pub window_some_percent: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `user nice system idle iowait irq softirq steal`, in milliseconds.
    fn time([user_ms, nice, system_ms, idle_ms, io_wait, interrupt, soft_interrupt, steal]: [u64; 8]) -> CoreTime {
        CoreTime {
            core: 0,
            user_ms,
            nice_ms: Some(nice),
            system_ms,
            idle_ms,
            io_wait_ms: Some(io_wait),
            interrupt_ms: Some(interrupt),
            soft_interrupt_ms: Some(soft_interrupt),
            steal_ms: Some(steal),
        }
    }

    /// Busy, waiting for disks and stolen, percent.
    fn shares(before: [u64; 8], now: [u64; 8]) -> Option<[Option<f64>; 3]> {
        let span = time(now).since(&time(before))?;
        Some([span.busy_percent(), span.io_wait_percent(), span.steal_percent()])
    }

    #[test]
    fn idle_includes_waiting_for_disks_and_steal_is_time_that_the_machine_did_not_have() {
        let before = [1000, 0, 1000, 50_000, 500, 0, 0, 100];
        for (now, expected) in [
            // Half busy: 2 s user, 0.5 s of low priority, 1.5 s system, 0.5 s of each interrupt, 5 s without work.
            ([3000, 500, 2500, 54_000, 1500, 500, 500, 100], Some([Some(50.0), Some(10.0), Some(0.0)])),
            // All of the time that it had, which was a quarter.
            ([3500, 0, 1000, 50_000, 500, 0, 0, 7600], Some([Some(100.0), Some(0.0), Some(75.0)])),
            ([1000, 0, 1000, 60_000, 500, 0, 0, 100], Some([Some(0.0), Some(0.0), Some(0.0)])),
            // Nothing advanced.
            (before, Some([None, None, None])),
            // All of the time was stolen.
            ([1000, 0, 1000, 50_000, 500, 0, 0, 8100], Some([None, Some(0.0), Some(100.0)])),
        ] {
            assert_eq!(shares(before, now), expected, "{now:?}");
        }
    }

    #[test]
    fn waiting_for_disks_that_became_idle_time_is_no_work() {
        let before = [1000, 0, 1000, 50_000, 5000, 0, 0, 0];
        for (now, expected) in [
            // 1 s of work in 10 s.
            ([2000, 0, 1000, 63_000, 1000, 0, 0, 0], Some(Some(10.0))),
            ([2000, 0, 1000, 49_000, 15_000, 0, 0, 0], Some(Some(10.0))),
            // Rounded down.
            ([2000, 0, 1000, 49_990, 5000, 0, 0, 0], Some(Some(100.0))),
            // A core that was off for a while counts anew.
            ([2000, 0, 1000, 20, 5, 0, 0, 0], None),
            ([2000, 0, 1000, 50_000, 0, 0, 0, 0], None),
        ] {
            assert_eq!(shares(before, now).map(|[busy, ..]| busy), expected, "{now:?}");
        }
    }

    #[test]
    fn a_kind_that_was_reset_makes_the_span_unknown() {
        let before = [5000, 5000, 5000, 5000, 5000, 5000, 5000, 5000];
        for (kind, reset) in [0, 1, 2, 5, 6, 7].into_iter().zip([0, 4899, 7, 0, 0, 0]) {
            let mut now = before.map(|ms| ms + 10_000);
            now[kind] = reset;
            assert_eq!(shares(before, now), None, "{kind}");
            // Less than the slack.
            now[kind] = 4950;
            assert!(shares(before, now).is_some(), "{kind}");
        }
        let mut greatest = before;
        greatest[0] = u64::MAX;
        assert_eq!(shares(before, greatest), Some([Some(100.0), Some(0.0), Some(0.0)]));
        assert_eq!(shares(greatest, before), None);
        assert_eq!(shares([0; 8], [u64::MAX; 8]).map(|[busy, ..]| busy), Some(None));
    }

    #[test]
    fn a_kind_that_a_platform_lacks_is_absent() {
        let (before, now) = (
            CoreTime { user_ms: 10, system_ms: 10, idle_ms: 10, ..CoreTime::default() },
            CoreTime { user_ms: 1010, system_ms: 1010, idle_ms: 2010, ..CoreTime::default() },
        );
        let span = now.since(&before).unwrap();
        assert_eq!(span, CoreSpan { busy_ms: 2000, idle_ms: 2000, io_wait_ms: None, steal_ms: None });
        assert_eq!((span.busy_percent(), span.io_wait_percent(), span.steal_percent()), (Some(50.0), None, None));
        assert_eq!(CoreSpan::sum([span, span]).busy_ms, 4000);
    }
}
