//! A record of the Security log of a Windows client.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fleetsweep_agent::fuzzing::windows_event(data));
