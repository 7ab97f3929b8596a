//! Accepts connections, limits their number, and serves them until they close.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::rt::{Read, Write as HyperWrite};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::socket::{AddressFamily, SockaddrLike, SockaddrStorage, getsockname};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::{JoinSet, spawn_local};
use tokio::time::{sleep, timeout};

use super::accounts::by_token;
use super::address::{self, Way};
use super::answer::{self, Answer};
use super::desk::Desk;
use super::problem::{Kind, Problem, Result};
use super::race::{First, first};
use super::routes;
use crate::core::admission::Caller;
use crate::os::peer::{self, Peer};
use crate::os::process;

/// Open connections: in total, and those of one user or of TCP as a whole.
const CONNECTIONS_MAX: usize = 2048;
const CONNECTIONS_OF_ONE_MAX: usize = 1024;

/// Descriptors reserved for other uses than connections.
const DESCRIPTORS_OWN: usize = 64;

/// The time limit for the head of a request, and for an idle connection.
const HEAD_MAX: Duration = Duration::from_secs(30);

/// The size of the head of a request, and its number of headers.
const HEAD_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 100;

/// How long requests in progress may take to finish when the door stops.
const LEAVING_MAX: Duration = Duration::from_secs(25);

/// The pause after a failed accept(2).
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// A listening socket.
enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// The unit of the connection limit: a user, or `None` for all of TCP.
type Origin = Option<u32>;

/// The number of open connections.
struct Counts {
    max: usize,
    all: Cell<usize>,
    of: RefCell<HashMap<Origin, usize>>,
}

/// A connection's part of the count, given back when it is dropped.
struct Counted {
    counts: Rc<Counts>,
    origin: Origin,
}

impl Counted {
    /// Counts another connection, unless the limit is reached.
    fn one(counts: &Rc<Counts>, origin: Origin) -> Option<Self> {
        let mut of = counts.of.borrow_mut();
        let own = of.entry(origin).or_default();
        if counts.all.get() >= counts.max || *own >= CONNECTIONS_OF_ONE_MAX.min(counts.max) {
            return None;
        }
        *own += 1;
        counts.all.set(counts.all.get() + 1);
        Some(Self { counts: Rc::clone(counts), origin })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.counts.all.set(self.counts.all.get().saturating_sub(1));
        let mut of = self.counts.of.borrow_mut();
        if let Some(own) = of.get_mut(&self.origin) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                of.remove(&self.origin);
            }
        }
    }
}

/// The client of a connection.
struct Client {
    way: Way,
    /// The connected process; `None` if the kernel cannot identify it.
    peer: Option<Peer>,
}

/// Serves all sockets until the supervisor tells the door to stop.
pub(super) async fn all(desk: &Rc<Desk>, sockets: Vec<OwnedFd>) -> io::Result<()> {
    let max = process::descriptors_max().saturating_sub(DESCRIPTORS_OWN).min(CONNECTIONS_MAX);
    let counts = Rc::new(Counts { max, all: Cell::new(0), of: RefCell::default() });
    let mut leaving = desk.control.leaving();
    let hearing = Rc::clone(desk);
    spawn_local(async move { hearing.control.hear().await });
    let waiting = Rc::clone(desk);
    spawn_local(async move { waiting.waits.serve(&waiting.shelf).await });
    let mut accepting = JoinSet::new();
    for socket in sockets {
        let (listener, desk, counts) = (Listener::of(socket)?, Rc::clone(desk), Rc::clone(&counts));
        accepting.spawn_local(async move { listener.serve(&desk, &counts).await });
    }
    desk.control.say_ready().await;
    // An error means that the sender is gone, so stop as well.
    let _ = leaving.wait_for(|leaving| *leaving).await;
    accepting.shutdown().await;
    let rest = async {
        while counts.all.get() > 0 {
            sleep(ACCEPT_AGAIN).await;
        }
    };
    // Requests that take longer are cut off.
    let _ = timeout(LEAVING_MAX, rest).await;
    Ok(())
}

impl Listener {
    fn of(socket: OwnedFd) -> io::Result<Self> {
        let address: SockaddrStorage = getsockname(socket.as_raw_fd())?;
        if address.family() == Some(AddressFamily::Unix) {
            let listener = std::os::unix::net::UnixListener::from(socket);
            listener.set_nonblocking(true)?;
            return Ok(Self::Unix(UnixListener::from_std(listener)?));
        }
        let listener = std::net::TcpListener::from(socket);
        listener.set_nonblocking(true)?;
        Ok(Self::Tcp(TcpListener::from_std(listener)?))
    }

    async fn serve(&self, desk: &Rc<Desk>, counts: &Rc<Counts>) {
        loop {
            if self.accept(desk, counts).await.is_err() {
                // For example, the process or the machine is out of descriptors.
                sleep(ACCEPT_AGAIN).await;
            }
        }
    }

    async fn accept(&self, desk: &Rc<Desk>, counts: &Rc<Counts>) -> io::Result<()> {
        match self {
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let peer = peer::of(&stream)?;
                let origin = peer.as_ref().map(|peer| peer.uid);
                let Some(counted) = Counted::one(counts, origin) else {
                    refuse(&stream.into_std()?);
                    return Ok(());
                };
                let client = Client { way: Way::Unix, peer };
                serve(Rc::clone(desk), TokioIo::new(stream), client, counted);
            }
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                let way = Way::Tcp(stream.local_addr()?);
                let Some(counted) = Counted::one(counts, None) else {
                    refuse(&stream.into_std()?);
                    return Ok(());
                };
                // A response is written in one piece, so there is nothing to wait for.
                stream.set_nodelay(true)?;
                serve(Rc::clone(desk), TokioIo::new(stream), Client { way, peer: None }, counted);
            }
        }
        Ok(())
    }
}

/// Tells a client, without blocking, that there are too many connections.
fn refuse(mut stream: impl Write) {
    let answer = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\
                  Connection: close\r\n\r\n";
    let _ = stream.write_all(answer.as_bytes());
}

/// Serves a connection in a task of its own.
fn serve<I>(desk: Rc<Desk>, io: I, client: Client, counted: Counted)
where
    I: Read + HyperWrite + Unpin + 'static,
{
    let mut leaving = desk.control.leaving();
    let client = Rc::new(client);
    let service = service_fn(move |request: Request<Incoming>| {
        let (desk, client) = (Rc::clone(&desk), Rc::clone(&client));
        async move { Ok::<_, Infallible>(answer(&desk, &client, request).await) }
    });
    spawn_local(async move {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_MAX)
            .max_headers(HEADERS_MAX)
            .max_buf_size(HEAD_BYTES_MAX)
            .half_close(true)
            .serve_connection(io, service);
        let mut connection = pin!(connection);
        let leaving = leaving.wait_for(|leaving| *leaving);
        if matches!(first(connection.as_mut(), leaving).await, First::Other(_)) {
            connection.as_mut().graceful_shutdown();
            // A client that misbehaves or disconnects is not an error of the door.
            let _ = connection.await;
        }
        drop(counted);
    });
}

/// Responds to a request.
async fn answer(desk: &Desk, client: &Client, request: Request<Incoming>) -> Answer {
    match admitted(desk, client, request).await {
        Ok(answer) => answer,
        Err(problem) => answer::problem(&problem),
    }
}

async fn admitted(desk: &Desk, client: &Client, request: Request<Incoming>) -> Result<Answer> {
    let by_token = by_token(request.headers(), &desk.rules.tokens);
    let has_token = matches!(by_token, Ok(Some(_)));
    address::check(client.way, request.headers(), has_token)?;
    let caller = match (by_token?, &client.peer) {
        (Some(caller), _) => Rc::new(caller),
        (None, Some(peer)) => desk.accounts.name(peer).await,
        (None, None) => Rc::new(Caller::Unknown),
    };
    let is_open = request.uri().path() == routes::HEALTH;
    if *caller == Caller::Unknown && client.way.is_from_elsewhere() && !is_open {
        return Err(Problem::new(
            Kind::Unauthorized,
            "a request from another machine needs a token",
        ));
    }
    routes::answer(desk, &caller, request).await
}
