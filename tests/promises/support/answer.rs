//! What a program said and how it ended.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

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

    /// A refusal: this exit code, one message and no output.
    #[track_caller]
    pub(crate) fn expect_refusal(self, code: i32) -> Self {
        assert!(self.err.starts_with("jobctl: ") && self.out.is_empty(), "{self:#?}");
        self.expect(code)
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

/// The same with something on standard input, which it need not read.
#[track_caller]
pub(crate) fn answer_to(command: &mut Command, input: impl AsRef<[u8]>) -> Answer {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it can be started");
    let mut stdin = child.stdin.take().expect("it was asked for");
    let input = input.as_ref().to_vec();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("it only writes");
    answer_from(output)
}

pub(crate) fn answer_from(output: std::process::Output) -> Answer {
    Answer {
        code: output.status.code().unwrap_or_else(|| -output.status.signal().unwrap_or(0)),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        bytes: output.stdout,
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
