//! Late: attempts that take longer than `expect_within`, jobs without a success for longer than `expect_every`. Told once an episode.

use std::time::Duration;

use super::spawner::Spawner;
use super::{Mode, Steps, Supervisor};
use crate::core::duration::show_duration;
use crate::core::job::{ExpectEvery, Job};
use crate::core::notice::Event;
use crate::core::time::{Mono, Now, Wall};
use crate::store::StoreError;

impl<S: Spawner> Supervisor<S> {
    /// What is expected of a job, as the store has it: a success in three occurrences (0), or one in so many milliseconds.
    pub(super) fn expectation_of(&self, job: &Job) -> Option<i64> {
        let is_expected = job.policy.enabled && self.configuration.mode == Mode::Live;
        let expected = match job.policy.expect_every {
            ExpectEvery::Auto => (!job.schedules.is_empty()).then_some(0),
            ExpectEvery::Span(span) => Some(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
        };
        expected.filter(|_| is_expected)
    }

    /// Notes who has become late. Steps before this one in the turn may have changed who is.
    pub(super) fn look_for_late(&mut self, steps: &mut Steps) -> Result<(), StoreError> {
        let now = steps.now;
        let mut late: Vec<i64> = self
            .live
            .iter()
            .filter(|(_, live)| live.late_at.is_some_and(|at| at <= now.mono))
            .map(|(run, _)| *run)
            .collect();
        late.sort_unstable();
        for run in late {
            self.note_late_run(run, steps)?;
        }
        if self.paused_all.is_some_and(|pause| pause.holds(now.wall)) {
            self.next_late_at = None;
            return Ok(());
        }
        let floor = self.expected_from();
        for job in self.store.mark_late_jobs(now.wall, floor)? {
            let Some(&index) = self.by_id.get(&job.id) else {
                continue;
            };
            let state = &self.jobs[index];
            let name = state.job.name.clone();
            let since = job.well_at.map_or("never".to_owned(), Wall::rfc3339);
            steps.log.push(Box::new(move |log, at| {
                log.event(at, "late", &[("job", &name), ("no_success_since", &since)]);
            }));
            let run = job.last_run.map(|run| self.store.run(run)).transpose()?.flatten();
            self.note(index, run.as_ref().map(|run| (run.id, run.attempt)), Event::Late, now)?;
        }
        self.next_late_at = self.store.next_late_at(now.wall, floor)?;
        Ok(())
    }

    fn note_late_run(&mut self, run: i64, steps: &mut Steps) -> Result<(), StoreError> {
        let now = steps.now;
        let Some(live) = self.live.get(&run) else {
            return Ok(());
        };
        let (job_id, claim) = (live.job_id, live.claim);
        steps.late.push(run);
        if !self.store.mark_late_if_running(run, claim, now.wall)? {
            return Ok(());
        }
        let Some(&index) = self.by_id.get(&job_id) else {
            return Ok(());
        };
        let attempt = self.store.run(run)?.map_or(0, |row| row.attempt);
        let job = &self.jobs[index].job;
        let name = job.name.clone();
        let within = job.policy.expect_within.unwrap_or_default();
        let within = show_duration(within);
        steps.log.push(Box::new(move |log, at| {
            let fields: [(&str, &dyn std::fmt::Display); 4] = [
                ("job", &name),
                ("run", &run),
                ("attempt", &attempt),
                ("expected_within", &within),
            ];
            log.event(at, "late", &fields);
        }));
        self.note(index, Some((run, attempt)), Event::Late, now)
    }

    /// A pause of everything that is over by itself: nothing was expected before its end.
    fn expected_from(&self) -> Wall {
        self.paused_all.and_then(|pause| pause.until).unwrap_or(Wall::from_ms(0))
    }

    /// Whether somebody may be late now.
    pub(super) fn is_late_due(&self, now: Now) -> bool {
        self.stopping.is_none()
            && self.configuration.mode == Mode::Live
            && (self.next_late_at.is_some_and(|at| at <= now.wall)
                || self.next_late_run_at().is_some_and(|at| at <= now.mono))
    }

    fn next_late_run_at(&self) -> Option<Mono> {
        self.live.values().filter_map(|live| live.late_at).min()
    }

    /// How long nobody will be late.
    pub(super) fn next_late_wait(&self, now: Now) -> Option<Duration> {
        let of_jobs = self.next_late_at.map(|at| at.since(now.wall));
        let of_runs = self.next_late_run_at().map(|at| at.since(now.mono));
        of_jobs.into_iter().chain(of_runs).min()
    }
}
