-- Added to version 1: the files that watched jobs have taken, as long as they exist.

-- What the job watched when `watched` was begun; with another one everything that is there counts as taken.
ALTER TABLE job ADD COLUMN watch TEXT;

CREATE TABLE watched(
    job INTEGER NOT NULL,
    path BLOB NOT NULL,
    inode INTEGER NOT NULL,
    size INTEGER NOT NULL,
    -- When it was last changed, in nanoseconds since 1970.
    changed_ns INTEGER NOT NULL,
    PRIMARY KEY(job, path)
) WITHOUT ROWID;
