//! What a keeper has.

use std::io;
use std::os::fd::OwnedFd;

use super::output::Buffer;
use super::record::ProcessId;
use super::slot::Slot;
use crate::os::process;
use crate::os::signals::SignalQueue;
use crate::os::spawn::Spawner;

/// What a keeper has, whatever it works on.
#[derive(Debug)]
pub(super) struct Tools {
    /// Who it is.
    pub(super) identity: Identity,
    /// The record and the output file of its slot.
    pub(super) slot: Slot,
    /// CHLD, TERM and USR1.
    pub(super) signals: SignalQueue,
    /// `/dev/null`.
    pub(super) null: OwnedFd,
    /// Starts commands.
    pub(super) spawner: Spawner,
    /// For output, and for orders in between.
    pub(super) buffer: Buffer,
}

/// Who a keeper is.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    /// Its process.
    pub(super) process: ProcessId,
    /// The boot it belongs to.
    pub(super) boot_id: String,
}

impl Identity {
    /// This process; errs where /proc cannot be read.
    pub(super) fn of_this_process() -> io::Result<Self> {
        let pid = nix::unistd::getpid().as_raw();
        Ok(Self { process: ProcessId::of(pid)?, boot_id: process::boot_id()? })
    }
}
