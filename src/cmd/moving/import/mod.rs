//! `jobctl import`: converts crontabs into an equivalent jobfile. The jobfile goes to standard
//! output, all messages to standard error.

mod compare;
mod gather;
mod owner;
mod prove;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cli;
use crate::cmd::Result;
use crate::cmd::context::Context;
use crate::cmd::exit::Exit;
use crate::cmd::failure::Failure;
use crate::cmd::output::Out;
use crate::cmd::said;
use crate::core::job::CommandLine;
use crate::core::noun::count;
use crate::crontab::{self, Import, Imported, Note, Refusal, Request, Starter, Tools, Unknown};
use crate::facts::doctor::CronLine;
use crate::facts::jobs::{Jobs, with_environment};
use crate::jobfile;
use crate::os::zone;

/// The maximum number of characters of a crontab line in messages.
const SHOWN_MAX: usize = 160;

/// Answers `jobctl import`.
pub(crate) fn answer(context: &Context, args: &cli::Import, out: &mut Out) -> Result<Exit> {
    let wish = Wish::of(args)?;
    let import = read(args, wish.file)?;
    if let Some(log) = wish.log {
        say(&import, context.global.quiet);
        let lines = compare::Lines { with_jobs: &lines_of_cron(&import.jobs), idle: &import.idle };
        return compare::answer(context, lines, &Jobs::of_text(&import.text)?, log, out);
    }
    let proof = match wish.days {
        Some(days) => Some(prove::proof(context, &import, days)?),
        None => None,
    };
    out.answer(&json(&import, proof.as_ref()), |out| print(context, &import, proof.as_ref(), out))?;
    let is_all_lost = import.jobs.is_empty() && !import.unknown.is_empty();
    let is_wrong = proof.is_some_and(|proof| !proof.is_equal);
    Ok(if is_all_lost || is_wrong { Exit::No } else { Exit::Done })
}

/// The requested actions besides writing a jobfile.
struct Wish<'a> {
    file: Option<&'a Path>,
    days: Option<u32>,
    log: Option<compare::Log<'a>>,
}

impl<'a> Wish<'a> {
    fn of(args: &'a cli::Import) -> Result<Self> {
        let log = args.compare.as_ref().map(|path| match path {
            Some(path) => compare::Log::File(path),
            None => compare::Log::Journal,
        });
        let mut wish = Self { file: args.file.as_deref(), days: None, log };
        let standard_input = Path::new("-");
        if wish.file == Some(standard_input) && wish.log == Some(compare::Log::File(standard_input))
        {
            return Err(Failure::usage("standard input cannot be both the crontab and the log"));
        }
        let Some(word) = args.prove.as_deref() else {
            return Ok(wish);
        };
        // `--prove FILE` means the default number of days.
        let is_free = wish.file.is_none() && !args.all_users && !args.system;
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
        if word.is_empty() {
            wish.days = Some(prove::DAYS_DEFAULT);
        } else if is_free && !is_number {
            wish.file = Some(Path::new(word));
            wish.days = Some(prove::DAYS_DEFAULT);
        } else {
            wish.days = Some(prove::parse_days(word)?);
        }
        Ok(wish)
    }
}

/// Returns the lines that cron starts, each once: the scripts of a directory share a line.
fn lines_of_cron(jobs: &[Imported]) -> Vec<Imported> {
    let mut lines: Vec<Imported> = Vec::new();
    for job in jobs.iter().filter(|job| job.starter == Starter::Cron) {
        let is_same = |line: &Imported| (&line.file, line.line) == (&job.file, job.line);
        if !lines.last().is_some_and(is_same) {
            lines.push(job.clone());
        }
    }
    lines
}

/// Prints the jobfile, then the messages; the jobfile also mentions the proof.
fn print(
    context: &Context,
    import: &Import,
    proof: Option<&prove::Told>,
    out: &mut Out,
) -> Result<()> {
    out.text(&import.text)?;
    for line in proof.iter().flat_map(|proof| &proof.lines) {
        out.text(&format!("# {line}\n"))?;
    }
    // On a terminal the messages should follow the jobfile.
    out.flush()?;
    say(import, context.global.quiet);
    if let Some(proof) = proof {
        said::lines(&proof.lines);
    }
    Ok(())
}

/// Imports the crontabs that the arguments name.
fn read(args: &cli::Import, file: Option<&Path>) -> Result<Import> {
    let (request, notes) = gather::request(args, file)?;
    let mut import = convert(&request);
    import.notes.extend(notes);
    Ok(import)
}

/// Imports what cron starts: for root, of all users and the system; otherwise of the caller. Skips
/// unreadable crontabs.
pub(crate) fn lines_of_crontabs(is_root: bool) -> Vec<CronLine> {
    let args = cli::Import { all_users: is_root, system: is_root, ..cli::Import::default() };
    let Ok((request, _)) = gather::request(&args, None) else {
        return Vec::new();
    };
    let import = convert(&request);
    let Ok(jobs) = Jobs::of_text(&import.text) else {
        return Vec::new();
    };
    let command = |name: &str| match &jobs.get(name)?.command {
        CommandLine::Shell(text) => Some(text.to_string()),
        CommandLine::Exec(words) => Some(words.join(" ")),
    };
    let off = |file: &str, line| {
        let source = request.sources.iter().find(|source| source.file == file);
        source.and_then(|source| source.off_command(line))
    };
    let started = import.jobs.iter().filter(|job| job.starter == Starter::Cron);
    started
        .filter_map(|job| {
            Some(CronLine {
                file: job.file.clone(),
                line: job.line,
                command: command(&job.job)?,
                off: off(&job.file, job.line),
            })
        })
        .collect()
}

fn convert(request: &Request) -> Import {
    let is_zone = |name: &str| zone::load(name).is_ok();
    let tools = Tools { refusals: &refusals, is_zone: &is_zone, real_path: &real_path };
    crontab::import(request, tools)
}

/// Resolves the links of a path, as far as it exists.
fn real_path(path: &str) -> String {
    let path = Path::new(path);
    let real = path.ancestors().find_map(|parent| {
        let rest = path.strip_prefix(parent).ok()?;
        Some(parent.canonicalize().ok()?.components().chain(rest.components()).collect())
    });
    real.unwrap_or_else(|| path.to_owned()).to_string_lossy().into_owned()
}

/// Returns why a text does not load as a jobfile.
fn refusals(text: &str) -> Vec<Refusal> {
    let source = jobfile::Source { path: PathBuf::from("jobs.toml"), text: text.to_owned() };
    let loaded = with_environment(|env| jobfile::load_sources(&[source], env));
    let problems = loaded.err().unwrap_or_default().into_iter();
    problems.map(|problem| Refusal { job: problem.job, reason: problem.message }).collect()
}

fn json(import: &Import, proof: Option<&prove::Told>) -> Value {
    let jobs = import
        .jobs
        .iter()
        .map(|job| json!({ "name": job.job, "file": job.file, "line": job.line, "enabled": job.starter != Starter::Nothing }));
    let changed = import
        .notes
        .iter()
        .map(|note| json!({ "file": Some(&note.file).filter(|file| !file.is_empty()), "line": note.line, "text": note.text }));
    json!({
        "jobfile": import.text,
        "jobs": jobs.collect::<Value>(),
        "unknown": import.unknown,
        "changed": changed.collect::<Value>(),
        "switch_off": import.switch_off,
        "proof": proof.map(|proof| &proof.json),
    })
}

/// Prints the notes of an import on standard error.
fn say(import: &Import, is_quiet: bool) {
    let mut text = Vec::new();
    text.extend(import.unknown.iter().map(unknown_line));
    if !is_quiet {
        text.extend(import.notes.iter().map(note_line));
        text.push(summary(import));
        text.extend(import.switch_off.iter().map(|command| format!("  {command}")));
    }
    said::lines(&text);
}

fn unknown_line(unknown: &Unknown) -> String {
    let Unknown { file, line, text, reason } = unknown;
    let shown: String = text.chars().take(SHOWN_MAX).collect();
    let more = if shown.len() < text.len() { "..." } else { "" };
    format!("{file}:{line}: not imported: {reason}\n    {}{more}", shown.trim())
}

fn note_line(note: &Note) -> String {
    if note.file.is_empty() {
        return format!("jobctl: {}", note.text);
    }
    match note.line {
        Some(line) => format!("{}:{line}: {}", note.file, note.text),
        None => format!("{}: {}", note.file, note.text),
    }
}

fn summary(import: &Import) -> String {
    let jobs = match import.jobs.len() {
        0 if import.unknown.is_empty() => {
            return "jobctl: nothing to import; the jobfile has no jobs".to_owned();
        }
        0 => "no job".to_owned(),
        jobs => count(jobs, "job"),
    };
    let off = import.jobs.iter().filter(|job| job.starter == Starter::Nothing).count();
    let off = match off {
        0 => String::new(),
        off => format!(" ({off} of them commented out in cron: `enabled = false`)"),
    };
    let lost = match import.unknown.len() {
        0 => String::new(),
        1 => ", 1 line is kept as a comment".to_owned(),
        count => format!(", {count} lines are kept as comments"),
    };
    let next = if import.switch_off.is_empty() {
        ""
    } else {
        "\njobctl: once `jobctl check` passes and `jobctl run` is running, disable the \
             imported lines in cron:"
    };
    format!("jobctl: {jobs}{off}{lost}{next}")
}
