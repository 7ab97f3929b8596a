//! What a command says of itself in `$JOBCTL_REPORT`.

use std::os::unix::fs::MetadataExt;

use crate::support::{House, Need, become_user, is_root, program, skipped};

fn house(jobs: &str) -> House {
    let house = House::new(&format!("[defaults]\nshell = [\"/bin/bash\", \"-c\"]\n{jobs}"));
    nix::unistd::mkfifo(&house.path("door"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    house
}

const WAIT: &str = r#"read _ < "$T/door""#;

fn open_door(house: &House) {
    std::fs::write(house.path("door"), "\n").expect("somebody reads");
}

/// The file of the only report, as the command wrote it down.
fn path_of(house: &House) -> std::path::PathBuf {
    house.wait_lines("report", 1).remove(0).into()
}

#[test]
fn progress_and_result_are_shown_while_it_runs_and_kept() {
    let house = house(&format!(
        r#"[jobs.work]
command = """
echo progress=40 >> "$JOBCTL_REPORT"
echo result=half >> "$JOBCTL_REPORT"
echo "$JOBCTL_REPORT" >> "$T/report"
{WAIT}
echo progress=100 >> "$JOBCTL_REPORT"
echo 'result=12 files, "all" good' >> "$JOBCTL_REPORT"
"""
"#
    ));
    let supervisor = house.start();
    let id = house.enqueue(&["work"]);
    let path = path_of(&house);
    let run = house.show(id);
    assert_eq!((run["progress"].as_i64(), run["result"].as_str()), (Some(40), Some("half")));
    assert_eq!(house.runs("work")[0]["progress"], 40);
    let status = house.ask(&["status"]).expect(0).out;
    assert!(status.contains("running (40%)"), "{status}");
    let meta = std::fs::symlink_metadata(&path).expect("it is there");
    assert_eq!(meta.mode() & 0o7777, 0o600);
    open_door(&house);
    let run = house.wait_state(id, "succeeded");
    assert_eq!(
        (run["progress"].as_i64(), run["result"].as_str(), run["error"].as_str()),
        (Some(100), Some("12 files, \"all\" good"), None)
    );
    assert!(!path.exists());
    assert!(house.ask(&["show", &id.to_string()]).expect(0).out.contains("12 files"));
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_later_attempt_begins_anew() {
    let house = house(
        r#"[jobs.work]
retry = { max = 1, delay = "1ms" }
command = """
cat "$JOBCTL_REPORT" >> "$T/found"
[ "$JOBCTL_ATTEMPT" = 2 ] && exit 0
echo progress=30 >> "$JOBCTL_REPORT"; echo error=no disk >> "$JOBCTL_REPORT"; exit 1
"""
"#,
    );
    let supervisor = house.start();
    let id = house.enqueue(&["work"]);
    let run = house.wait_state(id, "succeeded");
    assert!(run["progress"].is_null() && run["error"].is_null(), "{run}");
    assert_eq!(run["attempts"][0]["error"], "no disk");
    assert_eq!(house.read("found"), "");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn retry_after_puts_off_and_is_not_charged() {
    let house = house(
        r#"[jobs.work]
command = 'echo retry_after=20ms >> "$JOBCTL_REPORT"; [ "$JOBCTL_ATTEMPT" -gt 3 ]'

[jobs.late]
retry = { give_up_after = "1h" }
command = 'echo retry_after=2h >> "$JOBCTL_REPORT"; exit 1'

[jobs.far]
command = 'echo retry_after=2h >> "$JOBCTL_REPORT"; exit 1'
"#,
    );
    let supervisor = house.start();
    let (work, late, far) =
        (house.enqueue(&["work"]), house.enqueue(&["late"]), house.enqueue(&["far"]));
    assert_eq!(house.wait_state(work, "succeeded")["attempt"], 4);
    assert_eq!(house.wait_state(late, "failed")["reason"], "give_up_after");
    let far = house.wait_state(far, "retrying");
    let due = crate::support::time(&far["due_at"]);
    let started = crate::support::time(&far["started_at"]);
    let minutes = (due - started).num_minutes();
    assert!((119..=121).contains(&minutes), "{far}");
    house.ask(&["exec", "far"]).expect(1);
    let states: Vec<_> = house.runs("far").iter().map(|run| run["state"].clone()).collect();
    assert_eq!(states, ["retrying", "failed"]);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn garbage_is_ignored_and_noted_once() {
    let house = house(
        r#"[jobs.work]
command = '''
printf "progress=1000\nhallo\n\377\376\nprogress=7\nretry_after=now\n" > "$JOBCTL_REPORT"
'''
"#,
    );
    let supervisor = house.start();
    let id = house.enqueue(&["work"]);
    let run = house.wait_state(id, "succeeded");
    assert_eq!(run["progress"], 7);
    assert_eq!(run["error"], "report: 4 unknown lines ignored");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn of_a_flood_only_the_end_is_read() {
    let house = house(
        r#"[jobs.work]
command = 'yes progress=3 | head -c 20000000 > "$JOBCTL_REPORT"; echo >> "$JOBCTL_REPORT"; echo progress=99 >> "$JOBCTL_REPORT"'
"#,
    );
    let supervisor = house.start();
    let id = house.enqueue(&["work"]);
    let run = house.wait_state(id, "succeeded");
    assert_eq!(run["progress"], 99);
    assert_eq!(run["error"], "report: longer than 64 KiB, only the end was read");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn no_link_is_followed_and_no_fifo_waited_for() {
    for replace in [
        "ln -sf \"$T/secret\" \"$JOBCTL_REPORT\"",
        "ln -f \"$T/secret\" \"$JOBCTL_REPORT\"",
        "rm \"$JOBCTL_REPORT\"; mkfifo \"$JOBCTL_REPORT\"",
        "rm \"$JOBCTL_REPORT\"; mkdir \"$JOBCTL_REPORT\"",
    ] {
        let house = house(&format!(
            "[jobs.work]\ncommand = \"\"\"\necho \"$JOBCTL_REPORT\" >> \"$T/report\"\n{replace}\n{WAIT}\n\"\"\"\n"
        ));
        house.write("secret", "result=secret\n");
        let supervisor = house.start();
        let id = house.enqueue(&["work"]);
        let path = path_of(&house);
        assert!(house.show(id)["result"].is_null(), "{replace}");
        open_door(&house);
        let run = house.wait_state(id, "succeeded");
        assert!(run["result"].is_null(), "{replace}: {run}");
        assert_eq!(house.read("secret"), "result=secret\n");
        assert_eq!(supervisor.stop(), 0);
        let _ = std::fs::remove_dir(path);
    }
}

#[test]
fn the_file_belongs_to_the_user_of_the_command() {
    if !is_root() {
        return skipped(Need::Root, "another user's command needs root");
    }
    let house = house(
        r#"[jobs.work]
user = "nobody"
cwd = "/"
command = 'echo progress=50 >> "$JOBCTL_REPORT"; stat -c "result=%U %a" "$JOBCTL_REPORT" >> "$JOBCTL_REPORT"'
"#,
    );
    let supervisor = house.start();
    let id = house.enqueue(&["work"]);
    let run = house.wait_state(id, "succeeded");
    assert_eq!((run["progress"].as_i64(), run["result"].as_str()), (Some(50), Some("nobody 600")));
    assert_eq!(supervisor.stop(), 0);
    // Nobody sees whose reports there are.
    let mut list = become_user(65_534);
    list.arg("ls").arg("/run/jobctl");
    assert!(!list.output().expect("it starts").status.success());
}

#[test]
fn a_person_who_waits_on_a_terminal_sees_how_far_it_is() {
    let has_script = program("sh").args(["-c", "command -v script"]).output().expect("sh is there");
    if !has_script.status.success() {
        return skipped(Need::Script, "script(1) is not installed");
    }
    let house = house(&format!(
        "[jobs.work]\ncommand = \"\"\"\necho progress=40 >> \"$JOBCTL_REPORT\"\necho up >> \"$T/up\"\n{WAIT}\n\"\"\"\n"
    ));
    let supervisor = house.start();
    let jobctl = house.jobctl();
    let mut line = format!("{} enqueue --wait work", jobctl.get_program().display());
    for (name, value) in jobctl.get_envs() {
        if let Some(value) = value {
            line = format!("{}='{}' {line}", name.display(), value.display());
        }
    }
    let mut script = program("script");
    script.args(["-qfec", &line]).arg(house.path("screen"));
    let mut script = script
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    house.wait_text("screen", "run 1 (work): running (40%)");
    open_door(&house);
    assert!(script.wait().expect("it is a child").success());
    assert_eq!(supervisor.stop(), 0);
}
