//! What a jobfile may say, what is refused and in which words. Zones are invented; files only where
//! `include` needs them.

use std::path::PathBuf;

use super::*;

mod any_text;
mod errors;
mod everything;
mod files;

fn zones(name: &str) -> Result<(), (String, Option<String>)> {
    match name {
        "UTC" | "Europe/Berlin" => Ok(()),
        _ => Err(("is not a known time zone".to_owned(), Some("Europe/Berlin".to_owned()))),
    }
}

const ENV: Environment<'static> = Environment {
    machine_id: "0123456789abcdef",
    zones: &zones,
    open: &|path| std::fs::File::open(path),
};

fn sources(texts: &[&str]) -> Vec<Source> {
    let names = ["j.toml", "d/a.toml", "d/b.toml"];
    let source = |(name, text): (&&str, &&str)| Source {
        path: PathBuf::from(name),
        text: (*text).to_owned(),
    };
    names.iter().zip(texts).map(source).collect()
}

fn parse(text: &str) -> Result<Jobfile, Vec<Problem>> {
    load_sources(&sources(&[text]), &ENV)
}

fn good(text: &str) -> Jobfile {
    parse(text).unwrap_or_else(|problems| panic!("{}", LoadError::Problems(problems)))
}

/// First lines, and all lines.
fn wrong(texts: &[&str]) -> (Vec<String>, String) {
    let problems = load_sources(&sources(texts), &ENV).expect_err("this should be refused");
    let lines = problems
        .iter()
        .map(|problem| problem.to_string().lines().next().unwrap_or_default().to_owned());
    (lines.collect(), LoadError::Problems(problems).to_string())
}

/// A job `a` with a command on line 2 and then these lines.
fn job(lines: &str) -> String {
    format!("[jobs.a]\ncommand = \"true\"\n{lines}\n")
}
