//! The calls of Windows functions, and the only unsafe code. Each function owns the memory that it allocates, and
//! returns an error number on failure. The results are parsed elsewhere.
#![expect(unsafe_code, reason = "the functions of Windows are foreign to Rust")]

pub(super) mod accounts;
pub(super) mod counters;
pub(super) mod disks;
pub(super) mod event_log;
pub(super) mod links;
pub(super) mod services;
pub(super) mod volumes;

use windows_sys::Win32::System::Threading::{GetCurrentProcess, TerminateProcess};

/// Ends this process immediately, without notifying its libraries.
pub(crate) fn terminate(code: u8) -> ! {
    // SAFETY: the pseudo-handle of this process is always valid, and nothing of it is used afterwards.
    unsafe { TerminateProcess(GetCurrentProcess(), code.into()) };
    // Not reached, but the compiler cannot know.
    std::process::abort()
}

/// A text for Windows: UTF-16 with a terminating zero.
fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// A text from Windows: everything before the first zero.
fn narrow(text: &[u16]) -> String {
    String::from_utf16_lossy(text.split(|unit| *unit == 0).next().unwrap_or_default())
}
