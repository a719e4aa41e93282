//! The sealed answer, and the armour around it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fleetsweep_agent::fuzzing::envelope(data));
