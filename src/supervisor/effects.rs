//! What follows from a turn once it is on disk, and only then.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

use super::claim::Claim;
use super::jobs::{Pauses, Planning};
use super::live::Live;
use super::log::LogEvent;
use super::pruning::Pruning;
use super::spawner::Stop;
use crate::core::notice::Kind;
use crate::store::RunningExec;

/// The effects of a turn, which take place only once it is on disk.
#[derive(Default)]
pub(super) struct Effects {
    /// What is to be started. Attempts count as running from the claim on.
    pub(super) claims: Vec<Claim>,
    /// Attempts among it, by their runs.
    pub(super) begun: BTreeMap<i64, Live>,
    /// Attempts that have ended.
    pub(super) gone: HashSet<i64>,
    /// How many of either are of a job, and the places of those that began.
    pub(super) of_job: HashMap<i64, (usize, Vec<(i64, u32)>)>,
    /// Ends that this turn has not finished: run and claim.
    pub(super) deferred: Vec<(i64, i64)>,
    /// Attempts to be stopped, and how.
    pub(super) stops: Vec<(i64, Stop)>,
    /// Attempts that have had their time for a stop.
    pub(super) hurried: Vec<i64>,
    /// The store says since when the supervisor has been stopping.
    pub(super) is_stop_noted: bool,
    /// Attempts that are late, which is told once.
    pub(super) late: Vec<i64>,
    /// Jobs of which it was told that an occurrence was missed: that they are late is no news.
    pub(super) missed: HashSet<i64>,
    /// Slots that were given out.
    pub(super) given: Vec<u32>,
    /// Slots that are free again.
    pub(super) released: Vec<u32>,
    /// Files that nobody needs any more.
    pub(super) files: Vec<PathBuf>,
    /// How far jobs are planned.
    pub(super) planned: HashMap<usize, Planning>,
    /// The pauses, if they were read.
    pub(super) pauses: Option<Pauses>,
    /// Runs that other processes look after, if they were read.
    pub(super) execs: Option<Vec<RunningExec>>,
    /// Hooks and mails that are told without the surroundings of their job.
    pub(super) bare: BTreeSet<i64>,
    /// Jobs whose hook or mail has failed or works again.
    pub(super) unheard: BTreeMap<Kind, bool>,
    pub(super) pruning: Pruning,
    /// Bytes of output that are kept from now on, less those that are not any more.
    pub(super) output_change: i64,
    /// What the store says of that, if it was asked.
    pub(super) output_bytes: Option<i64>,
    /// Nothing waits to be started.
    pub(super) is_idle: bool,
    /// The longest turn so far was written down.
    pub(super) has_lag: bool,
    /// Something besides the store found the disk full.
    pub(super) wants_room: bool,
    /// Events of the log that are not written yet.
    pub(super) log: Vec<Line>,
}

/// An event of the log that is not written yet.
pub(super) type Line = (LogEvent, Vec<(&'static str, String)>);

impl Effects {
    /// Takes the lines of the log.
    pub(super) fn take_log(&mut self) -> Vec<Line> {
        std::mem::take(&mut self.log)
    }

    /// Jobs of the attempts that were to begin.
    pub(super) fn began(&self) -> impl Iterator<Item = i64> + '_ {
        self.begun.values().map(|live| live.job_id)
    }

    /// Takes the attempts that count as running from now on.
    pub(super) fn take_begun(&mut self) -> BTreeMap<i64, Live> {
        std::mem::take(&mut self.begun)
    }
}
