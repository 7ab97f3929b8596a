//! The judge of the attack: compares what the commands wrote with the ledger of those who asked,
//! and both with the store.
//!
//! What is allowed: an attempt whose keeper was killed is `lost`, and is tried again by policy; one
//! that was killed, stopped for longer than its timeout or with its supervisor ended so; and a
//! command that died between its last word and its end.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::blows::{Blows, STOPPED_MS_MAX};
use super::books::{Books, Line, Run};
use super::clients::Ledger;
use super::world::{ONCE, RATE_BURST, RATE_EVERY_MS, SCHEDULED};

/// How often a hook is tried whose keeper is lost (docs/design.md).
const TRIES_MAX: usize = 3;

/// What is wrong, and of which run.
pub(super) struct Finding {
    pub(super) what: &'static str,
    pub(super) run: Option<i64>,
    pub(super) text: String,
}

pub(super) struct Judge<'a> {
    books: &'a Books,
    ledger: &'a Ledger,
    blows: &'a Blows,
    found: Vec<Finding>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(books: &'a Books, ledger: &'a Ledger, blows: &'a Blows) -> Self {
        Self { books, ledger, blows, found: Vec::new() }
    }

    /// Everything that is wrong.
    pub(super) fn judge(mut self) -> Vec<Finding> {
        self.acknowledged();
        self.attempts();
        self.runs();
        self.overlaps();
        self.order();
        self.rates();
        self.keys();
        self.occurrences();
        self.fed();
        self.dropped();
        self.spooled();
        self.executed();
        self.told();
        self.found
    }

    fn find(&mut self, what: &'static str, run: Option<i64>, text: impl Into<String>) {
        let text = text.into();
        self.found.push(Finding { what, run, text });
    }

    /// Acknowledged runs are there and have ended.
    fn acknowledged(&mut self) {
        for (id, job) in &self.ledger.acknowledged {
            let run = self.books.runs.get(id);
            if !run.is_some_and(|run| run.job == *job && run.is_ended()) {
                let state = self.books.state(*id);
                self.find("lost", Some(*id), format!("an item of {job} is {state}"));
            }
        }
        for refused in &self.ledger.refused {
            self.find("refused", None, refused);
        }
        self.turned_away();
    }

    /// Of what somebody was turned away with nothing stays, and only a supervisor that was stopped
    /// may be in the way for so long.
    fn turned_away(&mut self) {
        let Ledger { turned_away, .. } = self.ledger;
        let added: HashSet<&str> = self.books.lines('B').map(|line| line.text.as_str()).collect();
        for what in turned_away {
            let token = what.rsplit(' ').next().filter(|word| word.starts_with('t'));
            if token.is_some_and(|token| added.contains(token)) {
                self.find("refused", None, format!("{what} was refused and executed"));
            }
        }
        let stops = self.blows.supervisors.stops;
        if turned_away.len() > stops {
            self.find("refused", None, format!("{stops} stops, and no room for {turned_away:?}"));
        }
    }

    /// No attempt is executed twice, and each one that was is known with the code that it wrote
    /// down.
    fn attempts(&mut self) {
        let mut begun: HashMap<(i64, i64), usize> = HashMap::new();
        for line in self.books.lines('B') {
            *begun.entry((line.run, line.attempt)).or_default() += 1;
        }
        for (&(run, number), &times) in &begun {
            if times > 1 {
                let text = format!("attempt {number} was executed {times} times");
                self.find("twice", Some(run), text);
            }
            if !self.books.attempts.contains_key(&(run, number)) {
                let text = format!("attempt {number} was executed and is in no book");
                self.find("unknown", Some(run), text);
            }
        }
        let mut lost = 0;
        for (&(run, number), attempt) in &self.books.attempts {
            let own = self.books.codes.get(&(run, number));
            let outcome = attempt.outcome.as_deref();
            let is_told =
                matches!((own, attempt.exit_code), (Some(own), Some(told)) if *own == told);
            lost += usize::from(outcome == Some("lost"));
            if outcome == Some("exited") && !is_told {
                let text = format!(
                    "attempt {number}: {:?} in the books, it wrote {own:?}",
                    attempt.exit_code
                );
                self.find("wrong", Some(run), text);
            }
            if matches!(outcome, Some("spawn_failed")) {
                let text = format!("attempt {number} could not be started: {:?}", attempt.error);
                self.find("wrong", Some(run), text);
            }
        }
        // A keeper has one attempt at a time.
        let may_be_lost = self.blows.keepers.kills + self.blows.long_stops;
        if lost > may_be_lost {
            let text = format!("{lost} attempts are lost, and {may_be_lost} keepers");
            self.find("unknown", None, text);
        }
    }

    /// Each run has the verdict that follows from its attempts.
    fn runs(&mut self) {
        let mut executed: HashMap<i64, HashSet<i64>> = HashMap::new();
        for line in self.books.lines('B') {
            executed.entry(line.run).or_default().insert(line.attempt);
        }
        for (&id, run) in &self.books.runs {
            let times = executed.get(&id).map_or(0, HashSet::len);
            if ONCE.contains(&run.job.as_str()) && times > 1 {
                self.find("twice", Some(id), format!("{} was executed {times} times", run.job));
            }
            if let Some(text) = self.complaint(id, run) {
                self.find("wrong", Some(id), format!("{}: {text}", run.job));
            }
        }
    }

    fn complaint(&self, id: i64, run: &Run) -> Option<String> {
        let reason = run.reason.as_deref().unwrap_or_default();
        let is_success = self.is_success(id, run.attempt);
        let is_right = match run.state.as_str() {
            "succeeded" => is_success && run.job != "hopeless",
            "failed" => !is_success && self.may_fail(run, reason),
            "cancelled" if reason == "dependency" => run.attempt == 0,
            "cancelled" => self.ledger.cancelled.contains(&id) || run.job == "hand",
            "skipped" => SCHEDULED.contains(&run.job.as_str()),
            _ => false,
        };
        let Run { state, attempt, .. } = run;
        (!is_right).then(|| format!("{state} ({reason}) after attempt {attempt}"))
    }

    fn is_success(&self, run: i64, attempt: i64) -> bool {
        let found = self.books.attempts.get(&(run, attempt));
        found.is_some_and(|it| it.outcome.as_deref() == Some("exited") && it.exit_code == Some(0))
    }

    /// A run gives up when all that it may try is tried, or after its fourth keeper was lost.
    fn may_fail(&self, run: &Run, reason: &str) -> bool {
        let is_spent = run.attempts_max == Some(run.attempt);
        match reason {
            "exit" => run.job == "hopeless" && is_spent,
            "poison" => true,
            "superseded" => SCHEDULED.contains(&run.job.as_str()),
            "shutdown" => ONCE.contains(&run.job.as_str()),
            "signal" | "timeout" | "lost" => is_spent,
            _ => false,
        }
    }

    fn overlaps(&mut self) {
        for line in self.books.lines('O') {
            let text = format!("{} met another one at {}", line.job, line.text);
            self.find("overlapped", Some(line.run), text);
        }
    }

    /// Who waits for others begins after their success, or never.
    fn order(&mut self) {
        let mut begun: HashMap<i64, i64> = HashMap::new();
        let mut ended: HashMap<i64, i64> = HashMap::new();
        for line in self.books.lines('B').filter(|line| line.job == "after") {
            let at = begun.entry(line.run).or_insert(line.at_us);
            *at = (*at).min(line.at_us);
        }
        for line in self.books.lines('E').filter(|line| line.text == "0") {
            ended.insert(line.run, line.at_us);
        }
        for (&child, parents) in &self.ledger.after {
            let states: Vec<&str> = parents.iter().map(|it| self.books.state(*it)).collect();
            let all_succeeded = states.iter().all(|state| *state == "succeeded");
            let first = begun.get(&child);
            let is_early = |parent: &i64| {
                first.is_some_and(|first| ended.get(parent).is_none_or(|end| end > first))
            };
            let asked = self.ledger.cancelled.contains(&child);
            let is_wrong = match all_succeeded {
                true => parents.iter().any(is_early) || (first.is_none() && !asked),
                false => first.is_some(),
            };
            if is_wrong {
                let text = format!("began {first:?}, after {parents:?}, which are {states:?}");
                self.find("order", Some(child), text);
            }
        }
    }

    /// In any stretch of time no more are started than the bucket holds and gets. It is the claim
    /// that takes from the bucket: a supervisor that is stopped between claim and start makes the
    /// stretch shorter.
    fn rates(&mut self) {
        let is_rated = |run: &i64| self.books.runs.get(run).is_some_and(|it| it.job == "rated");
        let attempts = self.books.attempts.iter();
        let mut starts: Vec<(i64, i64)> = attempts
            .filter(|((run, _), _)| is_rated(run))
            .filter_map(|((run, _), it)| Some((it.started_at_ms?, *run)))
            .collect();
        starts.sort_unstable();
        // The level of a bucket that is as full as it can be.
        let burst = i64::try_from(RATE_BURST).expect("few") * RATE_EVERY_MS;
        let (mut level, mut before) = (burst, i64::MIN / 2);
        for (at, run) in starts {
            level = level.saturating_add(at.saturating_sub(before)).min(burst) - RATE_EVERY_MS;
            before = at;
            if level < -i64::try_from(STOPPED_MS_MAX).expect("short") {
                self.find("rate", Some(run), format!("started {}ms too early", -level));
                level = 0;
            }
        }
    }

    /// A key is in the queue once at most. An item counts as created when its verb begins, which
    /// may wait for the store: then it begins after the end of whoever had the key.
    fn keys(&mut self) {
        let mut holders: BTreeMap<&str, Vec<(&str, i64)>> = BTreeMap::new();
        for (id, run) in &self.books.runs {
            if let Some(key) = &run.key {
                let of_key = holders.entry(key).or_default();
                of_key.push((&run.created_at, *id));
            }
        }
        for (key, mut runs) in holders {
            runs.sort_unstable();
            for pair in runs.windows(2) {
                let (created_at, next) = pair[1];
                let former = &self.books.runs[&pair[0].1];
                let is_free = former.ended_at.as_deref().is_some_and(|at| at <= created_at)
                    || self.books.follows(pair[0].1, next);
                if !is_free || former.state == "failed" {
                    let text = format!("has the key {key}, which run {} holds", pair[0].1);
                    self.find("key", Some(next), text);
                }
            }
        }
    }

    fn occurrences(&mut self) {
        let mut seen = HashSet::new();
        for (id, run) in &self.books.runs {
            let Some(at) = &run.scheduled_at else {
                continue;
            };
            if run.count == 1 && !seen.insert((&run.job, at)) {
                self.find("twice", Some(*id), format!("a second run of {} at {at}", run.job));
            }
        }
    }

    /// Runs of a job by the text of their first line.
    fn runs_by_text(&self, job: &str) -> HashMap<&'a str, HashSet<i64>> {
        let mut runs: HashMap<&str, HashSet<i64>> = HashMap::new();
        let books: &'a Books = self.books;
        for line in books.lines('B').filter(|line| line.job == job) {
            runs.entry(&line.text).or_default().insert(line.run);
        }
        runs
    }

    /// Each line of a finder that succeeded is a run, and no line of another one.
    fn fed(&mut self) {
        let mut fed = self.runs_by_text("fed");
        let mut begun: BTreeMap<i64, &Line> = BTreeMap::new();
        for line in self.books.lines('B').filter(|line| line.job == "find") {
            begun.insert(line.run, line);
        }
        for (&run, line) in &begun {
            let count: usize = match self.books.state(run) {
                "succeeded" => line.text.parse().expect("a number of lines"),
                _ => 0,
            };
            for nth in 1..=count {
                let times = fed.remove(&*format!("{run}-{nth}")).map_or(0, |it| it.len());
                if times != 1 {
                    self.find("fed", Some(run), format!("line {nth} has {times} runs"));
                }
            }
        }
        for (text, runs) in fed {
            let run = runs.iter().next().copied();
            self.find("fed", run, format!("{text} was printed by no success"));
        }
    }

    /// Each file is taken once.
    fn dropped(&mut self) {
        let mut taken = self.runs_by_text("drop");
        for name in &self.ledger.dropped {
            let runs = taken.remove(name.as_str()).unwrap_or_default();
            if runs.len() != 1 {
                let text = format!("drop/{name} was taken {} times: {runs:?}", runs.len());
                self.find("watched", runs.iter().next().copied(), text);
            }
        }
        for (name, runs) in taken {
            let run = runs.iter().next().copied();
            self.find("watched", run, format!("nobody wrote drop/{name}"));
        }
    }

    /// Each text is taken once, but for those whose run was killed before it had read it.
    fn spooled(&mut self) {
        let mut taken: HashMap<&str, Vec<i64>> = HashMap::new();
        for line in self.books.lines('W') {
            taken.entry(&line.text).or_default().push(line.run);
        }
        let has_taken: HashSet<i64> = self.books.lines('W').map(|line| line.run).collect();
        let spent = |(id, run): &(&i64, &Run)| {
            run.job == "spool"
                && !has_taken.contains(id)
                && self
                    .books
                    .attempts_of(**id)
                    .all(|(_, it)| it.outcome.as_deref() != Some("exited"))
        };
        let mut killed = self.books.runs.iter().filter(spent).count();
        let mut found = Vec::new();
        for text in &self.ledger.spooled {
            let runs = taken.remove(text.as_str()).unwrap_or_default();
            if runs.is_empty() && killed > 0 {
                killed -= 1;
            } else if runs.len() != 1 {
                found.push((runs.first().copied(), format!("{text} was taken by {runs:?}")));
            }
        }
        for line in self.books.lines('M') {
            found.push((Some(line.run), format!("spool/{} was not there", line.text)));
        }
        for (run, text) in found {
            self.find("watched", run, text);
        }
    }

    /// Who was told 0 by `exec` has had the command executed.
    fn executed(&mut self) {
        let done: HashMap<&str, HashSet<i64>> = self.runs_by_text("hand");
        for token in &self.ledger.executed {
            let runs = done.get(token.as_str());
            let is_done = runs.is_some_and(|runs| {
                runs.iter().all(|run| self.books.codes.get(&(*run, 1)) == Some(&0))
            });
            if !is_done {
                let run = runs.and_then(|runs| runs.iter().next().copied());
                self.find("lost", run, format!("exec said 0 for {token}: {runs:?}"));
            }
        }
    }

    /// Each run that gave up is told to its hook, and not more often than that is tried.
    fn told(&mut self) {
        let mut told: HashMap<i64, usize> = HashMap::new();
        for line in self.books.lines('T') {
            *told.entry(line.run).or_default() += 1;
        }
        let mut untold = Vec::new();
        for (&id, run) in &self.books.runs {
            let is_owed = run.job == "hopeless" && run.state == "failed";
            let times = told.remove(&id).unwrap_or_default();
            let may = if is_owed { TRIES_MAX } else { 0 };
            if times > may {
                self.find("untold", Some(id), format!("told {times} times"));
            } else if is_owed && times == 0 {
                untold.push(id);
            }
        }
        // It is given up when its keeper was lost as often as it is tried.
        if untold.len() * TRIES_MAX > self.blows.hooks {
            self.find("untold", untold.first().copied(), format!("{untold:?} were told to nobody"));
        }
    }
}
