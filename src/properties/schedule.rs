//! Any text is a schedule or an error that says where; what is a schedule fires, and goes on.

use crate::core::schedule::properties;
use crate::core::time::Wall;

/// Any text is a schedule or an error that says where; what is a schedule fires, and goes on.
pub fn schedule(data: &[u8]) {
    // The first two bytes choose a day from 1970 to 2059, the rest is the text.
    let (Some(day), Some(text)) = (data.first_chunk::<2>(), data.get(2..)) else {
        return;
    };
    if let Ok(text) = std::str::from_utf8(text) {
        let day = i64::from(u16::from_be_bytes(*day)) % 32_800;
        properties::assert_all(text, Wall::from_secs(day * 86_400));
    }
}
