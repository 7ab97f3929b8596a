//! Verbs that change what runs: items of the queue, retries, cancels and pauses.

pub(super) mod ack;
pub(super) mod cancel;
pub(super) mod enqueue;
pub(super) mod exec;
pub(super) mod items;
pub(super) mod pause;
pub(super) mod resume;
pub(super) mod retry;
pub(super) mod selection;
pub(super) mod wait;
