//! A supervisor in a terminal that is closed: it says beforehand what will happen, and HUP means
//! what the terminal says.

use std::io::Read;
use std::process::{Child, Stdio};

use nix::fcntl::OFlag;
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;

use crate::support::{House, send, wait_for};

/// A terminal, and what was read from it.
struct Window {
    master: PtyMaster,
    text: String,
}

impl Window {
    /// Reads until a text is there.
    #[track_caller]
    fn read_up_to(&mut self, text: &str) {
        let mut bytes = [0; 4096];
        while !self.text.contains(text) {
            let len = self.master.read(&mut bytes).expect("somebody has it open");
            self.text.push_str(&String::from_utf8_lossy(&bytes[..len]));
        }
    }
}

/// Starts a script that starts `$J run`, as the only program of a terminal.
fn start(house: &House, script: &str) -> (Window, Child) {
    // A terminal hangs up when nobody has this end any more, nor a copy of it.
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = posix_openpt(flags).expect("there are terminals");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("it is ours");
    let name = ptsname_r(&master).expect("it has a name");
    let slave = nix::fcntl::open(name.as_str(), flags, Mode::empty()).expect("it is there");
    let end = || Stdio::from(slave.try_clone().expect("it can be copied"));
    let mut command = house.program("setsid");
    command.args(["--ctty", "sh", "-c", script]).env("J", env!("CARGO_BIN_EXE_jobctl"));
    command.stdin(end()).stdout(end()).stderr(end());
    let child = command.spawn().expect("it can be started");
    (Window { master, text: String::new() }, child)
}

fn supervisor_of(house: &House) -> i32 {
    let status = house.status();
    let pid = status["supervisor"]["pid"].as_i64().expect("it runs");
    i32::try_from(pid).expect("it is small")
}

const LONG: &str =
    "stop_timeout = '1s'\n[jobs.long]\ncommand = 'exec sleep 1000'\nstop_grace = '0s'\n";

#[test]
fn a_supervisor_stops_with_its_terminal_whoever_leads_the_session() {
    for script in ["exec \"$J\" run", "\"$J\" run; :"] {
        let house = House::new(LONG);
        let (mut window, mut child) = start(&house, script);
        window.read_up_to("closing this terminal");
        window.read_up_to("ready");
        let run = house.enqueue(&["long"]);
        house.wait_state(run, "running");
        let supervisor = supervisor_of(&house);
        // With the terminal there, HUP is a wish to reload.
        house.write_jobfile(&format!("{LONG}[jobs.more]\ncommand = 'true'\n"));
        send(supervisor, Signal::SIGHUP);
        window.read_up_to("reload");
        let more = house.enqueue(&["more"]);
        house.wait_state(more, "succeeded");
        drop(window);
        wait_for("the end", || child.try_wait().expect("it is ours"));
        wait_for("the supervisor's end", || {
            (house.status()["supervisor"]["running"] == false).then_some(())
        });
        let ended = house.show(run);
        assert_eq!((&ended["state"], &ended["reason"]), (&"failed".into(), &"shutdown".into()));
    }
}

#[test]
fn a_supervisor_that_ignores_hang_ups_goes_on_and_reloads_at_one() {
    let house = House::new("[jobs.a]\ncommand = 'true'\n");
    let (mut window, mut child) = start(&house, "trap '' HUP; exec \"$J\" run");
    window.read_up_to("goes on when this terminal is closed");
    window.read_up_to("ready");
    drop(window);
    house.write_jobfile("[jobs.b]\ncommand = 'true'\n");
    let supervisor = supervisor_of(&house);
    send(supervisor, Signal::SIGHUP);
    let run = wait_for("the reload", || {
        let said = house.ask(&["enqueue", "--wait", "--timeout", "20s", "b"]);
        (said.code == 0).then_some(said.out)
    });
    assert_eq!(run.lines().count(), 1);
    send(supervisor, Signal::SIGTERM);
    let status = wait_for("the end", || child.try_wait().expect("it is ours"));
    assert_eq!(status.code(), Some(0));
}
