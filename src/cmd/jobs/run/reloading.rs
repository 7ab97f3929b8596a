//! When and how `jobctl run` reads its jobfile again: at HUP, for `jobctl reload`, and by itself
//! when a file of it has changed.
//!
//! A change is loaded when nothing has changed for a second. A look every minute finds changes that
//! inotify does not report.
//!
//! Only errands read files; their results are judged here, in the loop.

mod requests;
mod sight;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::Duration;

use crate::cmd::jobs::reload::Answer;
use crate::cmd::jobs::run::Service;
use crate::cmd::jobs::run::loading::Read;
use crate::cmd::{Failure, plain};
use crate::core::noun::count;
use crate::core::time::{Mono, Now};
use crate::jobfile::{LoadError, Snapshot, WatchedPlace};
use crate::os::process;
use crate::os::watch::{Notice, Watcher};
use crate::store::{GoneJob, Patience};
use crate::supervisor::daemon::Reload;
use crate::supervisor::errand::{Errand, OVERDUE};
use crate::supervisor::log::LogEvent;
use crate::supervisor::slots::Slots;
use crate::supervisor::{Loaded, Removal, Supervisor};

use requests::Requests;
use sight::{Reading, Sight};

/// How long a jobfile must be unchanged before it is read.
const QUIET: Duration = Duration::from_secs(1);

/// The interval of regular looks.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How much earlier a look may happen if the loop is awake anyway, to save a wake-up.
const LOOK_EARLY: Duration = Duration::from_secs(5);

/// The delay before a jobfile is tried again after the store or its file system failed.
const JUDGE_AGAIN: Duration = Duration::from_secs(10);

/// The delay before an answer is written again after the store failed.
const ANSWER_AGAIN: Duration = Duration::from_secs(1);

/// How many stuck readings may exist when another one begins.
const STUCK_MAX: usize = 4;

/// What is known of the jobfile on disk.
pub(super) struct Reloading<'s> {
    service: &'s Service,
    /// The texts that were last judged, good or bad.
    judged: Snapshot,
    /// Whether they could not be judged because the store or their file system failed.
    is_undone: bool,
    /// New texts that a look found, which may be incomplete.
    settling: Option<Snapshot>,
    /// When to look next.
    quiet_deadline: Option<Mono>,
    looked_at: Option<Mono>,
    /// The current look, whether a change preceded it, and whether only its places to watch count
    /// because something has changed since.
    look: Errand<Sight>,
    is_noticed: bool,
    is_outdated: bool,
    /// Whether the places to watch may have changed.
    owes_watch: bool,
    /// Jobs whose unfinished runs prevent a jobfile from being loaded.
    held: Vec<GoneJob>,
    /// Whether to read it: after HUP, a change, or the end of runs that prevented it.
    is_wanted: bool,
    requests: Requests,
    /// The current reading, and earlier ones that have not returned.
    reading: Errand<Reading>,
    stuck: Vec<Errand<Reading>>,
    /// The earliest time for a reading after no thread could be started.
    thread_deadline: Option<Mono>,
    /// An answer to `jobctl reload` that is not in the store yet, and when to try again.
    owed: Option<(i64, Answer, Mono)>,
    watcher: Option<Watcher>,
    places: BTreeMap<PathBuf, WatchedPlace>,
    /// Whether the log already mentions that not everything can be watched.
    is_blind: bool,
}

/// The result of a reload.
enum Judged {
    Taken(Answer),
    Bad(LoadError),
    Held(Vec<GoneJob>),
    StoreFailed(Failure),
}

impl Reload for Reloading<'_> {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.watcher.as_ref().map(AsFd::as_fd)
    }

    fn next_wait(&self, now: Now) -> Duration {
        let owed_deadline = self.owed.as_ref().map(|(_, _, deadline)| *deadline);
        let look_deadline = (!self.is_busy()).then(|| {
            let look_deadline = self.looked_at.map_or(now.mono, |at| at + LOOK_EVERY);
            self.quiet_deadline.unwrap_or(look_deadline)
        });
        [owed_deadline, look_deadline, self.thread_deadline]
            .map(|deadline| deadline.map(|deadline| deadline.since(now.mono)))
            .into_iter()
            .chain([self.look.next_wait(now), self.reading.next_wait(now)])
            .chain([self.requests.next_wait(now)])
            .flatten()
            .fold(LOOK_EVERY, Duration::min)
    }

    fn ask(&mut self) {
        self.is_wanted = true;
    }

    fn step(&mut self, supervisor: &mut Supervisor<Slots>, now: Now) -> bool {
        self.take_notices(now);
        if let Some(number) = supervisor.take_reload_asked() {
            self.requests.hear(number, now);
        }
        let is_judged = self.hear_reading(supervisor, now);
        self.is_wanted |= self.hear_look(supervisor, now);
        if self.held_have_ended(supervisor) {
            self.held.clear();
            self.is_wanted = true;
        }
        if self.is_time_to_read(now) {
            self.begin_reading(supervisor, now);
        } else if self.is_time_to_look(now) {
            self.begin_look(supervisor, now);
        } else if self.owes_watch && !self.is_busy() {
            self.begin_sight(supervisor, now);
            self.is_outdated = true;
        }
        self.answer(supervisor, now);
        is_judged
    }
}

impl<'s> Reloading<'s> {
    /// Starts with the texts that were read at the start.
    pub(super) fn new(service: &'s Service, judged: Snapshot) -> Self {
        Self {
            service,
            judged,
            is_undone: false,
            settling: None,
            quiet_deadline: None,
            looked_at: None,
            look: Errand::default(),
            is_noticed: false,
            is_outdated: false,
            owes_watch: false,
            held: Vec::new(),
            is_wanted: false,
            requests: Requests::default(),
            reading: Errand::default(),
            stuck: Vec::new(),
            thread_deadline: None,
            owed: None,
            watcher: None,
            places: BTreeMap::new(),
            is_blind: false,
        }
    }

    /// Returns whether a look or reading is in progress that is not known to be stuck.
    fn is_busy(&self) -> bool {
        self.look.is_under_way() || self.reading.is_in_time()
    }

    fn is_time_to_read(&self, now: Now) -> bool {
        let is_asked = self.is_wanted || self.requests.is_waiting();
        let is_stuck = self.reading.is_under_way() && !self.reading.is_in_time();
        let is_free = !self.reading.is_under_way() || (is_stuck && self.stuck.len() < STUCK_MAX);
        is_asked && is_free && self.thread_deadline.is_none_or(|deadline| deadline <= now.mono)
    }

    /// Begins to read the jobfile for all requests so far.
    fn begin_reading(&mut self, supervisor: &mut Supervisor<Slots>, now: Now) {
        let former = std::mem::take(&mut self.reading);
        if former.is_under_way() {
            self.stuck.push(former);
        }
        let path = self.service.path.clone();
        let judged = self.judged.clone();
        let known = self.known().cloned();
        let work = move || Reading::take(&path, &judged, known.as_ref());
        if supervisor.begin_errand(&mut self.reading, now, work).is_err() {
            // No thread could be started.
            self.thread_deadline = Some(now.mono + QUIET);
            return;
        }
        self.thread_deadline = None;
        self.is_wanted = false;
        self.requests.begin();
        supervisor.sign_reloading(now);
    }

    /// Takes the result of a reading, or notices that it takes too long; returns whether either
    /// happened.
    fn hear_reading(&mut self, supervisor: &mut Supervisor<Slots>, now: Now) -> bool {
        self.stuck.retain_mut(|stuck| stuck.take(now).is_none() && stuck.is_under_way());
        let is_late = !self.reading.is_in_time();
        let (number, answer) = if let Some(reading) = self.reading.take(now) {
            let number = self.requests.take_served();
            let removal = number.map_or(Removal::WaitsForRuns, |_| Removal::Now);
            let answer = self.reload(supervisor, reading, removal, now);
            if is_late && !answer.ok {
                // Its file system has answered by going away, it may be.
                self.try_again(now);
            }
            (number, answer)
        } else {
            let is_overdue = self.reading.is_newly_overdue(now);
            let served = if is_overdue { self.requests.take_served() } else { None };
            let number = self.requests.take_overdue(now).or(served);
            if !is_overdue && number.is_none() {
                return false;
            }
            (number, self.give_up(supervisor, now))
        };
        if let Some(number) = number {
            self.owed = Some((number, answer, now.mono));
        }
        true
    }

    /// Keeps the previous jobfile because the reading hangs. A late result is still judged.
    fn give_up(&mut self, supervisor: &mut Supervisor<Slots>, now: Now) -> Answer {
        let error = LoadError::Unreadable(io::Error::other(OVERDUE));
        let answer = self.note(supervisor, Judged::Bad(error), now);
        self.try_again(now);
        supervisor.sign_ready(now);
        answer
    }

    fn is_time_to_look(&self, now: Now) -> bool {
        let is_over = |deadline: Mono| deadline <= now.mono;
        if self.is_busy() {
            return false;
        }
        match self.quiet_deadline {
            Some(deadline) => is_over(deadline),
            None => self.looked_at.is_none_or(|at| is_over(at + (LOOK_EVERY - LOOK_EARLY))),
        }
    }

    fn begin_look(&mut self, supervisor: &mut Supervisor<Slots>, now: Now) {
        self.looked_at = Some(now.mono);
        self.is_noticed = self.quiet_deadline.take().is_some() && self.settling.is_none();
        self.is_outdated = false;
        self.begin_sight(supervisor, now);
    }

    /// Begins to read the texts on disk, whose file system may hang.
    fn begin_sight(&mut self, supervisor: &mut Supervisor<Slots>, now: Now) {
        let path = self.service.path.clone();
        let judged = self.judged.clone();
        let known = self.known().cloned();
        let work = move || Sight::take(&path, &judged, known.as_ref());
        let begun = supervisor.begin_errand(&mut self.look, now, work);
        self.owes_watch = false;
        if begun.is_err() {
            // No thread could be started.
            self.quiet_deadline = Some(now.mono + QUIET);
        }
    }

    /// Compares the texts on disk with the judged ones; returns whether there are new ones that
    /// have settled.
    fn hear_look(&mut self, supervisor: &mut Supervisor<Slots>, now: Now) -> bool {
        if self.look.is_newly_overdue(now) {
            let instead = "the jobfile in force stays";
            let fields: [(&str, &dyn std::fmt::Display); 2] =
                [("error", &OVERDUE), ("instead", &instead)];
            supervisor.say(now.wall, LogEvent::WatchFailed, &fields);
        }
        let Some(sight) = self.look.take(now) else {
            return false;
        };
        let before = self.settling.take();
        let snapshot = self.adopt(sight, supervisor, now);
        // The texts were read for this only.
        process::give_memory_back();
        if self.is_outdated {
            return false;
        }
        if snapshot == self.judged && !self.is_undone {
            return false;
        }
        if self.is_noticed || self.is_undone || before.as_ref() == Some(&snapshot) {
            return true;
        }
        self.settling = Some(snapshot);
        self.quiet_deadline = Some(now.mono + QUIET);
        false
    }

    fn take_notices(&mut self, now: Now) {
        let Some(watcher) = &self.watcher else {
            return;
        };
        let notices = watcher.take().unwrap_or_else(|_| vec![Notice::Gone]);
        let concerns = |notice: &Notice| match notice {
            Notice::Name { at, name, .. } => {
                self.places.get(at).is_some_and(|place| place.is_about(name))
            }
            Notice::Itself | Notice::Gone => true,
        };
        if notices.iter().any(concerns) {
            self.settling = None;
            self.is_outdated = true;
            self.quiet_deadline = Some(now.mono + QUIET);
            self.owes_watch = true;
            if notices.contains(&Notice::Gone) {
                self.watcher = None;
            }
        }
    }

    /// Returns the watched places, if any.
    fn known(&self) -> Option<&BTreeMap<PathBuf, WatchedPlace>> {
        self.watcher.as_ref().map(|_| &self.places)
    }

    /// Takes the watcher of all places of the files on disk. A look in a second finds changes from
    /// before it watched.
    fn adopt(&mut self, sight: Sight, supervisor: &mut Supervisor<Slots>, now: Now) -> Snapshot {
        let Some(anew) = sight.anew else {
            return sight.snapshot;
        };
        let watched = anew.and_then(|(watcher, added)| {
            self.watcher = Some(watcher);
            added
        });
        let is_blind = watched.is_err();
        if let Err(error) = watched
            && !self.is_blind
        {
            let instead = "a look every minute";
            supervisor.say(
                now.wall,
                LogEvent::WatchFailed,
                &[("error", &plain(&error)), ("instead", &instead)],
            );
        }
        self.is_blind = is_blind;
        self.places = sight.places;
        self.settling = None;
        self.quiet_deadline = Some(now.mono + QUIET);
        sight.snapshot
    }

    /// Returns whether the runs that prevented a jobfile from being loaded have ended.
    fn held_have_ended(&self, supervisor: &mut Supervisor<Slots>) -> bool {
        let (store, _) = supervisor.parts();
        let is_over = |held: &GoneJob| {
            store.job(&held.name).is_ok_and(|row| {
                row.is_none_or(|row| row.scheduled + row.queued + row.running + row.retrying == 0)
            })
        };
        !self.held.is_empty() && self.held.iter().all(is_over)
    }

    /// Applies a jobfile that was read, completely or not at all.
    fn reload(
        &mut self,
        supervisor: &mut Supervisor<Slots>,
        reading: Reading,
        removal: Removal,
        now: Now,
    ) -> Answer {
        let Reading { read, sight } = reading;
        // It is asked for once, so it waits longer than a turn.
        let _ = supervisor.parts().0.set_patience(Patience::Verb);
        self.settling = None;
        self.is_outdated = true;
        let judged = self.judge(supervisor, read, removal, now);
        let answer = self.note(supervisor, judged, now);
        self.judged = self.adopt(sight, supervisor, now);
        let _ = supervisor.parts().0.set_patience(Patience::Turn);
        process::give_memory_back();
        supervisor.sign_ready(now);
        answer
    }

    fn judge(
        &self,
        supervisor: &mut Supervisor<Slots>,
        read: Result<Read, LoadError>,
        removal: Removal,
        now: Now,
    ) -> Judged {
        let read = match read {
            Ok(read) => read,
            Err(error) => return Judged::Bad(error),
        };
        match self.service.load(supervisor, read, removal, now) {
            Ok(Loaded::Taken(changes)) => Judged::Taken(Answer::of_changes(&changes)),
            Ok(Loaded::Held(jobs)) => Judged::Held(jobs),
            Err(failure) => Judged::StoreFailed(failure),
        }
    }

    /// Reports the result in the log, in the store and to the requests.
    fn note(&mut self, supervisor: &mut Supervisor<Slots>, judged: Judged, now: Now) -> Answer {
        self.is_undone = false;
        self.held = Vec::new();
        match judged {
            Judged::Taken(answer) => {
                self.write_error(supervisor, None, now);
                supervisor.say(
                    now.wall,
                    LogEvent::Reload,
                    &[
                        ("jobs", &answer.jobs),
                        ("added", &answer.added.len()),
                        ("changed", &answer.changed.len()),
                        ("removed", &answer.removed.len()),
                        ("renamed", &answer.renamed.len()),
                    ],
                );
                answer
            }
            Judged::Bad(error) => {
                self.write_error(supervisor, Some(&error.to_string()), now);
                supervisor.say(
                    now.wall,
                    LogEvent::JobfileBad,
                    &[("error", &error), ("instead", &"the previous one stays")],
                );
                Answer::of_error(&self.service.path, &error)
            }
            Judged::Held(jobs) => {
                let error = held_text(&jobs);
                let hint = "load it now with `jobctl reload`; otherwise it is loaded when they have \
                     ended";
                self.write_error(supervisor, Some(&format!("{error}\nhint: {hint}")), now);
                supervisor.say(
                    now.wall,
                    LogEvent::JobfileHeld,
                    &[("error", &error), ("hint", &hint)],
                );
                self.held = jobs;
                Answer::of_failure(&self.service.path, &error)
            }
            Judged::StoreFailed(failure) => {
                self.try_again(now);
                supervisor.say(now.wall, LogEvent::StoreFailed, &[("error", &failure.message)]);
                Answer::of_failure(&self.service.path, &failure.message)
            }
        }
    }

    fn write_error(&mut self, supervisor: &mut Supervisor<Slots>, error: Option<&str>, now: Now) {
        let (store, _) = supervisor.parts();
        let written = store.set_meta("jobfile_error", error);
        if let Err(error) = written {
            self.try_again(now);
            supervisor.say(now.wall, LogEvent::StoreFailed, &[("error", &error)]);
        }
    }

    fn try_again(&mut self, now: Now) {
        self.is_undone = true;
        self.quiet_deadline = Some(now.mono + JUDGE_AGAIN);
    }

    /// Writes a pending answer to `jobctl reload` to the store.
    fn answer(&mut self, supervisor: &mut Supervisor<Slots>, now: Now) {
        let Some((number, answer, deadline)) = &mut self.owed else {
            return;
        };
        if *deadline > now.mono {
            return;
        }
        match supervisor.parts().0.answer_reload(*number, &answer.text()) {
            Ok(()) => self.owed = None,
            Err(_) => *deadline = now.mono + ANSWER_AGAIN,
        }
    }
}

/// Describes the jobs that a jobfile would remove, with their numbers of runs.
fn held_text(jobs: &[GoneJob]) -> String {
    let job = |job: &GoneJob| {
        let runs = count(job.unfinished, "unfinished run");
        format!("job `{}` would be removed but has {runs}", job.name)
    };
    jobs.iter().map(job).collect::<Vec<_>>().join("\n")
}
