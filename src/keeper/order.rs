//! The order for a keeper: one attempt as data. The locks that it holds meanwhile are passed as
//! descriptors.
//!
//! What stands outside of the supervisor is named in it and not looked at: users and groups, files
//! of variables. The keeper's child looks, for any of them may hang.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::bytes;
use crate::core::environment::{Account, Sources};
use crate::core::job::Leftovers;
use crate::os::limit::Limit;

/// The first byte of an order; JSON follows. It grows only when a keeper that does not know what is
/// new must not execute the order: fields that it does not know are passed over, and a field of a
/// later version has a default.
const VERSION: u8 = 3;

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The run's id.
    pub(crate) run: i64,
    /// The attempt's number in the run, from 1.
    pub(crate) attempt: u32,
    /// The claim's own number, never used again: what is started for it is told apart from anything
    /// else.
    pub(crate) claim: i64,
    /// The program: a path, or a name to be looked up in the `PATH` of its environment.
    #[serde(with = "bytes")]
    pub(crate) program: Vec<u8>,
    /// Its arguments, the zeroth included.
    #[serde(with = "bytes")]
    pub(crate) argv: Vec<Vec<u8>>,
    /// The sources of its environment.
    pub(crate) sources: Sources,
    /// Working directory; none: the home directory of its account.
    #[serde(with = "bytes")]
    pub(crate) cwd: Option<Vec<u8>>,
    /// The account of the supervisor, which is the command's where neither user nor group is named.
    pub(crate) own_account: OwnAccount,
    /// The user it runs as; none: the keeper's.
    pub(crate) user: Option<String>,
    /// Its group; none: the user's.
    pub(crate) group: Option<String>,
    /// Resource limits.
    pub(crate) limits: Vec<Limit>,
    /// The directory of its control group; none: the keeper's own.
    pub(crate) cgroup: Option<String>,
    /// Bytes of memory of all processes in that together.
    pub(crate) memory_max: Option<u64>,
    /// File mode creation mask.
    pub(crate) umask: u32,
    /// Added to the keeper's nice value.
    pub(crate) nice: i32,
    /// Standard input; empty is `/dev/null`.
    #[serde(with = "bytes")]
    pub(crate) stdin: Vec<u8>,
    /// Timeout, on the monotonic clock, from the start.
    pub(crate) timeout: Option<Duration>,
    /// First signal of the stop sequence.
    pub(crate) stop_signal: i32,
    /// Time from that signal to KILL.
    pub(crate) stop_grace: Duration,
    /// What to do with processes left running.
    pub(crate) leftovers: Leftovers,
    /// The file in which the command reports: made before it starts, read and removed after it.
    /// None: it is not told of any.
    pub(crate) report: Option<String>,
    /// The file in which standard output is kept whole, besides; none: it is not.
    pub(crate) spool: Option<String>,
    /// The job that is fed with its lines, for the record.
    pub(crate) feeds: Option<String>,
    /// Bytes of output kept: the first half from the beginning, the rest from the end.
    pub(crate) output_max: u64,
    /// The file that output is appended to, besides; opened with the rights of the command.
    #[serde(default)]
    pub(crate) output_file: Option<String>,
}

/// The supervisor's own account, as commands see it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwnAccount {
    /// Login name.
    #[serde(with = "bytes")]
    pub(crate) name: Vec<u8>,
    /// Home directory.
    #[serde(with = "bytes")]
    pub(crate) home: Vec<u8>,
    /// Login shell.
    #[serde(with = "bytes")]
    pub(crate) shell: Vec<u8>,
}

impl OwnAccount {
    /// As an environment is made of it.
    pub(crate) fn account(&self) -> Account<'_> {
        Account { name: &self.name, home: &self.home, shell: &self.shell }
    }
}

impl Order {
    /// Whether something besides the order is to be looked at before the command can be started: a
    /// user, a group, a file.
    pub(crate) fn looks_outside(&self) -> bool {
        self.user.is_some()
            || self.group.is_some()
            || self.output_file.is_some()
            || !self.sources.is_whole()
    }

    /// Makes bytes of it.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        serde_json::to_writer(&mut bytes, self).expect("an order is JSON, and memory takes it");
        bytes
    }

    /// Reads what [`Order::encode`] wrote, in this version or in one that has more fields.
    pub(crate) fn decode(bytes: &[u8]) -> io::Result<Self> {
        match bytes.split_first() {
            Some((&VERSION, json)) => Ok(serde_json::from_slice(json)?),
            Some(_) | None => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::environment::Variable;
    use crate::core::job::EnvValue;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn texts() -> impl Strategy<Value = Vec<Vec<u8>>> {
        vec(vec(any::<u8>(), 0..40), 0..8)
    }

    fn pairs() -> impl Strategy<Value = Vec<Variable>> {
        vec((vec(any::<u8>(), 0..20), vec(any::<u8>(), 0..20)), 0..5)
    }

    fn values() -> impl Strategy<Value = Vec<(String, EnvValue)>> {
        let value = ("\\PC{0,9}", any::<bool>()).prop_map(|(text, is_file)| {
            if is_file { EnvValue::File(text.into()) } else { EnvValue::Text(text.into()) }
        });
        vec(("\\PC{1,9}", value), 0..4)
    }

    fn name() -> impl Strategy<Value = Option<String>> {
        prop::option::of("\\PC{1,20}")
    }

    prop_compose! {
        fn surroundings()(
            (inherited, told, path_end) in (pairs(), pairs(), vec(any::<u8>(), 0..9)),
            (account_wins, env_file, values) in (any::<bool>(), name(), values()),
            (cwd, user, group) in (prop::option::of(vec(any::<u8>(), 0..40)), name(), name()),
            (name, home, shell) in any::<(Vec<u8>, Vec<u8>, Vec<u8>)>(),
        ) -> (Sources, Option<Vec<u8>>, Option<String>, Option<String>, OwnAccount) {
            let sources = Sources { inherited, account_wins, env_file, values, told, path_end };
            (sources, cwd, user, group, OwnAccount { name, home, shell })
        }
    }

    prop_compose! {
        fn orders()(
            ids in any::<(i64, u32, i64)>(),
            (sources, cwd, user, group, own_account) in surroundings(),
            (spool, feeds) in (name(), name()),
            (program, argv, stdin) in (vec(any::<u8>(), 0..40), texts(), vec(any::<u8>(), 0..400)),
            (umask, nice, stop_signal, output_max) in any::<(u32, i32, i32, u64)>(),
            (timeout, stop_grace) in any::<(Option<Duration>, Duration)>(),
            limits in vec(any::<(u32, u64, u64)>(), 0..6),
            kill in any::<bool>(),
            (cgroup, memory_max) in (name(), any::<Option<u64>>()),
            (report, output_file) in (name(), name()),
        ) -> Order {
            Order {
                run: ids.0, attempt: ids.1, claim: ids.2, program, argv, sources, cwd, own_account, user, group, umask, nice,
                stdin, timeout, stop_signal, stop_grace, output_max, output_file, cgroup, memory_max, report, spool, feeds,
                limits: limits.into_iter().map(|(resource, soft, hard)| Limit { resource, soft, hard }).collect(),
                leftovers: if kill { Leftovers::Kill } else { Leftovers::Leave },
            }
        }
    }

    proptest! {
        #[test]
        fn an_order_survives_its_encoding(order in orders()) {
            prop_assert_eq!(Order::decode(&order.encode()).unwrap(), order);
        }

        #[test]
        fn an_order_that_is_cut_off_is_refused(order in orders(), share in 0.0..1.0_f64) {
            let bytes = order.encode();
            let len = (bytes.len() as f64 * share) as usize;
            prop_assert!(Order::decode(&bytes[..len]).is_err());
        }

        #[test]
        fn an_order_with_fields_of_a_later_version_is_read(
            order in orders(),
            value in "\\PC{0,9}",
        ) {
            let mut bytes = order.encode();
            bytes.pop();
            let later = format!(",\"later\":{}}}", serde_json::to_string(&value).unwrap());
            prop_assert_eq!(Order::decode(&[&bytes, later.as_bytes()].concat()).unwrap(), order);
        }

        #[test]
        fn any_bytes_are_an_order_or_an_error(bytes in vec(any::<u8>(), 0..300)) {
            let _ = Order::decode(&bytes);
            let _ = Order::decode(&[&[VERSION], &bytes[..]].concat());
        }

        #[test]
        fn a_changed_byte_never_panics(order in orders(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = order.encode();
            let at = place.index(bytes.len());
            bytes[at] = byte;
            let _ = Order::decode(&bytes);
        }
    }

    #[test]
    fn an_order_of_another_version_or_without_a_field_is_refused() {
        for wrong in [&[VERSION][..], b"\x03{}", b"\x02{}", b""] {
            assert!(Order::decode(wrong).is_err(), "{wrong:?}");
        }
    }
}
