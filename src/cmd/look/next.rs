//! `jobctl next`: coming occurrences, all jobs merged in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::json as object;

use crate::cli;
use crate::cmd::table::shorten;
use crate::cmd::when;
use crate::cmd::{Cell, Context, Exit, Failure, Jobs, Out, Result, Style, Table, Toward, Viewer};
use crate::core::job::Job;
use crate::core::local::offset_at;
use crate::core::pause::Pause;
use crate::core::schedule::{self, HashSeed, Schedule, ScheduleError, Zone};
use crate::core::time::Wall;
use crate::facts;
use crate::facts::jobs::Coming;
use crate::os::{machine, zone};
use crate::store::{JobRow, Store};

/// Occurrences shown when no number is given.
const COUNT_DEFAULT: u32 = 10;

/// The time from the last point that is left out to the first one that is not.
const MS: Duration = Duration::from_millis(1);

/// What is shown of an occurrence.
struct Line {
    at: Wall,
    zone: Rc<Zone>,
    job: Option<String>,
    schedule: String,
    /// The schedule with values in place of `H`.
    resolved: Option<String>,
    /// How much later it falls due.
    jitter: Duration,
    note: Option<String>,
}

/// The span asked for: not `after` itself, up to and with `until`, at most so many.
struct Range {
    after: Wall,
    until: Option<Wall>,
    count: usize,
    /// Then what is still to fall due counts, also if its instant was before.
    is_from_now: bool,
}

/// Answers `jobctl next`.
pub(crate) fn answer(context: &Context, args: &cli::Next, out: &mut Out) -> Result<Exit> {
    let viewer = context.viewer();
    let range = Range::read(args, &viewer)?;
    let lines = match &args.schedule {
        Some(text) => of_expression(text, args.timezone.as_deref(), &range, context.now.wall)?,
        None => of_jobs(context, args.job.as_deref(), &range)?,
    };
    if args.schedule.is_some() && lines.iter().any(|line| line.resolved.is_some()) {
        context.say("`H` has another value in each job: this is the one of the machine's id and an empty name");
    }
    if !lines.is_empty() {
        out.answers(&lines, |out| print(&lines, &viewer, out))?;
    } else {
        context.say("no occurrence is to come");
        return Ok(Exit::No);
    }
    Ok(Exit::Done)
}

impl Range {
    fn read(args: &cli::Next, viewer: &Viewer) -> Result<Self> {
        let time = |text: &Option<String>| {
            text.as_deref().map(|text| viewer.parse(text, Toward::Future)).transpose()
        };
        let until = time(&args.until)?;
        // An end is limit enough; without one there are only so many.
        let count = args.count.unwrap_or(if until.is_some() { u32::MAX } else { COUNT_DEFAULT });
        let after = match time(&args.from)? {
            Some(from) => Wall::from_ms(from.ms().saturating_sub(1)),
            None => viewer.now,
        };
        if let Some(until) = until.filter(|until| *until <= after) {
            let (from, until) = (viewer.show(after + MS), viewer.show(until));
            let message = format!("the end {until} is before the begin {from}");
            return Err(Failure::usage(message)
                .hint("write a --until that is later than --from, or than now"));
        }
        Ok(Self {
            after,
            until,
            count: usize::try_from(count).unwrap_or(usize::MAX),
            is_from_now: args.from.is_none(),
        })
    }

    fn holds(&self, at: Wall) -> bool {
        self.until.is_none_or(|until| at <= until)
    }
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let object = object!({
            "at": when::with_offset(&self.zone, self.at),
            "job": self.job,
            "schedule": self.schedule,
            "note": self.note,
            "due_at": self.at + self.jitter,
            "jitter_ms": facts::ms(self.jitter),
            "resolved": self.resolved,
        });
        object.serialize(to)
    }
}

/// The occurrences of an expression, without any jobfile. The grid of `@every` begins now.
fn of_expression(
    text: &str,
    timezone: Option<&str>,
    range: &Range,
    now: Wall,
) -> Result<Vec<Line>> {
    let zone = Rc::new(match timezone {
        Some(name) => zone::load(name).map_err(|error| {
            let hint = error.suggestion.as_ref().map(|name| format!("did you mean `{name}`?"));
            Failure { hint, ..Failure::usage(error.to_string()) }
        })?,
        None => zone::system(),
    });
    let machine_id = machine::id();
    let seed = HashSeed { seed: &machine_id, job: "" };
    let schedule = Schedule::parse(text, seed).map_err(|error| refusal(text, error))?;
    let resolved = schedule::resolve(text, seed);
    if schedule == Schedule::Reboot {
        return Err(Failure::no(
            "schedule `@reboot`: fires once per boot, at no time one could name",
        ));
    }
    let mut lines = Vec::new();
    let mut after = range.after;
    while let Some(occurrence) = schedule.next_after(&zone, after, Some(now)) {
        if lines.len() >= range.count || !range.holds(occurrence.at) {
            break;
        }
        after = occurrence.at;
        lines.push(Line {
            at: occurrence.at,
            zone: Rc::clone(&zone),
            job: None,
            schedule: text.to_owned(),
            resolved: resolved.clone(),
            jitter: Duration::ZERO,
            note: occurrence.note,
        });
    }
    Ok(lines)
}

/// What is wrong with an expression, and where.
fn refusal(text: &str, error: ScheduleError) -> Failure {
    const SHOWN: usize = 60;
    let before = text.get(..error.position).unwrap_or(text);
    let place = match before.chars().count() {
        0 => String::new(),
        count => format!(" (character {})", count + 1),
    };
    let shown = shorten(text, SHOWN);
    Failure {
        hint: error.hint,
        ..Failure::usage(format!("schedule `{shown}`: {}{place}", error.message))
    }
}

fn of_jobs(context: &Context, name: Option<&str>, range: &Range) -> Result<Vec<Line>> {
    let store = context.open_read()?;
    let jobs = Jobs::load(context, store.as_ref())?;
    let rows = store.as_ref().map(Store::jobs).transpose()?.unwrap_or_default();
    let chosen: Vec<&Job> = match name {
        Some(name) => vec![jobs.find(name)?],
        None => jobs.jobs.iter().collect(),
    };
    if let (Some(_), [job]) = (name, chosen.as_slice()) {
        say_why_not(context, job, row_of(&rows, job));
    }
    let pause = pause_of_all(store.as_ref())?;
    Ok(merge(&jobs, &chosen, &rows, range)
        .into_iter()
        .map(|(job, coming)| line_of(&jobs, job, coming, pause, row_of(&rows, job)))
        .collect())
}

/// The occurrences of all jobs in the order of time, then of name.
fn merge<'j>(
    jobs: &Jobs,
    chosen: &[&'j Job],
    rows: &[JobRow],
    range: &Range,
) -> Vec<(&'j Job, Coming)> {
    let next = |job: &Job, after: Wall| {
        let grid_at = row_of(rows, job).and_then(|row| row.grid_at);
        jobs.next(job, grid_at, after).filter(|coming| range.holds(coming.occurrence.at))
    };
    let begin = |job: &Job| match range.is_from_now {
        true => jobs.undecided_after(job, row_of(rows, job), range.after),
        false => range.after,
    };
    let mut found: Vec<Option<Coming>> = chosen.iter().map(|job| next(job, begin(job))).collect();
    let entry = |index: usize, coming: &Option<Coming>| {
        Some(Reverse((coming.as_ref()?.occurrence.at, index)))
    };
    let mut heap: BinaryHeap<_> =
        found.iter().enumerate().filter_map(|(index, coming)| entry(index, coming)).collect();
    let mut merged = Vec::new();
    while merged.len() < range.count {
        let Some(Reverse((at, index))) = heap.pop() else {
            break;
        };
        let following = next(chosen[index], at);
        heap.extend(entry(index, &following));
        if let Some(coming) = std::mem::replace(&mut found[index], following) {
            merged.push((chosen[index], coming));
        }
    }
    merged
}

/// The pause of everything.
fn pause_of_all(store: Option<&Store>) -> Result<Option<Pause>> {
    let supervisor = store.map(Store::supervisor).transpose()?;
    Ok(supervisor.and_then(|row| row.pause))
}

fn line_of(
    jobs: &Jobs,
    job: &Job,
    coming: Coming,
    all: Option<Pause>,
    row: Option<&JobRow>,
) -> Line {
    let at = coming.occurrence.at;
    let own = row.and_then(|row| row.pause);
    let mut pauses = all.into_iter().chain(own);
    let paused = pauses.any(|pause| pause.holds(at)).then(|| "paused: will be skipped".to_owned());
    let notes: Vec<String> = coming.occurrence.note.into_iter().chain(paused).collect();
    Line {
        at,
        zone: jobs.zone(job),
        job: Some(job.name.to_string()),
        schedule: job.schedules[coming.schedule].0.to_string(),
        resolved: jobs.resolved(job, coming.schedule),
        jitter: coming.jitter,
        note: (!notes.is_empty()).then(|| notes.join("; ")),
    }
}

fn row_of<'r>(rows: &'r [JobRow], job: &Job) -> Option<&'r JobRow> {
    rows.binary_search_by(|row| row.name.as_str().cmp(job.name.as_str()))
        .ok()
        .map(|index| &rows[index])
}

/// Why a job that was asked for has occurrences that cannot be shown.
fn say_why_not(context: &Context, job: &Job, row: Option<&JobRow>) {
    let has =
        |test: fn(&Schedule) -> bool| job.schedules.iter().any(|(_, schedule)| test(schedule));
    if job.schedules.is_empty() {
        context
            .say(&format!("job `{}` has no schedule: it runs when it is given an item", job.name));
    } else if !job.policy.enabled {
        context.say(&format!("job `{}` is not enabled", job.name));
    } else if has(|schedule| matches!(schedule, Schedule::Reboot)) {
        context.say(&format!("job `{}` also fires at the next boot of the machine", job.name));
    } else if has(|schedule| matches!(schedule, Schedule::Every(_)))
        && row.is_none_or(|row| row.grid_at.is_none())
    {
        context
            .say(&format!("job `{}`: @every begins when the supervisor first loads it", job.name));
    }
}

fn print(lines: &[Line], viewer: &Viewer, out: &mut Out) -> Result<()> {
    let relative = |line: &Line| viewer.relative(line.at + line.jitter);
    let job_time = |line: &Line| {
        let is_alike = line.zone.name == viewer.zone.name || shows_alike(line, viewer);
        let text = || format!("{} {}", when::local_text(&line.zone, line.at), line.zone.name);
        (!is_alike).then(text)
    };
    let note = |line: &Line| line.note.clone().unwrap_or_default();
    let table = Table::of(lines)
        .firm("AT", |line| viewer.show(line.at).into())
        .left("JITTER", |line| delay_text(line.jitter).trim_start().into())
        .left("IN", |line| Cell::styled(Style::Dim, relative(line).trim_start_matches("in ")))
        .flexible("JOB", |line| Cell::maybe(line.job.as_ref()))
        .left("SCHEDULE", |line| with_values(&line.schedule, line.resolved.as_deref()).into())
        .left("JOB'S TIME", |line| Cell::maybe(job_time(line)))
        .flexible("NOTE", |line| Cell::styled(Style::Warn, note(line)));
    table.print(out)
}

/// How much later than its instant an occurrence falls due: ` +7m 12s`, or nothing.
pub(crate) fn delay_text(jitter: Duration) -> String {
    match facts::ms(jitter) {
        0 => String::new(),
        ms => format!(" +{}", when::span(ms)),
    }
}

/// An expression, and what it is with values in place of each `H`.
pub(crate) fn with_values(text: &str, resolved: Option<&str>) -> String {
    resolved.map_or_else(|| text.to_owned(), |resolved| format!("{text} = {resolved}"))
}

fn shows_alike(line: &Line, viewer: &Viewer) -> bool {
    offset_at(&line.zone, line.at.secs()) == offset_at(&viewer.zone, line.at.secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(after_secs: i64, count: usize) -> Range {
        Range { after: Wall::from_secs(after_secs), until: None, count, is_from_now: false }
    }

    #[test]
    fn an_expression_needs_no_jobfile() {
        let lines = of_expression(
            "30 2 * * *",
            Some("Europe/Berlin"),
            &range(1_785_067_200, 2),
            Wall::from_secs(0),
        )
        .unwrap();
        let at: Vec<_> =
            lines.iter().map(|line| object!(line)["at"].as_str().unwrap().to_owned()).collect();
        assert_eq!(at, ["2026-07-27T02:30:00.000+02:00", "2026-07-28T02:30:00.000+02:00"]);
    }

    #[test]
    fn a_bad_expression_or_zone_is_an_error_of_usage() {
        for (text, zone) in
            [("* * *", None), ("0 0 30 2 *", None), ("@daily", Some("Europe/Berln"))]
        {
            let failure = of_expression(text, zone, &range(0, 1), Wall::from_secs(0))
                .map(|_| ())
                .unwrap_err();
            assert_eq!(failure.code, Exit::Usage, "{text}");
        }
    }

    #[test]
    fn jobs_are_merged_in_the_order_of_time() {
        let text = "timezone = 'UTC'\n[jobs.a]\nschedule = '0 * * * *'\ncommand = 'true'\n\
                    [jobs.b]\nschedule = '*/30 * * * *'\ncommand = 'true'\n";
        let jobs = crate::facts::jobs::tests::jobs(text);
        let chosen: Vec<&Job> = jobs.jobs.iter().collect();
        let merged: Vec<(String, i64)> = merge(&jobs, &chosen, &[], &range(0, 4))
            .into_iter()
            .map(|(job, coming)| (job.name.to_string(), coming.occurrence.at.secs() / 60))
            .collect();
        let expected = [("b", 30), ("a", 60), ("b", 60), ("b", 90)]
            .map(|(job, minute)| (job.to_owned(), minute));
        assert_eq!(merged, expected);
    }

    #[test]
    fn an_end_is_part_of_the_span() {
        let until = Range { until: Some(Wall::from_secs(7200)), ..range(0, 100) };
        let lines = of_expression("0 * * * *", Some("UTC"), &until, Wall::from_secs(0)).unwrap();
        assert_eq!(lines.len(), 2);
    }
}
