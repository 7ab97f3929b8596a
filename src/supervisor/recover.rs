//! After a start: finishes the books of the supervisor before. What runs is adopted, what ended is
//! known, the rest is lost.

use std::sync::Arc;
use std::time::Duration;

use super::environment::NOTICE_TIMES;
use super::live::Live;
use super::log::{Log, LogEvent};
use super::memory::{Boot, Memory};
use super::oversight::Oversight;
use super::spawner::{Adopted, SlotEnd, Spawner};
use super::work::Work;
use crate::core::lane;
use crate::core::run::State;
use crate::core::terms::Terms;
use crate::core::time::Now;
use crate::store::{Filter, RunRow, Store, StoreError};

/// A supervisor that begins, as far as the books of the one before concern it.
pub(super) struct Recovery<'a, S> {
    pub(super) store: &'a Store,
    pub(super) spawner: &'a mut S,
    pub(super) memory: &'a mut Memory,
    pub(super) oversight: &'a mut Oversight,
    pub(super) log: &'a mut Log,
    pub(super) now: Now,
}

impl<S: Spawner> Recovery<'_, S> {
    /// Looks after every run that was running when the last supervisor ended. How many were
    /// adopted.
    pub(super) fn finish_books(&mut self) -> Result<usize, StoreError> {
        let now = self.now;
        let memory = &mut *self.memory;
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
            let terms = self.store.terms(run.id)?;
            let live = adopted_live(self.memory, &run, terms, now);
            let live = Live { is_doubted: is_new, ..live };
            let times = (live.policy.timeout, live.policy.stop_grace);
            self.memory.live.insert(run.id, live);
            if self.adopt((run.id, run.claim), slot, times) {
                adopted += 1;
                self.log.event(
                    now.wall,
                    LogEvent::Adopt,
                    &[("job", &run.job), ("run", &run.id), ("attempt", &run.attempt)],
                );
            }
        }
        self.recover_notices()?;
        Ok(adopted)
    }

    /// Looks after what the last supervisor was telling.
    fn recover_notices(&mut self) -> Result<(), StoreError> {
        for row in self.store.notices_under_way()? {
            let (Some(slot), Some(claim)) = (row.slot, row.claim) else {
                continue;
            };
            let run = Work::Notice(row.id).number();
            let is_doubted = self.memory.boot.is_new;
            let live = Live { is_doubted, ..Live::of_notice(slot, claim) };
            self.memory.live.insert(run, live);
            if self.adopt((run, claim), slot, NOTICE_TIMES) {
                self.log.event(self.now.wall, LogEvent::Adopt, &[("notice", &row.id)]);
            }
        }
        Ok(())
    }

    /// Looks after what a former supervisor began. Whether its keeper works on it.
    fn adopt(
        &mut self,
        (run, claim): (i64, i64),
        slot: u32,
        times: (Option<Duration>, Duration),
    ) -> bool {
        match self.spawner.adopt(slot, run, claim) {
            Adopted::Working => self.oversight.oversee((run, claim), slot, times),
            Adopted::Ending => return false,
            Adopted::Ended(report) => {
                self.memory.ended.push(SlotEnd { slot, run, claim, report });
                return false;
            }
        }
        true
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
