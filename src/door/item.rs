//! Turns the JSON of an item into what is added, with the same limits as the command line.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::members::Members;
use super::problem::{Kind, Problem, Result};
use crate::core::duration::parse_duration;
use crate::core::item::{self, ARGUMENT_MAX, INPUT_MAX};
use crate::core::job::Job;
use crate::core::moment::{self, Toward};
use crate::core::schedule::Zone;
use crate::core::time::Wall;
use crate::store::{NewItem, OnConflict};

/// How an item is to be added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// The earliest start.
    pub(super) due_at: Option<Wall>,
    /// When the run is cancelled if it has not started.
    pub(super) expires_at: Option<Wall>,
    /// Overrides the job's priority.
    pub(super) priority: Option<i8>,
    /// The ids of the runs that have to succeed first.
    pub(super) after: Vec<i64>,
    /// What to do if another run holds the key.
    pub(super) on_conflict: OnConflict,
}

/// Parses and checks an item of a job.
pub(super) fn read(text: &[u8], job: &Job, clock: (&Zone, Wall)) -> Result<(Options, NewItem)> {
    let body = Members::read(text)?;
    let args = one_of(("args", body.args), ("args_base64", body.args_base64), |text| {
        text.iter().map(|text| bytes("args_base64", text)).collect()
    })?;
    let args = args.unwrap_or_default();
    item::check_arguments(&args)?;
    let input = one_of(("stdin", body.stdin), ("stdin_base64", body.stdin_base64), |text| {
        bytes("stdin_base64", &text)
    })?;
    if input.as_ref().is_some_and(|input| input.len() > INPUT_MAX) {
        return Err(Problem::new(Kind::TooLarge, "`stdin` is larger than 16 MiB")
            .hint("write it to a file and pass the file's name as an argument"));
    }
    check_key(body.key.as_deref())?;
    let options = Options {
        due_at: due_at(body.r#in.as_deref(), body.at.as_deref(), clock)?,
        expires_at: body.expires.map(|text| time("expires", &text, clock)).transpose()?,
        priority: priority(body.priority)?,
        after: body.after.unwrap_or_default(),
        on_conflict: on_conflict(body.on_conflict.as_deref())?,
    };
    let key = item::key_of(job, body.key.as_deref(), &args)?;
    Ok((options, NewItem { args, key, input }))
}

/// Returns the bytes of a member that is given either as text or, under another name, in base64.
fn one_of<Plain: IntoBytes, Coded>(
    (name, plain): (&str, Option<Plain>),
    (coded_name, coded): (&str, Option<Coded>),
    decode: impl FnOnce(Coded) -> Result<Plain::Bytes>,
) -> Result<Option<Plain::Bytes>> {
    match (plain, coded) {
        (Some(_), Some(_)) => Err(invalid(format!("`{name}` and `{coded_name}` are both given"))),
        (Some(plain), None) => Ok(Some(plain.into_bytes())),
        (None, Some(coded)) => decode(coded).map(Some),
        (None, None) => Ok(None),
    }
}

/// Conversion of text into bytes.
trait IntoBytes {
    type Bytes;
    fn into_bytes(self) -> Self::Bytes;
}

impl IntoBytes for String {
    type Bytes = Vec<u8>;
    fn into_bytes(self) -> Vec<u8> {
        self.into_bytes()
    }
}

impl IntoBytes for Vec<String> {
    type Bytes = Vec<Vec<u8>>;
    fn into_bytes(self) -> Vec<Vec<u8>> {
        self.into_iter().map(String::into_bytes).collect()
    }
}

fn bytes(name: &str, text: &str) -> Result<Vec<u8>> {
    STANDARD.decode(text).map_err(|_| invalid(format!("`{name}` is not base64")))
}

fn check_key(key: Option<&str>) -> Result<()> {
    match key {
        Some("") => Err(invalid("`key` is empty".to_owned())),
        Some(key) if key.len() > ARGUMENT_MAX || key.contains('\0') => {
            Err(invalid("`key` is longer than 131,071 bytes or contains a NUL".to_owned()))
        }
        Some(_) | None => Ok(()),
    }
}

fn priority(priority: Option<i8>) -> Result<Option<i8>> {
    match priority {
        Some(number) if !(-100..=100).contains(&number) => {
            Err(invalid("`priority` must be -100 to 100".to_owned()))
        }
        Some(_) | None => Ok(priority),
    }
}

fn on_conflict(word: Option<&str>) -> Result<OnConflict> {
    match word {
        None | Some("ignore") => Ok(OnConflict::Ignore),
        Some("replace") => Ok(OnConflict::Replace),
        Some("error") => Ok(OnConflict::Error),
        Some(_) => Err(invalid("`on_conflict` must be ignore, replace or error".to_owned())),
    }
}

fn due_at(delay: Option<&str>, at: Option<&str>, clock: (&Zone, Wall)) -> Result<Option<Wall>> {
    match (delay, at) {
        (Some(_), Some(_)) => Err(invalid("`in` and `at` are both given".to_owned())),
        (Some(span), None) => match parse_duration(span) {
            Ok(span) => Ok(Some(clock.1 + span)),
            Err(error) => Err(invalid(format!("`in`: {}", error.message)).hint(error.hint)),
        },
        (None, Some(text)) => time("at", text, clock).map(Some),
        (None, None) => Ok(None),
    }
}

fn time(name: &str, text: &str, clock: (&Zone, Wall)) -> Result<Wall> {
    moment::parse(text, clock, Toward::Future)
        .map_err(|error| invalid(format!("`{name}`: {}", error.message)).hint(error.hint))
}

fn invalid(detail: String) -> Problem {
    Problem::new(Kind::Invalid, detail)
}
