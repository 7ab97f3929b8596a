//! Whatever a text says, it is read without a panic.

use proptest::prelude::*;

use super::*;

/// Pieces of jobfiles, put together at random: most are nearly right.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "[jobs.a]\n",
            "[jobs.b.retry]\n",
            "[defaults]\n",
            "[[jobs]]\n",
            "[jobs]\n",
            "jobs.c.command = ",
            "env.",
            "command = ",
            "schedule = ",
            "retry = ",
            "include = ",
            "timeout = ",
            "\"",
            "'''",
            "{",
            "}",
            "[",
            "]",
            "=",
            ",",
            "\n",
            "\\u0000",
            "{1}",
            "\"5m\"",
            "\"H * * * *\"",
            "3",
            "-9223372036854775809",
            "1e999",
            "nan",
            "true",
            "2026-01-01",
            "#",
            "ä",
            "\r",
            "\0",
            "lock = ",
        ])
        .prop_map(str::to_owned),
        ".{0,3}",
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_and_each_problem_has_a_place_inside(text in pieces()) {
        for texts in [&[text.as_str()][..], &["", text.as_str()]] {
            if let Err(problems) = load_sources(&sources(texts), &ENV) {
                prop_assert!(!problems.is_empty());
                let lines = u32::try_from(text.matches('\n').count() + 1).expect("a short text");
                prop_assert!(problems.iter().all(|problem| problem.place.line <= lines));
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(parse(&String::from_utf8_lossy(&bytes)));
    }
}
