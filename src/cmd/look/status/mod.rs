//! `jobctl status`: the supervisor, the jobs with their next and last run, and the running, waiting
//! and failed runs.

mod job;
mod keys;
mod page;
mod runs;
mod text;
mod watch;

use crate::cli;
use crate::cmd::{Context, Exit, Failure, Jobs, Out, Result};
use crate::core::time::Wall;
use crate::facts::overview::{Overview, Sources};
use crate::facts::status::{Extent, Status, Wanted};
use crate::store::{JobRow, Store};

/// Answers `jobctl status`.
pub(crate) fn answer(context: &Context, args: &cli::Status, out: &mut Out) -> Result<Exit> {
    if args.watch && context.global.quiet {
        return Err(Failure::usage("status: --watch and --quiet cannot be combined"));
    }
    if args.watch {
        return watch::watch(context, args);
    }
    let store = context.open_read()?;
    print_once(context, (args, &Part::default()), store.as_ref(), out)
}

/// The part of the page to show.
#[derive(Debug, Default)]
struct Part<'a> {
    /// The preferred number of lines.
    lines_max: Option<usize>,
    /// Jobs with this in their names.
    jobs: Option<&'a str>,
}

/// Prints the page as it is now.
fn print_once(
    context: &Context,
    (args, part): (&cli::Status, &Part<'_>),
    store: Option<&Store>,
    out: &mut Out,
) -> Result<Exit> {
    // Everything is read in one transaction, which ends before anything is printed, because the
    // reader of the output may be slow.
    let moment = store.map(Store::moment).transpose()?;
    let mut overview = Overview::read(store, context.is_supervised()?)?;
    if context.global.quiet {
        return Ok(quiet(args, &overview, context.now.wall));
    }
    if overview.supervisor.jobfile.is_none() {
        overview.supervisor.jobfile = Some(context.jobfile()?.display().to_string());
    }
    let jobs = &load_jobs(context, store, &overview.rows)?;
    let wanted = Wanted { part: part.jobs, ..wanted(args, out) };
    let (state_dir, now) = (context.state_dir()?, context.now.wall);
    let sources = Sources { overview: &overview, jobs, store, state_dir, now };
    let status = Status::gather(&sources, wanted)?;
    drop(moment);
    if let Some(name) = wanted.job.filter(|_| status.jobs.is_empty()) {
        return Err(jobs.no_such_job(name));
    }
    let page = page::Page {
        status: &status,
        viewer: &context.viewer(),
        jobctl: context.jobctl(),
        elsewhere: context.system_supervisor("status"),
        lines_max: part.lines_max.filter(|_| !args.all),
        is_failed_only: args.failed,
        is_filtered: part.jobs.is_some(),
    };
    out.answer(&status, |out| page.print(out))
}

fn wanted<'a>(args: &'a cli::Status, out: &Out) -> Wanted<'a> {
    let extent = match (out.is_json, args.all) {
        (true, _) => Extent::Contract,
        (false, true) => Extent::All,
        (false, false) => Extent::Page,
    };
    Wanted { job: args.job.as_deref(), part: None, failed: args.failed, extent }
}

/// Returns only the exit code; the worst state wins.
fn quiet(args: &cli::Status, overview: &Overview, now: Wall) -> Exit {
    match (overview.supervisor.running, overview.is_ill(args.job.as_deref(), now)) {
        (false, _) => Exit::NoSupervisor,
        (true, true) => Exit::No,
        (true, false) => Exit::Done,
    }
}

/// Loads the jobs; if the jobfile cannot be loaded, the store's facts are still shown.
pub(crate) fn load_jobs(context: &Context, store: Option<&Store>, rows: &[JobRow]) -> Result<Jobs> {
    match Jobs::load(context, store) {
        Ok(jobs) => Ok(jobs),
        Err(failure) if rows.is_empty() => Err(match context.system_supervisor("status") {
            Some(elsewhere) => failure.hint(elsewhere),
            None => failure,
        }),
        Err(failure) => {
            context.failure(failure).print();
            Ok(Jobs::none())
        }
    }
}
