//! Schedules: what a crontab expression means, and when it fires next in a zone (crontab(5), Vixie's rules).
//!
//! Pure; the only place that knows the `cron` crate, which serves as calendar engine for days and never sees a user's text or a zone.

use std::time::Duration;

use super::time::Wall;

/// A change of a zone's offset from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transition {
    /// The first second (since the epoch) of the new offset.
    pub(crate) at_secs: i64,
    /// Seconds east of UTC from then on.
    pub(crate) offset_secs: i32,
}

/// A time zone as plain data, read by `os::zone`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Zone {
    /// IANA name, or what the system calls it.
    pub(crate) name: Box<str>,
    /// Seconds east of UTC before the first transition.
    pub(crate) offset_first_secs: i32,
    /// In strictly increasing order, to the end of the century the `cron` crate knows.
    pub(crate) transitions: Box<[Transition]>,
}

/// What `H` is computed from: a value fixed for machine and job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HashSeed<'a> {
    /// `hash_seed` of the jobfile, else the machine id.
    pub(crate) seed: &'a str,
    /// The job's name.
    pub(crate) job: &'a str,
}

/// Why an expression is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScheduleError {
    /// Byte offset in the expression.
    pub(crate) position: usize,
    /// What is wrong: lower case, the object first.
    pub(crate) message: String,
    /// What to write instead, where one can say.
    pub(crate) hint: Option<String>,
}

/// When a job fires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Schedule {
    /// Five fields or a macro for them.
    Calendar(Calendar),
    /// `@every`: a grid of this period, from the first load.
    Every(Duration),
    /// `@reboot`: once per boot of the machine.
    Reboot,
}

/// Five fields, folded to sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Calendar {}

/// What a clock change did to an occurrence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Occurrence {
    /// The instant, a whole minute for calendars.
    pub(crate) at: Wall,
    /// What a clock change moved or dropped, for people.
    pub(crate) note: Option<String>,
}

impl Schedule {
    /// Parses five fields or a macro.
    pub(crate) fn parse(_text: &str, _seed: HashSeed<'_>) -> Result<Self, ScheduleError> {
        unimplemented!()
    }
}

impl Calendar {
    /// The first occurrence after `after`; none if there is none in the next 40 years.
    pub(crate) fn next(&self, _zone: &Zone, _after: Wall) -> Option<Occurrence> {
        unimplemented!()
    }

    /// Whether the minute or the hour field is starred: such a schedule follows real time over a clock change.
    pub(crate) fn is_wild(&self) -> bool {
        unimplemented!()
    }
}
