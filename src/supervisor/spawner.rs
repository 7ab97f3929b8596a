//! The border between the supervisor's decisions and the processes that carry them out.
//!
//! One trait with two sides: `slots::Slots` (real keepers), and in tests a script with invented
//! ends.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use crate::core::output::OutputLayout;
use crate::core::run::Outcome;
use crate::core::time::Now;
use crate::keeper::order::Order;
use crate::keeper::record::Record;
use crate::store::Output;

/// Starts attempts and tells of their ends.
pub(crate) trait Spawner {
    /// A slot that no attempt uses. Errs where the slot's files cannot be made.
    fn free_slot(&mut self) -> io::Result<u32>;

    /// The directory of the control group for the attempts of this slot; none: no group is
    /// delegated to this process.
    fn cgroup_of(&self, _slot: u32) -> Option<String> {
        None
    }

    /// The file in which the standard output of a finder in this slot is kept whole.
    fn spool_path(&self, _slot: u32) -> Option<PathBuf> {
        None
    }

    /// Opens that file for reading.
    fn spool(&self, _slot: u32) -> io::Result<File> {
        Err(io::ErrorKind::NotFound.into())
    }

    /// Starts an attempt that was claimed for this slot; from now on the keeper holds the locks.
    fn start(&mut self, slot: u32, order: &Order, locks: Vec<File>) -> io::Result<()>;

    /// The slot is not used for what it was given out for.
    fn give_back(&mut self, slot: u32);

    /// The attempts that have ended since the last call.
    fn ended(&mut self, now: Now) -> Vec<SlotEnd>;

    /// What is kept of the output of an attempt that has ended.
    fn output(&mut self, end: &SlotEnd) -> io::Result<Kept>;

    /// Gives up the room of output that nobody will ask for any more: that of slots in which no
    /// attempt is under way.
    fn drop_output(&mut self);

    /// The end of the slot's attempt is in the store: the slot is free.
    fn release(&mut self, slot: u32, now: Now);

    /// Stops the attempt of a slot.
    fn stop(&mut self, slot: u32, stop: Stop);

    /// Lets the keeper of a slot go on that somebody has stopped (CONT).
    fn wake(&mut self, slot: u32) -> Sent;

    /// Kills the keeper of a slot. The end of its attempt is told when what it left is dead.
    fn kill_keeper(&mut self, slot: u32) -> Sent;

    /// Whether the record of an attempt says that its command was started.
    fn is_started(&self, slot: u32, run: i64, claim: i64) -> bool;

    /// Looks for the attempt of a claim that a former supervisor made.
    fn adopt(&mut self, slot: u32, run: i64, claim: i64) -> Adopted;

    /// Does not give out these slots: another process has written down that it uses them.
    fn set_aside(&mut self, _slots: BTreeSet<u32>) {}

    /// Takes the slot of an attempt that another process looked after, once neither that process
    /// nor its keeper lives. None: one does.
    fn take_over(&mut self, _slot: u32, _run: i64, _claim: i64) -> Option<Adopted> {
        None
    }
}

/// The way in which an attempt is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// By the stop sequence of its job.
    Gently,
    /// By KILL.
    AtOnce,
}

/// The result of sending a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The keeper has it.
    Sent,
    /// The keeper cannot be reached yet, or not any more.
    Unsent,
}

/// An attempt that has ended.
#[derive(Clone, Debug)]
pub(crate) struct SlotEnd {
    /// Its slot.
    pub(crate) slot: u32,
    /// Its run.
    pub(crate) run: i64,
    /// The claim it was started under.
    pub(crate) claim: i64,
    /// What is known of it.
    pub(crate) report: Report,
}

/// The report on an attempt that has ended.
#[derive(Clone, Debug)]
pub(crate) enum Report {
    /// The keeper's record.
    Ended(Box<Record>),
    /// The keeper is gone and left no word of the end.
    Lost,
    /// No process was ever started for the claim.
    NeverStarted,
    /// The supervisor itself could not make an order of it.
    Refused(Outcome),
}

/// The result of adopting an attempt of a former supervisor.
#[derive(Clone, Debug)]
pub(crate) enum Adopted {
    /// Its keeper works on it; its end will be told.
    Working,
    /// Its keeper is dead, and what it left is being ended; its end will be told.
    Ending,
    /// It has ended.
    Ended(Report),
}

/// Output of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// There was none.
    Nothing,
    /// Small enough for the store.
    Inline(Output),
    /// Moved to the file of its own that `Store::output_file` names.
    File {
        /// Bytes that were written.
        total: u64,
        /// Where what is kept of them stands in the file.
        layout: OutputLayout,
    },
}
