//! The lines between a collector and the dashboards attached to it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fleetsweep::fuzzing::relay(data));
