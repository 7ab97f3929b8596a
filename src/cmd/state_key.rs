//! Finds `state_dir` in a jobfile without loading it, because the store must be found even if the
//! rest of the file is broken.

use std::path::{Path, PathBuf};

use crate::os::file;
use crate::os::trust::{self, Fault};

/// The limit of a jobfile in bytes.
const JOBFILE_MAX: u64 = 4 * 1024 * 1024;

/// The key, as it stands in the file.
const KEY: &str = "state_dir";

/// The state directory that a jobfile names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// The absolute path.
    pub(crate) dir: PathBuf,
    /// Why root must not use it because of this file; empty for other users.
    pub(crate) faults: Vec<Fault>,
}

/// Returns the state directory that `jobfile` names; `None` if it names none, is unreadable, or has
/// a relative path, which is an error of the jobfile.
pub(crate) fn read(jobfile: &Path) -> Option<Named> {
    let opened = trust::open(jobfile).ok()?;
    let bytes = file::read_whole(opened.file, JOBFILE_MAX).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let dir = PathBuf::from(find(&text)?);
    dir.is_absolute().then_some(Named { dir, faults: opened.faults })
}

/// Returns the value of the top-level key. Reads only that line and stops before the first table.
fn find(text: &str) -> Option<String> {
    let is_key = |line: &&str| line.trim_matches([' ', '"', '\'']).starts_with(KEY);
    let line =
        text.lines().map(str::trim).take_while(|line| !line.starts_with('[')).find(is_key)?;
    let table = toml::de::DeTable::parse(line).ok()?.into_inner();
    table.get(KEY)?.get_ref().as_str().filter(|dir| !dir.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_found_whatever_follows() {
        for (text, dir) in [
            ("state_dir = \"/srv/x\"\n[jobs.a\nbroken", Some("/srv/x")),
            ("# state_dir = '/no'\ntimezone = 3\n  'state_dir'='/y' # here\n", Some("/y")),
            ("[jobs.a]\nstate_dir = \"/no\"\n", None),
            ("state_dir = 3\n", None),
            ("state_directory = '/no'\n", None),
            ("", None),
        ] {
            assert_eq!(find(text).as_deref(), dir, "{text}");
        }
    }
}
