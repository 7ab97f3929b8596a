//! What is said of processes that an attempt leaves.

use std::time::Duration;

use crate::os::process::Stat;

/// What does not end within this time after KILL (it waits for a dead disk, say) is named and left.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Names in a remark.
const NAMED_MAX: usize = 5;

/// `left running: sleep (pid 12), cat (pid 13) and 4 more`.
pub(super) fn named(what: &str, processes: &[Stat]) -> Option<String> {
    let alive: Vec<&Stat> = processes.iter().filter(|process| !process.is_dead()).collect();
    if alive.is_empty() {
        return None;
    }
    let names: Vec<String> = alive
        .iter()
        .take(NAMED_MAX)
        .map(|process| format!("{} (pid {})", process.name, process.pid))
        .collect();
    let more = match alive.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!("{what}: {}{more}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, state: u8) -> Stat {
        Stat {
            pid,
            name: "su".to_owned(),
            state,
            parent: 1,
            group: pid,
            session: pid,
            start_ticks: 1,
        }
    }

    #[test]
    fn what_may_not_be_signalled_is_named_five_at_most_and_never_the_dead() {
        let what = "could not be ended";
        assert_eq!(named(what, &[]), None);
        assert_eq!(named(what, &[process(7, b'Z')]), None);
        let some = [process(7, b'S'), process(8, b'Z'), process(9, b'T')];
        let expected = "could not be ended: su (pid 7), su (pid 9)";
        assert_eq!(named(what, &some).as_deref(), Some(expected));
        let many: Vec<Stat> = (1..=8).map(|pid| process(pid, b'S')).collect();
        let text = named(what, &many).unwrap();
        assert!(text.ends_with("su (pid 5) and 3 more"), "{text}");
    }
}
