//! `jobctl report`: an HTML page about the jobs, the failures, the queue and the day.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli;
use crate::cmd::look::{runs, stats, status};
use crate::cmd::{Context, Exit, Failure, InFile, Out, Result, Toward};
use crate::facts::overview::{Overview, Sources};
use crate::facts::report::{Asked, Report};
use crate::os::{file, machine};
use crate::pages::{self, Frame};
use crate::store::Store;

/// Answers `jobctl report`.
pub(crate) fn answer(context: &Context, args: &cli::Report, out: &mut Out) -> Result<Exit> {
    let is_stream = args.html.as_os_str() == "-";
    if is_stream && out.is_json {
        return Err(Failure::usage("report: --json and --html - cannot be combined")
            .hint("name a file, or leave out --json"));
    }
    let path = std::path::absolute(&args.html).in_file(&args.html)?;
    if !is_stream && path.is_dir() {
        return Err(Failure::usage(format!("{}: is a directory", args.html.display()))
            .hint("name a file in it"));
    }
    let page = page(context, args)?;
    if is_stream {
        out.bytes(page.as_bytes())?;
        return Ok(Exit::Done);
    }
    write(&path, page.as_bytes()).in_file(&path)?;
    let (name, bytes) = (path.display().to_string(), page.len());
    context.tell(&json!({ "file": name, "bytes": bytes }), &format!("{name}: {bytes} bytes"), out)
}

/// Makes the page from one read of the store.
fn page(context: &Context, args: &cli::Report) -> Result<String> {
    let viewer = context.viewer();
    let since = viewer.parse(args.since.as_deref().unwrap_or(stats::SINCE), Toward::Past)?;
    let store = context.open_read()?;
    let store = store.as_ref();
    for name in &args.jobs {
        runs::check_job(context, store, name)?;
    }
    let moment = store.map(Store::moment).transpose()?;
    let overview = Overview::read(store, context.is_supervised()?)?;
    let jobs = &status::load_jobs(context, store, &overview.rows)?;
    let (state_dir, now) = (context.state_dir()?, context.now.wall);
    let from = Sources { overview: &overview, jobs, store, state_dir, now };
    let asked = Asked { jobs: &args.jobs, since: since.min(now), zone: &viewer.zone };
    let report = Report::gather(&from, &asked)?;
    drop(moment);
    let host = machine::host_name();
    let frame = Frame { host: &host, only: &args.jobs, viewer: &viewer };
    pages::report(&report, &frame)
        .map_err(|error| Failure::system(format!("the page cannot be made: {error}")))
}

/// Writes a file that is there as a whole or not at all. Where another kind of file has the name,
/// such as a pipe or `/dev/stdout`, it is written to as it is.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut path = path.to_owned();
    if let Ok(meta) = path.metadata() {
        // Opened as a redirection does it: what may not be written is not replaced, either, and the
        // kernel refuses links that others have laid in a directory like /tmp.
        let mut there = OpenOptions::new().write(true).open(&path)?;
        if !meta.is_file() {
            return there.write_all(bytes);
        }
        // The target of a link is replaced, not the link.
        path = std::fs::canonicalize(&path)?;
    }
    let draft = file::draft_of(&path);
    let written = write_draft(&draft, &path, bytes);
    if written.is_err() {
        // An incomplete file is useless.
        let _ = std::fs::remove_file(&draft);
    }
    written
}

fn write_draft(draft: &PathBuf, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).open(draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    file::rename_own(&file, draft, path)
}
