//! The context of every command: the global options, the time of the call, and the paths.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::Global;
use crate::cmd::state_key::{self, Named};
use crate::cmd::{Exit, Failure, Result, Viewer, plain};
use crate::cmd::{Out, said, trust};
use crate::core::shell;
use crate::core::time::Now;
use crate::os::paths::Caller;
use crate::os::{clock, inside, wake, zone};
use crate::store::{Store, StoreError};
use crate::supervisor::daemon;

const JOBFILE: &str = "JOBCTL_JOBFILE";
const STATE_DIR: &str = "JOBCTL_STATE_DIR";

/// Returns whether a path of the command line differs from that of the environment.
fn is_new(variable: &str, path: &Path) -> bool {
    std::env::var_os(variable).as_deref() != Some(path.as_os_str())
}

/// The context of a command. Paths are determined when they are first needed, so that other
/// commands work without a home directory.
#[derive(Debug)]
pub(crate) struct Context {
    /// The global options.
    pub(crate) global: Global,
    /// When the command was called.
    pub(crate) now: Now,
    /// The calling user.
    pub(crate) caller: Caller,
    state_dir: OnceCell<PathBuf>,
    /// Whether the user was already told that `--state-dir` has no store.
    is_missing_said: Cell<bool>,
}

impl Context {
    /// Makes the context of this process.
    pub(crate) fn of_process(global: Global) -> Self {
        Self {
            global,
            now: clock::now(),
            caller: Caller::of_process(),
            state_dir: OnceCell::new(),
            is_missing_said: Cell::new(false),
        }
    }

    /// Returns the jobfile: the given one, else the default one. It need not exist.
    pub(crate) fn jobfile(&self) -> Result<PathBuf> {
        match &self.global.jobfile {
            Some(path) => Ok(std::path::absolute(path).unwrap_or_else(|_| path.clone())),
            None => Ok(self.caller.default_jobfile()?),
        }
    }

    /// Returns the state directory: `--state-dir`, else the jobfile's `state_dir`, else the default
    /// one of the jobfile's path.
    pub(crate) fn state_dir(&self) -> Result<&Path> {
        if self.state_dir.get().is_none() {
            let found = self.find_state_dir()?;
            let _ = self.state_dir.set(found);
        }
        Ok(self.state_dir.get().expect("it was just set"))
    }

    /// Like [`Self::state_dir`], for a command that writes; errs for root if other users could
    /// redirect it.
    pub(crate) fn state_dir_to_write(&self) -> Result<&Path> {
        let state_dir = self.state_dir()?;
        trust::refuse_way(state_dir)?;
        inside::judge(state_dir)
            .map_err(|error| Failure::system(format!("state directory {}", plain(&error))))?;
        Ok(state_dir)
    }

    /// Like [`Self::state_dir_to_write`], but creates a missing directory.
    pub(crate) fn made_state_dir(&self) -> Result<&Path> {
        let state_dir = self.state_dir()?;
        trust::refuse_way(state_dir)?;
        daemon::make_state_dir(state_dir)
            .map_err(|error| Failure::system(format!("state directory {}", plain(&error))))?;
        Ok(state_dir)
    }

    /// Opens the existing store for writing.
    pub(crate) fn open_write(&self) -> Result<Store> {
        Ok(Store::open_write(self.state_dir_to_write()?)?)
    }

    /// Like [`Self::state_dir`], but prefers `$STATE_DIRECTORY` to the default. For the supervisor
    /// only.
    pub(crate) fn service_state_dir(&self) -> Result<PathBuf> {
        match (self.named_state_dir()?, &self.caller.service_state) {
            (Some(named), _) => Ok(named),
            (None, Some(service)) => Ok(service.clone()),
            (None, None) => Ok(self.caller.state_dir_of(&self.jobfile()?)?),
        }
    }

    /// Returns whether a supervisor uses the default state directory of its jobfile's path.
    pub(crate) fn has_derived_state_dir(&self) -> Result<bool> {
        Ok(self.named_state_dir()?.is_none() && self.caller.service_state.is_none())
    }

    /// Opens the store for reading; `None` if there is none yet, which is reported if the command
    /// line names the directory.
    pub(crate) fn open_read(&self) -> Result<Option<Store>> {
        let store = self.open_if_there()?;
        if let Some(dir) = self.global.state_dir.as_ref().filter(|_| store.is_none())
            && is_new(STATE_DIR, dir)
            && !self.is_missing_said.replace(true)
        {
            let what = if dir.is_dir() { "no store is in it" } else { "no such directory" };
            self.say(&format!("--state-dir {}: {what}", dir.display()));
        }
        Ok(store)
    }

    /// Opens the store for reading; `None` if there is none yet.
    pub(crate) fn open_if_there(&self) -> Result<Option<Store>> {
        match Store::open_read(self.state_dir()?) {
            Ok(store) => Ok(Some(store)),
            Err(StoreError::Missing(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns whether the supervisor runs; an error counts as no.
    pub(crate) fn is_supervised(&self) -> Result<bool> {
        Ok(wake::probe(self.state_dir()?).is_ok_and(|rung| rung == wake::Rung::Heard))
    }

    /// Returns the system's supervisor, to point users to it who would not find it: `None` for root
    /// and for users who name another jobfile.
    pub(crate) fn system_supervisor(&self, verb: &str) -> Option<String> {
        let is_own = self.global.jobfile.is_some() || self.global.state_dir.is_some();
        let jobfile = self.system_jobfile().filter(|_| !is_own)?;
        let jobfile = jobfile.display();
        Some(format!("for the system's jobfile, {jobfile}, use `sudo jobctl {verb}`"))
    }

    /// The jobfile of the system, for users other than root.
    pub(crate) fn system_jobfile(&self) -> Option<PathBuf> {
        let system = Caller { is_root: true, ..Caller::default() };
        let jobfile = system.default_jobfile().ok();
        jobfile.filter(|path| !self.caller.is_root && path.exists())
    }

    /// Returns the command line for the same store: `jobctl` with the given options. Those from the
    /// environment are not repeated.
    pub(crate) fn jobctl(&self) -> String {
        let option = |name, variable, path: &Option<PathBuf>| {
            let path = path.as_ref().filter(|path| is_new(variable, path))?.to_string_lossy();
            let quoted = shell::quote(&path, |c| c.is_alphanumeric() || "-_./".contains(c));
            Some(format!(" {name} {quoted}"))
        };
        let jobfile = option("--jobfile", JOBFILE, &self.global.jobfile);
        let state_dir = option("--state-dir", STATE_DIR, &self.global.state_dir);
        ["jobctl".to_owned()].into_iter().chain(jobfile).chain(state_dir).collect()
    }

    /// Adds the options for the same store to each command in a text, such as `jobctl run`.
    pub(crate) fn reaching<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let jobctl = self.jobctl();
        if jobctl == "jobctl" {
            return text.into();
        }
        let mut parts = text.split("`jobctl ");
        let first = parts.next().unwrap_or_default().to_owned();
        let with = |text: String, rest: &str| match rest.starts_with("--") {
            // It already has options, or asks for help.
            true => text + "`jobctl " + rest,
            false => text + "`" + &jobctl + " " + rest,
        };
        parts.fold(first, with).into()
    }

    /// The same in an error.
    pub(crate) fn failure(&self, failure: Failure) -> Failure {
        let Failure { message, hint, code } = failure;
        let hint = hint.map(|hint| self.reaching(&hint).into_owned());
        Failure { message: self.reaching(&message).into_owned(), hint, code }
    }

    /// Returns the viewer.
    pub(crate) fn viewer(&self) -> Viewer {
        Viewer { zone: zone::system(), now: self.now.wall }
    }

    /// Prints a message on standard error, unless told to be quiet.
    pub(crate) fn say(&self, text: &str) {
        if !self.global.quiet {
            self.warn(text);
        }
    }

    /// Prints a message on standard error even with `--quiet`.
    pub(crate) fn warn(&self, text: &str) {
        said::text(&format!("jobctl: {}\n", self.reaching(text)));
    }

    /// Answers as JSON for programs, else by a sentence on standard error.
    pub(crate) fn tell(&self, facts: &impl Serialize, text: &str, out: &mut Out) -> Result<Exit> {
        out.answer(facts, |_| {
            self.say(text);
            Ok(())
        })
    }

    fn find_state_dir(&self) -> Result<PathBuf> {
        match self.named_state_dir()? {
            Some(named) => Ok(named),
            None => Ok(self.caller.state_dir_of(&self.jobfile()?)?),
        }
    }

    /// The state directory that the command line or the jobfile names.
    fn named_state_dir(&self) -> Result<Option<PathBuf>> {
        match &self.global.state_dir {
            Some(path) => Ok(Some(std::path::absolute(path).unwrap_or_else(|_| path.clone()))),
            None => match state_key::read(&self.jobfile()?) {
                Some(Named { dir, faults }) if faults.is_empty() => Ok(Some(dir)),
                Some(named) => Err(trust::misled(&named)),
                None => Ok(None),
            },
        }
    }
}
