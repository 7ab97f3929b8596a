//! Everything to read besides a single run: `GET /v1/runs`, `/v1/jobs`, `/v1/jobs/JOB`,
//! `/v1/status`, `/v1/why/ID`, `/v1/next` and `/v1/stats`, each like the verb's `--json`.

use hyper::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{no_such_job, permit, whose};
use crate::core::admission::{Act, Caller, Reach};
use crate::core::moment::{self, Toward};
use crate::core::run::State;
use crate::core::time::Wall;
use crate::core::words::Word;
use crate::door::answer::{self, Answer};
use crate::door::desk::Desk;
use crate::door::list::{Asked, Page};
use crate::door::problem::{Kind, Problem, Result};
use crate::door::query;
use crate::door::shelf::Shelf;
use crate::facts::jobs::Jobs;
use crate::facts::next::{self, Range};
use crate::facts::overview::{Overview, Sources};
use crate::facts::status::{Extent, Status, Wanted};
use crate::facts::{live, stats, why};
use crate::metrics::{self, Outside};
use crate::os::clock;
use crate::store::{Filter, Store, StoreError};
use crate::wording::when::Viewer;
use crate::wording::why::paragraph;

/// The text format of Prometheus.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How far `stats` looks back by default.
pub(super) const SINCE: &str = "7d";

/// `GET /v1/runs`: newest first; callers outside `view` see their own runs.
pub(super) async fn runs(
    desk: &Desk,
    caller: &Caller,
    request: (&str, Option<&str>),
    headers: &HeaderMap,
) -> Result<Answer> {
    let asked = Asked::read(request, headers, &["job", "state", "failed", "since", "key"])?;
    let owner = match may_look(desk, caller) {
        Ok(Reach::All) => None,
        Ok(Reach::Own) | Err(_) => Some(caller.name().ok_or_else(|| {
            Problem::new(
                Kind::Unauthorized,
                "send a token: without one you have no runs of your own",
            )
        })?),
    };
    if owner.is_none() {
        check_job(desk, &asked).await?;
    }
    let limit = asked.limit()?;
    let filter = Filter { owner, ..filter(desk, &asked)? };
    let read = move |store: &Store, shelf: &Shelf| {
        // One run more than the page shows tells whether there is another page.
        let mut runs = store.runs(&filter, Some(limit.saturating_add(1)))?;
        let has_more = runs.len() > limit as usize;
        runs.truncate(limit as usize);
        live::fill_in(&shelf.state_dir, &mut runs);
        let cursor = runs.last().filter(|_| has_more).map(|run| run.id.to_string());
        Ok(Page { items: runs.iter().map(|run| json!(run)).collect(), cursor })
    };
    Ok(asked.answer(&desk.read(read).await?))
}

fn filter(desk: &Desk, asked: &Asked) -> Result<Filter> {
    let state = |text: &str| {
        State::parse(text).ok_or_else(|| {
            let words: Vec<&str> = State::ALL.iter().map(|state| state.word()).collect();
            let problem = Problem::new(Kind::BadRequest, format!("`state={text}`: no such state"));
            problem.hint(format!("known states: {}", words.join(", ")))
        })
    };
    let before = |text: &str| {
        text.parse()
            .map_err(|_| Problem::new(Kind::BadRequest, "`cursor` does not belong to this list"))
    };
    let failed = match asked.get("failed") {
        None | Some("false") => false,
        Some("" | "true") => true,
        Some(_) => return Err(Problem::new(Kind::BadRequest, "`failed` must be true or false")),
    };
    Ok(Filter {
        job: asked.get("job").map(str::to_owned),
        states: asked.get("state").into_iter().map(state).collect::<Result<_>>()?,
        failed,
        key: asked.get("key").map(str::to_owned),
        since: asked
            .get("since")
            .map(|text| time(desk, ("since", text), Toward::Past))
            .transpose()?,
        before: asked.get("cursor").map(before).transpose()?,
        ..Filter::default()
    })
}

/// Refuses a filter for a job that neither the jobfile nor the store knows.
async fn check_job(desk: &Desk, asked: &Asked) -> Result<()> {
    let Some(name) = asked.get("job").filter(|name| desk.shelf.job(name).is_none()) else {
        return Ok(());
    };
    let wanted = name.to_owned();
    match desk.read(move |store, _| store.job(&wanted)).await? {
        Some(_) => Ok(()),
        None => Err(no_such_job(name)),
    }
}

pub(super) fn time(desk: &Desk, (name, text): (&str, &str), toward: Toward) -> Result<Wall> {
    moment::parse(text, (&desk.zone, clock::now().wall), toward).map_err(|error| {
        Problem::new(Kind::BadRequest, format!("`{name}`: {}", error.message)).hint(error.hint)
    })
}

pub(super) fn may_look(desk: &Desk, caller: &Caller) -> Result<Reach> {
    permit(desk, caller, Act::Look, || Problem::new(Kind::NotFound, "no such resource"))
}

/// `GET /v1/status`: the complete status.
pub(super) async fn status(desk: &Desk, caller: &Caller, query: Option<&str>) -> Result<Answer> {
    query::pairs(query, &[])?;
    may_look(desk, caller)?;
    let status = desk.read(|store, shelf| gather(store, shelf, None)).await?;
    Ok(answer::json(StatusCode::OK, &status))
}

/// `GET /v1/jobs`: the jobs of the status, sorted by name.
pub(super) async fn jobs(
    desk: &Desk,
    caller: &Caller,
    request: (&str, Option<&str>),
    headers: &HeaderMap,
) -> Result<Answer> {
    let asked = Asked::read(request, headers, &[])?;
    may_look(desk, caller)?;
    let limit = asked.limit()? as usize;
    let status = desk.read(|store, shelf| gather(store, shelf, None)).await?;
    let name = |job: &Value| job["name"].as_str().unwrap_or_default().to_owned();
    let behind =
        |job: &&Value| asked.get("cursor").is_none_or(|cursor| name(job).as_str() > cursor);
    let jobs = status["jobs"].as_array().map_or(&[][..], Vec::as_slice);
    let rest: Vec<&Value> = jobs.iter().filter(behind).collect();
    let items: Vec<Value> = rest.iter().take(limit).map(|job| (*job).clone()).collect();
    let cursor = items.last().filter(|_| rest.len() > limit).map(name);
    Ok(asked.answer(&Page { items, cursor }))
}

/// `GET /v1/jobs/JOB`.
pub(super) async fn job(
    desk: &Desk,
    caller: &Caller,
    (name, query): (&str, Option<&str>),
) -> Result<Answer> {
    query::pairs(query, &[])?;
    may_look(desk, caller)?;
    let wanted = name.to_owned();
    let status = desk.read(move |store, shelf| gather(store, shelf, Some(&wanted))).await?;
    match status["jobs"].get(0) {
        Some(job) => Ok(answer::json(StatusCode::OK, job)),
        None => Err(no_such_job(name)),
    }
}

/// Gathers the status like its verb. The supervisor is alive, or this process would not be.
fn gather(store: &Store, shelf: &Shelf, job: Option<&str>) -> Result<Value, StoreError> {
    let moment = store.moment().map(Some)?;
    let overview = Overview::read(Some(store), true)?;
    let (jobs, now) = (shelf.jobs(), clock::now().wall);
    let sources = Sources {
        overview: &overview,
        jobs: &jobs,
        store: Some(store),
        state_dir: &shelf.state_dir,
        now,
    };
    let wanted = Wanted { job, part: None, failed: false, extent: Extent::Contract };
    let status = Status::gather(&sources, wanted)?;
    drop(moment);
    Ok(json!(status))
}

/// `GET /v1/why/ID`.
pub(super) async fn why(
    desk: &Desk,
    caller: &Caller,
    (id, query): (i64, Option<&str>),
) -> Result<Answer> {
    query::pairs(query, &[])?;
    let hidden = || Problem::no_such_run(id);
    let owner = desk.read(move |store, _| store.owner(id)).await?;
    permit(desk, caller, Act::See(whose(caller, owner.as_deref())), hidden)?;
    let zone = desk.zone.clone();
    let read = move |store: &Store, shelf: &Shelf| {
        let Some(run) = store.run(id)? else {
            return Ok(None);
        };
        let (jobs, now) = (shelf.jobs(), clock::now().wall);
        let from = why::Sources { store, jobs: &jobs, now, is_supervised: true };
        let (job, state) = (run.job.clone(), run.state);
        let explanation = from.of_run(run)?;
        let text = paragraph(&explanation, &id.to_string(), &Viewer { zone, now });
        Ok(Some(json!({ "job": job, "run": id, "state": state, "at": null, "why": text })))
    };
    let explained = desk.read(read).await?.ok_or_else(hidden)?;
    Ok(answer::json(StatusCode::OK, &explained))
}

/// `GET /v1/next`: upcoming occurrences in order of time. There are no further pages; `from` sets
/// where the list starts.
pub(super) async fn next(
    desk: &Desk,
    caller: &Caller,
    request: (&str, Option<&str>),
    headers: &HeaderMap,
) -> Result<Answer> {
    let asked = Asked::read(request, headers, &["job", "from", "until"])?;
    may_look(desk, caller)?;
    let name = asked.get("job").map(str::to_owned);
    if let Some(name) = name.as_deref().filter(|name| desk.shelf.job(name).is_none()) {
        return Err(no_such_job(name));
    }
    let at =
        |name| asked.get(name).map(|text| time(desk, (name, text), Toward::Future)).transpose();
    let from = at("from")?;
    let range = Range {
        after: from
            .map_or_else(|| clock::now().wall, |at| Wall::from_ms(at.ms().saturating_sub(1))),
        until: at("until")?,
        count: asked.limit()? as usize,
        is_from_now: from.is_none(),
    };
    let read = move |store: &Store, shelf: &Shelf| {
        let jobs = shelf.jobs();
        let rows = store.jobs()?;
        let is_asked = |job: &&_| name.as_deref().is_none_or(|name| named(job, name));
        let chosen: Vec<_> = jobs.jobs.iter().filter(is_asked).collect();
        let pause = store.supervisor()?.pause;
        let lines = next::of_jobs(&jobs, (&chosen, &rows), pause, range);
        Ok(lines.iter().map(|line| json!(line)).collect())
    };
    Ok(asked.answer(&Page { items: desk.read(read).await?, cursor: None }))
}

fn named(job: &crate::core::job::Job, name: &str) -> bool {
    job.name.as_str() == name
}

/// `GET /v1/stats`.
pub(super) async fn stats(
    desk: &Desk,
    caller: &Caller,
    request: (&str, Option<&str>),
    headers: &HeaderMap,
) -> Result<Answer> {
    let asked = Asked::read(request, headers, &["job", "since"])?;
    may_look(desk, caller)?;
    check_job(desk, &asked).await?;
    let name = asked.get("job").map(str::to_owned);
    let since = time(desk, ("since", asked.get("since").unwrap_or(SINCE)), Toward::Past)?;
    let read = move |store: &Store, _: &Shelf| {
        let lines = stats::gather(store, name.as_deref(), since, |_| None)?;
        Ok(lines.iter().map(|line| json!(line)).collect())
    };
    Ok(asked.answer(&Page { items: desk.read(read).await?, cursor: None }))
}

/// `GET /metrics`, as the verb prints it.
pub(super) async fn metrics(desk: &Desk, caller: &Caller, query: Option<&str>) -> Result<Answer> {
    query::pairs(query, &[])?;
    may_look(desk, caller)?;
    let read = |store: &Store, shelf: &Shelf| {
        let now = clock::now().wall;
        let next = shelf.jobs().all_coming(&store.jobs()?, now);
        metrics::text(store, &Outside { is_up: true, next, now })
    };
    Ok(answer::of(StatusCode::OK, PROMETHEUS, desk.read(read).await?))
}

impl Shelf {
    /// Copies the jobs for the current thread.
    pub(super) fn jobs(&self) -> Jobs {
        Jobs::with(self.jobs.clone(), self.settings.clone())
    }
}
