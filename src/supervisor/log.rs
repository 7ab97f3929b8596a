//! The supervisor's log: one event a line on standard error, `key=value`. A log that cannot be written is no reason to stop.

use std::fmt::{Display, Write as _};
use std::io::Write as _;

use crate::core::time::Wall;

/// Lines of the current turn; written together at its end.
#[derive(Debug, Default)]
pub(crate) struct Log {
    lines: String,
}

impl Log {
    /// Notes an event. Values with blanks, quotes or control characters are quoted.
    pub(crate) fn event(&mut self, at: Wall, name: &str, fields: &[(&str, &dyn Display)]) {
        let time = chrono::DateTime::from_timestamp_millis(at.ms()).unwrap_or_default();
        let _ = write!(
            self.lines,
            "{} event={name}",
            time.format("%Y-%m-%dT%H:%M:%S%.3fZ")
        );
        for (key, value) in fields {
            let value = value.to_string();
            let is_plain = !value.is_empty()
                && value
                    .chars()
                    .all(|c| c.is_alphanumeric() || "-_.:/@+,%".contains(c));
            let _ = if is_plain {
                write!(self.lines, " {key}={value}")
            } else {
                write!(self.lines, " {key}={value:?}")
            };
        }
        self.lines.push('\n');
    }

    /// What was noted and is not written yet, for tests.
    #[cfg(test)]
    pub(crate) fn take(&mut self) -> String {
        std::mem::take(&mut self.lines)
    }

    /// Writes what was noted since the last time.
    pub(crate) fn flush(&mut self) {
        if !self.lines.is_empty() {
            // Nobody reads the log, or its disk is full: that must not keep jobs from running.
            let _ = std::io::stderr().write_all(self.lines.as_bytes());
            self.lines.clear();
        }
    }
}
