//! Explains why a run waits, was skipped or gave up, or why a job did not run at a given time.

use std::ops::Range;
use std::time::Duration;

use super::jobs::Jobs;
use super::said;
use super::traffic::{Obstacle, Traffic};
use crate::core::job::Job;
use crate::core::pause::{Pause, PauseNote};
use crate::core::run::{Reason, State};
use crate::core::time::Wall;
use crate::store::{AttemptRow, Downtime, Filter, JobRow, RunRow, Store, StoreError};

/// A time without seconds matches any occurrence in that minute.
const MINUTE: Duration = Duration::from_secs(60);

/// The number of output lines that are shown.
const LINES_MAX: usize = 3;

/// The sources of an explanation.
pub(crate) struct Sources<'a> {
    /// The store.
    pub(crate) store: &'a Store,
    /// The jobs of the current jobfile.
    pub(crate) jobs: &'a Jobs,
    /// The current time.
    pub(crate) now: Wall,
    /// Whether a supervisor runs.
    pub(crate) is_supervised: bool,
}

/// An explanation.
#[derive(Debug)]
pub(crate) enum Explanation {
    /// Of runs, the one in question first.
    Runs {
        /// At least one run.
        runs: Vec<ExplainedRun>,
        /// Why their job has nothing else to do, if a job was asked about.
        idle: Option<Idle>,
    },
    /// Of a job without runs: why it has nothing to do.
    Idle(Idle),
    /// Why a job has no run for a given time.
    NoRun(NoRun),
}

/// A run with its explanation.
#[derive(Debug)]
pub(crate) struct ExplainedRun {
    /// The run.
    pub(crate) run: RunRow,
    /// The explanation.
    pub(crate) because: Because,
}

/// The explanation of a run's state.
#[derive(Debug)]
pub(crate) enum Because {
    /// It is waiting.
    Waits(Waits),
    /// It is running.
    Runs {
        /// Whether a supervisor would notice its end.
        is_supervised: bool,
    },
    /// It has ended.
    Ended(Past),
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Past {
    /// Its ended attempts.
    pub(crate) attempts: Vec<AttemptRow>,
    /// The last lines of output of the newest attempt.
    pub(crate) last_lines: Vec<String>,
    /// For a missed run: the time in which nothing was started.
    pub(crate) down: Option<Downtime>,
}

/// What a run waits for.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    /// The obstacles of a queued run.
    pub(crate) obstacles: Vec<Obstacle>,
    /// The number of queued runs ahead of it.
    pub(crate) ahead: i64,
    /// The runs that have to succeed first; without a state if they were deleted.
    pub(crate) after: Vec<(i64, Option<State>)>,
    /// The attempts of a retrying run.
    pub(crate) attempts: Vec<AttemptRow>,
    /// What blocks all runs of its job.
    pub(crate) hindrances: Vec<Hindrance>,
    /// Whether its job is missing from the current jobfile.
    pub(crate) is_orphan: bool,
}

/// Something that blocks all runs of a job.
#[derive(Debug)]
pub(crate) enum Hindrance {
    /// No supervisor runs.
    NoSupervisor,
    /// The supervisor runs in shadow mode and starts nothing.
    Shadow,
    /// The supervisor is stopping.
    Stopping,
    /// The job is paused or, without a name, all jobs are.
    Paused(Option<String>, Pause, PauseNote),
    /// The supervisor's jobfile does not contain the job.
    NotLoaded,
}

/// Why a job without waiting runs has nothing to do now.
#[derive(Debug)]
pub(crate) enum Idle {
    /// It is not in the jobfile.
    NotInJobfile,
    /// It waits for its next occurrence or for items.
    Waits(NextStart, Vec<Hindrance>),
}

/// When a job is next started by its schedule.
#[derive(Debug)]
pub(crate) enum NextStart {
    /// It has no schedule.
    NoSchedule,
    /// It is disabled.
    Disabled,
    /// At this time.
    At(Wall),
    /// The schedule does not determine it.
    Unknown,
}

/// Why there is no run for a given time.
#[derive(Debug)]
pub(crate) enum NoRun {
    /// The job is not in the jobfile.
    NotInJobfile,
    /// It has no schedule.
    NoSchedule,
    /// It is disabled.
    Disabled,
    /// The schedule has no occurrence at that time.
    NotScheduled {
        /// The time.
        at: Wall,
        /// The next occurrence after it.
        next: Option<Wall>,
    },
    /// The occurrence is in the future.
    NotDue(Wall),
    /// The occurrence has passed, and the store has no run of it.
    Unrecorded {
        /// Its instant.
        at: Wall,
        /// If it is still undecided: what blocks it.
        undecided: Option<Vec<Hindrance>>,
        /// The time in which nothing was started.
        down: Option<Downtime>,
    },
}

impl Explanation {
    /// Returns the run in question.
    pub(crate) fn run(&self) -> Option<&RunRow> {
        match self {
            Self::Runs { runs, .. } => runs.first().map(|explained| &explained.run),
            Self::Idle(_) | Self::NoRun(_) => None,
        }
    }
}

impl Sources<'_> {
    /// Explains a run.
    pub(crate) fn of_run(&self, run: RunRow) -> Result<Explanation, StoreError> {
        Ok(Explanation::Runs { runs: vec![self.explained(run)?], idle: None })
    }

    /// Explains the next run in a job's queue, else its last run, else why it has nothing to do;
    /// `None` if neither the store nor the jobfile knows the job.
    pub(crate) fn of_job(&self, name: &str) -> Result<Option<Explanation>, StoreError> {
        let row = self.store.job(name)?;
        if row.is_none() && self.jobs.get(name).is_none() {
            return Ok(None);
        }
        let run = row.as_ref().map(|row| self.foremost(row)).transpose()?.flatten();
        let Some(run) = run else {
            return Ok(Some(Explanation::Idle(self.idle(name, row.as_ref())?)));
        };
        let idle = run.state.is_ended().then(|| self.idle(name, row.as_ref())).transpose()?;
        Ok(Some(Explanation::Runs { runs: vec![self.explained(run)?], idle }))
    }

    /// Explains what happened to a job's occurrence at a given time, or why there was none; `None`
    /// if neither the store nor the jobfile knows the job.
    pub(crate) fn of_instant(
        &self,
        name: &str,
        at: Wall,
    ) -> Result<Option<Explanation>, StoreError> {
        let row = self.store.job(name)?;
        let job = self.jobs.get(name);
        let until = at + if at.ms() % 60_000 == 0 { MINUTE } else { Duration::from_secs(1) };
        if let Some(row) = &row {
            let mut runs = self.store.runs_of_instant(row.id, at, until)?;
            runs.retain(|run| !self.is_between(run, row, at..until));
            if let Some(newest) = runs.pop() {
                let runs = std::iter::once(newest).chain(runs).map(|run| self.explained(run));
                return Ok(Some(Explanation::Runs {
                    runs: runs.collect::<Result<_, _>>()?,
                    idle: None,
                }));
            }
        }
        let why = match job {
            Some(job) => self.unrecorded(job, row.as_ref(), at, until)?,
            None if row.is_some() => NoRun::NotInJobfile,
            None => return Ok(None),
        };
        Ok(Some(Explanation::NoRun(why)))
    }

    fn explained(&self, run: RunRow) -> Result<ExplainedRun, StoreError> {
        let because = match run.state {
            State::Scheduled | State::Queued | State::Retrying => Because::Waits(self.waits(&run)?),
            State::Running => Because::Runs { is_supervised: self.is_supervised },
            State::Succeeded | State::Failed | State::Skipped | State::Cancelled => {
                let is_missed = run.reason == Some(Reason::Missed);
                let missed_at = is_missed.then(|| run.scheduled_at.unwrap_or(run.created_at));
                Because::Ended(Past {
                    attempts: self.ended_attempts(&run)?,
                    last_lines: said::last_lines(self.store, &run, LINES_MAX)?,
                    down: missed_at.map(|at| self.store.downtime_of(at)).transpose()?.flatten(),
                })
            }
        };
        Ok(ExplainedRun { run, because })
    }

    fn waits(&self, run: &RunRow) -> Result<Waits, StoreError> {
        let row = self.store.job(&run.job)?;
        let is_known = self.jobs.get(&run.job).is_some();
        let mut waits = Waits {
            hindrances: self.hindrances(row.as_ref())?,
            is_orphan: !is_known && row.is_some_and(|row| row.present),
            ..Waits::default()
        };
        match run.state {
            State::Queued if is_known => {
                let traffic = Traffic::read(self.store, self.jobs, self.now)?;
                waits.obstacles = traffic.obstacles(run)?;
                waits.ahead = self.store.ahead_of(run)?;
            }
            State::Retrying => waits.attempts = self.ended_attempts(run)?,
            State::Queued
            | State::Scheduled
            | State::Running
            | State::Succeeded
            | State::Failed
            | State::Skipped
            | State::Cancelled => {}
        }
        for id in &run.after {
            waits.after.push((*id, self.store.run(*id)?.map(|run| run.state)));
        }
        Ok(waits)
    }

    fn ended_attempts(&self, run: &RunRow) -> Result<Vec<AttemptRow>, StoreError> {
        let mut attempts = self.store.attempts(run.id)?;
        attempts.retain(|attempt| attempt.outcome.is_some());
        Ok(attempts)
    }

    /// Returns a job's next run in the queue, else one that has not ended, else the newest.
    fn foremost(&self, row: &JobRow) -> Result<Option<RunRow>, StoreError> {
        let newest = |states: Vec<State>| {
            let filter = Filter { states, job: Some(row.name.clone()), ..Filter::default() };
            Ok(self.store.runs(&filter, Some(1))?.pop())
        };
        if row.queued > 0
            && let Some(run) = self.store.queue_head(row.id)?
        {
            return Ok(Some(run));
        }
        match newest(vec![State::Running, State::Retrying, State::Scheduled])? {
            Some(run) => Ok(Some(run)),
            None => newest(Vec::new()),
        }
    }

    fn idle(&self, name: &str, row: Option<&JobRow>) -> Result<Idle, StoreError> {
        let Some(job) = self.jobs.get(name) else {
            return Ok(Idle::NotInJobfile);
        };
        let next = if job.schedules.is_empty() {
            NextStart::NoSchedule
        } else if !job.policy.enabled {
            NextStart::Disabled
        } else {
            let coming = self.jobs.coming(job, row, self.now);
            coming.map_or(NextStart::Unknown, |coming| NextStart::At(coming.due_at()))
        };
        Ok(Idle::Waits(next, self.hindrances(row)?))
    }

    fn hindrances(&self, row: Option<&JobRow>) -> Result<Vec<Hindrance>, StoreError> {
        let supervisor = self.store.supervisor()?;
        let mut all = Vec::new();
        if !self.is_supervised {
            all.push(Hindrance::NoSupervisor);
        } else if supervisor.is_shadow {
            all.push(Hindrance::Shadow);
        } else if supervisor.stopping_at.is_some() {
            all.push(Hindrance::Stopping);
        }
        let pauses = [
            supervisor.pause.map(|pause| (None, pause, supervisor.pause_note)),
            row.and_then(|row| Some((Some(row.name.clone()), row.pause?, row.pause_note.clone()))),
        ];
        let in_force = pauses.into_iter().flatten().filter(|(_, pause, _)| pause.holds(self.now));
        all.extend(in_force.map(|(job, pause, note)| Hindrance::Paused(job, pause, note)));
        if row.is_some_and(|row| !row.present) {
            all.push(Hindrance::NotLoaded);
        }
        Ok(all)
    }

    /// Returns whether a run stands for earlier and later occurrences, but for none at that time.
    /// Only a schedule that still has both ends can tell, because it may have changed since.
    fn is_between(&self, run: &RunRow, row: &JobRow, time: Range<Wall>) -> bool {
        let (Some(job), Some(first), Some(last)) =
            (self.jobs.get(&row.name), run.scheduled_at, run.last_scheduled_at)
        else {
            return false;
        };
        let from =
            |at: Wall| Some(self.jobs.next(job, row.grid_at, at.just_before())?.occurrence.at);
        let ends_are_outside = first < time.start && last >= time.end;
        let has_ends = || [first, last].iter().all(|at| from(*at) == Some(*at));
        ends_are_outside && has_ends() && from(time.start).is_none_or(|at| at >= time.end)
    }

    fn unrecorded(
        &self,
        job: &Job,
        row: Option<&JobRow>,
        at: Wall,
        until: Wall,
    ) -> Result<NoRun, StoreError> {
        if job.schedules.is_empty() {
            return Ok(NoRun::NoSchedule);
        }
        if !job.policy.enabled {
            return Ok(NoRun::Disabled);
        }
        let grid_at = row.and_then(|row| row.grid_at);
        let next = |after: Wall| Some(self.jobs.next(job, grid_at, after)?.occurrence.at);
        let Some(named) = next(at.just_before()).filter(|named| *named < until) else {
            return Ok(NoRun::NotScheduled { at, next: next(at) });
        };
        if named > self.now {
            return Ok(NoRun::NotDue(named));
        }
        let watermark = row.and_then(|row| row.watermark);
        let is_undecided = watermark.is_none_or(|decided| decided < named);
        Ok(NoRun::Unrecorded {
            at: named,
            undecided: is_undecided.then(|| self.hindrances(row)).transpose()?,
            down: self.store.downtime_of(named)?,
        })
    }
}
