//! Any bytes are an order that is the same when it is written and read again, or an error.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jobctl::properties::order(data));
