//! A supervisor of root's runs nothing that others could change, and an ordinary user's asks
//! nobody.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use crate::support::{Answer, House, Need, answer_of, is_root, program, skipped};

const JOBFILE: &str = "[jobs.a]\ncommand = 'true'\n";

/// An id that is neither root's nor the caller's.
const STRANGER: u32 = 65_533;

fn is_left_out() -> bool {
    if is_root() {
        return false;
    }
    skipped(Need::Root, "only root may not trust its jobfile");
    true
}

#[track_caller]
fn mode(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

fn owner(path: impl AsRef<Path>, uid: u32) {
    chown(path, Some(uid), None).expect("root may");
}

fn group(path: impl AsRef<Path>, gid: u32) {
    chown(path, None, Some(gid)).expect("root may");
}

/// `run` refuses and leaves nothing behind, `check` warns; both name what is at fault and what
/// helps.
#[track_caller]
fn assert_refused(house: &House, at_fault: &Path, words: &[&str]) {
    let (run, check) = (house.ask(&["run"]).expect(1), house.ask(&["check"]).expect(0));
    for answer in [&run, &check] {
        assert!(answer.err.contains(&format!("{}: ", at_fault.display())), "{answer:#?}");
        for word in words {
            assert!(answer.err.contains(word), "{word}: {answer:#?}");
        }
        assert!(answer.err.contains("hint: "), "{answer:#?}");
    }
    assert!(check.err.contains("`jobctl run` refuses it"), "{check:#?}");
}

#[track_caller]
fn assert_trusted(house: &House) {
    let check: Answer = house.ask(&["check"]).expect(0);
    assert!(!check.err.contains("trusts"), "{check:#?}");
    let supervisor = house.start();
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_jobfile_that_others_can_change_is_refused_and_by_whatever_they_can() {
    if is_left_out() {
        return;
    }
    let house = House::new(JOBFILE);
    let file = house.jobfile();
    let dir = house.dir();
    mode(&file, 0o646);
    assert_refused(&house, &file, &["writable by others", "mode 0646", "chmod go-w"]);
    mode(&file, 0o664);
    group(&file, STRANGER);
    assert_refused(&house, &file, &["group", "65533", "mode 0664", "chmod go-w"]);
    group(&file, 0);
    assert_trusted(&house);
    mode(&file, 0o644);
    owner(&file, STRANGER);
    assert_refused(&house, &file, &["uid 65533", "chown -h root"]);
    owner(&file, 0);
    mode(dir, 0o777);
    assert_refused(&house, dir, &["writable by others", "mode 0777"]);
    mode(dir, 0o1777);
    assert_trusted(&house);
    owner(dir, STRANGER);
    mode(dir, 0o755);
    assert_refused(&house, dir, &["uid 65533"]);
    owner(dir, 0);
    assert_trusted(&house);
}

#[test]
fn the_last_good_jobfile_is_no_way_around_and_nothing_is_made_for_one_that_is_refused() {
    if is_left_out() {
        return;
    }
    let house = House::new(JOBFILE);
    mode(house.jobfile(), 0o666);
    house.ask(&["run"]).expect(1);
    assert!(!house.state_dir().exists());
    mode(house.jobfile(), 0o644);
    assert_eq!(house.start().stop(), 0);
    house.write("jobs.toml", "broken");
    mode(house.jobfile(), 0o666);
    house.ask(&["run"]).expect(1);
    house.write("jobs.toml", "include = ['more.toml']\nbroken");
    assert_eq!(house.start().stop(), 0, "a broken one is another matter");
}

#[test]
fn every_directory_and_link_on_the_way_counts_and_not_the_one_who_made_the_link() {
    if is_left_out() {
        return;
    }
    let house = House::new(JOBFILE);
    let (real, link) = (house.path("real"), house.jobfile());
    fs::create_dir_all(real.join("deep")).expect("it can be made");
    fs::rename(&link, real.join("deep/jobs.toml")).expect("it can be renamed");
    symlink("real/deep/../deep/jobs.toml", &link).expect("it can be made");
    assert_trusted(&house);
    mode(&real, 0o777);
    assert_refused(&house, &real, &["mode 0777"]);
    mode(&real, 0o755);
    std::os::unix::fs::lchown(&link, Some(STRANGER), None).expect("root may");
    assert_trusted(&house);
    // In a sticky directory, who made the link may replace it.
    mode(house.dir(), 0o1777);
    assert_refused(&house, &link, &["uid 65533"]);
}

#[test]
fn included_files_and_the_directories_they_are_looked_for_in_count_like_the_jobfile() {
    if is_left_out() {
        return;
    }
    let house = House::new(&format!("include = ['jobs.d/*/*.toml']\n{JOBFILE}"));
    let dir = house.path("jobs.d");
    fs::create_dir_all(dir.join("team")).expect("it can be made");
    mode(dir.join("team"), 0o777);
    assert_refused(&house, &dir.join("team"), &["mode 0777"]);
    mode(dir.join("team"), 0o755);
    house.write("jobs.d/team/b.toml", "[jobs.b]\ncommand = 'true'\n");
    assert_trusted(&house);
    owner(dir.join("team/b.toml"), STRANGER);
    assert_refused(&house, &dir.join("team/b.toml"), &["uid 65533"]);
    mode(&dir, 0o777);
    let run = house.ask(&["run"]).expect(1);
    assert!(run.err.contains("team/b.toml: ") && run.err.contains("jobs.d: "), "{run:#?}");
}

#[test]
fn a_jobfile_that_others_can_change_later_is_not_taken_and_is_again_when_they_cannot() {
    if is_left_out() {
        return;
    }
    let house = House::new(JOBFILE);
    let supervisor = house.start();
    house.write_jobfile("[jobs.b]\ncommand = 'true'\n");
    mode(house.jobfile(), 0o666);
    let reload = house.ask(&["reload"]).expect(1);
    assert!(reload.err.contains("mode 0666"), "{reload:#?}");
    let status = house.status();
    let error = status["supervisor"]["jobfile_error"].as_str().expect("it says so");
    assert!(error.contains("mode 0666"), "{status:#}");
    let run = house.enqueue(&["b"]);
    assert_eq!(house.show(run)["state"], "queued", "it knows no `b`");
    mode(house.jobfile(), 0o644);
    house.ask(&["reload"]).expect(0);
    house.wait_state(run, "succeeded");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn what_an_environment_is_read_from_is_judged_for_each_attempt() {
    if is_left_out() {
        return;
    }
    let house = House::new(
        "[jobs.a]\ncommand = 'printf %s:%s $A $B'\nenv_file = '@T@/env'\nenv = { B = { file = '@T@/secret' } }\n",
    );
    house.write("env", "A=1\n");
    house.write("secret", "2\n");
    mode(house.path("secret"), 0o600);
    assert!(!house.ask(&["check"]).expect(0).err.contains("can read it"));
    let _supervisor = house.start();
    let ended = |state: &str| {
        let run = house.enqueue(&["a"]);
        house.wait_state(run, state)
    };
    ended("succeeded");
    for (name, key) in [("env", "env_file"), ("secret", "env B")] {
        for (uid, bits, word) in [(0, 0o646, "mode 0646"), (STRANGER, 0o600, "uid 65533")] {
            mode(house.path(name), bits);
            owner(house.path(name), uid);
            let run = ended("failed");
            assert_eq!(run["outcome"], "spawn_failed", "{run:#}");
            let error = run["error"].as_str().expect("it says why");
            assert!(error.contains(key) && error.contains(word), "{error}");
            let check = house.ask(&["check"]).expect(0);
            assert!(check.err.contains(word) && check.err.contains("spawn_failed"), "{check:#?}");
        }
        owner(house.path(name), 0);
        ended("succeeded");
    }
    mode(house.path("secret"), 0o644);
    let check = house.ask(&["check"]).expect(0);
    assert!(check.err.contains("every user of this machine can read it"), "{check:#?}");
    ended("succeeded");
}

#[test]
fn a_read_only_mount_is_trusted_as_a_config_map_is() {
    if is_left_out() {
        return;
    }
    let house = House::new(JOBFILE);
    let volume = house.path("volume");
    fs::create_dir_all(volume.join("..2026_11_24")).expect("it can be made");
    fs::rename(house.jobfile(), volume.join("..2026_11_24/jobs.toml")).expect("it can be renamed");
    symlink("..2026_11_24", volume.join("..data")).expect("it can be made");
    symlink("..data/jobs.toml", volume.join("jobs.toml")).expect("it can be made");
    symlink("volume/jobs.toml", house.jobfile()).expect("it can be made");
    owner(volume.join("..2026_11_24"), STRANGER);
    mode(&volume, 0o777);
    assert_refused(&house, &volume, &["mode 0777"]);
    let script =
        "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && exec \"$2\" check";
    let mut command = program("unshare");
    command
        .args(["-m", "sh", "-c", script, "sh"])
        .args([volume.as_os_str(), env!("CARGO_BIN_EXE_jobctl").as_ref()])
        .env("JOBCTL_JOBFILE", house.jobfile())
        .env("JOBCTL_STATE_DIR", house.state_dir());
    let check = answer_of(&mut command);
    if check.err.contains("unshare") || check.err.contains("mount") && check.code != 0 {
        return skipped(Need::Mount, "nothing can be mounted here");
    }
    let check = check.expect(0);
    assert!(!check.err.contains("trusts"), "{check:#?}");
}

/// Asks without naming a state directory.
fn ask_unled(house: &House, args: &[&str]) -> Answer {
    answer_of(house.jobctl().env_remove("JOBCTL_STATE_DIR").args(args))
}

#[test]
fn no_command_of_roots_goes_to_the_state_directory_that_a_strangers_jobfile_names() {
    if is_left_out() {
        return;
    }
    let house = House::new(&format!("state_dir = '@T@/www'\n{JOBFILE}"));
    let www = house.path("www");
    fs::create_dir(&www).expect("it can be made");
    mode(&www, 0o755);
    owner(house.jobfile(), STRANGER);
    for args in [
        &["enqueue", "a"][..],
        &["exec", "a"],
        &["run"],
        &["status"],
        &["runs"],
        &["cancel", "1"],
        &["retry", "1"],
        &["ack", "1"],
        &["pause", "--all"],
        &["resume", "--all"],
        &["prune"],
        &["reload"],
        &["backup", "nothing"],
        &["restore", "nothing"],
    ] {
        let answer = ask_unled(&house, args).expect(1);
        assert!(answer.err.contains("jobs.toml: belongs to uid 65533"), "{args:?} {answer:#?}");
        assert_eq!(fs::read_dir(&www).expect("it is there").count(), 0);
        assert_eq!(fs::metadata(&www).expect("it is there").permissions().mode() & 0o7777, 0o755);
    }
    ask_unled(&house, &["check"]).expect(0);
    owner(house.jobfile(), 0);
    ask_unled(&house, &["enqueue", "a"]).expect(0);
}

#[test]
fn no_command_of_roots_writes_where_others_can_lead_it_elsewhere() {
    if is_left_out() {
        return;
    }
    let house = House::new(JOBFILE);
    house.enqueue(&["a"]);
    fs::create_dir(house.path("theirs")).expect("it can be made");
    owner(house.path("theirs"), STRANGER);
    symlink(house.state_dir(), house.path("theirs/state")).expect("it can be made");
    for state in ["theirs/state", "theirs/new"] {
        let state = house.path(state).display().to_string();
        for args in [
            &["enqueue", "a"][..],
            &["run"],
            &["cancel", "1"],
            &["pause", "a"],
            &["prune"],
            &["restore", "nothing"],
        ] {
            let args = [&["--state-dir", &state], args].concat();
            let answer = house.ask(&args).expect(1);
            assert!(answer.err.contains("theirs: belongs to uid 65533"), "{args:?} {answer:#?}");
        }
    }
    assert!(!house.path("theirs/new").exists());
}

/// A list of access control as the kernel takes it: the owner may all, user 65533 and the mask as
/// given.
fn access_list(user: u8, mask: u8) -> Vec<u8> {
    let entry = |tag: u8, rights: u8, id: u32| {
        let mut bytes = vec![tag, 0, rights, 0];
        bytes.extend(id.to_le_bytes());
        bytes
    };
    let none = u32::MAX;
    let mut list = vec![2, 0, 0, 0];
    for (tag, rights, id) in
        [(1, 7, none), (2, user, STRANGER), (4, 0, none), (0x10, mask, none), (0x20, 0, none)]
    {
        list.extend(entry(tag, rights, id));
    }
    list
}

/// Gives a file or directory a list; false: there is no setfattr(1), or the file system knows no
/// lists.
fn give_list(path: &Path, name: &str, list: &[u8]) -> bool {
    let hex: String = list.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut command = program("setfattr");
    command.args(["-n", name, "-v", &format!("0x{hex}")]).arg(path);
    command.output().is_ok_and(|output| output.status.success())
}

#[test]
fn an_access_control_list_that_lets_others_write_counts_as_writable_by_them() {
    if is_left_out() {
        return;
    }
    let house = House::new(&format!("include = ['jobs.d/*.toml']\n{JOBFILE}"));
    let (file, dir) = (house.jobfile(), house.path("jobs.d"));
    fs::create_dir(&dir).expect("it can be made");
    mode(&file, 0o644);
    let access = "system.posix_acl_access";
    if !give_list(&file, access, &access_list(6, 6)) {
        return skipped(Need::Acl, "setfattr(1) is missing, or the file system knows no lists");
    }
    let words = ["access control list lets", "65533", "write", "setfacl -b"];
    assert_refused(&house, &file, &words);
    // The mask takes it away, as `chmod g-w` does.
    assert!(give_list(&file, access, &access_list(6, 4)));
    assert_trusted(&house);
    assert!(give_list(&file, access, &access_list(4, 4)));
    assert_trusted(&house);
    for name in [access, "system.posix_acl_default"] {
        assert!(give_list(&dir, name, &access_list(7, 7)));
        assert_refused(&house, &dir, &words);
        let mut command = program("setfattr");
        command.args(["-x", name]).arg(&dir);
        answer_of(&mut command).expect(0);
        mode(&dir, 0o755);
        assert_trusted(&house);
    }
}

#[test]
fn an_ordinary_user_is_asked_nothing() {
    if is_root() {
        return skipped(Need::NotRoot, "root is asked");
    }
    let house = House::new(JOBFILE);
    mode(house.jobfile(), 0o666);
    mode(house.dir(), 0o777);
    assert_trusted(&house);
}
