//! After a start: finishes the books of the supervisor before. What runs is adopted, what ended is known, the rest is lost.

use std::sync::Arc;

use super::spawner::{Adopted, Report, SlotEnd, Spawner};
use super::{Live, Supervisor};
use crate::core::job::CommandLine;
use crate::core::lane;
use crate::core::run::State;
use crate::core::terms::Terms;
use crate::core::time::Now;
use crate::store::{Filter, RunRow, StoreError};

impl<S: Spawner> Supervisor<S> {
    /// Looks after every run that was running when the last supervisor ended. How many were adopted.
    pub(crate) fn recover(&mut self, now: Now) -> Result<usize, StoreError> {
        let former = self.store.books_boot_id()?;
        self.is_new_boot = former.is_some_and(|boot| boot != self.configuration.boot_id);
        self.owes_boot_id = true;
        self.output_bytes = self.store.output_bytes()?;
        self.recover_age_held(now)?;
        let filter = Filter { states: vec![State::Running], ..Filter::default() };
        let mut adopted = 0;
        let running = self.store.runs(&filter, None)?.into_iter().rev();
        for run in running.filter(|run| !run.is_exec()) {
            let slot = run.slot.unwrap_or(u32::MAX);
            let found = self.spawner.adopt(slot, run.id, run.claim);
            let live = Live { is_doubted: self.is_new_boot, ..self.adopted_live(&run, slot, now) };
            if let Adopted::Working = found {
                self.oversee_adopted(run.id, &live);
            }
            self.add_live(run.id, live);
            match found {
                Adopted::Working => {
                    adopted += 1;
                    self.log.event(
                        now.wall,
                        "adopt",
                        &[("job", &run.job), ("run", &run.id), ("attempt", &run.attempt)],
                    );
                }
                Adopted::Ending => {}
                Adopted::Ended(report) => {
                    self.ended.push(SlotEnd { slot, run: run.id, claim: run.claim, report })
                }
            }
        }
        self.recover_notices(now)?;
        Ok(adopted)
    }

    /// Whether something is under way whose claim may be of another boot or store. As long as it is, the books of that are not
    /// finished: the next supervisor has to doubt it, too.
    pub(super) fn has_doubts(&self) -> bool {
        self.live.values().any(|live| live.is_doubted)
            || self.telling.iter().any(|telling| telling.is_doubted)
    }

    /// What it was started with stands in its record; where that does not say, the jobfile of today has to do.
    pub(super) fn adopted_live(&self, run: &RunRow, slot: u32, now: Now) -> Live {
        let terms = self.spawner.terms(slot, run.id, run.claim);
        let is_guessed = terms.is_none();
        let job = self.by_id.get(&run.job_id).map(|&index| &self.jobs[index].job);
        // What is expected is no matter of how it is judged: the jobfile of today says it.
        let within = job.and_then(|job| job.policy.expect_within);
        let so_far = run.started_at.map(|at| now.wall.since(at));
        let late_at = within
            .filter(|_| run.late_at.is_none())
            .map(|within| now.mono + within.saturating_sub(so_far.unwrap_or_default()));
        let (policy, is_shell) = match (terms, job) {
            (Some(terms), _) => {
                let is_shell = terms.is_shell;
                (Arc::new(terms.into_policy()), is_shell)
            }
            (None, Some(job)) => {
                let is_shell = matches!(job.command, CommandLine::Shell(_));
                (job.policy.clone(), is_shell)
            }
            (None, None) => (Arc::default(), false),
        };
        Live {
            job_id: run.job_id,
            slot,
            claim: run.claim,
            place: 0,
            lock: lane::lock_of(&policy, &run.args),
            policy,
            is_shell,
            is_guessed,
            is_doubted: false,
            is_killed: false,
            is_stopping: false,
            late_at,
        }
    }
}

/// What an end says, whenever it came. A record that says nothing of a claim proves that nothing was started only on the boot and in
/// the store of the claim (then `is_doubted` is false): it is not synced, so that an older one may stand there after a power cut,
/// and after a restore it may be that of a later claim.
pub(super) fn believed(report: &Report, is_doubted: bool) -> &Report {
    match report {
        Report::NeverStarted if is_doubted => &Report::Lost,
        Report::NeverStarted | Report::Ended(_) | Report::Lost | Report::Refused(_) => report,
    }
}

impl Live {
    /// The same, judged by what its record says at its end that it was started with, whether it ended or was lost.
    pub(super) fn judged_by(mut self, said: Option<Terms>) -> Self {
        if let Some(terms) = said {
            self.is_shell = terms.is_shell;
            self.policy = Arc::new(terms.into_policy());
        }
        self
    }
}
