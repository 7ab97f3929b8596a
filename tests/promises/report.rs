//! `jobctl report`: one file that holds everything, written as a whole.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{House, answer_of};

const JOBS: &str = "[jobs.good]\ncommand = 'true'\n\
    [jobs.bad]\ncommand = 'printf \"<b>no\\\\033[31m space</b>\\\\n\"; exit 3'\n";

/// A house where one job has succeeded and one has failed.
fn house() -> House {
    let house = House::new(JOBS);
    let supervisor = house.start();
    for (job, state) in [("good", "succeeded"), ("bad", "failed")] {
        let run = house.enqueue(&[job]);
        house.wait_state(run, state);
    }
    supervisor.stop();
    house
}

#[test]
fn a_report_shows_what_failed_in_one_file_without_references() {
    let house = house();
    let path = house.path("report.html");
    let file = path.to_str().expect("it is text");
    let answer = house.ask(&["--json", "report", "--html", file]).expect(0).json();
    let page = fs::read_to_string(&path).expect("it is written");
    assert_eq!(answer["file"], file);
    assert_eq!(answer["bytes"], page.len());
    assert!(page.contains("&#60;b&#62;no space&#60;/b&#62;"), "{page}");
    for absent in ["<script", "style=\"", "src=", "href=\"h", "url(", "\x1b", "<b>no"] {
        assert!(!page.contains(absent), "{absent}");
    }
    for words in ["No supervisor is running", "id=\"job-good\"", "failed (exit 3)"] {
        assert!(page.contains(words), "{words}: {page}");
    }
}

#[test]
fn a_report_of_some_jobs_has_no_others() {
    let house = house();
    let page = house.ask(&["report", "--html", "-", "--since", "1h", "good"]).expect(0).out;
    assert!(page.contains("id=\"job-good\"") && !page.contains("job-bad"), "{page}");
    assert!(page.ends_with("</html>\n"), "{page}");
    house.ask(&["report", "--html", "-", "goood"]).expect_refusal(3);
    house.ask(&["report", "--html", "-", "--since", "soon"]).expect_refusal(2);
    house.ask(&["--json", "report", "--html", "-"]).expect_refusal(2);
}

#[test]
fn a_report_replaces_its_file_as_a_whole_and_is_as_readable_as_the_umask_says() {
    let house = house();
    fs::create_dir(house.path("out")).expect("a directory");
    let path = house.path("out/report.html");
    fs::write(&path, "former").expect("a file");
    let former = fs::File::open(&path).expect("it is there");
    let mut shell = house.program("/bin/sh");
    let ask = "umask 027; exec \"$0\" --jobfile \"$1\" --state-dir \"$2\" report --html \"$3\"";
    shell.args(["-c", ask, env!("CARGO_BIN_EXE_jobctl")]);
    shell.args([house.jobfile(), house.state_dir(), path.clone()]);
    answer_of(&mut shell).expect(0);
    let mode = fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert_eq!(std::io::read_to_string(former).expect("readable"), "former");
    let entries = fs::read_dir(house.path("out")).expect("it is there").count();
    assert_eq!(entries, 1, "nothing else is left");
    let directory = house.path("out").display().to_string();
    house.ask(&["report", "--html", &directory]).expect_refusal(2);
    house.ask(&["report", "--html", "/dev/full"]).expect_refusal(111);
    let missing = house.path("none/report.html").display().to_string();
    house.ask(&["report", "--html", &missing]).expect_refusal(111);
    house.ask(&["report", "--html", "/dev/null"]).expect(0);
}
