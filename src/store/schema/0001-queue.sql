-- Added to version 1: runs that expire, that wait for other runs, that bring their standard input; the rate of a job.

ALTER TABLE run ADD COLUMN expires_at INTEGER;
ALTER TABLE run ADD COLUMN progress INTEGER;
ALTER TABLE run ADD COLUMN result TEXT;
-- The runs it was to wait for, as they were given: ids with a comma between them.
ALTER TABLE run ADD COLUMN "after" TEXT;

-- When the bucket of the job's `rate` is full, if nothing more is taken from it, in microseconds since 1970.
ALTER TABLE job ADD COLUMN rate_at INTEGER;

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

CREATE INDEX dependency_on ON dependency("on");
CREATE INDEX dependency_ended ON dependency(run) WHERE ended IS NOT NULL;
CREATE INDEX run_expires ON run(expires_at) WHERE expires_at IS NOT NULL AND state < 3 AND attempt = 0;
CREATE INDEX run_key_done ON run(job, key, ended_at) WHERE key IS NOT NULL AND state = 5;

-- Every way a run can end passes here, and none is forgotten by those who wait for it.
CREATE TRIGGER run_ended AFTER UPDATE OF state ON run WHEN NEW.state > 4 AND OLD.state < 5 BEGIN
    UPDATE dependency SET ended = NEW.state WHERE "on" = NEW.id;
    DELETE FROM dependency WHERE run = NEW.id;
END;

CREATE TRIGGER run_anew AFTER UPDATE OF state ON run WHEN NEW.state < 5 AND OLD.state > 4 BEGIN
    UPDATE dependency SET ended = NULL WHERE "on" = NEW.id;
END;

CREATE TRIGGER run_gone AFTER DELETE ON run BEGIN
    DELETE FROM dependency WHERE run = OLD.id;
    DELETE FROM input WHERE run = OLD.id;
END;
