//! `jobctl import` as people call it: the files of a system below a directory, their own crontab,
//! and what they paste afterwards.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Answer, House, Need, answer_of, answer_to, program, skipped};

const DAILY: &str = "test -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.daily; }";

/// A crontab(1) that keeps its crontab in a file beside it.
const CRONTAB: &str = "\
#!/bin/sh
tab=${0%/*}/tab
case \"$1\" in
    -l) if [ -e \"$tab\" ]; then cat \"$tab\"; else echo 'no crontab for somebody' >&2; exit 1; fi ;;
    -) cat > \"$tab.new\" && mv \"$tab.new\" \"$tab\" ;;
esac
";

/// The programs of the house before those of the system.
fn path(house: &House) -> String {
    format!("{}:/usr/bin:/bin", house.path("bin").display())
}

fn import(house: &House, args: &[&str]) -> Answer {
    import_with(house, args, "")
}

/// An import by a user whose home the house is.
fn import_with(house: &House, args: &[&str], input: &str) -> Answer {
    let mut command = house.jobctl();
    command.arg("import").args(args).env("PATH", path(house)).env("HOME", house.dir());
    answer_to(&mut command, input)
}

fn import_json(house: &House, args: &[&str]) -> Value {
    import(house, &[args, &["--json"]].concat()).json()
}

/// Runs a command as if it had been pasted into a shell.
fn paste(house: &House, command: &str) {
    let mut shell = house.program("/bin/sh");
    answer_of(shell.args(["-c", command]).env("PATH", path(house))).expect(0);
}

/// Holds a jobfile to be in order; `user` may be refused by `run`.
fn check(house: &House, text: &str) {
    let jobfile = house.write("check.toml", text);
    let answer = house.ask(&["--jobfile", jobfile.to_str().unwrap(), "check"]);
    assert!(!answer.out.contains("error"), "{answer:?}\n{text}");
}

/// A script that run-parts would run.
fn script(house: &House, path: &str) {
    house.write_program(path, "#!/bin/sh\n");
}

fn root(house: &House) -> &str {
    house.dir().to_str().unwrap()
}

/// What stands in the list `key` under `field`.
fn texts<'a>(json: &'a Value, key: &str, field: &str) -> Vec<&'a str> {
    let items = json[key].as_array().unwrap().iter();
    items.map(|item| item[field].as_str().unwrap()).collect()
}

fn commands(json: &Value) -> Vec<String> {
    let items = json["switch_off"].as_array().unwrap().iter();
    items.map(|item| item.as_str().unwrap().to_owned()).collect()
}

/// A system as Debian has it.
fn debian() -> House {
    let house = House::empty();
    house.write(
        "etc/crontab",
        format!(
            "PATH=/usr/sbin:/usr/bin\n17 * * * * root cd / && run-parts --report /etc/cron.hourly\n25 6 * * * root {DAILY}\n# y\n5 5 * * * www-data /srv/y.sh\n"
        ),
    );
    house.write("etc/cron.d/php", "09,39 * * * * root /usr/lib/php/sessionclean\n");
    house.write("etc/cron.d/old.dpkg-dist", "* * * * * root never\n");
    house.write("etc/cron.d/.placeholder", "# nothing\n");
    script(&house, "etc/cron.daily/logrotate");
    script(&house, "etc/cron.daily/apt-compat");
    script(&house, "etc/cron.daily/backup.sh");
    house.write("etc/cron.daily/off", "#!/bin/sh\n");
    house.write("etc/cron.hourly/.placeholder", "# nothing\n");
    script(&house, "etc/cron.weekly/man-db");
    house.write(
        "etc/anacrontab",
        "SHELL=/bin/sh\nHOME=/root\nLOGNAME=root\n1 5 cron.daily run-parts --report /etc/cron.daily\n@monthly 15 m /opt/monthly\n",
    );
    house
}

#[test]
fn a_system_is_imported_without_anacron() {
    let house = debian();
    let root = root(&house);
    let json = import_json(&house, &["--system", "--root", root]);
    assert_eq!(texts(&json, "jobs", "name"), ["apt-compat", "logrotate", "y", "sessionclean"]);
    let text = json["jobfile"].as_str().unwrap();
    assert!(text.contains("command = [\"/etc/cron.daily/logrotate\"]"), "{text}");
    assert!(text.contains("user = \"www-data\""), "{text}");
    check(&house, text);
    let said = texts(&json, "changed", "text").join("\n");
    for word in [
        "cron ignores names",
        "run-parts ignores names",
        "not executable",
        "/usr/sbin/anacron is missing",
        "no line runs",
    ] {
        assert!(said.contains(word), "{word} is not in {said}");
    }
}

#[test]
fn with_anacron_its_table_decides_about_the_directories() {
    let house = debian();
    script(&house, "usr/sbin/anacron");
    let root = root(&house);
    let json = import_json(&house, &["--system", "--root", root]);
    assert_eq!(texts(&json, "jobs", "name"), ["y", "sessionclean", "apt-compat", "logrotate", "m"]);
    let text = json["jobfile"].as_str().unwrap();
    assert_eq!(text.matches("catch_up = \"last\"").count(), 3, "{text}");
    assert!(text.contains("# Does nothing while anacron is installed"), "{text}");
    check(&house, text);
}

#[test]
fn the_crontabs_of_all_users_are_imported_and_switched_off() {
    let house = House::empty();
    let header = "# DO NOT EDIT THIS FILE - edit the master and reinstall.\n# (x)\n# (y)\n";
    let bob = house.write(
        "var/spool/cron/crontabs/bob",
        format!("{header}# z\n* * * * * z\nX=1\n@daily z\nbad\n"),
    );
    house.write("var/spool/cron/crontabs/root", "1 1 * * * z\n");
    let root = root(&house);
    let json = import_json(&house, &["--all-users", "--root", root]);
    assert_eq!(texts(&json, "jobs", "name"), ["z", "z-2", "z-3"]);
    assert_eq!(json["jobs"][0]["line"], 5);
    assert_eq!(json["unknown"][0]["line"], 8);
    let text = json["jobfile"].as_str().unwrap();
    assert_eq!(text.matches("user = \"bob\"").count(), 2, "{text}");
    // Else a supervisor of somebody else would run root's lines with other rights.
    assert_eq!(text.matches("user = \"root\"").count(), 1, "{text}");
    assert!(!text.contains("DO NOT EDIT"), "{text}");
    check(&house, text);
    for command in commands(&json) {
        paste(&house, &command);
    }
    let wanted = format!("{header}# z\n# * * * * * z\nX=1\n# @daily z\nbad\n");
    assert_eq!(fs::read_to_string(bob).unwrap(), wanted);
}

#[test]
fn after_the_commands_that_switch_off_nothing_is_left_to_import() {
    let house = debian();
    let root = root(&house);
    let args = ["--system", "--root", root];
    let before = import_json(&house, &args);
    assert_eq!(before["jobs"].as_array().unwrap().len(), 4);
    for command in commands(&before) {
        paste(&house, &command);
    }
    let after = import_json(&house, &args);
    let jobs = after["jobs"].as_array().unwrap();
    assert!(jobs.iter().all(|job| job["enabled"] == false), "{after}");
    assert_eq!(after["switch_off"].as_array().unwrap().len(), 0, "{after}");
    let tab = fs::read_to_string(house.path("etc/crontab")).unwrap();
    assert!(tab.starts_with("PATH=/usr/sbin:/usr/bin\n17 * * * * root cd /"), "{tab}");
    assert!(tab.contains("\n# 5 5 * * * www-data"), "{tab}");
}

#[test]
fn the_callers_crontab_is_asked_for_and_switched_off() {
    let house = House::empty();
    house.write_program("bin/crontab", CRONTAB);
    let answer = import(&house, &[]);
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(answer.err.starts_with("jobctl: no crontab for somebody\n"), "{answer:?}");
    let tab = house.write("bin/tab", "MAILTO=x\n1 2 * * * a\n\n3 4 * * * b 'c'\n");
    let answer = import(&house, &[]);
    assert_eq!(answer.code, 0, "{answer:?}");
    check(&house, &answer.out);
    for command in commands(&import_json(&house, &[])) {
        assert!(answer.err.contains(&command), "{answer:?}");
        paste(&house, &command);
    }
    assert_eq!(fs::read_to_string(&tab).unwrap(), "MAILTO=x\n# 1 2 * * * a\n\n# 3 4 * * * b 'c'\n");
    fs::remove_file(house.path("bin/crontab")).unwrap();
    if Path::new("/usr/bin/crontab").exists() || Path::new("/bin/crontab").exists() {
        return skipped(Need::NoCron, "there is a crontab(1) on this machine");
    }
    let answer = import(&house, &[]);
    assert_eq!(answer.code, 111, "{answer:?}");
}

#[test]
fn exit_codes_tell_what_became_of_it() {
    let house = House::empty();
    for (input, code, word) in [
        ("", 0, "nothing to import"),
        ("# only\n\nA=1\n", 0, "nothing to import"),
        ("* * * * * a\nbad\n", 0, "standard input:2: not imported"),
        ("bad\n", 1, "1 line is kept as a comment"),
    ] {
        let answer = import_with(&house, &["--user", "root", "-"], input);
        assert_eq!(answer.code, code, "{input}: {answer:?}");
        assert!(answer.err.contains(word), "{input}: {answer:?}");
        check(&house, &answer.out);
    }
    for (args, code) in [
        (&["/nonexistent/tab"][..], 111),
        (&["/dev"], 111),
        (&["--system", "--root", "/nonexistent"], 111),
        (&["--all-users", "--root", root(&house)], 1),
        (&["--system", "x"], 2),
        (&["--user-column"], 2),
        (&["--user", "bob"], 2),
        (&["--user", "bob", "--user-column", "-"], 2),
    ] {
        let answer = import(&house, args);
        assert_eq!(answer.code, code, "{args:?}: {answer:?}");
        assert_eq!(answer.out, "", "{args:?}");
    }
}

#[test]
fn a_proof_stands_behind_a_jobfile_that_still_loads() {
    let house = House::empty();
    let tab = house.write("tab", "7 3 * * * a\n@reboot b\n");
    let tab = tab.to_str().unwrap();
    let boots = "1 job of @reboot not compared: no occurrences";
    for (args, verdict) in [
        (&[tab, "--prove", "10"][..], "2 jobs, 10 occurrences in 10 days, all equal"),
        (&["--prove", tab], "2 jobs, 400 occurrences in 400 days, all equal"),
    ] {
        let answer = import(&house, args);
        assert_eq!(answer.code, 0, "{answer:?}");
        let end = format!("# {boots}\n# {verdict}\n");
        assert!(answer.out.ends_with(&end), "{answer:?}");
        let end = format!("{boots}\n{verdict}\n");
        assert!(answer.err.ends_with(&end), "{answer:?}");
        check(&house, &answer.out);
    }
    let json = import_json(&house, &[tab, "--prove", "10"]);
    let proof = &json["proof"];
    assert_eq!((&proof["equal"], &proof["days"]), (&true.into(), &10.into()));
    assert_eq!(proof["differences"].as_array().map(Vec::len), Some(0));
    assert_eq!(import_json(&house, &[tab])["proof"], Value::Null);
    for days in ["0", "3661", "ten", "-1"] {
        let answer = import(&house, &[tab, "--prove", days]);
        assert_eq!(answer.code, 2, "{days}: {answer:?}");
        assert_eq!(answer.out, "");
    }
}

#[test]
fn a_comparison_lists_what_only_one_of_cron_and_jobctl_would_start() {
    let house = House::empty();
    let tab = house.write("tab", "*/10 2 * * * bob /bin/a\n");
    let column = ["--user-column", tab.to_str().unwrap()];
    let begin = "2026-11-23T02:00:01.1+00:00 h CRON[1]: (bob) CMD (/bin/a)\n\
                 2026-11-23T02:10:01.1+00:00 h CRON[1]: (bob) CMD (/bin/a)\n";
    let equal = house.write("equal", begin);
    let answer = import(&house, &[&column[..], &["--compare", equal.to_str().unwrap()]].concat());
    assert_eq!(answer.code, 0, "{answer:?}");
    let sums = "2 starts in both, 0 only in cron, 0 only in jobctl, \
                from 2026-11-23 02:00:00 to 2026-11-23 02:10:00\n";
    assert_eq!(answer.out, sums, "and no jobfile");

    let more = format!(
        "{begin}2026-11-23T02:12:01+00:00 h CRON[2]: (bob) CMD (/bin/b)\n\
         2026-11-23T02:29:59+00:00 h sshd[3]: nothing\n"
    );
    let args = [&column[..], &["--compare", "-"]].concat();
    let answer = import_with(&house, &args, &more);
    assert_eq!(answer.code, 1, "{answer:?}");
    let lines: Vec<&str> = answer.out.lines().collect();
    assert_eq!(lines.len(), 3, "{answer:?}");
    assert!(lines[0].starts_with("only cron: 2026-11-23T02:12:01"));
    assert!(lines[0].ends_with(" bob: /bin/b"), "{answer:?}");
    assert!(lines[1].starts_with("only jobctl: 2026-11-23T02:20:00"));
    assert!(lines[1].ends_with(" bob: /bin/a (job `a`)"), "{answer:?}");

    let answer = import_with(&house, &args, "no record of cron\n");
    assert_eq!((answer.code, answer.out.as_str()), (1, ""));
    assert!(answer.err.contains("no CMD line"), "{answer:?}");
}

#[test]
fn a_line_of_a_log_with_a_wrong_date_ends_the_comparison_at_once() {
    let house = House::empty();
    let tab = house.write("tab", "* * * * * x\n");
    let log = "0001-01-01T00:00:00Z h CRON[1]: (u) CMD (x)\n9999-01-01T00:00:00Z h CRON[1]: (u) CMD (x)\n";
    let log = house.write("log", log);
    let (tab, log) = (tab.to_str().unwrap(), log.to_str().unwrap());
    let answer = import(&house, &[tab, "--compare", log]);
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(answer.err.contains("12 years apart"), "{answer:?}");
}

#[test]
fn a_file_has_a_user_column_where_such_files_are_or_if_it_is_said() {
    let house = House::empty();
    let tab = house.write("tab", "1 1 * * * bob x\n");
    let tab = tab.to_str().unwrap();
    let plain = import(&house, &[tab]).out;
    assert!(plain.contains("command = \"bob x\""), "{plain}");
    let column = import(&house, &["--user-column", tab]).out;
    assert!(column.contains("command = \"x\"") && column.contains("user = \"bob\""), "{column}");
    let tab = house.write("etc/cron.d/tab", "1 1 * * * bob x\n");
    let found = import(&house, &[tab.to_str().unwrap(), "--root", root(&house)]).out;
    assert!(found.contains("user = \"bob\""), "{found}");
}

#[test]
fn a_system_crontab_that_is_taken_for_a_users_is_refused() {
    let house = House::empty();
    let tab = house.write("tab", "# x\n17 * * * * root cd / && a\n5 5 * * *\tdeploy-x /srv/y\n");
    let tab = tab.to_str().unwrap();
    for args in [&[tab][..], &["--prove", tab], &["--user", "bob", tab]] {
        let answer = import(&house, args);
        assert_eq!((answer.code, answer.out.as_str()), (2, ""), "{answer:?}");
        assert!(
            answer.err.contains("each command begins with a user (`deploy-x`, `root`)"),
            "{answer:?}"
        );
        assert!(answer.err.contains(&format!("import --user-column {tab}")), "{answer:?}");
    }
    import(&house, &["--user-column", tab]).expect(0);
    let mixed = house.write("mixed", "17 * * * * root a\n5 5 * * * /srv/y\n");
    let answer = import(&house, &["--user", "root", mixed.to_str().unwrap()]).expect(0);
    assert!(answer.err.contains("mixed:1: the command begins with `root`"), "{answer:?}");
}

#[test]
fn a_table_of_anacrons_is_known_by_its_lines() {
    let house = House::empty();
    let tab = house.write(
        "tab",
        "SHELL=/bin/sh\n1 5 cron.daily run-parts /etc/cron.daily\n@monthly 15 m /opt/m\n",
    );
    let tab = tab.to_str().unwrap();
    let answer = import(&house, &["--user", "root", tab]).expect(0);
    assert!(answer.err.contains("an anacrontab"), "{answer:?}");
    for line in ["[jobs.\"cron.daily\"]", "schedule = \"5 7 * * *\"", "catch_up = \"last\""] {
        assert!(answer.out.contains(line), "{line}: {answer:?}");
    }
    check(&house, &answer.out);
    let answer = import(&house, &["--user", "bob", tab]);
    assert_eq!((answer.code, answer.out.as_str()), (2, ""), "{answer:?}");
}

#[test]
fn a_modern_import_has_keys_and_runs_at_the_same_times() {
    let house = House::empty();
    let tab = house.write(
        "tab",
        "SHELL=/bin/bash\n30 2 * * * cd / && flock -n /tmp/x.lock timeout 5m nice -n 5 tar c etc\n\
         */7 1-3 * * mon sleep $((RANDOM \\% 90)); true\n#0 6 * * * umask 077; true\n",
    );
    let args = ["--user", "root", "--modern", "--prove", "40", tab.to_str().unwrap()];
    let answer = import(&house, &args).expect(0);
    for line in [
        "command = \"tar c etc\"\nuser = \"root\"\ncwd = \"/\"\noverlap = \"skip\"\ntimeout = \"5m\"\nnice = 5\n",
        "command = \"true\"\nuser = \"root\"\njitter = \"90s\"\n",
        "enabled = false\numask = \"077\"\n",
    ] {
        assert!(answer.out.contains(line), "{line}: {}", answer.out);
    }
    assert!(answer.out.contains("# 3 jobs, "), "{}", answer.out);
    assert!(answer.err.contains("parts of the commands of 3 jobs became keys"), "{answer:?}");
    let plain = import(&house, &["--user", "root", tab.to_str().unwrap()]).expect(0);
    assert!(plain.err.contains("--modern would turn parts"), "{plain:?}");
    assert!(answer.out.ends_with(" in 40 days, all equal\n"), "{}", answer.out);
    check(&house, &answer.out);
}

#[test]
fn a_modern_import_knows_one_lock_file_and_directory_by_two_paths() {
    let house = House::empty();
    let (real, link) = (house.path("real"), house.path("link"));
    fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let (real, link) = (real.display(), link.display());
    let tab = house.write(
        "tab",
        format!(
            "1 * * * * flock -n {real}/x a\n2 * * * * flock -n {link}/x b\n\
             3 * * * * cd {link} && c\n4 * * * * cd {real} && d\n"
        ),
    );
    let args = ["--user", "root", "--modern", tab.to_str().unwrap()];
    let answer = import(&house, &args).expect(0);
    for line in [
        format!("command = \"flock -n {real}/x a\""),
        format!("command = \"flock -n {link}/x b\""),
        format!("command = \"cd {link} && c\""),
        "command = \"d\"".to_owned(),
    ] {
        assert!(answer.out.contains(&line), "{line}: {}", answer.out);
    }
}

#[test]
fn lines_that_do_nothing_and_reboots_are_no_differences_from_crons_log() {
    let house = House::empty();
    script(&house, "usr/sbin/anacron");
    fs::create_dir_all(house.path("etc/cron.hourly")).unwrap();
    fs::create_dir_all(house.path("etc/cron.daily")).unwrap();
    let hourly = "cd / && run-parts --report /etc/cron.hourly";
    house.write(
        "etc/crontab",
        format!("17 * * * * root {hourly}\n25 6 * * * root {DAILY}\n@reboot root boot\n0 7 * * * root printf 'a\\\\nb'\n"),
    );
    let record = |time: &str, command: &str| {
        format!("2026-11-23T{time}:01+00:00 host CRON[7]: (root) CMD ({command})\n")
    };
    let log = [
        record("06:17", hourly),
        record("06:25", DAILY),
        record("06:33", "boot"),
        record("07:00", "printf 'a\\nb'"),
    ];
    let log = house.write("log", log.concat());
    let args = ["--system", "--root", root(&house), "--compare"];
    let args = [&args[..], &[log.to_str().unwrap()]].concat();
    let found = import(&house, &args);
    assert_eq!(
        found.out,
        "1 start in both, 0 only in cron, 0 only in jobctl, from 2026-11-23 06:17:00 to 2026-11-23 07:00:00\n\
         3 starts not compared: @reboot, or a line that does nothing\n"
    );
    assert_eq!(found.code, 0);
}

#[test]
fn a_proof_says_which_lines_it_is_not_about() {
    let house = House::empty();
    let tab = house.write("tab", "1 1 * * * x\n@every_minute y\nbogus\n");
    let answer = import(&house, &[tab.to_str().unwrap(), "--prove", "1"]);
    let wanted = "# 1 line kept as a comment was not compared\n# 2 jobs, 1441 occurrences in 1 day, all equal\n";
    assert!(answer.out.ends_with(wanted), "{}", answer.out);
    assert_eq!(answer.code, 0);
}

#[test]
fn a_log_that_cannot_be_read_is_a_failure_of_the_system() {
    let house = House::empty();
    let tab = house.write("tab", "1 1 * * * x\n");
    let tab = tab.to_str().unwrap();
    for log in [&house.path("nothing"), house.dir(), Path::new("/dev/zero")] {
        let answer = import(&house, &[tab, "--compare", log.to_str().unwrap()]);
        assert_eq!(answer.code, 111, "{log:?}: {}", answer.err);
    }
    let twice = import(&house, &["-", "--compare", "-"]);
    assert_eq!(twice.code, 2, "{}", twice.err);
}

/// Lines, and whether the jobfile has a job or a variable of them, or cron takes them and never
/// runs them.
const LINES: &[&str] = &[
    "*/15 0-23/2 1,15 jan-MAR Mon-fri x",
    "09,39\t*  * * *  x",
    "*/99 * * * * x",
    "0-7 * * * 0-7 x",
    "*x * * * * x",
    "1;2 * * * 5#2 x",
    "0 0 * * FRI-SUN x",
    "50-10 * * * * x",
    "0 0 30 2 * x",
    "5/15 * * * * x",
    "60 * * * * x",
    "0 0 0 * * x",
    "0 0 * 13 * x",
    "0 0 * * 8 x",
    "1, * * * * x",
    "1,,2 * * * * x",
    "*/0 * * * * x",
    "5-64/30 * * * * x",
    "1-99999999999 * * * * x",
    "H * * * * x",
    "0 0 L * * x",
    "0 0 15W * * x",
    "0 0 * january * x",
    "* * * * * * x",
    "* * * *",
    "@daily x",
    "@midnight x%y",
    "@Daily x",
    "@every 5m x",
    "A=b",
    "'A b' = \"c\" ",
    "A='b",
    "A=\"b\" c",
    "A b=c",
    "'A=b'=c",
    "nonsense",
];

#[test]
fn debians_cron_takes_the_same_lines() {
    let house = House::empty();
    let takes = |line: &str| {
        let tab = house.write("tab", format!("{line}\n"));
        let checked = program("crontab").arg("-n").arg(tab).output();
        checked.is_ok_and(|output| output.status.success())
    };
    if !takes("* * * * * x") || takes("x") {
        return skipped(
            Need::Cron,
            "there is no crontab(1) of Debian that only checks (`crontab -n`)",
        );
    }
    for line in LINES {
        let answer = import_with(&house, &["--user", "root", "-", "--json"], &format!("{line}\n"));
        let json = answer.json();
        let reasons = texts(&json, "unknown", "reason");
        let is_taken = reasons.iter().all(|reason| reason.contains("never runs it"));
        assert_eq!(is_taken, takes(line), "{line}: {json}");
    }
}
