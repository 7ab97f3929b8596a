//! A clean start (jobctl.toml(5), "What a command finds"): whatever the supervisor was started
//! with, a command finds the same. One probe, one golden list, many starts.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::libc;

use crate::support::{House, Need, answer_of, is_root, program, skipped};

/// Prints all that a command could inherit. The shell is the command itself; its descriptors are
/// read by a child, because the shell would open one to look.
const PROBE: &str = r#"
sed -En '/^(SigPnd|ShdPnd|SigBlk|SigIgn|Umask|Uid|Gid|Groups|NoNewPrivs):/p' /proc/self/status
ls -l /proc/$$/fd
sed 's/^.*) //' /proc/$$/stat | { read -r state parent group session tty rest
  echo "leads: $((group == $$)) $((session == $$)) tty $tty"; }
echo "nice: $(nice)"
echo "cwd: $(pwd -P)"
sed 's/^/limit: /' /proc/$$/limits
tr '\0' '\n' < /proc/$$/environ | sort | sed 's/^/env: /'
"#;

const USER: &str = "daemon";

/// A job that takes what there is, one that asks for something of everything, and one of another
/// user.
fn jobfile() -> String {
    let other = if is_root() {
        format!("[jobs.other]\ncommand = '''{PROBE}'''\nuser = '{USER}'\n")
    } else {
        String::new()
    };
    format!(
        "[defaults]\ninherit_env = false\n\
         [jobs.plain]\ncommand = '''{PROBE}'''\n\
         [jobs.asks]\ncommand = '''{PROBE}'''\numask = '077'\nnice = 7\ncwd = '@T@'\n\
         limits = {{ open_files = 77, processes = 4321, file_size = '1 MiB' }}\nenv = {{ ASKED = 'yes' }}\n{other}"
    )
}

/// What a job must find.
struct Golden {
    umask: &'static str,
    nice: i32,
    cwd: String,
    ids: Vec<String>,
    limits: Vec<(&'static str, &'static str)>,
    env: Vec<String>,
}

fn words(text: &str) -> String {
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

fn says(command: &mut Command) -> String {
    answer_of(command).expect(0).out.trim_end().to_owned()
}

fn own_status(names: &[&str]) -> Vec<String> {
    let status = fs::read_to_string("/proc/self/status").expect("there is /proc");
    names
        .iter()
        .map(|name| {
            let line = status.lines().find(|line| line.split(':').next() == Some(name));
            words(line.expect("it is there"))
        })
        .collect()
}

/// That of this process, which the supervisor inherits; a job's is added to it.
fn own_nice() -> i32 {
    says(&mut program("nice")).parse().expect("a number")
}

/// HOME, USER and the like of a user, and where it is at home.
fn account(user: &str) -> (Vec<String>, String) {
    let line = says(program("getent").args(["passwd", user]));
    let entry: Vec<&str> = line.split(':').collect();
    // A home that is not there is the root.
    let named = if Path::new(entry[5]).is_dir() { entry[5] } else { "/" };
    let home = fs::canonicalize(named).expect("it is there");
    let env = vec![
        format!("HOME={named}"),
        format!("USER={}", entry[0]),
        format!("LOGNAME={}", entry[0]),
        format!("SHELL={}", entry[6]),
    ];
    (env, home.display().to_string())
}

fn golden(house: &House, job: &str) -> Golden {
    let myself = nix::unistd::geteuid().to_string();
    let user = if job == "other" { USER } else { &myself };
    let (mut env, home) = account(user);
    let mut ids = own_status(&["Uid", "Gid", "Groups"]);
    let (mut umask, mut nice, mut cwd, mut limits) = ("0022", own_nice(), home, Vec::new());
    if job == "asks" {
        (umask, nice, cwd) = ("0077", own_nice() + 7, house.dir().display().to_string());
        limits = vec![
            ("Max file size", "1048576 1048576 bytes"),
            ("Max processes", "4321 4321 processes"),
            ("Max open files", "77 77 files"),
        ];
        env.push("ASKED=yes".into());
    }
    if job == "other" {
        let id = |option: &str| says(program("id").args([option, USER]));
        let mut groups: Vec<u32> =
            id("-G").split(' ').map(|group| group.parse().expect("a number")).collect();
        groups.sort_unstable();
        let groups: Vec<String> = groups.iter().map(u32::to_string).collect();
        ids = vec![
            words(&format!("Uid: {}", [id("-u").as_str(); 4].join(" "))),
            words(&format!("Gid: {}", [id("-g").as_str(); 4].join(" "))),
            words(&format!("Groups: {}", groups.join(" "))),
        ];
    }
    Golden { umask, nice, cwd, ids, limits, env }
}

impl Golden {
    fn lines(mut self, house: &House, job: &str, run: i64) -> Vec<String> {
        let none = "0000000000000000";
        let mut lines = vec![format!("Umask: {}", self.umask)];
        lines.append(&mut self.ids);
        lines
            .extend(["SigPnd", "ShdPnd", "SigBlk", "SigIgn"].map(|name| format!("{name}: {none}")));
        lines.append(&mut own_status(&["NoNewPrivs"]));
        lines.extend(["fd 0: /dev/null", "fd 1: pipe", "fd 2: pipe"].map(str::to_owned));
        lines.push("leads: 1 1 tty 0".into());
        lines.push(format!("nice: {}", self.nice));
        lines.push(format!("cwd: {}", self.cwd));
        let own = fs::read_to_string("/proc/self/limits").expect("there is /proc");
        lines.extend(own.lines().map(|line| {
            let changed = self.limits.iter().find(|(name, _)| line.starts_with(name));
            let line = changed.map_or(words(line), |(name, value)| format!("{name} {value}"));
            format!("limit: {line}")
        }));
        self.env.extend([
            "PATH=/usr/bin:/bin".to_owned(),
            format!("JOBCTL_JOB={job}"),
            format!("JOBCTL_RUN={run}"),
            "JOBCTL_ATTEMPT=1".to_owned(),
            "JOBCTL_MAX_ATTEMPTS=1".to_owned(),
            "JOBCTL_CAUSE=enqueue".to_owned(),
            format!("JOBCTL_JOBFILE={}", house.jobfile().display()),
            format!("JOBCTL_STATE_DIR={}", house.state_dir().display()),
        ]);
        self.env.sort();
        lines.extend(self.env.iter().map(|line| format!("env: {line}")));
        lines
    }
}

/// What the probe printed, without what differs from one attempt to the next.
fn found(text: &str) -> Vec<String> {
    text.lines()
        .map(words)
        .filter(|line| !line.starts_with("env: JOBCTL_REPORT=") && !line.starts_with("total "))
        .map(|line| match line.split_once(" -> ") {
            Some((entry, target)) if !line.starts_with("env: ") => {
                let fd = entry.rsplit(' ').next().unwrap_or_default();
                format!("fd {fd}: {}", target.split(':').next().unwrap_or_default())
            }
            _ => line,
        })
        .collect()
}

/// Starts a supervisor in this way; every job must find the golden list.
#[track_caller]
fn assert_clean(start: impl FnOnce(&House) -> Command) {
    let house = House::new(&jobfile());
    let supervisor = house.start_with(&mut start(&house), &[]);
    let jobs: &[&str] = if is_root() {
        &["plain", "asks", "other"]
    } else {
        skipped(Need::Root, "only root starts commands as somebody else");
        &["plain", "asks"]
    };
    for job in jobs {
        let run = house.enqueue(&[job]);
        house.wait_state(run, "succeeded");
        let id = run.to_string();
        let text = house.ask(&["logs", "--raw", &id]).expect(0).out;
        let golden = golden(&house, job).lines(&house, job, run);
        let found = found(&text);
        let differs = found.iter().zip(&golden).find(|(found, golden)| found != golden);
        assert_eq!(differs, None, "{job}: {text}");
        assert_eq!(found.len(), golden.len(), "{job}: {text}");
    }
    assert_eq!(supervisor.stop(), 0);
}

/// `jobctl` of a house behind another program.
fn behind(house: &House, first: &[&str]) -> Command {
    let jobctl = house.jobctl();
    let mut command = program(first[0]);
    command.args(&first[1..]).arg(jobctl.get_program());
    for (name, value) in jobctl.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// Does raw calls between fork and exec: the C library would leave out the signals 32 and 33.
#[expect(unsafe_code, reason = "there is no other way to start a program like this")]
fn between(mut command: Command, act: fn() -> std::io::Result<()>) -> Command {
    // SAFETY: all that is given here makes system calls on numbers and living locals only.
    unsafe { command.pre_exec(act) };
    command
}

#[expect(unsafe_code, reason = "raw calls reach the signals 32 and 33")]
fn ignore_all() -> std::io::Result<()> {
    let ignore = [1_u64, 0, 0, 0];
    for signal in 1..=64_i64 {
        // SAFETY: the kernel reads 32 bytes of a living local (handler, flags, restorer, mask).
        // KILL and STOP are refused.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                ignore.as_ptr(),
                std::ptr::null::<u64>(),
                8,
            )
        };
    }
    Ok(())
}

#[expect(unsafe_code, reason = "raw calls reach the signals 32 and 33")]
fn block_all() -> std::io::Result<()> {
    let all = u64::MAX;
    // SAFETY: the kernel reads 8 bytes of a living local.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const all,
            std::ptr::null::<u64>(),
            8,
        )
    };
    Ok(())
}

#[expect(unsafe_code, reason = "a process takes its terminal by itself")]
fn take_terminal() -> std::io::Result<()> {
    // SAFETY: numbers only; descriptor 0 is the terminal.
    let answer = unsafe { libc::setsid() | libc::ioctl(0, libc::TIOCSCTTY, 0) };
    nix::errno::Errno::result(answer).map(drop).map_err(Into::into)
}

#[test]
fn it_is_clean_under_nohup() {
    assert_clean(|house| behind(house, &["nohup"]));
}

#[test]
fn it_is_clean_where_descriptors_were_leaked() {
    let open: String = (3..=20).map(|fd| format!("exec {fd}</dev/null; ")).collect();
    let script = format!("{open} exec \"$0\" \"$@\"");
    assert_clean(|house| behind(house, &["bash", "-c", &script]));
}

#[test]
fn it_is_clean_where_every_signal_was_ignored() {
    assert_clean(|house| between(house.jobctl(), ignore_all));
}

#[test]
fn it_is_clean_where_every_signal_was_blocked() {
    assert_clean(|house| between(house.jobctl(), block_all));
}

#[test]
fn it_is_clean_where_every_signal_was_ignored_and_blocked_and_the_umask_is_strict() {
    assert_clean(|house| {
        let strict = behind(house, &["sh", "-c", "cd /; umask 077; exec \"$0\" \"$@\""]);
        between(between(strict, ignore_all), block_all)
    });
}

#[test]
fn it_is_clean_of_the_terminal_that_the_supervisor_was_started_on() {
    let pty = nix::pty::openpty(None, None).expect("there are terminals");
    let slave: OwnedFd = pty.slave;
    assert!(slave.as_raw_fd() > 2);
    assert_clean(|house| {
        let mut jobctl = house.jobctl();
        jobctl.stdin(slave);
        between(jobctl, take_terminal)
    });
    drop(pty.master);
}
