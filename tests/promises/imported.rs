//! An imported job finds what it found under cron: shell, variables, directory and standard input.

use crate::support::House;

#[test]
fn an_imported_command_finds_what_it_found_under_cron() {
    let house = House::new("");
    let home = house.dir().display().to_string();
    let tab = format!(
        "FOO = \"a b\"\nHOME={home}\n@yearly echo \"$FOO:$SHELL:$PATH:$HOME:$(pwd)\"; cat; env | grep CARGO; true%1 \\% 2%%'\"\\x\n"
    );
    let import = house.ask_with(&["import", "-"], &tab).expect(0);
    house.write_jobfile(&import.out);
    let supervisor = house.start();
    let run = house.enqueue(&["cat"]);
    house.wait_state(run, "succeeded");
    let out = house
        .ask(&["logs", "--raw", &run.to_string()])
        .expect(0)
        .out;
    let wanted = format!("a b:/bin/sh:/usr/bin:/bin:{home}:{home}\n1 % 2\n\n'\"\\x\n");
    assert_eq!(out, wanted);
    assert_eq!(supervisor.stop(), 0);
}
