//! Old runs of jobs that are in the jobfile, and of those that have left it.

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn old_runs_of_every_job_that_left_the_jobfile_are_removed_but_the_newest() {
    // More than one look goes through.
    let names: Vec<String> = (0..120).map(|number| format!("job{number}")).collect();
    let jobfile: String = names
        .iter()
        .map(|name| format!("[jobs.{name}]\ncommand = 'x'\nconcurrency = 3\n"))
        .collect();
    let mut day = Scenario::new(&jobfile, "2026-06-01T00:00:00Z");
    for name in &names {
        day.enqueue(name, 3);
    }
    day.advance(120);
    day.load("[jobs.other]\ncommand = 'x'");
    assert!(names.iter().all(|name| day.rows(name).len() == 3));
    day.advance_clocks(31 * DAY);
    day.advance(600);
    let left: Vec<usize> = names.iter().map(|name| day.rows(name).len()).collect();
    assert_eq!(left, vec![1; names.len()]);
}
