//! `jobctl exec`: one run, here and now, as the supervisor would do it, with its output on standard
//! output.

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

/// What begins the stop sequence; the last one is a terminal that is closed.
const STOPS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// Between two looks for a `jobctl cancel`.
const LOOK: Duration = Duration::from_millis(200);

/// What a pipe that is ready takes without waiting (pipe(7), `PIPE_BUF`).
const PIECE: usize = 4096;

/// A shell says this of a command that a signal ended: 128 and its number (POSIX, sh, "Exit Status
/// for Commands").
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
    // Whoever is not there needs not be told.
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

/// What executes a run as the supervisor would.
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

/// Says what became of the run, and that its output could not be written.
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
        // What the command says counts for more.
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

/// What the supervisor was started with, if there is one: what is executed here shall find what it
/// would find there.
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

/// The end to read the copy of the output from, and what the keeper gets.
fn lend(input: Option<OwnedFd>) -> io::Result<(OwnedFd, Lent)> {
    let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&theirs, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((ours, Lent { copy: Some(theirs), input }))
}

/// Says who has what the job needs.
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

/// What the command said: its exit code, 128 and more for a signal, 111 where nothing is known.
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

/// The wait for an attempt, with what goes to and fro meanwhile.
struct Session<'a> {
    supervisor: Supervisor<Slots>,
    run: Box<RunRow>,
    signals: &'a SelfPipe,
    /// The keeper's copy of the output; none after its end, or after nobody reads it here any more.
    copy: Option<OwnedFd>,
    /// How it is shown.
    shown: Transcript,
    /// What was read of it and is not written yet.
    pending: Vec<u8>,
    /// Why output could not be written.
    refused: Option<Errno>,
    /// Standard output is for the answer; what the command prints goes to standard error.
    is_json: bool,
}

impl Session<'_> {
    /// Until the end is on record and all output is out.
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
                    // Whoever reads the output is stuck.
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

    /// Why output is missing on standard output, unless its reader went away.
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

    /// A reader that went away, as `head` does, changes nothing for the command; nor does a full
    /// disk.
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
