//! Any bytes are a log of cron's: no line is more than one start, and what was printed once is printed the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jobctl::properties::records(data));
