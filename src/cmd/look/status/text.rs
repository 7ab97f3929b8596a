//! `jobctl status` for people: the page with all jobs.

use crate::cli;
use crate::cmd::fields::Fields;
use crate::cmd::jobset::Coming;
use crate::cmd::look::runs::style;
use crate::cmd::look::status::runs::{self, Counts};
use crate::cmd::look::status::{JobView, Supervisor};
use crate::cmd::output::Sheet;
use crate::cmd::when;
use crate::cmd::{Cell, Column, Jobs, Out, Result, Style, Table, Viewer};
use crate::core::run::State;
use crate::core::schedule::Schedule;
use crate::core::tally::percentile;
use crate::core::time::Wall;
use crate::os::terminal;
use crate::store::{JobRow, RecentRun, Store};

/// So many jobs are shown without a question.
const JOBS_PLAIN: usize = 50;

/// Of more jobs, those that need attention and so many that are next.
const JOBS_NEXT: usize = 20;

/// On a screen that is shown again and again: lines above the jobs and with their number, and the fewest jobs.
const HEADER_LINES: usize = 9;
const JOBS_MIN: usize = 3;

/// Fewer columns have no room for results.
const NARROW_MIN: usize = 56;

/// Results of past runs that are shown of a job.
const RESULTS_MAX: usize = 20;

/// So many are shown before other columns are shortened.
const RESULTS_MIN: usize = 5;

/// Fewer successes have no usual duration.
const USUAL_MIN: usize = 3;

/// What a page is made from.
pub(crate) struct Page<'a> {
    /// Where running attempts have their slots.
    pub(crate) state_dir: &'a std::path::Path,
    /// The supervisor.
    pub(crate) supervisor: &'a Supervisor,
    /// The jobs' definitions.
    pub(crate) jobs: &'a Jobs,
    /// Runs.
    pub(crate) store: Option<&'a Store>,
    /// Who looks.
    pub(crate) viewer: &'a Viewer,
    /// Where the supervisor of the system is, for those who have another one.
    pub(crate) elsewhere: Option<&'a str>,
    /// How many lines there are for it, if it is shown again and again.
    pub(crate) lines_max: Option<usize>,
}

/// Prints the supervisor, the jobs, and what runs, waits and failed.
pub(crate) fn print(
    page: &Page<'_>,
    views: Vec<JobView<'_>>,
    args: &cli::Status,
    out: &mut Out,
) -> Result<()> {
    print_supervisor(page, out)?;
    let mut views = views;
    sort(&mut views);
    let total = |counter: fn(&JobRow) -> i64| {
        views.iter().filter_map(|view| view.row).map(counter).sum::<i64>()
    };
    let failing = views.iter().filter(|view| view.failed() > 0);
    let counts = Counts {
        running: total(|row| row.running),
        waiting: total(|row| row.queued + row.retrying + row.scheduled),
        failed: total(|row| row.failed),
        failing: failing.map(|view| view.name).collect(),
    };
    let below = Sheet::default();
    let mut lower = out.onto(Box::new(below.clone()));
    runs::print(page, &counts, args, &mut lower)?;
    lower.flush()?;
    let below = below.text();
    let (shown, left_out) = if args.all || args.failed {
        (views, 0)
    } else {
        let lines_max = page.lines_max.map(|max| {
            let others = HEADER_LINES + below.lines().count();
            max.saturating_sub(others).max(JOBS_MIN)
        });
        choose(views, lines_max)
    };
    if args.failed && shown.is_empty() {
        return out.line("\nno failed runs");
    }
    if !shown.is_empty() {
        out.line("")?;
        print_jobs(page, &shown, out)?;
    }
    if left_out > 0 {
        out.line(
            out.styled(Style::Dim, &format!("and {left_out} more jobs: `jobctl status --all`")),
        )?;
    }
    below.lines().try_for_each(|line| out.line(line))
}

/// The supervisor, the jobfile, and what holds for all jobs.
pub(crate) fn print_supervisor(page: &Page<'_>, out: &mut Out) -> Result<()> {
    let (supervisor, viewer) = (page.supervisor, page.viewer);
    let row = &supervisor.row;
    let mut fields = Fields::default();
    put_state(page, &mut fields);
    let own = env!("CARGO_PKG_VERSION");
    let other = row.version.as_deref().filter(|version| supervisor.is_running && *version != own);
    fields.put(
        "version",
        match other {
            Some(version) => Some(format!("{version} (this is {own})")),
            None => supervisor.is_running.then(|| own.to_owned()),
        },
    );
    fields.put("jobfile", row.jobfile.clone());
    let error = row.jobfile_error.as_deref().map(|error| {
        let more = if error.contains("`jobctl reload`") {
            "`jobctl reload` takes it now"
        } else {
            "`jobctl check` says more"
        };
        format!("{} ({more})", first_line(error))
    });
    fields.put_styled("not in force", Style::Bad, error.filter(|_| supervisor.is_running));
    let pause = row.pause.filter(|pause| pause.holds(viewer.now));
    let paused = pause.map(|pause| {
        let until =
            pause.until.map(|at| format!(", until {}", viewer.show(at))).unwrap_or_default();
        format!("everything, since {}{until}", viewer.show(pause.since))
    });
    fields.put_styled("paused", Style::Warn, paused);
    if let Some(hint) = page.elsewhere.filter(|_| !supervisor.is_running) {
        fields.put("elsewhere", Some(hint.to_owned()));
    }
    fields.print(out)
}

/// Whether it runs, as what, and since when.
fn put_state(page: &Page<'_>, fields: &mut Fields) {
    let (supervisor, viewer) = (page.supervisor, page.viewer);
    let row = &supervisor.row;
    let pid = row.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
    let since = row
        .since
        .filter(|_| supervisor.is_running)
        .map(|at| format!("{} ({})", viewer.show(at), viewer.relative(at)));
    match supervisor.is_running {
        true if row.is_shadow => fields.put_styled(
            "supervisor",
            Style::Warn,
            Some(format!("running as a shadow, nothing is started{pid}")),
        ),
        true => fields.put_styled("supervisor", Style::Good, Some(format!("running{pid}"))),
        false => fields.put_styled(
            "supervisor",
            Style::Bad,
            Some("not running: nothing is started".to_owned()),
        ),
    }
    fields.put("since", since);
}

/// In which order jobs are worth a look: what failed, what is late, what is retried, what runs, and then what is next.
fn need(view: &JobView<'_>) -> (u8, Option<Wall>) {
    let has = |counter: fn(&JobRow) -> i64| view.row.is_some_and(|row| counter(row) > 0);
    let rank = if has(|row| row.failed) {
        0
    } else if view.is_late() {
        1
    } else if has(|row| row.retrying) {
        2
    } else if has(|row| row.running) {
        3
    } else if has(|row| row.queued) {
        4
    } else if view.next.is_some() {
        5
    } else {
        6
    };
    (rank, view.next.as_ref().map(Coming::due_at))
}

fn sort(views: &mut [JobView<'_>]) {
    views.sort_by_cached_key(|view| {
        let (rank, at) = need(view);
        (rank, at.is_none(), at, view.name)
    });
}

/// Of many jobs, in that order, those that need attention and those that are next, and how many are left out.
fn choose(mut views: Vec<JobView<'_>>, lines_max: Option<usize>) -> (Vec<JobView<'_>>, usize) {
    let all = views.len();
    if all > JOBS_PLAIN {
        let in_need = views.iter().filter(|view| need(view).0 < 5).count();
        let next = views.iter().filter(|view| need(view).0 == 5).count();
        let shown = in_need.min(JOBS_PLAIN);
        let rest: Vec<JobView<'_>> = views.drain(in_need..).take(next.min(JOBS_NEXT)).collect();
        views.truncate(shown);
        views.extend(rest);
    }
    if let Some(max) = lines_max {
        views.truncate(max);
    }
    let left_out = all - views.len();
    (views, left_out)
}

/// What the columns have room for.
#[derive(Clone, Copy, Debug)]
struct Room {
    /// Results of past runs.
    results: usize,
    /// The usual duration, and the time of the next run beside the span until then.
    has_more: bool,
    /// How long the last attempt took; spans in two units.
    has_duration: bool,
}

impl Room {
    fn of(width: Option<usize>) -> Self {
        let results = match width {
            None | Some(120..) => RESULTS_MAX,
            Some(100..) => 10,
            Some(NARROW_MIN..) => RESULTS_MIN,
            Some(_) => 0,
        };
        Self {
            results,
            has_more: width.is_none_or(|width| width >= 100),
            has_duration: width.is_none_or(|width| width >= 80),
        }
    }

    /// A time as seen from now, where there is little room in one unit: `in 3h`, `5m ago`.
    fn relative(self, viewer: &Viewer, at: Wall) -> String {
        let text = viewer.relative(at);
        if self.has_duration {
            return text;
        }
        let words: Vec<&str> = text.split(' ').collect();
        match words.as_slice() {
            ["in", first, _] => format!("in {first}"),
            [first, _, "ago"] => format!("{first} ago"),
            _ => text,
        }
    }
}

/// Prints the jobs, with as many results of past runs as there is room for.
fn print_jobs(page: &Page<'_>, views: &[JobView<'_>], out: &mut Out) -> Result<()> {
    let room = Room::of(out.width);
    for results in [room.results, 10] {
        let mut table = jobs_table(page, views, Room { results, ..room })?;
        if results <= room.results && table.fits(out.width) {
            return table.print(out);
        }
    }
    let results = room.results.min(RESULTS_MIN);
    jobs_table(page, views, Room { results, ..room })?.print(out)
}

fn jobs_table(page: &Page<'_>, views: &[JobView<'_>], room: Room) -> Result<Table> {
    let mut table = Table::new(&[
        Column::flexible("JOB"),
        Column::left("NEXT"),
        Column::left("LAST"),
        Column::left("TOOK"),
        Column::firm("RESULTS"),
        Column::flexible("NOW"),
    ]);
    for view in views {
        let recent = recent(page, view)?;
        let style = match need(view).0 {
            0 => Style::Bad,
            1 | 2 => Style::Warn,
            3 => Style::Bold,
            _ => Style::Plain,
        };
        table.push(vec![
            view.name.into(),
            next(page, view, room).into(),
            last(page, view, room)?,
            took(&recent, room).into(),
            strip(&recent, room.results).into(),
            Cell::styled(style, now(page, view)),
        ]);
    }
    Ok(table)
}

/// The newest ended runs, newest first.
fn recent(page: &Page<'_>, view: &JobView<'_>) -> Result<Vec<RecentRun>> {
    let Some((store, row)) = page.store.zip(view.row) else {
        return Ok(Vec::new());
    };
    match row.last_run {
        Some(last) => Ok(store.recent_runs(row.id, last, RESULTS_MAX)?),
        None => Ok(Vec::new()),
    }
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

/// How long the last attempt took, and how long they usually take: the median of the last successes.
fn took(recent: &[RecentRun], room: Room) -> String {
    let executed = |run: &&RecentRun| run.attempt > 0;
    let last = recent.iter().find(executed).and_then(|run| run.duration_ms);
    let Some(last) = last.filter(|_| room.has_duration) else {
        return String::new();
    };
    let is_success = |run: &&RecentRun| run.state == State::Succeeded;
    let mut usual: Vec<i64> =
        recent.iter().filter(is_success).filter_map(|run| run.duration_ms).collect();
    usual.sort_unstable();
    match percentile(&usual, 50).filter(|_| room.has_more && usual.len() >= USUAL_MIN) {
        Some(usual) => format!("{} (usually {})", when::span(last), when::span(usual)),
        None => when::span(last),
    }
}

/// What there is of a job now, and what is not as usual.
fn now(page: &Page<'_>, view: &JobView<'_>) -> String {
    let count = |name: &str, counter: fn(&JobRow) -> i64| {
        let count = view.row.map_or(0, counter);
        (count > 0).then(|| format!("{count} {name}"))
    };
    let late = view.is_late().then(|| {
        let since = view.row.and_then(|row| row.late_at);
        since.map_or("late".to_owned(), |at| format!("late ({})", page.viewer.relative(at)))
    });
    let note = Some(note(page, view)).filter(|note| !note.is_empty());
    let parts = [
        count("failed", |row| row.failed),
        late,
        count("running", |row| row.running),
        count("queued", |row| row.queued),
        count("retrying", |row| row.retrying),
        count("due later", |row| row.scheduled),
        note,
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// When the job is next: `02:30 in 3h 12m`, or why no time can be said.
fn next(page: &Page<'_>, view: &JobView<'_>, room: Room) -> String {
    let Some(job) = view.job.filter(|job| job.policy.enabled) else {
        return "-".to_owned();
    };
    let fires =
        |test: fn(&Schedule) -> bool| job.schedules.iter().any(|(_, schedule)| test(schedule));
    match &view.next {
        Some(coming) if room.has_more => {
            let at = coming.due_at();
            format!("{} {}", clock_of(page.viewer, at), page.viewer.relative(at))
        }
        Some(coming) => room.relative(page.viewer, coming.due_at()),
        None if fires(|schedule| matches!(schedule, Schedule::Reboot)) => "at boot".to_owned(),
        None if fires(|schedule| matches!(schedule, Schedule::Every(_))) => {
            "once loaded".to_owned()
        }
        None => "-".to_owned(),
    }
}

/// A time without what goes without saying: the day only if it is another one, the seconds only where there are any.
fn clock_of(viewer: &Viewer, at: Wall) -> String {
    let (text, today) = (viewer.show(at), viewer.show(viewer.now));
    let (day, time) = text.split_once(' ').unwrap_or(("", &text));
    let time = time.strip_suffix(":00").unwrap_or(time);
    match (today.starts_with(day), day.get(..4) == today.get(..4)) {
        (true, _) => time.to_owned(),
        (false, true) => format!("{} {time}", day.get(5..).unwrap_or(day)),
        (false, false) => format!("{day} {time}"),
    }
}

/// What became of the last run, and when.
fn last(page: &Page<'_>, view: &JobView<'_>, room: Room) -> Result<Cell> {
    let Some(run) = view.last(page.store)? else {
        return Ok("-".into());
    };
    let at = run.ended_at.or(run.started_at).unwrap_or(run.created_at);
    Ok(Cell::styled(style(&run), format!("{} {}", run.state, room.relative(page.viewer, at))))
}

/// What is not as usual with a job.
pub(crate) fn note(page: &Page<'_>, view: &JobView<'_>) -> String {
    match view.job {
        None => return "not in the jobfile".to_owned(),
        Some(job) if !job.policy.enabled => return "not enabled".to_owned(),
        Some(_) => {}
    }
    let pause = view.row.and_then(|row| row.pause);
    let Some(pause) = pause.filter(|pause| pause.holds(page.viewer.now)) else {
        return String::new();
    };
    match pause.until {
        Some(until) => format!("paused, ends {}", page.viewer.relative(until)),
        None => "paused".to_owned(),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::jobset::tests::jobs;
    use crate::cmd::look::status::tests::row;
    use crate::cmd::output::capture;
    use crate::store::SupervisorRow;

    fn viewer() -> Viewer {
        Viewer { zone: crate::os::zone::load("UTC").unwrap(), now: Wall::from_secs(1_785_067_200) }
    }

    const ARGS: cli::Status = cli::Status { job: None, failed: false, all: false, watch: false };

    #[test]
    fn a_page_without_a_store_shows_the_jobs() {
        let jobs = jobs(
            "timezone = 'UTC'\n[jobs.backup]\nschedule = '30 2 * * *'\ncommand = 'true'\n[jobs.item]\ncommand = 'true'\n",
        );
        let supervisor = Supervisor {
            is_running: false,
            row: SupervisorRow { jobfile: Some("/j".into()), ..SupervisorRow::default() },
        };
        let viewer = viewer();
        let page = Page {
            state_dir: std::path::Path::new("/nowhere"),
            supervisor: &supervisor,
            jobs: &jobs,
            store: None,
            viewer: &viewer,
            elsewhere: None,
            lines_max: None,
        };
        let view = |index: usize| {
            let job = &jobs.jobs[index];
            JobView {
                name: job.name.as_str(),
                job: Some(job),
                row: None,
                next: jobs.next(job, None, viewer.now),
                is_slow: false,
            }
        };
        let text = capture(None, |out| print(&page, vec![view(0), view(1)], &ARGS, out));
        assert_eq!(
            text,
            "supervisor  not running: nothing is started\njobfile     /j\n\n\
             JOB     NEXT                    LAST\nbackup  07-27 02:30 in 14h 30m  -\nitem    -                       -\n"
        );
    }

    #[test]
    fn of_many_jobs_those_in_trouble_are_never_left_out() {
        let rows: Vec<JobRow> = (0..200)
            .map(|index| JobRow {
                failed: i64::from(index == 150),
                ..row(&format!("job{index:03}"))
            })
            .collect();
        let mut views: Vec<JobView<'_>> = rows
            .iter()
            .map(|row| JobView {
                name: &row.name,
                job: None,
                row: Some(row),
                next: None,
                is_slow: false,
            })
            .collect();
        sort(&mut views);
        let (shown, left_out) = choose(views, None);
        assert_eq!(shown.iter().map(|view| view.name).collect::<Vec<_>>(), ["job150"]);
        assert_eq!(left_out, 199);
    }
}
