//! Adds the items of a request, all or none, by the same verbs as the command line.

use std::sync::Arc;

use super::reply::{Holder, Reply};
use super::whose;
use crate::core::admission::{Caller, Reach, Whose};
use crate::core::job::Job;
use crate::core::time::Wall;
use crate::door::body::Form;
use crate::door::desk::Desk;
use crate::door::item::Options;
use crate::door::problem::{Kind, Problem, Result};
use crate::door::repeat::Repeat;
use crate::door::shelf::Shelf;
use crate::facts::run;
use crate::os::{clock, wake};
use crate::store::{Added, Addition, Author, Enqueued, NewItem, Remembered, Store, StoreError};
use crate::verbs::batch::{self, Aim};
use crate::verbs::enqueue::{self, ExpiresTooSoon, Wish};

/// Requests with more items, or more bytes of arguments, are written in portions.
const TOGETHER_MAX: usize = 1000;
const TOGETHER_BYTES_MAX: usize = 1 << 20;

/// When to try again after a full backlog.
const BACKLOG_AGAIN_SECONDS: u32 = 10;

/// When to try again without room for another `Idempotency-Key`.
const KEYS_AGAIN_SECONDS: u32 = 60;

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
    /// The form of the request and of the response.
    pub(super) form: Form,
    /// The items.
    pub(super) groups: Vec<Group>,
    /// The caller.
    pub(super) caller: Caller,
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
    fn addition<'a>(
        &'a self,
        author: Option<&'a str>,
        options: &'a Options,
    ) -> Result<Addition<'a>, Refused> {
        let author = match (author, self.reach) {
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

    /// Returns whether the order is too large for one transaction.
    pub(super) fn is_large(&self) -> bool {
        self.len() > TOGETHER_MAX || self.bytes() > TOGETHER_BYTES_MAX && self.len() > 1
    }

    /// Makes the reply within the transaction that has written the items.
    fn reply(
        &self,
        store: &Store,
        shelf: &Shelf,
        added: &[Added],
    ) -> Result<Result<Reply>, StoreError> {
        let (Form::Json, [one]) = (self.form, added) else {
            return Ok(Ok(Reply::lines(added)));
        };
        let Some(run) = run::read(store, &shelf.state_dir, one.id)? else {
            let problem = Problem::new(Kind::StoreUnavailable, "the added run is not in the store");
            return Ok(Err(problem.retry_after(1)));
        };
        let owner = store.owner(one.id)?;
        let is_foreign =
            self.reach == Reach::Own && whose(&self.caller, owner.as_deref()) == Whose::Foreign;
        let holder = Holder { id: one.id, state: run.run.state, existing: one.existing };
        Ok(Ok(if is_foreign { Reply::one(one, &holder) } else { Reply::one(one, &run) }))
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
        let author = self.caller.name();
        let mut all = Vec::new();
        for Group { options, items } in groups {
            let addition = match self.addition(author.as_deref(), &options) {
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

/// Adds all items or none and returns when they are on disk. A repeated request returns the first
/// reply.
pub(super) async fn add(
    desk: &Desk,
    order: Result<Order>,
    repeat: Option<Repeat>,
) -> Result<Reply> {
    let shelf = Arc::clone(&desk.shelf);
    let now = clock::now().wall;
    let work = move |store: &mut Store| match repeat {
        None => anew(store, &shelf, order),
        Some(repeat) => once(store, &shelf, order, (&repeat, now)),
    };
    // If one group is refused, those before it are undone.
    desk.writer.write(move |store| store.attempt(work)).await?
}

/// Returns the first reply to a repeated request, or adds the items and stores the reply. Concurrent
/// repeats wait for the first commit, because one thread writes.
fn once(
    store: &mut Store,
    shelf: &Shelf,
    order: Result<Order>,
    (repeat, now): (&Repeat, Wall),
) -> Result<Result<Reply>, StoreError> {
    if let Some(answered) = store.answered(&repeat.request, now)? {
        return Ok(Reply::again(answered, repeat));
    }
    let reply = match anew(store, shelf, order)? {
        Ok(reply) => reply,
        Err(problem) => return Ok(Err(problem)),
    };
    Ok(match store.keep_answer(&repeat.request, &reply.answered(repeat), now)? {
        Remembered::Yes => Ok(reply),
        Remembered::Full => {
            let detail = "nothing was added: 1,000,000 keys of the last 24 hours are kept";
            Err(Problem::new(Kind::KeysFull, detail).retry_after(KEYS_AGAIN_SECONDS))
        }
    })
}

/// Adds the items within a transaction.
fn anew(
    store: &mut Store,
    shelf: &Shelf,
    order: Result<Order>,
) -> Result<Result<Reply>, StoreError> {
    let mut order = match order {
        Ok(order) => order,
        Err(problem) => return Ok(Err(problem)),
    };
    let count = order.len();
    match order.put_down(store)? {
        Ok(added) => order.reply(store, shelf, &added),
        Err(refused) => Ok(Err(refused.problem(&order.job, count))),
    }
}

/// Stages many items in short transactions, then makes all of them visible at once.
pub(super) async fn add_in_portions(desk: &Desk, mut order: Order) -> Result<Reply> {
    let (job, count, shelf) = (order.job.clone(), order.len(), Arc::clone(&desk.shelf));
    let Some(Group { options, items }) = order.groups.pop().filter(|_| order.groups.is_empty())
    else {
        let detail = "with more than 1,000 lines or 1 MiB of arguments, all lines need the same \
                      members";
        return Err(Problem::new(Kind::Invalid, detail).hint("only args, stdin and key may differ"));
    };
    let work = move || -> Result<Outcome> {
        let author = order.caller.name();
        let addition = match order.addition(author.as_deref(), &options) {
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
    let added = outcome.map_err(broken)??.map_err(|refused| refused.problem(&job, count))?;
    Ok(Reply::lines(&added))
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
