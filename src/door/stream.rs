//! Bodies of answers: whole, or read a piece at a time while the client takes them.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use http_body_util::Full;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};

/// Something long that is read piece by piece, on another thread.
pub(super) trait Pieces: Send + 'static {
    /// Reads the next piece; none at the end.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>>;
}

/// The body of an answer.
pub(super) enum Sent {
    /// All of it.
    Whole(Full<Bytes>),
    /// More of it each time that the client has taken what there was.
    Long(Reading),
}

/// How far a long body is.
pub(super) enum Reading {
    /// The next piece is not asked for yet.
    Idle(Box<dyn Pieces>),
    /// It is being read.
    Busy(JoinHandle<Read>),
    /// There is no more.
    Over,
}

/// What reads, and what it has read.
type Read = (Box<dyn Pieces>, io::Result<Option<Vec<u8>>>);

impl Reading {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if let Self::Idle(_) = self
            && let Self::Idle(mut pieces) = std::mem::replace(self, Self::Over)
        {
            *self = Self::Busy(spawn_blocking(move || {
                let read = pieces.next();
                (pieces, read)
            }));
        }
        let Self::Busy(reading) = self else {
            return Poll::Ready(None);
        };
        let Poll::Ready(read) = pin!(reading).poll(context) else {
            return Poll::Pending;
        };
        *self = Self::Over;
        Poll::Ready(match read {
            Ok((pieces, Ok(Some(bytes)))) => {
                *self = Self::Idle(pieces);
                Some(Ok(bytes.into()))
            }
            Ok((_, Ok(None))) => None,
            // The connection is broken off, which tells the client that something is missing.
            Ok((_, Err(error))) => Some(Err(error)),
            Err(error) => Some(Err(io::Error::other(error))),
        })
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Whole(whole) => {
                let polled = Pin::new(whole).poll_frame(context);
                polled.map(|frame| frame.map(|frame| frame.map_err(|never| match never {})))
            }
            Self::Long(reading) => {
                reading.poll(context).map(|read| read.map(|bytes| bytes.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end_stream(),
            Self::Long(reading) => matches!(reading, Reading::Over),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Long(_) => SizeHint::default(),
        }
    }
}
