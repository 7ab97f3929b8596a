//! Starts the door's process: receives what the supervisor hands over, drops privileges, serves.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::task::LocalSet;

use super::accounts::Accounts;
use super::body::Bodies;
use super::control::Control;
use super::desk::Desk;
use super::serve;
use super::shelf::Shelf;
use super::waits::Waits;
use super::writer::Writer;
use crate::core::door::Brief;
use crate::facts::jobs::with_environment;
use crate::jobfile::{self, Jobfile, Source};
use crate::os::{aside, confine, file, poll, process, signals, socket, zone};

/// The limit of a door's data segment (RLIMIT_DATA).
const DATA_MAX: u64 = 512 << 20;

/// The number of threads that read the store.
const READERS_MAX: usize = 4;

/// How long an idle reading thread is kept.
const READERS_IDLE: Duration = Duration::from_secs(10);

/// How long to wait for the supervisor's instructions.
const CHARGE_MAX: Duration = Duration::from_secs(10);

/// The limit of a message in bytes.
const MESSAGE_MAX: usize = 64;

/// The descriptors that the supervisor hands over.
struct Charge {
    control: OwnedFd,
    text: OwnedFd,
    sockets: Vec<OwnedFd>,
}

/// Serves until the supervisor tells the door to stop.
pub(super) fn run() -> io::Result<()> {
    let Charge { control, text, sockets } = receive()?;
    confine::belong_to_parent()?;
    confine::drop_capabilities()?;
    confine::limit(DATA_MAX)?;
    process::keep_own_rights();
    signals::survive_size_limit()?;
    aside::share_one_heap();
    let brief = read(text)?;
    let state_dir = PathBuf::from(OsString::from_vec(brief.state_dir));
    let Jobfile { settings, jobs, .. } = jobs_of(brief.sources)?;
    let rules = settings.door.as_deref().cloned().unwrap_or_default();
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(READERS_MAX)
        .thread_keep_alive(READERS_IDLE)
        .build()?;
    let writer = Writer::start(&state_dir)?;
    process::give_memory_back();
    LocalSet::new().block_on(&runtime, async {
        let desk = Rc::new(Desk {
            rules,
            accounts: Accounts::new(),
            zone: zone::system(),
            bodies: Bodies::new(),
            writer,
            waits: Waits::default(),
            control: Control::of(control)?,
            shelf: Arc::new(Shelf::new(state_dir, jobs, settings)),
        });
        serve::all(&desk, sockets).await
    })
}

/// Reads the brief from its start: all doors of a supervisor share its file position.
fn read(text: OwnedFd) -> io::Result<Brief> {
    let text = File::from(text);
    let len = usize::try_from(text.metadata()?.len()).map_err(io::Error::other)?;
    Ok(serde_json::from_slice(&file::read_at(text.as_fd(), 0, len)?)?)
}

/// Parses the last valid jobfile, which the supervisor (the same program) has already checked.
fn jobs_of(sources: Vec<(String, String)>) -> io::Result<Jobfile> {
    let source = |(path, text): (String, String)| Source { path: path.into(), text };
    let sources: Vec<Source> = sources.into_iter().map(source).collect();
    with_environment(|env| jobfile::load_sources(&sources, env))
        .map_err(|_| io::Error::other("the jobfile does not load any more"))
}

/// Receives the messages that the supervisor sent before it started this process.
fn receive() -> io::Result<Charge> {
    let control = io::stdin().as_fd().try_clone_to_owned()?;
    let mut buffer = [0; MESSAGE_MAX];
    let next = |buffer: &mut [u8]| {
        poll::wait(&mut [poll::readable(control.as_fd())], Some(CHARGE_MAX))?;
        socket::receive(control.as_fd(), buffer)
    };
    let by_hand = |_| io::Error::other("is started by `jobctl run`, for `[door]` of the jobfile");
    let first = next(&mut buffer).map_err(by_hand)?;
    let said = buffer.get(..first.len).unwrap_or_default();
    let count: usize = std::str::from_utf8(said)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| io::Error::other("the supervisor has a different version"))?;
    let mut descriptors = first.descriptors.into_iter();
    let text =
        descriptors.next().ok_or_else(|| io::Error::other("the supervisor sent no jobfile"))?;
    let mut sockets: Vec<OwnedFd> = descriptors.collect();
    while sockets.len() < count {
        let more = next(&mut buffer)?;
        if more.descriptors.is_empty() {
            return Err(io::Error::other("the supervisor sent too few sockets"));
        }
        sockets.extend(more.descriptors);
    }
    Ok(Charge { control, text, sockets })
}
