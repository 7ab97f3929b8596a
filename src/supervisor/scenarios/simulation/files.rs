//! The files that a job of the simulation watches: a directory that is written down, and whose
//! times are those of the life.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::*;
use crate::store::Mark;
use crate::supervisor::watching::scripted::Scripted;

/// Where the job watches.
const DIR: &str = "/watched";

/// When files were changed that are moved there with their times.
const LONG_AGO_NS: i64 = 1_600_000_000_000_000_000;

/// What may still be written counts as whole after this.
const SETTLED_SECS: u32 = 65;

/// How a file comes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Write {
    /// The one that is there gets other content; one that is not there is made.
    InPlace,
    /// Another one takes the name.
    Anew,
    /// Another one takes the name, and has the size and the time of change of any other that came
    /// so.
    MovedThere,
}

pub(super) struct Files {
    script: Scripted,
    /// No two changes are of one time.
    changes: i64,
}

impl Files {
    /// An empty directory, which the supervisor has looked at.
    pub(super) fn new(day: &mut Scenario) -> Self {
        let jobs = &day.supervisor.memory.jobs.all;
        let job = jobs.iter().find(|it| it.job.name.as_str() == "file");
        let job = job.expect("it is in all jobfiles").id;
        let mut files = Self { script: Scripted::new(job, DIR), changes: 0 };
        for _ in 0..2 {
            files.step(day);
        }
        files
    }

    pub(super) fn step(&mut self, day: &mut Scenario) {
        self.script.step(&mut day.supervisor, day.now);
    }

    pub(super) fn begin_anew(&mut self) {
        self.script.begin_anew();
    }

    pub(super) fn are_loaded_anew(&mut self) {
        self.script.owe_begin();
    }

    /// A file is whole at one of the paths; with how many former ones of it may still be taken.
    pub(super) fn write(&mut self, file: usize, write: Write, now: Now) -> (PathBuf, usize) {
        let path = path(file);
        self.changes += 1;
        let now_ns = now.wall.ms() * 1_000_000 + self.changes;
        let former = self.script.file(&path);
        let born_ns = match (write, former) {
            (Write::InPlace, Some(former)) => former.born_ns,
            (Write::InPlace | Write::Anew | Write::MovedThere, _) => Some(now_ns),
        };
        let mark = Mark {
            // As on file systems that give the number of a removed file to the next one.
            inode: i64::try_from(file).unwrap(),
            size: 1,
            changed_ns: match write {
                Write::InPlace | Write::Anew => now_ns,
                Write::MovedThere => LONG_AGO_NS,
            },
            born_ns,
            status_ns: Some(now_ns),
        };
        let pending = self.script.pending(&path);
        self.script.put(&path, Some(mark), now);
        (path, pending)
    }

    pub(super) fn remove(&mut self, file: usize, now: Now) {
        let path = path(file);
        if self.script.file(&path).is_some() {
            self.script.put(&path, None, now);
        }
    }

    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.script.paths().map(Path::to_owned).collect()
    }

    /// Returns whether nothing is to be looked at or taken.
    pub(super) fn is_quiet(&self, now: Now) -> bool {
        self.script.is_quiet(now)
    }

    /// Time passes until there is nothing left to be taken.
    pub(super) fn settle(&mut self, day: &mut Scenario) {
        for _ in 0..SETTLED_SECS {
            day.advance_clocks(Duration::from_secs(1));
            for _ in 0..4 {
                self.step(day);
                let _ = day.turn(&[]);
            }
        }
    }
}

fn path(file: usize) -> PathBuf {
    Path::new(DIR).join(format!("f{file}"))
}
