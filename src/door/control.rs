//! The socket to the supervisor: its end is the sign to leave, and an answer on it the sign that
//! the loop turns.

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::net::UnixDatagram;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::core::door::READY;
use crate::core::time::Mono;
use crate::os::clock;

/// An answer so old is as good as a new one.
const FRESH: Duration = Duration::from_secs(1);

/// A loop that turns answers within this.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// The longest message.
const MESSAGE_MAX: usize = 64;

/// The socket.
#[derive(Debug)]
pub(super) struct Control {
    /// A pair of another type than the name says, which is received and sent on in the same way.
    socket: UnixDatagram,
    turned_at: Cell<Option<Mono>>,
    turned: Notify,
    leaving: watch::Sender<bool>,
}

impl Control {
    /// Of the socket that the supervisor has the other end of.
    pub(super) fn of(socket: OwnedFd) -> io::Result<Self> {
        let socket = std::os::unix::net::UnixDatagram::from(socket);
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: UnixDatagram::from_std(socket)?,
            turned_at: Cell::new(None),
            turned: Notify::new(),
            leaving: watch::Sender::new(false),
        })
    }

    /// Says that this door serves.
    pub(super) async fn say_ready(&self) {
        // One that cannot be said makes the next start slower.
        let _ = self.socket.send(READY).await;
    }

    /// Becomes true when this door is to leave.
    pub(super) fn leaving(&self) -> watch::Receiver<bool> {
        self.leaving.subscribe()
    }

    /// Hears the supervisor until it says or leaves.
    pub(super) async fn hear(&self) {
        let mut buffer = [0; MESSAGE_MAX];
        // Nothing is its end.
        while self.socket.recv(&mut buffer).await.is_ok_and(|len| len > 0) {
            self.turned_at.set(Some(clock::now().mono));
            self.turned.notify_waiters();
        }
        self.leaving.send_replace(true);
    }

    /// Returns whether the loop of the supervisor turns.
    pub(super) async fn is_turning(&self) -> bool {
        let now = clock::now().mono;
        if self.turned_at.get().is_some_and(|at| now.since(at) < FRESH) {
            return true;
        }
        let asked = async {
            // It is heard from now on.
            let turned = self.turned.notified();
            // What cannot be asked is not answered, either.
            let _ = self.socket.send(b"?").await;
            turned.await;
        };
        timeout(ANSWER_MAX, asked).await.is_ok()
    }
}
