//! The jobs that a command works with: from the jobfile or, if that is broken or missing, from the
//! store's copy.

use crate::cmd::trust;
use crate::cmd::{Context, Failure, Result, plain};
use crate::core::job::Job;
use crate::facts::jobs::Jobs;
use crate::facts::jobs::with_environment;
use crate::jobfile::{self, LoadError, Source};
use crate::store::Store;

impl Jobs {
    /// Loads the jobfile, else the last valid one from the store, which it reports.
    ///
    /// Errs with the exit code 2 if there is neither, 1 if the jobfile is broken and there never
    /// was a good one.
    pub(crate) fn load(context: &Context, store: Option<&Store>) -> Result<Self> {
        let path = context.jobfile()?;
        let error = match with_environment(|env| jobfile::load(&path, env)) {
            Ok(jobfile) => return Ok(Self::of(jobfile)),
            Err(error) => error,
        };
        let failure = failure_of(&error);
        let Some(copy) = store.map(copy_of).transpose()?.flatten() else {
            return Err(failure);
        };
        context.say(&format!(
            "{}\nusing the last good jobfile, which the store keeps",
            failure.message
        ));
        Ok(Self::of(copy))
    }

    /// Loads a jobfile to execute it; refuses one that other users could have written.
    pub(crate) fn trusted(path: &std::path::Path) -> Result<Self> {
        crate::facts::trust::load(path).map(Self::of).map_err(|error| failure_of(&error))
    }

    /// Loads the jobs of a text that is not in a file yet. Errs like for a broken jobfile.
    pub(crate) fn of_text(text: &str) -> Result<Self> {
        let source = Source { path: "jobs.toml".into(), text: text.to_owned() };
        with_environment(|env| jobfile::load_sources(&[source], env))
            .map(Self::of)
            .map_err(|problems| failure_of(&LoadError::Problems(problems)))
    }

    /// The job of a name; the error suggests a similar one.
    pub(crate) fn find(&self, name: &str) -> Result<&Job> {
        self.get(name).ok_or_else(|| self.no_such_job(name))
    }

    /// Makes the error for an unknown job, suggesting a similar name.
    pub(crate) fn no_such_job(&self, name: &str) -> Failure {
        let failure = Failure::not_found(format!("job `{name}`: no such job"));
        let similar = |job: &&Job| strsim::jaro(name, job.name.as_str()) > 0.7;
        let likeness = |job: &&Job| (strsim::jaro(name, job.name.as_str()) * 1000.0) as u32;
        match self.jobs.iter().filter(similar).max_by_key(likeness) {
            Some(job) => failure.hint(format!("did you mean `{}`?", job.name)),
            None => failure.hint("list the jobs with `jobctl status --all`"),
        }
    }
}

/// Loads the store's last valid jobfile; `None` if it has none, or none that is valid for this
/// version.
pub(crate) fn copy_of(store: &Store) -> Result<Option<jobfile::Jobfile>> {
    let sources: Vec<Source> =
        store.jobfile_copy()?.into_iter().map(|(path, text)| Source { path, text }).collect();
    if sources.is_empty() {
        return Ok(None);
    }
    Ok(with_environment(|env| jobfile::load_sources(&sources, env)).ok())
}

/// Explains to people why there are no jobs.
pub(crate) fn failure_of(error: &LoadError) -> Failure {
    match error {
        LoadError::Missing(path) => Failure::usage(format!("{}: no such jobfile", path.display()))
            .hint("create it with `jobctl init`, or name another one with --jobfile"),
        LoadError::Unreadable(error) => {
            Failure::system(format!("the jobfile cannot be read: {}", plain(error)))
        }
        LoadError::Untrusted(problems) => trust::failure_of(problems),
        LoadError::Problems(problems) => match problems.as_slice() {
            [first, _, ..] => Failure::no(first_line(&first.to_string()))
                .hint(format!("list all {} errors with `jobctl check`", problems.len())),
            _ => Failure::no(error.to_string()),
        },
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_job_is_guessed() {
        let failure =
            Jobs::of_text("[jobs.backup]\ncommand = 'true'\n").unwrap().find("backpu").unwrap_err();
        assert_eq!(failure.hint.as_deref(), Some("did you mean `backup`?"));
        assert_eq!(failure.code, crate::cmd::exit::Exit::NotFound);
    }
}
