-- Added to version 1: large batches of items that a command adds, and runs that put themselves off.
--
-- A batch is a feed without a finder (`feed.run` 0): its items are put down as runs in state 0, some at a time, and exist for nobody until
-- `feed.is_done`. A key of theirs stands in `key` already; whoever else adds that key meanwhile takes it away, and says so in `by`.

-- How often the command of a run asked to be tried again later, since its budget is a fresh one.
ALTER TABLE run ADD COLUMN put_off INTEGER;

-- The key of an item in state 0 that somebody else has, while `by` says who: the number of a run that it is to replace; -1, to be looked
-- up again; another negative one, the item of the same batch that takes its place.
ALTER TABLE run ADD COLUMN staged_key TEXT;

CREATE TABLE batch(
    feed INTEGER PRIMARY KEY,
    -- Who adds it, and since when: for people. Whether it is alive is told by a lock (docs/design.md).
    pid INTEGER NOT NULL,
    begun_at INTEGER NOT NULL
);

CREATE INDEX run_unsettled ON run(feed, "by") WHERE state = 0 AND "by" IS NOT NULL;
