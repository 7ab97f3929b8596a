-- Added to version 1: runs that ended and had more followers than are told in the transaction of their end.
--
-- Each end notes itself with some of its followers at once. The others are told by a later turn, some thousand at a time: until the row
-- here is gone, their `dependency.ended` is null although what they wait for has ended as `state` says.

CREATE TABLE ending(
    run INTEGER PRIMARY KEY,
    state INTEGER NOT NULL
);

CREATE INDEX dependency_noted ON dependency("on") WHERE ended IS NOT NULL;

-- What a batch waits for (`dependency.run` is negative) comes first, and is noted at once.
DROP TRIGGER run_ended;
CREATE TRIGGER run_ended AFTER UPDATE OF state ON run WHEN NEW.state > 4 AND OLD.state < 5 BEGIN
    UPDATE dependency SET ended = NEW.state WHERE "on" = NEW.id AND run IN (
        SELECT run FROM dependency WHERE "on" = NEW.id ORDER BY run LIMIT 500
    );
    INSERT OR REPLACE INTO ending(run, state)
    SELECT NEW.id, NEW.state WHERE EXISTS (SELECT 1 FROM dependency WHERE "on" = NEW.id AND ended IS NULL);
    DELETE FROM dependency WHERE run = NEW.id;
END;

DROP TRIGGER run_anew;
CREATE TRIGGER run_anew AFTER UPDATE OF state ON run WHEN NEW.state < 5 AND OLD.state > 4 BEGIN
    DELETE FROM ending WHERE run = NEW.id;
    UPDATE dependency SET ended = NULL WHERE "on" = NEW.id AND ended IS NOT NULL;
END;
