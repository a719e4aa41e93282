//! The output of the script on a client.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fleetsweep::fuzzing::answer(data));
