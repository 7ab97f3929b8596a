//! The only access to standard error. On a terminal control characters are escaped; if it is
//! closed, messages are dropped.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use crate::core::escape;

/// Writes untrusted text.
pub(super) fn text(text: &str) {
    let mut stderr = io::stderr();
    let text = if stderr.is_terminal() { escape::lines(text) } else { text.into() };
    let _ = stderr.write_all(text.as_bytes());
}

/// Writes findings as they are, so that editors can read them.
pub(super) fn lines(findings: &[impl Display]) {
    findings.iter().for_each(|finding| text(&format!("{finding}\n")));
}

/// Writes trusted text, including its colours.
pub(super) fn plain(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Overwrites the cursor's line on a terminal.
pub(super) fn over(line: &str) {
    let _ = write!(io::stderr(), "\r{line}");
}
