//! An imported job finds what it found under cron: shell, variables, directory and standard input,
//! and nobody's line becomes a command of root's.

use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::process::Stdio;

use crate::support::{Answer, House, Need, answer_of, is_root, skipped};

/// An id that is not root's.
const STRANGER: u32 = 65_533;

/// A line that root should never execute.
const TAB: &str = "@daily touch /root/owned\n";

#[test]
fn an_imported_command_finds_what_it_found_under_cron() {
    let house = House::new("");
    let home = house.dir().display().to_string();
    let tab = format!(
        "FOO = \"a b\"\nHOME={home}\n@yearly echo \"$FOO:$SHELL:$PATH:$HOME:$(pwd)\"; cat; env | grep CARGO; true%1 \\% 2%%'\"\\x\n"
    );
    house.write("tab", tab);
    let tab = house.path("tab").display().to_string();
    let import = house.ask(&["import", &tab]).expect(0);
    house.write_jobfile(&import.out);
    let supervisor = house.start();
    let run = house.enqueue(&["cat"]);
    house.wait_state(run, "succeeded");
    let out = house.ask(&["logs", "--raw", &run.to_string()]).expect(0).out;
    let wanted = format!("a b:/bin/sh:/usr/bin:/bin:{home}:{home}\n1 % 2\n\n'\"\\x\n");
    assert_eq!(out, wanted);
    assert_eq!(supervisor.stop(), 0);
}

/// No jobfile, but what to say instead.
#[track_caller]
fn assert_refused(answer: Answer) {
    let answer = answer.expect(2);
    assert_eq!(answer.out, "", "{answer:#?}");
    for word in ["the owner of the crontab", "--user NAME"] {
        assert!(answer.err.contains(word), "{word}: {answer:#?}");
    }
}

/// One job, and it is this user's.
#[track_caller]
fn assert_of(answer: Answer, user: &str) {
    let answer = answer.expect(0);
    let line = format!("\nuser = \"{user}\"\n");
    assert_eq!(answer.out.matches("[jobs.").count(), 1, "{answer:#?}");
    assert_eq!(answer.out.matches("user = ").count(), 1, "{answer:#?}");
    assert!(answer.out.contains(&line), "{answer:#?}");
}

#[test]
fn the_name_of_a_file_in_a_spool_is_its_user() {
    let house = House::new("");
    for spool in ["var/spool/cron/crontabs", "var/spool/cron/tabs", "var/spool/cron"] {
        let dir = house.path("R").join(spool);
        std::fs::create_dir_all(&dir).expect("it can be made");
        let path = dir.join("nobody");
        std::fs::write(&path, TAB).expect("it can be written");
        if is_root() {
            chown(&path, Some(STRANGER), None).expect("root may");
        }
        let (root, path) = (house.path("R").display().to_string(), path.display());
        assert_of(house.ask(&["import", "--root", &root, &path.to_string()]), "nobody");
        assert_of(house.ask(&["import", &path.to_string()]), "nobody");
        assert_of(house.ask(&["import", "--user", "mail", &path.to_string()]), "mail");
        let relative = ["import", "./nobody"];
        assert_of(answer_of(house.jobctl().current_dir(&dir).args(relative)), "nobody");
    }
}

#[test]
fn as_root_a_crontab_of_another_user_makes_no_job_of_roots() {
    if !is_root() {
        return skipped(Need::Root, "only root has jobs of root");
    }
    let house = House::new("");
    house.write("tab", TAB);
    let (path, tab) = (house.path("tab"), house.path("tab").display().to_string());
    let own = house.ask(&["import", &tab]).expect(0);
    assert!(!own.out.contains("user = "), "{own:#?}");
    let mode = |mode| std::fs::set_permissions(&path, PermissionsExt::from_mode(mode));
    for bits in [0o646, 0o664] {
        mode(bits).expect("it is ours");
        assert_refused(house.ask(&["import", &tab]));
    }
    mode(0o644).expect("it is ours");
    chown(&path, Some(STRANGER), None).expect("root may");
    assert_refused(house.ask(&["import", &tab]));
    assert_refused(house.ask(&["import", "--prove", &tab]));
    symlink(&path, house.path("link")).expect("it can be made");
    assert_refused(house.ask(&["import", &house.path("link").display().to_string()]));
    assert_of(house.ask(&["import", "--user", "mail", &tab]), "mail");
    assert_of(house.ask(&["import", "--user", "root", &tab]), "root");
}

#[test]
fn as_root_standard_input_makes_jobs_of_the_user_that_is_named_and_of_nobody_else() {
    if !is_root() {
        return skipped(Need::Root, "only root has jobs of root");
    }
    let house = House::new("");
    assert_refused(answer_of(house.jobctl().args(["import", "-"])));
    let mut piped = house.jobctl();
    // `jobctl import <(crontab -u bob -l)`
    assert_refused(answer_of(piped.args(["import", "/dev/fd/0"]).stdin(Stdio::piped())));
    let answer = house.ask_with(&["import", "--user", "mail", "-"], TAB);
    assert!(answer.err.contains("crontab -u mail -l | sed"), "{answer:#?}");
    assert_of(answer, "mail");
}

#[test]
fn a_spool_that_a_user_made_at_home_names_nobody() {
    if !is_root() {
        return skipped(Need::Root, "only root has jobs of others");
    }
    let house = House::new("");
    let dir = house.path("home/spool/cron/crontabs");
    let spool = house.path("home/var/spool/cron/crontabs");
    for dir in [&dir, &spool] {
        std::fs::create_dir_all(dir).expect("it can be made");
        for name in ["root", "mail"] {
            let tab = dir.join(name);
            std::fs::write(&tab, TAB).expect("it can be written");
            chown(&tab, Some(STRANGER), None).expect("root may");
        }
        chown(dir, Some(STRANGER), None).expect("root may");
        for name in ["root", "mail"] {
            assert_refused(house.ask(&["import", &dir.join(name).display().to_string()]));
        }
    }
    let all = |house: &House| {
        let root = house.path("home").display().to_string();
        house.ask(&["import", "--all-users", "--root", &root])
    };
    let answer = all(&house);
    assert!(!answer.out.contains("[jobs."), "{answer:#?}");
    // Where root made the spool, it is still no crontab of root's.
    chown(&spool, Some(0), None).expect("root may");
    assert_refused(house.ask(&["import", &spool.join("root").display().to_string()]));
    assert_of(house.ask(&["import", &spool.join("mail").display().to_string()]), "mail");
    let answer = all(&house);
    assert!(answer.err.contains("skipped: "), "{answer:#?}");
    assert_of(answer, "mail");
}
