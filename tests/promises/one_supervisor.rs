//! A state directory has one supervisor, and that one has a jobfile: the one on disk or the last
//! good one.

use nix::sys::signal::Signal;

use crate::support::{
    House, Need, Supervisor, answer_of, is_root, program, skipped, stat_field, wait_for,
};

const NOTES: &str = "[jobs.notes]\ncommand = 'echo \"$1\" >> \"$T/notes\"'\n";
const BROKEN: &str = "[jobs.notes]\ncomand = 'true'\n";

#[test]
fn a_second_supervisor_is_refused_and_told_who_the_first_one_is() {
    let house = House::new(NOTES);
    let first = house.start();
    let answer = house.ask(&["run"]).expect(75);
    assert!(answer.err.contains(&format!("(pid {})", first.pid())), "{answer:#?}");
    assert!(answer.err.contains("hint: "), "{answer:#?}");
    let run = house.enqueue(&["notes", "still here"]);
    house.wait_state(run, "succeeded");
    assert_eq!(first.stop(), 0);
    assert_eq!(house.start().stop(), 0);
}

#[test]
fn one_that_was_killed_a_moment_ago_is_in_nobodys_way() {
    let house = House::new("[jobs.a]\ncommand = 'true'\n");
    let mut supervisors = vec![house.start()];
    for _ in 0..12 {
        let killed = supervisors.last().expect("there is one");
        killed.send(Signal::SIGKILL);
        // At once, as `kill -9 PID; jobctl run` does.
        supervisors.push(house.start());
    }
}

#[test]
fn keepers_that_are_left_do_not_keep_the_next_supervisor_out() {
    let house = House::new("[jobs.long]\ncommand = 'echo x >> \"$T/began\"; exec sleep 1000'\n");
    let supervisor = house.start();
    let run = house.enqueue(&["long"]);
    house.wait_text("began", "x");
    supervisor.kill();
    let supervisor = house.start();
    assert_eq!(house.show(run)["state"], "running");
    drop(supervisor);
}

#[test]
fn hup_takes_over_a_good_jobfile_and_leaves_what_runs_alone() {
    let house = House::new("[jobs.long]\ncommand = 'echo x >> \"$T/began\"; exec sleep 1000'\n");
    let supervisor = house.start();
    let long = house.enqueue(&["long"]);
    house.wait_text("began", "x");
    house.write_jobfile(&format!("{NOTES}[jobs.long]\ncommand = 'echo new >> \"$T/began\"'\n"));
    supervisor.send(Signal::SIGHUP);
    house.wait_text("log", "event=reload jobs=2");
    let run = house.enqueue(&["notes", "hello"]);
    house.wait_state(run, "succeeded");
    assert_eq!(house.show(long)["state"], "running");
    house.ask(&["cancel", &long.to_string()]).expect(0);
    house.wait_state(long, "cancelled");
    let again = house.enqueue(&["long"]);
    house.wait_state(again, "succeeded");
    assert_eq!(house.lines("began"), ["x", "new"]);
}

#[test]
fn hup_with_a_bad_jobfile_changes_nothing_and_status_says_why() {
    let house = House::new(NOTES);
    let supervisor = house.start();
    house.write_jobfile(BROKEN);
    supervisor.send(Signal::SIGHUP);
    house.wait_text("log", "event=jobfile_bad");
    let error = wait_for("status to tell", || {
        house.status()["supervisor"]["jobfile_error"].as_str().map(str::to_owned)
    });
    assert!(error.contains("comand") && error.contains("jobs.toml:2:"), "{error}");
    let run = house.enqueue(&["notes", "as before"]);
    house.wait_state(run, "succeeded");

    house.write_jobfile(NOTES);
    supervisor.send(Signal::SIGHUP);
    wait_for("the error to be gone", || {
        house.status()["supervisor"]["jobfile_error"].is_null().then_some(())
    });
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_broken_jobfile_at_start_is_said_and_the_last_good_one_is_used() {
    let house = House::new(NOTES);
    assert_eq!(house.start().stop(), 0);
    house.write_jobfile(BROKEN);
    let _supervisor = house.start();
    assert!(house.read("log").contains("event=jobfile_bad"), "{}", house.read("log"));
    let error = house.status()["supervisor"]["jobfile_error"].to_string();
    assert!(error.contains("comand"), "{error}");
    let run = house.enqueue(&["notes", "from the copy"]);
    house.wait_state(run, "succeeded");
    assert_eq!(house.lines("notes"), ["from the copy"]);
}

#[test]
fn a_jobfile_that_vanished_is_said_and_the_last_good_one_is_used() {
    let house = House::new(NOTES);
    assert_eq!(house.start().stop(), 0);
    std::fs::remove_file(house.jobfile()).expect("it was there");
    let _supervisor = house.start();
    assert!(house.read("log").contains("event=jobfile_bad"), "{}", house.read("log"));
    let run = house.enqueue(&["notes", "from the copy"]);
    house.wait_state(run, "succeeded");
}

#[test]
fn a_broken_jobfile_without_a_good_one_before_is_refused_with_its_place() {
    let house = House::new(BROKEN);
    let answer = house.ask(&["run"]).expect(1);
    assert!(answer.err.contains("jobs.toml:2:1: job `notes`"), "{answer:#?}");
    assert!(answer.err.contains("command"), "{answer:#?}");
}

#[test]
fn no_jobfile_at_all_is_a_wrong_call() {
    let house = House::new(NOTES);
    std::fs::remove_file(house.jobfile()).expect("it was there");
    let answer = house.ask(&["run"]).expect(2);
    assert!(answer.err.contains("jobs.toml"), "{answer:#?}");
}

#[test]
fn a_job_that_is_gone_from_the_jobfile_keeps_its_items_and_runs_them_when_it_is_back() {
    let house = House::new(NOTES);
    let item = house.enqueue(&["notes", "kept"]);
    house.write_jobfile("[jobs.other]\ncommand = 'true'\n");
    let supervisor = house.start();
    let other = house.enqueue(&["other"]);
    house.wait_state(other, "succeeded");
    assert_eq!(house.show(item)["state"], "queued");
    house.write_jobfile(NOTES);
    supervisor.send(Signal::SIGHUP);
    house.wait_state(item, "succeeded");
}

#[test]
fn a_renamed_job_takes_its_queue_along() {
    let house = House::new(NOTES);
    assert_eq!(house.start().stop(), 0);
    let item = house.enqueue(&["notes", "moved"]);
    house.write_jobfile("[jobs.words]\nwas = ['notes']\ncommand = 'echo \"$1\" >> \"$T/words\"'\n");
    let _supervisor = house.start();
    assert_eq!(house.wait_state(item, "succeeded")["job"], "words");
    assert_eq!(house.lines("words"), ["moved"]);
}

#[test]
fn one_whose_state_directory_was_moved_away_leaves_the_new_one_alone() {
    let house = House::new(NOTES);
    let mut first = house.start();
    let run = house.enqueue(&["notes", "first"]);
    house.wait_state(run, "succeeded");
    let moved = house.path("moved");
    std::fs::rename(house.state_dir(), &moved).expect("it is ours");
    let second = house.start();
    ring(&moved);
    assert_eq!(first.wait_code(), 111);
    house.wait_text("log", "event=ousted");
    let run = house.enqueue(&["notes", "second"]);
    house.wait_state(run, "succeeded");
    assert!(!house.read("log").contains("event=store_replaced"), "{}", house.read("log"));
    assert_eq!(second.stop(), 0);
    // Another one finds all in the old one.
    let mut jobctl = house.jobctl();
    jobctl.env("JOBCTL_STATE_DIR", &moved);
    let third = house.start_with(&mut jobctl, &[]);
    assert_eq!(third.stop(), 0);
    assert_eq!(house.lines("notes"), ["first", "second"]);
}

#[test]
fn one_whose_lock_and_bell_were_removed_takes_them_again() {
    let house = House::new(NOTES);
    let first = house.start();
    for name in ["supervisor.lock", "wake"] {
        let bell = house.state_dir().join("wake");
        let heard = std::fs::OpenOptions::new().write(true).open(&bell).expect("it is there");
        std::fs::remove_file(house.state_dir().join(name)).expect("it is there");
        std::io::Write::write_all(&mut &heard, b"!").expect("somebody listens");
        wait_for("it to be there again", || house.state_dir().join(name).exists().then_some(()));
        let answer = house.ask(&["run"]).expect(75);
        assert!(answer.err.contains(&format!("(pid {})", first.pid())), "{answer:#?}");
        let run = house.enqueue(&["notes", name]);
        house.wait_state(run, "succeeded");
    }
    assert_eq!(first.stop(), 0);
}

/// Stops a supervisor where it does not keep others from writing.
#[expect(clippy::disallowed_methods, reason = "an independent look at the store")]
fn stop_between_transactions(house: &House, supervisor: &Supervisor) {
    let store =
        rusqlite::Connection::open(house.state_dir().join("jobctl.db")).expect("it is ours");
    store.busy_timeout(std::time::Duration::ZERO).expect("it is a setting");
    wait_for("the supervisor to stop between two transactions", || {
        supervisor.send(Signal::SIGSTOP);
        wait_for("it to halt", || stat_field(supervisor.pid(), 0).filter(|state| state == "T"));
        let is_free = store.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok();
        if !is_free {
            supervisor.send(Signal::SIGCONT);
        }
        is_free.then_some(())
    });
}

#[test]
fn one_whose_lock_was_removed_and_taken_by_another_one_leaves() {
    let house = House::new(NOTES);
    let mut first = house.start();
    // Else it may take the lock again before the second one is there.
    stop_between_transactions(&house, &first);
    std::fs::remove_file(house.state_dir().join("supervisor.lock")).expect("it is there");
    let second = house.start();
    first.send(Signal::SIGCONT);
    // Both listen to one bell, so either may hear a ring.
    let status = wait_for("the first one to leave", || {
        ring(&house.state_dir());
        first.status()
    });
    assert_eq!(status.code(), Some(75));
    let run = house.enqueue(&["notes", "once"]);
    house.wait_state(run, "succeeded");
    assert_eq!(second.stop(), 0);
    assert_eq!(house.lines("notes"), ["once"]);
}

/// `jobctl` with a state directory that follows from the path of its jobfile.
fn by_path(house: &House, jobfile: &std::path::Path) -> std::process::Command {
    let mut jobctl = house.jobctl();
    jobctl
        .env("JOBCTL_JOBFILE", jobfile)
        .env_remove("JOBCTL_STATE_DIR")
        .env_remove("STATE_DIRECTORY");
    let home = house.path("home");
    if is_root() {
        // Root's state directory is where it is, so this is root of a namespace with another one
        // there.
        let mut inside = program("unshare");
        inside.args(["-m", "sh", "-c", "mount --bind \"$0\" /var/lib && exec \"$@\""]);
        inside.arg(home).arg(jobctl.get_program());
        for (name, value) in jobctl.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        return inside;
    }
    jobctl.env("XDG_STATE_HOME", home);
    jobctl
}

#[test]
fn one_jobfile_by_path_and_by_link_has_one_supervisor() {
    let house = House::new(NOTES);
    std::fs::create_dir(house.path("home")).expect("it can be made");
    if answer_of(by_path(&house, &house.jobfile()).arg("--version")).code != 0 {
        return skipped(Need::Mount, "nothing can be mounted here");
    }
    let link = house.path("link.toml");
    std::os::unix::fs::symlink("jobs.toml", &link).expect("it can be made");
    let first = house.start_with(&mut by_path(&house, &house.jobfile()), &[]);
    let answer = answer_of(by_path(&house, &link).arg("run")).expect(75);
    assert!(
        answer.err.contains(&format!("(pid {})", first.pid()))
            && answer.err.contains("jobs.toml")
            && answer.err.contains("--state-dir"),
        "{answer:#?}"
    );
    assert_eq!(
        std::fs::read_dir(house.path("home/jobctl")).expect("it is there").count(),
        1,
        "the one that was refused left something"
    );
    // Who names a state directory knows what that means.
    let mut named = by_path(&house, &link);
    named.env("JOBCTL_STATE_DIR", house.state_dir());
    assert_eq!(house.start_with(&mut named, &[]).stop(), 0);
    // Another file is another jobfile, and so is this one once the link is switched.
    house.write("other.toml", NOTES);
    std::fs::remove_file(&link).expect("it is there");
    std::os::unix::fs::symlink("other.toml", &link).expect("it can be made");
    let second = house.start_with(&mut by_path(&house, &link), &[]);
    let answer = answer_of(by_path(&house, &house.path("other.toml")).arg("run")).expect(75);
    assert!(answer.err.contains("link.toml"), "{answer:#?}");
    assert_eq!(second.stop(), 0);
    let third = house.start_with(&mut by_path(&house, &house.path("other.toml")), &[]);
    assert_eq!(third.stop(), 0);
    assert_eq!(first.stop(), 0);
}

/// As every command that adds something. Nobody may be there to hear it.
fn ring(state_dir: &std::path::Path) {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits());
    if let Ok(mut bell) = options.open(state_dir.join("wake")) {
        let _ = std::io::Write::write(&mut bell, b"!");
    }
}
