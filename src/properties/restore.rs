//! Any bytes in the place of a backup are refused, or restored to a store whose rows can be read.

use crate::core::time::Wall;
use crate::store::{self, Filter, Restoring, Store};
use rusqlite::Connection;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Any bytes in the place of a backup are refused, or restored to a store whose rows can be read.
pub fn restore(data: &[u8]) {
    let (dir, _) = &*PLACE;
    let (file, state_dir) = (dir.join("backup"), dir.join("state"));
    fs::write(&file, file_of(data)).expect("there is room");
    let _ = fs::remove_dir_all(&state_dir);
    fs::create_dir(&state_dir).expect("there is room");
    let restoring = Restoring { file: &file, now: Wall::from_secs(1_785_067_200), boot_id: "boot" };
    if Store::restore(&state_dir, &restoring).is_err() {
        assert!(!Store::is_there(&state_dir), "refused, and something is there");
        return;
    }
    let store = Store::create(&state_dir).expect("it was restored");
    // A row may say what none of ours would say: that is an error, and no panic.
    let _ = store.jobs();
    if let Ok(runs) = store.runs(&Filter::default(), None) {
        for run in &runs {
            let _ = store::json::run_fields(run);
            let _ = store.output(run.id, run.attempt);
        }
    }
}

/// Rows of the kinds that a store has.
const ROWS: &str = "\
    INSERT INTO job(id, name, watermark, paused_at) VALUES (1, 'a', 1785067200000, NULL), (2, 'b', NULL, 7);
    INSERT INTO run(id, job, state, cause, created_at, due_at, max_attempts) VALUES (1, 1, 2, 3, 5, 5, 3);
    INSERT INTO run(id, job, state, cause, created_at, due_at, attempt, claim, args, key)
        VALUES (2, 1, 3, 3, 5, 5, 1, 1, x'610062', 'k');
    INSERT INTO run(id, job, state, cause, created_at, attempt, charged, ended_at, reason) VALUES (3, 2, 6, 1, 5, 2, 2, 7, 6);
    INSERT INTO policy(id, text) VALUES (1, '{}');
    INSERT INTO attempt(run, attempt, policy, slot, started_at, outcome, exit_code, duration_ms)
        VALUES (2, 1, 1, 0, 6, NULL, NULL, NULL), (3, 1, 1, NULL, 5, 2, 1, 1), (3, 2, 1, NULL, 6, 2, 1, 1);
    INSERT INTO output(run, attempt, total, head_max, tail_max, head, tail) VALUES (3, 1, 4, 2, 2, x'6162', x'6364');
    INSERT INTO source(position, path, text) VALUES (0, '/etc/jobctl.toml', '[jobs.a]');";

/// A directory in memory, and a small backup in it.
#[expect(clippy::disallowed_methods, reason = "a backup is made without the store's verbs")]
static PLACE: LazyLock<(PathBuf, Vec<u8>)> = LazyLock::new(|| {
    let shm = Path::new("/dev/shm");
    let base = if shm.is_dir() { shm.to_owned() } else { std::env::temp_dir() };
    let dir = base.join(format!("jobctl-fuzz-restore-{}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(dir.join("made")).expect("it can be made");
    drop(Store::create(&dir.join("made")).expect("there is room"));
    let conn = Connection::open(dir.join("made/jobctl.db")).expect("it is there");
    conn.execute_batch(ROWS).expect("it is SQL");
    let small = dir.join("small");
    conn.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM")
        .expect("it can be written");
    conn.execute("VACUUM INTO ?1", [small.to_string_lossy()]).expect("it can be written");
    let bytes = fs::read(small).expect("it was written");
    (dir, bytes)
});

/// The bytes of the file: as they are, or those of a backup with bytes changed at some places.
fn file_of(data: &[u8]) -> Vec<u8> {
    match data.split_first() {
        Some((0, raw)) => raw.to_vec(),
        Some((_, changes)) => {
            let mut bytes = PLACE.1.clone();
            for change in changes.chunks_exact(3) {
                let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % bytes.len();
                bytes[at] = change[2];
            }
            bytes
        }
        None => Vec::new(),
    }
}
