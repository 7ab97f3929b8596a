//! `jobctl edit`: copy, editor, check, install, reload, as `crontab -e` does it.
//!
//! The copy is in a private directory: it may contain secrets, an editor may create more files next
//! to it, and neither an `include` nor a supervisor may find it. Only the checked text is written
//! next to the jobfile and renamed over it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, Uid, access, mkdtemp};
use serde_json::{Value, json};

use crate::cmd::jobs::check;
use crate::cmd::jobs::reload;
use crate::cmd::said;
use crate::cmd::{Context, Exit, Failure, InFile, Out, Result};
use crate::core::noun::count;
use crate::facts::check::Report;
use crate::facts::doctor::unit;
use crate::facts::jobs::with_environment;
use crate::jobfile::{self, STARTER};
use crate::os::editor::{self, Ended};
use crate::os::file;

/// The limit of a jobfile in bytes.
const SIZE_MAX: u64 = 4 << 20;

/// Answers `jobctl edit`.
pub(crate) fn answer(context: &Context, out: &mut Out) -> Result<Exit> {
    let path = context.jobfile()?;
    // Found before the edit: a supervisor that runs has the state directory of the jobfile as it
    // was.
    context.state_dir()?;
    let original = Original::read(&path)?;
    if original.bytes.is_none()
        && let Some(elsewhere) = context.system_supervisor("edit")
    {
        context.say(&elsewhere);
    }
    let editor = editor::find().ok_or_else(|| {
        Failure::no("no editor: neither `editor` nor `vi` is installed")
            .hint("set VISUAL or EDITOR to one")
    })?;
    let before = original.bytes.as_deref().unwrap_or(STARTER.as_bytes());
    let draft = Draft::make(&path, before)?;
    let edited = draft.kept_if_failed(edit(context, &editor, &path, &draft, before))?;
    let Some(edited) = edited else {
        draft.remove();
        return say_unchanged(&path, out);
    };
    draft.kept_if_failed(original.install(&edited))?;
    draft.remove();
    finish(context, &path, out)
}

/// Runs the editor until the copy is valid; `None` if it was not changed.
fn edit(
    context: &Context,
    editor: &std::ffi::OsStr,
    path: &Path,
    draft: &Draft,
    before: &[u8],
) -> Result<Option<Vec<u8>>> {
    loop {
        run_editor(editor, draft)?;
        let edited = draft.read()?;
        if edited == before {
            return Ok(None);
        }
        let report = checked(context, path, edited.clone());
        report.say(context, Some((path, &edited)));
        if report.is_ok() {
            return Ok(Some(edited));
        }
        let errors = count(report.errors.len(), "error");
        if !wants_again(&errors) {
            return Err(Failure::no(format!("{}: {errors}, not installed", path.display())));
        }
    }
}

fn run_editor(editor: &std::ffi::OsStr, draft: &Draft) -> Result<()> {
    let name = editor.display();
    let ended = editor::run(editor, &draft.file).map_err(|error| {
        Failure::system(format!("editor `{name}`: {}", crate::cmd::failure::plain(&error)))
    })?;
    match ended {
        Ended::Well => Ok(()),
        Ended::Exited(127) => Err(Failure::no(format!("editor `{name}`: not found"))
            .hint("set VISUAL or EDITOR to one that is installed")),
        Ended::Exited(126) => Err(Failure::no(format!("editor `{name}`: cannot be executed"))
            .hint("set VISUAL or EDITOR to an executable program")),
        Ended::Exited(code) => Err(Failure::no(format!(
            "editor `{name}` failed (exit code {code}): the jobfile is unchanged"
        ))),
        Ended::Signaled(signal) => Err(Failure::no(format!(
            "editor `{name}` was killed (signal {signal}): the jobfile is unchanged"
        ))),
    }
}

/// Checks the text as if it were the jobfile, with all findings of `check`.
fn checked(context: &Context, path: &Path, bytes: Vec<u8>) -> Report {
    match with_environment(|env| jobfile::load_instead(path, bytes, env)) {
        Ok(jobfile) => check::of(context, jobfile),
        Err(problems) => Report::of_errors(problems),
    }
}

/// Asks on a terminal; without one the answer is no.
fn wants_again(errors: &str) -> bool {
    let stdin = io::stdin();
    if !stdin.is_terminal() || !io::stderr().is_terminal() {
        return false;
    }
    loop {
        said::text(&format!("{errors}: edit again? [Y/n] "));
        let mut line = String::new();
        if stdin.lock().read_line(&mut line).unwrap_or(0) == 0 {
            said::text("\n");
            return false;
        }
        match line.trim().to_ascii_lowercase().as_str() {
            "" | "y" | "yes" => return true,
            "n" | "no" => return false,
            _ => {}
        }
    }
}

fn say_unchanged(path: &Path, out: &mut Out) -> Result<Exit> {
    out.answer(&facts(path, false, None), |out| out.line("no changes"))
}

fn facts(path: &Path, installed: bool, reload: Option<&reload::Answer>) -> Value {
    json!({ "jobfile": path.to_string_lossy(), "installed": installed, "reload": reload })
}

/// Has a running supervisor load the new jobfile.
fn finish(context: &Context, path: &Path, out: &mut Out) -> Result<Exit> {
    if !out.is_json {
        out.text(&format!("installed {}\n", path.display()))?;
        out.flush()?;
    }
    let answer = if context.is_supervised()? {
        Some(reload::ask(context)?)
    } else {
        context.say(&match context.system_jobfile().is_some_and(|of_system| of_system == path) {
            true => "the supervisor of the system loads it by itself; `sudo jobctl reload` says \
                     whether it does"
                .to_owned(),
            false => {
                let start = unit::start_command(context.caller.is_root);
                format!("no supervisor is running: start it with {start}")
            }
        });
        None
    };
    out.answer(&facts(path, true, answer.as_ref()), |out| {
        answer.iter().try_for_each(|answer| answer.print(context, out))
    })?;
    Ok(answer.map_or(Exit::Done, |answer| answer.exit()))
}

/// The jobfile at the time it was copied.
struct Original {
    /// Its name.
    path: PathBuf,
    /// Its path, with symbolic links resolved.
    target: PathBuf,
    /// `None` if the file does not exist yet.
    bytes: Option<Vec<u8>>,
}

impl Original {
    /// Reads it; errs if it could not be replaced later.
    fn read(path: &Path) -> Result<Self> {
        let target = match fs::canonicalize(path) {
            Ok(target) => target,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if let Ok(link) = fs::read_link(path) {
                    return Err(Failure::system(format!(
                        "{}: a symbolic link to {}, which does not exist",
                        path.display(),
                        link.display()
                    )));
                }
                let original =
                    Self { path: path.to_path_buf(), target: path.to_path_buf(), bytes: None };
                return original.refuse_if_not_writable().map(|()| original);
            }
            Err(error) => return Err(Failure::of_file(path, &error)),
        };
        let bytes = file::read_small(&target, SIZE_MAX).in_file(path)?;
        let original = Self { path: path.to_path_buf(), target, bytes: Some(bytes) };
        original.refuse_if_not_writable()?;
        Ok(original)
    }

    fn dir(&self) -> &Path {
        self.target.parent().unwrap_or(Path::new("/"))
    }

    /// Checks before the editor starts that the file can be replaced.
    fn refuse_if_not_writable(&self) -> Result<()> {
        let refuse = |path: &Path, errno: nix::Error| {
            let failure = Failure::of_file(path, &errno.into());
            if errno != nix::Error::EACCES {
                return failure;
            }
            failure.hint(format!("use `sudo jobctl --jobfile {} edit`", self.path.display()))
        };
        let dir = self.dir();
        let there = dir.ancestors().find(|dir| dir.exists()).unwrap_or(dir);
        let flags = AccessFlags::W_OK | AccessFlags::X_OK;
        access(there, flags).map_err(|errno| refuse(there, errno))?;
        if self.bytes.is_none() {
            return Ok(());
        }
        access(&self.target, AccessFlags::W_OK).map_err(|errno| refuse(&self.target, errno))?;
        let meta = fs::metadata(&self.target).in_file(&self.target)?;
        let me = Uid::effective();
        if !me.is_root() && meta.uid() != me.as_raw() {
            return Err(Failure::system(format!(
                "{}: belongs to another user, and saving it would change its owner",
                self.target.display()
            ))
            .hint("edit it as that user, or as root"));
        }
        Ok(())
    }

    /// Replaces it atomically with `edited`, unless it has changed since it was copied.
    fn install(&self, edited: &[u8]) -> Result<()> {
        let failed = |error: &io::Error| Failure::of_file(&self.target, error);
        fs::create_dir_all(self.dir()).map_err(|error| failed(&error))?;
        // Hidden, and not ending in `.toml`: no `include` matches it.
        let new = file::draft_of(&self.target);
        let written = self.write_new(&new, edited).map_err(|error| failed(&error));
        let installed = written.and_then(|file| {
            self.refuse_if_changed()?;
            file::rename_own(&file, &new, &self.target)
                .and_then(|()| File::open(self.dir())?.sync_all())
                .map_err(|error| failed(&error))
        });
        if installed.is_err() {
            let _ = fs::remove_file(&new);
        }
        installed
    }

    /// Writes the new file, with mode and owner of the one before.
    fn write_new(&self, new: &Path, edited: &[u8]) -> io::Result<File> {
        let before = self.bytes.is_some().then(|| fs::metadata(&self.target)).transpose()?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        if before.is_some() {
            options.mode(0o600);
        }
        let mut file = options.open(new)?;
        file.write_all(edited)?;
        if let Some(before) = before {
            let made = file.metadata()?;
            if (made.uid(), made.gid()) != (before.uid(), before.gid()) {
                fchown(&file, Some(before.uid()), Some(before.gid()))?;
            }
            file.set_permissions(fs::Permissions::from_mode(before.mode() & 0o7777))?;
        }
        file.sync_all()?;
        Ok(file)
    }

    fn refuse_if_changed(&self) -> Result<()> {
        let now = match file::read_small(&self.target, SIZE_MAX) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(Failure::of_file(&self.target, &error)),
        };
        let changed = |what: &str| {
            Failure::no(format!("{}: {what} in the meantime, not installed", self.path.display()))
        };
        if now != self.bytes {
            return Err(changed("was changed"));
        }
        // The link may lead to another file by now, and that one is the jobfile then.
        match fs::canonicalize(&self.path) {
            Ok(target) if target != self.target => {
                Err(changed("the link was switched to another file"))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// The copy that is edited.
struct Draft {
    dir: PathBuf,
    file: PathBuf,
    before: Vec<u8>,
}

impl Draft {
    fn make(path: &Path, text: &[u8]) -> Result<Self> {
        let temporary = std::env::temp_dir();
        let dir = mkdtemp(&temporary.join("jobctl-edit-XXXXXX")).in_file(&temporary)?;
        let draft = Self {
            file: dir.join(path.file_name().unwrap_or_default()),
            dir,
            before: text.to_vec(),
        };
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft.file)
            .and_then(|mut file| file.write_all(text));
        made.map_err(|error| {
            draft.remove();
            Failure::of_file(&draft.file, &error)
        })?;
        Ok(draft)
    }

    fn read(&self) -> Result<Vec<u8>> {
        file::read_small(&self.file, SIZE_MAX).in_file(&self.file)
    }

    /// Keeps the edited text after a failure and adds its path to the message.
    fn kept_if_failed<T>(&self, done: Result<T>) -> Result<T> {
        done.map_err(|failure| {
            if !self.file.exists() || self.read().is_ok_and(|bytes| bytes == self.before) {
                self.remove();
                return failure;
            }
            let kept = format!("the edited copy is kept: {}", self.file.display());
            match failure.hint.clone() {
                Some(hint) => failure.hint(format!("{hint}\nhint: {kept}")),
                None => failure.hint(kept),
            }
        })
    }

    fn remove(&self) {
        // One that stays is only for its user to read.
        let _ = fs::remove_dir_all(&self.dir);
    }
}
