//! Reads request bodies, within limits for each body, for all bodies together, and for time.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::{Body, Incoming};
use hyper::header::CONTENT_TYPE;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::answer::{JSON, NDJSON};
use super::problem::{Kind, Problem, Result};

/// The limit of a JSON body: an item with 16 MiB of standard input in base64.
pub(super) const JSON_MAX: usize = 24 << 20;

/// The limit of an NDJSON body.
pub(super) const NDJSON_MAX: usize = 16 << 20;

/// The limit of all bodies in memory together.
const TOGETHER_MAX: usize = 32 << 20;

/// The time limits between two pieces of a body, and from its beginning to its end.
const PIECE_MAX: Duration = Duration::from_secs(30);
const WHOLE_MAX: Duration = Duration::from_secs(300);

/// The format of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One item; an empty body is an item without arguments.
    Json,
    /// One item per line.
    Ndjson,
}

/// The memory that bodies share.
#[derive(Debug)]
pub(super) struct Bodies(Semaphore);

/// A body, with its share of that memory until it is dropped.
pub(super) struct Held<'a> {
    /// The content.
    pub(super) bytes: Vec<u8>,
    _permits: Option<SemaphorePermit<'a>>,
}

/// Determines the format of a body from its header, which may be absent if the body `is_empty`.
pub(super) fn form(headers: &HeaderMap, is_empty: bool) -> Result<Form> {
    let value = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let kind = value.map(|value| value.split(';').next().unwrap_or_default().trim());
    match kind {
        None if is_empty => Ok(Form::Json),
        Some(kind) if kind.eq_ignore_ascii_case(JSON) => Ok(Form::Json),
        Some(kind) if kind.eq_ignore_ascii_case(NDJSON) => Ok(Form::Ndjson),
        Some(_) | None => {
            let detail = format!("Content-Type `{}`: not supported", kind.unwrap_or_default());
            let hint = format!("send `Content-Type: {JSON}`, or {NDJSON} for one item per line");
            Err(Problem::new(Kind::UnsupportedType, detail).hint(hint))
        }
    }
}

impl Bodies {
    /// Starts with all of the memory free.
    pub(super) fn new() -> Self {
        Self(Semaphore::new(TOGETHER_MAX))
    }

    /// Reads a body of at most `max` bytes.
    pub(super) async fn read(&self, body: Incoming, max: usize) -> Result<Held<'_>> {
        let too_large = || {
            let detail = format!("the body is larger than {} MiB", max >> 20);
            Problem::new(Kind::TooLarge, detail)
        };
        if body.size_hint().lower() > max as u64 {
            return Err(too_large());
        }
        let reading = self.pieces(body, max, &too_large);
        timeout(WHOLE_MAX, reading).await.unwrap_or_else(|_| Err(too_slow()))
    }

    async fn pieces(
        &self,
        mut body: Incoming,
        max: usize,
        too_large: &impl Fn() -> Problem,
    ) -> Result<Held<'_>> {
        let mut held = Held { bytes: Vec::new(), _permits: None };
        while let Some(frame) = timeout(PIECE_MAX, body.frame()).await.map_err(|_| too_slow())? {
            let Ok(piece) = frame.map_err(|_| broken_off())?.into_data() else {
                continue;
            };
            if held.bytes.len() + piece.len() > max {
                return Err(too_large());
            }
            let count = u32::try_from(piece.len()).map_err(|_| too_large())?;
            let permits = self.0.try_acquire_many(count).map_err(|_| {
                Problem::new(Kind::Busy, "all request bodies together exceed 32 MiB").retry_after(1)
            })?;
            match &mut held._permits {
                Some(own) => own.merge(permits),
                none => *none = Some(permits),
            }
            held.bytes.extend_from_slice(&piece);
        }
        Ok(held)
    }
}

fn too_slow() -> Problem {
    Problem::new(Kind::BadRequest, "the body did not arrive in time")
}

fn broken_off() -> Problem {
    Problem::new(Kind::BadRequest, "the body is incomplete")
}
