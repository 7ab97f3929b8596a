//! The exit codes (jobctl(1), "Exit status"), in one place.

/// The exit code of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Success.
    Done,
    /// The answer is no: the job failed, refused, nothing matched, the check found errors.
    No,
    /// Usage, or no jobfile.
    Usage,
    /// No such job or run.
    NotFound,
    /// Needs a running supervisor and there is none.
    NoSupervisor,
    /// Not now: backlog full, locked, another supervisor.
    NotNow,
    /// The system failed: disk, permission, damaged or newer store.
    System,
    /// `exec`: the exit code of the job's command.
    Command(u8),
}

impl Exit {
    /// The number.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::No => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::NoSupervisor => 4,
            Self::NotNow => 75,
            Self::System => 111,
            Self::Command(code) => code,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
