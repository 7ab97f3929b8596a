//! Determines the user of a crontab. For root it is never guessed, or another user's lines could
//! become commands of root.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use crate::cli;
use crate::cmd::{Failure, Result};

/// The directories of users' crontabs: on Debian, SUSE, and elsewhere.
pub(super) const SPOOLS: [&str; 3] =
    ["var/spool/cron/crontabs", "var/spool/cron/tabs", "var/spool/cron"];

/// Returns the user of the crontab on standard input; `None` for the caller. Root has to name the
/// user.
pub(super) fn of_standard_input(args: &cli::Import) -> Result<Option<String>> {
    if args.user.is_none() && Uid::effective().is_root() {
        let what = "standard input: root must name the owner of the crontab";
        return Err(unsaid(what, "-"));
    }
    Ok(args.user.clone())
}

/// Returns the user of the crontab at `path`, of the opened file `meta`: the given one, or the one
/// whose spool file it is; `None` for the caller. Errs for root if neither is known and other users
/// may have written the file.
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

/// Returns the name of a file in a spool of crontabs, which is its user's name.
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

/// Returns whether a file in a spool is the crontab of the user of its name. For root this only
/// holds if no one else can create names there, because anyone can make a directory of that name at
/// home; and a file that others may have written is never root's.
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

/// Returns whether a file is root's and no one else may write to it. With an access control list,
/// the group bits are the maximum that it grants.
fn is_roots_own(meta: &Metadata) -> bool {
    meta.is_file() && meta.uid() == 0 && meta.mode() & 0o022 == 0
}

fn unsaid(what: &str, file: &str) -> Failure {
    let hint = format!("give the user that its jobs run as: `jobctl import --user NAME {file}`");
    Failure::usage(what).hint(hint)
}
