//! Wall clocks that jump: set forward, set back, or not looked at because the machine slept. What follows from it for what was
//! decided under the clock as it was.
//!
//! A jump is said in the log when it is seen, and dealt with in the first turn that gets on disk.

use std::time::Duration;

use super::jobs::JobState;
use super::spawner::Spawner;
use super::{Steps, Supervisor};
use crate::core::duration::in_words;
use crate::core::plan::{self, LATE_MAX, STEP_MAX};
use crate::core::time::{Now, Wall};
use crate::store::{AgeHeld, StoreError};

/// A difference between the clocks that is no jump but a correction (NTP slews, a busy machine).
const JUMP_MIN: Duration = Duration::from_secs(60);

/// A clock that goes further forward than this may be wrong for a moment, and what it makes old would be gone for good.
const LARGE: Duration = Duration::from_secs(86_400);

/// For so long after that, on the monotonic clock, nothing is removed by age.
const AGE_HELD: Duration = Duration::from_secs(86_400);

/// How much of that a boot may lose that ends before it is over.
const AGE_NOTED_EVERY: Duration = Duration::from_secs(3600);

/// What the wall clock did since the last turn that is on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Jump {
    /// How much further than time it went forward, in all: what fell due in it is that late.
    pub(super) forward: Duration,
    /// Whether it went back, and what lies ahead of it was decided or promised under the clock as it was.
    pub(super) is_back: bool,
    /// Whether it went so far back, with what it went back before and was not made up for, that fixed times repeat.
    pub(super) is_far_back: bool,
}

impl<S: Spawner> Supervisor<S> {
    /// Compares the clocks with the last look at them.
    pub(super) fn look_at_clock(&mut self, now: Now) {
        let last = std::mem::replace(&mut self.last, now);
        let expected = last.wall + now.mono.since(last.mono);
        // Steps that are too small to be seen one by one are seen together, against the latest time there was.
        let highest = expected.max(self.latest);
        self.latest = self.latest.max(now.wall);
        self.reached = self.reached.max(now.wall);
        let (forward, back) = (now.wall.since(expected), highest.since(now.wall));
        let unseen = now.wall.since(last.wall);
        if back >= JUMP_MIN {
            self.went_back(highest, now.wall);
        } else if forward >= JUMP_MIN {
            self.went_forward("clock_forward", expected, now.wall);
            self.hold_age_after(forward, now);
        } else if unseen > LATE_MAX {
            // The monotonic clock went along, but nobody looked: this process was stopped, or the clocks count sleep.
            self.went_forward("clock_unseen", last.wall, now.wall);
        }
    }

    /// Compares the clock with the last sign of life of the supervisor before this one.
    pub(crate) fn look_at_clock_of_last(&mut self, last_alive_at: Wall, now: Now) {
        if last_alive_at.since(now.wall) >= JUMP_MIN {
            self.went_back(last_alive_at, now.wall);
        }
        self.hold_age_after(now.wall.since(last_alive_at), now);
    }

    /// The same by how far the jobs are planned: there may be no sign of life, or the supervisor that saw the step had no turn on disk.
    /// Jobs with fixed times stay planned ahead after a step back that was dealt with: only what is beyond that is a sign.
    pub(super) fn look_at_watermarks(&mut self, now: Now) {
        if self.jump.is_some_and(|jump| jump.is_back) {
            return;
        }
        let is_sign = |state: &&JobState| {
            let kept =
                plan::watermark_after_step_back(&state.timetable(), state.watermark, now.wall);
            state.watermark.since(now.wall) >= JUMP_MIN && kept != state.watermark
        };
        let signs = self.jobs.iter().filter(is_sign);
        if let Some(latest) = signs.map(|state| state.watermark).max() {
            self.went_back(latest, now.wall);
        }
    }

    /// Removes nothing by age for a while after a large step forward, or a downtime that may have been one.
    fn hold_age_after(&mut self, forward: Duration, now: Now) {
        if forward > LARGE {
            self.age_held_deadline = Some(now.mono + AGE_HELD);
            self.age_noted_at = None;
        }
    }

    /// Whether nothing may be removed by age now.
    pub(super) fn holds_age(&self, now: Now) -> bool {
        self.age_held_deadline.is_some_and(|deadline| now.mono < deadline)
    }

    /// Whether what is on disk of that is to be renewed.
    pub(super) fn owes_age_held(&self, now: Now) -> bool {
        let is_old = |at| now.mono.since(at) >= AGE_NOTED_EVERY;
        let is_noted = self.holds_age(now) && !self.age_noted_at.is_none_or(is_old);
        self.age_held_deadline.is_some() && !is_noted
    }

    /// Goes on with what the last supervisor held. The monotonic clock of another boot says nothing: what was left when that was noted
    /// is left still.
    pub(super) fn recover_age_held(&mut self, now: Now) -> Result<(), StoreError> {
        let Some(held) = self.store.age_held()? else {
            return Ok(());
        };
        let is_of_boot = held.boot_id == self.configuration.boot_id;
        let left = if is_of_boot { held.deadline.since(now.mono) } else { held.left };
        let deadline = now.mono + left.min(AGE_HELD);
        let own = self.age_held_deadline;
        self.age_held_deadline = Some(own.map_or(deadline, |own| own.max(deadline)));
        Ok(())
    }

    /// Writes down how long nothing is removed by age, for a supervisor that begins under the same wrong clock, and that it is over.
    pub(super) fn write_age_held(&self, now: Now) -> Result<(), StoreError> {
        let Some(deadline) = self.age_held_deadline.filter(|_| self.owes_age_held(now)) else {
            return Ok(());
        };
        let held = self.holds_age(now).then(|| AgeHeld {
            boot_id: self.configuration.boot_id.clone(),
            deadline,
            left: deadline.since(now.mono),
        });
        self.store.set_age_held(held.as_ref())
    }

    /// What [`Supervisor::write_age_held`] wrote is on disk.
    pub(super) fn note_age_held(&mut self, now: Now) {
        if self.owes_age_held(now) {
            self.age_noted_at = Some(now.mono);
        }
        if !self.holds_age(now) {
            self.age_held_deadline = None;
        }
    }

    fn went_back(&mut self, from: Wall, to: Wall) {
        self.latest = to;
        self.reached = self.reached.max(from);
        let jump = self.jump.get_or_insert_default();
        jump.is_back = true;
        // As cron's virtual time, which follows a clock that was set so far.
        if self.reached.since(to) >= STEP_MAX {
            jump.is_far_back = true;
            self.reached = to;
        }
        self.say_jump("clock_back", [from, to], from.since(to));
    }

    fn went_forward(&mut self, name: &str, from: Wall, to: Wall) {
        let by = to.since(from);
        self.jump.get_or_insert_default().forward += by;
        self.say_jump(name, [from, to], by);
    }

    fn say_jump(&mut self, name: &str, [from, to]: [Wall; 2], by: Duration) {
        let fields: [(&str, &dyn std::fmt::Display); 4] = [
            ("from", &from.rfc3339()),
            ("to", &to.rfc3339()),
            ("by", &in_words(by)),
            ("by_s", &by.as_secs()),
        ];
        self.log.event(to, name, &fields);
    }

    /// After a step back, lets planning go on from where the rule says, and takes back what was promised for a time that is
    /// far ahead now.
    pub(super) fn go_back_with_clock(&mut self, steps: &mut Steps) -> Result<(), StoreError> {
        if !self.jump.is_some_and(|jump| jump.is_back) {
            return Ok(());
        }
        self.store.bring_back_to(steps.now.wall)?;
        self.refresh(steps)?;
        (0..self.jobs.len()).try_for_each(|index| self.step_job_back(index, steps))
    }

    fn step_job_back(&mut self, index: usize, steps: &mut Steps) -> Result<(), StoreError> {
        let now = steps.now.wall;
        let state = &self.jobs[index];
        let (id, watermark) = (state.id, state.watermark);
        let has_late_grid = state.grid_at.is_some_and(|at| at > now);
        // Occurrences are decided when their jitter is over, so what is decided ends that far back, but not before the job was there.
        let there_at = state.began.map(|at| now - steps.now.mono.since(at));
        let decided = (now - state.jitter).max(there_at.unwrap_or(now - state.jitter));
        let moved = if watermark <= decided {
            watermark
        } else if self.jump.is_some_and(|jump| jump.is_far_back) {
            decided
        } else {
            plan::watermark_after_step_back(&state.timetable(), watermark, decided)
        };
        if moved == watermark && !has_late_grid {
            return Ok(());
        }
        steps.note_planning(index, state);
        if has_late_grid {
            self.store.move_grid(id, now)?;
            self.jobs[index].grid_at = Some(now);
        }
        self.store.move_watermark(id, moved)?;
        self.move_planning(index, moved, steps);
        Ok(())
    }
}
