//! A lock for each first argument, when the template or the supervisor is another one.

use super::*;

fn jobfile(template: &str) -> String {
    format!("[jobs.a]\nlock = '{template}'\nconcurrency = 2\ncommand = 'true'")
}

fn enqueue(day: &mut Scenario, arg: &str) -> i64 {
    let addition = Addition {
        job: "a",
        due_at: day.now.wall,
        priority: 0,
        max_attempts: Some(1),
        backlog_max: None,
        cause: crate::core::run::Cause::Enqueue,
        created_at: day.now.wall,
        conditions: crate::store::Conditions::default(),
    };
    let item = NewItem { args: vec![arg.into()], ..NewItem::default() };
    match day.supervisor.store.enqueue(&addition, [item]).unwrap() {
        Enqueued::Added(added) => added[0].id,
        Enqueued::BacklogFull { .. } | Enqueued::KeyHeld { .. } | Enqueued::NoSuchRun(_) => {
            panic!("no limit was set")
        }
    }
}

#[test]
fn nothing_overtakes_what_is_still_held_under_the_template_before() {
    let mut day = Scenario::new(&jobfile("x-{1}"), "2026-06-01T00:00:30Z");
    day.acts("a", &[(60, End::Exited(0))]);
    // One runs, and eight are held behind it: more than one turn lets go.
    let mut all: Vec<i64> = (0..9).map(|_| enqueue(&mut day, "k")).collect();
    day.advance(1);
    assert_eq!(day.supervisor.spawner.started.len(), 1);
    day.load(&jobfile("y-{1}"));
    all.push(enqueue(&mut day, "k"));
    day.advance(1);
    all.push(enqueue(&mut day, "k"));
    day.advance(200);
    let started: Vec<i64> = day.supervisor.spawner.started.iter().map(|(run, _)| *run).collect();
    assert_eq!(started, all);
}
