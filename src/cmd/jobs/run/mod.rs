//! `jobctl run`: the supervisor, in the foreground.

mod claiming;
mod loading;
mod reloading;
mod twin;

use anyhow::Context as _;
use std::io::IsTerminal as _;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli;
use crate::cmd::InFile;
use crate::cmd::jobset;
use crate::cmd::trust;
use crate::cmd::{Context, Exit, Failure, Out, Result, plain};
use crate::core::job::{Job, LogFormat, OnStop, Settings};
use crate::core::time::Now;
use crate::facts::traffic::running_max;
use crate::jobfile::{Jobfile, LoadError};
use crate::os::delegated::{Delegated, Unusable};
use crate::os::notify::Notify;
use crate::os::paths::Caller;
use crate::os::wake::Bell;
use crate::os::{clock, disk, limit, listener, machine, process, reports, user, wake};
use crate::store::{Behind, Downtime, Patience, Store, SupervisorRow};
use crate::supervisor::daemon::{self, Left, Office, OfficeError, Ousted, Post};
use crate::supervisor::disk as reserve;
use crate::supervisor::door::Doorkeeper;
use crate::supervisor::ears::Ears;
use crate::supervisor::environment::{self, Surroundings};
use crate::supervisor::forward::LineForm;
use crate::supervisor::log::LogEvent;
use crate::supervisor::slots::Slots;
use crate::supervisor::watching::Watching;
use crate::supervisor::{
    Configuration, Event, Loaded as Taken, Mode, NewJobs, Removal, Supervisor,
};

use claiming::{Begins, claim_store};
use loading::{Loaded, Read};
use reloading::Reloading;

/// Record, output, socket and process of a slot, two locks, and one to spare.
const DESCRIPTORS_PER_SLOT: usize = 7;

/// The minimum limit of open files to run one job: the supervisor's own, those of a slot, and those
/// of a starting keeper.
const DESCRIPTORS_MIN: usize = 32;

/// The default time limit of a stop; shorter as PID 1, because a container runtime waits ten
/// seconds.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT_PID_1: Duration = Duration::from_secs(8);

/// The default limit of all kept output: a tenth of the disk, at most 4 GiB.
const OUTPUT_SHARE: u64 = 10;
const OUTPUT_TOTAL_MAX: u64 = 4 << 30;

/// Answers `jobctl run`.
pub(crate) fn answer(context: &Context, args: &cli::Run, _out: &mut Out) -> Result<Exit> {
    let passed = listener::passed();
    refuse_names(args)?;
    raise_open_files()?;
    let service = Service::of(context, args)?;
    let Service { path, state_dir, .. } = &service;
    twin::refuse(context, path, state_dir)?;
    if !path.exists() && !Store::is_there(state_dir) {
        return Err(jobset::failure_of(&LoadError::Missing(path.clone())));
    }
    trust::refuse_way(state_dir)?;
    daemon::take_state_dir(state_dir)
        .map_err(|error| Failure::system(format!("state directory {}", plain(&error))))?;
    let Some((mut office, mut ears)) = take_office(context, args.standby, path, state_dir)? else {
        return Ok(Exit::Done);
    };
    // Another one may have begun at the same time; now each of the two finds the lock of the other
    // one.
    twin::refuse(context, path, state_dir)?;
    reserve::make_way(state_dir).in_file(state_dir)?;
    let is_on_terminal = std::io::stderr().is_terminal();
    if is_on_terminal {
        context.say(what_ends_it(&ears));
    }
    let exit = service.serve(&mut office, &mut ears, passed)?;
    if is_on_terminal {
        context.say(&what_next(&context.jobctl()));
    }
    Ok(exit)
}

/// Explains what stops a supervisor that was started in a terminal.
fn what_ends_it(ears: &Ears) -> &'static str {
    match ears.has_terminal() {
        true => "Ctrl-C and closing this terminal stop it; started with nohup, it goes on",
        false => "it goes on when this terminal is closed",
    }
}

/// Suggests next commands to a person who tries a jobfile in a terminal.
fn what_next(jobctl: &str) -> String {
    format!(
        "stopped; next, try\n  {jobctl} status          see the jobs and what failed\n  \
         {jobctl} runs            list the runs\n  \
         {jobctl} retry --failed  run failures again at the next start"
    )
}

/// Exits after losing the state directory, as if killed: runs go on and belong to the supervisor
/// that has the directory now.
fn ousted(
    supervisor: &mut Supervisor<Slots>,
    state_dir: &std::path::Path,
    why: &Ousted,
) -> Failure {
    let failure = match why {
        Ousted::Moved => Failure::system(format!(
            "state directory {}: was moved away, removed or replaced",
            state_dir.display()
        ))
        .hint("start `jobctl run` again; unfinished runs stay with the old directory"),
        Ousted::Taken(pid) => not_in_office(state_dir, OfficeError::Taken(pid.clone())),
    };
    let now = clock::now();
    supervisor.say(now.wall, LogEvent::Ousted, &[("error", &failure.message)]);
    supervisor.sign_off(now);
    failure
}

/// Raises the limit of open files; errs if it is still too low.
fn raise_open_files() -> Result<()> {
    // The resulting limit is checked below.
    let _ = limit::raise_open_files();
    let max = process::descriptors_max();
    if max >= DESCRIPTORS_MIN {
        return Ok(());
    }
    Err(Failure::system(format!(
        "open files: the limit of {max} is too low: at least {DESCRIPTORS_MIN} are needed"
    ))
    .hint("raise it with `ulimit -Hn`, or with LimitNOFILE= in the systemd unit"))
}

/// Becomes the supervisor and starts to listen for signals. `None` if it was told to stop while it
/// waited for another supervisor to end.
fn take_office(
    context: &Context,
    is_standby: bool,
    jobfile: &std::path::Path,
    state_dir: &std::path::Path,
) -> Result<Option<(Office, Ears)>> {
    let listen = || Ears::open().context("signals");
    match Office::take(state_dir, jobfile) {
        Ok(office) => return Ok(Some((office, listen()?))),
        Err(OfficeError::Taken(pid)) if is_standby => {
            context.say(&format!("standing by for the supervisor that runs here (pid {pid})"));
        }
        Err(error) => return Err(not_in_office(state_dir, error)),
    }
    let mut ears = listen()?;
    let taken = Office::wait(state_dir, jobfile, &mut ears)
        .map_err(|error| not_in_office(state_dir, error))?;
    Ok(taken.map(|office| (office, ears)))
}

/// The state that reloads do not change.
pub(crate) struct Service {
    /// The jobfile.
    pub(crate) path: PathBuf,
    state_dir: PathBuf,
    on_stop: Option<OnStop>,
    log_format: Option<LogFormat>,
    mode: Mode,
    machine_id: String,
}

impl Service {
    /// Makes this state without being the supervisor.
    pub(crate) fn beside(path: PathBuf, state_dir: PathBuf) -> Self {
        Self {
            path,
            state_dir,
            on_stop: None,
            log_format: None,
            mode: Mode::Live,
            machine_id: machine::id(),
        }
    }

    /// Makes this state from the command line.
    fn of(context: &Context, args: &cli::Run) -> Result<Self> {
        let path = context.jobfile()?;
        trust::refuse(&path)?;
        Ok(Self {
            path,
            state_dir: context.service_state_dir()?,
            on_stop: args.on_stop.map(|on_stop| match on_stop {
                cli::OnStop::Finish => OnStop::Finish,
                cli::OnStop::Detach => OnStop::Detach,
            }),
            log_format: args.log_format.map(|format| match format {
                cli::LogFormat::Text => LogFormat::Text,
                cli::LogFormat::Json => LogFormat::Json,
            }),
            mode: if args.shadow { Mode::Shadow } else { Mode::Live },
            machine_id: machine::id(),
        })
    }

    /// Supervises until told to stop; begins again when the store is replaced by another one.
    fn serve(&self, office: &mut Office, ears: &mut Ears, passed: Vec<OwnedFd>) -> Result<Exit> {
        let exe = PathBuf::from("/proc/self/exe");
        let mut door = Doorkeeper::new(exe, passed);
        let mut bell: Option<Bell> = None;
        let mut first = vec![Event::Rung];
        let mut begins = Begins::AsItIs;
        loop {
            let (store, migrated_from) = Store::create_or_migrate(&self.state_dir)?;
            let why_paused = claim_store(&store, begins, clock::now())?;
            let odds = Odds { migrated_from, why_paused };
            let snapshot = crate::facts::trust::snapshot(&self.path, None);
            let loaded = loading::load(&store, &self.path)?;
            let (mut supervisor, mut watching) = self.start(store, loaded, office, &odds)?;
            let bell = match &mut bell {
                Some(bell) => bell,
                None => bell
                    .insert(wake::listen(&self.state_dir).in_file(&self.state_dir.join("wake"))?),
            };
            let mut post = Post { bell, ears: &mut *ears, office: &mut *office, door: &mut door };
            let mut reload = Reloading::new(self, snapshot);
            let left = daemon::serve(&mut supervisor, &mut post, &mut reload, &mut watching, first)
                .context("cannot wait")?;
            match left {
                Left::Stopped => return Ok(Exit::Done),
                // There was no downtime.
                Left::Astray => office.last_alive_at = None,
                Left::Ousted(why) => return Err(ousted(&mut supervisor, &self.state_dir, &why)),
            }
            if supervisor.is_replaced() {
                begins = Begins::Replaced;
            } else {
                begins = Begins::AsItIs;
            }
            first = vec![Event::Rung];
            first.extend(supervisor.is_stopping().then_some(Event::StopAsked));
        }
    }

    fn start(
        &self,
        store: Store,
        loaded: Loaded,
        office: &Office,
        odds: &Odds,
    ) -> Result<(Supervisor<Slots>, Watching)> {
        let now = clock::now();
        let mut supervisor = self.supervisor(store, &loaded.read.jobfile.settings, now)?;
        let jobs = loaded.read.jobfile.jobs.len();
        if let Some(last_alive_at) = office.last_alive_at {
            supervisor.look_at_clock_of_last(last_alive_at, now);
        }
        self.load(&mut supervisor, loaded.read, Removal::Now, now)?;
        supervisor.keep_reserve(now);
        let adopted = supervisor.recover(now)?;
        self.write_down(&mut supervisor, loaded.error.as_deref(), office, now)?;
        supervisor.parts().0.set_patience(Patience::Turn)?;
        say_odds(&mut supervisor, loaded.error.as_deref(), odds, now)?;
        // The files present now are the baseline; once it reports ready, others may add files.
        let mut watching = Watching::default();
        watching.start(&mut supervisor, clock::now());
        let mode = match self.mode {
            Mode::Live => "live",
            Mode::Shadow => "shadow",
        };
        supervisor.say(
            now.wall,
            LogEvent::Ready,
            &[
                ("mode", &mode),
                ("version", &env!("CARGO_PKG_VERSION")),
                ("pid", &std::process::id()),
                ("jobs", &jobs),
                ("adopted", &adopted),
                ("jobfile", &self.path.display()),
                ("state_dir", &self.state_dir.display()),
            ],
        );
        supervisor.sign_ready(now);
        supervisor.parts().0.forget_statements();
        process::give_memory_back();
        Ok((supervisor, watching))
    }

    /// Makes a supervisor without jobs, with its log and service manager; logs what is missing.
    fn supervisor(&self, store: Store, settings: &Settings, now: Now) -> Result<Supervisor<Slots>> {
        let (slots, unusable) = self.slots();
        let configuration = self.configuration(settings)?;
        let surroundings = self.surroundings();
        let mut supervisor = Supervisor::new(store, slots, configuration, surroundings, now);
        supervisor.open_log();
        match Notify::of_process() {
            Ok(notify) => supervisor.attach(notify),
            Err(error) => {
                supervisor.say(now.wall, LogEvent::NotifyFailed, &[("error", &plain(&error))]);
            }
        }
        say_cgroup(&mut supervisor, unusable.as_ref(), now);
        if let Err(failure) = self.reports_dir() {
            supervisor.say(now.wall, LogEvent::NoReports, &[("error", &failure.message)]);
        }
        Ok(supervisor)
    }

    /// Makes the slots, in control groups if possible; also returns a delegated group that cannot
    /// be used.
    pub(crate) fn slots(&self) -> (Slots, Option<Unusable>) {
        let slots = Slots::in_state_dir(&self.state_dir, PathBuf::from("/proc/self/exe"));
        match Delegated::take() {
            Ok(cgroup) => (slots.enclosed(cgroup), None),
            Err(unusable) => (slots, Some(unusable)),
        }
    }

    /// Applies a jobfile: jobs, settings, and the backup copy. Reads nothing outside the state
    /// directory.
    fn load(
        &self,
        supervisor: &mut Supervisor<Slots>,
        read: Read,
        removal: Removal,
        now: Now,
    ) -> Result<Taken> {
        let Read { jobfile, zones } = read;
        let Jobfile { settings, jobs, sources, .. } = jobfile;
        let sources: Vec<(PathBuf, String)> =
            sources.into_iter().map(|source| (source.path, source.text)).collect();
        let limited = limited_in_memory(&jobs);
        let door = loading::charge(&settings, &sources, &self.state_dir).context("the door")?;
        let configuration = Configuration { door, ..self.configuration(&settings)? };
        let former = supervisor.configure(configuration);
        let is_door_changed = {
            let door = supervisor.door_charge();
            former.door.as_ref().map(|it| &it.settings) != door.as_ref().map(|it| &it.settings)
        };
        let new = NewJobs { jobs, sources: &sources, removal };
        let mut loaded = supervisor.load(new, &mut |name| zones.get(name), now);
        let Ok(Taken::Taken(changes)) = &mut loaded else {
            supervisor.configure(former);
            return Ok(loaded?);
        };
        changes.is_door_changed = is_door_changed;
        Self::forward(supervisor, &settings);
        if supervisor.parts().1.cgroup().is_none() {
            say_unlimitable(supervisor, &limited, now);
        }
        Ok(loaded?)
    }

    /// Copies output to standard output if requested.
    fn forward(supervisor: &mut Supervisor<Slots>, settings: &Settings) {
        let form = if supervisor.logs_json() { LineForm::Json } else { LineForm::Prefix };
        let is_wanted = settings.forward_output.unwrap_or(std::process::id() == 1);
        supervisor.parts().1.forward_output(is_wanted.then_some(form));
    }

    pub(crate) fn configuration(&self, settings: &Settings) -> Result<Configuration> {
        let running_max = running_max(settings);
        let running_max = running_max.min(process::descriptors_max() / DESCRIPTORS_PER_SLOT);
        let is_pid_1 = std::process::id() == 1;
        Ok(Configuration {
            running_max,
            mode: self.mode,
            on_stop: self.on_stop.or(settings.on_stop).unwrap_or(OnStop::Finish),
            stop_timeout: settings.stop_timeout.unwrap_or(if is_pid_1 {
                STOP_TIMEOUT_PID_1
            } else {
                STOP_TIMEOUT
            }),
            seed: settings.hash_seed.as_deref().unwrap_or(&self.machine_id).to_owned(),
            output_total_max: self.output_total_max(settings),
            state_dir: self.state_dir.clone(),
            log_format: self.log_format.or(settings.log_format),
            metrics_file: settings.metrics_file.as_deref().map(PathBuf::from),
            heartbeat: settings.heartbeat.clone(),
            door: None,
            boot_id: process::boot_id().context("boot id")?,
        })
    }

    fn output_total_max(&self, settings: &Settings) -> i64 {
        let max = settings.output_total_max.unwrap_or_else(|| {
            disk::space(&self.state_dir).map_or(OUTPUT_TOTAL_MAX, |space| {
                (space.total / OUTPUT_SHARE).min(OUTPUT_TOTAL_MAX)
            })
        });
        i64::try_from(max).unwrap_or(i64::MAX)
    }

    pub(crate) fn surroundings(&self) -> Surroundings {
        Surroundings {
            inherited: environment::inherited(),
            user: user::current(),
            jobfile: self.path.clone(),
            state_dir: self.state_dir.clone(),
            reports_dir: self.reports_dir().ok(),
        }
    }

    /// Returns the directory for reports of commands, creating it if necessary.
    fn reports_dir(&self) -> Result<PathBuf> {
        let dir = Caller::of_process().reports_dir(&self.state_dir);
        match reports::make_dir(&dir) {
            Ok(()) => Ok(dir),
            Err(error) => Err(Failure::of_file(&dir, &error)),
        }
    }

    /// Writes what `status` shows of this supervisor to the store, and the time without one before
    /// it.
    fn write_down(
        &self,
        supervisor: &mut Supervisor<Slots>,
        error: Option<&str>,
        office: &Office,
        now: Now,
    ) -> Result<()> {
        let (store, _) = supervisor.parts();
        store.begin()?;
        if let Some(from) = office.last_alive_at.filter(|from| *from < now.wall) {
            let stopping_at = store.supervisor()?.stopping_at.filter(|at| *at < from);
            if let Some(stopping_at) = stopping_at {
                store.record_downtime(Downtime {
                    from: stopping_at,
                    to: from,
                    is_stopping: true,
                })?;
            }
            store.record_downtime(Downtime { from, to: now.wall, is_stopping: false })?;
        }
        store.save_supervisor(&SupervisorRow {
            pid: i32::try_from(std::process::id()).ok(),
            since: Some(now.wall),
            jobfile: Some(self.path.display().to_string()),
            jobfile_error: error.map(str::to_owned),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            is_shadow: self.mode == Mode::Shadow,
            ..SupervisorRow::default()
        })?;
        Ok(store.commit()?)
    }
}

/// What is unusual about the store of a starting supervisor.
struct Odds {
    /// The version before it was migrated.
    migrated_from: Option<i64>,
    why_paused: Option<&'static str>,
}

/// Logs what is unusual about the jobfile and store of a starting supervisor.
fn say_odds(
    supervisor: &mut Supervisor<Slots>,
    jobfile_error: Option<&str>,
    odds: &Odds,
    now: Now,
) -> Result<()> {
    if let Some(error) = jobfile_error {
        let fields: [(&str, &dyn std::fmt::Display); 2] =
            [("error", &error), ("instead", &"the last good one")];
        supervisor.say(now.wall, LogEvent::JobfileBad, &fields);
    }
    if let Some(Behind { lost }) = supervisor.parts().0.take_behind()? {
        let hint = "its log was truncated or removed; restore a backup with `jobctl restore`";
        supervisor.say(
            now.wall,
            LogEvent::StoreLostCommits,
            &[("commits", &lost), ("hint", &hint)],
        );
    }
    if let Some(from) = odds.migrated_from {
        supervisor.say(now.wall, LogEvent::StoreMigrated, &[("from_version", &from)]);
    }
    if let Some(reason) = odds.why_paused {
        let hint = "run `jobctl resume --all` if the jobs should run here";
        supervisor.say(now.wall, LogEvent::Paused, &[("reason", &reason), ("hint", &hint)]);
    }
    Ok(())
}

/// Logs where attempts get their control groups, or why a delegated group cannot be used.
fn say_cgroup(supervisor: &mut Supervisor<Slots>, unusable: Option<&Unusable>, now: Now) {
    if let Some(Unusable { dir, error }) = unusable {
        let fields: [(&str, &dyn std::fmt::Display); 2] = [("path", dir), ("error", error)];
        supervisor.say(now.wall, LogEvent::NoCgroup, &fields);
    } else if let Some(dir) = supervisor.parts().1.cgroup().map(str::to_owned) {
        supervisor.say(now.wall, LogEvent::Cgroup, &[("path", &dir)]);
    }
}

/// Logs the jobs whose attempts always fail because their memory cannot be limited.
fn say_unlimitable(supervisor: &mut Supervisor<Slots>, jobs: &[String], now: Now) {
    for job in jobs {
        let error = "limits.memory: no control group (cgroup v2) is delegated to the supervisor";
        let hint = "set `Delegate=yes` in its systemd unit";
        supervisor.say(
            now.wall,
            LogEvent::NoCgroup,
            &[("job", job), ("error", &error), ("hint", &hint)],
        );
    }
}

fn limited_in_memory(jobs: &[Job]) -> Vec<String> {
    let limited = jobs.iter().filter(|job| job.policy.limits.memory.is_some());
    limited.map(|job| job.name.to_string()).collect()
}

/// Explains to people why this process cannot be the supervisor.
pub(crate) fn not_in_office(state_dir: &std::path::Path, error: OfficeError) -> Failure {
    match error {
        OfficeError::Taken(pid) => Failure::not_now(format!(
            "state directory {}: another supervisor runs here ({})",
            state_dir.display(),
            // It may have taken the lock just now and not have written its number yet.
            if pid.is_empty() { "it is starting".to_owned() } else { format!("pid {pid}") }
        ))
        .hint("stop that one first, or name another state directory with --state-dir"),
        OfficeError::Failed(error) => Failure::of_file(&state_dir.join("supervisor.lock"), &error),
    }
}

/// Suggests `exec` to a user who names a job.
fn refuse_names(args: &cli::Run) -> Result<()> {
    let Some(name) = args.names.first() else {
        return Ok(());
    };
    let name = name.display();
    Err(Failure::usage(format!("run: takes no name (`{name}`): it is the supervisor"))
        .hint(format!("to run the job now, use `jobctl enqueue {name}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_job_is_a_hint_to_enqueue() {
        let args = cli::Run {
            on_stop: None,
            log_format: None,
            shadow: false,
            standby: false,
            names: vec!["backup".into()],
        };
        let failure = refuse_names(&args).unwrap_err();
        assert_eq!(failure.code, Exit::Usage);
        assert_eq!(failure.hint.unwrap(), "to run the job now, use `jobctl enqueue backup`");
    }
}
