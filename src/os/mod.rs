//! The thin edge to the kernel: a file for each thing it offers, and no policy. Knows core only.
//!
//! The only place with `unsafe` code, and the only place that asks a clock or starts a process.

pub(crate) mod clock;
pub(crate) mod file;
pub(crate) mod lock;
pub(crate) mod poll;
pub(crate) mod process;
pub(crate) mod signals;
pub(crate) mod socket;
pub(crate) mod spawn;
