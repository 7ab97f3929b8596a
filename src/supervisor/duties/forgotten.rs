//! Pauses that somebody has forgotten: those without an end that are older than a day. Told once a
//! pause, as what is late is told.

use std::collections::HashSet;

use crate::core::notice::{Event, told};
use crate::core::pause::Pause;
use crate::store::StoreError;
use crate::supervisor::log::LogEvent;
use crate::supervisor::spawner::Spawner;
use crate::supervisor::turn::Turn;

impl<S: Spawner> Turn<'_, S> {
    /// Reads when the next pause is forgotten.
    pub(super) fn refresh_forgotten(&mut self) -> Result<(), StoreError> {
        let pauses = self.store.untold_pauses()?.into_iter();
        let forgotten = pauses.filter_map(|(_, since)| Pause { since, until: None }.forgotten_at());
        self.queue.next_forgotten_at = forgotten.min();
        Ok(())
    }

    /// Tells of those that are forgotten by now.
    pub(super) fn tell_of_forgotten(&mut self) -> Result<(), StoreError> {
        let now = self.now.wall;
        if self.queue.next_forgotten_at.is_none_or(|at| at > now) {
            return Ok(());
        }
        for (job, since) in self.store.untold_pauses()? {
            if !(Pause { since, until: None }).is_forgotten(now) {
                continue;
            }
            let indexes = match job {
                Some(id) => self.index(id).into_iter().collect(),
                None => self.one_job_for_each_addressee(),
            };
            let since_text = since.rfc3339();
            for index in indexes {
                let name = &self.job(index).job.name;
                self.say(LogEvent::Late, &[("job", name), ("paused_since", &since_text)]);
                self.note_forgotten(index)?;
            }
            self.store.note_pause_told(job, since)?;
        }
        self.refresh_forgotten()
    }

    /// Of the jobs that tell the same people in the same way, the first one: a pause of everything
    /// is one event.
    fn one_job_for_each_addressee(&self) -> Vec<usize> {
        let mut heard = HashSet::new();
        let mut is_new = |index: &usize| {
            let policy = &self.job(*index).job.policy;
            let hook = policy.hooks.on_late.as_ref().map(|hook| format!("{hook:?}"));
            told(policy, Event::Late).next().is_some() && heard.insert((hook, &policy.mailto))
        };
        (0..self.memory.jobs.all.len()).filter(|index| is_new(index)).collect()
    }
}
