//! The exit codes (spec.md section 10), in one place.

/// What a command says to the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// The answer is no: the job failed, refused, nothing matched, the check found errors.
    No = 1,
    /// Usage, or no jobfile.
    Usage = 2,
    /// No such job or run.
    NotFound = 3,
    /// Needs a running supervisor and there is none.
    NoSupervisor = 4,
    /// Not now: backlog full, locked, another supervisor.
    NotNow = 75,
    /// The system failed: disk, permission, damaged or newer store.
    System = 111,
}

impl Exit {
    /// The number.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
