//! The terms an attempt was started under, as a line of text that its record keeps: what judges its end, so that a later
//! supervisor judges it by the job as it was, whatever the jobfile says by then.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::job::{OnNext, Policy, Retry, RetryMax};

/// The first word of the line. Words that are not known are passed over, so a later version may add some.
const VERSION: &str = "1";

/// A policy with what judges an attempt as its job had it; the rest is as in a job that says nothing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Terms {
    /// Exit codes, retries, grace of the stop sequence, lock and size of output.
    pub(crate) policy: Policy,
    /// Whether the command was given to a shell.
    pub(crate) is_shell: bool,
}

/// Writes down the terms of an attempt of a job with this policy; at most 512 bytes (the longest text of a record), without a line feed.
pub(crate) fn encode(policy: &Policy, is_shell: bool) -> String {
    let retry = &policy.retry;
    let max = match retry.max {
        RetryMax::Times(times) => times.to_string(),
        RetryMax::Unlimited => "unlimited".to_owned(),
    };
    let mut line = format!(
        "{VERSION} shell={} success={} skip={} no_retry={} max={max} delay={} factor={} max_delay={} jitter={} on_next={} \
         lost={} grace={} output={}",
        u8::from(is_shell),
        codes(&policy.success_exit),
        codes(&policy.skip_exit),
        codes(&policy.no_retry_exit),
        retry.delay.as_millis(),
        retry.factor_milli,
        retry.max_delay.as_millis(),
        retry.jitter_milli,
        match retry.on_next {
            OnNext::Supersede => "supersede",
            OnNext::Keep => "keep",
        },
        u8::from(retry.lost),
        policy.stop_grace.as_millis(),
        policy.output_max,
    );
    if let Some(timeout) = policy.timeout {
        let _ = write!(line, " timeout={}", timeout.as_millis());
    }
    if let Some(limit) = retry.give_up_after {
        let _ = write!(line, " give_up={}", limit.as_millis());
    }
    if let Some(lock) = &policy.lock {
        let _ = write!(line, " lock={lock}");
    }
    line
}

/// Reads what [`encode`] wrote. None: it is something else, or a word is missing or cannot be right.
pub(crate) fn decode(line: &str) -> Option<Terms> {
    let (version, words) = line.split_once(' ')?;
    if version != VERSION {
        return None;
    }
    let words: HashMap<&str, &str> = words.split(' ').filter_map(|w| w.split_once('=')).collect();
    let word = |key: &str| words.get(key).copied();
    let ms = |key: &str| word(key)?.parse().ok().map(Duration::from_millis);
    let flag = |key: &str| match word(key)? {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    };
    let retry = Retry {
        max: match word("max")? {
            "unlimited" => RetryMax::Unlimited,
            times => RetryMax::Times(times.parse().ok()?),
        },
        delay: ms("delay")?,
        factor_milli: word("factor")?.parse().ok()?,
        max_delay: ms("max_delay")?,
        jitter_milli: word("jitter")?.parse().ok().filter(|milli| *milli <= 1000)?,
        give_up_after: match word("give_up") {
            Some(_) => Some(ms("give_up")?),
            None => None,
        },
        on_next: match word("on_next")? {
            "supersede" => OnNext::Supersede,
            "keep" => OnNext::Keep,
            _ => return None,
        },
        lost: flag("lost")?,
    };
    let policy = Policy {
        retry,
        success_exit: codes_of(word("success")?)?,
        skip_exit: codes_of(word("skip")?)?,
        no_retry_exit: codes_of(word("no_retry")?)?,
        stop_grace: ms("grace")?,
        timeout: match word("timeout") {
            Some(_) => Some(ms("timeout")?),
            None => None,
        },
        output_max: word("output")?.parse().ok()?,
        lock: word("lock").map(Box::from),
        ..Policy::default()
    };
    Some(Terms { policy, is_shell: flag("shell")? })
}

/// A set of exit codes as a number in hexadecimal digits, the bit of code 0 last: 256 codes are 64 digits.
fn codes(codes: &[u8]) -> String {
    let mut nibbles = [0_u32; 64];
    for code in codes {
        nibbles[63 - usize::from(code / 4)] |= 1 << (code % 4);
    }
    let digits: String =
        nibbles.iter().filter_map(|nibble| char::from_digit(*nibble, 16)).collect();
    digits.trim_start_matches('0').to_owned()
}

fn codes_of(digits: &str) -> Option<Box<[u8]>> {
    let nibbles: Vec<u32> =
        digits.chars().rev().map(|digit| digit.to_digit(16)).collect::<Option<_>>()?;
    (nibbles.len() <= 64).then(|| {
        let has = |code: &u8| {
            let nibble = nibbles.get(usize::from(code / 4)).copied().unwrap_or(0);
            nibble & (1 << (code % 4)) != 0
        };
        (0..=u8::MAX).filter(has).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    fn exit_codes() -> impl Strategy<Value = Box<[u8]>> {
        btree_set(any::<u8>(), 0..=256).prop_map(|codes| codes.into_iter().collect())
    }

    fn spans() -> impl Strategy<Value = Duration> {
        any::<u64>().prop_map(Duration::from_millis)
    }

    prop_compose! {
        fn terms()(
            (success_exit, skip_exit, no_retry_exit) in (exit_codes(), exit_codes(), exit_codes()),
            (delay, max_delay, stop_grace) in (spans(), spans(), spans()),
            give_up_after in prop::option::of(spans()),
            max in prop_oneof![any::<u32>().prop_map(RetryMax::Times), Just(RetryMax::Unlimited)],
            (factor_milli, jitter_milli, output_max) in (any::<u32>(), 0..=1000_u32, any::<u64>()),
            (keeps, lost, is_shell) in any::<(bool, bool, bool)>(),
            lock in prop::option::of("[A-Za-z0-9][A-Za-z0-9._-]{0,63}"),
        ) -> Terms {
            let on_next = if keeps { OnNext::Keep } else { OnNext::Supersede };
            let retry = Retry { max, delay, factor_milli, max_delay, jitter_milli, give_up_after, on_next, lost };
            let lock = lock.map(Box::from);
            let policy = Policy {
                retry, success_exit, skip_exit, no_retry_exit, stop_grace, output_max, lock, ..Policy::default()
            };
            Terms { policy, is_shell }
        }
    }

    proptest! {
        #[test]
        fn terms_survive_their_encoding_and_fit_into_a_record(terms in terms()) {
            let line = encode(&terms.policy, terms.is_shell);
            prop_assert!(line.len() <= 512, "{}: {line}", line.len());
            prop_assert!(!line.contains('\n'));
            prop_assert_eq!(decode(&line), Some(terms));
        }

        #[test]
        fn any_text_is_terms_or_none(text in "\\PC{0,80}", words in "(1 )?([a-z_]{3,8}=[0-9a-f]{0,70} ?){0,16}") {
            let _ = decode(&text);
            let _ = decode(&words);
        }

        #[test]
        fn what_is_cut_off_never_means_other_codes(terms in terms(), share in 0.0..1.0_f64) {
            let line = encode(&terms.policy, terms.is_shell);
            let cut = (line.len() as f64 * share) as usize;
            // The last words a cut may shorten are those that no exit code is judged by.
            if let Some(read) = decode(&line[..cut]) {
                prop_assert_eq!(&read.policy.success_exit, &terms.policy.success_exit);
                prop_assert_eq!(read.policy.retry.max, terms.policy.retry.max);
            }
        }
    }

    #[test]
    fn terms_stand_as_they_are_documented() {
        let line = encode(&Policy::default(), true);
        let expected = "1 shell=1 success=1 skip= no_retry= max=0 delay=10000 factor=2000 max_delay=3600000 jitter=250 \
                        on_next=supersede lost=1 grace=10000 output=1048576";
        assert_eq!(line, expected);
        for wrong in [
            "",
            "1",
            "2 shell=1",
            &expected.replace("lost=1", "lost=2"),
            &expected.replace("success=1", "success=g"),
            &expected.replace("jitter=250", "jitter=1001"),
        ] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
