//! The socket to the supervisor: when it closes the door stops; an answer on it shows that the
//! supervisor's loop responds.

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

/// How long an answer of the supervisor remains valid.
const FRESH: Duration = Duration::from_secs(1);

/// How long to wait for an answer before the loop counts as stopped.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// The limit of a message in bytes.
const MESSAGE_MAX: usize = 64;

/// The door's end of the socket.
#[derive(Debug)]
pub(super) struct Control {
    /// Really a sequenced-packet socket, which sends and receives like a datagram socket.
    socket: UnixDatagram,
    turned_at: Cell<Option<Mono>>,
    turned: Notify,
    leaving: watch::Sender<bool>,
}

impl Control {
    /// Wraps the door's end of the socket.
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

    /// Tells the supervisor that the door is serving.
    pub(super) async fn say_ready(&self) {
        // If this fails, only the delay before the next start is longer.
        let _ = self.socket.send(READY).await;
    }

    /// Becomes true when the door has to stop.
    pub(super) fn leaving(&self) -> watch::Receiver<bool> {
        self.leaving.subscribe()
    }

    /// Listens to the supervisor until it closes the socket.
    pub(super) async fn hear(&self) {
        let mut buffer = [0; MESSAGE_MAX];
        // An empty message means that the other end is closed.
        while self.socket.recv(&mut buffer).await.is_ok_and(|len| len > 0) {
            self.turned_at.set(Some(clock::now().mono));
            self.turned.notify_waiters();
        }
        self.leaving.send_replace(true);
    }

    /// Returns whether the supervisor's loop responds.
    pub(super) async fn is_turning(&self) -> bool {
        let now = clock::now().mono;
        if self.turned_at.get().is_some_and(|at| now.since(at) < FRESH) {
            return true;
        }
        let asked = async {
            // Register before asking, so that the answer is not missed.
            let turned = self.turned.notified();
            // A question that cannot be sent times out below.
            let _ = self.socket.send(b"?").await;
            turned.await;
        };
        timeout(ANSWER_MAX, asked).await.is_ok()
    }
}
