-- Added to version 1: locks with `{1}` in them, one for each first argument.
--
-- `lane` is the lock that a run of such a job needs. A queued run whose lane is taken is `held` once it has come to the head of its queue: it is in the
-- way of nobody then. Of a lane that becomes free the first one is let go, by the triggers here, whichever verb it was.

ALTER TABLE run ADD COLUMN lane TEXT;
ALTER TABLE run ADD COLUMN held INTEGER;
-- The template that the lanes of a job's runs were made with.
ALTER TABLE job ADD COLUMN lane_template TEXT;

CREATE TABLE lane_rules(since INTEGER);

DROP INDEX run_queue;
CREATE INDEX run_queue ON run(job, priority DESC, due_at, id) WHERE state = 2 AND held IS NULL;
CREATE INDEX run_held ON run(job, lane, priority DESC, due_at, id) WHERE state = 2 AND held = 1;

CREATE TRIGGER run_lane_free AFTER UPDATE OF state ON run
WHEN OLD.lane IS NOT NULL AND NEW.state <> OLD.state AND (OLD.state = 3 OR (OLD.state = 2 AND OLD.held IS NULL AND NEW.state <> 3)) BEGIN
    UPDATE run SET held = NULL WHERE id = (
        SELECT id FROM run WHERE job = OLD.job AND lane = OLD.lane AND state = 2 AND held = 1
        ORDER BY priority DESC, due_at, id LIMIT 1
    );
END;

CREATE TRIGGER run_lane_anew AFTER UPDATE OF state ON run WHEN NEW.state = 2 AND OLD.state <> 2 AND NEW.held = 1 BEGIN
    UPDATE run SET held = NULL WHERE id = NEW.id;
END;
