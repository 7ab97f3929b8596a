//! A test that is skipped is seen: the mechanism itself, tried on this program.

use std::process::Command;

use crate::support::{Answer, House, Need, answer_of, program, skipped};

/// Set for the test below, which is to be skipped then.
const LACKS: &str = "JOBCTL_TEST_LACKS";

#[test]
fn one_that_is_skipped_if_it_is_told_so() {
    if std::env::var_os(LACKS).is_some() {
        skipped(Need::Zones, "it was told so");
    }
}

/// Runs the test above alone, as one that lacks something.
fn run(house: &House, change: impl FnOnce(&mut Command)) -> Answer {
    let mut command = program(std::env::current_exe().expect("there is /proc"));
    command
        .args(["--exact", "skips::one_that_is_skipped_if_it_is_told_so"])
        .env(LACKS, "1")
        .env_remove("JOBCTL_REQUIRE")
        .env("JOBCTL_SKIPS", house.path("skips"));
    change(&mut command);
    answer_of(&mut command)
}

#[test]
fn a_test_that_is_skipped_says_so_past_the_capture_and_is_put_down() {
    let house = House::new("");
    for _ in 0..2 {
        let answer = run(&house, |_| ()).expect(0);
        let said = "skipped for want of zones: promises: skips::one_that_is_skipped_if_it_is_told_so: it was told so\n";
        assert_eq!(answer.err, said);
    }
    let line = "zones\tpromises\tskips::one_that_is_skipped_if_it_is_told_so\tit was told so";
    assert_eq!(house.lines("skips"), [line, line]);
}

#[test]
fn a_test_that_lacks_what_is_required_fails() {
    let house = House::new("");
    run(&house, |test| {
        test.env("JOBCTL_REQUIRE", "strace,root");
    })
    .expect(0);
    let answer = run(&house, |test| {
        test.env("JOBCTL_REQUIRE", "strace, zones");
    });
    let failed = answer.expect(101).out;
    assert!(
        failed.contains("JOBCTL_REQUIRE names `zones`, which is missing: it was told so"),
        "{failed}"
    );
    assert_eq!(house.lines("skips").len(), 1);
}

#[test]
fn a_requirement_that_no_test_has_is_a_mistake() {
    let house = House::new("");
    let answer = run(&house, |test| {
        test.env("JOBCTL_REQUIRE", "stracé");
    });
    let failed = answer.expect(101).out;
    assert!(failed.contains("`stracé`, which no test needs"), "{failed}");
}
