//! What an occurrence does while its job is busy, and how many runs of a job there are at once.

use serde_json::Value;

use crate::support::{House, wait_for};

/// A job with an occurrence each second whose command ends when `$T/go` is there.
fn busy(overlap: &str) -> House {
    let house = House::new(&format!(
        r#"
[jobs.busy]
schedule = "@every 1s"
overlap = "{overlap}"
shell = ["/bin/bash", "-c"]
command = '''
echo "$JOBCTL_RUN" >> "$T/began"
until [ -e "$T/go" ]; do read -t 0.02 _ <> "$T/never" || :; done
'''
"#
    ));
    nix::unistd::mkfifo(&house.path("never"), nix::sys::stat::Mode::S_IRWXU)
        .expect("a FIFO can be made");
    house
}

fn in_state(house: &House, state: &str) -> Vec<Value> {
    house.runs("busy").into_iter().filter(|run| run["state"] == state).collect()
}

fn pause(house: &House) {
    house.ask(&["pause", "busy"]).expect(0);
}

#[test]
fn skip_records_the_occurrences_that_found_the_job_busy_in_one_row() {
    let house = busy("skip");
    let _supervisor = house.start();
    let first = house.wait_run("busy", "a run", |run| run["state"] == "running");
    let skipped = house.wait_run("busy", "two skipped occurrences", |run| {
        run["state"] == "skipped" && run["count"].as_i64() >= Some(2)
    });
    assert_eq!(
        (&skipped["reason"], &skipped["by"]),
        (&"overlap".into(), &first["id"]),
        "{skipped:#}"
    );
    assert!(
        skipped["last_scheduled_at"].as_str() > skipped["scheduled_at"].as_str(),
        "{skipped:#}"
    );
    assert_eq!(in_state(&house, "skipped").len(), 1);
    assert_eq!(house.lines("began").len(), 1);
}

#[test]
fn queue_one_lets_one_occurrence_wait_and_skips_the_others() {
    let house = busy("queue-one");
    let _supervisor = house.start();
    house.wait_run("busy", "a skipped occurrence", |run| run["state"] == "skipped");
    assert_eq!(in_state(&house, "running").len(), 1);
    assert_eq!(in_state(&house, "queued").len(), 1);
    pause(&house);
    let waiting = in_state(&house, "queued")[0]["id"].as_i64().expect("an id is a number");
    house.write("go", "");
    house.ask(&["resume", "busy"]).expect(0);
    house.wait_state(waiting, "succeeded");
}

#[test]
fn queue_all_lets_every_occurrence_wait_and_runs_them_one_after_another() {
    let house = busy("queue-all");
    let _supervisor = house.start();
    let waiting = wait_for("three that wait", || {
        Some(in_state(&house, "queued")).filter(|waiting| waiting.len() >= 3)
    });
    assert!(in_state(&house, "skipped").is_empty());
    assert_eq!(house.lines("began").len(), 1);
    house.write("go", "");
    for run in waiting {
        house.wait_state(run["id"].as_i64().expect("an id is a number"), "succeeded");
    }
    let began: Vec<i64> =
        house.lines("began").iter().map(|id| id.parse().expect("an id")).collect();
    assert!(began.is_sorted(), "{began:?}");
}

#[test]
fn replace_stops_the_old_run_and_starts_the_new_one() {
    let house = busy("replace");
    let _supervisor = house.start();
    let replaced = house.wait_run("busy", "a replaced run", |run| run["state"] == "cancelled");
    assert_eq!(replaced["reason"], "replaced", "{replaced:#}");
    let by = replaced["by"].as_i64().expect("somebody replaced it");
    assert!(Some(by) > replaced["id"].as_i64());
    house.wait_text("began", &format!("{by}\n"));
}

#[test]
fn allow_sets_no_limit() {
    let house = busy("allow");
    let _supervisor = house.start();
    wait_for("three at once", || (in_state(&house, "running").len() >= 3).then_some(()));
    assert!(in_state(&house, "skipped").is_empty());
    assert!(in_state(&house, "queued").is_empty());
}

#[test]
fn items_are_never_skipped() {
    let house = busy("skip");
    let _supervisor = house.start();
    house.wait_run("busy", "a run", |run| run["state"] == "running");
    let items = [house.enqueue(&["busy"]), house.enqueue(&["busy"])];
    house.wait_run("busy", "a skipped occurrence", |run| run["state"] == "skipped");
    for item in items {
        assert_eq!(house.show(item)["state"], "queued");
    }
    house.write("go", "");
    for item in items {
        house.wait_state(item, "succeeded");
    }
}

/// Each command counts itself in and out under a lock of its own and notes how many there were.
const CROWD: &str = r#"
[jobs.crowd]
concurrency = 3
shell = ["/bin/bash", "-c"]
command = '''
count() {
    exec 9>> "$T/count.lock"; flock 9
    local there; read there < "$T/count" || there=0
    echo $((there + $1)) > "$T/count"
    echo $((there + $1)) >> "$T/counts"
    exec 9>&-
}
count 1
read -t 0.05 _ <> "$T/never"
count -1
'''
"#;

fn crowd(settings: &str, concurrency: &str) -> House {
    let house =
        House::new(&format!("{settings}\n{}", CROWD.replace("concurrency = 3", concurrency)));
    nix::unistd::mkfifo(&house.path("never"), nix::sys::stat::Mode::S_IRWXU)
        .expect("a FIFO can be made");
    house.write("count", "0\n");
    house
}

fn most_at_once(house: &House) -> i64 {
    let counts = house.lines("counts");
    assert_eq!(counts.last().map(String::as_str), Some("0"));
    counts.iter().map(|count| count.parse().expect("a number")).max().expect("it ran")
}

#[test]
fn concurrency_is_used_and_never_exceeded() {
    let house = crowd("", "concurrency = 3");
    let lines: String = (0..24).map(|number| format!("{number}\n")).collect();
    let supervisor = house.start();
    house.ask_with(&["enqueue", "--lines", "crowd"], &lines).expect(0);
    house.wait_lines("counts", 20);
    // Over a crash, too.
    supervisor.kill();
    let _supervisor = house.start();
    house.wait_idle(&["crowd"]);
    assert_eq!(house.lines("counts").len(), 48);
    assert_eq!(most_at_once(&house), 3);
}

#[test]
fn max_running_is_the_limit_of_all_jobs_together() {
    let house = crowd("max_running = 2", "overlap = 'allow'");
    let lines: String = (0..12).map(|number| format!("{number}\n")).collect();
    let _supervisor = house.start();
    house.ask_with(&["enqueue", "--lines", "crowd"], &lines).expect(0);
    house.wait_idle(&["crowd"]);
    assert_eq!(house.lines("counts").len(), 24);
    assert_eq!(most_at_once(&house), 2);
}

#[test]
fn higher_priority_goes_first_then_who_came_first() {
    let house = House::new("[jobs.notes]\ncommand = 'echo \"$1\" >> \"$T/notes\"'\n");
    for (priority, word) in [("0", "c"), ("5", "a"), ("5", "b"), ("-5", "e"), ("0", "d")] {
        house.enqueue(&["--priority", priority, "notes", word]);
    }
    let _supervisor = house.start();
    assert_eq!(house.wait_lines("notes", 5), ["a", "b", "c", "d", "e"]);
}

#[test]
fn an_occurrence_over_its_start_deadline_is_missed() {
    let house = House::new(
        r#"
max_running = 1
[jobs.long]
priority = 10
command = 'echo x >> "$T/began"; exec sleep 1000'
[jobs.prompt]
schedule = "@every 1s"
start_deadline = "500ms"
command = 'true'
"#,
    );
    let long = house.enqueue(&["long"]);
    let _supervisor = house.start();
    house.wait_lines("began", 1);
    let missed = house.wait_run("prompt", "a missed occurrence", |run| run["state"] == "skipped");
    assert_eq!(missed["reason"], "missed", "{missed:#}");
    house.ask(&["cancel", &long.to_string()]).expect(0);
    house.wait_run("prompt", "a success", |run| run["state"] == "succeeded");
}
