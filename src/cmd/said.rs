//! Standard error: the only way to it. On a terminal control characters are escaped; if it is gone,
//! there is nobody left to tell.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use crate::core::escape;

/// Writes text from anywhere.
pub(super) fn text(text: &str) {
    let mut stderr = io::stderr();
    let text = if stderr.is_terminal() { escape::lines(text) } else { text.into() };
    let _ = stderr.write_all(text.as_bytes());
}

/// Writes findings as they are, so that editors can read them.
pub(super) fn lines(findings: &[impl Display]) {
    findings.iter().for_each(|finding| text(&format!("{finding}\n")));
}

/// Writes text that is known to be harmless, colours and all.
pub(super) fn plain(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Writes over the line where the cursor is, on a terminal.
pub(super) fn over(line: &str) {
    let _ = write!(io::stderr(), "\r{line}");
}
