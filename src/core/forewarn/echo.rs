//! A job that writes where it watches: what it writes would become a run of its own, without end.

use super::{About, Finding};
use crate::core::job::{CommandLine, Job};

/// Returns the finding on a job, by its index.
pub(super) fn look(index: usize, job: &Job) -> Option<Finding> {
    let watch = job.policy.watch.as_deref()?;
    let (dir, last) = watch.rsplit_once('/')?;
    let is_one_name = |last: &str| !last.contains(['*', '?', '[']);
    // A path may be a directory or a file in one; a command that names either may write there.
    let place = if is_one_name(last) { watch } else { dir };
    let text = match &job.command {
        CommandLine::Shell(text) => text.to_string(),
        CommandLine::Exec(words) => words.join(" "),
    };
    let beside = ["$1.", "${1}.", "${1%", "${1/", "$1\"."];
    let writes = names_place(&text, place) || beside.iter().any(|word| text.contains(word));
    writes.then(|| Finding {
        about: About::Key(index, "watch"),
        message: format!(
            "its command names files in `{place}`, which it watches: each file that it \
                 writes there becomes a run"
        ),
        hint: Some(
            "write its output elsewhere, or watch a glob that its own files do not match"
                .to_owned(),
        ),
    })
}

/// Whether a command names a place itself, not one whose name only begins like it.
fn names_place(text: &str, place: &str) -> bool {
    let is_part_of_a_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
    text.match_indices(place).any(|(at, _)| {
        let behind = text[at + place.len()..].chars().next();
        let before = text[..at].chars().next_back();
        !behind.is_some_and(is_part_of_a_name) && !before.is_some_and(is_part_of_a_name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_named_as_a_whole() {
        for (text, is_named) in [
            ("cp x /in/", true),
            ("cp x /in", true),
            ("cd '/in' && ls", true),
            ("cp x /inner", false),
            ("cp x /out/in", false),
            ("cp x /var/in", false),
        ] {
            assert_eq!(names_place(text, "/in"), is_named, "{text}");
        }
    }
}
