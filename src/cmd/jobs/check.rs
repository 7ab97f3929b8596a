//! `jobctl check`: validates the jobfile and warns about likely mistakes.
//!
//! Findings look like a compiler's, `FILE:LINE:COLUMN: ...`, on standard error; the verdict is on
//! standard output.

use std::path::Path;

use super::findings::{self, Label};
use crate::cmd::jobset;
use crate::cmd::said;
use crate::cmd::{Context, Exit, Out, Result};
use crate::core::noun::count;
use crate::facts::check::{Past, Report};
use crate::facts::trust;
use crate::jobfile::{Jobfile, LoadError};
use crate::os::zone;

/// Answers `jobctl check`.
pub(crate) fn answer(context: &Context, out: &mut Out) -> Result<Exit> {
    let (loaded, untrusted) = trust::load_with_notes(&context.jobfile()?);
    let report = match loaded {
        Ok(jobfile) => of(context, jobfile),
        Err(LoadError::Problems(problems) | LoadError::Untrusted(problems)) => {
            Report::of_errors(problems)
        }
        Err(error @ (LoadError::Missing(_) | LoadError::Unreadable(_))) => {
            return Err(jobset::failure_of(&error));
        }
    };
    let report = report.distrusted(untrusted);
    out.answer(&report.facts(), |out| report.print(context, out))?;
    Ok(if report.is_ok() { Exit::Done } else { Exit::No })
}

/// Checks a jobfile that could be read. An unreadable store counts as empty.
pub(super) fn of(context: &Context, jobfile: Jobfile) -> Report {
    let store = context.open_if_there().ok().flatten();
    let past = Past::of(store.as_ref(), context.now.wall);
    Report::of(&jobfile).forewarned(jobfile, &past, context.now.wall)
}

impl Report {
    /// Prints all findings on standard error; `draft` is a text that was checked instead of a file.
    pub(super) fn say(&self, context: &Context, draft: Option<(&Path, &[u8])>) {
        findings::say(context, Label::Error, &self.errors, draft);
        if !context.global.quiet {
            findings::say(context, Label::Warning, &self.warnings, draft);
        }
    }

    fn print(&self, context: &Context, out: &mut Out) -> Result<()> {
        self.say(context, None);
        if context.global.verbose > 0 {
            said::lines(&[format!("time zones: {}", zone::source())]);
        }
        match self.errors.len() {
            0 => out.line(format!("OK, {}", count(self.jobs, "job"))),
            errors => out.line(format!("not OK: {}", count(errors, "error"))),
        }
    }
}
