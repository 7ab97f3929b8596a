//! Texts about facts for people, shared by the terminal and the pages.
//!
//! Text without colour or markup; no I/O and no clock.

pub(crate) mod jobs;
pub(crate) mod runs;
pub(crate) mod untold;
pub(crate) mod verbs;
pub(crate) mod when;
pub(crate) mod why;
