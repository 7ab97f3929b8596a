//! The routes: paths, methods and the permission that each needs.

mod add;
mod adding;
mod change;
mod health;
mod look;
mod output;
mod page;
mod reply;
mod run;

use hyper::body::{Body, Incoming};
use hyper::{Method, Request};

use change::{Steer, Verb};

use super::answer::Answer;
use super::desk::Desk;
use super::problem::{Kind, Problem, Result};
use super::query;
use crate::core::admission::{Act, Caller, List, Reach, Ruling, Whose};

/// The only path that needs no permission.
pub(super) const HEALTH: &str = "/healthz";

/// Responds to a caller's request.
pub(super) async fn answer(
    desk: &Desk,
    caller: &Caller,
    request: Request<Incoming>,
) -> Result<Answer> {
    let path = request.uri().path();
    let segments = query::segments(path).ok_or_else(|| no_such_resource(path))?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["v1", "jobs", job, "runs"] => {
            only(&request, &[Method::POST], "POST")?;
            let job = (*job).to_owned();
            add::answer(desk, caller, &job, request).await
        }
        ["v1", "runs", id, verb @ ("cancel" | "ack" | "retry")] => {
            only(&request, &[Method::POST], "POST")?;
            let verb = match *verb {
                "cancel" => Verb::Cancel,
                "ack" => Verb::Ack,
                _ => Verb::Retry,
            };
            bare(&request)?;
            change::run(desk, caller, number(id)?, verb).await
        }
        ["v1", steer @ ("pause" | "resume")] => {
            self::steer(desk, caller, None, (steer, &request)).await
        }
        ["v1", "jobs", job, steer @ ("pause" | "resume")] => {
            self::steer(desk, caller, Some(job), (steer, &request)).await
        }
        path => read(desk, caller, path, &request).await,
    }
}

/// Responds to a request that changes nothing.
async fn read(
    desk: &Desk,
    caller: &Caller,
    path: &[&str],
    request: &Request<Incoming>,
) -> Result<Answer> {
    let get = || only(request, &[Method::GET, Method::HEAD], "GET, HEAD");
    let (uri, headers) = (request.uri(), request.headers());
    let (query, asked) = (uri.query(), (uri.path(), uri.query()));
    match path {
        [""] => get().map(|()| page::answer(desk, caller, query))?.await,
        ["healthz"] => get().map(|()| health::answer(desk, query))?.await,
        ["metrics"] => get().map(|()| look::metrics(desk, caller, query))?.await,
        ["v1", "runs" | "why", ""] => Err(no_such_resource(uri.path())),
        ["v1", "runs"] => get().map(|()| look::runs(desk, caller, asked, headers))?.await,
        ["v1", "jobs"] => get().map(|()| look::jobs(desk, caller, asked, headers))?.await,
        ["v1", "next"] => get().map(|()| look::next(desk, caller, asked, headers))?.await,
        ["v1", "stats"] => get().map(|()| look::stats(desk, caller, asked, headers))?.await,
        ["v1", "status"] => get().map(|()| look::status(desk, caller, query))?.await,
        ["v1", "jobs", job] => get().map(|()| look::job(desk, caller, (job, query)))?.await,
        ["v1", "runs", id] => {
            get()?;
            run::answer(desk, caller, number(id)?, query).await
        }
        ["v1", "runs", id, "output"] => {
            get()?;
            output::answer(desk, caller, number(id)?, query).await
        }
        ["v1", "why", id] => {
            get()?;
            look::why(desk, caller, (number(id)?, query)).await
        }
        _ => Err(no_such_resource(uri.path())),
    }
}

fn no_such_resource(path: &str) -> Problem {
    Problem::new(Kind::NotFound, format!("{path}: no such resource"))
}

async fn steer(
    desk: &Desk,
    caller: &Caller,
    job: Option<&str>,
    (word, request): (&str, &Request<Incoming>),
) -> Result<Answer> {
    only(request, &[Method::POST], "POST")?;
    bare(request)?;
    let steer = if word == "pause" { Steer::Pause } else { Steer::Resume };
    change::steer(desk, caller, job, steer).await
}

/// Refuses a body where none is used.
fn bare(request: &Request<Incoming>) -> Result<()> {
    query::pairs(request.uri().query(), &[])?;
    match request.body().is_end_stream() {
        true => Ok(()),
        false => Err(Problem::new(Kind::BadRequest, "this request takes no body")),
    }
}

/// The problem of an unknown job.
fn no_such_job(name: &str) -> Problem {
    Problem::new(Kind::NoSuchJob, format!("job `{name}`: no such job"))
}

/// Refuses all methods but these.
fn only(request: &Request<Incoming>, methods: &[Method], allow: &'static str) -> Result<()> {
    if methods.contains(request.method()) {
        return Ok(());
    }
    let detail = format!("{}: supports only {allow}", request.uri().path());
    Err(Problem { allow: Some(allow), ..Problem::new(Kind::MethodNotAllowed, detail) })
}

/// Parses the id of a run.
fn number(text: &str) -> Result<i64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number).ok_or_else(|| {
        Problem::new(Kind::NoSuchRun, format!("run `{text}`: no such run"))
            .hint("a run id is a number")
    })
}

/// Checks the permission for an act and returns its reach; `hidden` is the problem to report to a
/// caller who may not learn of the object.
fn permit(
    desk: &Desk,
    caller: &Caller,
    act: Act<'_>,
    hidden: impl FnOnce() -> Problem,
) -> Result<Reach> {
    let list = match desk.rules.judge(caller, act) {
        Ruling::Allowed(reach) => return Ok(reach),
        Ruling::Hidden if *caller == Caller::Unknown => List::View,
        Ruling::Hidden => return Err(hidden()),
        Ruling::Forbidden(list) => list,
    };
    let key = match list {
        List::View => "`view` of [door]",
        List::Operate => "`operate` of [door]",
        List::EnqueueBy => "`enqueue_by` of the job",
    };
    Err(match caller.name() {
        None => {
            Problem::new(Kind::Unauthorized, format!("no token and no known user: not in {key}"))
        }
        Some(name) => Problem::new(Kind::Forbidden, format!("{name}: not in {key}")),
    })
}

/// Returns whether a run is the caller's own.
fn whose(caller: &Caller, owner: Option<&str>) -> Whose {
    match caller.name() {
        Some(name) if owner == Some(name.as_str()) => Whose::Own,
        Some(_) | None => Whose::Foreign,
    }
}
