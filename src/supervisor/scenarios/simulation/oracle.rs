//! What must be true after each step, from the rows of the store, what the script was told to
//! start, and books of its own.

mod taken;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::super::*;
use crate::core::job::Overlap;
use crate::core::pause::Pause;
use crate::core::run::{Cause, Reason};
use crate::store::JobRow;
use taken::Taken;

/// The longest jitter of the simulation's jobs.
const JITTER: Duration = Duration::from_secs(40);

/// A step back of the clock by less is a correction.
const CORRECTION: Duration = Duration::from_secs(60);

/// The rows as they were, and what they may become.
#[derive(Default)]
pub(super) struct Oracle {
    rows: BTreeMap<i64, RunRow>,
    /// Rows of each occurrence: job and instant.
    occurrences: BTreeMap<(i64, Wall), u32>,
    /// Ids that `enqueue` gave.
    pub(super) acknowledged: BTreeSet<i64>,
    started: BTreeSet<(i64, u32)>,
    claims: BTreeSet<(i64, i64)>,
    orders_seen: usize,
    /// Runs that `retry` has queued in this step.
    retried: BTreeSet<i64>,
    latest: Option<Wall>,
    /// Times that were there more than once.
    repeated: Vec<(Wall, Wall)>,
    steps: u32,
    /// Lines that a finder's attempt has printed, by run and claim.
    printed: BTreeMap<(i64, i64), u32>,
    /// Attempts that made a success of their run, as far as not all of their lines are runs.
    finders: BTreeSet<(i64, i64)>,
    /// Lines that became runs.
    fed: BTreeSet<(i64, i64, u32)>,
    /// Files by path: how often they were taken, how often they may have been at the most, and how
    /// often they were when they were last written.
    files: BTreeMap<PathBuf, Taken>,
    /// The lock that the job `lane` named when an attempt of it was started, by run and claim.
    lanes: BTreeMap<(i64, i64), String>,
}

impl Oracle {
    pub(super) fn begin_step(&mut self, now: Wall) {
        self.retried.clear();
        self.latest = self.latest.max(Some(now));
        self.steps += 1;
    }

    pub(super) fn retried(&mut self, id: i64) {
        self.retried.insert(id);
    }

    pub(super) fn clock_was_set(&mut self, now: Wall) {
        if self.latest.is_some_and(|latest| latest.since(now) >= CORRECTION) {
            self.begins_anew(now);
        }
    }

    /// From here on planning may go through what has been.
    pub(super) fn begins_anew(&mut self, now: Wall) {
        if let Some(latest) = self.latest.filter(|latest| *latest > now) {
            self.repeated.push((now - JITTER, latest));
        }
        self.latest = Some(now);
    }

    pub(super) fn printed(&mut self, run: i64, claim: i64, lines: u32) {
        self.printed.insert((run, claim), lines);
    }

    pub(super) fn nth_newest(&self, nth: usize) -> Option<i64> {
        self.rows.keys().rev().nth(nth).copied()
    }

    /// Runs that only wait for being done.
    pub(super) fn waiting(&self) -> Vec<i64> {
        let waiting = self.rows.values().filter(|run| !run.state.is_ended());
        waiting.map(|run| run.id).collect()
    }

    /// What must be true after a step.
    pub(super) fn check(&mut self, day: &Scenario) -> Result<(), TestCaseError> {
        self.check_starts(day)?;
        for run in self.changed(day) {
            self.check_row(&run)?;
            self.check_fed(&run)?;
            self.check_taken(&run)?;
            self.rows.insert(run.id, run);
        }
        self.check_feeds(day)?;
        self.check_attempts(day)?;
        self.check_lanes(day)?;
        let jobs = day.supervisor.store.jobs().unwrap();
        self.check_counters(&jobs, day.supervisor.queue.has_feeds)?;
        self.check_rest(day, &jobs)?;
        if self.steps.is_multiple_of(50) {
            self.check_all(day)?;
        }
        Ok(())
    }

    /// Rows that are new or may be others than they were.
    fn changed(&self, day: &Scenario) -> Vec<RunRow> {
        let store = &day.supervisor.store;
        let unfinished = Filter {
            states: vec![State::Scheduled, State::Queued, State::Running, State::Retrying],
            ..Filter::default()
        };
        let mut rows: BTreeMap<i64, RunRow> = BTreeMap::new();
        let mut note = |run: RunRow| rows.insert(run.id, run);
        for run in store.runs(&unfinished, None).unwrap() {
            note(run);
        }
        let known = self.rows.keys().next_back().copied().unwrap_or(0);
        let mut limit = 16;
        loop {
            let newest = store.runs(&Filter::default(), Some(limit)).unwrap();
            let is_all = newest.len() < usize::try_from(limit).unwrap();
            let reaches = newest.last().is_none_or(|run| run.id <= known);
            if is_all || reaches {
                newest.into_iter().for_each(|run| drop(note(run)));
                break;
            }
            limit *= 4;
        }
        let failed = Filter { failed: true, ..Filter::default() };
        let failed: BTreeSet<i64> = store.ids(&failed).unwrap().into_iter().collect();
        let suspects: Vec<i64> = self
            .rows
            .values()
            .filter(|run| {
                let was_failed = run.state == State::Failed && run.acked.is_none();
                !run.state.is_ended() || was_failed != failed.contains(&run.id)
            })
            .map(|run| run.id)
            .collect();
        for id in suspects {
            if let std::collections::btree_map::Entry::Vacant(entry) = rows.entry(id) {
                entry.insert(day.run(id));
            }
        }
        rows.into_values().collect()
    }

    /// Attempts that were started in this step: each once, none of a paused or absent job, none
    /// over a limit.
    fn check_starts(&mut self, day: &Scenario) -> Result<(), TestCaseError> {
        let spawner = &day.supervisor.spawner;
        let new = &spawner.orders[self.orders_seen..];
        self.orders_seen = spawner.orders.len();
        if new.is_empty() {
            return Ok(());
        }
        let paused = paused(day);
        for (run, attempt, claim, job) in new {
            prop_assert!(
                self.started.insert((*run, *attempt)),
                "attempt {attempt} of run {run} was executed twice"
            );
            prop_assert!(
                self.claims.insert((*run, *claim)),
                "claim {claim} of run {run} went out twice"
            );
            prop_assert!(!paused.contains(job), "run {run} of the paused job {job} was started");
            let states = &day.supervisor.memory.jobs.all;
            let state = states.iter().find(|state| state.job.name.as_str() == job);
            prop_assert!(
                state.is_some(),
                "run {run} of {job} was started, which is not in the jobfile"
            );
            let policy = state.map(|state| state.job.policy.clone()).unwrap_or_default();
            if job == "lane" {
                let lock = policy.lock.as_deref().unwrap_or_default().to_owned();
                self.lanes.insert((*run, *claim), lock);
            }
            let of_job = spawner.busy.values().filter(|acting| job_of(&acting.order) == *job);
            let count = of_job.count();
            let is_bounded = policy.overlap != Overlap::Allow;
            prop_assert!(
                !is_bounded || count <= usize::try_from(policy.concurrency).unwrap(),
                "{count} attempts of {job} at once"
            );
        }
        let max = day.supervisor.memory.configuration.running_max;
        prop_assert!(
            spawner.busy.len() <= max,
            "{} attempts at once, {max} allowed",
            spawner.busy.len()
        );
        Ok(())
    }

    fn check_row(&mut self, run: &RunRow) -> Result<(), TestCaseError> {
        let id = run.id;
        let before = self.rows.get(&id);
        let is_retried = self.retried.contains(&id);
        prop_assert!(
            is_allowed(before.map(|before| before.state), run, is_retried),
            "run {id} became {} ({:?}), it was {before:?}",
            run.state,
            run.reason
        );
        let is_running = run.state == State::Running;
        prop_assert_eq!(
            run.budget.charged + u32::from(is_running),
            run.attempt,
            "ends of run {} that were counted",
            id
        );
        prop_assert!(
            run.budget.max.is_none_or(|max| run.attempt <= max),
            "run {id} is in attempt {} of {:?}",
            run.attempt,
            run.budget.max
        );
        if let (None, Some(at)) = (before, run.scheduled_at) {
            let count = self.occurrences.entry((run.job_id, at)).or_default();
            *count += 1;
            let again = self.repeated.iter().filter(|(from, to)| *from <= at && at <= *to);
            let allowed = 1 + u32::try_from(again.count()).unwrap();
            prop_assert!(*count <= allowed, "{count} runs of {} at {}", run.job, at.rfc3339());
        }
        let is_item = !run.cause.is_occurrence();
        match run.state {
            State::Skipped => prop_assert!(
                !is_item || run.reason == Some(Reason::Exit),
                "item {id} was skipped: {:?}",
                run.reason
            ),
            State::Succeeded => {
                let codes: &[u8] = if run.job == "allow" { &[0, 3] } else { &[0] };
                let is_success = run.exit_code.is_some_and(|code| codes.contains(&code));
                prop_assert!(is_success, "run {id} succeeded with {:?}", run.exit_code);
                prop_assert_eq!(run.outcome, Some(OutcomeKind::Exited));
            }
            State::Scheduled
            | State::Queued
            | State::Running
            | State::Retrying
            | State::Failed
            | State::Cancelled => {}
        }
        Ok(())
    }

    /// Every attempt that is alive has its row, and every running row its attempt or an end that is
    /// being told.
    fn check_attempts(&self, day: &Scenario) -> Result<(), TestCaseError> {
        let supervisor = &day.supervisor;
        let mut alive: BTreeSet<(i64, i64)> = BTreeSet::new();
        let mut holders = 0;
        for acting in supervisor.spawner.busy.values() {
            let (run, claim) = (acting.order.run, acting.order.claim);
            let row = self.rows.get(&run);
            prop_assert!(
                row.is_some_and(|row| row.state == State::Running && row.claim == claim),
                "an attempt is alive and its run says otherwise: {row:?}"
            );
            prop_assert!(alive.insert((run, claim)), "run {run} is alive twice");
            holders += u32::from(["skip", "replace"].contains(&job_of(&acting.order).as_str()));
        }
        prop_assert!(holders <= 1, "{holders} hold the lock");
        for row in self.rows.values().filter(|row| row.state == State::Running) {
            let is_told = |end: &SlotEnd| end.run == row.id && end.claim == row.claim;
            prop_assert!(
                alive.contains(&(row.id, row.claim)) || supervisor.memory.ended.iter().any(is_told),
                "run {} is running and nothing of it is alive",
                row.id
            );
            prop_assert!(
                supervisor.memory.live.get(row.id).is_some(),
                "run {} is not looked after",
                row.id
            );
        }
        Ok(())
    }

    /// A run that came of a line: its finder has succeeded, printed it, and no other run came of
    /// it.
    fn check_fed(&mut self, run: &RunRow) -> Result<(), TestCaseError> {
        let before = self.rows.get(&run.id);
        let is_success = run.state == State::Succeeded;
        if run.job == "find" && is_success && before.is_none_or(|it| it.state != run.state) {
            self.finders.insert((run.id, run.claim));
        }
        if run.cause != Cause::Feed || before.is_some() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&run.args[0]).into_owned();
        let numbers: Vec<i64> = text.split('.').map(|it| it.parse().unwrap()).collect();
        let (finder, claim, nth) = (numbers[0], numbers[1], u32::try_from(numbers[2]).unwrap());
        prop_assert!(
            self.finders.contains(&(finder, claim)),
            "run {} of line {text} came into sight before the success of its finder, or after all",
            run.id
        );
        prop_assert!(self.fed.insert((finder, claim, nth)), "line {text} became two runs");
        Ok(())
    }

    /// Where nothing is to be brought into the queues, each line of a success is there.
    fn check_feeds(&mut self, day: &Scenario) -> Result<(), TestCaseError> {
        if day.supervisor.queue.has_feeds {
            return Ok(());
        }
        for (run, claim) in std::mem::take(&mut self.finders) {
            let lines = self.printed.get(&(run, claim)).copied().unwrap_or(0);
            for nth in 0..lines {
                prop_assert!(
                    self.fed.contains(&(run, claim, nth)),
                    "line {nth} of run {run} is lost"
                );
            }
        }
        Ok(())
    }

    /// Of a lane one attempt is alive at a time, and one that could start is not left waiting.
    fn check_lanes(&self, day: &Scenario) -> Result<(), TestCaseError> {
        let supervisor = &day.supervisor;
        let mut taken: BTreeSet<(&str, &[Vec<u8>])> = BTreeSet::new();
        let busy = supervisor.spawner.busy.values();
        for acting in busy.filter(|acting| job_of(&acting.order) == "lane") {
            let (run, claim) = (acting.order.run, acting.order.claim);
            let lane = (self.lanes[&(run, claim)].as_str(), &*self.rows[&run].args);
            prop_assert!(taken.insert(lane), "run {run} is not alone in {lane:?}");
        }
        let state = supervisor.memory.jobs.all.iter();
        let Some(state) = state.into_iter().find(|it| it.job.name.as_str() == "lane") else {
            return Ok(());
        };
        let is_full = taken.len() >= usize::try_from(state.job.policy.concurrency).unwrap()
            || supervisor.spawner.busy.len() >= supervisor.memory.configuration.running_max;
        let is_kept = !supervisor.memory.ended.is_empty()
            || !supervisor.weather.is_fine()
            || supervisor.queue.next_try_at.is_some()
            || supervisor.queue.next_lane_at().is_some()
            || paused(day).contains("lane");
        if is_full || is_kept {
            return Ok(());
        }
        let lock = state.job.policy.lock.as_deref().unwrap_or_default();
        let queued = self.rows.values().filter(|run| run.state == State::Queued);
        let waits =
            queued.filter(|run| run.job == "lane").find(|run| !taken.contains(&(lock, &*run.args)));
        prop_assert!(
            waits.is_none(),
            "the lane of run {:?} is free, and it does not start",
            waits.map(|run| run.id)
        );
        Ok(())
    }

    /// Runs that came of lines are in sight at once, and are counted when they are brought into the
    /// queue.
    fn check_counters(&self, jobs: &[JobRow], has_feeds: bool) -> Result<(), TestCaseError> {
        let mut counted: BTreeMap<i64, [i64; 6]> = BTreeMap::new();
        for run in self.rows.values() {
            let counts = counted.entry(run.job_id).or_default();
            let is_waiting_failure = run.state == State::Failed && run.acked.is_none();
            let states = [State::Scheduled, State::Queued, State::Running, State::Retrying];
            for (count, state) in counts.iter_mut().zip(states) {
                *count += i64::from(run.state == state);
            }
            counts[4] += i64::from(is_waiting_failure);
            counts[5] += i64::from(run.state.is_ended());
        }
        for job in jobs.iter().filter(|job| !has_feeds || job.name != "fed") {
            let told =
                [job.scheduled, job.queued, job.running, job.retrying, job.failed, job.ended];
            let is = counted.get(&job.id).copied().unwrap_or_default();
            prop_assert_eq!(told, is, "counters of {}", &job.name);
        }
        Ok(())
    }

    /// The supervisor neither turns in circles nor rests while something could be started.
    fn check_rest(&self, day: &Scenario, jobs: &[JobRow]) -> Result<(), TestCaseError> {
        let supervisor = &day.supervisor;
        if !supervisor.memory.ended.is_empty()
            || !supervisor.weather.is_fine()
            || supervisor.queue.has_feeds
        {
            return Ok(());
        }
        let wait = supervisor.next_wait(day.now);
        prop_assert!(wait > Duration::ZERO, "it turns in circles");
        if !supervisor.spawner.busy.is_empty() || supervisor.queue.next_try_at.is_some() {
            return Ok(());
        }
        let paused = paused(day);
        for job in jobs.iter().filter(|job| job.present && !paused.contains(&job.name)) {
            let waits =
                self.rows.values().find(|run| run.job_id == job.id && run.state == State::Queued);
            prop_assert!(
                waits.is_none(),
                "nothing is in the way of run {:?}, and it does not start",
                waits.map(|run| run.id)
            );
        }
        Ok(())
    }

    /// The books against the whole store.
    pub(super) fn check_all(&self, day: &Scenario) -> Result<(), TestCaseError> {
        let rows = day.supervisor.store.runs(&Filter::default(), None).unwrap();
        let ids: BTreeSet<i64> = rows.iter().map(|run| run.id).collect();
        let lost: Vec<&i64> = self.acknowledged.difference(&ids).collect();
        prop_assert!(lost.is_empty(), "acknowledged and gone: {lost:?}");
        prop_assert_eq!(ids.len(), self.rows.len(), "rows came or went unseen");
        for run in rows {
            let known = &self.rows[&run.id];
            prop_assert_eq!(run.state, known.state, "run {} changed unseen", run.id);
            let started = self.started.range((run.id, 0)..=(run.id, u32::MAX)).count();
            prop_assert!(
                started <= usize::try_from(run.attempt).unwrap(),
                "run {} lost an attempt",
                run.id
            );
        }
        Ok(())
    }
}

/// Jobs that may start nothing now.
fn paused(day: &Scenario) -> BTreeSet<String> {
    let store = &day.supervisor.store;
    let holds = |pause: Option<Pause>| {
        pause.is_some_and(|pause| pause.until.is_none_or(|until| day.now.wall < until))
    };
    let is_all = holds(store.supervisor().unwrap().pause);
    let jobs = store.jobs().unwrap().into_iter();
    jobs.filter(|job| is_all || holds(job.pause)).map(|job| job.name).collect()
}

/// The table of states, for what a step may do to a run: a turn may go several rows of it.
fn is_allowed(before: Option<State>, run: &RunRow, is_retried: bool) -> bool {
    let reason = run.reason;
    let is_occurrence = run.cause.is_occurrence();
    let skips_unstarted = || {
        is_occurrence
            && matches!(
                reason,
                Some(Reason::Overlap | Reason::Missed | Reason::Paused | Reason::JobRemoved)
            )
    };
    match (before, run.state) {
        (None, State::Scheduled | State::Queued | State::Running) => true,
        (None, State::Skipped) => skips_unstarted(),
        (None, State::Cancelled) => reason == Some(Reason::Replaced),
        (None, State::Retrying | State::Succeeded | State::Failed) => false,
        (Some(before), now) if before == now => now != State::Running || run.started_at.is_some(),
        (Some(before), State::Queued | State::Running) if before.is_ended() => is_retried,
        (Some(before), _) if before.is_ended() => false,
        (Some(_), State::Scheduled) => false,
        (Some(_), State::Queued | State::Running) => true,
        (Some(before), State::Retrying | State::Succeeded) => before == State::Running,
        // A turn that hears of the end may plan the next occurrence, too.
        (Some(State::Running), State::Failed) => {
            is_occurrence || reason != Some(Reason::Superseded)
        }
        (Some(before), State::Failed) => {
            before == State::Retrying && reason == Some(Reason::Superseded) && is_occurrence
        }
        (Some(State::Running), State::Skipped) => {
            // A claim that never became a process is taken back, and its time may be over by then.
            let is_untried = run.attempt == 0 && reason == Some(Reason::Missed);
            reason == Some(Reason::Exit)
                || (is_occurrence && (reason == Some(Reason::JobRemoved) || is_untried))
        }
        (Some(_), State::Skipped) => {
            is_occurrence && matches!(reason, Some(Reason::Missed | Reason::JobRemoved))
        }
        (Some(_), State::Cancelled) => {
            matches!(reason, Some(Reason::ByHand | Reason::Replaced))
        }
    }
}
