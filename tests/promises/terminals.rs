//! Text from elsewhere never commands a terminal: arguments, keys, output, errors, names of files,
//! words of a jobfile.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::Signal;

use crate::support::{House, Need, is_root, send, skipped, wait_for};

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
    let size = Winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(&size, None).expect("there are terminals");
    let other = pty.slave.try_clone().expect("it can be copied");
    let mut child = command.stdout(pty.slave).stderr(other).spawn().expect("it can be started");
    // The end of what is read comes when nobody has the terminal open any more.
    command.stdout(std::process::Stdio::null());
    command.stderr(std::process::Stdio::null());
    let mut bytes = Vec::new();
    // Linux says EIO at the end.
    let _ = File::from(pty.master).read_to_end(&mut bytes);
    child.wait().expect("it is our child");
    bytes
}

/// Nothing that a terminal would obey, in text that is UTF-8; the line feeds of its own come as CR
/// LF.
#[track_caller]
fn assert_harmless(bytes: &[u8], what: &str) {
    let text = std::str::from_utf8(bytes).unwrap_or_else(|error| {
        panic!("{what}: {error}: {}", String::from_utf8_lossy(bytes).escape_debug())
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
    let (missing, nowhere) =
        (house.enqueue(&["missing", HOSTILE]), house.enqueue(&["nowhere", HOSTILE]));
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
        on_terminal(house.jobctl().args(["status"]).env("JOBCTL_JOBFILE", HOSTILE)).as_slice(),
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
    house.write("crontab", format!("{HOSTILE}\n* * * * * echo {HOSTILE}\nA={HOSTILE}\n"));
    let path = house.path("crontab").display().to_string();
    for call in
        [&["import", &path][..], &["--json", "import", &path], &["import", &path, "--prove"]]
    {
        assert_harmless(&ask(&house, call), &format!("{call:?}"));
    }
}

#[test]
fn check_shows_the_line_of_what_is_wrong_on_a_terminal() {
    let house = House::new("[jobs.a]\n\tcommand = ['/nowhere/x', \"1\"]\nmailto = 'x'\n");
    let said = |color: &str, columns| {
        let mut command = house.jobctl();
        command.current_dir(house.dir()).args([
            "--color",
            color,
            "--jobfile",
            "jobs.toml",
            "check",
        ]);
        String::from_utf8(on_terminal_of(columns, &mut command)).expect("it is text")
    };
    let plain = "jobs.toml:2:13: warning: job `a`: /nowhere/x: no such file or directory: attempts fail (spawn_failed)\r\n\
                 \x20   2 |  command = ['/nowhere/x', \"1\"]\r\n\
                 \x20     |             ^\r\n\r\nOK, 1 job\r\n";
    let wide = said("never", 80);
    assert!(wide.ends_with(plain), "{wide}");
    let narrow = said("never", 30);
    assert!(narrow.contains("    2 |  command = ['/nowhere…\r\n"), "{narrow}");
    assert!(said("always", 80).contains("2:13: \x1b[33mwarning:\x1b[0m job `a`"));
    house.write_jobfile("[jobs.a]\ncomand = 'x'\n");
    let errors = said("always", 80);
    assert!(errors.contains("jobs.toml:2:1: \x1b[31merror:\x1b[0m job `a`: "), "{errors}");
}

#[test]
fn a_long_queue_says_what_starts_next_and_its_ids_are_for_pipes() {
    let house = House::new("[jobs.a]\ncommand = 'true'\n");
    let items: String = (1..=30).map(|nth| format!("item{nth}\n")).collect();
    let ids = house.ask_with(&["enqueue", "--lines", "a"], &items).expect(0).out;
    assert_eq!(ids.lines().count(), 30);
    let input = File::open(house.write("items", &items)).expect("it was just written");
    let mut enqueue = house.jobctl();
    enqueue.args(["enqueue", "--lines", "a"]).stdin(input);
    let said = String::from_utf8(on_terminal_of(80, &mut enqueue)).expect("it is text");
    assert!(said.ends_with("\n30 runs, 31 to 60\r\n"), "{said}");
    let first = house.enqueue(&["--priority", "5", "a", "urgent"]);
    let status = house.ask(&["status"]).expect(0).out;
    let (_, next) = status.split_once("61 waiting; next to start:\n").expect("it is said");
    let shown: Vec<&str> = next
        .lines()
        .skip(1)
        .take(10)
        .filter_map(|line| line.split(' ').find(|word| !word.is_empty()))
        .collect();
    let expected: Vec<String> =
        std::iter::once(first).chain(1..=9).map(|id| id.to_string()).collect();
    assert_eq!(shown, expected);
    assert!(
        next.ends_with("\n51 more: `jobctl runs --state queued,retrying,scheduled`\n"),
        "{next}"
    );
}

#[test]
fn failures_show_the_last_lines_that_they_printed() {
    let house =
        House::new("[jobs.a]\ncommand = 'for n in 1 2 3 4; do echo \"line $n\"; done; exit 3'\n");
    let supervisor = house.start();
    let run = house.enqueue(&["a"]);
    house.wait_state(run, "failed");
    for call in [&["runs", "--failed"][..], &["status"]] {
        let said = house.ask(call).expect(0).out;
        assert!(said.contains("LAST LINE\n") && said.contains("  line 4\n"), "{said}");
    }
    let why = house.ask(&["why", &run.to_string()]).expect(0).out;
    assert!(why.contains("; last lines of output: line 2 / line 3 / line 4"), "{why}");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn what_exec_copies_is_escaped_on_a_terminal_and_exact_elsewhere() {
    let house = House::new(&jobfile());
    let mut bytes = HOSTILE.as_bytes().to_vec();
    bytes.extend_from_slice(b"\n\x9b2J\x90\xff\xc3(\xe2\x80");
    house.write("hostile", &bytes);
    assert_harmless(&ask(&house, &["exec", "writes"]), "exec");
    assert_harmless(&ask(&house, &["--json", "exec", "writes"]), "exec with json");
    let raw = ask(&house, &["exec", "--raw", "writes"]);
    assert!(raw.windows(4).any(|four| four == b"\x1b[2J"), "{raw:?}");
    assert_eq!(house.ask(&["exec", "writes"]).expect(1).bytes, bytes);
}

/// Reads a line and the end; says before which terminals its shell could read, write or type into.
const LOOKS: &str = r#"[jobs.looks]
user = 'daemon'
command = """
for fd in /proc/$$/fd/*; do readlink "$fd"; done | grep -E '/dev/(pts|tty)'
if (: < /dev/tty) 2> /dev/null; then echo controlled; fi
read -r line; echo "got $line"; read -r line || echo 'the end'
"""
"#;

#[test]
fn a_command_of_another_user_gets_what_is_typed_and_no_terminal() {
    if !is_root() {
        return skipped(Need::Root, "only root starts commands as somebody else");
    }
    let house = House::new(LOOKS);
    let pty = openpty(None, None).expect("there are terminals");
    let mut exec = house.jobctl();
    exec.args(["exec", "--tty-stdin", "looks"])
        .stdin(pty.slave.try_clone().expect("it can be copied"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let exec = exec.spawn().expect("it starts");
    let mut typist = File::from(pty.master);
    // Control-D at the beginning of a line is the end (termios(3), VEOF).
    typist.write_all(b"typed\n\x04").expect("it takes it");
    let output = exec.wait_with_output().expect("it is a child");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "got typed\nthe end\n", "{said}");
    assert_eq!(output.status.code(), Some(0));
    assert!(said.contains("gets no terminal"), "{said}");
}

#[test]
fn what_another_users_command_leaves_running_does_not_read_the_terminal() {
    if !is_root() {
        return skipped(Need::Root, "only root starts commands as somebody else");
    }
    let house = House::new("");
    let loot = house.path("loot");
    // It leaves a process that waits for a line.
    house.write_jobfile(&format!(
        "[jobs.leaves]\nuser = 'daemon'\ncwd = '{}'\ncommand = 'exec 3<&0; \
         {{ read -r line; echo stole $line > draft; mv draft stolen; }} <&3 > /dev/null 2>&1 &'\n",
        loot.display()
    ));
    std::fs::create_dir(&loot).expect("it can be made");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(&loot, open).expect("it is ours");
    let pty = openpty(None, None).expect("there are terminals");
    let status = house
        .jobctl()
        .args(["exec", "--tty-stdin", "leaves"])
        .stdin(pty.slave.try_clone().expect("it can be copied"))
        .stdout(Stdio::null())
        .status()
        .expect("it starts");
    assert_eq!(status.code(), Some(0));
    let mut typist = File::from(pty.master);
    typist.write_all(b"secret\n").expect("it takes it");
    // Its pipe has no writer any more, so it comes to its end without a line.
    wait_for("the end of what was left", || loot.join("stolen").exists().then_some(()));
    assert_eq!(house.read("loot/stolen"), "stole\n");
}

#[test]
fn help_is_coloured_and_wrapped_for_the_terminal() {
    let house = House::empty();
    for columns in [60, 80, 200] {
        let mut command = house.jobctl();
        command.env_remove("NO_COLOR").env("TERM", "xterm").args(["help", "enqueue"]);
        let shown = String::from_utf8(on_terminal_of(columns, &mut command)).expect("it is text");
        assert!(shown.contains("\x1b[1m\x1b[4mOptions:\x1b[0m"), "{shown}");
        let mut plain = house.jobctl();
        plain.env("NO_COLOR", "1").args(["help", "enqueue"]);
        let shown = String::from_utf8(on_terminal_of(columns, &mut plain)).expect("it is text");
        assert!(!shown.contains('\x1b'), "{shown}");
        let widest = shown.lines().map(str::len).max().unwrap_or_default();
        assert!(widest <= usize::from(columns.min(100)), "{columns}: {widest}");
    }
    assert!(!house.ask(&["help", "enqueue"]).out.contains('\x1b'));
}

#[test]
fn man_shows_the_page_on_a_terminal() {
    let house = House::empty();
    house.write_program("bin/man", "#!/bin/sh\necho \"$@\" > \"$T/args\"\ncat > \"$T/page\"\n");
    let bin = house.path("bin");
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let shown = on_terminal(house.jobctl().env("PATH", path).args(["man", "jobctl.toml"]));
    assert_eq!(String::from_utf8_lossy(&shown), "");
    assert_eq!(house.read("args"), "-l -\n");
    assert_eq!(house.read("page"), house.ask(&["man", "jobctl.toml"]).out);
    // Where there is no man(1), the source is better than nothing.
    let shown = on_terminal(house.jobctl().env("PATH", "/nowhere").arg("man"));
    assert!(String::from_utf8_lossy(&shown).contains(".Dt JOBCTL 1"));
}

#[test]
fn a_supervisor_on_a_terminal_logs_for_a_person_and_says_what_to_try_next() {
    let house = House::new("[jobs.a]\ncommand = 'exit 3'\nretry = 0\n");
    let run = house.enqueue(&["a"]);
    let mut supervisor = house.jobctl();
    supervisor.env("TZ", "UTC").env("TERM", "xterm").env_remove("NO_COLOR").arg("run");
    let shown = std::thread::scope(|scope| {
        scope.spawn(|| {
            house.wait_state(run, "failed");
            let status = house.ask(&["status", "--json"]).json();
            let pid = status["supervisor"]["pid"].as_i64().expect("it runs");
            send(i32::try_from(pid).expect("small"), Signal::SIGTERM);
        });
        String::from_utf8(on_terminal(&mut supervisor)).expect("it is text")
    });
    let end = format!("\x1b[31mend     \x1b[0m \x1b[1ma\x1b[0m run {run}: exit 3, ");
    let line = shown.lines().find(|line| line.contains(&end));
    let line = line.unwrap_or_else(|| panic!("no {end:?} in {shown:?}"));
    assert!(line.ends_with("\x1b[31mfailed (exit)\x1b[0m"), "{line:?}");
    let hour = line.trim_start_matches("\x1b[2m").split(':').next().unwrap_or_default();
    assert!(hour.len() == 2 && hour.parse::<u8>().is_ok(), "{line:?}");
    assert!(shown.contains("jobctl: stopped; next, try\r\n"), "{shown}");
    assert!(shown.contains(" retry --failed "), "{shown}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a stranger with a tool of his own")]
fn long_work_shows_how_far_it_is_on_a_terminal_and_takes_the_line_away() {
    let house = House::new("[jobs.a]\ncommand = 'true'\n");
    house.enqueue(&["a"]);
    let shown = |columns, args: &[&str]| {
        let said = on_terminal_of(columns, house.jobctl().args(args));
        String::from_utf8(said).expect("it is text")
    };
    let wait = |timeout| ["wait", "1", "--timeout", timeout];
    let said = shown(80, &wait("3s"));
    let line = "\rrun 1 (a): queued\rrun 1 (a): queued";
    assert!(said.contains(line), "{said:?}");
    let blanks = " ".repeat("run 1 (a): queued".len());
    assert!(said.contains(&format!("\r{blanks}\rjobctl: timed out: ")), "{said:?}");
    assert!(shown(12, &wait("3s")).contains("\rrun 1 (a):\u{2026}"));
    assert!(!shown(80, &wait("0.1s")).contains("\rrun"));
    for quiet in [house.ask(&wait("1s")).err, shown(80, &[&["-q"], &wait("1s")[..]].concat())] {
        assert!(!quiet.contains("\rrun"), "{quiet:?}");
    }
    let backup = house.path("backup").display().to_string();
    house.ask(&["backup", &backup]).expect(0);
    let stranger = rusqlite::Connection::open(house.state_dir().join("jobctl.db"));
    let stranger = stranger.expect("the store is there");
    stranger.execute_batch("BEGIN IMMEDIATE").expect("it is free");
    let said = shown(80, &["restore", &backup]);
    assert!(said.contains("\rrestoring the store (1s)"), "{said:?}");
    assert!(said.contains("\rjobctl: "), "{said:?}");
}
