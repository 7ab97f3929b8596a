//! `POST /v1/jobs/JOB/runs`: adds one item, or an item for each line.

use hyper::body::{Body, Incoming};
use hyper::{Request, StatusCode};
use serde::Serialize;

use super::adding::{self, Group, Order};
use super::{no_such_job, permit, whose};
use crate::core::admission::{Act, Caller, Reach, Whose};
use crate::core::item::ITEMS_MAX;
use crate::core::job::Job;
use crate::core::run::State;
use crate::core::time::Wall;
use crate::door::answer::{self, Answer};
use crate::door::body::{self, Form, JSON_MAX, NDJSON_MAX};
use crate::door::desk::Desk;
use crate::door::item;
use crate::door::problem::{Kind, Problem, Result};
use crate::door::query;
use crate::os::clock;
use crate::store::Added;

/// Responds to the request.
pub(super) async fn answer(
    desk: &Desk,
    caller: &Caller,
    name: &str,
    request: Request<Incoming>,
) -> Result<Answer> {
    query::pairs(request.uri().query(), &[])?;
    let reach = may_add(desk, caller, name, Raised::No)?;
    let job = desk.shelf.job(name).ok_or_else(|| no_such_job(name))?;
    let form = body::form(request.headers(), request.body().is_end_stream())?;
    let max = if form == Form::Json { JSON_MAX } else { NDJSON_MAX };
    let body = desk.bodies.read(request.into_body(), max).await?;
    let now = clock::now().wall;
    let groups = match form {
        Form::Json => vec![one(&body.bytes, job, desk, now)?],
        Form::Ndjson => lines(&body.bytes, job, desk, now)?,
    };
    let (own, asked) = (job.policy.priority, groups.iter().filter_map(|it| it.options.priority));
    if let Some(priority) = asked.max().filter(|priority| *priority > own) {
        may_add(desk, caller, name, Raised::Yes).map_err(|problem| {
            let detail = format!(
                "priority {priority} is above the job's priority {own}; only callers in `operate` \
                 may set that"
            );
            Problem { detail, ..problem }
        })?;
    }
    drop(body);
    let order = Order { job: job.clone(), groups, author: caller.name(), reach, now };
    match form {
        Form::Json => single(desk, caller, order).await,
        Form::Ndjson => {
            let added = adding::add(desk, order).await?;
            let is_new = added.iter().any(|added| !added.existing);
            let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
            Ok(answer::ndjson(status, &added))
        }
    }
}

/// Adds one item and responds with its run.
async fn single(desk: &Desk, caller: &Caller, order: Order) -> Result<Answer> {
    let (caller, reach) = (caller.clone(), order.reach);
    let (Added { id, existing }, run, owner) = adding::add_one(desk, order).await?;
    let status = if existing { StatusCode::OK } else { StatusCode::CREATED };
    let is_foreign = reach == Reach::Own && whose(&caller, owner.as_deref()) == Whose::Foreign;
    let answer = match is_foreign {
        true => answer::json(status, &Holder { id, state: run.run.state, existing }),
        false => answer::json(status, &run),
    };
    Ok(answer::at(answer, &format!("/v1/runs/{id}")))
}

/// The run that holds the key of an item, reduced to what any caller may see.
#[derive(Serialize)]
struct Holder {
    id: i64,
    state: State,
    existing: bool,
}

/// Whether a priority above the job's is requested.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Raised {
    Yes,
    No,
}

/// Checks the permission. A caller who may not view all jobs does not learn which ones exist.
fn may_add(desk: &Desk, caller: &Caller, name: &str, raised: Raised) -> Result<Reach> {
    let job = desk.shelf.job(name);
    let enqueue_by = job.map_or(&[][..], |job| &job.policy.enqueue_by);
    let hidden = || no_such_job(name);
    if job.is_none() && permit(desk, caller, Act::Look, hidden).is_ok() {
        return Err(no_such_job(name));
    }
    let is_raised = raised == Raised::Yes;
    permit(desk, caller, Act::Add { enqueue_by, is_raised }, hidden)
}

fn one(text: &[u8], job: &Job, desk: &Desk, now: Wall) -> Result<Group> {
    let text = if text.is_empty() { b"{}" } else { text };
    let (options, item) = item::read(text, job, (&desk.zone, now))?;
    Ok(Group { options, items: vec![item] })
}

/// Parses the items of a body, one per line; empty lines are ignored.
fn lines(text: &[u8], job: &Job, desk: &Desk, now: Wall) -> Result<Vec<Group>> {
    let mut groups: Vec<Group> = Vec::new();
    let mut count = 0;
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        count += 1;
        if count > ITEMS_MAX {
            return Err(Problem::new(Kind::TooLarge, "the body has more than 1,000,000 items"));
        }
        let (options, item) = item::read(line, job, (&desk.zone, now))
            .map_err(|problem| problem.in_line(index + 1))?;
        match groups.last_mut().filter(|group| group.options == options) {
            Some(group) => group.items.push(item),
            None => groups.push(Group { options, items: vec![item] }),
        }
    }
    Ok(groups)
}
