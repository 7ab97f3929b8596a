//! Pages of HTML: facts in, text out. No I/O and no clock.
//!
//! Templates are files (`templates/`), which escape what they are given. Pictures are SVG with
//! attributes of geometry and classes; there is no script, no `style` attribute and no reference to
//! anywhere else, so that a page may be mailed, and served under a strict policy.

mod axis;
mod job;
mod parts;
mod picture;
mod report;
#[cfg(test)]
mod tests;

#[cfg(feature = "door")]
pub(crate) use askama::Error;
pub(crate) use report::{Frame, report};
