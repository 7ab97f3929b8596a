//! The thin edge: a file for each thing of the kernel, no policy.

pub(crate) mod clock;
pub(crate) mod file;
pub(crate) mod lock;
pub(crate) mod poll;
pub(crate) mod process;
pub(crate) mod signals;
pub(crate) mod socket;
pub(crate) mod spawn;
pub(crate) mod zone;
