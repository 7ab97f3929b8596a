//! A file system that never answers.

use std::fs::{self, File, OpenOptions};
use std::path::PathBuf;

use super::house::House;

/// A mount on which every call waits until this is dropped, as on a server that is gone: FUSE, and
/// nobody answers.
pub(crate) struct DeadMount {
    at: PathBuf,
    /// Closing it ends all waits with an error.
    connection: Option<File>,
}

impl DeadMount {
    /// Mounts one on a directory of the house, which is made. None: it takes root and /dev/fuse.
    pub(crate) fn at(house: &House, name: &str) -> Option<Self> {
        use std::os::fd::AsRawFd;
        let at = house.path(name);
        fs::create_dir_all(&at).expect("it is ours");
        let connection = OpenOptions::new().read(true).write(true).open("/dev/fuse").ok()?;
        let options = format!("fd={},rootmode=40755,user_id=0,group_id=0", connection.as_raw_fd());
        let flags = nix::mount::MsFlags::empty();
        nix::mount::mount(Some("dead"), &at, Some("fuse"), flags, Some(&*options)).ok()?;
        Some(Self { at, connection: Some(connection) })
    }
}

impl Drop for DeadMount {
    fn drop(&mut self) {
        self.connection = None;
        let _ = nix::mount::umount2(&self.at, nix::mount::MntFlags::MNT_DETACH);
    }
}
