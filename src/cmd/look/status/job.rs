//! `jobctl status JOB` for people: one job in detail.

use crate::cmd::fields::Fields;
use crate::cmd::json;
use crate::cmd::look::live;
use crate::cmd::look::next::{delay_text, with_values};
use crate::cmd::look::runs;
use crate::cmd::look::status::JobView;
use crate::cmd::look::status::text::{Page, note, print_supervisor};
use crate::cmd::look::status::untold;
use crate::cmd::when;
use crate::cmd::{Out, Result, Style};
use crate::core::duration::show_duration;
use crate::core::job::{CommandLine, ExpectEvery, Job};
use crate::core::retry::Waiting;
use crate::core::run::State;
use crate::core::time::Wall;
use crate::store::{Filter, JobRow, RunRow};

/// Coming occurrences shown.
const NEXT_MAX: usize = 3;

/// Runs that are retrying whose coming attempts are shown, and how many of those.
const PLANS_MAX: u32 = 3;
const ATTEMPTS_MAX: usize = 6;

/// Past runs shown.
const RUNS_MAX: u32 = 5;

/// Prints the supervisor, what is known of the job, its next occurrences and its newest runs.
pub(crate) fn print(page: &Page<'_>, view: &JobView<'_>, out: &mut Out) -> Result<()> {
    print_supervisor(page, out)?;
    out.line("")?;
    let mut fields = Fields::default();
    fields.put("job", Some(view.name.to_owned()));
    if let Some(job) = view.job {
        put_definition(page, job, &mut fields);
    }
    fields.put_styled("note", Style::Warn, Some(note(page, view)).filter(|note| !note.is_empty()));
    for at in coming(page, view) {
        fields.put("next", Some(at));
    }
    if let Some(row) = view.row {
        put_counts(page, row, &mut fields);
    }
    for plan in plans(page, view)? {
        fields.put_styled("retries", Style::Warn, Some(plan));
    }
    for line in untold(page, view)? {
        fields.put_styled("untold", Style::Bad, Some(line));
    }
    fields.print(out)?;
    let filter = Filter { job: Some(view.name.to_owned()), ..Filter::default() };
    let mut newest = page
        .store
        .map(|store| store.runs(&filter, Some(RUNS_MAX)))
        .transpose()?
        .unwrap_or_default();
    if newest.is_empty() {
        return Ok(());
    }
    live::fill_in(page.state_dir, &mut newest);
    out.line("")?;
    runs::print(&newest, page.viewer, out)
}

/// Failures of the job whose hook or mail failed, too.
fn untold(page: &Page<'_>, view: &JobView<'_>) -> Result<Vec<String>> {
    let Some(store) = page.store.filter(|_| view.failed() > 0) else {
        return Ok(Vec::new());
    };
    Ok(untold::lines(&store.untold(Some(view.name))?))
}

/// For each run that is retrying the attempts to come, if they fail at once; the newest runs first.
fn plans(page: &Page<'_>, view: &JobView<'_>) -> Result<Vec<String>> {
    let filter = Filter {
        states: vec![State::Retrying],
        job: Some(view.name.to_owned()),
        ..Filter::default()
    };
    let is_retrying = view.row.is_some_and(|row| row.retrying > 0);
    let Some((store, job)) = page.store.zip(view.job).filter(|_| is_retrying) else {
        return Ok(Vec::new());
    };
    let plan = |run: RunRow| {
        let due_at = run.due_at?;
        let waiting = Waiting {
            run: run.id,
            attempt: run.attempt,
            charged: run.charged,
            attempts_max: run.max_attempts,
            due_at,
            first_started_at: run.first_started_at.or(run.started_at)?,
        };
        let attempts = job.policy.plan(&waiting, ATTEMPTS_MAX);
        let texts: Vec<String> = attempts
            .iter()
            .map(|(attempt, at)| format!("{attempt} {}", page.viewer.relative(*at)))
            .collect();
        let end = match run.max_attempts {
            Some(max) if attempts.len() < ATTEMPTS_MAX => {
                format!("; then it gives up ({max} in all)")
            }
            Some(_) | None => " ...".to_owned(),
        };
        Some(format!("run {}: attempt {}{end}", run.id, texts.join(", ")))
    };
    let runs = store.runs(&filter, Some(PLANS_MAX))?;
    Ok(runs.into_iter().filter_map(plan).collect())
}

fn put_definition(page: &Page<'_>, job: &Job, fields: &mut Fields) {
    fields.put("description", job.policy.description.as_ref().map(ToString::to_string));
    fields.put("command", Some(command(&job.command)));
    let zone = page.jobs.zone(job);
    for (nth, (text, _)) in job.schedules.iter().enumerate() {
        let text = with_values(text, page.jobs.resolved(job, nth));
        fields.put("schedule", Some(format!("{text} ({})", zone.name)));
    }
    let jitter = page.jobs.jitter(job);
    let share = (!job.policy.jitter.is_zero()).then(|| {
        format!("{} of {}", when::span(json::ms(jitter)), show_duration(job.policy.jitter))
    });
    fields.put("jitter", share);
}

fn command(command: &CommandLine) -> String {
    match command {
        CommandLine::Shell(text) => text.to_string(),
        CommandLine::Exec(words) => words.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" "),
    }
}

fn put_counts(page: &Page<'_>, row: &JobRow, fields: &mut Fields) {
    let count = |count: i64| (count > 0).then(|| count.to_string());
    let known = if page.supervisor.is_running { "" } else { " (last known)" };
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
    let expected = page.jobs.get(&row.name).map(|job| &job.policy.expect_every);
    fields.put_styled(
        "late",
        Style::Warn,
        row.late_at.map(|at| {
            let why = match expected {
                Some(ExpectEvery::Span(span)) => {
                    format!("no success for {}", show_duration(*span))
                }
                Some(ExpectEvery::Auto) => {
                    "three occurrences in a row without a success".to_owned()
                }
                None => "no success for longer than expected".to_owned(),
            };
            format!("since {} ({why})", viewer.relative(at))
        }),
    );
    fields.put(
        "last success",
        row.last_success_at.map(|at| format!("{} ({})", viewer.show(at), viewer.relative(at))),
    );
}

/// The next occurrences: in the viewer's zone, and in the job's where that shows another time.
fn coming(page: &Page<'_>, view: &JobView<'_>) -> Vec<String> {
    let Some(job) = view.job else {
        return Vec::new();
    };
    let zone = page.jobs.zone(job);
    let grid_at = view.row.and_then(|row| row.grid_at);
    let begin = page.jobs.undecided_after(job, view.row, page.viewer.now);
    let following = |at: &Wall| Some(page.jobs.next(job, grid_at, *at)?.occurrence.at);
    let times = std::iter::successors(following(&begin), following).take(NEXT_MAX);
    let jitter = page.jobs.jitter(job);
    let show = |at: Wall| {
        let (own, theirs) = (page.viewer.show(at), when::local_text(&zone, at));
        let theirs =
            if own == theirs { String::new() } else { format!(", {theirs} {}", zone.name) };
        let later = delay_text(jitter);
        let due = page.viewer.relative(at + jitter);
        format!("{own}{later} ({due}{theirs})")
    };
    times.map(show).collect()
}
