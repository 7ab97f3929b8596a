//! A spawner with invented ends.

use super::*;

/// How a scripted attempt goes: how long it takes, and how it ends.
pub(super) type Act = (u64, End);

/// Attempts that go as they were told to; what nobody told of takes a second and succeeds.
#[derive(Default)]
pub(super) struct Script {
    pub(super) acts: HashMap<String, VecDeque<Act>>,
    pub(super) busy: BTreeMap<u32, Acting>,
    pub(super) given: Vec<u32>,
    pub(super) now: Option<Now>,
    pub(super) started: Vec<(i64, u32)>,
    pub(super) running_peak: usize,
    pub(super) refuse_starts: u32,
    pub(super) adoptions: HashMap<i64, Report>,
    /// Runs whose slot is another attempt's: what their record says is told once they are taken out
    /// here.
    pub(super) strangers: BTreeSet<i64>,
    /// The ends of those.
    pub(super) adopted: Vec<SlotEnd>,
    /// What attempts do that nobody told of; none: a second, and success.
    pub(super) usual: Option<Act>,
    /// Ends that were told and whose slots are not free yet: their records still stand there.
    pub(super) told: BTreeMap<u32, SlotEnd>,
    /// Standard output of finders that have ended, by slot.
    pub(super) spools: BTreeMap<u32, Vec<u8>>,
    /// Every attempt that was started: run, attempt, claim and job.
    pub(super) orders: Vec<(i64, u32, i64, String)>,
    /// Jobs whose keepers hear nothing.
    pub(super) deaf: Vec<String>,
    /// Jobs whose commands are never started.
    pub(super) unstarted: Vec<String>,
    /// Jobs whose keepers no signal reaches.
    pub(super) unreachable: Vec<String>,
    /// Jobs whose keepers KILL does not end.
    pub(super) undead: Vec<String>,
    /// Slots whose keepers were woken.
    pub(super) woken: Vec<u32>,
    /// Keepers that were killed: when, and the run they worked on.
    pub(super) killed: Vec<(Mono, i64)>,
}

pub(super) struct Acting {
    pub(super) order: Order,
    pub(super) _locks: Held,
    pub(super) started: Now,
    pub(super) ends_at: Mono,
    pub(super) end: End,
    pub(super) stopped: Option<StopCause>,
    pub(super) is_lost: bool,
    /// What it prints, if it is a finder's.
    pub(super) printed: Vec<u8>,
}

/// The locks of an attempt. They are released for good when it ends: a process that another test
/// has just forked may still have copies of the open files.
pub(super) struct Held(Vec<File>);

impl Drop for Held {
    fn drop(&mut self) {
        for file in &self.0 {
            file.unlock().expect("a lock that is held can be released");
        }
    }
}

impl Script {
    pub(super) fn next_end(&self) -> Option<Mono> {
        self.busy.values().map(|acting| acting.ends_at).min()
    }

    pub(super) fn is_unreachable(&self, slot: u32) -> bool {
        let acting = self.busy.get(&slot);
        acting.is_some_and(|acting| self.unreachable.contains(&job_of(&acting.order)))
    }
}

/// The job of an order; of a hook with the event behind it.
pub(super) fn job_of(order: &Order) -> String {
    let value = |name: &str| {
        let mut told = order.sources.told.iter();
        let value = told.find(|(known, _)| known == name.as_bytes());
        value.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    };
    let job = value("JOBCTL_JOB").expect("every order names its job");
    match value("JOBCTL_EVENT") {
        Some(event) => format!("{job} {event}"),
        None => job,
    }
}

impl Spawner for Script {
    fn free_slot(&mut self) -> io::Result<u32> {
        let slot = (0..)
            .find(|slot| !self.busy.contains_key(slot) && !self.given.contains(slot))
            .expect("there is one");
        self.given.push(slot);
        Ok(slot)
    }

    fn start(&mut self, slot: u32, order: &Order, locks: Vec<File>) -> io::Result<()> {
        let locks = Held(locks);
        if self.refuse_starts > 0 {
            self.refuse_starts -= 1;
            return Err(nix::errno::Errno::EAGAIN.into());
        }
        let now = self.now.expect("a turn tells the time first");
        let (secs, end) = self
            .acts
            .get_mut(&job_of(order))
            .and_then(VecDeque::pop_front)
            .or_else(|| self.usual.clone())
            .unwrap_or((1, End::Exited(0)));
        self.started.push((order.run, order.attempt));
        self.orders.push((order.run, order.attempt, order.claim, job_of(order)));
        let ends_at = now.mono + Duration::from_secs(secs);
        let acting = Acting {
            order: order.clone(),
            _locks: locks,
            started: now,
            ends_at,
            end,
            stopped: None,
            is_lost: false,
            printed: Vec::new(),
        };
        self.busy.insert(slot, acting);
        self.running_peak = self.running_peak.max(self.busy.len());
        Ok(())
    }

    fn give_back(&mut self, slot: u32) {
        self.given.retain(|given| *given != slot);
    }

    fn ended(&mut self, now: Now) -> Vec<SlotEnd> {
        self.now = Some(now);
        let over: Vec<u32> = self
            .busy
            .iter()
            .filter(|(_, acting)| acting.ends_at <= now.mono)
            .map(|(slot, _)| *slot)
            .collect();
        let strangers = &self.strangers;
        let adopted =
            self.adopted.extract_if(.., |end| !strangers.contains(&end.run)).collect::<Vec<_>>();
        over.into_iter()
            .filter_map(|slot| {
                let mut acting = self.busy.remove(&slot)?;
                let end = SlotEnd {
                    slot,
                    run: acting.order.run,
                    claim: acting.order.claim,
                    report: match acting.is_lost {
                        true => Report::Lost,
                        false => Report::Ended(Box::new(record_of(&acting, now))),
                    },
                };
                self.told.insert(slot, end.clone());
                self.spools.insert(slot, std::mem::take(&mut acting.printed));
                Some(end)
            })
            .chain(adopted)
            .collect()
    }

    fn output(&mut self, _end: &SlotEnd) -> io::Result<Kept> {
        Ok(Kept::Nothing)
    }

    fn drop_output(&mut self) {}

    fn spool(&self, slot: u32) -> io::Result<File> {
        let flags = nix::sys::memfd::MFdFlags::MFD_CLOEXEC;
        let mut file = File::from(nix::sys::memfd::memfd_create(c"spool", flags)?);
        let printed = self.spools.get(&slot);
        io::Write::write_all(&mut file, printed.ok_or(io::ErrorKind::NotFound)?)?;
        Ok(file)
    }

    fn release(&mut self, slot: u32, _now: Now) {
        self.told.remove(&slot);
        self.give_back(slot);
    }

    fn stop(&mut self, slot: u32, _stop: Stop) {
        let now = self.now.expect("a turn tells the time first");
        if let Some(acting) =
            self.busy.get_mut(&slot).filter(|acting| !self.deaf.contains(&job_of(&acting.order)))
        {
            acting.ends_at = now.mono;
            acting.end = End::Signaled(15);
            acting.stopped = Some(StopCause::Signal);
        }
    }

    fn wake(&mut self, slot: u32) -> Sent {
        if self.is_unreachable(slot) {
            return Sent::Unsent;
        }
        self.woken.push(slot);
        Sent::Sent
    }

    fn kill_keeper(&mut self, slot: u32) -> Sent {
        let now = self.now.expect("a turn tells the time first");
        if self.is_unreachable(slot) {
            return Sent::Unsent;
        }
        let Some(acting) = self.busy.get_mut(&slot) else {
            return Sent::Unsent;
        };
        self.killed.push((now.mono, acting.order.run));
        if !self.undead.contains(&job_of(&acting.order)) {
            acting.ends_at = now.mono;
            acting.is_lost = true;
        }
        Sent::Sent
    }

    fn is_started(&self, slot: u32, _run: i64, _claim: i64) -> bool {
        let acting = self.busy.get(&slot);
        acting.is_none_or(|acting| !self.unstarted.contains(&job_of(&acting.order)))
    }

    fn adopt(&mut self, slot: u32, run: i64, claim: i64) -> Adopted {
        let is_it = |acting: &Acting| acting.order.run == run && acting.order.claim == claim;
        if self.busy.get(&slot).is_some_and(is_it) {
            return Adopted::Working;
        }
        if self.strangers.contains(&run) {
            self.adopted.push(SlotEnd { slot, run, claim, report: Report::NeverStarted });
            return Adopted::Working;
        }
        let told = self.told.get(&slot);
        if let Some(end) = told.filter(|end| end.run == run && end.claim == claim) {
            return Adopted::Ended(end.report.clone());
        }
        Adopted::Ended(self.adoptions.get(&run).cloned().unwrap_or(Report::NeverStarted))
    }
}

pub(super) fn record_of(acting: &Acting, now: Now) -> Record {
    Record {
        boot_id: "boot".into(),
        keeper: ProcessId { pid: 1, start_ticks: 1 },
        run: acting.order.run,
        attempt: acting.order.attempt,
        claim: acting.order.claim,
        started_at: acting.started.wall,
        started_mono: acting.started.mono,
        command: Some(ProcessId { pid: 2, start_ticks: 2 }),
        cgroup: None,
        memory_max: None,
        stopped: acting.stopped,
        layout: OutputLayout { head_max: 1, tail_max: 1 },
        output_total: 0,
        feeds: acting.order.feeds.clone(),
        report: None,
        ending: Some(Ending {
            report: crate::core::report::Report::default(),
            spooled: acting
                .order
                .feeds
                .as_ref()
                .map(|_| Spooled { bytes: acting.printed.len() as u64, failure: None }),
            end: acting.end.clone(),
            ended_at: now.wall,
            duration: now.mono.since(acting.started.mono),
            user: Duration::ZERO,
            system: Duration::ZERO,
            max_rss_kib: 0,
            remark: None,
        }),
    }
}
