//! What must be true of watched files: each one that comes is taken, and once.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::super::super::*;
use super::Oracle;
use crate::core::run::Cause;

/// What became of the files of a path.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taken {
    times: usize,
    may: usize,
    before: usize,
}

impl Oracle {
    /// A file was written; `pending` former ones of its path may still be taken.
    pub(in super::super) fn file_written(&mut self, path: PathBuf, pending: usize) {
        let taken = self.files.entry(path).or_default();
        taken.before = taken.times;
        taken.may = taken.times + pending + 1;
    }

    /// A file that came is taken once.
    pub(super) fn check_taken(&mut self, run: &RunRow) -> Result<(), TestCaseError> {
        if run.cause != Cause::Watch || self.rows.contains_key(&run.id) {
            return Ok(());
        }
        let path = PathBuf::from(OsStr::from_bytes(&run.args[0]));
        let taken = self.files.entry(path.clone()).or_default();
        taken.times += 1;
        prop_assert!(
            taken.times <= taken.may,
            "{} was taken twice: run {}, {taken:?}",
            path.display(),
            run.id
        );
        Ok(())
    }

    /// Where nothing is to be taken, each file that is there has been.
    pub(in super::super) fn check_all_taken(&self, paths: &[PathBuf]) -> Result<(), TestCaseError> {
        for path in paths {
            let taken = self.files.get(path).copied().unwrap_or_default();
            prop_assert!(taken.times > taken.before, "{} was not taken: {taken:?}", path.display());
        }
        Ok(())
    }

    /// In the end each file that is there has been taken.
    pub(in super::super) fn check_files(
        &self,
        day: &Scenario,
        paths: &[PathBuf],
    ) -> Result<(), TestCaseError> {
        let filter = Filter { job: Some("file".to_owned()), ..Filter::default() };
        let rows = day.supervisor.store.runs(&filter, None).unwrap();
        for path in paths {
            let is_it = |run: &&RunRow| {
                run.cause == Cause::Watch && run.args[0] == path.as_os_str().as_bytes()
            };
            let times = rows.iter().filter(is_it).count();
            let taken = self.files.get(path).copied().unwrap_or_default();
            prop_assert!(
                times > taken.before && times <= taken.may,
                "{} was taken {times} times: {taken:?}",
                path.display()
            );
        }
        Ok(())
    }
}
