//! Locks that say that a command is alive which puts something down for others: the kernel frees
//! them however it ends.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::lock::{Kind, try_lock};

/// A lock of a number of its own, and its file while this lives.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// The number.
    pub(crate) number: i64,
    path: PathBuf,
    _file: File,
}

impl Ticket {
    /// Takes the first one from `from` on that nobody has.
    pub(crate) fn take(state_dir: &Path, from: i64) -> io::Result<Self> {
        let mut number = from;
        loop {
            let path = path_of(state_dir, number);
            if let Some(file) = try_lock(&path, Kind::Exclusive)? {
                return Ok(Self { number, path, _file: file });
            }
            number += 1;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // One that stays is removed by whoever asks for it.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether the ticket of this number is held. What cannot be asked counts as held: then nothing is
/// taken away.
pub(crate) fn is_held(state_dir: &Path, number: i64) -> bool {
    let path = path_of(state_dir, number);
    if fs::symlink_metadata(&path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return false;
    }
    match try_lock(&path, Kind::Exclusive) {
        Ok(Some(_file)) => {
            let _ = fs::remove_file(&path);
            false
        }
        Ok(None) | Err(_) => true,
    }
}

fn path_of(state_dir: &Path, number: i64) -> PathBuf {
    state_dir.join(format!("batch-{number}.lock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_held_as_long_as_its_command_lives_and_leaves_nothing() {
        let dir = std::env::temp_dir().join(format!("jobctl-ticket-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let one = Ticket::take(&dir, 7).unwrap();
        let other = Ticket::take(&dir, 7).unwrap();
        assert_eq!((one.number, other.number), (7, 8));
        assert!(is_held(&dir, 7) && is_held(&dir, 8) && !is_held(&dir, 9));
        drop(one);
        assert!(!is_held(&dir, 7));
        // As after a crash: the file is there, and nobody has it.
        fs::write(path_of(&dir, 9), "").unwrap();
        assert!(!is_held(&dir, 9));
        drop(other);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        fs::remove_dir_all(dir).unwrap();
    }
}
