//! `jobctl import`: proof and comparison; the lead's merge puts the conversion beside them.

#[expect(
    dead_code,
    reason = "called by the import command, which another branch has"
)]
pub(crate) mod compare;
#[expect(
    dead_code,
    reason = "called by the import command, which another branch has"
)]
pub(crate) mod prove;
