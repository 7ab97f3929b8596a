//! The process between the supervisor and a command: one for each slot, one attempt at a time.
//!
//! Knows core and os, nothing else: no store, no jobfile, no policy. What it is told is an [`order::Order`], what it leaves is a
//! [`record::Record`].

pub(crate) mod order;
pub(crate) mod record;
