//! Why a command was not started, in words: the object first, then the reason.

use std::io;

use nix::errno::Errno;

use super::order::Order;
use super::record::End;
use crate::os::spawn::{Failure, IdentityStep, Step};
use crate::os::user::Identity;

/// A command that was not started.
#[derive(Debug)]
pub(super) struct Refusal {
    /// What that makes of the attempt.
    pub(super) end: End,
    /// The system had too few processes or too little memory, which may be otherwise in a moment.
    pub(super) is_passing: bool,
}

impl From<End> for Refusal {
    fn from(end: End) -> Self {
        Self { end, is_passing: false }
    }
}

impl Refusal {
    /// What a failure makes of an attempt before anything of its command was looked up.
    pub(super) fn early(failure: Failure, order: &Order) -> Self {
        let is_passing = matches!(failure.errno, Errno::EAGAIN | Errno::ENOMEM);
        Self { is_passing, end: explain_early(failure, order) }
    }
}

/// The end that a failure makes of an attempt, with what the order says about it.
pub(super) fn explain_early(failure: Failure, order: &Order) -> End {
    let what = match failure.step {
        Step::Clone => "new process".to_owned(),
        Step::Cgroup => "cgroup".to_owned(),
        Step::Session => "new session".to_owned(),
        Step::Descriptors => "descriptors".to_owned(),
        Step::Nice => format!("nice value {}", order.nice),
        Step::Limit(limit) => format!("limit {} of {}", limit.name(), limit.soft),
        Step::Keyring => "session keyring".to_owned(),
        Step::Identity(what) => identity_text(what, None),
        Step::Directory => "working directory".to_owned(),
        Step::DeathSignal => "death signal".to_owned(),
        Step::Exec => shown(&order.program),
    };
    failed(&what, &failure.errno.into())
}

/// What could not be changed of the identity.
pub(super) fn identity_text(what: IdentityStep, identity: Option<&Identity>) -> String {
    let (uid, gid) = identity.map_or((0, 0), |identity| (identity.uid, identity.gid));
    match what {
        IdentityStep::Groups => format!("groups of user id {uid}"),
        IdentityStep::Group => format!("group id {gid}"),
        IdentityStep::User => format!("user id {uid}"),
        IdentityStep::Verify => format!("ids {uid}:{gid} did not take effect"),
    }
}

/// The end of an attempt for which `what` could not be had.
pub(super) fn failed(what: &str, error: &io::Error) -> End {
    let errno = error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw);
    End::SpawnFailed { exit_code: None, error: sentence(what, errno) }
}

/// `/bin/zsh: no such file or directory`.
pub(super) fn sentence(what: &str, errno: Errno) -> String {
    format!("{what}: {}", reason(errno))
}

/// Why, in small letters but for those of `I/O error`.
pub(super) fn reason(errno: Errno) -> String {
    if errno == Errno::EAGAIN {
        return "resource temporarily unavailable (EAGAIN)".to_owned();
    }
    let text = errno.desc();
    match text.split_at_checked(1) {
        Some((first, rest)) if rest.starts_with(|c: char| c == ' ' || c.is_ascii_lowercase()) => {
            format!("{}{rest}", first.to_ascii_lowercase())
        }
        Some(_) | None => text.to_owned(),
    }
}

/// Bytes of an order, for people.
pub(super) fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
