//! Any bytes are a report: a progress of at most 100, bounded texts, and no more unknown lines than
//! there are lines.

use crate::core::report::{self, TEXT_MAX};

/// Any bytes are a report: a progress of at most 100, bounded texts, and no more unknown lines than
/// there are lines.
pub fn report(data: &[u8]) {
    let (said, unknown) = report::parse(data);
    assert!(said.progress.is_none_or(|progress| progress <= 100));
    for text in [&said.result, &said.error].into_iter().flatten() {
        assert!(text.len() <= TEXT_MAX);
    }
    let lines = data.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    assert!(unknown <= lines);
}
