//! Verbs about the jobfile: write it, check it, change it, and run it.

pub(super) mod check;
pub(super) mod edit;
mod findings;
pub(super) mod init;
pub(super) mod reload;
pub(super) mod run;
