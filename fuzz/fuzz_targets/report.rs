//! Any bytes are a report: a progress of at most 100, bounded texts, and no more unknown lines than there are lines.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jobctl::properties::report(data));
