//! A turn of the supervisor: everything is decided in one transaction, and what was decided is done once it is on disk. A turn that fails
//! decides nothing, and another one is tried a little later.

use std::path::PathBuf;
use std::time::Duration;

use super::jobs::{self, JobState};
use super::log::Log;
use super::spawner::{self, Spawner, Stop};
use super::{BACK_OFF_MAX, BACK_OFF_MIN, Live, Mode, Supervisor, claim, notices};
use crate::core::time::{Now, Wall};
use crate::store::StoreError;

/// A store that another process has locked is free again soon.
const LOCKED_AGAIN: Duration = Duration::from_millis(50);

impl<S: Spawner> Supervisor<S> {
    pub(super) fn turn(&mut self, now: Now) {
        let mut steps = Steps::at(now);
        match self.write_turn(&mut steps) {
            Ok(()) => {
                self.jump = None;
                self.note_age_held(now);
                self.owes_boot_id &= self.has_doubts();
                self.has_new_log = false;
                self.again_at = None;
                self.say_again_at = None;
                self.back_off = BACK_OFF_MIN;
                self.carry_out(steps, now);
            }
            Err(error) => self.undo(steps, &error, now),
        }
    }

    /// All that is written in a turn, in one transaction.
    pub(super) fn write_turn(&mut self, steps: &mut Steps) -> Result<(), StoreError> {
        let now = steps.now;
        if !self.has_work(now)? {
            return Ok(());
        }
        self.store.begin()?;
        // From here on nobody else writes: what was written since the look is known, too, before anything is claimed.
        self.look_at_version()?;
        self.finish_ended(steps)?;
        if self.owes_boot_id && !self.has_doubts() {
            self.store.set_meta("books_boot_id", Some(&self.configuration.boot_id))?;
        }
        if self.is_stale {
            // Somebody may have acknowledged a failure.
            self.trimmed_to = 0;
            self.refresh(steps)?;
            self.tell_stops(steps)?;
        }
        self.go_back_with_clock(steps)?;
        self.write_age_held(now)?;
        match (self.stopping, self.configuration.mode) {
            (None, Mode::Live) => {
                self.bring_fed(now)?;
                self.release_followers(now)?;
                self.owes_acknowledgements = self.store.acknowledge_owed()?;
                self.expire_due(now)?;
                self.queue_due(now)?;
                self.move_former()?;
                self.plan_due(steps)?;
                self.skip_overdue(steps)?;
                self.free_lanes(now)?;
                self.claim_what_can_start(steps)?;
                self.look_for_late(steps)?;
            }
            (None, Mode::Shadow) => {
                self.plan_due(steps)?;
                self.move_former()?;
            }
            (Some(_), _) => {}
        }
        self.stop_in_time(steps)?;
        self.tell(steps)?;
        self.prune_a_batch(steps)?;
        self.bound_output(steps)?;
        self.write_lag(now)?;
        #[cfg(feature = "order-before-claim")]
        self.start_claimed(std::mem::take(&mut steps.claims), now);
        self.store.commit()
    }

    /// Whether there is anything to write: an idle look at the clock costs no transaction.
    fn has_work(&mut self, now: Now) -> Result<bool, StoreError> {
        self.look_at_version()?;
        let is_due = |at: Option<Wall>| at.is_some_and(|at| at <= now.wall);
        let is_waiting = match self.configuration.mode {
            Mode::Live => {
                is_due(self.next_due_at)
                    || is_due(self.next_expiry_at)
                    || self.has_followers
                    || self.owes_acknowledgements
                    || self.has_feeds
                    || self.owes_lanes
                    || !self.lanes_left.is_empty()
                    || !self.blocked.is_empty()
                    || !self.heads.is_empty()
            }
            Mode::Shadow => false,
        };
        Ok(self.is_stale
            || self.owes_moves
            || !self.ended.is_empty()
            || is_waiting
            || is_due(self.planned.first().map(|(at, _)| *at))
            || self.stopping.is_some()
            || self.prune_is_due(now)
            || self.can_tell(now)
            || self.is_late_due(now)
            || self.jump.is_some()
            || self.owes_age_held(now))
    }

    /// Sees whether somebody else has written into the store.
    fn look_at_version(&mut self) -> Result<(), StoreError> {
        let data_version = self.store.data_version()?;
        if data_version != self.data_version {
            self.data_version = data_version;
            self.is_stale = true;
        }
        Ok(())
    }

    /// What was decided is on disk: now it is done.
    pub(super) fn carry_out(&mut self, steps: Steps, now: Now) {
        self.output_bytes = self.output_bytes.saturating_add(steps.output_change);
        for line in &steps.log {
            line(&mut self.log, now.wall);
        }
        for slot in steps.released {
            self.spawner.release(slot, now);
        }
        if self.is_short_of_room() {
            self.spawner.drop_output();
        }
        let deferred = steps.deferred;
        let ended = std::mem::take(&mut self.ended);
        let (deferred, finished): (Vec<_>, Vec<_>) =
            ended.into_iter().partition(|end| deferred.contains(&(end.run, end.claim)));
        self.ended = deferred;
        for end in finished {
            self.forget(end.run, end.claim);
        }
        for file in steps.files {
            // One that is gone already is what was wanted; one that cannot go now costs its room and nothing else.
            let _ = std::fs::remove_file(file);
        }
        for (run, stop) in steps.stops {
            self.pass_on(run, stop);
        }
        self.start_claimed(steps.claims, now);
        self.start_telling(steps.notices, now);
        for run in steps.late {
            if let Some(live) = self.live.get_mut(&run) {
                live.late_at = None;
            }
        }
    }

    /// Tells the keeper of a run to stop.
    pub(super) fn pass_on(&mut self, run: i64, stop: Stop) {
        if let Some(live) = self.live.get(&run) {
            self.spawner.stop(live.slot, stop);
            self.note_told(run, stop);
        }
    }

    /// The turn failed: nothing of it was, and the store is asked again a little later.
    pub(super) fn undo(&mut self, steps: Steps, error: &StoreError, now: Now) {
        self.store.rollback();
        self.put_off_turn(error, now);
        for claim in steps.claims {
            self.spawner.give_back(claim.slot);
            self.remove_live(claim.run());
        }
        for (run, stop) in &steps.stops {
            if let Some(live) = self.live.get_mut(run) {
                match stop {
                    Stop::Gently => live.is_stopping = false,
                    Stop::AtOnce => live.is_killed = false,
                }
            }
        }
        for notice in steps.notices {
            self.spawner.give_back(notice.slot);
        }
        self.telling.extend(steps.told);
        self.undo_jobs(&steps.planned, &steps.gone);
        if let Some(pauses) = steps.pauses {
            self.undo_pauses(pauses);
        }
        self.is_stale = true;
        self.owes_lanes = true;
        if error.is_disk_full() && self.make_room(now) {
            self.again_at = Some(now.mono);
            self.back_off = BACK_OFF_MIN;
        } else if error.is_file_limit() && !self.has_new_log {
            // It may be the log alone that cannot grow.
            self.store.begin_log_anew();
            self.has_new_log = true;
            self.again_at = Some(now.mono);
        }
    }

    /// The store is asked again ever later while it fails, but soon where another process only has it. Either is told ever more rarely.
    fn put_off_turn(&mut self, error: &StoreError, now: Now) {
        let wait = match error.is_lock() {
            true => LOCKED_AGAIN,
            false => self.back_off,
        };
        self.again_at = Some(now.mono + wait);
        if self.say_again_at.is_some_and(|at| now.mono < at) {
            return;
        }
        self.log.event(
            now.wall,
            "store_failed",
            &[("error", error), ("again_in_ms", &wait.as_millis())],
        );
        self.say_again_at = Some(now.mono + self.back_off);
        self.back_off = (self.back_off * 2).min(BACK_OFF_MAX);
    }
}

/// What a turn has decided and has still to be done once it is on disk.
pub(super) struct Steps {
    pub(super) now: Now,
    pub(super) claims: Vec<claim::Claim>,
    pub(super) released: Vec<u32>,
    /// Output of runs that were removed.
    pub(super) files: Vec<PathBuf>,
    /// Bytes of output that are kept from now on, less those that are not any more.
    pub(super) output_change: i64,
    /// Attempts that are not live any more, to be put back if the turn is undone.
    pub(super) gone: Vec<(i64, Live)>,
    pub(super) stops: Vec<(i64, spawner::Stop)>,
    /// Jobs whose planning moved, with what it was before.
    pub(super) planned: Vec<jobs::Planning>,
    /// The pauses as they were, if they were read anew.
    pub(super) pauses: Option<jobs::Pauses>,
    /// Ends that are not finished in this turn: run and claim.
    pub(super) deferred: Vec<(i64, i64)>,
    /// Hooks and mails that were claimed.
    pub(super) notices: Vec<notices::Claimed>,
    /// Those that are not under way any more, to be put back if the turn is undone.
    pub(super) told: Vec<notices::Telling>,
    /// Runs that are late.
    pub(super) late: Vec<i64>,
    pub(super) log: Vec<Line>,
}

/// A line of the log that is written once the turn is on disk.
pub(super) type Line = Box<dyn Fn(&mut Log, Wall)>;

impl Steps {
    pub(super) fn at(now: Now) -> Self {
        Self {
            now,
            claims: Vec::new(),
            released: Vec::new(),
            files: Vec::new(),
            output_change: 0,
            gone: Vec::new(),
            stops: Vec::new(),
            planned: Vec::new(),
            pauses: None,
            deferred: Vec::new(),
            notices: Vec::new(),
            told: Vec::new(),
            late: Vec::new(),
            log: Vec::new(),
        }
    }

    /// Notes how a job is planned before that is changed.
    pub(super) fn note_planning(&mut self, index: usize, state: &JobState) {
        self.planned.push(jobs::Planning {
            index,
            watermark: state.watermark,
            next: state.next,
            grid_at: state.grid_at,
        });
    }
}
