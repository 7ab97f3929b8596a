//! `jobctl resume`: ends a pause. Occurrences skipped during the pause are not made up for.

use serde_json::json;

use crate::cli;
use crate::cmd::control::pause;
use crate::cmd::control::selection;
use crate::cmd::{Context, Exit, Out, Result};
use crate::core::time::Wall;
use crate::store::{Scope, Store};

/// Answers `jobctl resume`.
pub(crate) fn answer(context: &Context, args: &cli::Resume, out: &mut Out) -> Result<Exit> {
    let scope = pause::scope(args.job.as_deref());
    let mut store = context.open_write()?;
    pause::know(context, &mut store, scope)?;
    let words = words(&store, scope, context.now.wall)?;
    store.resume(scope, context.now.wall)?;
    selection::ring(context, "it takes effect when one starts")?;
    context.tell(&json!({ "job": args.job, "paused": false }), &words, out)
}

/// The pause that ends, and the other one that remains.
fn words(store: &Store, scope: Scope<'_>, now: Wall) -> Result<String> {
    let everything = store.supervisor()?.is_paused(now);
    match scope {
        Scope::All => {
            let jobs = store.jobs()?;
            let paused =
                jobs.iter().filter(|job| job.is_paused(now)).map(|job| format!("`{}`", job.name));
            let paused: Vec<String> = paused.collect();
            let ended = ended("everything", everything);
            Ok(match paused.as_slice() {
                [] => ended,
                _ => format!("{ended}; still paused: {}", paused.join(", ")),
            })
        }
        Scope::Job(name) => {
            let job = store.job(name)?;
            let was = job.is_some_and(|job| job.is_paused(now));
            let ended = ended(&format!("job `{name}`"), was);
            Ok(if everything {
                format!("{ended}; everything is still paused: resume it with `jobctl resume --all`")
            } else {
                ended
            })
        }
    }
}

fn ended(what: &str, was_paused: bool) -> String {
    if was_paused { format!("{what} is resumed") } else { format!("{what} was not paused") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_that_remains_is_named() {
        let now = Wall::from_secs(100);
        let mut store = Store::in_memory();
        for name in ["a", "b"] {
            store.know_job(name).unwrap();
        }
        let all = |store: &Store| words(store, Scope::All, now).unwrap();
        let one = |store: &Store| words(store, Scope::Job("a"), now).unwrap();
        assert_eq!(all(&store), "everything was not paused");
        store.pause(Scope::Job("a"), None, now).unwrap();
        assert_eq!(one(&store), "job `a` is resumed");
        store.pause(Scope::All, None, now).unwrap();
        assert_eq!(all(&store), "everything is resumed; still paused: `a`");
        assert_eq!(
            one(&store),
            "job `a` is resumed; everything is still paused: resume it with `jobctl resume --all`"
        );
    }
}
