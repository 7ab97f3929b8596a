-- Added to version 1: jobs whose runs move into the row of another job, because `was` has united both.
--
-- Until its last run has moved, such a row stays under a name that no job can have: its id and its former name, with a `/` between them.

ALTER TABLE job ADD COLUMN moves_to INTEGER;

CREATE INDEX job_moving ON job(moves_to) WHERE moves_to IS NOT NULL;

DROP VIEW runs;

CREATE VIEW runs AS
SELECT run.id, coalesce((SELECT heir.name FROM job AS heir WHERE heir.id = job.moves_to), job.name) AS job,
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
