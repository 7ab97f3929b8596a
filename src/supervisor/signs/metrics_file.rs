//! The file of `metrics_file`, for the textfile collector of Prometheus.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::{Hands, Sight, Version};
use crate::core::reason::plain;
use crate::core::time::{Mono, Now, Wall};
use crate::metrics::{self, Outside};
use crate::os::outside;
use crate::supervisor::errand::{Errand, OVERDUE};
use crate::supervisor::log::{Log, LogEvent};
use crate::supervisor::when::LOOK_EVERY;

/// Between two versions of the file.
const METRICS_EVERY: Duration = Duration::from_secs(5);

/// How long the last version may take, and what is written before it.
const LAST_METRICS: Duration = Duration::from_secs(1);

/// What was written, and when.
#[derive(Debug, Default)]
pub(in crate::supervisor) struct MetricsFile {
    written_at: Option<Mono>,
    written_of: Version,
    errand: Errand<io::Result<()>>,
    /// It cannot be written, which was said.
    is_ill: bool,
}

impl MetricsFile {
    /// Writes the last version, of a supervisor that leaves.
    pub(in crate::supervisor) fn finish(&mut self, sight: Sight<'_>, hands: &mut Hands<'_>) {
        let Some(path) = &sight.memory.configuration.metrics_file else {
            return;
        };
        self.errand.wait(LAST_METRICS);
        if !self.errand.is_under_way() {
            self.begin(path, false, sight, hands);
        }
        if let Some(written) = self.errand.wait(LAST_METRICS) {
            self.note(path, written.map_err(|error| plain(&error)), hands.log, sight.now);
        }
    }

    pub(super) fn give(&mut self, sight: Sight<'_>, hands: &mut Hands<'_>) {
        let Some(path) = &sight.memory.configuration.metrics_file else {
            return;
        };
        let now = sight.now;
        if let Some(written) = self.errand.take(now) {
            self.note(path, written.map_err(|error| plain(&error)), hands.log, now);
        } else if self.errand.is_newly_overdue(now) {
            self.note(path, Err(OVERDUE.to_owned()), hands.log, now);
        }
        if self.due_at(sight).is_some_and(|at| at <= now.mono) {
            self.begin(path, true, sight, hands);
        }
    }

    pub(super) fn next_wait(&self, sight: Sight<'_>) -> Option<Duration> {
        let is_wanted = sight.memory.configuration.metrics_file.is_some();
        let due_at = self.due_at(sight).filter(|_| is_wanted);
        let due = due_at.map(|at| at.since(sight.now.mono));
        due.into_iter().chain(self.errand.next_wait(sight.now)).min()
    }

    fn due_at(&self, sight: Sight<'_>) -> Option<Mono> {
        let is_new = self.written_of != sight.version();
        let span = if is_new { METRICS_EVERY } else { LOOK_EVERY };
        (!self.errand.is_under_way()).then(|| sight.after(self.written_at, span))
    }

    fn begin(&mut self, path: &Path, is_up: bool, sight: Sight<'_>, hands: &mut Hands<'_>) {
        let now = sight.now;
        self.written_at = Some(now.mono);
        self.written_of = sight.version();
        let jobs = sight.memory.jobs.all.iter();
        let next: HashMap<String, Wall> = jobs
            .filter_map(|state| Some((state.job.name.to_string(), state.planned_at()?)))
            .collect();
        let outside = Outside { is_up, next, now: now.wall };
        let text = metrics::text(sight.store, &outside).map_err(|error| error.to_string());
        let begun = text.and_then(|text| {
            let file = path.to_owned();
            let work = move || outside::replace(&file, text.as_bytes());
            self.errand.begin(hands.errands, now, work).map_err(|error| plain(&error))
        });
        if begun.is_err() {
            self.note(path, begun, hands.log, now);
        }
    }

    fn note(&mut self, path: &Path, written: Result<(), String>, log: &mut Log, now: Now) {
        let was_ill = std::mem::replace(&mut self.is_ill, written.is_err());
        let file = ("file", &path.display() as _);
        match written {
            Ok(()) if was_ill => log.event(now.wall, LogEvent::MetricsWork, &[file]),
            Err(error) if !was_ill => {
                log.event(now.wall, LogEvent::MetricsFailed, &[file, ("error", &error)]);
            }
            Ok(()) | Err(_) => {}
        }
    }
}
