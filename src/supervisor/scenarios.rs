//! The supervisor in invented time, with scripted attempts and a real store: policies, overlap, retries, clocks. Nothing sleeps.

mod books;
mod clocks;
mod lanes;
mod names;
mod notices;
mod odd;
mod oversight;
mod pauses;
mod retention;
mod shadow;
mod simulation;
mod watched;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::environment::Surroundings;
use super::spawner::{Adopted, Kept, Report, Sent, SlotEnd, Spawner, Stop};
use super::{Configuration, Event, Flow, Loaded, Mode, NewJobs, Removal, Supervisor, daemon};
use crate::core::job::OnStop;
use crate::core::output::OutputLayout;
use crate::core::run::{OutcomeKind, State};
use crate::core::terms::Terms;
use crate::core::time::{Mono, Now, Wall};
use crate::jobfile::{self, Environment, Source};
use crate::keeper::order::Order;
use crate::keeper::record::{End, Ending, ProcessId, Record, Spooled, StopCause};
use crate::os::user::UserEntry;
use crate::os::zone;
use crate::store::{Addition, Enqueued, Filter, Force, NewItem, RunRow, Scope, Store, StoreError};

/// How a scripted attempt goes: how long it takes, and how it ends.
type Act = (u64, End);

/// Attempts that go as they were told to; what nobody told of takes a second and succeeds.
#[derive(Default)]
struct Script {
    acts: HashMap<String, VecDeque<Act>>,
    busy: BTreeMap<u32, Acting>,
    given: Vec<u32>,
    now: Option<Now>,
    started: Vec<(i64, u32)>,
    running_peak: usize,
    refuse_starts: u32,
    adoptions: HashMap<i64, Report>,
    /// Runs whose slot is another attempt's: what their record says is told once they are taken out here.
    strangers: BTreeSet<i64>,
    /// The ends of those.
    adopted: Vec<SlotEnd>,
    /// What attempts do that nobody told of; none: a second, and success.
    usual: Option<Act>,
    /// Ends that were told and whose slots are not free yet: their records still stand there.
    told: BTreeMap<u32, SlotEnd>,
    /// Standard output of finders that have ended, by slot.
    spools: BTreeMap<u32, Vec<u8>>,
    /// Every attempt that was started: run, attempt, claim and job.
    orders: Vec<(i64, u32, i64, String)>,
    /// Jobs whose keepers hear nothing.
    deaf: Vec<String>,
    /// Jobs whose commands are never started.
    unstarted: Vec<String>,
    /// Jobs whose keepers no signal reaches.
    unreachable: Vec<String>,
    /// Jobs whose keepers KILL does not end.
    undead: Vec<String>,
    /// Slots whose keepers were woken.
    woken: Vec<u32>,
    /// Keepers that were killed: when, and the run they worked on.
    killed: Vec<(Mono, i64)>,
}

struct Acting {
    order: Order,
    _locks: Vec<File>,
    started: Now,
    ends_at: Mono,
    end: End,
    stopped: Option<StopCause>,
    is_lost: bool,
    /// What it prints, if it is a finder's.
    printed: Vec<u8>,
}

impl Script {
    fn next_end(&self) -> Option<Mono> {
        self.busy.values().map(|acting| acting.ends_at).min()
    }

    fn is_unreachable(&self, slot: u32) -> bool {
        let acting = self.busy.get(&slot);
        acting.is_some_and(|acting| self.unreachable.contains(&job_of(&acting.order)))
    }
}

/// The job of an order; of a hook with the event behind it.
fn job_of(order: &Order) -> String {
    let value = |name: &str| {
        let mut told = order.sources.told.iter();
        let value = told.find(|(known, _)| known == name.as_bytes());
        value.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    };
    let job = value("JOBCTL_JOB").expect("every order names its job");
    match value("JOBCTL_EVENT") {
        Some(event) => format!("{job} {event}"),
        None => job,
    }
}

impl Spawner for Script {
    fn free_slot(&mut self) -> io::Result<u32> {
        let slot = (0..)
            .find(|slot| !self.busy.contains_key(slot) && !self.given.contains(slot))
            .expect("there is one");
        self.given.push(slot);
        Ok(slot)
    }

    fn start(&mut self, slot: u32, order: &Order, locks: Vec<File>) -> io::Result<()> {
        if self.refuse_starts > 0 {
            self.refuse_starts -= 1;
            return Err(nix::errno::Errno::EAGAIN.into());
        }
        let now = self.now.expect("a turn tells the time first");
        let (secs, end) = self
            .acts
            .get_mut(&job_of(order))
            .and_then(VecDeque::pop_front)
            .or_else(|| self.usual.clone())
            .unwrap_or((1, End::Exited(0)));
        self.started.push((order.run, order.attempt));
        self.orders.push((order.run, order.attempt, order.claim, job_of(order)));
        let ends_at = now.mono + Duration::from_secs(secs);
        let acting = Acting {
            order: order.clone(),
            _locks: locks,
            started: now,
            ends_at,
            end,
            stopped: None,
            is_lost: false,
            printed: Vec::new(),
        };
        self.busy.insert(slot, acting);
        self.running_peak = self.running_peak.max(self.busy.len());
        Ok(())
    }

    fn give_back(&mut self, slot: u32) {
        self.given.retain(|given| *given != slot);
    }

    fn ended(&mut self, now: Now) -> Vec<SlotEnd> {
        self.now = Some(now);
        let over: Vec<u32> = self
            .busy
            .iter()
            .filter(|(_, acting)| acting.ends_at <= now.mono)
            .map(|(slot, _)| *slot)
            .collect();
        let strangers = &self.strangers;
        let adopted =
            self.adopted.extract_if(.., |end| !strangers.contains(&end.run)).collect::<Vec<_>>();
        over.into_iter()
            .filter_map(|slot| {
                let mut acting = self.busy.remove(&slot)?;
                let end = SlotEnd {
                    slot,
                    run: acting.order.run,
                    claim: acting.order.claim,
                    report: match acting.is_lost {
                        true => Report::Lost,
                        false => Report::Ended(Box::new(record_of(&acting, now))),
                    },
                };
                self.told.insert(slot, end.clone());
                self.spools.insert(slot, std::mem::take(&mut acting.printed));
                Some(end)
            })
            .chain(adopted)
            .collect()
    }

    fn output(&mut self, _end: &SlotEnd) -> io::Result<Kept> {
        Ok(Kept::Nothing)
    }

    fn drop_output(&mut self) {}

    fn spool(&self, slot: u32) -> io::Result<File> {
        let flags = nix::sys::memfd::MFdFlags::MFD_CLOEXEC;
        let mut file = File::from(nix::sys::memfd::memfd_create(c"spool", flags)?);
        let printed = self.spools.get(&slot);
        io::Write::write_all(&mut file, printed.ok_or(io::ErrorKind::NotFound)?)?;
        Ok(file)
    }

    fn release(&mut self, slot: u32, _now: Now) {
        self.told.remove(&slot);
        self.give_back(slot);
    }

    fn stop(&mut self, slot: u32, _stop: Stop) {
        let now = self.now.expect("a turn tells the time first");
        if let Some(acting) =
            self.busy.get_mut(&slot).filter(|acting| !self.deaf.contains(&job_of(&acting.order)))
        {
            acting.ends_at = now.mono;
            acting.end = End::Signaled(15);
            acting.stopped = Some(StopCause::Signal);
        }
    }

    fn wake(&mut self, slot: u32) -> Sent {
        if self.is_unreachable(slot) {
            return Sent::Unsent;
        }
        self.woken.push(slot);
        Sent::Sent
    }

    fn kill_keeper(&mut self, slot: u32) -> Sent {
        let now = self.now.expect("a turn tells the time first");
        if self.is_unreachable(slot) {
            return Sent::Unsent;
        }
        let Some(acting) = self.busy.get_mut(&slot) else {
            return Sent::Unsent;
        };
        self.killed.push((now.mono, acting.order.run));
        if !self.undead.contains(&job_of(&acting.order)) {
            acting.ends_at = now.mono;
            acting.is_lost = true;
        }
        Sent::Sent
    }

    fn is_started(&self, slot: u32, _run: i64, _claim: i64) -> bool {
        let acting = self.busy.get(&slot);
        acting.is_none_or(|acting| !self.unstarted.contains(&job_of(&acting.order)))
    }

    fn terms(&self, _slot: u32, _run: i64, _claim: i64) -> Option<Terms> {
        None
    }

    fn adopt(&mut self, slot: u32, run: i64, claim: i64) -> Adopted {
        let is_it = |acting: &Acting| acting.order.run == run && acting.order.claim == claim;
        if self.busy.get(&slot).is_some_and(is_it) {
            return Adopted::Working;
        }
        if self.strangers.contains(&run) {
            self.adopted.push(SlotEnd { slot, run, claim, report: Report::NeverStarted });
            return Adopted::Working;
        }
        let told = self.told.get(&slot);
        if let Some(end) = told.filter(|end| end.run == run && end.claim == claim) {
            return Adopted::Ended(end.report.clone());
        }
        Adopted::Ended(self.adoptions.get(&run).cloned().unwrap_or(Report::NeverStarted))
    }
}

fn record_of(acting: &Acting, now: Now) -> Record {
    Record {
        boot_id: "boot".into(),
        keeper: ProcessId { pid: 1, start_ticks: 1 },
        run: acting.order.run,
        attempt: acting.order.attempt,
        claim: acting.order.claim,
        started_at: acting.started.wall,
        started_mono: acting.started.mono,
        command: Some(ProcessId { pid: 2, start_ticks: 2 }),
        cgroup: None,
        memory_max: None,
        terms: None,
        stopped: acting.stopped,
        layout: OutputLayout { head_max: 1, tail_max: 1 },
        output_total: 0,
        feeds: acting.order.feeds.clone(),
        report: None,
        ending: Some(Ending {
            report: crate::core::report::Report::default(),
            spooled: acting
                .order
                .feeds
                .as_ref()
                .map(|_| Spooled { bytes: acting.printed.len() as u64, failure: None }),
            end: acting.end.clone(),
            ended_at: now.wall,
            duration: now.mono.since(acting.started.mono),
            user: Duration::ZERO,
            system: Duration::ZERO,
            max_rss_kib: 0,
            remark: None,
        }),
    }
}

/// A supervisor, its jobfile and its time.
struct Scenario {
    supervisor: Supervisor<Script>,
    now: Now,
    state_dir: PathBuf,
    boot_id: String,
}

impl Scenario {
    /// Begins at `at` with the jobs of a jobfile.
    fn new(jobfile: &str, at: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let state_dir =
            std::env::temp_dir().join(format!("jobctl-scenario-{}-{count}", std::process::id()));
        daemon::make_state_dir(&state_dir).unwrap();
        let now = Now { wall: instant(at), mono: Mono::from_duration(Duration::from_secs(1000)) };
        let boot_id = "boot".to_owned();
        let supervisor = supervisor(Store::in_memory(), &state_dir, &boot_id, now);
        let mut scenario = Self { supervisor, now, state_dir, boot_id };
        scenario.load(jobfile);
        scenario.supervisor.recover(now).unwrap();
        scenario
    }

    fn load(&mut self, jobfile: &str) {
        let loaded = self.load_with(jobfile, Removal::Now);
        assert!(matches!(loaded, Loaded::Taken(_)), "nothing holds it");
    }

    fn load_with(&mut self, jobfile: &str, removal: Removal) -> Loaded {
        self.try_load(jobfile, removal).unwrap()
    }

    fn try_load(&mut self, jobfile: &str, removal: Removal) -> Result<Loaded, StoreError> {
        let source = Source { path: PathBuf::from("jobs.toml"), text: jobfile.to_owned() };
        let known =
            |name: &str| zone::load(name).map(|_| ()).map_err(|error| (error.to_string(), None));
        let environment =
            Environment { machine_id: "machine", zones: &known, open: &|path| File::open(path) };
        let loaded = jobfile::load_sources(&[source], &environment)
            .expect("the scenario's jobfile is valid");
        let former = self.supervisor.memory.configuration.running_max;
        if let Some(max) = loaded.settings.max_running {
            self.supervisor.memory.configuration.running_max = usize::try_from(max).unwrap();
        }
        let mut zone_of = |name: Option<&str>| Arc::new(zone::load(name.unwrap_or("UTC")).unwrap());
        let new = NewJobs { jobs: loaded.jobs, sources: &[], removal };
        let loaded = self.supervisor.load(new, &mut zone_of, self.now);
        if !matches!(loaded, Ok(Loaded::Taken(_))) {
            self.supervisor.memory.configuration.running_max = former;
        }
        loaded
    }

    /// The next attempts of a job, or of a hook (`JOB EVENT`): seconds, and how they end.
    fn acts(&mut self, job: &str, acts: &[Act]) {
        self.supervisor.spawner.acts.entry(job.into()).or_default().extend(acts.iter().cloned());
    }

    /// Ends this supervisor as a crash would and starts another on the same store, `away` later.
    fn restart(&mut self, jobfile: &str, away: Duration) {
        self.advance_clocks(away);
        let store = std::mem::replace(&mut self.supervisor.store, Store::vacant());
        self.supervisor = supervisor(store, &self.state_dir, &self.boot_id, self.now);
        self.load(jobfile);
        self.supervisor.recover(self.now).unwrap();
    }

    fn look_at_clock(&mut self) {
        self.supervisor.memory.clock.look(self.now, &mut self.supervisor.log);
    }

    fn fail_a_turn(&mut self, error: &StoreError) {
        let effects = super::Effects::none(&self.supervisor.memory);
        self.supervisor.drop_turn(&effects, error, self.now);
    }

    fn advance_clocks(&mut self, by: Duration) {
        self.now = Now { wall: self.now.wall + by, mono: self.now.mono + by };
    }

    fn turn(&mut self, events: &[Event]) -> Flow {
        self.supervisor.handle(events, self.now)
    }

    /// Lets time pass until `at`, waking when the supervisor would.
    fn advance_to(&mut self, at: &str) {
        self.advance_to_wall(instant(at));
    }

    fn advance(&mut self, secs: u64) {
        self.advance_to_wall(self.now.wall + Duration::from_secs(secs));
    }

    fn advance_to_wall(&mut self, until: Wall) {
        let _ = self.turn(&[Event::Rung]);
        while self.now.wall < until {
            let is_restless = self.supervisor.next_wait(self.now) == Duration::ZERO;
            assert!(
                !is_restless
                    || !self.supervisor.memory.ended.is_empty()
                    || self.supervisor.queue.has_feeds,
                "it would turn in circles at {:?}",
                self.now
            );
            let mut wait = self.supervisor.next_wait(self.now).min(until.since(self.now.wall));
            if let Some(end) = self.supervisor.spawner.next_end() {
                wait = wait.min(end.since(self.now.mono));
            }
            let wait = wait.max(Duration::from_millis(1));
            self.supervisor.note_wait(wait);
            self.advance_clocks(wait);
            let _ = self.turn(&[]);
        }
    }

    fn enqueue(&mut self, job: &str, count: usize) -> Vec<i64> {
        let addition = Addition {
            job,
            due_at: self.now.wall,
            priority: 0,
            max_attempts: self
                .supervisor
                .memory
                .jobs
                .all
                .iter()
                .find(|state| state.job.name.as_str() == job)
                .and_then(|state| state.job.policy.attempts_max()),
            backlog_max: None,
            cause: crate::core::run::Cause::Enqueue,
            created_at: self.now.wall,
            conditions: crate::store::Conditions::default(),
        };
        let items = vec![NewItem::default(); count];
        match self.supervisor.store.enqueue(&addition, items).unwrap() {
            Enqueued::Added(added) => added.iter().map(|added| added.id).collect(),
            Enqueued::BacklogFull { .. } | Enqueued::KeyHeld { .. } | Enqueued::NoSuchRun(_) => {
                panic!("no limit was set")
            }
        }
    }

    fn rows(&self, job: &str) -> Vec<RunRow> {
        let filter = Filter { job: Some(job.into()), ..Filter::default() };
        let mut rows = self.supervisor.store.runs(&filter, None).unwrap();
        rows.reverse();
        rows
    }

    fn run(&self, id: i64) -> RunRow {
        self.supervisor.store.run(id).unwrap().expect("the run is there")
    }

    /// The runs of a job, oldest first: `TIME STATE [(REASON)] [xCOUNT]`.
    fn runs(&self, job: &str) -> Vec<String> {
        self.rows(job)
            .iter()
            .map(|run| {
                let at = run.scheduled_at.unwrap_or(run.created_at);
                let time =
                    chrono::DateTime::from_timestamp_millis(at.ms()).unwrap().format("%d %H:%M:%S");
                let reason = run.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
                let count = if run.count > 1 { format!(" x{}", run.count) } else { String::new() };
                format!("{time} {}{reason}{count}", run.state)
            })
            .collect()
    }
}

impl Drop for Scenario {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.state_dir);
    }
}

fn supervisor(
    store: Store,
    state_dir: &std::path::Path,
    boot_id: &str,
    now: Now,
) -> Supervisor<Script> {
    let configuration = Configuration {
        running_max: 16,
        mode: Mode::Live,
        on_stop: OnStop::Finish,
        log_format: None,
        metrics_file: None,
        heartbeat: None,
        output_total_max: 1000,
        stop_timeout: Duration::from_secs(60),
        seed: "machine".into(),
        state_dir: state_dir.into(),
        boot_id: boot_id.into(),
    };
    let surroundings = Surroundings {
        inherited: vec![],
        user: UserEntry { name: "user".into(), home: "/".into(), shell: "/bin/sh".into() },
        jobfile: "jobs.toml".into(),
        state_dir: state_dir.into(),
        reports_dir: None,
    };
    Supervisor::new(store, Script::default(), configuration, surroundings, now)
}

fn instant(text: &str) -> Wall {
    let time = chrono::DateTime::parse_from_rfc3339(text).expect("RFC 3339");
    Wall::from_ms(time.timestamp_millis())
}

const T0: &str = "2026-06-01T00:00:30Z";

#[test]
fn an_occurrence_in_the_autumn_fold_runs_once() {
    let jobfile =
        "[jobs.backup]\nschedule = '30 2 * * *'\ntimezone = 'Europe/Berlin'\ncommand = 'true'";
    let mut day = Scenario::new(jobfile, "2026-10-24T12:00:00Z");
    day.advance_to("2026-10-25T12:00:00Z");
    assert_eq!(day.runs("backup"), ["25 00:30:00 succeeded"]);
}

#[test]
fn a_failed_attempt_is_retried_and_a_success_ends_it() {
    let jobfile = "[jobs.a]\nschedule = '1 0 * * *'\ncommand = 'x'\nretry = { max = 3, delay = '10s', jitter = 0.0 }";
    let mut day = Scenario::new(jobfile, T0);
    day.acts("a", &[(2, End::Exited(1)), (2, End::Exited(1)), (2, End::Exited(0))]);
    day.advance(300);
    assert_eq!(day.runs("a"), ["01 00:01:00 succeeded"]);
    let run = &day.rows("a")[0];
    assert_eq!((run.attempt, run.charged), (3, 3));
    // 2 s, 10 s of delay, 2 s, 20 s of delay: the third attempt starts 34 s after the first.
    assert_eq!(run.started_at, Some(instant("2026-06-01T00:01:34Z")));
}

#[test]
fn a_run_whose_budget_is_spent_has_failed_and_a_retry_by_hand_gives_a_fresh_one() {
    let jobfile = "[jobs.a]\ncommand = 'x'\nretry = { max = 1, delay = '1s' }";
    let mut day = Scenario::new(jobfile, T0);
    day.acts(
        "a",
        &[(1, End::Exited(7)), (1, End::Exited(7)), (1, End::Exited(7)), (1, End::Exited(0))],
    );
    let id = day.enqueue("a", 1)[0];
    day.advance(60);
    assert_eq!(day.run(id).state, State::Failed);
    let now = day.now.wall;
    let _ = day.supervisor.store.retry_if_ended(id, Some(2), now, Force::No).unwrap();
    day.advance(60);
    let run = day.run(id);
    assert_eq!((run.state, run.attempt, run.max_attempts), (State::Succeeded, 4, Some(4)));
    assert_eq!(day.supervisor.store.attempts(id).unwrap().len(), 4);
}

#[test]
fn an_occurrence_that_finds_its_job_busy_is_skipped_and_a_row_of_them_is_one_row() {
    let mut day = Scenario::new("[jobs.a]\nschedule = '* * * * *'\ncommand = 'x'", T0);
    day.acts("a", &[(200, End::Exited(0))]);
    day.advance_to("2026-06-01T00:05:30Z");
    assert_eq!(
        day.runs("a"),
        ["01 00:01:00 succeeded", "01 00:02:00 skipped (overlap) x3", "01 00:05:00 succeeded"]
    );
    assert_eq!(day.rows("a")[1].by, Some(day.rows("a")[0].id));
}

#[test]
fn queue_one_lets_one_occurrence_wait() {
    let mut day =
        Scenario::new("[jobs.a]\nschedule = '* * * * *'\ncommand = 'x'\noverlap = 'queue-one'", T0);
    day.acts("a", &[(150, End::Exited(0)), (1, End::Exited(0))]);
    day.advance_to("2026-06-01T00:03:50Z");
    assert_eq!(
        day.runs("a"),
        ["01 00:01:00 succeeded", "01 00:02:00 succeeded", "01 00:03:00 skipped (overlap)"]
    );
}

#[test]
fn queue_all_lets_every_occurrence_wait() {
    let mut day =
        Scenario::new("[jobs.a]\nschedule = '* * * * *'\ncommand = 'x'\noverlap = 'queue-all'", T0);
    day.acts("a", &[(150, End::Exited(0))]);
    day.advance_to("2026-06-01T00:03:50Z");
    assert_eq!(
        day.runs("a"),
        ["01 00:01:00 succeeded", "01 00:02:00 succeeded", "01 00:03:00 succeeded"]
    );
    assert_eq!(day.supervisor.spawner.running_peak, 1);
}

#[test]
fn replace_stops_the_older_run_for_the_new_one() {
    let mut day =
        Scenario::new("[jobs.a]\nschedule = '* * * * *'\ncommand = 'x'\noverlap = 'replace'", T0);
    day.acts("a", &[(500, End::Exited(0)), (5, End::Exited(0))]);
    day.advance_to("2026-06-01T00:02:30Z");
    assert_eq!(day.runs("a"), ["01 00:01:00 cancelled (replaced)", "01 00:02:00 succeeded"]);
    let rows = day.rows("a");
    assert_eq!(rows[0].by, Some(rows[1].id));
}

#[test]
fn allow_starts_them_side_by_side() {
    let mut day =
        Scenario::new("[jobs.a]\nschedule = '* * * * *'\ncommand = 'x'\noverlap = 'allow'", T0);
    day.acts("a", &[(500, End::Exited(0)), (500, End::Exited(0)), (500, End::Exited(0))]);
    day.advance_to("2026-06-01T00:03:30Z");
    assert_eq!(day.supervisor.spawner.running_peak, 3);
}

#[test]
fn no_more_run_at_once_than_concurrency_and_max_running_allow() {
    let jobfile = "max_running = 3\n[jobs.a]\ncommand = 'x'\nconcurrency = 2\n[jobs.b]\ncommand = 'x'\nconcurrency = 5";
    let mut day = Scenario::new(jobfile, T0);
    let ids = [day.enqueue("a", 6), day.enqueue("b", 6)].concat();
    let _ = day.turn(&[Event::Rung]);
    assert_eq!(day.supervisor.memory.live.of_job(1).len(), 2);
    assert_eq!(day.supervisor.memory.live.len(), 3);
    day.advance(30);
    assert_eq!(day.supervisor.spawner.running_peak, 3);
    assert!(ids.iter().all(|id| day.run(*id).state == State::Succeeded));
}

#[test]
fn jobs_that_name_a_lock_run_one_after_the_other_and_block_nobody_else() {
    let jobfile = "[jobs.a]\ncommand = 'x'\nlock = 'db'\n[jobs.b]\ncommand = 'x'\nlock = 'db'\n[jobs.c]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    day.acts("a", &[(100, End::Exited(0))]);
    let (a, b, c) = (day.enqueue("a", 1)[0], day.enqueue("b", 1)[0], day.enqueue("c", 1)[0]);
    day.advance(50);
    assert_eq!((day.run(a).state, day.run(b).state), (State::Running, State::Queued));
    assert_eq!(day.run(c).state, State::Succeeded);
    day.advance(60);
    assert_eq!(day.run(b).state, State::Succeeded);
}

#[test]
fn a_lock_that_a_stranger_holds_makes_a_run_wait_until_it_is_free() {
    let mut day = Scenario::new("[jobs.a]\ncommand = 'x'", T0);
    let path = day.state_dir.join("locks/a.lock");
    let stranger =
        crate::os::lock::try_lock(&path, crate::os::lock::Kind::Exclusive).unwrap().unwrap();
    let id = day.enqueue("a", 1)[0];
    day.advance(10);
    assert_eq!(day.run(id).state, State::Queued);
    drop(stranger);
    day.advance(3);
    assert_eq!(day.run(id).state, State::Succeeded);
}

#[test]
fn what_falls_due_while_nobody_is_there_is_missed_or_caught_up() {
    let jobfile = "[jobs.none]\nschedule = '0 * * * *'\ncommand = 'x'\n\
        [jobs.last]\nschedule = '0 * * * *'\ncommand = 'x'\ncatch_up = 'last'\n\
        [jobs.all]\nschedule = '0 * * * *'\ncommand = 'x'\ncatch_up = 'all'\n";
    let mut day = Scenario::new(jobfile, T0);
    day.advance(600);
    day.restart(jobfile, Duration::from_secs(4 * 3600));
    day.advance(60);
    assert_eq!(day.runs("none"), ["01 01:00:00 skipped (missed) x4"]);
    assert_eq!(day.runs("last"), ["01 01:00:00 skipped (missed) x3", "01 04:00:00 succeeded"]);
    assert_eq!(
        day.runs("all"),
        [
            "01 01:00:00 succeeded",
            "01 02:00:00 succeeded",
            "01 03:00:00 succeeded",
            "01 04:00:00 succeeded"
        ]
    );
}

#[test]
fn what_is_caught_up_comes_before_what_is_just_due_and_does_not_skip_it() {
    let jobfile = "[jobs.a]\nschedule = '0 * * * *'\ncommand = 'x'\ncatch_up = 'all'\n";
    let mut day = Scenario::new(jobfile, T0);
    day.advance(60);
    day.restart(jobfile, Duration::from_secs(2 * 3600));
    day.advance(60);
    assert_eq!(day.runs("a"), ["01 01:00:00 succeeded", "01 02:00:00 succeeded"]);
}

#[test]
fn an_occurrence_that_is_late_by_less_than_five_minutes_starts_as_usual() {
    let jobfile = "[jobs.a]\nschedule = '0 1 * * *'\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, "2026-06-01T00:59:30Z");
    day.advance(1);
    day.restart(jobfile, Duration::from_secs(200));
    day.advance(60);
    assert_eq!(day.runs("a"), ["01 01:00:00 succeeded"]);
}

#[test]
fn a_fixed_time_inside_a_suspend_of_two_hours_runs_and_a_wild_one_does_not_catch_up() {
    let jobfile = "[jobs.fixed]\nschedule = '30 1 * * *'\ncommand = 'x'\n[jobs.wild]\nschedule = '*/30 * * * *'\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, "2026-06-01T00:45:10Z");
    day.advance(10);
    day.now.wall = day.now.wall + Duration::from_secs(2 * 3600);
    day.advance(60);
    assert_eq!(day.runs("fixed"), ["01 01:30:00 succeeded"]);
    assert_eq!(day.runs("wild"), ["01 01:00:00 skipped (missed) x4"]);
}

#[test]
fn a_clock_set_back_repeats_no_fixed_time_and_silences_no_job() {
    let jobfile = "[jobs.fixed]\nschedule = '0 1 * * *'\ncommand = 'x'\n[jobs.wild]\nschedule = '*/10 * * * *'\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, "2026-06-01T00:55:00Z");
    day.advance_to("2026-06-01T01:15:00Z");
    assert_eq!(day.runs("wild").len(), 2);
    day.now.wall = instant("2026-06-01T00:15:00Z");
    day.advance_to("2026-06-01T01:15:00Z");
    assert_eq!(day.runs("fixed"), ["01 01:00:00 succeeded"]);
    assert_eq!(day.runs("wild").len(), 2 + 6);
    day.now.wall = instant("2025-06-01T00:15:00Z");
    day.advance_to("2025-06-01T01:15:00Z");
    assert_eq!(day.runs("fixed").len(), 2, "a year back: planning goes on from there");
}

#[test]
fn an_edited_or_new_schedule_never_fires_the_past() {
    let mut day = Scenario::new("[jobs.a]\nschedule = '0 5 * * *'\ncommand = 'x'", T0);
    day.advance(60);
    day.advance_clocks(Duration::from_secs(3600));
    day.load("[jobs.a]\nschedule = '30 0 * * *'\ncommand = 'x'\n[jobs.b]\nschedule = '*/5 * * * *'\ncommand = 'x'");
    day.advance(60);
    assert!(day.runs("a").is_empty());
    assert!(day.runs("b").is_empty());
}

#[test]
fn every_keeps_its_grid_over_a_restart() {
    let jobfile = "[jobs.a]\nschedule = '@every 10m'\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, "2026-06-01T00:00:00Z");
    day.advance(601);
    day.restart(jobfile, Duration::from_secs(200));
    day.advance_to("2026-06-01T00:31:00Z");
    assert_eq!(
        day.runs("a"),
        ["01 00:10:00 succeeded", "01 00:20:00 succeeded", "01 00:30:00 succeeded"]
    );
}

#[test]
fn reboot_runs_once_a_boot_and_not_for_the_boot_in_which_it_was_added() {
    let jobfile = "[jobs.a]\nschedule = '@reboot'\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    day.advance(10);
    day.restart(jobfile, Duration::from_secs(10));
    day.advance(10);
    assert!(day.runs("a").is_empty(), "the same boot");
    day.boot_id = "another boot".into();
    day.restart(jobfile, Duration::from_secs(10));
    day.advance(10);
    day.restart(jobfile, Duration::from_secs(10));
    day.advance(10);
    assert_eq!(day.rows("a").len(), 1);
    assert_eq!(day.rows("a")[0].state, State::Succeeded);
}

#[test]
fn a_pause_skips_occurrences_and_keeps_items_and_ends_by_itself() {
    let jobfile = "[jobs.a]\nschedule = '* * * * *'\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    let until = Some(instant("2026-06-01T00:04:30Z"));
    let now = day.now.wall;
    assert!(day.supervisor.store.pause(Scope::Job("a"), until, now).unwrap());
    let item = day.enqueue("a", 1)[0];
    day.advance_to("2026-06-01T00:04:20Z");
    assert_eq!(day.run(item).state, State::Queued);
    day.advance_to("2026-06-01T00:05:30Z");
    assert_eq!(day.run(item).state, State::Succeeded);
    assert_eq!(day.runs("a")[1..], ["01 00:01:00 skipped (paused) x4", "01 00:05:00 succeeded"]);
}

#[test]
fn a_new_occurrence_supersedes_one_that_is_retrying() {
    let jobfile =
        "[jobs.a]\nschedule = '* * * * *'\ncommand = 'x'\nretry = { max = 5, delay = '10m' }";
    let mut day = Scenario::new(jobfile, T0);
    day.acts("a", &[(1, End::Exited(1)), (1, End::Exited(0))]);
    day.advance_to("2026-06-01T00:02:30Z");
    assert_eq!(day.runs("a"), ["01 00:01:00 failed (superseded)", "01 00:02:00 succeeded"]);
    let rows = day.rows("a");
    assert_eq!(rows[0].by, Some(rows[1].id));
}

#[test]
fn an_occurrence_that_cannot_start_before_its_deadline_is_skipped() {
    let jobfile = "max_running = 1\n[jobs.a]\nschedule = '1 0 * * *'\ncommand = 'x'\nstart_deadline = '30s'\n\
        [jobs.long]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    day.acts("long", &[(300, End::Exited(0))]);
    day.enqueue("long", 1);
    day.advance_to("2026-06-01T00:02:00Z");
    assert_eq!(day.runs("a"), ["01 00:01:00 skipped (missed)"]);
}

#[test]
fn a_skipped_occurrence_that_is_retried_by_hand_is_not_overdue() {
    let jobfile = "max_running = 1\n[jobs.a]\nschedule = '1 0 * * *'\ncommand = 'x'\nstart_deadline = '30s'\n\
        [jobs.long]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    day.acts("long", &[(300, End::Exited(0))]);
    day.enqueue("long", 1);
    day.advance(600);
    let id = day.rows("a")[0].id;
    assert_eq!(day.run(id).state, State::Skipped);
    let now = day.now.wall;
    let _ = day.supervisor.store.retry_if_ended(id, Some(1), now, Force::No).unwrap();
    day.advance(10);
    assert_eq!(day.run(id).state, State::Succeeded);
}

#[test]
fn what_cannot_start_for_two_reasons_does_not_make_the_loop_turn_in_circles() {
    let jobfile = "max_running = 1\n[jobs.a]\ncommand = 'x'\n[jobs.long]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    let path = day.state_dir.join("locks/a.lock");
    let stranger = crate::os::lock::try_lock(&path, crate::os::lock::Kind::Exclusive).unwrap();
    let waiting = day.enqueue("a", 1)[0];
    day.advance(3);
    day.acts("long", &[(100, End::Exited(0))]);
    day.enqueue("long", 1);
    day.advance(50);
    let (now, until) = (day.now.wall, day.now.wall + Duration::from_secs(10));
    day.supervisor.store.pause(Scope::Job("a"), Some(until), now).unwrap();
    day.advance(20);
    drop(stranger);
    day.advance(60);
    assert_eq!(day.run(waiting).state, State::Succeeded);
}

#[test]
fn a_lost_attempt_is_charged_and_a_run_that_loses_its_keeper_too_often_is_poison() {
    let jobfile = "[jobs.a]\ncommand = 'x'\nretry = { max = 'unlimited', delay = '1s' }";
    let mut day = Scenario::new(jobfile, T0);
    let id = day.enqueue("a", 1)[0];
    for lost in 1..=4 {
        day.acts("a", &[(1000, End::Exited(0))]);
        day.advance(20);
        assert_eq!((day.run(id).state, day.run(id).attempt), (State::Running, lost));
        day.supervisor.spawner.adoptions.clear();
        let store = std::mem::replace(&mut day.supervisor.store, Store::vacant());
        day.supervisor = supervisor(store, &day.state_dir, &day.boot_id, day.now);
        day.supervisor.spawner.adoptions.insert(id, Report::Lost);
        day.load(jobfile);
        day.supervisor.recover(day.now).unwrap();
    }
    day.advance(5);
    assert_eq!(day.run(id).reason.map(|reason| reason.as_str()), Some("poison"));
}

#[test]
fn a_claim_that_never_became_a_process_is_not_charged() {
    let jobfile = "[jobs.a]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    day.supervisor.spawner.refuse_starts = 3;
    let id = day.enqueue("a", 1)[0];
    day.advance(30);
    let run = day.run(id);
    assert_eq!((run.state, run.attempt, run.charged), (State::Succeeded, 1, 1));
    assert_eq!(day.supervisor.spawner.started, [(id, 1)]);
}

#[test]
fn a_keeper_that_is_refused_for_half_a_minute_is_the_end_of_the_attempt_and_the_retry_policy_goes_on()
 {
    let jobfile = "[jobs.a]\ncommand = 'x'\nretry = { max = 1, delay = '5s', jitter = 0 }\n[jobs.b]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    day.supervisor.spawner.refuse_starts = 6;
    let id = day.enqueue("a", 1)[0];
    // Tried at 0, 1, 3, 7, 15 and 31 seconds.
    day.advance(20);
    let run = day.run(id);
    assert_eq!((run.state, run.attempt), (State::Queued, 0));
    assert_eq!(day.supervisor.spawner.refuse_starts, 1);
    day.advance(12);
    let run = day.run(id);
    assert_eq!((run.state, run.attempt), (State::Retrying, 1));
    assert_eq!(run.outcome, Some(OutcomeKind::SpawnFailed));
    assert_eq!(run.error.as_deref(), Some("new keeper: resource temporarily unavailable (EAGAIN)"));
    day.advance(10);
    let run = day.run(id);
    assert_eq!((run.state, run.attempt), (State::Succeeded, 2));
}

#[test]
fn a_job_whose_start_is_refused_holds_no_other_job_back_for_longer_than_a_second() {
    let jobfile = "[jobs.a]\ncommand = 'x'\n[jobs.b]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    day.supervisor.spawner.refuse_starts = 5;
    let refused = day.enqueue("a", 1)[0];
    day.advance(8);
    assert_eq!(day.run(refused).state, State::Queued);
    day.supervisor.spawner.refuse_starts = 0;
    let other = day.enqueue("b", 1)[0];
    day.advance(3);
    assert_eq!(day.run(other).state, State::Succeeded);
    assert_eq!(day.run(refused).state, State::Queued);
}

#[test]
fn a_stop_gives_attempts_time_then_ends_them_and_leaves_when_the_books_are_closed() {
    let jobfile = "[jobs.once]\ncommand = 'x'\n[jobs.again]\ncommand = 'x'\nretry = 1\n[jobs.quick]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    day.acts("once", &[(1000, End::Exited(0))]);
    day.acts("again", &[(1000, End::Exited(0))]);
    day.acts("quick", &[(20, End::Exited(0))]);
    let (once, again, quick) =
        (day.enqueue("once", 1)[0], day.enqueue("again", 1)[0], day.enqueue("quick", 1)[0]);
    let _ = day.turn(&[Event::Rung]);
    assert_eq!(day.turn(&[Event::StopAsked]), Flow::Continue);
    day.advance(45);
    assert_eq!(day.run(quick).state, State::Succeeded);
    assert_eq!(day.run(once).state, State::Running);
    day.advance(10);
    assert_eq!(
        (day.run(once).state, day.run(once).reason.map(|r| r.as_str())),
        (State::Failed, Some("shutdown"))
    );
    assert_eq!((day.run(again).state, day.run(again).max_attempts), (State::Queued, Some(3)));
    assert_eq!(day.turn(&[]), Flow::Leave);
}

#[test]
fn a_job_gone_from_the_jobfile_keeps_its_items_and_loses_its_occurrences() {
    let jobfile = "[jobs.a]\nschedule = '* * * * *'\ncommand = 'x'\noverlap = 'queue-all'\n[jobs.b]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    day.acts("a", &[(90, End::Exited(0))]);
    day.advance_to("2026-06-01T00:02:10Z");
    let item = day.enqueue("a", 1)[0];
    day.load("[jobs.b]\ncommand = 'x'");
    day.advance(600);
    assert_eq!(day.run(item).state, State::Queued);
    assert_eq!(day.runs("a")[..2], ["01 00:01:00 succeeded", "01 00:02:00 skipped (job_removed)"]);
    day.load(jobfile);
    day.advance(5);
    assert_eq!(day.run(item).state, State::Succeeded);
}

#[test]
fn a_renamed_job_neither_loses_nor_repeats_an_occurrence() {
    let mut day = Scenario::new("[jobs.a]\nschedule = '* * * * *'\ncommand = 'x'", T0);
    day.advance_to("2026-06-01T00:02:59Z");
    day.advance_clocks(Duration::from_secs(2));
    // 00:03 is not planned yet.
    day.load("[jobs.b]\nwas = ['a']\nschedule = '* * * * *'\ncommand = 'x'");
    day.advance_to("2026-06-01T00:05:30Z");
    assert!(day.rows("a").is_empty());
    assert_eq!(
        day.runs("b"),
        [
            "01 00:01:00 succeeded",
            "01 00:02:00 succeeded",
            "01 00:03:00 succeeded",
            "01 00:04:00 succeeded",
            "01 00:05:00 succeeded"
        ]
    );
}

#[test]
fn a_renamed_job_whose_instants_depend_on_its_name_never_fires_the_past() {
    let jobfile = |name: &str| {
        format!(
            "[jobs.{name}]\nwas = ['a']\nschedule = 'H H * * *'\ncommand = 'x'\ncatch_up = 'all'\n"
        )
    };
    for name in ["b", "c", "d", "e", "f", "g"] {
        let mut day =
            Scenario::new("[jobs.a]\nschedule = 'H H * * *'\ncommand = 'x'\ncatch_up = 'all'", T0);
        day.advance_to("2026-06-02T23:00:00Z");
        let before = day.rows("a").len();
        day.load(&jobfile(name));
        day.advance(1);
        assert_eq!(day.rows(name).len(), before, "{name}");
        day.load(&jobfile(name));
        day.advance_to("2026-06-04T23:00:00Z");
        assert!(day.rows(name).len() >= before + 2, "{name}");
    }
}

#[test]
fn jobs_that_become_one_count_together_and_lose_no_run() {
    let mut day = Scenario::new(
        "[jobs.a]\ncommand = 'x'\n[jobs.b]\ncommand = 'x'\n[jobs.c]\ncommand = 'x'",
        T0,
    );
    day.acts("a", &[(60, End::Exited(0))]);
    day.acts("b", &[(120, End::Exited(0))]);
    let runs = [day.enqueue("a", 2), day.enqueue("b", 2), day.enqueue("c", 1)].concat();
    day.advance(5);
    // `c` was there before, with a history of its own.
    day.load("[jobs.c]\nwas = ['a', 'b']\ncommand = 'x'");
    day.advance(1);
    assert_eq!(day.rows("c").len(), 5);
    let row = day.supervisor.store.job("c").unwrap().unwrap();
    assert_eq!((row.running, row.queued, row.ended), (2, 2, 1));
    day.advance(100);
    assert_eq!(day.run(runs[0]).state, State::Succeeded);
    assert_eq!(day.run(runs[1]).state, State::Queued, "one place, and it is taken");
    day.advance(100);
    for run in runs {
        assert_eq!(day.run(run).state, State::Succeeded);
    }
    assert!(day.supervisor.store.job("a").unwrap().is_none());
}

#[test]
fn a_paused_job_is_paused_under_its_new_name() {
    let mut day = Scenario::new("[jobs.a]\ncommand = 'x'", T0);
    let now = day.now.wall;
    assert!(day.supervisor.store.pause(Scope::Job("a"), None, now).unwrap());
    let item = day.enqueue("a", 1)[0];
    day.load("[jobs.b]\nwas = ['a']\ncommand = 'x'");
    day.advance(60);
    assert_eq!(day.run(item).job, "b");
    assert_eq!(day.run(item).state, State::Queued);
}

#[test]
fn a_removal_waits_for_unfinished_runs_and_says_which() {
    let mut day = Scenario::new("[jobs.a]\ncommand = 'x'\n[jobs.b]\ncommand = 'x'", T0);
    day.acts("a", &[(60, End::Exited(0))]);
    day.enqueue("a", 2);
    day.advance(1);
    let held = day.load_with("[jobs.b]\ncommand = 'y'", Removal::WaitsForRuns);
    let Loaded::Held(jobs) = held else {
        panic!("it is taken: {held:?}");
    };
    assert_eq!(
        jobs.iter().map(|job| (job.name.as_str(), job.unfinished)).collect::<Vec<_>>(),
        [("a", 2)]
    );
    day.advance(120);
    let taken = day.load_with("[jobs.b]\ncommand = 'y'", Removal::WaitsForRuns);
    let Loaded::Taken(changes) = taken else {
        panic!("it is held: {taken:?}");
    };
    assert_eq!(changes.removed, ["a"]);
    assert_eq!(changes.changed, ["b"]);
}

#[test]
fn jitter_delays_a_start_by_the_same_share_every_day() {
    let jobfile = "[jobs.a]\nschedule = '0 1 * * *'\ncommand = 'x'\njitter = '10m'";
    let mut day = Scenario::new(jobfile, T0);
    day.advance_to("2026-06-03T00:00:00Z");
    let delays: Vec<Duration> = day
        .rows("a")
        .iter()
        .map(|run| run.due_at.unwrap().since(run.scheduled_at.unwrap()))
        .collect();
    assert_eq!(delays.len(), 2);
    assert_eq!(delays[0], delays[1]);
    assert!(delays[0] > Duration::ZERO && delays[0] <= Duration::from_secs(600));
}

#[test]
fn a_claim_without_a_record_is_lost_after_a_boot_and_never_started_without_one() {
    let jobfile = "[jobs.a]\ncommand = 'x'";
    for (boot, state, started) in [("boot", State::Succeeded, 1), ("another", State::Failed, 0)] {
        let mut day = Scenario::new(jobfile, T0);
        day.acts("a", &[(1000, End::Exited(0))]);
        let id = day.enqueue("a", 1)[0];
        day.advance(5);
        day.boot_id = boot.into();
        day.restart(jobfile, Duration::from_secs(10));
        day.advance(20);
        assert_eq!(
            (day.run(id).state, day.supervisor.spawner.started.len()),
            (state, started),
            "{boot}"
        );
    }
}

#[test]
fn who_is_cancelled_before_a_process_exists_is_never_executed() {
    let jobfile = "[jobs.a]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    day.acts("a", &[(1000, End::Exited(0))]);
    let id = day.enqueue("a", 1)[0];
    day.advance(5);
    let now = day.now.wall;
    let _ = day.supervisor.store.cancel_if_unfinished(id, now).unwrap();
    day.restart(jobfile, Duration::from_secs(1));
    day.advance(20);
    assert_eq!(day.run(id).state, State::Cancelled);
    assert!(day.supervisor.spawner.started.is_empty());
}

#[test]
fn a_turn_that_fails_on_disk_is_undone_and_done_again() {
    let jobfile = "[jobs.a]\nschedule = '* * * * *'\ncommand = 'x'\n[jobs.b]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    let item = day.enqueue("b", 1)[0];
    for (broken, until) in [("UPDATE", "2026-06-01T00:01:20Z"), ("INSERT", "2026-06-01T00:02:20Z")]
    {
        let sql = format!(
            "CREATE TEMP TRIGGER full BEFORE {broken} ON main.run BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        );
        day.supervisor.store.execute_raw(&sql);
        day.advance_to(until);
        day.supervisor.store.execute_raw("DROP TRIGGER full");
        day.advance(15);
    }
    day.advance_to("2026-06-01T00:03:30Z");
    assert_eq!(day.run(item).state, State::Succeeded);
    assert_eq!(
        day.runs("a"),
        ["01 00:01:00 succeeded", "01 00:02:00 succeeded", "01 00:03:00 succeeded"]
    );
    assert!(day.supervisor.memory.live.is_empty() && day.supervisor.spawner.given.is_empty());
}

#[test]
fn a_stop_does_not_wait_for_a_store_that_cannot_be_written() {
    let mut day = Scenario::new("[jobs.b]\ncommand = 'x'", T0);
    let item = day.enqueue("b", 1)[0];
    day.supervisor.store.execute_raw(
        "CREATE TEMP TRIGGER full BEFORE UPDATE ON main.run WHEN OLD.state = 3 BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    );
    day.advance(5);
    assert_eq!(day.turn(&[Event::StopAsked]), Flow::Continue);
    let asked = day.now.mono;
    while day.turn(&[]) == Flow::Continue {
        let wait = day.supervisor.next_wait(day.now);
        day.advance_clocks(wait.max(Duration::from_millis(1)));
        assert!(day.now.mono.since(asked) < Duration::from_secs(3600));
    }
    assert_eq!(day.now.mono.since(asked), day.supervisor.memory.configuration.stop_timeout);
    // What is not on disk stands in the record: nothing was made up.
    assert_eq!(day.run(item).state, State::Running);
}

#[test]
fn paused_time_owes_nothing_also_if_nobody_was_there_when_it_ended() {
    let jobfile = "[jobs.a]\nschedule = '*/10 * * * *'\ncommand = 'x'\ncatch_up = 'all'";
    let mut day = Scenario::new(jobfile, T0);
    let now = day.now.wall;
    let until = Some(now + Duration::from_secs(3600));
    assert!(day.supervisor.store.pause(Scope::Job("a"), until, now).unwrap());
    day.restart(jobfile, Duration::from_secs(2 * 3600));
    day.advance(60);
    let runs = day.runs("a");
    assert_eq!(runs[0], "01 00:10:00 skipped (paused) x6");
    assert_eq!(runs.iter().filter(|run| run.ends_with("succeeded")).count(), 6);
}

#[test]
fn an_occurrence_of_a_job_that_left_the_jobfile_meanwhile_is_not_tried_again() {
    let jobfile =
        "[jobs.a]\nschedule = '1 0 * * *'\ncommand = 'x'\nretry = 3\n[jobs.b]\ncommand = 'x'";
    let mut day = Scenario::new(jobfile, T0);
    day.acts("a", &[(100, End::Exited(1))]);
    day.advance_to("2026-06-01T00:01:10Z");
    day.load("[jobs.b]\ncommand = 'x'");
    day.advance(300);
    assert_eq!(day.runs("a"), ["01 00:01:00 skipped (job_removed)"]);
}

#[test]
fn a_rate_lets_a_bucket_start_at_once_and_then_one_at_a_time() {
    let mut day = Scenario::new(
        "timezone = 'UTC'\n[jobs.a]\ncommand = 'x'\nconcurrency = 100\nrate = '3/min'\n",
        T0,
    );
    day.enqueue("a", 10);
    let started = |day: &Scenario| day.rows("a").iter().filter(|run| run.attempt > 0).count();
    day.advance(1);
    assert_eq!(started(&day), 3);
    day.advance(18);
    assert_eq!(started(&day), 3);
    day.advance(2);
    assert_eq!(started(&day), 4);
    day.advance(40);
    assert_eq!(started(&day), 6);
    // A clock that was set back silences nothing: no start waits longer than it had to before.
    day.now.wall = day.now.wall - Duration::from_secs(7200);
    day.advance(20);
    assert_eq!(started(&day), 9);
}

#[test]
fn a_store_that_is_only_locked_is_asked_again_within_a_tenth_of_a_second_however_often() {
    let mut day = Scenario::new("[jobs.a]\ncommand = 'x'", T0);
    let waits = |day: &mut Scenario, error: &StoreError| -> Vec<Duration> {
        (0..12)
            .map(|_| {
                day.fail_a_turn(error);
                day.supervisor.next_wait(day.now)
            })
            .collect()
    };
    let locked = StoreError::Locked(PathBuf::from("jobctl.db"));
    let longest = waits(&mut day, &locked).into_iter().max().unwrap();
    assert!(longest <= Duration::from_millis(100), "{longest:?}");
    let broken = StoreError::Damaged(PathBuf::from("jobctl.db"), "malformed".into());
    let mut day = Scenario::new("[jobs.a]\ncommand = 'x'", T0);
    day.fail_a_turn(&broken);
    let first = day.supervisor.next_wait(day.now);
    day.advance_clocks(Duration::from_secs(1));
    day.fail_a_turn(&broken);
    assert!(day.supervisor.next_wait(day.now) > first);
}
