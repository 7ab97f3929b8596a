//! The thin edge to the kernel and the system's files: a file for each thing, no policy.

pub(crate) mod zone;
