//! stub
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Out;
pub(crate) fn answer(_c: &Context, _o: &mut Out) -> Result<Exit, Failure> {
    Ok(Exit::Done)
}
