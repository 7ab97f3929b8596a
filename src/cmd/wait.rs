//! `jobctl wait`: waits until runs have ended.

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Out;
use crate::cli;

/// Answers `jobctl wait`.
pub(crate) fn answer(
    _context: &Context,
    _args: &cli::Wait,
    _out: &mut Out,
) -> Result<Exit, Failure> {
    Err(Failure::system("wait: not implemented yet"))
}
