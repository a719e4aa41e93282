//! Parses tables of counters of the kernel: processors, processes, page files. Pure. The tables have the layout of
//! 64-bit Windows. Data that does not fit it is ignored.

use std::fmt::Display;

use fleetsweep_agent::report::{CoreTime, Swap, Warning};

/// The size of an entry in the table of processors.
const PROCESSOR_BYTES: usize = 48;
/// A page of memory, on x86-64 and on ARM.
const PAGE_BYTES: u64 = 4096;
/// The kernel counts time in units of 100 ns.
const STEPS_PER_MS: u64 = 10_000;

/// A table of the kernel.
pub(super) struct Table {
    pub(super) bytes: Vec<u8>,
    /// The address to which the kernel wrote it. Pointers in the table are relative to the same address space.
    pub(super) address: usize,
}

impl Table {
    fn at<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.bytes.get(offset..)?.first_chunk().copied()
    }

    fn u16(&self, offset: usize) -> Option<u16> {
        self.at(offset).map(u16::from_le_bytes)
    }

    fn u32(&self, offset: usize) -> Option<u32> {
        self.at(offset).map(u32::from_le_bytes)
    }

    fn u64(&self, offset: usize) -> Option<u64> {
        self.at(offset).map(u64::from_le_bytes)
    }

    /// The UTF-16 text to which an entry points.
    fn text(&self, offset: usize) -> Option<String> {
        let length = usize::from(self.u16(offset)?);
        let start = usize::try_from(self.u64(offset + 8)?).ok()?.checked_sub(self.address)?;
        let bytes = self.bytes.get(start..start.checked_add(length)?)?;
        let units: Vec<u16> = bytes.as_chunks().0.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
        Some(String::from_utf16_lossy(&units))
    }

    /// The offsets of the entries of a table in which each entry contains the offset of the next one.
    fn lines(&self) -> impl Iterator<Item = usize> {
        let mut next = Some(0);
        std::iter::from_fn(move || {
            let offset = next?;
            let distance = usize::try_from(self.u32(offset)?).ok()?;
            next = if distance == 0 { None } else { offset.checked_add(distance) };
            Some(offset)
        })
    }
}

/// The time of the processors in a table, in order.
pub(super) fn processors(table: &Table) -> Vec<CoreTime> {
    let line = |core: usize| {
        let offset = core * PROCESSOR_BYTES;
        let (idle, kernel, user) = (table.u64(offset)?, table.u64(offset + 8)?, table.u64(offset + 16)?);
        let (deferred, interrupt) = (table.u64(offset + 24)?, table.u64(offset + 32)?);
        // The kernel time includes the other times of the kernel.
        let system = kernel.saturating_sub(idle).saturating_sub(deferred).saturating_sub(interrupt);
        Some(CoreTime {
            core: u32::try_from(core).ok()?,
            user_ms: user / STEPS_PER_MS,
            system_ms: system / STEPS_PER_MS,
            idle_ms: idle / STEPS_PER_MS,
            interrupt_ms: Some(interrupt / STEPS_PER_MS),
            soft_interrupt_ms: Some(deferred / STEPS_PER_MS),
            ..CoreTime::default()
        })
    };
    (0..table.bytes.len() / PROCESSOR_BYTES).filter_map(line).collect()
}

/// Page faults since the start, all and those with a read from disk. They are counted with 32 bits.
pub(super) fn page_faults(table: &Table) -> Option<(u64, u64)> {
    Some((table.u32(0x3c)?.into(), table.u32(0x54)?.into()))
}

/// The speed of a link, Mbit/s; `None` if it is unknown or has no limit.
pub(super) fn speed_mbit(bits_per_second: u64) -> Option<u32> {
    u32::try_from(bits_per_second / 1_000_000).ok().filter(|mbit| *mbit > 0)
}

/// Names a start of the machine: the time of the start, as the clock was set then.
pub(super) fn boot_id(table: &Table) -> String {
    // The time of the start follows the clock whenever it is set, and the second number says by how much.
    let (started, set_since) = (table.u64(0).unwrap_or(0), table.u64(32).unwrap_or(0));
    format!("{:016x}", started.wrapping_sub(set_since))
}

/// The processors of all groups with these numbers of processors. A query of the whole system only returns the group in
/// which this process runs, so each group is queried separately. A group that fails adds a warning.
pub(super) fn of_groups<E: Display>(
    groups: &[u32],
    whole: impl FnOnce() -> Result<Table, E>,
    of_group: impl Fn(u16) -> Result<Table, E>,
) -> (Result<Vec<CoreTime>, E>, Vec<Warning>) {
    if groups.len() <= 1 {
        return (whole().map(|table| processors(&table)), Vec::new());
    }
    let (mut all, mut warnings, mut failed) = (Vec::new(), Vec::new(), None);
    for (group, count) in (0..).zip(groups) {
        match of_group(group) {
            Ok(table) => {
                let first = u32::try_from(all.len()).unwrap_or(u32::MAX);
                let of_group = processors(&table).into_iter();
                all.extend(of_group.map(|time| CoreTime { core: first.saturating_add(time.core), ..time }));
            }
            Err(error) => {
                let what = format!("CPU use of the {count} processors of group {group}");
                warnings.push(Warning { what, why: error.to_string() });
                failed = Some(error);
            }
        }
    }
    match failed {
        Some(error) if all.is_empty() => (Err(error), warnings),
        Some(_) | None => (Ok(all), warnings),
    }
}

/// A process and its usage since its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProcessLine {
    pub(super) pid: u32,
    pub(super) name: String,
    /// Its start time, which distinguishes processes with the same id.
    pub(super) started: u64,
    pub(super) spent_ms: u64,
    pub(super) memory_bytes: u64,
}

/// How many processes have each of the names, whatever their capitals.
pub(super) fn count(processes: &[ProcessLine], names: &[String]) -> Vec<(String, u32)> {
    let of = |name: &String| processes.iter().filter(|process| process.name.eq_ignore_ascii_case(name)).count();
    names.iter().map(|name| (name.clone(), u32::try_from(of(name)).unwrap_or(u32::MAX))).collect()
}

/// The processes in a table, without the idle process.
pub(super) fn processes(table: &Table) -> Vec<ProcessLine> {
    let line = |offset: usize| {
        let pid = u32::try_from(table.u64(offset + 0x50)?).ok()?;
        let spent = table.u64(offset + 0x28)?.saturating_add(table.u64(offset + 0x30)?);
        Some(ProcessLine {
            pid,
            name: table.text(offset + 0x38).unwrap_or_default(),
            started: table.u64(offset + 0x20)?,
            spent_ms: spent / STEPS_PER_MS,
            memory_bytes: table.u64(offset + 0x90)?,
        })
    };
    table.lines().filter_map(line).filter(|process| process.pid != 0).collect()
}

/// The total of all page files; `None` if there are none.
pub(super) fn page_files(table: &Table) -> Option<Swap> {
    let line = |offset: usize| Some((u64::from(table.u32(offset + 4)?), u64::from(table.u32(offset + 8)?)));
    let (total, used) = table.lines().filter_map(line).fold((0_u64, 0_u64), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    (total > 0).then(|| Swap { total_bytes: total * PAGE_BYTES, used_bytes: used.min(total) * PAGE_BYTES })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ADDRESS: usize = 0x7000_0000;

    fn table(bytes: Vec<u8>) -> Table {
        Table { bytes, address: ADDRESS }
    }

    fn put(bytes: &mut [u8], offset: usize, value: &[u8]) {
        bytes[offset..offset + value.len()].copy_from_slice(value);
    }

    /// Times in milliseconds: idle, kernel, user, deferred, interrupt.
    fn processor_line(times: [u64; 5]) -> Vec<u8> {
        let mut line = vec![0xee; PROCESSOR_BYTES];
        for (index, ms) in times.into_iter().enumerate() {
            put(&mut line, index * 8, &(ms * STEPS_PER_MS).to_le_bytes());
        }
        line
    }

    #[test]
    fn the_time_of_the_kernel_contains_all_but_that_of_programs() {
        let lines = [processor_line([100, 150, 50, 7, 3]), processor_line([0; 5]), processor_line([9, 7, 7, 0, 0])];
        let processors = processors(&table(lines.concat()));
        let first = CoreTime {
            core: 0,
            user_ms: 50,
            system_ms: 40,
            idle_ms: 100,
            interrupt_ms: Some(3),
            soft_interrupt_ms: Some(7),
            ..CoreTime::default()
        };
        assert_eq!(processors[0], first);
        // The times are not read at one moment.
        assert_eq!((processors[2].core, processors[2].system_ms), (2, 0));
        let mut torn = processor_line([1; 5]);
        torn.extend(&torn.clone()[..47]);
        assert_eq!(super::processors(&table(torn)).len(), 1);
    }

    #[test]
    fn several_groups_of_processors_are_asked_one_by_one() {
        let of_group = |group| match group {
            0 => Ok(table([processor_line([1, 2, 3, 0, 0]), processor_line([1, 2, 3, 0, 0])].concat())),
            1 => Err("not this one"),
            _ => Ok(table(processor_line([4, 5, 6, 0, 0]))),
        };
        for (groups, processors, unmeasured) in [
            (&[64, 64, 32][..], Ok(3), &["CPU use of the 64 processors of group 1"][..]),
            (&[64, 64], Ok(2), &["CPU use of the 64 processors of group 1"]),
            (&[8], Ok(1), &[]),
            (&[], Ok(1), &[]),
        ] {
            let (found, warnings) = of_groups(groups, || of_group(2), of_group);
            let numbers = found.map(|all| all.iter().map(|time| time.core).collect::<Vec<_>>());
            assert_eq!(numbers, processors.map(|count| (0..count).collect()), "{groups:?}");
            assert_eq!(warnings.iter().map(|warning| &*warning.what).collect::<Vec<_>>(), unmeasured);
        }
        let (none, warnings) = of_groups(&[64, 64], || of_group(0), |_| Err("none"));
        assert_eq!((none, warnings.len()), (Err("none"), 2));
    }

    #[test]
    fn a_start_has_the_same_name_after_the_clock_was_set() {
        let boot = |started: u64, set_since: u64| {
            let mut bytes = vec![0; 48];
            put(&mut bytes, 0, &started.to_le_bytes());
            put(&mut bytes, 8, &77_u64.to_le_bytes());
            put(&mut bytes, 32, &set_since.to_le_bytes());
            boot_id(&table(bytes))
        };
        assert_eq!(boot(0x01dc_5f00_0000_0000, 0), "01dc5f0000000000");
        assert_eq!(boot(0x01dc_5f00_0000_0000 + 500, 500), "01dc5f0000000000");
        assert_eq!(boot(0x01dc_5f00_0000_0000 - 500, 0_u64.wrapping_sub(500)), "01dc5f0000000000");
        assert_ne!(boot(0x01dc_5f00_0000_0001, 0), "01dc5f0000000000");
        assert_eq!(boot_id(&table(vec![])), "0000000000000000");
    }

    fn process_line(next: u32, pid: u64, name_at: usize) -> Vec<u8> {
        let mut line = vec![0; 0x100];
        put(&mut line, 0, &next.to_le_bytes());
        put(&mut line, 0x20, &77_u64.to_le_bytes());
        put(&mut line, 0x28, &(3 * STEPS_PER_MS).to_le_bytes());
        put(&mut line, 0x30, &(4 * STEPS_PER_MS).to_le_bytes());
        put(&mut line, 0x38, &8_u16.to_le_bytes());
        put(&mut line, 0x40, &((ADDRESS + name_at) as u64).to_le_bytes());
        put(&mut line, 0x50, &pid.to_le_bytes());
        put(&mut line, 0x90, &4096_u64.to_le_bytes());
        let name: Vec<u8> = "a.ex".encode_utf16().flat_map(u16::to_le_bytes).collect();
        put(&mut line, 0xf0, &name);
        line
    }

    #[test]
    fn processes_come_with_their_names_and_times() {
        let mut bytes = process_line(0x100, 0, 0xf0);
        bytes.extend(process_line(0x100, 4, 0x1f0));
        // A name outside of the table is not read.
        bytes.extend(process_line(0, 8, 0x9999));
        bytes.extend(process_line(0, 12, 0x1f0));
        let expected =
            |pid, name: &str| ProcessLine { pid, name: name.to_owned(), started: 77, spent_ms: 7, memory_bytes: 4096 };
        assert_eq!(processes(&table(bytes)), [expected(4, "a.ex"), expected(8, "")]);
    }

    #[test]
    fn page_files_are_added_up_and_absent_where_there_are_none() {
        let line = |next: u32, total: u32, used: u32| [next, total, used, 0, 0, 0, 0, 0].map(u32::to_le_bytes).concat();
        for (bytes, expected) in [
            ([line(32, 100, 40), line(0, 50, 10)].concat(), Some((150 * 4096, 50 * 4096))),
            (line(0, 0, 0), None),
            (vec![], None),
            (line(0, 10, 20), Some((40_960, 40_960))),
        ] {
            assert_eq!(page_files(&table(bytes)).map(|swap| (swap.total_bytes, swap.used_bytes)), expected);
        }
    }

    #[test]
    fn page_faults_speeds_and_names_are_found() {
        let mut bytes = vec![0xee; 0x60];
        put(&mut bytes, 0x3c, &700_u32.to_le_bytes());
        put(&mut bytes, 0x54, &u32::MAX.to_le_bytes());
        assert_eq!(page_faults(&table(bytes.clone())), Some((700, u64::from(u32::MAX))));
        bytes.truncate(0x50);
        assert_eq!(page_faults(&table(bytes)), None);
        for (bits, expected) in [(2_500_000_000, Some(2500)), (500_000, None), (u64::MAX, None)] {
            assert_eq!(speed_mbit(bits), expected, "{bits}");
        }
        let process =
            |name: &str| ProcessLine { pid: 1, name: name.to_owned(), started: 0, spent_ms: 0, memory_bytes: 0 };
        let names = ["W3WP.exe", "java"].map(str::to_owned);
        let counts = count(&["w3wp.exe", "w3wp.exe", "java.exe"].map(process), &names);
        assert_eq!(counts, [("W3WP.exe".to_owned(), 2), ("java".to_owned(), 0)]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let table = table(bytes);
            processors(&table);
            processes(&table);
            page_files(&table);
        }
    }
}
