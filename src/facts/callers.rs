//! Finds users and groups in the lists of the door that no caller can be.

use crate::core::door::{Door, Principal};
use crate::core::forewarn::{About, Finding};
use crate::core::job::Job;
use crate::os::user;

/// Checks the lists of the door and of every job.
pub(super) fn look(door: Option<&Door>, jobs: &[Job]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lists = door.map(|door| [("view", &door.view), ("operate", &door.operate)]);
    for (name, list) in lists.into_iter().flatten() {
        findings.extend(remarks(list).map(|remark| Finding {
            about: About::File,
            message: format!("`door.{name}`: {remark}"),
            hint: None,
        }));
    }
    for (index, job) in jobs.iter().enumerate() {
        findings.extend(remarks(&job.policy.enqueue_by).map(|message| Finding {
            about: About::Key(index, "enqueue_by"),
            message,
            hint: None,
        }));
    }
    findings
}

fn remarks(list: &[Principal]) -> impl Iterator<Item = String> {
    list.iter().filter_map(|principal| {
        let error = match principal {
            Principal::User(name) => match user::number_of_user(name) {
                Ok(uid) if uid == user::overflow_uid() => {
                    format!("user {name}: the number {uid} stands for users of other namespaces")
                }
                Ok(_) => return None,
                Err(error) => error.to_string(),
            },
            Principal::Group(name) => user::number_of_group(name).err()?.to_string(),
            Principal::Token(_) | Principal::Anyone => return None,
        };
        Some(format!("{error}: matches no caller"))
    })
}
