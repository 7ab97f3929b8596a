//! Any text is a duration that reads the same to the millisecond when it is shown, or an error that
//! says why.

use crate::core::duration::{parse_duration, show_duration};

/// Any text is a duration that reads the same to the millisecond when it is shown, or an error that
/// says why.
pub fn duration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match parse_duration(text) {
        Ok(duration) => {
            let shown = show_duration(duration);
            let again = parse_duration(&shown).map(|again| again.as_millis());
            assert_eq!(again, Ok(duration.as_millis()), "{text:?} {shown:?}");
        }
        Err(error) => assert!(!error.message.is_empty(), "{text:?}"),
    }
}
