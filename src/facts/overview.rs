//! The supervisor, and each job as the jobfile and the store know it: the basis of `status` and
//! `status JOB`.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;

use super::jobs::{Coming, Jobs, job_row};
use super::queue::Progress;
use crate::core::job::Job;
use crate::core::pause::{Pause, PauseNote};
use crate::core::run::State;
use crate::core::tally::percentile;
use crate::core::time::Wall;
use crate::store::{Filter, JobRow, RecentRun, RunRow, Store, StoreError, SupervisorRow};

/// How many runs that a stop waits for are named.
const WAITS_MAX: u32 = 10;

/// The successes that are needed for a usual duration.
const USUAL_MIN: usize = 3;

/// The supervisor: whether it runs, and what the store knows of it.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Supervisor {
    /// Whether it is running.
    pub(crate) running: bool,
    /// Its process id.
    pub(crate) pid: Option<i32>,
    /// When it became ready.
    pub(crate) since: Option<Wall>,
    /// The jobfile that it was given; `None` if it is the caller's.
    pub(crate) jobfile: Option<String>,
    /// Why the current jobfile is not in force.
    pub(crate) jobfile_error: Option<String>,
    /// The addresses that the door cannot listen on, one per line.
    #[serde(skip)]
    pub(crate) door_error: Option<String>,
    /// Its version.
    pub(crate) version: Option<String>,
    /// Whether it only records what it would start.
    pub(crate) shadow: bool,
    /// Since when it has been stopping.
    pub(crate) stopping_at: Option<Wall>,
    /// The runs that a stop waits for, some of them.
    pub(crate) waits_for: Vec<i64>,
    /// Whether it waits only for hooks or mails.
    #[serde(skip)]
    waits_for_notices: bool,
    /// The pause of all jobs.
    #[serde(skip)]
    pub(crate) pause: Option<Pause>,
    /// The author and reason of that pause.
    #[serde(skip)]
    pub(crate) pause_note: PauseNote,
}

impl Supervisor {
    /// Takes the store's row and whether the supervisor runs.
    pub(super) fn of(row: SupervisorRow, is_running: bool) -> Self {
        Self {
            running: is_running,
            pid: row.pid.filter(|_| is_running),
            since: row.since.filter(|_| is_running),
            jobfile: row.jobfile.filter(|_| is_running),
            jobfile_error: row.jobfile_error,
            door_error: row.door_error.filter(|_| is_running),
            version: row.version,
            shadow: row.is_shadow && is_running,
            stopping_at: row.stopping_at.filter(|_| is_running),
            waits_for: Vec::new(),
            waits_for_notices: false,
            pause: row.pause,
            pause_note: row.pause_note,
        }
    }

    /// Describes a stop in progress and what it waits for.
    pub(crate) fn stopping(&self) -> Option<String> {
        self.stopping_at?;
        Some(match self.waits_for.as_slice() {
            [] if self.waits_for_notices => "stopping, waiting for hooks or mail".to_owned(),
            [] => "stopping".to_owned(),
            [one] => format!("stopping, waiting for run {one}"),
            [others @ .., last] => {
                let ids: Vec<String> = others.iter().map(i64::to_string).collect();
                format!("stopping, waiting for runs {} and {last}", ids.join(", "))
            }
        })
    }

    /// Returns whether it starts runs.
    pub(super) fn starts(&self) -> bool {
        self.running && !self.shadow && self.stopping_at.is_none()
    }

    /// Reads the runs that a stop waits for.
    pub(super) fn read_waits(&mut self, store: &Store) -> Result<(), StoreError> {
        if self.stopping_at.is_some() {
            let filter = Filter { states: vec![State::Running], ..Filter::default() };
            let newest = store.runs(&filter, Some(WAITS_MAX))?;
            self.waits_for = newest.iter().rev().map(|run| run.id).collect();
            self.waits_for_notices =
                self.waits_for.is_empty() && !store.notices_under_way()?.is_empty();
        }
        Ok(())
    }
}

/// The store's rows of the supervisor and all jobs.
#[derive(Debug, Default)]
pub(crate) struct Overview {
    /// The supervisor.
    pub(crate) supervisor: Supervisor,
    /// The jobs, sorted by name.
    pub(crate) rows: Vec<JobRow>,
    /// The jobs with an attempt that takes longer than expected.
    pub(super) slow: BTreeSet<i64>,
}

impl Overview {
    /// Reads the rows.
    pub(crate) fn read(store: Option<&Store>, is_running: bool) -> Result<Self, StoreError> {
        let supervisor = store.map(Store::supervisor).transpose()?.unwrap_or_default();
        let slow = store.map(Store::jobs_with_late_runs).transpose()?.unwrap_or_default();
        let mut supervisor = Supervisor::of(supervisor, is_running);
        store.map(|store| supervisor.read_waits(store)).transpose()?;
        Ok(Self {
            supervisor,
            rows: store.map(Store::jobs).transpose()?.unwrap_or_default(),
            slow: slow.into_iter().collect(),
        })
    }

    /// Returns whether a job, or any job, has unacknowledged failures, is late, has missed an
    /// occurrence, or has been paused for long.
    pub(crate) fn is_ill(&self, job: Option<&str>, now: Wall) -> bool {
        let is_ill = |row: &JobRow| {
            row.failed > 0
                || row.late_at.is_some()
                || row.missed_at.is_some()
                || self.slow.contains(&row.id)
                || row.pause.is_some_and(|pause| pause.is_forgotten(now))
        };
        if self.supervisor.pause.is_some_and(|pause| pause.is_forgotten(now)) {
            return true;
        }
        self.rows.iter().filter(|row| job.is_none_or(|name| *name == row.name)).any(is_ill)
    }

    /// Returns the store's row of a job.
    pub(super) fn row(&self, name: &str) -> Option<&JobRow> {
        job_row(&self.rows, name)
    }
}

/// The sources of the facts.
pub(crate) struct Sources<'a> {
    /// The rows that were already read.
    pub(crate) overview: &'a Overview,
    /// The jobfile.
    pub(crate) jobs: &'a Jobs,
    /// The store, to read runs.
    pub(crate) store: Option<&'a Store>,
    /// The state directory with the slots of running attempts.
    pub(crate) state_dir: &'a Path,
    /// The time of the call.
    pub(crate) now: Wall,
}

/// No text, one text or several, like in the jobfile.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Texts {
    /// None.
    None,
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Texts {
    fn of(mut texts: Vec<String>) -> Self {
        match texts.len() {
            0 => Self::None,
            1 => Self::One(texts.remove(0)),
            _ => Self::Several(texts),
        }
    }
}

/// A pause in force.
#[derive(Debug, Serialize)]
struct Paused {
    since: Wall,
    until: Option<Wall>,
    by: Option<String>,
    reason: Option<String>,
}

impl Paused {
    fn of(row: Option<&JobRow>, supervisor: &Supervisor, now: Wall) -> Option<Self> {
        let own = row.and_then(|row| Some((row.pause?, &row.pause_note)));
        let all = supervisor.pause.map(|pause| (pause, &supervisor.pause_note));
        let (pause, note) = own.into_iter().chain(all).find(|(pause, _)| pause.holds(now))?;
        let PauseNote { by, reason } = note.clone();
        Some(Self { since: pause.since, until: pause.until, by, reason })
    }
}

/// A job as the jobfile and the store know it.
#[derive(Debug, Serialize)]
pub(crate) struct JobStatus<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    schedule: Texts,
    enabled: bool,
    /// Whether it is paused, by itself or with all jobs.
    pub(crate) paused: bool,
    next: Option<Wall>,
    /// The run that last started or ended.
    pub(crate) last: Option<RunRow>,
    queued: i64,
    running: i64,
    retrying: i64,
    /// The number of unacknowledged failures.
    pub(crate) failed: i64,
    /// Whether its last success is longer ago, or an attempt takes longer, than expected.
    pub(crate) late: bool,
    /// The time since which a success is overdue.
    pub(crate) late_at: Option<Wall>,
    /// The schedules with `H` replaced by values; none if no schedule has one.
    resolved: Texts,
    /// When its next occurrence falls due.
    pub(crate) next_due_at: Option<Wall>,
    jitter_ms: Option<i64>,
    /// A missed occurrence without a later success.
    pub(crate) missed_at: Option<Wall>,
    /// The pause in force: the job's own, else that of all jobs.
    pause: Option<Paused>,
    /// The pause of the job and that of all jobs.
    #[serde(skip)]
    pauses: [Option<Pause>; 2],
    /// The job in the jobfile.
    #[serde(skip)]
    pub(crate) job: Option<&'a Job>,
    /// The job in the store.
    #[serde(skip)]
    pub(crate) row: Option<&'a JobRow>,
    /// Its newest ended runs, newest first.
    #[serde(skip)]
    pub(crate) recent: Vec<RecentRun>,
    /// The progress of its queue.
    #[serde(skip)]
    pub(crate) progress: Option<Progress>,
}

impl<'a> JobStatus<'a> {
    /// Combines the jobfile's and the store's facts about a job.
    pub(super) fn of(
        from: &Sources<'a>,
        name: &'a str,
        job: Option<&'a Job>,
        row: Option<&'a JobRow>,
    ) -> Self {
        let Sources { overview, jobs, now, .. } = *from;
        let count = |counter: fn(&JobRow) -> i64| row.map_or(0, counter);
        let pauses = [row.and_then(|row| row.pause), overview.supervisor.pause];
        let coming = job.and_then(|job| jobs.coming(job, row, now));
        let late_at = row.and_then(|row| row.late_at);
        Self {
            name,
            schedule: Texts::of(job.map_or_else(Vec::new, texts)),
            enabled: job.is_some_and(|job| job.policy.enabled),
            paused: pauses.into_iter().flatten().any(|pause| pause.holds(now)),
            next: coming.as_ref().map(|coming| coming.occurrence.at),
            last: None,
            queued: count(|row| row.queued),
            running: count(|row| row.running),
            retrying: count(|row| row.retrying),
            failed: count(|row| row.failed),
            late: late_at.is_some() || row.is_some_and(|row| overview.slow.contains(&row.id)),
            late_at,
            resolved: Texts::of(job.map_or_else(Vec::new, |job| resolved(jobs, job))),
            next_due_at: coming.as_ref().map(Coming::due_at),
            jitter_ms: job.map(|job| super::ms(jobs.jitter(job))),
            missed_at: row.and_then(|row| row.missed_at),
            pause: Paused::of(row, &overview.supervisor, now),
            pauses,
            job,
            row,
            recent: Vec::new(),
            progress: None,
        }
    }

    /// Returns the usual duration: the median of its last successes, if there are enough.
    pub(crate) fn usual_ms(&self) -> Option<i64> {
        let succeeded = self.recent.iter().filter(|run| run.state == State::Succeeded);
        let mut usual: Vec<i64> = succeeded.filter_map(|run| run.duration_ms).collect();
        usual.sort_unstable();
        percentile(&usual, 50).filter(|_| usual.len() >= USUAL_MIN)
    }

    /// Describes output that its last run lost, if that run was read.
    pub(crate) fn lost_output(&self) -> Option<&str> {
        self.last.as_ref().and_then(RunRow::lost_output)
    }

    /// Returns the pause of the job itself, if it is in force.
    pub(crate) fn own_pause(&self, now: Wall) -> Option<Pause> {
        self.pauses[0].filter(|pause| pause.holds(now))
    }

    /// Returns whether a pause of the job or of all jobs is in force at a time.
    pub(crate) fn is_paused_at(&self, at: Wall) -> bool {
        self.pauses.into_iter().flatten().any(|pause| pause.holds(at))
    }

    /// Returns whether a pause will skip its next occurrence.
    pub(crate) fn skips_next(&self) -> bool {
        self.next.is_some_and(|at| self.is_paused_at(at))
    }

    /// Returns the rank by need for attention: failed, then late, missed or lost output, then
    /// retrying, running, waiting, and finally by the next start.
    pub(crate) fn need(&self) -> u8 {
        let has = [
            self.failed > 0,
            self.late || self.missed_at.is_some() || self.lost_output().is_some(),
            self.retrying > 0,
            self.running > 0,
            self.queued > 0,
            self.next.is_some(),
        ];
        has.iter().position(|has| *has).unwrap_or(has.len()) as u8
    }
}

fn texts(job: &Job) -> Vec<String> {
    job.schedules.iter().map(|(text, _)| text.to_string()).collect()
}

/// Returns the schedules with `H` replaced by values; empty if no schedule has an `H`.
fn resolved(jobs: &Jobs, job: &Job) -> Vec<String> {
    let resolved: Vec<_> = (0..job.schedules.len()).map(|nth| jobs.resolved(job, nth)).collect();
    if resolved.iter().all(Option::is_none) {
        return Vec::new();
    }
    resolved.into_iter().zip(texts(job)).map(|(values, text)| values.unwrap_or(text)).collect()
}
