//! The places of jobs and their locks: files in `locks/`, taken without waiting and handed to the
//! attempt's keeper.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::core::job::{Job, Overlap};
use crate::os::lock::{Kind, try_lock_inside};

/// The directory of lock files.
#[derive(Debug)]
pub(crate) struct Places {
    dir: PathBuf,
}

/// A place that was taken; dropped before it is handed on, it is free again.
#[derive(Debug)]
pub(crate) struct Taken {
    /// What the keeper holds.
    pub(crate) files: Vec<File>,
    /// Which place of the job it is, from 1.
    pub(crate) place: u32,
}

/// The place or lock that another process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Busy {
    /// The places of the job.
    Place,
    /// The lock.
    Lock,
}

impl Places {
    /// Uses the lock files of a state directory.
    pub(crate) fn in_state_dir(state_dir: &Path) -> Self {
        Self { dir: state_dir.join("locks") }
    }

    /// Takes a place of a job that is not among `used`, and the lock that its run needs.
    pub(crate) fn take(
        &self,
        job: &Job,
        used: &[u32],
        lock: Option<&str>,
    ) -> io::Result<Result<Taken, Busy>> {
        let Some(mut taken) = self.take_place(job, used)? else {
            return Ok(Err(Busy::Place));
        };
        if let Some(lock) = lock {
            match try_lock_inside(&self.dir.join(format!("lock-{lock}.lock")), Kind::Exclusive)? {
                Some(file) => taken.files.push(file),
                None => return Ok(Err(Busy::Lock)),
            }
        }
        Ok(Ok(taken))
    }

    fn take_place(&self, job: &Job, used: &[u32]) -> io::Result<Option<Taken>> {
        let whole = self.dir.join(format!("{}.lock", job.name));
        let is_unlimited = job.policy.overlap == Overlap::Allow;
        if !is_unlimited && job.policy.concurrency == 1 {
            return Ok(try_lock_inside(&whole, Kind::Exclusive)?
                .map(|file| Taken { files: vec![file], place: 1 }));
        }
        let Some(shared) = try_lock_inside(&whole, Kind::Shared)? else {
            return Ok(None);
        };
        if is_unlimited {
            return Ok(Some(Taken { files: vec![shared], place: 0 }));
        }
        for place in (1..=job.policy.concurrency).filter(|place| !used.contains(place)) {
            if let Some(file) = try_lock_inside(
                &self.dir.join(format!("{}.{place}.lock", job.name)),
                Kind::Exclusive,
            )? {
                return Ok(Some(Taken { files: vec![shared, file], place }));
            }
        }
        Ok(None)
    }
}
