//! The terms an attempt was started under, which its row in the store names: what judges its end,
//! so that a later supervisor judges it by the job as it was, whatever the jobfile says by then.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::job::{CommandLine, Job, Policy, Retry};

/// The rules that judge an attempt. A later version may add fields, with the value of a job that
/// says nothing as their default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Terms {
    /// Whether the command was given to a shell.
    pub(crate) is_shell: bool,
    success_exit: Box<[u8]>,
    skip_exit: Box<[u8]>,
    no_retry_exit: Box<[u8]>,
    retry: Retry,
    timeout: Option<Duration>,
    stop_grace: Duration,
    output_max: u64,
    lock: Option<Box<str>>,
}

impl Terms {
    /// The terms of an attempt of a job with this policy.
    pub(crate) fn of(policy: &Policy, is_shell: bool) -> Self {
        Self {
            is_shell,
            success_exit: policy.success_exit.clone(),
            skip_exit: policy.skip_exit.clone(),
            no_retry_exit: policy.no_retry_exit.clone(),
            retry: policy.retry.clone(),
            timeout: policy.timeout,
            stop_grace: policy.stop_grace,
            output_max: policy.output_max,
            lock: policy.lock.clone(),
        }
    }

    /// A policy with them; the rest is as in a job that says nothing.
    pub(crate) fn into_policy(self) -> Policy {
        let Self { success_exit, skip_exit, no_retry_exit, retry, timeout, stop_grace, .. } = self;
        let (output_max, lock) = (self.output_max, self.lock);
        Policy {
            success_exit,
            skip_exit,
            no_retry_exit,
            retry,
            timeout,
            stop_grace,
            output_max,
            lock,
            ..Policy::default()
        }
    }
}

impl Job {
    /// Returns the rules for an attempt that starts now.
    pub(crate) fn terms(&self) -> Terms {
        Terms::of(&self.policy, self.is_shell())
    }

    /// Returns whether its command is given to a shell.
    pub(crate) fn is_shell(&self) -> bool {
        matches!(self.command, CommandLine::Shell(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_judged_by_what_its_terms_say_and_they_stand_as_they_are_documented() {
        let policy = Policy {
            success_exit: Box::from([0, 3]),
            skip_exit: (0..=u8::MAX).collect(),
            no_retry_exit: Box::from([2]),
            retry: Retry { lost: false, ..Retry::default() },
            timeout: Some(Duration::from_secs(5)),
            stop_grace: Duration::from_secs(6),
            output_max: 7,
            lock: Some("deep".into()),
            ..Policy::default()
        };
        let text = serde_json::to_string(&Terms::of(&policy, true)).unwrap();
        let terms: Terms = serde_json::from_str(&text).unwrap();
        assert!(terms.is_shell);
        assert_eq!(terms.into_policy(), policy);
        assert_eq!(
            serde_json::to_string(&Terms::of(&Policy::default(), true)).unwrap(),
            r#"{"is_shell":true,"success_exit":[0],"skip_exit":[],"no_retry_exit":[],"retry":{"max":{"times":0},"delay":{"secs":10,"nanos":0},"factor_milli":2000,"max_delay":{"secs":3600,"nanos":0},"jitter_milli":250,"give_up_after":null,"on_next":"supersede","lost":true},"timeout":null,"stop_grace":{"secs":10,"nanos":0},"output_max":1048576,"lock":null}"#
        );
    }
}
