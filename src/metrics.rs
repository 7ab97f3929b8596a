//! The numbers of a store as Prometheus text (text format 0.0.4): names end in their base unit,
//! counters in `_total`, and what is of a job has the label `job_name`.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::core::run::{OutcomeKind, State};
use crate::core::tally::BOUNDS_MS;
use crate::core::time::Wall;
use crate::core::words::Word;
use crate::store::{JobNumbers, JobRow, Store, StoreError, Tally};

/// The facts that the store does not have.
#[derive(Clone, Debug)]
pub(crate) struct Outside {
    /// Whether a supervisor lives.
    pub(crate) is_up: bool,
    /// The next occurrences, by job.
    pub(crate) next: HashMap<String, Wall>,
    /// The time.
    pub(crate) now: Wall,
}

/// Returns the metrics without a store.
pub(crate) fn text_without_store(is_up: bool) -> String {
    let mut page = Page::default();
    page.up(is_up);
    page.0
}

/// All numbers of a store.
pub(crate) fn text(store: &Store, outside: &Outside) -> Result<String, StoreError> {
    let supervisor = store.supervisor()?;
    let is_known = |row: &JobRow| row.present || row.has_rest();
    let jobs: Vec<JobRow> = store.jobs()?.into_iter().filter(is_known).collect();
    let slow = store.jobs_with_late_runs()?;
    let numbers: HashMap<i64, JobNumbers> =
        store.job_numbers()?.into_iter().map(|job| (job.id, job)).collect();
    let tallies = store.tallies()?;
    let mut page = Page::default();
    page.up(outside.is_up);
    page.family("jobctl_build_info", "gauge", "Version of jobctl.");
    page.sample("jobctl_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.family("jobctl_jobfile_error", "gauge", "Whether the jobfile on disk failed to load.");
    page.sample("jobctl_jobfile_error", &[], u8::from(supervisor.jobfile_error.is_some()));
    page.family("jobctl_start_time_seconds", "gauge", "When the supervisor became ready.");
    if let Some(since) = supervisor.since.filter(|_| outside.is_up) {
        page.sample("jobctl_start_time_seconds", &[], seconds(since.ms()));
    }
    page.family("jobctl_store_size_bytes", "gauge", "Size of the store with its log.");
    page.sample("jobctl_store_size_bytes", &[], store.bytes());
    page.family(
        "jobctl_loop_lag_seconds",
        "gauge",
        "Longest turn of the supervisor's loop in the last minute with work.",
    );
    if let Some(lag) = store.loop_lag_ms()? {
        page.sample("jobctl_loop_lag_seconds", &[], seconds(lag));
    }
    let facts = Facts { numbers, slow, outside, is_all_paused: supervisor.is_paused(outside.now) };
    page.jobs(&jobs, &facts);
    page.attempts(&jobs, &tallies);
    Ok(page.0)
}

struct Facts<'a> {
    numbers: HashMap<i64, JobNumbers>,
    slow: Vec<i64>,
    outside: &'a Outside,
    is_all_paused: bool,
}

impl Facts<'_> {
    fn oldest_due_at(&self, job: &JobRow) -> Option<Wall> {
        self.numbers.get(&job.id)?.oldest_due_at
    }
}

/// States a run can be in before it ends, with their counters.
fn open(row: &JobRow) -> Vec<(State, i64)> {
    vec![
        (State::Scheduled, row.scheduled),
        (State::Queued, row.queued),
        (State::Running, row.running),
        (State::Retrying, row.retrying),
    ]
}

/// A number of each job that has it: name, what it is, and how it is read.
type Gauge = (&'static str, &'static str, fn(&JobRow, &Facts<'_>) -> Option<String>);

const GAUGES: &[Gauge] = &[
    ("jobctl_failed_runs", "Failed runs that are not acknowledged.", |job, _| {
        Some(job.failed.to_string())
    }),
    ("jobctl_paused", "Whether the job is paused.", |job, facts| {
        flag(facts.is_all_paused || job.is_paused(facts.outside.now))
    }),
    (
        "jobctl_late",
        "Whether an attempt or the next success takes longer than expected.",
        |job, facts| flag(job.late_at.is_some() || facts.slow.contains(&job.id)),
    ),
    ("jobctl_last_success_timestamp_seconds", "When a run last succeeded.", |job, _| {
        job.last_success_at.map(|at| seconds(at.ms()))
    }),
    ("jobctl_next_run_timestamp_seconds", "When the next occurrence falls due.", |job, facts| {
        facts.outside.next.get(&job.name).map(|at| seconds(at.ms()))
    }),
    (
        "jobctl_queue_oldest_due_timestamp_seconds",
        "When the oldest queued run fell due.",
        |job, facts| facts.oldest_due_at(job).map(|at| seconds(at.ms())),
    ),
    (
        "jobctl_queue_oldest_age_seconds",
        "Age of the oldest queued run; 0 without one.",
        |job, facts| {
            let age = |at: Wall| (facts.outside.now.ms().saturating_sub(at.ms())).max(0);
            Some(seconds(facts.oldest_due_at(job).map_or(0, age)))
        },
    ),
];

fn flag(is_set: bool) -> Option<String> {
    Some(u8::from(is_set).to_string())
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            // Names of jobs, words and versions need no escaping.
            let _ = write!(self.0, "{open}{label}=\"{text}\"");
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }

    fn up(&mut self, is_up: bool) {
        self.family("jobctl_up", "gauge", "Whether a supervisor is running.");
        self.sample("jobctl_up", &[], u8::from(is_up));
    }

    fn jobs(&mut self, jobs: &[JobRow], facts: &Facts<'_>) {
        self.states(("jobctl_runs", "gauge", "Runs that have not ended, by state."), jobs, |job| {
            Some(open(job))
        });
        self.states(
            ("jobctl_runs_ended_total", "counter", "Runs that have ended, by state."),
            jobs,
            |job| {
                let ended = facts.numbers.get(&job.id)?.ended;
                let states = State::ALL.iter().copied().filter(|state| state.is_ended());
                Some(states.zip(ended).collect())
            },
        );
        for (name, help, value) in GAUGES {
            self.family(name, "gauge", help);
            for job in jobs {
                if let Some(value) = value(job, facts) {
                    self.sample(name, &[("job_name", &job.name)], value);
                }
            }
        }
    }

    /// Numbers of each job, by state.
    fn states(
        &mut self,
        (name, kind, help): (&str, &str, &str),
        jobs: &[JobRow],
        counts: impl Fn(&JobRow) -> Option<Vec<(State, i64)>>,
    ) {
        self.family(name, kind, help);
        for job in jobs {
            for (state, count) in counts(job).into_iter().flatten() {
                let labels = [("job_name", job.name.as_str()), ("state", state.as_str())];
                self.sample(name, &labels, count);
            }
        }
    }

    fn attempts(&mut self, jobs: &[JobRow], tallies: &[Tally]) {
        let mut of: HashMap<i64, Vec<Tally>> = HashMap::new();
        for tally in tallies {
            of.entry(tally.job_id).or_default().push(*tally);
        }
        let by_job: Vec<(&JobRow, Vec<Tally>)> =
            jobs.iter().map(|job| (job, of.remove(&job.id).unwrap_or_default())).collect();
        let name = "jobctl_attempts_total";
        self.family(name, "counter", "Attempts that have ended, by outcome.");
        for (job, tallies) in &by_job {
            for &outcome in OutcomeKind::ALL {
                let own = tallies.iter().filter(|tally| tally.outcome == outcome);
                let count: i64 = own.map(|tally| tally.count).sum();
                let labels = [("job_name", job.name.as_str()), ("outcome", outcome.as_str())];
                self.sample(name, &labels, count);
            }
        }
        let name = "jobctl_attempt_duration_seconds";
        self.family(
            name,
            "histogram",
            "Duration of attempts, without those that were lost or could not start.",
        );
        for (job, mut tallies) in by_job {
            tallies.retain(|tally| tally.outcome.has_duration());
            let job_name = ("job_name", job.name.as_str());
            let mut below = 0;
            for (bucket, bound) in (0_i64..).zip(BOUNDS_MS) {
                below += count_in(&tallies, bucket);
                let labels = [job_name, ("le", &seconds(bound))];
                self.sample(&format!("{name}_bucket"), &labels, below);
            }
            let count: i64 = tallies.iter().map(|tally| tally.count).sum();
            let sum: i64 = tallies.iter().map(|tally| tally.duration_ms).sum();
            self.sample(&format!("{name}_bucket"), &[job_name, ("le", "+Inf")], count);
            self.sample(&format!("{name}_sum"), &[job_name], seconds(sum));
            self.sample(&format!("{name}_count"), &[job_name], count);
        }
    }
}

fn count_in(tallies: &[Tally], bucket: i64) -> i64 {
    let own = tallies.iter().filter(|tally| tally.bucket == bucket);
    own.map(|tally| tally.count).sum()
}

/// Milliseconds as seconds, exactly.
fn seconds(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    let (whole, rest) = (ms.unsigned_abs() / 1000, ms.unsigned_abs() % 1000);
    if rest == 0 {
        format!("{sign}{whole}")
    } else {
        let rest = format!("{rest:03}");
        format!("{sign}{whole}.{}", rest.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_exact() {
        for (ms, text) in [(0, "0"), (1, "0.001"), (1500, "1.5"), (-250, "-0.25"), (60_000, "60")] {
            assert_eq!(seconds(ms), text);
        }
    }
}
