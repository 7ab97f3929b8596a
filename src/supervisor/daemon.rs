//! The loop around the supervisor: one wait, one deadline. Turns signals, rings and keepers into
//! turns.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::fcntl::OFlag;

use super::door::Doorkeeper;
use super::ears::{Ears, Heard};
use super::slots::Slots;
use super::watching::Watching;
use super::{Event, Flow, Supervisor};
use crate::core::time::{Now, Wall};
use crate::os::inside::Wide;
use crate::os::lock::{Kind, is_at, is_held, try_lock};
use crate::os::wake::{self, Bell, Rung};
use crate::os::{clock, inside, poll, process};

/// How often the lock file says that the supervisor is alive.
const SIGN_OF_LIFE: Duration = Duration::from_secs(60);

/// How long after its alarm a wait is over without it.
const TIMEOUT_BEHIND: Duration = Duration::from_millis(2);

/// How long the reader of standard output may take for the last lines of commands.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What is in a state directory besides files.
const INSIDE: [&str; 3] = ["locks", "slots", "output"];

/// Makes the state directory and what is in it, for nobody but its user.
pub(crate) fn make_state_dir(state_dir: &Path) -> io::Result<()> {
    inside::make_private(state_dir, &INSIDE, Wide::Refuse)
}

/// As [`make_state_dir`], for the one who is to be its supervisor: others in whose reach it is are
/// locked out.
pub(crate) fn take_state_dir(state_dir: &Path) -> io::Result<()> {
    inside::make_private(state_dir, &INSIDE, Wide::Close)
}

/// The lock that makes a process the supervisor of a state directory.
#[derive(Debug)]
pub(crate) struct Office {
    file: File,
    state_dir: PathBuf,
    jobfile: PathBuf,
    /// Device and inode of the state directory; none if it could not be asked for.
    dir: Option<(u64, u64)>,
    /// When the last holder was last known to be alive; none if there was none.
    pub(crate) last_alive_at: Option<Wall>,
}

/// How long a supervisor that was killed may take to be gone.
const DYING_MAX: Duration = Duration::from_secs(1);

/// Between two looks of a supervisor that stands by.
const STANDBY_LOOK: Duration = Duration::from_secs(1);

/// Between two looks for a lock that a fork of its holder has still.
const COPY_LOOK: Duration = Duration::from_millis(5);

/// Explains why a process cannot be the supervisor.
#[derive(Debug)]
pub(crate) enum OfficeError {
    /// Another one is, with this number.
    Taken(String),
    /// The lock file cannot be used.
    Failed(io::Error),
}

impl Office {
    /// Takes the lock and keeps it, so that there is no supervisor meanwhile. The file says what it
    /// said: of the last one.
    pub(crate) fn close(state_dir: &Path) -> Result<File, OfficeError> {
        let path = state_dir.join("supervisor.lock");
        try_lock(&path, Kind::Exclusive)
            .map_err(OfficeError::Failed)?
            .ok_or_else(|| OfficeError::Taken(holder_of(&path)))
    }

    /// Takes the lock and writes this process's number and the path of its jobfile into it.
    pub(crate) fn take(state_dir: &Path, jobfile: &Path) -> Result<Self, OfficeError> {
        let path = state_dir.join("supervisor.lock");
        let mut taken = try_lock(&path, Kind::Exclusive).map_err(OfficeError::Failed)?;
        if taken.is_none() && is_leaving(&holder_of(&path)) {
            taken = lock_of_gone(&path).map_err(OfficeError::Failed)?;
        }
        let Some(mut file) = taken else {
            return Err(OfficeError::Taken(holder_of(&path)));
        };
        let mut former = String::new();
        let last_alive_at = match file.read_to_string(&mut former) {
            Ok(len) if len > 0 => {
                file.metadata().and_then(|meta| meta.modified()).ok().and_then(wall_of)
            }
            Ok(_) | Err(_) => None,
        };
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(&words_of(jobfile)))
            .map_err(OfficeError::Failed)?;
        let office = Self {
            file,
            state_dir: state_dir.to_path_buf(),
            jobfile: jobfile.to_path_buf(),
            dir: identity_of(state_dir),
            last_alive_at,
        };
        // The kernel has just put its own time there, which may not be the one that is asked for
        // here (libfaketime).
        office.touch(clock::now().wall);
        Ok(office)
    }

    /// Waits until no other process is the supervisor, and takes the lock then. A lock gives no
    /// sign when it is free: it is tried each second. None: this process was told to stop.
    pub(crate) fn wait(
        state_dir: &Path,
        jobfile: &Path,
        ears: &mut Ears,
    ) -> Result<Option<Self>, OfficeError> {
        loop {
            match Self::take(state_dir, jobfile) {
                Err(OfficeError::Taken(_)) => {}
                Ok(office) => return Ok(Some(office)),
                Err(error) => return Err(error),
            }
            let mut awaited: Vec<_> = ears.awaited().collect();
            poll::wait(&mut awaited, Some(STANDBY_LOOK)).map_err(OfficeError::Failed)?;
            if ears.take().map_err(OfficeError::Failed)?.contains(&Heard::Stop) {
                return Ok(None);
            }
        }
    }

    /// Makes sure that lock and bell are those that others find at the state directory, and takes
    /// them again where somebody removed them.
    ///
    /// Errs where another process has the lock by now, or the state directory is another one.
    fn hold(&mut self, bell: &mut Bell, patience: Patience) -> Result<(), Ousted> {
        match identity_of(&self.state_dir) {
            None if patience == Patience::ForMissing => return Ok(()),
            there if self.dir.is_some() && there != self.dir => return Err(Ousted::Moved),
            _ => {}
        }
        let path = self.state_dir.join("supervisor.lock");
        if !is_at(&self.file, &path).unwrap_or(true) {
            match Self::take(&self.state_dir, &self.jobfile) {
                Ok(office) => self.file = office.file,
                Err(OfficeError::Taken(pid)) => return Err(Ousted::Taken(pid)),
                // A full disk, say. The next turn tries again.
                Err(OfficeError::Failed(_)) => {}
            }
        }
        if !bell.is_of(&self.state_dir)
            && let Ok(anew) = wake::listen(&self.state_dir)
        {
            *bell = anew;
        }
        Ok(())
    }

    /// Says that the holder is alive, at `at`. Not synced: after a power cut the downtime begins a
    /// little earlier.
    fn touch(&self, at: Wall) {
        let since_epoch = Duration::from_millis(u64::try_from(at.ms()).unwrap_or(0));
        // A full or read-only disk costs only the exact beginning of the next downtime.
        let _ = self.file.set_modified(SystemTime::UNIX_EPOCH + since_epoch);
    }
}

/// Whether a state directory that is missing may come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// It may: somebody may be about to put it back.
    ForMissing,
    /// It was looked for long enough.
    Over,
}

/// Explains why a supervisor must leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ousted {
    /// Its state directory was moved away, and may have another one in its place.
    Moved,
    /// Somebody removed the lock, and another process, with this number, has taken the new one.
    Taken(String),
}

fn identity_of(dir: &Path) -> Option<(u64, u64)> {
    let meta = std::fs::metadata(dir).ok()?;
    Some((meta.dev(), meta.ino()))
}

/// Whether a holder that was killed a moment ago, or has left, is gone now.
fn is_leaving(holder: &str) -> bool {
    holder.parse().is_ok_and(|pid| process::wait_if_dying(pid, DYING_MAX))
}

/// The lock of a holder that is gone. What it had just forked has a copy of the lock until it is
/// executed, which nothing tells the end of.
fn lock_of_gone(path: &Path) -> io::Result<Option<File>> {
    let mut waited = Duration::ZERO;
    loop {
        let taken = try_lock(path, Kind::Exclusive)?;
        if taken.is_some() || waited >= DYING_MAX {
            return Ok(taken);
        }
        poll::wait(&mut [], Some(COPY_LOOK))?;
        waited += COPY_LOOK;
    }
}

/// What the holder of the lock writes into it: its number and its jobfile, a line each.
fn words_of(jobfile: &Path) -> Vec<u8> {
    let mut words = format!("{}\n", std::process::id()).into_bytes();
    words.extend_from_slice(jobfile.as_os_str().as_bytes());
    words.push(b'\n');
    words
}

/// A supervisor of a state directory, by what its lock says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    /// Its process number; empty where it has just taken the lock.
    pub(crate) pid: String,
    /// Its jobfile, as it was called there.
    pub(crate) jobfile: PathBuf,
}

impl Holder {
    /// The living supervisor of a state directory. Takes no lock, and rings no bell. One of another
    /// namespace of processes is known by its bell only.
    pub(crate) fn of(state_dir: &Path) -> Option<Self> {
        let path = state_dir.join("supervisor.lock");
        let holder = Self::read(&path)?;
        let is_heard = wake::probe(state_dir).is_ok_and(|rung| rung == Rung::Heard);
        let is_held = || is_held(&path).unwrap_or(false);
        (is_heard || is_held()).then_some(holder)
    }

    /// What a lock says. None: there is none that can be read.
    fn read(path: &Path) -> Option<Self> {
        let mut words = Vec::new();
        inside::open_top(path, OFlag::O_RDONLY)
            .and_then(|mut file| file.read_to_end(&mut words))
            .ok()?;
        let mut lines = words.splitn(2, |byte| *byte == b'\n');
        let pid = lines.next().unwrap_or_default();
        let jobfile = lines.next().unwrap_or_default();
        let jobfile = jobfile.strip_suffix(b"\n").unwrap_or(jobfile);
        Some(Self {
            pid: String::from_utf8_lossy(pid).trim().to_owned(),
            jobfile: OsStr::from_bytes(jobfile).into(),
        })
    }
}

fn holder_of(path: &Path) -> String {
    Holder::read(path).map_or_else(String::new, |holder| holder.pid)
}

fn wall_of(time: SystemTime) -> Option<Wall> {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Wall::from_ms(i64::try_from(since_epoch.as_millis()).ok()?))
}

/// Reloads the jobfile. The loop waits for it as well, and calls it.
pub(crate) trait Reload {
    /// Becomes readable when something of the jobfile has changed.
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;

    /// How long there will be nothing to do, unless it is told.
    fn next_wait(&self, now: Now) -> Duration;

    /// HUP.
    fn ask(&mut self);

    /// Reads what is to be read now. Whether the supervisor has another turn to do before it waits.
    fn step(&mut self, supervisor: &mut Supervisor<Slots>, now: Now) -> bool;
}

/// The resources of the process, whichever supervisor is in its loop.
#[derive(Debug)]
pub(crate) struct Post<'a> {
    /// Commands ring it.
    pub(crate) bell: &'a mut Bell,
    /// Signals come in here.
    pub(crate) ears: &'a mut Ears,
    /// There is no second one.
    pub(crate) office: &'a mut Office,
    /// Looks after the door.
    pub(crate) door: &'a mut Doorkeeper,
}

/// The cause for which a supervisor left its loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// It was told to stop and has stopped.
    Stopped,
    /// Its store has another file: another one is to begin with that, after this one is dropped.
    Astray,
    /// It is not the supervisor of its state directory any more.
    Ousted(Ousted),
}

/// Runs until the supervisor is told to stop and has stopped, or has no store any more. `events`
/// are what it is to hear first.
pub(crate) fn serve(
    supervisor: &mut Supervisor<Slots>,
    post: &mut Post<'_>,
    reload: &mut dyn Reload,
    watching: &mut Watching,
    mut events: Vec<Event>,
) -> io::Result<Left> {
    let Post { bell, ears, office, door } = post;
    let timers = Timers { alarm: poll::Alarm::new()?, clock: poll::ClockWatch::new()? };
    let mut touched = clock::now();
    loop {
        let now = clock::now();
        // A sign of life from a time that the clock went back from would be none.
        let mut patience = Patience::ForMissing;
        if now.mono.since(touched.mono) >= SIGN_OF_LIFE || now.wall < touched.wall {
            touched = now;
            office.touch(now.wall);
            patience = Patience::Over;
        }
        // Before anything is done by the name of the state directory: what has that name may be
        // somebody else's by now.
        if let Err(why) = office.hold(bell, patience) {
            return Ok(Left::Ousted(why));
        }
        match supervisor.handle(&events, now) {
            Flow::Continue => {}
            Flow::BeginAnew => return Ok(Left::Astray),
            Flow::Leave => {
                office.touch(now.wall);
                supervisor.sign_off(now);
                door.close();
                supervisor.parts().1.finish_forwarding(LAST_WORDS);
                return Ok(Left::Stopped);
            }
        }
        events.clear();
        supervisor.note_turn(clock::now().mono.since(now.mono));
        if reload.step(supervisor, clock::now()) || watching.step(supervisor, clock::now()) {
            continue;
        }
        door.step(supervisor, clock::now());
        let others = Others { reload, watching, door };
        wait(supervisor, bell, ears, &timers, &others)?;
        if bell.drain()? {
            events.push(Event::Rung);
        }
        for heard in ears.take()? {
            match heard {
                Heard::Stop => events.push(Event::StopAsked),
                Heard::Reload => reload.ask(),
                Heard::ChildEnded => process::reap_children(),
            }
        }
    }
}

/// What ends a wait but news: its time is over, or the clock that says so was set.
struct Timers {
    alarm: poll::Alarm,
    clock: poll::ClockWatch,
}

/// Who waits besides the supervisor.
struct Others<'a> {
    reload: &'a dyn Reload,
    watching: &'a Watching,
    door: &'a Doorkeeper,
}

fn wait(
    supervisor: &mut Supervisor<Slots>,
    bell: &Bell,
    ears: &Ears,
    timers: &Timers,
    others: &Others<'_>,
) -> io::Result<()> {
    let Others { reload, watching, door } = others;
    let now = clock::now();
    let timeout = supervisor.next_wait(now).min(reload.next_wait(now));
    let timeout = watching.next_wait(now).map_or(timeout, |wait| wait.min(timeout));
    let timeout = door.next_wait(now).map_or(timeout, |wait| wait.min(timeout));
    let of_slots = supervisor.parts().1.next_wait(now);
    let timeout = of_slots.map_or(timeout, |wait| wait.min(timeout));
    supervisor.note_wait(timeout);
    let (errands, slots) = supervisor.to_wait_for();
    timers.alarm.set(timeout)?;
    let own: [BorrowedFd<'_>; 3] = [timers.alarm.as_fd(), timers.clock.as_fd(), bell.as_fd()];
    let mut descriptors: Vec<_> = own
        .into_iter()
        .chain(reload.descriptor())
        .chain(watching.descriptor())
        .chain(door.descriptors(now))
        .chain(errands.descriptor())
        .chain(slots.descriptors())
        .map(poll::readable)
        .chain(ears.awaited())
        .collect();
    let stdout = io::stdout();
    if slots.is_behind() {
        descriptors.push(poll::writable(stdout.as_fd()));
    }
    // The alarm is on time; the timeout behind it is for libraries that change the pace of one of
    // the two (libfaketime).
    poll::wait(&mut descriptors, Some(timeout + TIMEOUT_BEHIND))?;
    // The next turn looks at the clock in any case: it is only to be heard.
    timers.clock.was_set();
    errands.drain();
    Ok(())
}
