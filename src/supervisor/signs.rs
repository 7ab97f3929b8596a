//! Signs for those outside that the supervisor lives and what it does: to systemd (sd_notify(3)),
//! the metrics file, the heartbeat.
//!
//! All of them are begun by the loop itself, after a turn: one that is stuck gives none. None of
//! them ever waits for anybody: files are written by errands.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::Supervisor;
use super::ending::{Attempt, Word};
use super::environment::{Subject, words_of};
use super::errand::{Errand, OVERDUE};
use super::log::LogEvent;
use super::metrics::{self, Outside};
use super::spawner::{SlotEnd, Spawner};
use super::when::LOOK_EVERY;
use super::work::Work;
use crate::core::job::{CommandLine, HeartbeatTarget, Policy};
use crate::core::noun::count;
use crate::core::reason::plain;
use crate::core::retry::describe;
use crate::core::run::Outcome;
use crate::core::time::{Mono, Now, Wall};
use crate::keeper::order::Order;
use crate::os::notify::Notify;
use crate::os::outside;

/// Between two changes of the sentence that systemd shows.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// Between two versions of the metrics file.
const METRICS_EVERY: Duration = Duration::from_secs(5);

/// While attempts are ended, systemd is asked for this much more time, this often.
const EXTEND_EVERY: Duration = Duration::from_secs(5);
const EXTEND_BY: Duration = Duration::from_secs(30);

/// How long the last metrics may take, and what is written before them.
const LAST_METRICS: Duration = Duration::from_secs(1);

/// The signs of life that were given, and when.
#[derive(Debug, Default)]
pub(super) struct Signs {
    notify: Option<Notify>,
    is_ready: bool,
    status: String,
    status_at: Option<Mono>,
    status_of: Version,
    pinged_at: Option<Mono>,
    extended_at: Option<Mono>,
    metrics_at: Option<Mono>,
    metrics_of: Version,
    metrics: Errand<io::Result<()>>,
    beat_at: Option<Mono>,
    /// The heartbeat's command is under way.
    is_beating: bool,
    beat: Errand<io::Result<()>>,
    beats: i64,
    /// What does not work at the moment, and was said.
    ills: Ills,
}

/// Which state of the store something was made of.
type Version = Option<(u64, Option<i64>)>;

#[derive(Debug, Default)]
struct Ills {
    notify: bool,
    metrics: bool,
    heartbeat: bool,
}

impl<S: Spawner> Supervisor<S> {
    /// From now on the service manager is told, if there is one.
    pub(crate) fn attach(&mut self, notify: Option<Notify>) {
        self.signs.notify = notify;
    }

    /// Says that the supervisor has begun.
    pub(crate) fn sign_ready(&mut self, now: Now) {
        self.signs.is_ready = true;
        self.tell_manager("READY=1", now);
    }

    /// Says that the jobfile is being read; [`Self::sign_ready`] says that it was.
    pub(crate) fn sign_reloading(&mut self, now: Now) {
        let micros = now.mono.as_duration().as_micros();
        self.tell_manager(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"), now);
    }

    /// Says that the supervisor stops.
    pub(super) fn sign_stopping(&mut self, now: Now) {
        self.tell_manager("STOPPING=1", now);
    }

    /// The last word of a supervisor that leaves.
    pub(crate) fn sign_off(&mut self, now: Now) {
        if let Some(path) = self.memory.configuration.metrics_file.clone() {
            self.signs.metrics.wait(LAST_METRICS);
            if !self.signs.metrics.is_under_way() {
                self.begin_metrics(&path, false, now);
            }
            if let Some(written) = self.signs.metrics.wait(LAST_METRICS) {
                self.note_metrics(&path, written.map_err(|error| plain(&error)), now);
            }
        }
        self.log.flush();
    }

    /// Notes how long a turn took.
    pub(crate) fn note_turn(&mut self, span: Duration) {
        self.memory.lag.longest = self.memory.lag.longest.max(span);
    }

    /// Gives the signs that are due.
    pub(super) fn give_signs(&mut self, now: Now) {
        if !self.signs.is_ready {
            return;
        }
        self.show_status(now);
        self.ping(now);
        self.ask_for_time(now);
        if let Some(path) = self.memory.configuration.metrics_file.clone() {
            self.hear_metrics(&path, now);
            if self.metrics_are_due(now) {
                self.begin_metrics(&path, true, now);
            }
        }
        self.hear_beat(now);
        self.beat(now);
    }

    /// Returns how long no sign is due.
    pub(super) fn next_sign_wait(&self, now: Now) -> Option<Duration> {
        if !self.signs.is_ready {
            return None;
        }
        let signs = &self.signs;
        let after = |at: Option<Mono>, span: Duration| at.map_or(now.mono, |at| at + span);
        let is_new = |of: Version| of != self.version();
        let has_manager = signs.notify.is_some();
        let is_free = !signs.metrics.is_under_way();
        let has_metrics = self.memory.configuration.metrics_file.is_some();
        let metrics = (has_metrics && is_free).then(|| {
            let span = if is_new(signs.metrics_of) { METRICS_EVERY } else { LOOK_EVERY };
            after(signs.metrics_at, span)
        });
        let deadlines = [
            (has_manager && is_new(signs.status_of)).then(|| after(signs.status_at, STATUS_EVERY)),
            self.ping_every().map(|every| after(signs.pinged_at, every)),
            (has_manager && self.memory.stopping.is_some())
                .then(|| after(signs.extended_at, EXTEND_EVERY)),
            metrics,
            self.next_beat_at(now),
        ];
        deadlines
            .into_iter()
            .flatten()
            .map(|at| at.since(now.mono))
            .chain(signs.metrics.next_wait(now))
            .chain(signs.beat.next_wait(now))
            .min()
    }

    fn version(&self) -> Version {
        Some((self.store.changes(), self.queue.data_version()))
    }

    /// A message that the manager does not take is lost, and that is said once.
    fn tell_manager(&mut self, message: &str, now: Now) {
        let Some(notify) = &self.signs.notify else {
            return;
        };
        match notify.send(message) {
            Ok(()) => self.signs.ills.notify = false,
            Err(error) => {
                if !std::mem::replace(&mut self.signs.ills.notify, true) {
                    self.log.event(now.wall, LogEvent::NotifyFailed, &[("error", &plain(&error))]);
                }
            }
        }
    }

    fn show_status(&mut self, now: Now) {
        let is_early = self.signs.status_at.is_some_and(|at| now.mono.since(at) < STATUS_EVERY);
        if self.signs.notify.is_none() || is_early || self.signs.status_of == self.version() {
            return;
        }
        self.signs.status_at = Some(now.mono);
        // A store that cannot be read now is asked again a second later.
        let (Ok([_, waiting, retrying, failed]), Ok(row)) =
            (self.store.totals(), self.store.supervisor())
        else {
            return;
        };
        self.signs.status_of = self.version();
        let jobs = count(self.memory.jobs.all.len(), "job");
        let running = self.memory.live.len();
        let next = match self.memory.jobs.planned.first() {
            Some((at, index)) => {
                format!("; next: {} at {}", self.memory.jobs.all[*index].job.name, at.rfc3339())
            }
            None => String::new(),
        };
        let stops = if self.memory.stopping.is_some() { "stopping: " } else { "" };
        let ill = match row.jobfile_error {
            Some(_) => "; the jobfile on disk is not in force",
            None => "",
        };
        let status = format!(
            "{stops}{jobs}, {running} running, {waiting} waiting, {retrying} retrying, \
                 {failed} failed{next}{ill}"
        );
        if status != self.signs.status {
            self.tell_manager(&format!("STATUS={status}"), now);
            self.signs.status = status;
        }
    }

    /// Half of what the manager waits for; it wants to hear at least that often.
    fn ping_every(&self) -> Option<Duration> {
        Some(self.signs.notify.as_ref()?.watchdog? / 2)
    }

    fn ping(&mut self, now: Now) {
        let Some(every) = self.ping_every() else {
            return;
        };
        if self.signs.pinged_at.is_none_or(|at| now.mono.since(at) >= every) {
            self.signs.pinged_at = Some(now.mono);
            self.tell_manager("WATCHDOG=1", now);
        }
    }

    fn ask_for_time(&mut self, now: Now) {
        let is_early = self.signs.extended_at.is_some_and(|at| now.mono.since(at) < EXTEND_EVERY);
        if self.memory.stopping.is_none() || is_early {
            return;
        }
        self.signs.extended_at = Some(now.mono);
        let micros = EXTEND_BY.as_micros();
        self.tell_manager(&format!("EXTEND_TIMEOUT_USEC={micros}"), now);
    }

    fn metrics_are_due(&self, now: Now) -> bool {
        let span = if self.signs.metrics_of == self.version() { LOOK_EVERY } else { METRICS_EVERY };
        let is_free = !self.signs.metrics.is_under_way();
        let is_early = |at| now.mono.since(at) < span;
        is_free && !self.signs.metrics_at.is_some_and(is_early)
    }

    fn begin_metrics(&mut self, path: &Path, is_up: bool, now: Now) {
        self.signs.metrics_at = Some(now.mono);
        self.signs.metrics_of = self.version();
        let next: HashMap<String, Wall> = self
            .memory
            .jobs
            .all
            .iter()
            .filter_map(|state| Some((state.job.name.to_string(), state.planned_at()?)))
            .collect();
        let outside = Outside { is_up, next, now: now.wall };
        let begun = metrics::text(&self.store, &outside)
            .map_err(|error| error.to_string())
            .and_then(|text| {
                let file = path.to_owned();
                let work = move || outside::replace(&file, text.as_bytes());
                let begun = self.signs.metrics.begin(&mut self.errands, now, work);
                begun.map_err(|error| plain(&error))
            });
        if begun.is_err() {
            self.note_metrics(path, begun, now);
        }
    }

    fn hear_metrics(&mut self, path: &Path, now: Now) {
        if let Some(written) = self.signs.metrics.take(now) {
            self.note_metrics(path, written.map_err(|error| plain(&error)), now);
        } else if self.signs.metrics.is_newly_overdue(now) {
            self.note_metrics(path, Err(OVERDUE.to_owned()), now);
        }
    }

    fn note_metrics(&mut self, path: &Path, written: Result<(), String>, now: Now) {
        let was_ill = std::mem::replace(&mut self.signs.ills.metrics, written.is_err());
        match written {
            Ok(()) if was_ill => {
                self.log.event(now.wall, LogEvent::MetricsWork, &[("file", &path.display())])
            }
            Err(error) if !was_ill => self.log.event(
                now.wall,
                LogEvent::MetricsFailed,
                &[("file", &path.display()), ("error", &error)],
            ),
            Ok(()) | Err(_) => {}
        }
    }

    fn next_beat_at(&self, now: Now) -> Option<Mono> {
        self.memory.configuration.heartbeat.as_ref()?;
        // A supervisor whose store fails, or that stops, is not well; a shadow starts nothing.
        let is_live = self.memory.is_live() && self.memory.stopping.is_none();
        let is_free = !self.signs.is_beating && !self.signs.beat.is_under_way();
        let is_well = is_live && self.weather.is_fine() && is_free;
        is_well.then(|| self.signs.beat_at.unwrap_or(now.mono))
    }

    fn beat(&mut self, now: Now) {
        let is_due = self.next_beat_at(now).is_some_and(|at| at <= now.mono);
        let Some((target, every)) = self.memory.configuration.heartbeat.clone().filter(|_| is_due)
        else {
            return;
        };
        self.signs.beat_at = Some(now.mono + every);
        match target {
            HeartbeatTarget::File(path) => {
                let since_epoch = Duration::from_millis(u64::try_from(now.wall.ms()).unwrap_or(0));
                let at = SystemTime::UNIX_EPOCH + since_epoch;
                let work = move || outside::touch(Path::new(&*path), at);
                if let Err(error) = self.signs.beat.begin(&mut self.errands, now, work) {
                    self.note_beat(Some(&plain(&error)), now);
                }
            }
            HeartbeatTarget::Command(command) => {
                if let Err(error) = self.start_beat(&command, every) {
                    self.note_beat(Some(&error), now);
                }
            }
        }
    }

    /// Hears how it went with the heartbeat's file.
    fn hear_beat(&mut self, now: Now) {
        if let Some(touched) = self.signs.beat.take(now) {
            let error = touched.err().map(|error| plain(&error));
            self.note_beat(error.as_deref(), now);
        } else if self.signs.beat.is_newly_overdue(now) {
            self.note_beat(Some(OVERDUE), now);
        }
    }

    fn start_beat(&mut self, command: &CommandLine, every: Duration) -> Result<(), String> {
        let argv = words_of(&Policy::default().shell, "heartbeat", command);
        let subject = Subject { argv, ..Subject::default() };
        let order = self.memory.surroundings.notice_order(subject);
        let slot = self.spawner.free_slot().map_err(|error| plain(&error))?;
        self.signs.beats += 1;
        let order = Order {
            run: Work::Heartbeat.number(),
            claim: self.signs.beats,
            cgroup: self.spawner.cgroup_of(slot),
            timeout: order.timeout.map(|timeout| timeout.min(every.max(Duration::from_secs(1)))),
            ..order
        };
        let started = self.start(slot, &order, Vec::new());
        self.signs.is_beating = started.is_ok();
        started.map_err(|error| {
            self.spawner.give_back(slot);
            plain(&error)
        })
    }

    /// The command of the heartbeat has ended. That is nothing for the store.
    pub(super) fn finish_beat(&mut self, end: &SlotEnd, now: Now) {
        self.spawner.release(end.slot, now);
        let outcome = match Word::of(end, None, &self.oversight, now.wall) {
            Word::Written(record, ending) => Attempt::of(record, ending, None, None).outcome,
            Word::Missing(attempt) => attempt.outcome,
            Word::NeverStarted => Outcome::Lost,
        };
        self.oversight.forget(end.run, end.claim);
        self.signs.is_beating = false;
        let error = (outcome != Outcome::Exited(0)).then(|| describe(&outcome));
        self.note_beat(error.as_deref(), now);
    }

    fn note_beat(&mut self, error: Option<&str>, now: Now) {
        let was_ill = std::mem::replace(&mut self.signs.ills.heartbeat, error.is_some());
        match error {
            Some(error) if !was_ill => {
                self.log.event(now.wall, LogEvent::HeartbeatFailed, &[("error", &error)])
            }
            None if was_ill => self.log.event(now.wall, LogEvent::HeartbeatWorks, &[]),
            Some(_) | None => {}
        }
    }
}
