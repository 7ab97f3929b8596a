//! Connections: accepted, bounded in number, and served until they end.

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

/// Connections at once, and those of one user, or of all on TCP.
const CONNECTIONS_MAX: usize = 2048;
const CONNECTIONS_OF_ONE_MAX: usize = 1024;

/// Descriptors for what is no connection.
const DESCRIPTORS_OWN: usize = 64;

/// How long the head of a request may take, and how long a connection may be idle.
const HEAD_MAX: Duration = Duration::from_secs(30);

/// Bytes of a head, and lines of it.
const HEAD_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 100;

/// How long requests may take that are under way when the door leaves.
const LEAVING_MAX: Duration = Duration::from_secs(25);

/// Before a socket that gives no connections is asked again.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// A socket that listens.
enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// Where connections are counted together: those of a user, or those of TCP.
type Origin = Option<u32>;

/// How many connections there are.
struct Counts {
    max: usize,
    all: Cell<usize>,
    of: RefCell<HashMap<Origin, usize>>,
}

/// A connection that is counted.
struct Counted {
    counts: Rc<Counts>,
    origin: Origin,
}

impl Counted {
    /// Counts one more, unless there are too many.
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

/// The other end of a connection.
struct Client {
    way: Way,
    /// Who connected; none where the kernel cannot say.
    peer: Option<Peer>,
}

/// Serves all sockets until the supervisor says that it is enough.
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
    // An error is the end of the supervisor's part.
    let _ = leaving.wait_for(|leaving| *leaving).await;
    accepting.shutdown().await;
    let rest = async {
        while counts.all.get() > 0 {
            sleep(ACCEPT_AGAIN).await;
        }
    };
    // What takes longer is broken off.
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
                // The descriptors of this process or of the machine are used up, say.
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
                // An answer is one piece, and nothing is to wait for another one.
                stream.set_nodelay(true)?;
                serve(Rc::clone(desk), TokioIo::new(stream), Client { way, peer: None }, counted);
            }
        }
        Ok(())
    }
}

/// Tells a client that there are too many, as far as that takes no waiting.
fn refuse(mut stream: impl Write) {
    let answer = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\
                  Connection: close\r\n\r\n";
    let _ = stream.write_all(answer.as_bytes());
}

/// Begins to serve a connection.
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
            // What a client does wrong, or that it left, is its own business.
            let _ = connection.await;
        }
        drop(counted);
    });
}

/// Answers a request.
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
        return Err(Problem::new(Kind::Unauthorized, "other machines need a token"));
    }
    routes::answer(desk, &caller, request).await
}
