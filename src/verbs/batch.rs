//! Large additions: items are staged invisibly in portions, then one small commit makes all of them
//! visible, or none.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::Path;

use super::portions::PORTIONS;
use crate::os::ticket::Ticket;
use crate::store::{
    Added, Addition, Batch, Begun, Enqueued, NewItem, Shown, Staged, Store, StoreError,
};

/// Explains why nothing was added.
#[derive(Debug)]
pub(crate) enum AddError {
    /// The store failed.
    Store(StoreError),
    /// The state directory cannot be locked.
    Directory(io::Error),
    /// The store was restored while the items were being staged.
    Restored,
}

impl fmt::Display for AddError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Directory(error) => write!(f, "state directory: {error}"),
            Self::Restored => {
                f.write_str("the store was restored in the meantime: nothing was added")
            }
        }
    }
}

impl From<StoreError> for AddError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

type Result<T, E = AddError> = std::result::Result<T, E>;

/// Up to this many items, and bytes of arguments, are added in one transaction of a few
/// milliseconds.
const DIRECT_ITEMS_MAX: usize = 1000;
const DIRECT_BYTES_MAX: usize = 1 << 20;

/// Whether the items become visible in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// They do: `enqueue`.
    Add,
    /// Everything but the last step is done, then undone: `enqueue --dry-run`.
    Rehearse,
}

/// Adds items to an existing store, all or none.
pub(crate) fn add(
    store: &mut Store,
    state_dir: &Path,
    addition: &Addition<'_>,
    mut items: impl Iterator<Item = NewItem>,
    aim: Aim,
) -> Result<Enqueued> {
    let mut first = Vec::new();
    let mut bytes = 0;
    for item in items.by_ref() {
        bytes += size(&item);
        first.push(item);
        if first.len() > DIRECT_ITEMS_MAX || (first.len() > 1 && bytes > DIRECT_BYTES_MAX) {
            let items = first.into_iter().chain(items);
            return add_in_portions(store, state_dir, addition, items, aim);
        }
    }
    match aim {
        Aim::Add => Ok(store.enqueue(addition, first)?),
        Aim::Rehearse => Ok(rehearse(store, addition, first)?),
    }
}

fn size(item: &NewItem) -> usize {
    item.args.iter().map(Vec::len).sum()
}

/// What ends a rehearsal: its result, or an error of the store.
enum Rehearsal {
    Answer(Enqueued),
    Failed(StoreError),
}

impl From<StoreError> for Rehearsal {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// Adds the items to the store in a transaction and rolls it back.
fn rehearse(
    store: &mut Store,
    addition: &Addition<'_>,
    items: Vec<NewItem>,
) -> Result<Enqueued, StoreError> {
    let rehearsed: Result<(), Rehearsal> =
        store.together(|store| Err(Rehearsal::Answer(store.enqueue(addition, items)?)));
    match rehearsed {
        Err(Rehearsal::Answer(answer)) => Ok(answer),
        Err(Rehearsal::Failed(error)) => Err(error),
        Ok(()) => Ok(Enqueued::Added(Vec::new())),
    }
}

/// Why a batch added nothing.
enum Stopped {
    Refused(Enqueued),
    Failed(AddError),
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

fn add_in_portions(
    store: &mut Store,
    state_dir: &Path,
    addition: &Addition<'_>,
    items: impl Iterator<Item = NewItem>,
    aim: Aim,
) -> Result<Enqueued> {
    let ticket = |from| Ticket::take(state_dir, from).map_err(AddError::Directory);
    let mut held = ticket(i64::from(std::process::id()))?;
    let batch = loop {
        let begun = store.together(|store| {
            match store.begin_batch(held.number, std::process::id(), addition)? {
                Begun::Batch(batch) => Ok(Some(batch)),
                Begun::TicketTaken => Ok(None),
                Begun::NoSuchRun(id) => Err(Stopped::Refused(Enqueued::NoSuchRun(id))),
            }
        });
        match begun {
            Ok(Some(batch)) => break batch,
            Ok(None) => held = ticket(held.number + 1)?,
            Err(stopped) => return stopped.answer(),
        }
    };
    let mut adding = Adding { addition, batch, added: Vec::new(), new: 0, instead: 0 };
    let answer = adding.put_down(store, items).and_then(|()| adding.show(store, aim));
    if answer.is_err() || aim == Aim::Rehearse {
        // The supervisor removes what this cannot.
        let dropped: Result<(), StoreError> = PORTIONS.each(
            store,
            |store| Ok(store.drop_batch(batch)?.then_some(((), 0))),
            |()| Ok(()),
        );
        drop(dropped);
    }
    drop(held);
    match answer {
        Ok(()) => Ok(Enqueued::Added(adding.added)),
        Err(stopped) => stopped.answer(),
    }
}

impl Stopped {
    fn answer(self) -> Result<Enqueued> {
        match self {
            Self::Refused(refused) => Ok(refused),
            Self::Failed(failure) => Err(failure),
        }
    }
}

/// A batch in progress.
struct Adding<'a> {
    addition: &'a Addition<'a>,
    batch: Batch,
    added: Vec<Added>,
    /// The number of new runs.
    new: i64,
    /// The number of waiting runs that it replaces.
    instead: i64,
}

impl Adding<'_> {
    fn put_down(
        &mut self,
        store: &mut Store,
        mut items: impl Iterator<Item = NewItem>,
    ) -> Result<(), Stopped> {
        let (batch, addition) = (self.batch, self.addition);
        let more = std::cell::Cell::new(0);
        PORTIONS.each(
            store,
            |store| {
                let Some(item) = items.next() else {
                    return Ok(None);
                };
                let staged = store.stage_item(batch, addition, &item)?;
                if let Staged::Run(_) = staged {
                    more.set(more.get() + 1);
                    // An early check that saves work; the last step decides.
                    if more.get() % 1000 == 0
                        && let Some(waiting) = store.is_backlog_full(addition, more.get())?
                    {
                        return Err(Stopped::Refused(Enqueued::BacklogFull { waiting }));
                    }
                }
                Ok(Some((staged, size(&item))))
            },
            |staged| self.note(staged),
        )
    }

    /// Records the result of the next item.
    fn note(&mut self, staged: Staged) -> Result<(), Stopped> {
        let (id, existing) = match staged {
            Staged::Run(id) => (id, false),
            Staged::Instead(id) => {
                self.instead += 1;
                (id, false)
            }
            Staged::Existing(id) => (id, true),
            Staged::Refused { key, by } => {
                return Err(Stopped::Refused(Enqueued::KeyHeld { key, by }));
            }
            Staged::Gone => return Err(gone()),
        };
        self.new += i64::from(!existing);
        self.added.push(Added { id, existing });
        Ok(())
    }

    /// Settles the keys that other runs have taken in the meantime, until the transaction that
    /// makes the items visible finds none.
    fn show(&mut self, store: &mut Store, aim: Aim) -> Result<(), Stopped> {
        let (batch, addition) = (self.batch, self.addition);
        loop {
            let mut settled = HashMap::new();
            PORTIONS.each(
                store,
                |store| Ok(store.settle_item(batch, addition)?.map(|one| (one, 0))),
                |(run, staged)| {
                    settled.insert(run, staged);
                    Ok::<_, Stopped>(())
                },
            )?;
            self.note_settled(settled)?;
            let (new, instead) = (self.new, self.instead);
            let shown = store.together(|store| {
                let shown = store.show_batch(batch, addition, new, instead)?;
                if aim == Aim::Rehearse && shown == Shown::Yes {
                    return Err(Stopped::Refused(Enqueued::Added(Vec::new())));
                }
                Ok(shown)
            });
            return match shown {
                Ok(Shown::Unsettled) => continue,
                Ok(Shown::Yes) => Ok(()),
                Err(Stopped::Refused(Enqueued::Added(_))) => Ok(()),
                Ok(Shown::BacklogFull { waiting }) => {
                    Err(Stopped::Refused(Enqueued::BacklogFull { waiting }))
                }
                Ok(Shown::Refused { key, by }) => {
                    Err(Stopped::Refused(Enqueued::KeyHeld { key, by }))
                }
                Ok(Shown::Gone) => Err(gone()),
                Err(stopped) => Err(stopped),
            };
        }
    }

    /// Records the results of items whose keys other runs have taken.
    fn note_settled(&mut self, settled: HashMap<i64, Staged>) -> Result<(), Stopped> {
        if settled.is_empty() {
            return Ok(());
        }
        for added in &mut self.added {
            match settled.get(&added.id) {
                None | Some(Staged::Run(_)) => {}
                Some(Staged::Instead(_)) => self.instead += i64::from(!added.existing),
                // This also applies to a later item of the batch with the same key: its run is gone.
                Some(Staged::Existing(by)) => {
                    self.new -= i64::from(!added.existing);
                    *added = Added { id: *by, existing: true };
                }
                Some(Staged::Refused { key, by }) => {
                    let (key, by) = (key.clone(), *by);
                    return Err(Stopped::Refused(Enqueued::KeyHeld { key, by }));
                }
                Some(Staged::Gone) => return Err(gone()),
            }
        }
        Ok(())
    }
}

fn gone() -> Stopped {
    Stopped::Failed(AddError::Restored)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::run::Cause;
    use crate::core::time::Wall;
    use crate::store::{Author, Bringing, Conditions, Filter, OnConflict, RunRow};

    const NOW: Wall = Wall::from_secs(1000);

    fn addition(conditions: Conditions<'_>, backlog_max: Option<u32>) -> Addition<'_> {
        Addition {
            job: "a",
            due_at: NOW,
            priority: 3,
            max_attempts: Some(2),
            backlog_max,
            cause: Cause::Enqueue,
            created_at: NOW,
            conditions,
        }
    }

    fn items(count: usize, keys: usize) -> Vec<NewItem> {
        (0..count)
            .map(|number| NewItem {
                args: vec![number.to_string().into_bytes()],
                key: (keys > 0).then(|| format!("k{}", number % keys)),
                input: None,
            })
            .collect()
    }

    /// Runs that hold the keys k1 to k4: queued, failed, succeeded, retrying; k5 if it is to be:
    /// running.
    fn store(has_running: bool) -> Store {
        let mut store = Store::in_memory();
        store.know_job("a").unwrap();
        store.execute_raw(
            "INSERT INTO run(job, state, cause, created_at, due_at, ended_at, attempt, key) VALUES \
             (1, 2, 3, 1, 1, NULL, 0, 'k1'), (1, 6, 3, 1, 1, 2, 1, 'k2'), (1, 5, 3, 1, 1, 999999, 1, 'k3'), (1, 2, 3, 1, 1, 2, 1, 'k4'); \
             UPDATE run SET state = 4 WHERE key = 'k4'",
        );
        if has_running {
            store.execute_raw(
                "INSERT INTO run(job, state, cause, created_at, due_at, attempt, key) VALUES (1, 3, 3, 1, 1, 1, 'k5')",
            );
        }
        store
    }

    fn in_portions(store: &mut Store, addition: &Addition<'_>, items: Vec<NewItem>) -> Enqueued {
        let dir = std::env::temp_dir();
        add_in_portions(store, &dir, addition, items.into_iter(), Aim::Add).unwrap()
    }

    fn bring(store: &Store, limit: u32) {
        let bringing = Bringing { limit, now: NOW, keys: &|_| None, is_alive: &|_| false };
        while store.bring_fed(&bringing).unwrap().has_more {}
    }

    fn rows(store: &Store) -> Vec<RunRow> {
        store.runs(&Filter::default(), None).unwrap()
    }

    #[test]
    fn a_batch_comes_to_the_same_as_one_transaction() {
        let on_conflict = [OnConflict::Ignore, OnConflict::Replace, OnConflict::Error];
        for (on_conflict, keys, has_running) in on_conflict
            .into_iter()
            .flat_map(|how| [(how, 0, true), (how, 7, false), (how, 7, true), (how, 5, true)])
        {
            for since in [None, Some(Wall::from_secs(500))] {
                for (after, due_at, backlog_max) in [
                    (&[][..], NOW, None),
                    (&[3][..], NOW, None),
                    (&[1, 3][..], NOW, None),
                    (&[99][..], NOW, None),
                    (&[][..], Wall::from_secs(2000), Some(30)),
                    (&[][..], NOW, Some(4)),
                ] {
                    let conditions = Conditions {
                        author: Author::Nobody,
                        on_conflict,
                        key_held_since: since,
                        after,
                        expires_at: Some(Wall::from_secs(9000)),
                    };
                    let addition = Addition { due_at, ..addition(conditions, backlog_max) };
                    let case = format!("{addition:?}, {keys} keys, running: {has_running}");
                    let (mut one, mut other) = (store(has_running), store(has_running));
                    let expected = one.enqueue(&addition, items(20, keys)).unwrap();
                    let answer = in_portions(&mut other, &addition, items(20, keys));
                    assert_eq!(answer, expected, "{case}");
                    bring(&other, 3);
                    while one.release_followers(NOW).unwrap().has_more {}
                    while other.release_followers(NOW).unwrap().has_more {}
                    assert_eq!(rows(&other), rows(&one), "{case}");
                    assert_eq!(other.jobs().unwrap(), one.jobs().unwrap(), "{case}");
                    assert!(!other.has_feeds().unwrap(), "{case}");
                }
            }
        }
    }

    #[test]
    fn an_item_with_the_key_of_an_earlier_one_that_lost_it_has_the_run_that_took_it() {
        let addition = addition(Conditions::default(), None);
        let mut store = store(false);
        let Begun::Batch(batch) = store.begin_batch(7, 7, &addition).unwrap() else {
            panic!("nobody has this ticket");
        };
        let mut adding =
            Adding { addition: &addition, batch, added: Vec::new(), new: 0, instead: 0 };
        let put_down = adding.put_down(&mut store, items(2, 1).into_iter());
        assert!(put_down.is_ok() && adding.new == 1);
        let Enqueued::Added(taken) = store.enqueue(&addition, items(1, 1)).unwrap() else {
            panic!("a batch out of sight holds no key");
        };
        assert!(adding.show(&mut store, Aim::Add).is_ok());
        let existing = Added { existing: true, ..taken[0] };
        assert_eq!(adding.added, [existing, existing]);
        assert_eq!(adding.new, 0);
    }

    #[test]
    fn a_batch_is_in_sight_and_counted_at_once_and_a_rehearsal_leaves_nothing() {
        let addition = addition(Conditions::default(), None);
        let mut store = store(true);
        let before = rows(&store);
        let dir = std::env::temp_dir();
        let rehearsed = add(&mut store, &dir, &addition, items(1001, 0).into_iter(), Aim::Rehearse);
        assert!(matches!(rehearsed, Ok(Enqueued::Added(added)) if added.len() == 1001));
        assert_eq!(rows(&store), before);
        assert!(!store.has_feeds().unwrap());
        let added = add(&mut store, &dir, &addition, items(1001, 0).into_iter(), Aim::Add);
        assert!(matches!(added, Ok(Enqueued::Added(added)) if added.len() == 1001));
        assert_eq!(rows(&store).len(), before.len() + 1001);
        assert_eq!(store.job("a").unwrap().unwrap().queued, 1 + 1001);
    }
}
