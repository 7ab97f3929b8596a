//! Any bytes are a record that is the same when it is written and read again, none, or an error.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jobctl::properties::record(data));
