//! A supervisor that is started with too little: small limits, a umask that takes everything, no
//! `/dev/null`.

use std::process::Command;

use crate::support::{House, Need, answer_of, is_root, program, skipped, wait_for};

/// `jobctl` of a house, executed by a shell that has done this before.
pub(crate) fn after(house: &House, shell: &mut Command, script: &str) -> Command {
    let jobctl = house.jobctl();
    let mut command = std::mem::replace(shell, program("true"));
    command
        .args(["-c", &format!("{script}\nexec \"$0\" \"$@\"")])
        .arg(jobctl.get_program())
        .args(jobctl.get_args());
    for (name, value) in jobctl.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

fn output(house: &House, run: i64) -> String {
    house.ask(&["logs", "--raw", &run.to_string()]).expect(0).out
}

#[test]
fn a_low_limit_of_open_files_is_raised_and_its_jobs_have_it_as_it_was() {
    let house = House::new(
        "[jobs.a]\ncommand = 'ulimit -Sn'\n[jobs.b]\ncommand = 'ulimit -Sn'\nlimits = { open_files = 30 }\n",
    );
    let mut command = after(&house, &mut program("sh"), "ulimit -Sn 20");
    let supervisor = house.start_with(&mut command, &[]);
    for (job, limit) in [("a", "20\n"), ("b", "30\n")] {
        let run = house.enqueue(&[job]);
        house.wait_state(run, "succeeded");
        assert_eq!(output(&house, run), limit, "{job}");
    }
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn one_that_cannot_be_raised_is_said_before_anything_is_made() {
    let house = House::new("[jobs.a]\ncommand = 'true'\n");
    let mut command = after(&house, &mut program("sh"), "ulimit -n 20");
    assert_eq!(house.spawn(&mut command, &[]).wait_code(), 111);
    let said = house.read("log");
    assert!(
        said.contains("open files: the limit of 20") && said.contains("LimitNOFILE="),
        "{said}"
    );
    assert!(!house.state_dir().exists());
    // The least is enough.
    let mut command = after(&house, &mut program("sh"), "ulimit -n 32");
    let supervisor = house.start_with(&mut command, &[]);
    let run = house.enqueue(&["a"]);
    house.wait_state(run, "succeeded");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_limit_of_file_sizes_does_not_end_the_supervisor_and_is_none_of_its_jobs_signals() {
    let house = House::new(
        "[jobs.a]\ncommand = 'grep SigIgn /proc/self/status'\n[jobs.big]\ncommand = 'true'\n",
    );
    let mut command = after(&house, &mut program("sh"), "ulimit -f 1024");
    let mut supervisor = house.start_with(&mut command, &[]);
    let run = house.enqueue(&["a"]);
    house.wait_state(run, "succeeded");
    assert_eq!(output(&house, run).trim(), "SigIgn:\t0000000000000000");
    // The log of the store grows beyond what the supervisor may write.
    for _ in 0..3 {
        house.ask_with(&["enqueue", "--stdin", "big"], vec![b'x'; 600_000]).expect(0);
    }
    wait_for("a write to be refused", || {
        assert_eq!(supervisor.status(), None, "it was ended");
        let log = house.read("log");
        log.contains("event=store_failed").then_some(())
    });
    let log = house.read("log");
    assert!(
        log.contains("jobctl.db: reached this process's limit on file sizes")
            && !log.contains("disk_full"),
        "{log}"
    );
    supervisor.kill();
}

#[test]
fn without_dev_null_jobs_start_all_the_same() {
    let house = House::new("[jobs.a]\ncommand = 'cat; echo done'\n");
    let script = "mount -t tmpfs none /dev || exit 99";
    if !is_root() {
        return skipped(Need::Mount, "nothing can be mounted here");
    }
    let mut shell = program("unshare");
    shell.args(["-m", "sh"]);
    let mut command = after(&house, &mut shell, script);
    if answer_of(command.arg("--version")).code != 0 {
        return skipped(Need::Mount, "nothing can be mounted here");
    }
    let mut shell = program("unshare");
    shell.args(["-m", "sh"]);
    let supervisor = house.start_with(&mut after(&house, &mut shell, script), &[]);
    let run = house.enqueue(&["a"]);
    house.wait_state(run, "succeeded");
    assert_eq!(output(&house, run), "done\n");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_umask_that_takes_everything_takes_nothing_from_the_state_directory() {
    if !is_root() {
        return skipped(Need::Root, "only root becomes somebody else");
    }
    let mut house = House::new("[jobs.a]\ncommand = 'umask'\n");
    house.belong_to(65_533);
    let mut first = after(&house, &mut program("sh"), "umask 0777");
    let answer = answer_of(first.args(["enqueue", "a"])).expect(0);
    let run = answer.out.trim().parse().expect("an id");
    let supervisor = house.start();
    house.wait_state(run, "succeeded");
    assert_eq!(output(&house, run), "0022\n");
    assert_eq!(supervisor.stop(), 0);
}
