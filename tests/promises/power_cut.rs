//! The power goes: what is on the disk at that moment is all that the next boot finds, and no
//! acknowledged run is missing in it.
//!
//! The state directory is an ext4 image on a loop device. Its backing file holds what the file
//! system has handed to the device, and nothing of what is still in its page cache; so a copy of
//! that file, taken while nobody writes to the device, is what a power cut leaves of a disk without
//! a cache of its own. (A disk that forgets what it took since the last flush would need
//! dm-log-writes.) `JOBCTL_SWEEP=full cargo test --locked --test promises power_cut -- --nocapture`
//! cuts a hundred times.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::crash_loop::Dice;
use crate::kill_sweep::{
    Findings, Victim, binary, has_unfinished, house, is_full, judge, number, store,
};
use crate::support::{
    House, Need, Supervisor, answer_of, is_root, pass, program, send, skipped, stat_field, wait_for,
};

const CUTS: usize = 100;
const CUTS_IN_CI: usize = 6;

/// What is added before the power goes, in turn.
const ITEMS: [&str; 6] = ["plain", "wide", "flaky", "left", "hopeless", "right"];

/// A boot that is not this one, for whoever asks the kernel.
const BOOT: &str = "5ca1ab1e-0000-4000-8000-00000000b007";

/// The state directory of a house as a file system of its own; unmounted at the end.
struct Disk {
    image: PathBuf,
    dir: PathBuf,
}

impl Disk {
    /// None where the machine does not let us.
    fn new(house: &House) -> Option<Self> {
        let disk = Self { image: house.path("image"), dir: house.state_dir() };
        std::fs::create_dir(&disk.dir).expect("the house is ours");
        let image = std::fs::File::create(&disk.image).expect("the house is ours");
        image.set_len(64 << 20).expect("it is sparse");
        // Nothing is left to be written in the background.
        let options = "lazy_itable_init=0,lazy_journal_init=0";
        is_done(program("mkfs.ext4").args(["-q", "-F", "-E", options]).arg(&disk.image))
            .then_some(())?;
        disk.mount().then_some(disk)
    }

    fn mount(&self) -> bool {
        let mut mount = program("mount");
        is_done(mount.args(["-o", "loop"]).arg(&self.image).arg(&self.dir))
    }

    /// Requests that were written to the device, and those that are under way.
    fn writes(&self) -> (u64, u64) {
        let device = answer_of(program("findmnt").args(["-n", "-o", "SOURCE"]).arg(&self.dir));
        let name = device.expect(0).out.trim().replace("/dev/", "");
        let stat = std::fs::read_to_string(format!("/sys/block/{name}/stat"));
        let stat = stat.expect("it is a loop device");
        let numbers: Vec<u64> = stat
            .split_ascii_whitespace()
            .map(|number| number.parse().expect("they are numbers"))
            .collect();
        (numbers[4], numbers[8])
    }

    /// What a power cut would leave, as the file `to`. The kernel may write by itself at any time:
    /// a copy during which it did is of no moment, and is made again.
    fn copy(&self, to: &Path) {
        wait_for("a moment in which nothing is written", || {
            let before = self.writes();
            std::fs::copy(&self.image, to).expect("there is room");
            (before.1 == 0 && before == self.writes()).then_some(())
        });
    }

    /// The disk as it was copied is there after the next boot; the journal is replayed.
    fn come_back(&self, copy: &Path) {
        wait_for("the disk to be unmounted", || {
            is_done(program("umount").arg(&self.dir)).then_some(())
        });
        std::fs::rename(copy, &self.image).expect("the house is ours");
        assert!(self.mount(), "the copy cannot be mounted");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a test that panics leaves processes, which the house ends; the loop device goes
        // with the last of them.
        is_done(program("umount").arg("-l").arg(&self.dir));
    }
}

fn is_done(command: &mut Command) -> bool {
    answer_of(command).code == 0
}

/// What came of power cuts.
#[derive(Debug, Default)]
struct Tally {
    cuts: usize,
    acknowledged: usize,
    /// Acknowledged, and not in the store or not ended after the next boot.
    lost: usize,
    /// Attempts that ended with the power, which the books say.
    lost_attempts: usize,
    /// Stores that SQLite or jobctl does not take.
    corrupt: usize,
    found: Findings,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.cuts += other.cuts;
        self.acknowledged += other.acknowledged;
        self.lost += other.lost;
        self.lost_attempts += other.lost_attempts;
        self.corrupt += other.corrupt;
        self.found.add(&other.found);
    }
}

/// Adds an item with the binary under test; its id, which is printed when the item is on disk.
fn enqueue(house: &House, job: &str) -> i64 {
    let answer = answer_of(binary(house).args(["enqueue", job])).expect(0);
    answer.out.trim().parse().expect("an id is a number")
}

/// A life that the power ends, and the next one. None: this machine mounts nothing.
fn cut(round: usize) -> Option<Tally> {
    let house = house();
    let disk = Disk::new(&house)?;
    let mut dice = Dice::new(u64::try_from(round).expect("rounds are few"));
    let supervisor = house.start_with(&mut binary(&house), &[]);
    let first = usize::try_from(dice.below(6)).expect("six are few");
    let count = 1 + usize::try_from(dice.below(14)).expect("fourteen are few");
    let jobs: Vec<&str> = ITEMS.into_iter().cycle().skip(first).take(count).collect();
    let items: Vec<i64> = jobs.iter().map(|job| enqueue(&house, job)).collect();
    end_the_power(&house, &disk, supervisor, &mut dice);

    let mut tally = Tally { cuts: 1, acknowledged: items.len(), ..Tally::default() };
    if !boot_again(&house) {
        tally.corrupt = 1;
        tally.lost = items.len();
        return Some(tally);
    }
    tally.found = judge(&house, Victim::Keeper, &items);
    let store = store(&house);
    let is_lost = |(id, job): &(&i64, &&str)| {
        // A store that was made anew gives the same numbers to others.
        let ended = format!(
            "SELECT count(*) FROM run JOIN job ON job.id = run.job WHERE run.id = {id} AND name = '{job}' AND state BETWEEN 5 AND 8"
        );
        number(&store, &ended) == 0
    };
    tally.lost = items.iter().zip(&jobs).filter(is_lost).count();
    let lost_attempts = "SELECT count(*) FROM attempt WHERE outcome = 5";
    tally.lost_attempts = usize::try_from(number(&store, lost_attempts)).expect("a count");
    Some(tally)
}

/// Takes the copy while the supervisor and one who adds an item are stopped wherever they are; then
/// nobody is left.
fn end_the_power(house: &House, disk: &Disk, supervisor: Supervisor, dice: &mut Dice) {
    let mut unacknowledged = binary(house)
        .args(["enqueue", "plain"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("jobctl can be started");
    pass(Duration::from_micros(dice.below(40_000)));
    let pid = i32::try_from(unacknowledged.id()).expect("a pid is small");
    for stopped in [supervisor.pid(), pid] {
        send(stopped, Signal::SIGSTOP);
    }
    for stopped in [supervisor.pid(), pid] {
        wait_for("a stopped process", || {
            let state = stat_field(stopped, 0).expect("it has not been reaped");
            ["T", "Z"].contains(&state.as_str()).then_some(())
        });
    }
    let copy = house.path("copy");
    disk.copy(&copy);
    supervisor.kill();
    send(pid, Signal::SIGKILL);
    unacknowledged.wait().expect("it is our child");
    wait_for("the end of all processes", || {
        let left = house.processes();
        for pid in &left {
            send(*pid, Signal::SIGKILL);
        }
        left.is_empty().then_some(())
    });
    disk.come_back(&copy);
}

/// Whether the next boot's supervisor takes the store; it has finished all items then.
fn boot_again(house: &House) -> bool {
    house.write("boot_id", BOOT);
    let jobctl = binary(house);
    let script = "mount --bind \"$0\" /proc/sys/kernel/random/boot_id && exec \"$@\"";
    let mut booted = program("unshare");
    booted.args(["-m", "sh", "-c", script]).arg(house.path("boot_id")).arg(jobctl.get_program());
    for (name, value) in jobctl.get_envs() {
        match value {
            Some(value) => booted.env(name, value),
            None => booted.env_remove(name),
        };
    }
    let before = house.read("log").matches("event=ready").count();
    let mut supervisor = house.spawn(&mut booted, &[]);
    let is_ready = wait_for("the next supervisor", || {
        let is_ready = house.read("log").matches("event=ready").count() > before;
        (is_ready || supervisor.status().is_some()).then_some(is_ready)
    });
    if !is_ready {
        eprintln!("{}", house.read("log"));
        return false;
    }
    let store = store(house);
    let seen = "SELECT count(*) FROM meta WHERE key = 'books_boot_id' AND value = '5ca1ab1e-0000-4000-8000-00000000b007'";
    // A hook that the power cut ended is tried again a little later.
    let untold = "SELECT count(*) FROM notice WHERE is_done = 0";
    wait_for("the books of the next boot, and all hooks", || {
        let is_whole = !has_unfinished(&store) && number(&store, seen) == 1;
        (is_whole && number(&store, untold) == 0).then_some(())
    });
    drop(store);
    supervisor.stop() == 0
}

/// None: left out.
fn cut_again_and_again() -> Option<Tally> {
    if !is_root() {
        skipped(Need::Root, "only root mounts an image");
        return None;
    }
    let cuts = if is_full() { CUTS } else { CUTS_IN_CI };
    let next = AtomicUsize::new(0);
    let sum = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let round = next.fetch_add(1, Ordering::Relaxed);
                    if round >= cuts {
                        break;
                    }
                    let Some(tally) = cut(round) else { break };
                    sum.lock().expect("no thread has panicked").add(&tally);
                }
            });
        }
    });
    let sum = sum.into_inner().expect("no thread has panicked");
    if sum.cuts == 0 {
        skipped(Need::Loop, "no ext4 image can be mounted");
        return None;
    }
    eprintln!("{sum:?}");
    Some(sum)
}

#[test]
fn a_power_cut_loses_no_acknowledged_run_and_repeats_no_attempt() {
    if let Some(sum) = cut_again_and_again() {
        assert!(sum.acknowledged > sum.cuts, "{sum:?}");
        assert_eq!((sum.lost, sum.corrupt), (0, 0), "{sum:?}");
        assert!(sum.found.is_clean(), "{sum:?}");
    }
}

#[test]
fn a_build_that_syncs_nothing_is_caught() {
    if std::env::var_os("JOBCTL_SWEEP_BINARY").is_none() {
        return skipped(Need::BrokenBuild, "JOBCTL_SWEEP_BINARY names no broken build");
    }
    if let Some(sum) = cut_again_and_again() {
        assert!(sum.lost > 0, "{sum:?}");
    }
}
