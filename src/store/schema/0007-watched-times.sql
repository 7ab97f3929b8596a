-- Added to version 1: by what else a file is known that a watched job has taken. Null in rows of an older jobctl: not known.

-- When it was made, where the file system keeps that, and when its inode was last changed, in nanoseconds since 1970.
ALTER TABLE watched ADD COLUMN born_ns INTEGER;
ALTER TABLE watched ADD COLUMN status_ns INTEGER;
