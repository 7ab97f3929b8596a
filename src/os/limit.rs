//! Resource limits of a command, as setrlimit(2) has them.

use std::io;
use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use crate::core::job::Limits;

/// What the limit of open files was before this process raised it for itself.
static FORMER_OPEN_FILES: OnceLock<Limit> = OnceLock::new();

// Their type is another in each C library.
const CPU_TIME: u32 = Resource::RLIMIT_CPU as u32;
const OPEN_FILES: u32 = Resource::RLIMIT_NOFILE as u32;
const PROCESSES: u32 = Resource::RLIMIT_NPROC as u32;
const FILE_SIZE: u32 = Resource::RLIMIT_FSIZE as u32;
const ADDRESS_SPACE: u32 = Resource::RLIMIT_AS as u32;

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
            CPU_TIME => "cpu_time",
            OPEN_FILES => "open_files",
            PROCESSES => "processes",
            FILE_SIZE => "file_size",
            ADDRESS_SPACE => "address_space",
            _ => "limit",
        }
    }
}

/// Raises the soft limit of this process's open files to the hard one. What it starts has the
/// former one, unless its job says otherwise.
pub(crate) fn raise_open_files() -> io::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    FORMER_OPEN_FILES.get_or_init(|| Limit { resource: OPEN_FILES, soft, hard });
    Ok(())
}

/// The limits of a job. At the limit of CPU time the command gets XCPU, a second later KILL.
pub(crate) fn of_job(limits: &Limits) -> Vec<Limit> {
    let exactly = |resource, value: Option<u64>| {
        value.map(|value| Limit { resource, soft: value, hard: value })
    };
    let cpu = limits.cpu_time.map(|span| Limit {
        resource: CPU_TIME,
        soft: span.as_secs(),
        hard: span.as_secs().saturating_add(1),
    });
    [
        cpu,
        exactly(OPEN_FILES, limits.open_files).or_else(|| FORMER_OPEN_FILES.get().copied()),
        exactly(PROCESSES, limits.processes),
        exactly(FILE_SIZE, limits.file_size),
        exactly(ADDRESS_SPACE, limits.address_space),
    ]
    .into_iter()
    .flatten()
    .collect()
}
