//! Any text is a jobfile that loads again to the same jobs, or errors, each at a place that there
//! is.

use crate::jobfile::{Environment, Source, load_sources};
use std::path::PathBuf;

/// Any text is a jobfile that loads again to the same jobs, or errors, each at a place that there
/// is.
pub fn jobfile(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let source = |text: &str| Source { path: PathBuf::from("jobs.toml"), text: text.to_owned() };
    match load_sources(&[source(text)], &ENV) {
        Ok(jobfile) => {
            let again = load_sources(&jobfile.sources, &ENV).expect("it did load");
            assert_eq!(format!("{:?}", again.jobs), format!("{:?}", jobfile.jobs));
            for job in &jobfile.jobs {
                let name = job.name.as_str();
                assert!(!name.starts_with('.') && !name.contains(['/', '\0']), "{name:?}");
            }
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            let lines = text.split('\n').count();
            for problem in problems {
                assert!(problem.place.line as usize <= lines, "{problem:?}");
                assert!(!problem.to_string().is_empty());
            }
        }
    }
}

const ENV: Environment<'static> = Environment {
    machine_id: "0123456789abcdef",
    zones: &|name| match name {
        "UTC" => Ok(()),
        _ => Err(("is not a known time zone".to_owned(), None)),
    },
    open: &|_| Err(std::io::ErrorKind::NotFound.into()),
};
