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

/// A line of a crontab that starts a command, and the job that was made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Imported {
    /// The name of the job.
    pub(crate) job: String,
    /// The crontab, as it is called in messages: a path, or `crontab of NAME`.
    pub(crate) file: String,
    /// The line in it, from 1.
    pub(crate) line: u32,
    /// Five fields or a macro, as they stand there.
    pub(crate) schedule: String,
    /// What `CRON_TZ` says at that line.
    pub(crate) zone: Option<String>,
    /// Whose rights the command has; none: the crontab's owner is the caller.
    pub(crate) user: Option<String>,
    /// The rest of the line as it stands there, `%` and all: what cron writes into its `CMD` lines.
    pub(crate) command: String,
    /// Who starts it.
    pub(crate) starter: Starter,
}

/// Who starts the command of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Starter {
    /// cron.
    Cron,
    /// anacron: its schedule is the one that was made for it.
    Anacron,
    /// Nothing: the line is commented out, and so its job is not enabled.
    Nothing,
}

/// What is to be imported.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// The crontabs, in the order of the jobfile.
    pub(crate) sources: Vec<Source>,
    /// Directories whose scripts become jobs.
    pub(crate) directories: Vec<Directory>,
    /// Whether there is an anacron, so that what asks for it does nothing.
    pub(crate) has_anacron: bool,
    /// Whether keys are written for what programs such as flock(1) and timeout(1) do in commands.
    pub(crate) is_modern: bool,
}

/// A crontab as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// What it is called in messages: a path, or `crontab of NAME`.
    pub(crate) file: String,
    /// Its content.
    pub(crate) bytes: Vec<u8>,
    /// How its lines are read.
    pub(crate) kind: Kind,
    /// How a line of it is switched off.
    pub(crate) off: Off,
}

/// How lines of a crontab are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The crontab of a user: of this one, or of the caller.
    User(Option<String>),
    /// Lines have a user column.
    System,
    /// anacrontab(5).
    Anacron,
}

/// How a line of a crontab is switched off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Off {
    /// With crontab(1) of the caller.
    Own,
    /// With crontab(1) for a user; `crontab -l` leaves out so many lines at the beginning.
    Of {
        /// The user.
        user: String,
        /// Lines of the file that `crontab -l` does not show.
        hidden: u32,
    },
    /// In the file of this path.
    File(String),
    /// It came from nobody knows where.
    Elsewhere,
}

impl Source {
    /// The shell command that switches off one of its lines; none if nobody knows where it came
    /// from.
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

/// What was made of crontabs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Import {
    /// The jobfile. It loads.
    pub(crate) text: String,
    /// Its jobs, in the order of files and lines.
    pub(crate) jobs: Vec<Imported>,
    /// Lines that cron starts and that do nothing: no job was made of them, and none is missing.
    pub(crate) idle: Vec<Imported>,
    /// Lines that no job was made of.
    pub(crate) unknown: Vec<Unknown>,
    /// What changes its meaning, and what else is worth a word.
    pub(crate) notes: Vec<Note>,
    /// Shell commands that switch the imported lines off.
    pub(crate) switch_off: Vec<String>,
}

/// A line that no job was made of.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Unknown {
    /// The crontab.
    pub(crate) file: String,
    /// The line in it, from 1.
    pub(crate) line: u32,
    /// The line; what is not UTF-8 in it is U+FFFD.
    pub(crate) text: String,
    /// Why.
    pub(crate) reason: String,
}

/// A word about an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// The crontab; empty if it is about all of them.
    pub(crate) file: String,
    /// The line it is about, if it is about one.
    pub(crate) line: Option<u32>,
    /// The word.
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

/// Answers why a text does not load as a jobfile; nothing if it does.
pub(crate) type Refusals<'a> = dyn Fn(&str) -> Vec<Refusal> + 'a;

/// What an import needs from outside.
#[derive(Clone, Copy)]
pub(crate) struct Tools<'a> {
    /// Loads a jobfile.
    pub(crate) refusals: &'a Refusals<'a>,
    /// Whether a time zone is known.
    pub(crate) is_zone: &'a dyn Fn(&str) -> bool,
    /// Resolves the links of an absolute path, as far as it exists.
    pub(crate) real_path: &'a dyn Fn(&str) -> String,
}
