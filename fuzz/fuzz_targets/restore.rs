//! Any bytes in the place of a backup are refused, or restored to a store whose rows can be read.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jobctl::properties::restore(data));
