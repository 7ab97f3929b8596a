//! Any text is a schedule or an error that says where; what is a schedule fires, and goes on.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jobctl::properties::schedule(data));
