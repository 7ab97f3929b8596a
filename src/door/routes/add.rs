//! `POST /v1/jobs/JOB/runs`: adds one item, or an item for each line.

use hyper::Request;
use hyper::body::{Body, Incoming};

use super::adding::{self, Group, Order};
use super::{no_such_job, permit};
use crate::core::admission::{Act, Caller, Reach};
use crate::core::item::ITEMS_MAX;
use crate::core::job::Job;
use crate::core::time::Wall;
use crate::door::answer::Answer;
use crate::door::body::{self, Form, JSON_MAX, NDJSON_MAX};
use crate::door::desk::Desk;
use crate::door::item;
use crate::door::problem::{Kind, Problem, Result};
use crate::door::query;
use crate::door::repeat::{self, Repeat};
use crate::os::clock;

/// Responds to the request.
pub(super) async fn answer(
    desk: &Desk,
    caller: &Caller,
    name: &str,
    request: Request<Incoming>,
) -> Result<Answer> {
    query::pairs(request.uri().query(), &[])?;
    may_add(desk, caller, name, Raised::No)?;
    let form = body::form(request.headers(), request.body().is_end_stream())?;
    let (head, body) = request.into_parts();
    let key = repeat::key(&head.headers)?;
    let max = if form == Form::Json { JSON_MAX } else { NDJSON_MAX };
    let body = desk.bodies.read(body, max).await?;
    let repeat = key.map(|key| {
        let author = caller.name().unwrap_or_default();
        Repeat::of(key, (&author, name), (form, &body.bytes))
    });
    // A repeated request gets the first reply even if it would be refused by now.
    let order = order(desk, caller, name, (form, &body.bytes));
    drop(body);
    let reply = match (order, repeat) {
        (Ok(order), None) if order.is_large() => adding::add_in_portions(desk, order).await?,
        (Ok(order), Some(_)) if order.is_large() => return Err(too_large_for_a_key()),
        (Err(problem), None) => return Err(problem),
        (order, repeat) => adding::add(desk, order, repeat).await?,
    };
    Ok(reply.send(form))
}

/// Reads the order from the body.
fn order(desk: &Desk, caller: &Caller, name: &str, (form, body): (Form, &[u8])) -> Result<Order> {
    let job = desk.shelf.job(name).ok_or_else(|| no_such_job(name))?;
    let now = clock::now().wall;
    let groups = match form {
        Form::Json => vec![one(body, job, desk, now)?],
        Form::Ndjson => lines(body, job, desk, now)?,
    };
    let reach = may_add(desk, caller, name, Raised::No)?;
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
    Ok(Order { job: job.clone(), form, groups, caller: caller.clone(), reach, now })
}

/// Refuses a key where items are written in portions, because no reply commits with them.
fn too_large_for_a_key() -> Problem {
    let detail = "with an `Idempotency-Key` there may be 1,000 items and 1 MiB of arguments";
    Problem::new(Kind::Invalid, detail)
        .hint("send the items in several requests, each with a key of its own")
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
