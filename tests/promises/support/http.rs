//! A client of the door in a few lines: what it sends and gets is seen as it is.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::libc;
use serde_json::Value;

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Reply {
    /// Reads it to the end of the connection.
    pub(crate) fn read(mut stream: impl Read) -> Self {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("the door answers");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        Self { status: status.unwrap_or(0), head: head.to_owned(), body: body.to_owned() }
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut pairs = self.head.lines().filter_map(|line| line.split_once(": "));
        pairs.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The type of a problem, without what all of them begin with.
    #[track_caller]
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{self:?}");
        let kind = problem["type"].as_str().expect("a type");
        kind.strip_prefix("/problems/").expect("its place").to_owned()
    }
}

/// A request with these lines behind its first one, and a body.
pub(crate) fn request(first: &str, headers: &[&str], body: &str) -> String {
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let host = if lines.to_ascii_lowercase().contains("host:") { "" } else { "Host: door\r\n" };
    let len = body.len();
    format!(
        "{first} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: {len}\r\n{lines}\r\n{body}"
    )
}

/// Connects to a socket of the file system.
pub(crate) fn unix(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).expect("the door listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("it is a span");
    stream
}

/// Sends bytes on a socket of the file system; the answer to them.
#[track_caller]
pub(crate) fn send(path: &Path, text: &str) -> Reply {
    let mut stream = unix(path);
    // One that is refused early is answered before all of it was sent.
    let _ = stream.write_all(text.as_bytes());
    Reply::read(stream)
}

/// The same on a port of this machine.
#[track_caller]
pub(crate) fn send_to_port(port: u16, text: &str) -> Reply {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the door listens");
    stream.write_all(text.as_bytes()).expect("it is read");
    Reply::read(stream)
}

/// Does something as another user: this thread alone becomes that one. Root may do that.
#[expect(unsafe_code, reason = "the C library changes all threads")]
pub(crate) fn as_user<T: Send>(uid: u32, act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let none = std::ptr::null::<libc::gid_t>();
            // SAFETY: the calls take numbers, and a list of none.
            let changed = unsafe {
                libc::syscall(libc::SYS_setgroups, 0, none)
                    | libc::syscall(libc::SYS_setresgid, uid, uid, uid)
                    | libc::syscall(libc::SYS_setresuid, uid, uid, uid)
            };
            assert_eq!(changed, 0, "root may");
            act()
        });
        thread.join().expect("it has not panicked")
    })
}
