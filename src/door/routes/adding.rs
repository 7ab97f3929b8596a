//! Adds the items of a request, all or none, by the same verbs as the command line.

use std::sync::Arc;

use crate::core::admission::Reach;
use crate::core::job::Job;
use crate::core::time::Wall;
use crate::door::desk::{Desk, Shelf};
use crate::door::item::Options;
use crate::door::problem::{Kind, Problem, Result};
use crate::facts::run::{self, Run};
use crate::os::wake;
use crate::store::{Added, Addition, Author, Enqueued, NewItem, Store, StoreError};
use crate::verbs::batch::{self, Aim};
use crate::verbs::enqueue::{self, ExpiresTooSoon, Wish};

/// Requests with more items, or more bytes of arguments, are written in portions.
const TOGETHER_MAX: usize = 1000;
const TOGETHER_BYTES_MAX: usize = 1 << 20;

/// When to try again after a full backlog.
const BACKLOG_AGAIN_SECONDS: u32 = 10;

/// Consecutive items with the same options.
pub(super) struct Group {
    /// The options.
    pub(super) options: Options,
    /// The items.
    pub(super) items: Vec<NewItem>,
}

/// A request to add items to a job.
pub(super) struct Order {
    /// The job.
    pub(super) job: Job,
    /// The items.
    pub(super) groups: Vec<Group>,
    /// The caller's name.
    pub(super) author: Option<String>,
    /// The runs that the caller may wait for and replace.
    pub(super) reach: Reach,
    /// The time of the request.
    pub(super) now: Wall,
}

/// The result of an order.
type Outcome = Result<Vec<Added>, Refused>;

/// Why nothing was added.
enum Refused {
    ByStore(Enqueued),
    TooSoon,
}

impl From<ExpiresTooSoon> for Refused {
    fn from(_: ExpiresTooSoon) -> Self {
        Self::TooSoon
    }
}

impl Order {
    fn addition<'a>(&'a self, options: &'a Options) -> Result<Addition<'a>, Refused> {
        let author = match (&self.author, self.reach) {
            (None, _) => Author::Nobody,
            (Some(name), Reach::All) => Author::Named(name),
            (Some(name), Reach::Own) => Author::Owner(name),
        };
        let wish = Wish {
            author,
            due_at: options.due_at,
            expires_at: options.expires_at,
            priority: options.priority,
            after: &options.after,
            on_conflict: options.on_conflict,
        };
        Ok(enqueue::addition(&self.job, &wish, self.now)?)
    }

    fn len(&self) -> usize {
        self.groups.iter().map(|group| group.items.len()).sum()
    }

    fn bytes(&self) -> usize {
        let items = self.groups.iter().flat_map(|group| &group.items);
        items.flat_map(|item| &item.args).map(Vec::len).sum()
    }

    /// Writes the items within a transaction.
    fn put_down(&mut self, store: &mut Store) -> Result<Outcome, StoreError> {
        let groups = std::mem::take(&mut self.groups);
        let mut all = Vec::new();
        for Group { options, items } in groups {
            let addition = match self.addition(&options) {
                Ok(addition) => addition,
                Err(refused) => return Ok(Err(refused)),
            };
            match store.enqueue(&addition, items)? {
                Enqueued::Added(added) => all.extend(added),
                Enqueued::BacklogFull { waiting } => {
                    // The groups before this one are undone.
                    let new = all.iter().filter(|added: &&Added| !added.existing).count();
                    let waiting = waiting.saturating_sub(i64::try_from(new).unwrap_or(i64::MAX));
                    return Ok(Err(Refused::ByStore(Enqueued::BacklogFull { waiting })));
                }
                refused @ (Enqueued::KeyHeld { .. } | Enqueued::NoSuchRun(_)) => {
                    return Ok(Err(Refused::ByStore(refused)));
                }
            }
        }
        Ok(Ok(all))
    }
}

/// Adds items and returns when they are on disk.
pub(super) async fn add(desk: &Desk, order: Order) -> Result<Vec<Added>> {
    if order.len() > TOGETHER_MAX || order.bytes() > TOGETHER_BYTES_MAX && order.len() > 1 {
        return in_portions(desk, order).await;
    }
    let (job, count) = (order.job.clone(), order.len());
    let mut order = order;
    let outcome = desk
        .writer
        .write(move |store| {
            // If one group is refused, those before it are undone.
            store.attempt(|store| order.put_down(store))
        })
        .await?;
    outcome.map_err(|refused| refused.problem(&job, count))
}

/// Adds one item; returns what happened, the run, and the run's owner.
pub(super) async fn add_one(desk: &Desk, mut order: Order) -> Result<(Added, Run, Option<String>)> {
    let (job, count, shelf) = (order.job.clone(), order.len(), Arc::clone(&desk.shelf));
    let outcome = desk
        .writer
        .write(move |store| {
            let added = match order.put_down(store)? {
                Ok(added) => added,
                Err(refused) => return Ok(Err(refused)),
            };
            look_at(store, &shelf, added).map(Ok)
        })
        .await?;
    let found = outcome.map_err(|refused| refused.problem(&job, count))?;
    found.ok_or_else(|| {
        Problem::new(Kind::StoreUnavailable, "the added run is not in the store").retry_after(1)
    })
}

type Found = Option<(Added, Run, Option<String>)>;

fn look_at(store: &Store, shelf: &Shelf, added: Vec<Added>) -> Result<Found, StoreError> {
    let Some(added) = added.into_iter().next() else {
        return Ok(None);
    };
    let run = run::read(store, &shelf.state_dir, added.id)?;
    let owner = store.owner(added.id)?;
    Ok(run.map(|run| (added, run, owner)))
}

/// Stages many items in short transactions, then makes all of them visible at once.
async fn in_portions(desk: &Desk, mut order: Order) -> Result<Vec<Added>> {
    let (job, count, shelf) = (order.job.clone(), order.len(), Arc::clone(&desk.shelf));
    let Some(Group { options, items }) = order.groups.pop().filter(|_| order.groups.is_empty())
    else {
        let detail = "with more than 1,000 lines or 1 MiB of arguments, all lines need the same \
                      members";
        return Err(Problem::new(Kind::Invalid, detail).hint("only args, stdin and key may differ"));
    };
    let work = move || -> Result<Outcome> {
        let addition = match order.addition(&options) {
            Ok(addition) => addition,
            Err(refused) => return Ok(Err(refused)),
        };
        let mut store = Store::open_write(&shelf.state_dir)?;
        let items = items.into_iter();
        let enqueued = batch::add(&mut store, &shelf.state_dir, &addition, items, Aim::Add)?;
        // Without the ring the supervisor finds them a little later.
        let _ = wake::ring(&shelf.state_dir);
        Ok(match enqueued {
            Enqueued::Added(added) => Ok(added),
            refused @ (Enqueued::BacklogFull { .. }
            | Enqueued::KeyHeld { .. }
            | Enqueued::NoSuchRun(_)) => Err(Refused::ByStore(refused)),
        })
    };
    let outcome = tokio::task::spawn_blocking(work).await;
    let broken = |_| Problem::new(Kind::Busy, "the runs were not added").retry_after(1);
    outcome.map_err(broken)??.map_err(|refused| refused.problem(&job, count))
}

impl Refused {
    fn problem(self, job: &Job, count: usize) -> Problem {
        let name = &job.name;
        match self {
            Self::TooSoon => {
                Problem::new(Kind::Invalid, "`expires`: not later than the earliest start")
            }
            Self::ByStore(Enqueued::BacklogFull { waiting }) => {
                let max = job.policy.backlog_max.unwrap_or_default();
                let detail = match count {
                    1 => format!(
                        "job `{name}`: nothing was added: {waiting} of at most {max} runs wait \
                         already"
                    ),
                    _ => format!(
                        "job `{name}`: {count} items do not fit: {waiting} of at most {max} wait \
                         already"
                    ),
                };
                Problem::new(Kind::BacklogFull, detail).retry_after(BACKLOG_AGAIN_SECONDS)
            }
            Self::ByStore(Enqueued::KeyHeld { key, by }) => {
                let detail =
                    format!("job `{name}`: nothing was added: run {by} has the key `{key}`");
                Problem::new(Kind::KeyHeld, detail)
            }
            Self::ByStore(Enqueued::NoSuchRun(id)) => {
                Problem::new(Kind::Invalid, format!("`after`: run {id}: no such run"))
            }
            Self::ByStore(Enqueued::Added(_)) => {
                Problem::new(Kind::StoreUnavailable, "nothing was added")
            }
        }
    }
}
