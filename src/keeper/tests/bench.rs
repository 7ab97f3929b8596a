//! A supervisor's side of a keeper, for tests.

use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::core::environment::Sources;
use crate::core::job::Leftovers;
use crate::keeper::order::{Order, OwnAccount};
use crate::keeper::record::{End, Ending, ProcessId, Record};
use crate::keeper::{self, Heard};
use crate::os::lock::{self, Kind};
use crate::os::{clock, file, poll, process, socket};

/// Nothing that a test waits for takes longer, on a slow machine either.
const DEADLINE: Duration = Duration::from_secs(30);

/// Runs before the test harness, so that the keeper is a process like the real one: one thread,
/// nothing printed.
#[expect(unsafe_code, reason = "the harness owns main")]
#[used]
// SAFETY: the C library calls what stands in this section once, before main, with everything of its
// own set up.
#[unsafe(link_section = ".init_array")]
static BE_A_KEEPER: extern "C" fn() = be_a_keeper;

extern "C" fn be_a_keeper() {
    let line = fs::read("/proc/self/cmdline").unwrap_or_default();
    if line == b"jobctl\0keeper\0" {
        let is_success = keeper::main() == std::process::ExitCode::SUCCESS;
        std::process::exit(i32::from(!is_success));
    }
}

/// A keeper with its slot, in a directory that goes with it.
pub(super) struct Bench {
    pub(super) dir: PathBuf,
    pub(super) pid: i32,
    pub(super) socket: Option<OwnedFd>,
    record: File,
    output: File,
}

impl Bench {
    pub(super) fn new(name: &str) -> Self {
        Self::with_output(name, |path| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(path)
                .unwrap()
        })
    }

    /// One whose output file is made by `open`.
    pub(super) fn with_output(name: &str, open: impl Fn(&Path) -> File) -> Self {
        let dir = std::env::temp_dir().join(format!("jobctl-keeper-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let record = lock::try_lock(&dir.join("rec"), Kind::Exclusive).unwrap().unwrap();
        let output = open(&dir.join("out"));
        let (ours, theirs) = socket::pair().unwrap();
        let exe = Path::new("/proc/self/exe");
        let pid = process::spawn_keeper(exe, theirs, record.as_fd(), output.as_fd()).unwrap();
        Self { dir, pid, socket: Some(ours), record, output }
    }

    pub(super) fn send(&self, order: &Order) {
        self.send_with(order, &[]);
    }

    pub(super) fn send_with(&self, order: &Order, locks: &[BorrowedFd<'_>]) {
        keeper::send_order(self.socket().as_fd(), order, locks, &super::super::Lent::default())
            .unwrap();
    }

    fn socket(&self) -> &OwnedFd {
        self.socket.as_ref().unwrap()
    }

    /// Sends `order` and waits for its end.
    pub(super) fn run(&self, order: &Order) -> (Heard, Ending) {
        self.send(order);
        self.end()
    }

    /// Waits for the end of the attempt that is under way.
    pub(super) fn end(&self) -> (Heard, Ending) {
        let heard = self.hear();
        (heard, self.record().ending.expect("a keeper that reports has written the end"))
    }

    pub(super) fn hear(&self) -> Heard {
        let socket = self.socket().as_fd();
        readable_in_time(socket);
        keeper::hear(socket)
    }

    pub(super) fn record(&self) -> Record {
        self.try_record().expect("a record")
    }

    /// The record now; none: not whole or not there yet.
    pub(super) fn try_record(&self) -> Option<Record> {
        Record::decode(&file::read_at(self.record.as_fd(), 0, keeper::format::RECORD_MAX).unwrap())
            .ok()
            .flatten()
    }

    /// The main process of the command, once it runs.
    pub(super) fn command(&self) -> ProcessId {
        until("the command runs", || self.try_record().and_then(|record| record.command))
    }

    /// What was kept of the output.
    pub(super) fn output(&self) -> String {
        let record = self.record();
        let read = |part: std::ops::Range<u64>| {
            file::read_at(
                self.output.as_fd(),
                part.start,
                usize::try_from(part.end - part.start).unwrap(),
            )
            .unwrap()
        };
        let bytes: Vec<u8> =
            record.layout.kept(record.output_total).into_iter().flat_map(read).collect();
        String::from_utf8(bytes).unwrap()
    }

    /// Waits until a file in the directory has `count` lines.
    pub(super) fn lines(&self, name: &str, count: usize) -> Vec<String> {
        until(name, || {
            let text = fs::read_to_string(self.dir.join(name)).ok()?;
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            (lines.len() >= count && text.ends_with('\n')).then_some(lines)
        })
    }

    pub(super) fn signal(&self, signal: Signal) {
        nix::sys::signal::kill(Pid::from_raw(self.pid), signal).unwrap();
    }

    /// Waits for the end of the keeper itself.
    pub(super) fn keeper_end(&self) -> WaitStatus {
        let pidfd = process::pidfd_open(self.pid).unwrap();
        readable_in_time(pidfd.as_fd());
        waitpid(Pid::from_raw(self.pid), None).unwrap()
    }

    /// Makes an executable file in the directory.
    pub(super) fn script(&self, name: &str, text: &str) -> String {
        let path = self.dir.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// An order for a shell script that runs in the directory.
    pub(super) fn shell(&self, script: &str) -> Order {
        self.exec(&["/bin/sh", "-c", script])
    }

    pub(super) fn exec(&self, argv: &[&str]) -> Order {
        Order {
            report: None,
            spool: None,
            feeds: None,
            output_file: None,
            run: 7,
            attempt: 1,
            claim: 70,
            program: argv[0].into(),
            argv: argv.iter().map(|arg| arg.as_bytes().to_vec()).collect(),
            sources: Sources::default(),
            cwd: Some(self.dir.to_str().unwrap().into()),
            own_account: OwnAccount {
                name: b"ann".to_vec(),
                home: b"/home/ann".to_vec(),
                shell: b"/bin/sh".to_vec(),
            },
            user: None,
            group: None,
            limits: Vec::new(),
            cgroup: None,
            memory_max: None,
            umask: 0o022,
            nice: 0,
            stdin: Vec::new(),
            timeout: None,
            stop_signal: Signal::SIGTERM as i32,
            stop_grace: DEADLINE,
            leftovers: Leftovers::Leave,
            output_max: 1024 * 1024,
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for left in process::descendants(self.pid).unwrap_or_default() {
            let _ = process::signal_exactly(&left, Signal::SIGKILL);
        }
        // Already gone and reaped in some tests; the number cannot have come back while this test's
        // process is its parent.
        let _ = nix::sys::signal::kill(Pid::from_raw(self.pid), Signal::SIGKILL);
        let _ = waitpid(Pid::from_raw(self.pid), None);
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Waits for a named state.
pub(super) fn until<T>(state: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = clock::now().mono;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(clock::now().mono.since(start) < DEADLINE, "waited too long for: {state}");
        poll::wait(&mut [], Some(Duration::from_millis(2))).unwrap();
    }
}

pub(super) fn readable_in_time(fd: BorrowedFd<'_>) {
    let mut fds = [poll::readable(fd)];
    assert_eq!(poll::wait(&mut fds, Some(DEADLINE)).unwrap(), 1, "waited too long");
}

/// A handle of the process whose number stands in `text`, to ask for its end later.
pub(super) fn handle(text: &str) -> OwnedFd {
    process::pidfd_open(text.trim().parse().unwrap()).unwrap()
}

/// Whether the process behind a handle has ended.
pub(super) fn has_ended(pidfd: &OwnedFd) -> bool {
    let mut fds = [poll::readable(pidfd.as_fd())];
    poll::wait(&mut fds, Some(Duration::ZERO)).unwrap() == 1
}

pub(super) fn exited(code: u8) -> End {
    End::Exited(code)
}
