//! A stop of the supervisor starts nothing more and leaves what runs as it was told: to its end,
//! stopped, or with its keeper.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{House, is_alive, now, send, wait_for, wait_gone};

/// Says that it began; says that it was asked to stop and obeys; ends when `$T/go` is there.
const OBEYS: &str = r#"
[jobs.obeys]
shell = ["/bin/bash", "-c"]
command = '''
trap 'echo "$JOBCTL_RUN/$JOBCTL_ATTEMPT" >> "$T/asked"; exit 3' TERM
echo "$JOBCTL_RUN/$JOBCTL_ATTEMPT" >> "$T/began"
until [ -e "$T/go" ]; do read -t 0.02 _ <> "$T/never" || :; done
echo "$JOBCTL_RUN/$JOBCTL_ATTEMPT" >> "$T/ended"
'''
"#;

const DEAF: &str = r#"
[jobs.deaf]
shell = ["/bin/bash", "-c"]
stop_grace = "300ms"
command = '''
trap '' TERM
echo x >> "$T/began"
while :; do read -t 1 _ <> "$T/never" || :; done
'''
"#;

/// Forty daemons, each forked twice into a session of its own, that do not hear TERM; and a main
/// process that does not either. Each says `x` in `$T/grown`.
pub(crate) const NASTY_TREE: &str = r#"
command = '''
trap '' TERM HUP INT
for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 \
    21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40; do
    (setsid sh -c '(setsid sh -c "echo x >> \"$T/grown\"; exec sleep 1000" &)' &)
done
while :; do sleep 1000; done
'''
"#;

/// What stops a running run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Timeout,
    Cancel,
}

fn house(settings: &str, jobs: &str) -> House {
    let house = House::new(&format!("{settings}\n{jobs}"));
    nix::unistd::mkfifo(&house.path("never"), nix::sys::stat::Mode::S_IRWXU)
        .expect("a FIFO can be made");
    house
}

#[test]
fn term_lets_what_runs_end_and_starts_nothing_more() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let house = house("", OBEYS);
        let mut supervisor = house.start();
        let first = house.enqueue(&["obeys"]);
        house.wait_lines("began", 1);
        let second = house.enqueue(&["obeys"]);
        supervisor.send(signal);
        house.wait_text("log", "event=stopping");
        let third = house.enqueue(&["obeys"]);
        assert!(supervisor.status().is_none(), "it left a running attempt behind");
        house.write("go", "");
        assert_eq!(supervisor.wait_code(), 0);
        assert_eq!(house.show(first)["state"], "succeeded");
        for waiting in [second, third] {
            assert_eq!(house.show(waiting)["state"], "queued");
        }
        assert_eq!(house.lines("began").len(), 1);
        assert_eq!(house.read("asked"), "");
    }
}

#[test]
fn a_stop_says_what_it_waits_for_and_when_the_rest_starts() {
    let house = house("", OBEYS);
    let mut supervisor = house.start();
    let first = house.enqueue(&["obeys"]);
    house.wait_lines("began", 1);
    let second = house.enqueue(&["obeys"]).to_string();
    assert!(house.status()["supervisor"]["stopping_at"].is_null());
    supervisor.send(Signal::SIGTERM);
    wait_for("the store to say that it stops", || {
        house.status()["supervisor"]["stopping_at"].as_str().map(str::to_owned)
    });
    assert_eq!(house.status()["supervisor"]["waits_for"], serde_json::json!([first]));
    let waits = format!("stopping, waiting for run {first}");
    let status = house.ask(&["status"]).expect(0).out;
    assert!(status.starts_with(&format!("supervisor  {waits} (pid ")), "{status}");
    assert!(status.contains("supervisor stopping"), "{status}");
    let why = house.ask(&["why", &second]).expect(0).out;
    assert!(why.contains("the supervisor is stopping; the run starts with the next one"), "{why}");
    let said = house.ask(&["enqueue", "obeys"]).expect(0).err;
    assert!(
        said.contains("the supervisor is stopping; the run starts with the next one"),
        "{said}"
    );
    let doctor = house.ask(&["doctor"]).out;
    assert!(doctor.contains(&format!("{waits}: no runs start")), "{doctor}");
    assert!(doctor.contains(&format!("jobctl cancel {first}`\n")), "{doctor}");
    house.write("go", "");
    assert_eq!(supervisor.wait_code(), 0);
    let _again = house.start();
    assert!(house.status()["supervisor"]["stopping_at"].is_null());
}

#[test]
fn with_nothing_running_a_stop_is_at_once() {
    let house = house("", OBEYS);
    assert_eq!(house.start().stop(), 0);
}

#[test]
fn what_does_not_end_in_time_is_stopped_and_queued_again_where_retries_are_granted() {
    let house = house(
        "stop_timeout = '400ms'",
        &format!("{OBEYS}retry = {{ max = 1, delay = '50ms' }}\nstop_grace = '200ms'\n"),
    );
    let supervisor = house.start();
    let run = house.enqueue(&["obeys"]);
    house.wait_lines("began", 1);
    assert_eq!(supervisor.stop(), 0);
    assert_eq!(house.lines("asked"), [format!("{run}/1")]);
    let waiting = house.show(run);
    assert_eq!(waiting["state"], "queued", "{waiting:#}");

    // It was not charged: both attempts that the policy grants are still there.
    let _supervisor = house.start();
    for attempt in [2, 3] {
        house.wait_text("began", &format!("{run}/{attempt}\n"));
        let shell = house.leader_of(run);
        send(shell, Signal::SIGKILL);
    }
    let ended = house.wait_state(run, "failed");
    assert_eq!((&ended["reason"], &ended["attempt"]), (&"signal".into(), &3.into()), "{ended:#}");
}

#[test]
fn what_does_not_end_in_time_is_failed_by_shutdown_where_nothing_is_retried() {
    let house = house("stop_timeout = '400ms'", &format!("{OBEYS}stop_grace = '200ms'\n"));
    let supervisor = house.start();
    let run = house.enqueue(&["obeys"]);
    house.wait_lines("began", 1);
    assert_eq!(supervisor.stop(), 0);
    let ended = house.show(run);
    assert_eq!(
        (&ended["state"], &ended["reason"]),
        (&"failed".into(), &"shutdown".into()),
        "{ended:#}"
    );
    assert_eq!(ended["exit_code"], 3);
}

#[test]
fn a_command_that_is_deaf_to_term_does_not_keep_the_supervisor() {
    let house = house("stop_timeout = '500ms'", DEAF);
    let supervisor = house.start();
    let run = house.enqueue(&["deaf"]);
    house.wait_lines("began", 1);
    let shell = house.leader_of(run);
    assert_eq!(supervisor.stop(), 0);
    assert!(!is_alive(shell));
    let ended = house.show(run);
    assert_eq!((&ended["reason"], &ended["signal"]), (&"shutdown".into(), &9.into()), "{ended:#}");
}

#[test]
fn a_second_term_begins_the_stop_sequence_at_once() {
    let house = house("stop_timeout = '10m'", OBEYS);
    let mut supervisor = house.start();
    let run = house.enqueue(&["obeys"]);
    house.wait_lines("began", 1);
    supervisor.send(Signal::SIGTERM);
    house.wait_text("log", "asked=1");
    assert_eq!(house.read("asked"), "");
    supervisor.send(Signal::SIGTERM);
    assert_eq!(supervisor.wait_code(), 0);
    assert_eq!(house.lines("asked"), [format!("{run}/1")]);
    assert_eq!(house.show(run)["reason"], "shutdown");
}

#[test]
fn a_third_term_kills() {
    let house = house("stop_timeout = '10m'", &DEAF.replace("300ms", "10m"));
    let mut supervisor = house.start();
    let run = house.enqueue(&["deaf"]);
    house.wait_lines("began", 1);
    for asked in 1..=3 {
        supervisor.send(Signal::SIGTERM);
        if asked < 3 {
            house.wait_text("log", &format!("asked={asked}"));
        }
    }
    assert_eq!(supervisor.wait_code(), 0);
    assert_eq!(house.show(run)["signal"], 9);
}

#[test]
fn detach_leaves_at_once_and_the_next_supervisor_adopts() {
    let from_jobfile = ("on_stop = 'detach'", [].as_slice());
    let from_command_line = ("", ["--on-stop", "detach"].as_slice());
    for (settings, args) in [from_jobfile, from_command_line] {
        let house = house(settings, OBEYS);
        let supervisor = house.start_with(&mut house.jobctl(), args);
        let run = house.enqueue(&["obeys"]);
        house.wait_lines("began", 1);
        let begin = now();
        assert_eq!(supervisor.stop(), 0);
        assert!(begin.elapsed().as_secs() < 8, "it waited");
        assert_eq!(house.show(run)["state"], "running");
        assert!(is_alive(house.leader_of(run)));

        let _supervisor = house.start();
        house.wait_text("log", "event=adopt");
        house.write("go", "");
        assert_eq!(house.wait_state(run, "succeeded")["attempt"], 1);
        assert_eq!(house.lines("began"), [format!("{run}/1")]);
        assert_eq!(house.read("asked"), "");
    }
}

#[test]
fn an_adopted_run_is_stopped_in_time_like_any_other() {
    let house = house("stop_timeout = '400ms'", &format!("{OBEYS}stop_grace = '200ms'\n"));
    let supervisor = house.start();
    let run = house.enqueue(&["obeys"]);
    house.wait_lines("began", 1);
    supervisor.kill();
    assert_eq!(house.start().stop(), 0);
    assert_eq!(house.show(run)["reason"], "shutdown");
    assert_eq!(house.lines("asked"), [format!("{run}/1")]);
}

#[test]
fn a_keeper_that_gets_term_itself_stops_its_command_and_records_it() {
    let house = house("", OBEYS);
    let supervisor = house.start();
    let run = house.enqueue(&["obeys"]);
    house.wait_lines("began", 1);
    let keeper = house.keeper_of(run);
    supervisor.kill();
    send(keeper, Signal::SIGTERM);
    wait_gone(keeper);
    assert_eq!(house.lines("asked"), [format!("{run}/1")]);
    let _supervisor = house.start();
    let ended = house.wait_state(run, "failed");
    assert_eq!(
        (&ended["reason"], &ended["exit_code"]),
        (&"shutdown".into(), &3.into()),
        "{ended:#}"
    );
}

/// Runs a job until it has said so in `grown`, stops it, and answers its run when that has ended.
fn stopped(by: By, lines: usize, job: &str) -> (House, serde_json::Value) {
    let timeout = match by {
        By::Timeout => "timeout = '4s'\n",
        By::Cancel => "",
    };
    let house = House::new(&format!("[jobs.grows]\nstop_grace = '200ms'\n{timeout}{job}"));
    let _supervisor = house.start();
    let run = house.enqueue(&["grows"]);
    house.wait_lines("grown", lines);
    let state = match by {
        By::Timeout => "failed",
        By::Cancel => {
            house.ask(&["cancel", &run.to_string()]).expect(0);
            "cancelled"
        }
    };
    let ended = house.wait_state(run, state);
    let left = house.processes_of(run);
    assert!(left.is_empty(), "{by:?} left {left:?}: {ended:#}");
    (house, ended)
}

#[test]
fn a_timeout_or_a_cancel_leaves_nothing_of_forty_deaf_daemons() {
    for by in [By::Timeout, By::Cancel] {
        let (house, ended) = stopped(by, 40, NASTY_TREE);
        assert_eq!(house.lines("grown").len(), 40);
        assert_eq!(ended["signal"], 9, "{ended:#}");
        assert!(ended["error"].is_null(), "{ended:#}");
    }
}

#[test]
fn a_timeout_or_a_cancel_ends_a_command_that_stopped_itself() {
    let deaf =
        "command = 'trap \"\" TERM; echo x >> \"$T/grown\"; while :; do kill -STOP $$; done'\n";
    let obeys = "command = 'echo x >> \"$T/grown\"; kill -STOP $$; sleep 1000'\n";
    for by in [By::Timeout, By::Cancel] {
        assert_eq!(stopped(by, 1, deaf).1["signal"], 9);
        assert_eq!(stopped(by, 1, obeys).1["signal"], 15);
    }
}

#[test]
fn a_stop_takes_no_longer_than_its_time_also_where_a_grace_is_longer() {
    let house = House::new(
        "stop_timeout = '2s'\n[jobs.stubborn]\ncommand = 'trap \"\" TERM; echo >> \"$T/begun\"; while :; do sleep 1; done'\n\
         stop_grace = '60s'\n",
    );
    let supervisor = house.start();
    let id = house.enqueue(&["stubborn"]);
    wait_for("its beginning", || house.path("begun").exists().then_some(()));
    let begin = now();
    assert_eq!(supervisor.stop(), 0);
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    let run = house.show(id);
    assert_eq!(
        (&run["state"], &run["reason"], &run["signal"]),
        (&"failed".into(), &"shutdown".into(), &9.into())
    );
}

#[test]
fn a_stop_that_waits_only_for_a_hook_says_so() {
    let hook = r#"on_failure = 'echo x >> "$T/told"; until [ -e "$T/go" ]; do sleep 0.05; done'"#;
    let house = house(
        "[defaults]\nhook_interval = '0s'",
        &format!("[jobs.fails]\ncommand = 'exit 4'\n{hook}"),
    );
    let mut supervisor = house.start();
    house.enqueue(&["fails"]);
    house.wait_lines("told", 1);
    supervisor.send(Signal::SIGTERM);
    wait_for("the store to say that it stops", || {
        house.status()["supervisor"]["stopping_at"].as_str().map(str::to_owned)
    });
    let status = house.ask(&["status"]).expect(0).out;
    assert!(
        status.starts_with("supervisor  stopping, waiting for hooks or mail (pid "),
        "{status}"
    );
    let doctor = house.ask(&["doctor"]).out;
    assert!(doctor.contains("stopping, waiting for hooks or mail: no runs start"), "{doctor}");
    assert!(!doctor.contains("jobctl cancel"), "{doctor}");
    house.write("go", "");
    assert_eq!(supervisor.wait_code(), 0);
}
