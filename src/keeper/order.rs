//! What a keeper is told to do: one attempt, as data, with the locks it holds meanwhile as passed descriptors.

use std::time::Duration;

use crate::core::job::Leftovers;

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// The run's id.
    pub(crate) run: i64,
    /// The attempt's number in the run, from 1.
    pub(crate) attempt: u32,
    /// The claim's own number, never used again: what is started for it is told apart from anything else.
    pub(crate) claim: i64,
    /// The program: a path, or a name to be looked up in the `PATH` of `env`.
    pub(crate) program: Vec<u8>,
    /// Its arguments, the zeroth included.
    pub(crate) argv: Vec<Vec<u8>>,
    /// The whole environment as `NAME=value`.
    pub(crate) env: Vec<Vec<u8>>,
    /// Working directory.
    pub(crate) cwd: Vec<u8>,
    /// File mode creation mask.
    pub(crate) umask: u32,
    /// Added to the keeper's nice value.
    pub(crate) nice: i32,
    /// Standard input; empty is `/dev/null`.
    pub(crate) stdin: Vec<u8>,
    /// On the monotonic clock, from the start.
    pub(crate) timeout: Option<Duration>,
    /// First signal of the stop sequence.
    pub(crate) stop_signal: i32,
    /// From that signal to KILL.
    pub(crate) stop_grace: Duration,
    /// What becomes of processes left running.
    pub(crate) leftovers: Leftovers,
    /// Bytes of output kept: the first half from the beginning, the rest from the end.
    pub(crate) output_max: u64,
}
