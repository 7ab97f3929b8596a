//! What is under way between two supervisors is seen by those who follow it, counts for the
//! schedule, and is never executed twice.

use std::fs;
use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::support::{House, send, time, wait_for, wait_gone};

fn house(jobfile: &str) -> House {
    let house = House::new(jobfile);
    nix::unistd::mkfifo(&house.path("never"), nix::sys::stat::Mode::S_IRWXU)
        .expect("a FIFO can be made");
    house
}

#[test]
fn an_adopted_attempt_is_in_the_way_of_the_next_occurrence() {
    let house = house(
        r#"
[jobs.waits]
schedule = "@every 1s"
shell = ["/bin/bash", "-c"]
command = 'echo "$JOBCTL_RUN" >> "$T/executed"; until [ -e "$T/go" ]; do read -t 0.02 _ <> "$T/never" || :; done'
"#,
    );
    let supervisor = house.start();
    let run: i64 = house.wait_lines("executed", 1)[0].parse().expect("an id");
    supervisor.kill();
    let supervisor = house.start();
    house.wait_text("log", "event=adopt");
    let since = time(&house.status()["supervisor"]["since"]);
    let skipped = house.wait_run("waits", "an occurrence that is skipped", |one| {
        let last = [&one["last_scheduled_at"], &one["scheduled_at"]];
        let last = last.into_iter().find(|at| !at.is_null());
        one["state"] == "skipped" && last.is_some_and(|at| time(at) > since)
    });
    assert_eq!((&skipped["reason"], &skipped["by"]), (&"overlap".into(), &run.into()));
    assert_eq!(house.lines("executed").len(), 1);
    house.write("go", "");
    house.wait_state(run, "succeeded");
    drop(supervisor);
}

#[test]
fn who_follows_the_output_sees_all_of_it_across_two_supervisors() {
    let house = house(
        r#"
[jobs.talks]
shell = ["/bin/bash", "-c"]
command = '''
for line in 1 2 3; do
  echo "line $line"
  until [ -e "$T/go$line" ]; do read -t 0.02 _ <> "$T/never" || :; done
done
'''
"#,
    );
    let supervisor = house.start();
    let run = house.enqueue(&["talks"]);
    house.wait_state(run, "running");
    let followed = fs::File::create(house.path("followed")).expect("it can be made");
    let mut follower = house
        .jobctl()
        .args(["logs", "-f", &run.to_string()])
        .stdout(followed)
        .stderr(Stdio::null())
        .spawn()
        .expect("jobctl can be started");
    house.wait_text("followed", "line 1\n");
    supervisor.kill();
    house.write("go1", "");
    house.wait_text("followed", "line 2\n");
    let _supervisor = house.start();
    house.wait_text("log", "event=adopt");
    house.write("go2", "");
    house.wait_text("followed", "line 3\n");
    house.write("go3", "");
    assert!(follower.wait().expect("it ends").success());
    assert_eq!(house.read("followed"), "line 1\nline 2\nline 3\n");
}

#[test]
fn a_record_of_a_later_version_makes_an_attempt_lost_and_not_executed_again() {
    let house = house(
        r#"
[jobs.waits]
shell = ["/bin/bash", "-c"]
retry = { max = 1, delay = "1ms" }
command = 'echo "$JOBCTL_RUN/$JOBCTL_ATTEMPT" >> "$T/executed"; until [ -e "$T/go" ]; do read -t 0.02 _ <> "$T/never" || :; done'
"#,
    );
    let supervisor = house.start();
    let run = house.enqueue(&["waits"]);
    house.wait_text("executed", &format!("{run}/1\n"));
    let keeper = house.keeper_of(run);
    supervisor.kill();
    house.write("go", "");
    wait_gone(keeper);
    let record = fs::read_dir(house.state_dir().join("slots"))
        .expect("there are slots")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "rec"))
        .expect("there is a record");
    let mut bytes = fs::read(&record).expect("it can be read");
    bytes[0] = bytes[0].wrapping_add(100);
    fs::write(&record, bytes).expect("it can be written");
    let _supervisor = house.start();
    house.wait_state(run, "succeeded");
    assert_eq!(house.lines("executed"), [format!("{run}/1"), format!("{run}/2")]);
    assert_eq!(house.show(run)["attempts"][0]["outcome"], "lost");
}

#[test]
fn an_order_that_nobody_has_read_is_executed_once_by_the_next_supervisor() {
    let house = house(
        "[jobs.notes]\ncommand = 'echo \"$JOBCTL_RUN/$JOBCTL_ATTEMPT\" >> \"$T/executed\"'\n",
    );
    let supervisor = house.start();
    let first = house.enqueue(&["notes"]);
    house.wait_state(first, "succeeded");
    let keeper = wait_for("a keeper that is idle", || house.keepers().first().copied());
    send(keeper, Signal::SIGSTOP);
    let second = house.enqueue(&["notes"]);
    house.wait_state(second, "running");
    supervisor.kill();
    send(keeper, Signal::SIGKILL);
    wait_gone(keeper);
    let _supervisor = house.start();
    house.wait_state(second, "succeeded");
    assert_eq!(house.lines("executed"), [format!("{first}/1"), format!("{second}/1")]);
}

#[test]
fn what_is_cancelled_after_a_detach_is_stopped_by_the_next_supervisor() {
    let house = house(
        r#"
[jobs.waits]
shell = ["/bin/bash", "-c"]
command = 'echo "$JOBCTL_RUN" >> "$T/executed"; until [ -e "$T/go" ]; do read -t 0.02 _ <> "$T/never" || :; done'
"#,
    );
    let supervisor = house.start_with(&mut house.jobctl(), &["--on-stop", "detach"]);
    let run = house.enqueue(&["waits"]);
    house.wait_lines("executed", 1);
    assert_eq!(supervisor.stop(), 0);
    house.ask(&["cancel", &run.to_string()]).expect(0);
    assert_eq!(house.show(run)["state"], "running");
    let _supervisor = house.start();
    let cancelled = house.wait_state(run, "cancelled");
    assert_eq!(cancelled["reason"], "by_hand");
    assert_eq!(house.lines("executed").len(), 1);
}
