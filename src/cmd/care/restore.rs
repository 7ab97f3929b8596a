//! `jobctl restore`: restores the store from a backup. No run starts afterwards until `jobctl
//! resume`.

use anyhow::Context as _;
use serde_json::json;

use crate::cli;
use crate::cmd::care::backup::named;
use crate::cmd::jobs::run::not_in_office;
use crate::cmd::{Context, Exit, Failure, Out, Result, progress};
use crate::os::process;
use crate::store::{Restored, Restoring, Store, StoreError};
use crate::supervisor::daemon::Office;

/// Answers `jobctl restore`.
pub(crate) fn answer(context: &Context, args: &cli::Restore, out: &mut Out) -> Result<Exit> {
    let file = named(&args.file, "restore")?;
    let boot_id = process::boot_id().context("boot id")?;
    let state_dir = context.made_state_dir()?;
    let _nobody_else = Office::close(state_dir).map_err(|error| {
        let failure = not_in_office(state_dir, error);
        Failure {
            hint: failure.hint.map(|_| {
                "stop it first, with `systemctl stop jobctl` where systemd runs it".into()
            }),
            ..failure
        }
    })?;
    let restoring = Restoring { file: &file, now: context.now.wall, boot_id: &boot_id };
    let restore = || Store::restore(state_dir, &restoring);
    let restored = progress::during(context, "restoring the store", restore).map_err(failure)?;
    tell(context, &restored, out)
}

/// Replaces the hints of store errors, which do not apply to a backup.
fn failure(error: StoreError) -> Failure {
    let is_backup =
        !matches!(error, StoreError::Locked(_) | StoreError::Strange(..) | StoreError::Altered(..));
    let failure = Failure::from(error);
    match failure.hint {
        Some(_) if is_backup => {
            failure.hint("the store is unchanged; name a file made by `jobctl backup`")
        }
        Some(_) | None => failure,
    }
}

fn tell(context: &Context, restored: &Restored, out: &mut Out) -> Result<Exit> {
    let Restored { kept, running, waiting } = restored;
    let facts = json!({ "kept": kept.as_ref().map(|path| path.display().to_string()), "running": running, "waiting": waiting, "paused": true });
    out.answer(&facts, |_| {
        if let Some(kept) = kept {
            context.say(&format!("the previous store is kept: {}", kept.display()));
        }
        if *running > 0 {
            context.say(&format!(
                "running in the backup: {running}; those without a record of their end \
                     become `lost`"
            ));
        }
        if *waiting > 0 {
            context.say(&format!(
                "waiting in the backup: {waiting}; they may have run since, and would run again"
            ));
        }
        context.say("everything is paused until `jobctl resume --all`");
        Ok(())
    })
}
