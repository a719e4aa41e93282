//! The SFTP packets of a client.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fleetsweep::fuzzing::sftp(data));
