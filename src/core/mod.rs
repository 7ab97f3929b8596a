//! The rules of jobctl, pure: no clock, no I/O, no randomness; every function takes `now` as an
//! argument.
//!
//! Imports nothing of the crate but itself, and from outside only std, serde, base64 (in `bytes`),
//! chrono, cron (in `schedule`) and humantime (in `duration`).

#[cfg(feature = "door")]
pub(crate) mod admission;
pub(crate) mod bytes;
pub(crate) mod door;
pub(crate) mod duration;
pub(crate) mod ended;
pub(crate) mod env_file;
pub(crate) mod environment;
pub(crate) mod escape;
pub(crate) mod feed;
pub(crate) mod forewarn;
pub(crate) mod hash;
pub(crate) mod item;
pub(crate) mod job;
pub(crate) mod key;
pub(crate) mod lane;
pub(crate) mod local;
pub(crate) mod moment;
pub(crate) mod notice;
pub(crate) mod noun;
pub(crate) mod output;
pub(crate) mod pause;
pub(crate) mod plan;
pub(crate) mod rate;
pub(crate) mod reason;
pub(crate) mod report;
pub(crate) mod retry;
pub(crate) mod run;
pub(crate) mod schedule;
pub(crate) mod shell;
pub(crate) mod stop;
pub(crate) mod style;
pub(crate) mod tally;
pub(crate) mod terms;
pub(crate) mod time;
pub(crate) mod words;
