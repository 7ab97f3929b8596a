//! Whose a crontab is that an argument names. As root it is never guessed: lines of another user's
//! would become commands of root.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use crate::cli;
use crate::cmd::{Failure, Result};

/// Where users' crontabs are: on Debian, SUSE, and elsewhere.
pub(super) const SPOOLS: [&str; 3] =
    ["var/spool/cron/crontabs", "var/spool/cron/tabs", "var/spool/cron"];

/// The user of the crontab on standard input; none: the caller's own. Errs as root, unless it was
/// said.
pub(super) fn of_standard_input(args: &cli::Import) -> Result<Option<String>> {
    if args.user.is_none() && Uid::effective().is_root() {
        let what = "standard input: root must name the owner of the crontab";
        return Err(unsaid(what, "-"));
    }
    Ok(args.user.clone())
}

/// The user of the crontab at `path`, of the opened file `meta`: the one that was said, or whose
/// spool file it is; none: the caller's own. Errs as root where nothing says it and others than
/// root may have written the file.
pub(super) fn of_file(args: &cli::Import, path: &Path, meta: &Metadata) -> Result<Option<String>> {
    if args.user.is_some() {
        return Ok(args.user.clone());
    }
    if let Some(name) = name_in_spool(path).filter(|name| is_believed(name, path, meta)) {
        return Ok(Some(name));
    }
    if Uid::effective().is_root() && !is_roots_own(meta) {
        let path = path.display();
        let what = format!(
            "{path}: users other than root may have written it; name the owner of the crontab"
        );
        return Err(unsaid(&what, &path.to_string()));
    }
    Ok(None)
}

/// The name of a file in a spool of crontabs, which is its user's.
fn name_in_spool(path: &Path) -> Option<String> {
    let named = std::path::absolute(path).ok();
    let real = fs::canonicalize(path).ok();
    let in_spool = |path: PathBuf| {
        let spool = path.parent()?;
        let name = path.file_name()?.to_str()?;
        let is_spool = SPOOLS.iter().any(|name| spool.ends_with(name));
        is_spool.then(|| name.to_owned())
    };
    real.and_then(in_spool).or_else(|| named.and_then(in_spool))
}

/// Whether a file in a spool is the crontab of the user of its name. Root believes it only where
/// root alone gives names, because anybody can make a directory of that name at home, and takes
/// none for root's that others may have written.
pub(super) fn is_believed(name: &str, path: &Path, meta: &Metadata) -> bool {
    if !Uid::effective().is_root() {
        return true;
    }
    let real = fs::canonicalize(path).ok();
    let spool = real.as_deref().and_then(Path::parent);
    let gives_names = |spool: &Metadata| spool.uid() == 0 && spool.mode() & 0o002 == 0;
    let is_roots = spool.is_some_and(|spool| fs::metadata(spool).is_ok_and(|it| gives_names(&it)));
    is_roots && (name != "root" || is_roots_own(meta))
}

/// Whether a file is root's, and nobody else may write to it. Where there is an access control
/// list, the bits of the group are the most that it grants.
fn is_roots_own(meta: &Metadata) -> bool {
    meta.is_file() && meta.uid() == 0 && meta.mode() & 0o022 == 0
}

fn unsaid(what: &str, file: &str) -> Failure {
    let hint = format!("give the user that its jobs run as: `jobctl import --user NAME {file}`");
    Failure::usage(what).hint(hint)
}
