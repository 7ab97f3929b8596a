//! A start that may hang: a forked child looks up what the order names, takes the ids and executes
//! the command.
//!
//! It tells by a socket what it is about to do and what it could not do; the end of the socket
//! without a word is the command. The keeper waits for none of it: it listens to it as to everything
//! else, and kills the child when its time is over. What the child looks up before it takes the
//! ids, it looks up as the supervisor's user. From then on it is as good as the job's user's own:
//! he may stop it or kill it, but not look into it, for a process that has changed its ids cannot
//! be traced or dumped (prctl(2), `PR_SET_DUMPABLE`) until it executes something.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::unistd::{Gid, Uid, fchown};

use super::order::Order;
use super::ready::Ready;
use super::record::End;
use super::refusal::{Refusal, failed};
use crate::core::env_file;
use crate::core::environment::{Account, Reader};
use crate::core::output::NOT_WRITTEN;
use crate::core::reason::plain;
use crate::os::spawn::{self, Frame};
use crate::os::user::{self, AccountError, Identity};
use crate::os::{file, reports, socket, trust};

/// An `env_file` may be this long: an environment of the kernel's own limit.
pub(crate) const ENV_FILE_MAX: u64 = 2 * 1024 * 1024;

/// A value in a file may be this long: the kernel takes no longer string (MAX_ARG_STRLEN).
const VALUE_MAX: u64 = 128 * 1024;

/// The maximum length of a text; longer ones are cut off.
const TEXT_MAX: usize = 2048;

/// The kinds of messages.
const DOING: u8 = b'D';
const UNUSABLE: u8 = b'U';
const OPENED: u8 = b'O';
const REFUSED: u8 = b'F';

/// A child that is about to execute the command.
#[derive(Debug)]
pub(super) struct Launch {
    /// Its number, which is the command's.
    pub(super) pid: i32,
    /// What it is doing, for people.
    pub(super) doing: String,
    /// Why there is no file for the command's report or output, although there should be one.
    pub(super) remark: Option<String>,
    /// The file for its output.
    pub(super) file: Option<OwnedFd>,
    socket: OwnedFd,
}

/// The result of a look at the socket.
#[derive(Debug)]
pub(super) enum News {
    /// Nothing new.
    None,
    /// The child has executed the command, or has ended.
    Gone,
    /// The command cannot be started.
    Refused(Refusal),
}

impl Launch {
    /// Makes the child. `keeper` is this process.
    pub(super) fn begin(
        order: &Order,
        frame: &Frame<'_>,
        nice: Option<i32>,
        keeper: i32,
    ) -> Result<Self, Refusal> {
        let (socket, theirs) = socket::pair().map_err(|error| failed("socket", &error))?;
        let forked = spawn::fork(|| {
            let teller = Teller(theirs.as_fd());
            if let Err(failure) = frame.enter(theirs.as_fd(), keeper) {
                return teller.refuse(&Refusal::early(failure, order));
            }
            let teller = Teller::entered();
            let refusal = match ready(order, nice, teller) {
                Ok(ready) => {
                    let (dir, program) = (ready.directory(), &order.program);
                    let program = String::from_utf8_lossy(program);
                    let executing = format!("entering {dir} and executing {program}");
                    teller.tell(DOING, &executing);
                    ready.refusal(ready.command().become_it(keeper, || {
                        if let Some(path) = &order.output_file {
                            teller.open(path);
                            teller.tell(DOING, &executing);
                        }
                    }))
                }
                Err(end) => end.into(),
            };
            teller.refuse(&refusal);
        });
        let pid = forked.map_err(|failure| Refusal::early(failure, order))?;
        Ok(Self { pid, doing: "setting up".to_owned(), remark: None, file: None, socket })
    }

    /// The descriptor to wait for before the next [`Launch::look`].
    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Takes the child's messages since the last look, without waiting.
    pub(super) fn look(&mut self) -> io::Result<News> {
        let mut buffer = [0; 1 + TEXT_MAX];
        loop {
            let message = match socket::receive(self.socket.as_fd(), &mut buffer) {
                Ok(message) => message,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(News::None),
                Err(error) => return Err(error),
            };
            let Some((kind, text)) = buffer[..message.len].split_first() else {
                return Ok(News::Gone);
            };
            let text = String::from_utf8_lossy(text).into_owned();
            match *kind {
                DOING => self.doing = text,
                UNUSABLE => self.remark = joined(self.remark.take(), text),
                OPENED => self.file = message.descriptors.into_iter().next(),
                _ => return Ok(News::Refused(refusal_of(&text))),
            }
        }
    }
}

fn joined(remark: Option<String>, other: String) -> Option<String> {
    Some(remark.into_iter().chain([other]).collect::<Vec<_>>().join("; "))
}

/// The child's end of the socket.
#[derive(Clone, Copy)]
struct Teller<'a>(BorrowedFd<'a>);

impl Teller<'_> {
    fn entered() -> Self {
        Self(spawn::pipe_of_child())
    }

    fn tell(self, kind: u8, text: &str) {
        self.send(kind, text, &[]);
    }

    fn send(self, kind: u8, text: &str, descriptors: &[BorrowedFd<'_>]) {
        let len = text.floor_char_boundary(TEXT_MAX);
        // Where nobody listens any more, this process gets KILL.
        let _ = socket::send(self.0, &[&[kind], &text.as_bytes()[..len]], descriptors);
    }

    /// Opens the file for the output. Where that fails the command runs all the same, and why is
    /// said at the end.
    fn open(self, path: &str) {
        self.tell(DOING, &format!("opening output_file {path}"));
        match file::open_to_append(Path::new(path)) {
            Ok(file) => self.send(OPENED, "", &[file.as_fd()]),
            Err(error) => self.tell(UNUSABLE, &format!("{NOT_WRITTEN} {path}: {}", plain(&error))),
        }
    }

    /// The last word. First whether it may pass, then an exit code or nothing, then the sentence.
    fn refuse(self, refusal: &Refusal) {
        if let End::SpawnFailed { exit_code, error } = &refusal.end {
            let code = exit_code.map(|code| code.to_string()).unwrap_or_default();
            let passes = u8::from(refusal.is_passing);
            self.tell(REFUSED, &format!("{passes} {code} {error}"));
        }
    }
}

/// Reads what [`Teller::refuse`] wrote.
fn refusal_of(text: &str) -> Refusal {
    let mut words = text.splitn(3, ' ');
    let mut next = || words.next().unwrap_or_default();
    let is_passing = next() == "1";
    let end = End::SpawnFailed { exit_code: next().parse().ok(), error: next().to_owned() };
    Refusal { end, is_passing }
}

/// Looks up everything that the order names.
fn ready<'a>(order: &'a Order, nice: Option<i32>, teller: Teller<'_>) -> Result<Ready<'a>, End> {
    let (user, group) = (order.user.as_deref(), order.group.as_deref());
    if let Some((what, name)) =
        user.map(|name| ("user", name)).or(group.map(|name| ("group", name)))
    {
        teller.tell(DOING, &format!("looking up {what} {name}"));
    }
    let found = user::account_of(user, group);
    let found = found.map_err(|error: AccountError| refused(error.to_string()))?;
    let (home, name, shell);
    let (account, identity) = match found {
        Some(found) => {
            (home, name) = (found.entry.home, found.entry.name);
            shell = found.entry.shell;
            let account = Account {
                name: name.as_bytes(),
                home: home.as_os_str().as_encoded_bytes(),
                shell: shell.as_os_str().as_encoded_bytes(),
            };
            (account, found.identity)
        }
        None => (order.own_account.account(), None),
    };
    if let Some(owner) = &identity {
        give_output_to(owner);
    }
    if let Some(why) = make_report(order, identity.as_ref()) {
        teller.tell(UNUSABLE, &why);
    }
    let env = order.sources.compose(account, &mut Files(teller))?;
    Ok(Ready::of(order, nice, env, account.home)?.with_identity(identity))
}

/// Makes the pipes of this process's output over to its user, who could not open them again by
/// their names (`/dev/stdout`) else.
fn give_output_to(owner: &Identity) {
    let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
    // A sandbox that keeps CAP_CHOWN back costs the names, not the run.
    let _ = fchown(io::stdout(), Some(uid), Some(gid));
    let _ = fchown(io::stderr(), Some(uid), Some(gid));
}

/// Makes the file for the command's report. Where that fails the command runs all the same, and why
/// is said at the end.
pub(super) fn make_report(order: &Order, owner: Option<&Identity>) -> Option<String> {
    let path = order.report.as_deref()?;
    let error = reports::make(Path::new(path), owner).err()?;
    Some(format!("report: cannot be created: {}", plain(&error)))
}

/// Reads the files that sources name.
struct Files<'a>(Teller<'a>);

impl Reader for Files<'_> {
    type Error = End;

    fn env_file(&mut self, path: &str) -> Result<env_file::Variables, End> {
        self.0.tell(DOING, &format!("reading env_file {path}"));
        let bytes = read_trusted(path, ENV_FILE_MAX)
            .map_err(|error| refused(format!("env_file {path}: {}", plain(&error))))?;
        env_file::parse(&bytes).map_err(|error| {
            let (line, message) = (error.line, error.message);
            refused(format!("env_file {path}: line {line}: {message}"))
        })
    }

    /// A value that stands in a file of its own, without the newline at its end.
    fn value(&mut self, name: &str, path: &str) -> Result<Vec<u8>, End> {
        self.0.tell(DOING, &format!("reading {path} for env {name}"));
        let failed = |why: String| refused(format!("env {name}: {path}: {why}"));
        let mut value = read_trusted(path, VALUE_MAX).map_err(|error| failed(plain(&error)))?;
        if value.ends_with(b"\n") {
            value.pop();
        }
        if value.contains(&0) {
            return Err(failed("contains a NUL byte".to_owned()));
        }
        Ok(value)
    }
}

/// Reads a file that nobody but root can change, if this is a supervisor of root's.
fn read_trusted(path: &str, len_max: u64) -> io::Result<Vec<u8>> {
    file::read_whole(trust::open_trusted(Path::new(path))?, len_max)
}

fn refused(error: String) -> End {
    End::SpawnFailed { exit_code: None, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_survives_the_socket_with_its_exit_code_and_its_sentence() {
        let (socket, theirs) = socket::pair().unwrap();
        let mut launch = Launch { pid: 1, doing: String::new(), remark: None, file: None, socket };
        assert!(matches!(launch.look(), Ok(News::None)));
        let teller = Teller(theirs.as_fd());
        teller.tell(DOING, "reading env_file /mnt/x");
        teller.tell(UNUSABLE, &"ä".repeat(TEXT_MAX));
        assert!(matches!(launch.look(), Ok(News::None)));
        assert_eq!(launch.doing, "reading env_file /mnt/x");
        assert_eq!(launch.remark.as_deref(), Some(&*"ä".repeat(TEXT_MAX / 2)));
        for (exit_code, is_passing) in [(Some(127), false), (None, true)] {
            let end = End::SpawnFailed {
                exit_code,
                error: "/bin/x: no such file or directory".to_owned(),
            };
            teller.refuse(&Refusal { end: end.clone(), is_passing });
            let Ok(News::Refused(refusal)) = launch.look() else {
                panic!("it is refused");
            };
            assert_eq!((refusal.end, refusal.is_passing), (end, is_passing));
        }
        drop(theirs);
        assert!(matches!(launch.look(), Ok(News::Gone)));
    }
}
