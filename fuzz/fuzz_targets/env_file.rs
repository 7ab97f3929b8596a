//! Any bytes are variables or an error with the number of a line that there is.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jobctl::properties::env_file(data));
