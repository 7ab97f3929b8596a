//! Signs for those outside: systemd, monitoring, the log, standard output.

use std::fs;
use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::support::{DEADLINE, DeadMount, House, Need, is_root, program, skipped, wait_for};

/// What the supervisor told the manager, until a message begins with `word`.
fn told(socket: &UnixDatagram, word: &str) -> Vec<String> {
    socket.set_read_timeout(Some(DEADLINE)).expect("it can be set");
    let mut messages = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let len = socket
            .recv(&mut buffer)
            .unwrap_or_else(|error| panic!("no {word}: {error}; {messages:?}"));
        let message = String::from_utf8_lossy(&buffer[..len]).into_owned();
        let is_last = message.starts_with(word);
        messages.push(message);
        if is_last {
            return messages;
        }
    }
}

/// The first message that says this.
fn told_with(socket: &UnixDatagram, words: &str) -> String {
    loop {
        let status = told(socket, "STATUS=").pop().expect("it is there");
        if status.contains(words) {
            return status;
        }
    }
}

#[test]
fn systemd_is_told_of_the_start_the_state_a_reload_and_the_stop() {
    let house = House::new("[jobs.work]\ncommand = 'read _ < \"$T/door\"'\n");
    nix::unistd::mkfifo(&house.path("door"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let socket = UnixDatagram::bind(house.path("notify")).expect("a socket");
    let mut command = house.jobctl();
    command.env("NOTIFY_SOCKET", house.path("notify")).env("WATCHDOG_USEC", "400000");
    let mut supervisor = house.start_with(&mut command, &[]);
    let first = told(&socket, "READY=1");
    assert_eq!(first, ["READY=1"], "nothing comes before it is ready");
    let id = house.enqueue(&["work"]);
    house.wait_state(id, "running");
    let status = told(&socket, "STATUS=1 job, 1 running");
    let pings = told(&socket, "WATCHDOG=1").len() + told(&socket, "WATCHDOG=1").len();
    assert!(pings >= 2 && !status.is_empty());
    house.ask(&["reload"]).expect(0);
    let reload = told(&socket, "RELOADING=1").pop().expect("it is there");
    assert!(reload.contains("\nMONOTONIC_USEC="), "{reload}");
    told(&socket, "READY=1");
    house.write_jobfile("[jobs.work]\n");
    house.ask(&["reload"]).expect(1);
    let ill = told_with(&socket, "the jobfile on disk is not in force");
    assert!(ill.starts_with("STATUS=1 job, 1 running"), "{ill}");
    supervisor.send(nix::sys::signal::Signal::SIGTERM);
    told(&socket, "STOPPING=1");
    told(&socket, "EXTEND_TIMEOUT_USEC=30000000");
    fs::write(house.path("door"), "\n").expect("somebody reads");
    assert_eq!(supervisor.wait_code(), 0);
    // Commands do not hear of the socket.
    assert_eq!(house.show(id)["state"], "succeeded");
}

#[test]
fn a_manager_that_reads_nothing_is_told_once_and_holds_nothing_up() {
    let house =
        House::new("[jobs.work]\ncommand = 'echo \"${NOTIFY_SOCKET-unset}\" >> \"$T/out\"'\n");
    let socket = UnixDatagram::bind(house.path("notify")).expect("a socket");
    let mut command = house.jobctl();
    command.env("NOTIFY_SOCKET", house.path("notify")).env("WATCHDOG_USEC", "2000");
    let supervisor = house.start_with(&mut command, &[]);
    house.wait_text("log", "event=notify_failed");
    let id = house.enqueue(&["work"]);
    house.wait_state(id, "succeeded");
    assert_eq!(house.lines("out"), ["unset"]);
    assert_eq!(supervisor.stop(), 0);
    assert_eq!(house.read("log").matches("event=notify_failed").count(), 1);
    drop(socket);
}

const METRICS: &str = "metrics_file = '@T@/jobctl.prom'\n\
    [jobs.good]\ncommand = 'true'\nschedule = '@daily'\n[jobs.bad]\ncommand = 'exit 3'\nretry = { max = 1, delay = '1ms' }\n\
    [jobs.held]\ncommand = 'true'\n";

/// The value of a sample, by its name and labels as they stand there.
fn sample(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn metrics_count_what_happened_and_the_file_follows() {
    let house = House::new(METRICS);
    let supervisor = house.start();
    house.ask(&["pause", "held"]).expect(0);
    for job in ["good", "good", "bad"] {
        house.enqueue(&[job]);
    }
    house.enqueue(&["held"]);
    house.wait_idle(&["good", "bad"]);
    let text = house.ask(&["metrics"]).expect(0).out;
    for (name, value) in [
        ("jobctl_up", 1.0),
        ("jobctl_runs_ended_total{job_name=\"good\",state=\"succeeded\"}", 2.0),
        ("jobctl_runs_ended_total{job_name=\"bad\",state=\"failed\"}", 1.0),
        ("jobctl_attempts_total{job_name=\"bad\",outcome=\"exited\"}", 2.0),
        ("jobctl_attempt_duration_seconds_count{job_name=\"bad\"}", 2.0),
        ("jobctl_attempt_duration_seconds_bucket{job_name=\"good\",le=\"+Inf\"}", 2.0),
        ("jobctl_failed_runs{job_name=\"bad\"}", 1.0),
        ("jobctl_runs{job_name=\"held\",state=\"queued\"}", 1.0),
        ("jobctl_paused{job_name=\"held\"}", 1.0),
        ("jobctl_late{job_name=\"bad\"}", 0.0),
    ] {
        assert_eq!(sample(&text, name), Some(value), "{name}\n{text}");
    }
    let at = sample(&text, "jobctl_last_success_timestamp_seconds{job_name=\"good\"}");
    assert!(at.is_some_and(|at| at > 1.7e9), "{at:?}");
    let next = sample(&text, "jobctl_next_run_timestamp_seconds{job_name=\"good\"}");
    assert!(next > at, "{next:?}");
    // The file is written within seconds of the change.
    let name = "jobctl_runs_ended_total{job_name=\"bad\",state=\"failed\"}";
    wait_for("the file to follow", || {
        (sample(&house.read("jobctl.prom"), name) == Some(1.0)).then_some(())
    });
    assert_eq!(supervisor.stop(), 0);
    let file = house.read("jobctl.prom");
    assert_eq!(sample(&file, "jobctl_up"), Some(0.0));
    assert!(
        fs::read_dir(house.dir())
            .expect("it is ours")
            .flatten()
            .all(|entry| { !entry.file_name().to_string_lossy().contains(".jobctl.prom") })
    );
    let text = house.ask(&["metrics"]).expect(0).out;
    assert_eq!(sample(&text, "jobctl_up"), Some(0.0));
}

#[test]
fn a_parser_that_others_wrote_takes_the_metrics() {
    let house = House::new(METRICS);
    let supervisor = house.start();
    for job in ["good", "bad"] {
        house.enqueue(&[job]);
    }
    house.wait_idle(&["good", "bad"]);
    let text = house.ask(&["metrics"]).expect(0).out;
    assert_eq!(supervisor.stop(), 0);
    let Ok(mut child) = program("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    else {
        skipped(Need::Promtool, "there is no promtool (Debian: prometheus)");
        return;
    };
    let mut stdin = child.stdin.take().expect("it was asked for");
    std::io::Write::write_all(&mut stdin, text.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    assert!(said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn a_metrics_file_that_cannot_be_written_is_said_once() {
    let house =
        House::new("metrics_file = '@T@/no/such/dir/m.prom'\n[jobs.work]\ncommand = 'true'\n");
    let supervisor = house.start();
    house.wait_text("log", "event=metrics_failed");
    let id = house.enqueue(&["work"]);
    house.wait_state(id, "succeeded");
    fs::create_dir_all(house.path("no/such/dir")).expect("it is ours");
    house.enqueue(&["work"]);
    house.wait_text("log", "event=metrics_work");
    assert_eq!(supervisor.stop(), 0);
    let log = house.read("log");
    assert_eq!(log.matches("event=metrics_failed").count(), 1, "{log}");
    assert!(house.read("no/such/dir/m.prom").contains("jobctl_up 0"));
}

#[test]
fn a_heartbeat_is_given_again_and_again_while_the_supervisor_lives() {
    for (heartbeat, file) in [
        ("{ command = 'echo beat >> \"$T/beats\"', every = '100ms' }", "beats"),
        ("{ file = '@T@/alive', every = '100ms' }", "alive"),
    ] {
        let house =
            House::new(&format!("heartbeat = {heartbeat}\n[jobs.work]\ncommand = 'true'\n"));
        let supervisor = house.start();
        let time = || fs::metadata(house.path(file)).and_then(|meta| meta.modified()).ok();
        let first = wait_for("a first beat", time);
        let second = wait_for("another one", || time().filter(|at| *at > first));
        supervisor.kill();
        // What was begun ends, and nobody is left who could give another one.
        wait_for("the last one to end", || house.processes().is_empty().then_some(()));
        assert!(time() >= Some(second));
    }
}

#[test]
fn a_heartbeat_that_fails_is_said_once() {
    let house = House::new(
        "heartbeat = { command = 'exit 7', every = '10ms' }\n[jobs.work]\ncommand = 'echo >> \"$T/out\"'\n",
    );
    let supervisor = house.start();
    house.wait_text("log", "event=heartbeat_failed error=\"exit 7\"");
    let id = house.enqueue(&["work"]);
    house.wait_state(id, "succeeded");
    assert_eq!(supervisor.stop(), 0);
    assert_eq!(house.read("log").matches("event=heartbeat_failed").count(), 1);
}

#[test]
fn a_heartbeat_file_that_is_a_fifo_or_a_link_is_refused_and_holds_nothing_up() {
    let house = House::new(
        "heartbeat = { file = '@T@/alive', every = '10ms' }\n[jobs.work]\ncommand = 'true'\n",
    );
    nix::unistd::mkfifo(&house.path("alive"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let supervisor = house.start();
    house.wait_text("log", "event=heartbeat_failed");
    let id = house.enqueue(&["work"]);
    house.wait_state(id, "succeeded");
    fs::remove_file(house.path("alive")).expect("it is ours");
    house.wait_text("log", "event=heartbeat_works");
    std::os::unix::fs::symlink("elsewhere", house.path("link")).expect("it is new");
    fs::rename(house.path("link"), house.path("alive")).expect("it is ours");
    wait_for("the link to be refused", || {
        let failed = house.read("log").matches("event=heartbeat_failed").count();
        (failed == 2).then_some(())
    });
    assert!(!house.path("elsewhere").exists(), "made through the link");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_metrics_file_that_is_a_link_is_refused() {
    let house = House::new("metrics_file = '@T@/m.prom'\n[jobs.work]\ncommand = 'true'\n");
    std::os::unix::fs::symlink("elsewhere", house.path("m.prom")).expect("it is new");
    let supervisor = house.start();
    house.wait_text("log", "event=metrics_failed");
    assert_eq!(supervisor.stop(), 0);
    assert!(house.path("m.prom").is_symlink() && !house.path("elsewhere").exists());
}

#[test]
fn a_root_supervisor_writes_nothing_where_another_user_can_turn_the_way() {
    if !is_root() {
        return skipped(Need::Root, "only root can be led elsewhere");
    }
    let house = House::new(
        "metrics_file = '@T@/his/m.d/m.prom'\nheartbeat = { file = '@T@/his/m.d/alive', every = '1s' }\n\
         [jobs.work]\ncommand = 'true'\n",
    );
    fs::create_dir_all(house.path("his/m.d")).expect("it is new");
    std::os::unix::fs::chown(house.path("his"), Some(65534), None).expect("root may");
    let supervisor = house.start();
    house.wait_text("log", "event=metrics_failed");
    house.wait_text("log", "event=heartbeat_failed");
    assert_eq!(fs::read_dir(house.path("his/m.d")).expect("it is there").count(), 0);
    // A directory of a collector's user is one that he may do in what he wants.
    std::os::unix::fs::chown(house.path("his"), Some(0), None).expect("root may");
    std::os::unix::fs::chown(house.path("his/m.d"), Some(65534), None).expect("root may");
    house.wait_text("log", "event=heartbeat_works");
    assert_eq!(supervisor.stop(), 0);
    assert!(house.read("his/m.d/m.prom").contains("jobctl_up 0"));
}

#[test]
fn a_dead_file_system_below_metrics_and_heartbeat_holds_nothing_up() {
    let house = House::new(
        "metrics_file = '@T@/dead/m.prom'\nheartbeat = { file = '@T@/dead/alive', every = '100ms' }\n\
         [jobs.tick]\nschedule = '@every 1s'\ncommand = 'echo x >> \"$T/ticks\"'\n",
    );
    let Some(dead) = DeadMount::at(&house, "dead") else {
        return skipped(Need::Fuse, "a mount that never answers takes root and /dev/fuse");
    };
    let supervisor = house.start();
    house.wait_lines("ticks", 3);
    house.wait_text("log", "event=metrics_failed");
    house.wait_text("log", "event=heartbeat_failed");
    house.wait_lines("ticks", 9);
    let log = house.read("log");
    for event in ["metrics_failed", "heartbeat_failed"] {
        assert_eq!(log.matches(event).count(), 1, "{log}");
    }
    assert_eq!(supervisor.stop(), 0, "two threads hang still");
    let supervisor = house.start();
    house.wait_lines("ticks", 11);
    drop(dead);
    house.wait_text("dead/m.prom", "jobctl_up 1");
    wait_for("a beat", || house.path("dead/alive").exists().then_some(()));
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn the_log_is_json_where_that_is_asked_for() {
    for (args, key) in [(&["--log-format", "json"][..], ""), (&[][..], "log_format = 'json'\n")] {
        let house = House::new(&format!("{key}[jobs.work]\ncommand = 'exit 3'\n"));
        let supervisor = house.spawn(&mut house.jobctl(), args);
        house.wait_text("log", "\"event\":\"ready\"");
        let id = house.enqueue(&["work"]);
        house.wait_state(id, "failed");
        assert_eq!(supervisor.stop(), 0);
        let lines = house.lines("log");
        let events: Vec<Value> = lines
            .iter()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
            })
            .collect();
        let end = events.iter().find(|event| event["event"] == "end").expect("an end");
        assert_eq!(
            (&end["run"], &end["outcome"], &end["level"]),
            (&id.into(), &"exit 3".into(), &"error".into())
        );
        assert!(end["time"].as_str().is_some_and(|time| time.ends_with('Z')));
    }
}

#[test]
fn under_journald_lines_have_a_priority_and_no_time() {
    use std::os::unix::fs::MetadataExt;
    let house = House::new("log_format = 'text'\n[jobs.work]\ncommand = 'exit 3'\n");
    house.write("log", "");
    let meta = fs::metadata(house.path("log")).expect("it is there");
    let mut command = house.jobctl();
    command.env("JOURNAL_STREAM", format!("{}:{}", meta.dev(), meta.ino()));
    let supervisor = house.start_with(&mut command, &[]);
    let id = house.enqueue(&["work"]);
    house.wait_state(id, "failed");
    assert_eq!(supervisor.stop(), 0);
    let lines = house.lines("log");
    assert!(lines.iter().any(|line| line.starts_with("<6>event=ready ")), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("<3>event=end job=work ")), "{lines:?}");
    assert!(lines.iter().all(|line| line.starts_with('<')), "{lines:?}");
}

#[test]
fn output_is_forwarded_with_the_job_and_the_run() {
    for (args, is_json) in [(&[][..], false), (&["--log-format", "json"][..], true)] {
        let house = House::new(
            "forward_output = true\n[jobs.work]\ncommand = 'echo one; echo two >&2; printf three'\n",
        );
        let mut command = house.jobctl();
        command.stdout(Stdio::piped());
        let mut supervisor = house.spawn(&mut command, args);
        let mut stdout = supervisor.stdout();
        house.wait_text("log", "ready");
        let id = house.enqueue(&["work"]);
        house.wait_state(id, "succeeded");
        assert_eq!(supervisor.stop(), 0);
        let mut text = String::new();
        stdout.read_to_string(&mut text).expect("it is text");
        if is_json {
            let lines: Vec<Value> =
                text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            let words: Vec<&str> = lines.iter().filter_map(|line| line["line"].as_str()).collect();
            assert_eq!(words, ["one", "two", "three"]);
            assert_eq!((&lines[0]["job"], &lines[0]["run"]), (&"work".into(), &id.into()));
        } else {
            assert_eq!(text, format!("work#{id} | one\nwork#{id} | two\nwork#{id} | three\n"));
        }
    }
}

#[test]
fn a_reader_of_forwarded_output_that_is_stuck_costs_lines_and_no_time() {
    let house = House::new(
        "forward_output = true\n[jobs.loud]\ncommand = 'yes | head -n 300000; echo end'\n[jobs.last]\ncommand = 'echo last'\n",
    );
    let mut command = house.jobctl();
    command.stdout(Stdio::piped());
    let mut supervisor = house.start_with(&mut command, &[]);
    let mut stdout = supervisor.stdout();
    let id = house.enqueue(&["loud"]);
    house.wait_state(id, "succeeded");
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).expect("it is text");
        text
    });
    // Now somebody reads; what comes next is told together with what was lost.
    wait_for("a line that gets through", || {
        let id = house.enqueue(&["last"]);
        house.wait_state(id, "succeeded");
        (house.runs("last").len() > 3).then_some(())
    });
    assert_eq!(supervisor.stop(), 0);
    let text = reader.join().expect("it ends");
    let dropped: u64 = text
        .lines()
        .filter_map(|line| line.strip_prefix("jobctl | ")?.split(' ').next()?.parse::<u64>().ok())
        .sum();
    let through = text.lines().filter(|line| line.starts_with("loud#")).count() as u64;
    assert!(dropped > 0, "{} bytes", text.len());
    assert_eq!(dropped + through, 300_001);
    assert!(text.lines().any(|line| line.ends_with("| last")));
}

#[test]
fn as_process_1_it_reaps_forwards_and_ends_in_time() {
    if !is_root() {
        skipped(Need::Root, "a pid namespace takes root");
        return;
    }
    let house = House::new(
        "stop_timeout = '5s'\n[jobs.orphan]\ncommand = 'setsid sh -c \"sleep 0.2\" & echo \"$MARK\" $(readlink /proc/1/exe | sed s,.*/,,)'\n\
         [jobs.long]\ncommand = 'trap \"\" TERM; echo begun; sleep 100'\nstop_grace = '1s'\n",
    );
    let mut command = program("unshare");
    command
        .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(env!("CARGO_BIN_EXE_jobctl"))
        .env("T", house.dir())
        .env("MARK", "inherited")
        .arg("--jobfile")
        .arg(house.jobfile())
        .arg("--state-dir")
        .arg(house.state_dir())
        .stdout(Stdio::piped());
    let mut supervisor = house.spawn(&mut command, &[]);
    let mut stdout = supervisor.stdout();
    house.wait_text("log", "event=ready");
    let id = house.enqueue(&["orphan"]);
    house.wait_state(id, "succeeded");
    let long = house.enqueue(&["long"]);
    house.wait_state(long, "running");
    // The only child of unshare is process 1 of the namespace.
    let first = wait_for("process 1", || {
        let children = format!("/proc/{0}/task/{0}/children", supervisor.pid());
        fs::read_to_string(children).ok()?.split_whitespace().next()?.parse::<i32>().ok()
    });
    wait_for("the orphan to be reaped", || {
        let children =
            fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap_or_default();
        let is_zombie = |pid: &str| {
            fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
        };
        (!children.split_whitespace().any(is_zombie)).then_some(())
    });
    let begin = crate::support::now();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(first), nix::sys::signal::Signal::SIGTERM)
        .expect("it lives");
    assert_eq!(supervisor.wait_code(), 0);
    assert!(begin.elapsed() < Duration::from_secs(7), "{:?}", begin.elapsed());
    let mut text = String::new();
    stdout.read_to_string(&mut text).expect("it is text");
    assert!(text.contains(&format!("orphan#{id} | inherited jobctl\n")), "{text}");
    assert!(text.contains(&format!("long#{long} | begun\n")), "{text}");
}

#[test]
fn a_supervisor_that_stands_by_takes_over() {
    let house = House::new("[jobs.work]\ncommand = 'true'\n");
    let first = house.start();
    let second = house.spawn(&mut house.jobctl(), &["--standby"]);
    house.wait_text("log", "standing by for the supervisor");
    let id = house.enqueue(&["work"]);
    house.wait_state(id, "succeeded");
    first.kill();
    wait_for("the other one to be ready", || {
        (house.read("log").matches("event=ready").count() == 2).then_some(())
    });
    let id = house.enqueue(&["work"]);
    house.wait_state(id, "succeeded");
    let third = house.spawn(&mut house.jobctl(), &["--standby"]);
    wait_for("a third one", || {
        (house.read("log").matches("standing by").count() == 2).then_some(())
    });
    assert_eq!(third.stop(), 0);
    assert_eq!(second.stop(), 0);
}
