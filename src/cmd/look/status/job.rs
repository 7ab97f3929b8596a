//! `jobctl status JOB` for people: one job in detail.

use crate::cmd::fields::Fields;
use crate::cmd::look::next::delay_text;
use crate::cmd::look::runs;
use crate::cmd::look::status::page::Page;
use crate::cmd::when;
use crate::cmd::{Out, Result, Style};
use crate::core::duration::show_duration;
use crate::core::job::{ExpectEvery, Job};
use crate::core::time::Wall;
use crate::facts;
use crate::facts::closely::{Closely, Plan};
use crate::facts::overview::JobStatus;
use crate::facts::queue::Progress;
use crate::store::JobRow;
use crate::wording::jobs::{command, note, rate_text, with_values};

/// Prints the facts about the job, its next occurrences and its newest runs.
pub(super) fn print(
    page: &Page<'_>,
    status: &JobStatus<'_>,
    closely: &Closely,
    out: &mut Out,
) -> Result<()> {
    out.line("")?;
    let mut fields = Fields::default();
    fields.put("job", Some(status.name.to_owned()));
    if let Some(job) = status.job {
        put_definition(job, closely, &mut fields);
    }
    let note = Some(note(status, page.viewer)).filter(|note| !note.is_empty());
    fields.put_styled("note", Style::Warn, note);
    let resume = status.own_pause(page.viewer.now);
    fields.put("resume", resume.map(|_| format!("`{} resume {}`", page.jobctl, status.name)));
    for at in &closely.coming {
        let skip = if status.is_paused_at(*at) { "; paused: will be skipped" } else { "" };
        fields.put("next", Some(format!("{}{skip}", coming(page, closely, *at))));
    }
    if let Some(row) = status.row {
        put_counts(page, status.job, row, &mut fields);
    }
    if let Some(progress) = &closely.progress {
        put_progress(progress, &mut fields);
    }
    for plan in &closely.plans {
        fields.put_styled("retries", Style::Warn, Some(plan_words(page, plan)));
    }
    let last = status.last.as_ref();
    let lost = last.and_then(|run| Some(format!("run {}: {}", run.id, run.lost_output()?)));
    fields.put_styled("output", Style::Warn, lost);
    fields.print(out)?;
    super::runs::print_queue(page, &closely.queue, status.name, out)?;
    super::runs::print_failed(page, &closely.failed, Some(status.name), out)?;
    if closely.newest.is_empty() {
        return Ok(());
    }
    out.line("")?;
    let title = if closely.is_queue_long { "last started:" } else { "newest runs:" };
    out.line(out.styled(Style::Bold, title))?;
    runs::print(&closely.newest, page.viewer, out)
}

/// Describes the progress, the rate and the time left of the queue.
fn put_progress(progress: &Progress, fields: &mut Fields) {
    let done = progress
        .done
        .map(|done| format!("{done} of {} since the queue was last empty", done + progress.left));
    fields.put("done", done);
    let rate = progress.rate.map(|rate| {
        let (span, left) = (when::span(rate.in_ms), when::span(rate.left_ms));
        format!("{} (over the last {span}), about {left} left", rate_text(rate))
    });
    fields.put("rate", rate);
}

/// Describes the next attempts, assuming that each fails immediately.
fn plan_words(page: &Page<'_>, plan: &Plan) -> String {
    let attempt = |(attempt, at): &(u32, Wall)| format!("{attempt} {}", page.viewer.relative(*at));
    let texts: Vec<String> = plan.attempts.iter().map(attempt).collect();
    let end = match plan.max {
        Some(max) => format!("; then it gives up ({max} in all)"),
        None => " ...".to_owned(),
    };
    format!("run {}: attempt {}{end}", plan.run, texts.join(", "))
}

fn put_definition(job: &Job, closely: &Closely, fields: &mut Fields) {
    fields.put("description", job.policy.description.as_ref().map(ToString::to_string));
    fields.put("command", Some(command(&job.command)));
    let zone = closely.zone.as_ref().map_or("", |zone| &*zone.name);
    for (text, resolved) in &closely.schedules {
        let text = with_values(text, resolved.as_deref());
        fields.put("schedule", Some(format!("{text} ({zone})")));
    }
    let share = (!job.policy.jitter.is_zero()).then(|| {
        let (own, whole) = (facts::ms(closely.jitter), show_duration(job.policy.jitter));
        format!("{} of {whole}", when::span(own))
    });
    fields.put("jitter", share);
}

fn put_counts(page: &Page<'_>, job: Option<&Job>, row: &JobRow, fields: &mut Fields) {
    let count = |count: i64| (count > 0).then(|| count.to_string());
    let known = if page.status.supervisor.running { "" } else { " (last known)" };
    fields.put_styled(
        "running",
        Style::Bold,
        count(row.running).map(|count| format!("{count}{known}")),
    );
    fields.put("queued", count(row.queued));
    fields.put_styled("retrying", Style::Warn, count(row.retrying));
    fields.put("due later", count(row.scheduled));
    fields.put_styled("failed", Style::Bad, count(row.failed));
    let viewer = page.viewer;
    let expected = job.map(|job| &job.policy.expect_every);
    fields.put_styled(
        "late",
        Style::Warn,
        row.late_at.map(|at| {
            let why = match expected {
                Some(ExpectEvery::Span(span)) => {
                    format!("no success for {}", show_duration(*span))
                }
                Some(ExpectEvery::Auto) => "no success in three occurrences".to_owned(),
                None => "no success for longer than expected".to_owned(),
            };
            format!("since {} ({why})", viewer.relative(at))
        }),
    );
    let missed = row.missed_at.map(|at| format!("{} ({})", viewer.show(at), viewer.relative(at)));
    fields.put_styled("missed", Style::Warn, missed);
    fields.put(
        "last success",
        row.last_success_at.map(|at| format!("{} ({})", viewer.show(at), viewer.relative(at))),
    );
}

/// An occurrence: in the viewer's zone, and in the job's where that shows another time.
fn coming(page: &Page<'_>, closely: &Closely, at: Wall) -> String {
    let own = page.viewer.show(at);
    let theirs = closely.zone.as_ref().map(|zone| (when::local_text(zone, at), &zone.name));
    let theirs = theirs.filter(|(text, _)| *text != own);
    let theirs = theirs.map(|(text, name)| format!(", {text} {name}")).unwrap_or_default();
    let later = delay_text(facts::ms(closely.jitter));
    let due = page.viewer.relative(at + closely.jitter);
    format!("{own}{later} ({due}{theirs})")
}
