//! The last lines of an attempt's output, or why it was never started.

use std::collections::HashMap;

use crate::core::escape;
use crate::core::run::Reason;
use crate::store::{RunRow, Store, StoreError};

/// How many bytes of output are read, half of them from its beginning.
const OUTPUT_MAX: u64 = 8192;

/// The maximum number of characters of a line.
const LINE_MAX: usize = 200;

/// Returns the last non-empty lines of the newest attempt, in order.
pub(crate) fn last_lines(
    store: &Store,
    run: &RunRow,
    lines_max: usize,
) -> Result<Vec<String>, StoreError> {
    let Some(output) = store.output_ends(run.id, run.attempt, OUTPUT_MAX)? else {
        return Ok(Vec::new());
    };
    let bytes = if output.tail.is_empty() { &output.head } else { &output.tail };
    let bytes = escape::without_sequences(bytes);
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let lines: Vec<&[u8]> = lines.filter(|line| !line.is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(lines_max)..];
    Ok(last.iter().map(|line| escape::bytes(line).chars().take(LINE_MAX).collect()).collect())
}

/// Returns the last line of each run that printed one; for a run that could not be started, or
/// whose output was not kept, the reason.
pub(crate) fn last_line_of_each(store: &Store, runs: &[RunRow]) -> HashMap<i64, String> {
    // Unreadable output must not hide the run.
    let last = |run: &RunRow| {
        let error = || match run.reason {
            Some(Reason::Spawn) => run.error.as_deref(),
            _ => run.lost_output(),
        };
        let said = last_lines(store, run, 1).unwrap_or_default().pop();
        said.or_else(|| Some(escape::text(error()?).chars().take(LINE_MAX).collect()))
    };
    runs.iter().filter_map(|run| Some((run.id, last(run)?))).collect()
}
