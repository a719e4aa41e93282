//! What an SSH server says before encryption.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fleetsweep::fuzzing::handshake(data));
