//! `Idempotency-Key`: a repeated request gets the first answer.

use hyper::HeaderMap;
use sha2::{Digest, Sha256};

use super::body::Form;
use super::problem::{Kind, Problem, Result};

/// The header.
const NAME: &str = "idempotency-key";

/// Bytes of a key.
const KEY_MAX: usize = 255;

/// The identity of a request with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Repeat {
    /// SHA-256 of caller, job and key.
    pub(super) request: [u8; 32],
    /// SHA-256 of the body and its form.
    pub(super) body: [u8; 32],
}

impl Repeat {
    /// Identifies the request of a caller for a job.
    pub(super) fn of(key: &[u8], (caller, job): (&str, &str), (form, body): (Form, &[u8])) -> Self {
        let form: &[u8] = match form {
            Form::Json => b"json",
            Form::Ndjson => b"ndjson",
        };
        Self { request: hash(&[caller.as_bytes(), job.as_bytes(), key]), body: hash(&[form, body]) }
    }
}

/// Hashes parts; only the last one may contain a NUL.
fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            hash.update([0]);
        }
        hash.update(part);
    }
    hash.finalize().into()
}

/// Returns the key of a request without its quotes, if there is one.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<&[u8]>> {
    let mut values = headers.get_all(NAME).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.as_bytes().trim_ascii(),
        (Some(_), Some(_)) => return Err(wrong("is given twice")),
    };
    let key = match value {
        [b'"', key @ .., b'"'] => key,
        [b'"', ..] | [.., b'"'] => return Err(wrong("has one quote")),
        key => key,
    };
    match key.len() {
        1..=KEY_MAX => Ok(Some(key)),
        _ => Err(wrong("must have 1 to 255 bytes")),
    }
}

fn wrong(what: &str) -> Problem {
    Problem::new(Kind::BadRequest, format!("`Idempotency-Key` {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_1_to_255_bytes_with_quotes_or_without() {
        let long = "x".repeat(256);
        for (values, expected) in [
            (&[][..], Ok(None)),
            (&["a"], Ok(Some("a"))),
            (&["\"a\""], Ok(Some("a"))),
            (&["a b, c"], Ok(Some("a b, c"))),
            (&[&long[1..]], Ok(Some(&long[1..]))),
            (&[&long], Err(())),
            (&[""], Err(())),
            (&["\"\""], Err(())),
            (&["\""], Err(())),
            (&["\"a"], Err(())),
            (&["a\""], Err(())),
            (&["a", "a"], Err(())),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(NAME, value.parse().unwrap());
            }
            let key = key(&headers).map_err(|_| ());
            assert_eq!(key, expected.map(|key| key.map(str::as_bytes)), "{values:?}");
        }
    }

    #[test]
    fn a_request_is_known_by_caller_job_and_key_and_judged_by_its_body() {
        let of = |key: &str, caller, job, body: (Form, &[u8])| {
            Repeat::of(key.as_bytes(), (caller, job), body)
        };
        let first = of("k", "user:a", "j", (Form::Json, b"{}"));
        for other in [
            of("l", "user:a", "j", (Form::Json, b"{}")),
            of("k", "user:b", "j", (Form::Json, b"{}")),
            of("k", "user:a", "i", (Form::Json, b"{}")),
            of("", "user:a", "jk", (Form::Json, b"{}")),
        ] {
            assert_ne!(first.request, other.request);
            assert_eq!(first.body, other.body);
        }
        for body in [(Form::Ndjson, &b"{}"[..]), (Form::Json, b"{ }")] {
            let other = of("k", "user:a", "j", body);
            assert!(other.request == first.request && other.body != first.body);
        }
    }
}
