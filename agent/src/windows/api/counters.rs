//! Reads tables of counters from the kernel. They are parsed elsewhere.

use std::{fmt, io};

use windows_sys::{
    Wdk::System::SystemInformation::NtQuerySystemInformation,
    Win32::{
        Foundation::{
            NTSTATUS, STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL, STATUS_INFO_LENGTH_MISMATCH, STATUS_SUCCESS,
        },
        System::SystemInformation::{GetTickCount64, GlobalMemoryStatusEx, MEMORYSTATUSEX},
        System::Threading::{GetActiveProcessorCount, GetActiveProcessorGroupCount},
    },
};

use crate::windows::counters::Table;

windows_link::link!("ntdll.dll" "system" fn NtQuerySystemInformationEx(class: i32, question: *const core::ffi::c_void, question_bytes: u32, answer: *mut core::ffi::c_void, answer_bytes: u32, returned_bytes: *mut u32) -> NTSTATUS);

/// The table of processor times.
pub(in crate::windows) const PROCESSORS: i32 = 8;
/// The table of processes and threads.
pub(in crate::windows) const PROCESSES: i32 = 5;
/// The counters of the whole system.
pub(in crate::windows) const PERFORMANCE: i32 = 2;
/// The table of page files.
pub(in crate::windows) const PAGE_FILES: i32 = 18;

/// When the machine was started.
const TIME_OF_DAY: i32 = 3;
/// The size of that answer, in words of 8 bytes.
const BOOT_WORDS: usize = 6;

/// The size of the first buffer, enough for a few hundred processes.
const FIRST_BYTES: u32 = 256 << 10;
/// The largest accepted table, enough for hundreds of thousands of threads.
const MAX_BYTES: u32 = 64 << 20;

/// An error code of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::windows) struct Status(NTSTATUS);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the kernel answers with status 0x{:08X}", self.0.cast_unsigned())
    }
}

/// Reads a table of the whole system.
pub(in crate::windows) fn of_system(class: i32) -> Result<Table, Status> {
    ask(|answer, bytes, returned| {
        // SAFETY: `ask` gives room for `bytes` bytes and for the length, and both live through the call.
        unsafe { NtQuerySystemInformation(class, answer.cast(), bytes, returned) }
    })
}

/// Reads the part of a table for one group of processors.
pub(in crate::windows) fn of_group(class: i32, group: u16) -> Result<Table, Status> {
    ask(|answer, bytes, returned| {
        // SAFETY: as above; the question is a number of 16 bits, and its length is given.
        unsafe { NtQuerySystemInformationEx(class, (&raw const group).cast(), 2, answer.cast(), bytes, returned) }
    })
}

/// Reads when the machine was started, and by how much its clock was set since then.
pub(in crate::windows) fn boot() -> Result<Table, Status> {
    // The kernel rejects buffers of any other size.
    let mut words = [0_u64; BOOT_WORDS];
    let bytes = u32::try_from(size_of_val(&words)).unwrap_or_default();
    let mut returned = 0;
    // SAFETY: the array has room for `bytes` bytes, and both live through the call.
    match unsafe { NtQuerySystemInformation(TIME_OF_DAY, words.as_mut_ptr().cast(), bytes, &mut returned) } {
        STATUS_SUCCESS => Ok(Table { bytes: words.iter().flat_map(|word| word.to_ne_bytes()).collect(), address: 0 }),
        other => Err(Status(other)),
    }
}

/// The time since the start, milliseconds. It is never set.
pub(in crate::windows) fn monotonic_ms() -> u64 {
    // SAFETY: it takes nothing and only reads.
    unsafe { GetTickCount64() }
}

/// The number of processors of each group. There is more than one group if there are more than 64 processors.
pub(in crate::windows) fn groups() -> Vec<u32> {
    // SAFETY: it takes nothing and only reads.
    let groups = unsafe { GetActiveProcessorGroupCount() };
    // SAFETY: it takes a number, and answers with zero for one that there is not.
    (0..groups).map(|group| unsafe { GetActiveProcessorCount(group) }).collect()
}

/// Memory, bytes.
pub(in crate::windows) struct MemoryStatus {
    pub(in crate::windows) total: u64,
    pub(in crate::windows) available: u64,
    /// What can be promised to processes, and what of it is not promised yet.
    pub(in crate::windows) commit_limit: u64,
    pub(in crate::windows) commit_available: u64,
}

/// The memory of the system.
pub(in crate::windows) fn memory() -> io::Result<MemoryStatus> {
    let bytes = size_of::<MEMORYSTATUSEX>();
    let mut status = MEMORYSTATUSEX { dwLength: u32::try_from(bytes).unwrap_or_default(), ..Default::default() };
    // SAFETY: the structure is one of ours, and says how large it is.
    match unsafe { GlobalMemoryStatusEx(&mut status) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(MemoryStatus {
            total: status.ullTotalPhys,
            available: status.ullAvailPhys,
            commit_limit: status.ullTotalPageFile,
            commit_available: status.ullAvailPageFile,
        }),
    }
}

fn ask(call: impl Fn(*mut u64, u32, *mut u32) -> NTSTATUS) -> Result<Table, Status> {
    let mut bytes = FIRST_BYTES;
    loop {
        // Aligned to words, because the kernel rejects other buffers.
        let mut words = vec![0_u64; bytes as usize / size_of::<u64>()];
        let mut returned = 0;
        let status = call(words.as_mut_ptr(), bytes, &mut returned);
        match status {
            STATUS_SUCCESS => {
                let address = words.as_ptr().addr();
                let length = returned.min(bytes) as usize;
                return Ok(Table {
                    bytes: words.iter().flat_map(|word| word.to_ne_bytes()).take(length).collect(),
                    address,
                });
            }
            STATUS_INFO_LENGTH_MISMATCH | STATUS_BUFFER_TOO_SMALL | STATUS_BUFFER_OVERFLOW if bytes < MAX_BYTES => {
                // More than it requires, because the table may grow between two calls.
                bytes = returned.saturating_add(returned / 8).max(bytes * 2).next_multiple_of(8).min(MAX_BYTES);
            }
            other => return Err(Status(other)),
        }
    }
}
