-- Added to version 1: what finders feed.
--
-- The lines of a finder's output are put down as runs in state 0, some thousand in a turn, while the finder still counts as running. They do not
-- exist for anybody until `is_done` says that it has succeeded; from then on they are queued, and turned to state 2 some thousand in a turn.

ALTER TABLE run ADD COLUMN feed INTEGER;

CREATE TABLE feed(
    id INTEGER PRIMARY KEY,
    -- The finder's run and claim.
    run INTEGER NOT NULL,
    claim INTEGER NOT NULL,
    -- Bytes of its output that were put down, and lines that are not empty among them.
    position INTEGER NOT NULL DEFAULT 0,
    count INTEGER NOT NULL DEFAULT 0,
    is_done INTEGER NOT NULL DEFAULT 0,
    UNIQUE(run, claim)
);

CREATE INDEX run_staged ON run(feed) WHERE state = 0;

DROP VIEW runs;

CREATE VIEW runs AS
SELECT run.id, job.name AS job,
    CASE state WHEN 0 THEN 'queued' WHEN 1 THEN 'scheduled' WHEN 2 THEN 'queued' WHEN 3 THEN 'running' WHEN 4 THEN 'retrying'
        WHEN 5 THEN 'succeeded' WHEN 6 THEN 'failed' WHEN 7 THEN 'skipped' WHEN 8 THEN 'cancelled' END AS state,
    CASE reason WHEN 1 THEN 'exit' WHEN 2 THEN 'signal' WHEN 3 THEN 'timeout' WHEN 4 THEN 'spawn' WHEN 5 THEN 'lost'
        WHEN 6 THEN 'shutdown' WHEN 7 THEN 'give_up_after' WHEN 8 THEN 'superseded' WHEN 9 THEN 'poison'
        WHEN 10 THEN 'overlap' WHEN 11 THEN 'missed' WHEN 12 THEN 'paused' WHEN 13 THEN 'job_removed'
        WHEN 14 THEN 'shadow' WHEN 15 THEN 'by_hand' WHEN 16 THEN 'replaced' WHEN 17 THEN 'dependency'
        WHEN 18 THEN 'expired' END AS reason,
    "by",
    CASE cause WHEN 1 THEN 'schedule' WHEN 2 THEN 'catch_up' WHEN 3 THEN 'enqueue' WHEN 4 THEN 'feed'
        WHEN 5 THEN 'watch' WHEN 6 THEN 'exec' END AS cause,
    strftime('%Y-%m-%dT%H:%M:%fZ', scheduled_at / 1000.0, 'unixepoch') AS scheduled_at,
    coalesce(count, 1) AS count,
    strftime('%Y-%m-%dT%H:%M:%fZ', due_at / 1000.0, 'unixepoch') AS due_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', created_at / 1000.0, 'unixepoch') AS created_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', started_at / 1000.0, 'unixepoch') AS started_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', ended_at / 1000.0, 'unixepoch') AS ended_at,
    attempt, max_attempts, exit_code, signal, error, duration_ms, key, priority,
    strftime('%Y-%m-%dT%H:%M:%fZ', acked / 1000.0, 'unixepoch') AS acked
FROM run JOIN job ON job.id = run.job
WHERE state > 0 OR feed IN (SELECT id FROM feed WHERE is_done);
