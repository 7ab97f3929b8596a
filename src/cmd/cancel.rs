//! `jobctl cancel`: cancels what waits, stops what runs.

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Out;
use crate::cli;

/// Answers `jobctl cancel`.
pub(crate) fn answer(
    _context: &Context,
    _args: &cli::Cancel,
    _out: &mut Out,
) -> Result<Exit, Failure> {
    Err(Failure::system("cancel: not implemented yet"))
}
