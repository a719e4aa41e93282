//! The bytes of an SSH server before encryption.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fleetsweep::fuzzing::handshake(data));
