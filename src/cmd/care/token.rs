//! `jobctl token`: makes a token for the door. It is printed once and not stored.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::cli;
use crate::cmd::{Context, Exit, Failure, InFile, Out, Result};
use crate::core::job::Name;

/// The number of random bytes.
const BYTES: usize = 32;

/// A prefix that scanners for leaked secrets can find.
const PREFIX: &str = "jobctl_";

/// Answers `jobctl token`.
pub(crate) fn answer(context: &Context, args: &cli::Token, out: &mut Out) -> Result<Exit> {
    let name = &args.name;
    Name::parse(name).map_err(|reason| Failure::usage(format!("token `{name}`: {reason}")))?;
    let mut bytes = [0; BYTES];
    let source = Path::new("/dev/urandom");
    File::open(source).and_then(|mut file| file.read_exact(&mut bytes)).in_file(source)?;
    let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
    let digits: String =
        Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let made = Made { name, token, line: format!("{name} = \"sha256:{digits}\"") };
    context.say("the first line is the token, shown once; add the second to [door.tokens]");
    out.answer(&made, |out| {
        out.line(&made.token)?;
        out.line(&made.line)
    })
}

/// A token, and the line of the jobfile that lets it in.
#[derive(Serialize)]
struct Made<'a> {
    name: &'a str,
    token: String,
    line: String,
}
