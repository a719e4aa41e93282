//! The report's XML.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fleetsweep_agent::fuzzing::report(data));
