//! Text from elsewhere never commands a terminal: arguments, keys, output, errors, names of files, words of a jobfile.

use std::fs::File;
use std::io::Read;
use std::process::Command;

use nix::pty::{Winsize, openpty};

use crate::support::House;

/// CSI, OSC, C1, bidi controls and isolates, marks, what cannot be seen, separators.
const HOSTILE: &str = "\x1b[2J\x1b]0;title\x07\u{9b}2J\u{9d}0;t\u{9c}\u{202e}\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}\
                       \u{200b}\u{2028}\u{2029}\u{feff}\x7f\x08end";

/// The same as TOML writes it.
const HOSTILE_TOML: &str =
    "\\u001b[2J\\u001b]0;t\\u0007\\u009b2J\\u202e\\u2066\\u200f\\u061c\\u200b\\u2028\\u007fend";

/// What a command writes to a wide terminal for standard output and standard error.
fn on_terminal(command: &mut Command) -> Vec<u8> {
    on_terminal_of(400, command)
}

/// What a command writes to a terminal of so many columns.
pub(crate) fn on_terminal_of(columns: u16, command: &mut Command) -> Vec<u8> {
    let size = Winsize {
        ws_row: 50,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let pty = openpty(&size, None).expect("there are terminals");
    let other = pty.slave.try_clone().expect("it can be copied");
    let mut child = command
        .stdout(pty.slave)
        .stderr(other)
        .spawn()
        .expect("it can be started");
    // The end of what is read comes when nobody has the terminal open any more.
    command.stdout(std::process::Stdio::null());
    command.stderr(std::process::Stdio::null());
    let mut bytes = Vec::new();
    // Linux says EIO at the end.
    let _ = File::from(pty.master).read_to_end(&mut bytes);
    child.wait().expect("it is our child");
    bytes
}

/// Nothing that a terminal would obey, in text that is UTF-8; the line feeds of its own come as CR LF.
#[track_caller]
fn assert_harmless(bytes: &[u8], what: &str) {
    let text = std::str::from_utf8(bytes).unwrap_or_else(|error| {
        panic!(
            "{what}: {error}: {}",
            String::from_utf8_lossy(bytes).escape_debug()
        )
    });
    let text = text.replace("\r\n", "\n");
    let found = text.chars().find(|c| {
        c.is_control() && !matches!(c, '\n' | '\t') || HOSTILE.contains(*c) && !c.is_ascii()
    });
    assert_eq!(found, None, "{what}: {}", text.escape_debug());
}

fn ask(house: &House, args: &[&str]) -> Vec<u8> {
    on_terminal(house.jobctl().current_dir(house.dir()).args(args))
}

fn jobfile() -> String {
    format!(
        "[jobs.writes]\ndescription = \"{HOSTILE_TOML}\"\n\
         command = 'cat \"$T/hostile\"; exit 1'\non_failure = 'cat \"$T/hostile\"'\n\
         [jobs.missing]\ndescription = \"d\"\ncommand = [\"/nowhere/{HOSTILE_TOML}\"]\nschedule = '@daily'\n\
         [jobs.nowhere]\ncommand = \"true '{HOSTILE_TOML}'\"\ncwd = \"/nowhere/{HOSTILE_TOML}\"\nschedule = '0 1 * * *'\n"
    )
}

#[test]
fn no_command_lets_a_hostile_store_command_the_terminal() {
    let house = House::new(&jobfile());
    let mut bytes = HOSTILE.as_bytes().to_vec();
    bytes.extend_from_slice(b"\n\x9b2J\x90\xff\xc3(\xe2\x80");
    house.write("hostile", &bytes);
    let supervisor = house.start();
    let writes = house.enqueue(&["--key", HOSTILE, "writes", HOSTILE, "b"]);
    let (missing, nowhere) = (
        house.enqueue(&["missing", HOSTILE]),
        house.enqueue(&["nowhere", HOSTILE]),
    );
    for run in [writes, missing, nowhere] {
        house.wait_state(run, "failed");
    }
    let ids = [writes, missing, nowhere].map(|run| run.to_string());
    let mut calls: Vec<Vec<&str>> = vec![
        vec!["status"],
        vec!["status", "writes"],
        vec!["status", "missing"],
        vec!["next"],
        vec!["runs"],
        vec!["runs", "--key", HOSTILE],
        vec!["logs", "writes", "-n", "1"],
        vec!["enqueue", "--key", HOSTILE, "writes", HOSTILE],
        vec!["enqueue", HOSTILE],
        vec!["pause", HOSTILE],
        vec![HOSTILE],
        vec!["retry", "--failed", "--dry-run"],
        vec!["ack", "--failed", "--dry-run"],
        vec!["cancel", "--key", HOSTILE, "--dry-run"],
        vec!["check"],
        vec!["export", "crontab"],
        vec!["reload"],
        vec!["import", HOSTILE],
        vec!["backup", HOSTILE],
        vec!["restore", HOSTILE],
        vec!["init"],
        vec!["next", "--schedule", HOSTILE],
    ];
    for id in &ids {
        calls.extend([vec!["show", id], vec!["logs", id], vec!["wait", id]]);
    }
    for call in &calls {
        assert_harmless(&ask(&house, call), &call.join(" "));
        let json = [&["--json"], call.as_slice()].concat();
        assert_harmless(&ask(&house, &json), &json.join(" "));
    }
    assert_harmless(
        on_terminal(
            house
                .jobctl()
                .args(["status"])
                .env("JOBCTL_JOBFILE", HOSTILE),
        )
        .as_slice(),
        "a hostile name of a jobfile",
    );
    assert_eq!(supervisor.stop(), 0);
    // What is not shown is not changed: a pipe and --raw get the bytes as they are.
    assert_eq!(house.ask(&["logs", &ids[0]]).expect(0).bytes, bytes);
    let raw = ask(&house, &["logs", "--raw", &ids[0]]);
    assert!(raw.windows(4).any(|four| four == b"\x1b[2J"), "{raw:?}");
}

#[test]
fn errors_of_a_hostile_jobfile_and_crontab_are_harmless() {
    let house = House::new(&jobfile());
    for text in [
        format!("\"{HOSTILE_TOML}\" = 1\n"),
        format!("[jobs.\"{HOSTILE_TOML}\"]\ncommand = 'true'\n"),
        format!("[jobs.a]\ncommand = 'true'\nschedule = \"{HOSTILE_TOML}\"\n"),
        format!("[jobs.a]\ncommand = 'true'\nuser = \"{HOSTILE_TOML}\"\n"),
        format!("[jobs.a]\ncommand = 'true'\nenv = {{ \"{HOSTILE_TOML}\" = 'x' }}\n"),
        format!(
            "[jobs.a]\ncommand = 'true'\nenv_file = \"/{HOSTILE_TOML}\"\nlock = \"{HOSTILE_TOML}\"\n"
        ),
        format!(
            "include = [\"{HOSTILE_TOML}/*.toml\"]\n[jobs.a]\ncommand = 'true'\ntimezone = \"{HOSTILE_TOML}\"\n"
        ),
        format!("# {HOSTILE}\n[jobs.a]\ncommand = '{HOSTILE}'\n"),
    ] {
        house.write_jobfile(&text);
        for call in [&["check"][..], &["--json", "check"], &["status"], &["run"]] {
            if call == ["run"] && house.ask(&["check"]).code == 0 {
                continue;
            }
            assert_harmless(&ask(&house, call), &format!("{call:?}: {text:?}"));
        }
    }
    house.write(
        "crontab",
        format!("{HOSTILE}\n* * * * * echo {HOSTILE}\nA={HOSTILE}\n"),
    );
    let path = house.path("crontab").display().to_string();
    for call in [
        &["import", &path][..],
        &["--json", "import", &path],
        &["import", &path, "--prove"],
    ] {
        assert_harmless(&ask(&house, call), &format!("{call:?}"));
    }
}
