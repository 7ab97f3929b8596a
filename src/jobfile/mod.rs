//! The jobfile: turns the text of TOML files into validated jobs (jobctl.toml(5)).
//!
//! Either every key of every file is valid, or all problems are reported together, each with its
//! place. Reads files, but no clock, zone or account: those come in as [`Environment`].

mod action;
mod assemble;
mod between;
mod compound;
mod door;
mod entry;
mod include;
pub(crate) mod keys;
mod problem;
mod scope;
mod spot;
mod text;
mod units;
mod value;
mod watched;

#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::core::job::{Job, Settings};
use problem::Findings;
pub(crate) use problem::{Place, Problem};
pub(crate) use spot::{Spot, places};
use text::{Document, ReadError, Text};
pub(crate) use units::parse_rate;
pub(crate) use watched::{Snapshot, WatchedPlace, watched_places};

/// A commented jobfile to start from, which loads unchanged.
pub(crate) const STARTER: &str = include_str!("starter.toml");

/// The text of a jobfile's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// The path, as given or found.
    pub(crate) path: PathBuf,
    /// The text, without a byte order mark.
    pub(crate) text: String,
}

/// Validated jobs and settings.
#[derive(Debug)]
pub(crate) struct Jobfile {
    /// The top-level keys.
    pub(crate) settings: Settings,
    /// The jobs, sorted by name.
    pub(crate) jobs: Vec<Job>,
    /// The main file, then the included ones; [`load_sources`] loads the same jobs from them.
    pub(crate) sources: Vec<Source>,
    /// The notes for `check`, in the order of files and lines.
    pub(crate) notes: Vec<Problem>,
}

/// Checks that a time zone is known; errs with what is wrong and the name that was probably meant.
pub(crate) type Zones<'a> = dyn Fn(&str) -> Result<(), (String, Option<String>)> + 'a;

/// Opens a file for reading, or a directory to search. Must not block on a FIFO. An error without a
/// system code is a matter of trust.
pub(crate) type Open<'a> = dyn Fn(&Path) -> io::Result<File> + 'a;

/// The environment for parsing.
#[derive(Clone, Copy)]
pub(crate) struct Environment<'a> {
    /// The seed of `H` if the jobfile has no `hash_seed`.
    pub(crate) machine_id: &'a str,
    /// The time zones of the system.
    pub(crate) zones: &'a Zones<'a>,
    /// Opens files.
    pub(crate) open: &'a Open<'a>,
}

/// Why a jobfile could not be loaded.
#[derive(Debug)]
pub(crate) enum LoadError {
    /// The file does not exist.
    Missing(PathBuf),
    /// The system could not read it.
    Unreadable(io::Error),
    /// It has problems, in the order of files and lines; never empty.
    Problems(Vec<Problem>),
    /// Users other than root can change it, through these files and directories; never empty.
    Untrusted(Vec<Problem>),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "{}: no such file", path.display()),
            Self::Unreadable(error) => write!(f, "the jobfile cannot be read: {error}"),
            Self::Problems(problems) | Self::Untrusted(problems) => {
                for (index, problem) in problems.iter().enumerate() {
                    let newline = if index == 0 { "" } else { "\n" };
                    write!(f, "{newline}{problem}")?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable(error) => Some(error),
            Self::Missing(_) | Self::Problems(_) | Self::Untrusted(_) => None,
        }
    }
}

/// Reads and validates a jobfile and its includes.
pub(crate) fn load(path: &Path, env: &Environment<'_>) -> Result<Jobfile, LoadError> {
    let main = Text::read(path, env.open).map_err(|error| match error {
        ReadError::Io(error) if error.kind() == io::ErrorKind::NotFound => {
            LoadError::Missing(path.to_owned())
        }
        // An error without a system code describes the file, for example that it is a directory.
        ReadError::Io(error) if error.raw_os_error().is_none() => {
            LoadError::Unreadable(io::Error::other(format!("{}: {error}", path.display())))
        }
        ReadError::Io(error) => LoadError::Unreadable(error),
        ReadError::Refused(problem) => LoadError::Problems(vec![problem]),
    })?;
    load_text(main, env).map_err(LoadError::Problems)
}

/// Validates `bytes` as if they were the file `path`, with its includes.
pub(crate) fn load_instead(
    path: &Path,
    bytes: Vec<u8>,
    env: &Environment<'_>,
) -> Result<Jobfile, Vec<Problem>> {
    let main = Text::from_bytes(path, bytes).map_err(|problem| vec![problem])?;
    load_text(main, env)
}

fn load_text(main: Text, env: &Environment<'_>) -> Result<Jobfile, Vec<Problem>> {
    let findings = Findings::default();
    let document = Document::parse(&main, &findings);
    let included = include::read_all(&document, env.open, &findings);
    let mut documents = vec![document];
    documents.extend(included.iter().map(|text| Document::parse(text, &findings)));
    let (settings, jobs) = assemble::assemble(&documents, env, &findings);
    drop(documents);
    let texts = std::iter::once(main).chain(included).collect();
    conclude(settings, jobs, texts, findings)
}

/// Validates files that were read earlier, without disk access; the first one is the main file.
pub(crate) fn load_sources(
    sources: &[Source],
    env: &Environment<'_>,
) -> Result<Jobfile, Vec<Problem>> {
    let findings = Findings::default();
    let texts = sources.iter().filter_map(|source| {
        Text::new(&source.path, &source.text).map_err(|problem| findings.problem(problem)).ok()
    });
    let texts: Vec<Text> = texts.collect();
    let documents: Vec<_> = texts.iter().map(|text| Document::parse(text, &findings)).collect();
    let (settings, jobs) = assemble::assemble(&documents, env, &findings);
    drop(documents);
    conclude(settings, jobs, texts, findings)
}

/// Makes the jobfile if there are no problems.
fn conclude(
    settings: Settings,
    jobs: Vec<Job>,
    texts: Vec<Text>,
    findings: Findings,
) -> Result<Jobfile, Vec<Problem>> {
    let files: Vec<_> = texts.iter().map(Text::path).collect();
    let notes = findings.into_notes(&files)?;
    let sources = texts.into_iter().map(Text::into_source).collect();
    Ok(Jobfile { settings, jobs, sources, notes })
}
