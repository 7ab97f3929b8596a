//! POSIX access control lists (acl(5)) in the kernel's format: who may write besides owner, group
//! and others.
//!
//! If a file has a list, the group bits of its mode are the list's mask and do not describe the
//! group. NFSv4 lists are not read.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::libc;

/// The list in force, and the default for new entries of a directory.
const NAMES: [&CStr; 2] = [c"system.posix_acl_access", c"system.posix_acl_default"];

/// The only version there is (linux/posix_acl_xattr.h).
const VERSION: u32 = 2;

/// Lengths of the header and of an entry. An entry is a tag and rights of two bytes each, and an
/// id.
const HEADER: usize = 4;
const ENTRY: usize = 8;

/// The write bit of an entry's rights.
const WRITE: u16 = 2;

/// Tags of entries.
const USER: u16 = 0x02;
const GROUP_OF_FILE: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

/// Whom a list allows to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writer {
    /// A user of this number.
    User(u32),
    /// A group of this number.
    Group(u32),
    /// The file's own group.
    OwnGroup,
    /// Everybody.
    Others,
}

/// Returns the first entry of an open file's or directory's lists that allows writing, except for
/// users that `is_trusted` accepts.
///
/// The descriptor may have been opened with `O_PATH`.
pub(super) fn writer(
    fd: impl AsFd,
    is_trusted: impl Fn(u32) -> bool,
) -> io::Result<Option<Writer>> {
    let link = format!("/proc/self/fd/{}\0", fd.as_fd().as_raw_fd());
    let path = CStr::from_bytes_with_nul(link.as_bytes()).map_err(io::Error::other)?;
    for name in NAMES {
        let Some(list) = read(path, name)? else {
            continue;
        };
        let found = first_writer(&list, &is_trusted).ok_or(io::ErrorKind::InvalidData)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Reads an attribute; none if the file has none or the file system does not support them.
#[expect(unsafe_code, reason = "the C library's getxattr(2)")]
fn read(path: &CStr, name: &CStr) -> io::Result<Option<Vec<u8>>> {
    // A list has at most some thousand entries; the kernel's limit for an attribute is 64 KiB.
    let mut room = vec![0_u8; 64 * 1024];
    // SAFETY: two strings with their ends, and the kernel writes at most as many bytes as there is
    // room for, into a living vector.
    let len = unsafe {
        libc::getxattr(path.as_ptr(), name.as_ptr(), room.as_mut_ptr().cast(), room.len())
    };
    let errno = Errno::last();
    match usize::try_from(len) {
        Ok(len) => {
            room.truncate(len);
            Ok(Some(room))
        }
        Err(_) if matches!(errno, Errno::ENODATA | Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(None),
        Err(_) => Err(errno.into()),
    }
}

/// Returns whom a list allows to write. The outer none means that this is no list.
fn first_writer(list: &[u8], is_trusted: &impl Fn(u32) -> bool) -> Option<Option<Writer>> {
    let (header, entries) = list.split_at_checked(HEADER)?;
    let is_known = u32::from_le_bytes(header.try_into().ok()?) == VERSION;
    if !is_known || !entries.len().is_multiple_of(ENTRY) {
        return None;
    }
    let entries: Vec<(u16, u16, u32)> = entries.chunks_exact(ENTRY).filter_map(entry).collect();
    let masks = entries.iter().find(|(tag, _, _)| *tag == MASK);
    let mask = masks.map_or(u16::MAX, |(_, rights, _)| *rights);
    let writer = entries.iter().find_map(|&(tag, rights, id)| {
        let (writer, rights) = match tag {
            USER if is_trusted(id) => return None,
            USER => (Writer::User(id), rights & mask),
            GROUP => (Writer::Group(id), rights & mask),
            GROUP_OF_FILE => (Writer::OwnGroup, rights & mask),
            OTHER => (Writer::Others, rights),
            // The owner, who is judged by himself, and the mask.
            _ => return None,
        };
        (rights & WRITE != 0).then_some(writer)
    });
    Some(writer)
}

fn entry(bytes: &[u8]) -> Option<(u16, u16, u32)> {
    let [a, b, c, d, id @ ..] = bytes else {
        return None;
    };
    Some((
        u16::from_le_bytes([*a, *b]),
        u16::from_le_bytes([*c, *d]),
        u32::from_le_bytes(id.try_into().ok()?),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let mut bytes = VERSION.to_le_bytes().to_vec();
        for (tag, rights, id) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(rights.to_le_bytes());
            bytes.extend(id.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn a_list_lets_write_whom_an_entry_names_and_its_mask_lets_pass() {
        const NOBODY: u32 = u32::MAX;
        let owner = (0x01, 7, NOBODY);
        for (entries, writer) in [
            (&[(USER, 6, 1000), (MASK, 7, NOBODY)][..], Some(Writer::User(1000))),
            (&[(USER, 6, 1000), (MASK, 4, NOBODY)], None),
            (&[(USER, 4, 1000), (MASK, 7, NOBODY)], None),
            (&[(USER, 6, 0), (MASK, 7, NOBODY)], None),
            (&[(GROUP, 2, 0), (MASK, 2, NOBODY)], Some(Writer::Group(0))),
            (&[(GROUP_OF_FILE, 6, NOBODY), (MASK, 6, NOBODY)], Some(Writer::OwnGroup)),
            (&[(GROUP_OF_FILE, 6, NOBODY), (MASK, 5, NOBODY)], None),
            (&[(GROUP_OF_FILE, 6, NOBODY)], Some(Writer::OwnGroup)),
            (&[(MASK, 0, NOBODY), (OTHER, 2, NOBODY)], Some(Writer::Others)),
            (&[], None),
        ] {
            let bytes = list(&[&[owner], entries].concat());
            assert_eq!(first_writer(&bytes, &|uid| uid == 0), Some(writer), "{entries:?}");
        }
    }

    #[test]
    fn what_is_no_list_is_not_taken_for_one_that_lets_nobody_write() {
        let mut newer = list(&[]);
        newer[0] = 3;
        for bytes in [&b""[..], b"\x02\0\0", b"\x02\0\0\0\x02", &newer] {
            assert_eq!(first_writer(bytes, &|_| false), None, "{bytes:?}");
        }
    }
}
