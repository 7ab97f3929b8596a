//! A supervisor that only records what it would start, beside cron.

use crate::support::House;

const JOBS: &str = "[jobs.a]\nschedule = '@every 1s'\ncommand = 'echo x >> $T/started'\n\
    [jobs.items]\ncommand = 'echo x >> $T/items'\n";

#[test]
fn a_shadow_says_so_and_starts_nothing_and_the_next_supervisor_starts_what_waited() {
    let house = House::new(JOBS);
    let mut shadow = house.start_with(&mut house.jobctl(), &["--shadow"]);
    house.wait_text("log", "mode=shadow");
    assert_eq!(house.status()["supervisor"]["shadow"], true);
    let page = house.ask(&["status"]).expect(0).out;
    assert!(page.contains("running with --shadow"), "{page}");
    let answer = house.ask(&["enqueue", "items"]).expect(0);
    assert!(answer.err.contains("the supervisor runs with --shadow"), "{answer:#?}");
    let item: i64 = answer.out.trim().parse().expect("an id");
    let is_shadowed = |run: &serde_json::Value| {
        run["reason"] == "shadow" && run["state"] == "skipped" && run["count"] == 1
    };
    let first = house.wait_run("a", "a first occurrence", is_shadowed);
    house.wait_run("a", "another one", |run| is_shadowed(run) && run["id"] != first["id"]);
    assert_eq!(house.show(item)["state"], "queued");
    assert_eq!(house.read("started") + &house.read("items"), "");
    shadow.send(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(shadow.wait_code(), 0);
    assert_eq!(house.status()["supervisor"]["shadow"], false);

    let _live = house.start();
    house.wait_state(item, "succeeded");
    house.wait_lines("started", 1);
    assert_eq!(house.status()["supervisor"]["shadow"], false);
}
