//! Builds responses, with the headers that all of them have.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION,
    REFERRER_POLICY, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::problem::{Kind, Problem};
use super::stream::{Pieces, Reading, Sent};
use crate::core::escape;

/// A response.
pub(super) type Answer = Response<Sent>;

/// The content type of one JSON value.
pub(super) const JSON: &str = "application/json";
/// The content type of JSON objects, one per line.
pub(super) const NDJSON: &str = "application/x-ndjson";
/// The content type of plain text.
const TEXT: &str = "text/plain; charset=utf-8";

/// Responds with a JSON value.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    of(status, JSON, object(value))
}

/// Formats a JSON value.
pub(super) fn object(value: &impl Serialize) -> Vec<u8> {
    let text = serde_json::to_string(value).expect("what is shown is JSON");
    (escape::json(&text).into_owned() + "\n").into_bytes()
}

/// Responds with JSON objects, one per line.
pub(super) fn ndjson<T: Serialize>(status: StatusCode, values: &[T]) -> Answer {
    of(status, NDJSON, lines(values))
}

/// Formats JSON objects, one per line.
pub(super) fn lines<T: Serialize>(values: &[T]) -> Vec<u8> {
    let mut text = Vec::new();
    for value in values {
        serde_json::to_writer(&mut text, value).expect("what is shown is JSON");
        text.push(b'\n');
    }
    text
}

/// Adds `Location`: the address of the run that was created or found.
pub(super) fn at(answer: Answer, location: &str) -> Answer {
    with(answer, LOCATION, location)
}

/// Responds with a problem.
pub(super) fn problem(problem: &Problem) -> Answer {
    let (_, status, _) = problem.kind.facts();
    let status = StatusCode::from_u16(status).expect("the table has statuses of HTTP");
    let mut answer = of(status, "application/problem+json", problem.json());
    if let Some(seconds) = problem.retry_after {
        answer = with(answer, RETRY_AFTER, &seconds.to_string());
    }
    if let Some(methods) = problem.allow {
        answer = with(answer, ALLOW, methods);
    }
    if problem.kind == Kind::Unauthorized {
        answer = with(answer, WWW_AUTHENTICATE, "Bearer realm=\"jobctl\"");
    }
    answer
}

/// Responds with plain text.
pub(super) fn text(status: StatusCode, text: &'static str) -> Answer {
    of(status, TEXT, text)
}

/// Responds with text that is read while it is sent.
pub(super) fn pieces(pieces: Box<dyn Pieces>) -> Answer {
    sent(StatusCode::OK, TEXT, Sent::Long(Reading::Idle(pieces)))
}

/// A page without a script, which a browser lets use its own styles and nothing else.
pub(super) fn page(text: &str) -> Answer {
    let style = text.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>"));
    let digest = Sha256::digest(style.map_or("", |(style, _)| style));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        STANDARD.encode(digest)
    );
    let answer = of(StatusCode::OK, "text/html; charset=utf-8", text.to_owned());
    let answer = with(answer, CONTENT_SECURITY_POLICY, &policy);
    with(answer, REFERRER_POLICY, "no-referrer")
}

/// Responds with a body of some type.
pub(super) fn of(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    sent(status, kind, Sent::Whole(Full::new(body.into())))
}

fn sent(status: StatusCode, kind: &'static str, body: Sent) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    answer
}

/// Adds a header.
pub(super) fn with(mut answer: Answer, name: HeaderName, value: &str) -> Answer {
    // All values come from the program itself.
    let value = HeaderValue::from_str(value).expect("numbers, methods and paths of ours");
    answer.headers_mut().insert(name, value);
    answer
}
