-- Added to version 1: who is told of what (hooks and mail), and jobs and attempts that are late.

-- One row for each hook or mail. Written with the state it tells of, in one transaction; ended rows stay as long as their run.
CREATE TABLE notice(
    id INTEGER PRIMARY KEY,
    job INTEGER NOT NULL,
    run INTEGER,
    attempt INTEGER,
    -- Numbers: src/core/notice.rs.
    event INTEGER NOT NULL,
    means INTEGER NOT NULL,
    -- When it happened, and when it may be told.
    at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    -- How many of the kind it stands for.
    count INTEGER NOT NULL DEFAULT 1,
    -- State and reason of the run then.
    state INTEGER,
    reason INTEGER,
    is_done INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0,
    -- While it is being told.
    slot INTEGER,
    claim INTEGER,
    started_at INTEGER,
    ended_at INTEGER,
    outcome INTEGER,
    exit_code INTEGER,
    signal INTEGER,
    duration_ms INTEGER,
    error TEXT,
    output TEXT
);

CREATE INDEX notice_due ON notice(due_at, id) WHERE is_done = 0 AND slot IS NULL;
CREATE INDEX notice_under_way ON notice(id) WHERE slot IS NOT NULL;
CREATE INDEX notice_of_run ON notice(run);
CREATE INDEX notice_undone ON notice(job, means, event, id) WHERE is_done = 0;
CREATE INDEX notice_bounded ON notice(job, means, due_at) WHERE event = 1 OR means = 2;
CREATE INDEX notice_of_no_run ON notice(job, due_at) WHERE run IS NULL;

-- Whether its last run that gave up had no success after it.
ALTER TABLE job ADD COLUMN failing INTEGER NOT NULL DEFAULT 0;
-- What is expected of it: null nothing, 0 one success in three occurrences, else one in so many milliseconds.
ALTER TABLE job ADD COLUMN expect INTEGER;
-- Since when that is expected, and the last sign that all is well: a success, or an attempt that found nothing to do.
ALTER TABLE job ADD COLUMN expect_from INTEGER;
ALTER TABLE job ADD COLUMN well_at INTEGER;
-- Occurrences since then that ended otherwise.
ALTER TABLE job ADD COLUMN unsuccessful INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN late_at INTEGER;
-- How many runs of it ever ended, by state; they go on counting when runs are removed.
ALTER TABLE job ADD COLUMN ended_succeeded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN ended_failed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN ended_skipped INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN ended_cancelled INTEGER NOT NULL DEFAULT 0;
-- When the newest attempt of a run took longer than was expected.
ALTER TABLE run ADD COLUMN late_at INTEGER;

-- How many attempts of a job ever ended in a way, by how long they took (src/core/tally.rs).
CREATE TABLE tally(
    job INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    count INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    PRIMARY KEY(job, outcome, bucket)
) WITHOUT ROWID;

CREATE INDEX job_unsuccessful ON job(id) WHERE unsuccessful > 2 AND late_at IS NULL;
CREATE INDEX job_expected ON job(id) WHERE expect > 0 AND late_at IS NULL;
CREATE INDEX job_late ON job(id) WHERE late_at IS NOT NULL;
CREATE INDEX run_held_due ON run(job, due_at) WHERE state = 2 AND held = 1;
CREATE INDEX run_late ON run(job) WHERE state = 3 AND late_at IS NOT NULL;

DROP TRIGGER run_inserted;
CREATE TRIGGER run_inserted AFTER INSERT ON run BEGIN
    UPDATE job SET
        scheduled = scheduled + (NEW.state = 1),
        queued = queued + (NEW.state = 2),
        running = running + (NEW.state = 3),
        ended = ended + (NEW.state > 4),
        last_run = CASE WHEN NEW.state > 4 THEN coalesce(last_run, NEW.id) ELSE last_run END,
        ended_skipped = ended_skipped + CASE WHEN NEW.state = 7 THEN coalesce(NEW.count, 1) ELSE 0 END,
        unsuccessful = unsuccessful
            + CASE WHEN NEW.state = 7 AND NEW.reason IN (10, 11) AND NEW.cause < 3 THEN coalesce(NEW.count, 1) ELSE 0 END
    WHERE id = NEW.job;
END;

DROP TRIGGER run_changed;
CREATE TRIGGER run_changed AFTER UPDATE OF state, acked ON run BEGIN
    UPDATE job SET
        scheduled = scheduled + (NEW.state = 1) - (OLD.state = 1),
        queued = queued + (NEW.state = 2) - (OLD.state = 2),
        running = running + (NEW.state = 3) - (OLD.state = 3),
        retrying = retrying + (NEW.state = 4) - (OLD.state = 4),
        failed = failed + (NEW.state = 6 AND NEW.acked IS NULL) - (OLD.state = 6 AND OLD.acked IS NULL),
        ended = ended + (NEW.state > 4) - (OLD.state > 4),
        last_run = CASE WHEN NEW.state <> OLD.state AND (NEW.state = 3 OR (NEW.state > 4 AND NEW.attempt > 0))
            THEN NEW.id ELSE last_run END,
        last_success_at = CASE WHEN NEW.state = 5 THEN NEW.ended_at ELSE last_success_at END,
        ended_succeeded = ended_succeeded + (OLD.state < 5 AND NEW.state = 5),
        ended_failed = ended_failed + (OLD.state < 5 AND NEW.state = 6),
        ended_skipped = ended_skipped + (OLD.state < 5 AND NEW.state = 7),
        ended_cancelled = ended_cancelled + (OLD.state < 5 AND NEW.state = 8),
        -- Reason 1 of a skipped run: its command said that there was nothing to do.
        well_at = CASE WHEN NEW.state = 5 OR (NEW.state = 7 AND NEW.reason = 1) THEN NEW.ended_at ELSE well_at END,
        late_at = CASE WHEN NEW.state = 5 OR (NEW.state = 7 AND NEW.reason = 1) THEN NULL ELSE late_at END,
        -- One that is tried again by hand is counted by how that ends.
        unsuccessful = CASE
            WHEN NEW.state = 5 OR (NEW.state = 7 AND NEW.reason = 1) THEN 0
            WHEN OLD.state > 5 AND NEW.state < 5 AND NEW.cause < 3 AND (OLD.state = 6 OR (OLD.state = 7 AND OLD.reason IN (10, 11)))
                THEN max(unsuccessful - 1, 0)
            WHEN OLD.state < 5 AND NEW.cause < 3 AND (NEW.state = 6 OR (NEW.state = 7 AND NEW.reason IN (10, 11)))
                THEN unsuccessful + 1
            ELSE unsuccessful END
    WHERE id = NEW.job;
END;

CREATE TRIGGER run_stretched AFTER UPDATE OF count ON run BEGIN
    UPDATE job SET
        ended_skipped = ended_skipped + NEW.count - coalesce(OLD.count, 1),
        unsuccessful = unsuccessful
            + CASE WHEN NEW.reason IN (10, 11) AND NEW.cause < 3 THEN NEW.count - coalesce(OLD.count, 1) ELSE 0 END
    WHERE id = NEW.job;
END;

CREATE TRIGGER run_untold AFTER DELETE ON run BEGIN
    DELETE FROM notice WHERE run = OLD.id;
END;
