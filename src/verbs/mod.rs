//! The changes of the store that the command line and the door share. Prints nothing and knows
//! neither options nor HTTP.

pub(crate) mod batch;
pub(crate) mod enqueue;
pub(crate) mod portions;
