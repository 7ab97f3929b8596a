//! What the service manager is told (sd_notify(3)).

use std::time::Duration;

use super::{Sight, Version};
use crate::core::noun::count;
use crate::core::reason::plain;
use crate::core::time::{Mono, Now};
use crate::os::notify::Notify;
use crate::supervisor::log::{Log, LogEvent};

/// Between two changes of the sentence that systemd shows.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// While attempts are ended, systemd is asked for this much more time, this often.
const EXTEND_EVERY: Duration = Duration::from_secs(5);
const EXTEND_BY: Duration = Duration::from_secs(30);

/// The service manager, if there is one, and what it was told.
#[derive(Debug, Default)]
pub(in crate::supervisor) struct Manager {
    notify: Option<Notify>,
    status: String,
    status_at: Option<Mono>,
    status_of: Version,
    pinged_at: Option<Mono>,
    extended_at: Option<Mono>,
    /// It did not take the last message, which was said.
    is_ill: bool,
}

impl Manager {
    /// The manager that listens there.
    pub(in crate::supervisor) fn of(notify: Option<Notify>) -> Self {
        Self { notify, ..Self::default() }
    }

    /// A message that the manager does not take is lost, and that is said once.
    pub(in crate::supervisor) fn tell(&mut self, message: &str, log: &mut Log, now: Now) {
        let Some(notify) = &self.notify else {
            return;
        };
        match notify.send(message) {
            Ok(()) => self.is_ill = false,
            Err(error) => {
                if !std::mem::replace(&mut self.is_ill, true) {
                    log.event(now.wall, LogEvent::NotifyFailed, &[("error", &plain(&error))]);
                }
            }
        }
    }

    pub(super) fn give(&mut self, sight: Sight<'_>, log: &mut Log) {
        self.show_status(sight, log);
        self.ping(sight.now, log);
        self.ask_for_time(sight, log);
    }

    pub(super) fn next_wait(&self, sight: Sight<'_>) -> Option<Duration> {
        self.notify.as_ref()?;
        let is_new = self.status_of != sight.version();
        let is_stopping = sight.memory.stopping.is_some();
        let deadlines = [
            is_new.then(|| sight.after(self.status_at, STATUS_EVERY)),
            self.ping_every().map(|every| sight.after(self.pinged_at, every)),
            is_stopping.then(|| sight.after(self.extended_at, EXTEND_EVERY)),
        ];
        deadlines.into_iter().flatten().map(|at| at.since(sight.now.mono)).min()
    }

    fn show_status(&mut self, sight: Sight<'_>, log: &mut Log) {
        let Sight { store, memory, now, .. } = sight;
        let is_early = self.status_at.is_some_and(|at| now.mono.since(at) < STATUS_EVERY);
        if self.notify.is_none() || is_early || self.status_of == sight.version() {
            return;
        }
        self.status_at = Some(now.mono);
        // A store that cannot be read now is asked again a second later.
        let (Ok([_, waiting, retrying, failed]), Ok(row)) = (store.totals(), store.supervisor())
        else {
            return;
        };
        self.status_of = sight.version();
        let jobs = count(memory.jobs.all.len(), "job");
        let running = memory.live.len();
        let next = match memory.jobs.planned.first() {
            Some((at, index)) => {
                format!("; next: {} at {}", memory.jobs.all[*index].job.name, at.rfc3339())
            }
            None => String::new(),
        };
        let stops = if memory.stopping.is_some() { "stopping: " } else { "" };
        let ill = match row.jobfile_error {
            Some(_) => "; the jobfile on disk is not in force",
            None => "",
        };
        let status = format!(
            "{stops}{jobs}, {running} running, {waiting} waiting, {retrying} retrying, \
                 {failed} failed{next}{ill}"
        );
        if status != self.status {
            self.tell(&format!("STATUS={status}"), log, now);
            self.status = status;
        }
    }

    /// Half of what the manager waits for; it wants to hear at least that often.
    fn ping_every(&self) -> Option<Duration> {
        Some(self.notify.as_ref()?.watchdog? / 2)
    }

    fn ping(&mut self, now: Now, log: &mut Log) {
        let Some(every) = self.ping_every() else {
            return;
        };
        if self.pinged_at.is_none_or(|at| now.mono.since(at) >= every) {
            self.pinged_at = Some(now.mono);
            self.tell("WATCHDOG=1", log, now);
        }
    }

    fn ask_for_time(&mut self, sight: Sight<'_>, log: &mut Log) {
        let now = sight.now;
        let is_early = self.extended_at.is_some_and(|at| now.mono.since(at) < EXTEND_EVERY);
        if sight.memory.stopping.is_none() || is_early {
            return;
        }
        self.extended_at = Some(now.mono);
        let micros = EXTEND_BY.as_micros();
        self.tell(&format!("EXTEND_TIMEOUT_USEC={micros}"), log, now);
    }
}
