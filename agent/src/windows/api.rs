//! The calls into Windows, and the only unsafe code: each is one function that owns what it allocates and says
//! with a number why it failed. What the answers mean is read elsewhere, from plain bytes and texts.
#![expect(unsafe_code, reason = "the functions of Windows are foreign to Rust")]

pub(super) mod counters;
pub(super) mod event_log;
pub(super) mod volumes;

use windows_sys::Win32::System::Threading::{GetCurrentProcess, TerminateProcess};

/// Ends this process at once, without a word to its libraries.
pub(crate) fn terminate(code: u8) -> ! {
    // SAFETY: the pseudo-handle of this process is always valid, and nothing of it is used afterwards.
    unsafe { TerminateProcess(GetCurrentProcess(), code.into()) };
    // Not reached, but the compiler cannot know.
    std::process::abort()
}

/// Text as Windows wants it: UTF-16 with a zero at its end.
fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// Text as Windows gives it: what stands before the first zero.
fn narrow(text: &[u16]) -> String {
    String::from_utf16_lossy(text.split(|unit| *unit == 0).next().unwrap_or_default())
}
