//! Any bytes are a crontab: what is made of them loads as a jobfile, with a job for each line that says so.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jobctl::properties::crontab(data));
