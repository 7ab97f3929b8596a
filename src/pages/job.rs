//! The part of a page about one job.

use super::parts::{Mark, Moment, plain};
use super::picture::{self, Plot, Strip, Year};
use crate::core::duration::show_duration;
use crate::core::job::{Job, Policy, RetryMax};
use crate::core::noun::count;
use crate::core::time::Wall;
use crate::facts::failures::Alike;
use crate::facts::report::{JobReport, Report};
use crate::store::RunRow;
use crate::wording::jobs;
use crate::wording::runs::{moment, took, verdict};
use crate::wording::when::{Viewer, local_text, span};

/// The part.
pub(super) struct JobView {
    pub(super) name: String,
    pub(super) state: Mark,
    pub(super) description: String,
    pub(super) strip: Strip,
    pub(super) success: String,
    pub(super) runs: String,
    pub(super) usual: String,
    pub(super) last: String,
    pub(super) no_next: &'static str,
    pub(super) next: Vec<NextView>,
    pub(super) trouble: Option<Trouble>,
    pub(super) plot: Option<Plot>,
    pub(super) durations: String,
    pub(super) year: Option<Year>,
    pub(super) newest: Vec<RunView>,
    pub(super) facts: Vec<Fact>,
}

/// An occurrence to come.
pub(super) struct NextView {
    pub(super) at: Moment,
    /// The time in the job's zone, if it differs.
    pub(super) there: String,
}

/// The head of a failed job.
pub(super) struct Trouble {
    pub(super) run: i64,
    pub(super) verdict: String,
    pub(super) at: Moment,
    pub(super) said: String,
    pub(super) took: String,
    pub(super) success: String,
}

/// A line of its last runs.
pub(super) struct RunView {
    pub(super) id: i64,
    pub(super) state: Mark,
    pub(super) verdict: String,
    pub(super) at: Moment,
    pub(super) took: String,
}

/// A setting or a number.
pub(super) struct Fact {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) is_code: bool,
}

impl JobView {
    /// Makes the part of a job in a report.
    pub(super) fn of(job: &JobReport<'_>, report: &Report<'_>, viewer: &Viewer) -> Self {
        let (status, numbers) = (&job.status, &job.numbers);
        let permille = numbers.permille();
        let failed = report.failed.runs.iter().find(|alike| alike.newest.job == status.name);
        let policy = status.job.map(|job| &job.policy);
        let description = policy.and_then(|policy| policy.description.as_deref());
        Self {
            name: plain(status.name),
            state: Mark::of_job(status, viewer),
            description: plain(description.unwrap_or_default()),
            strip: picture::strip(&status.recent),
            success: permille.map(rate).unwrap_or_default(),
            runs: numbers.runs.to_string(),
            usual: status.usual_ms().map(span).unwrap_or_default(),
            last: last(job, viewer),
            no_next: jobs::no_next(status).unwrap_or("–"),
            next: next(job, viewer),
            trouble: failed.map(|alike| trouble(alike, job, viewer)),
            plot: picture::durations(&job.durations, (report.since, report.made_at)),
            durations: picture::about(&job.durations),
            year: viewer
                .local(report.made_at)
                .and_then(|now| picture::year(&job.calendar, now.date())),
            newest: job.closely.newest.iter().map(|run| RunView::of(run, viewer)).collect(),
            facts: facts(job),
        }
    }
}

/// Thousandths as a share: `99.2%`.
pub(super) fn rate(permille: i64) -> String {
    match permille {
        1000 => "100%".to_owned(),
        _ => format!("{}.{}%", permille / 10, permille % 10),
    }
}

/// Describes the job's present state and the result of its last run.
fn last(job: &JobReport<'_>, viewer: &Viewer) -> String {
    let now = jobs::now(&job.status, viewer);
    let last = job.status.last.as_ref().map(|run| {
        let at = run.ended_at.or(run.started_at).unwrap_or(run.created_at);
        format!("last {} {}", run.state, viewer.relative(at))
    });
    match (now.is_empty(), last) {
        (true, Some(last)) => last,
        (false, Some(last)) => format!("{now}; {last}"),
        (true, None) => "no runs yet".to_owned(),
        (false, None) => now,
    }
}

fn next(job: &JobReport<'_>, viewer: &Viewer) -> Vec<NextView> {
    let zone = job.closely.zone.as_ref();
    let of = |at: &Wall| {
        let due = *at + job.closely.jitter;
        let here = viewer.show(due);
        let there = zone.map(|zone| (local_text(zone, due), &zone.name));
        let there = there.filter(|(text, _)| *text != here);
        let there = there.map(|(text, name)| format!("{} {name}", &text[..text.len().min(16)]));
        NextView { at: Moment::of(due, viewer), there: there.unwrap_or_default() }
    };
    job.closely.coming.iter().map(of).collect()
}

fn trouble(alike: &Alike, job: &JobReport<'_>, viewer: &Viewer) -> Trouble {
    let run = &alike.newest;
    let took = compared(run, job).map(|words| format!("It {words}."));
    let success = last_success(job, viewer);
    Trouble {
        run: run.id,
        verdict: verdict(run),
        at: Moment::of(moment(run), viewer),
        said: alike.last_line.as_deref().map(plain).unwrap_or_default(),
        took: took.unwrap_or_default(),
        success: format!("{success}."),
    }
}

/// `took 4m 2s, usually 1m`; nothing of a run without a duration.
pub(super) fn compared(run: &RunRow, job: &JobReport<'_>) -> Option<String> {
    let took = span(run.duration_ms?);
    Some(match job.status.usual_ms() {
        Some(usual) => format!("took {took}, usually {}", span(usual)),
        None => format!("took {took}"),
    })
}

/// `Last success Mon 24 Nov 02:30 (3d ago)`.
pub(super) fn last_success(job: &JobReport<'_>, viewer: &Viewer) -> String {
    match job.status.row.and_then(|row| row.last_success_at) {
        Some(at) => {
            format!("Last success {} ({})", Moment::of(at, viewer).text, viewer.relative(at))
        }
        None => "No success on record".to_owned(),
    }
}

impl RunView {
    fn of(run: &RunRow, viewer: &Viewer) -> Self {
        Self {
            id: run.id,
            state: Mark::of_run(run),
            verdict: verdict(run),
            at: Moment::of(moment(run), viewer),
            took: took(run, viewer).map(span).unwrap_or_default(),
        }
    }
}

/// Returns figures, and settings that differ from their defaults.
fn facts(job: &JobReport<'_>) -> Vec<Fact> {
    let numbers = &job.numbers;
    let parts = [
        (numbers.succeeded, "succeeded"),
        (numbers.failed, "failed"),
        (numbers.skipped, "skipped"),
        (numbers.cancelled, "cancelled"),
    ];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts.map(|(count, word)| format!("{count} {word}")).collect();
    let retries = (numbers.retries > 0).then(|| format!(", {} retries", numbers.retries));
    let mut facts = Facts(Vec::new());
    if !parts.is_empty() {
        facts.text("runs", parts.join(", ") + &retries.unwrap_or_default());
    }
    if let Some(known) = job.status.job {
        let zone = job.closely.zone.as_ref().map_or("", |zone| &*zone.name);
        for (text, resolved) in &job.closely.schedules {
            let text = jobs::with_values(text, resolved.as_deref());
            facts.code("schedule", format!("{text} ({zone})"));
        }
        settings(known, &mut facts);
    }
    facts.0
}

/// Facts that are being gathered.
struct Facts(Vec<Fact>);

impl Facts {
    fn text(&mut self, name: &'static str, value: impl Into<String>) {
        self.0.push(Fact { name, value: plain(&value.into()), is_code: false });
    }

    fn code(&mut self, name: &'static str, value: impl Into<String>) {
        self.0.push(Fact { name, value: plain(&value.into()), is_code: true });
    }

    fn maybe(&mut self, name: &'static str, value: Option<String>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }
}

fn settings(job: &Job, facts: &mut Facts) {
    const COMMAND_MAX: usize = 300;
    let (policy, usual) = (&*job.policy, Policy::default());
    facts
        .code("command", jobs::command(&job.command).chars().take(COMMAND_MAX).collect::<String>());
    facts.maybe("user", policy.user.as_ref().map(ToString::to_string));
    facts.maybe("retries", retries(policy));
    facts.maybe("timeout", policy.timeout.map(show_duration));
    facts.maybe("late after", policy.expect_within.map(show_duration));
    let concurrency = policy.concurrency;
    facts.maybe("at once", (concurrency != 1).then(|| count(u64::from(concurrency), "run")));
    facts.maybe("overlap", (policy.overlap != usual.overlap).then(|| policy.overlap.to_string()));
    facts.maybe(
        "catch up",
        (policy.catch_up != usual.catch_up).then(|| policy.catch_up.to_string()),
    );
    facts.maybe("lock", policy.lock.as_ref().map(ToString::to_string));
    facts.maybe("priority", (policy.priority != 0).then(|| policy.priority.to_string()));
}

fn retries(policy: &Policy) -> Option<String> {
    let times = match policy.retry.max {
        RetryMax::Times(0) => return None,
        RetryMax::Times(times) => format!("up to {times}"),
        RetryMax::Unlimited => "without end".to_owned(),
    };
    Some(format!("{times}, the first after {}", show_duration(policy.retry.delay)))
}
