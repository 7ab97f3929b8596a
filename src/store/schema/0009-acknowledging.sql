-- Added to version 1: successes that have more failed occurrences before them than are acknowledged in the transaction of their end.

CREATE TABLE acknowledging(
    -- The success, its job, when it ended, and the run up to which the failures before it are gone through.
    run INTEGER PRIMARY KEY,
    job INTEGER NOT NULL,
    ended_at INTEGER NOT NULL,
    reached INTEGER NOT NULL
);

-- Failed items are in nobody's way here.
CREATE INDEX run_failed_occurrence ON run(job) WHERE state = 6 AND acked IS NULL AND cause IN (1, 2);
