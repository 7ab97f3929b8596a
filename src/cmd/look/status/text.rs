//! `jobctl status` for people: the page with all jobs.

use crate::cmd::fields::Fields;
use crate::cmd::look::runs::style;
use crate::cmd::look::status::page::Page;
use crate::cmd::look::status::{job, runs};
use crate::cmd::output::Sheet;
use crate::cmd::when;
use crate::cmd::{Cell, Out, Result, Style, Table, Viewer};
use crate::core::run::State;
use crate::core::time::Wall;
use crate::facts::overview::JobStatus;
use crate::facts::status::RESULTS_MAX;
use crate::os::terminal;
use crate::store::RecentRun;
use crate::wording::jobs::{clock_of, no_next, noted, now};

/// On a screen that is shown again and again: lines above the jobs and with their number, and the
/// fewest jobs.
const HEADER_LINES: usize = 9;
const JOBS_MIN: usize = 3;

/// Fewer columns have no room for results.
const NARROW_MIN: usize = 56;

/// The number of results that are shown before other columns are shortened.
const RESULTS_MIN: usize = 5;

impl Page<'_> {
    /// Prints the supervisor, the jobs, and the running, waiting and failed runs; or one job in
    /// detail.
    pub(super) fn print(&self, out: &mut Out) -> Result<()> {
        print_supervisor(self, out)?;
        if let (Some(closely), [job]) = (&self.status.closely, &*self.status.jobs) {
            return job::print(self, job, closely, out);
        }
        let below = Sheet::default();
        let mut lower = out.onto(Box::new(below.clone()));
        runs::print_resume(self, &mut lower)?;
        runs::print(self, &mut lower)?;
        lower.flush()?;
        let below = below.text();
        let all = &*self.status.jobs;
        let jobs_max = self.lines_max.filter(|_| !self.is_failed_only).map_or(all.len(), |max| {
            max.saturating_sub(HEADER_LINES + below.lines().count()).max(JOBS_MIN)
        });
        let shown = all.get(..jobs_max).unwrap_or(all);
        if shown.is_empty() && self.is_filtered {
            return out.line("\nno job matches");
        }
        if shown.is_empty() && self.is_failed_only {
            return out.line("\nno failed runs");
        }
        if !shown.is_empty() {
            out.line("")?;
            print_jobs(self, shown, out)?;
        }
        match self.status.left_out + all.len() - shown.len() {
            0 => {}
            more => {
                let text = format!("and {more} more jobs: `{} status --all`", self.jobctl);
                out.line(out.styled(Style::Dim, &text))?;
            }
        }
        below.lines().try_for_each(|line| out.line(line))
    }
}

/// Prints the supervisor, the jobfile, and the state of all jobs.
fn print_supervisor(page: &Page<'_>, out: &mut Out) -> Result<()> {
    let (supervisor, viewer) = (page.status.supervisor, page.viewer);
    let mut fields = Fields::default();
    put_state(page, &mut fields);
    let own = env!("CARGO_PKG_VERSION");
    let other =
        supervisor.version.as_deref().filter(|version| supervisor.running && *version != own);
    fields.put(
        "version",
        match other {
            Some(version) => Some(format!("{version} (this is {own})")),
            None => supervisor.running.then(|| own.to_owned()),
        },
    );
    fields.put("jobfile", supervisor.jobfile.clone());
    let error = supervisor.jobfile_error.as_deref().map(|error| {
        let more = if error.contains("`jobctl reload`") {
            format!("load it now with `{} reload`", page.jobctl)
        } else {
            format!("see `{} check`", page.jobctl)
        };
        format!("{} ({more})", first_line(error))
    });
    fields.put_styled("not in force", Style::Bad, error.filter(|_| supervisor.running));
    let deaf = supervisor.door_error.as_ref().map(|text| text.replace('\n', "; "));
    fields.put_styled("not listening", Style::Bad, deaf);
    let pause = supervisor.pause.filter(|pause| pause.holds(viewer.now));
    let paused = pause.map(|pause| {
        let until =
            pause.until.map(|at| format!(", until {}", viewer.show(at))).unwrap_or_default();
        let note = noted(supervisor.pause_note.text());
        format!("everything, since {}{until}{note}", viewer.show(pause.since))
    });
    fields.put_styled("paused", Style::Warn, paused);
    if let Some(hint) = page.elsewhere.as_deref().filter(|_| !supervisor.running) {
        fields.put("elsewhere", Some(hint.to_owned()));
    }
    fields.print(out)
}

/// Describes whether it runs, in which mode, and since when.
fn put_state(page: &Page<'_>, fields: &mut Fields) {
    let (supervisor, viewer) = (page.status.supervisor, page.viewer);
    let pid = supervisor.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
    let since = supervisor.since.map(|at| format!("{} ({})", viewer.show(at), viewer.relative(at)));
    if let Some(text) = supervisor.stopping() {
        let pid = supervisor.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
        fields.put_styled("supervisor", Style::Warn, Some(format!("{text}{pid}")));
        fields.put("since", since);
        return;
    }
    match supervisor.running {
        true if supervisor.shadow => fields.put_styled(
            "supervisor",
            Style::Warn,
            Some(format!("running with --shadow, no runs start{pid}")),
        ),
        true => fields.put_styled("supervisor", Style::Good, Some(format!("running{pid}"))),
        false => fields.put_styled(
            "supervisor",
            Style::Bad,
            Some("not running: no runs start".to_owned()),
        ),
    }
    fields.put("since", since);
}

/// What fits into the columns.
#[derive(Clone, Copy, Debug)]
struct Room {
    /// Results of past runs.
    results: usize,
    /// The usual duration beside the last one.
    has_usual: bool,
    /// The time of the next run beside the span until then.
    has_clock: bool,
    /// How long the last attempt took; spans in two units.
    has_duration: bool,
}

impl Room {
    /// The choices for a width, the roomiest one first.
    fn choices(width: Option<usize>) -> Vec<Self> {
        let results = match width {
            None | Some(120..) => RESULTS_MAX,
            Some(100..) => 10,
            Some(NARROW_MIN..) => RESULTS_MIN,
            Some(_) => 0,
        };
        let is_wide = width.is_none_or(|width| width >= 100);
        let has_duration = width.is_none_or(|width| width >= 80);
        let most = Self { results, has_usual: is_wide, has_clock: is_wide, has_duration };
        let with = |results| Self { results, ..most };
        let few = with(results.min(RESULTS_MIN));
        let plain = Self { has_usual: false, ..few };
        vec![most, with(results.min(10)), few, plain, Self { has_clock: false, ..plain }]
    }

    /// A time as seen from now, where there is little room in one unit.
    fn relative(self, viewer: &Viewer, at: Wall) -> String {
        if self.has_duration { viewer.relative(at) } else { viewer.roughly(at) }
    }
}

/// Prints the jobs with as many details as leave enough room for the names and current states.
fn print_jobs(page: &Page<'_>, jobs: &[JobStatus<'_>], out: &mut Out) -> Result<()> {
    let mut choices = Room::choices(out.width).into_iter().map(|room| jobs_table(page, jobs, room));
    let fits = |table: &Table<'_, _>| table.fits_shortened(out.width);
    let last = choices.next_back();
    match choices.find(fits).or(last) {
        Some(table) => table.print(out),
        None => Ok(()),
    }
}

fn jobs_table<'a, 'j>(
    page: &Page<'_>,
    jobs: &'a [JobStatus<'j>],
    room: Room,
) -> Table<'a, JobStatus<'j>> {
    let style = |job: &JobStatus<'_>| match job.need() {
        0 => Style::Bad,
        1 | 2 => Style::Warn,
        3 => Style::Bold,
        _ => Style::Plain,
    };
    Table::of(jobs)
        .names("JOB", |job| job.name.into())
        .left("NEXT", |job| next(page, job, room).into())
        .left("LAST", |job| last(page, job, room))
        .left("TOOK", |job| took(job, room).into())
        .firm("RESULTS", |job| strip(&job.recent, room.results).into())
        .flexible("NOW", |job| Cell::styled(style(job), now(job, page.viewer)))
}

/// The last results, oldest first, a mark for each.
fn strip(recent: &[RecentRun], len: usize) -> String {
    let is_utf8 = terminal::is_utf8();
    let marks = recent.iter().take(len).rev();
    marks.map(|run| mark(run, is_utf8)).collect()
}

/// Succeeded, succeeded after retries, failed, or nothing that was executed to an end.
fn mark(run: &RecentRun, is_utf8: bool) -> char {
    let (unicode, ascii) = match run.state {
        State::Succeeded if run.attempt > 1 => ('\u{21bb}', 'r'),
        State::Succeeded => ('\u{2713}', '+'),
        State::Failed => ('\u{2717}', 'x'),
        State::Skipped
        | State::Cancelled
        | State::Scheduled
        | State::Queued
        | State::Running
        | State::Retrying => ('\u{00b7}', '-'),
    };
    if is_utf8 { unicode } else { ascii }
}

/// How long the last attempt took, and how long they usually take.
fn took(job: &JobStatus<'_>, room: Room) -> String {
    let executed = |run: &&RecentRun| run.attempt > 0;
    let last = job.recent.iter().find(executed).and_then(|run| run.duration_ms);
    let Some(last) = last.filter(|_| room.has_duration) else {
        return String::new();
    };
    match job.usual_ms().filter(|_| room.has_usual) {
        Some(usual) => format!("{} (usually {})", when::span(last), when::span(usual)),
        None => when::span(last),
    }
}

/// Returns when the job runs next: `02:30 in 3h 12m`, or why the time is unknown.
fn next(page: &Page<'_>, view: &JobStatus<'_>, room: Room) -> String {
    match view.next_due_at {
        Some(_) if view.skips_next() => "paused".to_owned(),
        Some(at) if room.has_clock => {
            format!("{} {}", clock_of(page.viewer, at), page.viewer.relative(at))
        }
        Some(at) => room.relative(page.viewer, at),
        None => no_next(view).unwrap_or("-").to_owned(),
    }
}

/// Returns the result and time of the last run.
fn last(page: &Page<'_>, view: &JobStatus<'_>, room: Room) -> Cell {
    let Some(run) = &view.last else {
        return "-".into();
    };
    let at = run.ended_at.or(run.started_at).unwrap_or(run.created_at);
    Cell::styled(style(run), format!("{} {}", run.state, room.relative(page.viewer, at)))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::output::capture;
    use crate::core::pause::Pause;
    use crate::facts::jobs::Jobs;
    use crate::facts::jobs::tests::jobs;
    use crate::facts::overview::Overview;
    use crate::facts::status::Extent;
    use crate::facts::status::tests::{gather, row};
    use crate::store::JobRow;

    /// The whole page, to no terminal.
    fn text(overview: &Overview, jobs: &Jobs, now: Wall) -> String {
        let page = Page {
            status: &gather(overview, jobs, (Extent::Page, now)),
            viewer: &Viewer { zone: crate::os::zone::load("UTC").unwrap(), now },
            jobctl: "jobctl".to_owned(),
            elsewhere: None,
            lines_max: None,
            is_failed_only: false,
            is_filtered: false,
        };
        capture(None, |out| page.print(out))
    }

    #[test]
    fn a_filter_that_matches_no_job_says_so() {
        let (overview, jobs) = (Overview::default(), jobs(""));
        let now = Wall::from_secs(0);
        let page = Page {
            status: &gather(&overview, &jobs, (Extent::Page, now)),
            viewer: &Viewer { zone: crate::os::zone::load("UTC").unwrap(), now },
            jobctl: "jobctl".to_owned(),
            elsewhere: None,
            lines_max: None,
            is_failed_only: true,
            is_filtered: true,
        };
        assert!(capture(None, |out| page.print(out)).ends_with("\nno job matches\n"));
    }

    #[test]
    fn what_was_missed_and_a_pause_that_was_forgotten_are_shown_and_not_well() {
        let jobs = jobs(
            "timezone = 'UTC'\n[jobs.a]\nschedule = '30 2 * * *'\ncommand = 'true'\n[jobs.b]\ncommand = 'true'\n",
        );
        let now = Wall::from_secs(1_785_067_200);
        let missed_at = Some(Wall::from_secs(1_784_946_600));
        let pause = Some(Pause { since: Wall::from_secs(1_784_946_600), until: None });
        let rows = vec![JobRow { missed_at, ..row("a") }, JobRow { pause, id: 2, ..row("b") }];
        let of = |rows| {
            let mut overview = Overview::default();
            overview.rows = rows;
            overview
        };
        let overview = of(rows);
        assert!(overview.is_ill(Some("a"), now) && overview.is_ill(Some("b"), now));
        assert!(!of(vec![row("a")]).is_ill(None, now));
        let text = text(&overview, &jobs, now);
        assert!(text.contains("missed 07-25 02:30\n"), "{text}");
        assert!(text.contains("paused since 07-25 02:30\n"), "{text}");
        assert!(text.contains("\n`jobctl resume b` resumes it\n"), "{text}");
        let rows = vec![JobRow { pause, ..row("a") }];
        let text = self::text(&of(rows), &jobs, now);
        assert!(text.contains("\na    paused  -     paused since 07-25 02:30\n"), "{text}");
    }

    #[test]
    fn a_page_without_a_store_shows_the_jobs() {
        let jobs = jobs(
            "timezone = 'UTC'\n[jobs.backup]\nschedule = '30 2 * * *'\ncommand = 'true'\n[jobs.item]\ncommand = 'true'\n",
        );
        let now = Wall::from_secs(1_785_067_200);
        let mut overview = Overview::default();
        overview.supervisor.jobfile = Some("/j".into());
        let text = text(&overview, &jobs, now);
        assert_eq!(
            text,
            "supervisor  not running: no runs start\njobfile     /j\n\n\
             JOB     NEXT                    LAST\nbackup  07-27 02:30 in 14h 30m  -\nitem    -                       -\n"
        );
    }
}
