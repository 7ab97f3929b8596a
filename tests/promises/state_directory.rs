//! The state directory is for its user only, and what is planted in it is neither followed nor
//! believed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use crate::support::{House, Need, is_root, skipped};

const JOBFILE: &str = "[jobs.a]\ncommand = 'head -c 100000 /dev/zero'\noutput_max = '1 MiB'\n";

const PRECIOUS: &str = "precious\n";

fn mode(path: impl AsRef<Path>) -> u32 {
    let meta = fs::metadata(path).expect("it is there");
    meta.permissions().mode() & 0o7777
}

/// A house whose state directory has one name that is a link to somewhere else.
fn house_with(link: &str, target: &str) -> House {
    let house = House::new(JOBFILE);
    fs::create_dir_all(house.path("elsewhere")).expect("it can be made");
    house.write("victim", PRECIOUS);
    let link = house.state_dir().join(link);
    fs::create_dir_all(link.parent().expect("it has one")).expect("it can be made");
    symlink(house.path(target), link).expect("it can be made");
    house
}

fn assert_untouched(house: &House) {
    assert_eq!(house.read("victim"), PRECIOUS);
    let inside = fs::read_dir(house.path("elsewhere")).expect("it is there");
    assert_eq!(inside.count(), 0);
    assert!(!house.path("nowhere").exists());
}

#[test]
fn a_link_in_place_of_a_file_or_directory_is_refused_by_name_and_not_followed() {
    for name in ["jobctl.db", "supervisor.lock", "wake"] {
        for target in ["victim", "nowhere"] {
            let house = house_with(name, target);
            let run = house.ask(&["run"]).expect(111);
            assert!(
                run.err.contains(&format!("state/{name}")) && run.err.contains("a symbolic link"),
                "{run:#?}"
            );
            assert_untouched(&house);
        }
    }
    for name in ["locks", "slots", "output"] {
        let house = house_with(name, "elsewhere");
        let run = house.ask(&["run"]).expect(111);
        assert!(run.err.contains(&format!("state/{name}: is a symbolic link")), "{run:#?}");
        assert_untouched(&house);
    }
}

#[test]
fn commands_do_not_follow_a_store_that_is_a_link_either() {
    let house = house_with("jobctl.db", "victim");
    for args in [&["enqueue", "a"][..], &["runs"], &["status"], &["ack", "1"]] {
        let answer = house.ask(args).expect(111);
        assert!(answer.err.contains("a symbolic link"), "{args:?} {answer:#?}");
    }
    assert_untouched(&house);
}

#[test]
fn a_link_in_place_of_a_lock_starts_nothing_and_is_named_in_the_log() {
    let house = house_with("locks/a.lock", "victim");
    let supervisor = house.start();
    let run = house.enqueue(&["a"]);
    house.wait_text("log", "a symbolic link");
    assert_eq!(house.show(run)["state"], "queued");
    fs::remove_file(house.state_dir().join("locks/a.lock")).expect("it is ours");
    house.wait_state(run, "succeeded");
    assert_untouched(&house);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_link_in_place_of_a_slot_costs_that_slot_and_nothing_is_written_through_it() {
    for name in ["slots/0.rec", "slots/0.out"] {
        let house = house_with(name, "victim");
        let supervisor = house.start();
        let run = house.enqueue(&["a"]);
        house.wait_state(run, "succeeded");
        assert_untouched(&house);
        assert!(house.state_dir().join("slots/1.rec").exists());
        assert_eq!(supervisor.stop(), 0);
    }
}

#[test]
fn output_that_became_a_link_is_not_shown() {
    let house = House::new(JOBFILE);
    let _supervisor = house.start();
    let run = house.enqueue(&["a"]);
    house.wait_state(run, "succeeded");
    let kept = house.state_dir().join(format!("output/{run}.1"));
    let id = run.to_string();
    assert_eq!(house.ask(&["logs", "--raw", &id]).expect(0).bytes.len(), 100_000);
    fs::rename(&kept, house.path("moved")).expect("it can be renamed");
    symlink(house.path("moved"), &kept).expect("it can be made");
    assert_ne!(house.ask(&["logs", "--raw", &id]).code, 0);
}

#[test]
fn the_state_directory_may_be_a_link_and_is_closed_to_others() {
    let house = House::new(JOBFILE);
    let real = house.path("disk");
    fs::create_dir(&real).expect("it can be made");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o777)).expect("it is ours");
    symlink(&real, house.state_dir()).expect("it can be made");
    assert_eq!(house.start().stop(), 0);
    assert_eq!(mode(&real), 0o700);
    for name in ["locks", "slots", "output"] {
        assert_eq!(mode(real.join(name)), 0o700, "{name}");
    }
    for name in ["jobctl.db", "wake", "supervisor.lock"] {
        assert_eq!(mode(real.join(name)), 0o600, "{name}");
    }
}

#[test]
fn a_directory_of_somebody_else_or_one_with_things_of_others_is_no_state_directory() {
    if !is_root() {
        return skipped(Need::Root, "only root can give things away");
    }
    let house = House::new(JOBFILE);
    let state = house.state_dir();
    fs::create_dir(&state).expect("it can be made");
    chown(&state, Some(65_533), None).expect("root may");
    let run = house.ask(&["run"]).expect(111);
    assert!(
        run.err.contains("belongs to uid 65533: use `sudo -u '#65533' jobctl ...`"),
        "{run:#?}"
    );
    chown(&state, Some(0), None).expect("root may");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o1777)).expect("it is ours");
    house.write("state/jobctl.db", "planted");
    chown(state.join("jobctl.db"), Some(65_533), None).expect("root may");
    let run = house.ask(&["run"]).expect(111);
    assert!(run.err.contains("jobctl.db: belongs to uid 65533"), "{run:#?}");
    assert_eq!(mode(&state), 0o1777, "it is as it was");
}

#[test]
fn no_command_touches_a_directory_that_is_used_for_other_things() {
    let house = House::new(JOBFILE);
    let state = house.state_dir();
    fs::create_dir(&state).expect("it can be made");
    house.write("state/index.html", "hello");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).expect("it is ours");
    for args in [&["enqueue", "a"][..], &["exec", "a"], &["restore", "nothing"], &["run"]] {
        let answer = house.ask(args).expect(111);
        assert!(
            answer.err.contains("not a state directory (it has `index.html`")
                && answer.err.contains("name an empty or new directory"),
            "{args:?} {answer:#?}"
        );
        assert_eq!(mode(&state), 0o755, "{args:?}");
        assert_eq!(fs::read_dir(&state).expect("it is there").count(), 1);
    }
}

#[test]
fn only_the_supervisor_changes_the_mode_of_a_directory_that_was_there() {
    let house = House::new(JOBFILE);
    let state = house.state_dir();
    fs::create_dir_all(state.join("lost+found")).expect("it can be made");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).expect("it is ours");
    house.enqueue(&["a"]);
    assert_eq!(mode(&state), 0o755);
    fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).expect("it is ours");
    for args in [&["enqueue", "a"][..], &["pause", "a"], &["cancel", "1"]] {
        let answer = house.ask(args).expect(111);
        assert!(
            answer.err.contains("other users may write to it (mode 0777)"),
            "{args:?} {answer:#?}"
        );
        assert_eq!(mode(&state), 0o777, "{args:?}");
    }
    assert_eq!(house.start().stop(), 0);
    assert_eq!(mode(&state), 0o700);
}
