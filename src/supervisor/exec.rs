//! Runs that somebody executes here and now (`jobctl exec`): the same place, claim, keeper and
//! books as any other, without a queue before it and without a retry behind it.
//!
//! Its process does for one run what a supervisor does for all. A supervisor beside it leaves the
//! run alone, until that process and the keeper are both gone; then it finishes the books.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use super::Supervisor;
use super::memory::{Execs, Memory};
use super::recover::adopted_live;
use super::slots::Slots;
use super::spawner::{Adopted, Report, SlotEnd, Spawner, Stop};
use super::when::LOCK_AGAIN;
use crate::core::job::{Job, Name, Retry};
use crate::core::lane;
use crate::core::reason::plain;
use crate::core::retry::Stopped;
use crate::core::run::Outcome;
use crate::core::time::{Mono, Now};
use crate::keeper::Lent;
use crate::store::{NewItem, RunRow, RunningExec, Store, StoreError};

/// The run to execute.
pub(crate) struct Exec<'a> {
    /// The job.
    pub(crate) job: &'a Job,
    /// Arguments, and standard input if it brings some. A key is told to the command, but not
    /// taken.
    pub(crate) item: NewItem,
}

/// The result of the start.
pub(crate) enum Begun {
    /// It was started.
    Started(Box<RunRow>),
    /// Somebody else holds the place or the lock.
    Locked,
    /// Files of the state directory cannot be used.
    Failed(io::Error),
}

/// What came of the claim.
enum Claimed {
    Done(u32, Box<RunRow>),
    /// As many of its runs run as may.
    Locked,
    Failed(io::Error),
}

/// The progress of the started run.
pub(crate) enum Progress {
    /// It is under way.
    UnderWay,
    /// Its end is on record, and that somebody has seen it.
    Ended(Box<RunRow>),
    /// It has ended, and the store does not have it any more: it was restored meanwhile.
    Gone,
}

impl RunRow {
    /// Returns whether `jobctl exec` looks after it. Its first attempt is; what `jobctl retry` adds
    /// to it is not.
    pub(super) fn is_exec(&self) -> bool {
        self.cause == crate::core::run::Cause::Exec && self.attempt == 1
    }
}

impl Supervisor<Slots> {
    /// Takes place and lock, puts down a run and starts its only attempt.
    pub(crate) fn exec(
        &mut self,
        exec: Exec<'_>,
        lent: &Lent,
        now: Now,
    ) -> Result<Begun, StoreError> {
        self.log.is_mute = true;
        let mut job = exec.job.clone();
        Arc::make_mut(&mut job.policy).retry = Retry::default();
        let lock = lane::lock_of(&job.policy, &exec.item.args);
        let taken = match self.memory.places.take(&job, &[], lock.as_deref()) {
            Ok(Ok(taken)) => taken,
            Ok(Err(_)) => return Ok(Begun::Locked),
            Err(error) => return Ok(Begun::Failed(error)),
        };
        // A killed `exec` or supervisor whose keeper was killed, too, has left its places free, but
        // not what its command started.
        let in_use = self.store.running_slots()?;
        self.spawner.end_left(&in_use);
        let Exec { item, .. } = exec;
        let (slot, mut run) = match self.claim_exec(&job, &item, now)? {
            Claimed::Done(slot, run) => (slot, *run),
            Claimed::Locked => return Ok(Begun::Locked),
            Claimed::Failed(error) => return Ok(Begun::Failed(error)),
        };
        let row = run.clone();
        run.key = item.key;
        let (live, claim) = self.turn(now).claim_of(&job, &run, slot, taken);
        self.memory.live.insert(row.id, live);
        let mut order = claim.order;
        if lent.input.is_some() {
            order.stdin.clear();
        } else if let Some(input) = item.input {
            order.stdin = input;
        }
        let report = match self.spawner.start_with(slot, &order, claim.locks, lent) {
            Ok(()) => {
                let times = (order.timeout, order.stop_grace);
                self.oversight.oversee((row.id, row.claim), slot, times);
                return Ok(Begun::Started(Box::new(row)));
            }
            Err(error) => Report::Refused(Outcome::SpawnFailed {
                exit_code: None,
                error: format!("new keeper: {}", plain(&error)),
            }),
        };
        self.memory.ended.push(SlotEnd { slot, run: row.id, claim: row.claim, report });
        Ok(Begun::Started(Box::new(row)))
    }

    /// Puts down the run with its claim. While this transaction lasts nobody else can say that he
    /// uses a slot.
    fn claim_exec(&mut self, job: &Job, item: &NewItem, now: Now) -> Result<Claimed, StoreError> {
        self.store.begin()?;
        let claimed = self.claim_exec_in_turn(job, item, now);
        match &claimed {
            Ok(Claimed::Done(slot, _)) => {
                if let Err(error) = self.store.commit() {
                    self.store.rollback();
                    self.spawner.give_back(*slot);
                    return Err(error);
                }
            }
            Ok(Claimed::Locked | Claimed::Failed(_)) | Err(_) => self.store.rollback(),
        }
        claimed
    }

    fn claim_exec_in_turn(
        &mut self,
        job: &Job,
        item: &NewItem,
        now: Now,
    ) -> Result<Claimed, StoreError> {
        let was: Vec<&str> = job.policy.was.iter().map(Name::as_str).collect();
        // What was started under a former name holds a place of that name.
        let running = self.store.slots_of_job(job.name.as_str(), &was)?;
        let running = running.iter().filter(|slot| self.spawner.is_held(**slot));
        let running = u32::try_from(running.count()).unwrap_or(u32::MAX);
        if job.policy.running_max().is_some_and(|max| running >= max) {
            return Ok(Claimed::Locked);
        }
        let in_use: BTreeSet<u32> = self.store.running_slots()?.into_iter().collect();
        self.spawner.set_aside(in_use);
        let slot = match self.spawner.free_slot() {
            Ok(slot) => slot,
            Err(error) => return Ok(Claimed::Failed(error)),
        };
        let job_id = self.store.row_of(job.name.as_str(), &was)?;
        let run = self.store.insert_exec(job_id, item, job.policy.priority, now.wall)?;
        let claimed = self.store.claim_if_queued(&run, slot, &job.terms(), now.wall)?;
        Ok(match claimed {
            Some(run) => Claimed::Done(slot, Box::new(run)),
            None => Claimed::Failed(io::Error::other("the run was changed while it was put down")),
        })
    }

    /// Writes down the end of what [`Supervisor::exec`] started, once it is told, and that somebody
    /// has seen it.
    pub(crate) fn exec_ended(&mut self, begun: &RunRow, now: Now) -> Result<Progress, StoreError> {
        self.hear_ends(now);
        if self.memory.ended.is_empty() {
            return Ok(Progress::UnderWay);
        }
        for end in &mut self.memory.ended {
            end.report = never_again(end.report.clone());
        }
        // What it has found is put down in pieces; nobody else waits for this process.
        while !self.memory.ended.is_empty() {
            self.store.begin()?;
            let mut turn = self.turn(now);
            let finished = turn.finish_ended();
            let effects = *turn.effects;
            let written = finished.and_then(|()| {
                if still(&self.store, begun)?.is_some() {
                    self.store.ack_if_failed(begun.id, now.wall)?;
                }
                self.store.commit()
            });
            if let Err(error) = written {
                self.store.rollback();
                return Err(error);
            }
            self.carry_out(effects, now);
        }
        Ok(match still(&self.store, begun)? {
            Some(run) => Progress::Ended(Box::new(run)),
            None => Progress::Gone,
        })
    }

    /// Begins the stop sequence, or ends it at once; the run is cancelled by it.
    pub(crate) fn exec_stop(&mut self, begun: &RunRow, stop: Stop) {
        // The keeper hears it whatever the store says: then the end is that of a shutdown.
        let _ = self.store.together(|store| match store.run(begun.id)? {
            Some(run) if run.claim == begun.claim => {
                store.ask_stop(begun.id, Stopped::ByHand, None)
            }
            Some(_) | None => Ok(false),
        });
        self.pass_on(begun.id, stop);
    }

    /// Begins the stop sequence if somebody has cancelled the run since this was last asked.
    pub(crate) fn exec_look(&mut self, run: i64) -> Result<(), StoreError> {
        self.queue.look_at_version(&self.store)?;
        if !std::mem::take(&mut self.queue.is_stale) {
            return Ok(());
        }
        let is_cancelled = self.store.run(run)?.is_some_and(|row| row.stop.is_some());
        let is_stopping = self.memory.live.get(run).is_none_or(|live| live.is_stopping);
        if is_cancelled && !is_stopping {
            self.pass_on(run, Stop::Gently);
        }
        Ok(())
    }
}

impl Execs {
    /// When those runs are to be looked at.
    pub(super) fn look_at(&self) -> Option<Mono> {
        (!self.all.is_empty()).then_some(self.looked_at + LOCK_AGAIN)
    }
}

impl Memory {
    /// Takes over what nobody looks after any more.
    pub(super) fn look_at_execs<S: Spawner>(&mut self, store: &Store, spawner: &mut S, now: Now) {
        if self.execs.look_at().is_none_or(|at| at > now.mono) {
            return;
        }
        self.execs.looked_at = now.mono;
        for exec in std::mem::take(&mut self.execs.all) {
            let RunningExec { run, slot, claim, .. } = exec;
            // What cannot be read now is asked for again.
            let (Ok(row), Ok(terms)) = (store.run(run), store.terms(run)) else {
                self.execs.all.push(exec);
                continue;
            };
            let Some(row) = row.filter(|row| row.is_exec() && row.claim == claim) else {
                continue;
            };
            let Some(found) = spawner.take_over(slot, run, claim) else {
                self.execs.all.push(exec);
                continue;
            };
            let live = adopted_live(self, &row, terms, now);
            self.live.insert(run, live);
            match found {
                Adopted::Working | Adopted::Ending => {}
                Adopted::Ended(report) => {
                    let report = never_again(report);
                    self.ended.push(SlotEnd { slot, run, claim, report });
                }
            }
        }
    }
}

/// The run as it stands; none if the store does not have this claim of it.
fn still(store: &Store, begun: &RunRow) -> Result<Option<RunRow>, StoreError> {
    let run = store.run(begun.id)?;
    Ok(run.filter(|run| run.claim == begun.claim))
}

/// An attempt of which nothing is known is not tried again: somebody waited for this one.
fn never_again(report: Report) -> Report {
    match report {
        Report::NeverStarted => Report::Lost,
        Report::Lost | Report::Ended(_) | Report::Refused(_) => report,
    }
}
