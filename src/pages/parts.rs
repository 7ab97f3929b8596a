//! The common elements of pages: times, marks of states, lines of pictures.

use crate::core::escape;
use crate::core::run::State;
use crate::core::time::Wall;
use crate::facts::overview::JobStatus;
use crate::store::RunRow;
use crate::wording::jobs;
use crate::wording::when::Viewer;

/// A time as a machine and as a person reads it.
#[derive(Debug)]
pub(super) struct Moment {
    /// RFC 3339 in UTC.
    pub(super) iso: String,
    /// In the viewer's zone.
    pub(super) text: String,
}

impl Moment {
    /// `Tue 24 Nov 02:30`; of another year `24 Nov 2025 02:30`.
    pub(super) fn of(at: Wall, viewer: &Viewer) -> Self {
        let (local, now) = (viewer.local(at), viewer.local(viewer.now));
        let year = |time: chrono::NaiveDateTime| time.format("%Y").to_string();
        let is_this_year = local.map(year) == now.map(year);
        let form = if is_this_year { "%a %-d %b %H:%M" } else { "%-d %b %Y %H:%M" };
        let text = local.map_or_else(|| viewer.show(at), |time| time.format(form).to_string());
        Self { iso: at.rfc3339(), text }
    }
}

/// A state as a shape, a colour and words.
#[derive(Debug)]
pub(super) struct Mark {
    /// The class of its colour.
    pub(super) class: &'static str,
    /// The shape.
    pub(super) mark: &'static str,
    /// The words.
    pub(super) text: String,
}

impl Mark {
    fn new(class: &'static str, mark: &'static str, text: impl Into<String>) -> Self {
        Self { class, mark, text: text.into() }
    }

    /// Of a run.
    pub(super) fn of_run(run: &RunRow) -> Self {
        let (class, mark) = match run.state {
            State::Succeeded if run.attempt > 1 => ("ok", "↻"),
            State::Succeeded => ("ok", "✓"),
            State::Failed if run.acked.is_some() => ("dim", "✗"),
            State::Failed => ("bad", "✗"),
            State::Running => ("run", "▶"),
            State::Retrying => ("warn", "↻"),
            State::Skipped | State::Cancelled => ("dim", "–"),
            State::Scheduled | State::Queued => ("dim", "·"),
        };
        Self::new(class, mark, run.state.as_str())
    }

    /// Returns the mark of a job: its most urgent state.
    pub(super) fn of_job(job: &JobStatus<'_>, viewer: &Viewer) -> Self {
        let now = jobs::now(job, viewer);
        match (job.need(), now.is_empty()) {
            (0, _) => Self::new("bad", "✗", now),
            (1, _) => Self::new("warn", "!", now),
            (2, _) => Self::new("warn", "↻", now),
            (3, _) => Self::new("run", "▶", now),
            (_, false) => Self::new("dim", "–", now),
            (_, true) => match job.last.as_ref().map(|run| run.state) {
                Some(State::Succeeded) => Self::new("ok", "✓", "succeeded"),
                Some(state) => Self::new("dim", "–", state.as_str()),
                None => Self::new("dim", "·", "no runs yet"),
            },
        }
    }
}

/// A part of a picture.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// How it looks.
    pub(super) class: &'static str,
    /// Its line.
    pub(super) d: String,
}

impl Path {
    /// Makes the parts of the paths that are not empty.
    pub(super) fn all<const N: usize>(paths: [(&'static str, String); N]) -> Vec<Self> {
        let drawn = paths.into_iter().filter(|(_, d)| !d.is_empty());
        drawn.map(|(class, d)| Self { class, d }).collect()
    }
}

/// Cleans untrusted text: removes terminal sequences and makes other control characters visible.
pub(super) fn plain(text: &str) -> String {
    escape::bytes(&escape::without_sequences(text.as_bytes())).into_owned()
}
