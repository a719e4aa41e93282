//! Parses small text files of the kernel: memory, swap, uptime, boot time, load. Pure. Those with counters are parsed in
//! [`super::counters`].

use std::time::Duration;

use fleetsweep_agent::report::{Commit, Load, Memory, Swap};

/// The part of a kernel file that is not in the documented format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the kernel does not say {0} in a known form")]
pub(crate) struct Unknown(pub(super) &'static str);

/// From `/proc/meminfo`. Used is `total - available`, as `free` counts it since procps 4.
pub(crate) fn memory(meminfo: &str) -> Result<Memory, Unknown> {
    let total_bytes = kib(meminfo, "MemTotal").ok_or(Unknown("MemTotal"))?;
    let available_bytes = match kib(meminfo, "MemAvailable") {
        Some(available) => available,
        // Before Linux 3.14: an approximation, the free memory and the page cache.
        None => {
            let part = |name| kib(meminfo, name).unwrap_or(0);
            (kib(meminfo, "MemFree").ok_or(Unknown("MemAvailable"))?
                + part("Buffers")
                + part("Cached")
                + part("SReclaimable"))
            .saturating_sub(part("Shmem"))
        }
    }
    .min(total_bytes);
    Ok(Memory { total_bytes, used_bytes: total_bytes - available_bytes, available_bytes })
}

/// From `/proc/meminfo`; `None` if there is no swap.
pub(crate) fn swap(meminfo: &str) -> Result<Option<Swap>, Unknown> {
    let total_bytes = kib(meminfo, "SwapTotal").ok_or(Unknown("SwapTotal"))?;
    let free_bytes = kib(meminfo, "SwapFree").ok_or(Unknown("SwapFree"))?;
    Ok((total_bytes > 0).then(|| Swap { total_bytes, used_bytes: total_bytes.saturating_sub(free_bytes) }))
}

/// From `/proc/meminfo` and `/proc/sys/vm/overcommit_memory`. Linux promises more than its limit unless that is 2, so that
/// the limit means nothing otherwise.
pub(crate) fn commit(meminfo: &str, overcommit: &str) -> Option<Commit> {
    if overcommit.trim() != "2" {
        return None;
    }
    let limit_bytes = kib(meminfo, "CommitLimit")?;
    // Processes of root may exceed it.
    Some(Commit { limit_bytes, used_bytes: kib(meminfo, "Committed_AS")?.min(limit_bytes) })
}

/// Bytes of a line like `MemTotal:  24684092 kB`, which counts KiB.
fn kib(meminfo: &str, name: &str) -> Option<u64> {
    let rest = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kib: u64 = rest.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}

/// From `/proc/uptime`: `SECONDS.HUNDREDTHS IDLE`.
pub(crate) fn uptime(uptime: &str) -> Result<Duration, Unknown> {
    let hundredths = hundredths(uptime, 0).ok_or(Unknown("the uptime"))?;
    hundredths.checked_mul(10).map(Duration::from_millis).ok_or(Unknown("the uptime"))
}

/// Milliseconds since the Unix epoch, from the `btime` line of `/proc/stat`.
pub(crate) fn boot(stat: &str) -> Result<i64, Unknown> {
    stat.lines()
        .find_map(|line| line.strip_prefix("btime "))
        .and_then(|seconds| seconds.trim().parse::<i64>().ok()?.checked_mul(1000))
        .ok_or(Unknown("the boot time"))
}

/// From `/proc/loadavg`: `0.52 0.31 0.07 2/713 31337`.
pub(crate) fn load(loadavg: &str) -> Result<Load, Unknown> {
    let average = |index| hundredths(loadavg, index).map(|load| load as f64 / 100.0).ok_or(Unknown("the load"));
    Ok(Load { one: average(0)?, five: average(1)?, fifteen: average(2)? })
}

/// A number such as `0.52`. Parsing it as `f64` would add 14 kB of tables to a program that is uploaded.
pub(super) fn hundredths(text: &str, index: usize) -> Option<u64> {
    let (whole, part) = text.split_whitespace().nth(index)?.split_once('.')?;
    if part.len() != 2 {
        return None;
    }
    whole.parse::<u64>().ok()?.checked_mul(100)?.checked_add(part.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal:       24684092 kB\nMemFree:        24245868 kB\nMemAvailable:   24303160 kB\n\
                           Buffers:           20000 kB\nCached:           300000 kB\nSwapCached:            7 kB\n\
                           SwapTotal:       1048576 kB\nSwapFree:        1044480 kB\nShmem:              8856 kB\n\
                           SReclaimable:      20000 kB\n";

    #[test]
    fn memory_is_counted_as_free_counts_it() {
        let kib = |kib: u64| kib * 1024;
        for (meminfo, expected) in [
            (MEMINFO.to_owned(), Ok((kib(24_684_092), kib(380_932), kib(24_303_160)))),
            (
                MEMINFO.replace("MemAvailable", "Other"),
                Ok((kib(24_684_092), kib(107_080), kib(24_245_868 + 20_000 + 300_000 + 20_000 - 8_856))),
            ),
            // A container's view of the file may have such values.
            (MEMINFO.replace("MemTotal:       24684092", "MemTotal: 1024"), Ok((kib(1024), 0, kib(1024)))),
            (MEMINFO.replace("MemTotal", "Other"), Err(Unknown("MemTotal"))),
            (MEMINFO.replace("24684092", "much"), Err(Unknown("MemTotal"))),
            (String::new(), Err(Unknown("MemTotal"))),
        ] {
            let memory = memory(&meminfo).map(|m| (m.total_bytes, m.used_bytes, m.available_bytes));
            assert_eq!(memory, expected, "{meminfo}");
        }
    }

    #[test]
    fn no_swap_is_absent_and_not_zero() {
        let none = MEMINFO.replace("1048576", "0").replace("1044480", "0");
        for (meminfo, expected) in [
            (MEMINFO.to_owned(), Ok(Some(Swap { total_bytes: 1 << 30, used_bytes: 4 << 20 }))),
            (none, Ok(None)),
            (MEMINFO.replace("SwapFree", "Other"), Err(Unknown("SwapFree"))),
        ] {
            assert_eq!(swap(&meminfo), expected, "{meminfo}");
        }
    }

    #[test]
    fn committed_memory_is_known_where_its_limit_is_enforced() {
        let meminfo = format!("{MEMINFO}CommitLimit:    1000 kB\nCommitted_AS:    900 kB\n");
        let of = |limit_bytes, used_bytes| Some(Commit { limit_bytes, used_bytes });
        for (meminfo, overcommit, expected) in [
            (&*meminfo, "2\n", of(1_024_000, 921_600)),
            (&meminfo.replace("900", "1100"), "2\n", of(1_024_000, 1_024_000)),
            (&meminfo, "0\n", None),
            (&meminfo, "1\n", None),
            (&meminfo, "", None),
            (MEMINFO, "2\n", None),
        ] {
            assert_eq!(commit(meminfo, overcommit), expected, "{overcommit}");
        }
    }

    #[test]
    fn times_and_loads_are_numbers_or_unknown() {
        assert_eq!(uptime("86400.51 123.45\n"), Ok(Duration::from_millis(86_400_510)));
        assert_eq!(uptime("-3 1"), Err(Unknown("the uptime")));
        assert_eq!(uptime("NaN"), Err(Unknown("the uptime")));
        assert_eq!(uptime(""), Err(Unknown("the uptime")));
        assert_eq!(boot("cpu  1 2 3\nbtime 1767139199\nprocesses 7\n"), Ok(1_767_139_199_000));
        assert_eq!(boot("cpu  1 2 3\n"), Err(Unknown("the boot time")));
        assert_eq!(load("0.52 0.31 0.07 2/713 31337\n"), Ok(Load { one: 0.52, five: 0.31, fifteen: 0.07 }));
        assert_eq!(load("0.52 0.31"), Err(Unknown("the load")));
        assert_eq!(load("inf 0 0"), Err(Unknown("the load")));
        assert_eq!(load("0.5 0.31 0.07"), Err(Unknown("the load")));
        assert_eq!(load("184467440737095516.16 0.00 0.00"), Err(Unknown("the load")));
    }
}
