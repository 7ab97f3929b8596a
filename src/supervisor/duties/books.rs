//! What is written down along with other things: the boot, a clock that was set, the longest turn.

use crate::core::plan;
use crate::store::StoreError;
use crate::supervisor::jobs::Planning;
use crate::supervisor::spawner::Spawner;
use crate::supervisor::turn::Turn;
use crate::supervisor::when::LOOK_EVERY;

impl<S: Spawner> Turn<'_, S> {
    /// Closes the books of the last boot, once nothing of it is under way.
    pub(super) fn write_boot_id(&mut self) -> Result<(), StoreError> {
        let memory = self.memory;
        let is_doubted = self.all_live().any(|(_, live)| live.is_doubted);
        if !memory.boot.owes_id || is_doubted {
            return Ok(());
        }
        self.store.set_meta("books_boot_id", Some(&memory.configuration.boot_id))
    }

    /// After a step back, lets planning go on from where the rule says, and takes back what was
    /// promised for a time that is far ahead now.
    pub(super) fn follow_clock(&mut self) -> Result<(), StoreError> {
        if !self.memory.clock.jump.is_some_and(|jump| jump.is_back) {
            return Ok(());
        }
        self.store.bring_back_to(self.now.wall)?;
        self.refresh()?;
        (0..self.memory.jobs.all.len()).try_for_each(|index| self.step_job_back(index))
    }

    fn step_job_back(&mut self, index: usize) -> Result<(), StoreError> {
        let now = self.now.wall;
        let state = self.job(index);
        let Planning { watermark, grid_at, .. } = self.planning(index);
        let has_late_grid = grid_at.is_some_and(|at| at > now);
        // Occurrences are decided when their jitter is over, so what is decided ends that far back,
        // but not before the job was there.
        let there_at = state.began.map(|at| now - self.now.mono.since(at));
        let decided = (now - state.jitter).max(there_at.unwrap_or(now - state.jitter));
        let moved = if watermark <= decided {
            watermark
        } else if self.memory.clock.jump.is_some_and(|jump| jump.is_far_back) {
            decided
        } else {
            plan::watermark_after_step_back(&self.timetable(index), watermark, decided)
        };
        if moved == watermark && !has_late_grid {
            return Ok(());
        }
        if has_late_grid {
            self.store.move_grid(state.id, now)?;
            let planning = Planning { grid_at: Some(now), ..self.planning(index) };
            self.effects.planned.insert(index, planning);
        }
        self.store.move_watermark(state.id, moved)?;
        self.move_planning(index, moved);
        Ok(())
    }

    /// Writes down how long nothing is removed by age.
    pub(super) fn write_age_held(&mut self) -> Result<(), StoreError> {
        let memory = self.memory;
        match memory.clock.age_held(&memory.configuration.boot_id, self.now) {
            Some(held) => self.store.set_age_held(held.as_ref()),
            None => Ok(()),
        }
    }

    /// Writes the longest turn down, once a minute at most and only along with something else.
    pub(super) fn write_lag(&mut self) -> Result<(), StoreError> {
        let lag = self.memory.lag;
        let is_early = lag.noted_at.is_some_and(|at| self.now.mono.since(at) < LOOK_EVERY);
        if is_early || !self.store.has_changes() {
            return Ok(());
        }
        let ms = i64::try_from(lag.longest.as_millis()).unwrap_or(i64::MAX);
        self.store.set_meta("loop_lag_ms", Some(&ms))?;
        self.effects.has_lag = true;
        Ok(())
    }
}
