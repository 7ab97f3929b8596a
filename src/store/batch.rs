//! Items that a command adds in a large batch: put down out of sight, some at a time, and brought
//! into sight in one small commit.
//!
//! A batch is a feed without a finder, so what becomes of it then stands in `feed.rs`. Its keys
//! count from the time they are put down, but only among batches: whoever adds one of them
//! meanwhile takes it (`keys::take_from_staged`), and the batch looks it up again before it comes
//! into sight. All verbs here are parts of a transaction of the caller's.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::feed;
use super::followers;
use super::keys::{
    Held, STOLEN, Standing, held, is_running, is_waiting, put_down, take_from_staged,
};
use super::sql::{Ask, OF_JOB, RUNNING, STAGED, SUCCEEDED, sql};
use super::types::{Addition, NewItem, OnConflict};
use super::who;
use super::{Store, StoreError};

/// Items that one step takes away again.
const DROPPED_AT_ONCE: u32 = 100;

/// No batch takes longer: a success that ends after this has another clock's time.
const TAKES_MAX: Duration = Duration::from_secs(3600);

/// A batch that is being put down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    feed: i64,
    /// The number of the lock that says that its command lives.
    ticket: i64,
}

/// The result of beginning a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// It can be put down.
    Batch(Batch),
    /// A dead batch has the ticket still: another one is needed.
    TicketTaken,
    /// There is no run of this number to wait for.
    NoSuchRun(i64),
}

/// The result of staging an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Staged {
    /// It is a run, out of sight.
    Run(i64),
    /// The same, and a run that waits, or an earlier item, will be cancelled for it.
    Instead(i64),
    /// This run has its key.
    Existing(i64),
    /// This run has its key, and that is an error, or it runs and cannot be replaced.
    Refused {
        /// The key.
        key: String,
        /// Who holds it.
        by: i64,
    },
    /// The batch is not there any more: the store was restored.
    Gone,
}

/// The result of ending a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// All of it is in sight.
    Yes,
    /// Somebody has taken keys: settle them first.
    Unsettled,
    /// So many wait already.
    BacklogFull {
        /// How many wait.
        waiting: i64,
    },
    /// A run that was to be replaced runs by now.
    Refused {
        /// The key.
        key: String,
        /// Who holds it.
        by: i64,
    },
    /// The batch is not there any more: the store was restored.
    Gone,
}

/// What a key makes of an item.
enum Judged {
    Run(Claim),
    Existing(i64),
    Refused(i64),
}

/// How a run of the batch comes to its key.
enum Claim {
    Free,
    /// A run that waits, or has failed, gives way.
    Replaces(i64),
    /// An earlier item of the same batch gives way.
    Supersedes(i64),
    /// Another batch has it, which may come to nothing.
    Contested,
}

impl Store {
    /// Begins a batch. While the lock of this number is held its command lives.
    pub(crate) fn begin_batch(
        &self,
        ticket: i64,
        pid: u32,
        addition: &Addition<'_>,
    ) -> Result<Begun, StoreError> {
        self.know_name(addition.job)?;
        let begun = || -> rusqlite::Result<Begun> {
            let new = self.conn.run(
                "INSERT INTO feed(run, claim) VALUES (0, ?1) ON CONFLICT DO NOTHING",
                [ticket],
            )?;
            if new == 0 {
                return Ok(Begun::TicketTaken);
            }
            let feed = self.conn.last_insert_rowid();
            self.conn.run(
                "INSERT OR REPLACE INTO batch(feed, pid, begun_at) VALUES (?1, ?2, ?3)",
                params![feed, pid, addition.created_at],
            )?;
            // What its runs wait for is noted now, so that no end is missed until they are there.
            let missing = followers::follow(&self.conn, -feed, &addition.conditions)?;
            Ok(missing.map_or(Begun::Batch(Batch { feed, ticket }), Begun::NoSuchRun))
        };
        begun().map_err(|e| self.failed("begin a batch", e))
    }

    /// Puts an item down out of sight.
    pub(crate) fn stage_item(
        &self,
        batch: Batch,
        addition: &Addition<'_>,
        item: &NewItem,
    ) -> Result<Staged, StoreError> {
        stage(&self.conn, batch, addition, item).map_err(|e| self.failed("add items", e))
    }

    /// Looks up again the key of an item that somebody has taken: the item's run, and what became
    /// of it. None: all are settled.
    pub(crate) fn settle_item(
        &self,
        batch: Batch,
        addition: &Addition<'_>,
    ) -> Result<Option<(i64, Staged)>, StoreError> {
        settle(&self.conn, batch, addition).map_err(|e| self.failed("add items", e))
    }

    /// Brings all of a batch into sight; `new` is how many runs it has, `instead` how many that
    /// wait it replaces.
    pub(crate) fn show_batch(
        &self,
        batch: Batch,
        addition: &Addition<'_>,
        new: i64,
        instead: i64,
    ) -> Result<Shown, StoreError> {
        show(&self.conn, batch, addition, new - instead).map_err(|e| self.failed("add items", e))
    }

    /// Returns how many runs wait, if one more would be too many.
    pub(crate) fn is_backlog_full(
        &self,
        addition: &Addition<'_>,
        more: i64,
    ) -> Result<Option<i64>, StoreError> {
        let Some(max) = addition.backlog_max else {
            return Ok(None);
        };
        let waiting = self.waiting_count(addition.job)?;
        Ok((waiting.saturating_add(more) > i64::from(max)).then_some(waiting))
    }

    /// Takes away some of a batch that came to nothing. False: all of it is gone.
    pub(crate) fn drop_batch(&self, batch: Batch) -> Result<bool, StoreError> {
        feed::take_away(&self.conn, batch.feed, DROPPED_AT_ONCE)
            .map_err(|e| self.failed("remove items", e))
    }
}

/// The job of a batch, which a reload may have united with another; none: the batch is gone.
fn job_of(tx: &Connection, batch: Batch, name: &str) -> rusqlite::Result<Option<i64>> {
    tx.one(
        sql! {"SELECT coalesce((SELECT coalesce(job.moves_to, job.id) FROM run JOIN job \
        ON job.id = run.job WHERE state = {STAGED} AND feed = ?1 LIMIT 1), (SELECT id \
        FROM job WHERE name = ?3)) FROM feed WHERE id = ?1 AND run = 0 AND claim = ?2"},
        params![batch.feed, batch.ticket, name],
    )
    .map(Option::flatten)
}

fn stage(
    tx: &Connection,
    batch: Batch,
    addition: &Addition<'_>,
    item: &NewItem,
) -> rusqlite::Result<Staged> {
    let Some(job) = job_of(tx, batch, addition.job)? else {
        return Ok(Staged::Gone);
    };
    let Some(key) = &item.key else {
        return insert(tx, batch, job, addition, item).map(Staged::Run);
    };
    match judge(tx, batch, job, addition, key)? {
        Judged::Existing(by) => Ok(Staged::Existing(by)),
        Judged::Refused(by) => Ok(Staged::Refused { key: key.clone(), by }),
        Judged::Run(claim) => {
            let run = insert(tx, batch, job, addition, item)?;
            give_key(tx, run, key, &claim)
        }
    }
}

/// Puts down an item without its key.
fn insert(
    tx: &Connection,
    batch: Batch,
    job: i64,
    addition: &Addition<'_>,
    item: &NewItem,
) -> rusqlite::Result<i64> {
    let standing = Standing { job, state: STAGED, key: None, feed: Some(batch.feed) };
    put_down(tx, &standing, addition, item)
}

/// What the holder of a key, if there is one, makes of an item of a batch.
fn judge(
    tx: &Connection,
    batch: Batch,
    job: i64,
    addition: &Addition<'_>,
    key: &str,
) -> rusqlite::Result<Judged> {
    let conditions = &addition.conditions;
    let staged: Option<(i64, i64)> = tx.one(
        sql! {"SELECT id, feed FROM run WHERE job {OF_JOB} AND key = ?2 AND key IS NOT NULL \
        AND state < {SUCCEEDED} AND state = {STAGED} AND feed NOT IN (SELECT id \
        FROM feed WHERE is_done)"},
        params![job, key],
    )?;
    let span = conditions.key_held_since.map(|since| [since, addition.created_at + TAKES_MAX]);
    let Held { holder, succeeded } = held(tx, job, key, span)?;
    Ok(match (conditions.on_conflict, staged, holder, succeeded) {
        (_, Some((_, feed)), ..) if feed != batch.feed => Judged::Run(Claim::Contested),
        (OnConflict::Replace, Some((own, _)), ..) => Judged::Run(Claim::Supersedes(own)),
        (OnConflict::Replace, None, Some(by), _)
            if is_running(tx, by)? || !who::may_touch(tx, conditions.author, by)? =>
        {
            Judged::Refused(by)
        }
        (OnConflict::Replace, None, Some(by), _) => Judged::Run(Claim::Replaces(by)),
        (OnConflict::Replace, None, None, _) | (_, None, None, None) => Judged::Run(Claim::Free),
        (OnConflict::Ignore, Some((by, _)), ..)
        | (OnConflict::Ignore, None, Some(by), _)
        | (OnConflict::Ignore, None, None, Some(by)) => Judged::Existing(by),
        (OnConflict::Error, Some((by, _)), ..)
        | (OnConflict::Error, None, Some(by), _)
        | (OnConflict::Error, None, None, Some(by)) => Judged::Refused(by),
    })
}

/// Gives a run of the batch its key, as far as it may have it now.
fn give_key(tx: &Connection, run: i64, key: &str, claim: &Claim) -> rusqlite::Result<Staged> {
    let set = |run: i64, key: Option<&str>, staged_key: Option<&str>, by: Option<i64>| {
        tx.run(
            sql! {"UPDATE run SET key = ?2, staged_key = ?3, \"by\" = ?4 WHERE id = ?1 \
            AND state = {STAGED}"},
            params![run, key, staged_key, by],
        )
    };
    match claim {
        Claim::Free => {
            set(run, Some(key), None, None)?;
        }
        Claim::Supersedes(former) => {
            set(*former, None, Some(key), Some(-run))?;
            set(run, Some(key), None, None)?;
            return Ok(Staged::Instead(run));
        }
        Claim::Replaces(by) => {
            set(run, None, Some(key), Some(*by))?;
            if is_waiting(tx, *by)? || is_replaced_already(tx, run, *by)? {
                return Ok(Staged::Instead(run));
            }
        }
        Claim::Contested => {
            set(run, None, Some(key), Some(STOLEN))?;
        }
    }
    Ok(Staged::Run(run))
}

/// Whether an earlier item of the same batch is to replace this run, too: then the later one
/// replaces the earlier one.
fn is_replaced_already(tx: &Connection, run: i64, by: i64) -> rusqlite::Result<bool> {
    tx.value(
        sql! {"SELECT EXISTS (SELECT 1 FROM run WHERE state = {STAGED} \
        AND feed = (SELECT feed FROM run WHERE id = ?1) AND \"by\" IS NOT NULL \
        AND \"by\" = ?2 AND id < ?1)"},
        [run, by],
    )
}

fn settle(
    tx: &Connection,
    batch: Batch,
    addition: &Addition<'_>,
) -> rusqlite::Result<Option<(i64, Staged)>> {
    let stolen: Option<(i64, i64, String)> = tx.one(
        sql! {"SELECT id, job, staged_key FROM run WHERE state = {STAGED} AND feed = ?1 \
        AND \"by\" IS NOT NULL AND \"by\" = ?2 LIMIT 1"},
        [batch.feed, STOLEN],
    )?;
    let Some((run, job, key)) = stolen else {
        return Ok(None);
    };
    let mut judged = judge(tx, batch, job, addition, &key)?;
    if matches!(judged, Judged::Run(Claim::Contested)) {
        // The other batch is not in sight: this one is first.
        take_from_staged(tx, job, &key)?;
        judged = judge(tx, batch, job, addition, &key)?;
    }
    let staged = match judged {
        Judged::Existing(by) => {
            tx.run(sql!("DELETE FROM run WHERE id = ?1 AND state = {STAGED}"), [run])?;
            Staged::Existing(by)
        }
        Judged::Refused(by) => Staged::Refused { key, by },
        Judged::Run(claim) => give_key(tx, run, &key, &claim)?,
    };
    Ok(Some((run, staged)))
}

fn show(
    tx: &Connection,
    batch: Batch,
    addition: &Addition<'_>,
    more: i64,
) -> rusqlite::Result<Shown> {
    let Some(job) = job_of(tx, batch, addition.job)? else {
        return Ok(Shown::Gone);
    };
    let is_unsettled: bool = tx.value(
        sql! {"SELECT EXISTS (SELECT 1 FROM run WHERE state = {STAGED} AND feed = ?1 \
        AND \"by\" IS NOT NULL AND \"by\" = ?2)"},
        [batch.feed, STOLEN],
    )?;
    if is_unsettled {
        return Ok(Shown::Unsettled);
    }
    // Few run, whatever is to be replaced.
    let running: Option<(i64, String)> = tx.one(
        sql! {"SELECT id, key FROM run WHERE state < {SUCCEEDED} AND state = {RUNNING} \
        AND job = ?2 AND EXISTS (SELECT 1 FROM run AS item WHERE item.state = {STAGED} \
        AND item.feed = ?1 AND item.\"by\" IS NOT NULL AND item.\"by\" = run.id) LIMIT 1"},
        [batch.feed, job],
    )?;
    if let Some((by, key)) = running {
        return Ok(Shown::Refused { key, by });
    }
    if let Some(max) = addition.backlog_max {
        let waiting = feed::waiting(tx, job)?;
        if waiting.saturating_add(more) > i64::from(max) {
            return Ok(Shown::BacklogFull { waiting });
        }
    }
    let shown =
        tx.run("UPDATE feed SET is_done = 1 WHERE id = ?1 AND is_done = 0", [batch.feed])?;
    Ok(if shown == 1 { Shown::Yes } else { Shown::Gone })
}
