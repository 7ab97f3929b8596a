//! Verbs that maintain the installation: diagnose, prune, back up, restore, and document.

pub(super) mod backup;
pub(super) mod complete;
pub(super) mod completions;
pub(super) mod doctor;
pub(super) mod man;
pub(super) mod prune;
pub(super) mod restore;
#[cfg(feature = "door")]
pub(super) mod token;
