//! Any bytes are a crontab: what is made of them loads as a jobfile, with a job for each line that
//! says so.

use crate::crontab::{self, Kind, Off, Refusal, Request, Source, Tools};
use crate::jobfile::{self, Environment, Problem};
use std::path::PathBuf;

/// Any bytes are a crontab: what is made of them loads as a jobfile, with a job for each line that
/// says so.
pub fn crontab(data: &[u8]) {
    // The first byte says whose crontab it is.
    let Some((first, bytes)) = data.split_first() else {
        return;
    };
    let kind = match first % 3 {
        0 => Kind::User(None),
        1 => Kind::System,
        _ => Kind::Anacron,
    };
    let request = Request {
        sources: vec![Source {
            file: "crontab".to_owned(),
            bytes: bytes.to_vec(),
            kind,
            off: Off::Own,
        }],
        ..Request::default()
    };
    let tools = Tools {
        refusals: &refusals,
        is_zone: &|name| zone(name).is_ok(),
        real_path: &str::to_owned,
    };
    let import = crontab::import(&request, tools);
    let loaded = load(&import.text).unwrap_or_else(|all| panic!("{all:?}\n{}", import.text));
    assert_eq!(loaded.jobs.len(), import.jobs.len(), "{}", import.text);
}

fn zone(name: &str) -> Result<(), (String, Option<String>)> {
    match name {
        "UTC" | "Europe/Berlin" => Ok(()),
        _ => Err(("is not a known time zone".to_owned(), None)),
    }
}

const ENV: Environment<'static> = Environment {
    machine_id: "0123456789abcdef",
    zones: &zone,
    open: &|_| Err(std::io::ErrorKind::NotFound.into()),
};

fn load(text: &str) -> Result<jobfile::Jobfile, Vec<Problem>> {
    let source = jobfile::Source { path: PathBuf::from("jobs.toml"), text: text.to_owned() };
    jobfile::load_sources(&[source], &ENV)
}

fn refusals(text: &str) -> Vec<Refusal> {
    let problems = load(text).err().unwrap_or_default().into_iter();
    problems.map(|problem| Refusal { job: problem.job, reason: problem.message }).collect()
}
