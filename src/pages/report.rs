//! The page of `jobctl report`.

use askama::Template;

use super::axis::{self, Tick};
use super::job::{self, JobView};
use super::parts::{Mark, Moment, Path, plain};
use super::picture::{self, Plot};
use crate::core::duration::in_words;
use crate::core::noun::listed;
use crate::core::time::Wall;
use crate::facts::failures::Alike;
use crate::facts::overview::Supervisor;
use crate::facts::report::{JobReport, QueueOfJob, Report};
use crate::facts::status::Why;
use crate::store::RunRow;
use crate::wording::jobs::{noted, rate_text};
use crate::wording::runs::{arguments, moment, verdict, waits_for};
use crate::wording::untold;
use crate::wording::when::{Viewer, span};

/// The context of a report besides its facts.
pub(crate) struct Frame<'a> {
    /// The machine's name.
    pub(crate) host: &'a str,
    /// The requested jobs; empty for all.
    pub(crate) only: &'a [String],
    /// The viewer.
    pub(crate) viewer: &'a Viewer,
}

#[derive(Template)]
#[template(path = "report.html", whitespace = "minimize")]
struct Page {
    version: &'static str,
    host: String,
    only: String,
    period: String,
    since: Moment,
    made_at: Moment,
    zone: String,
    supervisor: Vec<Mark>,
    untold: Vec<String>,
    tiles: Vec<Tile>,
    needs: Vec<Need>,
    jobs: Vec<JobView>,
    left_out: usize,
    failures_intro: String,
    failures: Vec<Failure>,
    queue: QueueView,
    day: DayView,
    year: String,
    months: Vec<Tick>,
    times: Vec<Tick>,
    hours: Vec<Tick>,
    grid: String,
    gaps_path: String,
}

/// A number at the top.
struct Tile {
    name: &'static str,
    value: String,
    class: &'static str,
    /// The part of the page with the details.
    to: &'static str,
}

/// A job that needs attention, and why.
struct Need {
    job: String,
    state: Mark,
    what: String,
    said: String,
    usual: String,
}

/// Similar failures.
struct Failure {
    job: String,
    count: i64,
    verdict: String,
    said: String,
    args: String,
    at: Moment,
    run: i64,
}

struct QueueView {
    jobs: Vec<QueueLine>,
    waiting: Vec<Waiting>,
    plot: Option<Plot>,
    caption: String,
}

struct QueueLine {
    name: String,
    waiting: i64,
    running: i64,
    done: String,
    percent: i64,
    rate: String,
    left: String,
}

struct Waiting {
    id: i64,
    job: String,
    state: Mark,
    at: Option<Moment>,
    why: String,
    args: String,
}

struct DayView {
    rows: Vec<DayRow>,
    ticks: Vec<Tick>,
    gaps: Vec<GapView>,
}

struct DayRow {
    name: String,
    title: String,
    paths: Vec<Path>,
}

struct GapView {
    why: &'static str,
    from: Moment,
    to: Moment,
    span: String,
}

/// Makes the page.
pub(crate) fn report(report: &Report<'_>, frame: &Frame<'_>) -> Result<String, askama::Error> {
    const NAMED_MAX: usize = 5;
    let viewer = frame.viewer;
    let today = viewer.local(report.made_at).map_or_else(Default::default, |now| now.date());
    let page = Page {
        version: env!("CARGO_PKG_VERSION"),
        host: plain(frame.host),
        only: plain(&listed(frame.only, NAMED_MAX)),
        period: in_words(report.made_at.since(report.since)),
        since: Moment::of(report.since, viewer),
        made_at: Moment::of(report.made_at, viewer),
        zone: plain(&viewer.zone.name),
        supervisor: supervisor(report.supervisor, viewer),
        untold: untold::lines(&report.untold).iter().map(|line| plain(line)).collect(),
        tiles: tiles(report),
        needs: report.jobs.iter().filter_map(|job| need(job, report, viewer)).collect(),
        jobs: report.jobs.iter().map(|job| JobView::of(job, report, viewer)).collect(),
        left_out: report.left_out,
        failures_intro: failures_intro(report),
        failures: report.failed.runs.iter().map(|alike| failure(alike, viewer)).collect(),
        queue: queue(report, viewer),
        day: day(report, viewer),
        year: picture::year_cells(today),
        months: picture::months(today),
        times: picture::times((report.since, report.made_at), viewer),
        hours: picture::times((report.timeline.from, report.made_at), viewer),
        grid: picture::grid(&report.timeline, viewer),
        gaps_path: picture::gaps(&report.timeline),
    };
    // The template engine drops the last line feed of a template.
    Ok(page.render()? + "\n")
}

/// Describes the supervisor and the state of all jobs.
fn supervisor(supervisor: &Supervisor, viewer: &Viewer) -> Vec<Mark> {
    let since = supervisor.since.map(|at| format!(" since {}", Moment::of(at, viewer).text));
    let since = since.unwrap_or_default();
    let (class, mark, text) = match (supervisor.stopping(), supervisor.running) {
        (Some(stopping), _) => ("warn", "!", format!("The supervisor is {stopping}")),
        (None, true) if supervisor.shadow => {
            ("warn", "!", format!("The supervisor is running with --shadow{since}: no runs start"))
        }
        (None, true) => ("ok", "✓", format!("The supervisor is running{since}")),
        (None, false) => ("bad", "✗", "No supervisor is running: no runs start".to_owned()),
    };
    let mut marks = vec![Mark { class, mark, text }];
    let error = supervisor.jobfile_error.as_deref().filter(|_| supervisor.running);
    marks.extend(error.map(|error| Mark {
        class: "bad",
        mark: "✗",
        text: format!("The jobfile is not in force: {}", plain(error.lines().next().unwrap_or(""))),
    }));
    let pause = supervisor.pause.filter(|pause| pause.holds(viewer.now));
    marks.extend(pause.map(|pause| {
        let until = pause.until.map(|at| format!(" until {}", Moment::of(at, viewer).text));
        let (since, until) = (Moment::of(pause.since, viewer).text, until.unwrap_or_default());
        let note = plain(&noted(supervisor.pause_note.text()));
        let text = format!("Everything is paused since {since}{until}{note}");
        Mark { class: "warn", mark: "!", text }
    }));
    marks
}

fn tiles(report: &Report<'_>) -> Vec<Tile> {
    let count = |is: fn(&JobReport<'_>) -> bool| report.jobs.iter().filter(|job| is(job)).count();
    let late = count(|job| job.status.late || job.status.missed_at.is_some());
    let failed = report.failed.count;
    let waiting = report.queue.waiting.count;
    let failures = if report.failed.runs.is_empty() { "needs" } else { "failures" };
    let class = |is_wrong: bool, wrong: &'static str| if is_wrong { wrong } else { "" };
    let tile = |name, value: String, class, to| Tile { name, value, class, to };
    let jobs = report.jobs.len() + report.left_out;
    let success = report.numbers.permille().map_or_else(|| "–".to_owned(), job::rate);
    vec![
        tile("failed", thousands(failed), class(failed > 0, "bad"), failures),
        tile("late or missed", late.to_string(), class(late > 0, "warn"), "needs"),
        tile("jobs", jobs.to_string(), "", "jobs"),
        tile("runs that ended", thousands(report.numbers.runs), "", "details"),
        tile("success", success, "", "jobs"),
        tile("waiting", thousands(waiting), "", "queue"),
    ]
}

/// `54,133`.
fn thousands(number: i64) -> String {
    let digits = number.to_string();
    let places = digits.chars().enumerate();
    let grouped = places.flat_map(|(nth, digit)| {
        let is_first = nth == 0;
        let comma = (!is_first && (digits.len() - nth).is_multiple_of(3)).then_some(',');
        comma.into_iter().chain([digit])
    });
    grouped.collect()
}

fn need(job: &JobReport<'_>, report: &Report<'_>, viewer: &Viewer) -> Option<Need> {
    let pause = job.status.row.and_then(|row| row.pause);
    let is_forgotten = pause.is_some_and(|pause| pause.is_forgotten(viewer.now));
    if job.status.need() > 1 && !is_forgotten {
        return None;
    }
    let newest = report.failed.runs.iter().find(|alike| alike.newest.job == job.status.name);
    let state = Mark::of_job(&job.status, viewer);
    let success = job::last_success(job, viewer);
    let compared = newest.and_then(|alike| job::compared(&alike.newest, job));
    let compared = compared.map(|words| format!("; the newest failure {words}"));
    Some(Need {
        job: plain(job.status.name),
        what: state.text.clone(),
        said: newest.and_then(|alike| alike.last_line.as_deref()).map(plain).unwrap_or_default(),
        usual: success + &compared.unwrap_or_default(),
        state,
    })
}

fn failures_intro(report: &Report<'_>) -> String {
    let left_out = report.failed.left_out();
    let more = (left_out > 0).then(|| format!("; {left_out} older ones are left out"));
    format!(
        "Failed runs that nobody has acknowledged, those alike in one row{}.",
        more.unwrap_or_default()
    )
}

fn failure(alike: &Alike, viewer: &Viewer) -> Failure {
    let run = &alike.newest;
    Failure {
        job: plain(&run.job),
        count: alike.count,
        verdict: verdict(run),
        said: alike.last_line.as_deref().map(plain).unwrap_or_default(),
        args: plain(&arguments(&run.args)),
        at: Moment::of(moment(run), viewer),
        run: run.id,
    }
}

fn queue(report: &Report<'_>, viewer: &Viewer) -> QueueView {
    let queue = &report.queue;
    QueueView {
        jobs: queue.jobs.iter().map(queue_line).collect(),
        waiting: queue.waiting.runs.iter().map(|(run, why)| waiting(run, why, viewer)).collect(),
        plot: picture::depth(queue),
        caption: picture::deepest(queue),
    }
}

fn queue_line(job: &QueueOfJob) -> QueueLine {
    let progress = job.progress.as_ref();
    let done = progress.and_then(|progress| Some((progress.done?, progress.left)));
    let rate = progress.and_then(|progress| progress.rate);
    QueueLine {
        name: plain(&job.job),
        waiting: job.waiting,
        running: job.running,
        done: done.map(|(done, left)| format!("{done} of {}", done + left)).unwrap_or_default(),
        percent: done.map_or(0, |(done, left)| done * 100 / (done + left).max(1)),
        rate: rate.map(rate_text).unwrap_or_default(),
        left: rate.map(|rate| span(rate.left_ms)).unwrap_or_default(),
    }
}

fn waiting(run: &RunRow, why: &Why, viewer: &Viewer) -> Waiting {
    Waiting {
        id: run.id,
        job: plain(&run.job),
        state: Mark::of_run(run),
        at: run.due_at.map(|at| Moment::of(at, viewer)),
        why: plain(&waits_for(run, why, viewer)),
        args: plain(&arguments(&run.args)),
    }
}

fn day(report: &Report<'_>, viewer: &Viewer) -> DayView {
    let line = &report.timeline;
    let row = |row: &crate::facts::report::Row| DayRow {
        name: plain(&row.job),
        title: picture::row_title(row, viewer),
        paths: picture::row(row, line),
    };
    let gap = |from: Wall, to: Wall, is_stopping: bool| GapView {
        why: if is_stopping { "A supervisor was stopping" } else { "No supervisor ran" },
        from: Moment::of(from, viewer),
        to: Moment::of(to, viewer),
        span: in_words(to.since(from)),
    };
    DayView {
        rows: line.rows.iter().map(row).collect(),
        ticks: axis::times((line.from, line.to), 11, viewer),
        gaps: line.gaps.iter().map(|it| gap(it.from, it.to, it.is_stopping)).collect(),
    }
}
