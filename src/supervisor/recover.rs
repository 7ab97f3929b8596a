//! After a start: finishes the books of the supervisor before. What runs is adopted, what ended is
//! known, the rest is lost.

use std::sync::Arc;

use super::Supervisor;
use super::duties::notify::Telling;
use super::live::Live;
use super::memory::{Boot, Memory};
use super::spawner::{Adopted, SlotEnd, Spawner};
use crate::core::lane;
use crate::core::run::State;
use crate::core::terms::Terms;
use crate::core::time::Now;
use crate::store::{Filter, RunRow, StoreError};

impl<S: Spawner> Supervisor<S> {
    /// Looks after every run that was running when the last supervisor ended. How many were
    /// adopted.
    pub(crate) fn recover(&mut self, now: Now) -> Result<usize, StoreError> {
        let memory = &mut self.memory;
        let boot_id = &memory.configuration.boot_id;
        let is_new = self.store.books_boot_id()?.is_some_and(|boot| boot != *boot_id);
        memory.boot = Boot { is_new, owes_id: true };
        memory.output_bytes = self.store.output_bytes()?;
        if let Some(held) = self.store.age_held()? {
            memory.clock.go_on_holding(&held, boot_id, now);
        }
        let filter = Filter { states: vec![State::Running], ..Filter::default() };
        let mut adopted = 0;
        let running = self.store.runs(&filter, None)?.into_iter().rev();
        for run in running.filter(|run| !run.is_exec()) {
            let slot = run.slot.unwrap_or(u32::MAX);
            let found = self.spawner.adopt(slot, run.id, run.claim);
            let terms = self.store.terms(run.id)?;
            let live = adopted_live(&self.memory, &run, terms, now);
            let live = Live { is_doubted: is_new, ..live };
            if let Adopted::Working = found {
                adopted += 1;
                self.oversight.oversee_adopted(run.id, &live);
                self.log.event(
                    now.wall,
                    "adopt",
                    &[("job", &run.job), ("run", &run.id), ("attempt", &run.attempt)],
                );
            }
            self.memory.live.insert(run.id, live);
            self.memory.note_found(found, slot, (run.id, run.claim));
        }
        self.recover_notices(now)?;
        Ok(adopted)
    }

    /// Looks after what the last supervisor was telling.
    fn recover_notices(&mut self, now: Now) -> Result<(), StoreError> {
        for row in self.store.notices_under_way()? {
            let (Some(slot), Some(claim)) = (row.slot, row.claim) else {
                continue;
            };
            let is_doubted = self.memory.boot.is_new;
            let telling = Telling { id: row.id, job_id: row.job_id, claim, is_doubted };
            self.memory.notify.telling.push(telling);
            let found = self.spawner.adopt(slot, -row.id, claim);
            if let Adopted::Working = found {
                self.oversight.oversee_adopted_notice((-row.id, claim), slot);
                self.log.event(now.wall, "adopt", &[("notice", &row.id)]);
            }
            self.memory.note_found(found, slot, (-row.id, claim));
        }
        Ok(())
    }
}

impl Memory {
    /// Notes the end of an attempt of a former supervisor, if it has ended.
    pub(super) fn note_found(&mut self, found: Adopted, slot: u32, (run, claim): (i64, i64)) {
        match found {
            Adopted::Working | Adopted::Ending => {}
            Adopted::Ended(report) => self.ended.push(SlotEnd { slot, run, claim, report }),
        }
    }
}

/// An attempt that another process has started, with the terms that its row names. Where another
/// hand has removed them, it is judged as one of a job that says nothing.
pub(super) fn adopted_live(memory: &Memory, run: &RunRow, terms: Option<Terms>, now: Now) -> Live {
    // What is expected is no matter of how it is judged: the jobfile of today says it.
    let job = memory.jobs.get(run.job_id);
    let within = job.and_then(|state| state.job.policy.expect_within);
    let so_far = run.started_at.map(|at| now.wall.since(at));
    let late_at = within
        .filter(|_| run.late_at.is_none())
        .map(|within| now.mono + within.saturating_sub(so_far.unwrap_or_default()));
    let is_shell = terms.as_ref().is_some_and(|terms| terms.is_shell);
    let policy = terms.map(|terms| Arc::new(terms.into_policy())).unwrap_or_default();
    Live {
        job_id: run.job_id,
        slot: run.slot.unwrap_or(u32::MAX),
        claim: run.claim,
        place: 0,
        lock: lane::lock_of(&policy, &run.args),
        policy,
        is_shell,
        is_doubted: false,
        is_killed: false,
        is_hurried: false,
        is_stopping: false,
        late_at,
    }
}
