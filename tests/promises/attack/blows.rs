//! The attacker: KILL, STOP and CONT to the supervisor, to keepers and to commands, alone and
//! together.
//!
//! What it waits for is the time of its next blow, of a CONT that is owed, or the end of a
//! supervisor that was told to stop.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::world::STOPPED_LONG_MS;
use crate::crash_loop::Dice;
use crate::kill_sweep::binary;
use crate::support::{House, Supervisor, environment, now, pass, processes, send, stat_field};

/// The longest pause between two blows, and the longest usual STOP.
const PAUSE_MS_MAX: u64 = 350;
pub(super) const STOPPED_MS_MAX: u64 = 1_500;

/// One STOP in so many is a long one.
const LONG_ONES: u64 = 30;

/// A supervisor that was told to stop is looked at so often, and leaves within this time:
/// `stop_timeout`, and what a machine takes that has other things to do.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LEAVES_WITHIN: Duration = Duration::from_secs(15);

/// How often was struck.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Blows {
    pub(super) supervisors: Struck,
    pub(super) keepers: Struck,
    pub(super) commands: Struck,
    /// Keepers and commands that were stopped for longer than their timeout.
    pub(super) long_stops: usize,
    /// Hooks and their keepers that were killed.
    pub(super) hooks: usize,
    /// Supervisors that were told to stop.
    pub(super) terms: usize,
}

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Struck {
    pub(super) kills: usize,
    pub(super) stops: usize,
}

impl Blows {
    pub(super) fn add(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.supervisors, other.supervisors),
            (&mut self.keepers, other.keepers),
            (&mut self.commands, other.commands),
        ] {
            sum.kills += more.kills;
            sum.stops += more.stops;
        }
        self.long_stops += other.long_stops;
        self.hooks += other.hooks;
        self.terms += other.terms;
    }
}

impl fmt::Display for Blows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (s, k, c) = (self.supervisors, self.keepers, self.commands);
        write!(
            f,
            "KILL {} supervisors, {} keepers, {} commands; STOP {}, {}, {}; TERM {}",
            s.kills, k.kills, c.kills, s.stops, k.stops, c.stops, self.terms
        )
    }
}

/// Whom a blow meets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Victim {
    Keeper,
    Command,
}

pub(super) struct Attacker<'a> {
    house: &'a House,
    dice: Dice,
    supervisor: Supervisor,
    /// Killed, so that its end is no surprise.
    is_killed: bool,
    /// When a supervisor that was told to stop has left at the latest.
    leaves_deadline: Option<Instant>,
    /// CONT that is owed.
    owed: Vec<(Instant, i32)>,
    pub(super) blows: Blows,
    /// Supervisors that ended by themselves, or did not when they were told to.
    pub(super) surprises: Vec<String>,
}

impl<'a> Attacker<'a> {
    /// The first supervisor is ready when this returns.
    pub(super) fn new(house: &'a House, dice: Dice) -> Self {
        Self {
            house,
            dice,
            supervisor: house.start_with(&mut binary(house), &[]),
            is_killed: false,
            leaves_deadline: None,
            owed: Vec::new(),
            blows: Blows::default(),
            surprises: Vec::new(),
        }
    }

    /// Strikes until a time has come.
    pub(super) fn rage(&mut self, until: Instant) {
        while now() < until {
            let pause = Duration::from_millis(self.dice.below(PAUSE_MS_MAX));
            self.wait_until(now() + pause);
            self.strike();
        }
    }

    /// Gives the CONTs that are owed, and leaves a supervisor that nobody strikes.
    pub(super) fn relent(mut self) -> (Supervisor, Blows, Vec<String>) {
        for (_, pid) in std::mem::take(&mut self.owed) {
            send(pid, Signal::SIGCONT);
        }
        while self.is_killed || self.leaves_deadline.is_some() {
            self.wait_until(now() + LOOK_EVERY);
        }
        (self.supervisor, self.blows, self.surprises)
    }

    fn wait_until(&mut self, at: Instant) {
        loop {
            let time = now();
            self.owed.retain(|(due, pid)| {
                let is_due = *due <= time;
                if is_due {
                    send(*pid, Signal::SIGCONT);
                }
                !is_due
            });
            self.look_after_supervisor();
            let Some(rest) = at.checked_duration_since(now()).filter(|it| !it.is_zero()) else {
                return;
            };
            let cont = self.owed.iter().map(|(due, _)| *due).min();
            let cont = cont.map_or(rest, |due| due.saturating_duration_since(now()));
            let look = self.leaves_deadline.map_or(rest, |_| LOOK_EVERY);
            pass(rest.min(cont).min(look));
        }
    }

    /// One that has ended gets a successor.
    fn look_after_supervisor(&mut self) {
        let Some(status) = self.supervisor.status() else {
            if self.leaves_deadline.is_some_and(|deadline| now() > deadline) {
                self.surprises.push(format!("it did not leave within {LEAVES_WITHIN:?}"));
                self.kill_supervisor();
            }
            return;
        };
        let was_told = self.leaves_deadline.take().is_some();
        // TERM ends one that was started a moment ago as any program.
        let has_left = status.code() == Some(0) || status.signal() == Some(15);
        let is_expected = self.is_killed && status.signal() == Some(9) || was_told && has_left;
        if !is_expected {
            self.surprises.push(format!("it ended: {status}"));
        }
        self.is_killed = false;
        let args: &[&str] = match self.dice.below(3) {
            0 => &["--on-stop", "detach"],
            _ => &[],
        };
        self.supervisor = self.house.spawn(&mut binary(self.house), args);
    }

    fn strike(&mut self) {
        match self.dice.below(20) {
            0..=3 => self.kill_supervisor(),
            4..=5 => self.stop_supervisor(),
            6 => self.tell_supervisor_to_stop(),
            7..=9 => self.hit(Victim::Keeper, Signal::SIGKILL),
            10..=11 => self.hit(Victim::Keeper, Signal::SIGSTOP),
            12..=13 => self.hit(Victim::Command, Signal::SIGKILL),
            14..=15 => self.hit(Victim::Command, Signal::SIGSTOP),
            _ => self.strike_together(),
        }
    }

    /// Several at once, before a supervisor that sees nothing of it, and that is killed in half of
    /// the cases.
    fn strike_together(&mut self) {
        self.stop_supervisor();
        for _ in 0..=self.dice.below(3) {
            let victim = [Victim::Keeper, Victim::Command][self.pick(2)];
            let signal = [Signal::SIGKILL, Signal::SIGSTOP][self.pick(2)];
            self.hit(victim, signal);
        }
        if self.dice.below(2) == 0 {
            self.kill_supervisor();
        }
    }

    fn pick(&mut self, count: usize) -> usize {
        let count = u64::try_from(count).expect("few");
        usize::try_from(self.dice.below(count)).expect("few")
    }

    fn kill_supervisor(&mut self) {
        self.is_killed = true;
        self.blows.supervisors.kills += 1;
        self.supervisor.send(Signal::SIGKILL);
    }

    /// Not one that was told to stop, which has its time.
    fn stop_supervisor(&mut self) {
        if self.leaves_deadline.is_none() && !self.is_killed {
            self.blows.supervisors.stops += 1;
            self.supervisor.send(Signal::SIGSTOP);
            let until = now() + Duration::from_millis(self.dice.below(STOPPED_MS_MAX));
            self.owed.push((until, self.supervisor.pid()));
        }
    }

    fn tell_supervisor_to_stop(&mut self) {
        if self.leaves_deadline.is_none() && !self.is_killed {
            self.blows.terms += 1;
            self.supervisor.send(Signal::SIGTERM);
            // It may be stopped, and has its time from CONT on.
            self.supervisor.send(Signal::SIGCONT);
            self.leaves_deadline = Some(now() + LEAVES_WITHIN);
        }
    }

    /// All keepers, and those with a command once more.
    fn keepers(&self) -> Vec<i32> {
        let busy = leaders(self.house).into_iter();
        let busy = busy.filter_map(|pid| stat_field(pid, 1)?.parse().ok());
        let mut keepers = self.house.keepers();
        let busy: Vec<i32> = busy.filter(|pid| keepers.contains(pid)).collect();
        keepers.extend(busy);
        keepers
    }

    /// A signal to one of those who are there.
    fn hit(&mut self, victim: Victim, signal: Signal) {
        let pids = match victim {
            Victim::Keeper => self.keepers(),
            Victim::Command => leaders(self.house),
        };
        if pids.is_empty() {
            return;
        }
        let pid = pids[self.pick(pids.len())];
        let is_stop = signal == Signal::SIGSTOP;
        let struck = match victim {
            Victim::Keeper => &mut self.blows.keepers,
            Victim::Command => &mut self.blows.commands,
        };
        if is_stop {
            struck.stops += 1;
            let is_long = self.dice.below(LONG_ONES) == 0;
            self.blows.long_stops += usize::from(is_long);
            let ms = match is_long {
                true => STOPPED_LONG_MS,
                false => self.dice.below(STOPPED_MS_MAX),
            };
            self.owed.push((now() + Duration::from_millis(ms), pid));
        } else {
            struck.kills += 1;
            self.blows.hooks += usize::from(serves_hook(self.house, pid));
        }
        send(pid, signal);
    }
}

/// Main processes of commands and hooks: they have a run of this house, and lead their session.
fn leaders(house: &House) -> Vec<i32> {
    let dir = format!("JOBCTL_STATE_DIR={}", house.state_dir().display());
    let leads = |pid: &i32| stat_field(*pid, 3).is_some_and(|session| session == pid.to_string());
    let is_command = |pid: &i32| {
        let words = environment(*pid);
        words.contains(&dir) && words.iter().any(|word| word.starts_with("JOBCTL_RUN="))
    };
    let all = processes().into_iter();
    all.filter(leads).filter(is_command).collect()
}

/// Whether a process is a hook of this house, or the keeper of one.
fn serves_hook(house: &House, pid: i32) -> bool {
    leaders(house).into_iter().any(|leader| {
        let parent = stat_field(leader, 1);
        let is_of_it = leader == pid || parent.is_some_and(|parent| parent == pid.to_string());
        let words = environment(leader);
        is_of_it && words.iter().any(|word| word.starts_with("JOBCTL_EVENT="))
    })
}
