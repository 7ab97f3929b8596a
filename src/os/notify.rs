//! Messages to the service manager (sd_notify(3)) on the socket that `$NOTIFY_SOCKET` names.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// A connection to the service manager.
#[derive(Debug)]
pub(crate) struct Notify {
    socket: UnixDatagram,
    address: SocketAddr,
    /// How often it expects a watchdog message; none if it expects none.
    pub(crate) watchdog: Option<Duration>,
}

impl Notify {
    /// Connects as this process's environment says; none if no manager listens. Errs if
    /// `$NOTIFY_SOCKET` names neither a path nor an abstract socket.
    pub(crate) fn of_process() -> io::Result<Option<Self>> {
        let name = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        name.map(|name| Self::to(&name)).transpose()
    }

    fn to(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_bytes().split_first() {
            Some((b'@', rest)) => SocketAddr::from_abstract_name(rest)?,
            Some((b'/', _)) => SocketAddr::from_pathname(name)?,
            Some(_) | None => return Err(io::ErrorKind::Unsupported.into()),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, address, watchdog: watchdog() })
    }

    /// Sends lines of `NAME=value` without waiting.
    pub(crate) fn send(&self, message: &str) -> io::Result<()> {
        self.socket.send_to_addr(message.as_bytes(), &self.address).map(|_| ())
    }
}

/// `$WATCHDOG_USEC`, if it is meant for this process.
fn watchdog() -> Option<Duration> {
    let is_other =
        std::env::var("WATCHDOG_PID").is_ok_and(|pid| pid.parse() != Ok(std::process::id()));
    let micros = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    (!is_other && micros > 0).then(|| Duration::from_micros(micros))
}
