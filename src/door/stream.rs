//! Response bodies: in memory, or read piece by piece at the client's pace.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use http_body_util::Full;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};

/// A long text that is read piece by piece, on another thread.
pub(super) trait Pieces: Send + 'static {
    /// Reads the next piece; `None` at the end.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>>;
}

/// The body of a response.
pub(super) enum Sent {
    /// A body in memory.
    Whole(Full<Bytes>),
    /// A body that is read while it is sent.
    Long(Reading),
}

/// The progress of a long body.
pub(super) enum Reading {
    /// The client has yet to ask for the next piece.
    Idle(Box<dyn Pieces>),
    /// The next piece is being read.
    Busy(JoinHandle<Read>),
    /// The body is complete or has failed.
    Over,
}

/// The reader, and the piece it has read.
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
            // The connection is closed early, so the client sees that something is missing.
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
