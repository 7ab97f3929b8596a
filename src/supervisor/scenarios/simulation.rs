//! Random lives of a supervisor, step by step against an oracle: invented time, a real store, real
//! locks, scripted attempts.
//!
//! The steps come from fixed seeds, so `cargo test` does the same ones each time.
//! `JOBCTL_SIMULATION=N` goes through N seeds.

mod files;
mod jobs;
mod oracle;

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use super::*;
use files::{Files, Write};
use jobs::{JOBS, LANE_INDEX, jobfile};
use oracle::Oracle;

/// Seeds that are gone through where nobody asks for more.
const SEEDS: u64 = 52;

/// Random lives of each seed, and the most steps that one has.
const LIVES: u32 = 40;
const STEPS_MAX: usize = 100;

/// Of so many lives one is followed until all that waits is done.
const SETTLED: u64 = 16;

/// Turns that may follow each other in the end, when all that waits is done.
const TURNS_MAX: u32 = 100;

/// So many steps a seed are gone through at the least: nearly 100,000 in all.
const STEPS_WANTED: u64 = 1_900;

/// How an attempt ends.
#[derive(Clone, Copy, Debug)]
enum How {
    Exits(u8),
    /// With 0, and so many lines if it is a finder's.
    Finds(u32),
    Signal,
    Timeout,
    NotFound,
    KeeperKilled,
}

/// How a supervisor comes to its end, and what is left of its attempts.
#[derive(Clone, Copy, Debug)]
enum Fall {
    /// Killed between two turns.
    Killed,
    /// Killed when a turn is on disk, before anything of it is done.
    KilledAfterCommit,
    /// Killed together with the keeper of one attempt.
    WithKeeper(usize),
    /// The machine goes down.
    Reboot,
    /// TERM, and what runs is given time.
    Stopped,
    /// TERM, and what runs goes on.
    Detached,
}

/// What happens next. Numbers choose among what is there.
#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    WaitAsAsked,
    ClockForward(u64),
    ClockBack(u64),
    Enqueue(usize),
    EnqueueInLane(u8),
    EnqueueIn(usize, u64),
    Cancel(usize),
    Retry(usize, Force),
    Ack(usize),
    Pause(Option<usize>, Option<u64>),
    Resume(Option<usize>),
    End(usize, How),
    RefuseStart,
    StoreFails,
    Fall(Fall, u64),
    Reload(usize, Removal),
    WriteFile(usize, Write),
    RemoveFile(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let job = || 0..JOBS.len();
    let nth = || 0..24_usize;
    let file = || 0..5_usize;
    let how = prop_oneof![
        5 => prop::sample::select(vec![0, 0, 1, 3, 75]).prop_map(How::Exits),
        3 => (0..15_u32).prop_map(How::Finds),
        1 => Just(How::Signal),
        1 => Just(How::Timeout),
        1 => Just(How::NotFound),
        1 => Just(How::KeeperKilled),
    ];
    let fall = prop_oneof![
        3 => Just(Fall::Killed),
        4 => Just(Fall::KilledAfterCommit),
        2 => nth().prop_map(Fall::WithKeeper),
        1 => Just(Fall::Reboot),
        1 => Just(Fall::Stopped),
        1 => Just(Fall::Detached),
    ];
    let span = || prop::sample::select(vec![1_u64, 30, 61, 600, 7200, 20_000]);
    prop_oneof![
        18 => prop::sample::select(vec![1_u64, 999, 1000, 10_000, 59_000, 60_000, 3_600_000]).prop_map(Step::Wait),
        30 => Just(Step::WaitAsAsked),
        1 => span().prop_map(Step::ClockForward),
        1 => span().prop_map(Step::ClockBack),
        8 => job().prop_map(Step::Enqueue),
        6 => (0..3_u8).prop_map(Step::EnqueueInLane),
        2 => (job(), 0..300_u64).prop_map(|(job, secs)| Step::EnqueueIn(job, secs)),
        3 => nth().prop_map(Step::Cancel),
        3 => (nth(), prop::sample::select(vec![Force::No, Force::Yes])).prop_map(|(nth, force)| Step::Retry(nth, force)),
        2 => nth().prop_map(Step::Ack),
        2 => (prop::option::of(job()), prop::option::of(1..400_u64)).prop_map(|(job, secs)| Step::Pause(job, secs)),
        3 => prop::option::of(job()).prop_map(Step::Resume),
        26 => (nth(), how).prop_map(|(nth, how)| Step::End(nth, how)),
        2 => Just(Step::RefuseStart),
        2 => Just(Step::StoreFails),
        3 => (fall, prop::sample::select(vec![0_u64, 2, 90, 4000])).prop_map(|(fall, away)| Step::Fall(fall, away)),
        2 => (0..3_usize, prop::sample::select(vec![Removal::Now, Removal::WaitsForRuns]))
            .prop_map(|(number, removal)| Step::Reload(number, removal)),
        8 => (file(), prop::sample::select(vec![Write::InPlace, Write::Anew, Write::MovedThere]))
            .prop_map(|(file, write)| Step::WriteFile(file, write)),
        2 => file().prop_map(Step::RemoveFile),
    ]
}

/// A life: the supervisor with its world, and the books that are kept beside it.
struct Life {
    day: Scenario,
    jobfile: usize,
    boots: u32,
    oracle: Oracle,
    files: Files,
}

impl Life {
    fn new() -> Self {
        let mut day = Scenario::new(&jobfile(0), T0);
        day.supervisor.log.is_mute = true;
        day.supervisor.spawner.usual = Some((1_000_000_000, End::Exited(0)));
        let files = Files::new(&mut day);
        Self { day, jobfile: 0, boots: 0, oracle: Oracle::default(), files }
    }

    fn go(&mut self, step: &Step) -> Result<(), TestCaseError> {
        self.oracle.begin_step(self.day.now.wall);
        let is_rung = self.happen(step)?;
        self.files.step(&mut self.day);
        let events: &[Event] = if is_rung { &[Event::Rung] } else { &[] };
        let _ = self.day.turn(events);
        if matches!(step, Step::StoreFails) {
            self.day.supervisor.store.execute_raw("DROP TRIGGER full");
        }
        // What an end has brought back to the queue may be over its deadline: one more turn, but
        // not another one after that. A finder's lines take several turns: what may happen between
        // them is the next step.
        if self.day.supervisor.next_wait(self.day.now).is_zero() && !self.is_feeding() {
            let _ = self.day.turn(&[]);
        }
        self.oracle.check(&self.day)?;
        match self.files.is_quiet(self.day.now) {
            true => self.oracle.check_all_taken(&self.files.paths()),
            false => Ok(()),
        }
    }

    fn is_feeding(&self) -> bool {
        let supervisor = &self.day.supervisor;
        let is_finder = |end: &SlotEnd| self.day.run(end.run).job == "find";
        supervisor.queue.has_feeds || supervisor.memory.ended.iter().any(is_finder)
    }

    /// Lets something happen. Whether somebody rings after it.
    fn happen(&mut self, step: &Step) -> Result<bool, TestCaseError> {
        let now = self.day.now.wall;
        match *step {
            Step::Wait(ms) => self.day.advance_clocks(Duration::from_millis(ms)),
            Step::WaitAsAsked => {
                let wait = self.day.supervisor.next_wait(self.day.now);
                self.day.advance_clocks(wait);
            }
            Step::ClockForward(secs) => self.day.now.wall = now + Duration::from_secs(secs),
            Step::ClockBack(secs) => {
                self.day.now.wall = now - Duration::from_secs(secs);
                self.oracle.clock_was_set(self.day.now.wall);
            }
            Step::End(nth, how) => self.end(nth, how),
            Step::RefuseStart => self.day.supervisor.spawner.refuse_starts += 1,
            Step::StoreFails => self.day.supervisor.store.execute_raw(
                "CREATE TEMP TRIGGER full BEFORE UPDATE ON main.run BEGIN SELECT RAISE(ABORT, 'disk full'); END",
            ),
            Step::Fall(fall, away) => self.fall(fall, Duration::from_secs(away))?,
            Step::Reload(number, removal) => self.reload(number, removal),
            Step::WriteFile(file, write) => {
                let (path, pending) = self.files.write(file, write, self.day.now);
                self.oracle.file_written(path, pending);
            }
            Step::RemoveFile(file) => self.files.remove(file, self.day.now),
            Step::Enqueue(_)
            | Step::EnqueueInLane(_)
            | Step::EnqueueIn(..)
            | Step::Cancel(_)
            | Step::Retry(..)
            | Step::Ack(_)
            | Step::Pause(..)
            | Step::Resume(_) => {
                self.command(step);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What somebody asks for on the command line.
    fn command(&mut self, step: &Step) {
        let now = self.day.now.wall;
        let scope = |job: Option<usize>| job.map_or(Scope::All, |job| Scope::Job(JOBS[job]));
        match *step {
            Step::Enqueue(job) => self.enqueue(job, 0, NewItem::default()),
            Step::EnqueueInLane(lane) => {
                let item = NewItem { args: vec![vec![b'a' + lane]], ..NewItem::default() };
                self.enqueue(LANE_INDEX, 0, item);
            }
            Step::EnqueueIn(job, secs) => self.enqueue(job, secs, NewItem::default()),
            Step::Cancel(nth) => {
                if let Some(id) = self.oracle.nth_newest(nth) {
                    let store = &mut self.day.supervisor.store;
                    let _ = store.cancel_if_unfinished(id, now).unwrap();
                }
            }
            Step::Retry(nth, force) => {
                let Some(id) = self.oracle.nth_newest(nth) else {
                    return;
                };
                // The command refuses what has no job in the jobfile.
                let job = self.day.run(id).job_id;
                let Some(state) = self.day.supervisor.memory.jobs.get(job) else {
                    return;
                };
                let fresh = state.job.policy.attempts_max();
                let store = &mut self.day.supervisor.store;
                if store.retry_if_ended(id, fresh, now, force).unwrap()
                    == crate::store::Answer::Done
                {
                    self.oracle.retried(id);
                }
            }
            Step::Ack(nth) => {
                if let Some(id) = self.oracle.nth_newest(nth) {
                    let _ = self.day.supervisor.store.ack_if_failed(id, now).unwrap();
                }
            }
            Step::Pause(job, secs) => {
                let until = secs.map(|secs| now + Duration::from_secs(secs));
                self.day.supervisor.store.pause(scope(job), until, now).unwrap();
            }
            Step::Resume(job) => {
                self.day.supervisor.store.resume(scope(job), now).unwrap();
            }
            Step::Wait(_)
            | Step::WaitAsAsked
            | Step::ClockForward(_)
            | Step::ClockBack(_)
            | Step::End(..)
            | Step::RefuseStart
            | Step::StoreFails
            | Step::Fall(..)
            | Step::Reload(..)
            | Step::WriteFile(..)
            | Step::RemoveFile(_) => {}
        }
    }

    fn enqueue(&mut self, job: usize, secs: u64, item: NewItem) {
        let now = self.day.now.wall;
        let name = JOBS[job];
        let states = &self.day.supervisor.memory.jobs.all;
        let state = states.iter().find(|state| state.job.name.as_str() == name);
        let addition = Addition {
            job: name,
            due_at: now + Duration::from_secs(secs),
            priority: 0,
            max_attempts: state.map_or(Some(1), |state| state.job.policy.attempts_max()),
            backlog_max: None,
            cause: crate::core::run::Cause::Enqueue,
            created_at: now,
            conditions: crate::store::Conditions::default(),
        };
        let added = self.day.supervisor.store.enqueue(&addition, vec![item]);
        match added.unwrap() {
            Enqueued::Added(added) => self.oracle.acknowledged.extend(added.iter().map(|it| it.id)),
            Enqueued::BacklogFull { .. } | Enqueued::KeyHeld { .. } | Enqueued::NoSuchRun(_) => {
                unreachable!("no limit was set")
            }
        }
    }

    fn end(&mut self, nth: usize, how: How) {
        let mono = self.day.now.mono;
        let busy = &mut self.day.supervisor.spawner.busy;
        let Some(acting) = nth.checked_rem(busy.len()).and_then(|nth| busy.values_mut().nth(nth))
        else {
            return;
        };
        acting.ends_at = mono;
        match how {
            How::Exits(code) => acting.end = End::Exited(code),
            How::Finds(lines) => {
                acting.end = End::Exited(0);
                let Order { run, claim, .. } = acting.order;
                let lines = if job_of(&acting.order) == "find" { lines } else { 0 };
                let printed = (0..lines).map(|nth| format!("{run}.{claim}.{nth}\n"));
                acting.printed = printed.collect::<String>().into_bytes();
                self.oracle.printed(run, claim, lines);
            }
            How::Signal => acting.end = End::Signaled(9),
            How::Timeout => {
                acting.end = End::Signaled(15);
                acting.stopped = Some(StopCause::Timeout);
            }
            How::NotFound => {
                acting.end = End::SpawnFailed { exit_code: Some(127), error: "not found".into() }
            }
            How::KeeperKilled => acting.is_lost = true,
        }
    }

    fn reload(&mut self, number: usize, removal: Removal) {
        match self.day.load_with(&jobfile(number), removal) {
            Loaded::Taken(_) => {
                self.jobfile = number;
                self.files.are_loaded_anew();
                // What begins anew begins now, also where the clock was set back a little.
                self.oracle.begins_anew(self.day.now.wall);
            }
            Loaded::Held(_) => {}
        }
    }

    fn fall(&mut self, fall: Fall, away: Duration) -> Result<(), TestCaseError> {
        match fall {
            Fall::Killed => {}
            Fall::KilledAfterCommit => self.commit_only(),
            Fall::WithKeeper(nth) => self.end(nth, How::KeeperKilled),
            Fall::Reboot => {
                self.boots += 1;
                self.day.boot_id = format!("boot-{}", self.boots);
                self.day.supervisor.spawner.busy.clear();
                self.day.supervisor.spawner.told.clear();
                self.day.supervisor.spawner.spools.clear();
            }
            Fall::Stopped => self.stop(OnStop::Finish)?,
            Fall::Detached => self.stop(OnStop::Detach)?,
        }
        self.day.advance_clocks(away);
        let spawner = &mut self.day.supervisor.spawner;
        let (busy, told) = (std::mem::take(&mut spawner.busy), std::mem::take(&mut spawner.told));
        let script = Script {
            given: busy.keys().chain(told.keys()).copied().collect(),
            busy,
            told,
            usual: spawner.usual.clone(),
            spools: std::mem::take(&mut spawner.spools),
            orders: std::mem::take(&mut spawner.orders),
            ..Script::default()
        };
        let store = std::mem::replace(&mut self.day.supervisor.store, Store::vacant());
        self.day.supervisor =
            supervisor(store, &self.day.state_dir, &self.day.boot_id, self.day.now);
        self.day.supervisor.spawner = script;
        self.day.supervisor.log.is_mute = true;
        self.oracle.begins_anew(self.day.now.wall);
        self.day.load(&jobfile(self.jobfile));
        self.day.supervisor.recover(self.day.now).unwrap();
        self.files.begin_anew();
        Ok(())
    }

    /// A turn of which nothing but the store's part is done.
    fn commit_only(&mut self) {
        let now = self.day.now;
        self.day.look_at_clock();
        let supervisor = &mut self.day.supervisor;
        let ends = supervisor.spawner.ended(now);
        supervisor.memory.ended.extend(ends);
        assert!(supervisor.write_turn(now).is_ok());
    }

    fn stop(&mut self, on_stop: OnStop) -> Result<(), TestCaseError> {
        self.day.supervisor.memory.configuration.on_stop = on_stop;
        let mut flow = self.day.turn(&[Event::StopAsked]);
        for _ in 0..100 {
            if flow == Flow::Leave {
                return Ok(());
            }
            let wait = self.day.supervisor.next_wait(self.day.now);
            self.day.advance_clocks(wait);
            flow = self.day.turn(&[]);
        }
        Err(TestCaseError::fail("the supervisor does not leave"))
    }

    /// Lets time pass; what comes to the head of a queue may be over its deadline, so that a few
    /// turns follow each other.
    fn pass_until(&mut self, until: Wall) -> Result<(), TestCaseError> {
        let _ = self.day.turn(&[Event::Rung]);
        while self.day.now.wall < until {
            for turn in 0.. {
                let wait = self.day.supervisor.next_wait(self.day.now);
                if !wait.is_zero() {
                    break;
                }
                prop_assert!(turn < TURNS_MAX, "it turns in circles");
                let _ = self.day.turn(&[]);
            }
            let wait = self.day.supervisor.next_wait(self.day.now);
            let end = self.day.supervisor.spawner.next_end();
            let end = end.map(|end| end.since(self.day.now.mono));
            let rest = until.since(self.day.now.wall);
            let wait = end.into_iter().chain([wait, rest]).min();
            let wait = wait.unwrap_or_default().max(Duration::from_millis(1));
            self.day.advance_clocks(wait);
            let _ = self.day.turn(&[]);
        }
        Ok(())
    }

    /// In the end all that waits is done, if nothing is in its way any more.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        self.oracle.begin_step(self.day.now.wall);
        self.files.settle(&mut self.day);
        let now = self.day.now;
        for scope in JOBS.map(Scope::Job).into_iter().chain([Scope::All]) {
            self.day.supervisor.store.resume(scope, now.wall).unwrap();
        }
        self.reload(0, Removal::Now);
        let spawner = &mut self.day.supervisor.spawner;
        spawner.refuse_starts = 0;
        spawner.usual = None;
        for acting in spawner.busy.values_mut() {
            acting.ends_at = now.mono;
        }
        self.oracle.check_files(&self.day, &self.files.paths())?;
        let waiting = self.oracle.waiting();
        // What was added for later keeps its time when the clock is set back.
        let due = waiting.iter().filter_map(|id| self.day.run(*id).due_at);
        let latest = due.max().unwrap_or(now.wall);
        self.pass_until(latest)?;
        self.pass_until(self.day.now.wall + Duration::from_secs(1800))?;
        prop_assert!(!self.day.supervisor.queue.has_feeds, "a feed comes to no end");
        for id in waiting {
            let run = self.day.run(id);
            prop_assert!(run.state.is_ended(), "run {id} has come to nothing: {run:?}");
        }
        Ok(())
    }
}

fn live(steps: &[Step], count: &Cell<u64>) -> Result<(), TestCaseError> {
    let mut life = Life::new();
    for step in steps {
        life.go(step)?;
        count.set(count.get() + 1);
    }
    life.oracle.check_all(&life.day)?;
    if count.get().is_multiple_of(SETTLED) {
        life.settle()?;
    }
    Ok(())
}

/// Goes through the lives of a seed; how many steps that were.
fn lives(seed: u64) -> u64 {
    let config = Config { cases: LIVES, failure_persistence: None, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&u64::to_le_bytes(seed));
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let count = Cell::new(0);
    let result = runner.run(&vec(step(), 1..=STEPS_MAX), |steps| live(&steps, &count));
    match result {
        Ok(()) => count.get(),
        Err(TestError::Fail(reason, steps)) => {
            panic!("seed {seed}: {reason}\nthe shortest way there: {steps:?}")
        }
        Err(TestError::Abort(reason)) => panic!("seed {seed}: {reason}"),
    }
}

#[test]
fn nothing_is_lost_or_done_twice_in_a_hundred_thousand_random_steps() {
    let seeds = std::env::var("JOBCTL_SIMULATION").map_or(SEEDS, |n| n.parse().expect("a number"));
    let next = AtomicU64::new(1);
    let worker = || {
        let mut steps = 0;
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > seeds {
                return steps;
            }
            steps += lives(seed);
        }
    };
    let steps: u64 = std::thread::scope(|scope| {
        let workers = [scope.spawn(worker), scope.spawn(worker)];
        workers.map(|worker| worker.join().expect("every life was as it should be")).iter().sum()
    });
    println!("simulation: {seeds} seeds, {} lives, {steps} steps", seeds * u64::from(LIVES));
    assert!(steps >= seeds * STEPS_WANTED, "{steps} steps");
}

/// Goes through a way that random steps have found.
fn go_through(steps: &[Step]) {
    let count = Cell::new(0);
    if let Err(error) = live(steps, &count) {
        panic!("{error}");
    }
}

#[test]
fn an_occurrence_that_came_twice_is_not_retried_beside_its_other_run() {
    go_through(&[
        Step::WaitAsAsked,
        Step::ClockForward(61),
        Step::WaitAsAsked,
        Step::Enqueue(1),
        Step::Enqueue(2),
        Step::ClockBack(61),
        Step::End(4, How::Exits(0)),
        Step::WaitAsAsked,
        Step::WaitAsAsked,
        Step::Wait(60_000),
        Step::WaitAsAsked,
        Step::WaitAsAsked,
        Step::Enqueue(1),
        Step::WaitAsAsked,
        Step::WaitAsAsked,
        Step::WaitAsAsked,
        Step::Retry(11, Force::No),
    ]);
}
