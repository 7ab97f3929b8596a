//! Runs that finders feed: put down out of sight, some at a time, and brought into sight in one small commit.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, params};

use super::rows;
use super::{Store, StoreError};
use crate::core::key;
use crate::core::run::Cause;
use crate::core::time::Wall;

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

/// What was brought from the feeds into the queues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Brought {
    /// Jobs that have more queued runs now.
    pub(crate) jobs: BTreeSet<i64>,
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
                    Ok(Feed {
                        id: row.get(0)?,
                        position: row.get::<_, i64>(1)?.cast_unsigned(),
                        count: row.get::<_, i64>(2)?.cast_unsigned(),
                    })
                })
                .optional()
        };
        let found = find().map_err(|e| self.failed("read a feed", e))?;
        if let Some(feed) = found {
            return Ok(feed);
        }
        self.change(
            "begin a feed",
            "INSERT INTO feed(run, claim) VALUES (?1, ?2)",
            [run, claim],
        )?;
        Ok(Feed {
            id: self.conn.last_insert_rowid(),
            position: 0,
            count: 0,
        })
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
                .execute([
                    feed.id,
                    feed.position.cast_signed(),
                    feed.count.cast_signed(),
                ])
        };
        staged()
            .map(|_| ())
            .map_err(|e| self.failed("put down what was found", e))
    }

    /// Makes sure that the store has a row for a job, in a turn.
    pub(crate) fn know_name(&self, job: &str) -> Result<(), StoreError> {
        self.change(
            "add a job",
            "INSERT INTO job(name) VALUES (?1) ON CONFLICT DO NOTHING",
            [job],
        )
        .map(|_| ())
    }

    /// How many runs of a job wait.
    pub(crate) fn waiting_count(&self, job: &str) -> Result<i64, StoreError> {
        self.conn
            .prepare_cached("SELECT scheduled + queued + retrying FROM job WHERE name = ?1")
            .and_then(|mut query| query.query_row([job], |row| row.get(0)).optional())
            .map(Option::unwrap_or_default)
            .map_err(|e| self.failed("read the queue", e))
    }

    /// Brings the runs of a feed into sight: its finder has succeeded.
    pub(crate) fn finish_feed(&self, id: i64) -> Result<(), StoreError> {
        self.change(
            "finish a feed",
            "UPDATE feed SET is_done = 1 WHERE id = ?1",
            [id],
        )
        .map(|_| ())
    }

    /// Whether there is anything of feeds to do.
    pub(crate) fn has_feeds(&self) -> Result<bool, StoreError> {
        self.conn
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM feed)")
            .and_then(|mut query| query.query_row([], |row| row.get(0)))
            .map_err(|e| self.failed("read the feeds", e))
    }

    /// Queues runs of finished feeds, and takes away those of finders that did not succeed; `limit` of them at the most. `keys` knows how the
    /// keys of a job are made: one whose key is held is taken away, too.
    pub(crate) fn bring_fed(
        &self,
        limit: u32,
        now: Wall,
        keys: &dyn Fn(i64) -> Option<Keys>,
    ) -> Result<Brought, StoreError> {
        self.bring(limit, now, keys)
            .map_err(|e| self.failed("queue what was fed", e))
    }

    fn bring(
        &self,
        limit: u32,
        now: Wall,
        keys: &dyn Fn(i64) -> Option<Keys>,
    ) -> rusqlite::Result<Brought> {
        let mut brought = Brought::default();
        let next: Option<(i64, bool)> = self
            .conn
            .prepare_cached(
                "SELECT id, is_done FROM feed WHERE is_done OR NOT EXISTS (SELECT 1 FROM run \
                 WHERE run.id = feed.run AND run.state = 3 AND run.claim = feed.claim) ORDER BY id LIMIT 1",
            )?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((feed, is_done)) = next else {
            return Ok(brought);
        };
        brought.has_more = true;
        let job: Option<i64> = self
            .conn
            .prepare_cached("SELECT job FROM run WHERE state = 0 AND feed = ?1 LIMIT 1")?
            .query_row([feed], |row| row.get(0))
            .optional()?;
        let rows = if is_done {
            brought.jobs.extend(job);
            match job.and_then(keys) {
                Some(keys) => self.bring_keyed(feed, limit, now, &keys)?,
                None => self
                    .conn
                    .prepare_cached(
                        "UPDATE run SET state = 2 WHERE id IN (SELECT id FROM run WHERE state = 0 AND feed = ?1 \
                         ORDER BY id LIMIT ?2)",
                    )?
                    .execute(params![feed, limit])?,
            }
        } else {
            self.conn
                .prepare_cached(
                    "DELETE FROM run WHERE id IN (SELECT id FROM run WHERE state = 0 AND feed = ?1 LIMIT ?2)",
                )?
                .execute(params![feed, limit])?
        };
        if rows == 0 {
            self.conn
                .prepare_cached("DELETE FROM feed WHERE id = ?1")?
                .execute([feed])?;
        }
        Ok(brought)
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
            .query_map(params![feed, limit], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?
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
                self.conn
                    .prepare_cached("DELETE FROM run WHERE id = ?1")?
                    .execute([id])?;
            } else {
                self.conn
                    .prepare_cached("UPDATE run SET state = 2, key = ?2, due_at = min(due_at, ?3) WHERE id = ?1")?
                    .execute(params![id, key, now.ms()])?;
            }
        }
        Ok(some.len())
    }

    fn is_held(&self, job: i64, key: &str, span: Option<[Wall; 2]>) -> rusqlite::Result<bool> {
        if super::steer::holder_of(&self.conn, job, key)?.is_some() {
            return Ok(true);
        }
        match span {
            Some(span) => Ok(super::steer::succeeded_holder(&self.conn, job, key, span)?.is_some()),
            None => Ok(false),
        }
    }
}
