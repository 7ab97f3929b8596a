//! One line on a terminal that says how far a wait is, written over each time; nothing where
//! standard error is none.

use std::io::IsTerminal;
use std::path::Path;

use crate::cmd::Context;
use crate::cmd::look::runs::sentence;
use crate::cmd::said;
use crate::core::noun::count;
use crate::facts::live;
use crate::store::RunRow;

/// The line.
#[derive(Debug)]
pub(crate) struct Progress {
    is_shown: bool,
    /// Columns that the line has now.
    width: usize,
}

/// What a wait for runs has behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tally {
    /// Of those that were waited for, how many have ended.
    pub(crate) ended: usize,
    /// How many of these did not succeed.
    pub(crate) failed: usize,
    /// How many are waited for.
    pub(crate) total: usize,
}

impl Progress {
    /// A line that is shown to people who want to be told.
    pub(crate) fn of(context: &Context) -> Self {
        Self { is_shown: !context.global.quiet && std::io::stderr().is_terminal(), width: 0 }
    }

    /// Says what is waited for.
    pub(crate) fn show(&mut self, state_dir: &Path, run: &RunRow, tally: Tally) {
        if !self.is_shown {
            return;
        }
        let mut run = run.clone();
        live::fill_in(state_dir, std::slice::from_mut(&mut run));
        self.write(&line(&run, tally));
    }

    /// Takes the line away, for others who write there.
    pub(crate) fn clear(&mut self) {
        if self.width > 0 {
            self.write("");
        }
    }

    fn write(&mut self, text: &str) {
        let width = text.chars().count();
        let blanks = " ".repeat(self.width.saturating_sub(width));
        said::over(&format!("{text}{blanks}\r{text}"));
        self.width = width;
    }
}

fn line(run: &RunRow, tally: Tally) -> String {
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
        assert_eq!(line(&run, tally(0, 0, 1)), format!("{name}: running (42 %)"));
        assert_eq!(
            line(&run, tally(3, 1, 10)),
            format!("3 of 10 runs ended, 1 without success; {name}: running (42 %)")
        );
    }
}
