//! A stop of the supervisor: what runs gets time to end, then the stop sequence.

use std::time::Duration;

use super::When;
use crate::core::job::OnStop;
use crate::core::retry::Stopped;
use crate::core::time::{Mono, Now, Wall};
use crate::store::StoreError;
use crate::supervisor::live::{Live, NOTIFY_JOB};
use crate::supervisor::oversight;
use crate::supervisor::{Configuration, Memory, Queue, Spawner, Stop, Turn};

/// Before a stop is over, so that the ends of what gets KILL are written down within it.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A stop under way.
#[derive(Clone, Copy, Debug)]
pub(in crate::supervisor) struct Stopping {
    since: Mono,
    /// How often it was asked for: twice is "now", three times is KILL.
    asked: u32,
    on_stop: OnStop,
    timeout: Duration,
    /// When it began, by the wall clock, and whether the store says so.
    since_wall: Wall,
    is_noted: bool,
}

impl Stopping {
    /// Another one, at `now`.
    pub(in crate::supervisor) fn ask(memory: &Memory, now: Now) -> Self {
        let Configuration { on_stop, stop_timeout: timeout, .. } = memory.configuration;
        match memory.stopping {
            Some(before) => Self { asked: before.asked + 1, on_stop, timeout, ..before },
            None => Self {
                since: now.mono,
                asked: 1,
                on_stop,
                timeout,
                since_wall: now.wall,
                is_noted: false,
            },
        }
    }

    /// The store says since when.
    pub(in crate::supervisor) fn note(&mut self) {
        self.is_noted = true;
    }

    /// The jobfile was read anew.
    pub(in crate::supervisor) fn configure(&mut self, configuration: &Configuration) {
        self.on_stop = configuration.on_stop;
        self.timeout = configuration.stop_timeout;
    }

    pub(in crate::supervisor) fn asked(&self) -> u32 {
        self.asked
    }

    /// When it has had its time.
    pub(in crate::supervisor) fn deadline(&self) -> Mono {
        self.since + self.timeout
    }

    /// When the supervisor leaves, whatever keepers have not ended that were killed for it.
    pub(in crate::supervisor) fn leave_deadline(&self) -> Mono {
        self.deadline() + oversight::AFTER_A_STOP
    }

    /// Whether it has had its time.
    pub(in crate::supervisor) fn is_over(&self, now: Now) -> bool {
        self.on_stop == OnStop::Detach || self.asked > 1 || self.deadline() <= now.mono
    }

    /// Whether it waits for these attempts.
    pub(in crate::supervisor) fn waits_for_attempts(&self, now: Now) -> bool {
        self.on_stop == OnStop::Finish && now.mono < self.leave_deadline()
    }

    fn stop_at(&self, live: &Live) -> Mono {
        match self.asked {
            1 => self.since + self.timeout.saturating_sub(live.policy.stop_grace),
            _ => self.since,
        }
    }

    /// When an attempt gets KILL: by the third wish, or if its grace is longer than the stop may
    /// take. Those of others end in time by themselves.
    fn kill_at(&self, live: &Live) -> Option<Mono> {
        if self.asked > 2 {
            return Some(self.since);
        }
        let is_short = live.policy.stop_grace > self.timeout;
        is_short.then(|| self.since + self.timeout.saturating_sub(LAST_WORDS))
    }

    /// When keepers get their last moment, which `oversight` looks after.
    fn hurry_at(&self) -> Mono {
        if self.asked > 2 { self.since } else { self.deadline() }
    }
}

impl Memory {
    /// Whether new hooks and mails may be started: not by a shadow, which starts nothing.
    pub(in crate::supervisor) fn may_tell(&self, now: Now) -> bool {
        self.is_live() && self.stopping.is_none_or(|stopping| !stopping.is_over(now))
    }

    /// Who is being told, and what is due to be told, has the time of the stop, too. What is left
    /// is told by the next supervisor.
    pub(in crate::supervisor) fn waits_for_telling(&self, queue: &Queue, now: Now) -> bool {
        let is_due = queue.next_notice_at.is_some_and(|at| at <= now.wall);
        let has_time = self.stopping.is_some_and(|stopping| !stopping.is_over(now));
        has_time && (!self.live.of_job(NOTIFY_JOB).is_empty() || is_due)
    }
}

/// When the next attempt's time is over.
pub(super) fn due(memory: &Memory) -> Option<When> {
    let stopping = memory.stopping.filter(|stopping| stopping.on_stop == OnStop::Finish)?;
    if !stopping.is_noted && !memory.live.is_empty() {
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
        let stopping = self.memory.stopping.filter(|stopping| stopping.on_stop == OnStop::Finish);
        let Some(stopping) = stopping else {
            return Ok(());
        };
        if !stopping.is_noted {
            self.store.note_stopping(stopping.since_wall)?;
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
