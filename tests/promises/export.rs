//! `jobctl export crontab` with the real binary: what goes to which stream, and the exit codes.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use crate::support::{Answer, House};

/// Exports a jobfile.
fn export(jobfile: &str, args: &[&str]) -> Answer {
    House::new(jobfile).ask(&[&["export", "crontab"], args].concat())
}

#[test]
fn a_plain_job_is_exported_without_a_word() {
    let answer =
        export("[jobs.a]\nschedule = '30 2 * * *'\ncommand = 'date +%F'\noverlap = 'allow'\n", &[]);
    assert_eq!(answer.code, 0);
    assert_eq!(answer.err, "");
    let crontab = answer.out;
    assert!(crontab.contains("\n# job `a`\n"), "{crontab}");
    assert!(crontab.ends_with("\n30 2 * * * date +\\%F\n"), "{crontab}");
}

#[test]
fn what_crontab_cannot_say_is_listed_by_job_and_key() {
    let answer = export(
        "[jobs.a]\nschedule = '@daily'\ncommand = 'true'\nretry = 3\n\
         [jobs.b]\nschedule = '0 0 L * *'\ncommand = 'true'\n\
         [jobs.c]\nschedule = '@daily'\ntimezone = 'Asia/Tokyo'\ncommand = ['a b', 'c']\n",
        &[],
    );
    assert_eq!(answer.code, 1);
    let said = &answer.err;
    assert!(said.contains("job `a`: retry: "), "{said}");
    assert!(said.contains("job `b`: schedule: "), "{said}");
    assert!(said.contains("job `c`: timezone: "), "{said}");
    let crontab = answer.out;
    assert!(crontab.contains("\n# 0 0 L * * true\n"), "{crontab}");
    assert!(crontab.contains("\nCRON_TZ=Asia/Tokyo\n@daily 'a b' c\n"), "{crontab}");
}

/// Imports a crontab of the caller's own.
fn import(crontab: &str) -> String {
    let house = House::empty();
    house.write("tab", crontab);
    house.ask(&["import", house.path("tab").to_str().unwrap()]).out
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
    let back = export(&first, &[]);
    assert_eq!(back.code, 0, "{back:?}");
    let again = import(&back.out);
    assert_eq!(jobs(&again), jobs(&first), "{}", back.out);
    assert_eq!(jobs(&first).len(), 6);
}

#[test]
fn a_system_crontab_has_a_user_column_and_json_is_one_object() {
    let jobfile = "[jobs.a]\nschedule = '@daily'\ncommand = 'true'\nuser = 'games'\n";
    let answer = export(jobfile, &["--system"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(answer.out.ends_with("\n@daily games true\n"));
    let answer = export(jobfile, &["--system", "--json"]);
    let json = answer.json();
    assert_eq!((&json["jobs"], &json["refused"]), (&1.into(), &0.into()));
    assert_eq!(json["not_said"][0]["key"], "overlap");
}
