//! The promises of the contract, held against the real binary: one file a promise, each test in a
//! directory of its own. `command_line`, `verbs`, `import`, `export` and `documents` need no
//! supervisor.
//!
//! One program instead of many, because linking costs more than running. A single promise: `cargo
//! test --test promises stopping::`.

mod adoption;
mod attack;
mod backups;
mod cgroup;
mod clean_start;
mod clock_changes;
mod command_line;
mod crash_loop;
mod crowd;
mod documents;
mod door;
mod door_output;
mod editing;
mod error_sweep;
mod exec;
mod export;
mod faults;
mod feeds;
mod full_disk;
mod handover;
mod hang;
mod hang_up;
mod hostile;
mod hostile_backup;
mod idempotency;
mod identity;
mod import;
mod imported;
mod keys;
mod keys_of_tables;
mod kill_sweep;
mod lanes;
mod locks;
mod logs;
mod looking;
mod migration;
mod nothing_is_lost;
mod notices;
mod numbers_reused;
mod one_supervisor;
mod output_file;
mod overlap;
mod poor_starts;
mod power_cut;
mod queue;
mod reloading;
mod report;
mod reports;
mod retries;
mod shadow;
mod signs;
#[path = "../skipped/mod.rs"]
mod skipped;
mod skips;
mod spawn_failures;
mod state_directory;
mod steering;
mod stopping;
mod store_attacks;
mod support;
mod surroundings;
mod terminals;
mod trust;
mod upgrading;
mod verbs;
mod watch;
mod watch_keys;
mod why;
