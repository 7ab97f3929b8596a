//! `jobctl enqueue`: adds items.

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Out;
use crate::cli;

/// Answers `jobctl enqueue`.
pub(crate) fn answer(
    _context: &Context,
    _args: &cli::Enqueue,
    _out: &mut Out,
) -> Result<Exit, Failure> {
    Err(Failure::system("enqueue: not implemented yet"))
}
