//! Why a run waits.

use super::Case;
use crate::cmd::Result;
use crate::cmd::when;
use crate::core::run::State;
use crate::facts::traffic::{Holder, Obstacle, Traffic};
use crate::store::RunRow;

impl Case<'_> {
    /// What an unfinished run that does not run waits for.
    pub(super) fn waiting(&self, run: &RunRow) -> Result<String> {
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
            parts.push(format!("it is cancelled if not started by {}", self.viewer.show(expires)));
        }
        if parts.is_empty() {
            parts.push(
                "it starts at once, unless another program holds one of its locks".to_owned(),
            );
        }
        Ok(parts.join("; "))
    }

    fn predecessors(&self, run: &RunRow) -> Result<Vec<String>> {
        let mut waits_for = Vec::new();
        for id in &run.after {
            let state =
                self.store.run(*id)?.map_or_else(|| "gone".to_owned(), |run| run.state.to_string());
            if state != State::Succeeded.to_string() {
                waits_for.push(format!("run {id} ({state})"));
            }
        }
        Ok(vec![format!("waiting for {}", waits_for.join(", "))])
    }

    /// What is in its way, and how many are ahead of it.
    fn in_the_way(&self, run: &RunRow) -> Result<Vec<String>> {
        let traffic = Traffic::read(self.store, self.jobs, self.viewer.now)?;
        let obstacles = traffic.obstacles(run)?;
        let (rate, others): (Vec<_>, Vec<_>) =
            obstacles.iter().partition(|obstacle| matches!(obstacle, Obstacle::Rate(_)));
        let mut parts: Vec<String> = others.into_iter().map(|other| self.words(other)).collect();
        if self.jobs.get(&run.job).is_some() {
            match self.store.ahead_of(run)? {
                0 => {}
                ahead if parts.is_empty() => parts.push(format!("{ahead} ahead of it")),
                ahead => parts.push(format!("then {ahead} ahead of it")),
            }
        }
        parts.extend(rate.into_iter().map(|rate| self.words(rate)));
        Ok(parts)
    }

    fn words(&self, obstacle: &Obstacle) -> String {
        match obstacle {
            Obstacle::Place(holders) => {
                format!("waiting for its place, held by {}", self.held(holders))
            }
            Obstacle::Lock { name, job, holders } => {
                let held = self.held(holders);
                format!("waiting for lock `{name}`, held by `{job}`: {held}")
            }
            Obstacle::MaxRunning(running) => {
                format!("{running} runs are running, as many as `max_running` allows")
            }
            Obstacle::Rate(at) => format!("`rate` allows the next start {}", self.time(*at)),
        }
    }

    /// `run 812 for 3m 12s`, up to three of them.
    fn held(&self, runs: &[Holder]) -> String {
        const SHOWN_MAX: usize = 3;
        let mut parts: Vec<String> = runs
            .iter()
            .rev()
            .take(SHOWN_MAX)
            .map(|run| {
                let ms = self.viewer.now.ms().saturating_sub(run.since.ms());
                format!("run {} for {}", run.run, when::span(ms))
            })
            .collect();
        if let Some(more) = runs.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
            parts.push(format!("{more} more"));
        }
        parts.join(", ")
    }
}
