//! Any text is a duration that reads the same to the millisecond when it is shown, or an error that says why.
#![no_main]

#[expect(
    dead_code,
    reason = "jobctl has no library: its rooms are compiled in, and only a parser is asked"
)]
#[path = "../../src/core/mod.rs"]
mod core;

use crate::core::duration::{parse_duration, show_duration};

libfuzzer_sys::fuzz_target!(|text: &str| {
    match parse_duration(text) {
        Ok(duration) => {
            let shown = show_duration(duration);
            let again = parse_duration(&shown).map(|again| again.as_millis());
            assert_eq!(again, Ok(duration.as_millis()), "{text:?} {shown:?}");
        }
        Err(error) => assert!(!error.message.is_empty(), "{text:?}"),
    }
});
