//! Thousands of processes that hide what they were started with: a recovery looks at each of them,
//! and not in the loop.

use std::fs;
use std::io::Read;
use std::process::{Child, Stdio};

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pause};

use crate::support::{House, program, send, stat_field, wait_for};

/// Set for the test below, which is a crowd then: a file that it makes when all are there.
const CROWD: &str = "JOBCTL_TEST_CROWD";

const CROWD_SIZE: usize = 2_000;

#[test]
fn one_that_is_a_crowd_if_it_is_told_so() {
    let Some(ready) = std::env::var_os(CROWD) else {
        return;
    };
    let words = words();
    let crowd: Vec<Pid> = (0..CROWD_SIZE).map(|_| one_more(words)).collect();
    fs::write(ready, "").expect("it can be written");
    // Until whoever wants a crowd lets go.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    for pid in &crowd {
        let _ = kill(*pid, Signal::SIGKILL);
    }
    for pid in &crowd {
        let _ = waitpid(*pid, None);
    }
}

/// Where the arguments and the environment of this process are in its memory, in whole pages.
fn words() -> (u64, u64) {
    const PAGE: u64 = 4096;
    let stat = fs::read_to_string("/proc/self/stat").expect("there is /proc");
    let (_, fields) = stat.rsplit_once(") ").expect("a name is in parentheses");
    let address = |field: usize| -> u64 {
        // The fields behind the name begin with the third.
        let word = fields.split_whitespace().nth(field - 3).expect("proc_pid_stat(5)");
        word.parse().expect("an address")
    };
    let (arguments, environment_end) = (address(48), address(51));
    (arguments / PAGE * PAGE, environment_end.div_ceil(PAGE) * PAGE)
}

/// Starts a process that shows neither arguments nor environment in /proc, as one does that is
/// being executed.
#[expect(unsafe_code, reason = "a program cannot be executed without")]
fn one_more((from, to): (u64, u64)) -> Pid {
    // SAFETY: the child is a copy of a thread with a stack of its own; it calls nothing but the
    // three below.
    match unsafe { fork() }.expect("there is room for one more") {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
            // SAFETY: only the words are there, and behind them the stack of the first thread,
            // which is not copied.
            unsafe { libc::munmap(from as *mut libc::c_void, (to - from) as usize) };
            loop {
                pause();
            }
        }
    }
}

struct Crowd(Child);

impl Crowd {
    fn new(house: &House) -> Self {
        let ready = house.path("crowd");
        let mut child = program(std::env::current_exe().expect("there is /proc"))
            .args(["--exact", "crowd::one_that_is_a_crowd_if_it_is_told_so"])
            .env(CROWD, &ready)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("it can be started");
        wait_for("a crowd", || {
            assert_eq!(child.try_wait().expect("it is our child"), None);
            ready.exists().then_some(())
        });
        Self(child)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.0.stdin = None;
        let _ = self.0.wait();
    }
}

/// How long a process itself has used a CPU, in ticks of 10 ms.
fn ticks_of(pid: i32) -> u64 {
    let field = |index| -> u64 {
        let text = stat_field(pid, index).expect("it is there");
        text.parse().expect("a number")
    };
    field(11) + field(12)
}

#[test]
fn a_recovery_among_two_thousand_that_hide_is_no_work_of_the_loop() {
    let house = House::new("[jobs.long]\ncommand = 'exec sleep 1000'\n");
    let supervisor = house.start();
    let run = house.enqueue(&["long"]);
    let keeper = house.keeper_of(run);
    // Younger than the command, or nobody looks at them.
    let _crowd = Crowd::new(&house);
    supervisor.kill();
    send(keeper, Signal::SIGKILL);
    let supervisor = house.start();
    assert_eq!(house.wait_state(run, "failed")["outcome"], "lost");
    // Where the loop looks, no schedule is served meanwhile. It once used 6 s of a CPU for that.
    let ticks = ticks_of(supervisor.pid());
    assert!(ticks < 80, "the supervisor has worked for {ticks} ticks of 10 ms");
    assert_eq!(supervisor.stop(), 0);
}
