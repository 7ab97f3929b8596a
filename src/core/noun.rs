//! Numbers with their nouns, for messages.

use std::fmt::Display;

/// A number with its noun: `1 job`, `2 jobs`.
pub(crate) fn count<N: Display + PartialEq + From<u8>>(number: N, noun: &str) -> String {
    if number == N::from(1) { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// The first of some names, and how many more there are: `a, b and 3 more`.
pub(crate) fn listed(names: &[impl AsRef<str>], max: usize) -> String {
    let shown: Vec<&str> = names.iter().take(max).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(max) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A size for people: `512 B`, `1.5 KiB`, `12 MiB`.
pub(crate) fn size(bytes: i64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes.max(0), 0);
    let mut tenths = 0;
    while value >= 1024 && unit + 1 < UNITS.len() {
        tenths = value % 1024 * 10 / 1024;
        value /= 1024;
        unit += 1;
    }
    match (tenths, value) {
        (1.., ..10) => format!("{value}.{tenths} {}", UNITS[unit]),
        _ => format!("{value} {}", UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_is_singular() {
        let counts = [0_u64, 1, 2].map(|number| count(number, "job"));
        assert_eq!(counts, ["0 jobs", "1 job", "2 jobs"]);
    }

    #[test]
    fn a_list_has_so_many_names_and_counts_the_rest() {
        let names = ["a", "b", "c"];
        assert_eq!(listed(&names[..0], 2), "");
        assert_eq!(listed(&names[..2], 2), "a, b");
        assert_eq!(listed(&names, 2), "a, b and 1 more");
    }

    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (13_000_000, "12 MiB"),
            (-1, "0 B"),
            (i64::MAX, "8388607 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
