//! A full disk: output is dropped first, then a reserve is released, so that the job that cleans up can still run.
//!
//! The reserve is a file in the state directory that has its blocks and holds nothing. It is made again as soon as there is room.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::libc;

use super::Supervisor;
use super::spawner::Spawner;
use crate::core::time::{Mono, Now};
use crate::os::disk;

/// The size of the reserve: 64 pages of the store's log. A claim and its end take 14 of them (measured), so that is enough for
/// four runs that begin and end alone before the log is begun anew, and for the shared memory of a store that is opened.
pub(crate) const RESERVE: u64 = 256 * 1024;

/// How often room is looked for on a disk that is full.
const LOOK_FOR_ROOM: Duration = Duration::from_secs(1);

/// The reserve of a state directory.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    is_held: bool,
}

/// Whether there is room on the disk, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// There is.
    Enough,
    /// There was none: output is not kept until a look finds some again.
    Short {
        /// When to look.
        look_at: Mono,
    },
}

/// Releases the reserve of a state directory whose disk is so full that not even its store could be opened.
pub(crate) fn make_way(state_dir: &Path) -> io::Result<()> {
    let mut reserve = Reserve::in_state_dir(state_dir);
    if disk::space(state_dir)?.available < RESERVE {
        reserve.release()?;
    }
    Ok(())
}

impl Reserve {
    /// The reserve of a state directory; not made yet.
    pub(super) fn in_state_dir(state_dir: &Path) -> Self {
        Self {
            path: state_dir.join("reserve"),
            is_held: false,
        }
    }

    /// Makes it, if as much is free besides: a disk that is full again at once would be no gain. False: it is not.
    fn make(&mut self) -> io::Result<bool> {
        let file = self.open()?;
        let meta = file.metadata()?;
        let is_there = meta.len() >= RESERVE && meta.blocks() * 512 >= RESERVE;
        let needed = if is_there { RESERVE } else { 2 * RESERVE };
        if disk::space(&self.path)?.available < needed {
            self.is_held = is_there;
            return Ok(false);
        }
        if let Err(error) = disk::allocate(file.as_fd(), RESERVE) {
            // Half a reserve is of no use, and its room may be.
            let _ = file.set_len(0);
            return Err(error);
        }
        self.is_held = true;
        Ok(true)
    }

    fn release(&mut self) -> io::Result<()> {
        self.is_held = false;
        self.open()?.set_len(0)
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

impl<S: Spawner> Supervisor<S> {
    /// Makes the reserve at the start.
    pub(crate) fn keep_reserve(&mut self, now: Now) {
        if !matches!(self.reserve.make(), Ok(true)) {
            self.begin_shortage(now);
        }
    }

    /// Whether output is to be dropped for want of room.
    pub(super) fn is_short_of_room(&self) -> bool {
        match self.room {
            Room::Enough => false,
            Room::Short { .. } => true,
        }
    }

    /// When room is looked for again.
    pub(super) fn room_look_at(&self) -> Option<Mono> {
        match self.room {
            Room::Enough => None,
            Room::Short { look_at } => Some(look_at),
        }
    }

    /// Gives up the next thing that takes room, outside of a turn. False: there is nothing more to give up.
    pub(super) fn make_room(&mut self, now: Now) -> bool {
        let is_made = match self.room {
            Room::Enough => {
                self.begin_shortage(now);
                true
            }
            Room::Short { .. } if self.reserve.is_held => self.release_reserve(now),
            Room::Short { .. } => !self.has_new_log,
        };
        if is_made {
            // What was written to the log has then a place in the file, and the log begins anew in the room that it has.
            self.store.begin_log_anew();
            self.has_new_log = true;
        }
        is_made
    }

    fn begin_shortage(&mut self, now: Now) {
        self.room = Room::Short {
            look_at: now.mono + LOOK_FOR_ROOM,
        };
        self.spawner.drop_output();
        let hint = "make room; output is not kept meanwhile";
        self.log.event(
            now.wall,
            "disk_full",
            &[
                ("state_dir", &self.configuration.state_dir.display()),
                ("hint", &hint),
            ],
        );
    }

    fn release_reserve(&mut self, now: Now) -> bool {
        match self.reserve.release() {
            Ok(()) => {
                self.log
                    .event(now.wall, "reserve_released", &[("bytes", &RESERVE)]);
                true
            }
            Err(error) => {
                self.log
                    .event(now.wall, "reserve_not_released", &[("error", &error)]);
                false
            }
        }
    }

    /// Ends the shortage if there is room again.
    pub(super) fn look_for_room(&mut self, now: Now) {
        let Room::Short { look_at } = self.room else {
            return;
        };
        if look_at > now.mono {
            return;
        }
        // The output of an end that waits to be written may be gone already. An error is no room.
        if self.ended.is_empty() && matches!(self.reserve.make(), Ok(true)) {
            self.room = Room::Enough;
            self.log
                .event(now.wall, "disk_has_room", &[("reserve_bytes", &RESERVE)]);
        } else {
            self.room = Room::Short {
                look_at: now.mono + LOOK_FOR_ROOM,
            };
        }
    }
}
