//! The replies of a mail server.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fleetsweep::fuzzing::smtp_reply(data));
