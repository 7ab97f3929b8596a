//! `GET /`: the page of `jobctl report --html`, for a browser.

use super::look::{SINCE, may_look, time};
use super::no_such_job;
use crate::core::admission::Caller;
use crate::core::moment::Toward;
use crate::core::time::Wall;
use crate::door::answer::{self, Answer};
use crate::door::desk::Desk;
use crate::door::problem::{Kind, Problem, Result};
use crate::door::query;
use crate::door::shelf::Shelf;
use crate::facts::overview::{Overview, Sources};
use crate::facts::report::{Asked, Report};
use crate::os::{clock, machine};
use crate::pages::{self, Frame};
use crate::store::{Store, StoreError};
use crate::wording::when::Viewer;

/// Answers it, with `since` as in `stats` and one `job`.
pub(super) async fn answer(desk: &Desk, caller: &Caller, query: Option<&str>) -> Result<Answer> {
    let pairs = query::pairs(query, &["job", "since"])?;
    may_look(desk, caller)?;
    let get = |name: &str| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.as_str());
    let jobs: Vec<String> = get("job").map(str::to_owned).into_iter().collect();
    if let Some(name) = jobs.iter().find(|name| desk.shelf.job(name).is_none()) {
        return Err(no_such_job(name));
    }
    let since = time(desk, ("since", get("since").unwrap_or(SINCE)), Toward::Past)?;
    let viewer = Viewer { zone: desk.zone.clone(), now: clock::now().wall };
    let page = desk.read(move |store, shelf| page(store, shelf, (&jobs, since), &viewer)).await?;
    page.map(|text| answer::page(&text))
        .map_err(|error| Problem::new(Kind::Busy, format!("the page cannot be made: {error}")))
}

/// The page, from all that is known at one moment; the inner error is the template's.
fn page(
    store: &Store,
    shelf: &Shelf,
    (only, since): (&[String], Wall),
    viewer: &Viewer,
) -> Result<Result<String, pages::Error>, StoreError> {
    let moment = store.moment()?;
    let overview = Overview::read(Some(store), true)?;
    let jobs = shelf.jobs();
    let sources = Sources {
        overview: &overview,
        jobs: &jobs,
        store: Some(store),
        state_dir: &shelf.state_dir,
        now: viewer.now,
    };
    let asked = Asked { jobs: only, since: since.min(viewer.now), zone: &viewer.zone };
    let report = Report::gather(&sources, &asked)?;
    drop(moment);
    let host = machine::host_name();
    Ok(pages::report(&report, &Frame { host: &host, only, viewer }))
}
