//! Where the jobfile and the state directory are (jobctl(1), "Files"), as a function of who calls.
//!
//! Reads the environment and the working directory, writes nothing.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};

use crate::core::hash::fnv1a;

/// The facts about the caller on which paths depend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Whether the effective user is root.
    pub(crate) is_root: bool,
    /// The home directory.
    pub(crate) home: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`, if absolute.
    pub(crate) config_home: Option<PathBuf>,
    /// `$XDG_STATE_HOME`, if absolute.
    pub(crate) state_home: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`, if absolute.
    pub(crate) runtime_dir: Option<PathBuf>,
    /// The first path of `$STATE_DIRECTORY`, which systemd sets for services.
    pub(crate) service_state: Option<PathBuf>,
}

/// There is no home directory to find the default paths in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoHome;

impl fmt::Display for NoHome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the caller has no home directory")
    }
}

impl std::error::Error for NoHome {}

impl Caller {
    /// Reads them from the process and its environment.
    pub(crate) fn of_process() -> Self {
        let uid = Uid::effective();
        Self {
            is_root: uid.is_root(),
            home: absolute_variable("HOME")
                .or_else(|| User::from_uid(uid).ok().flatten().map(|user| user.dir)),
            config_home: absolute_variable("XDG_CONFIG_HOME"),
            state_home: absolute_variable("XDG_STATE_HOME"),
            runtime_dir: absolute_variable("XDG_RUNTIME_DIR"),
            service_state: std::env::var_os("STATE_DIRECTORY").and_then(|dirs| first_path(&dirs)),
        }
    }

    /// The directory of report files: cleared at boot, and owned by nobody else.
    pub(crate) fn reports_dir(&self, state_dir: &Path) -> PathBuf {
        match &self.runtime_dir {
            _ if self.is_root => PathBuf::from("/run/jobctl"),
            Some(dir) => dir.join("jobctl"),
            None => state_dir.join("reports"),
        }
    }

    /// The jobfile when none is named.
    pub(crate) fn default_jobfile(&self) -> Result<PathBuf, NoHome> {
        if self.is_root {
            return Ok(PathBuf::from("/etc/jobctl/jobs.toml"));
        }
        Ok(self.under_home(self.config_home.as_deref(), ".config")?.join("jobctl/jobs.toml"))
    }

    /// The state directory of the default jobfile; those of other jobfiles are below it.
    pub(crate) fn default_state_dir(&self) -> Result<PathBuf, NoHome> {
        if self.is_root {
            return Ok(PathBuf::from("/var/lib/jobctl"));
        }
        Ok(self.under_home(self.state_home.as_deref(), ".local/state")?.join("jobctl"))
    }

    /// The state directory of `jobfile` when neither it nor the command line names one.
    pub(crate) fn state_dir_of(&self, jobfile: &Path) -> Result<PathBuf, NoHome> {
        let state_dir = self.default_state_dir()?;
        let jobfile = settled(jobfile);
        if self.default_jobfile().is_ok_and(|default| settled(&default) == jobfile) {
            return Ok(state_dir);
        }
        Ok(state_dir.join(own_name(&jobfile)))
    }

    fn under_home(&self, xdg: Option<&Path>, otherwise: &str) -> Result<PathBuf, NoHome> {
        match (xdg, &self.home) {
            (Some(dir), _) => Ok(dir.to_path_buf()),
            (None, Some(home)) => Ok(home.join(otherwise)),
            (None, None) => Err(NoHome),
        }
    }
}

/// The path with its directory made absolute and free of `..` and symbolic links.
///
/// The file itself may be a symbolic link and is not followed: a mounted ConfigMap changes what it
/// points to.
pub(crate) fn settled(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    match (absolute.parent().map(Path::canonicalize), absolute.file_name()) {
        (Some(Ok(dir)), Some(name)) => dir.join(name),
        _ => absolute,
    }
}

/// The name of the state directory of a jobfile other than the default one: readable, and different
/// for each path.
fn own_name(jobfile: &Path) -> String {
    let stem: String = jobfile
        .file_stem()
        .unwrap_or(OsStr::new("jobs"))
        .to_string_lossy()
        .chars()
        .take(40)
        .collect();
    let stem =
        stem.replace(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-'), "_");
    let hash = fnv1a(jobfile.as_os_str().as_bytes().iter().copied());
    format!("{stem}-{:08x}", hash & 0xFFFF_FFFF)
}

fn absolute_variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// systemd separates several directories by colons.
fn first_path(dirs: &OsString) -> Option<PathBuf> {
    std::env::split_paths(dirs).next().filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> Caller {
        Caller { home: Some("/home/ann".into()), ..Caller::default() }
    }

    #[test]
    fn root_and_users_have_their_own_places() {
        let root = Caller { is_root: true, ..user() };
        assert_eq!(root.default_jobfile(), Ok("/etc/jobctl/jobs.toml".into()));
        assert_eq!(root.default_state_dir(), Ok("/var/lib/jobctl".into()));
        assert_eq!(user().default_jobfile(), Ok("/home/ann/.config/jobctl/jobs.toml".into()));
        assert_eq!(user().default_state_dir(), Ok("/home/ann/.local/state/jobctl".into()));
        let xdg = Caller {
            config_home: Some("/c".into()),
            state_home: Some("/s".into()),
            ..Caller::default()
        };
        assert_eq!(xdg.default_jobfile(), Ok("/c/jobctl/jobs.toml".into()));
        assert_eq!(xdg.default_state_dir(), Ok("/s/jobctl".into()));
        assert_eq!(Caller::default().default_jobfile(), Err(NoHome));
    }

    #[test]
    fn each_jobfile_has_a_state_directory_of_its_own() {
        let caller = user();
        let default = caller.default_jobfile().unwrap();
        assert_eq!(caller.state_dir_of(&default), caller.default_state_dir());
        let one = caller.state_dir_of(Path::new("/nowhere/a/my jobs.toml")).unwrap();
        let other = caller.state_dir_of(Path::new("/nowhere/b/my jobs.toml")).unwrap();
        assert_ne!(one, other);
        assert_eq!(one, Path::new("/home/ann/.local/state/jobctl/my_jobs-62a9cd19"));
    }

    #[test]
    fn one_file_by_two_names_is_one_jobfile() {
        assert_eq!(settled(Path::new("/usr/../etc/./jobs.toml")), Path::new("/etc/jobs.toml"));
        assert_eq!(settled(Path::new("/nowhere/jobs.toml")), Path::new("/nowhere/jobs.toml"));
    }

    #[test]
    fn the_first_of_several_service_directories_is_taken() {
        assert_eq!(first_path(&"/var/lib/a:/var/lib/b".into()), Some("/var/lib/a".into()));
        assert_eq!(first_path(&"".into()), None);
    }
}
