//! What changes the store on somebody's word, as far as command line and door do it alike. Prints
//! nothing, and knows neither options nor HTTP.

pub(crate) mod batch;
pub(crate) mod enqueue;
pub(crate) mod portions;
