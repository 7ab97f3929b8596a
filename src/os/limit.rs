//! Resource limits of a command, as setrlimit(2) has them.

use std::io;
use std::sync::OnceLock;

use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use crate::core::job::Limits;

/// What the limit of open files was before this process raised it for itself.
static OPEN_FILES: OnceLock<Limit> = OnceLock::new();

/// One limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limit {
    /// The number of setrlimit(2).
    pub(crate) resource: u32,
    /// What is enforced.
    pub(crate) soft: u64,
    /// How far the command itself may raise it.
    pub(crate) hard: u64,
}

impl Limit {
    /// What the limit is called in a jobfile.
    pub(crate) fn name(self) -> &'static str {
        match self.resource {
            libc::RLIMIT_CPU => "cpu_time",
            libc::RLIMIT_NOFILE => "open_files",
            libc::RLIMIT_NPROC => "processes",
            libc::RLIMIT_FSIZE => "file_size",
            libc::RLIMIT_AS => "address_space",
            _ => "limit",
        }
    }
}

/// Raises the soft limit of this process's open files to the hard one. What it starts has the
/// former one, unless its job says otherwise.
pub(crate) fn raise_open_files() -> io::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    OPEN_FILES.get_or_init(|| Limit { resource: libc::RLIMIT_NOFILE, soft, hard });
    Ok(())
}

/// The limits of a job. At the limit of CPU time the command gets XCPU, a second later KILL.
pub(crate) fn of_job(limits: &Limits) -> Vec<Limit> {
    let exactly = |resource, value: Option<u64>| {
        value.map(|value| Limit { resource, soft: value, hard: value })
    };
    let cpu = limits.cpu_time.map(|span| Limit {
        resource: libc::RLIMIT_CPU,
        soft: span.as_secs(),
        hard: span.as_secs().saturating_add(1),
    });
    [
        cpu,
        exactly(libc::RLIMIT_NOFILE, limits.open_files).or_else(|| OPEN_FILES.get().copied()),
        exactly(libc::RLIMIT_NPROC, limits.processes),
        exactly(libc::RLIMIT_FSIZE, limits.file_size),
        exactly(libc::RLIMIT_AS, limits.address_space),
    ]
    .into_iter()
    .flatten()
    .collect()
}
