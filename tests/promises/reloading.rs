//! The jobfile is read again by itself, at HUP and for `jobctl reload`, and never costs a run.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::support::{
    DeadMount, House, Need, Supervisor, answer_from, answer_of, found_within, program, send,
    skipped, stat_field, wait_for,
};

const ONE: &str = "[jobs.a]\ncommand = 'true'\n";
const TWO: &str = "[jobs.a]\ncommand = 'true'\n[jobs.b]\ncommand = 'true'\n";
const SLEEP: &str = "command = 'echo x >> \"$T/began\"; exec sleep 1000'\n";

/// How often an event stands in the log.
fn count(house: &House, event: &str) -> usize {
    house.read("log").matches(&format!("event={event}")).count()
}

/// Waits until the jobs in force are these.
#[track_caller]
fn wait_jobs(house: &House, number: usize) {
    house.wait_text("log", &format!("event=reload jobs={number} "));
}

/// A house whose jobfile is found through `jobs.toml`, made by the test itself.
fn bare() -> House {
    let house = House::new("");
    fs::remove_file(house.jobfile()).expect("it is ours");
    house
}

/// Stops a supervisor's process where it holds no lock of the store.
#[track_caller]
fn stop_between_turns(house: &House, supervisor: &Supervisor) {
    wait_for("a stop between two turns", || {
        supervisor.send(Signal::SIGSTOP);
        wait_for("the process to be stopped", || {
            (stat_field(supervisor.pid(), 0)? == "T").then_some(())
        });
        // 75: the store is locked.
        let is_free = house.ask(&["pause", "a"]).code != 75;
        if !is_free {
            supervisor.send(Signal::SIGCONT);
        }
        is_free.then_some(())
    });
}

fn error_of(house: &House) -> Option<String> {
    house.status()["supervisor"]["jobfile_error"].as_str().map(str::to_owned)
}

#[test]
fn a_jobfile_that_is_replaced_is_read_by_itself() {
    let house = House::new(ONE);
    let _supervisor = house.start();
    house.write_jobfile(TWO);
    wait_jobs(&house, 2);
    let run = house.enqueue(&["b"]);
    house.wait_state(run, "succeeded");
    // In place, too.
    house.write("jobs.toml", ONE);
    wait_jobs(&house, 1);
}

#[test]
fn what_changes_no_text_reloads_nothing() {
    let house = House::new(&format!("include = ['jobs.d/*.toml']\n{ONE}"));
    fs::create_dir(house.path("jobs.d")).unwrap();
    let _supervisor = house.start();
    house.write("jobs.toml.swp", "rubbish");
    house.write("jobs.d/.x.toml.swp", "rubbish");
    house.write("jobs.d/.x.toml", "rubbish");
    house.write("jobs.toml", house.read("jobs.toml"));
    // A change that counts comes later and is taken first.
    house.write("jobs.d/b.toml", "[jobs.b]\ncommand = 'true'\n");
    wait_jobs(&house, 2);
    assert_eq!(count(&house, "reload"), 1);
    assert_eq!(count(&house, "jobfile_bad"), 0);
}

#[test]
fn a_switched_symlink_is_noticed() {
    let house = bare();
    house.write("one.toml", ONE);
    house.write("two.toml", TWO);
    symlink("one.toml", house.jobfile()).unwrap();
    let _supervisor = house.start();
    symlink("two.toml", house.path("new")).unwrap();
    fs::rename(house.path("new"), house.jobfile()).unwrap();
    wait_jobs(&house, 2);
    // What is behind the link now is watched, too.
    house.write("two.toml", format!("{TWO}[jobs.c]\ncommand = 'true'\n"));
    wait_jobs(&house, 3);
}

#[test]
fn a_config_map_that_is_switched_is_noticed() {
    let house = bare();
    let version = |name: &str, text: &str| {
        fs::create_dir(house.path(name)).unwrap();
        house.write(&format!("{name}/jobs.toml"), text);
    };
    let switch = |name: &str| {
        symlink(name, house.path("..data_tmp")).unwrap();
        fs::rename(house.path("..data_tmp"), house.path("..data")).unwrap();
    };
    version("..v1", ONE);
    switch("..v1");
    symlink("..data/jobs.toml", house.jobfile()).unwrap();
    let _supervisor = house.start();
    version("..v2", TWO);
    switch("..v2");
    fs::remove_dir_all(house.path("..v1")).unwrap();
    wait_jobs(&house, 2);
    version("..v3", &format!("{TWO}[jobs.c]\ncommand = 'true'\n"));
    switch("..v3");
    wait_jobs(&house, 3);
    assert_eq!(count(&house, "jobfile_bad"), 0);
}

#[test]
fn a_new_included_file_and_a_directory_that_comes_back_are_noticed() {
    let house = House::new(&format!("include = ['jobs.d/*.toml']\n{ONE}"));
    let _supervisor = house.start();
    fs::create_dir(house.path("jobs.d")).unwrap();
    house.write("jobs.d/b.toml", "[jobs.b]\ncommand = 'true'\n");
    wait_jobs(&house, 2);
    fs::remove_dir_all(house.path("jobs.d")).unwrap();
    wait_jobs(&house, 1);
    fs::create_dir(house.path("jobs.d")).unwrap();
    for name in ["b", "c"] {
        house.write(&format!("jobs.d/{name}.toml"), format!("[jobs.{name}]\ncommand = 'true'\n"));
    }
    wait_jobs(&house, 3);
}

#[test]
fn a_checkout_of_a_repository_is_noticed() {
    let house = bare();
    fs::create_dir(house.path("repository")).unwrap();
    let git = |args: &[&str]| {
        let mut git = program("git");
        git.current_dir(house.path("repository"))
            .env("HOME", house.dir())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .args(["-c", "user.name=a", "-c", "user.email=a@b"])
            .args(args);
        answer_of(&mut git).expect(0)
    };
    if program("git").arg("--version").output().is_err() {
        return skipped(Need::Git, "git is not installed");
    }
    git(&["init", "-q"]);
    house.write("repository/jobs.toml", ONE);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "one"]);
    git(&["branch", "one"]);
    git(&["checkout", "-q", "-b", "two"]);
    house.write("repository/jobs.toml", "include = ['more/*.toml']\n[jobs.a]\ncommand = 'true'\n");
    fs::create_dir(house.path("repository/more")).unwrap();
    house.write("repository/more/b.toml", "[jobs.b]\ncommand = 'true'\n");
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "two"]);
    git(&["checkout", "-q", "one"]);
    let mut jobctl = house.jobctl();
    jobctl.env("JOBCTL_JOBFILE", house.path("repository/jobs.toml"));
    let _supervisor = house.start_with(&mut jobctl, &[]);
    git(&["checkout", "-q", "two"]);
    wait_jobs(&house, 2);
    git(&["checkout", "-q", "one"]);
    wait_jobs(&house, 1);
}

#[test]
fn a_bad_jobfile_is_told_once_and_forgotten_when_it_is_mended() {
    let house = House::new(ONE);
    let _supervisor = house.start();
    house.write_jobfile("[jobs.a]\ncomand = 'true'\n");
    house.wait_text("log", "event=jobfile_bad");
    wait_for("status to tell", || error_of(&house).filter(|error| error.contains("comand")));
    // The same text once more is no news, and neither is a look at it.
    house.write_jobfile("[jobs.a]\ncomand = 'true'\n");
    house.write_jobfile(TWO);
    wait_jobs(&house, 2);
    wait_for("the error to be gone", || error_of(&house).is_none().then_some(()));
    assert_eq!(count(&house, "jobfile_bad"), 1);
    // The one that was in force all the time comes back: the error goes, too.
    fs::remove_file(house.jobfile()).unwrap();
    house.wait_text("log", "no such file");
    house.write_jobfile(TWO);
    wait_for("the error to be gone", || error_of(&house).is_none().then_some(()));
}

#[test]
fn what_would_remove_a_job_with_unfinished_runs_waits() {
    let house = House::new(&format!("{ONE}[jobs.long]\n{SLEEP}"));
    let supervisor = house.start();
    let run = house.enqueue(&["long"]);
    house.wait_text("began", "x");
    house.write_jobfile(&format!("{ONE}[jobs.new]\ncommand = 'true'\n"));
    house.wait_text("log", "event=jobfile_held");
    let error = wait_for("status to tell", || error_of(&house));
    assert!(error.contains("job `long`") && error.contains("1 unfinished run"), "{error}");
    assert!(error.contains("hint: load it now with `jobctl reload`"), "{error}");
    supervisor.send(Signal::SIGHUP);
    wait_for("HUP to be held, too", || (count(&house, "jobfile_held") == 2).then_some(()));
    assert_eq!(count(&house, "reload"), 0, "nothing of it is taken");
    assert_eq!(house.show(run)["state"], "running");
    house.ask(&["cancel", &run.to_string()]).expect(0);
    house.wait_text("log", "event=reload jobs=2 added=1 changed=0 removed=1");
    wait_for("the error to be gone", || error_of(&house).is_none().then_some(()));
}

#[test]
fn reload_removes_a_job_and_what_runs_goes_on() {
    let house = House::new(&format!("{ONE}[jobs.long]\n{SLEEP}"));
    let _supervisor = house.start();
    let run = house.enqueue(&["long"]);
    let waiting = house.enqueue(&["long"]);
    house.wait_text("began", "x");
    house.write_jobfile(ONE);
    let answer = house.ask(&["reload"]).expect(0);
    assert_eq!(answer.out, "in force, 1 job; removed long\n");
    assert_eq!(house.show(run)["state"], "running");
    assert_eq!(house.show(waiting)["state"], "queued");
}

#[test]
fn reload_answers_what_changed_and_why_not() {
    let house = House::new(TWO);
    house.ask(&["reload"]).expect(4);
    let supervisor = house.start();
    let answer = house.ask(&["reload"]).expect(0);
    assert_eq!(answer.out, "in force, 2 jobs; nothing changed\n");
    house.write_jobfile("[jobs.a]\ncommand = 'false'\n[jobs.c]\ncommand = 'true'\n[jobs.d]\ncommand = '1'\nwas = ['b']\n");
    let answer = house.ask(&["reload", "--json"]).expect(0).json();
    assert_eq!(answer["ok"], true);
    assert_eq!(answer["jobs"], 3);
    assert_eq!(answer["added"][0], "c");
    assert_eq!(answer["changed"][0], "a");
    assert_eq!(answer["renamed"][0]["from"], "b");
    assert_eq!(answer["renamed"][0]["to"], "d");
    assert_eq!(answer["removed"].as_array().map(Vec::len), Some(0));

    house.write_jobfile("[jobs.a]\ncomand = '1'\n[jobs.b]\ncommand = 2\n");
    let answer = house.ask(&["reload"]).expect(1);
    assert!(answer.err.contains("jobs.toml:2:1: job `a`"), "{answer:#?}");
    assert!(answer.err.contains("jobs.toml:4:"), "{answer:#?}");
    let checked = house.ask(&["check", "--json"]).expect(1).json();
    let answer = house.ask(&["reload", "--json"]).expect(1).json();
    assert_eq!(answer["ok"], false);
    assert_eq!(answer["errors"], checked["errors"]);
    supervisor.stop();
    house.ask(&["reload"]).expect(4);
}

#[test]
fn two_reloads_at_once_are_both_answered() {
    let house = House::new(ONE);
    let _supervisor = house.start();
    let reload = || {
        let mut command = house.jobctl();
        command.arg("reload").stdout(Stdio::piped());
        command.spawn().unwrap()
    };
    let all: Vec<_> = (0..6).map(|_| reload()).collect();
    for child in all {
        let output = child.wait_with_output().unwrap();
        let out = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{out}");
        assert!(out.starts_with("in force, 1 job;"), "{out}");
    }
}

#[test]
fn a_reload_whose_supervisor_goes_away_says_so() {
    let house = House::new(ONE);
    let supervisor = house.start();
    stop_between_turns(&house, &supervisor);
    let mut reload = house.jobctl();
    reload.arg("reload").stderr(Stdio::piped());
    let child = reload.spawn().unwrap();
    let asked = || {
        let log = house.read("state/jobctl.db-wal");
        log.contains("reload_asked").then_some(())
    };
    wait_for("the request to be in the store", asked);
    supervisor.kill();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    // The request that nobody answered is no harm to the next one.
    let _supervisor = house.start();
    house.ask(&["reload"]).expect(0);
}

#[test]
fn was_moves_runs_queue_keys_and_pause() {
    let house = House::new(&format!("[jobs.old]\n{SLEEP}"));
    let _supervisor = house.start();
    let running = house.enqueue(&["--key", "k1", "old"]);
    house.wait_text("began", "x");
    let queued = house.enqueue(&["--key", "k2", "old"]);
    // By itself: a renaming is no removal.
    house.write_jobfile(&format!("[jobs.new]\nwas = ['old']\n{SLEEP}"));
    house.wait_text("log", "event=reload jobs=1 added=0 changed=0 removed=0 renamed=1");
    assert_eq!(house.show(running)["job"], "new");
    assert_eq!(house.show(running)["state"], "running");
    assert_eq!(house.show(queued)["job"], "new");
    assert_eq!(house.enqueue(&["--key", "k1", "new"]), running, "its key is held");
    assert_eq!(house.enqueue(&["--key", "k2", "new"]), queued);
    house.ask(&["cancel", &running.to_string()]).expect(0);
    house.wait_state(queued, "running");
    house.ask(&["pause", "new"]).expect(0);
    house.write_jobfile(&format!("[jobs.newer]\nwas = ['old', 'new']\n{SLEEP}"));
    house.ask(&["reload"]).expect(0);
    let jobs = house.status();
    assert_eq!(jobs["jobs"][0]["name"], "newer");
    assert_eq!(jobs["jobs"][0]["paused"], true);
    assert_eq!(jobs["jobs"].as_array().map(Vec::len), Some(1), "{jobs:#}");
}

#[test]
fn two_names_cannot_be_swapped_in_one_step() {
    let house = House::new(TWO);
    let _supervisor = house.start();
    house.write_jobfile(
        "[jobs.a]\ncommand = 'true'\nwas = ['b']\n[jobs.b]\ncommand = 'true'\nwas = ['a']\n",
    );
    let answer = house.ask(&["reload"]).expect(1);
    assert!(answer.err.contains("a job has that name"), "{answer:#?}");
}

#[test]
fn an_answer_that_does_not_come_is_told() {
    let house = House::new(ONE);
    let supervisor = house.start();
    stop_between_turns(&house, &supervisor);
    let log = fs::File::create(house.path("told")).unwrap();
    let mut reload = house.jobctl();
    reload.arg("reload").stderr(log);
    let mut child = reload.spawn().unwrap();
    house.wait_text("told", "has not answered yet");
    supervisor.send(Signal::SIGCONT);
    let ended = found_within(crate::support::DEADLINE, || child.try_wait().unwrap());
    assert!(ended.is_some_and(|status| status.success()));
}

#[test]
fn the_supervisor_says_how_it_reads_where_nothing_can_be_watched() {
    let limit = Path::new("/proc/sys/user/max_inotify_instances");
    let unshare = program("unshare").args(["-Ur", "true"]).output();
    if !limit.exists() || !unshare.is_ok_and(|output| output.status.success()) {
        return skipped(Need::Userns, "no user namespace can be made here");
    }
    let house = House::new(ONE);
    let jobctl = house.jobctl();
    let mut command = program("unshare");
    command.args(["-Ur", "sh", "-c", "echo 0 > \"$0\" && exec \"$@\""]);
    command.arg(limit).arg(jobctl.get_program());
    for (name, value) in jobctl.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let supervisor = house.start_with(&mut command, &[]);
    house.wait_text("log", "event=watch_failed");
    house.write_jobfile(TWO);
    house.ask(&["reload"]).expect(0);
    send(supervisor.pid(), Signal::SIGTERM);
    assert_eq!(count(&house, "watch_failed"), 1);
}

#[test]
fn a_dead_directory_of_includes_holds_no_schedule_up() {
    let house = House::new(
        "include = ['@T@/inc/*.toml']\n[jobs.tick]\nschedule = '@every 1s'\ncommand = 'echo x >> \"$T/ticks\"'\n",
    );
    fs::create_dir(house.path("inc")).expect("it is new");
    let supervisor = house.start();
    house.wait_lines("ticks", 1);
    let Some(_dead) = DeadMount::at(&house, "inc") else {
        return skipped(Need::Fuse, "a mount that never answers");
    };
    // The texts have to be looked at.
    house.write_jobfile(&fs::read_to_string(house.jobfile()).expect("it is there"));
    house.wait_text("log", "event=watch_failed");
    let ticks = house.lines("ticks").len();
    house.wait_lines("ticks", ticks + 2);
    assert_eq!(supervisor.stop(), 0);
}

const TICK: &str = "[jobs.tick]\nschedule = '@every 1s'\ncommand = 'echo x >> \"$T/ticks\"'\n";
const INCLUDES: &str = "include = ['@T@/inc/*.toml']\n";
const NO_ANSWER: &str = "the file system did not answer for 10s";

#[test]
fn a_reload_whose_includes_never_answer_holds_no_schedule_up_and_says_so() {
    let house = House::new(&format!("{INCLUDES}{TICK}"));
    fs::create_dir(house.path("inc")).expect("it is new");
    house.write("inc/a.toml", ONE);
    let supervisor = house.start();
    house.wait_lines("ticks", 1);
    let Some(dead) = DeadMount::at(&house, "inc") else {
        return skipped(Need::Fuse, "a mount that never answers");
    };
    let ticks = house.lines("ticks").len();
    let mut reload = house.jobctl();
    let mut reload = reload.arg("reload").stderr(Stdio::piped()).spawn().expect("it can be");
    house.wait_lines("ticks", ticks + 4);
    assert!(reload.try_wait().expect("it is ours").is_none(), "the schedule waited for it");
    let answer = answer_from(reload.wait_with_output().expect("it ends")).expect(1);
    assert!(answer.err.contains(&format!("jobs.toml: {NO_ANSWER}")), "{answer:#?}");
    assert!(answer.err.contains("the previous one stays"), "{answer:#?}");
    house.wait_text("log", "event=jobfile_bad");
    // Without what does not answer it is taken, although the first reading has not returned.
    house.write_jobfile(&format!("{TICK}{TWO}"));
    let answer = house.ask(&["reload"]).expect(0);
    assert_eq!(answer.out, "in force, 3 jobs; added b\n");
    house.write_jobfile(&format!("{INCLUDES}{TICK}"));
    drop(dead);
    let answer = house.ask(&["reload"]).expect(0);
    assert_eq!(answer.out, "in force, 2 jobs; removed b\n");
    assert_eq!(error_of(&house), None);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_dead_jobfile_at_hup_stays_as_it_was_until_it_can_be_read_again() {
    let house = bare();
    fs::create_dir(house.path("etc")).expect("it is new");
    house.write("etc/jobs.toml", TICK);
    let mut jobctl = house.jobctl();
    jobctl.env("JOBCTL_JOBFILE", house.path("etc/jobs.toml"));
    let supervisor = house.start_with(&mut jobctl, &[]);
    house.wait_lines("ticks", 1);
    let Some(dead) = DeadMount::at(&house, "etc") else {
        return skipped(Need::Fuse, "a mount that never answers");
    };
    supervisor.send(Signal::SIGHUP);
    let ticks = house.lines("ticks").len();
    house.wait_text("log", NO_ANSWER);
    assert!(house.lines("ticks").len() >= ticks + 8, "{}", house.read("log"));
    assert_eq!(count(&house, "reload"), 0);
    drop(dead);
    // By itself: nobody asks again.
    wait_jobs(&house, 1);
    assert_eq!(error_of(&house), None);
    assert_eq!(supervisor.stop(), 0);
}
