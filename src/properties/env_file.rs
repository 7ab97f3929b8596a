//! Any bytes are variables or an error with the number of a line that there is.

use crate::core::env_file;

/// Any bytes are variables or an error with the number of a line that there is.
pub fn env_file(data: &[u8]) {
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
}
