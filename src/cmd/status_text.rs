//! `jobctl status` for people: the page with all jobs.

use super::failure::Failure;
use super::fields::Fields;
use super::jobs::Jobs;
use super::live;
use super::output::{Out, Style};
use super::runs::{self, style};
use super::status::{JobView, Supervisor};
use super::table::{Cell, Column, Table};
use super::when::Viewer;
use crate::cli;
use crate::core::run::State;
use crate::core::schedule::Schedule;
use crate::store::{Filter, JobRow, Store};

/// So many jobs are shown without a question.
const JOBS_PLAIN: usize = 50;

/// Of more jobs, those that need attention and so many that are next.
const JOBS_NEXT: usize = 20;

/// Runs shown of each kind.
const RUNS_MAX: u32 = 10;

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
}

/// Prints the supervisor, the jobs, and what runs, waits and failed.
pub(crate) fn print(
    page: &Page<'_>,
    views: Vec<JobView<'_>>,
    args: &cli::Status,
    out: &mut Out,
) -> Result<(), Failure> {
    print_supervisor(page, out)?;
    let total = |counter: fn(&JobRow) -> i64| {
        views
            .iter()
            .filter_map(|view| view.row)
            .map(counter)
            .sum::<i64>()
    };
    let counts = Counts {
        running: total(|row| row.running),
        waiting: total(|row| row.queued + row.retrying + row.scheduled),
        failed: total(|row| row.failed),
    };
    let (shown, left_out) = if args.all || args.failed {
        (views, 0)
    } else {
        choose(views)
    };
    if !shown.is_empty() {
        out.line("")?;
        print_jobs(page, &shown, out)?;
    }
    if left_out > 0 {
        out.line(out.styled(
            Style::Dim,
            &format!("and {left_out} more jobs: `jobctl status --all`"),
        ))?;
    }
    print_runs(page, &counts, args, out)
}

/// Runs in the states that are worth a list, over the jobs on the page.
struct Counts {
    running: i64,
    waiting: i64,
    failed: i64,
}

/// The supervisor, the jobfile, and what holds for all jobs.
pub(crate) fn print_supervisor(page: &Page<'_>, out: &mut Out) -> Result<(), Failure> {
    let (supervisor, viewer) = (page.supervisor, page.viewer);
    let row = &supervisor.row;
    let mut fields = Fields::default();
    put_state(page, &mut fields);
    let own = env!("CARGO_PKG_VERSION");
    let other = row
        .version
        .as_deref()
        .filter(|version| supervisor.is_running && *version != own);
    fields.put(
        "version",
        other.map(|version| format!("{version} (this is {own})")),
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
    fields.put_styled(
        "not in force",
        Style::Bad,
        error.filter(|_| supervisor.is_running),
    );
    let until = row
        .paused_until
        .map(|at| format!(", until {}", viewer.show(at)))
        .unwrap_or_default();
    let paused = row.paused_at.filter(|_| supervisor.is_paused(viewer.now));
    fields.put_styled(
        "paused",
        Style::Warn,
        paused.map(|at| format!("everything, since {}{until}", viewer.show(at))),
    );
    fields.print(out)
}

/// Whether it runs, as what, and since when.
fn put_state(page: &Page<'_>, fields: &mut Fields) {
    let (supervisor, viewer) = (page.supervisor, page.viewer);
    let row = &supervisor.row;
    let pid = row
        .pid
        .map(|pid| format!(", pid {pid}"))
        .unwrap_or_default();
    let since = row
        .since
        .map(|at| format!(", since {} ({})", viewer.show(at), viewer.relative(at)))
        .unwrap_or_default();
    match supervisor.is_running {
        true if row.is_shadow => fields.put_styled(
            "supervisor",
            Style::Warn,
            Some(format!(
                "running as a shadow, nothing is started{pid}{since}"
            )),
        ),
        true => fields.put_styled(
            "supervisor",
            Style::Good,
            Some(format!("running{pid}{since}")),
        ),
        false => fields.put_styled(
            "supervisor",
            Style::Bad,
            Some("not running: nothing is started".to_owned()),
        ),
    }
}

/// Of many jobs those that need attention and those that are next, and how many are left out.
fn choose(views: Vec<JobView<'_>>) -> (Vec<JobView<'_>>, usize) {
    let all = views.len();
    if all <= JOBS_PLAIN {
        return (views, 0);
    }
    let (mut shown, mut rest): (Vec<_>, Vec<_>) = views.into_iter().partition(needs_attention);
    shown.truncate(JOBS_PLAIN);
    rest.retain(|view| view.next.is_some());
    rest.sort_by_key(|view| view.next.as_ref().map(|coming| coming.occurrence.at));
    shown.extend(rest.into_iter().take(JOBS_NEXT));
    shown.sort_by_key(|view| view.name);
    let left_out = all - shown.len();
    (shown, left_out)
}

fn needs_attention(view: &JobView<'_>) -> bool {
    view.row
        .is_some_and(|row| row.failed + row.running + row.retrying + row.queued > 0)
}

fn print_jobs(page: &Page<'_>, views: &[JobView<'_>], out: &mut Out) -> Result<(), Failure> {
    let mut table = Table::new(&[
        Column::flexible("JOB"),
        Column::left("NEXT"),
        Column::left("LAST"),
        Column::right("RUNNING"),
        Column::right("QUEUED"),
        Column::right("RETRYING"),
        Column::right("LATER"),
        Column::right("FAILED"),
        Column::flexible("NOTE"),
    ]);
    for view in views {
        let count = |counter: fn(&JobRow) -> i64| match view.row.map_or(0, counter) {
            0 => String::new(),
            count => count.to_string(),
        };
        table.push(vec![
            view.name.into(),
            next(page, view).into(),
            last(page, view)?,
            Cell::styled(Style::Bold, count(|row| row.running)),
            count(|row| row.queued).into(),
            Cell::styled(Style::Warn, count(|row| row.retrying)),
            count(|row| row.scheduled).into(),
            Cell::styled(Style::Bad, count(|row| row.failed)),
            Cell::styled(Style::Warn, note(page, view)),
        ]);
    }
    table.print(out)
}

/// When the job is next: `in 3h 12m`, or why no time can be said.
fn next(page: &Page<'_>, view: &JobView<'_>) -> String {
    let Some(job) = view.job.filter(|job| job.policy.enabled) else {
        return "-".to_owned();
    };
    let fires =
        |test: fn(&Schedule) -> bool| job.schedules.iter().any(|(_, schedule)| test(schedule));
    match &view.next {
        Some(coming) => page.viewer.relative(coming.due_at()),
        None if fires(|schedule| matches!(schedule, Schedule::Reboot)) => "at boot".to_owned(),
        None if fires(|schedule| matches!(schedule, Schedule::Every(_))) => {
            "once loaded".to_owned()
        }
        None => "-".to_owned(),
    }
}

/// What became of the last run, and when.
fn last(page: &Page<'_>, view: &JobView<'_>) -> Result<Cell, Failure> {
    let Some(run) = view.last(page.store)? else {
        return Ok("-".into());
    };
    let at = run.ended_at.or(run.started_at).unwrap_or(run.created_at);
    Ok(Cell::styled(
        style(&run),
        format!("{} {}", run.state, page.viewer.relative(at)),
    ))
}

/// What is not as usual with a job.
pub(crate) fn note(page: &Page<'_>, view: &JobView<'_>) -> String {
    match view.job {
        None => return "not in the jobfile".to_owned(),
        Some(job) if !job.policy.enabled => return "not enabled".to_owned(),
        Some(_) => {}
    }
    if !view.is_paused(page.viewer.now) {
        return String::new();
    }
    match view.row.and_then(|row| row.paused_until) {
        Some(until) => format!("paused, ends {}", page.viewer.relative(until)),
        None => "paused".to_owned(),
    }
}

/// What runs, waits and failed; asks for runs only where the counters say there are any.
fn print_runs(
    page: &Page<'_>,
    counts: &Counts,
    args: &cli::Status,
    out: &mut Out,
) -> Result<(), Failure> {
    let known = if page.supervisor.is_running {
        ""
    } else {
        " (last known)"
    };
    let lists = [
        (
            format!("running{known}"),
            vec![State::Running],
            counts.running,
        ),
        (
            "waiting".to_owned(),
            vec![State::Queued, State::Retrying, State::Scheduled],
            counts.waiting,
        ),
    ];
    for (title, states, count) in lists.into_iter().filter(|_| !args.failed) {
        // State by state: only within one of them the index has the runs in their order.
        let filters = states
            .into_iter()
            .map(|state| Filter {
                states: vec![state],
                ..Filter::default()
            })
            .collect();
        print_list(
            page,
            Section {
                title,
                filters,
                count,
            },
            out,
        )?;
    }
    let filters = vec![Filter {
        failed: true,
        ..Filter::default()
    }];
    print_list(
        page,
        Section {
            title: "failed".to_owned(),
            filters,
            count: counts.failed,
        },
        out,
    )
}

/// A list of runs on the page.
struct Section {
    title: String,
    filters: Vec<Filter>,
    count: i64,
}

fn print_list(page: &Page<'_>, section: Section, out: &mut Out) -> Result<(), Failure> {
    let Some(store) = page.store.filter(|_| section.count > 0) else {
        return Ok(());
    };
    let mut runs = Vec::new();
    for filter in &section.filters {
        runs.extend(store.runs(filter, Some(RUNS_MAX))?);
    }
    runs.sort_by_key(|run| std::cmp::Reverse(run.id));
    runs.truncate(RUNS_MAX as usize);
    if runs.is_empty() {
        return Ok(());
    }
    live::fill_in(page.state_dir, &mut runs);
    out.line("")?;
    let shown = i64::try_from(runs.len()).unwrap_or(i64::MAX);
    let newest = if section.count > shown {
        format!(" (the newest {shown})")
    } else {
        String::new()
    };
    let title = format!("{}: {}{newest}", section.title, section.count);
    out.line(out.styled(Style::Bold, &title))?;
    runs::print(&runs, page.viewer, out)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::jobs::tests::jobs;
    use crate::cmd::output::capture;
    use crate::cmd::status::tests::row;
    use crate::core::time::Wall;
    use crate::store::SupervisorRow;

    fn viewer() -> Viewer {
        Viewer {
            zone: crate::os::zone::load("UTC").unwrap(),
            now: Wall::from_secs(1_785_067_200),
        }
    }

    const ARGS: cli::Status = cli::Status {
        job: None,
        failed: false,
        all: false,
    };

    #[test]
    fn a_page_without_a_store_shows_the_jobs() {
        let jobs = jobs(
            "timezone = 'UTC'\n[jobs.backup]\nschedule = '30 2 * * *'\ncommand = 'true'\n[jobs.item]\ncommand = 'true'\n",
        );
        let supervisor = Supervisor {
            is_running: false,
            row: SupervisorRow {
                jobfile: Some("/j".into()),
                ..SupervisorRow::default()
            },
        };
        let viewer = viewer();
        let page = Page {
            state_dir: std::path::Path::new("/nowhere"),
            supervisor: &supervisor,
            jobs: &jobs,
            store: None,
            viewer: &viewer,
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
             JOB     NEXT        LAST\nbackup  in 14h 30m  -\nitem    -           -\n"
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
        let views = rows
            .iter()
            .map(|row| JobView {
                name: &row.name,
                job: None,
                row: Some(row),
                next: None,
                is_slow: false,
            })
            .collect();
        let (shown, left_out) = choose(views);
        assert_eq!(
            shown.iter().map(|view| view.name).collect::<Vec<_>>(),
            ["job150"]
        );
        assert_eq!(left_out, 199);
    }
}
