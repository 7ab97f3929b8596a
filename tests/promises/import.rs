//! `jobctl import` as people call it: the files of a system below a directory, their own crontab, and what they paste afterwards.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "the real binary is started as people start it, and a test may fail"
)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::skipped::{Need, skipped};
use serde_json::Value;

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

/// A directory of its own for each test; removed at the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("jobctl-import-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn file(&self, path: &str, text: &str) -> PathBuf {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn script(&self, path: &str) -> PathBuf {
        let path = self.file(path, "#!/bin/sh\n");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn jobctl(&self, args: &[&str]) -> Answer {
        self.jobctl_with(args, "")
    }

    fn jobctl_in_utc(&self, args: &[&str]) -> Answer {
        let words = ["TZ=UTC", env!("CARGO_BIN_EXE_jobctl")];
        let output = Command::new("/usr/bin/env").args(words).args(args).output();
        let output = output.unwrap();
        Answer {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn jobctl_with(&self, args: &[&str], input: &str) -> Answer {
        let mut child = Command::new(env!("CARGO_BIN_EXE_jobctl"))
            .args(args)
            .env("PATH", self.path())
            .env("HOME", &self.0)
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may not read what it was given.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Answer {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The programs of the place before those of the system.
    fn path(&self) -> String {
        format!("{}:/usr/bin:/bin", self.0.join("bin").display())
    }

    fn json(&self, args: &[&str]) -> Value {
        let answer = self.jobctl(&[args, &["--json"]].concat());
        serde_json::from_str(&answer.stdout).unwrap()
    }

    /// Runs a command as if it had been pasted into a shell.
    fn paste(&self, command: &str) {
        let status = Command::new("/bin/sh")
            .args(["-c", command])
            .env("PATH", self.path())
            .status()
            .unwrap();
        assert!(status.success(), "{command}");
    }

    fn check(&self, text: &str) {
        let path = self.file("check.toml", text);
        let answer = self.jobctl(&["--jobfile", path.to_str().unwrap(), "check"]);
        // `user` may be refused by `run`; the jobfile as such has to be in order.
        assert!(!answer.stdout.contains("error"), "{}{}\n{text}", answer.stdout, answer.stderr);
    }

    fn root(&self) -> String {
        self.0.to_str().unwrap().to_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[derive(Debug)]
struct Answer {
    code: Option<i32>,
    stdout: String,
    stderr: String,
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
fn debian(name: &str) -> Place {
    let place = Place::new(name);
    place.file(
        "etc/crontab",
        &format!(
            "PATH=/usr/sbin:/usr/bin\n17 * * * * root cd / && run-parts --report /etc/cron.hourly\n25 6 * * * root {DAILY}\n# y\n5 5 * * * www-data /srv/y.sh\n"
        ),
    );
    place.file("etc/cron.d/php", "09,39 * * * * root /usr/lib/php/sessionclean\n");
    place.file("etc/cron.d/old.dpkg-dist", "* * * * * root never\n");
    place.file("etc/cron.d/.placeholder", "# nothing\n");
    place.script("etc/cron.daily/logrotate");
    place.script("etc/cron.daily/apt-compat");
    place.script("etc/cron.daily/backup.sh");
    place.file("etc/cron.daily/off", "#!/bin/sh\n");
    place.file("etc/cron.hourly/.placeholder", "# nothing\n");
    place.script("etc/cron.weekly/man-db");
    place.file(
        "etc/anacrontab",
        "SHELL=/bin/sh\nHOME=/root\nLOGNAME=root\n1 5 cron.daily run-parts --report /etc/cron.daily\n@monthly 15 m /opt/monthly\n",
    );
    place
}

#[test]
fn a_system_is_imported_without_anacron() {
    let place = debian("system");
    let root = place.root();
    let json = place.json(&["import", "--system", "--root", &root]);
    assert_eq!(texts(&json, "jobs", "name"), ["apt-compat", "logrotate", "y", "sessionclean"]);
    let text = json["jobfile"].as_str().unwrap();
    assert!(text.contains("command = [\"/etc/cron.daily/logrotate\"]"), "{text}");
    assert!(text.contains("user = \"www-data\""), "{text}");
    place.check(text);
    let said = texts(&json, "changed", "text").join("\n");
    for word in [
        "cron takes no file",
        "run-parts takes no script",
        "not executable",
        "no /usr/sbin/anacron",
        "no line runs",
    ] {
        assert!(said.contains(word), "{word} is not in {said}");
    }
}

#[test]
fn with_anacron_its_table_decides_about_the_directories() {
    let place = debian("anacron");
    place.script("usr/sbin/anacron");
    let root = place.root();
    let json = place.json(&["import", "--system", "--root", &root]);
    assert_eq!(texts(&json, "jobs", "name"), ["y", "sessionclean", "apt-compat", "logrotate", "m"]);
    let text = json["jobfile"].as_str().unwrap();
    assert_eq!(text.matches("catch_up = \"last\"").count(), 3, "{text}");
    assert!(text.contains("# Does nothing while there is an anacron"), "{text}");
    place.check(text);
}

#[test]
fn the_crontabs_of_all_users_are_imported_and_switched_off() {
    let place = Place::new("spool");
    let header = "# DO NOT EDIT THIS FILE - edit the master and reinstall.\n# (x)\n# (y)\n";
    let bob = place.file(
        "var/spool/cron/crontabs/bob",
        &format!("{header}# z\n* * * * * z\nX=1\n@daily z\nbad\n"),
    );
    place.file("var/spool/cron/crontabs/root", "1 1 * * * z\n");
    let root = place.root();
    let json = place.json(&["import", "--all-users", "--root", &root]);
    assert_eq!(texts(&json, "jobs", "name"), ["z", "z-2", "z-3"]);
    assert_eq!(json["jobs"][0]["line"], 5);
    assert_eq!(json["unknown"][0]["line"], 8);
    let text = json["jobfile"].as_str().unwrap();
    assert_eq!(text.matches("user = \"bob\"").count(), 2, "{text}");
    // Else a supervisor of somebody else would run root's lines with other rights.
    assert_eq!(text.matches("user = \"root\"").count(), 1, "{text}");
    assert!(!text.contains("DO NOT EDIT"), "{text}");
    place.check(text);
    for command in commands(&json) {
        place.paste(&command);
    }
    let wanted = format!("{header}# z\n# * * * * * z\nX=1\n# @daily z\nbad\n");
    assert_eq!(fs::read_to_string(bob).unwrap(), wanted);
}

#[test]
fn after_the_commands_that_switch_off_nothing_is_left_to_import() {
    let place = debian("off");
    let root = place.root();
    let args = ["import", "--system", "--root", &root];
    let before = place.json(&args);
    assert_eq!(before["jobs"].as_array().unwrap().len(), 4);
    for command in commands(&before) {
        place.paste(&command);
    }
    let after = place.json(&args);
    assert_eq!(after["jobs"].as_array().unwrap().len(), 0, "{after}");
    let tab = fs::read_to_string(place.0.join("etc/crontab")).unwrap();
    assert!(tab.starts_with("PATH=/usr/sbin:/usr/bin\n17 * * * * root cd /"), "{tab}");
    assert!(tab.contains("\n# 5 5 * * * www-data"), "{tab}");
}

#[test]
fn the_callers_crontab_is_asked_for_and_switched_off() {
    let place = Place::new("own");
    place.script("bin/crontab");
    place.file("bin/crontab", CRONTAB);
    let answer = place.jobctl(&["import"]);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert!(answer.stderr.starts_with("jobctl: no crontab for somebody\n"), "{answer:?}");
    let tab = place.file("bin/tab", "MAILTO=x\n1 2 * * * a\n\n3 4 * * * b 'c'\n");
    let answer = place.jobctl(&["import"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    place.check(&answer.stdout);
    for command in commands(&place.json(&["import"])) {
        assert!(answer.stderr.contains(&command), "{answer:?}");
        place.paste(&command);
    }
    assert_eq!(fs::read_to_string(&tab).unwrap(), "MAILTO=x\n# 1 2 * * * a\n\n# 3 4 * * * b 'c'\n");
    fs::remove_file(place.0.join("bin/crontab")).unwrap();
    if Path::new("/usr/bin/crontab").exists() || Path::new("/bin/crontab").exists() {
        return skipped(Need::NoCron, "there is a crontab(1) on this machine");
    }
    let answer = place.jobctl(&["import"]);
    assert_eq!(answer.code, Some(111), "{answer:?}");
}

#[test]
fn exit_codes_tell_what_became_of_it() {
    let place = Place::new("codes");
    for (input, code, word) in [
        ("", 0, "there is nothing to import"),
        ("# only\n\nA=1\n", 0, "there is nothing to import"),
        ("* * * * * a\nbad\n", 0, "standard input:2: not imported"),
        ("bad\n", 1, "1 line is kept as a comment"),
    ] {
        let answer = place.jobctl_with(&["import", "--user", "root", "-"], input);
        assert_eq!(answer.code, Some(code), "{input}: {answer:?}");
        assert!(answer.stderr.contains(word), "{input}: {answer:?}");
        place.check(&answer.stdout);
    }
    for (args, code) in [
        (&["import", "/nonexistent/tab"][..], 111),
        (&["import", "/dev"], 111),
        (&["import", "--system", "--root", "/nonexistent"], 111),
        (&["import", "--all-users", "--root", &place.root()], 1),
        (&["import", "--system", "x"], 2),
        (&["import", "--user-column"], 2),
        (&["import", "--user", "bob"], 2),
        (&["import", "--user", "bob", "--user-column", "-"], 2),
    ] {
        let answer = place.jobctl(args);
        assert_eq!(answer.code, Some(code), "{args:?}: {answer:?}");
        assert_eq!(answer.stdout, "", "{args:?}");
    }
}

#[test]
fn a_proof_stands_behind_a_jobfile_that_still_loads() {
    let place = Place::new("prove");
    let tab = place.file("tab", "7 3 * * * a\n@reboot b\n");
    let tab = tab.to_str().unwrap();
    let boots = "1 job of @reboot, which has no occurrences to compare";
    for (args, verdict) in [
        (&["import", tab, "--prove", "10"][..], "2 jobs, 10 occurrences in 10 days, all equal"),
        (&["import", "--prove", tab], "2 jobs, 400 occurrences in 400 days, all equal"),
    ] {
        let answer = place.jobctl(args);
        assert_eq!(answer.code, Some(0), "{answer:?}");
        let end = format!("# {boots}\n# {verdict}\n");
        assert!(answer.stdout.ends_with(&end), "{answer:?}");
        let end = format!("{boots}\n{verdict}\n");
        assert!(answer.stderr.ends_with(&end), "{answer:?}");
        place.check(&answer.stdout);
    }
    let json = place.json(&["import", tab, "--prove", "10"]);
    let proof = &json["proof"];
    assert_eq!((&proof["equal"], &proof["days"]), (&true.into(), &10.into()));
    assert_eq!(proof["differences"].as_array().map(Vec::len), Some(0));
    assert_eq!(place.json(&["import", tab])["proof"], Value::Null);
    for days in ["0", "3661", "ten", "-1"] {
        let answer = place.jobctl(&["import", tab, "--prove", days]);
        assert_eq!(answer.code, Some(2), "{days}: {answer:?}");
        assert_eq!(answer.stdout, "");
    }
}

#[test]
fn a_comparison_lists_what_only_one_of_cron_and_jobctl_would_start() {
    let place = Place::new("compare");
    let tab = place.file("tab", "*/10 2 * * * bob /bin/a\n");
    let import = ["import", "--user-column", tab.to_str().unwrap()];
    let begin = "2026-11-23T02:00:01.1+00:00 h CRON[1]: (bob) CMD (/bin/a)\n\
                 2026-11-23T02:10:01.1+00:00 h CRON[1]: (bob) CMD (/bin/a)\n";
    let equal = place.file("equal", begin);
    let answer = place.jobctl(&[&import[..], &["--compare", equal.to_str().unwrap()]].concat());
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let sums = "2 starts in both, 0 only in cron, 0 only in jobctl, \
                from 2026-11-23 02:00:00 to 2026-11-23 02:10:00\n";
    assert_eq!(answer.stdout, sums, "and no jobfile");

    let more = format!(
        "{begin}2026-11-23T02:12:01+00:00 h CRON[2]: (bob) CMD (/bin/b)\n\
         2026-11-23T02:29:59+00:00 h sshd[3]: nothing\n"
    );
    let args = [&import[..], &["--compare", "-"]].concat();
    let answer = place.jobctl_with(&args, &more);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    let lines: Vec<&str> = answer.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{answer:?}");
    assert!(lines[0].starts_with("only cron: 2026-11-23T02:12:01"));
    assert!(lines[0].ends_with(" bob: /bin/b"), "{answer:?}");
    assert!(lines[1].starts_with("only jobctl: 2026-11-23T02:20:00"));
    assert!(lines[1].ends_with(" bob: /bin/a (job `a`)"), "{answer:?}");

    let answer = place.jobctl_with(&args, "no record of cron\n");
    assert_eq!((answer.code, answer.stdout.as_str()), (Some(1), ""));
    assert!(answer.stderr.contains("no CMD line"), "{answer:?}");
}

#[test]
fn a_line_of_a_log_with_a_wrong_date_ends_the_comparison_at_once() {
    let place = Place::new("ages");
    let tab = place.file("tab", "* * * * * x\n");
    let log = "0001-01-01T00:00:00Z h CRON[1]: (u) CMD (x)\n9999-01-01T00:00:00Z h CRON[1]: (u) CMD (x)\n";
    let log = place.file("log", log);
    let (tab, log) = (tab.to_str().unwrap(), log.to_str().unwrap());
    let answer = place.jobctl(&["import", tab, "--compare", log]);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert!(answer.stderr.contains("12 years apart"), "{answer:?}");
}

#[test]
fn a_file_has_a_user_column_where_such_files_are_or_if_it_is_said() {
    let place = Place::new("column");
    let tab = place.file("tab", "1 1 * * * bob x\n");
    let tab = tab.to_str().unwrap();
    let plain = place.jobctl(&["import", tab]).stdout;
    assert!(plain.contains("command = \"bob x\""), "{plain}");
    let column = place.jobctl(&["import", "--user-column", tab]).stdout;
    assert!(column.contains("command = \"x\"") && column.contains("user = \"bob\""), "{column}");
    let tab = place.file("etc/cron.d/tab", "1 1 * * * bob x\n");
    let found = place.jobctl(&["import", tab.to_str().unwrap(), "--root", &place.root()]).stdout;
    assert!(found.contains("user = \"bob\""), "{found}");
}

#[test]
fn lines_that_do_nothing_and_reboots_are_no_differences_from_crons_log() {
    let place = Place::new("idle");
    place.script("usr/sbin/anacron");
    fs::create_dir_all(place.0.join("etc/cron.hourly")).unwrap();
    fs::create_dir_all(place.0.join("etc/cron.daily")).unwrap();
    let hourly = "cd / && run-parts --report /etc/cron.hourly";
    place.file(
        "etc/crontab",
        &format!("17 * * * * root {hourly}\n25 6 * * * root {DAILY}\n@reboot root boot\n0 7 * * * root printf 'a\\\\nb'\n"),
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
    let log = place.file("log", &log.concat());
    let args = ["import", "--system", "--root", &place.root(), "--compare"];
    let args = [&args[..], &[log.to_str().unwrap()]].concat();
    let found = place.jobctl_in_utc(&args);
    assert_eq!(
        found.stdout,
        "1 start in both, 0 only in cron, 0 only in jobctl, from 2026-11-23 06:17:00 to 2026-11-23 07:00:00\n\
         3 starts of @reboot, or of lines that do nothing: not compared\n"
    );
    assert_eq!(found.code, Some(0));
}

#[test]
fn a_proof_says_which_lines_it_is_not_about() {
    let place = Place::new("unproved");
    let tab = place.file("tab", "1 1 * * * x\n@every_minute y\nbogus\n");
    let answer = place.jobctl(&["import", tab.to_str().unwrap(), "--prove", "1"]);
    let wanted = "# 1 line kept as a comment: not compared\n# 2 jobs, 1441 occurrences in 1 day, all equal\n";
    assert!(answer.stdout.ends_with(wanted), "{}", answer.stdout);
    assert_eq!(answer.code, Some(0));
}

#[test]
fn a_log_that_cannot_be_read_is_a_failure_of_the_system() {
    let place = Place::new("log");
    let tab = place.file("tab", "1 1 * * * x\n");
    let tab = tab.to_str().unwrap();
    for log in [&place.0.join("nothing"), &place.0, Path::new("/dev/zero")] {
        let answer = place.jobctl(&["import", tab, "--compare", log.to_str().unwrap()]);
        assert_eq!(answer.code, Some(111), "{log:?}: {}", answer.stderr);
    }
    let twice = place.jobctl(&["import", "-", "--compare", "-"]);
    assert_eq!(twice.code, Some(2), "{}", twice.stderr);
}

/// Lines, and whether the jobfile has a job or a variable of them, or cron takes them and never runs them.
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
    let place = Place::new("debian");
    let takes = |line: &str| {
        let tab = place.file("tab", &format!("{line}\n"));
        let checked = Command::new("crontab").arg("-n").arg(tab).output();
        checked.is_ok_and(|output| output.status.success())
    };
    if !takes("* * * * * x") || takes("x") {
        return skipped(
            Need::Cron,
            "there is no crontab(1) of Debian that only checks (`crontab -n`)",
        );
    }
    for line in LINES {
        let answer =
            place.jobctl_with(&["import", "--user", "root", "-", "--json"], &format!("{line}\n"));
        let json: Value = serde_json::from_str(&answer.stdout).unwrap();
        let reasons = texts(&json, "unknown", "reason");
        let is_taken = reasons.iter().all(|reason| reason.contains("never runs it"));
        assert_eq!(is_taken, takes(line), "{line}: {json}");
    }
}
