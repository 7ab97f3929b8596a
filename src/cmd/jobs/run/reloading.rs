//! When and how `jobctl run` reads its jobfile again: at HUP, for `jobctl reload`, and by itself when a file of it has changed.
//!
//! A change is taken when nothing has changed for a second. What inotify does not tell is found by a look every minute.

mod sight;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::Duration;

use crate::cmd::failure::{Failure, plain};
use crate::cmd::jobs::reload::Answer;
use crate::cmd::jobs::run::Service;
use crate::cmd::trust;
use crate::core::noun::count;
use crate::core::time::{Mono, Now};
use crate::jobfile::{LoadError, Snapshot, WatchedPlace};
use crate::os::watch::{Notice, Watcher};
use crate::os::{process, zone};
use crate::store::{GoneJob, Patience};
use crate::supervisor::daemon::Reload;
use crate::supervisor::errand::{Errand, OVERDUE};
use crate::supervisor::slots::Slots;
use crate::supervisor::{Loaded, Removal, Supervisor};

use sight::Sight;

/// So long nothing may have changed before a changed jobfile is read.
const QUIET: Duration = Duration::from_secs(1);

/// Between two looks that nobody asked for.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Who is awake a little before looks then: two wakes a minute would be one too many.
const LOOK_EARLY: Duration = Duration::from_secs(5);

/// Before a jobfile that the store did not take is tried again.
const STORE_AGAIN: Duration = Duration::from_secs(10);

/// Before an answer that the store did not take is tried again.
const ANSWER_AGAIN: Duration = Duration::from_secs(1);

/// What is known of the jobfile on disk.
pub(super) struct Reloading<'s> {
    service: &'s Service,
    /// The texts that were last judged, good or bad.
    judged: Snapshot,
    /// They could not be judged to the end: the store failed.
    is_undone: bool,
    /// Other texts that a look found, which may be half-written still.
    settling: Option<Snapshot>,
    /// Something is to be looked at then.
    quiet_deadline: Option<Mono>,
    looked_at: Option<Mono>,
    /// A look under way, whether something was noticed before it, and whether it says only what is to be watched: something has changed since.
    look: Errand<Sight>,
    is_noticed: bool,
    is_outdated: bool,
    /// Something has changed that may have to be watched.
    owes_watch: bool,
    /// Jobs whose unfinished runs keep a jobfile from being taken.
    held: Vec<GoneJob>,
    is_asked: bool,
    /// An answer to `jobctl reload` that is not in the store yet, and when it is tried again.
    owed: Option<(i64, Answer, Mono)>,
    watcher: Option<Watcher>,
    places: BTreeMap<PathBuf, WatchedPlace>,
    /// It was said that not everything can be watched.
    is_blind: bool,
}

/// What became of a jobfile.
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
        let look_wait = if self.look.is_under_way() {
            self.look.next_wait(now)
        } else {
            let look_deadline = self.looked_at.map_or(now.mono, |at| at + LOOK_EVERY);
            let look_deadline = self.quiet_deadline.unwrap_or(look_deadline);
            Some(look_deadline.since(now.mono))
        };
        owed_deadline
            .map(|deadline| deadline.since(now.mono))
            .into_iter()
            .chain(look_wait)
            .fold(LOOK_EVERY, Duration::min)
    }

    fn ask(&mut self) {
        self.is_asked = true;
    }

    fn step(&mut self, supervisor: &mut Supervisor<Slots>, now: Now) -> bool {
        self.take_notices(now);
        let mut is_read = false;
        // One whose answer is owed is asked still, as long as the store does not take the answer.
        let is_new = |number: &i64| self.owed.as_ref().is_none_or(|(owed, ..)| owed < number);
        if let Some(number) = supervisor.take_reload_asked().filter(is_new) {
            let answer = self.reload(supervisor, Removal::Now, now);
            self.owed = Some((number, answer, now.mono));
            is_read = true;
        }
        if std::mem::take(&mut self.is_asked) || self.held_have_ended(supervisor) {
            self.reload(supervisor, Removal::WaitsForRuns, now);
            is_read = true;
        }
        if self.is_time_to_look(now) {
            self.begin_look(supervisor, now);
        } else if self.owes_watch && !self.look.is_under_way() {
            self.begin_sight(supervisor, now);
            self.is_outdated = true;
        }
        if self.hear_look(supervisor, now) {
            self.reload(supervisor, Removal::WaitsForRuns, now);
            is_read = true;
        }
        self.answer(supervisor, now);
        is_read
    }
}

impl<'s> Reloading<'s> {
    /// Begins with the texts that were read at the start.
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
            is_asked: false,
            owed: None,
            watcher: None,
            places: BTreeMap::new(),
            is_blind: false,
        }
    }

    fn is_time_to_look(&self, now: Now) -> bool {
        let is_over = |deadline: Mono| deadline <= now.mono;
        if self.look.is_under_way() {
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

    /// Begins to read the texts on disk. Their file system may not answer.
    fn begin_sight(&mut self, supervisor: &mut Supervisor<Slots>, now: Now) {
        let path = self.service.path.clone();
        let judged = self.judged.clone();
        let known = self.known().cloned();
        let work = move || Sight::take(&path, &judged, known.as_ref());
        let begun = supervisor.begin_errand(&mut self.look, now, work);
        self.owes_watch = false;
        if begun.is_err() {
            // There is no thread to be had.
            self.quiet_deadline = Some(now.mono + QUIET);
        }
    }

    /// Compares the texts on disk with those that were judged. Whether there are others that have settled.
    fn hear_look(&mut self, supervisor: &mut Supervisor<Slots>, now: Now) -> bool {
        if self.look.is_newly_overdue(now) {
            let instead = "the jobfile in force stays";
            let fields: [(&str, &dyn std::fmt::Display); 2] =
                [("error", &OVERDUE), ("instead", &instead)];
            supervisor.say(now.wall, "watch_failed", &fields);
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

    /// The places that are watched, if they are.
    fn known(&self) -> Option<&BTreeMap<PathBuf, WatchedPlace>> {
        self.watcher.as_ref().map(|_| &self.places)
    }

    /// Takes over what watches all places of the files on disk. What changed before it was watched is looked for in a second.
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
                "watch_failed",
                &[("error", &plain(&error)), ("instead", &instead)],
            );
        }
        self.is_blind = is_blind;
        self.places = sight.places;
        self.settling = None;
        self.quiet_deadline = Some(now.mono + QUIET);
        sight.snapshot
    }

    /// Whether the runs that kept a jobfile from being taken are no more.
    fn held_have_ended(&self, supervisor: &mut Supervisor<Slots>) -> bool {
        let (store, _) = supervisor.parts();
        let is_over = |held: &GoneJob| {
            store.job(&held.name).is_ok_and(|row| {
                row.is_none_or(|row| row.scheduled + row.queued + row.running + row.retrying == 0)
            })
        };
        !self.held.is_empty() && self.held.iter().all(is_over)
    }

    /// Reads the jobfile: all of it is taken or nothing.
    fn reload(&mut self, supervisor: &mut Supervisor<Slots>, removal: Removal, now: Now) -> Answer {
        zone::forget();
        supervisor.sign_reloading(now);
        // It is asked for once, so it waits longer than a turn.
        let _ = supervisor.parts().0.set_patience(Patience::Verb);
        self.judged = trust::snapshot(&self.service.path, Some(&self.judged));
        self.settling = None;
        self.is_outdated = true;
        let judged = self.judge(supervisor, removal, now);
        let answer = self.note(supervisor, judged, now);
        let sight = Sight::of(&self.service.path, self.judged.clone(), self.known());
        self.adopt(sight, supervisor, now);
        let _ = supervisor.parts().0.set_patience(Patience::Turn);
        process::give_memory_back();
        supervisor.sign_ready(now);
        answer
    }

    fn judge(&self, supervisor: &mut Supervisor<Slots>, removal: Removal, now: Now) -> Judged {
        let jobfile = match trust::load(&self.service.path) {
            Ok(jobfile) => jobfile,
            Err(error) => return Judged::Bad(error),
        };
        match self.service.load(supervisor, jobfile, removal, now) {
            Ok(Loaded::Taken(changes)) => Judged::Taken(Answer::of_changes(&changes)),
            Ok(Loaded::Held(jobs)) => Judged::Held(jobs),
            Err(failure) => Judged::StoreFailed(failure),
        }
    }

    /// Says what became of it, in the log, in the store and to who asked.
    fn note(&mut self, supervisor: &mut Supervisor<Slots>, judged: Judged, now: Now) -> Answer {
        self.is_undone = false;
        self.held = Vec::new();
        match judged {
            Judged::Taken(answer) => {
                self.write_error(supervisor, None, now);
                supervisor.say(
                    now.wall,
                    "reload",
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
                    "jobfile_bad",
                    &[("error", &error), ("instead", &"the one before stays")],
                );
                Answer::of_error(&self.service.path, &error)
            }
            Judged::Held(jobs) => {
                let error = held_text(&jobs);
                let hint = "`jobctl reload` takes it now; else it is taken when they have ended";
                self.write_error(supervisor, Some(&format!("{error}\nhint: {hint}")), now);
                supervisor.say(now.wall, "jobfile_held", &[("error", &error), ("hint", &hint)]);
                self.held = jobs;
                Answer::of_failure(&self.service.path, &error)
            }
            Judged::StoreFailed(failure) => {
                self.try_again(now);
                supervisor.say(now.wall, "store_failed", &[("error", &failure.message)]);
                Answer::of_failure(&self.service.path, &failure.message)
            }
        }
    }

    fn write_error(&mut self, supervisor: &mut Supervisor<Slots>, error: Option<&str>, now: Now) {
        let (store, _) = supervisor.parts();
        let written = store.set_meta("jobfile_error", error.as_ref().map(|error| error as _));
        if let Err(error) = written {
            self.try_again(now);
            supervisor.say(now.wall, "store_failed", &[("error", &error)]);
        }
    }

    fn try_again(&mut self, now: Now) {
        self.is_undone = true;
        self.quiet_deadline = Some(now.mono + STORE_AGAIN);
    }

    /// Gives an answer that is owed to `jobctl reload`, if the store takes it.
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

/// Which jobs a jobfile would remove, and with how many runs.
fn held_text(jobs: &[GoneJob]) -> String {
    let job = |job: &GoneJob| {
        let runs = count(job.unfinished, "unfinished run");
        format!("job `{}` would be removed and has {runs}", job.name)
    };
    jobs.iter().map(job).collect::<Vec<_>>().join("\n")
}
