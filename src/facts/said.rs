//! The last lines that an attempt printed, or why it was never started.

use std::collections::HashMap;

use crate::core::escape;
use crate::core::run::Reason;
use crate::store::{RunRow, Store, StoreError};

/// As much of the output is looked at, half of it from its beginning.
const OUTPUT_MAX: u64 = 8192;

/// Characters of a line that are shown.
const LINE_MAX: usize = 200;

/// The last lines of the newest attempt that are not empty, at most so many, in order.
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

/// The last line of each of these runs that printed one; of one that could not be started, or whose
/// output was not kept, why.
pub(crate) fn last_line_of_each(store: &Store, runs: &[RunRow]) -> HashMap<i64, String> {
    // Output that cannot be read is no reason to show nothing.
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
