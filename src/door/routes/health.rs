//! `GET /healthz`: whether the supervisor's loop responds.

use hyper::StatusCode;

use crate::door::answer::{self, Answer};
use crate::door::desk::Desk;
use crate::door::problem::{Kind, Problem, Result};
use crate::door::query;

/// Responds to the request.
pub(super) async fn answer(desk: &Desk, query: Option<&str>) -> Result<Answer> {
    query::pairs(query, &[])?;
    if desk.control.is_turning().await {
        return Ok(answer::text(StatusCode::OK, "ok\n"));
    }
    let detail = "the supervisor's loop has not answered for 2s";
    Err(Problem::new(Kind::LoopStopped, detail).retry_after(5))
}
