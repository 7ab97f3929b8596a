-- Version 1. Numbers of states, reasons, causes and outcomes: docs/design.md, src/core/run.rs.
-- Times are milliseconds since 1970 in UTC. Read the views `runs` and `attempts`; the tables may gain columns.

CREATE TABLE meta(
    key TEXT PRIMARY KEY NOT NULL,
    value
) WITHOUT ROWID;

-- The last good jobfile, main file first.
CREATE TABLE source(
    position INTEGER PRIMARY KEY,
    path TEXT NOT NULL,
    text TEXT NOT NULL
);

-- One row a job, also of those that are gone from the jobfile. The counters are kept by the triggers below, nowhere else.
CREATE TABLE job(
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    present INTEGER NOT NULL DEFAULT 1,
    schedule TEXT,
    watermark INTEGER,
    grid_at INTEGER,
    paused_at INTEGER,
    paused_until INTEGER,
    scheduled INTEGER NOT NULL DEFAULT 0,
    queued INTEGER NOT NULL DEFAULT 0,
    running INTEGER NOT NULL DEFAULT 0,
    retrying INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    ended INTEGER NOT NULL DEFAULT 0,
    last_run INTEGER,
    last_success_at INTEGER
);

-- One row a run, with its newest attempt. What most runs do not have stands last.
CREATE TABLE run(
    id INTEGER PRIMARY KEY,
    job INTEGER NOT NULL,
    state INTEGER NOT NULL,
    cause INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    scheduled_at INTEGER,
    due_at INTEGER,
    priority INTEGER NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 0,
    charged INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER,
    claim INTEGER NOT NULL DEFAULT 0,
    slot INTEGER,
    started_at INTEGER,
    ended_at INTEGER,
    outcome INTEGER,
    exit_code INTEGER,
    signal INTEGER,
    duration_ms INTEGER,
    user_ms INTEGER,
    system_ms INTEGER,
    max_rss_kib INTEGER,
    output_bytes INTEGER,
    pid INTEGER,
    reason INTEGER,
    "by" INTEGER,
    error TEXT,
    args BLOB,
    key TEXT,
    acked INTEGER,
    stop INTEGER,
    lost INTEGER,
    first_started_at INTEGER,
    count INTEGER,
    last_scheduled_at INTEGER
);

-- The attempts of a run before its newest one.
CREATE TABLE attempt(
    run INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER,
    outcome INTEGER,
    exit_code INTEGER,
    signal INTEGER,
    duration_ms INTEGER,
    user_ms INTEGER,
    system_ms INTEGER,
    max_rss_kib INTEGER,
    output_bytes INTEGER,
    pid INTEGER,
    error TEXT,
    PRIMARY KEY(run, attempt)
) WITHOUT ROWID;

-- Output as far as it was kept. `head` null: in the file output/RUN.ATTEMPT, laid out as `head_max` and `tail_max` say.
CREATE TABLE output(
    run INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    total INTEGER NOT NULL,
    head_max INTEGER,
    tail_max INTEGER,
    head BLOB,
    tail BLOB,
    UNIQUE(run, attempt)
);

-- When no supervisor was there.
CREATE TABLE downtime(
    from_at INTEGER NOT NULL,
    to_at INTEGER NOT NULL
);

CREATE INDEX run_by_job ON run(job);
CREATE INDEX run_queue ON run(job, priority DESC, due_at, id) WHERE state = 2;
CREATE INDEX run_due ON run(due_at) WHERE state IN (1, 4);
CREATE INDEX run_retrying ON run(job) WHERE state = 4;
CREATE INDEX run_pending ON run(state) WHERE state < 5;
CREATE INDEX run_failed ON run(job) WHERE state = 6 AND acked IS NULL;
CREATE INDEX run_stop ON run(stop) WHERE state = 3 AND stop IS NOT NULL;
CREATE UNIQUE INDEX run_key ON run(job, key) WHERE key IS NOT NULL AND (state < 5 OR (state = 6 AND acked IS NULL));
CREATE UNIQUE INDEX run_occurrence ON run(job, scheduled_at) WHERE scheduled_at IS NOT NULL AND state < 5;
CREATE INDEX job_paused ON job(id) WHERE paused_at IS NOT NULL;
CREATE INDEX job_queued ON job(id) WHERE queued > 0;

CREATE TRIGGER run_inserted AFTER INSERT ON run BEGIN
    UPDATE job SET
        scheduled = scheduled + (NEW.state = 1),
        queued = queued + (NEW.state = 2),
        running = running + (NEW.state = 3),
        ended = ended + (NEW.state > 4),
        last_run = CASE WHEN NEW.state > 4 THEN coalesce(last_run, NEW.id) ELSE last_run END
    WHERE id = NEW.job;
END;

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
        last_success_at = CASE WHEN NEW.state = 5 THEN NEW.ended_at ELSE last_success_at END
    WHERE id = NEW.job;
END;

CREATE TRIGGER run_deleted AFTER DELETE ON run BEGIN
    UPDATE job SET
        scheduled = scheduled - (OLD.state = 1),
        queued = queued - (OLD.state = 2),
        running = running - (OLD.state = 3),
        retrying = retrying - (OLD.state = 4),
        failed = failed - (OLD.state = 6 AND OLD.acked IS NULL),
        ended = ended - (OLD.state > 4)
    WHERE id = OLD.job;
END;

-- For other readers: words instead of numbers, times as ISO 8601 in UTC.
CREATE VIEW runs AS
SELECT run.id, job.name AS job,
    CASE state WHEN 1 THEN 'scheduled' WHEN 2 THEN 'queued' WHEN 3 THEN 'running' WHEN 4 THEN 'retrying'
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
FROM run JOIN job ON job.id = run.job;

CREATE VIEW attempts AS
SELECT run, attempt, started_at, ended_at,
    CASE outcome WHEN 1 THEN 'exited' WHEN 2 THEN 'signaled' WHEN 3 THEN 'timed_out' WHEN 4 THEN 'spawn_failed'
        WHEN 5 THEN 'lost' END AS outcome,
    exit_code, signal, duration_ms, user_ms, system_ms, max_rss_kib, output_bytes, pid, error
FROM (
    SELECT run, attempt, started_at, ended_at, outcome, exit_code, signal, duration_ms, user_ms, system_ms, max_rss_kib,
        output_bytes, pid, error
    FROM attempt
    UNION ALL
    SELECT id, attempt, started_at, started_at + duration_ms, outcome, exit_code, signal,
        duration_ms, user_ms, system_ms, max_rss_kib, output_bytes, pid, error
    FROM run WHERE attempt > 0
);
