//! Any bytes are variables or an error with the number of a line that there is.
#![no_main]

#[path = "../../src/core/env_file.rs"]
mod env_file;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    match env_file::parse(data) {
        Ok(variables) => {
            for (name, value) in &variables {
                assert!(!name.is_empty() && !name.contains(&b'='), "{name:?}");
                assert!(value.len() <= data.len());
            }
        }
        Err(error) => {
            let lines = data.split(|byte| *byte == b'\n').count();
            assert!((1..=lines).contains(&error.line), "{error:?}");
        }
    }
});
