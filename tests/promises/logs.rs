//! What a command wrote is there: while it runs, after its end, and where it was too much, its head
//! and its tail.

use std::io::Read;
use std::process::{Child, Stdio};

use crate::support::{DEADLINE, House, found_within, wait_for};

fn logs_of(keys: &str) -> (House, i64) {
    let house = House::new(&format!("[jobs.says]\nshell = ['/bin/bash', '-c']\n{keys}\n"));
    let supervisor = house.start();
    let run = house.enqueue(&["says"]);
    house.wait_state(run, "succeeded");
    assert_eq!(supervisor.stop(), 0);
    (house, run)
}

#[test]
fn standard_output_and_standard_error_are_kept_in_order() {
    let (house, run) =
        logs_of("command = 'for i in 1 2 3; do echo out $i; echo err $i >&2; done; printf end'");
    let answer = house.ask(&["logs", &run.to_string()]).expect(0);
    assert_eq!(answer.out, "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\nend");
    assert_eq!(house.ask(&["logs", "says", "-n", "2"]).expect(0).out, "err 3\nend");
}

#[test]
fn bytes_that_are_no_text_come_back_as_they_were() {
    let (house, run) = logs_of(r"command = '''printf '\000\377\033[1m\n\200' '''");
    let answer = house.ask(&["logs", "--raw", &run.to_string()]).expect(0);
    assert_eq!(answer.bytes, b"\0\xff\x1b[1m\n\x80");
}

#[test]
fn a_command_without_output_has_empty_logs() {
    let (house, run) = logs_of("command = 'true'");
    assert_eq!(house.ask(&["logs", &run.to_string()]).expect(0).out, "");
}

#[test]
fn of_too_much_output_head_and_tail_are_kept_and_what_is_missing_is_said() {
    let total = 2 * 1024 * 1024;
    // 262,144 lines of eight bytes.
    let (house, run) = logs_of("command = \"seq -f '%07.0f' 1 262144\"");
    let shown = house.show(run);
    assert_eq!(shown["attempts"][0]["output_bytes"], total);
    let answer = house.ask(&["logs", &run.to_string()]).expect(0);
    let kept = answer.bytes.len();
    assert_eq!(kept, 1024 * 1024);
    assert!(answer.out.starts_with("0000001\n0000002\n"), "{}", &answer.out[..80]);
    assert!(answer.out.ends_with("0262143\n0262144\n"), "{}", &answer.out[kept - 80..]);
    assert!(answer.err.contains(&format!("{} bytes left out", total - kept)), "{}", answer.err);
    let gaps =
        answer.out.lines().map(|line| line.parse::<i64>().expect("a number")).collect::<Vec<_>>();
    assert_eq!(gaps.windows(2).filter(|pair| pair[1] != pair[0] + 1).count(), 1);
    assert_eq!(house.ask(&["logs", "-n", "1", &run.to_string()]).expect(0).out, "0262144\n");
}

#[test]
fn output_max_is_what_the_job_says() {
    let (house, run) = logs_of("output_max = '4 KiB'\ncommand = \"seq -f '%07.0f' 1 10000\"");
    let answer = house.ask(&["logs", &run.to_string()]).expect(0);
    assert_eq!(answer.bytes.len(), 4096);
    assert!(answer.out.starts_with("0000001\n") && answer.out.ends_with("0010000\n"));
}

#[test]
fn large_output_of_many_runs_is_kept_apart() {
    let house =
        House::new("[jobs.says]\nconcurrency = 2\ncommand = 'yes \"$1\" | head -c 200000'\n");
    let _supervisor = house.start();
    let runs: Vec<(i64, String)> = ["one", "two", "three", "four", "five"]
        .iter()
        .map(|word| (house.enqueue(&["says", word]), format!("{word}\n")))
        .collect();
    for (run, line) in runs {
        house.wait_state(run, "succeeded");
        let answer = house.ask(&["logs", &run.to_string()]).expect(0);
        assert_eq!(answer.bytes.len(), 200_000);
        let expected = line.repeat(200_000 / line.len() + 1);
        assert_eq!(answer.out, &expected[..200_000]);
    }
}

#[test]
fn each_attempt_has_its_own_output() {
    let house = House::new(
        "[jobs.says]\ncommand = 'echo attempt $JOBCTL_ATTEMPT; exit 1'\nretry = { max = 2, delay = '10ms' }\n",
    );
    let _supervisor = house.start();
    let run = house.enqueue(&["says"]);
    house.wait_state(run, "failed");
    for attempt in ["1", "2", "3"] {
        let answer = house.ask(&["logs", "--attempt", attempt, &run.to_string()]).expect(0);
        assert_eq!(answer.out, format!("attempt {attempt}\n"));
    }
    assert_eq!(house.ask(&["logs", &run.to_string()]).expect(0).out, "attempt 3\n");
    house.ask(&["logs", "--attempt", "4", &run.to_string()]).expect(3);
}

const SLOWLY: &str = r#"
[jobs.says]
shell = ["/bin/bash", "-c"]
command = '''
echo first
until [ -e "$T/go" ]; do read -t 0.02 _ <> "$T/never" || :; done
echo last
'''
"#;

/// `logs -f`, with what it has printed so far in a file.
fn follow(house: &House, what: &[&str]) -> Child {
    let file = std::fs::File::create(house.path("followed")).expect("it can be made");
    house
        .jobctl()
        .args(["logs", "-f"])
        .args(what)
        .stdout(file)
        .stderr(Stdio::null())
        .spawn()
        .expect("jobctl can be started")
}

#[test]
fn logs_f_follows_a_running_attempt_to_its_end_also_past_a_crash() {
    for crashes in [0, 1] {
        let house = House::new(SLOWLY);
        nix::unistd::mkfifo(&house.path("never"), nix::sys::stat::Mode::S_IRWXU)
            .expect("a FIFO can be made");
        let mut supervisor = house.start();
        let run = house.enqueue(&["says"]);
        let mut follower = follow(&house, &[&run.to_string()]);
        house.wait_text("followed", "first\n");
        for _ in 0..crashes {
            supervisor.kill();
            supervisor = house.start();
        }
        assert!(follower.try_wait().expect("it is ours").is_none(), "it did not follow");
        house.write("go", "");
        let status = found_within(DEADLINE, || follower.try_wait().expect("it is ours"));
        let _ = follower.kill();
        assert_eq!(status.and_then(|status| status.code()), Some(0));
        assert_eq!(house.read("followed"), "first\nlast\n");
    }
}

#[test]
fn logs_f_of_everything_follow_what_runs_from_then_on() {
    let house = House::new(SLOWLY);
    nix::unistd::mkfifo(&house.path("never"), nix::sys::stat::Mode::S_IRWXU)
        .expect("a FIFO can be made");
    house.write("go", "");
    let supervisor = house.start();
    let before = house.enqueue(&["says"]);
    house.wait_state(before, "succeeded");
    std::fs::remove_file(house.path("go")).expect("it is there");
    let under_way = house.enqueue(&["says"]);
    house.wait_state(under_way, "running");
    let mut follower = follow(&house, &[]);
    house.wait_text("followed", &format!("says#{under_way} | first\n"));
    house.write("go", "");
    house.wait_text("followed", &format!("says#{under_way} | last\n"));
    let later = house.enqueue(&["says"]);
    house.wait_text("followed", &format!("says#{later} | last\n"));
    follower.kill().expect("it is ours");
    follower.wait().expect("it is ours");
    assert_eq!(supervisor.stop(), 0);
    let lines = [(under_way, "first"), (under_way, "last"), (later, "first"), (later, "last")];
    let wanted: String = lines.map(|(run, said)| format!("says#{run} | {said}\n")).concat();
    assert_eq!(house.read("followed"), wanted);
}

#[test]
fn logs_of_a_running_attempt_show_what_is_there() {
    let house = House::new(SLOWLY);
    nix::unistd::mkfifo(&house.path("never"), nix::sys::stat::Mode::S_IRWXU)
        .expect("a FIFO can be made");
    let _supervisor = house.start();
    let run = house.enqueue(&["says"]);
    wait_for("the first line", || {
        (house.ask(&["logs", &run.to_string()]).out == "first\n").then_some(())
    });
}

#[test]
fn a_reader_that_goes_away_is_no_failure_worth_a_word() {
    let (house, run) = logs_of("command = 'yes | head -c 500000'");
    let mut child = house
        .jobctl()
        .args(["logs", &run.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("jobctl can be started");
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().expect("it was asked for").read_to_string(&mut said).expect("it is text");
    child.wait().expect("it ends");
    assert_eq!(said, "");
}

fn kept_files(house: &House) -> Vec<(String, u64)> {
    std::fs::read_dir(house.state_dir().join("output"))
        .expect("it is there")
        .map(|entry| entry.expect("it can be read"))
        .map(|entry| {
            let len = entry.metadata().map_or(0, |meta| meta.len());
            (entry.file_name().to_string_lossy().into_owned(), len)
        })
        .collect()
}

#[test]
fn output_total_max_holds_and_what_ended_first_loses_its_output_but_not_its_run() {
    let house = House::new(
        "output_total_max = '1 MiB'\n\
         [jobs.says]\ncommand = 'yes \"$1\" | head -c 300000'\n\
         [jobs.fails]\ncommand = 'yes failed | head -c 300000; exit 1'\n",
    );
    let supervisor = house.start();
    let failed = house.enqueue(&["fails"]);
    house.wait_state(failed, "failed");
    let mut runs = Vec::new();
    for word in ["one", "two", "three", "four", "five"] {
        let run = house.enqueue(&["says", word]);
        house.wait_state(run, "succeeded");
        // Written down before it is removed, so the file may outlive its row for a moment.
        wait_for("the sum to be kept", || {
            let sum: u64 = kept_files(&house).iter().map(|(_, len)| len).sum();
            (sum <= 1024 * 1024).then_some(())
        });
        runs.push(run);
    }
    let logs = |run: i64| house.ask(&["logs", &run.to_string()]).expect(0);
    for run in &runs[..3] {
        let answer = logs(*run);
        assert_eq!(answer.out, "", "run {run}");
        assert_eq!(
            answer.err,
            format!("jobctl: run {run}, attempt 1: its output was removed (output_total_max)\n")
        );
        assert_eq!(house.show(*run)["attempts"][0]["output_bytes"], 300_000);
    }
    for run in &runs[3..] {
        assert_eq!(logs(*run).bytes.len(), 300_000, "run {run}");
    }
    // Nobody has looked at this one yet.
    assert_eq!(logs(failed).bytes.len(), 300_000);
    house.ask(&["ack", &failed.to_string()]).expect(0);
    house.wait_state(house.enqueue(&["says", "six"]), "succeeded");
    wait_for("the failure to be expendable", || logs(failed).err.contains("removed").then_some(()));
    assert_eq!(logs(runs[3]).bytes.len(), 300_000);
    assert_eq!(supervisor.stop(), 0);
    let files = kept_files(&house);
    // The count is in the store: the next supervisor goes on from it.
    let supervisor = house.start();
    assert_eq!(kept_files(&house), files);
    house.wait_state(house.enqueue(&["says", "seven"]), "succeeded");
    wait_for("the sum to be kept", || (kept_files(&house).len() == 3).then_some(()));
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn much_output_costs_the_keeper_no_memory_and_keeps_its_head_and_tail() {
    const BYTES: usize = 64 * 1024 * 1024;
    let house = House::new(&format!(
        "[jobs.says]\ncommand = '''\necho first; yes | head -c {BYTES}; printf '\\nlast'\n\
         until [ -e \"$T/go\" ]; do sleep 0.02; done\n'''\n"
    ));
    let _supervisor = house.start();
    let run = house.enqueue(&["says"]);
    wait_for("all of it to be read", || {
        let logs = house.ask(&["logs", "-n", "1", &run.to_string()]);
        (logs.out == "last").then_some(())
    });
    let status = format!("/proc/{}/status", house.keeper_of(run));
    let status = std::fs::read_to_string(status).expect("it is alive");
    let peak: usize = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|text| text.trim().strip_suffix(" kB"))
        .and_then(|text| text.parse().ok())
        .expect("the kernel counts it");
    // What a process of this binary takes anyway, code and all.
    assert!(peak < 24 * 1024, "{peak} KiB");
    house.write("go", "");
    let ended = house.wait_state(run, "succeeded");
    let total = BYTES + "first\n\nlast".len();
    assert_eq!(ended["attempts"][0]["output_bytes"], total);
    let logs = house.ask(&["logs", &run.to_string()]).expect(0);
    assert_eq!(logs.bytes.len(), 1024 * 1024);
    assert!(logs.out.starts_with("first\ny\n") && logs.out.ends_with("y\n\nlast"));
}
