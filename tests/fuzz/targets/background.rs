//! The reply of the terminal among the keys.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fleetsweep::fuzzing::background(data));
