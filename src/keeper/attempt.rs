//! One attempt, from the record of its start to the record of its end.
//!
//! The order of the steps is the promise: "started" is written before the command exists, the end
//! is written after everything that the stop sequence may end has ended, and the locks are released
//! only after that.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use nix::libc;

use super::asked::Asked;
use super::begin::{self, Begun};
use super::enclosure::Enclosure;
use super::message::Lent;
use super::order::Order;
use super::output::{Appended, Copy, Output, Pumped};
use super::record::{End, Ending, ProcessId, Record, StopCause};
use super::spool::Spool;
use super::start::Started;
use super::sweep::{self, Left};
use super::tools::{Identity, Tools};
use crate::core::job::Leftovers;
use crate::core::noun::count;
use crate::core::output::{NOT_WRITTEN, OutputLayout};
use crate::core::reason::plain;
use crate::core::report::{self, Report};
use crate::core::stop::{Action, Stop};
use crate::core::time::{Mono, Now};
use crate::os::process::{self, Reaped, Status, Usage};
use crate::os::{clock, poll, reports};

/// What a pipe of a finder still holds when its command has ended is read up to here: 1 MiB in
/// chunks of what a pipe holds.
const DRAIN_CHUNKS: u32 = 16;

/// What an attempt leaves behind in its keeper.
#[derive(Debug)]
pub(super) enum Aftermath {
    /// Nothing: the keeper is ready for the next one.
    Clean,
    /// Processes, or an open end of the pipe.
    Left {
        /// The pipes whose end was not seen.
        pipes: Vec<OwnedFd>,
        /// Whoever has not taken all of his copy.
        copy: Option<Copy>,
    },
}

/// An attempt whose command runs.
struct Attempt<'a> {
    tools: &'a mut Tools,
    order: &'a Order,
    record: Record,
    output: Output,
    spool: Option<Spool>,
    leader: i32,
    enclosure: Option<Enclosure>,
    stop: Stop,
    exit: Option<(Status, Usage)>,
    left: Left,
    /// What it cannot use: a file for its report, its output file.
    unusable: Option<String>,
}

/// Executes `order` and writes its end.
///
/// Errs if the record cannot be written, before anything was started or with the end unknown. The
/// keeper must leave then, because only its death can report that.
pub(super) fn work(tools: &mut Tools, order: &Order, lent: Lent) -> io::Result<Aftermath> {
    let now = clock::now();
    let mut record = first_record(&tools.identity, order, now);
    let enclosure = Enclosure::make(order);
    if let Ok(Some(enclosure)) = &enclosure {
        record.cgroup = Some(enclosure.dir.clone());
    }
    tools.slot.write_record(&record)?;
    let enclosure = match enclosure {
        Ok(enclosure) => enclosure,
        Err(end) => return refuse(tools, record, end, None),
    };
    let Lent { copy, input } = lent;
    match begin::begin(tools, order, input.as_ref(), enclosure.as_ref(), &mut record)? {
        Begun::Started { started, remark: unusable, asked } => {
            drop(input);
            let attempt = Attempt::new(tools, order, record, started, copy)?;
            Attempt { enclosure, unusable, ..attempt }.run(asked)
        }
        Begun::Ended { end, remark } => {
            if let Some(enclosure) = &enclosure {
                enclosure.close();
            }
            refuse(tools, record, end, remark)
        }
    }
}

/// Writes the end of an attempt whose command was never started.
fn refuse(
    tools: &mut Tools,
    mut record: Record,
    end: End,
    remark: Option<String>,
) -> io::Result<Aftermath> {
    if let Some(report) = &record.report {
        // One that stays is removed with the next boot.
        let _ = reports::remove(Path::new(report));
    }
    record.ending = Some(ending(&record, end, Usage::default(), remark));
    tools.slot.write_record(&record)?;
    // Who does not end although it was killed may hold nothing of the slot's, but stays below this
    // process.
    Ok(match sweep::reap_all()? {
        Left::Nothing => Aftermath::Clean,
        Left::Something => Aftermath::Left { pipes: Vec::new(), copy: None },
    })
}

fn first_record(identity: &Identity, order: &Order, now: Now) -> Record {
    Record {
        boot_id: identity.boot_id.clone(),
        keeper: identity.process,
        run: order.run,
        attempt: order.attempt,
        claim: order.claim,
        started_at: now.wall,
        started_mono: now.mono,
        command: None,
        cgroup: None,
        memory_max: order.memory_max,
        feeds: order.feeds.clone(),
        report: order.report.clone(),
        stopped: None,
        layout: OutputLayout::of(order.output_max),
        output_total: 0,
        ending: None,
    }
}

/// The main process of a command, which has not been reaped, so that its number is its own.
///
/// That it was started has to stand in the record even where it cannot be looked at (`hidepid`
/// hides a set-user-ID program from its parent): else the supervisor takes its keeper for late. It
/// is not older than its keeper.
fn command_of(pid: i32, keeper: ProcessId) -> ProcessId {
    ProcessId::of(pid).unwrap_or(ProcessId { pid, ..keeper })
}

fn ending(record: &Record, end: End, usage: Usage, remark: Option<String>) -> Ending {
    let now = clock::now();
    Ending {
        end,
        ended_at: now.wall,
        duration: now.mono.since(record.started_mono),
        user: usage.user,
        system: usage.system,
        max_rss_kib: usage.max_rss_kib,
        remark,
        report: Report::default(),
        spooled: None,
    }
}

/// Takes the command's report, with a remark about lines that cannot be used.
fn take_report(order: &Order) -> (Report, Option<String>) {
    let Some(path) = order.report.as_deref().map(Path::new) else {
        return (Report::default(), None);
    };
    let read = reports::read(path, report::REPORT_MAX);
    // One that stays is removed with the next boot.
    let _ = reports::remove(path);
    let tail = match read {
        Ok(tail) => tail,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (Report::default(), None),
        Err(error) => {
            let remark = format!("report: cannot be read: {}", plain(&error));
            return (Report::default(), Some(remark));
        }
    };
    let (report, unknown) = report::parse(tail.whole_lines());
    let remark = match (tail.is_cut, unknown) {
        (true, _) => Some(format!(
            "report: longer than {} KiB, only the end was read",
            report::REPORT_MAX / 1024
        )),
        (false, 0) => None,
        (false, unknown) => Some(format!("report: {} ignored", count(unknown, "unknown line"))),
    };
    (report, remark)
}

impl<'a> Attempt<'a> {
    fn new(
        tools: &'a mut Tools,
        order: &'a Order,
        mut record: Record,
        started: Started,
        copy: Option<OwnedFd>,
    ) -> io::Result<Self> {
        let spool = order
            .spool
            .as_deref()
            .zip(started.stdout)
            .map(|(path, pipe)| Spool::open(Path::new(path), pipe))
            .transpose()?;
        record.command = Some(command_of(started.pid, tools.identity.process));
        tools.slot.write_record(&record)?;
        Ok(Self {
            tools,
            order,
            output: Output::new(
                started.output,
                record.layout,
                started.file.map(Appended::to),
                copy,
            ),
            spool,
            leader: started.pid,
            enclosure: None,
            unusable: None,
            stop: Stop::new(record.started_mono, order.timeout, order.stop_grace),
            exit: None,
            left: Left::Something,
            record,
        })
    }

    /// `asked` was heard while the command was being started.
    fn run(mut self, asked: Asked) -> io::Result<Aftermath> {
        // A launch that was followed may have been told of its end already.
        self.reap()?;
        self.heed(asked)?;
        let (status, usage) = loop {
            if let Some(exit) = self.exit
                && !self.waits_for_the_group()
            {
                break exit;
            }
            self.turn()?;
        };
        self.finish(status, usage)
    }

    /// Whether others of the group, who got the stop signal too, are still given their grace: the
    /// shell before a pipeline ends at once, what it started may have to tidy up.
    fn waits_for_the_group(&self) -> bool {
        self.stop.is_in_grace() && self.left == Left::Something && process::has_group(self.leader)
    }

    /// One wait and all that follows from it. Ends come first: who has ended by itself was not
    /// stopped.
    fn turn(&mut self) -> io::Result<()> {
        let has_signals = self.wait()?;
        if self.pump()? {
            // A full disk hides the progress from `logs -f`; the record of the end has the total
            // again.
            let _ = self.tools.slot.write_output_total(self.output.total());
        }
        let asked = if has_signals { Asked::take(&self.tools.signals)? } else { Asked::default() };
        if asked.child {
            self.reap()?;
        }
        self.heed(asked)
    }

    /// Does what is asked for, and what is due. Who has ended by itself is not stopped.
    fn heed(&mut self, asked: Asked) -> io::Result<()> {
        if self.exit.is_some() && !self.stop.has_begun() {
            return Ok(());
        }
        let now = clock::now();
        self.answer(asked, now.mono)?;
        if let Some(action) = self.stop.expire(now.mono) {
            self.act(action, StopCause::Timeout)?;
        }
        Ok(())
    }

    /// Waits for something to do. Returns whether signals arrived.
    fn wait(&self) -> io::Result<bool> {
        let now = clock::now();
        let timeout = self.stop.next_deadline().map(|deadline| deadline.since(now.mono));
        let mut fds = vec![poll::readable(self.tools.signals.fd())];
        fds.extend(self.output.awaited());
        fds.extend(self.spool_pipe().map(poll::readable));
        poll::wait(&mut fds, timeout)?;
        Ok(poll::is_ready(&fds[0]))
    }

    /// The pipe of standard output, if it is one of its own and may be read from.
    fn spool_pipe(&self) -> Option<BorrowedFd<'_>> {
        let spool = self.spool.as_ref()?;
        spool.pipe().filter(|_| !self.output.is_held_up())
    }

    /// Moves a chunk from each pipe that is ready. Returns whether there was any.
    fn pump(&mut self) -> io::Result<bool> {
        let (slot, buffer) = (&self.tools.slot, &mut self.tools.buffer);
        let mut has_some = false;
        if let Some(spool) = self.spool.as_mut().filter(|_| !self.output.is_held_up()) {
            has_some = spool.pump(&mut self.output, slot.output(), buffer)? == Pumped::Some;
        }
        let pumped = self.output.pump(slot.output(), buffer)?;
        Ok(has_some || pumped == Pumped::Some)
    }

    /// Moves what is in the pipes now.
    fn drain(&mut self) -> io::Result<()> {
        let (slot, buffer) = (&self.tools.slot, &mut self.tools.buffer);
        if let Some(spool) = &mut self.spool {
            let mut left = DRAIN_CHUNKS;
            while left > 0 && spool.pump(&mut self.output, slot.output(), buffer)? == Pumped::Some {
                left -= 1;
            }
        }
        self.output.drain(slot.output(), buffer)
    }

    fn reap(&mut self) -> io::Result<()> {
        loop {
            match process::reap()? {
                Reaped::Ended { pid, status, usage } if pid == self.leader => {
                    self.exit = Some((status, usage))
                }
                Reaped::Ended { .. } => {}
                Reaped::NoneEnded => {
                    self.left = Left::Something;
                    return Ok(());
                }
                Reaped::NoChildren => {
                    self.left = Left::Nothing;
                    return Ok(());
                }
            }
        }
    }

    fn answer(&mut self, asked: Asked, now: Mono) -> io::Result<()> {
        if asked.kill {
            let action = self.stop.kill(now);
            return self.act(action, StopCause::Signal);
        }
        if asked.stop
            && let Some(action) = self.stop.ask(now)
        {
            return self.act(action, StopCause::Signal);
        }
        Ok(())
    }

    /// Does what the stop sequence says and writes down who began it; who comes later did not begin
    /// it.
    fn act(&mut self, action: Action, cause: StopCause) -> io::Result<()> {
        if self.record.stopped.is_none() {
            self.record.stopped = Some(cause);
            self.record.output_total = self.output.total();
            self.tools.slot.write_record(&self.record)?;
        }
        match action {
            Action::Signal => self.signal_group(&[self.order.stop_signal, libc::SIGCONT]),
            Action::Kill => {
                self.signal_group(&[libc::SIGKILL]);
                if let Some(enclosure) = &self.enclosure {
                    enclosure.strike();
                }
                sweep::strike(self.tools.identity.process.pid)?;
            }
        }
        Ok(())
    }

    /// Processes that may not be signalled are named at the end, if they still exist.
    fn signal_group(&self, signals: &[i32]) {
        if self.exit.is_none() {
            for signal in signals {
                let _ = process::signal_group(self.leader, *signal);
            }
        }
    }

    fn finish(mut self, status: Status, usage: Usage) -> io::Result<Aftermath> {
        let sweeps = self.stop.has_begun() || self.order.leftovers == Leftovers::Kill;
        let unended = if sweeps { self.end_the_rest()? } else { None };
        self.drain()?;
        if self.left == Left::Something {
            self.left = sweep::reap_all()?;
        }
        let end = match status {
            Status::Exited(code) => End::Exited(code),
            Status::Signaled(signal) => End::Signaled(signal),
        };
        let limit = self.enclosure.as_ref().and_then(Enclosure::remark);
        let (report, unread) = take_report(self.order);
        let file = self.order.output_file.as_deref().unwrap_or_default();
        let remarks = [
            limit,
            self.unusable.take(),
            unread,
            unended.or_else(|| self.left_running()),
            self.output.remark(),
            self.output.appended_remark().map(|why| format!("{NOT_WRITTEN} {file}: {why}")),
        ];
        let remark = remarks.into_iter().flatten().reduce(|one, other| format!("{one}; {other}"));
        self.record.output_total = self.output.total();
        self.record.ending = Some(Ending {
            report,
            spooled: self.spool.as_ref().map(Spool::spooled),
            ..ending(&self.record, end, usage, remark)
        });
        if let Some(enclosure) = &self.enclosure {
            enclosure.close();
        }
        self.tools.slot.write_record(&self.record)?;
        Ok(self.aftermath())
    }

    fn end_the_rest(&mut self) -> io::Result<Option<String>> {
        let inside = self.enclosure.as_ref().and_then(Enclosure::end_all);
        if self.left == Left::Nothing {
            return Ok(inside);
        }
        let below = sweep::end_all(self.tools.identity.process.pid, &self.tools.signals)?;
        Ok(below.or(inside))
    }

    fn left_running(&self) -> Option<String> {
        match self.left {
            // A tree that grows meanwhile is seen whole only in a group.
            Left::Something => match &self.enclosure {
                Some(enclosure) => enclosure.left_running(),
                None => sweep::left_running(self.tools.identity.process.pid),
            },
            Left::Nothing => {
                self.is_open().then(|| "another process still holds its output open".to_owned())
            }
        }
    }

    fn is_open(&self) -> bool {
        self.output.is_open() || self.spool.as_ref().is_some_and(|spool| spool.pipe().is_some())
    }

    fn aftermath(self) -> Aftermath {
        let spool = self.spool.and_then(Spool::into_pipe);
        let (pipe, copy) = self.output.into_parts();
        let pipes: Vec<OwnedFd> = pipe.into_iter().chain(spool).collect();
        match self.left {
            Left::Nothing if pipes.is_empty() && copy.is_none() => Aftermath::Clean,
            Left::Nothing | Left::Something => Aftermath::Left { pipes, copy },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_cannot_be_looked_at_is_noted_as_started_all_the_same() {
        let keeper = ProcessId { pid: 7, start_ticks: 70 };
        // No process has this number.
        let hidden = command_of(i32::MAX, keeper);
        assert_eq!((hidden.pid, hidden.start_ticks), (i32::MAX, 70));
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(command_of(own, keeper), ProcessId::of(own).unwrap());
    }
}
