//! Opens the door's sockets, and starts, restarts and stops its process.
//!
//! The sockets stay open across restarts, so no connection is refused. The loop never waits for a
//! door: an errand opens the sockets, messages are sent without blocking, and a door that hangs or
//! is killed does not affect the jobs.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::Supervisor;
use super::errand::Errand;
use super::log::LogEvent;
use super::slots::Slots;
use crate::core::door::{Door, Listen, READY};
use crate::core::reason::plain;
use crate::core::time::{Mono, Now};
use crate::os::listener::{self, Bound};
use crate::os::{file, process, socket};

/// The delay before opening a socket is tried again.
const OPEN_AGAIN: Duration = Duration::from_secs(5);

/// The delay before a door is restarted; doubles up to the limit as long as none becomes ready.
const START_AGAIN: Duration = Duration::from_millis(100);
const START_AGAIN_MAX: Duration = Duration::from_secs(30);

/// How long a door may take to finish its requests after it was told to stop.
const LEAVING_MAX: Duration = Duration::from_secs(30);

/// The minimum interval between two reads of a door's messages, so that they cannot keep the loop
/// busy.
const HEAR_EVERY: Duration = Duration::from_millis(20);

/// The limit of a door's message in bytes.
const MESSAGE_MAX: usize = 64;

/// Sockets per message; the first message also carries the jobfile.
const SOCKETS_PER_MESSAGE: usize = socket::DESCRIPTORS_MAX - 1;

/// What a door is started with.
#[derive(Debug)]
pub(crate) struct Charge {
    /// The settings.
    pub(crate) settings: Door,
    /// The brief that it reads, in sealed memory.
    text: OwnedFd,
}

impl Charge {
    /// Seals the text of the brief.
    pub(crate) fn new(settings: Door, text: &[u8]) -> io::Result<Self> {
        Ok(Self { settings, text: file::sealed_memory(text)? })
    }
}

/// A listening socket.
#[derive(Debug)]
struct Socket {
    listen: Listen,
    bound: Held,
}

/// The descriptor; with a unix socket, also what removes its file.
#[derive(Debug)]
enum Held {
    Unix(Bound),
    Tcp(OwnedFd),
}

impl Socket {
    fn open(listen: &Listen) -> io::Result<Self> {
        let bound = match listen {
            Listen::Unix(path) => Held::Unix(listener::bind_unix(Path::new(&**path))?),
            Listen::Tcp(address) => Held::Tcp(listener::bind_tcp(*address)?),
        };
        Ok(Self { listen: listen.clone(), bound })
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.bound {
            Held::Unix(bound) => bound.socket.as_fd(),
            Held::Tcp(socket) => socket.as_fd(),
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let (Listen::Unix(path), Held::Unix(bound)) = (&self.listen, &self.bound) {
            bound.remove(Path::new(&**path));
        }
    }
}

/// A running door.
#[derive(Debug)]
struct Running {
    /// Closing it tells the door to stop.
    control: OwnedFd,
    pidfd: OwnedFd,
    /// Whether it has reported that it serves.
    is_ready: bool,
    heard: Mono,
}

/// A door that was told to stop.
#[derive(Debug)]
struct Leaving {
    pidfd: OwnedFd,
    kill_deadline: Mono,
}

type Opened = Vec<(Listen, io::Result<Socket>)>;

/// Runs the door.
#[derive(Debug)]
pub(crate) struct Doorkeeper {
    exe: PathBuf,
    passed: Vec<OwnedFd>,
    charge: Option<Rc<Charge>>,
    sockets: Vec<Socket>,
    opening: Errand<Opened>,
    open_deadline: Option<Mono>,
    /// The error logged for each socket that could not be opened.
    faults: Vec<(Listen, String)>,
    /// What the store has of those errors; `None` before the first time.
    recorded: Option<String>,
    running: Option<Running>,
    start_deadline: Option<Mono>,
    delay: Duration,
    leaving: Vec<Leaving>,
}

impl Doorkeeper {
    /// Takes the sockets that the service manager has passed; `exe` is the program to start.
    pub(crate) fn new(exe: PathBuf, passed: Vec<OwnedFd>) -> Self {
        Self {
            exe,
            passed,
            charge: None,
            sockets: Vec::new(),
            opening: Errand::default(),
            open_deadline: None,
            faults: Vec::new(),
            recorded: None,
            running: None,
            start_deadline: None,
            delay: START_AGAIN,
            leaving: Vec::new(),
        }
    }

    /// Returns the descriptors that become readable when a door sends a message or ends.
    pub(crate) fn descriptors(&self, now: Now) -> impl Iterator<Item = BorrowedFd<'_>> {
        let running = self.running.iter().flat_map(move |running| {
            let is_heard = running.heard + HEAR_EVERY <= now.mono;
            let control = is_heard.then(|| running.control.as_fd());
            control.into_iter().chain([running.pidfd.as_fd()])
        });
        running.chain(self.leaving.iter().map(|leaving| leaving.pidfd.as_fd()))
    }

    /// Returns how long there is nothing to do unless a descriptor becomes readable.
    pub(crate) fn next_wait(&self, now: Now) -> Option<Duration> {
        let heard = self.running.as_ref().map(|running| running.heard + HEAR_EVERY);
        [self.open_deadline, self.start_deadline]
            .into_iter()
            .chain([heard.filter(|deadline| *deadline > now.mono)])
            .chain(self.leaving.iter().map(|leaving| Some(leaving.kill_deadline)))
            .flatten()
            .map(|deadline| deadline.since(now.mono))
            .min()
    }

    /// Does what is due now.
    pub(crate) fn step(&mut self, supervisor: &mut Supervisor<Slots>, now: Now) {
        self.look_at_leaving(now);
        self.take_charge(supervisor.door_charge(), now);
        self.open(supervisor, now);
        self.hear(supervisor, now);
        self.start(supervisor, now);
        self.record(supervisor);
    }

    /// Records which addresses cannot be listened on; what the store refuses is tried again.
    fn record(&mut self, supervisor: &mut Supervisor<Slots>) {
        let lines = self.faults.iter().map(|(listen, error)| format!("{listen}: {error}"));
        let text = lines.collect::<Vec<_>>().join("\n");
        if self.recorded.as_ref() == Some(&text) {
            return;
        }
        let value = Some(&text).filter(|text| !text.is_empty());
        if supervisor.parts().0.set_meta("door_error", value).is_ok() {
            self.recorded = Some(text);
        }
    }

    /// Tells the door to stop, and closes its sockets.
    pub(crate) fn close(&mut self) {
        self.running = None;
        self.sockets.clear();
    }

    /// Applies a new jobfile; closes sockets that it no longer lists.
    fn take_charge(&mut self, charge: Option<Rc<Charge>>, now: Now) {
        let is_same = match (&charge, &self.charge) {
            (Some(new), Some(old)) => Rc::ptr_eq(new, old),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if is_same {
            return;
        }
        let wanted: &[Listen] = charge.as_ref().map_or(&[], |charge| &charge.settings.listen);
        self.sockets.retain(|socket| wanted.contains(&socket.listen));
        self.faults.retain(|(listen, _)| wanted.contains(listen));
        self.open_deadline = charge.as_ref().map(|_| now.mono);
        self.charge = charge;
        self.restart(now);
    }

    /// Starts another door in place of the running one, which finishes its requests.
    fn restart(&mut self, now: Now) {
        if let Some(Running { pidfd, .. }) = self.running.take() {
            self.leaving.push(Leaving { pidfd, kill_deadline: now.mono + LEAVING_MAX });
        }
        self.delay = START_AGAIN;
        self.start_deadline = self.charge.as_ref().map(|_| now.mono);
    }

    fn look_at_leaving(&mut self, now: Now) {
        self.leaving.retain(|Leaving { pidfd, kill_deadline }| {
            let is_over = *kill_deadline <= now.mono;
            if is_over {
                // An error means that it has already ended.
                let _ = process::pidfd_send_signal(pidfd.as_fd(), Signal::SIGKILL);
            }
            !is_over && !process::has_ended(pidfd.as_fd())
        });
    }

    /// Opens the missing sockets in an errand, so that a file system that hangs does not block the
    /// loop.
    fn open(&mut self, supervisor: &mut Supervisor<Slots>, now: Now) {
        if let Some(opened) = self.opening.take(now) {
            self.note_opened(opened, supervisor, now);
        }
        let is_time = self.open_deadline.is_some_and(|deadline| deadline <= now.mono);
        let Some(charge) = self.charge.as_ref().filter(|_| is_time) else {
            return;
        };
        if self.opening.is_under_way() {
            return;
        }
        let is_open = |listen: &&Listen| self.sockets.iter().any(|open| open.listen == **listen);
        let closed: Vec<Listen> =
            charge.settings.listen.iter().filter(|listen| !is_open(listen)).cloned().collect();
        self.open_deadline = None;
        if closed.is_empty() {
            return;
        }
        let work = move || {
            let open = |listen: Listen| {
                let socket = Socket::open(&listen);
                (listen, socket)
            };
            closed.into_iter().map(open).collect()
        };
        if supervisor.begin_errand(&mut self.opening, now, work).is_err() {
            // No thread could be started.
            self.open_deadline = Some(now.mono + OPEN_AGAIN);
        }
    }

    fn note_opened(&mut self, opened: Opened, supervisor: &mut Supervisor<Slots>, now: Now) {
        let charge = self.charge.clone();
        let is_wanted = |listen: &Listen| {
            charge.as_ref().is_some_and(|charge| charge.settings.listen.contains(listen))
        };
        for (listen, socket) in opened.into_iter().filter(|(listen, _)| is_wanted(listen)) {
            match socket {
                Ok(socket) => {
                    supervisor.say(now.wall, LogEvent::Listening, &[("address", &listen)]);
                    self.faults.retain(|(known, _)| *known != listen);
                    self.sockets.push(socket);
                    self.restart(now);
                }
                Err(error) => {
                    self.open_deadline = Some(now.mono + OPEN_AGAIN);
                    let fault = (listen, plain(&error));
                    if !self.faults.contains(&fault) {
                        let (address, error) = (&fault.0, &fault.1);
                        let fields: [(&str, &dyn std::fmt::Display); 2] =
                            [("address", address), ("error", error)];
                        supervisor.say(now.wall, LogEvent::CannotListen, &fields);
                        self.faults.retain(|(known, _)| *known != fault.0);
                        self.faults.push(fault);
                    }
                }
            }
        }
    }

    /// Answers a door that asks whether the loop responds, and notices when one has ended.
    fn hear(&mut self, supervisor: &mut Supervisor<Slots>, now: Now) {
        let Some(running) = &mut self.running else {
            return;
        };
        if process::has_ended(running.pidfd.as_fd()) {
            if running.is_ready {
                self.delay = START_AGAIN;
            }
            let again_in = self.delay.as_millis();
            supervisor.say(now.wall, LogEvent::DoorEnded, &[("again_in_ms", &again_in)]);
            self.start_deadline = Some(now.mono + self.delay);
            self.delay = (self.delay * 2).min(START_AGAIN_MAX);
            self.running = None;
            return;
        }
        if running.heard + HEAR_EVERY > now.mono {
            return;
        }
        let mut message = [0; MESSAGE_MAX];
        if let Ok(received) = socket::receive(running.control.as_fd(), &mut message) {
            running.heard = now.mono;
            if message.get(..received.len) == Some(READY) {
                running.is_ready = true;
                return;
            }
            // A door that does not take the answer reports the loop as stopped.
            let _ = socket::send(running.control.as_fd(), &[b"turning"], &[]);
        }
    }

    fn start(&mut self, supervisor: &mut Supervisor<Slots>, now: Now) {
        if self.running.is_some() || self.start_deadline.is_none_or(|at| at > now.mono) {
            return;
        }
        self.start_deadline = None;
        let Some(charge) = &self.charge else {
            return;
        };
        let sockets = self.sockets.iter().map(AsFd::as_fd);
        let sockets: Vec<_> = sockets.chain(self.passed.iter().map(AsFd::as_fd)).collect();
        if sockets.is_empty() {
            return;
        }
        match start(&self.exe, charge, &sockets) {
            Ok((control, pidfd)) => {
                self.running = Some(Running { control, pidfd, is_ready: false, heard: Mono::ZERO });
            }
            Err(error) => {
                supervisor.say(now.wall, LogEvent::DoorFailed, &[("error", &plain(&error))]);
                self.start_deadline = Some(now.mono + self.delay);
                self.delay = (self.delay * 2).min(START_AGAIN_MAX);
            }
        }
    }
}

/// Starts a door and sends it its descriptors.
fn start(
    exe: &Path,
    charge: &Charge,
    sockets: &[BorrowedFd<'_>],
) -> io::Result<(OwnedFd, OwnedFd)> {
    let (control, theirs) = socket::pair()?;
    let count = sockets.len().to_string();
    let mut first = vec![charge.text.as_fd()];
    let mut rest = sockets.chunks(SOCKETS_PER_MESSAGE);
    first.extend_from_slice(rest.next().unwrap_or_default());
    socket::send(control.as_fd(), &[count.as_bytes()], &first)?;
    for sockets in rest {
        socket::send(control.as_fd(), &[b"more"], sockets)?;
    }
    let pid = process::spawn_door(exe, theirs)?;
    Ok((control, process::pidfd_open(pid)?))
}
