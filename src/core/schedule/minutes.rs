//! A calendar over wall time without a zone: the first, the last and the number of its minutes in a
//! stretch.
//!
//! Minutes are counted since 1970-01-01 00:00 on the wall; what they are in real time is `walk`'s
//! business.

use super::Calendar;

/// Minutes of a day.
pub(super) const DAY: i64 = 1440;

impl Calendar {
    /// The first minute of the calendar from `from` on.
    pub(super) fn first_minute(&self, from: i64) -> Option<i64> {
        let (day, minute) = split(from);
        let first = self.days.first_from(day)?;
        if first > day {
            return Some(first * DAY + self.first_of_day(0)?);
        }
        if let Some(minute) = self.first_of_day(minute) {
            return Some(day * DAY + minute);
        }
        Some(self.days.first_from(day + 1)? * DAY + self.first_of_day(0)?)
    }

    /// The last minute of the calendar up to and with `to`.
    pub(super) fn last_minute(&self, to: i64) -> Option<i64> {
        let (day, minute) = split(to);
        let last = self.days.last_to(day)?;
        if last < day {
            return Some(last * DAY + self.last_of_day(DAY - 1)?);
        }
        if let Some(minute) = self.last_of_day(minute) {
            return Some(day * DAY + minute);
        }
        Some(self.days.last_to(day - 1)? * DAY + self.last_of_day(DAY - 1)?)
    }

    /// Returns how many minutes of the calendar there are from `from` to before `to`. Costs one
    /// step a day, whatever the minutes.
    pub(super) fn count_minutes(&self, from: i64, to: i64) -> u64 {
        let mut count = 0;
        let mut next = self.days.first_from(split(from).0);
        while let Some(day) = next.filter(|day| day * DAY < to) {
            count += self.count_before(to - day * DAY) - self.count_before(from - day * DAY);
            next = self.days.first_from(day + 1);
        }
        count
    }

    /// The first minute of a day from `from` on.
    pub(super) fn first_of_day(&self, from: i64) -> Option<i64> {
        let (hour, minute) = (from / 60, from % 60);
        if self.hours >> hour & 1 == 1 && self.minutes >> minute != 0 {
            return Some(from + i64::from((self.minutes >> minute).trailing_zeros()));
        }
        let later = u64::from(self.hours) >> (hour + 1);
        (later != 0).then(|| {
            (hour + 1 + i64::from(later.trailing_zeros())) * 60
                + i64::from(self.minutes.trailing_zeros())
        })
    }

    /// The last minute of a day up to and with `to`.
    pub(super) fn last_of_day(&self, to: i64) -> Option<i64> {
        let (hour, minute) = (to / 60, to % 60);
        let minutes = self.minutes & up_to(minute);
        if self.hours >> hour & 1 == 1 && minutes != 0 {
            return Some(hour * 60 + highest(minutes));
        }
        let earlier = u64::from(self.hours) & (up_to(hour) >> 1);
        (earlier != 0).then(|| highest(earlier) * 60 + highest(self.minutes))
    }

    /// How many minutes of a day are before `end`, which may lie outside of the day.
    fn count_before(&self, end: i64) -> u64 {
        let end = end.clamp(0, DAY);
        let (hour, minute) = (end / 60, end % 60);
        let full =
            (u64::from(self.hours) & (up_to(hour) >> 1)).count_ones() * self.minutes.count_ones();
        let rest = if self.hours >> hour & 1 == 1 {
            (self.minutes & (up_to(minute) >> 1)).count_ones()
        } else {
            0
        };
        u64::from(full + rest)
    }
}

/// The day and the minute of the day.
fn split(minute: i64) -> (i64, i64) {
    (minute.div_euclid(DAY), minute.rem_euclid(DAY))
}

/// Bits 0 to `last`.
fn up_to(last: i64) -> u64 {
    u64::MAX >> (63 - last)
}

/// The highest bit of a set that is not empty.
fn highest(set: u64) -> i64 {
    63 - i64::from(set.leading_zeros())
}
