-- The schema of a store, version 3. Names in braces are numbers of states, causes, reasons and the like (`src/store/sql.rs`).
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
    paused_by TEXT,
    paused_reason TEXT,
    scheduled INTEGER NOT NULL DEFAULT 0,
    queued INTEGER NOT NULL DEFAULT 0,
    running INTEGER NOT NULL DEFAULT 0,
    retrying INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    ended INTEGER NOT NULL DEFAULT 0,
    last_run INTEGER,
    last_success_at INTEGER,
    -- When the bucket of the job's `rate` is full, if nothing more is taken from it, in microseconds since 1970.
    rate_at INTEGER,
    -- The template that the lanes of a job's runs were made with.
    lane_template TEXT,
    -- What the job watched when `watched` was begun; with another one everything that is there counts as taken.
    watch TEXT,
    -- Whether its last run that gave up had no success after it.
    failing INTEGER NOT NULL DEFAULT 0,
    -- What is expected of it: null nothing, 0 one success in three occurrences, else one in so many milliseconds.
    expect INTEGER,
    -- Since when that is expected, and the last sign that all is well: a success, or an attempt that found nothing to do.
    expect_from INTEGER,
    well_at INTEGER,
    -- Occurrences since then that ended otherwise.
    unsuccessful INTEGER NOT NULL DEFAULT 0,
    late_at INTEGER,
    -- The occurrence that was missed and that nothing has made up for.
    missed_at INTEGER,
    -- How many runs of it ever ended, by state; they go on counting when runs are removed.
    ended_succeeded INTEGER NOT NULL DEFAULT 0,
    ended_failed INTEGER NOT NULL DEFAULT 0,
    ended_skipped INTEGER NOT NULL DEFAULT 0,
    ended_cancelled INTEGER NOT NULL DEFAULT 0,
    -- The row into which its runs move, because `was` has united both. Until the last of them has moved, it stays under a name that no
    -- job can have: its id and its former name, with a `/` between them.
    moves_to INTEGER
);

-- One row a run: what is wanted of it, and where it stands. What most runs do not have stands last.
CREATE TABLE run(
    id INTEGER PRIMARY KEY,
    job INTEGER NOT NULL,
    state INTEGER NOT NULL,
    cause INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    scheduled_at INTEGER,
    due_at INTEGER,
    priority INTEGER NOT NULL DEFAULT 0,
    -- The number of its newest attempt, which has a row of its own.
    attempt INTEGER NOT NULL DEFAULT 0,
    -- Its budget (src/core/retry.rs), until `began_at`.
    charged INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER,
    lost INTEGER,
    put_off INTEGER,
    began_at INTEGER,
    -- The newest claim of it, also if that was taken back: no other one has its number.
    claim INTEGER NOT NULL DEFAULT 0,
    ended_at INTEGER,
    reason INTEGER,
    "by" INTEGER,
    args BLOB,
    key TEXT,
    acked INTEGER,
    stop INTEGER,
    count INTEGER,
    last_scheduled_at INTEGER,
    expires_at INTEGER,
    -- The runs it was to wait for, as they were given: ids with a comma between them.
    "after" TEXT,
    -- What it was put down by, while it is in state {STAGED}.
    feed INTEGER,
    -- `lane` is the lock that a run of such a job needs. A queued run whose lane is taken is `held` once it has come to the head of its queue: it is in the
    -- way of nobody then. Of a lane that becomes free the first one is let go, by the triggers here, whichever verb it was.
    lane TEXT,
    held INTEGER,
    -- The key of an item in state {STAGED} that somebody else has, while `by` says who: the number of a run that it is to replace; -1, to be looked
    -- up again; another negative one, the item of the same batch that takes its place.
    staged_key TEXT,
    -- When a run that is tried again first fell due: its place in the queue.
    first_due_at INTEGER,
    -- Attempts that were charged to earlier budgets.
    budget_from INTEGER,
    -- Who added it; null of a schedule, a file or a finder.
    created_by INTEGER
);

-- Those who add runs: `user:NAME` or `token:NAME`. Where `owns` is 1 they do it by the job's `enqueue_by`, and the runs are their own.
CREATE TABLE who(
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    owns INTEGER NOT NULL,
    UNIQUE(name, owns)
);

-- What was answered to requests with an `Idempotency-Key`, to be answered again for a day.
CREATE TABLE answered(
    -- In the order in which they were answered.
    id INTEGER PRIMARY KEY,
    -- SHA-256 of caller, job and key, and of what was asked.
    request BLOB NOT NULL UNIQUE,
    body BLOB NOT NULL,
    at INTEGER NOT NULL,
    status INTEGER NOT NULL,
    -- The run that the answer names; null of several.
    run INTEGER,
    answer BLOB NOT NULL
);

-- What judges attempts, as JSON with a version (src/store/policy.rs): each text once.
CREATE TABLE policy(
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
);

-- Every attempt of a run, from its claim on.
CREATE TABLE attempt(
    run INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    -- What it was started with.
    policy INTEGER NOT NULL,
    -- While it runs.
    slot INTEGER,
    started_at INTEGER NOT NULL,
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
    -- What its command said of itself.
    progress INTEGER,
    result TEXT,
    -- When it had taken longer than was expected.
    late_at INTEGER,
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

-- When nothing was started: no supervisor was there, or it was stopping.
CREATE TABLE downtime(
    from_at INTEGER NOT NULL,
    to_at INTEGER NOT NULL,
    is_stopping INTEGER NOT NULL DEFAULT 0
);

-- What a run still waits for. `ended` is the state in which that run ended, null until then.
CREATE TABLE dependency(
    run INTEGER NOT NULL,
    "on" INTEGER NOT NULL,
    ended INTEGER,
    PRIMARY KEY(run, "on")
) WITHOUT ROWID;

-- Standard input of runs that bring their own.
CREATE TABLE input(
    run INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL
);

-- The lines of a finder's output are put down as runs in state {STAGED}, some thousand in a turn, while the finder still counts as
-- running. They exist for nobody until `is_done` says that it has succeeded; from then on they are queued, and turned to state {QUEUED}
-- some thousand in a turn.
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

-- The files that watched jobs have taken, as long as they exist.
CREATE TABLE watched(
    job INTEGER NOT NULL,
    path BLOB NOT NULL,
    inode INTEGER NOT NULL,
    size INTEGER NOT NULL,
    -- When it was last changed, in nanoseconds since 1970.
    changed_ns INTEGER NOT NULL,
    -- When it was made, where the file system keeps that, and when its inode was last changed, in nanoseconds since 1970.
    born_ns INTEGER,
    status_ns INTEGER,
    PRIMARY KEY(job, path)
) WITHOUT ROWID;

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

-- How many attempts of a job ever ended in a way, by how long they took (src/core/tally.rs).
CREATE TABLE tally(
    job INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    count INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    PRIMARY KEY(job, outcome, bucket)
) WITHOUT ROWID;

-- A batch is a feed without a finder (`feed.run` 0): its items are put down in state {STAGED}, some at a time, and exist for nobody
-- until `feed.is_done`. A key of theirs stands in `key` already; whoever else adds that key meanwhile takes it away, and says so in `by`.
CREATE TABLE batch(
    feed INTEGER PRIMARY KEY,
    -- Who adds it, and since when: for people. Whether it is alive is told by a lock (docs/design.md).
    pid INTEGER NOT NULL,
    begun_at INTEGER NOT NULL
);

-- Runs that ended and had more followers than are told in the transaction of their end.
-- Each end notes itself with some of its followers at once. The others are told by a later turn, some thousand at a time: until the row
-- here is gone, their `dependency.ended` is null although what they wait for has ended as `state` says.
CREATE TABLE ending(
    run INTEGER PRIMARY KEY,
    state INTEGER NOT NULL
);

-- Successes that have more failed occurrences before them than are acknowledged in the transaction of their end.
CREATE TABLE acknowledging(
    -- The success, its job, when it ended, and the run up to which the failures before it are gone through.
    run INTEGER PRIMARY KEY,
    job INTEGER NOT NULL,
    ended_at INTEGER NOT NULL,
    reached INTEGER NOT NULL
);

CREATE INDEX run_by_job ON run(job);
CREATE INDEX run_due ON run(due_at) WHERE state IN ({SCHEDULED}, {RETRYING});
CREATE INDEX run_retrying ON run(job) WHERE state = {RETRYING};
CREATE INDEX run_pending ON run(state) WHERE state < {SUCCEEDED};
CREATE INDEX run_failed ON run(job) WHERE state = {FAILED} AND acked IS NULL;
CREATE INDEX run_stop ON run(stop) WHERE state = {RUNNING} AND stop IS NOT NULL;
CREATE UNIQUE INDEX run_key ON run(job, key) WHERE key IS NOT NULL AND (state < {SUCCEEDED} OR (state = {FAILED} AND acked IS NULL));
CREATE UNIQUE INDEX run_occurrence ON run(job, scheduled_at) WHERE scheduled_at IS NOT NULL AND state < {SUCCEEDED};
CREATE INDEX job_paused ON job(id) WHERE paused_at IS NOT NULL;
CREATE INDEX job_queued ON job(id) WHERE queued > 0;
CREATE INDEX job_moving ON job(moves_to) WHERE moves_to IS NOT NULL;
CREATE INDEX dependency_on ON dependency("on");
CREATE INDEX dependency_ended ON dependency(run) WHERE ended IS NOT NULL;
CREATE INDEX run_expires ON run(expires_at) WHERE expires_at IS NOT NULL AND state < {RUNNING} AND attempt = 0;
CREATE INDEX run_key_done ON run(job, key, ended_at) WHERE key IS NOT NULL AND state = {SUCCEEDED};
CREATE INDEX run_staged ON run(feed) WHERE state = {STAGED};
CREATE INDEX run_queue ON run(job, priority DESC, due_at, id) WHERE state = {QUEUED} AND held IS NULL;
CREATE INDEX run_held ON run(job, lane, priority DESC, due_at, id) WHERE state = {QUEUED} AND held = 1;
CREATE INDEX notice_due ON notice(due_at, id) WHERE is_done = 0 AND slot IS NULL;
CREATE INDEX notice_under_way ON notice(id) WHERE slot IS NOT NULL;
CREATE INDEX notice_of_run ON notice(run);
CREATE INDEX notice_undone ON notice(job, means, event, id) WHERE is_done = 0;
CREATE INDEX notice_bounded ON notice(job, means, due_at) WHERE event = {FAILURE} OR means = {MAIL};
CREATE INDEX notice_of_no_run ON notice(job, due_at) WHERE run IS NULL;
CREATE INDEX job_unsuccessful ON job(id) WHERE unsuccessful > 2 AND late_at IS NULL;
CREATE INDEX job_expected ON job(id) WHERE expect > 0 AND late_at IS NULL;
CREATE INDEX job_late ON job(id) WHERE late_at IS NOT NULL;
CREATE INDEX run_held_due ON run(job, due_at) WHERE state = {QUEUED} AND held = 1;
CREATE INDEX run_unsettled ON run(feed, "by") WHERE state = {STAGED} AND "by" IS NOT NULL;
CREATE INDEX dependency_noted ON dependency("on") WHERE ended IS NOT NULL;

-- Failed items are in nobody's way here.
CREATE INDEX run_failed_occurrence ON run(job) WHERE state = {FAILED} AND acked IS NULL AND cause IN ({SCHEDULE}, {CATCH_UP});

CREATE TRIGGER run_deleted AFTER DELETE ON run BEGIN
    UPDATE job SET
        scheduled = scheduled - (OLD.state = {SCHEDULED}),
        queued = queued - (OLD.state = {QUEUED}),
        running = running - (OLD.state = {RUNNING}),
        retrying = retrying - (OLD.state = {RETRYING}),
        failed = failed - (OLD.state = {FAILED} AND OLD.acked IS NULL),
        ended = ended - (OLD.state > {RETRYING})
    WHERE id = OLD.job;
END;

CREATE TRIGGER run_gone AFTER DELETE ON run BEGIN
    DELETE FROM attempt WHERE run = OLD.id;
    DELETE FROM dependency WHERE run = OLD.id;
    DELETE FROM input WHERE run = OLD.id;
END;

CREATE TRIGGER run_lane_free AFTER UPDATE OF state ON run
WHEN OLD.lane IS NOT NULL AND NEW.state <> OLD.state AND (OLD.state = {RUNNING} OR (OLD.state = {QUEUED} AND OLD.held IS NULL AND NEW.state <> {RUNNING})) BEGIN
    UPDATE run SET held = NULL WHERE id = (
        SELECT id FROM run WHERE job = OLD.job AND lane = OLD.lane AND state = {QUEUED} AND held = 1
        ORDER BY priority DESC, due_at, id LIMIT 1
    );
END;

CREATE TRIGGER run_lane_anew AFTER UPDATE OF state ON run WHEN NEW.state = {QUEUED} AND OLD.state <> {QUEUED} AND NEW.held = 1 BEGIN
    UPDATE run SET held = NULL WHERE id = NEW.id;
END;

CREATE TRIGGER run_inserted AFTER INSERT ON run BEGIN
    UPDATE job SET
        scheduled = scheduled + (NEW.state = {SCHEDULED}),
        queued = queued + (NEW.state = {QUEUED}),
        running = running + (NEW.state = {RUNNING}),
        ended = ended + (NEW.state > {RETRYING}),
        last_run = CASE WHEN NEW.state > {RETRYING} THEN coalesce(last_run, NEW.id) ELSE last_run END,
        ended_skipped = ended_skipped + CASE WHEN NEW.state = {SKIPPED} THEN coalesce(NEW.count, 1) ELSE 0 END,
        unsuccessful = unsuccessful
            + CASE WHEN NEW.state = {SKIPPED} AND NEW.reason IN ({OVERLAP}, {MISSED}) AND NEW.cause IN ({SCHEDULE}, {CATCH_UP}) THEN coalesce(NEW.count, 1) ELSE 0 END
    WHERE id = NEW.job;
END;

CREATE TRIGGER run_changed AFTER UPDATE OF state, acked ON run BEGIN
    UPDATE job SET
        scheduled = scheduled + (NEW.state = {SCHEDULED}) - (OLD.state = {SCHEDULED}),
        queued = queued + (NEW.state = {QUEUED}) - (OLD.state = {QUEUED}),
        running = running + (NEW.state = {RUNNING}) - (OLD.state = {RUNNING}),
        retrying = retrying + (NEW.state = {RETRYING}) - (OLD.state = {RETRYING}),
        failed = failed + (NEW.state = {FAILED} AND NEW.acked IS NULL) - (OLD.state = {FAILED} AND OLD.acked IS NULL),
        ended = ended + (NEW.state > {RETRYING}) - (OLD.state > {RETRYING}),
        last_run = CASE WHEN NEW.state <> OLD.state AND (NEW.state = {RUNNING} OR (NEW.state > {RETRYING} AND NEW.attempt > 0))
            THEN NEW.id ELSE last_run END,
        last_success_at = CASE WHEN NEW.state = {SUCCEEDED} THEN NEW.ended_at ELSE last_success_at END,
        ended_succeeded = ended_succeeded + (OLD.state < {SUCCEEDED} AND NEW.state = {SUCCEEDED}),
        ended_failed = ended_failed + (OLD.state < {SUCCEEDED} AND NEW.state = {FAILED}),
        ended_skipped = ended_skipped + (OLD.state < {SUCCEEDED} AND NEW.state = {SKIPPED}),
        ended_cancelled = ended_cancelled + (OLD.state < {SUCCEEDED} AND NEW.state = {CANCELLED}),
        -- Skipped by its exit code: its command said that there was nothing to do.
        well_at = CASE WHEN NEW.state = {SUCCEEDED} OR (NEW.state = {SKIPPED} AND NEW.reason = {EXIT}) THEN NEW.ended_at ELSE well_at END,
        late_at = CASE WHEN NEW.state = {SUCCEEDED} OR (NEW.state = {SKIPPED} AND NEW.reason = {EXIT}) THEN NULL ELSE late_at END,
        missed_at = CASE WHEN NEW.state = {SUCCEEDED} OR (NEW.state = {SKIPPED} AND NEW.reason = {EXIT}) THEN NULL ELSE missed_at END,
        -- One that is tried again by hand is counted by how that ends.
        unsuccessful = CASE
            WHEN NEW.state = {SUCCEEDED} OR (NEW.state = {SKIPPED} AND NEW.reason = {EXIT}) THEN 0
            WHEN OLD.state > {SUCCEEDED} AND NEW.state < {SUCCEEDED} AND NEW.cause IN ({SCHEDULE}, {CATCH_UP}) AND (OLD.state = {FAILED} OR (OLD.state = {SKIPPED} AND OLD.reason IN ({OVERLAP}, {MISSED})))
                THEN max(unsuccessful - 1, 0)
            WHEN OLD.state < {SUCCEEDED} AND NEW.cause IN ({SCHEDULE}, {CATCH_UP}) AND (NEW.state = {FAILED} OR (NEW.state = {SKIPPED} AND NEW.reason IN ({OVERLAP}, {MISSED})))
                THEN unsuccessful + 1
            ELSE unsuccessful END
    WHERE id = NEW.job;
END;

-- A job without a schedule is a queue: how many of its runs had ended when it was last empty.
CREATE TRIGGER job_begun AFTER UPDATE OF scheduled, queued, running, retrying ON job
WHEN NEW.schedule IS NULL AND OLD.scheduled + OLD.queued + OLD.running + OLD.retrying = 0
    AND NEW.scheduled + NEW.queued + NEW.running + NEW.retrying > 0 BEGIN
    INSERT OR REPLACE INTO meta(key, value) VALUES ('ended_when_empty_' || NEW.id,
        NEW.ended_succeeded + NEW.ended_failed + NEW.ended_skipped + NEW.ended_cancelled);
END;

CREATE TRIGGER run_stretched AFTER UPDATE OF count ON run BEGIN
    UPDATE job SET
        ended_skipped = ended_skipped + NEW.count - coalesce(OLD.count, 1),
        unsuccessful = unsuccessful
            + CASE WHEN NEW.reason IN ({OVERLAP}, {MISSED}) AND NEW.cause IN ({SCHEDULE}, {CATCH_UP}) THEN NEW.count - coalesce(OLD.count, 1) ELSE 0 END
    WHERE id = NEW.job;
END;

CREATE TRIGGER run_untold AFTER DELETE ON run BEGIN
    DELETE FROM notice WHERE run = OLD.id;
END;

CREATE TRIGGER run_ended AFTER UPDATE OF state ON run WHEN NEW.state > {RETRYING} AND OLD.state < {SUCCEEDED} BEGIN
    UPDATE dependency SET ended = NEW.state WHERE "on" = NEW.id AND run IN (
        SELECT run FROM dependency WHERE "on" = NEW.id ORDER BY run LIMIT 500
    );
    INSERT OR REPLACE INTO ending(run, state)
    SELECT NEW.id, NEW.state WHERE EXISTS (SELECT 1 FROM dependency WHERE "on" = NEW.id AND ended IS NULL);
    DELETE FROM dependency WHERE run = NEW.id;
END;

CREATE TRIGGER run_anew AFTER UPDATE OF state ON run WHEN NEW.state < {SUCCEEDED} AND OLD.state > {RETRYING} BEGIN
    DELETE FROM ending WHERE run = NEW.id;
    UPDATE dependency SET ended = NULL WHERE "on" = NEW.id AND ended IS NOT NULL;
END;

-- For other readers: words instead of numbers, times as ISO 8601 in UTC where they are texts.
CREATE VIEW attempts AS
SELECT run, attempt, started_at, started_at + duration_ms AS ended_at,
    CASE outcome {OUTCOMES} END AS outcome,
    exit_code, signal, duration_ms, user_ms, system_ms, max_rss_kib, output_bytes, pid, error
FROM attempt;

CREATE VIEW runs AS
SELECT run.id, coalesce((SELECT heir.name FROM job AS heir WHERE heir.id = job.moves_to), job.name) AS job,
    CASE state WHEN {STAGED} THEN {WAITING} {STATES} END AS state,
    CASE reason {REASONS} END AS reason,
    "by",
    CASE cause {CAUSES} END AS cause,
    strftime('%Y-%m-%dT%H:%M:%fZ', scheduled_at / 1000.0, 'unixepoch') AS scheduled_at,
    coalesce(count, 1) AS count,
    strftime('%Y-%m-%dT%H:%M:%fZ', due_at / 1000.0, 'unixepoch') AS due_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', created_at / 1000.0, 'unixepoch') AS created_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', started_at / 1000.0, 'unixepoch') AS started_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', ended_at / 1000.0, 'unixepoch') AS ended_at,
    run.attempt, max_attempts, exit_code, signal, error, duration_ms, key, priority,
    strftime('%Y-%m-%dT%H:%M:%fZ', acked / 1000.0, 'unixepoch') AS acked,
    (SELECT who.name FROM who WHERE who.id = run.created_by) AS created_by
FROM run JOIN job ON job.id = run.job
LEFT JOIN attempt ON attempt.run = run.id AND attempt.attempt = run.attempt
WHERE state > {STAGED} OR feed IN (SELECT id FROM feed WHERE is_done);
