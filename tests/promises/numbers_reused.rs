//! The number of a dead process is a stranger's by now, or that of its session: a recovery leaves
//! the stranger alone.
//!
//! The numbers are given again for real, in a namespace of processes whose next number root
//! chooses.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;

use crate::poor_starts::after;
use crate::support::{
    House, Need, Supervisor, answer_of, is_root, processes, program, send, skipped, stat_field,
    wait_for,
};

const JOBS: &str = "[defaults]\ncommand = 'exec sleep 1000'\n[jobs.leads]\n[jobs.left]\n";

/// A namespace of processes in which the kernel seems to have gone round all numbers. All in it
/// ends with it.
struct Numbers {
    unshare: Child,
    first: i32,
}

impl Numbers {
    /// None: it takes root, and a kernel that lets it choose.
    fn new(house: &House) -> Option<Self> {
        // Else a session's number could not have been given twice, and would be proof.
        house.write("pid_max", "100\n");
        // Whoever ends in it is reaped by the kernel, as by the first process of a machine.
        let script = "mount --bind \"$T/pid_max\" /proc/sys/kernel/pid_max && \
                      echo 1000 > /proc/sys/kernel/ns_last_pid && \
                      echo ready >> \"$T/ready\" && exec env --ignore-signal=CHLD sleep 1000";
        if !is_root() {
            return None;
        }
        let mut unshare = program("unshare")
            .args(["--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", script])
            .env("T", house.dir())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let is_ready = wait_for("a namespace", || {
            let is_ended = unshare.try_wait().expect("it is our child").is_some();
            (is_ended || house.path("ready").exists()).then_some(!is_ended)
        });
        let pid = i32::try_from(unshare.id()).expect("a pid is small");
        is_ready.then(|| Self { unshare, first: child_of(pid) })
    }

    /// A shell in it, to be told what to do.
    fn shell(&self) -> Command {
        let mut command = program("nsenter");
        command.args(["--target", &self.first.to_string(), "--pid", "--mount", "sh"]);
        command
    }

    /// What a script in it prints.
    fn ask(&self, house: &House, script: &str, numbers: &[i32]) -> Vec<String> {
        let numbers = numbers.iter().map(i32::to_string);
        let mut shell = self.shell();
        shell.args(["-c", script, "sh"]).args(numbers).env("T", house.dir());
        answer_of(&mut shell).expect(0).out.lines().map(str::to_owned).collect()
    }

    /// KILL for the supervisor in it.
    fn kill(supervisor: &mut Supervisor) {
        send(child_of(supervisor.pid()), Signal::SIGKILL);
        supervisor.wait();
    }
}

impl Drop for Numbers {
    fn drop(&mut self) {
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

fn child_of(parent: i32) -> i32 {
    let is_child = |pid: &i32| stat_field(*pid, 1).is_some_and(|of| of == parent.to_string());
    wait_for("a child", || processes().into_iter().find(is_child))
}

/// The number of a process in its own namespace.
fn number_of(pid: i32) -> i32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it is there");
    let line = status.lines().find(|line| line.starts_with("NSpid:")).expect("it has numbers");
    line.split('\t').next_back().and_then(|word| word.parse().ok()).expect("a number")
}

/// Kills keepers, with which their commands end, until their numbers are free.
fn free(keepers: &[i32], commands: &[i32]) {
    keepers.iter().for_each(|keeper| send(*keeper, Signal::SIGKILL));
    wait_for("the numbers to be free", || {
        let mut all = keepers.iter().chain(commands);
        all.all(|pid| !Path::new(&format!("/proc/{pid}")).exists()).then_some(())
    });
}

/// Starts a stranger with each of three numbers, and one in a session of the fourth whose leader
/// has gone. Prints their numbers.
const STRANGERS: &str = "
    at() { echo $(($1 - 1)) > /proc/sys/kernel/ns_last_pid; }
    for number in $1 $2 $3; do
        at $number
        setsid sleep 1000 > /dev/null 2>&1 &
        echo $!
    done
    at $4
    setsid sh -c 'sleep 1000 & echo $! > \"$T/orphan\"' > /dev/null 2>&1 &
    echo $!
    wait $!
    cat \"$T/orphan\"";

#[test]
fn strangers_with_the_numbers_of_dead_keepers_commands_and_sessions_live() {
    let house = House::new(JOBS);
    let Some(numbers) = Numbers::new(&house) else {
        return skipped(Need::Root, "only root chooses the next number of a process");
    };
    let start = || house.start_with(&mut after(&house, &mut numbers.shell(), ""), &[]);
    let mut supervisor = start();
    let runs = ["leads", "left"].map(|job| house.enqueue(&[job]));
    let commands = runs.map(|run| house.leader_of(run));
    let keepers = runs.map(|run| house.keeper_of(run));
    let [leads, left] = commands.map(number_of);
    let wanted = [number_of(keepers[0]), leads, number_of(keepers[1]), left];
    Numbers::kill(&mut supervisor);
    free(&keepers, &commands);

    let mut strangers = numbers.ask(&house, STRANGERS, &wanted);
    assert_eq!(strangers[..4], wanted.map(|number| number.to_string()));
    let orphan = strangers.remove(4).parse().expect("a number");
    let _supervisor = start();
    for run in runs {
        assert_eq!(house.wait_state(run, "failed")["outcome"], "lost");
    }
    let living = [wanted[0], wanted[1], wanted[2], orphan];
    let look = "for number; do cat /proc/$number/stat; done; true";
    let found = numbers.ask(&house, look, &living);
    // The name in parentheses and, as field 6, the session (proc_pid_stat(5)).
    let named = |line: &String| {
        let words: Vec<&str> = line.split(' ').collect();
        format!("{} of session {}", words[1], words[5])
    };
    let expected = wanted.map(|session| format!("(sleep) of session {session}"));
    assert_eq!(found.iter().map(named).collect::<Vec<_>>(), expected, "a stranger was killed");
}
