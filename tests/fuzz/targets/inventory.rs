//! Hosts in an inventory of Ansible or a CSV file.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fleetsweep::fuzzing::inventory(data));
