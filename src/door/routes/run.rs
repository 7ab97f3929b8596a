//! `GET /v1/runs/ID`: a run, immediately or once it has ended.

use std::time::Duration;

use hyper::StatusCode;
use tokio::time::timeout;

use super::{permit, whose};
use crate::core::admission::{Act, Caller};
use crate::core::duration::parse_duration;
use crate::door::answer::{self, Answer};
use crate::door::desk::Desk;
use crate::door::problem::{Kind, Problem, Result};
use crate::door::query;
use crate::door::race;
use crate::facts;

/// The limit of `wait`.
const WAIT_MAX: Duration = Duration::from_secs(600);

/// Responds to the request.
pub(super) async fn answer(
    desk: &Desk,
    caller: &Caller,
    id: i64,
    query: Option<&str>,
) -> Result<Answer> {
    let wait = wait(query)?;
    let hidden = || Problem::no_such_run(id);
    let owner = desk.read(move |store, _| store.owner(id)).await?;
    permit(desk, caller, Act::See(whose(caller, owner.as_deref())), hidden)?;
    if let Some(wait) = wait {
        let mut leaving = desk.control.leaving();
        let ended = timeout(wait, desk.waits.end_of(id));
        // Whichever comes first; the response shows the run as it is then.
        race::first(ended, leaving.wait_for(|leaving| *leaving)).await;
    }
    let run = desk.read(move |store, shelf| facts::run::read(store, &shelf.state_dir, id)).await?;
    Ok(answer::json(StatusCode::OK, &run.ok_or_else(hidden)?))
}

/// Parses how long to wait for the end of the run.
fn wait(query: Option<&str>) -> Result<Option<Duration>> {
    let pairs = query::pairs(query, &["wait"])?;
    let Some((_, text)) = pairs.first() else {
        return Ok(None);
    };
    match parse_duration(text) {
        Ok(span) if span <= WAIT_MAX => Ok(Some(span)),
        Ok(_) => Err(Problem::new(Kind::BadRequest, "`wait` is more than 10m")),
        Err(error) => {
            let detail = format!("`wait`: {}", error.message);
            Err(Problem::new(Kind::BadRequest, detail).hint(error.hint))
        }
    }
}
