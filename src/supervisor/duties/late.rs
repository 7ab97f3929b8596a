//! Late: attempts that take longer than `expect_within`, jobs without a success for longer than
//! `expect_every`. Told once an episode.

use std::time::Duration;

use crate::core::duration::show_duration;
use crate::core::job::{ExpectEvery, Job};
use crate::core::notice::Event;
use crate::core::time::{Now, Wall};
use crate::store::StoreError;
use crate::supervisor::log::LogEvent;
use crate::supervisor::memory::Memory;
use crate::supervisor::queue::Queue;
use crate::supervisor::spawner::Spawner;
use crate::supervisor::turn::Turn;
use crate::supervisor::when::When;

/// A missed occurrence is told of unless the next one falls due within this time.
const MADE_UP_SOON: Duration = Duration::from_secs(3600);

/// When the next job or attempt is late.
pub(super) fn due(memory: &Memory, queue: &Queue, now: Now) -> Option<When> {
    let of_runs = memory.live.next_late_at().map(When::By);
    When::first([queue.next_late_at.map(When::At), of_runs], now)
}

impl Memory {
    /// Returns the expectation of a job, as the store has it: a success in three occurrences (0),
    /// or one in so many milliseconds.
    pub(in crate::supervisor) fn expectation_of(&self, job: &Job) -> Option<i64> {
        let expected = match job.policy.expect_every {
            ExpectEvery::Auto => (!job.schedules.is_empty()).then_some(0),
            ExpectEvery::Span(span) => Some(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
        };
        expected.filter(|_| job.policy.enabled && self.is_live())
    }
}

impl<S: Spawner> Turn<'_, S> {
    /// Notes who has become late. Steps before this one in the turn may have changed who is.
    pub(super) fn look_for_late(&mut self) -> Result<(), StoreError> {
        let now = self.now.wall;
        let late = self.memory.live.late(self.now.mono);
        for run in late.filter(|run| !self.effects.gone.contains(run)).collect::<Vec<_>>() {
            self.note_late_run(run)?;
        }
        let pause = self.pauses().all;
        if pause.is_some_and(|pause| pause.holds(now)) {
            self.queue.next_late_at = None;
            return Ok(());
        }
        // A pause of everything that is over by itself: nothing was expected before its end.
        let floor = pause.and_then(|pause| pause.until).unwrap_or(Wall::from_ms(0));
        for job in self.store.mark_late_jobs(now, floor)? {
            let Some(index) = self.index(job.id) else {
                continue;
            };
            let since = job.well_at.map_or("never".to_owned(), Wall::rfc3339);
            let name = &self.job(index).job.name;
            self.say(LogEvent::Late, &[("job", name), ("no_success_since", &since)]);
            if self.effects.missed.contains(&job.id) {
                continue;
            }
            let run = job.last_run.map(|run| self.store.run(run)).transpose()?.flatten();
            self.note(index, run.as_ref().map(|run| (run.id, run.attempt)), Event::Late)?;
        }
        self.queue.next_late_at = self.store.next_late_at(now, floor)?;
        Ok(())
    }

    /// Notes that an occurrence was missed, which `run` stands for, unless the next one comes soon.
    pub(super) fn note_missed(
        &mut self,
        index: usize,
        run: i64,
        at: Wall,
    ) -> Result<(), StoreError> {
        let next = self.timetable(index).next(self.now.wall);
        if next.is_some_and(|next| next.since(self.now.wall) <= MADE_UP_SOON) {
            return Ok(());
        }
        let job_id = self.job(index).id;
        self.effects.missed.insert(job_id);
        self.store.note_missed(job_id, at)?;
        self.note(index, Some((run, 0)), Event::Late)
    }

    fn note_late_run(&mut self, run: i64) -> Result<(), StoreError> {
        let Some(live) = self.live(run) else {
            return Ok(());
        };
        let (job_id, claim) = (live.job_id, live.claim);
        self.effects.late.push(run);
        if !self.store.mark_late_if_running(run, claim, self.now.wall)? {
            return Ok(());
        }
        let Some(index) = self.index(job_id) else {
            return Ok(());
        };
        let attempt = self.store.run(run)?.map_or(0, |row| row.attempt);
        let job = &self.job(index).job;
        let within = show_duration(job.policy.expect_within.unwrap_or_default());
        self.say(
            LogEvent::Late,
            &[
                ("job", &job.name),
                ("run", &run),
                ("attempt", &attempt),
                ("expected_within", &within),
            ],
        );
        self.note(index, Some((run, attempt)), Event::Late)
    }
}
