//! Policy into effect: decides at each turn of its loop what has ended, what falls due, what starts, and commits it together.
//!
//! Starts nothing itself (that is a [`spawner::Spawner`]'s) and asks no clock: a turn is given `now`, so that tests invent it.

mod claim;
mod clocks;
pub(crate) mod daemon;
pub(crate) mod environment;
pub(crate) mod errand;
pub(crate) mod exec;
mod feeds;
mod finish;
pub(crate) mod forward;
mod jobs;
mod lanes;
mod late;
mod load;
pub(crate) mod log;
mod mail;
pub(crate) mod metrics;
mod notices;
mod occurrences;
mod oversight;
mod places;
mod recover;
mod retention;
pub(crate) mod room;
mod signs;
mod slot;
pub(crate) mod slots;
pub(crate) mod spawner;
mod stopping;
mod sweeping;
mod turn;
mod waits;
pub(crate) mod watching;

#[cfg(test)]
mod scenarios;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::core::job::{HeartbeatTarget, LogFormat, OnStop, Policy};
use crate::core::pause::Pause;
use crate::core::time::{Mono, Now, Wall};
use crate::store::{Rescued, RunningExec, Store};

use clocks::Jump;
use environment::Surroundings;
use errand::Errands;
use jobs::{Head, HeadKey, JobState};
pub(crate) use load::{Changes, Loaded, NewJobs, Removal};
use log::{Form, Log};
use oversight::Oversight;
use places::Places;
use room::{Reserve, Room};
use spawner::{SlotEnd, Spawner};
use stopping::Stopping;
use turn::Steps;

/// No wait is longer: the wall clock may have been set, a ring may have been lost.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// A lock that a stranger holds gives no sign when it is free.
const LOCK_AGAIN: Duration = Duration::from_secs(1);

/// After a store or a start that failed; doubled up to [`BACK_OFF_MAX`].
const BACK_OFF_MIN: Duration = Duration::from_millis(100);
const BACK_OFF_MAX: Duration = Duration::from_secs(10);

/// Whether a supervisor does what it plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It does.
    Live,
    /// It puts each occurrence down as `skipped (shadow)` and starts nothing; what waits is left alone.
    Shadow,
}

/// What a supervisor is told at its start.
#[derive(Clone, Debug)]
pub(crate) struct Configuration {
    /// Attempts at once over all jobs.
    pub(crate) running_max: usize,
    /// Whether anything is started.
    pub(crate) mode: Mode,
    /// What a stop does.
    pub(crate) on_stop: OnStop,
    /// How long a stop may take.
    pub(crate) stop_timeout: Duration,
    /// Seed of `jitter`: `hash_seed` of the jobfile, else the machine id.
    pub(crate) seed: String,
    /// Bytes of output that are kept in all.
    pub(crate) output_total_max: i64,
    /// The state directory.
    pub(crate) state_dir: PathBuf,
    /// The boot of the machine.
    pub(crate) boot_id: String,
    /// The form of the log; none: what suits its reader.
    pub(crate) log_format: Option<LogFormat>,
    /// Where metrics are written.
    pub(crate) metrics_file: Option<PathBuf>,
    /// What says that the supervisor lives, and how often.
    pub(crate) heartbeat: Option<(HeartbeatTarget, Duration)>,
}

/// A log of the store that is larger than this, four times what it is begun anew at, is worth a word.
const LOG_LARGE: i64 = 16 << 20;

/// Something that happened outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Somebody rang: the store has changed.
    Rung,
    /// TERM or INT.
    StopAsked,
}

/// Whether the loop goes on.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// It does.
    Continue,
    /// All is done; leave.
    Leave,
    /// The store has another file now: begin anew with that.
    BeginAnew,
}

/// An attempt that is under way.
#[derive(Clone, Debug)]
struct Live {
    job_id: i64,
    slot: u32,
    claim: i64,
    place: u32,
    /// What it was started with; a reload does not change it.
    policy: Arc<Policy>,
    is_shell: bool,
    /// The record of an adopted attempt did not say yet what it was started with: the policy is today's.
    is_guessed: bool,
    /// It was adopted from another boot or store: that its record says nothing proves nothing.
    is_doubted: bool,
    lock: Option<Box<str>>,
    /// Somebody asked it to stop, and the spawner was told or will be at the end of the turn.
    is_stopping: bool,
    /// It was sent KILL, because the time of the stop is shorter than its grace.
    is_killed: bool,
    /// When it takes longer than expected; none: it may take any time, or that was told.
    late_at: Option<Mono>,
}

/// The supervisor.
pub(crate) struct Supervisor<S> {
    store: Store,
    spawner: S,
    configuration: Configuration,
    surroundings: Surroundings,
    places: Places,
    reserve: Reserve,
    room: Room,
    signs: signs::Signs,
    errands: Errands,
    /// The store's log was begun anew since the last turn that was written, which did not help.
    has_new_log: bool,
    /// Something besides the store found the disk full in this turn.
    wants_room: bool,
    log: Log,
    jobs: Vec<JobState>,
    by_id: HashMap<i64, usize>,
    /// How often jobs were loaded.
    loads: u64,
    /// Next occurrences.
    planned: BTreeSet<(Wall, usize)>,
    /// The first queued run of each job that has one.
    heads: BTreeMap<HeadKey, Head>,
    live: HashMap<i64, Live>,
    /// Lanes of jobs that somebody else has taken, and when they are looked at again.
    blocked: HashMap<(i64, Box<str>), Mono>,
    /// Which lanes are taken is not known any more, or never was.
    owes_lanes: bool,
    /// Jobs whose lanes are being let go, and from which lane on. Nothing of them starts meanwhile.
    lanes_left: BTreeMap<i64, String>,
    /// Heads of queues were held, as many as one turn may; there may be more.
    has_more_heads: bool,
    /// Ends that are not in the store yet.
    ended: Vec<SlotEnd>,
    /// Runs that `jobctl exec` looks after: claimed by other processes, whose books are finished here once these are gone.
    execs: Vec<RunningExec>,
    execs_at: Mono,
    next_due_at: Option<Wall>,
    next_expiry_at: Option<Wall>,
    /// Runs wait for others that have ended, more than one turn goes through.
    has_followers: bool,
    /// Successes have more failures before them than one turn acknowledges.
    owes_acknowledgements: bool,
    /// Runs of former names of jobs have yet to move (`was`).
    owes_moves: bool,
    /// Jobs of which nothing starts until those that are queued have.
    uniting: BTreeSet<i64>,
    /// Finders have found what is not queued yet.
    has_feeds: bool,
    /// Jobs of which nothing starts until batches in sight have replaced what they are to replace.
    withheld: BTreeSet<i64>,
    paused_all: Option<Pause>,
    /// Hooks and mails under way.
    telling: Vec<notices::Telling>,
    /// Hooks and mails that could not be started in the surroundings of their job: they are told without.
    bare: BTreeSet<i64>,
    /// When the next one is due.
    next_notice_at: Option<Wall>,
    /// None could be started a moment ago.
    tell_again_at: Option<Mono>,
    /// Jobs whose hook or mail failed the last time: said once.
    unheard: BTreeSet<(i64, notices::Kind)>,
    /// When the next job is late.
    next_late_at: Option<Wall>,
    data_version: i64,
    is_stale: bool,
    /// The machine was booted since the last supervisor: what it left on disk unsynced may be gone.
    is_new_boot: bool,
    /// The books of the last boot are not on disk yet: only then this boot's id may stand there.
    owes_boot_id: bool,
    stopping: Option<Stopping>,
    oversight: Oversight,
    /// The newest `jobctl reload` that has no answer.
    reload_asked: Option<i64>,
    last: Now,
    /// The latest time that the wall clock showed since it was last set back.
    latest: Wall,
    /// Up to where fixed times are gone through, as cron's virtual time: ahead of the clock after it was set back a little.
    reached: Wall,
    jump: Option<Jump>,
    /// The clock went far forward: nothing is removed by age until then.
    age_held_deadline: Option<Mono>,
    /// When how much of that is left was last put on disk; none: it is not there yet.
    age_noted_at: Option<Mono>,
    last_prune: Mono,
    prune_at: (usize, i64),
    /// Bytes of output that are kept, as the store has it.
    output_bytes: i64,
    /// Where the last removal of output ended.
    trimmed_to: i64,
    again_at: Option<Mono>,
    /// When a store that goes on failing is told of again.
    say_again_at: Option<Mono>,
    start_again_at: Option<Mono>,
    /// How often a keeper for a run was refused in a row.
    refusals: HashMap<i64, u32>,
    back_off: Duration,
    /// The store's file was deleted or replaced, and what was in it is safe: where.
    astray: Option<Rescued>,
    file_looked_at: Mono,
    /// The store's log grows, because somebody reads for long, and that was said.
    is_log_large: bool,
}

impl<S: Spawner> Supervisor<S> {
    /// Makes a supervisor of an open store; [`Supervisor::load`] gives it jobs, [`Supervisor::recover`] finishes the books.
    pub(crate) fn new(
        store: Store,
        spawner: S,
        configuration: Configuration,
        surroundings: Surroundings,
        now: Now,
    ) -> Self {
        Self {
            places: Places::in_state_dir(&configuration.state_dir),
            reserve: Reserve::in_state_dir(&configuration.state_dir),
            room: Room::Enough,
            signs: signs::Signs::default(),
            errands: Errands::default(),
            has_new_log: false,
            wants_room: false,
            astray: None,
            store,
            spawner,
            configuration,
            surroundings,
            log: Log::default(),
            jobs: Vec::new(),
            by_id: HashMap::new(),
            loads: 0,
            planned: BTreeSet::new(),
            heads: BTreeMap::new(),
            live: HashMap::new(),
            blocked: HashMap::new(),
            owes_lanes: true,
            lanes_left: BTreeMap::new(),
            has_more_heads: false,
            ended: Vec::new(),
            execs: Vec::new(),
            execs_at: now.mono,
            next_due_at: None,
            next_expiry_at: None,
            has_followers: false,
            owes_acknowledgements: false,
            owes_moves: true,
            uniting: BTreeSet::new(),
            has_feeds: false,
            withheld: BTreeSet::new(),
            paused_all: None,
            telling: Vec::new(),
            bare: BTreeSet::new(),
            next_notice_at: None,
            tell_again_at: None,
            unheard: BTreeSet::new(),
            next_late_at: None,
            data_version: -1,
            is_stale: true,
            is_new_boot: false,
            owes_boot_id: false,
            stopping: None,
            oversight: Oversight::at(now),
            reload_asked: None,
            last: now,
            latest: now.wall,
            reached: now.wall,
            jump: None,
            age_held_deadline: None,
            age_noted_at: None,
            last_prune: now.mono,
            prune_at: (0, 0),
            output_bytes: 0,
            trimmed_to: 0,
            refusals: HashMap::new(),
            again_at: None,
            say_again_at: None,
            start_again_at: None,
            back_off: BACK_OFF_MIN,
            file_looked_at: now.mono,
            is_log_large: false,
        }
    }

    /// Does what is to be done at `now`, after what has happened.
    ///
    /// An error of the store is no error of the supervisor: the turn is undone and tried again a little later.
    pub(crate) fn handle(&mut self, events: &[Event], now: Now) -> Flow {
        for event in events {
            match event {
                Event::Rung => {
                    self.is_stale = true;
                    self.look_at_file(now);
                }
                Event::StopAsked => self.ask_to_stop(now),
            }
        }
        self.look_at_clock(now);
        if now.mono.since(self.file_looked_at) >= LOOK_EVERY {
            self.look_at_file(now);
        }
        if self.astray.is_some() {
            self.log.flush();
            return Flow::BeginAnew;
        }
        let ends = self.spawner.ended(now);
        self.ended.extend(ends);
        self.look_at_keepers(now);
        self.look_at_execs(now);
        self.look_for_room(now);
        if self.again_at.is_none_or(|at| at <= now.mono) {
            self.turn(now);
        }
        if std::mem::take(&mut self.wants_room) && self.make_room(now) {
            self.start_again_at = None;
        }
        let flow = self.flow(now);
        self.give_signs(now);
        self.log.flush();
        flow
    }

    /// Takes over the settings of a jobfile; answers the former ones.
    pub(crate) fn configure(&mut self, configuration: Configuration) -> Configuration {
        if configuration.log_format != self.configuration.log_format {
            self.log.set_form(Form::of(configuration.log_format), self.last.wall);
        }
        std::mem::replace(&mut self.configuration, configuration)
    }

    /// The newest request of `jobctl reload` that is not answered; a second call gives it only if it is still so.
    pub(crate) fn take_reload_asked(&mut self) -> Option<i64> {
        self.reload_asked.take()
    }

    /// From now on the log is written as its reader and the configuration want it.
    pub(crate) fn open_log(&mut self) {
        let form = Form::of(self.configuration.log_format);
        self.log.set_form(form, self.last.wall);
    }

    /// Whether the log is JSON.
    pub(crate) fn logs_json(&self) -> bool {
        self.log.is_json()
    }

    /// The store and the spawner, for the daemon's own books.
    pub(crate) fn parts(&mut self) -> (&mut Store, &mut S) {
        (&mut self.store, &mut self.spawner)
    }

    /// Begins an errand of somebody else's in the same loop.
    pub(crate) fn begin_errand<T: Send + 'static>(
        &mut self,
        errand: &mut errand::Errand<T>,
        now: Now,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> std::io::Result<()> {
        errand.begin(&mut self.errands, now, work)
    }

    /// What tells the loop that something has ended: errands, and attempts.
    pub(crate) fn to_wait_for(&self) -> (&Errands, &S) {
        (&self.errands, &self.spawner)
    }

    /// Notes a line in the log at once.
    pub(crate) fn say(&mut self, at: Wall, name: &str, fields: &[(&str, &dyn std::fmt::Display)]) {
        self.log.event(at, name, fields);
        self.log.flush();
    }

    /// Whether another file has taken the place of the store's.
    pub(crate) fn is_replaced(&self) -> bool {
        matches!(self.astray, Some(Rescued::Aside(_)))
    }

    /// Whether somebody wants this supervisor to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    /// A reader that keeps a transaction open needs all that was written since: the log grows meanwhile, and nothing else can be done.
    fn look_at_log(&mut self, now: Now) {
        if !self.is_log_large && self.store.log_len() <= LOG_LARGE.cast_unsigned() {
            return;
        }
        let Some((bytes, moved)) = self.store.log_bytes() else {
            return;
        };
        let grows = bytes > LOG_LARGE && moved < bytes;
        if grows && !self.is_log_large {
            let hint = "some process reads the store for long; `fuser` on the file names it";
            self.log.event(now.wall, "wal_grows", &[("bytes", &bytes), ("hint", &hint)]);
        } else if !grows && self.is_log_large {
            self.log.event(now.wall, "wal_reset", &[("bytes", &bytes)]);
        }
        self.is_log_large = grows;
    }

    /// The store's file may have been deleted or replaced while it is in use: it would live on as a ghost, and nobody would see
    /// what happens in it. Where it cannot be written to a file that people find, it is tried again.
    fn look_at_file(&mut self, now: Now) {
        self.file_looked_at = now.mono;
        self.look_at_log(now);
        if !self.store.is_astray() {
            return;
        }
        match self.store.rescue(now.wall) {
            Ok(rescued @ Rescued::PutBack) => {
                self.log.event(now.wall, "store_put_back", &[]);
                self.astray = Some(rescued);
            }
            Ok(Rescued::Aside(path)) => {
                let hint = "what was in the store before is there; `jobctl restore` takes it back";
                let fields: [(&str, &dyn std::fmt::Display); 2] =
                    [("kept", &path.display()), ("hint", &hint)];
                self.log.event(now.wall, "store_replaced", &fields);
                self.astray = Some(Rescued::Aside(path));
            }
            Ok(Rescued::Nowhere) => {
                let error = "what has its name now is no store that could be used";
                self.log.event(now.wall, "store_not_put_back", &[("error", &error)]);
            }
            Err(error) => {
                self.log.event(now.wall, "store_not_put_back", &[("error", &error)]);
            }
        }
    }
}
