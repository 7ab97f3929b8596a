//! The failure of a command: what is wrong, what the user can do about it, and the exit code.

use std::io::{self, ErrorKind};

pub(crate) use crate::core::reason::plain;

use crate::cmd::{Exit, said};
use crate::core::item::ItemError;
use crate::os::paths::NoHome;
use crate::store::StoreError;
use crate::verbs::batch::AddError;

/// An error for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Lower case, the object first, then the reason. Nothing is printed if it is empty.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// The exit code.
    pub(crate) code: Exit,
}

impl Failure {
    /// The answer is no.
    pub(crate) fn no(message: impl Into<String>) -> Self {
        Self::new(Exit::No, message)
    }

    /// The command was called the wrong way.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The job or run does not exist.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Exit::NotFound, message)
    }

    /// The command needs a supervisor, and none runs.
    pub(crate) fn no_supervisor(message: impl Into<String>) -> Self {
        Self::new(Exit::NoSupervisor, message).hint("start it with `jobctl run`")
    }

    /// It may work later.
    pub(crate) fn not_now(message: impl Into<String>) -> Self {
        Self::new(Exit::NotNow, message)
    }

    /// The system failed.
    pub(crate) fn system(message: impl Into<String>) -> Self {
        Self::new(Exit::System, message)
    }

    /// No run has this id.
    pub(crate) fn no_such_run(id: i64) -> Self {
        Self::not_found(format!("run {id}: no such run"))
            .hint("`jobctl runs` lists the newest ones")
    }

    /// Standard output could not be written. If its reader has gone away, nothing is printed.
    pub(crate) fn of_output(error: &io::Error) -> Self {
        if error.kind() == ErrorKind::BrokenPipe {
            return Self::new(Exit::Done, "");
        }
        Self::system(format!("standard output: {}", plain(error)))
    }

    /// Something could not be done with a file.
    pub(crate) fn of_file(path: &std::path::Path, error: &io::Error) -> Self {
        Self::system(format!("{}: {}", path.display(), plain(error)))
    }

    /// Adds a hint.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Adds how many runs were done before the failure.
    pub(crate) fn after(self, done: u32) -> Self {
        if done == 0 || self.message.is_empty() {
            return self;
        }
        let runs = crate::core::noun::count(done as usize, "run");
        Self { message: format!("{}; {runs} were done before that", self.message), ..self }
    }

    /// Prints the message and hint on standard error, if that is open.
    pub(crate) fn print(&self) {
        if self.message.is_empty() {
            return;
        }
        let hint = self.hint.iter().map(|hint| format!("hint: {hint}\n"));
        said::text(&format!("jobctl: {}\n{}", self.message, hint.collect::<String>()));
    }

    fn new(code: Exit, message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, code }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Missing(_) | StoreError::Exists(_) | StoreError::Itself(_) => Exit::No,
            StoreError::Locked(_) | StoreError::Unmigrated { .. } => Exit::NotNow,
            StoreError::Foreign(_)
            | StoreError::Newer { .. }
            | StoreError::Older(_)
            | StoreError::Damaged(..)
            | StoreError::Strange(..)
            | StoreError::Altered(..)
            | StoreError::Full(_)
            | StoreError::Limited(_)
            | StoreError::Network(_)
            | StoreError::Unreadable(..)
            | StoreError::Failed { .. } => Exit::System,
        };
        Self { message: error.to_string(), hint: error.hint().map(str::to_owned), code }
    }
}

impl From<AddError> for Failure {
    fn from(error: AddError) -> Self {
        match error {
            AddError::Store(error) => error.into(),
            AddError::Restored => Self::system(error.to_string()),
            AddError::Directory(error) => {
                Self::system(format!("state directory: {}", plain(&error)))
            }
        }
    }
}

impl From<ItemError> for Failure {
    fn from(error: ItemError) -> Self {
        let failure = Self::usage(error.to_string());
        match (&error, error.hint()) {
            (ItemError::KeyNeeds { .. }, _) => {
                failure.hint("give that argument, or a key with --key")
            }
            (_, Some(hint)) => failure.hint(hint),
            (_, None) => failure,
        }
    }
}

/// Context first, then the reason: `signals: too many open files`.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let words = error.chain().map(|cause| match cause.downcast_ref::<io::Error>() {
            Some(error) => plain(error),
            None => cause.to_string(),
        });
        Self::system(words.collect::<Vec<_>>().join(": "))
    }
}

/// Adds the file to an error.
pub(crate) trait InFile<T> {
    /// Turns an error into a failure that names the file.
    fn in_file(self, path: &std::path::Path) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> InFile<T> for Result<T, E> {
    fn in_file(self, path: &std::path::Path) -> Result<T, Failure> {
        self.map_err(|error| Failure::of_file(path, &error.into()))
    }
}

impl From<NoHome> for Failure {
    fn from(error: NoHome) -> Self {
        Self::system(error.to_string()).hint("set HOME, or give --jobfile and --state-dir")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let failure = Failure::of_output(&ErrorKind::BrokenPipe.into());
        assert_eq!((failure.message.as_str(), failure.code), ("", Exit::Done));
        let failure = Failure::of_output(&io::Error::from_raw_os_error(nix::libc::ENOSPC));
        assert_eq!(
            (failure.message.as_str(), failure.code),
            ("standard output: no space left on device", Exit::System)
        );
    }

    #[test]
    fn what_was_done_before_a_failure_is_told() {
        let failure = Failure::system("the disk is gone").after(6);
        assert_eq!(failure.message, "the disk is gone; 6 runs were done before that");
    }

    #[test]
    fn a_locked_store_is_not_now_and_a_damaged_one_is_the_system() {
        assert_eq!(Failure::from(StoreError::Locked("/x".into())).code, Exit::NotNow);
        assert_eq!(
            Failure::from(StoreError::Damaged("/x".into(), "page 3".into())).code,
            Exit::System
        );
    }
}
