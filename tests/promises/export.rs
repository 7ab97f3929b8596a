//! `jobctl export crontab` with the real binary: what goes to which stream, and the exit codes.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "the real binary is started as people start it, and a test may fail"
)]

use std::fs;
use std::process::{Command, Output};

/// Exports a jobfile.
fn export(name: &str, jobfile: &str, args: &[&str]) -> Output {
    let dir = std::env::temp_dir().join(format!("jobctl-export-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("jobs.toml"), jobfile).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_jobctl"))
        .env_clear()
        .env("HOME", &dir)
        .env("TZ", "UTC")
        .arg("--jobfile")
        .arg(dir.join("jobs.toml"))
        .arg("--state-dir")
        .arg(dir.join("state"))
        .args(["export", "crontab"])
        .args(args)
        .output()
        .unwrap();
    let _ = fs::remove_dir_all(&dir);
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_plain_job_is_exported_without_a_word() {
    let output = export(
        "plain",
        "[jobs.a]\nschedule = '30 2 * * *'\ncommand = 'date +%F'\noverlap = 'allow'\n",
        &[],
    );
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stderr), "");
    let crontab = text(&output.stdout);
    assert!(crontab.contains("\n# job `a`\n"), "{crontab}");
    assert!(crontab.ends_with("\n30 2 * * * date +\\%F\n"), "{crontab}");
}

#[test]
fn what_crontab_cannot_say_is_listed_by_job_and_key() {
    let output = export(
        "lost",
        "[jobs.a]\nschedule = '@daily'\ncommand = 'true'\nretry = 3\n\
         [jobs.b]\nschedule = '0 0 L * *'\ncommand = 'true'\n\
         [jobs.c]\nschedule = '@daily'\ntimezone = 'Asia/Tokyo'\ncommand = ['a b', 'c']\n",
        &[],
    );
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("job `a`: retry: "), "{said}");
    assert!(said.contains("job `b`: schedule: "), "{said}");
    assert!(said.contains("job `c`: timezone: "), "{said}");
    let crontab = text(&output.stdout);
    assert!(crontab.contains("\n# 0 0 L * * true\n"), "{crontab}");
    assert!(crontab.contains("\nCRON_TZ=Asia/Tokyo\n@daily 'a b' c\n"), "{crontab}");
}

/// Imports a crontab of the caller's own.
fn import(crontab: &str) -> String {
    let name = format!("jobctl-export-tab-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, crontab).unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_jobctl")).arg("import").arg(&path).output().unwrap();
    std::fs::remove_file(path).unwrap();
    text(&output.stdout)
}

#[test]
fn a_crontab_that_went_to_a_jobfile_and_back_makes_the_same_jobs() {
    let crontab = r#"PATH="/opt/bin:/usr/bin"
A='b c'
SHELL=/bin/bash
MAILTO=""
5 1 * * * printf 'a\\\\b' | tee x
*/9 2-4 * * mon-fri mail me%one%two \% three
MAILTO=me@example.com
@reboot start
@daily a
@daily a
"#;
    let jobs = |jobfile: &str| -> Vec<String> {
        let head = jobfile.find("[defaults]").unwrap();
        let lines = jobfile[head..].lines().filter(|line| !line.starts_with('#'));
        let text: Vec<&str> = lines.collect();
        // An exported crontab is in the order of names.
        let mut jobs: Vec<String> =
            text.join("\n").split("\n[").map(str::trim).map(str::to_owned).collect();
        jobs.sort();
        jobs
    };
    let first = import(crontab);
    let back = export("back", &first, &[]);
    assert_eq!(back.status.code(), Some(0), "{back:?}");
    let again = import(&text(&back.stdout));
    assert_eq!(jobs(&again), jobs(&first), "{}", text(&back.stdout));
    assert_eq!(jobs(&first).len(), 6);
}

#[test]
fn a_system_crontab_has_a_user_column_and_json_is_one_object() {
    let jobfile = "[jobs.a]\nschedule = '@daily'\ncommand = 'true'\nuser = 'games'\n";
    let output = export("system", jobfile, &["--system"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stdout).ends_with("\n@daily games true\n"));
    let output = export("json", jobfile, &["--system", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&json["jobs"], &json["refused"]), (&1.into(), &0.into()));
    assert_eq!(json["not_said"][0]["key"], "overlap");
}
