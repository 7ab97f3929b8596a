//! Crontabs: what their lines mean to cron, the jobs that mean the same, and the way back.
//!
//! Pure: texts come in and go out as text; who reads files and asks `crontab -l` is `cmd`. Knows `core` only.

pub(crate) mod compare;
pub(crate) mod export;
pub(crate) mod prove;
pub(crate) mod records;

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
}
