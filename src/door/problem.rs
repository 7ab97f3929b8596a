//! Error responses: the problem objects of RFC 9457.

use serde::Serialize;

use crate::core::item::ItemError;
use crate::core::reason::plain;
use crate::store::StoreError;
use crate::verbs::batch::AddError;

/// The types of problems. Clients depend on their names, so none is renamed or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The query, the path or a header is malformed.
    BadRequest,
    /// The body is not JSON.
    BadJson,
    /// The token is missing or unknown.
    Unauthorized,
    /// No list of the jobfile allows this caller.
    Forbidden,
    /// The request comes from another site's page.
    CrossOrigin,
    /// The path does not exist.
    NotFound,
    /// The job does not exist.
    NoSuchJob,
    /// The run does not exist, or the caller may not see it.
    NoSuchRun,
    /// The path does not support the method.
    MethodNotAllowed,
    /// Another run holds the key.
    KeyHeld,
    /// The state of the run does not allow the change.
    WrongState,
    /// The body is too large.
    TooLarge,
    /// The content type of the body is not supported.
    UnsupportedType,
    /// `Host` is not an address of the door.
    WrongHost,
    /// The body is JSON but not a valid item.
    Invalid,
    /// The `Idempotency-Key` was used with another body.
    KeyReused,
    /// The queue is at its `backlog_max`.
    BacklogFull,
    /// The store holds as many `Idempotency-Key`s as it may.
    KeysFull,
    /// Too many requests are in progress.
    Busy,
    /// The store cannot be read or written.
    StoreUnavailable,
    /// The supervisor's loop does not respond.
    LoopStopped,
}

impl Kind {
    /// All types.
    #[cfg(test)]
    pub(super) const ALL: [Self; 21] = [
        Self::BadRequest,
        Self::BadJson,
        Self::Unauthorized,
        Self::Forbidden,
        Self::CrossOrigin,
        Self::NotFound,
        Self::NoSuchJob,
        Self::NoSuchRun,
        Self::MethodNotAllowed,
        Self::KeyHeld,
        Self::WrongState,
        Self::TooLarge,
        Self::UnsupportedType,
        Self::WrongHost,
        Self::Invalid,
        Self::KeyReused,
        Self::BacklogFull,
        Self::KeysFull,
        Self::Busy,
        Self::StoreUnavailable,
        Self::LoopStopped,
    ];

    /// Returns the name, the HTTP status and the title.
    pub(super) const fn facts(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::BadRequest => ("bad-request", 400, "The request is malformed"),
            Self::BadJson => ("bad-json", 400, "The body is not JSON"),
            Self::Unauthorized => ("unauthorized", 401, "A token is needed"),
            Self::Forbidden => ("forbidden", 403, "The caller may not do this"),
            Self::CrossOrigin => ("cross-origin", 403, "The request comes from another site"),
            Self::NotFound => ("not-found", 404, "There is no such resource"),
            Self::NoSuchJob => ("no-such-job", 404, "There is no such job"),
            Self::NoSuchRun => ("no-such-run", 404, "There is no such run"),
            Self::MethodNotAllowed => {
                ("method-not-allowed", 405, "The resource does not support this method")
            }
            Self::KeyHeld => ("key-held", 409, "Another run has the key"),
            Self::WrongState => ("wrong-state", 409, "The state of the run does not allow this"),
            Self::TooLarge => ("too-large", 413, "The body is too large"),
            Self::UnsupportedType => ("unsupported-type", 415, "The content type is not supported"),
            Self::WrongHost => ("wrong-host", 421, "The host is not an address of this server"),
            Self::Invalid => ("invalid", 422, "The item is not valid"),
            Self::KeyReused => {
                ("idempotency-key-reused", 422, "The Idempotency-Key belongs to another body")
            }
            Self::BacklogFull => ("backlog-full", 429, "Too many runs are waiting"),
            Self::KeysFull => ("idempotency-keys-full", 429, "Too many Idempotency-Keys are kept"),
            Self::Busy => ("busy", 503, "Too many requests are in progress"),
            Self::StoreUnavailable => ("store-unavailable", 503, "The store is not available"),
            Self::LoopStopped => ("loop-stopped", 503, "The supervisor does not respond"),
        }
    }
}

/// A problem as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// The type.
    pub(super) kind: Kind,
    /// What is wrong with this request.
    pub(super) detail: String,
    /// What to do about it.
    pub(super) hint: Option<String>,
    /// After how many seconds the client may try again.
    pub(super) retry_after: Option<u32>,
    /// The methods that the path supports.
    pub(super) allow: Option<&'static str>,
}

/// The result of handling a request.
pub(super) type Result<T, E = Problem> = std::result::Result<T, E>;

impl Problem {
    /// Makes a problem without hint and headers.
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), hint: None, retry_after: None, allow: None }
    }

    /// Adds a hint.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Adds `Retry-After`.
    pub(super) fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// The problem of a run that does not exist or that the caller may not see.
    pub(super) fn no_such_run(id: i64) -> Self {
        Self::new(Kind::NoSuchRun, format!("run {id}: no such run"))
    }

    /// Adds the number of the line that has the problem.
    pub(super) fn in_line(self, line: usize) -> Self {
        Self { detail: format!("line {line}: {}", self.detail), ..self }
    }

    /// Serializes the problem object.
    pub(super) fn json(&self) -> Vec<u8> {
        let (name, status, title) = self.kind.facts();
        let object = Object {
            r#type: format!("/problems/{name}"),
            title,
            status,
            detail: &self.detail,
            hint: self.hint.as_deref(),
        };
        serde_json::to_vec(&object).expect("texts are JSON")
    }
}

#[derive(Serialize)]
struct Object<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        // The error's own text names files, which a client should not learn.
        let (detail, seconds) = match error {
            StoreError::Locked(_) => ("the store is locked by another process", 1),
            StoreError::Full(_) => ("the disk of the store is full", 10),
            StoreError::Missing(_)
            | StoreError::Foreign(_)
            | StoreError::Newer { .. }
            | StoreError::Older(_)
            | StoreError::Unmigrated { .. }
            | StoreError::Damaged(..)
            | StoreError::Strange(..)
            | StoreError::Altered(..)
            | StoreError::Network(_)
            | StoreError::Unreadable(..)
            | StoreError::Exists(_)
            | StoreError::Itself(_)
            | StoreError::Limited(_)
            | StoreError::Failed { .. } => ("the store cannot be used; see `jobctl doctor`", 10),
        };
        Self::new(Kind::StoreUnavailable, detail).retry_after(seconds)
    }
}

impl From<AddError> for Problem {
    fn from(error: AddError) -> Self {
        let detail = match error {
            AddError::Store(error) => return error.into(),
            AddError::Directory(error) => format!("the state directory: {}", plain(&error)),
            AddError::Restored => error.to_string(),
        };
        Self::new(Kind::StoreUnavailable, detail).retry_after(10)
    }
}

impl From<ItemError> for Problem {
    fn from(error: ItemError) -> Self {
        let problem = Self::new(Kind::Invalid, error.to_string());
        match error.hint() {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_a_name_of_its_own_and_a_title() {
        let names: std::collections::BTreeSet<_> =
            Kind::ALL.iter().map(|kind| kind.facts().0).collect();
        assert_eq!(names.len(), Kind::ALL.len());
        for (name, status, title) in Kind::ALL.map(Kind::facts) {
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{name}");
            assert!((400..600).contains(&status) && !title.is_empty(), "{name}");
        }
    }

    #[test]
    fn a_problem_is_an_object_of_rfc_9457() {
        let problem = Problem::no_such_run(7).hint("look").in_line(3);
        let text = String::from_utf8(problem.json()).unwrap();
        assert_eq!(
            text,
            "{\"type\":\"/problems/no-such-run\",\"title\":\"There is no such run\",\
             \"status\":404,\"detail\":\"line 3: run 7: no such run\",\"hint\":\"look\"}"
        );
    }
}
