//! A stop of the supervisor: what runs gets time to end, then the stop sequence.

use crate::core::retry::Stopped;
use crate::core::time::Now;
use crate::store::StoreError;
use crate::supervisor::live::NOTIFY_JOB;
use crate::supervisor::memory::Memory;
use crate::supervisor::queue::Queue;
use crate::supervisor::spawner::{Spawner, Stop};
use crate::supervisor::stopping::Stopping;
use crate::supervisor::turn::Turn;
use crate::supervisor::when::When;

impl Memory {
    /// Returns whether new hooks and mails may be started: not by a shadow, which starts nothing.
    pub(in crate::supervisor) fn may_tell(&self, now: Now) -> bool {
        self.is_live() && self.stopping.is_none_or(|stopping| !stopping.is_over(now))
    }

    /// Returns whether the stop waits for notices that run or are due. The next supervisor sends
    /// the rest.
    pub(in crate::supervisor) fn waits_for_telling(&self, queue: &Queue, now: Now) -> bool {
        let is_due = queue.next_notice_at.is_some_and(|at| at <= now.wall);
        let has_time = self.stopping.is_some_and(|stopping| !stopping.is_over(now));
        has_time && (!self.live.of_job(NOTIFY_JOB).is_empty() || is_due)
    }
}

/// When the next attempt's time is over.
pub(super) fn due(memory: &Memory) -> Option<When> {
    let stopping = memory.stopping.filter(Stopping::finishes)?;
    if stopping.unnoted_since().is_some() && memory.live.iter().next().is_some() {
        return Some(When::Soon);
    }
    let live = || memory.live.iter().map(|(_, live)| live).filter(|live| live.is_of_a_job());
    let stops = live().filter(|live| !live.is_stopping).map(|live| stopping.stop_at(live));
    let kills = live().filter(|live| !live.is_killed).filter_map(|live| stopping.kill_at(live));
    let hurry = live().filter(|live| !live.is_hurried).map(|_| stopping.hurry_at());
    stops.chain(kills).chain(hurry).min().map(When::By)
}

impl<S: Spawner> Turn<'_, S> {
    /// Stops every attempt whose time is over.
    pub(super) fn stop_in_time(&mut self) -> Result<(), StoreError> {
        let now = self.now.mono;
        let stopping = self.memory.stopping.filter(Stopping::finishes);
        let Some(stopping) = stopping else {
            return Ok(());
        };
        if let Some(since) = stopping.unnoted_since() {
            self.store.note_stopping(since)?;
            self.effects.is_stop_noted = true;
        }
        let (mut stops, mut kills, mut hurried) = (Vec::new(), Vec::new(), Vec::new());
        for (run, live) in self.all_live().filter(|(_, live)| live.is_of_a_job()) {
            let is_due = !self.is_stopping(run) && stopping.stop_at(live) <= now;
            stops.extend(is_due.then_some(run));
            let is_late = stopping.kill_at(live).is_some_and(|at| at <= now);
            kills.extend((is_late && !live.is_killed).then_some(run));
            let is_over = stopping.hurry_at() <= now;
            hurried.extend((is_over && !live.is_hurried).then_some(run));
        }
        for run in stops {
            self.store.ask_stop(run, Stopped::Shutdown, None)?;
            self.stop(run, Stop::Gently);
        }
        for run in kills {
            self.stop(run, Stop::AtOnce);
        }
        self.effects.hurried = hurried;
        Ok(())
    }
}
