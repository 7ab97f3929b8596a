//! `jobctl status`: how things are.

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Out;
use crate::cli;

/// Answers `jobctl status`.
pub(crate) fn answer(
    _context: &Context,
    _args: &cli::Status,
    _out: &mut Out,
) -> Result<Exit, Failure> {
    Err(Failure::system("status: not implemented yet"))
}
