//! The progress of a wait, in one line.

use crate::cmd::look::runs::sentence;
use crate::core::noun::count;
use crate::store::RunRow;

/// The progress of a wait for runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    /// How many of the runs have ended.
    pub(super) ended: usize,
    /// How many of those did not succeed.
    pub(super) failed: usize,
    /// The number of runs.
    pub(super) total: usize,
}

/// Describes the run that is waited for, and the progress.
pub(super) fn line(run: &RunRow, tally: Tally) -> String {
    let one = sentence(run);
    if tally.total == 1 {
        return one;
    }
    let failed = match tally.failed {
        0 => String::new(),
        failed => format!(", {failed} without success"),
    };
    let total = count(tally.total, "run");
    format!("{} of {total} ended{failed}; {one}", tally.ended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::run::State;
    use crate::facts::run::tests::sample_run;

    #[test]
    fn one_run_is_named_and_of_many_it_is_said_how_many() {
        let run = RunRow {
            state: State::Running,
            reason: None,
            by: None,
            count: 1,
            acked: None,
            progress: Some(42),
            ..sample_run()
        };
        let name = format!("run {} ({})", run.id, run.job);
        let tally = |ended, failed, total| Tally { ended, failed, total };
        assert_eq!(line(&run, tally(0, 0, 1)), format!("{name}: running (42%)"));
        assert_eq!(
            line(&run, tally(3, 1, 10)),
            format!("3 of 10 runs ended, 1 without success; {name}: running (42%)")
        );
    }
}
