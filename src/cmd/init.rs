//! `jobctl init`: a commented jobfile to start from.

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Out;

/// Answers `jobctl init`.
pub(crate) fn answer(_context: &Context, _out: &mut Out) -> Result<Exit, Failure> {
    Err(Failure::system("init: not implemented yet"))
}
