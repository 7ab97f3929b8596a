//! The intermediate form between crontabs and jobfiles: jobs and comments in their order.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Imported, Starter, Unknown};

/// The kind of a command.
#[derive(Clone, Debug)]
pub(super) enum Action {
    /// Text for a shell.
    Shell(String),
    /// A script of a directory, by its path.
    Script(String),
}

/// A job while it is being made.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// The index of its crontab.
    pub(super) source: usize,
    /// Its preferred name.
    pub(super) base: String,
    /// Its line.
    pub(super) line: String,
    /// The crontab and its name.
    pub(super) imported: Imported,
    /// `schedule`.
    pub(super) schedule: String,
    /// `command`.
    pub(super) action: Action,
    /// `stdin`.
    pub(super) stdin: String,
    /// `env`.
    pub(super) env: Rc<BTreeMap<String, String>>,
    /// The program of `shell`.
    pub(super) shell: String,
    /// `cwd`.
    pub(super) cwd: Option<String>,
    /// `mailto`.
    pub(super) mailto: Option<String>,
    /// Whether it does not mail its output although it has an address.
    pub(super) is_quiet: bool,
    /// `mail_from`.
    pub(super) mail_from: Option<String>,
    /// `jitter`.
    pub(super) jitter: Option<String>,
    /// Other keys, each with the text of its value.
    pub(super) keys: Vec<(&'static str, String)>,
    /// The remarks above it, besides the crontab's comments.
    pub(super) remarks: Vec<String>,
}

impl Draft {
    /// Whether its line is commented out.
    pub(super) fn is_off(&self) -> bool {
        self.imported.starter == Starter::Nothing
    }
}

/// A piece of the jobfile, in the order of the crontabs.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// A comment, with its `#`.
    Comment(String),
    /// The end of comments that belong to no job.
    Break,
    /// A job.
    Job(Box<Draft>),
    /// A line that became no job.
    Kept(Unknown),
}
