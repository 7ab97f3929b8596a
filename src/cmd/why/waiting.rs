//! Why a run waits.

use super::Case;
use crate::cmd::failure::Failure;
use crate::cmd::when;
use crate::core::job::Job;
use crate::core::lane;
use crate::core::rate;
use crate::core::run::State;
use crate::store::{Filter, RunRow};

impl Case<'_> {
    /// What an unfinished run that does not run waits for.
    pub(super) fn waiting(&self, run: &RunRow) -> Result<String, Failure> {
        let row = self.store.job(&run.job)?;
        let mut parts = match (run.state, run.due_at) {
            (State::Queued, _) => self.in_the_way(run)?,
            (_, None) => self.predecessors(run)?,
            (State::Retrying, Some(due)) => vec![format!(
                "{}; the next attempt is due {}",
                self.attempts_text(run)?,
                self.time(due)
            )],
            (_, Some(due)) => vec![format!("due {}", self.time(due))],
        };
        parts.extend(self.hindrances(row.as_ref())?);
        if self.jobs.get(&run.job).is_none() && row.is_some_and(|row| row.present) {
            parts.push("its job is not in the jobfile".to_owned());
        }
        if let Some(expires) = run.expires_at.filter(|_| run.attempt == 0) {
            parts.push(format!(
                "cancelled if not started by {}",
                self.viewer.show(expires)
            ));
        }
        if parts.is_empty() {
            parts.push(
                "nothing that is on record is in its way: it starts at once, or somebody who is no run of jobctl holds \
                 one of its locks"
                    .to_owned(),
            );
        }
        Ok(parts.join("; "))
    }

    fn predecessors(&self, run: &RunRow) -> Result<Vec<String>, Failure> {
        let mut waits_for = Vec::new();
        for id in &run.after {
            let state = self
                .store
                .run(*id)?
                .map_or_else(|| "gone".to_owned(), |run| run.state.to_string());
            if state != State::Succeeded.to_string() {
                waits_for.push(format!("run {id} ({state})"));
            }
        }
        Ok(vec![format!("waiting for {}", waits_for.join(", "))])
    }

    /// Places, lock, `max_running`, those ahead, rate: in the order in which they let a run wait.
    fn in_the_way(&self, run: &RunRow) -> Result<Vec<String>, Failure> {
        let mut parts = Vec::new();
        let Some(job) = self.jobs.get(&run.job) else {
            return Ok(parts);
        };
        let own = self.running_of(&run.job)?;
        let has_no_place = job
            .policy
            .running_max()
            .is_some_and(|max| own.len() >= usize::try_from(max).unwrap_or(usize::MAX));
        if has_no_place {
            parts.push(format!(
                "waiting for its place, held by {}",
                self.held(&own)
            ));
        } else {
            parts.extend(self.lock_holder(job, run)?);
        }
        parts.extend(self.full_house()?);
        match self.store.ahead_of(run)? {
            0 => {}
            ahead if parts.is_empty() => parts.push(format!("{ahead} ahead of it")),
            ahead => parts.push(format!("then {ahead} ahead of it")),
        }
        if let Some(rate) = job.policy.rate
            && let Some(wait) = rate::wait(rate, self.store.rate_at(run.job_id)?, self.viewer.now)
        {
            parts.push(format!(
                "rate allows the next start {}",
                self.time(self.viewer.now + wait)
            ));
        }
        Ok(parts)
    }

    /// Who holds the lock of a job that has a place: a run of another job, or another run of this one.
    fn lock_holder(&self, job: &Job, run: &RunRow) -> Result<Option<String>, Failure> {
        let Some(lock) = lane::lock_of(&job.policy, &run.args) else {
            return Ok(None);
        };
        let needed = Some(&lock);
        for other in &self.jobs.jobs {
            if other.policy.lock.is_none() {
                continue;
            }
            let mut holders = self.running_of(other.name.as_str())?;
            holders.retain(|held| lane::lock_of(&other.policy, &held.args).as_ref() == needed);
            if !holders.is_empty() {
                let held = self.held(&holders);
                return Ok(Some(format!(
                    "waiting for lock `{lock}`, held by `{}`: {held}",
                    other.name
                )));
            }
        }
        Ok(None)
    }

    /// Whether as many runs run as may run at all.
    fn full_house(&self) -> Result<Option<String>, Failure> {
        let running: i64 = self.store.jobs()?.iter().map(|job| job.running).sum();
        let max = crate::cmd::run::running_max(&self.jobs.settings);
        let is_full = usize::try_from(running).is_ok_and(|running| running >= max);
        Ok(is_full.then(|| format!("{running} runs are running, as many as `max_running` allows")))
    }

    fn running_of(&self, job: &str) -> Result<Vec<RunRow>, Failure> {
        let filter = Filter {
            states: vec![State::Running],
            job: Some(job.to_owned()),
            ..Filter::default()
        };
        Ok(self.store.runs(&filter, None)?)
    }

    /// `run 812 for 3m 12s`, up to three of them.
    fn held(&self, runs: &[RunRow]) -> String {
        const SHOWN_MAX: usize = 3;
        let mut parts: Vec<String> = runs
            .iter()
            .rev()
            .take(SHOWN_MAX)
            .map(|run| {
                let since = run.started_at.unwrap_or(run.created_at);
                let ms = self.viewer.now.ms().saturating_sub(since.ms());
                format!("run {} for {}", run.id, when::span(ms))
            })
            .collect();
        if let Some(more) = runs.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
            parts.push(format!("{more} more"));
        }
        parts.join(", ")
    }
}
