//! `output_file`: a log that other programs read and rotate gets all output, and costs no run.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use serde_json::Value;

use crate::support::{House, answer_of, program};

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
