//! A mixed life under attack: schedules, items, feeds, lanes, keys, `--after`, rates, watched
//! files, `exec`, retries and hooks, while supervisor, keepers and commands get KILL, STOP and
//! CONT, alone and together.
//!
//! 60 seconds by themselves; `JOBCTL_ATTACK_SECONDS=1200 cargo test --locked --test promises attack
//! -- --nocapture` is the long form. What is done is drawn from a seed, which is printed and may be
//! given as `JOBCTL_ATTACK_SEED`; what comes of it is also a matter of time. The judge is no code
//! of jobctl.

mod blows;
mod books;
mod clients;
mod judge;
mod planted;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::crash_loop::Dice;
use crate::kill_sweep::{held_witnesses, number, store};
use crate::support::{House, found_within, now, wait_for};
use blows::{Attacker, Blows};
use books::Books;
use clients::{Client, Ledger};
use judge::{Finding, Judge};

const SECONDS: u64 = 60;

/// Houses at once, each with a supervisor, a client and an attacker of its own.
const HOUSES: u64 = 2;

/// What is left when the attack is over is done within this time.
const DONE_WITHIN: Duration = Duration::from_secs(180);

/// So many findings are printed, and so many lines of the log of each.
const PRINTED: usize = 20;

/// What came of a house.
#[derive(Default)]
struct Sum {
    acknowledged: usize,
    attempts: usize,
    files: usize,
    blows: Blows,
    /// What is wrong, with the lines of the log that are about it.
    found: Vec<(&'static str, String)>,
}

fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value}")))
}

#[test]
fn a_mixed_life_under_attack_loses_nothing_and_does_nothing_twice() {
    let seconds = setting("JOBCTL_ATTACK_SECONDS").unwrap_or(SECONDS);
    let seed = setting("JOBCTL_ATTACK_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let sums: Vec<Sum> = std::thread::scope(|scope| {
        let houses: Vec<_> = (0..HOUSES)
            .map(|nth| scope.spawn(move || attack(seed << 8 | nth << 2, seconds)))
            .collect();
        let joined = houses.into_iter().map(|it| it.join().expect("it ends"));
        joined.collect()
    });
    let mut sum = Sum::default();
    for one in sums {
        sum.acknowledged += one.acknowledged;
        sum.attempts += one.attempts;
        sum.files += one.files;
        sum.blows.add(&one.blows);
        sum.found.extend(one.found);
    }
    let Sum { acknowledged, attempts, files, blows, found } = sum;
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for (kind, _) in &found {
        *kinds.entry(kind).or_default() += 1;
    }
    eprintln!(
        "attack: JOBCTL_ATTACK_SEED={seed}, {HOUSES} times {seconds} s: {attempts} attempts, {acknowledged} acknowledged, {files} files; {blows}; found: {kinds:?}"
    );
    for (_, text) in found.iter().take(PRINTED) {
        eprintln!("{text}");
    }
    assert!(found.is_empty(), "JOBCTL_ATTACK_SEED={seed}: {kinds:?}");
    assert!(attempts > 0 && blows.supervisors.kills > 0, "{blows}");
}

/// A house that is attacked for a while, left in peace until all is done, and judged.
fn attack(seed: u64, seconds: u64) -> Sum {
    let house = world::house();
    let until = now() + Duration::from_secs(seconds);
    let mut attacker = Attacker::new(&house, Dice::of(seed << 1));
    let ledger = std::thread::scope(|scope| {
        let client = Client::new(&house, Dice::of(seed << 1 | 2));
        let client = scope.spawn(move || client.live(until));
        attacker.rage(until);
        client.join().expect("a client ends")
    });
    let (supervisor, blows, surprises) = attacker.relent();
    let mut found: Vec<Finding> =
        surprises.into_iter().map(|text| plain("supervisor", text)).collect();
    house.ask(&["resume", "wide"]).expect(0);
    world::write_last(&house);
    wait_for("a supervisor that reads the last jobfile", || {
        (house.ask(&["reload"]).code == 0).then_some(())
    });
    if found_within(DONE_WITHIN, || is_done(&house, &ledger).then_some(())).is_none() {
        found.push(plain("lost", format!("not all is done after {DONE_WITHIN:?}")));
    }
    let code = supervisor.stop();
    if code != 0 {
        found.push(plain("supervisor", format!("the last one ended with {code}")));
    }
    found.extend(left(&house));
    let books = Books::read(&house);
    found.extend(Judge::new(&books, &ledger, &blows).judge());
    Sum {
        acknowledged: ledger.acknowledged.len(),
        attempts: books.lines('B').count(),
        files: ledger.dropped.len() + ledger.spooled.len(),
        blows,
        found: found.iter().map(|it| (it.what, told(&house, it))).collect(),
    }
}

fn plain(what: &'static str, text: String) -> Finding {
    Finding { what, run: None, text }
}

/// Whether nothing waits any more, all is told, and all files are taken.
fn is_done(house: &House, ledger: &Ledger) -> bool {
    let store = store(house);
    let waiting =
        "SELECT count(*) FROM runs WHERE state IN ('scheduled', 'queued', 'running', 'retrying')";
    let untold = "SELECT count(*) FROM notice WHERE is_done = 0";
    if number(&store, waiting) > 0 || number(&store, untold) > 0 {
        return false;
    }
    // Files that were never taken would be waited for in vain; a look at the directory each minute
    // finds them at the latest.
    let taken = number(&store, "SELECT count(*) FROM runs WHERE cause = 'watch'");
    let files = ledger.dropped.len() + ledger.spooled.len();
    usize::try_from(taken).expect("a count") >= files
}

/// Processes that are there although the last supervisor has left.
fn left(house: &House) -> Vec<Finding> {
    let is_empty = || house.processes().is_empty().then_some(());
    let mut found = Vec::new();
    if found_within(Duration::from_secs(10), is_empty).is_none() {
        found.push(plain("left", format!("processes {:?}", house.processes())));
    }
    let held = held_witnesses(house);
    if held > 0 {
        found.push(plain("left", format!("{held} witness locks are held")));
    }
    found
}

/// A finding with the lines of the log about its run.
fn told(house: &House, finding: &Finding) -> String {
    let Finding { what, run, text } = finding;
    let Some(run) = run else {
        return format!("{what}: {text}");
    };
    let word = format!(" run={run} ");
    let journal = format!(" {run}/");
    let of_run = |line: &String| line.contains(&word) || line.contains(&journal);
    let lines = [house.lines("log"), house.lines("journal")].concat();
    let lines: Vec<String> = lines.into_iter().filter(of_run).take(PRINTED).collect();
    format!("{what}: run {run}: {text}\n    {}", lines.join("\n    "))
}
