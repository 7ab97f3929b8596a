//! Keepers as processes: this test program, executed again, is one.

mod bench;
mod endings;
mod stops;
mod surroundings;
