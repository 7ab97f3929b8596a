//! A place where a job watches: what was heard of it, what is to be looked at and when, and what
//! was found.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::baseline::Baseline;
use super::look::{self, Begun, Scanned, Site, Wanted};
use crate::core::time::{Mono, Now, Wall};
use crate::os::watch::{Change, Notice, Watcher};
use crate::store::Mark;
use crate::supervisor::errand::{Errand, Errands};

/// More names than this in one directory are forgotten, and it is gone through instead.
const NAMES_MAX: usize = 10_000;

/// A file that a look finds and that was changed less than this ago may still be written: it is
/// looked at again after that.
pub(super) const SETTLED: Duration = Duration::from_secs(1);

/// A time of change that is this far ahead is of another machine's clock; one that is nearer may be
/// of a file that is being written.
const OTHER_CLOCK: Duration = Duration::from_secs(60);

/// Files that are gone are forgotten together, this much later. Nothing is wrong in between:
/// another file is another one by its times, too.
const FORGET_AFTER: Duration = Duration::from_secs(1);

/// The place that a job watches.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) job: i64,
    /// As the jobfile has it.
    pub(super) watch: Box<str>,
    /// What that means; none: it was never looked at.
    pub(super) site: Option<Site>,
    pub(super) errand: Errand<Seen>,
    /// It is to be watched anew.
    pub(super) owes_begin: bool,
    /// The errand under way watches it anew: what is told meanwhile is heard behind it.
    pub(super) is_beginning: bool,
    pub(super) meanwhile: Vec<Notice>,
    /// What happened to names that are meant, and when that is to be looked at.
    names: BTreeMap<OsString, News>,
    names_deadline: Option<Mono>,
    /// The directory is to be gone through then.
    pub(super) scan_deadline: Option<Mono>,
    /// Nothing is tried before.
    pub(super) again_deadline: Option<Mono>,
    pub(super) found: VecDeque<Found>,
    /// What is to be written of the first look, before anything else is looked at.
    pub(super) baseline: Option<Baseline>,
    /// Not all can be watched: everything is looked at again then.
    pub(super) look_deadline: Option<Mono>,
    /// It was said that the directory cannot be read, or that the backlog is full.
    pub(super) is_told: bool,
}

/// What happened to a name, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct News {
    /// What had it is gone.
    is_gone: bool,
    /// A file is whole there.
    is_whole: bool,
}

/// What is to be looked at outside.
#[derive(Clone, Debug)]
enum Look {
    /// All of it, and watched anew.
    Begin,
    /// The whole directory.
    Scan(Site),
    /// These names in it.
    Names(Site, BTreeMap<OsString, News>),
}

/// The result of an errand.
#[derive(Debug)]
pub(super) enum Seen {
    Begun(Begun),
    Scanned(io::Result<Scanned>),
    Names(Vec<Found>),
}

/// A file that was found, or is gone.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// What was there before was removed, or moved away.
    pub(super) is_gone: bool,
    /// The file to be taken; none: there is none.
    pub(super) mark: Option<Mark>,
}

impl Found {
    /// Nothing is at a path any more.
    pub(super) fn gone(path: Vec<u8>) -> Self {
        Self { path: OsString::from_vec(path).into(), is_gone: true, mark: None }
    }
}

impl Place {
    pub(super) fn new(job: i64, watch: Box<str>) -> Self {
        Self {
            job,
            watch,
            site: None,
            errand: Errand::default(),
            owes_begin: true,
            is_beginning: false,
            meanwhile: Vec::new(),
            names: BTreeMap::new(),
            names_deadline: None,
            scan_deadline: None,
            again_deadline: None,
            found: VecDeque::new(),
            baseline: None,
            look_deadline: None,
            is_told: false,
        }
    }

    /// Returns whether something of it is to be written to the store.
    pub(super) fn owes_store(&self) -> bool {
        !self.found.is_empty() || self.baseline.is_some()
    }

    /// When it has something to do, but to hear its errand.
    fn deadline(&self) -> Option<Mono> {
        let due = if self.owes_begin {
            Some(Mono::ZERO)
        } else {
            let deadlines = [self.scan_deadline, self.names_deadline];
            deadlines.into_iter().flatten().min()
        };
        let owed = self.owes_store().then_some(Mono::ZERO);
        let due = due.into_iter().chain(owed).min()?;
        Some(self.again_deadline.map_or(due, |again| again.max(due)))
    }

    pub(super) fn next_wait(&self, now: Now) -> Option<Duration> {
        if self.errand.is_under_way() {
            self.errand.next_wait(now)
        } else {
            self.deadline().map(|deadline| deadline.since(now.mono))
        }
    }

    pub(super) fn hear(&mut self, notice: &Notice, now: Now) {
        if !self.is_beginning {
            self.note(notice, now);
        } else if self.concerns(notice) {
            self.meanwhile.push(notice.clone());
            if self.meanwhile.len() > NAMES_MAX {
                self.meanwhile.clear();
                self.scan_deadline = Some(now.mono);
            }
        }
    }

    /// Whether it is of a directory on the way.
    fn concerns(&self, notice: &Notice) -> bool {
        match notice {
            Notice::Name { at, .. } => Path::new(&*self.watch).starts_with(at),
            Notice::Itself | Notice::Gone => false,
        }
    }

    pub(super) fn note(&mut self, notice: &Notice, now: Now) {
        let (Some(site), Notice::Name { at, name, change, is_dir }) = (&self.site, notice) else {
            return;
        };
        if *at != site.dir {
            // A directory above it, or the directory itself, has come or gone.
            if site.dir.starts_with(at.join(name)) {
                self.look_deadline = Some(now.mono);
            }
            return;
        }
        if *is_dir {
            // The file that is meant has become a directory of files.
            if site.wanted == Wanted::Name(name.clone()) {
                self.look_deadline = Some(now.mono);
            }
        } else if site.wanted.is(name) {
            self.note_name(name, *change, now);
        }
    }

    fn note_name(&mut self, name: &OsString, change: Change, now: Now) {
        let (news, deadline) = match change {
            Change::Other => return,
            Change::Gone => {
                let news = News { is_gone: true, is_whole: false };
                (news, now.mono + FORGET_AFTER)
            }
            Change::Whole => {
                let before = self.names.get(name).copied().unwrap_or_default();
                let news = News { is_whole: true, ..before };
                (news, now.mono)
            }
        };
        self.names.insert(name.clone(), news);
        self.names_deadline = Some(self.names_deadline.map_or(deadline, |at| at.min(deadline)));
        if self.names.len() > NAMES_MAX {
            self.names.clear();
            self.names_deadline = None;
            self.scan_deadline = Some(now.mono);
        }
    }

    /// What is due outside, if nothing of it is under way.
    fn due(&self, now: Now) -> Option<Look> {
        let is_due = |deadline: Option<Mono>| deadline.is_some_and(|at| at <= now.mono);
        if self.errand.is_under_way()
            || self.owes_store()
            || self.again_deadline.is_some_and(|at| at > now.mono)
        {
            return None;
        }
        if self.owes_begin {
            return Some(Look::Begin);
        }
        let site = self.site.clone()?;
        if is_due(self.scan_deadline) {
            Some(Look::Scan(site))
        } else {
            is_due(self.names_deadline).then(|| Look::Names(site, self.names.clone()))
        }
    }

    /// Begins what is due outside.
    pub(super) fn set_out(
        &mut self,
        errands: &mut Errands,
        watcher: Option<&Arc<Watcher>>,
        now: Now,
    ) -> io::Result<()> {
        let Some(look) = self.due(now) else {
            return Ok(());
        };
        match look.clone() {
            Look::Begin => {
                let (watch, watcher) = (self.watch.clone(), watcher.cloned());
                let work = move || Seen::Begun(look::begin(&watch, watcher.as_deref()));
                self.errand.begin(errands, now, work)?;
            }
            Look::Scan(site) => {
                let work = move || Seen::Scanned(look::scan(&site));
                self.errand.begin(errands, now, work)?;
            }
            Look::Names(site, names) if names.values().all(|news| !news.is_whole) => {
                self.found.extend(found_of(&site.dir, names, |_| None));
            }
            Look::Names(site, names) => {
                let work = move || Seen::Names(found_of(&site.dir, names, look::mark_of));
                self.errand.begin(errands, now, work)?;
            }
        }
        self.has_set_out(&look);
        Ok(())
    }

    fn has_set_out(&mut self, look: &Look) {
        match look {
            Look::Begin => {
                self.owes_begin = false;
                self.is_beginning = true;
                self.scan_deadline = None;
            }
            Look::Scan(_) => self.scan_deadline = None,
            Look::Names(..) => {
                self.names.clear();
                self.names_deadline = None;
            }
        }
    }

    /// Returns the result of a look at these files, if one is due.
    #[cfg(test)]
    pub(super) fn look_at(
        &mut self,
        files: Result<&BTreeMap<PathBuf, Mark>, io::ErrorKind>,
        now: Now,
    ) -> Option<Seen> {
        let look = self.due(now)?;
        self.has_set_out(&look);
        let scanned = || {
            let files = files?.iter().map(|(path, mark)| (path.clone(), *mark));
            Ok(Scanned { files: files.collect(), read_at: now.wall })
        };
        Some(match look {
            Look::Begin => Seen::Begun(Begun {
                site: Site { dir: PathBuf::from(&*self.watch), wanted: Wanted::All },
                sees_all: true,
                is_late: false,
                scanned: scanned(),
            }),
            Look::Scan(_) => Seen::Scanned(scanned()),
            Look::Names(site, names) => {
                Seen::Names(found_of(&site.dir, names, |path| files.ok()?.get(path).copied()))
            }
        })
    }
}

/// What is at names of which something was heard.
fn found_of(
    dir: &Path,
    names: BTreeMap<OsString, News>,
    mark_of: impl Fn(&Path) -> Option<Mark>,
) -> Vec<Found> {
    let found = names.into_iter().map(|(name, news)| {
        let path = dir.join(name);
        let mark = news.is_whole.then(|| mark_of(&path)).flatten();
        Found { path, is_gone: news.is_gone, mark }
    });
    found.collect()
}

/// Returns whether a file that a look found may still be written: its content or its name was
/// changed a moment ago, by a clock that is about this machine's. `read_at` is what that said after
/// the look.
pub(super) fn is_young(mark: &Mark, read_at: Wall) -> bool {
    let span_ns = |span: Duration| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
    let read_ns = read_at.ms().saturating_mul(1_000_000);
    let (from, to) =
        (read_ns.saturating_sub(span_ns(SETTLED)), read_ns.saturating_add(span_ns(OTHER_CLOCK)));
    let is_young = |at: i64| at > from && at < to;
    is_young(mark.changed_ns) || mark.status_ns.is_some_and(is_young)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(changed_ms: i64, status_ms: i64) -> Mark {
        Mark {
            inode: 1,
            size: 1,
            changed_ns: changed_ms.saturating_mul(1_000_000),
            born_ns: Some(0),
            status_ns: Some(status_ms * 1_000_000),
        }
    }

    #[test]
    fn what_may_still_be_written_is_young_and_what_another_clock_wrote_is_not() {
        let read_at = Wall::from_ms(1_000_000);
        for (changed, status, expected) in [
            (998_999, 998_999, false),
            (999_001, 998_000, true),
            (998_000, 999_001, true),
            (1_000_000, 1_000_000, true),
            // Written after the clock was read, or by one that is a little ahead.
            (1_000_004, 1_000_004, true),
            (1_059_000, 1_059_000, true),
            (1_060_000, 1_060_000, false),
            (i64::MAX, 998_000, false),
            (i64::MAX, 999_900, true),
        ] {
            let found = is_young(&mark(changed, status), read_at);
            assert_eq!(found, expected, "{changed} {status}");
        }
    }

    #[test]
    fn a_name_that_is_gone_and_whole_again_is_both_and_the_other_way_round_only_gone() {
        let now =
            Now { wall: Wall::from_secs(0), mono: Mono::from_duration(Duration::from_secs(5)) };
        let news = |changes: &[Change]| {
            let mut place = Place::new(1, "/in".into());
            for change in changes {
                place.note_name(&"a".into(), *change, now);
            }
            let news = place.names.get(&OsString::from("a")).copied();
            let wait = place.names_deadline.map(|at| at.since(now.mono));
            news.map(|news| (news.is_gone, news.is_whole, wait.unwrap_or_default()))
        };
        let (soon, later) = (Duration::ZERO, FORGET_AFTER);
        assert_eq!(news(&[Change::Other]), None);
        assert_eq!(news(&[Change::Whole]), Some((false, true, soon)));
        assert_eq!(news(&[Change::Gone]), Some((true, false, later)));
        assert_eq!(news(&[Change::Gone, Change::Whole]), Some((true, true, soon)));
        assert_eq!(news(&[Change::Whole, Change::Gone]), Some((true, false, soon)));
    }
}
