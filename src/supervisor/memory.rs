//! What the supervisor remembers. It changes between turns only: by what happens outside, and by
//! what a turn has committed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::clock::Clock;
use super::configuration::{Configuration, Mode};
use super::effects::Effects;
use super::environment::Surroundings;
use super::jobs::{Jobs, Pauses};
use super::live::AllLive;
use super::oversight::Oversight;
use super::places::Places;
use super::pruning::Pruning;
use super::spawner::{SlotEnd, Spawner, Stop};
use super::stopping::Stopping;
use crate::core::notice::Kind;
use crate::core::time::{Mono, Now};
use crate::store::RunningExec;

/// All of it.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) configuration: Configuration,
    pub(super) surroundings: Surroundings,
    pub(super) places: Places,
    pub(super) jobs: Jobs,
    pub(super) live: AllLive,
    /// Ends that are not in the store yet.
    pub(super) ended: Vec<SlotEnd>,
    pub(super) execs: Execs,
    pub(super) pauses: Pauses,
    pub(super) notify: Notify,
    pub(super) clock: Clock,
    pub(super) pruning: Pruning,
    /// Bytes of output that are kept, as the store has it.
    pub(super) output_bytes: i64,
    pub(super) boot: Boot,
    pub(super) stopping: Option<Stopping>,
    /// How often a keeper for a run was refused in a row.
    pub(super) refusals: HashMap<i64, u32>,
    pub(super) lag: Lag,
}

/// Runs that `jobctl exec` looks after: claimed by other processes, whose books are finished here
/// once these are gone.
#[derive(Debug)]
pub(super) struct Execs {
    pub(super) all: Vec<RunningExec>,
    /// When they were looked at.
    pub(super) looked_at: Mono,
}

/// Hooks and mails.
#[derive(Debug, Default)]
pub(super) struct Notify {
    /// Those that could not be started in the surroundings of their job: they are told without.
    pub(super) bare: BTreeSet<i64>,
    /// Jobs whose hook or mail failed the last time: said once.
    pub(super) unheard: BTreeSet<Kind>,
}

/// The facts that depend on the machine's boot.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Boot {
    /// The machine was booted since the last supervisor: what it left on disk unsynced may be gone.
    pub(super) is_new: bool,
    /// The books of the last boot are not on disk yet: only then this boot's id may stand there.
    pub(super) owes_id: bool,
}

/// The longest turn since that was last written down.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lag {
    pub(super) longest: std::time::Duration,
    pub(super) noted_at: Option<Mono>,
}

impl Memory {
    /// Remembers nothing but what it is told.
    pub(super) fn new(configuration: Configuration, surroundings: Surroundings, now: Now) -> Self {
        Self {
            places: Places::in_state_dir(&configuration.state_dir),
            configuration,
            surroundings,
            jobs: Jobs::default(),
            live: AllLive::default(),
            ended: Vec::new(),
            execs: Execs { all: Vec::new(), looked_at: now.mono },
            pauses: Pauses::default(),
            notify: Notify::default(),
            clock: Clock::at(now),
            pruning: Pruning::from(now),
            output_bytes: 0,
            boot: Boot::default(),
            stopping: None,
            refusals: HashMap::new(),
            lag: Lag::default(),
        }
    }

    /// Returns whether anything is started.
    pub(super) fn is_live(&self) -> bool {
        self.configuration.mode == Mode::Live
    }

    /// Returns whether something is under way whose claim may be of another boot or store. As long
    /// as it is, the books of that are not finished: the next supervisor has to doubt it, too.
    pub(super) fn has_doubts(&self) -> bool {
        self.live.has_doubts()
    }

    /// A run that the keeper of a slot works on was told to stop.
    pub(super) fn stop<S: Spawner>(
        &mut self,
        run: i64,
        stop: Stop,
        (spawner, oversight): (&mut S, &mut Oversight),
    ) {
        let slot = self.live.note_stop(run, |live| match stop {
            Stop::Gently => live.is_stopping = true,
            Stop::AtOnce => live.is_killed = true,
        });
        if let Some(slot) = slot {
            spawner.stop(slot, stop);
            oversight.note_told(run, stop);
        }
    }

    /// Effects of a turn that has not decided anything.
    pub(super) fn no_effects(&self) -> Effects {
        let bare = self.notify.bare.clone();
        Effects { bare, pruning: self.pruning, ..Effects::default() }
    }

    /// Takes over what a turn has changed that is on disk now. The ends that it has finished.
    pub(super) fn take_over(&mut self, effects: &mut Effects, now: Now) -> Vec<SlotEnd> {
        for run in &effects.gone {
            self.live.remove(*run);
        }
        for (run, live) in effects.take_begun() {
            self.live.insert(run, live);
        }
        for run in &effects.late {
            self.live.forget_late(*run);
        }
        for (index, planning) in std::mem::take(&mut effects.planned) {
            self.jobs.plan(index, planning);
        }
        if let Some(pauses) = effects.pauses.take() {
            self.pauses = pauses;
        }
        if let Some(execs) = effects.execs.take() {
            self.execs.all = execs;
        }
        self.notify.take_over(effects);
        self.pruning = effects.pruning;
        let bytes = effects.output_bytes.unwrap_or(self.output_bytes);
        self.output_bytes = bytes.saturating_add(effects.output_change);
        if effects.is_idle {
            self.refusals.clear();
        }
        if effects.has_lag {
            self.lag = Lag { longest: std::time::Duration::ZERO, noted_at: Some(now.mono) };
        }
        self.boot.owes_id &= self.has_doubts();
        self.clock.note_turn(now);
        let is_deferred = |end: &SlotEnd| effects.deferred.contains(&(end.run, end.claim));
        let (deferred, finished) =
            std::mem::take(&mut self.ended).into_iter().partition(is_deferred);
        self.ended = deferred;
        finished
    }
}

impl Notify {
    fn take_over(&mut self, effects: &mut Effects) {
        self.bare = std::mem::take(&mut effects.bare);
        let changes: BTreeMap<Kind, bool> = std::mem::take(&mut effects.unheard);
        for (kind, has_failed) in changes {
            match has_failed {
                true => self.unheard.insert(kind),
                false => self.unheard.remove(&kind),
            };
        }
    }
}
