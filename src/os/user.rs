//! Who this process is, as passwd(5) says.

use std::path::PathBuf;

use nix::unistd::{Uid, User};

/// What passwd(5) says of a user.
#[derive(Clone, Debug)]
pub(crate) struct UserEntry {
    /// Login name.
    pub(crate) name: String,
    /// Home directory; `/` if it has none.
    pub(crate) home: PathBuf,
    /// Login shell.
    pub(crate) shell: PathBuf,
}

/// The user this process acts as; a user that passwd(5) does not know has its number as name.
pub(crate) fn current() -> UserEntry {
    let uid = Uid::effective();
    match User::from_uid(uid).ok().flatten() {
        Some(user) => UserEntry {
            name: user.name,
            home: if user.dir.is_dir() {
                user.dir
            } else {
                PathBuf::from("/")
            },
            shell: user.shell,
        },
        None => UserEntry {
            name: uid.to_string(),
            home: PathBuf::from("/"),
            shell: PathBuf::from("/bin/sh"),
        },
    }
}
