//! The FIFO `wake` in the state directory: commands ring it, the supervisor listens.
//!
//! A FIFO without a reader cannot be opened for writing (ENXIO), so it also tells whether a
//! supervisor lives.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::inside::open_top;
use super::lock::is_at;

/// Whether somebody was there.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rung {
    /// A supervisor listens.
    Heard,
    /// There is none.
    NobodyListens,
}

/// The supervisor's end.
#[derive(Debug)]
pub(crate) struct Bell(File);

impl std::os::fd::AsFd for Bell {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Bell {
    /// Whether commands that ring at this state directory ring this one.
    pub(crate) fn is_of(&self, state_dir: &Path) -> bool {
        is_at(&self.0, &path(state_dir)).unwrap_or(false)
    }

    /// Forgets all rings so far; the descriptor is then not readable until the next one. Whether
    /// there were any.
    pub(crate) fn drain(&self) -> io::Result<bool> {
        let mut rings = [0; 512];
        let mut has_rung = false;
        loop {
            match (&self.0).read(&mut rings) {
                Ok(0) => return Ok(has_rung),
                Ok(_) => has_rung = true,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(has_rung),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Tells the supervisor of `state_dir` that there is something new in the store.
pub(crate) fn ring(state_dir: &Path) -> io::Result<Rung> {
    let Some(mut fifo) = open_heard(state_dir)? else {
        return Ok(Rung::NobodyListens);
    };
    match fifo.write(b"!") {
        Ok(_) => Ok(Rung::Heard),
        // It is full of rings: one of them will do.
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Rung::Heard),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Rung::NobodyListens),
        Err(error) => Err(error),
    }
}

/// Says whether the supervisor of `state_dir` lives, without waking it.
pub(crate) fn probe(state_dir: &Path) -> io::Result<Rung> {
    Ok(if open_heard(state_dir)?.is_some() { Rung::Heard } else { Rung::NobodyListens })
}

/// Makes the FIFO where it is missing and listens to it.
///
/// It is opened for reading and writing, so that the last ring's end is no end of file. Must be
/// called under `supervisor.lock`: two listeners would share the rings.
pub(crate) fn listen(state_dir: &Path) -> io::Result<Bell> {
    let path = path(state_dir);
    match mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR) {
        Ok(()) | Err(nix::Error::EEXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let file = open_top(&path, OFlag::O_RDWR | OFlag::O_NONBLOCK)?;
    check_is_fifo(&file)?;
    Ok(Bell(file))
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("wake")
}

/// Opens the writing end; none if nobody has the reading end.
fn open_heard(state_dir: &Path) -> io::Result<Option<File>> {
    match open_top(&path(state_dir), OFlag::O_WRONLY | OFlag::O_NONBLOCK) {
        Ok(file) => check_is_fifo(&file).map(|()| Some(file)),
        Err(error)
            if error.raw_os_error() == Some(libc::ENXIO) || error.kind() == ErrorKind::NotFound =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn check_is_fifo(file: &File) -> io::Result<()> {
    if file.metadata()?.file_type().is_fifo() {
        return Ok(());
    }
    Err(io::Error::new(ErrorKind::InvalidData, "wake is not a FIFO"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("jobctl-wake-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn a_ring_is_heard_while_somebody_listens() {
        let dir = directory("heard");
        assert_eq!(ring(&dir).unwrap(), Rung::NobodyListens);
        let bell = listen(&dir).unwrap();
        assert_eq!(ring(&dir).unwrap(), Rung::Heard);
        assert_eq!(probe(&dir).unwrap(), Rung::Heard);
        let mut byte = [0];
        assert_eq!((&bell.0).read(&mut byte).unwrap(), 1);
        bell.drain().unwrap();
        assert_eq!((&bell.0).read(&mut byte).unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(bell);
        assert_eq!(ring(&dir).unwrap(), Rung::NobodyListens);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_full_fifo_does_not_block() {
        let dir = directory("full");
        let bell = listen(&dir).unwrap();
        for _ in 0..70_000 {
            assert_eq!(ring(&dir).unwrap(), Rung::Heard);
        }
        bell.drain().unwrap();
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_file_in_its_place_is_an_error() {
        let dir = directory("file");
        std::fs::write(dir.join("wake"), "").unwrap();
        assert!(ring(&dir).is_err());
        assert!(listen(&dir).is_err());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
