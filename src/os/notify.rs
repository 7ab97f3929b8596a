//! What systemd wants to hear of a service (sd_notify(3)): messages on the socket that `$NOTIFY_SOCKET` names.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The way to the service manager.
#[derive(Debug)]
pub(crate) struct Notify {
    socket: UnixDatagram,
    address: SocketAddr,
    /// How often it wants to hear that the service lives; none: it does not.
    pub(crate) watchdog: Option<Duration>,
}

impl Notify {
    /// As the environment of this process says; none if nobody wants to hear anything.
    pub(crate) fn of_process() -> Option<Self> {
        let name = std::env::var_os("NOTIFY_SOCKET")?;
        let bytes = name.as_bytes();
        let address = match bytes.split_first()? {
            (b'@', rest) => SocketAddr::from_abstract_name(rest).ok()?,
            (b'/', _) => SocketAddr::from_pathname(&name).ok()?,
            _ => return None,
        };
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_nonblocking(true).ok()?;
        Some(Self {
            socket,
            address,
            watchdog: watchdog(),
        })
    }

    /// Sends lines of `NAME=value` without waiting.
    pub(crate) fn send(&self, message: &str) -> io::Result<()> {
        self.socket
            .send_to_addr(message.as_bytes(), &self.address)
            .map(|_| ())
    }
}

/// `$WATCHDOG_USEC`, if it is meant for this process.
fn watchdog() -> Option<Duration> {
    let is_other =
        std::env::var("WATCHDOG_PID").is_ok_and(|pid| pid.parse() != Ok(std::process::id()));
    let micros = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    (!is_other && micros > 0).then(|| Duration::from_micros(micros))
}
