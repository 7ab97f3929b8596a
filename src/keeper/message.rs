//! The messages between a supervisor and a keeper.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::order::Order;
use super::sweep::Witness;
use crate::os::{file, socket};

/// The maximum length of an order in a message; longer ones are passed as a file in memory.
const INLINE_MAX: usize = 60 * 1024;

/// First byte of a message: the order follows.
pub(super) const INLINE: u8 = 0;

/// First byte of a message: the order is in the last of its descriptors.
pub(super) const IN_MEMORY: u8 = 1;

/// First byte of a message: what a keeper left that was killed is to be ended. Who says so and the
/// state directory follow.
pub(super) const SWEEP: u8 = 2;

/// The end is written; the keeper is ready for the next order.
pub(super) const REUSABLE: u8 = b'E';

/// The end is written; the keeper takes no more orders and has let go of its slot.
pub(super) const RETIRED: u8 = b'R';

/// The maximum number of locks of an order.
pub(crate) const LOCKS_MAX: usize = 4;

/// What somebody who waits for an attempt lends to it: descriptors that go with its order.
#[derive(Debug, Default)]
pub(crate) struct Lent {
    /// Gets a copy of the output. Writing to it must not wait; the command is held up while it
    /// takes nothing.
    pub(crate) copy: Option<OwnedFd>,
    /// The command's standard input.
    pub(crate) input: Option<OwnedFd>,
}

/// Bits of the second byte of a message: what was lent.
const HAS_COPY: u8 = 1;
const HAS_INPUT: u8 = 2;

impl Lent {
    fn flags(&self) -> u8 {
        let copy = if self.copy.is_some() { HAS_COPY } else { 0 };
        let input = if self.input.is_some() { HAS_INPUT } else { 0 };
        copy | input
    }

    fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.copy.iter().chain(&self.input).map(AsFd::as_fd)
    }

    /// Takes the lent descriptors from the end of those of a message.
    pub(super) fn taken(flags: u8, descriptors: &mut Vec<OwnedFd>) -> Self {
        let mut take = |flag| (flags & flag != 0).then(|| descriptors.pop()).flatten();
        let input = take(HAS_INPUT);
        Self { copy: take(HAS_COPY), input }
    }
}

/// Sends an order without waiting, with copies of the locks that the keeper is to hold until the
/// attempt has ended; the caller closes its own, and what was lent.
///
/// # Panics
///
/// With more than [`LOCKS_MAX`] locks.
pub(crate) fn send_order(
    to: BorrowedFd<'_>,
    order: &Order,
    locks: &[BorrowedFd<'_>],
    lent: &Lent,
) -> io::Result<()> {
    assert!(locks.len() <= LOCKS_MAX, "an attempt holds its place and one lock");
    let bytes = order.encode();
    let mut descriptors: Vec<BorrowedFd<'_>> = locks.to_vec();
    descriptors.extend(lent.descriptors());
    if bytes.len() <= INLINE_MAX {
        return socket::send(to, &[&[INLINE, lent.flags()], &bytes], &descriptors);
    }
    let memory = file::sealed_memory(&bytes)?;
    descriptors.push(memory.as_fd());
    socket::send(to, &[&[IN_MEMORY, lent.flags()]], &descriptors)
}

/// Tells a new keeper of a slot to end what the one before it, which was killed, left of the
/// attempt that the record is about. It answers as at the end of an attempt.
pub(crate) fn send_sweep(to: BorrowedFd<'_>, state_dir: &Path, witness: Witness) -> io::Result<()> {
    let witness = match witness {
        Witness::Heard => 0,
        Witness::Saw => 1,
    };
    socket::send(to, &[&[SWEEP, witness], state_dir.as_os_str().as_bytes()], &[])
}

/// The messages of a keeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing yet.
    Nothing,
    /// The end of the attempt is in the record, its locks are free, and the keeper waits for the
    /// next order.
    Reusable,
    /// The same, but something of the attempt was left: the keeper takes no more orders. It holds
    /// neither record nor output any more and ends by itself when nobody holds the command's
    /// output.
    Retired,
    /// The keeper is gone, or says what no keeper says: the record and its lock tell the rest.
    Gone,
}

/// Takes a message of a keeper, without waiting.
pub(crate) fn hear(from: BorrowedFd<'_>) -> Heard {
    let mut byte = [0; 1];
    match socket::receive(from, &mut byte) {
        Ok(message) if message.len == 0 => Heard::Gone,
        Ok(_) => match byte {
            [REUSABLE] => Heard::Reusable,
            [RETIRED] => Heard::Retired,
            _ => Heard::Gone,
        },
        Err(error)
            if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) =>
        {
            Heard::Nothing
        }
        Err(_) => Heard::Gone,
    }
}
