//! Watched directories with many files: what a first look finds is written some at a time, and a
//! crash in between makes no run.

use std::io;
use std::path::Path;

use super::*;
use crate::store::Mark;
use crate::supervisor::watching::scripted::Scripted;

/// Rows that one step may add or remove: `TAKEN_AT_ONCE` of tests.
const ROWS_MAX: usize = 2;

struct Watched {
    day: Scenario,
    script: Scripted,
    job: i64,
    files: i64,
}

impl Watched {
    fn new() -> Self {
        let mut day = Scenario::new(&jobfile("/in"), "2026-06-01T00:00:00Z");
        day.supervisor.spawner.usual = Some((1, End::Exited(0)));
        let job = day.supervisor.memory.jobs.all[0].id;
        Self { day, script: Scripted::new(job, "/in"), job, files: 0 }
    }

    /// Files of long ago, with other content than those before them.
    fn put(&mut self, names: &[&str]) {
        for name in names {
            self.files += 1;
            let mark = Mark {
                inode: self.files,
                size: 1,
                changed_ns: self.files,
                born_ns: Some(self.files),
                status_ns: Some(self.files),
            };
            let path = Path::new("/in").join(name);
            self.script.put(&path, Some(mark), self.day.now);
        }
    }

    fn step(&mut self) {
        let before = self.rows();
        self.script.step(&mut self.day.supervisor, self.day.now);
        let rows = self.rows();
        assert!(rows.abs_diff(before) <= ROWS_MAX, "{before} rows became {rows} in a step");
    }

    fn settle(&mut self) {
        for _ in 0..20 {
            self.step();
            self.day.advance(1);
        }
        assert!(self.script.is_quiet(self.day.now));
    }

    fn crash(&mut self, watch: &str) {
        self.day.restart(&jobfile(watch), Duration::from_secs(1));
        self.script.begin_anew();
    }

    fn rows(&self) -> usize {
        self.day.supervisor.store.marks(self.job).unwrap().len()
    }

    fn runs(&self) -> usize {
        self.day.runs("a").len()
    }
}

fn jobfile(watch: &str) -> String {
    format!("[jobs.a]\nwatch = '{watch}'\ncommand = 'x'")
}

#[test]
fn a_baseline_is_written_some_files_at_a_time_and_then_new_files_are_taken() {
    let mut watched = Watched::new();
    watched.put(&["a", "b", "c", "d", "e"]);
    for rows in [0, 2, 4] {
        watched.step();
        assert_eq!(watched.rows(), rows);
    }
    // One is written while the baseline is: it is taken when that is whole.
    watched.put(&["a", "f"]);
    watched.settle();
    assert_eq!((watched.rows(), watched.runs()), (6, 2));
    watched.crash("/in");
    watched.settle();
    assert_eq!((watched.rows(), watched.runs()), (6, 2));
}

#[test]
fn a_crash_while_a_baseline_is_written_makes_no_run_of_what_was_there() {
    for steps in 0..5 {
        let mut watched = Watched::new();
        watched.put(&["a", "b", "c", "d", "e"]);
        for _ in 0..steps {
            watched.step();
        }
        watched.crash("/in");
        watched.settle();
        assert_eq!((watched.rows(), watched.runs()), (5, 0), "{steps} steps");
        watched.put(&["f"]);
        watched.settle();
        assert_eq!((watched.rows(), watched.runs()), (6, 1), "{steps} steps");
    }
}

#[test]
fn a_crash_on_the_way_to_another_watch_and_back_makes_no_run_of_what_was_there() {
    for steps in 0..6 {
        let mut watched = Watched::new();
        watched.put(&["a", "b", "c", "d", "e"]);
        watched.settle();
        // The way goes elsewhere, where there is nothing; rows of the former one go some at a time.
        let mut there = Scripted::new(watched.job, "/elsewhere");
        watched.crash("/elsewhere");
        std::mem::swap(&mut watched.script, &mut there);
        for _ in 0..steps {
            watched.step();
        }
        std::mem::swap(&mut watched.script, &mut there);
        watched.crash("/in");
        watched.settle();
        assert_eq!((watched.rows(), watched.runs()), (5, 0), "{steps} steps");
    }
}

#[test]
fn files_that_are_gone_are_forgotten_some_at_a_time() {
    let mut watched = Watched::new();
    watched.put(&["a", "b", "c", "d", "e"]);
    watched.settle();
    for name in ["a", "b", "c", "d", "e"] {
        let path = Path::new("/in").join(name);
        watched.script.put(&path, None, watched.day.now);
    }
    watched.put(&["f"]);
    watched.crash("/in");
    watched.settle();
    assert_eq!((watched.rows(), watched.runs()), (1, 1));
}

#[test]
fn a_directory_whose_first_look_fails_is_looked_at_again_after_a_minute_without_a_notice() {
    let mut watched = Watched::new();
    watched.put(&["a"]);
    watched.script.refusal = Some(io::ErrorKind::PermissionDenied);
    watched.script.owe_begin();
    watched.settle();
    // Nothing tells of a mended permission.
    watched.script.refusal = None;
    watched.settle();
    assert_eq!((watched.rows(), watched.runs()), (0, 0), "the minute is not over");
    watched.day.advance(60);
    watched.settle();
    assert_eq!((watched.rows(), watched.runs()), (1, 0), "what is there is the baseline");
    watched.put(&["b"]);
    watched.settle();
    assert_eq!((watched.rows(), watched.runs()), (2, 1));
}
