//! `jobctl edit` installs a good jobfile whole, or nothing; and what was written is never lost.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use crate::support::{Answer, House, Need, answer_of, is_root, program, skipped, wait_for};

const ONE: &str = "[jobs.a]\ncommand = 'true'\n";
const TWO: &str = "[jobs.a]\ncommand = 'true'\n[jobs.b]\ncommand = 'true'\n";

/// Makes the editor a script; `$1` is the copy, `$T` the house.
fn editor(house: &House, script: &str) -> PathBuf {
    let path = house.path("editor");
    house.write("editor", format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    path
}

/// `jobctl edit` with this script as editor, and copies below the house.
fn edit(house: &House, script: &str) -> Answer {
    let path = editor(house, script);
    fs::create_dir_all(house.path("tmp")).expect("it is ours");
    let mut jobctl = house.jobctl();
    jobctl.env("TMPDIR", house.path("tmp"));
    jobctl.env_remove("VISUAL").env("EDITOR", path);
    answer_of(jobctl.arg("edit"))
}

/// Copies that were kept.
fn kept(house: &House) -> Vec<PathBuf> {
    let dirs = fs::read_dir(house.path("tmp")).expect("it is ours");
    dirs.map(|dir| dir.expect("it is ours").path().join("jobs.toml")).collect()
}

/// A script that writes this text over the copy.
fn writes(text: &str) -> String {
    format!("cat > \"$1\" <<'END'\n{text}END")
}

#[test]
fn a_good_edit_is_installed_with_its_mode_and_loaded() {
    let house = House::new(ONE);
    fs::set_permissions(house.jobfile(), fs::Permissions::from_mode(0o640)).unwrap();
    let _supervisor = house.start();
    let before = fs::metadata(house.jobfile()).unwrap();
    let see = "stat -c %a \"$1\" \"${1%/*}\" > \"$T/modes\"";
    let answer = edit(&house, &format!("{see}\n{}", writes(TWO))).expect(0);
    assert!(answer.out.ends_with("in force, 2 jobs; added b\n"), "{answer:#?}");
    assert_eq!(house.read("jobs.toml"), TWO);
    let after = fs::metadata(house.jobfile()).unwrap();
    assert_eq!(after.mode() & 0o7777, 0o640);
    assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
    assert_ne!(after.ino(), before.ino(), "replaced, not written into");
    assert_eq!(house.read("modes"), "600\n700\n", "the copy is private");
    assert_eq!(kept(&house), [] as [PathBuf; 0]);
}

#[test]
fn without_a_supervisor_it_is_read_at_the_next_start() {
    let house = House::new(ONE);
    let answer = edit(&house, &writes(TWO)).expect(0);
    assert!(answer.err.contains("no supervisor is running: start it with `"), "{answer:#?}");
    assert_eq!(house.read("jobs.toml"), TWO);
}

#[test]
fn what_is_as_it_was_is_not_installed() {
    let house = House::new(ONE);
    let before = fs::metadata(house.jobfile()).unwrap();
    assert_eq!(edit(&house, "touch \"$1\"").expect(0).out, "no changes\n");
    assert_eq!(fs::metadata(house.jobfile()).unwrap().ino(), before.ino());
    assert_eq!(kept(&house), [] as [PathBuf; 0]);
}

#[test]
fn a_bad_edit_is_not_installed_and_the_copy_is_kept() {
    let house = House::new(ONE);
    let bad = "[jobs.a]\ncomand = 'true'\n";
    let answer = edit(&house, &writes(bad)).expect(1);
    let place = format!("{}:2:1: job `a`", house.jobfile().display());
    assert!(answer.err.contains(&place), "the real file's name: {answer:#?}");
    assert_eq!(house.read("jobs.toml"), ONE);
    let kept = kept(&house);
    assert!(answer.err.contains(&kept[0].display().to_string()), "{answer:#?}");
    assert_eq!(fs::read_to_string(&kept[0]).unwrap(), bad);
}

#[test]
fn a_copy_that_the_editor_took_away_is_not_said_to_be_kept() {
    let house = House::new(ONE);
    let answer = edit(&house, "rm \"$1\"").expect(111);
    assert!(answer.err.contains("no such file"), "{}", answer.err);
    assert!(!answer.err.contains("is kept"), "{}", answer.err);
    assert_eq!(kept(&house), [""; 0].map(PathBuf::from));
    assert_eq!(house.read("jobs.toml"), ONE);
}

#[test]
fn what_would_surprise_is_said_as_by_check() {
    let house = House::new(ONE);
    let uneven = format!("{ONE}schedule = '*/7 * * * *'\n");
    let said = edit(&house, &writes(&uneven)).expect(0).err;
    assert!(said.contains("7 does not divide 60"), "{said}");
    assert_eq!(house.read("jobs.toml"), uneven);
}

#[test]
fn includes_are_those_of_the_real_place() {
    let house = House::new(ONE);
    house.write("b.toml", "[jobs.b]\ncommand = 'true'\n");
    edit(&house, &writes(&format!("include = ['b.toml']\n{ONE}"))).expect(0);
    house.ask(&["check"]).expect(0);
    edit(&house, &writes(&format!("include = ['c.toml']\n{ONE}"))).expect(1);
}

#[test]
fn a_jobfile_that_somebody_else_changed_is_left_alone() {
    let house = House::new(ONE);
    let other = "[jobs.other]\ncommand = 'true'\n";
    let script = format!("printf %s \"{other}\" > \"$T/jobs.toml\"\n{}", writes(TWO));
    let answer = edit(&house, &script).expect(1);
    assert!(answer.err.contains("changed in the meantime"), "{answer:#?}");
    assert_eq!(house.read("jobs.toml"), other);
    assert_eq!(fs::read_to_string(&kept(&house)[0]).unwrap(), TWO);
    let names = fs::read_dir(house.dir()).unwrap();
    let left = names.filter(|name| {
        let name = name.as_ref().unwrap().file_name();
        name.to_string_lossy().contains("jobctl-")
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn a_symlink_stays_and_its_target_is_replaced() {
    let house = House::new(ONE);
    fs::rename(house.jobfile(), house.path("real.toml")).unwrap();
    symlink("real.toml", house.jobfile()).unwrap();
    edit(&house, &writes(TWO)).expect(0);
    assert_eq!(fs::read_link(house.jobfile()).unwrap(), PathBuf::from("real.toml"));
    assert_eq!(house.read("real.toml"), TWO);
}

#[test]
fn a_symlink_that_was_switched_meanwhile_is_left_alone_with_both_its_targets() {
    let house = House::new(ONE);
    for name in ["old.toml", "new.toml"] {
        house.write(name, ONE);
    }
    fs::remove_file(house.jobfile()).unwrap();
    symlink("old.toml", house.jobfile()).unwrap();
    let switch = "ln -sfn new.toml \"$T/jobs.toml\"";
    let answer = edit(&house, &format!("{switch}\n{}", writes(TWO))).expect(1);
    assert!(
        answer.err.contains("switched to another file") && answer.err.contains("is kept"),
        "{answer:#?}"
    );
    assert_eq!((house.read("old.toml"), house.read("new.toml")), (ONE.into(), ONE.into()));
    assert_eq!(fs::read_to_string(&kept(&house)[0]).unwrap(), TWO);
}

#[test]
fn a_missing_jobfile_starts_from_the_starter() {
    let house = House::new("");
    fs::remove_file(house.jobfile()).unwrap();
    let answer = edit(&house, "cp \"$1\" \"$T/seen\"").expect(0);
    assert_eq!(answer.out, "no changes\n");
    assert!(!house.jobfile().exists());
    let init = house.ask(&["init"]).expect(0);
    assert!(init.out.contains("jobs.toml"));
    assert_eq!(house.read("seen"), house.read("jobs.toml"));
    fs::remove_file(house.jobfile()).unwrap();
    edit(&house, &writes(ONE)).expect(0);
    assert_eq!(house.read("jobs.toml"), ONE);
}

#[test]
fn an_editor_that_fails_installs_nothing() {
    let house = House::new(ONE);
    let answer = edit(&house, &format!("{}\nexit 3", writes(TWO))).expect(1);
    assert!(answer.err.contains("exit code 3"), "{answer:#?}");
    assert!(answer.err.contains("is kept"), "{answer:#?}");
    assert_eq!(house.read("jobs.toml"), ONE);
    // As the shell between tells it.
    let answer = edit(&house, "kill -TERM $$").expect(1);
    assert!(answer.err.contains("exit code 143"), "{answer:#?}");
    assert_eq!(house.read("jobs.toml"), ONE);
}

#[test]
fn an_editor_that_is_not_there_is_named() {
    let house = House::new(ONE);
    let mut jobctl = house.jobctl();
    let answer = answer_of(jobctl.arg("edit").env("VISUAL", "no-such-editor -w")).expect(1);
    assert!(answer.err.contains("editor `no-such-editor -w`: not found"), "{answer:#?}");
    let mut jobctl = house.jobctl();
    jobctl.env_remove("VISUAL").env("EDITOR", "");
    let answer = answer_of(jobctl.arg("edit").env("PATH", "/nonexistent")).expect(1);
    assert!(answer.err.contains("set VISUAL or EDITOR"), "{answer:#?}");
}

#[test]
fn an_editor_has_options_and_visual_comes_first() {
    let house = House::new(ONE);
    let path = editor(&house, &format!("[ \"$1\" = -w ] && shift && {}", writes(TWO)));
    let mut jobctl = house.jobctl();
    jobctl.env("VISUAL", format!("'{}' -w", path.display()));
    answer_of(jobctl.env("EDITOR", "false").arg("edit")).expect(0);
    assert_eq!(house.read("jobs.toml"), TWO);
}

#[test]
fn what_could_not_be_installed_is_refused_before_the_editor_starts() {
    if is_root() {
        return skipped(Need::NotRoot, "root may write everywhere");
    }
    let house = House::new(ONE);
    fs::create_dir(house.path("fixed")).unwrap();
    house.write("fixed/jobs.toml", ONE);
    fs::set_permissions(house.path("fixed"), fs::Permissions::from_mode(0o555)).unwrap();
    let path = editor(&house, "touch \"$T/started\"");
    let mut jobctl = house.jobctl();
    jobctl.env("JOBCTL_JOBFILE", house.path("fixed/jobs.toml"));
    let answer = answer_of(jobctl.env("VISUAL", path).arg("edit")).expect(111);
    assert!(answer.err.contains("fixed"), "{answer:#?}");
    assert!(!house.path("started").exists());
    fs::set_permissions(house.path("fixed"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn on_a_terminal_it_asks_whether_to_edit_again() {
    if program("tmux").arg("-V").output().is_err() {
        return skipped(Need::Tmux, "tmux is not installed");
    }
    let house = House::new(ONE);
    // Bad the first time, good the second.
    let script = format!(
        "if [ -e \"$T/once\" ]; then {}\nelse : > \"$T/once\"; echo '[' >> \"$1\"; fi",
        writes(TWO)
    );
    let path = editor(&house, &script);
    let socket = house.path("tmux").display().to_string();
    let tmux = |args: &[&str]| {
        let mut tmux = program("tmux");
        tmux.args(["-S", &socket, "-f", "/dev/null"]).args(args);
        answer_of(&mut tmux)
    };
    let line = format!(
        "T='{t}' EDITOR='{editor}' VISUAL= JOBCTL_JOBFILE='{jobfile}' JOBCTL_STATE_DIR='{t}/state' '{jobctl}' edit; echo $? > '{t}/code'",
        t = house.dir().display(),
        editor = path.display(),
        jobfile = house.jobfile().display(),
        jobctl = env!("CARGO_BIN_EXE_jobctl"),
    );
    tmux(&["new-session", "-d", "-x", "120", "-y", "30", &line]).expect(0);
    let screen = wait_for("the question", || {
        Some(tmux(&["capture-pane", "-p"]).out).filter(|screen| screen.contains("[Y/n]"))
    });
    assert!(screen.contains("1 error: edit again?"), "{screen}");
    assert!(screen.contains("jobs.toml:3:"), "{screen}");
    assert_eq!(house.read("jobs.toml"), ONE);
    tmux(&["send-keys", "Enter"]).expect(0);
    assert_eq!(house.wait_lines("code", 1), ["0"]);
    assert_eq!(house.read("jobs.toml"), TWO);
}
