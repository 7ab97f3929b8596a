//! Crontabs: the meaning of their lines to cron, the import into equivalent jobs, and the export.
//!
//! Pure: turns text into text; `cmd` reads files and calls `crontab -l`. Depends only on `core`.

mod anacron;
pub(crate) mod compare;
mod convert;
mod draft;
mod env;
pub(crate) mod export;
mod fields;
mod line;
mod looks;
mod modern;
mod name;
mod notes;
mod parts;
mod percent;
pub(crate) mod prove;
mod reader;
pub(crate) mod records;
mod switch_off;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use convert::import;
pub(crate) use looks::{first_words, is_anacrontab};

/// A line of a crontab that starts a command, and its job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Imported {
    /// The name of the job.
    pub(crate) job: String,
    /// The name of the crontab in messages: a path, or `crontab of NAME`.
    pub(crate) file: String,
    /// The line number, from 1.
    pub(crate) line: u32,
    /// The five fields or the macro, as written.
    pub(crate) schedule: String,
    /// The value of `CRON_TZ` at that line.
    pub(crate) zone: Option<String>,
    /// The user of the command; `None` for the caller's crontab.
    pub(crate) user: Option<String>,
    /// The rest of the line as written, including `%`, like in cron's `CMD` records.
    pub(crate) command: String,
    /// What starts it.
    pub(crate) starter: Starter,
}

/// What starts the command of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Starter {
    /// cron.
    Cron,
    /// anacron; the schedule was made for the import.
    Anacron,
    /// Nothing: the line is commented out, so its job is disabled.
    Nothing,
}

/// The input of an import.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// The crontabs, in the order of the jobfile.
    pub(crate) sources: Vec<Source>,
    /// Directories whose scripts become jobs.
    pub(crate) directories: Vec<Directory>,
    /// Whether anacron is installed, so that lines that test for it do nothing.
    pub(crate) has_anacron: bool,
    /// Whether keys replace programs such as flock(1) and timeout(1) in commands.
    pub(crate) is_modern: bool,
}

/// The text of a crontab.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Its name in messages: a path, or `crontab of NAME`.
    pub(crate) file: String,
    /// Its content.
    pub(crate) bytes: Vec<u8>,
    /// The format of its lines.
    pub(crate) kind: Kind,
    /// How to disable a line of it.
    pub(crate) off: Off,
}

/// The format of a crontab's lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The crontab of this user, or of the caller.
    User(Option<String>),
    /// Lines have a user column.
    System,
    /// anacrontab(5).
    Anacron,
}

/// How to disable a line of a crontab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Off {
    /// With crontab(1) of the caller.
    Own,
    /// With crontab(1) for a user; `crontab -l` omits some lines at the beginning.
    Of {
        /// The user.
        user: String,
        /// The number of lines that `crontab -l` omits.
        hidden: u32,
    },
    /// In the file of this path.
    File(String),
    /// Unknown, because the origin of the text is unknown.
    Elsewhere,
}

impl Source {
    /// Returns the shell command that disables one of its lines; `None` if its origin is unknown.
    pub(crate) fn off_command(&self, line: u32) -> Option<String> {
        switch_off::command(&self.off, &std::collections::BTreeSet::from([line]))
    }
}

/// A directory that run-parts(8) runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directory {
    /// Its path.
    pub(crate) path: String,
    /// The names of the scripts that are run, in order.
    pub(crate) scripts: Vec<String>,
}

/// The result of an import.
#[derive(Clone, Debug, Default)]
pub(crate) struct Import {
    /// The jobfile, which loads.
    pub(crate) text: String,
    /// Its jobs, in the order of files and lines.
    pub(crate) jobs: Vec<Imported>,
    /// Lines that cron starts but that do nothing, and therefore need no job.
    pub(crate) idle: Vec<Imported>,
    /// Lines that became no job.
    pub(crate) unknown: Vec<Unknown>,
    /// Notes on changes of meaning and other remarks.
    pub(crate) notes: Vec<Note>,
    /// Shell commands that disable the imported lines.
    pub(crate) switch_off: Vec<String>,
}

/// A line that became no job.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Unknown {
    /// The crontab.
    pub(crate) file: String,
    /// The line number, from 1.
    pub(crate) line: u32,
    /// The line, with U+FFFD in place of invalid UTF-8.
    pub(crate) text: String,
    /// Why.
    pub(crate) reason: String,
}

/// A note of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// The crontab; empty if it is about all of them.
    pub(crate) file: String,
    /// The line, if the note is about one.
    pub(crate) line: Option<u32>,
    /// The text.
    pub(crate) text: String,
}

/// Why a text does not load as a jobfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The job it is about.
    pub(crate) job: Option<String>,
    /// What is wrong.
    pub(crate) reason: String,
}

/// Returns why a text does not load as a jobfile; empty if it does.
pub(crate) type Refusals<'a> = dyn Fn(&str) -> Vec<Refusal> + 'a;

/// The environment of an import.
#[derive(Clone, Copy)]
pub(crate) struct Tools<'a> {
    /// Loads a jobfile.
    pub(crate) refusals: &'a Refusals<'a>,
    /// Whether a time zone is known.
    pub(crate) is_zone: &'a dyn Fn(&str) -> bool,
    /// Resolves the links of an absolute path, as far as it exists.
    pub(crate) real_path: &'a dyn Fn(&str) -> String,
}
