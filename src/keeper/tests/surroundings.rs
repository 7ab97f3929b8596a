//! What a command finds (jobctl.toml(5), "What a command finds"), and what its keeper has open.

use std::fs;

use super::bench::{Bench, exited};
use crate::keeper::order::Order;
use crate::os::process;

fn output(bench: &Bench, order: &Order) -> String {
    let (_, ending) = bench.run(order);
    assert_eq!(ending.end, exited(0), "{}", bench.output());
    bench.output()
}

#[test]
fn a_command_finds_three_descriptors_and_no_signal_blocked_or_ignored() {
    let bench = Bench::new("clean");
    // 3 is the directory that ls reads.
    let script = "ls /proc/self/fd; grep -E '^Sig(Blk|Ign)' /proc/self/status";
    let expected = "0\n1\n2\n3\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n";
    assert_eq!(output(&bench, &bench.shell(script)), expected);
}

#[test]
fn a_command_leads_a_session_of_its_own() {
    let bench = Bench::new("session");
    let script = "set -- $(sed 's/.*) //' /proc/$$/stat); [ $3 = $$ ] && [ $4 = $$ ] && echo leads";
    assert_eq!(output(&bench, &bench.shell(script)), "leads\n");
}

#[test]
fn directory_mask_nice_value_and_environment_are_those_of_the_order() {
    let bench = Bench::new("given");
    let mut order =
        bench.shell("pwd; umask; nice; env | grep -v -E '^(PWD|OLDPWD|SHLVL|_)=' | sort");
    order.umask = 0o027;
    order.nice = 3;
    order.sources.told.push((b"COLOUR".to_vec(), b"blue".to_vec()));
    let dir = fs::canonicalize(&bench.dir).unwrap();
    // Those who run the tests may be nice themselves.
    let nice = (process::nice().unwrap() + 3).min(19);
    let expected = format!(
        "{}\n0027\n{nice}\nCOLOUR=blue\nHOME=/home/ann\nLOGNAME=ann\nPATH=/usr/bin:/bin\nSHELL=/bin/sh\nUSER=ann\n",
        dir.display()
    );
    assert_eq!(output(&bench, &order), expected);
}

#[test]
fn standard_input_is_empty_unless_it_is_given() {
    let bench = Bench::new("stdin");
    assert_eq!(output(&bench, &bench.exec(&["wc", "-c"])), "0\n");
    let order = Order { stdin: b"given".to_vec(), ..bench.exec(&["cat"]) };
    assert_eq!(output(&bench, &order), "given");
}

#[test]
fn a_large_order_arrives_whole() {
    let bench = Bench::new("large");
    let order = Order { stdin: vec![b'x'; 16 * 1024 * 1024], ..bench.exec(&["wc", "-c"]) };
    assert_eq!(output(&bench, &order), "16777216\n");
    assert_eq!(output(&bench, &bench.exec(&["echo", "small"])), "small\n");
}

#[test]
fn a_program_is_looked_up_in_the_path_of_its_environment() {
    let bench = Bench::new("path");
    fs::create_dir(bench.dir.join("bin")).unwrap();
    std::os::unix::fs::symlink("/bin/echo", bench.dir.join("bin/say")).unwrap();
    let order = |path: &[u8]| {
        let mut order = bench.exec(&["say", "hello"]);
        order.sources.told = vec![(b"PATH".to_vec(), path.to_vec())];
        order
    };
    assert_eq!(output(&bench, &order(b"/nonexistent:/etc/passwd:bin")), "hello\n");
}

#[test]
fn a_keeper_has_nothing_of_its_supervisor_open() {
    let bench = Bench::new("open");
    assert_eq!(bench.run(&bench.shell("true")).1.end, exited(0));
    let mut open: Vec<String> = fs::read_dir(format!("/proc/{}/fd", bench.pid))
        .unwrap()
        .map(|entry| fs::read_link(entry.unwrap().path()).unwrap().to_str().unwrap().to_owned())
        .map(|link| link.split(':').next().unwrap().to_owned())
        .collect();
    open.sort();
    let in_dir =
        |name: &str| fs::canonicalize(bench.dir.join(name)).unwrap().to_str().unwrap().to_owned();
    let mut expected = [
        "anon_inode".to_owned(),
        "socket".to_owned(),
        "/dev/null".to_owned(),
        in_dir("rec"),
        in_dir("out"),
    ];
    expected.sort();
    assert_eq!(open, expected);
}
