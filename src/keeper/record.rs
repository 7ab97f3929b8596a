//! What a keeper records about its attempt: enough for a supervisor to finish the books without it.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::output::OutputLayout;
use crate::core::report::Report;
use crate::core::time::{Mono, Wall, as_ms};
use crate::os::process;

/// A process, identified uniquely within a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    /// Its number.
    pub(crate) pid: i32,
    /// Its start time in clock ticks since boot (field 22 of /proc/PID/stat).
    pub(crate) start_ticks: u64,
}

impl ProcessId {
    /// The process that has this number now. Errs with `NotFound` where there is none.
    pub(crate) fn of(pid: i32) -> io::Result<Self> {
        Ok(Self { pid, start_ticks: process::stat(pid)?.start_ticks })
    }

    /// Opens a handle of it. Errs with `NotFound` where its number is another one's by now: the
    /// handle is looked at, not the number.
    pub(crate) fn open(self) -> io::Result<OwnedFd> {
        let pidfd = process::pidfd_open(self.pid)?;
        if self.is_alive() { Ok(pidfd) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// Returns whether it still runs, on the boot on which it was seen.
    pub(crate) fn is_alive(self) -> bool {
        process::stat(self.pid)
            .is_ok_and(|stat| stat.start_ticks == self.start_ticks && !stat.is_dead())
    }
}

/// Who or what began the stop sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StopCause {
    /// The timeout of the order.
    Timeout,
    /// A TERM sent to the keeper.
    Signal,
}

/// How the main process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    /// By itself, with this code.
    Exited(u8),
    /// By this signal.
    Signaled(i32),
    /// It never ran.
    SpawnFailed {
        /// 127: no such program; 126: not executable; none: anything else.
        exit_code: Option<u8>,
        /// What could not be done and why, for people.
        error: String,
    },
}

/// The end of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ending {
    /// How the main process ended.
    pub(crate) end: End,
    /// Wall time of the end.
    #[serde(with = "as_ms")]
    pub(crate) ended_at: Wall,
    /// From start to end on the monotonic clock.
    pub(crate) duration: Duration,
    /// CPU time in user mode, of the main process and what it waited for (wait4(2)).
    pub(crate) user: Duration,
    /// CPU time in the kernel, likewise.
    pub(crate) system: Duration,
    /// Largest resident set, in KiB, likewise.
    pub(crate) max_rss_kib: u64,
    /// Processes that could not be killed or were left behind, for people.
    pub(crate) remark: Option<String>,
    /// The command's report.
    pub(crate) report: Report,
    /// What is in the spool, if there is one.
    pub(crate) spooled: Option<Spooled>,
}

/// Standard output that was kept whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spooled {
    /// Bytes in the file.
    pub(crate) bytes: u64,
    /// Why no runs can be made of it.
    pub(crate) failure: Option<String>,
}

/// The record of a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// /proc/sys/kernel/random/boot_id.
    pub(crate) boot_id: String,
    /// The keeper that wrote it.
    pub(crate) keeper: ProcessId,
    /// The run, attempt and claim of the order.
    pub(crate) run: i64,
    /// See [`super::order::Order::attempt`].
    pub(crate) attempt: u32,
    /// See [`super::order::Order::claim`].
    pub(crate) claim: i64,
    /// Written before the command exists.
    #[serde(with = "as_ms")]
    pub(crate) started_at: Wall,
    /// The same on the monotonic clock of `boot_id`.
    pub(crate) started_mono: Mono,
    /// The command's main process; none until it exists.
    pub(crate) command: Option<ProcessId>,
    /// The directory of the control group that its processes are in, if it has one.
    pub(crate) cgroup: Option<String>,
    /// Bytes of memory that these may have together.
    pub(crate) memory_max: Option<u64>,
    /// Why it was stopped, if it was.
    pub(crate) stopped: Option<StopCause>,
    /// How output is laid out.
    pub(crate) layout: OutputLayout,
    /// The job that is fed with the lines of standard output.
    pub(crate) feeds: Option<String>,
    /// The file in which the command reports.
    pub(crate) report: Option<String>,
    /// Bytes of output so far, kept or not. Not covered by the checksum: it moves while the command
    /// runs.
    #[serde(skip)]
    pub(crate) output_total: u64,
    /// The end; none while it works.
    pub(crate) ending: Option<Ending>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_another_start_is_another_process() {
        let me = ProcessId::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(me.is_alive());
        assert!(!ProcessId { start_ticks: me.start_ticks + 1, ..me }.is_alive());
    }

    #[test]
    fn a_handle_is_never_that_of_a_later_process_with_the_same_number() {
        let me = ProcessId::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(me.open().is_ok());
        let former = ProcessId { start_ticks: me.start_ticks - 1, ..me };
        assert_eq!(former.open().unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
