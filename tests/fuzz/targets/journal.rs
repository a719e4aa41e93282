//! The journal of a Linux client.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fleetsweep_agent::fuzzing::journal(data));
