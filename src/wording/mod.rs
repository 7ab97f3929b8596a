//! How facts are worded for people: what the terminal and the pages say alike.
//!
//! Text without colour or markup; no I/O and no clock.

pub(crate) mod jobs;
pub(crate) mod runs;
pub(crate) mod untold;
pub(crate) mod verbs;
pub(crate) mod when;
pub(crate) mod why;
