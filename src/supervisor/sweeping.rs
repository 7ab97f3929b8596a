//! What a killed keeper left is ended by another keeper of its slot: looking for it may take
//! seconds, which are not the loop's.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::slot::{Slot, State};
use super::slots::Slots;
use super::spawner::{Report, SlotEnd};
use crate::core::time::Now;
use crate::keeper::{self, Witness};
use crate::os::process;

/// A keeper that ends what another one left gets so much time, and as often another one is started
/// in its place.
const SWEEP_MAX: Duration = Duration::from_secs(30);
const SWEEPS_MAX: u32 = 5;

impl Slots {
    /// Looks after what is left of attempts whose keepers were killed: a keeper of the slot ends
    /// it, for that may take seconds.
    pub(super) fn sweep(&mut self, now: Now, ends: &mut Vec<SlotEnd>) {
        let sweeping = self.slots.iter().filter(|(_, slot)| slot.is_sweeping());
        let sweeping: Vec<u32> = sweeping.map(|(number, _)| *number).collect();
        for number in sweeping {
            let is_without = self.slots[&number].keeper.is_none();
            let is_started = !is_without
                || !self.slots[&number].has_tries()
                || self.start_sweeper(number).is_ok();
            let Some(slot) = self.slots.get_mut(&number) else {
                continue;
            };
            if !is_started {
                // One that was started and not told does nothing; another one is tried at the next
                // look.
                slot.keeper = None;
            }
            ends.extend(slot.swept(now).map(|(run, claim)| SlotEnd {
                slot: number,
                run,
                claim,
                report: Report::Lost,
            }));
        }
    }

    fn start_sweeper(&mut self, slot: u32) -> io::Result<()> {
        let witness = self.slots[&slot].witness();
        self.start_keeper(slot)?;
        let keeper = self.slots[&slot].keeper.as_ref();
        let keeper = keeper.ok_or(io::ErrorKind::NotConnected)?;
        keeper::send_sweep(keeper.socket.as_fd(), &self.state_dir, witness)
    }
}

impl Slot {
    fn is_sweeping(&self) -> bool {
        matches!(self.state, State::Sweeping { .. })
    }

    /// Who says that the keeper before is dead.
    fn witness(&self) -> Witness {
        let State::Sweeping { witness, .. } = self.state else {
            return Witness::Heard;
        };
        witness
    }

    /// Whether another keeper may be started to end what is left.
    fn has_tries(&self) -> bool {
        matches!(self.state, State::Sweeping { tries, .. } if tries < SWEEPS_MAX)
    }

    /// The run and claim of which nothing is left any more, or nothing that could be ended.
    fn swept(&mut self, now: Now) -> Option<(i64, i64)> {
        let is_done = self.hear_sweeper();
        let has_sweeper = self.keeper.is_some();
        let State::Sweeping { run, claim, witness, tries, deadline } = &mut self.state else {
            return None;
        };
        let (run, claim, witness) = (*run, *claim, *witness);
        let deadline = *deadline.get_or_insert(now.mono + SWEEP_MAX);
        if !is_done && !has_sweeper {
            *tries += 1;
            if *tries <= SWEEPS_MAX {
                return None;
            }
            self.sweep_here(witness);
        } else if !is_done {
            if now.mono < deadline {
                return None;
            }
            if let Some(sweeper) = self.keeper.take() {
                let _ = process::pidfd_send_signal(sweeper.pidfd.as_fd(), Signal::SIGKILL);
            }
        }
        self.state = State::Ended;
        self.locks.clear();
        Some((run, claim))
    }
}
