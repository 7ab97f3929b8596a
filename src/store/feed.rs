//! Runs that finders feed, or commands in large batches: put down out of sight, some at a time, and brought into sight in one small commit.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::batch::take_from_staged;
use super::cells::Cells;
use super::rows;
use super::steer::{give_up_key, holder_of, succeeded_holder};
use super::{Store, StoreError};
use crate::core::key;
use crate::core::run::{Cause, Reason};
use crate::core::time::Wall;

/// Stands in `by` of an item of a batch whose key somebody has taken, until the batch has looked it up again.
pub(super) const STOLEN: i64 = -1;

/// How far the lines of a finder's attempt are put down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Feed {
    /// Its number in the store.
    pub(crate) id: i64,
    /// Bytes of the spool that were put down.
    pub(crate) position: u64,
    /// Runs that were made of them.
    pub(crate) count: u64,
}

/// What the runs of a feed have in common.
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

/// How a job's keys are made.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// The template.
    pub(crate) template: Box<str>,
    /// A success that ended after this holds its key still.
    pub(crate) held_since: Option<Wall>,
}

/// How feeds are brought into the queues.
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

/// What was brought from the feeds into the queues.
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
    /// How far the feed of an attempt is; it begins with the first question.
    pub(crate) fn feed(&self, run: i64, claim: i64) -> Result<Feed, StoreError> {
        let find = || {
            self.conn
                .prepare_cached(
                    "SELECT id, position, count FROM feed WHERE run = ?1 AND claim = ?2",
                )?
                .query_row([run, claim], |row| {
                    Ok(Feed { id: row.cell(0)?, position: row.cell(1)?, count: row.cell(2)? })
                })
                .optional()
        };
        let found = find().map_err(|e| self.failed("read a feed", e))?;
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
        let staged = || {
            let mut insert = self.conn.prepare_cached(
                "INSERT INTO run(job, state, cause, created_at, due_at, priority, max_attempts, args, feed) \
                 SELECT id, 0, ?2, ?3, ?3, ?4, ?5, ?6, ?7 FROM job WHERE name = ?1",
            )?;
            for line in lines {
                insert.execute(params![
                    fed.job,
                    Cause::Feed.code(),
                    fed.now.ms(),
                    fed.priority,
                    fed.max_attempts,
                    rows::encode_args(&[line.to_vec()]),
                    feed.id,
                ])?;
            }
            self.conn
                .prepare_cached("UPDATE feed SET position = ?2, count = ?3 WHERE id = ?1")?
                .execute([feed.id, feed.position.cast_signed(), feed.count.cast_signed()])
        };
        staged().map(|_| ()).map_err(|e| self.failed("put down what was found", e))
    }

    /// Makes sure that the store has a row for a job, in a turn.
    pub(crate) fn know_name(&self, job: &str) -> Result<(), StoreError> {
        self.change("add a job", "INSERT INTO job(name) VALUES (?1) ON CONFLICT DO NOTHING", [job])
            .map(|_| ())
    }

    /// How many runs of a job wait; none if it is not known.
    pub(crate) fn waiting_count(&self, job: &str) -> Result<i64, StoreError> {
        let count = || {
            let job: Option<i64> = self
                .conn
                .prepare_cached("SELECT id FROM job WHERE name = ?1")?
                .query_row([job], |row| row.cell(0))
                .optional()?;
            job.map_or(Ok(0), |job| waiting(&self.conn, job))
        };
        count().map_err(|e| self.failed("read the queue", e))
    }

    /// Brings the runs of a feed into sight: its finder has succeeded.
    pub(crate) fn finish_feed(&self, id: i64) -> Result<(), StoreError> {
        self.change("finish a feed", "UPDATE feed SET is_done = 1 WHERE id = ?1", [id]).map(|_| ())
    }

    /// Whether there is anything of feeds to do.
    pub(crate) fn has_feeds(&self) -> Result<bool, StoreError> {
        self.conn
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM feed)")
            .and_then(|mut query| query.query_row([], |row| row.cell(0)))
            .map_err(|e| self.failed("read the feeds", e))
    }

    /// Queues runs of finished feeds and batches, and takes away those that came to nothing; some of them.
    pub(crate) fn bring_fed(&self, bringing: &Bringing<'_>) -> Result<Brought, StoreError> {
        self.bring(bringing).map_err(|e| self.failed("queue what was fed", e))
    }

    fn bring(&self, bringing: &Bringing<'_>) -> rusqlite::Result<Brought> {
        let mut brought = Brought::default();
        let Some(next) = self.next_feed(bringing)? else {
            return Ok(brought);
        };
        brought.has_more = true;
        let job: Option<i64> = self
            .conn
            .prepare_cached("SELECT job FROM run WHERE state = 0 AND feed = ?1 LIMIT 1")?
            .query_row([next.feed], |row| row.cell(0))
            .optional()?;
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

    /// The first feed with something to do. What replaces other runs comes first, so that nobody starts those.
    fn next_feed(&self, bringing: &Bringing<'_>) -> rusqlite::Result<Option<NextFeed>> {
        let mut feeds = self.conn.prepare_cached(
            "SELECT id, is_done, run, claim, EXISTS (SELECT 1 FROM run WHERE run.id = feed.run AND run.state = 3 AND run.claim = feed.claim) \
             FROM feed ORDER BY NOT (is_done AND EXISTS (SELECT 1 FROM run WHERE state = 0 AND run.feed = feed.id AND \"by\" IS NOT NULL)), id",
        )?;
        let mut rows = feeds.query([])?;
        while let Some(row) = rows.next()? {
            let (is_done, finder): (bool, i64) = (row.cell(1)?, row.cell(2)?);
            let is_batch = finder == 0;
            let is_under_way = match is_batch {
                true => !is_done && (bringing.is_alive)(row.cell(3)?),
                false => !is_done && row.cell::<bool>(4)?,
            };
            if !is_under_way {
                let feed = row.cell(0)?;
                return Ok(Some(NextFeed { feed, is_done, is_batch }));
            }
        }
        Ok(None)
    }

    /// Jobs some of whose runs are still to be replaced by what is in sight already.
    fn withheld(&self) -> rusqlite::Result<BTreeSet<i64>> {
        self.conn
            .prepare_cached(
                "SELECT (SELECT coalesce(job.moves_to, job.id) FROM run JOIN job ON job.id = run.job \
                 WHERE state = 0 AND run.feed = feed.id AND \"by\" IS NOT NULL LIMIT 1) AS job \
                 FROM feed WHERE is_done AND job IS NOT NULL",
            )?
            .query_map([], |row| row.cell(0))?
            .collect()
    }

    /// Queues some runs whose keys, if they have any, are theirs already.
    fn bring_plain(&self, feed: i64, bringing: &Bringing<'_>) -> rusqlite::Result<()> {
        let limit = bringing.limit;
        let marked: Vec<Marked> = self
            .conn
            .prepare_cached(
                "SELECT id, job, \"by\", staged_key FROM run WHERE state = 0 AND feed = ?1 AND \"by\" IS NOT NULL ORDER BY \"by\", id LIMIT ?2",
            )?
            .query_map(params![feed, limit], |row| {
                Ok(Marked {
                    run: row.cell(0)?,
                    job: row.cell(1)?,
                    by: row.cell(2)?,
                    key: row.cell::<Option<String>>(3)?.unwrap_or_default(),
                })
            })?
            .collect::<Result<_, _>>()?;
        if !marked.is_empty() {
            return marked.iter().try_for_each(|marked| self.replace(marked, bringing.now));
        }
        self.conn
            .prepare_cached(
                "INSERT OR IGNORE INTO dependency(run, \"on\", ended) SELECT some.id, dependency.\"on\", dependency.ended \
                 FROM dependency, (SELECT id FROM run WHERE state = 0 AND feed = ?1 ORDER BY id LIMIT ?2) AS some \
                 WHERE dependency.run = -?1",
            )?
            .execute(params![feed, limit])?;
        self.conn
            .prepare_cached(
                "UPDATE run SET state = CASE WHEN due_at IS NULL OR due_at > created_at THEN 1 ELSE 2 END \
                 WHERE id IN (SELECT id FROM run WHERE state = 0 AND feed = ?1 ORDER BY id LIMIT ?2)",
            )?
            .execute(params![feed, limit])
            .map(|_| ())
    }

    /// Lets an item take the place of the run that has its key, or ends it where a later one of its batch has taken its own.
    fn replace(&self, marked: &Marked, now: Wall) -> rusqlite::Result<()> {
        let Marked { run, job, by, ref key } = *marked;
        let mut end = self.conn.prepare_cached(
            "UPDATE run SET state = 8, reason = ?2, \"by\" = ?3, ended_at = ?4, key = ?5, staged_key = NULL WHERE id = ?1 AND state = 0",
        )?;
        let mut ended_by = |by: i64| {
            end.execute(params![run, Reason::Replaced.code(), by, now.ms(), key]).map(|_| ())
        };
        if by < STOLEN {
            return ended_by(-by);
        }
        if let Some(holder) = holder_of(&self.conn, job, key)? {
            if !give_up_key(&self.conn, holder, now)? {
                return ended_by(holder);
            }
            self.conn
                .prepare_cached("UPDATE run SET \"by\" = ?2 WHERE id = ?1 AND state = 8")?
                .execute([holder, run])?;
        }
        take_from_staged(&self.conn, job, key)?;
        self.conn
            .prepare_cached(
                "UPDATE run SET key = ?2, staged_key = NULL, \"by\" = NULL WHERE id = ?1 AND state = 0",
            )?
            .execute(params![run, key])
            .map(|_| ())
    }

    fn bring_keyed(
        &self,
        feed: i64,
        limit: u32,
        now: Wall,
        keys: &Keys,
    ) -> rusqlite::Result<usize> {
        let some: Vec<(i64, Option<Vec<u8>>, i64)> = self
            .conn
            .prepare_cached(
                "SELECT id, args, job FROM run WHERE state = 0 AND feed = ?1 ORDER BY id LIMIT ?2",
            )?
            .query_map(params![feed, limit], |row| Ok((row.cell(0)?, row.cell(1)?, row.cell(2)?)))?
            .collect::<Result<_, _>>()?;
        for (id, args, job) in &some {
            let args = args.as_deref().map(rows::decode_args).unwrap_or_default();
            // The finder was refused if a key could not be made; a template that was changed since makes none.
            let key = key::of(&keys.template, &args).ok();
            let is_held = match &key {
                Some(key) => self.is_held(*job, key, keys.held_since.map(|since| [since, now]))?,
                None => false,
            };
            if is_held {
                self.conn.prepare_cached("DELETE FROM run WHERE id = ?1")?.execute([id])?;
            } else {
                self.conn
                    .prepare_cached("UPDATE run SET state = 2, key = ?2, due_at = min(due_at, ?3) WHERE id = ?1")?
                    .execute(params![id, key, now.ms()])?;
            }
        }
        Ok(some.len())
    }

    fn is_held(&self, job: i64, key: &str, span: Option<[Wall; 2]>) -> rusqlite::Result<bool> {
        if holder_of(&self.conn, job, key)?.is_some() {
            return Ok(true);
        }
        let succeeded = match span {
            Some(span) => succeeded_holder(&self.conn, job, key, span)?,
            None => None,
        };
        if succeeded.is_none() {
            take_from_staged(&self.conn, job, key)?;
        }
        Ok(succeeded.is_some())
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

/// Takes away some of a feed that came to nothing. False: all of it is gone.
pub(super) fn take_away(tx: &Connection, feed: i64, limit: u32) -> rusqlite::Result<bool> {
    let rows = tx
        .prepare_cached(
            "DELETE FROM run WHERE id IN (SELECT id FROM run WHERE state = 0 AND feed = ?1 LIMIT ?2)",
        )?
        .execute(params![feed, limit])?;
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
        tx.prepare_cached(sql)?.execute([feed])?;
    }
    Ok(())
}

/// Runs in sight that the counters of their jobs do not know yet: job, whether they are due later, how many.
pub(super) fn uncounted(tx: &Connection) -> rusqlite::Result<Vec<(i64, bool, i64)>> {
    let feeds: Vec<i64> = tx
        .prepare_cached("SELECT id FROM feed WHERE is_done")?
        .query_map([], |row| row.cell(0))?
        .collect::<Result<_, _>>()?;
    let mut uncounted = Vec::new();
    for feed in feeds {
        let first: Option<(i64, bool)> = tx
            .prepare_cached(
                "SELECT coalesce(job.moves_to, job.id), due_at IS NULL OR due_at > created_at \
                 FROM run JOIN job ON job.id = run.job WHERE state = 0 AND feed = ?1 LIMIT 1",
            )?
            .query_row([feed], |row| Ok((row.cell(0)?, row.cell(1)?)))
            .optional()?;
        if let Some((job, is_later)) = first {
            let count = tx
                .prepare_cached("SELECT count(*) FROM run WHERE state = 0 AND feed = ?1")?
                .query_row([feed], |row| row.cell(0))?;
            uncounted.push((job, is_later, count));
        }
    }
    Ok(uncounted)
}

/// How many runs of a job wait.
pub(super) fn waiting(tx: &Connection, job: i64) -> rusqlite::Result<i64> {
    let counted: i64 = tx
        .prepare_cached("SELECT scheduled + queued + retrying FROM job WHERE id = ?1")?
        .query_row([job], |row| row.cell(0))?;
    let uncounted = uncounted(tx)?;
    let of_job = uncounted.iter().filter(|(of, ..)| *of == job);
    Ok(counted + of_job.map(|(.., count)| count).sum::<i64>())
}
