//! The supervisor in invented time, with scripted attempts and a real store: policies, overlap,
//! retries, clocks. Nothing sleeps.

mod attempts;
mod books;
mod clocks;
mod lanes;
mod names;
mod notices;
mod odd;
mod overlap;
mod oversight;
mod pauses;
mod reloads;
mod retention;
mod schedules;
mod script;
mod shadow;
mod simulation;
mod stops;
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
use crate::core::time::{Mono, Now, Wall};
use crate::jobfile::{self, Environment, Source};
use crate::keeper::order::Order;
use crate::keeper::record::{End, Ending, ProcessId, Record, Spooled, StopCause};
use crate::os::user::UserEntry;
use crate::os::zone;
use crate::store::{Addition, Enqueued, Filter, Force, NewItem, RunRow, Scope, Store, StoreError};

use script::{Act, Script, job_of};

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
        let effects = self.supervisor.memory.no_effects();
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
        door: None,
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
