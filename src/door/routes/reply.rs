//! Replies to requests that add runs.

use hyper::StatusCode;
use hyper::header::HeaderName;
use serde::Serialize;

use crate::core::run::State;
use crate::door::answer::{self, Answer, JSON, NDJSON};
use crate::door::body::Form;
use crate::door::problem::{Kind, Problem, Result};
use crate::door::repeat::Repeat;
use crate::store::{Added, Answered};

/// The header of a repeated reply.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A reply that can be stored and sent again.
pub(super) struct Reply {
    status: StatusCode,
    /// The run for `Location`.
    run: Option<i64>,
    text: Vec<u8>,
    is_again: bool,
}

/// The run that holds the key of an item, reduced to what any caller may see.
#[derive(Serialize)]
pub(super) struct Holder {
    /// The run's number.
    pub(super) id: i64,
    /// The run's state.
    pub(super) state: State,
    /// Whether it was there before.
    pub(super) existing: bool,
}

impl Reply {
    /// Replies to one item with a description of its run.
    pub(super) fn one(added: &Added, told: &impl Serialize) -> Self {
        let status = if added.existing { StatusCode::OK } else { StatusCode::CREATED };
        Self { status, run: Some(added.id), text: answer::object(told), is_again: false }
    }

    /// Replies with a line for each item.
    pub(super) fn lines(added: &[Added]) -> Self {
        let is_new = added.iter().any(|added| !added.existing);
        let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
        Self { status, run: None, text: answer::lines(added), is_again: false }
    }

    /// Returns the stored reply to a repeated request.
    pub(super) fn again(answered: Answered, repeat: &Repeat) -> Result<Self> {
        let Answered { body, status, run, answer: text } = answered;
        if body != repeat.body {
            let detail = "`Idempotency-Key`: it was used with another body in the last 24 hours";
            return Err(Problem::new(Kind::KeyReused, detail)
                .hint("use a new key for each thing that is to be done"));
        }
        let status = u16::try_from(status).ok().and_then(|code| StatusCode::from_u16(code).ok());
        Ok(Self { status: status.unwrap_or(StatusCode::OK), run, text, is_again: true })
    }

    /// Converts the reply for the store.
    pub(super) fn answered(&self, repeat: &Repeat) -> Answered {
        Answered {
            body: repeat.body.to_vec(),
            status: self.status.as_u16().into(),
            run: self.run,
            answer: self.text.clone(),
        }
    }

    /// Converts the reply to a response.
    pub(super) fn send(self, form: Form) -> Answer {
        let kind = if form == Form::Json { JSON } else { NDJSON };
        let mut sent = answer::of(self.status, kind, self.text);
        if let Some(run) = self.run {
            sent = answer::at(sent, &format!("/v1/runs/{run}"));
        }
        if self.is_again {
            sent = answer::with(sent, REPLAYED, "true");
        }
        sent
    }
}
