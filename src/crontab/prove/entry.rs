//! The five fields of a line as cron reads them: Vixie's entry.c, bit strings, flags and all.
//!
//! Must not share code with `core::schedule`, because it is what the engine is proved against.

/// When a line of a crontab starts its command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// `@reboot`.
    Boot,
    /// Five fields, or a macro for them.
    Fields(Entry),
}

/// Five fields as bit strings, a bit for each value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Bits 0 to 59.
    pub(super) minute: u64,
    /// Bits 0 to 23.
    pub(super) hour: u64,
    /// Bits 1 to 31.
    pub(super) month_day: u64,
    /// Bits 1 to 12.
    pub(super) month: u64,
    /// Bits 0 to 7, Sunday being 0 and 7.
    pub(super) weekday: u64,
    /// `MIN_STAR` or `HR_STAR`: a wildcard job, which follows real time over a change of the clock.
    pub(super) is_wild: bool,
    /// `DOM_STAR` or `DOW_STAR`: both day fields must match.
    pub(super) needs_both: bool,
}

/// The bounds and names of a field.
struct Bounds {
    low: u32,
    high: u32,
    names: &'static [&'static str],
}

const MONTHS: &[&str] =
    &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun"];

const BOUNDS: [Bounds; 5] = [
    Bounds::numbers(0, 59),
    Bounds::numbers(0, 23),
    Bounds::numbers(1, 31),
    Bounds { names: MONTHS, ..Bounds::numbers(1, 12) },
    Bounds { names: WEEKDAYS, ..Bounds::numbers(0, 7) },
];

impl Bounds {
    const fn numbers(low: u32, high: u32) -> Self {
        Self { low, high, names: &[] }
    }
}

impl When {
    /// Parses five fields or a macro like `load_entry`; `None` if cron refuses the line.
    pub(crate) fn read(schedule: &str) -> Option<Self> {
        let schedule = schedule.trim_matches([' ', '\t']);
        match schedule {
            "@reboot" => Some(Self::Boot),
            "@yearly" | "@annually" => Entry::read("0 0 1 1 *").map(Self::Fields),
            "@monthly" => Entry::read("0 0 1 * *").map(Self::Fields),
            "@weekly" => Entry::read("0 0 * * 0").map(Self::Fields),
            "@daily" | "@midnight" => Entry::read("0 0 * * *").map(Self::Fields),
            "@hourly" => Entry::read("0 * * * *").map(Self::Fields),
            // Cronie's; the import takes it, so that it must be provable too.
            "@every_minute" => Entry::read("* * * * *").map(Self::Fields),
            fields => Entry::read(fields).map(Self::Fields),
        }
    }
}

impl Entry {
    /// Minutes, hours, days of month, months and days of week (0 to 6) as bits.
    pub(crate) fn sets(&self) -> [u64; 5] {
        [self.minute, self.hour, self.month_day, self.month, self.weekday & 0x7f]
    }

    fn read(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
        let words: [&str; 5] = words.try_into().ok()?;
        let mut bits = [0; 5];
        for ((bits, word), bounds) in bits.iter_mut().zip(words).zip(&BOUNDS) {
            *bits = List::of(word).read(bounds)?;
        }
        let [minute, hour, month_day, month, mut weekday] = bits;
        const SUNDAYS: u64 = 1 | 1 << 7;
        if weekday & SUNDAYS != 0 {
            weekday |= SUNDAYS;
        }
        let is_starred = words.map(|word| word.starts_with('*'));
        Some(Self {
            minute,
            hour,
            month_day,
            month,
            weekday,
            is_wild: is_starred[0] || is_starred[1],
            needs_both: is_starred[2] || is_starred[4],
        })
    }
}

/// The characters of a field, read one at a time as `get_list`, `get_range` and `get_number` do.
struct List<'t> {
    rest: &'t [u8],
}

impl<'t> List<'t> {
    fn of(word: &'t str) -> Self {
        Self { rest: word.as_bytes() }
    }

    fn takes(&mut self, wanted: u8) -> bool {
        match self.rest.split_first() {
            Some((&first, rest)) if first == wanted => {
                self.rest = rest;
                true
            }
            Some(_) | None => false,
        }
    }

    /// `get_list`. Ignores text after a complete range, like cron: `5/15` is 5.
    fn read(mut self, bounds: &Bounds) -> Option<u64> {
        let mut bits = self.range(bounds)?;
        while self.takes(b',') {
            bits |= self.range(bounds)?;
        }
        Some(bits)
    }

    /// `get_range`. A range that goes down sets no bit.
    fn range(&mut self, bounds: &Bounds) -> Option<u64> {
        let (first, last) = if self.takes(b'*') {
            (bounds.low, bounds.high)
        } else {
            let first = self.number(bounds.names, bounds.low)?;
            if !self.takes(b'-') {
                return set(first, bounds);
            }
            (first, self.number(bounds.names, bounds.low)?)
        };
        let step =
            if self.takes(b'/') { self.number(&[], 0).filter(|&step| step > 0)? } else { 1 };
        // Both ends are checked before the loop: the text may be 99999999999.
        let mut bits = 0;
        let mut value = first;
        while value <= last {
            bits |= set(value, bounds)?;
            value = value.saturating_add(step);
        }
        Some(bits)
    }

    /// `get_number`: a name of the field, else digits.
    fn number(&mut self, names: &[&str], low: u32) -> Option<u32> {
        let end = self
            .rest
            .iter()
            .position(|byte| !byte.is_ascii_alphanumeric())
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        let word = std::str::from_utf8(word).ok().filter(|word| !word.is_empty())?;
        let named = names.iter().position(|name| name.eq_ignore_ascii_case(word));
        match named {
            Some(index) => u32::try_from(index).ok()?.checked_add(low),
            None => word.parse().ok(),
        }
    }
}

/// `set_element`: a bit within the bounds.
fn set(value: u32, bounds: &Bounds) -> Option<u64> {
    (bounds.low..=bounds.high).contains(&value).then(|| 1 << value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(values: impl IntoIterator<Item = u32>) -> u64 {
        values.into_iter().map(|value| 1_u64 << value).sum()
    }

    fn fields(text: &str) -> Entry {
        match When::read(text) {
            Some(When::Fields(entry)) => entry,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn fields_are_the_bits_that_cron_sets() {
        let cases: [(&str, Vec<u32>); 9] = [
            ("*/20", vec![0, 20, 40]),
            ("5", vec![5]),
            ("5/15", vec![5]),
            ("5?!", vec![5]),
            ("10-30/10,59", vec![10, 20, 30, 59]),
            ("50-10", vec![]),
            ("50-10,7", vec![7]),
            ("*/99", vec![0]),
            ("007", vec![7]),
        ];
        for (text, wanted) in cases {
            let entry = fields(&format!("{text} 0 * * *"));
            assert_eq!(entry.minute, bits(wanted), "{text}");
        }
        assert_eq!(fields("0 0 * JAN,dec mon-Wed").weekday, bits([1, 2, 3]), "names in any case");
        assert_eq!(fields("0 0 * JAN,dec *").month, bits([1, 12]));
        assert_eq!(fields("0 0 * * 7").weekday, bits([0, 7]));
        assert_eq!(fields("0 0 * * 0").weekday, bits([0, 7]));
        assert_eq!(fields("0 0 * * fri-sun").weekday, 0);
    }

    #[test]
    fn a_first_star_is_what_makes_a_field_wild() {
        for (text, is_wild, needs_both) in [
            ("*/5 2 1 * 1", true, false),
            ("0 *,3 1 * 1", true, false),
            ("0-59 2 1 * 1", false, false),
            ("0 2 */2 * 1", false, true),
            ("0 2 1,* * 1", false, false),
            ("0 2 1 * *", false, true),
            ("@hourly", true, true),
            ("@daily", false, true),
        ] {
            let entry = fields(text);
            assert_eq!((entry.is_wild, entry.needs_both), (is_wild, needs_both), "{text}");
        }
        assert_eq!(When::read("@reboot"), Some(When::Boot));
    }

    #[test]
    fn cronies_every_minute_is_not_taken_for_a_refused_line() {
        assert_eq!(When::read("@every_minute"), When::read("* * * * *"));
    }

    #[test]
    fn what_cron_refuses_is_refused() {
        for text in [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * 32 * *",
            "* * * 13 *",
            "* * * * 8",
            "*/0 * * * *",
            "1, * * * *",
            "1,,2 * * * *",
            "1- * * * *",
            "x * * * *",
            "1-99999999999 * * * *",
            "0-4294967295 * * * *",
            "* * * january *",
            "@Daily",
            "@every 5m",
            "@",
        ] {
            assert_eq!(When::read(text), None, "{text}");
        }
    }
}
