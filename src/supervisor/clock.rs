//! Wall clocks that jump: set forward, set back, or not looked at because the machine slept. What
//! follows from it for what was decided under the clock as it was.
//!
//! A jump is said in the log when it is seen, and dealt with in the first turn that gets on disk.

use std::time::Duration;

use super::jobs::{JobState, Jobs};
use super::log::{Log, LogEvent};
use super::when::When;
use crate::core::duration::in_words;
use crate::core::plan::{self, LATE_MAX, STEP_MAX};
use crate::core::time::{Mono, Now, Wall};
use crate::store::AgeHeld;

/// A difference between the clocks that is no jump but a correction (NTP slews, a busy machine).
const JUMP_MIN: Duration = Duration::from_secs(60);

/// A clock that goes further forward than this may be wrong for a moment, and what it makes old
/// would be gone for good.
const LARGE: Duration = Duration::from_secs(86_400);

/// For so long after that, on the monotonic clock, nothing is removed by age.
const AGE_HELD: Duration = Duration::from_secs(86_400);

/// How much of that a boot may lose that ends before it is over.
const AGE_NOTED_EVERY: Duration = Duration::from_secs(3600);

/// The jump of the wall clock since the last turn that is on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Jump {
    /// How much further than time it went forward, in all: what fell due in it is that late.
    pub(super) forward: Duration,
    /// Whether it went back, and what lies ahead of it was decided or promised under the clock as
    /// it was.
    pub(super) is_back: bool,
    /// Whether it went so far back, with what it went back before and was not made up for, that
    /// fixed times repeat.
    pub(super) is_far_back: bool,
}

/// The clocks as they were last seen.
#[derive(Debug)]
pub(super) struct Clock {
    last: Now,
    /// The latest time that the wall clock showed since it was last set back.
    latest: Wall,
    /// Up to where fixed times are gone through, as cron's virtual time: ahead of the clock after
    /// it was set back a little.
    reached: Wall,
    pub(super) jump: Option<Jump>,
    /// The clock went far forward: nothing is removed by age until then.
    age_held_deadline: Option<Mono>,
    /// When how much of that is left was last put on disk; none: it is not there yet.
    age_noted_at: Option<Mono>,
}

impl Clock {
    /// Looks at them for the first time.
    pub(super) fn at(now: Now) -> Self {
        Self {
            last: now,
            latest: now.wall,
            reached: now.wall,
            jump: None,
            age_held_deadline: None,
            age_noted_at: None,
        }
    }

    /// When they were last seen.
    pub(super) fn last(&self) -> Now {
        self.last
    }

    /// Compares the clocks with the last look at them.
    pub(super) fn look(&mut self, now: Now, log: &mut Log) {
        let last = std::mem::replace(&mut self.last, now);
        let expected = last.wall + now.mono.since(last.mono);
        // Steps that are too small to be seen one by one are seen together, against the latest time
        // there was.
        let highest = expected.max(self.latest);
        self.latest = self.latest.max(now.wall);
        self.reached = self.reached.max(now.wall);
        let (forward, back) = (now.wall.since(expected), highest.since(now.wall));
        let unseen = now.wall.since(last.wall);
        if back >= JUMP_MIN {
            self.went_back(highest, now.wall, log);
        } else if forward >= JUMP_MIN {
            self.went_forward(LogEvent::ClockForward, expected, now.wall, log);
            self.hold_age_after(forward, now);
        } else if unseen > LATE_MAX {
            // The monotonic clock went along, but nobody looked: this process was stopped, or the
            // clocks count sleep.
            self.went_forward(LogEvent::ClockUnseen, last.wall, now.wall, log);
        }
    }

    /// Compares the clock with the last sign of life of the supervisor before this one.
    pub(super) fn look_at_that_of_last(&mut self, last_alive_at: Wall, now: Now, log: &mut Log) {
        if last_alive_at.since(now.wall) >= JUMP_MIN {
            self.went_back(last_alive_at, now.wall, log);
        }
        self.hold_age_after(now.wall.since(last_alive_at), now);
    }

    /// The same by how far the jobs are planned: there may be no sign of life, or the supervisor
    /// that saw the step had no turn on disk. Jobs with fixed times stay planned ahead after a step
    /// back that was dealt with: only what is beyond that is a sign.
    pub(super) fn look_at_watermarks(&mut self, jobs: &Jobs, now: Now, log: &mut Log) {
        if self.jump.is_some_and(|jump| jump.is_back) {
            return;
        }
        let is_sign = |state: &&JobState| {
            let watermark = state.planning.watermark;
            let timetable = state.timetable(state.planning.grid_at);
            watermark.since(now.wall) >= JUMP_MIN
                && plan::watermark_after_step_back(&timetable, watermark, now.wall) != watermark
        };
        let signs = jobs.all.iter().filter(is_sign);
        if let Some(latest) = signs.map(|state| state.planning.watermark).max() {
            self.went_back(latest, now.wall, log);
        }
    }

    /// Removes nothing by age for a while after a large step forward, or a downtime that may have
    /// been one.
    fn hold_age_after(&mut self, forward: Duration, now: Now) {
        if forward > LARGE {
            self.age_held_deadline = Some(now.mono + AGE_HELD);
            self.age_noted_at = None;
        }
    }

    /// Returns whether nothing may be removed by age now.
    pub(super) fn holds_age(&self, now: Now) -> bool {
        self.age_held_deadline.is_some_and(|deadline| now.mono < deadline)
    }

    /// Whether what is on disk of that is to be renewed.
    fn owes_age_held(&self, now: Now) -> bool {
        let is_old = |at| now.mono.since(at) >= AGE_NOTED_EVERY;
        let is_noted = self.holds_age(now) && !self.age_noted_at.is_none_or(is_old);
        self.age_held_deadline.is_some() && !is_noted
    }

    /// When there is something to do about a jump.
    pub(super) fn due(&self) -> Option<When> {
        self.jump.map(|_| When::Soon)
    }

    /// When what is on disk of the hold is to be renewed.
    pub(super) fn age_due(&self, now: Now) -> Option<When> {
        let deadline = self.age_held_deadline?;
        let noted = self.age_noted_at.map_or(now.mono, |at| at + AGE_NOTED_EVERY);
        Some(When::By(deadline.min(noted)))
    }

    /// Goes on with what the last supervisor held. The monotonic clock of another boot says
    /// nothing: what was left when that was noted is left still.
    pub(super) fn go_on_holding(&mut self, held: &AgeHeld, boot_id: &str, now: Now) {
        let left = if held.boot_id == boot_id { held.deadline.since(now.mono) } else { held.left };
        let deadline = now.mono + left.min(AGE_HELD);
        let own = self.age_held_deadline;
        self.age_held_deadline = Some(own.map_or(deadline, |own| own.max(deadline)));
    }

    /// What is to be on disk of the hold, for a supervisor that begins under the same wrong clock:
    /// none once it is over. Only if it is to be renewed.
    pub(super) fn age_held(&self, boot_id: &str, now: Now) -> Option<Option<AgeHeld>> {
        let deadline = self.age_held_deadline.filter(|_| self.owes_age_held(now))?;
        Some(self.holds_age(now).then(|| AgeHeld {
            boot_id: boot_id.to_owned(),
            deadline,
            left: deadline.since(now.mono),
        }))
    }

    /// A turn is on disk, and with it what it did about the clock.
    pub(super) fn note_turn(&mut self, now: Now) {
        self.jump = None;
        if self.owes_age_held(now) {
            self.age_noted_at = Some(now.mono);
        }
        if !self.holds_age(now) {
            self.age_held_deadline = None;
        }
    }

    fn went_back(&mut self, from: Wall, to: Wall, log: &mut Log) {
        self.latest = to;
        self.reached = self.reached.max(from);
        let jump = self.jump.get_or_insert_default();
        jump.is_back = true;
        // As cron's virtual time, which follows a clock that was set so far.
        if self.reached.since(to) >= STEP_MAX {
            jump.is_far_back = true;
            self.reached = to;
        }
        say_jump(LogEvent::ClockBack, [from, to], from.since(to), log);
    }

    fn went_forward(&mut self, event: LogEvent, from: Wall, to: Wall, log: &mut Log) {
        let by = to.since(from);
        self.jump.get_or_insert_default().forward += by;
        say_jump(event, [from, to], by, log);
    }
}

fn say_jump(event: LogEvent, [from, to]: [Wall; 2], by: Duration, log: &mut Log) {
    let fields: [(&str, &dyn std::fmt::Display); 4] = [
        ("from", &from.rfc3339()),
        ("to", &to.rfc3339()),
        ("by", &in_words(by)),
        ("by_s", &by.as_secs()),
    ];
    log.event(to, event, &fields);
}
