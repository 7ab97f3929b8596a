//! Any text is a jobfile that loads again to the same jobs, or errors, each at a place that there is.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jobctl::properties::jobfile(data));
