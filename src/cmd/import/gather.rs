//! Where crontabs are: `crontab -l`, a file, the spool of all users, and what belongs to the system.

use std::fs;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::cli;
use crate::cmd::failure::{Failure, plain};
use crate::crontab::{Directory, Kind, Note, Off, Request, Source};
use crate::os::{file, process, user};

/// No crontab is longer.
const SIZE_MAX: u64 = 64 << 20;

/// Where users' crontabs are: on Debian, SUSE, and elsewhere.
const SPOOLS: [&str; 3] = [
    "var/spool/cron/crontabs",
    "var/spool/cron/tabs",
    "var/spool/cron",
];

/// Directories of scripts.
const DIRECTORIES: [&str; 5] = [
    "/etc/cron.hourly",
    "/etc/cron.daily",
    "/etc/cron.weekly",
    "/etc/cron.monthly",
    "/etc/cron.yearly",
];

/// Lines that crontab(1) of Debian writes at the beginning and does not show.
const HEADER_LINES: usize = 3;

/// Reads what the arguments name; the notes are about what was passed over.
pub(super) fn request(args: &cli::Import) -> Result<(Request, Vec<Note>), Failure> {
    let root = args.root.clone().unwrap_or_else(|| PathBuf::from("/"));
    if !args.all_users && !args.system {
        let source = match &args.file {
            None => own()?,
            Some(path) if path.as_os_str() == "-" => standard_input(args)?,
            Some(path) => named(path, &root, args)?,
        };
        let sources = vec![source];
        return Ok((
            Request {
                sources,
                ..Request::default()
            },
            Vec::new(),
        ));
    }
    if !root.is_dir() {
        return Err(Failure::system(format!(
            "{}: there is no such directory",
            root.display()
        )));
    }
    let mut system = System {
        is_running: args.root.is_none(),
        root,
        request: Request::default(),
        notes: Vec::new(),
    };
    if args.system {
        system.read_system()?;
    }
    if args.all_users {
        system.read_spool()?;
    }
    if system.request.sources.is_empty() {
        return Err(Failure::no(format!(
            "{}: there is no crontab",
            system.root.display()
        )));
    }
    system.note_variables();
    Ok((system.request, system.notes))
}

/// The caller's own crontab.
fn own() -> Result<Source, Failure> {
    let name = user::current().name;
    let output = process::output_of("crontab", &["-l"]).map_err(|error| {
        let hint = "name the file, or give it on standard input: `jobctl import -`";
        match error.kind() {
            ErrorKind::NotFound => {
                Failure::system("crontab: there is no such program, which would print your crontab")
                    .hint(hint)
            }
            _ => {
                Failure::system(format!("crontab: cannot be started: {}", plain(&error))).hint(hint)
            }
        }
    })?;
    if output.status.success() {
        return Ok(Source {
            file: format!("crontab of {name}"),
            bytes: output.stdout,
            kind: Kind::User(None),
            off: Off::Own,
        });
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next().unwrap_or_default().trim();
    if said.contains("no crontab for") {
        let said = said.strip_prefix("crontab: ").unwrap_or(said);
        return Err(Failure::no(said).hint("`jobctl init` writes a jobfile to start from"));
    }
    Err(Failure::system(format!(
        "crontab -l: {}: {said}",
        output.status
    )))
}

fn standard_input(args: &cli::Import) -> Result<Source, Failure> {
    let mut bytes = Vec::new();
    let mut input = io::stdin().lock().take(SIZE_MAX + 1);
    let read = input.read_to_end(&mut bytes);
    read.map_err(|error| Failure::system(format!("standard input: {}", plain(&error))))?;
    if bytes.len() as u64 > SIZE_MAX {
        return Err(Failure::system(format!(
            "standard input: longer than {SIZE_MAX} bytes"
        )));
    }
    let kind = if args.user_column {
        Kind::System
    } else {
        Kind::User(None)
    };
    Ok(Source {
        file: "standard input".to_owned(),
        bytes,
        kind,
        off: Off::Own,
    })
}

/// A file: one with a user column if it says so or is where such files are.
fn named(path: &Path, root: &Path, args: &cli::Import) -> Result<Source, Failure> {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
    let inside = whole.strip_prefix(&root).unwrap_or(&whole);
    let inside = Path::new("/").join(inside);
    let is_system = |path: &Path| {
        path == Path::new("/etc/crontab") || path.parent() == Some(Path::new("/etc/cron.d"))
    };
    let kind = if args.user_column || is_system(&inside) || is_system(&whole) {
        Kind::System
    } else if inside == Path::new("/etc/anacrontab") {
        Kind::Anacron
    } else {
        Kind::User(None)
    };
    let bytes = read_file(path)?;
    Ok(Source {
        file: path.display().to_string(),
        bytes,
        kind,
        off: Off::File(whole.display().to_string()),
    })
}

fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    file::read_small(path, SIZE_MAX).map_err(|error| Failure::of_file(path, &error))
}

/// The files of a system, and what was found in them so far.
struct System {
    root: PathBuf,
    /// Whether it is the system that runs here, so that its crontab(1) knows its crontabs.
    is_running: bool,
    request: Request,
    notes: Vec<Note>,
}

impl System {
    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn read_system(&mut self) -> Result<(), Failure> {
        self.request.has_anacron = self.path("usr/sbin/anacron").exists();
        self.add_if_there(&self.path("etc/crontab"), Kind::System)?;
        let directory = self.path("etc/cron.d");
        for (name, path) in names_in(&directory)? {
            if !is_taken(&name) {
                self.pass_over(&path, "cron takes no file whose name has other characters than letters, digits, `_` and `-`");
            } else if path.is_file() {
                self.add_if_there(&path, Kind::System)?;
            } else {
                self.pass_over(&path, "it is no file");
            }
        }
        for path in DIRECTORIES {
            self.read_directory(path)?;
        }
        let anacrontab = self.path("etc/anacrontab");
        if self.request.has_anacron {
            self.add_if_there(&anacrontab, Kind::Anacron)?;
        } else if anacrontab.exists() {
            self.pass_over(
                &anacrontab,
                "there is no /usr/sbin/anacron that would read it",
            );
        }
        Ok(())
    }

    fn add_if_there(&mut self, path: &Path, kind: Kind) -> Result<(), Failure> {
        let mode = match fs::metadata(path) {
            Ok(meta) => meta.permissions().mode(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Failure::of_file(path, &error)),
        };
        if mode & 0o022 != 0 && kind == Kind::System {
            self.note(
                path,
                "Debian's cron takes no such file that others than root may write; here it counts",
            );
        }
        let file = path.display().to_string();
        self.request.sources.push(Source {
            bytes: read_file(path)?,
            kind,
            off: Off::File(file.clone()),
            file,
        });
        Ok(())
    }

    /// The scripts of a directory that run-parts(8) would run.
    fn read_directory(&mut self, path: &str) -> Result<(), Failure> {
        let directory = self.path(path);
        if !directory.is_dir() {
            return Ok(());
        }
        let mut scripts = Vec::new();
        for (name, script) in names_in(&directory)? {
            let meta = fs::metadata(self.target(&script));
            if !meta.as_ref().is_ok_and(fs::Metadata::is_file) {
                self.pass_over(&script, "it is no file");
            } else if !is_taken(&name) {
                self.pass_over(&script, "run-parts takes no script whose name has other characters than letters, digits, `_` and `-`");
            } else if !meta.is_ok_and(|meta| meta.permissions().mode() & 0o111 != 0) {
                self.pass_over(
                    &script,
                    "it is not executable, so run-parts does not run it",
                );
            } else {
                scripts.push(name);
            }
        }
        self.request.directories.push(Directory {
            path: path.to_owned(),
            scripts,
        });
        Ok(())
    }

    /// What a link means below the root.
    fn target(&self, path: &Path) -> PathBuf {
        match fs::read_link(path) {
            Ok(target) if target.is_absolute() => self.path(&target.to_string_lossy()),
            Ok(_) | Err(_) => path.to_owned(),
        }
    }

    fn read_spool(&mut self) -> Result<(), Failure> {
        let spools = SPOOLS.map(|spool| self.path(spool));
        let Some(spool) = spools.iter().find(|spool| spool.is_dir()) else {
            let text = "there is no spool of crontabs";
            if self.request.sources.is_empty() {
                return Err(Failure::no(format!("{}: {text}", self.root.display())));
            }
            let root = self.root.clone();
            self.note(&root, text);
            return Ok(());
        };
        let has_header = spools.first() == Some(spool);
        for (user, path) in names_in(spool)? {
            let is_file = fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file());
            if user.starts_with("tmp.") || !is_file {
                self.pass_over(&path, "it is no user's crontab");
                continue;
            }
            let bytes = read_file(&path)?;
            let hidden = if has_header { header_lines(&bytes) } else { 0 };
            let file = path.display().to_string();
            let off = if self.is_running {
                Off::Of {
                    user: user.clone(),
                    hidden,
                }
            } else {
                Off::File(file.clone())
            };
            let kind = Kind::User(Some(user));
            self.request.sources.push(Source {
                file,
                bytes,
                kind,
                off,
            });
        }
        Ok(())
    }

    /// Debian's cron gives its commands what pam_env(8) reads.
    fn note_variables(&mut self) {
        for path in ["/etc/environment", "/etc/default/locale"] {
            let path = self.path(path);
            let Ok(text) = fs::read_to_string(&path) else {
                continue;
            };
            let names = text.lines().filter_map(|line| line.trim().split_once('='));
            let names: Vec<_> = names
                .map(|(name, _)| name.trim_start_matches("export ").trim())
                .filter(|name| !name.starts_with('#') && *name != "PATH")
                .collect();
            if !names.is_empty() {
                let names = names.join(", ");
                self.note(&path, &format!("Debian's cron gives its commands {names} from this file; write into `env` what they need"));
            }
        }
    }

    fn pass_over(&mut self, path: &Path, reason: &str) {
        self.note(path, &format!("passed over: {reason}"));
    }

    fn note(&mut self, path: &Path, text: &str) {
        self.notes.push(Note {
            file: path.display().to_string(),
            line: None,
            text: text.to_owned(),
        });
    }
}

/// How many lines `crontab -l` of Debian leaves out.
fn header_lines(bytes: &[u8]) -> u32 {
    let lines = bytes.split(|byte| *byte == b'\n').take(HEADER_LINES);
    let hidden = lines.take_while(|line| line.starts_with(b"#")).count();
    u32::try_from(hidden).unwrap_or(0)
}

/// The names in a directory, in order, without hidden ones; nothing where there is no directory.
fn names_in(directory: &Path) -> Result<Vec<(String, PathBuf)>, Failure> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Failure::of_file(directory, &error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Failure::of_file(directory, &error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            names.push((name, entry.path()));
        }
    }
    names.sort();
    Ok(names)
}

/// Whether cron and run-parts(8) take a file of this name.
fn is_taken(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}
