//! Killed at every system call: a supervisor that is gone at any of them leaves books that the next
//! one finishes.
//!
//! `strace` sends KILL at the Nth call of a kind, for each kind and each N that every recorded life
//! of the scenario has; nearly all have to be reached. By itself a part of the points is tried;
//! `JOBCTL_SWEEP=full cargo test --locked --test promises kill_sweep -- --nocapture` tries all.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use rusqlite::{Connection, OpenFlags};

mod judge;

pub(crate) use judge::{Findings, held_witnesses, judge};

use crate::crash_loop::Dice;
use crate::support::{
    House, Need, Supervisor, answer_of, is_alive, now, pass, program, skipped, wait_for,
};

/// Every command writes down its beginning and its end with its exit code, and holds a lock of its
/// own as a witness. A child in a process group of its own holds the lock too: who is left of a
/// command whose keeper was killed is noticed by the next one.
const JOBS: &str = r#"
stop_timeout = "2s"

[defaults]
stop_grace = "1s"
shell = ["/bin/bash", "-c"]
env = { WITNESS = '''
work() {
    echo "$JOBCTL_JOB $JOBCTL_RUN/$JOBCTL_ATTEMPT" >> "$T/executed"
    exec 9>> "$T/own.$1"
    flock -n 9 || echo "$1: $JOBCTL_RUN" >> "$T/overlaps"
    set -m
    (read -t 60 _ <> "$T/never") &
    read -t 0.02 _ <> "$T/never"
    kill -KILL $!
    wait $!
    flock -u 9
    echo "$JOBCTL_JOB $JOBCTL_RUN/$JOBCTL_ATTEMPT $2" >> "$T/finished"
    exit "$2"
}
''' }

[jobs.tick]
schedule = "@every 1s"
command = 'eval "$WITNESS"; work tick 0'

[jobs.plain]
command = 'eval "$WITNESS"; work plain 0'

[jobs.wide]
concurrency = 2
command = 'eval "$WITNESS"; work "wide.$JOBCTL_RUN" 0'

[jobs.flaky]
retry = { max = 1, delay = "20ms" }
command = 'eval "$WITNESS"; work flaky $((JOBCTL_ATTEMPT < 2 ? 3 : 0))'

[jobs.hopeless]
retry = { max = 1, delay = "20ms" }
command = 'eval "$WITNESS"; work hopeless 4'
on_failure = 'echo "$JOBCTL_RUN" >> "$T/told"'
hook_interval = "0s"

[jobs.left]
lock = "both"
command = 'eval "$WITNESS"; work both 0'

[jobs.right]
lock = "both"
command = 'eval "$WITNESS"; work both 0'
"#;

/// Items of a life, added while nobody runs.
const BEFORE: [&str; 5] = ["plain", "wide", "flaky", "left", "hopeless"];

/// Items that are added to a supervisor that runs.
pub(crate) const WHILE: [&str; 4] = ["plain", "wide", "right", "flaky"];

/// Points that are tried where not all are asked for, besides one of each call.
const POINTS_IN_CI: usize = 36;

/// Calls that write, sync, send or take: where books go wrong.
const TELLING: [&str; 9] = [
    "pwrite64",
    "fdatasync",
    "fsync",
    "sendmsg",
    "write",
    "flock",
    "rename",
    "unlink",
    "ftruncate",
];

/// Of all points one in so many may stay unreached: how often a life waits, is woken or starts a
/// keeper depends on how its ends fall together. Of each call that writes, syncs, sends or takes
/// one point at least is reached.
const UNREACHED: usize = 20;

/// Items that may follow, two at a time, in the second life of a point that the first one did not
/// reach.
const MORE_MAX: usize = 8;

/// Lives that are recorded: what all of them do, the next one does as well.
const RECORDED: usize = 5;
const RECORDED_IN_CI: usize = 2;

/// Lives at once: most of a life is waiting.
const AT_ONCE: usize = 6;
const AT_ONCE_IN_CI: usize = 2;

/// Kills at random times, and how many of them one house bears.
const RANDOM_KILLS: u32 = 3_000;
const RANDOM_KILLS_IN_CI: u32 = 300;
const KILLS_IN_A_HOUSE: u32 = 30;

static HOUSES: AtomicU32 = AtomicU32::new(1);

/// Which system call, and which of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    call: String,
    nth: usize,
}

pub(crate) fn is_full() -> bool {
    std::env::var_os("JOBCTL_SWEEP").is_some_and(|value| value == "full")
}

pub(crate) fn has_strace() -> bool {
    let is_there = answer_of(program("sh").args(["-c", "command -v strace"])).code == 0;
    if !is_there {
        skipped(Need::Strace, "strace is not installed");
    }
    is_there
}

/// A house with these jobs.
pub(crate) fn house() -> House {
    let house = House::new(JOBS);
    nix::unistd::mkfifo(&house.path("never"), nix::sys::stat::Mode::S_IRWXU)
        .expect("a FIFO can be made");
    house
}

/// `jobctl` of a house under strace with these options; the supervisor is the process that was
/// started, and is traced alone.
pub(crate) fn traced(house: &House, options: &[&str]) -> Command {
    let jobctl = binary(house);
    let mut traced = program("strace");
    traced.args(["-D", "-qq"]).args(options).arg(jobctl.get_program()).args(jobctl.get_args());
    for (name, value) in jobctl.get_envs() {
        match value {
            Some(value) => traced.env(name, value),
            None => traced.env_remove(name),
        };
    }
    traced
}

/// `jobctl`, or the one that `JOBCTL_SWEEP_BINARY` names: a broken one must be caught.
pub(crate) fn binary(house: &House) -> Command {
    let jobctl = house.jobctl();
    let Some(other) = std::env::var_os("JOBCTL_SWEEP_BINARY") else {
        return jobctl;
    };
    let mut command = program(other);
    for (name, value) in jobctl.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

#[expect(clippy::disallowed_methods, reason = "an independent look at the store")]
pub(crate) fn store(house: &House) -> Connection {
    Connection::open_with_flags(
        house.state_dir().join("jobctl.db"),
        OpenFlags::SQLITE_OPEN_READ_ONLY,
    )
    .expect("the store is there")
}

pub(crate) fn number(store: &Connection, query: &str) -> i64 {
    store.query_row(query, [], |row| row.get(0)).expect("it is a query")
}

pub(crate) fn has_unfinished(store: &Connection) -> bool {
    number(
        store,
        "SELECT count(*) FROM run JOIN job ON job.id = run.job WHERE state < 5 AND name <> 'tick'",
    ) > 0
}

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    /// A supervisor from its start on.
    Supervisor,
    /// One that finds what another one left behind.
    Recovery,
    /// A keeper that waits for an order.
    Keeper,
}

/// Adds items and waits until all have ended and a tick has run, or until the supervisor is gone.
fn add_and_wait(house: &House, supervisor: &mut Supervisor, jobs: &[&str]) -> Vec<i64> {
    let items = jobs.iter().map(|job| house.enqueue(&[job])).collect();
    let store = store(house);
    wait_for("the end of all items", || {
        let is_gone = supervisor.status().is_some();
        let ticks = "SELECT count(*) FROM run JOIN job ON job.id = run.job WHERE state = 5 AND name = 'tick'";
        (is_gone || (!has_unfinished(&store) && number(&store, ticks) > 0)).then_some(())
    });
    items
}

/// Stops a supervisor that may be gone already. Whether it was killed.
fn end(supervisor: &mut Supervisor) -> bool {
    if supervisor.status().is_none() {
        supervisor.send(Signal::SIGTERM);
    }
    let status = supervisor.wait();
    assert!(status.success() || status.signal() == Some(9), "{status}");
    status.signal() == Some(9)
}

/// A house with items, for `Recovery` with what a killed supervisor leaves: commands that run, and
/// one that ended meanwhile.
pub(crate) fn prepare(victim: Victim) -> (House, Vec<i64>) {
    let house = house();
    let items = BEFORE.iter().map(|job| house.enqueue(&[job])).collect();
    if victim == Victim::Recovery {
        let supervisor = house.start_with(&mut binary(&house), &[]);
        house.wait_lines("executed", 3);
        supervisor.kill();
        house.wait_lines("finished", 3);
    }
    (house, items)
}

/// Finishes what is left with a supervisor that nobody kills.
pub(crate) fn finish(house: &House) {
    let supervisor = house.start_with(&mut binary(house), &[]);
    let store = store(house);
    wait_for("the end of all items and of what is told of them", || {
        let untold = number(&store, "SELECT count(*) FROM notice WHERE is_done = 0");
        (!has_unfinished(&store) && untold == 0).then_some(())
    });
    assert_eq!(supervisor.stop(), 0);
}

/// How often each system call is made in every life that nobody ends: the least of several, because
/// some calls depend on time.
pub(crate) fn record(victim: Victim) -> BTreeMap<String, usize> {
    let lives = if is_full() { RECORDED } else { RECORDED_IN_CI };
    let lives: Vec<_> = (0..lives).map(|_| record_life(victim)).collect();
    let mut least = lives[0].clone();
    for life in &lives {
        least.retain(|call, count| {
            let other = life.get(call).copied().unwrap_or_default();
            *count = other.min(*count);
            *count > 0
        });
    }
    let others: Vec<&String> =
        lives.iter().flat_map(BTreeMap::keys).filter(|call| !least.contains_key(*call)).collect();
    eprintln!("{victim:?}: {} lives recorded; not in each of them: {others:?}", lives.len());
    least
}

fn record_life(victim: Victim) -> BTreeMap<String, usize> {
    let (house, _) = prepare(victim);
    let trace = house.path("trace").display().to_string();
    if victim == Victim::Keeper {
        live_with_keeper(&house, &["-o", &trace], 0);
    } else {
        let mut supervisor = house.start_with(&mut traced(&house, &["-o", &trace]), &[]);
        add_and_wait(&house, &mut supervisor, &WHILE);
        assert!(!end(&mut supervisor));
    }
    let mut calls = BTreeMap::new();
    for line in house.lines("trace") {
        if let Some((name, _)) = line.split_once('(')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            *calls.entry(name.to_owned()).or_insert(0) += 1;
        }
    }
    // The first one starts the program, and is strace's.
    calls.remove("execve");
    assert!(calls.len() > 8, "{calls:?}");
    calls
}

/// A life in which strace with these options is attached to a keeper before it gets its next order.
/// `more` items follow while it is not killed.
fn live_with_keeper(house: &House, options: &[&str], more: usize) -> Vec<i64> {
    let mut supervisor = house.start_with(&mut binary(house), &[]);
    let mut items = add_and_wait(house, &mut supervisor, &["plain"]);
    let keeper = wait_for("a keeper", || house.keepers().first().copied());
    let said = std::fs::File::create(house.path("strace")).expect("it can be made");
    let mut strace = program("strace")
        .args(options)
        .args(["-p", &keeper.to_string()])
        .stderr(said)
        .spawn()
        .expect("strace is there");
    wait_for("strace to be attached", || {
        let said = house.read("strace");
        (said.contains("attached") || said.contains("No such process")).then_some(())
    });
    items.extend(add_and_wait(house, &mut supervisor, &WHILE));
    for _ in 0..more.div_ceil(2) {
        if is_alive(keeper) {
            items.extend(add_and_wait(house, &mut supervisor, &["plain", "flaky"]));
        }
    }
    assert!(!end(&mut supervisor));
    // The keeper is gone, and strace with it.
    strace.wait().expect("it is our child");
    items
}

/// All points of a recorded life; without `JOBCTL_SWEEP=full` the first, the last and some between
/// of each call.
fn points(calls: &BTreeMap<String, usize>) -> Vec<Point> {
    let all = |(call, count): (&String, &usize)| -> Vec<Point> {
        (1..=*count).map(|nth| Point { call: call.clone(), nth }).collect()
    };
    let all: Vec<Point> = calls.iter().flat_map(all).collect();
    if is_full() {
        return all;
    }
    let (telling, others): (Vec<&Point>, Vec<&Point>) =
        all.iter().partition(|point| TELLING.contains(&point.call.as_str()));
    let each =
        calls.iter().map(|(call, count)| Point { call: call.clone(), nth: count.div_ceil(2) });
    let mut chosen: Vec<Point> = each.collect();
    chosen.extend(spread(&telling, POINTS_IN_CI * 2 / 3));
    chosen.extend(spread(&others, POINTS_IN_CI / 3));
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

fn spread(points: &[&Point], count: usize) -> Vec<Point> {
    let step = points.len().div_ceil(count).max(1);
    points.iter().step_by(step).map(|point| (*point).clone()).collect()
}

/// Whether a life is ended at a point, and what came after it. One that was over before it came
/// there is lived again with more items, because two lives are never the same to a call.
fn try_point(victim: Victim, point: &Point) -> (bool, Findings) {
    let (is_reached, mut found) = live_to(victim, point, 0);
    if is_reached {
        return (true, found);
    }
    let (is_reached, second) = live_to(victim, point, MORE_MAX);
    found.add(&second);
    (is_reached, found)
}

fn live_to(victim: Victim, point: &Point, more: usize) -> (bool, Findings) {
    let (house, mut items) = prepare(victim);
    let inject = format!("inject={}:signal=KILL:when={}", point.call, point.nth);
    let only = format!("trace={}", point.call);
    let trace = house.path("trace").display().to_string();
    let options = ["-o", &trace, "-e", &only, "-e", &inject];
    let is_killed = if victim == Victim::Keeper {
        items.extend(live_with_keeper(&house, &options, more));
        house.read("trace").contains("killed by SIGKILL")
    } else {
        let mut supervisor = house.spawn(&mut traced(&house, &options), &[]);
        items.extend(add_and_wait(&house, &mut supervisor, &WHILE));
        for _ in 0..more.div_ceil(2) {
            if supervisor.status().is_none() {
                items.extend(add_and_wait(&house, &mut supervisor, &["plain", "flaky"]));
            }
        }
        end(&mut supervisor)
    };
    finish(&house);
    let found = judge(&house, victim, &items);
    if !found.is_clean() {
        eprintln!("{victim:?} {point:?}: {found:?}\n{}", house.read("log"));
    }
    (is_killed, found)
}

/// What came of all points of a call.
#[derive(Default)]
struct Tally {
    /// That every recorded life has.
    points: usize,
    tried: usize,
    reached: usize,
    found: Findings,
}

/// Tries the points of a victim, some at a time, and prints what came of them.
fn sweep(victim: Victim) -> Tally {
    let calls = record(victim);
    let points = points(&calls);
    let next = AtomicUsize::new(0);
    let tally = |count: &usize| Tally { points: *count, ..Tally::default() };
    let tallies = calls.iter().map(|(call, count)| (call.clone(), tally(count)));
    let tallies: Mutex<BTreeMap<String, Tally>> = Mutex::new(tallies.collect());
    std::thread::scope(|scope| {
        for _ in 0..if is_full() { AT_ONCE } else { AT_ONCE_IN_CI } {
            scope.spawn(|| {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (is_reached, found) = try_point(victim, point);
                    if !is_reached {
                        eprintln!("{victim:?} {point:?}: not reached");
                    }
                    let mut tallies = tallies.lock().expect("no thread has panicked");
                    let tally = tallies.get_mut(&point.call).expect("it was recorded");
                    tally.tried += 1;
                    tally.reached += usize::from(is_reached);
                    tally.found.add(&found);
                }
            });
        }
    });
    print_table(victim, &tallies.into_inner().expect("no thread has panicked"))
}

/// One line a call; answers the sum.
fn print_table(victim: Victim, tallies: &BTreeMap<String, Tally>) -> Tally {
    eprintln!(
        "{:18} {:>6} {:>5} {:>7} {:>4} {:>5} {:>10} {:>5} {:>7} {:>4} {:>6}",
        format!("{victim:?}"),
        "points",
        "tried",
        "reached",
        "lost",
        "twice",
        "overlapped",
        "wrong",
        "unknown",
        "left",
        "untold"
    );
    let mut sum = Tally::default();
    for (call, tally) in tallies {
        print_line(call, tally);
        sum.points += tally.points;
        sum.tried += tally.tried;
        sum.reached += tally.reached;
        let is_telling = TELLING.contains(&call.as_str());
        assert!(
            !is_telling || tally.tried == 0 || tally.reached > 0,
            "no point of {call} was reached"
        );
        sum.found.add(&tally.found);
    }
    print_line("all", &sum);
    sum
}

/// Fails unless nothing was found, and all points that were tried were reached, but for a few that
/// a life does not have each time.
fn assert_clean(sum: &Tally) {
    assert!(sum.found.is_clean(), "{:?}", sum.found);
    let Tally { tried, reached, .. } = sum;
    let unreached = tried - reached;
    assert!(unreached * UNREACHED <= *tried, "only {reached} of {tried} were reached");
}

#[test]
fn a_supervisor_may_be_killed_at_any_system_call() {
    if has_strace() {
        assert_clean(&sweep(Victim::Supervisor));
    }
}

#[test]
fn a_supervisor_may_be_killed_at_any_system_call_of_its_recovery() {
    if has_strace() {
        assert_clean(&sweep(Victim::Recovery));
    }
}

#[test]
fn a_keeper_may_be_killed_at_any_system_call() {
    if has_strace() {
        assert_clean(&sweep(Victim::Keeper));
    }
}

#[test]
fn a_build_that_sends_orders_before_their_claim_is_on_disk_is_caught() {
    if !has_strace() {
        return;
    }
    if std::env::var_os("JOBCTL_SWEEP_BINARY").is_none() {
        return skipped(Need::BrokenBuild, "JOBCTL_SWEEP_BINARY names no broken build");
    }
    let sum = sweep(Victim::Supervisor);
    assert!(sum.found.twice > 0, "{:?}", sum.found);
}

#[test]
fn kills_at_random_times_lose_nothing_and_repeat_nothing() {
    let kills = if is_full() { RANDOM_KILLS } else { RANDOM_KILLS_IN_CI };
    let houses = kills.div_ceil(KILLS_IN_A_HOUSE);
    let next = AtomicU32::new(0);
    let sum = Mutex::new(Findings::default());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < houses {
                    let found = kill_at_random();
                    sum.lock().expect("no thread has panicked").add(&found);
                }
            });
        }
    });
    let sum = sum.into_inner().expect("no thread has panicked");
    eprintln!("{} kills at random times: {sum:?}", houses * KILLS_IN_A_HOUSE);
    assert!(sum.is_clean(), "{sum:?}");
}

/// A house whose supervisors live for some milliseconds each.
fn kill_at_random() -> Findings {
    let house = house();
    let mut dice = Dice::new(u64::from(HOUSES.fetch_add(1, Ordering::Relaxed)));
    let mut items = Vec::new();
    for _ in 0..KILLS_IN_A_HOUSE {
        let jobs = [BEFORE, ["plain", "wide", "flaky", "right", "hopeless"]].concat();
        let job = jobs[usize::try_from(dice.below(10)).expect("ten are few")];
        items.push(house.enqueue(&[job]));
        let supervisor = house.spawn(&mut binary(&house), &[]);
        let (begin, life) = (now(), Duration::from_millis(dice.below(120)));
        while let Some(rest) = life.checked_sub(begin.elapsed()) {
            pass(rest);
        }
        supervisor.kill();
    }
    finish(&house);
    judge(&house, Victim::Supervisor, &items)
}

fn print_line(call: &str, tally: &Tally) {
    let found = &tally.found;
    eprintln!(
        "{call:18} {:>6} {:>5} {:>7} {:>4} {:>5} {:>10} {:>5} {:>7} {:>4} {:>6}",
        tally.points,
        tally.tried,
        tally.reached,
        found.lost,
        found.twice,
        found.overlapped,
        found.wrong,
        found.unknown,
        found.left,
        found.untold
    );
}
