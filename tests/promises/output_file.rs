//! `output_file`: a log that other programs read and rotate gets all output, and costs no run.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use serde_json::Value;

use crate::support::{DeadMount, House, Need, answer_of, is_root, program, skipped};

#[test]
fn each_attempt_appends_to_the_file_that_has_the_name_then() {
    let house = House::new(
        "[jobs.says]\ncommand = 'echo out $1; echo err $1 >&2; exit $1'\noutput_file = '@T@/log.says'\n\
         retry = { max = 1, delay = '0s' }\n",
    );
    let supervisor = house.start();
    let failed = house.enqueue(&["says", "3"]);
    assert_eq!(house.wait_state(failed, "failed")["error"], Value::Null);
    assert_eq!(house.read("log.says"), "out 3\nerr 3\nout 3\nerr 3\n");
    let mode = fs::metadata(house.path("log.says")).expect("it is there").mode();
    assert_eq!(mode & 0o7777, 0o640);
    assert_eq!(house.ask(&["logs", &failed.to_string()]).expect(0).out, "out 3\nerr 3\n");
    fs::rename(house.path("log.says"), house.path("log.says.1")).expect("it is ours");
    let run = house.enqueue(&["says", "0"]);
    house.wait_state(run, "succeeded");
    assert_eq!(house.read("log.says"), "out 0\nerr 0\n");
    assert_eq!(supervisor.stop(), 0);
    house.ask(&["exec", "says", "0"]).expect(0);
    assert_eq!(house.read("log.says"), "out 0\nerr 0\nout 0\nerr 0\n");
}

#[test]
fn output_that_was_missing_is_forgotten_with_the_next_run() {
    let house = House::new("[jobs.a]\ncommand = 'echo said'\noutput_file = '@T@/none/log'\n");
    let supervisor = house.start();
    let says = || house.ask(&["status", "a"]).expect(0).out.contains("\noutput ");
    let run = house.enqueue(&["a"]);
    house.wait_state(run, "succeeded");
    assert!(says());
    fs::create_dir(house.path("none")).expect("it can be made");
    let run = house.enqueue(&["a"]);
    house.wait_state(run, "succeeded");
    assert!(!says());
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_file_that_cannot_be_opened_is_said_and_the_run_goes_on() {
    let house = House::new(
        "[defaults]\ncommand = 'echo said'\n[jobs.dir]\noutput_file = '@T@'\n[jobs.fifo]\noutput_file = '@T@/fifo'\n\
         [jobs.none]\noutput_file = '@T@/none/log'\n[jobs.device]\noutput_file = '/dev/full'\n\
         [jobs.link]\noutput_file = '@T@/link'\n",
    );
    answer_of(program("mkfifo").arg(house.path("fifo"))).expect(0);
    symlink("linked", house.path("link")).expect("it can be made");
    let check = house.ask(&["check"]).expect(0).err;
    let _supervisor = house.start();
    let place = |name: &str| house.path(name).display().to_string();
    for (job, path, why) in [
        ("dir", place(""), "is a directory"),
        ("fifo", place("fifo"), "not a regular file"),
        ("none", place("none/log"), "no such file or directory"),
        ("device", "/dev/full".to_owned(), "not a regular file"),
    ] {
        let path = path.trim_end_matches('/');
        let run = house.enqueue(&[job]);
        let ended = house.wait_state(run, "succeeded");
        assert_eq!(ended["error"], format!("output_file {path}: {why}"));
        let said = house.ask(&["logs", &run.to_string()]).expect(0);
        assert_eq!(said.out, "said\n");
        let remark = format!("run {run}, attempt 1: output_file {path}: {why}");
        assert!(said.err.contains(&remark), "{said:?}");
        let status = house.ask(&["status"]).expect(0).out;
        assert!(status.contains(&format!("output_file {path}: {why}\n")), "{status}");
        assert!(check.contains(&format!("output_file {path}: ")), "{check}");
    }
    let run = house.enqueue(&["link"]);
    assert_eq!(house.wait_state(run, "succeeded")["error"], Value::Null);
    assert_eq!(house.read("linked"), "said\n");
    assert!(!check.contains("link: "), "{check}");
}

#[test]
fn check_warns_root_of_a_directory_in_which_others_may_put_a_link() {
    if !is_root() {
        return skipped(Need::Root, "only to root the files of others are a danger");
    }
    let house = House::new(
        "[jobs.a]\ncommand = 'true'\noutput_file = '@T@/open/log'\n\
         [jobs.b]\ncommand = 'true'\nuser = 'daemon'\ncwd = '/'\noutput_file = '@T@/open/log'\n",
    );
    fs::create_dir(house.path("open")).expect("it can be made");
    let check = || house.ask(&["check"]).expect(0).err;
    assert!(!check().contains("output_file"), "{}", check());
    fs::set_permissions(house.path("open"), fs::Permissions::from_mode(0o777)).expect("it is ours");
    let said = check();
    assert_eq!(said.matches("every user may write in ").count(), 1, "{said}");
    assert!(said.contains("job `a`: output_file "), "{said}");
}

#[test]
fn a_file_system_that_hangs_holds_up_neither_the_timeout_nor_another_job() {
    let house = House::new(
        "[jobs.a]\ncommand = 'true'\ntimeout = '1s'\noutput_file = '@T@/dead/log'\n\
         [jobs.b]\ncommand = 'true'\n",
    );
    let Some(_dead) = DeadMount::at(&house, "dead") else {
        return skipped(Need::Fuse, "a mount that never answers takes root and /dev/fuse");
    };
    let supervisor = house.start();
    let (hangs, other) = (house.enqueue(&["a"]), house.enqueue(&["b"]));
    house.wait_state(other, "succeeded");
    let ended = house.wait_state(hangs, "failed");
    assert_eq!(ended["reason"], "timeout");
    let doing = format!("opening output_file {}", house.path("dead/log").display());
    assert!(ended["error"].as_str().expect("it is said").contains(&doing), "{ended}");
    assert_eq!(supervisor.stop(), 0);
}
