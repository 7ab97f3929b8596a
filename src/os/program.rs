//! Whether a file can be executed, without executing it (execve(2)).
//!
//! It looks at the mode and at the first line, not at rights on the way: whoever executes the file
//! may be another user.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::file;
use crate::core::reason::plain;

/// As much of a file as the kernel reads to recognise it (`BINPRM_BUF_SIZE`).
const HEAD_MAX: u64 = 256;

/// Why a file cannot be executed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It cannot be looked at; it is not there, for instance.
    Unseen(io::Error),
    /// It is a directory or a device.
    NotAFile,
    /// Its mode lets nobody execute it.
    NotExecutable,
    /// The program in its first line cannot be executed.
    Interpreter(String, Box<Fault>),
    /// Its first line ends with a carriage return, which is part of the interpreter's name.
    CarriageReturn,
    /// It is text without a `#!` line.
    Text,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unseen(error) => f.write_str(&plain(error)),
            Self::NotAFile => f.write_str("not a file"),
            Self::NotExecutable => f.write_str("not executable"),
            Self::Interpreter(name, fault) => write!(f, "its interpreter {name}: {fault}"),
            Self::CarriageReturn => {
                f.write_str("its `#!` line ends with a carriage return (Windows line ending)")
            }
            Self::Text => f.write_str("not a program and has no `#!` line"),
        }
    }
}

/// Looks at a file.
pub(crate) fn look(path: &Path) -> Result<(), Fault> {
    is_executable(path)?;
    // A program that may be executed need not be readable.
    let Ok(head) = head_of(path) else {
        return Ok(());
    };
    let Some(line) = head.strip_prefix(b"#!") else {
        let is_text = std::str::from_utf8(&head).is_ok() && !head.contains(&0);
        return if is_text { Err(Fault::Text) } else { Ok(()) };
    };
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if line.ends_with(b"\r") {
        return Err(Fault::CarriageReturn);
    }
    let mut words = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    let Some(interpreter) = words.next() else {
        return Err(Fault::Text);
    };
    let interpreter = Path::new(OsStr::from_bytes(interpreter));
    is_executable(interpreter)
        .map_err(|fault| Fault::Interpreter(interpreter.display().to_string(), Box::new(fault)))
}

/// The program of a name without a slash: the first that can be executed in the directories of
/// `path`, where an empty one is `cwd`. The error is that of the first one that is there.
pub(crate) fn find(
    name: &str,
    path: &[u8],
    cwd: &Path,
) -> Result<PathBuf, Option<(PathBuf, Fault)>> {
    let mut first = None;
    for directory in path.split(|byte| *byte == b':') {
        let candidate = cwd.join(OsStr::from_bytes(directory)).join(name);
        match is_executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(Fault::Unseen(_)) => {}
            Err(fault) => first = first.or(Some((candidate, fault))),
        }
    }
    Err(first)
}

fn is_executable(path: &Path) -> Result<(), Fault> {
    let meta = path.metadata().map_err(Fault::Unseen)?;
    if !meta.is_file() {
        Err(Fault::NotAFile)
    } else if meta.permissions().mode() & 0o111 == 0 {
        Err(Fault::NotExecutable)
    } else {
        Ok(())
    }
}

fn head_of(path: &Path) -> io::Result<Vec<u8>> {
    let file = file::open_at_once(path)?;
    if !file.metadata()?.is_file() {
        return Err(ErrorKind::InvalidInput.into());
    }
    let mut head = Vec::new();
    file.take(HEAD_MAX).read_to_end(&mut head)?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("jobctl-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn what_cannot_be_executed_says_why() {
        let dir = scratch("look");
        for (text, mode, why) in [
            ("#!/bin/sh\n", 0o755, None),
            ("#! /bin/sh -e\n", 0o755, None),
            ("\x7fELF\0", 0o755, None),
            ("#!/bin/sh\n", 0o644, Some("not executable")),
            ("#!/no/perl -w\n", 0o755, Some("its interpreter /no/perl: no such file or directory")),
            ("#!/etc/passwd\n", 0o755, Some("its interpreter /etc/passwd: not executable")),
            (
                "#!/bin/sh\r\n",
                0o755,
                Some("its `#!` line ends with a carriage return (Windows line ending)"),
            ),
            ("echo\n", 0o755, Some("not a program and has no `#!` line")),
            ("", 0o755, Some("not a program and has no `#!` line")),
        ] {
            let path = dir.join("program");
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let said = look(&path).err().map(|fault| fault.to_string());
            assert_eq!(said.as_deref(), why, "{text:?}");
        }
        assert_eq!(look(&dir).unwrap_err().to_string(), "not a file");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_name_is_looked_for_as_execvp_does() {
        let dir = scratch("find");
        let path = dir.join("tool");
        fs::write(&path, "#!/bin/sh\n").unwrap();
        let (_, fault) = find("tool", b"/nowhere:", &dir).unwrap_err().unwrap();
        assert_eq!(fault.to_string(), "not executable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find("tool", b"/nowhere:", &dir).unwrap(), path);
        assert!(find("tool", b"/nowhere", &dir).unwrap_err().is_none());
        fs::remove_dir_all(dir).unwrap();
    }
}
