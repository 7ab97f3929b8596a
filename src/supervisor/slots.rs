//! The real side of the border: slots with their records, output files and keepers.
//!
//! A slot's record is locked by this process and its keeper together (one open file), so that the
//! lock is free only when neither lives. A slot is used again only after [`Spawner::release`]: the
//! end it holds is in the store by then.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::signal::Signal;

use super::forward::{Forward, LineForm};
use super::slot::{IDLE_MAX, Keeper, Slot, State};
use super::spawner::{Adopted, Kept, Report, Sent, SlotEnd, Spawner, Stop};
use super::work::Work;
use crate::core::time::Now;
use crate::keeper::format::RECORD_MAX;
use crate::keeper::order::Order;
use crate::keeper::{self, Lent, Witness};
use crate::os::delegated::Delegated;
use crate::os::disk::allocate_behind_end;
use crate::os::inside::open_inside;
use crate::os::lock::{Kind, try_lock_inside};
use crate::os::{process, socket};
use crate::store::read_kept;

/// Output up to this size moves into the store; larger output becomes a file of its own.
const INLINE_MAX: u64 = 32 * 1024;

/// A former supervisor's keeper that retired gives no sign of it: its record is looked at this
/// often.
const ADOPTED_LOOK: Duration = Duration::from_secs(1);

/// Slots whose files cannot be used, before it is taken for the directory's fault.
const BAD_SLOTS_MAX: u32 = 16;

/// The end of an attempt must have a place on a full disk, too.
const RECORD_ROOM: u64 = RECORD_MAX as u64;

/// More slots than any limit allows; a guard against going on forever.
const SLOTS_MAX: u32 = 1_000_000;

/// All slots of a state directory.
#[derive(Debug)]
pub(crate) struct Slots {
    pub(super) state_dir: Rc<Path>,
    slots_dir: PathBuf,
    output_dir: PathBuf,
    exe: PathBuf,
    cgroup: Option<Delegated>,
    pub(super) slots: BTreeMap<u32, Slot>,
    /// Attempts of a former supervisor whose record could not be opened: looked for again, for they
    /// may still run.
    unseen: Vec<Unseen>,
    /// Slots of other processes, which are not to be used although nobody may hold them any more.
    set_aside: BTreeSet<u32>,
    /// Output of commands that goes to standard output, too.
    forward: Option<Forward>,
    /// There is more of it than was taken.
    has_more: bool,
}

/// An attempt of a former supervisor whose record could not be opened yet.
#[derive(Debug)]
struct Unseen {
    slot: u32,
    run: i64,
    claim: i64,
    wanted: Option<Signal>,
}

impl Slots {
    /// The slots of a state directory, whose keepers are started from `exe`.
    pub(crate) fn in_state_dir(state_dir: &Path, exe: PathBuf) -> Self {
        Self {
            state_dir: state_dir.into(),
            slots_dir: state_dir.join("slots"),
            output_dir: state_dir.join("output"),
            exe,
            cgroup: None,
            slots: BTreeMap::new(),
            unseen: Vec::new(),
            set_aside: BTreeSet::new(),
            forward: None,
            has_more: false,
        }
    }

    /// From now on the output of attempts that are started goes to standard output, too, in this
    /// form; none: it does not.
    pub(crate) fn forward_output(&mut self, form: Option<LineForm>) {
        match (&mut self.forward, form) {
            (Some(forward), Some(form)) => forward.set_form(form),
            (_, form) => self.forward = form.map(Forward::new),
        }
    }

    /// Returns whether lines wait for standard output.
    pub(crate) fn is_behind(&self) -> bool {
        self.forward.as_ref().is_some_and(Forward::is_behind)
    }

    /// Forwards the last lines, and waits for their reader no longer than this.
    pub(crate) fn finish_forwarding(&mut self, patience: Duration) {
        if let Some(forward) = &mut self.forward {
            forward.finish(patience);
        }
    }

    /// The same, each attempt in a control group of its own where some are delegated to this
    /// process.
    pub(crate) fn enclosed(mut self, cgroup: Option<Delegated>) -> Self {
        self.cgroup = cgroup;
        self
    }

    /// Returns where attempts have control groups of their own.
    pub(crate) fn cgroup(&self) -> Option<&str> {
        self.cgroup.as_ref().map(Delegated::dir)
    }

    /// Returns whether somebody lives who has a slot: a keeper, or the supervisor it is of. What
    /// cannot be asked may be held.
    pub(crate) fn is_held(&self, slot: u32) -> bool {
        !matches!(try_lock_inside(&self.record_path(slot), Kind::Exclusive), Ok(Some(_)))
    }

    /// Ends what is left of attempts in these slots that nobody looks after any more, before
    /// something is started that must not run beside it. Waits for that, seconds if need be: it is
    /// not for the loop.
    pub(crate) fn end_left(&mut self, slots: &[u32]) {
        for slot in slots {
            // Whoever has the lock looks after it, and who takes it next finds the record as it
            // was.
            if let Ok(Some(entry)) = self.own(*slot) {
                entry.sweep_here(Witness::Heard);
                self.slots.remove(slot);
            }
        }
    }

    /// What becomes readable when a keeper has something to say or is gone.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let forwarded = self.forward.iter().flat_map(Forward::descriptors);
        let slots = self.slots.values().flat_map(|slot| {
            let sockets = slot.keeper.iter().map(|keeper| keeper.socket.as_fd());
            sockets.chain(slot.adopted_pidfd().map(AsFd::as_fd))
        });
        slots.chain(forwarded)
    }

    /// Returns how long nothing is to be done here, unless a descriptor becomes readable.
    pub(crate) fn next_wait(&self, now: Now) -> Option<Duration> {
        let waits = self.slots.values().filter_map(|slot| match &slot.state {
            State::Free { since: Some(since) } if slot.keeper.is_some() => {
                Some((*since + IDLE_MAX).since(now.mono))
            }
            State::Adopted { .. } | State::Sweeping { .. } => Some(ADOPTED_LOOK),
            State::Free { .. } | State::Given | State::Working { .. } | State::Ended => None,
        });
        waits
            .chain((!self.unseen.is_empty()).then_some(ADOPTED_LOOK))
            .chain(self.has_more.then_some(Duration::ZERO))
            .min()
    }

    fn record_path(&self, slot: u32) -> PathBuf {
        self.slots_dir.join(format!("{slot}.rec"))
    }

    fn output_path(&self, slot: u32) -> PathBuf {
        self.slots_dir.join(format!("{slot}.out"))
    }

    /// Takes a slot over whose record nobody holds. None: a keeper of a former supervisor has it
    /// still.
    fn own(&mut self, slot: u32) -> io::Result<Option<&mut Slot>> {
        let Some(record) = try_lock_inside(&self.record_path(slot), Kind::Exclusive)? else {
            return Ok(None);
        };
        let output = open_output(&self.output_path(slot))?;
        let entry = Slot {
            state_dir: Rc::clone(&self.state_dir),
            record,
            output,
            keeper: None,
            state: State::Free { since: None },
            is_ours: true,
            is_signalled: false,
            wanted: None,
            locks: Vec::new(),
            moved: None,
        };
        self.slots.insert(slot, entry);
        Ok(self.slots.get_mut(&slot))
    }

    pub(super) fn start_keeper(&mut self, slot: u32) -> io::Result<()> {
        let output_path = self.output_path(slot);
        let entry = self.slots.get_mut(&slot).expect("a slot is given out before it is used");
        if entry.moved.is_some() {
            entry.output = open_output(&output_path)?;
            entry.moved = None;
        }
        let (ours, theirs) = socket::pair()?;
        let pid =
            process::spawn_keeper(&self.exe, theirs, entry.record.as_fd(), entry.output.as_fd())?;
        entry.keeper = Some(Keeper { socket: ours, pidfd: process::pidfd_open(pid)? });
        Ok(())
    }

    fn send(&self, slot: u32, order: &Order, locks: &[File], lent: &Lent) -> io::Result<()> {
        let keeper = self.slots[&slot].keeper.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let locks: Vec<BorrowedFd<'_>> = locks.iter().map(AsFd::as_fd).collect();
        keeper::send_order(keeper.socket.as_fd(), order, &locks, lent)
    }

    /// As [`Spawner::start`], with something that is lent to the attempt.
    pub(crate) fn start_with(
        &mut self,
        slot: u32,
        order: &Order,
        locks: Vec<File>,
        lent: &Lent,
    ) -> io::Result<()> {
        if self.slots[&slot].keeper.is_none() || self.slots[&slot].moved.is_some() {
            self.start_keeper(slot)?;
        }
        if let Err(error) = self.send(slot, order, &locks, lent) {
            if error.raw_os_error() == Some(libc::EMSGSIZE) {
                return Err(error);
            }
            // A keeper may be killed by anybody, an idle one as one that has just begun: what it
            // was not sent, another one can be.
            self.start_keeper(slot)?;
            self.send(slot, order, &locks, lent)?;
        }
        let entry = self.slots.get_mut(&slot).expect("a slot is given out before it is used");
        entry.locks = locks;
        entry.state = State::Working { run: order.run, claim: order.claim };
        Ok(())
    }
}

impl Spawner for Slots {
    fn free_slot(&mut self) -> io::Result<u32> {
        let is_free = |slot: &Slot| matches!(slot.state, State::Free { .. });
        let warm = self.slots.iter().find(|(_, slot)| is_free(slot) && slot.keeper.is_some());
        let cold = self.slots.iter().find(|(_, slot)| is_free(slot));
        if let Some((&number, _)) = warm.or(cold) {
            self.slots.get_mut(&number).expect("it was just found").state = State::Given;
            return Ok(number);
        }
        let mut first_error = None;
        let mut refused = 0;
        for number in 0..SLOTS_MAX {
            let is_unseen = self.unseen.iter().any(|unseen| unseen.slot == number);
            if is_unseen || self.slots.contains_key(&number) || self.set_aside.contains(&number) {
                continue;
            }
            match self.own(number) {
                Ok(Some(slot)) => match allocate_behind_end(slot.record.as_fd(), RECORD_ROOM) {
                    Ok(()) => {
                        slot.state = State::Given;
                        return Ok(number);
                    }
                    Err(error) => {
                        self.slots.remove(&number);
                        return Err(error);
                    }
                },
                Ok(None) => {}
                // One bad file costs one slot; where all are bad, there is no point in going on.
                Err(_) if refused >= BAD_SLOTS_MAX => break,
                Err(error) => {
                    refused += 1;
                    first_error.get_or_insert(error);
                }
            }
        }
        Err(first_error
            .unwrap_or_else(|| io::Error::other("no free slot: all are held by earlier keepers")))
    }

    fn cgroup_of(&self, slot: u32) -> Option<String> {
        Some(self.cgroup.as_ref()?.of_slot(slot))
    }

    fn spool_path(&self, slot: u32) -> Option<PathBuf> {
        Some(self.slots_dir.join(format!("{slot}.spool")))
    }

    fn spool(&self, slot: u32) -> io::Result<File> {
        open_inside(&self.slots_dir.join(format!("{slot}.spool")), OFlag::O_RDONLY)
    }

    fn start(&mut self, slot: u32, order: &Order, locks: Vec<File>) -> io::Result<()> {
        let copy = match &mut self.forward {
            Some(forward) if matches!(Work::of(order.run), Work::Run(_)) => {
                Some(forward.open(order)?)
            }
            Some(_) | None => None,
        };
        self.start_with(slot, order, locks, &Lent { copy, input: None })
    }

    fn give_back(&mut self, slot: u32) {
        if let Some(entry) = self.slots.get_mut(&slot) {
            entry.state = State::Free { since: None };
        }
    }

    fn ended(&mut self, now: Now) -> Vec<SlotEnd> {
        if let Some(forward) = &mut self.forward {
            self.has_more = forward.pump();
        }
        let mut ends = self.look_for_unseen();
        for (&number, slot) in &mut self.slots {
            let (run, claim, judgement) = match slot.state {
                State::Free { since } => {
                    slot.let_go_if_idle(since, now);
                    continue;
                }
                State::Given | State::Sweeping { .. } | State::Ended => continue,
                State::Working { run, claim } => (run, claim, slot.hear(run, claim)),
                State::Adopted { run, claim, .. } => {
                    let path = self.slots_dir.join(format!("{number}.rec"));
                    (run, claim, slot.look_at_adopted(&path, run, claim))
                }
            };
            let report = judgement.and_then(|judgement| slot.settle(run, claim, judgement));
            ends.extend(report.map(|report| SlotEnd { slot: number, run, claim, report }));
        }
        self.sweep(now, &mut ends);
        ends
    }

    fn output(&mut self, end: &SlotEnd) -> io::Result<Kept> {
        let Report::Ended(record) = &end.report else {
            return Ok(Kept::Nothing);
        };
        let (total, layout) = (record.output_total, record.layout);
        if total == 0 {
            return Ok(Kept::Nothing);
        }
        let path = self.output_path(end.slot);
        let kept_bytes = total - layout.dropped(total);
        if kept_bytes <= INLINE_MAX {
            let file = open_inside(&path, OFlag::O_RDONLY)?;
            return read_kept(&file, total, layout).map(Kept::Inline);
        }
        let kept = Kept::File { total, layout };
        let target = self.output_dir.join(format!("{}.{}", record.run, record.attempt));
        // A turn that is tried again, or a supervisor that was killed in between, finds it moved
        // already.
        let is_moved =
            fs::metadata(&path).map_or(0, |meta| meta.len()) < kept_bytes && target.exists();
        if !is_moved {
            fs::rename(&path, &target)?;
        }
        if let Some(entry) = self.slots.get_mut(&end.slot) {
            entry.moved = Some(kept.clone());
            entry.keeper = None;
        }
        Ok(kept)
    }

    fn drop_output(&mut self) {
        for slot in self.slots.values() {
            if !matches!(slot.state, State::Free { .. } | State::Ended) {
                continue;
            }
            let is_kept = slot.moved.is_some() && matches!(slot.state, State::Free { .. });
            if !is_kept {
                // What cannot be cut off costs its room and nothing else.
                let _ = slot.output.set_len(0);
            }
        }
    }

    fn release(&mut self, slot: u32, now: Now) {
        let Some(entry) = self.slots.get_mut(&slot) else {
            return;
        };
        if !entry.is_ours {
            self.slots.remove(&slot);
        } else {
            entry.state = State::Free { since: Some(now.mono) };
        }
    }

    fn stop(&mut self, slot: u32, stop: Stop) {
        let signal = match stop {
            Stop::Gently => Signal::SIGTERM,
            Stop::AtOnce => Signal::SIGUSR1,
        };
        if let Some(unseen) = self.unseen.iter_mut().find(|unseen| unseen.slot == slot) {
            unseen.wanted = Some(signal);
            return;
        }
        let Some(entry) = self.slots.get_mut(&slot) else {
            return;
        };
        entry.is_signalled = true;
        if let State::Adopted { pidfd: None, .. } = entry.state {
            entry.wanted = Some(signal);
            return;
        }
        entry.signal(signal);
        // One that is stopped hears nothing else.
        entry.signal(Signal::SIGCONT);
    }

    fn wake(&mut self, slot: u32) -> Sent {
        let entry = self.slots.get_mut(&slot);
        entry.map_or(Sent::Unsent, |entry| entry.signal(Signal::SIGCONT))
    }

    fn kill_keeper(&mut self, slot: u32) -> Sent {
        let Some(entry) = self.slots.get_mut(&slot) else {
            return Sent::Unsent;
        };
        entry.signal(Signal::SIGCONT);
        entry.signal(Signal::SIGKILL)
    }

    fn is_started(&self, slot: u32, run: i64, claim: i64) -> bool {
        // What cannot be looked at is not taken for late.
        let slot = self.slots.get(&slot);
        slot.is_none_or(|slot| slot.is_started(run, claim))
    }

    fn set_aside(&mut self, slots: BTreeSet<u32>) {
        self.set_aside = slots;
    }

    fn take_over(&mut self, slot: u32, run: i64, claim: i64) -> Option<Adopted> {
        if self.slots.contains_key(&slot) {
            // It serves another attempt by now.
            return Some(Adopted::Ended(Report::Lost));
        }
        let entry = self.own(slot).ok().flatten()?;
        let judgement = entry.judge(run, claim, Witness::Heard);
        let report = entry.settle(run, claim, judgement);
        Some(report.map_or(Adopted::Ending, Adopted::Ended))
    }

    fn adopt(&mut self, slot: u32, run: i64, claim: i64) -> Adopted {
        match self.own(slot) {
            Ok(Some(entry)) => {
                let judgement = entry.judge(run, claim, Witness::Heard);
                let report = entry.settle(run, claim, judgement);
                report.map_or(Adopted::Ending, Adopted::Ended)
            }
            Ok(None) => self.adopt_living(slot, run, claim),
            Err(_) => {
                self.unseen.push(Unseen { slot, run, claim, wanted: None });
                Adopted::Working
            }
        }
    }
}

impl Slots {
    /// Tries again to adopt what could not be opened before.
    fn look_for_unseen(&mut self) -> Vec<SlotEnd> {
        let unseen = std::mem::take(&mut self.unseen);
        unseen.into_iter().filter_map(|unseen| self.look_again(&unseen)).collect()
    }

    fn look_again(&mut self, unseen: &Unseen) -> Option<SlotEnd> {
        let Unseen { slot, run, claim, wanted } = *unseen;
        if let Adopted::Ended(report) = self.adopt(slot, run, claim) {
            return Some(SlotEnd { slot, run, claim, report });
        }
        if let Some(entry) = self.slots.get_mut(&slot) {
            entry.wanted = wanted;
        } else if let Some(again) = self.unseen.iter_mut().find(|again| again.slot == slot) {
            again.wanted = wanted;
        }
        None
    }

    fn adopt_living(&mut self, slot: u32, run: i64, claim: i64) -> Adopted {
        let files = open_inside(&self.record_path(slot), OFlag::O_RDONLY)
            .and_then(|record| Ok((record, open_output(&self.output_path(slot))?)));
        let Ok((record, output)) = files else {
            self.unseen.push(Unseen { slot, run, claim, wanted: None });
            return Adopted::Working;
        };
        let state = State::Adopted { run, claim, pidfd: None };
        self.slots.insert(
            slot,
            Slot {
                state_dir: Rc::clone(&self.state_dir),
                record,
                output,
                keeper: None,
                state,
                is_ours: false,
                is_signalled: false,
                wanted: None,
                locks: Vec::new(),
                moved: None,
            },
        );
        Adopted::Working
    }
}

fn open_output(path: &Path) -> io::Result<File> {
    open_inside(path, OFlag::O_RDWR | OFlag::O_CREAT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::time::{Mono, Wall};

    fn now() -> Now {
        Now { wall: Wall::from_secs(0), mono: Mono::from_duration(Duration::from_secs(1)) }
    }

    #[test]
    fn an_attempt_whose_record_cannot_be_opened_is_not_given_up_but_looked_for_again() {
        let dir = std::env::temp_dir().join(format!("jobctl-slots-{}", std::process::id()));
        let record = dir.join("slots/0.rec");
        // A directory in its place cannot be opened as a file, whoever asks.
        fs::create_dir_all(&record).unwrap();
        let mut slots = Slots::in_state_dir(&dir, PathBuf::from("/nonexistent"));
        assert!(matches!(slots.adopt(0, 7, 1), Adopted::Working));
        assert!(slots.ended(now()).is_empty());
        assert_eq!(slots.next_wait(now()), Some(ADOPTED_LOOK));
        fs::remove_dir(&record).unwrap();
        let ends = slots.ended(now());
        assert_eq!(ends.iter().map(|end| (end.slot, end.run)).collect::<Vec<_>>(), [(0, 7)]);
        assert!(matches!(ends[0].report, Report::NeverStarted));
        assert_eq!(slots.next_wait(now()), None);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_record_that_cannot_be_read_is_none_of_a_command_that_was_not_started() {
        let dir = std::env::temp_dir().join(format!("jobctl-unread-{}", std::process::id()));
        fs::create_dir_all(dir.join("slots")).unwrap();
        let record = dir.join("slots/0.rec");
        let mut slots = Slots::in_state_dir(&dir, PathBuf::from("/nonexistent"));
        for (text, is_started) in [("", false), ("jobctl-record 99\n", true), ("x", true)] {
            fs::write(&record, text).unwrap();
            slots.own(0).unwrap();
            assert_eq!(slots.is_started(0, 7, 1), is_started, "{text}");
            slots.slots.clear();
        }
        fs::remove_dir_all(dir).unwrap();
    }
}
