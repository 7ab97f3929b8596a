//! `jobctl status`: the supervisor, the jobs with their next and last run, what runs, waits and failed.
//!
//! Never goes through all runs: counters of the jobs say what there is, and only what is shown is read.

mod job;
mod runs;
mod text;
mod untold;
mod watch;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::cli;
use crate::cmd::jobset::Coming;
use crate::cmd::json;
use crate::cmd::{Context, Exit, Failure, Jobs, Out, Result};
use crate::core::job::Job;
use crate::core::time::Wall;
use crate::store::{JobRow, RunRow, Store, SupervisorRow};

/// The supervisor as it is, and as it was written down.
#[derive(Debug)]
pub(crate) struct Supervisor {
    /// Whether it lives.
    pub(crate) is_running: bool,
    /// What it wrote down.
    pub(crate) row: SupervisorRow,
}

/// A job from both sides: the jobfile and the store.
#[derive(Clone, Debug)]
pub(crate) struct JobView<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// In the jobfile.
    pub(crate) job: Option<&'a Job>,
    /// In the store.
    pub(crate) row: Option<&'a JobRow>,
    /// Its next occurrence.
    pub(crate) next: Option<Coming>,
    /// An attempt of it takes longer than expected.
    pub(crate) is_slow: bool,
}

/// Answers `jobctl status`.
pub(crate) fn answer(context: &Context, args: &cli::Status, out: &mut Out) -> Result<Exit> {
    if args.watch && context.global.quiet {
        return Err(Failure::usage("status: --watch shows the page, and -q shows nothing"));
    }
    if args.watch {
        return watch::watch(context, args);
    }
    let store = context.open_read()?;
    print_once(context, args, (store.as_ref(), None), out)
}

/// Prints the page as it is now, in so many lines if it can be.
pub(crate) fn print_once(
    context: &Context,
    args: &cli::Status,
    (store, lines_max): (Option<&Store>, Option<usize>),
    out: &mut Out,
) -> Result<Exit> {
    let supervisor = Supervisor::read(context, store)?;
    if context.global.quiet {
        return quiet(args, store, &supervisor);
    }
    let rows = store.map(Store::jobs).transpose()?.unwrap_or_default();
    let jobs = load_jobs(context, store, &rows)?;
    let slow = slow(store)?;
    let asked = args.job.as_deref();
    let mut views = views(&jobs, &rows, &slow, (asked, context.now.wall));
    if let Some(name) = asked.filter(|_| views.is_empty()) {
        return Err(jobs.no_such_job(name));
    }
    if args.failed {
        views.retain(|view| view.failed() > 0);
    }
    if out.is_json {
        let facts = Facts { supervisor: &supervisor, jobs: &jobs, store, now: context.now.wall };
        return print_json(&facts, (&views, asked), out);
    }
    let elsewhere = context.system_supervisor();
    let page = text::Page {
        state_dir: context.state_dir()?,
        supervisor: &supervisor,
        jobs: &jobs,
        store,
        viewer: &context.viewer(),
        elsewhere: elsewhere.as_deref(),
        lines_max,
    };
    match (&args.job, views.as_slice()) {
        (Some(_), [view]) => job::print(&page, view, out)?,
        _ => text::print(&page, views, args, out)?,
    }
    Ok(Exit::Done)
}

impl Supervisor {
    fn read(context: &Context, store: Option<&Store>) -> Result<Self> {
        let is_running = context.is_supervised()?;
        let mut row = store.map(Store::supervisor).transpose()?.unwrap_or_default();
        if row.jobfile.is_none() || !is_running {
            row.jobfile = Some(context.jobfile()?.display().to_string());
        }
        Ok(Self { is_running, row })
    }
}

impl JobView<'_> {
    /// Failed runs that nobody has acknowledged.
    pub(crate) fn failed(&self) -> i64 {
        self.row.map_or(0, |row| row.failed)
    }

    /// Whether it has had no success, or an attempt of it has taken, longer than expected.
    pub(crate) fn is_late(&self) -> bool {
        self.is_slow || self.row.is_some_and(|row| row.late_at.is_some())
    }

    /// Whether the job itself is paused at a time.
    pub(crate) fn is_paused(&self, at: Wall) -> bool {
        self.row.is_some_and(|row| row.is_paused(at))
    }

    /// The run that last started or ended.
    pub(crate) fn last(&self, store: Option<&Store>) -> Result<Option<RunRow>> {
        match (store, self.row.and_then(|row| row.last_run)) {
            (Some(store), Some(id)) => Ok(store.run(id)?),
            (None, _) | (_, None) => Ok(None),
        }
    }
}

/// Only the exit code: what is worse wins.
fn quiet(args: &cli::Status, store: Option<&Store>, supervisor: &Supervisor) -> Result<Exit> {
    if !supervisor.is_running {
        return Ok(Exit::NoSupervisor);
    }
    let rows = store.map(Store::jobs).transpose()?.unwrap_or_default();
    let is_asked = |row: &&JobRow| args.job.as_ref().is_none_or(|name| *name == row.name);
    let slow = slow(store)?;
    let is_ill = |row: &JobRow| row.failed > 0 || row.late_at.is_some() || slow.contains(&row.id);
    let has_failed = rows.iter().filter(is_asked).any(is_ill);
    Ok(if has_failed { Exit::No } else { Exit::Done })
}

/// The jobs with an attempt that takes longer than expected.
fn slow(store: Option<&Store>) -> Result<BTreeSet<i64>> {
    let slow = store.map(Store::jobs_with_late_runs).transpose()?;
    Ok(slow.unwrap_or_default().into_iter().collect())
}

/// The jobs; a jobfile that cannot be loaded is no reason to hide what the store knows.
fn load_jobs(context: &Context, store: Option<&Store>, rows: &[JobRow]) -> Result<Jobs> {
    match Jobs::load(context, store) {
        Ok(jobs) => Ok(jobs),
        Err(failure) if rows.is_empty() => Err(match context.system_supervisor() {
            Some(elsewhere) => failure.hint(elsewhere),
            None => failure,
        }),
        Err(failure) => {
            failure.print();
            Ok(Jobs::none())
        }
    }
}

/// Jobs of the jobfile, or the one that was asked for, and those of the store that are not in it but still have something to do or to say; by name.
fn views<'a>(
    jobs: &'a Jobs,
    rows: &'a [JobRow],
    slow: &BTreeSet<i64>,
    (asked, now): (Option<&str>, Wall),
) -> Vec<JobView<'a>> {
    let is_asked = |name: &str| asked.is_none_or(|asked| asked == name);
    let is_slow = |row: Option<&JobRow>| row.is_some_and(|row| slow.contains(&row.id));
    let row_of = |name: &str| {
        rows.binary_search_by(|row| row.name.as_str().cmp(name)).ok().map(|index| &rows[index])
    };
    let known = jobs.jobs.iter().filter(|job| is_asked(job.name.as_str()));
    let known = known.map(|job| {
        let row = row_of(job.name.as_str());
        let next = jobs.coming(job, row, now);
        JobView { is_slow: is_slow(row), name: job.name.as_str(), job: Some(job), row, next }
    });
    let gone = rows
        .iter()
        .filter(|row| is_asked(&row.name) && jobs.get(&row.name).is_none())
        .filter(|row| row.has_rest());
    let gone = gone.map(|row| JobView {
        name: &row.name,
        job: None,
        row: Some(row),
        next: None,
        is_slow: is_slow(Some(row)),
    });
    let mut views: Vec<JobView<'a>> = known.chain(gone).collect();
    views.sort_by_key(|view| view.name);
    views
}

/// What the JSON of a job is made from.
struct Facts<'a> {
    supervisor: &'a Supervisor,
    jobs: &'a Jobs,
    store: Option<&'a Store>,
    now: Wall,
}

fn print_json(
    facts: &Facts<'_>,
    (views, asked): (&[JobView<'_>], Option<&str>),
    out: &mut Out,
) -> Result<Exit> {
    let jobs = views.iter().map(|view| job_json(facts, view)).collect::<Result<Value>>()?;
    let supervisor = json::supervisor(&facts.supervisor.row, facts.supervisor.is_running);
    let has_failed = views.iter().any(|view| view.failed() > 0);
    let untold = match facts.store.filter(|_| has_failed) {
        Some(store) => store.untold(asked)?,
        None => Vec::new(),
    };
    let facts = json!({ "supervisor": supervisor, "jobs": jobs, "untold": untold });
    out.answer(&facts, |_| Ok(()))?;
    Ok(Exit::Done)
}

fn job_json(facts: &Facts<'_>, view: &JobView<'_>) -> Result<Value> {
    let count = |counter: fn(&JobRow) -> i64| view.row.map_or(0, counter);
    let next = view.next.as_ref();
    Ok(json!({
        "name": view.name,
        "schedule": view.job.map_or(Value::Null, schedule_json),
        "enabled": view.job.is_some_and(|job| job.policy.enabled),
        "paused": facts.supervisor.row.is_paused(facts.now) || view.is_paused(facts.now),
        "next": json::time(next.map(|coming| coming.occurrence.at)),
        "last": view.last(facts.store)?.as_ref().map(|run| json!(run)),
        "queued": count(|row| row.queued),
        "running": count(|row| row.running),
        "retrying": count(|row| row.retrying),
        "failed": count(|row| row.failed),
        "late": view.is_late(),
        "late_at": json::time(view.row.and_then(|row| row.late_at)),
        "resolved": view.job.map_or(Value::Null, |job| resolved_json(facts.jobs, job)),
        "next_due_at": json::time(next.map(Coming::due_at)),
        "jitter_ms": view.job.map(|job| json::ms(facts.jobs.jitter(job))),
    }))
}

/// The schedules with values in place of `H`, in the shape of `schedule`; null if none has an `H`.
fn resolved_json(jobs: &Jobs, job: &Job) -> Value {
    let texts = job.schedules.iter().enumerate();
    let resolved: Vec<Option<String>> = texts.map(|(nth, _)| jobs.resolved(job, nth)).collect();
    if resolved.iter().all(Option::is_none) {
        return Value::Null;
    }
    let shown = resolved.into_iter().zip(&job.schedules);
    let mut shown: Vec<Value> = shown
        .map(|(resolved, (text, _))| Value::from(resolved.unwrap_or_else(|| text.to_string())))
        .collect();
    match shown.len() {
        1 => shown.remove(0),
        _ => Value::Array(shown),
    }
}

/// As the jobfile has it: a string, or an array of several.
fn schedule_json(job: &Job) -> Value {
    match &*job.schedules {
        [] => Value::Null,
        [(text, _)] => Value::from(text.as_ref()),
        several => several.iter().map(|(text, _)| text.as_ref()).collect(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::core::pause::Pause;

    /// A job's row without any runs.
    pub(crate) fn row(name: &str) -> JobRow {
        JobRow {
            id: 1,
            name: name.to_owned(),
            present: true,
            pause: None,
            grid_at: None,
            watermark: None,
            scheduled: 0,
            queued: 0,
            running: 0,
            retrying: 0,
            failed: 0,
            ended: 0,
            last_run: None,
            last_success_at: None,
            late_at: None,
            well_at: None,
        }
    }

    #[test]
    fn a_job_that_is_gone_is_shown_while_something_is_left_of_it() {
        let jobs =
            crate::cmd::jobset::tests::jobs("[jobs.b]\nschedule = '@daily'\ncommand = 'true'\n");
        let rows = [JobRow { queued: 2, ..row("a") }, row("b"), row("c")];
        let names: Vec<_> = views(&jobs, &rows, &BTreeSet::new(), (None, Wall::from_secs(0)))
            .iter()
            .map(|view| view.name)
            .collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn a_job_in_json_has_the_fields_of_the_contract() {
        let jobs = crate::cmd::jobset::tests::jobs(
            "timezone = 'UTC'\n[jobs.b]\nschedule = '@daily'\ncommand = 'true'\n",
        );
        let rows = [JobRow {
            pause: Some(Pause { since: Wall::from_secs(0), until: None }),
            failed: 3,
            ..row("b")
        }];
        let supervisor = Supervisor { is_running: false, row: SupervisorRow::default() };
        let views = views(&jobs, &rows, &BTreeSet::new(), (None, Wall::from_secs(0)));
        let facts =
            Facts { supervisor: &supervisor, jobs: &jobs, store: None, now: Wall::from_secs(0) };
        let value = job_json(&facts, &views[0]).unwrap();
        let names: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        let contract = "name schedule enabled paused next last queued running retrying failed late late_at resolved next_due_at jitter_ms";
        assert_eq!(names, contract.split(' ').collect::<Vec<_>>());
        assert_eq!(
            (&value["paused"], &value["failed"], &value["schedule"]),
            (&json!(true), &json!(3), &json!("@daily"))
        );
        assert_eq!(value["next"], "1970-01-02T00:00:00.000Z");
    }
}
