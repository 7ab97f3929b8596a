//! Points in time as the rest of the crate passes them around: wall clock for the record, monotonic
//! for durations and deadlines.
//!
//! Asks no clock (that is `os::clock`) and knows no zone (that is `core::schedule::Zone`).

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point of the wall clock: milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
///
/// Arithmetic saturates, so that no clock however wrong can make it panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall(i64);

impl Wall {
    /// Makes a point from milliseconds since the epoch.
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Makes a point from seconds since the epoch.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded towards the past.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The last point before it.
    pub const fn just_before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// RFC 3339 in UTC with seconds, for logs and environments; the epoch where the calendar ends.
    pub fn rfc3339(self) -> String {
        let time = chrono::DateTime::from_timestamp_millis(self.0).unwrap_or_default();
        time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// RFC 3339 in UTC with milliseconds, for JSON; milliseconds since 1970 where the calendar
    /// ends.
    pub fn rfc3339_ms(self) -> String {
        chrono::DateTime::from_timestamp_millis(self.0).map_or_else(
            || format!("{} ms since 1970", self.0),
            |time| time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        )
    }

    /// The time that passed since `earlier`; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        let ms = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(ms).unwrap_or(0))
    }
}

/// As every JSON that others read has it.
impl Serialize for Wall {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.rfc3339_ms())
    }
}

/// A point of the wall clock as a number, in what jobctl writes for itself.
pub(crate) mod as_ms {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Wall};

    /// Writes it.
    pub(crate) fn serialize<S: Serializer>(at: &Wall, to: S) -> Result<S::Ok, S::Error> {
        at.ms().serialize(to)
    }

    /// Reads it.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Wall, D::Error> {
        i64::deserialize(from).map(Wall::from_ms)
    }
}

impl std::ops::Add<Duration> for Wall {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span_ms(span)))
    }
}

impl std::ops::Sub<Duration> for Wall {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span_ms(span)))
    }
}

/// A span in whole milliseconds, rounded up so that a deadline is never early.
fn span_ms(span: Duration) -> i64 {
    i64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX)
}

/// A point of the kernel's monotonic clock (`CLOCK_MONOTONIC`): the same for all processes of one
/// boot, meaningless after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Mono(Duration);

impl Mono {
    /// The zero of the clock: over for whoever asks.
    pub(crate) const ZERO: Self = Self(Duration::ZERO);

    /// Makes a point from the time since the clock's zero.
    pub(crate) const fn from_duration(since_zero: Duration) -> Self {
        Self(since_zero)
    }

    /// The time since the clock's zero.
    pub(crate) const fn as_duration(self) -> Duration {
        self.0
    }

    /// The time that passed since `earlier`; zero if `earlier` is later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl std::ops::Add<Duration> for Mono {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }
}

/// Both clocks, read together once at the beginning of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Now {
    /// For the record and for schedules.
    pub(crate) wall: Wall,
    /// For durations, timeouts and deadlines.
    pub(crate) mono: Mono,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_stands_as_rfc_3339_in_utc_also_where_the_calendar_ends() {
        let at = Wall::from_ms(1_785_067_200_250);
        assert_eq!(at.rfc3339(), "2026-07-26T12:00:00Z");
        assert_eq!(at.rfc3339_ms(), "2026-07-26T12:00:00.250Z");
        let beyond = Wall::from_ms(i64::MAX);
        assert_eq!(beyond.rfc3339(), "1970-01-01T00:00:00Z");
        assert_eq!(beyond.rfc3339_ms(), format!("{} ms since 1970", i64::MAX));
    }
}
