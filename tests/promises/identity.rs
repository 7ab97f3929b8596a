//! `user` and `group`: a command has the rights it was promised, or it is not executed.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use nix::libc;
use serde_json::Value;

use crate::support::{House, Need, answer_of, is_root, program, skipped};

/// A user and a group that Debian always has.
const USER: &str = "daemon";
const GROUP: &str = "games";

const LOOKS: &str = "command = 'grep -E \"^(Uid|Gid|Groups|CapEff):\" /proc/self/status; pwd; env'";

fn is_left_out() -> bool {
    if is_root() {
        return false;
    }
    skipped(Need::Root, "only root starts commands as somebody else");
    true
}

/// What a program prints, without the newline.
#[track_caller]
fn says(command: &mut Command) -> String {
    answer_of(command).expect(0).out.trim_end().to_owned()
}

fn passwd(user: &str) -> Vec<String> {
    let line = says(program("getent").args(["passwd", user]));
    line.split(':').map(str::to_owned).collect()
}

/// The words behind `name:` in a line.
fn words<'t>(text: &'t str, name: &str) -> Vec<&'t str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .unwrap_or_else(|| panic!("{name} is missing: {text}"))
        .split_ascii_whitespace()
        .collect()
}

#[track_caller]
fn printed(keys: &str) -> String {
    let house = House::new(&format!("[jobs.looks]\n{LOOKS}\n{keys}\n"));
    let supervisor = house.start();
    let run = house.enqueue(&["looks"]);
    house.wait_state(run, "succeeded");
    let id = run.to_string();
    let out = house.ask(&["logs", "--raw", &id]).expect(0).out;
    assert_eq!(supervisor.stop(), 0);
    out
}

/// Groups of /proc are sorted; those of id(1) are not.
fn sorted(groups: &str) -> Vec<u32> {
    let mut groups: Vec<u32> =
        groups.split_ascii_whitespace().map(|group| group.parse().expect("a number")).collect();
    groups.sort_unstable();
    groups
}

#[test]
fn a_command_has_all_ids_of_its_user_and_no_capability() {
    if is_left_out() {
        return;
    }
    let text = printed(&format!("user = '{USER}'"));
    let entry = passwd(USER);
    assert_eq!(words(&text, "Uid"), [entry[2].as_str(); 4]);
    assert_eq!(words(&text, "Gid"), [entry[3].as_str(); 4]);
    let groups = says(program("id").args(["-G", USER]));
    assert_eq!(sorted(&words(&text, "Groups").join(" ")), sorted(&groups));
    assert_eq!(words(&text, "CapEff"), ["0000000000000000"]);
}

#[test]
fn its_surroundings_are_those_of_its_user() {
    if is_left_out() {
        return;
    }
    let text = printed(&format!("user = '{USER}'"));
    let entry = passwd(USER);
    let lines: Vec<&str> = text.lines().collect();
    let expected = [
        format!("USER={USER}"),
        format!("LOGNAME={USER}"),
        format!("HOME={}", entry[5]),
        format!("SHELL={}", entry[6]),
        "PATH=/usr/bin:/bin".to_owned(),
        entry[5].clone(),
    ];
    for line in expected {
        assert!(lines.contains(&line.as_str()), "{line} is missing: {text}");
    }
    // The house tells its commands where it is; a user that is given inherits nothing.
    assert!(!text.contains("\nT="), "{text}");
    let kept = printed(&format!("user = '{USER}'\ninherit_env = true"));
    assert!(kept.contains("\nT="), "{kept}");
    assert!(kept.contains(&format!("\nHOME={}\n", entry[5])), "{kept}");
}

#[test]
fn a_group_takes_the_place_of_the_users_own() {
    if is_left_out() {
        return;
    }
    let gid = says(program("getent").args(["group", GROUP]))
        .split(':')
        .nth(2)
        .expect("a number")
        .to_owned();
    let text = printed(&format!("user = '{USER}'\ngroup = '{GROUP}'"));
    assert_eq!(words(&text, "Gid"), [gid.as_str(); 4]);
    assert_eq!(words(&text, "Uid"), [passwd(USER)[2].as_str(); 4]);
    let alone = printed(&format!("group = '{GROUP}'"));
    assert_eq!(words(&alone, "Gid"), [gid.as_str(); 4]);
    assert_eq!(words(&alone, "Uid"), ["0"; 4]);
}

#[test]
fn a_user_or_group_that_is_not_there_is_a_failed_attempt_without_a_code() {
    for (keys, error) in [
        ("user = 'no-such-user'", "user no-such-user: no such user"),
        ("group = 'no-such-group'", "group no-such-group: no such group"),
    ] {
        let house = House::new(&format!("[jobs.looks]\n{LOOKS}\n{keys}\n"));
        let supervisor = house.start();
        let run = house.enqueue(&["looks"]);
        let ended = house.wait_state(run, "failed");
        assert_eq!(ended["outcome"], "spawn_failed");
        assert!(ended["exit_code"].is_null(), "{ended}");
        assert_eq!(ended["error"], error);
        assert_eq!(supervisor.stop(), 0);
    }
}

#[test]
fn who_is_not_root_starts_nothing_as_somebody_else() {
    if is_root() {
        return skipped(Need::NotRoot, "it takes a user who is not root");
    }
    let house = House::new("[jobs.looks]\ncommand = 'id'\nuser = 'root'\n");
    let supervisor = house.start();
    let run = house.enqueue(&["looks"]);
    let ended = house.wait_state(run, "failed");
    assert_eq!(
        ended["error"],
        "user root: only root's supervisor can run commands as another user"
    );
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_call_that_fails_or_only_pretends_never_lets_the_command_run() {
    if is_left_out() {
        return;
    }
    if answer_of(program("sh").args(["-c", "command -v strace"])).code != 0 {
        return skipped(Need::Strace, "strace is not installed");
    }
    for call in ["setgroups", "setresgid", "setresuid"] {
        for fault in ["error=EPERM", "error=EAGAIN", "retval=0"] {
            let house = House::new(&format!(
                "[jobs.looks]\ncommand = ['touch', '@T@/open/executed']\nuser = '{USER}'\n"
            ));
            fs::create_dir(house.path("open")).expect("it can be made");
            fs::set_permissions(house.path("open"), fs::Permissions::from_mode(0o777))
                .expect("it is ours");
            let jobctl = house.jobctl();
            let mut traced = program("strace");
            traced
                .args(["-D", "-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")])
                .args(["-e", &format!("inject={call}:{fault}")])
                .arg(jobctl.get_program())
                .args(jobctl.get_args());
            for (name, value) in jobctl.get_envs() {
                traced.env(name, value.unwrap_or_default());
            }
            let supervisor = house.start_with(&mut traced, &[]);
            let run = house.enqueue(&["looks"]);
            let ended = house.wait_state(run, "failed");
            assert_eq!(ended["outcome"], "spawn_failed", "{call} {fault}: {ended}");
            assert!(!house.path("open/executed").exists(), "{call} {fault}: {ended}");
            assert_eq!(supervisor.stop(), 0);
        }
    }
}

/// Puts a key into a new session keyring of this thread, which what it starts inherits. False:
/// there are no keyrings here.
#[expect(unsafe_code, reason = "nix has neither keyctl(2) nor add_key(2)")]
fn keep_key(description: &std::ffi::CStr) -> bool {
    const JOIN_SESSION_KEYRING: i32 = 1;
    const SESSION_KEYRING: i32 = -3;
    let unnamed = std::ptr::null::<u8>();
    // SAFETY: strings with their ends, one byte of a constant, and numbers.
    unsafe {
        libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, unnamed) >= 0
            && libc::syscall(
                libc::SYS_add_key,
                c"user".as_ptr(),
                description.as_ptr(),
                c"x".as_ptr(),
                1,
                SESSION_KEYRING,
            ) >= 0
    }
}

#[test]
fn a_command_of_another_user_has_none_of_the_supervisors_keys() {
    if is_left_out() {
        return;
    }
    if !keep_key(c"jobctl-secret") {
        return skipped(Need::Keyring, "the kernel has no keyrings, or forbids them");
    }
    let own = keys_seen("");
    assert!(own.contains("jobctl-secret"), "{own}");
    let theirs = keys_seen(&format!("user = '{USER}'"));
    assert!(!theirs.contains("jobctl-secret"), "{theirs}");
}

#[track_caller]
fn keys_seen(keys: &str) -> String {
    let house = House::new(&format!("[jobs.looks]\ncommand = 'cat /proc/keys'\n{keys}\n"));
    let supervisor = house.start();
    let run = house.enqueue(&["looks"]).to_string();
    house.wait_state(run.parse().expect("a number"), "succeeded");
    let out = house.ask(&["logs", "--raw", &run]).expect(0).out;
    assert_eq!(supervisor.stop(), 0);
    out
}

#[test]
fn a_log_file_belongs_to_the_user_of_its_job_who_must_be_allowed_to_write_it() {
    if is_left_out() {
        return;
    }
    let house = House::new(&format!(
        "[defaults]\nuser = '{USER}'\ncwd = '/'\ncommand = 'echo said'\n[jobs.may]\noutput_file = '@T@/open/log'\n\
         [jobs.may_not]\noutput_file = '@T@/closed'\n"
    ));
    fs::create_dir(house.path("open")).expect("it can be made");
    fs::set_permissions(house.path("open"), fs::Permissions::from_mode(0o777)).expect("it is ours");
    let _supervisor = house.start();
    let may = house.enqueue(&["may"]);
    assert_eq!(house.wait_state(may, "succeeded")["error"], Value::Null);
    let meta = fs::metadata(house.path("open/log")).expect("it is there");
    let uid: u32 = passwd(USER)[2].parse().expect("a number");
    assert_eq!((meta.uid(), meta.mode() & 0o7777), (uid, 0o640));
    let may_not = house.enqueue(&["may_not"]);
    let error = house.wait_state(may_not, "succeeded")["error"].clone();
    let log = house.path("closed").display().to_string();
    assert_eq!(error, format!("output_file {log}: permission denied"));
    assert!(!house.path("closed").exists());
}

#[test]
fn a_job_of_another_user_opens_its_output_by_name() {
    if is_left_out() {
        return;
    }
    let house = House::new(&format!(
        "[jobs.names]\nuser = '{USER}'\ncommand = 'echo out > /dev/stdout; echo err > /dev/stderr'\n"
    ));
    let supervisor = house.start();
    let run = house.enqueue(&["names"]);
    house.wait_state(run, "succeeded");
    let said = house.ask(&["logs", "--raw", &run.to_string()]).expect(0).out;
    assert_eq!(said, "out\nerr\n");
    assert_eq!(supervisor.stop(), 0);
}
