//! `jobctl next`: upcoming occurrences of all jobs, in order of time.

use std::rc::Rc;
use std::time::Duration;

use crate::cli;
use crate::cmd::table::shorten;
use crate::cmd::when;
use crate::cmd::{Cell, Context, Exit, Failure, Jobs, Out, Result, Style, Table, Toward, Viewer};
use crate::core::job::Job;
use crate::core::local::offset_at;
use crate::core::schedule::{self, HashSeed, Schedule, ScheduleError};
use crate::core::time::Wall;
use crate::facts::jobs::job_row;
use crate::facts::next::{self, Line, Range};
use crate::os::{machine, zone};
use crate::store::{JobRow, Store};
use crate::wording::jobs::with_values;

/// The default number of occurrences.
const COUNT_DEFAULT: u32 = 10;

/// The time from the last point that is left out to the first one that is not.
const MS: Duration = Duration::from_millis(1);

/// Answers `jobctl next`.
pub(crate) fn answer(context: &Context, args: &cli::Next, out: &mut Out) -> Result<Exit> {
    let viewer = context.viewer();
    let range = range(args, &viewer)?;
    let lines = match &args.schedule {
        Some(text) => of_expression(text, args.timezone.as_deref(), range, context.now.wall)?,
        None => of_jobs(context, args.job.as_deref(), range)?,
    };
    if args.schedule.is_some() && lines.iter().any(|line| line.resolved.is_some()) {
        context.say(
            "`H` differs from job to job: shown is its value for an empty name on this machine",
        );
    }
    if lines.is_empty() {
        context.say("no occurrence ahead");
        return Ok(Exit::No);
    }
    out.answers(&lines, |out| print(&lines, &viewer, out))
}

/// Returns the requested span.
fn range(args: &cli::Next, viewer: &Viewer) -> Result<Range> {
    let time = |text: &Option<String>| {
        text.as_deref().map(|text| viewer.parse(text, Toward::Future)).transpose()
    };
    let until = time(&args.until)?;
    // Only a span without an end needs a default number.
    let count = args.count.unwrap_or(if until.is_some() { u32::MAX } else { COUNT_DEFAULT });
    let after = match time(&args.from)? {
        Some(from) => Wall::from_ms(from.ms().saturating_sub(1)),
        None => viewer.now,
    };
    if let Some(until) = until.filter(|until| *until <= after) {
        let (from, until) = (viewer.show(after + MS), viewer.show(until));
        let message = format!("--until {until} is before --from {from}");
        return Err(Failure::usage(message).hint("give a time after --from, or after now"));
    }
    Ok(Range {
        after,
        until,
        count: usize::try_from(count).unwrap_or(usize::MAX),
        is_from_now: args.from.is_none(),
    })
}

/// Returns the occurrences of an expression, without a jobfile. The grid of `@every` begins now.
fn of_expression(text: &str, timezone: Option<&str>, range: Range, now: Wall) -> Result<Vec<Line>> {
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
        return Err(Failure::no("schedule `@reboot`: fires at each boot, not at a known time"));
    }
    Ok(next::of_schedule(&schedule, (text, resolved), &zone, (range, now)))
}

/// Describes an error in an expression and its position.
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

fn of_jobs(context: &Context, name: Option<&str>, range: Range) -> Result<Vec<Line>> {
    let store = context.open_read()?;
    let jobs = Jobs::load(context, store.as_ref())?;
    let rows = store.as_ref().map(Store::jobs).transpose()?.unwrap_or_default();
    let chosen: Vec<&Job> = match name {
        Some(name) => vec![jobs.find(name)?],
        None => jobs.jobs.iter().collect(),
    };
    if let (Some(_), [job]) = (name, chosen.as_slice()) {
        say_why_not(context, job, job_row(&rows, job.name.as_str()));
    }
    let supervisor = store.as_ref().map(Store::supervisor).transpose()?;
    let pause = supervisor.and_then(|row| row.pause);
    Ok(next::of_jobs(&jobs, (&chosen, &rows), pause, range))
}

/// Explains why a requested job has occurrences that cannot be shown.
fn say_why_not(context: &Context, job: &Job, row: Option<&JobRow>) {
    let has =
        |test: fn(&Schedule) -> bool| job.schedules.iter().any(|(_, schedule)| test(schedule));
    if job.schedules.is_empty() {
        context.say(&format!("job `{}` has no schedule: it runs items from its queue", job.name));
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
    let relative = |line: &Line| viewer.relative(line.due_at);
    let job_time = |line: &Line| {
        let is_alike = line.zone.name == viewer.zone.name || shows_alike(line, viewer);
        let text = || format!("{} {}", when::local_text(&line.zone, line.instant), line.zone.name);
        (!is_alike).then(text)
    };
    let note = |line: &Line| line.note.clone().unwrap_or_default();
    let table = Table::of(lines)
        .firm("AT", |line| viewer.show(line.instant).into())
        .left("JITTER", |line| delay_text(line.jitter_ms).trim_start().into())
        .left("IN", |line| Cell::styled(Style::Dim, relative(line).trim_start_matches("in ")))
        .names("JOB", |line| Cell::maybe(line.job.as_ref()))
        .left("SCHEDULE", |line| with_values(&line.schedule, line.resolved.as_deref()).into())
        .left("JOB'S TIME", |line| Cell::maybe(job_time(line)))
        .flexible("NOTE", |line| Cell::styled(Style::Warn, note(line)));
    table.print(out)
}

/// Returns how long after its instant an occurrence falls due: ` +7m 12s`, or nothing.
pub(crate) fn delay_text(jitter_ms: i64) -> String {
    match jitter_ms {
        0 => String::new(),
        ms => format!(" +{}", when::span(ms)),
    }
}

fn shows_alike(line: &Line, viewer: &Viewer) -> bool {
    offset_at(&line.zone, line.instant.secs()) == offset_at(&viewer.zone, line.instant.secs())
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
            range(1_785_067_200, 2),
            Wall::from_secs(0),
        )
        .unwrap();
        let at: Vec<_> = lines
            .iter()
            .map(|line| serde_json::json!(line)["at"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(at, ["2026-07-27T02:30:00.000+02:00", "2026-07-28T02:30:00.000+02:00"]);
    }

    #[test]
    fn a_bad_expression_or_zone_is_an_error_of_usage() {
        for (text, zone) in
            [("* * *", None), ("0 0 30 2 *", None), ("@daily", Some("Europe/Berln"))]
        {
            let failure =
                of_expression(text, zone, range(0, 1), Wall::from_secs(0)).map(|_| ()).unwrap_err();
            assert_eq!(failure.code, Exit::Usage, "{text}");
        }
    }

    #[test]
    fn an_end_is_part_of_the_span() {
        let until = Range { until: Some(Wall::from_secs(7200)), ..range(0, 100) };
        let lines = of_expression("0 * * * *", Some("UTC"), until, Wall::from_secs(0)).unwrap();
        assert_eq!(lines.len(), 2);
    }
}
