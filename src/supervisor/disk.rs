//! A full disk: output is dropped first, then a reserve is released, so that the job that cleans up
//! can still run.
//!
//! The reserve is a file in the state directory that has its blocks and holds nothing, and some
//! empty files: a disk may have room and no place for another file. It is made again as soon as
//! there is room.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::libc;

use super::log::{Log, LogEvent};
use super::spawner::{SlotEnd, Spawner};
use crate::core::time::{Mono, Now};
use crate::os::disk::{self, Space};
use crate::os::inside::open_inside;
use crate::store::Store;

/// The size of the reserve: 64 pages of the store's log. A claim and its end take 14 of them
/// (measured), so that is enough for four runs that begin and end alone before the log is begun
/// anew, and for the shared memory of a store that is opened.
pub(crate) const RESERVE: u64 = 256 * 1024;

/// The empty files of the reserve: log and shared memory of a store that is opened, then record,
/// output, report and up to three locks of a job that never ran, in a new slot.
const SPARE_FILES: u64 = 8;

/// How often room is looked for on a disk that is full.
const LOOK_FOR_ROOM: Duration = Duration::from_secs(1);

/// The reserve of a state directory.
#[derive(Debug)]
struct Reserve {
    path: PathBuf,
    spare_dir: PathBuf,
    is_held: bool,
}

/// Releases the reserve of a state directory whose disk is so full that not even its store could be
/// opened.
pub(crate) fn make_way(state_dir: &Path) -> io::Result<()> {
    let mut reserve = Reserve::in_state_dir(state_dir);
    let space = disk::space(state_dir)?;
    if space.available < RESERVE || has_few_files(space, SPARE_FILES) {
        reserve.release()?;
    }
    Ok(())
}

fn has_few_files(space: Space, needed: u64) -> bool {
    space.files.is_some_and(|files| files < needed)
}

impl Reserve {
    /// The reserve of a state directory; not made yet.
    fn in_state_dir(state_dir: &Path) -> Self {
        Self { path: state_dir.join("reserve"), spare_dir: state_dir.join("spare"), is_held: false }
    }

    /// Makes it, if as much is free besides: a disk that is full again at once would be no gain.
    /// False: it is not.
    fn make(&mut self) -> io::Result<bool> {
        let file = self.open()?;
        let meta = file.metadata()?;
        let is_there = meta.len() >= RESERVE && meta.blocks() * 512 >= RESERVE;
        let spare = self.spare_files();
        let missing = SPARE_FILES.saturating_sub(spare);
        let needed = if is_there { RESERVE } else { 2 * RESERVE };
        let space = disk::space(&self.path)?;
        if space.available < needed || has_few_files(space, SPARE_FILES + missing) {
            self.is_held = is_there || spare > 0;
            return Ok(false);
        }
        let made = disk::allocate(file.as_fd(), RESERVE).and_then(|()| self.make_spare_files());
        if let Err(error) = made {
            // Half a reserve is of no use, and its room may be.
            let _ = self.release();
            return Err(error);
        }
        self.is_held = true;
        Ok(true)
    }

    fn release(&mut self) -> io::Result<()> {
        self.is_held = false;
        for number in 0..SPARE_FILES {
            match fs::remove_file(self.spare_file(number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        self.open()?.set_len(0)
    }

    fn make_spare_files(&self) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(&self.spare_dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
        (0..SPARE_FILES).try_for_each(|number| {
            open_inside(&self.spare_file(number), OFlag::O_WRONLY | OFlag::O_CREAT).map(drop)
        })
    }

    fn spare_files(&self) -> u64 {
        (0..SPARE_FILES).map(|number| u64::from(self.spare_file(number).exists())).sum()
    }

    fn spare_file(&self, number: u64) -> PathBuf {
        self.spare_dir.join(number.to_string())
    }

    fn open(&self) -> io::Result<File> {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&self.path)
    }
}

/// The known state of the state directory's disk.
#[derive(Debug)]
pub(super) struct Disk {
    state_dir: PathBuf,
    reserve: Reserve,
    /// When room is looked for on a disk that is full: output is not kept until some is found.
    /// None: there is room.
    look_at: Option<Mono>,
    /// The store's log was begun anew since the last turn that was written, which did not help.
    pub(super) has_new_log: bool,
    /// Something besides the store found it full.
    pub(super) is_wanted: bool,
}

impl Disk {
    /// That of a state directory, which has room as far as is known.
    pub(super) fn of(state_dir: &Path) -> Self {
        Self {
            state_dir: state_dir.to_owned(),
            reserve: Reserve::in_state_dir(state_dir),
            look_at: None,
            has_new_log: false,
            is_wanted: false,
        }
    }

    /// Makes the reserve at the start.
    pub(super) fn keep_reserve<S: Spawner>(&mut self, spawner: &mut S, log: &mut Log, now: Now) {
        if !matches!(self.reserve.make(), Ok(true)) {
            self.begin_shortage(spawner, log, now);
        }
    }

    /// Returns whether output is to be dropped for want of room.
    pub(super) fn is_full(&self) -> bool {
        self.look_at.is_some()
    }

    /// When room is looked for again.
    pub(super) fn look_at(&self) -> Option<Mono> {
        self.look_at
    }

    /// Gives up the next thing that takes room, outside of a turn. False: there is nothing more to
    /// give up.
    pub(super) fn make_room<S: Spawner>(
        &mut self,
        (store, spawner): (&Store, &mut S),
        log: &mut Log,
        now: Now,
    ) -> bool {
        let is_made = if !self.is_full() {
            self.begin_shortage(spawner, log, now);
            true
        } else if self.reserve.is_held {
            self.release_reserve(log, now)
        } else {
            !self.has_new_log
        };
        if is_made {
            // What was written to the log has then a place in the file, and the log begins anew in
            // the room that it has.
            self.begin_log_anew(store);
        }
        is_made
    }

    /// It may be the log alone that cannot grow.
    pub(super) fn begin_log_anew(&mut self, store: &Store) {
        store.begin_log_anew();
        self.has_new_log = true;
    }

    fn begin_shortage<S: Spawner>(&mut self, spawner: &mut S, log: &mut Log, now: Now) {
        self.look_at = Some(now.mono + LOOK_FOR_ROOM);
        spawner.drop_output();
        let hint = "free some space; until then output is not kept";
        let fields: [(&str, &dyn std::fmt::Display); 2] =
            [("state_dir", &self.state_dir.display()), ("hint", &hint)];
        log.event(now.wall, LogEvent::DiskFull, &fields);
    }

    fn release_reserve(&mut self, log: &mut Log, now: Now) -> bool {
        let released = self.reserve.release();
        match &released {
            Ok(()) => log.event(now.wall, LogEvent::ReserveReleased, &[("bytes", &RESERVE)]),
            Err(error) => log.event(now.wall, LogEvent::ReserveNotReleased, &[("error", error)]),
        }
        released.is_ok()
    }

    /// Ends the shortage if there is room again.
    pub(super) fn look(&mut self, ended: &[SlotEnd], log: &mut Log, now: Now) {
        if self.look_at.is_none_or(|at| at > now.mono) {
            return;
        }
        // The output of an end that waits to be written may be gone already. An error is no room.
        if ended.is_empty() && matches!(self.reserve.make(), Ok(true)) {
            self.look_at = None;
            log.event(now.wall, LogEvent::DiskHasRoom, &[("reserve_bytes", &RESERVE)]);
        } else {
            self.look_at = Some(now.mono + LOOK_FOR_ROOM);
        }
    }
}
