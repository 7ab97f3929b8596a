//! Watched files: each that is closed after writing, or moved to where a job watches, becomes a
//! run.
//!
//! inotify(7) says where to look; what was taken stands in the store, so that nothing is taken
//! twice and nothing is missed that changed while nobody was there or when there was too much of
//! it. Where a directory cannot be watched, a look every minute finds what is new.
//!
//! Everything outside is looked at by errands, one of each place at a time.

mod baseline;
mod look;
mod place;
#[cfg(test)]
pub(crate) mod scripted;

use std::fmt::Display;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::Supervisor;
use super::errand::{Errands, OVERDUE};
use super::jobs::Jobs;
use super::log::{Log, LogEvent};
use super::queue::Queue;
use crate::core::job::Job;
use crate::core::key;
use crate::core::reason::plain;
use crate::core::run::Cause;
use crate::core::time::{Mono, Now};
use crate::os::clock;
use crate::os::watch::{Notice, Watcher};
use crate::store::{Addition, Conditions, Enqueued, NewItem, Store, StoreError};

use baseline::Baseline;
use look::Scanned;
use place::{Found, Place, SETTLED, Seen, is_young};

/// Files that are taken, remembered or forgotten in one transaction at the most, so that nothing
/// else waits for them. Few in tests.
const TAKEN_AT_ONCE: usize = if cfg!(test) { 2 } else { 500 };

/// Between two looks at everything where not everything can be watched.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Places that are looked at at once. Those whose look is overdue do not count.
const LOOKS_MAX: usize = 32;

/// How long the first looks, all together, may keep a supervisor from being ready.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// Before what could not be done is tried again: the store failed, the backlog is full, or there
/// was no thread.
const AGAIN: Duration = Duration::from_secs(1);

/// All watched places of the jobs.
#[derive(Debug, Default)]
pub(crate) struct Watching {
    watcher: Option<Arc<Watcher>>,
    places: Vec<Place>,
    /// Which loading of the jobs the places are of.
    loads: u64,
    look_deadline: Option<Mono>,
}

impl Watching {
    /// What becomes readable when there is something to look at.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.watcher.as_ref().map(|watcher| watcher.as_fd())
    }

    /// Returns how long there will be nothing to do, unless it is told.
    pub(crate) fn next_wait(&self, now: Now) -> Option<Duration> {
        // Where no more may be begun, the end of one of those under way is heard.
        let is_full = self.under_way() >= LOOKS_MAX;
        let places = self.places.iter();
        let places = places.filter(|place| !is_full || place.errand.is_under_way());
        let look = self.look_deadline.map(|at| at.since(now.mono));
        places.filter_map(|place| place.next_wait(now)).chain(look).min()
    }

    fn under_way(&self) -> usize {
        let places = self.places.iter();
        places.filter(|place| place.errand.is_in_time()).count()
    }

    /// Looks at everything for the first time, before it is said that the supervisor is ready: what
    /// is there by then is the baseline. A place that does not answer soon has it when it does.
    pub(crate) fn start<S>(&mut self, supervisor: &mut Supervisor<S>, now: Now) {
        let limit = clock::now().mono + FIRST_LOOK;
        self.step(supervisor, now);
        for index in 0..self.places.len() {
            let place = &mut self.places[index];
            if let Some(seen) = place.errand.wait(limit.since(clock::now().mono)) {
                let mut taker = Taker::of(supervisor, now);
                let learnt = taker.learn(place, seen);
                learnt.unwrap_or_else(|error| taker.look_later(place, &error));
            }
            self.step(supervisor, now);
        }
        while self.is_writing_baselines() {
            self.step(supervisor, now);
        }
    }

    /// Whether some baseline is to be written further now. Not where the store has just failed.
    fn is_writing_baselines(&self) -> bool {
        let mut places = self.places.iter();
        places.any(|place| place.baseline.is_some() && place.again_deadline.is_none())
    }

    /// Looks at what is to be looked at, and takes some of what it finds. Whether the supervisor
    /// has another turn to do before it waits.
    pub(crate) fn step<S>(&mut self, supervisor: &mut Supervisor<S>, now: Now) -> bool {
        if !supervisor.memory.is_live() || supervisor.memory.stopping.is_some() {
            *self = Self::default();
            return false;
        }
        if self.loads != supervisor.memory.jobs.loads {
            self.loads = supervisor.memory.jobs.loads;
            self.find_places(supervisor);
            self.begin();
        }
        if self.places.is_empty() {
            return false;
        }
        self.hear(now);
        if self.look_deadline.is_some_and(|at| at <= now.mono) {
            self.begin();
        }
        let mut has_more = false;
        let mut taker = Taker::of(supervisor, now);
        let mut room = LOOKS_MAX.saturating_sub(self.under_way());
        for place in &mut self.places {
            if room > 0 && !place.errand.is_under_way() {
                taker.set_out(place, self.watcher.as_ref());
                room -= usize::from(place.errand.is_under_way());
            }
            match taker.look_at_place(place) {
                Ok(more) => has_more |= more,
                Err(error) => taker.look_later(place, &error),
            }
            let looks = self.look_deadline.into_iter().chain(place.look_deadline.take());
            self.look_deadline = looks.min();
        }
        has_more
    }

    /// The places of the jobs that are there now. One that was there before keeps what it knows.
    fn find_places<S>(&mut self, supervisor: &Supervisor<S>) {
        let mut former = std::mem::take(&mut self.places);
        for state in &supervisor.memory.jobs.all {
            let Some(watch) = &state.job.policy.watch else {
                continue;
            };
            let is_it = |place: &Place| place.job == state.id && place.watch == *watch;
            self.places.push(match former.iter().position(is_it) {
                Some(index) => former.swap_remove(index),
                None => Place::new(state.id, watch.clone()),
            });
        }
    }

    /// Watches everything anew.
    fn begin(&mut self) {
        self.look_deadline = None;
        self.watcher = None;
        if !self.places.is_empty() {
            self.watcher = Watcher::new().ok().map(Arc::new);
        }
        for place in &mut self.places {
            place.owes_begin = true;
        }
    }

    fn hear(&mut self, now: Now) {
        let Some(watcher) = &self.watcher else {
            return;
        };
        let notices = watcher.take().unwrap_or_else(|_| vec![Notice::Gone]);
        for notice in notices {
            match notice {
                Notice::Gone | Notice::Itself => self.look_deadline = Some(now.mono),
                Notice::Name { .. } => {
                    for place in &mut self.places {
                        place.hear(&notice, now);
                    }
                }
            }
        }
    }
}

/// A supervisor, as far as watched files concern it.
struct Taker<'a> {
    store: &'a mut Store,
    jobs: &'a Jobs,
    queue: &'a mut Queue,
    errands: &'a mut Errands,
    log: &'a mut Log,
    now: Now,
}

impl<'a> Taker<'a> {
    fn of<S>(supervisor: &'a mut Supervisor<S>, now: Now) -> Self {
        let Supervisor { store, memory, queue, errands, log, .. } = supervisor;
        Self { store, jobs: &memory.jobs, queue, errands, log, now }
    }

    /// Begins what is due outside.
    fn set_out(&mut self, place: &mut Place, watcher: Option<&Arc<Watcher>>) {
        if let Err(error) = place.set_out(self.errands, watcher, self.now) {
            place.again_deadline = Some(self.now.mono + AGAIN);
            self.say_once(place, &plain(&error));
        }
    }

    /// Hears what was found in a place, and takes some of its files. Whether there is more to do.
    fn look_at_place(&mut self, place: &mut Place) -> Result<bool, StoreError> {
        if let Some(seen) = place.errand.take(self.now) {
            self.learn(place, seen)?;
        } else if place.errand.is_newly_overdue(self.now) {
            self.say_cannot_watch(place, &OVERDUE);
        }
        if place.again_deadline.is_some_and(|at| at <= self.now.mono) {
            place.again_deadline = None;
        }
        if !place.owes_store() || place.again_deadline.is_some() {
            return Ok(false);
        }
        if let Some(baseline) = &mut place.baseline {
            if baseline.write(self.store, place.job, &place.watch)? {
                place.baseline = None;
            }
            return Ok(true);
        }
        self.take_files(place)
    }

    /// The store failed: it is asked again a little later.
    fn look_later(&mut self, place: &mut Place, error: &StoreError) {
        self.store.rollback();
        self.say(LogEvent::StoreFailed, &[("error", error)]);
        place.again_deadline = Some(self.now.mono + AGAIN);
    }

    fn learn(&mut self, place: &mut Place, seen: Seen) -> Result<(), StoreError> {
        match seen {
            Seen::Names(found) => {
                place.found.extend(found);
                Ok(())
            }
            Seen::Scanned(scanned) => self.learn_scan(place, scanned),
            Seen::Begun(begun) => {
                place.is_beginning = false;
                let meanwhile = std::mem::take(&mut place.meanwhile);
                if place.owes_begin {
                    // It has come too late: the watcher that it was for is gone.
                    return Ok(());
                }
                place.site = Some(begun.site);
                // A look cannot tell a file that is still written from one that is whole: it is for
                // those who are told nothing.
                place.look_deadline = (!begun.sees_all).then(|| self.now.mono + LOOK_EVERY);
                if begun.is_late {
                    place.look_deadline = Some(self.now.mono);
                }
                for notice in &meanwhile {
                    place.note(notice, self.now);
                }
                self.learn_scan(place, begun.scanned)
            }
        }
    }

    /// Finds what is not taken yet of what was in a directory. What is there at the first time
    /// counts as taken.
    fn learn_scan(
        &mut self,
        place: &mut Place,
        scanned: io::Result<Scanned>,
    ) -> Result<(), StoreError> {
        let Scanned { files, read_at } = match scanned {
            Ok(scanned) => scanned,
            Err(error) => {
                self.say_once(place, &plain(&error));
                // No notice tells that it can be read again.
                place.look_deadline.get_or_insert(self.now.mono + LOOK_EVERY);
                return Ok(());
            }
        };
        // If the store fails, it is gone through again.
        place.scan_deadline = Some(self.now.mono);
        if self.store.watch_of(place.job)?.as_deref() != Some(&*place.watch) {
            place.baseline = Some(Baseline::new(files));
            place.scan_deadline = None;
            return Ok(());
        }
        let mut marks = self.store.marks(place.job)?;
        let (mut found, mut is_any_young) = (Vec::new(), false);
        for (path, mark) in files {
            let taken = marks.remove(path.as_os_str().as_bytes());
            if taken.is_some_and(|taken| taken.is_same_file(&mark)) {
                continue;
            }
            if is_young(&mark, read_at) {
                is_any_young = true;
            } else {
                found.push(Found { path, is_gone: false, mark: Some(mark) });
            }
        }
        // They go first: they need no room in the backlog.
        place.found.extend(marks.into_keys().map(Found::gone));
        place.scan_deadline = is_any_young.then(|| self.now.mono + SETTLED);
        place.found.extend(found);
        Ok(())
    }

    /// Takes some of the files that were found. Whether there is more.
    fn take_files(&mut self, place: &mut Place) -> Result<bool, StoreError> {
        let some = place.found.len().min(TAKEN_AT_ONCE);
        self.store.begin()?;
        let mut taken = 0;
        for found in place.found.iter().take(some) {
            if !self.take_file(place.job, found)? {
                break;
            }
            taken += 1;
        }
        self.store.commit()?;
        self.queue.is_stale |= place.found.drain(..taken).any(|found| found.mark.is_some());
        if taken == some {
            place.is_told = false;
            return Ok(true);
        }
        // The backlog is full: what is left is found again.
        place.found.clear();
        place.scan_deadline = Some(self.now.mono + AGAIN);
        if !std::mem::replace(&mut place.is_told, true) {
            let hint = "queued once backlog_max allows it";
            let fields: [(&str, &dyn Display); 2] = [("watch", &place.watch), ("hint", &hint)];
            self.say(LogEvent::FilesWait, &fields);
        }
        Ok(taken > 0)
    }

    fn say(&mut self, event: LogEvent, fields: &[(&str, &dyn Display)]) {
        self.log.event(self.now.wall, event, fields);
        self.log.flush();
    }

    fn say_once(&mut self, place: &mut Place, error: &dyn Display) {
        if !std::mem::replace(&mut place.is_told, true) {
            self.say_cannot_watch(place, error);
        }
    }

    fn say_cannot_watch(&mut self, place: &Place, error: &dyn Display) {
        let dir = place.site.as_ref().map(|site| site.dir.as_path());
        let path = dir.unwrap_or(Path::new(&*place.watch)).display();
        self.say(LogEvent::CannotWatch, &[("path", &path), ("error", error)]);
    }

    /// Makes a run of a file, unless it was taken as it is. False: the backlog is full.
    fn take_file(&mut self, job_id: i64, found: &Found) -> Result<bool, StoreError> {
        let bytes = found.path.as_os_str().as_bytes();
        let Some(state) = self.jobs.get(job_id) else {
            return Ok(true);
        };
        if found.is_gone {
            self.store.forget(job_id, bytes)?;
        }
        let Some(mark) = found.mark else {
            return Ok(true);
        };
        match self.store.mark_of(job_id, bytes)? {
            Some(taken) if taken.is_untouched(&mark) => return Ok(true),
            // If there is no room now, a look must not find that it is the same as before.
            Some(_) => self.store.forget(job_id, bytes)?,
            None => {}
        }
        let job = &state.job;
        let item = item_of(job, bytes);
        let held_since = job.policy.key_held_since(self.now.wall);
        let addition = Addition {
            job: job.name.as_str(),
            due_at: self.now.wall,
            priority: job.policy.priority,
            max_attempts: job.policy.attempts_max(),
            backlog_max: job.policy.backlog_max,
            cause: Cause::Watch,
            created_at: self.now.wall,
            conditions: Conditions { key_held_since: held_since, ..Conditions::default() },
        };
        match self.store.enqueue(&addition, [item])? {
            Enqueued::Added(_) | Enqueued::KeyHeld { .. } | Enqueued::NoSuchRun(_) => {}
            Enqueued::BacklogFull { .. } => return Ok(false),
        }
        self.store.remember(job_id, bytes, mark)?;
        Ok(true)
    }
}

/// A run with a file's path. A template that cannot be filled from a path alone makes no key.
fn item_of(job: &Job, path: &[u8]) -> NewItem {
    let args = vec![path.to_vec()];
    let template = job.policy.key.as_deref();
    NewItem { key: template.and_then(|template| key::of(template, &args).ok()), args, input: None }
}
