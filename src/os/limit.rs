//! Resource limits of a command, as setrlimit(2) has them.

use nix::libc;

use crate::core::job::Limits;

/// One limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// The limits of a job. At the limit of CPU time the command gets XCPU, a second later KILL.
pub(crate) fn of_job(limits: &Limits) -> Vec<Limit> {
    let exactly = |resource, value: Option<u64>| {
        value.map(|value| Limit {
            resource,
            soft: value,
            hard: value,
        })
    };
    let cpu = limits.cpu_time.map(|span| Limit {
        resource: libc::RLIMIT_CPU,
        soft: span.as_secs(),
        hard: span.as_secs().saturating_add(1),
    });
    [
        cpu,
        exactly(libc::RLIMIT_NOFILE, limits.open_files),
        exactly(libc::RLIMIT_NPROC, limits.processes),
        exactly(libc::RLIMIT_FSIZE, limits.file_size),
        exactly(libc::RLIMIT_AS, limits.address_space),
    ]
    .into_iter()
    .flatten()
    .collect()
}
