//! Averages of a client since its last collection: the differences of its counters.
//!
//! Two collections are compared if the machine was not restarted in between, and if they are 200 ms to 15 minutes apart
//! by a clock of the machine that is never set. Neither the collector's clock nor the machine's time of day matters.
//! Each counter is checked separately: one that was reset, that wrapped, or that says more than is possible gives no
//! difference, and what the agent measured during its sampling window stays. So no value is a peak that never was, and
//! none is outside of its range.

use fleetsweep_agent::report::{CoreSpan, CoreTime, Resource};

use super::{
    Percent, Reading,
    counters::{Counters, DiskCounters, InterfaceCounters},
    rates::{DiskRates, InterfaceRates, is_possible, mbit, rounded},
};

#[cfg(test)]
mod tests;

/// The shortest time between two collections that are compared. In a shorter time, the kernel's ticks are too coarse.
const SHORTEST_MS: u64 = 200;
/// The longest time between two collections that are compared. An average over a longer time says little about now.
const LONGEST_MS: u64 = 15 * 60 * 1000;
/// The shortest time over which pressure is compared, because the kernel updates it only every 2 seconds.
const SHORTEST_OF_PRESSURE_MS: u64 = 10_000;
/// At this number, the counter of a disk's busy time begins again.
const BUSY_MS_WRAP: u64 = 1 << 32;

/// The fastest possible disk, bytes per second: more than two dozen of the fastest ones as one.
const FASTEST_DISK_BYTES: f64 = 4e11;
/// The most possible operations of a disk, per second.
const MOST_OPERATIONS: f64 = 1e9;
/// By how much the time since the start of a container must go back to be another start, milliseconds.
const RESTART_MS: u64 = 1000;

impl Reading {
    /// Replaces what the agent measured during its sampling window with the averages since the last collection, as far
    /// as the counters of both collections can be compared.
    pub fn average_since(&mut self, before: &Counters, now: &Counters) {
        let is_same_start = before.boot_id == now.boot_id;
        self.rates.restarts = Some(u64::from(!is_same_start || is_container_restart(before, now)));
        self.rates.oom_kills = match (before.oom_kills, now.oom_kills) {
            (_, None) => None,
            // All of them are later than the last collection.
            (_, Some(now)) if !is_same_start => Some(now),
            (before, Some(now)) => before.and_then(|before| now.checked_sub(before)),
        };
        // The last ones are those of this time.
        let victims = &mut self.rates.oom_victims;
        let earlier = match self.rates.oom_kills {
            Some(kills) => victims.len().saturating_sub(usize::try_from(kills).unwrap_or(usize::MAX)),
            None => victims.len(),
        };
        victims.drain(..earlier);
        let Some(span_ms) = span_ms(before, now) else { return };
        self.average_cores(&before.cores, &now.cores, span_ms);
        for rate in &mut self.rates.interfaces {
            if let (Some(before), Some(now)) = (before.interfaces.get(&rate.name), now.interfaces.get(&rate.name)) {
                rate.average(before, now, span_ms);
            }
        }
        for rate in &mut self.rates.disks {
            if let (Some(before), Some(now)) = (before.disks.get(&rate.name), now.disks.get(&rate.name)) {
                rate.average(before, now, span_ms);
            }
        }
        for resource in Resource::ALL.into_iter().filter(|_| span_ms >= SHORTEST_OF_PRESSURE_MS) {
            let rate = self.rates.pressure.iter_mut().find(|rate| rate.resource == resource.word());
            let waited_us = now.pressure_us(resource).zip(before.pressure_us(resource));
            if let (Some(rate), Some((now_us, before_us))) = (rate, waited_us)
                && let Some(some) = now_us.checked_sub(before_us).and_then(|us| share_of_time(us / 1000, span_ms))
            {
                rate.some = Some(some);
            }
        }
        let per_second = |of: fn(&Counters) -> Option<u64>| per_second(of(before)?, of(now)?, span_ms);
        self.rates.context_switches = per_second(|counters| counters.context_switches);
        self.rates.page_faults = per_second(|counters| counters.page_faults);
        self.rates.major_page_faults = per_second(|counters| counters.major_page_faults);
    }

    /// The averages of the cores that are in both collections. Of any other core, the value of the window stays.
    fn average_cores(&mut self, before: &[CoreTime], now: &[CoreTime], span_ms: u64) {
        // Both are sorted by the number of the core.
        let find = |core: u32| before.binary_search_by_key(&core, |time| time.core).ok().and_then(|at| before.get(at));
        let span = |time: &CoreTime| {
            let span = time.since(find(time.core)?)?;
            (span.busy_percent().is_some() && span.is_within(span_ms)).then_some(span)
        };
        let spans: Vec<Option<CoreSpan>> = now.iter().map(span).collect();
        if spans.iter().flatten().count() * 2 < spans.len().max(1) {
            return;
        }
        let sum = CoreSpan::sum(spans.iter().flatten().copied());
        let Some(total) = sum.busy_percent().and_then(rounded) else { return };
        self.cpu = Some(total);
        self.rates.cpu_span_ms = Some(span_ms);
        self.rates.steal = sum.steal_percent().and_then(rounded);
        self.rates.io_wait = sum.io_wait_percent().and_then(rounded);
        if self.cores.len() == spans.len() {
            for (core, span) in self.cores.iter_mut().zip(&spans) {
                if let Some(percent) = span.as_ref().and_then(CoreSpan::busy_percent).and_then(rounded) {
                    *core = percent;
                }
            }
        }
    }
}

impl InterfaceRates {
    fn average(&mut self, before: &InterfaceCounters, now: &InterfaceCounters, span_ms: u64) {
        // Another interface, which has its name now.
        if before.index.zip(now.index).is_some_and(|(before, now)| before != now) {
            return;
        }
        let speed_mbit = self.speed_mbit;
        let rate = |before: u64, now: u64| {
            let mbit = mbit(now.checked_sub(before)?, span_ms);
            is_possible(mbit, speed_mbit).then_some(mbit)
        };
        if let Some(received) = rate(before.received_bytes, now.received_bytes)
            && let Some(sent) = rate(before.sent_bytes, now.sent_bytes)
        {
            (self.received_mbit, self.sent_mbit) = (Some(received), Some(sent));
            let optional = |before: Option<u64>, now: Option<u64>| per_second(before?, now?, span_ms);
            self.packets = optional(before.packets, now.packets);
            self.errors = optional(before.errors, now.errors);
        }
    }
}

impl DiskRates {
    fn average(&mut self, before: &DiskCounters, now: &DiskCounters, span_ms: u64) {
        let busy_ms = before.busy_ms.zip(now.busy_ms).and_then(|(before, now)| match now.checked_sub(before) {
            Some(busy_ms) => Some(busy_ms),
            None if before < BUSY_MS_WRAP => now.checked_add(BUSY_MS_WRAP)?.checked_sub(before),
            None => None,
        });
        if let Some(busy_ms) = busy_ms {
            // A counter that was reset, and did not wrap, would say more than the time that has passed. The others were
            // reset as well.
            let Some(busy) = share_of_time(busy_ms, span_ms) else { return };
            self.busy = Some(busy);
        } else if before.busy_ms.is_some() && now.busy_ms.is_some() {
            return;
        }
        let rate = |before, now, most| per_second(before, now, span_ms).filter(|rate| *rate <= most);
        self.read_bytes = rate(before.read_bytes, now.read_bytes, FASTEST_DISK_BYTES);
        self.written_bytes = rate(before.written_bytes, now.written_bytes, FASTEST_DISK_BYTES);
        self.operations = rate(before.operations, now.operations, MOST_OPERATIONS);
    }
}

/// Whether a container was restarted on a host that was not: the time since its start went back, and that of the host went
/// on. Its counters are those of the host, and were not reset.
fn is_container_restart(before: &Counters, now: &Counters) -> bool {
    let went_back =
        before.uptime_ms.zip(now.uptime_ms).is_some_and(|(before, now)| now.saturating_add(RESTART_MS) < before);
    before.boot_id == now.boot_id && went_back && now.monotonic_ms > before.monotonic_ms
}

/// The time between two collections of the same start of the machine; `None` if they are not compared.
fn span_ms(before: &Counters, now: &Counters) -> Option<u64> {
    let span_ms = now.monotonic_ms.checked_sub(before.monotonic_ms)?;
    // The other clock goes on while the machine is suspended.
    let up_ms = match (before.uptime_ms, now.uptime_ms) {
        (Some(before), Some(now)) => now.checked_sub(before)?,
        (None, _) | (_, None) => span_ms,
    };
    let is_compared = before.boot_id == now.boot_id && span_ms >= SHORTEST_MS && span_ms.max(up_ms) <= LONGEST_MS;
    is_compared.then_some(span_ms)
}

/// A part of the time that has passed. `None` if it is clearly more, beyond what rounding and late updates explain.
fn share_of_time(part_ms: u64, span_ms: u64) -> Option<Percent> {
    let slack_ms = (span_ms / 8).min(2500);
    (part_ms <= span_ms + slack_ms).then(|| 100.0 * part_ms as f64 / span_ms as f64).and_then(rounded)
}

fn per_second(before: u64, now: u64, span_ms: u64) -> Option<f64> {
    let count = now.checked_sub(before)? as f64;
    Some((count / span_ms as f64 * 1_000_000.0).round() / 1000.0)
}
