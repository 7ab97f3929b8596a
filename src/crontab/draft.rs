//! What crontabs are read into and jobfiles are written from: jobs and comments, in their order.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Imported, Starter, Unknown};

/// What a command is.
#[derive(Clone, Debug)]
pub(super) enum Action {
    /// Text for a shell.
    Shell(String),
    /// A script of a directory, by its path.
    Script(String),
}

/// A job as far as it is made.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// Which of the crontabs it is from.
    pub(super) source: usize,
    /// The name it would like to have.
    pub(super) base: String,
    /// Its line.
    pub(super) line: String,
    /// Where it comes from, and its name.
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
    /// Whether it sends no mail of what it prints, although it has an address.
    pub(super) is_quiet: bool,
    /// `mail_from`.
    pub(super) mail_from: Option<String>,
    /// `jitter`.
    pub(super) jitter: Option<String>,
    /// Further keys, each with its value as it is written.
    pub(super) keys: Vec<(&'static str, String)>,
    /// What stands above it, besides the comments of the crontab.
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
    /// What stands above belongs to no job below.
    Break,
    /// A job.
    Job(Box<Draft>),
    /// A line that no job was made of.
    Kept(Unknown),
}
