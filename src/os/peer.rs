//! Who is at the other end of a unix socket, as the kernel knows it.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use nix::libc;
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::{Gid, Group};

use super::user::{self, login_of};
use crate::core::admission::Account;

/// Groups that are asked for at first; more take a second call.
const GROUPS_FIRST: usize = 64;

/// The user number and group numbers of the process that connected.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Peer {
    /// The user's number.
    pub(crate) uid: u32,
    /// Its group first, then the supplementary ones.
    pub(crate) gids: Vec<u32>,
}

/// Returns who connected; none if it is a user whom the kernel cannot name here.
pub(crate) fn of(socket: &impl AsFd) -> io::Result<Option<Peer>> {
    let credentials = getsockopt(&socket.as_fd(), sockopt::PeerCredentials)?;
    let uid = credentials.uid();
    if uid == user::overflow_uid() {
        return Ok(None);
    }
    let mut gids = vec![credentials.gid()];
    gids.extend(groups(socket)?);
    gids.sort_unstable();
    gids.dedup();
    Ok(Some(Peer { uid, gids }))
}

/// The account of a user's number.
pub(crate) fn user(uid: u32) -> Account {
    Account { id: uid, name: login_of(uid) }
}

/// The account of a group's number.
pub(crate) fn group(gid: u32) -> Account {
    let found = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    Account { id: gid, name: found.map(|group| group.name) }
}

/// The supplementary groups of who connected (`SO_PEERGROUPS`).
#[expect(unsafe_code, reason = "nix does not know the option")]
fn groups(socket: &impl AsFd) -> io::Result<Vec<u32>> {
    let mut gids: Vec<libc::gid_t> = vec![0; GROUPS_FIRST];
    loop {
        let mut bytes = libc::socklen_t::try_from(gids.len() * size_of::<libc::gid_t>())
            .map_err(io::Error::other)?;
        // SAFETY: the kernel writes at most `bytes` bytes into the vector, which has as many, and
        // the length into `bytes`.
        let answer = unsafe {
            libc::getsockopt(
                socket.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                gids.as_mut_ptr().cast(),
                &raw mut bytes,
            )
        };
        let len = bytes as usize / size_of::<libc::gid_t>();
        if answer == 0 {
            gids.truncate(len);
            return Ok(gids);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ERANGE) || len <= gids.len() {
            return Err(error);
        }
        gids.resize(len, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_other_end_is_known_with_its_groups() {
        let (one, _other) = UnixStream::pair().unwrap();
        let peer = of(&one).unwrap().expect("it is this process");
        assert_eq!(peer.uid, nix::unistd::geteuid().as_raw());
        let own = nix::unistd::getgroups().unwrap();
        assert!(own.iter().all(|gid| peer.gids.contains(&gid.as_raw())));
        assert!(peer.gids.contains(&nix::unistd::getegid().as_raw()));
    }

    #[test]
    fn accounts_have_names_where_there_are_some() {
        assert_eq!(user(0), Account { id: 0, name: Some("root".to_owned()) });
        assert_eq!(group(0), Account { id: 0, name: Some("root".to_owned()) });
        assert_eq!(user(4_000_000_001), Account { id: 4_000_000_001, name: None });
    }
}
