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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_is_singular() {
        let counts = [0_u64, 1, 2].map(|number| count(number, "job"));
        assert_eq!(counts, ["0 jobs", "1 job", "2 jobs"]);
    }
}
