//! Any text is a duration that reads the same to the millisecond when it is shown, or an error that says why.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jobctl::properties::duration(data));
