//! `jobctl complete`: words for a shell's completion.

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Out;
use crate::cli;

/// Answers `jobctl complete`.
pub(crate) fn answer(
    _context: &Context,
    _args: &cli::Complete,
    _out: &mut Out,
) -> Result<Exit, Failure> {
    Err(Failure::system("complete: not implemented yet"))
}
