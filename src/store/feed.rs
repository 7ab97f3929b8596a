//! Runs that finders feed, or commands in large batches: put down out of sight, some at a time, and
//! brought into sight in one small commit.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::cells::{encode_args, reads};
use super::keys::{Held, STOLEN, give_up_key, held, holder_of, take_from_staged};
use super::sql::{Ask, CANCELLED, QUEUED, RUNNING, SEEN_STATE, STAGED, sql};
use super::{Store, StoreError};
use crate::core::key;
use crate::core::run::{Cause, Reason};
use crate::core::time::Wall;

/// The progress of recording the lines of a finder's attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Feed {
    /// Its number in the store.
    pub(crate) id: i64,
    /// Bytes of the spool that were put down.
    pub(crate) position: u64,
    /// Runs that were made of them.
    pub(crate) count: u64,
}

reads!(Feed: id position count);

/// The facts that all runs of a feed share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fed<'a> {
    /// The job.
    pub(crate) job: &'a str,
    /// Claimed before lower ones.
    pub(crate) priority: i8,
    /// How many attempts they may have; none is no limit.
    pub(crate) max_attempts: Option<u32>,
    /// When they are put down.
    pub(crate) now: Wall,
}

/// The rule by which a job's keys are made.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// The template.
    pub(crate) template: Box<str>,
    /// A success that ended after this holds its key still.
    pub(crate) held_since: Option<Wall>,
}

/// The terms for moving feeds into the queues.
#[derive(Clone, Copy)]
pub(crate) struct Bringing<'a> {
    /// So many runs at the most.
    pub(crate) limit: u32,
    /// The time of the turn.
    pub(crate) now: Wall,
    /// How the keys of a job are made; a run of a finder whose key is held is taken away.
    pub(crate) keys: &'a dyn Fn(i64) -> Option<Keys>,
    /// Whether the command of a batch with this ticket lives.
    pub(crate) is_alive: &'a dyn Fn(i64) -> bool,
}

/// The runs that were moved from the feeds into the queues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Brought {
    /// Jobs that have more queued runs now.
    pub(crate) jobs: BTreeSet<i64>,
    /// Jobs of which nothing may start yet: some of their runs are still to be replaced.
    pub(crate) withheld: BTreeSet<i64>,
    /// Whether there is more of it, for the next turn.
    pub(crate) has_more: bool,
}

impl Store {
    /// Returns how far the feed of an attempt is; it begins with the first question.
    pub(crate) fn feed(&self, run: i64, claim: i64) -> Result<Feed, StoreError> {
        let found = self.one(
            "read a feed",
            "SELECT id, position, count FROM feed WHERE run = ?1 AND claim = ?2",
            [run, claim],
        )?;
        if let Some(feed) = found {
            return Ok(feed);
        }
        self.change("begin a feed", "INSERT INTO feed(run, claim) VALUES (?1, ?2)", [run, claim])?;
        Ok(Feed { id: self.conn.last_insert_rowid(), position: 0, count: 0 })
    }

    /// Puts down a run for each line, out of sight. `feed` is how far it is then.
    pub(crate) fn stage(
        &self,
        feed: &Feed,
        fed: &Fed<'_>,
        lines: &[&[u8]],
    ) -> Result<(), StoreError> {
        for line in lines {
            let args = encode_args(&[line.to_vec()]);
            self.change(
                "record items of a feed",
                sql! {"INSERT INTO run(job, state, cause, created_at, due_at, priority, \
                max_attempts, args, feed) SELECT id, {STAGED}, ?2, ?3, ?3, ?4, ?5, ?6, ?7 \
                FROM job WHERE name = ?1"},
                params![
                    fed.job,
                    Cause::Feed,
                    fed.now,
                    fed.priority,
                    fed.max_attempts,
                    args,
                    feed.id
                ],
            )?;
        }
        self.execute(
            "record items of a feed",
            "UPDATE feed SET position = ?2, count = ?3 WHERE id = ?1",
            [feed.id, feed.position.cast_signed(), feed.count.cast_signed()],
        )
    }

    /// Makes sure that the store has a row for a job, in a turn.
    pub(crate) fn know_name(&self, job: &str) -> Result<(), StoreError> {
        self.execute("add a job", "INSERT INTO job(name) VALUES (?1) ON CONFLICT DO NOTHING", [job])
    }

    /// Returns how many runs of a job wait; none if it is not known.
    pub(crate) fn waiting_count(&self, job: &str) -> Result<i64, StoreError> {
        let count = || {
            let job: Option<i64> = self.conn.one("SELECT id FROM job WHERE name = ?1", [job])?;
            job.map_or(Ok(0), |job| waiting(&self.conn, job))
        };
        count().map_err(|e| self.failed("read the queue", e))
    }

    /// Brings the runs of a feed into sight: its finder has succeeded.
    pub(crate) fn finish_feed(&self, id: i64) -> Result<(), StoreError> {
        self.execute("finish a feed", "UPDATE feed SET is_done = 1 WHERE id = ?1", [id])
    }

    /// Returns whether there is anything of feeds to do.
    pub(crate) fn has_feeds(&self) -> Result<bool, StoreError> {
        self.value("read the feeds", "SELECT EXISTS (SELECT 1 FROM feed)", [])
    }

    /// Queues runs of finished feeds and batches, and takes away those that came to nothing; some
    /// of them.
    pub(crate) fn bring_fed(&self, bringing: &Bringing<'_>) -> Result<Brought, StoreError> {
        self.bring(bringing).map_err(|e| self.failed("queue items of a feed", e))
    }

    fn bring(&self, bringing: &Bringing<'_>) -> rusqlite::Result<Brought> {
        let mut brought = Brought::default();
        let Some(next) = self.next_feed(bringing)? else {
            return Ok(brought);
        };
        brought.has_more = true;
        let job: Option<i64> = self.conn.one(
            sql!("SELECT job FROM run WHERE state = {STAGED} AND feed = ?1 LIMIT 1"),
            [next.feed],
        )?;
        if !next.is_done {
            take_away(&self.conn, next.feed, bringing.limit)?;
            return Ok(brought);
        }
        let Some(job) = job else {
            forget(&self.conn, next.feed)?;
            return Ok(brought);
        };
        brought.jobs.insert(job);
        match (bringing.keys)(job) {
            Some(keys) if !next.is_batch => {
                self.bring_keyed(next.feed, bringing.limit, bringing.now, &keys)?;
            }
            Some(_) | None => self.bring_plain(next.feed, bringing)?,
        }
        brought.withheld = self.withheld()?;
        Ok(brought)
    }

    /// The first feed with something to do. What replaces other runs comes first, so that nobody
    /// starts those.
    fn next_feed(&self, bringing: &Bringing<'_>) -> rusqlite::Result<Option<NextFeed>> {
        let feeds: Vec<(i64, bool, i64, i64, bool)> = self.conn.all(
            sql! {"SELECT id, is_done, run, claim, EXISTS (SELECT 1 FROM run \
            WHERE run.id = feed.run AND run.state = {RUNNING} \
            AND run.claim = feed.claim) FROM feed ORDER BY NOT (is_done \
            AND EXISTS (SELECT 1 FROM run WHERE state = {STAGED} AND run.feed = feed.id \
            AND \"by\" IS NOT NULL)), id"},
            [],
        )?;
        let next = feeds.into_iter().find_map(|(feed, is_done, finder, claim, finder_runs)| {
            let is_batch = finder == 0;
            let is_under_way =
                !is_done && if is_batch { (bringing.is_alive)(claim) } else { finder_runs };
            (!is_under_way).then_some(NextFeed { feed, is_done, is_batch })
        });
        Ok(next)
    }

    /// Jobs some of whose runs are still to be replaced by what is in sight already.
    fn withheld(&self) -> rusqlite::Result<BTreeSet<i64>> {
        self.conn.all(
            sql! {"SELECT (SELECT coalesce(job.moves_to, job.id) FROM run JOIN job \
            ON job.id = run.job WHERE state = {STAGED} AND run.feed = feed.id \
            AND \"by\" IS NOT NULL LIMIT 1) AS job FROM feed WHERE is_done \
            AND job IS NOT NULL"},
            [],
        )
    }

    /// Queues some runs whose keys, if they have any, are theirs already.
    fn bring_plain(&self, feed: i64, bringing: &Bringing<'_>) -> rusqlite::Result<()> {
        let limit = bringing.limit;
        let marked: Vec<Marked> = self.conn.all(
            sql! {"SELECT id, job, \"by\", staged_key FROM run WHERE state = {STAGED} \
            AND feed = ?1 AND \"by\" IS NOT NULL ORDER BY \"by\", id LIMIT ?2"},
            params![feed, limit],
        )?;
        if !marked.is_empty() {
            return marked.iter().try_for_each(|marked| self.replace(marked, bringing.now));
        }
        self.conn.run(
            sql! {"INSERT OR IGNORE INTO dependency(run, \"on\", ended) \
            SELECT some.id, dependency.\"on\", dependency.ended \
            FROM dependency, (SELECT id FROM run WHERE state = {STAGED} AND feed = ?1 \
            ORDER BY id LIMIT ?2) AS some WHERE dependency.run = -?1"},
            params![feed, limit],
        )?;
        self.conn.done(
            sql! {"UPDATE run SET state = {SEEN_STATE} WHERE id IN (SELECT id FROM run \
            WHERE state = {STAGED} AND feed = ?1 ORDER BY id LIMIT ?2)"},
            params![feed, limit],
        )
    }

    /// Lets an item take the place of the run that has its key, or ends it where a later one of its
    /// batch has taken its own.
    fn replace(&self, marked: &Marked, now: Wall) -> rusqlite::Result<()> {
        let Marked { run, job, by, ref key } = *marked;
        let ended_by = |by: i64| {
            let ended = self.conn.run(
                sql! {"UPDATE run SET state = {CANCELLED}, reason = ?2, \"by\" = ?3, ended_at = \
                ?4, key = ?5, staged_key = NULL WHERE id = ?1 AND state = {STAGED}"},
                params![run, Reason::Replaced, by, now, key],
            );
            ended.map(|_| ())
        };
        if by < STOLEN {
            return ended_by(-by);
        }
        if let Some(holder) = holder_of(&self.conn, job, key)? {
            if !give_up_key(&self.conn, holder, now)? {
                return ended_by(holder);
            }
            self.conn.run(
                sql!("UPDATE run SET \"by\" = ?2 WHERE id = ?1 AND state = {CANCELLED}"),
                [holder, run],
            )?;
        }
        take_from_staged(&self.conn, job, key)?;
        self.conn.done(
            sql! {"UPDATE run SET key = ?2, staged_key = NULL, \"by\" = NULL WHERE id = ?1 \
            AND state = {STAGED}"},
            params![run, key],
        )
    }

    fn bring_keyed(
        &self,
        feed: i64,
        limit: u32,
        now: Wall,
        keys: &Keys,
    ) -> rusqlite::Result<usize> {
        let some: Vec<(i64, Vec<Vec<u8>>, i64)> = self.conn.all(
            sql! {"SELECT id, args, job FROM run WHERE state = {STAGED} AND feed = ?1 \
            ORDER BY id LIMIT ?2"},
            params![feed, limit],
        )?;
        for (id, args, job) in &some {
            // The finder was refused if a key could not be made; a template that was changed since
            // makes none.
            let key = key::of(&keys.template, args).ok();
            let is_held = match &key {
                Some(key) => self.is_held(*job, key, keys.held_since.map(|since| [since, now]))?,
                None => false,
            };
            if is_held {
                self.conn.run("DELETE FROM run WHERE id = ?1", [id])?;
            } else {
                self.conn.run(
                    sql! {"UPDATE run SET state = {QUEUED}, key = ?2, due_at = min(due_at, ?3) \
                    WHERE id = ?1"},
                    params![id, key, now],
                )?;
            }
        }
        Ok(some.len())
    }

    fn is_held(&self, job: i64, key: &str, span: Option<[Wall; 2]>) -> rusqlite::Result<bool> {
        let Held { holder, succeeded } = held(&self.conn, job, key, span)?;
        let is_held = holder.or(succeeded).is_some();
        if !is_held {
            take_from_staged(&self.conn, job, key)?;
        }
        Ok(is_held)
    }
}

/// A feed with something to do.
#[derive(Clone, Copy, Debug)]
struct NextFeed {
    feed: i64,
    is_done: bool,
    is_batch: bool,
}

/// An item of a batch in sight that has not got its key yet.
struct Marked {
    run: i64,
    job: i64,
    /// As in the table `run`.
    by: i64,
    key: String,
}

reads!(Marked: run job by key);

/// Takes away some of a feed that came to nothing. False: all of it is gone.
pub(super) fn take_away(tx: &Connection, feed: i64, limit: u32) -> rusqlite::Result<bool> {
    let rows = tx.run(
        sql! {"DELETE FROM run WHERE id IN (SELECT id FROM run WHERE state = {STAGED} \
        AND feed = ?1 LIMIT ?2)"},
        params![feed, limit],
    )?;
    if rows == 0 {
        forget(tx, feed)?;
    }
    Ok(rows > 0)
}

/// Takes away a feed that has no runs any more.
fn forget(tx: &Connection, feed: i64) -> rusqlite::Result<()> {
    for sql in [
        "DELETE FROM feed WHERE id = ?1",
        "DELETE FROM batch WHERE feed = ?1",
        "DELETE FROM dependency WHERE run = -?1",
    ] {
        tx.run(sql, [feed])?;
    }
    Ok(())
}

/// Runs in sight that the counters of their jobs do not know yet: job, whether they are due later,
/// how many.
pub(super) fn uncounted(tx: &Connection) -> rusqlite::Result<Vec<(i64, bool, i64)>> {
    let feeds: Vec<i64> = tx.all("SELECT id FROM feed WHERE is_done", [])?;
    let mut uncounted = Vec::new();
    for feed in feeds {
        let first: Option<(i64, bool)> = tx.one(
            sql! {"SELECT coalesce(job.moves_to, job.id), due_at IS NULL \
            OR due_at > created_at FROM run JOIN job ON job.id = run.job \
            WHERE state = {STAGED} AND feed = ?1 LIMIT 1"},
            [feed],
        )?;
        if let Some((job, is_later)) = first {
            let count = tx.value(
                sql!("SELECT count(*) FROM run WHERE state = {STAGED} AND feed = ?1"),
                [feed],
            )?;
            uncounted.push((job, is_later, count));
        }
    }
    Ok(uncounted)
}

/// Returns how many runs of a job wait.
pub(super) fn waiting(tx: &Connection, job: i64) -> rusqlite::Result<i64> {
    let counted: i64 =
        tx.value("SELECT scheduled + queued + retrying FROM job WHERE id = ?1", [job])?;
    let uncounted = uncounted(tx)?;
    let of_job = uncounted.iter().filter(|(of, ..)| *of == job);
    Ok(counted + of_job.map(|(.., count)| count).sum::<i64>())
}
