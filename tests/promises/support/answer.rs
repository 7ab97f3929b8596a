//! What a program said and how it ended.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use serde_json::Value;

/// What a command answered.
pub(crate) struct Answer {
    /// The exit code; the negative number of the signal that ended it.
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) err: String,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, out, err, .. } = self;
        write!(f, "exit code {code}\n--- standard output\n{out}--- standard error\n{err}---")
    }
}

impl Answer {
    /// The same, if the exit code is this one.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// Calls a program and waits for its answer.
#[track_caller]
pub(crate) fn answer_of(command: &mut Command) -> Answer {
    answer_from(command.output().expect("it can be started"))
}

pub(crate) fn answer_from(output: std::process::Output) -> Answer {
    Answer {
        code: output.status.code().unwrap_or_else(|| -output.status.signal().unwrap_or(0)),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        bytes: output.stdout,
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
