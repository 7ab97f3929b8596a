//! Policy into effect: decides at each turn of its loop what has ended, what falls due, what
//! starts, and commits it together.
//!
//! Starts nothing itself (that is a [`spawner::Spawner`]'s) and asks no clock: a turn is given
//! `now`, so that tests invent it.

mod claim;
mod clock;
mod configuration;
pub(crate) mod daemon;
pub(crate) mod disk;
pub(crate) mod door;
mod duties;
pub(crate) mod ears;
mod effects;
mod ending;
pub(crate) mod environment;
pub(crate) mod errand;
pub(crate) mod exec;
mod file;
pub(crate) mod forward;
mod jobs;
mod live;
mod load;
pub(crate) mod log;
mod memory;
mod oversight;
mod places;
mod pruning;
mod queue;
mod recover;
mod signs;
mod slot;
pub(crate) mod slots;
pub(crate) mod spawner;
mod stopping;
mod sweeping;
mod turn;
pub(crate) mod watching;
mod weather;
mod when;
mod work;

#[cfg(test)]
mod scenarios;

use std::io::ErrorKind;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::core::reason::plain;
use crate::core::schedule::Zone;
use crate::core::time::{Mono, Now, Wall};
use crate::os::notify::Notify;
use crate::store::{Store, StoreError};

use claim::Claim;
pub(crate) use configuration::{Configuration, Mode};
use disk::Disk;
use effects::Effects;
use environment::Surroundings;
use errand::Errands;
use file::StoreFile;
use live::NOTIFY_JOB;
use load::Loading;
pub(crate) use load::{Changes, Loaded, NewJobs, Removal};
use log::{Form, Log, LogEvent};
use memory::Memory;
use oversight::Oversight;
use queue::Queue;
use recover::Recovery;
use signs::{Hands, Manager, Sight, Signs, Starter};
use spawner::{Report, SlotEnd, Spawner, Stop};
use stopping::Stopping;
use turn::Turn;
use weather::Weather;
use when::{LOCK_AGAIN, LOOK_EVERY};
use work::Work;

/// Something that happened outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Somebody rang: the store has changed.
    Rung,
    /// TERM or INT.
    StopAsked,
}

/// The decision whether the loop goes on.
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

/// The supervisor.
pub(crate) struct Supervisor<S> {
    store: Store,
    spawner: S,
    log: Log,
    memory: Memory,
    queue: Queue,
    oversight: Oversight,
    weather: Weather,
    disk: Disk,
    file: StoreFile,
    signs: Signs,
    errands: Errands,
}

impl<S: Spawner> Supervisor<S> {
    /// Makes a supervisor of an open store; [`Supervisor::load`] gives it jobs,
    /// [`Supervisor::recover`] finishes the books.
    pub(crate) fn new(
        store: Store,
        spawner: S,
        configuration: Configuration,
        surroundings: Surroundings,
        now: Now,
    ) -> Self {
        Self {
            store,
            spawner,
            log: Log::default(),
            disk: Disk::of(&configuration.state_dir),
            memory: Memory::new(configuration, surroundings, now),
            queue: Queue::unread(),
            oversight: Oversight::at(now),
            weather: Weather::default(),
            file: StoreFile::seen_at(now),
            signs: Signs::default(),
            errands: Errands::default(),
        }
    }

    /// Takes over the jobs of a jobfile, all in one transaction with the copy of its `sources`, or
    /// nothing of it. Running attempts keep what they were started with.
    pub(crate) fn load(
        &mut self,
        new: NewJobs<'_>,
        zone_of: &mut dyn FnMut(Option<&str>) -> Arc<Zone>,
        now: Now,
    ) -> Result<Loaded, StoreError> {
        let loading = Loading { store: &self.store, memory: &self.memory, now };
        let registered = match loading.write(new, zone_of)? {
            Ok(registered) => registered,
            Err(held) => return Ok(Loaded::Held(held)),
        };
        let changes = loading.changes(&registered);
        let Memory { live, jobs, clock, .. } = &mut self.memory;
        live.follow_merged(&registered.merged.into_iter().collect());
        jobs.replace(registered.states);
        self.queue.begin_anew();
        clock.look_at_watermarks(jobs, now, &mut self.log);
        Ok(Loaded::Taken(changes))
    }

    /// Looks after every run that was running when the last supervisor ended. Returns how many were
    /// adopted.
    pub(crate) fn recover(&mut self, now: Now) -> Result<usize, StoreError> {
        let Self { store, spawner, memory, oversight, log, .. } = self;
        Recovery { store, spawner, memory, oversight, log, now }.finish_books()
    }

    /// Does what is to be done at `now`, after what has happened.
    ///
    /// An error of the store is no error of the supervisor: the turn is dropped and tried again a
    /// little later.
    pub(crate) fn handle(&mut self, events: &[Event], now: Now) -> Flow {
        self.hear(events, now);
        if self.file.is_astray() {
            self.log.flush();
            return Flow::BeginAnew;
        }
        self.hear_ends(now);
        self.memory.look_at_execs(&self.store, &mut self.spawner, now);
        self.disk.look(&self.memory.ended, &mut self.log, now);
        if self.weather.allows_a_turn(now) {
            self.take_turn(now);
        }
        if std::mem::take(&mut self.disk.is_wanted) && self.make_room(now) {
            self.queue.start_again_at = None;
        }
        let flow = self.flow(now);
        self.give_signs(now);
        self.log.flush();
        flow
    }

    /// Hears what happened outside, and sees what time it is.
    fn hear(&mut self, events: &[Event], now: Now) {
        let is_rung = events.contains(&Event::Rung);
        self.queue.is_stale |= is_rung;
        if is_rung || self.file.is_due(now) {
            self.file.look(&self.store, &mut self.log, now);
        }
        for _ in events.iter().filter(|event| **event == Event::StopAsked) {
            self.ask_to_stop(now);
        }
        self.memory.clock.look(now, &mut self.log);
    }

    /// Hears which attempts have ended, and looks after the keepers of the others.
    fn hear_ends(&mut self, now: Now) {
        for end in self.spawner.ended(now) {
            match Work::of(end.run) {
                Work::Heartbeat => {
                    let Self { spawner, oversight, signs, log, .. } = self;
                    signs.heartbeat.finish(&end, Starter { spawner, oversight }, log, now);
                }
                Work::Run(_) | Work::Notice(_) => self.memory.ended.push(end),
            }
        }
        let hands = (&mut self.spawner, &mut self.log);
        self.oversight.look_at_keepers(&self.memory.ended, hands, now);
    }

    fn take_turn(&mut self, now: Now) {
        match self.write_turn(now) {
            Ok(Some(effects)) => {
                self.weather.cleared();
                self.disk.has_new_log = false;
                self.carry_out(*effects, now);
            }
            Ok(None) => {}
            Err((effects, error)) => self.drop_turn(&effects, &error, now),
        }
    }

    /// Lets all duties have their turn, if one of them is due, and commits what they have written.
    fn write_turn(&mut self, now: Now) -> Result<Option<Box<Effects>>, (Box<Effects>, StoreError)> {
        let mut turn = self.turn(now);
        let decided = duties::decide(&mut turn);
        #[cfg_attr(not(feature = "order-before-claim"), expect(unused_mut, reason = "see below"))]
        let mut effects = turn.effects;
        if let Ok(false) = decided {
            return Ok(None);
        }
        #[cfg(feature = "order-before-claim")]
        self.start_claimed(std::mem::take(&mut effects.claims), now);
        match decided.and_then(|_| self.store.commit()) {
            Ok(()) => Ok(Some(effects)),
            Err(error) => Err((effects, error)),
        }
    }

    /// A turn that has not decided anything.
    fn turn(&mut self, now: Now) -> Turn<'_, S> {
        Turn {
            now,
            store: &self.store,
            spawner: &mut self.spawner,
            queue: &mut self.queue,
            memory: &self.memory,
            oversight: &self.oversight,
            is_disk_full: self.disk.is_full(),
            effects: Box::new(self.memory.no_effects()),
        }
    }

    /// What was decided is on disk: now, and not before, it is done.
    fn carry_out(&mut self, mut effects: Effects, now: Now) {
        let finished = self.memory.take_over(&mut effects, now);
        for end in finished {
            self.oversight.forget(end.run, end.claim);
        }
        self.disk.is_wanted |= effects.wants_room;
        for (event, fields) in effects.take_log() {
            let fields: Vec<_> =
                fields.iter().map(|(key, value)| (*key, value as &dyn std::fmt::Display)).collect();
            self.log.event(now.wall, event, &fields);
        }
        for slot in effects.released {
            self.spawner.release(slot, now);
        }
        if self.disk.is_full() {
            self.spawner.drop_output();
        }
        for file in effects.files {
            // One that is gone already is what was wanted; one that cannot go now costs its room
            // and nothing else.
            let _ = std::fs::remove_file(file);
        }
        for (run, stop) in effects.stops {
            self.pass_on(run, stop);
        }
        if let Some(stopping) = self.memory.stopping.as_mut().filter(|_| effects.is_stop_noted) {
            stopping.note();
        }
        for run in effects.hurried {
            self.memory.live.note_stop(run, |live| live.is_hurried = true);
            self.oversight.hurry(run);
        }
        self.start_claimed(effects.claims, now);
    }

    /// The turn failed: nothing of it was, and the store is read anew a little later.
    fn drop_turn(&mut self, effects: &Effects, error: &StoreError, now: Now) {
        self.store.rollback();
        self.weather.failed(error, &mut self.log, now);
        self.disk.is_wanted |= effects.wants_room;
        for slot in &effects.given {
            self.spawner.give_back(*slot);
        }
        for index in effects.began().filter_map(|job_id| self.memory.jobs.index(job_id)) {
            // It may have waited for its rate, because of a start that never was.
            self.queue.set_try_at(index, None);
        }
        self.queue.forget();
        if error.is_disk_full() && self.make_room(now) {
            self.weather.try_at_once(now);
        } else if error.is_file_limit() && !self.disk.has_new_log {
            self.disk.begin_log_anew(&self.store);
            self.weather.try_at_once(now);
        }
    }

    /// Gives up the next thing that takes room on the disk, if there is one.
    fn make_room(&mut self, now: Now) -> bool {
        self.disk.make_room((&self.store, &mut self.spawner), &mut self.log, now)
    }

    /// Tells the keeper of a run to stop.
    fn pass_on(&mut self, run: i64, stop: Stop) {
        self.memory.stop(run, stop, (&mut self.spawner, &mut self.oversight));
    }

    /// The claims are on disk: the orders go out.
    fn start_claimed(&mut self, claims: Vec<Claim>, now: Now) {
        let again_at = Some(now.mono + LOCK_AGAIN);
        for Claim { slot, job, notice, locks, order } in claims {
            let (run, claim) = (order.run, order.claim);
            let Err(error) = self.oversight.start(&mut self.spawner, slot, &order, locks) else {
                self.memory.refusals.remove(&run);
                continue;
            };
            self.disk.is_wanted |= error.kind() == ErrorKind::StorageFull;
            let why = ("error", &plain(&error) as _);
            let report = if let Some(notice) = notice {
                self.log.event(now.wall, LogEvent::CannotTell, &[("notice", &notice), why]);
                self.queue.tell_again_at = again_at;
                Report::NeverStarted
            } else {
                self.log.event(
                    now.wall,
                    LogEvent::CannotStart,
                    &[("job", &job), ("run", &run), why],
                );
                self.queue.start_again_at = again_at;
                self.memory.refused(run, &error)
            };
            self.memory.ended.push(SlotEnd { slot, run, claim, report });
        }
    }

    /// Gives the signs of life that are due.
    fn give_signs(&mut self, now: Now) {
        let Self { store, spawner, memory, queue, oversight, weather, signs, errands, log, .. } =
            self;
        let sight = Sight { store, memory, queue, is_well: weather.is_fine(), now };
        signs.give(sight, &mut Hands { errands, log }, Starter { spawner, oversight });
    }

    /// What the signs of life show.
    fn sight(&self, now: Now) -> Sight<'_> {
        let Self { store, memory, queue, weather, .. } = self;
        Sight { store, memory, queue, is_well: weather.is_fine(), now }
    }

    /// From now on the service manager is told, if there is one.
    pub(crate) fn attach(&mut self, notify: Option<Notify>) {
        self.signs.manager = Manager::of(notify);
    }

    /// Says that the supervisor has begun.
    pub(crate) fn sign_ready(&mut self, now: Now) {
        self.signs.is_ready = true;
        self.signs.manager.tell("READY=1", &mut self.log, now);
    }

    /// Says that the jobfile is being read; [`Self::sign_ready`] says that it was.
    pub(crate) fn sign_reloading(&mut self, now: Now) {
        let micros = now.mono.as_duration().as_micros();
        let message = format!("RELOADING=1\nMONOTONIC_USEC={micros}");
        self.signs.manager.tell(&message, &mut self.log, now);
    }

    /// The last word of a supervisor that leaves.
    pub(crate) fn sign_off(&mut self, now: Now) {
        let Self { store, memory, queue, weather, signs, errands, log, .. } = self;
        let sight = Sight { store, memory, queue, is_well: weather.is_fine(), now };
        signs.metrics.finish(sight, &mut Hands { errands, log });
        log.flush();
    }

    /// Notes how long a turn took.
    pub(crate) fn note_turn(&mut self, span: Duration) {
        self.memory.lag.longest = self.memory.lag.longest.max(span);
    }

    /// Begins a stop; a second time: the stop sequence at once; a third time: KILL.
    fn ask_to_stop(&mut self, now: Now) {
        let stopping = Stopping::ask(self.memory.stopping, &self.memory.configuration, now);
        if self.memory.stopping.replace(stopping).is_none() {
            self.signs.manager.tell("STOPPING=1", &mut self.log, now);
        }
        let running = self.memory.live.len();
        let hooks = self.memory.live.of_job(NOTIFY_JOB).len();
        let fields = [
            ("running", &running as &dyn std::fmt::Display),
            ("hooks", &hooks),
            ("asked", &stopping.asked()),
        ];
        self.log.event(now.wall, LogEvent::Stopping, &fields);
    }

    /// Whether the loop goes on: after a stop it does as long as attempts run (`finish`) or ends
    /// are not on disk, but not for a store that cannot be written. What is not on disk stands in
    /// the records, and the next supervisor reads them.
    fn flow(&mut self, now: Now) -> Flow {
        let memory = &self.memory;
        let Some(stopping) = memory.stopping else {
            return Flow::Continue;
        };
        if !self.weather.is_fine() && stopping.is_over(now) {
            let (running, ended) = (memory.live.len(), memory.ended.len());
            let fields = [
                ("reason", &"the store cannot be written" as &dyn std::fmt::Display),
                ("running", &running),
                ("ended", &ended),
            ];
            self.log.event(now.wall, LogEvent::Leaving, &fields);
            return Flow::Leave;
        }
        let waits_for_attempts = stopping.waits_for_attempts(now) && !memory.live.is_empty();
        let waits_for_telling = memory.waits_for_telling(&self.queue, now);
        match waits_for_attempts || waits_for_telling || !memory.ended.is_empty() {
            true => Flow::Continue,
            false => Flow::Leave,
        }
    }

    /// Returns how long nothing will be to do, unless something happens.
    pub(crate) fn next_wait(&self, now: Now) -> Duration {
        let turn = match self.weather.again_at() {
            Some(at) => Some(at.since(now.mono)),
            None => duties::next_wait::<S>(&self.memory, &self.queue, now),
        };
        let looks = [self.disk.look_at(), self.memory.execs.look_at(), self.leave_at()];
        let looks = looks.into_iter().flatten().map(|at| at.since(now.mono));
        let keepers = self.oversight.next_wait(&self.memory.ended);
        let others = [keepers, self.signs.next_wait(self.sight(now)), self.log.next_wait()];
        let all = others.into_iter().chain([turn]).flatten().chain(looks);
        all.fold(LOOK_EVERY, Duration::min)
    }

    /// When a stop is over that waits for attempts, for hooks or for a store that cannot be
    /// written: then the loop leaves. One that came after the last look is not over for it.
    fn leave_at(&self) -> Option<Mono> {
        let stopping = self.memory.stopping?;
        let last = self.memory.clock.last();
        let waits_for_telling = self.memory.waits_for_telling(&self.queue, last);
        let own = (waits_for_telling || !self.weather.is_fine()).then(|| stopping.deadline());
        let attempts = (!self.memory.live.is_empty()).then(|| stopping.leave_deadline());
        own.into_iter().chain(attempts).filter(|at| *at > last.mono).min()
    }

    /// Takes over the settings of a jobfile; answers the former ones.
    pub(crate) fn configure(&mut self, configuration: Configuration) -> Configuration {
        if configuration.log_format != self.memory.configuration.log_format {
            self.log.set_form(Form::of(configuration.log_format), self.memory.clock.last().wall);
        }
        if let Some(stopping) = &mut self.memory.stopping {
            stopping.configure(&configuration);
        }
        std::mem::replace(&mut self.memory.configuration, configuration)
    }

    /// The newest request of `jobctl reload` that is not answered; a second call gives it only if
    /// it is still so.
    pub(crate) fn take_reload_asked(&mut self) -> Option<i64> {
        self.queue.reload_asked.take()
    }

    /// From now on the log is written as its reader and the configuration want it.
    pub(crate) fn open_log(&mut self) {
        let form = Form::of(self.memory.configuration.log_format);
        self.log.set_form(form, self.memory.clock.last().wall);
    }

    /// Returns whether the log is JSON.
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

    /// Returns what the door is told; none: there is none.
    pub(crate) fn door_charge(&self) -> Option<Rc<door::Charge>> {
        self.memory.configuration.door.clone()
    }

    /// Notes how long this process is to wait at most.
    pub(crate) fn note_wait(&mut self, wait: Duration) {
        self.oversight.note_wait(wait);
    }

    /// Makes the reserve of the disk.
    pub(crate) fn keep_reserve(&mut self, now: Now) {
        self.disk.keep_reserve(&mut self.spawner, &mut self.log, now);
    }

    /// Compares the clock with the last sign of life of the supervisor before this one.
    pub(crate) fn look_at_clock_of_last(&mut self, last_alive_at: Wall, now: Now) {
        self.memory.clock.look_at_that_of_last(last_alive_at, now, &mut self.log);
    }

    /// What tells the loop that something has ended: errands, and attempts.
    pub(crate) fn to_wait_for(&self) -> (&Errands, &S) {
        (&self.errands, &self.spawner)
    }

    /// Notes a line in the log at once.
    pub(crate) fn say(
        &mut self,
        at: Wall,
        event: LogEvent,
        fields: &[(&str, &dyn std::fmt::Display)],
    ) {
        self.log.event(at, event, fields);
        self.log.flush();
    }

    /// Returns whether another file has taken the place of the store's.
    pub(crate) fn is_replaced(&self) -> bool {
        self.file.is_replaced()
    }

    /// Returns whether somebody wants this supervisor to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.memory.stopping.is_some()
    }
}
