//! The argument of the agent.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fleetsweep_agent::fuzzing::request(data));
