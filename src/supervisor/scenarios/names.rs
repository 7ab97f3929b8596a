//! Jobs that become one (`was`) while both have runs, more than one turn moves.

use super::*;

#[test]
fn nothing_overtakes_what_has_yet_to_move_and_a_crash_in_between_loses_none() {
    for is_killed in [false, true] {
        let mut day = Scenario::new("[jobs.a]\ncommand = 'x'\n[jobs.b]\ncommand = 'x'", T0);
        let all = [day.enqueue("a", 9), day.enqueue("b", 2)].concat();
        let jobfile = "[jobs.b]\nwas = ['a']\ncommand = 'x'";
        day.load(jobfile);
        let _ = day.turn(&[]);
        assert!(day.supervisor.spawner.started.is_empty(), "6 of them are elsewhere still");
        assert!(day.rows("b").iter().map(|run| run.id).eq(all.iter().copied()));
        if is_killed {
            day.restart(jobfile, Duration::from_secs(1));
        }
        day.advance(60);
        let started: Vec<i64> =
            day.supervisor.spawner.started.iter().map(|(run, _)| *run).collect();
        assert_eq!(started, all);
        assert_eq!(day.supervisor.spawner.running_peak, 1);
        assert!(!day.supervisor.queue.owes_moves && day.supervisor.queue.uniting.is_empty());
    }
}
