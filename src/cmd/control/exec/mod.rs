//! `jobctl exec`: executes one run immediately, as the supervisor would, with its output on
//! standard output.

mod input;

use anyhow::Context as _;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use nix::unistd::{pipe2, read, write};

use crate::cli;
use crate::cmd::jobs::run::Service;
use crate::cmd::look::runs::sentence;
use crate::cmd::look::transcript::Transcript;
use crate::cmd::trust;
use crate::cmd::when;
use crate::cmd::{Context, Exit, Failure, Jobs, Out, Result, plain};
use crate::core::item;
use crate::core::job::Job;
use crate::core::lane;
use crate::core::run::State;
use crate::keeper::Lent;
use crate::os::signals::SelfPipe;
use crate::os::{clock, poll, wake};
use crate::store::{Filter, NewItem, RunRow, Store};
use crate::supervisor::Supervisor;
use crate::supervisor::environment;
use crate::supervisor::exec::{Begun, Exec, Progress};
use crate::supervisor::slots::Slots;
use crate::supervisor::spawner::Stop;

/// The signals that begin the stop sequence; the last one is sent when a terminal closes.
const STOPS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// The interval between two checks for a `jobctl cancel`.
const LOOK: Duration = Duration::from_millis(200);

/// How many bytes a writable pipe accepts without blocking (pipe(7), `PIPE_BUF`).
const PIECE: usize = 4096;

/// The exit code of a command that a signal ended is this plus the signal's number (POSIX, sh,
/// "Exit Status for Commands").
const BY_SIGNAL: i32 = 128;

/// Answers `jobctl exec`.
pub(crate) fn answer(context: &Context, args: &cli::Exec, out: &mut Out) -> Result<Exit> {
    let path = context.jobfile()?;
    trust::refuse(&path)?;
    let jobs = Jobs::trusted(&path)?;
    let (job, item) = match args.run {
        Some(id) => of_run(context, &jobs, id)?,
        None => of_words(&jobs, &args.words)?,
    };
    let state_dir = context.made_state_dir()?;
    let service = Service::beside(path, state_dir.to_path_buf());
    let inherited = environment_of_supervisor(context)?;
    let signals = SelfPipe::install(&STOPS).context("signals")?;
    let store = Store::create(state_dir)?;
    let mut supervisor = supervisor(&service, store, &jobs, inherited)?;
    let (input, typed) = match args.tty_stdin {
        true => input::standard_input_for(job).context("standard input")?,
        false => (None, None),
    };
    let (copy, lent) = lend(input).context("output pipe")?;
    let arguments = item.args.clone();
    let run = match supervisor.exec(Exec { job, item }, &lent, clock::now())? {
        Begun::Started(run) => run,
        Begun::Locked => return Err(locked(&jobs, job, &arguments, supervisor.parts().0)?),
        Begun::Failed(error) => {
            let (name, why) = (&job.name, plain(&error));
            return Err(Failure::system(format!("job `{name}`: cannot be started: {why}")));
        }
    };
    drop(lent);
    if let Some(typed) = typed {
        context.say(
            "the command runs as another user: it gets no terminal and reads what you type from a \
             pipe",
        );
        typed.copy();
    }
    // Without a supervisor there is nothing to wake.
    let _ = wake::ring(state_dir);
    let is_terminal =
        if out.is_json { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
    let mut session = Session {
        supervisor,
        run,
        signals: &signals,
        copy: Some(copy),
        shown: Transcript::on(is_terminal && !args.raw),
        pending: Vec::new(),
        refused: None,
        is_json: out.is_json,
    };
    let ended = session.watch()?;
    let _ = wake::ring(state_dir);
    conclude(context, &ended, session.refused(), out)
}

/// Makes what executes a run like the supervisor.
fn supervisor(
    service: &Service,
    store: Store,
    jobs: &Jobs,
    inherited: Option<Vec<(OsString, OsString)>>,
) -> Result<Supervisor<Slots>> {
    let mut surroundings = service.surroundings();
    surroundings.inherited = inherited.unwrap_or(surroundings.inherited);
    let configuration = service.configuration(&jobs.settings)?;
    Ok(Supervisor::new(store, service.slots().0, configuration, surroundings, clock::now()))
}

/// Reports the result of the run, and output that could not be written.
fn conclude(
    context: &Context,
    ended: &RunRow,
    refused: Option<Failure>,
    out: &mut Out,
) -> Result<Exit> {
    out.answer(ended, |_| {
        if ended.state != State::Succeeded || io::stderr().is_terminal() {
            context.say(&sentence(ended));
        }
        Ok(())
    })?;
    match refused {
        Some(failure) if ended.state == State::Succeeded => return Err(failure),
        // The command's exit code is more important.
        Some(failure) => context.say(&failure.message),
        None => {}
    }
    Ok(Exit::Command(status_of(ended)))
}

fn of_words<'a>(jobs: &'a Jobs, words: &[OsString]) -> Result<(&'a Job, NewItem)> {
    let Some((name, arguments)) = words.split_first() else {
        return Err(Failure::usage("exec: no job given"));
    };
    let job = jobs.find(&name.to_string_lossy())?;
    let bytes: Vec<&[u8]> = arguments.iter().map(|argument| argument.as_bytes()).collect();
    item::check_arguments(&bytes)?;
    let item = NewItem {
        args: arguments.iter().map(|argument| argument.as_bytes().to_vec()).collect(),
        key: None,
        input: None,
    };
    Ok((job, item))
}

/// What a run was given, for the job as it is defined today.
fn of_run<'a>(context: &Context, jobs: &'a Jobs, id: i64) -> Result<(&'a Job, NewItem)> {
    let store = context.open_read()?.ok_or_else(|| Failure::no_such_run(id))?;
    let run = store.run(id)?.ok_or_else(|| Failure::no_such_run(id))?;
    let job = match jobs.today(&run.job) {
        Some(job) => job,
        None => jobs.find(&run.job)?,
    };
    let input = store.input(id)?;
    let item = NewItem { args: run.args, key: run.key, input };
    Ok((job, item))
}

/// Returns the environment that the supervisor was started with, if one runs: a command should find
/// the same one here.
fn environment_of_supervisor(context: &Context) -> Result<Option<Vec<(OsString, OsString)>>> {
    if !context.is_supervised()? {
        return Ok(None);
    }
    let Some(store) = context.open_if_there()? else {
        return Ok(None);
    };
    let pid = store.supervisor()?.pid;
    Ok(pid.and_then(|pid| environment::of_process(pid).ok()))
}

/// Makes the pipe for the copy of the output: the end to read, and the end for the keeper.
fn lend(input: Option<OwnedFd>) -> io::Result<(OwnedFd, Lent)> {
    let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&theirs, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((ours, Lent { copy: Some(theirs), input }))
}

/// Describes the runs that hold what the job needs.
fn locked(jobs: &Jobs, job: &Job, args: &[Vec<u8>], store: &Store) -> Result<Failure> {
    let filter = Filter { states: vec![State::Running], ..Filter::default() };
    let running = store.runs(&filter, None)?;
    let needed = lane::lock_of(&job.policy, args);
    let has_lock = |run: &RunRow| {
        let other = jobs.today(&run.job);
        let has = other.and_then(|other| lane::lock_of(&other.policy, &run.args));
        needed.is_some() && has == needed
    };
    let is_own = |run: &&RunRow| run.job == job.name.as_str() || job.was(&run.job);
    let mut own = running.iter().filter(is_own);
    let holder = running.iter().find(|run| has_lock(run)).or(own.next());
    let name = &job.name;
    Ok(match holder {
        Some(run) => {
            let since = run.started_at.unwrap_or(run.created_at);
            let span = when::span(clock::now().wall.ms().saturating_sub(since.ms()));
            let (id, other) = (run.id, &run.job);
            Failure::not_now(format!(
                "job `{name}`: locked: run {id} of `{other}` has been running for {span}"
            ))
            .hint(format!(
                "wait for it with `jobctl wait {id}`, or queue a run with `jobctl enqueue {name}`"
            ))
        }
        None => Failure::not_now(format!(
            "job `{name}`: locked: a process that jobctl did not start holds its lock"
        ))
        .hint(format!("queue a run with `jobctl enqueue {name}`")),
    })
}

/// Returns the command's exit code: 128 or more for a signal, 111 if nothing is known.
fn status_of(run: &RunRow) -> u8 {
    let by_signal = |signal: i32| u8::try_from(BY_SIGNAL.saturating_add(signal)).ok();
    let code = run.exit_code;
    code.or_else(|| run.signal.and_then(by_signal)).unwrap_or(Exit::System.code())
}

fn restored_meanwhile(run: &RunRow) -> Failure {
    let (id, job) = (run.id, &run.job);
    Failure::system(format!("run {id} ({job}): has ended, but is no longer in the store"))
        .hint("`jobctl restore` ran in the meantime; the command's output was not kept")
}

/// The wait for an attempt, while its output is copied.
struct Session<'a> {
    supervisor: Supervisor<Slots>,
    run: Box<RunRow>,
    signals: &'a SelfPipe,
    /// The keeper's copy of the output; `None` after its end, or after our reader has gone away.
    copy: Option<OwnedFd>,
    /// How it is shown.
    shown: Transcript,
    /// Output that was read but not written yet.
    pending: Vec<u8>,
    /// Why output could not be written.
    refused: Option<Errno>,
    /// Whether the output goes to standard error, because standard output is for the answer.
    is_json: bool,
}

impl Session<'_> {
    /// Waits until the end is recorded and all output is written.
    fn watch(&mut self) -> Result<RunRow> {
        let mut ended: Option<RunRow> = None;
        let mut asked = 0;
        loop {
            if ended.is_none() {
                ended = match self.supervisor.exec_ended(&self.run, clock::now())? {
                    Progress::UnderWay => None,
                    Progress::Ended(run) => Some(*run),
                    Progress::Gone => return Err(restored_meanwhile(&self.run)),
                };
            }
            if let Some(run) = &ended
                && self.copy.is_none()
                && self.pending.is_empty()
            {
                return Ok(run.clone());
            }
            self.wait(ended.is_some()).context("cannot wait")?;
            let signals = self.signals.take().context("signals")?;
            for _ in signals {
                if let Some(run) = ended {
                    // The reader of the output is stuck.
                    return Ok(run);
                }
                asked += 1;
                let stop = if asked == 1 { Stop::Gently } else { Stop::AtOnce };
                self.supervisor.exec_stop(&self.run, stop);
            }
            self.supervisor.exec_look(self.run.id)?;
        }
    }

    /// Waits for something to do, and moves output.
    fn wait(&mut self, is_ended: bool) -> io::Result<()> {
        self.supervisor.note_wait(LOOK);
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let target = if self.is_json { stderr.as_fd() } else { stdout.as_fd() };
        let mut fds = vec![poll::readable(self.signals.fd())];
        let is_behind = !self.pending.is_empty();
        if is_behind {
            fds.push(poll::writable(target));
        } else if let Some(copy) = &self.copy {
            fds.push(poll::readable(copy.as_fd()));
        }
        let has_output = fds.len() > 1;
        if !is_ended {
            fds.extend(self.supervisor.parts().1.descriptors().map(poll::readable));
        }
        poll::wait(&mut fds, Some(LOOK))?;
        if has_output && poll::is_ready(&fds[1]) {
            drop(fds);
            if is_behind {
                self.write_piece(target);
            } else {
                self.read_chunk()?;
            }
        }
        Ok(())
    }

    /// Returns why output is missing on standard output, unless its reader has gone away.
    fn refused(&self) -> Option<Failure> {
        let errno = self.refused.filter(|errno| *errno != Errno::EPIPE)?;
        (!self.is_json).then(|| Failure::of_output(&errno.into()))
    }

    fn read_chunk(&mut self) -> io::Result<()> {
        let Some(copy) = &self.copy else {
            return Ok(());
        };
        let mut buffer = [0; 64 * 1024];
        match read(copy, &mut buffer) {
            Ok(0) => {
                self.pending.extend(self.shown.end());
                self.copy = None;
            }
            Ok(len) => self.pending.extend(self.shown.take(&buffer[..len])),
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(())
    }

    /// Neither a reader that goes away, such as `head`, nor a full disk affects the command.
    fn write_piece(&mut self, target: BorrowedFd<'_>) {
        let len = self.pending.len().min(PIECE);
        match write(target, &self.pending[..len]) {
            Ok(len) => {
                self.pending.drain(..len);
            }
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(errno) => {
                self.pending.clear();
                self.copy = None;
                self.refused = Some(errno);
            }
        }
    }
}
