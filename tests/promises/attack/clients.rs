//! Those who add and ask during the attack, and the ledger of what they were told.

use std::collections::{HashMap, HashSet};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::world::{ITEMS, KEYS, LANES, SPOOL_NAMES, write_anew};
use crate::crash_loop::Dice;
use crate::support::{Answer, House, answer_of, found_within, now, pass, send};

/// EX_TEMPFAIL of sysexits.h: the store is locked.
const BUSY: i32 = 75;

/// The longest pause between two deeds.
const PAUSE_MS_MAX: u64 = 150;

/// Who adds waits while more than so many runs wait, and until they are fewer.
const BACKLOG_MAX: i64 = 120;
const BACKLOG_LOW: i64 = 60;

/// Commands that may run while nobody reads them get so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was acknowledged, and what was asked for.
#[derive(Default)]
pub(super) struct Ledger {
    /// Ids that were printed, with their jobs.
    pub(super) acknowledged: Vec<(i64, String)>,
    /// Runs that wait for others.
    pub(super) after: HashMap<i64, Vec<i64>>,
    /// Runs that somebody wanted to be cancelled.
    pub(super) cancelled: HashSet<i64>,
    /// Files of the job that leaves them, and texts for the one that removes them.
    pub(super) dropped: Vec<String>,
    pub(super) spooled: Vec<String>,
    /// Tokens of `exec` that ended with 0.
    pub(super) executed: Vec<String>,
    /// What those were to add who met a stopped supervisor in the middle of a transaction, and gave
    /// up (75) after as long as a verb waits.
    pub(super) turned_away: Vec<String>,
    /// Answers that nobody should get.
    pub(super) refused: Vec<String>,
}

/// One who adds items, writes files and asks for things, one after another.
pub(super) struct Client<'a> {
    house: &'a House,
    dice: Dice,
    ledger: Ledger,
    deeds: u64,
}

impl<'a> Client<'a> {
    pub(super) fn new(house: &'a House, dice: Dice) -> Self {
        Self { house, dice, ledger: Ledger::default(), deeds: 0 }
    }

    /// Does things until a time has come.
    pub(super) fn live(mut self, until: Instant) -> Ledger {
        while now() < until {
            self.deeds += 1;
            self.act();
            let next = now() + Duration::from_millis(self.dice.below(PAUSE_MS_MAX));
            while let Some(rest) = next.checked_duration_since(now()).filter(|it| !it.is_zero()) {
                pass(rest);
            }
            if self.deeds.is_multiple_of(20) {
                self.wait_for_less(until);
            }
        }
        self.ledger
    }

    fn act(&mut self) {
        match self.dice.below(32) {
            0..=9 => self.add(),
            10..=11 => self.add_unheard(),
            12..=13 => {
                let key = format!("k{}", self.dice.below(KEYS));
                self.enqueue("keyed", &["keyed", &key]);
            }
            14..=15 => self.add_lanes(),
            16..=18 => self.add_after(),
            19..=21 => self.drop_file(),
            22..=25 => self.spool_file(),
            26..=27 => self.exec(),
            28 => self.cancel(),
            29 => {
                self.enqueue("find", &["find"]);
            }
            30 => {
                write_anew(self.house, self.deeds);
                // It may well find no supervisor.
                self.house.ask(&["reload"]);
            }
            _ => {
                let verb = ["pause", "resume"][self.pick(2)];
                let answer = self.house.ask(&[verb, "wide"]);
                self.judge(verb.to_owned(), &answer);
            }
        }
    }

    fn pick(&mut self, count: u64) -> usize {
        usize::try_from(self.dice.below(count)).expect("few")
    }

    /// One of the items that were acknowledged last.
    fn recent(&mut self, near: usize) -> i64 {
        let back = self.pick(u64::try_from(near).expect("few"));
        let all = &self.ledger.acknowledged;
        all[all.len() - 1 - back].0
    }

    fn token(&self) -> String {
        format!("t{}", self.deeds)
    }

    fn add(&mut self) {
        let job = ITEMS[self.pick(7)];
        let token = self.token();
        self.enqueue(job, &[job, &token]);
    }

    /// `enqueue`; the ids it has printed.
    fn enqueue(&mut self, job: &str, args: &[&str]) -> Vec<i64> {
        let answer = self.house.ask(&[&["enqueue"], args].concat());
        self.note(job, args.join(" "), &answer)
    }

    /// Notes whether somebody got `what` he asked for.
    fn judge(&mut self, what: String, answer: &Answer) {
        match answer.code {
            0 => {}
            BUSY => self.ledger.turned_away.push(what),
            _ => self.ledger.refused.push(format!("{answer:?}")),
        }
    }

    /// Notes what became of `what`, which was to be added; the ids it got.
    fn note(&mut self, job: &str, what: String, answer: &Answer) -> Vec<i64> {
        self.judge(what, answer);
        let ids = answer.out.lines().map(|line| line.parse().expect("an id"));
        let ids: Vec<i64> = ids.collect();
        let acknowledged = ids.iter().map(|id| (*id, job.to_owned()));
        self.ledger.acknowledged.extend(acknowledged);
        ids
    }

    /// Adds an item and is killed meanwhile: what was printed counts.
    fn add_unheard(&mut self) {
        let job = ITEMS[self.pick(7)];
        let mut command = self.house.jobctl();
        command.args(["enqueue", job, &self.token()]);
        let answer = self.killed(&mut command, 30);
        let whole = answer.out.rfind('\n').map_or("", |end| &answer.out[..end]);
        let ids = whole.lines().map(|line| line.parse().expect("an id"));
        let acknowledged = ids.map(|id| (id, job.to_owned()));
        self.ledger.acknowledged.extend(acknowledged);
    }

    /// The answer of a command that gets KILL within so many milliseconds.
    fn killed(&mut self, command: &mut std::process::Command, ms_max: u64) -> Answer {
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("jobctl can be started");
        pass(Duration::from_millis(self.dice.below(ms_max)));
        send(i32::try_from(child.id()).expect("small"), Signal::SIGKILL);
        crate::support::answer_from(child.wait_with_output().expect("it is our child"))
    }

    fn add_lanes(&mut self) {
        let count = 1 + self.dice.below(6);
        let lines: String = (0..count).map(|_| format!("l{}\n", self.dice.below(LANES))).collect();
        let answer = self.house.ask_with(&["enqueue", "--lines", "lane"], &lines);
        self.note("lane", lines, &answer);
    }

    fn add_after(&mut self) {
        let count = 1 + self.pick(3);
        let known = self.ledger.acknowledged.len();
        let near = known.min(12);
        if near == 0 {
            return;
        }
        let parents: Vec<i64> = (0..count).map(|_| self.recent(near)).collect();
        let list: Vec<String> = parents.iter().map(i64::to_string).collect();
        let token = self.token();
        for id in self.enqueue("after", &["--after", &list.join(","), "after", &token]) {
            self.ledger.after.insert(id, parents.clone());
        }
    }

    /// Half of the files are written where they are watched, the others moved there.
    fn drop_file(&mut self) {
        let name = self.token();
        let is_moved = self.dice.below(2) == 0;
        self.write_file("drop", &name, "x", is_moved);
        self.ledger.dropped.push(name);
    }

    /// A name is used again once its file was removed.
    fn spool_file(&mut self) {
        let name = format!("s{}", self.dice.below(SPOOL_NAMES));
        if self.house.path("spool").join(&name).exists() {
            return;
        }
        let token = self.token();
        let is_moved = self.dice.below(2) == 0;
        self.write_file("spool", &name, &token, is_moved);
        self.ledger.spooled.push(token);
    }

    fn write_file(&self, dir: &str, name: &str, text: &str, is_moved: bool) {
        let place = format!("{dir}/{name}");
        if is_moved {
            let draft = format!("outside/{name}");
            self.house.write(&draft, format!("{text}\n"));
            let moved = std::fs::rename(self.house.path(&draft), self.house.path(&place));
            moved.expect("both are ours");
        } else {
            std::fs::write(self.house.path(&place), format!("{text}\n")).expect("there is room");
        }
    }

    /// Some of those who wait for their command are killed; it goes on without them.
    fn exec(&mut self) {
        let token = self.token();
        let mut command = self.house.jobctl();
        command.args(["exec", "hand", &token]);
        if self.dice.below(4) == 0 {
            self.killed(&mut command, 80);
            return;
        }
        let answer = answer_of(&mut command);
        match answer.code {
            0 => self.ledger.executed.push(token),
            // The place is taken; a signal, or an end that is not known.
            BUSY | 111 | 128..=192 => {}
            _ => self.ledger.refused.push(format!("exec: {answer:?}")),
        }
    }

    fn cancel(&mut self) {
        let known = self.ledger.acknowledged.len();
        if known > 0 {
            let id = self.recent(known.min(8));
            self.ledger.cancelled.insert(id);
            // It may have ended.
            self.house.ask(&["cancel", &id.to_string()]);
        }
    }

    fn wait_for_less(&self, until: Instant) {
        if waiting(self.house) > BACKLOG_MAX {
            found_within(PATIENCE, || {
                (waiting(self.house) < BACKLOG_LOW || now() > until).then_some(())
            });
        }
    }
}

/// How many runs wait or are under way.
fn waiting(house: &House) -> i64 {
    let status = house.status();
    let jobs = status["jobs"].as_array().expect("there are jobs");
    let count = |job: &serde_json::Value| {
        ["queued", "running", "retrying"]
            .iter()
            .filter_map(|state| job[*state].as_i64())
            .sum::<i64>()
    };
    jobs.iter().map(count).sum()
}
