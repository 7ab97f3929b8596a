//! A stop of the supervisor: what runs gets time to end, then the stop sequence.

use std::time::Duration;

use super::spawner::{Spawner, Stop};
use super::{Flow, Mode, Steps, Supervisor};
use crate::core::job::OnStop;
use crate::core::retry::Stopped;
use crate::core::time::{Mono, Now};
use crate::store::StoreError;

/// Before a stop is over, so that the ends of what gets KILL are written down within it.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A stop under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopping {
    since: Mono,
    /// How often it was asked for: twice is "now", three times is KILL.
    asked: u32,
}

impl<S: Spawner> Supervisor<S> {
    /// Begins a stop; a second time: the stop sequence at once; a third time: KILL.
    pub(super) fn ask_to_stop(&mut self, now: Now) {
        let asked = self.stopping.map_or(1, |stopping| stopping.asked + 1);
        let since = self.stopping.map_or(now.mono, |stopping| stopping.since);
        self.stopping = Some(Stopping { since, asked });
        if asked == 1 {
            self.sign_stopping(now);
        }
        self.log.event(
            now.wall,
            "stopping",
            &[("running", &self.live.len()), ("hooks", &self.telling.len()), ("asked", &asked)],
        );
    }

    /// Whether the loop goes on: after a stop it does as long as attempts run (`finish`) or ends are not on disk, but not for a
    /// store that cannot be written. What is not on disk stands in the records, and the next supervisor reads them.
    pub(super) fn flow(&mut self, now: Now) -> Flow {
        let Some(stopping) = self.stopping else {
            return Flow::Continue;
        };
        if self.again_at.is_some() && self.is_over(stopping, now) {
            self.log.event(
                now.wall,
                "leaving",
                &[
                    ("reason", &"the store cannot be written"),
                    ("running", &self.live.len()),
                    ("ended", &self.ended.len()),
                ],
            );
            return Flow::Leave;
        }
        let waits_for_attempts = match self.configuration.on_stop {
            OnStop::Finish => !self.live.is_empty() && !self.is_long_over(stopping, now),
            OnStop::Detach => false,
        };
        if waits_for_attempts || !self.ended.is_empty() || self.waits_for_telling(stopping, now) {
            Flow::Continue
        } else {
            Flow::Leave
        }
    }

    /// Who is being told, and what is due to be told, has the time of the stop, too. What is left is told by the next supervisor.
    fn waits_for_telling(&self, stopping: Stopping, now: Now) -> bool {
        let has_time = stopping.asked == 1 && now.mono < self.stop_deadline(stopping);
        let is_due = self.next_notice_at.is_some_and(|at| at <= now.wall);
        match self.configuration.on_stop {
            OnStop::Finish => has_time && (!self.telling.is_empty() || is_due),
            OnStop::Detach => false,
        }
    }

    /// Whether a stop waits for hooks and mails.
    pub(super) fn is_kept_by_telling(&self, now: Now) -> bool {
        self.stopping.is_some_and(|stopping| self.waits_for_telling(stopping, now))
    }

    /// Whether new hooks and mails may be started: not by a shadow, which starts nothing.
    pub(super) fn may_tell(&self, now: Now) -> bool {
        if self.configuration.mode == Mode::Shadow {
            return false;
        }
        match (self.stopping, self.configuration.on_stop) {
            (None, _) => true,
            (Some(_), OnStop::Detach) => false,
            (Some(stopping), OnStop::Finish) => {
                stopping.asked == 1 && now.mono < self.stop_deadline(stopping)
            }
        }
    }

    /// Whether a stop has had its time.
    fn is_over(&self, stopping: Stopping, now: Now) -> bool {
        match self.configuration.on_stop {
            OnStop::Finish => stopping.asked > 1 || self.stop_deadline(stopping) <= now.mono,
            OnStop::Detach => true,
        }
    }

    pub(super) fn stop_deadline(&self, stopping: Stopping) -> Mono {
        stopping.since + self.configuration.stop_timeout
    }

    /// When a stop is over that waits for a store that cannot be written, or for hooks.
    pub(super) fn leave_at(&self) -> Option<Mono> {
        self.stopping.map(|stopping| self.stop_deadline(stopping))
    }

    /// Stops every attempt whose time is over.
    pub(super) fn stop_in_time(&mut self, steps: &mut Steps) -> Result<(), StoreError> {
        let now = steps.now;
        let Some(stopping) = self.stopping else {
            return Ok(());
        };
        if self.configuration.on_stop == OnStop::Detach {
            return Ok(());
        }
        let due: Vec<i64> = self
            .live
            .iter()
            .filter(|(_, live)| {
                !live.is_stopping
                    && (stopping.asked > 1 || self.stop_at(live, stopping) <= now.mono)
            })
            .map(|(run, _)| *run)
            .collect();
        for run in due {
            self.store.ask_stop(run, Stopped::Shutdown, None)?;
            self.mark_stopping(run);
            steps.stops.push((run, Stop::Gently));
        }
        let late: Vec<i64> = self
            .live
            .iter()
            .filter(|(_, live)| {
                let kill_at = self.kill_at(live, stopping);
                !live.is_killed && kill_at.is_some_and(|at| at <= now.mono)
            })
            .map(|(run, _)| *run)
            .collect();
        for run in late {
            if let Some(live) = self.live.get_mut(&run) {
                live.is_killed = true;
            }
            steps.stops.push((run, Stop::AtOnce));
        }
        if stopping.asked > 2 {
            steps.stops.extend(self.live.keys().map(|run| (*run, Stop::AtOnce)));
        }
        if stopping.asked > 2 || self.stop_deadline(stopping) <= now.mono {
            let late: Vec<i64> = self.live.keys().copied().collect();
            for run in late {
                self.hurry(run);
            }
        }
        Ok(())
    }

    fn stop_at(&self, live: &super::Live, stopping: Stopping) -> Mono {
        stopping.since + self.configuration.stop_timeout.saturating_sub(live.policy.stop_grace)
    }

    /// When an attempt gets KILL whose grace is longer than the stop may take; those of others end in time by themselves.
    fn kill_at(&self, live: &super::Live, stopping: Stopping) -> Option<Mono> {
        let timeout = self.configuration.stop_timeout;
        let is_short =
            self.configuration.on_stop == OnStop::Finish && live.policy.stop_grace > timeout;
        is_short.then(|| stopping.since + timeout.saturating_sub(LAST_WORDS))
    }

    /// When the next attempt's time is over.
    pub(super) fn next_stop_at(&self) -> Option<Mono> {
        let stopping = self.stopping?;
        let stops = self.live.values().filter(|live| !live.is_stopping);
        let stops = stops.map(|live| self.stop_at(live, stopping));
        let kills = self.live.values().filter(|live| !live.is_killed);
        let kills = kills.filter_map(|live| self.kill_at(live, stopping));
        // After the stop sequence keepers have a last moment, which `oversight` looks after; then the loop leaves without them.
        let over = [self.stop_deadline(stopping), self.long_over_deadline(stopping)];
        let over = over.into_iter().filter(|over| !self.live.is_empty() && self.last.mono < *over);
        stops.chain(kills).chain(over).min()
    }
}
