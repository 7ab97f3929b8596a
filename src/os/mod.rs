//! The thin edge to the kernel and the system's files: a file for each thing, no policy. Knows core
//! only.
//!
//! The only place with `unsafe` code, and the only place that asks a clock or starts a process.

mod acl;
pub(crate) mod aside;
pub(crate) mod cgroup;
pub(crate) mod clock;
#[cfg(feature = "door")]
pub(crate) mod confine;
pub(crate) mod delegated;
pub(crate) mod disk;
pub(crate) mod editor;
pub(crate) mod file;
pub(crate) mod inside;
pub(crate) mod journal;
pub(crate) mod keyring;
pub(crate) mod limit;
pub(crate) mod listener;
pub(crate) mod lock;
pub(crate) mod machine;
pub(crate) mod manual;
pub(crate) mod notify;
pub(crate) mod outside;
pub(crate) mod paths;
#[cfg(feature = "door")]
pub(crate) mod peer;
pub(crate) mod poll;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod reports;
pub(crate) mod signals;
pub(crate) mod socket;
pub(crate) mod spawn;
pub(crate) mod terminal;
pub(crate) mod ticket;
pub(crate) mod trust;
pub(crate) mod user;
pub(crate) mod wake;
pub(crate) mod watch;
pub(crate) mod zone;
