//! journald (systemd.journal-fields(7), the native protocol): whether standard error goes there,
//! and events with fields.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use nix::sys::stat::fstat;

/// The priorities that are used here, with the numbers of syslog(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    Error = 3,
    Warning = 4,
    Info = 6,
}

/// The socket on which journald receives events.
const SOCKET: &str = "/run/systemd/journal/socket";

/// Whether `$JOURNAL_STREAM` names the device and inode of standard error, which is how systemd
/// says that journald reads it.
pub(crate) fn reads_stderr() -> bool {
    let named = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    fstat(io::stderr().as_fd())
        .is_ok_and(|stat| named == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// The result of sending an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It was sent.
    Done,
    /// The receiver is busy; try again later.
    Later,
    /// It cannot be sent at all.
    Never,
}

/// A connection to journald.
#[derive(Debug)]
pub(crate) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Journal {
    /// Connects to this machine's journald; none if there is none.
    pub(crate) fn here() -> Option<Self> {
        Self::at(Path::new(SOCKET)).ok()
    }

    /// Connects to the one that listens on a socket at this path.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        if !path.exists() {
            return Err(ErrorKind::NotFound.into());
        }
        Ok(Self { socket, path: path.to_owned() })
    }

    /// Sends an event that [`field`] made, without waiting.
    pub(crate) fn send(&self, event: &[u8]) -> Sent {
        match self.socket.send_to(event, &self.path) {
            Ok(_) => Sent::Done,
            Err(error) if error.kind() == ErrorKind::WouldBlock => Sent::Later,
            Err(_) => Sent::Never,
        }
    }
}

/// Adds a field to an event: a line, or with its length before it where the value has lines of its
/// own.
pub(crate) fn field(event: &mut Vec<u8>, name: &str, value: &str) {
    event.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        event.push(b'\n');
        event.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        event.push(b'=');
    }
    event.extend_from_slice(value.as_bytes());
    event.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_arrives_with_its_fields_and_a_reader_that_is_gone_is_told() {
        let path = std::env::temp_dir().join(format!("jobctl-journal-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        assert!(Journal::at(&path).is_err());
        let listener = UnixDatagram::bind(&path).unwrap();
        let journal = Journal::at(&path).unwrap();
        let mut event = Vec::new();
        field(&mut event, "MESSAGE", "one line");
        field(&mut event, "ERROR", "a\nb");
        assert_eq!(journal.send(&event), Sent::Done);
        let mut buffer = [0; 100];
        let len = listener.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], b"MESSAGE=one line\nERROR\n\x03\0\0\0\0\0\0\0a\nb\n");
        // A queue that nobody empties is full at last, and that is no reason to wait.
        let full = (0..10_000).map(|_| journal.send(&event)).find(|sent| *sent != Sent::Done);
        assert_eq!(full, Some(Sent::Later));
        drop(listener);
        assert_eq!(journal.send(&event), Sent::Never);
        std::fs::remove_file(path).unwrap();
    }
}
