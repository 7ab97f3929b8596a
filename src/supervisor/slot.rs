//! One slot: what its keeper says, what its record says of an attempt, and whether its keeper is
//! let go.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::spawner::{Kept, Report, Sent};
use crate::core::time::{Mono, Now};
use crate::keeper::format::RECORD_MAX;
use crate::keeper::record::{ProcessId, Record};
use crate::keeper::{self, Heard, Witness};
use crate::os::lock::{Kind, try_lock_inside};
use crate::os::{file, process};

/// A keeper that had nothing to do for this long is let go.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(3);

/// The verdict of an attempt's record when no keeper works on it any more.
pub(super) enum Judgement {
    /// All that will ever be known of it.
    Known(Report),
    /// Its keeper was killed: what is left of it has to be ended before the run can be tried again.
    Left(Witness),
}

/// A record that is there and cannot be read or believed.
struct Unreadable;

/// A slot: its files, its keeper and what it is used for.
#[derive(Debug)]
pub(super) struct Slot {
    /// What commands were told as `JOBCTL_STATE_DIR`.
    pub(super) state_dir: Rc<Path>,
    pub(super) record: File,
    pub(super) output: File,
    pub(super) keeper: Option<Keeper>,
    pub(super) state: State,
    /// A signal for a former supervisor's keeper whose process is not known yet.
    pub(super) wanted: Option<Signal>,
    /// Whether this process holds the record's lock; false while a former supervisor's keeper does.
    pub(super) is_ours: bool,
    /// Its keeper was sent a signal, which may reach it after the attempt it was meant for: it is
    /// not used again.
    pub(super) is_signalled: bool,
    /// Copies of the locks of its attempt. If the keeper is killed they stay until what it left is
    /// dead; else it has ended them for every copy before it says so.
    pub(super) locks: Vec<File>,
    /// The output was moved to a file of its own: the slot needs a new one before it is used again.
    pub(super) moved: Option<Kept>,
}

/// A keeper of this process.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) socket: OwnedFd,
    /// Opened before the process can be waited for, so that it can never mean another one.
    pub(super) pidfd: OwnedFd,
}

/// The use of a slot.
#[derive(Debug)]
pub(super) enum State {
    Free {
        since: Option<Mono>,
    },
    Given,
    Working {
        run: i64,
        claim: i64,
    },
    Adopted {
        run: i64,
        claim: i64,
        pidfd: Option<OwnedFd>,
    },
    /// What a keeper left that was killed is being ended by another keeper; none: it could not be
    /// started.
    Sweeping {
        run: i64,
        claim: i64,
        witness: Witness,
        tries: u32,
        deadline: Option<Mono>,
    },
    Ended,
}

impl Slot {
    /// The record as it stands; none if no attempt was ever started in this slot. Errs where it
    /// cannot be read or believed.
    fn read_record(&self) -> Result<Option<Record>, Unreadable> {
        let bytes = file::read_at(self.record.as_fd(), 0, RECORD_MAX).map_err(|_| Unreadable)?;
        Record::decode(&bytes).map_err(|_| Unreadable)
    }

    /// What the record says of a claim when no keeper works on it any more. What cannot be read is
    /// lost: it may have run.
    pub(super) fn judge(&self, run: i64, claim: i64, witness: Witness) -> Judgement {
        Judgement::Known(match self.read_record() {
            Ok(Some(record)) if (record.run, record.claim) != (run, claim) => Report::NeverStarted,
            Ok(Some(record)) if record.ending.is_some() => Report::Ended(Box::new(record)),
            Ok(Some(_)) => return Judgement::Left(witness),
            Ok(None) => Report::NeverStarted,
            Err(Unreadable) => Report::Lost,
        })
    }

    /// Returns whether the record says that the command of this claim was started, or has ended.
    /// What cannot be read may say so.
    pub(super) fn is_started(&self, run: i64, claim: i64) -> bool {
        match self.read_record() {
            Ok(Some(record)) => {
                let is_its_own = (record.run, record.claim) == (run, claim);
                is_its_own && (record.command.is_some() || record.ending.is_some())
            }
            Ok(None) => false,
            Err(Unreadable) => true,
        }
    }

    /// Ends what a killed keeper left, where no keeper can be started to do that. What has ended
    /// may have left what it likes.
    pub(super) fn sweep_here(&self, witness: Witness) {
        if let Ok(Some(record)) = self.read_record()
            && record.ending.is_none()
        {
            // What cannot be told or may not be signalled from here stays.
            let _ = keeper::end_lost(&record, &self.state_dir, witness);
        }
    }

    /// Sends its keeper, or that of a former supervisor, a signal. One that is gone has ended its
    /// attempt, and its end is on the way.
    pub(super) fn signal(&mut self, signal: Signal) -> Sent {
        let is_working = matches!(self.state, State::Working { .. });
        let own = self.keeper.as_ref().filter(|_| is_working).map(|keeper| &keeper.pidfd);
        let sent = self
            .adopted_pidfd()
            .or(own)
            .map(|pidfd| process::pidfd_send_signal(pidfd.as_fd(), signal));
        match sent {
            Some(Ok(())) => Sent::Sent,
            Some(Err(_)) | None => Sent::Unsent,
        }
    }

    /// The process of a former supervisor's keeper, if it is known.
    pub(super) fn adopted_pidfd(&self) -> Option<&OwnedFd> {
        let State::Adopted { pidfd, .. } = &self.state else {
            return None;
        };
        pidfd.as_ref()
    }

    pub(super) fn let_go_if_idle(&mut self, since: Option<Mono>, now: Now) {
        let is_idle = since.is_none_or(|since| now.mono.since(since) >= IDLE_MAX);
        let is_gone = self
            .keeper
            .as_ref()
            .is_some_and(|keeper| keeper::hear(keeper.socket.as_fd()) == Heard::Gone);
        if is_idle || is_gone {
            self.keeper = None;
        }
    }

    /// What the slot's keeper says of the attempt it works on.
    pub(super) fn hear(&mut self, run: i64, claim: i64) -> Option<Judgement> {
        let heard =
            self.keeper.as_ref().map_or(Heard::Gone, |keeper| keeper::hear(keeper.socket.as_fd()));
        match heard {
            Heard::Nothing => return None,
            Heard::Reusable if !self.is_signalled => {}
            Heard::Reusable | Heard::Retired | Heard::Gone => self.keeper = None,
        }
        self.is_signalled = false;
        Some(self.judge(run, claim, Witness::Saw))
    }

    /// What the keeper says that ends what another one left. True: it is done.
    pub(super) fn hear_sweeper(&mut self) -> bool {
        let Some(sweeper) = &self.keeper else {
            return false;
        };
        match keeper::hear(sweeper.socket.as_fd()) {
            Heard::Nothing => false,
            Heard::Reusable => true,
            Heard::Retired | Heard::Gone => {
                self.keeper = None;
                false
            }
        }
    }

    /// What the record says of an attempt that a former supervisor started. None: it is under way.
    pub(super) fn look_at_adopted(
        &mut self,
        path: &Path,
        run: i64,
        claim: i64,
    ) -> Option<Judgement> {
        if let Ok(Some(record)) = self.read_record()
            && (record.run, record.claim) == (run, claim)
        {
            if record.ending.is_some() {
                return Some(Judgement::Known(Report::Ended(Box::new(record))));
            }
            if record.keeper.is_alive() {
                if let State::Adopted { pidfd: None, .. } = self.state {
                    // Where it cannot be, the attempt goes on without: it is no worse than what
                    // systemd did.
                    let _ = keeper::limit_again(&record);
                }
                self.watch(record.keeper, run, claim);
                return None;
            }
        }
        let witness = self.adopted_pidfd().map_or(Witness::Heard, |_| Witness::Saw);
        // No keeper that is known lives. Taken in earnest, not to look: whoever has the lock has
        // the slot.
        let locked = try_lock_inside(path, Kind::Exclusive).ok().flatten()?;
        self.record = locked;
        self.is_ours = true;
        Some(self.judge(run, claim, witness))
    }

    /// Takes a judgement over. None: what is left of the attempt has to be ended first.
    pub(super) fn settle(&mut self, run: i64, claim: i64, judgement: Judgement) -> Option<Report> {
        match judgement {
            Judgement::Known(report) => {
                self.state = State::Ended;
                self.locks.clear();
                Some(report)
            }
            Judgement::Left(witness) => {
                self.keeper = None;
                self.state = State::Sweeping { run, claim, witness, tries: 0, deadline: None };
                None
            }
        }
    }

    fn watch(&mut self, keeper: ProcessId, run: i64, claim: i64) {
        if let State::Adopted { pidfd: None, .. } = self.state {
            let pidfd = keeper.open().ok();
            if let Some(pidfd) = &pidfd
                && let Some(signal) = self.wanted.take()
            {
                // If it has gone meanwhile, its end is on the way.
                let _ = process::pidfd_send_signal(pidfd.as_fd(), signal);
            }
            self.state = State::Adopted { run, claim, pidfd };
        }
    }
}
