//! Killed again and again at random points: every item is executed exactly as often as its policy
//! says, never two where one may run, and at the end the books are in order.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{House, Supervisor, now, pass, send, tally};

/// Every command writes down that it was executed, then holds `own.JOB` or `own.NAME` as an
/// independent witness of overlap.
const JOBS: &str = r#"
[defaults]
shell = ["/bin/bash", "-c"]
env = { WITNESS = '''
work() {
    echo "$JOBCTL_JOB $JOBCTL_RUN/$JOBCTL_ATTEMPT" >> "$T/executed"
    exec 9>> "$T/own.$1"
    flock -n 9 || echo "$1: $JOBCTL_RUN" >> "$T/overlaps"
    read -t 0.0$((RANDOM % 5 + 1)) _ <> "$T/never"
    flock -u 9
    echo "$JOBCTL_JOB $JOBCTL_RUN/$JOBCTL_ATTEMPT" >> "$T/finished"
}
''' }

[jobs.plain]
command = 'eval "$WITNESS"; work plain'

[jobs.wide]
concurrency = 3
command = 'eval "$WITNESS"; work "wide.$JOBCTL_RUN"'

[jobs.flaky]
retry = { max = 2, delay = "20ms" }
command = 'eval "$WITNESS"; work flaky; exit $((JOBCTL_ATTEMPT < 3 ? 3 : 0))'

[jobs.hopeless]
retry = { max = 1, delay = "20ms" }
command = 'eval "$WITNESS"; work hopeless; exit 4'

[jobs.left]
lock = "both"
command = 'eval "$WITNESS"; work both'

[jobs.right]
lock = "both"
command = 'eval "$WITNESS"; work both'
"#;

const NAMES: [&str; 6] = ["plain", "wide", "flaky", "hopeless", "left", "right"];

/// Xorshift: no test needs more.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(round: u64) -> Self {
        let seed = u64::from(std::process::id()) << 8 | round;
        eprintln!("seed {seed}");
        Self::of(seed)
    }

    /// The one of a seed that is known.
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn house() -> House {
    let house = House::new(JOBS);
    nix::unistd::mkfifo(&house.path("never"), nix::sys::stat::Mode::S_IRWXU)
        .expect("a FIFO can be made");
    house
}

/// Lets a supervisor live for a random while; enqueues before, during or after it.
fn round(house: &House, dice: &mut Dice, items: &mut Vec<i64>) -> Supervisor {
    let mut add = |house: &House, dice: &mut Dice| {
        let job = NAMES[usize::try_from(dice.below(6)).expect("six are few")];
        items.push(house.enqueue(&[job]));
    };
    let later = dice.below(3);
    for _ in later..2 {
        add(house, dice);
    }
    let supervisor = house.spawn(&mut house.jobctl(), &[]);
    for _ in 0..later {
        add(house, dice);
    }
    let (begin, life) = (now(), Duration::from_millis(dice.below(120)));
    while let Some(rest) = life.checked_sub(begin.elapsed()) {
        pass(rest);
    }
    supervisor
}

fn assert_books_are_in_order(house: &House) {
    let store = rusqlite_at(house);
    let answer: String =
        store.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("it can be asked");
    assert_eq!(answer, "ok");
    for job in house.status()["jobs"].as_array().expect("there are jobs") {
        for counter in ["queued", "running", "retrying"] {
            assert_eq!(job[counter], 0, "{job:#}");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "an independent look at the store")]
fn rusqlite_at(house: &House) -> rusqlite::Connection {
    rusqlite::Connection::open(house.state_dir().join("jobctl.db")).expect("the store is there")
}

#[test]
fn thirty_kills_of_the_supervisor_lose_nothing_and_repeat_nothing() {
    let house = house();
    let (mut dice, mut items) = (Dice::new(1), Vec::new());
    for _ in 0..30 {
        round(&house, &mut dice, &mut items).kill();
    }
    let supervisor = house.start();
    house.wait_idle(&NAMES);

    let executed = house.lines("executed");
    let counts = tally(&executed);
    for name in NAMES {
        let (attempts, state, exit_code) = match name {
            "flaky" => (3, "succeeded", 0),
            "hopeless" => (2, "failed", 4),
            _ => (1, "succeeded", 0),
        };
        for run in house.runs(name) {
            let verdict = (&run["state"], &run["exit_code"], &run["attempt"]);
            assert_eq!(verdict, (&state.into(), &exit_code.into(), &attempts.into()), "{run:#}");
            for attempt in 1..=attempts {
                let line = format!("{name} {}/{attempt}", run["id"]);
                assert_eq!(counts.get(line.as_str()), Some(&1), "{line}");
            }
            items.retain(|item| run["id"] != *item);
        }
    }
    assert!(items.is_empty(), "enqueued and forgotten: {items:?}");
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    assert_eq!(house.read("overlaps"), "");
    assert_eq!(executed.len(), house.lines("finished").len());
    assert_eq!(supervisor.stop(), 0);
    assert_books_are_in_order(&house);
}

#[test]
fn with_keepers_killed_too_no_attempt_is_executed_twice_and_every_run_ends() {
    let house = house();
    let (mut dice, mut items) = (Dice::new(2), Vec::new());
    for _ in 0..20 {
        let supervisor = round(&house, &mut dice, &mut items);
        let keepers = house.keepers();
        if !keepers.is_empty() {
            let unlucky = usize::try_from(dice.below(keepers.len() as u64)).expect("few");
            send(keepers[unlucky], Signal::SIGKILL);
        }
        if dice.below(3) > 0 {
            supervisor.kill();
        } else {
            supervisor.send(Signal::SIGKILL);
        }
    }
    let _supervisor = house.start();
    house.wait_idle(&NAMES);

    let executed = house.lines("executed");
    let counts = tally(&executed);
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    assert_eq!(house.read("overlaps"), "");
    let finished = house.lines("finished");
    for name in NAMES {
        for run in house.runs(name) {
            // Between fork and exec a command looks like its keeper, and then it is the one that
            // was killed.
            let is_known = ["exited", "lost"].iter().any(|outcome| run["outcome"] == *outcome)
                || run["signal"] == 9;
            assert!(is_known, "{run:#}");
            if run["state"] == "succeeded" {
                let line = format!("{name} {}/{}", run["id"], run["attempt"]);
                assert!(finished.contains(&line), "{line} succeeded and did not finish");
            }
            items.retain(|item| run["id"] != *item);
        }
    }
    assert!(items.is_empty(), "enqueued and forgotten: {items:?}");
    assert_books_are_in_order(&house);
}
