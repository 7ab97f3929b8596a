//! What a keeper is told to do: one attempt, as data, with the locks it holds meanwhile as passed descriptors.

use std::fmt;
use std::time::Duration;

use crate::core::job::Leftovers;
use crate::os::limit::Limit;
use crate::os::user::Identity;

/// The version of the encoding. A keeper is the same binary as its supervisor, so there is only one at a time.
const VERSION: u8 = 1;

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// The run's id.
    pub(crate) run: i64,
    /// The attempt's number in the run, from 1.
    pub(crate) attempt: u32,
    /// The claim's own number, never used again: what is started for it is told apart from anything else.
    pub(crate) claim: i64,
    /// The program: a path, or a name to be looked up in the `PATH` of `env`.
    pub(crate) program: Vec<u8>,
    /// Its arguments, the zeroth included.
    pub(crate) argv: Vec<Vec<u8>>,
    /// The whole environment as `NAME=value`.
    pub(crate) env: Vec<Vec<u8>>,
    /// Working directory.
    pub(crate) cwd: Vec<u8>,
    /// The ids it has; none: the keeper's.
    pub(crate) identity: Option<Identity>,
    /// Resource limits.
    pub(crate) limits: Vec<Limit>,
    /// The directory of its control group; none: the keeper's own.
    pub(crate) cgroup: Option<String>,
    /// Bytes of memory of all processes in that together.
    pub(crate) memory_max: Option<u64>,
    /// What judges its end, for the record; the keeper does not read it.
    pub(crate) terms: String,
    /// File mode creation mask.
    pub(crate) umask: u32,
    /// Added to the keeper's nice value.
    pub(crate) nice: i32,
    /// Standard input; empty is `/dev/null`.
    pub(crate) stdin: Vec<u8>,
    /// On the monotonic clock, from the start.
    pub(crate) timeout: Option<Duration>,
    /// First signal of the stop sequence.
    pub(crate) stop_signal: i32,
    /// From that signal to KILL.
    pub(crate) stop_grace: Duration,
    /// What becomes of processes left running.
    pub(crate) leftovers: Leftovers,
    /// The file in which the command reports: made before it starts, read and removed after it. None: it is not told of any.
    pub(crate) report: Option<String>,
    /// The file in which standard output is kept whole, besides; none: it is not.
    pub(crate) spool: Option<String>,
    /// The job that is fed with its lines, for the record.
    pub(crate) feeds: Option<String>,
    /// Bytes of output kept: the first half from the beginning, the rest from the end.
    pub(crate) output_max: u64,
}

/// Why bytes are no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OrderError {
    /// They end too early.
    Short,
    /// There is more behind the end.
    Long,
    /// The version is another one.
    Version(u8),
    /// A field has a value it cannot have.
    Field(&'static str),
}

impl fmt::Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("order is cut off"),
            Self::Long => f.write_str("order has more behind its end"),
            Self::Version(version) => write!(f, "order is of version {version}, not {VERSION}"),
            Self::Field(name) => write!(f, "order: impossible {name}"),
        }
    }
}

impl std::error::Error for OrderError {}

impl Order {
    /// Makes bytes of it: numbers little-endian, texts with their length before them.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer(vec![VERSION]);
        out.raw(&self.run.to_le_bytes());
        out.raw(&self.attempt.to_le_bytes());
        out.raw(&self.claim.to_le_bytes());
        out.text(&self.program);
        out.list(&self.argv);
        out.list(&self.env);
        out.text(&self.cwd);
        out.identity(self.identity.as_ref());
        out.limits(&self.limits);
        out.text(self.cgroup.as_deref().unwrap_or_default().as_bytes());
        out.raw(&[u8::from(self.memory_max.is_some())]);
        out.raw(&self.memory_max.unwrap_or_default().to_le_bytes());
        out.text(self.terms.as_bytes());
        out.raw(&self.umask.to_le_bytes());
        out.raw(&self.nice.to_le_bytes());
        out.text(&self.stdin);
        out.raw(&[u8::from(self.timeout.is_some())]);
        out.span(self.timeout.unwrap_or_default());
        out.raw(&self.stop_signal.to_le_bytes());
        out.span(self.stop_grace);
        out.raw(&[match self.leftovers {
            Leftovers::Leave => 0,
            Leftovers::Kill => 1,
        }]);
        for text in [&self.report, &self.spool, &self.feeds] {
            out.text(text.as_deref().unwrap_or_default().as_bytes());
        }
        out.raw(&self.output_max.to_le_bytes());
        out.0
    }

    /// Reads what [`Order::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, OrderError> {
        let mut input = Reader(bytes);
        match input.byte()? {
            VERSION => {}
            other => return Err(OrderError::Version(other)),
        }
        let order = Self {
            run: i64::from_le_bytes(input.array()?),
            attempt: u32::from_le_bytes(input.array()?),
            claim: i64::from_le_bytes(input.array()?),
            program: input.text()?,
            argv: input.list()?,
            env: input.list()?,
            cwd: input.text()?,
            identity: input.identity()?,
            limits: input.limits()?,
            cgroup: input.path("cgroup")?,
            memory_max: input.memory_max()?,
            terms: String::from_utf8(input.text()?).map_err(|_| OrderError::Field("terms"))?,
            umask: u32::from_le_bytes(input.array()?),
            nice: i32::from_le_bytes(input.array()?),
            stdin: input.text()?,
            timeout: input.timeout()?,
            stop_signal: i32::from_le_bytes(input.array()?),
            stop_grace: input.span()?,
            leftovers: input.leftovers()?,
            report: input.path("report")?,
            spool: input.path("spool")?,
            feeds: input.path("feeds")?,
            output_max: u64::from_le_bytes(input.array()?),
        };
        if input.0.is_empty() {
            Ok(order)
        } else {
            Err(OrderError::Long)
        }
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, bytes: &[u8]) {
        self.raw(&(bytes.len() as u64).to_le_bytes());
        self.raw(bytes);
    }

    fn list(&mut self, texts: &[Vec<u8>]) {
        self.raw(&(texts.len() as u64).to_le_bytes());
        for text in texts {
            self.text(text);
        }
    }

    fn identity(&mut self, identity: Option<&Identity>) {
        self.raw(&[u8::from(identity.is_some())]);
        if let Some(identity) = identity {
            self.raw(&identity.uid.to_le_bytes());
            self.raw(&identity.gid.to_le_bytes());
            self.raw(&(identity.groups.len() as u64).to_le_bytes());
            for group in &identity.groups {
                self.raw(&group.to_le_bytes());
            }
        }
    }

    fn limits(&mut self, limits: &[Limit]) {
        self.raw(&(limits.len() as u64).to_le_bytes());
        for limit in limits {
            self.raw(&limit.resource.to_le_bytes());
            self.raw(&limit.soft.to_le_bytes());
            self.raw(&limit.hard.to_le_bytes());
        }
    }

    fn span(&mut self, span: Duration) {
        self.raw(&span.as_secs().to_le_bytes());
        self.raw(&span.subsec_nanos().to_le_bytes());
    }
}

/// What has not been read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], OrderError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(OrderError::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const LEN: usize>(&mut self) -> Result<[u8; LEN], OrderError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(OrderError::Short)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, OrderError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn len(&mut self) -> Result<usize, OrderError> {
        usize::try_from(u64::from_le_bytes(self.array()?)).map_err(|_| OrderError::Short)
    }

    fn text(&mut self) -> Result<Vec<u8>, OrderError> {
        let len = self.len()?;
        Ok(self.take(len)?.to_vec())
    }

    /// Makes no room before it has seen the texts: the count may be any number.
    fn list(&mut self) -> Result<Vec<Vec<u8>>, OrderError> {
        let count = self.len()?;
        let mut texts = Vec::new();
        for _ in 0..count {
            texts.push(self.text()?);
        }
        Ok(texts)
    }

    fn identity(&mut self) -> Result<Option<Identity>, OrderError> {
        match self.byte()? {
            0 => Ok(None),
            1 => {
                let uid = u32::from_le_bytes(self.array()?);
                let gid = u32::from_le_bytes(self.array()?);
                let mut groups = Vec::new();
                for _ in 0..self.len()? {
                    groups.push(u32::from_le_bytes(self.array()?));
                }
                Ok(Some(Identity { uid, gid, groups }))
            }
            _ => Err(OrderError::Field("identity")),
        }
    }

    fn limits(&mut self) -> Result<Vec<Limit>, OrderError> {
        let mut limits = Vec::new();
        for _ in 0..self.len()? {
            limits.push(Limit {
                resource: u32::from_le_bytes(self.array()?),
                soft: u64::from_le_bytes(self.array()?),
                hard: u64::from_le_bytes(self.array()?),
            });
        }
        Ok(limits)
    }

    fn span(&mut self) -> Result<Duration, OrderError> {
        let secs = u64::from_le_bytes(self.array()?);
        match u32::from_le_bytes(self.array()?) {
            nanos @ 0..1_000_000_000 => Ok(Duration::new(secs, nanos)),
            _ => Err(OrderError::Field("span")),
        }
    }

    fn timeout(&mut self) -> Result<Option<Duration>, OrderError> {
        let is_some = self.byte()?;
        let span = self.span()?;
        match is_some {
            0 => Ok(None),
            1 => Ok(Some(span)),
            _ => Err(OrderError::Field("timeout")),
        }
    }

    fn path(&mut self, field: &'static str) -> Result<Option<String>, OrderError> {
        let path = String::from_utf8(self.text()?).map_err(|_| OrderError::Field(field))?;
        Ok((!path.is_empty()).then_some(path))
    }

    fn memory_max(&mut self) -> Result<Option<u64>, OrderError> {
        let is_some = self.byte()?;
        let max = u64::from_le_bytes(self.array()?);
        match is_some {
            0 => Ok(None),
            1 => Ok(Some(max)),
            _ => Err(OrderError::Field("memory_max")),
        }
    }

    fn leftovers(&mut self) -> Result<Leftovers, OrderError> {
        match self.byte()? {
            0 => Ok(Leftovers::Leave),
            1 => Ok(Leftovers::Kill),
            _ => Err(OrderError::Field("leftovers")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn texts() -> impl Strategy<Value = Vec<Vec<u8>>> {
        vec(vec(any::<u8>(), 0..40), 0..8)
    }

    prop_compose! {
        fn orders()(
            ids in any::<(i64, u32, i64)>(),
            (spool, feeds) in (prop::option::of("\\PC{1,20}"), prop::option::of("\\PC{1,20}")),
            (program, cwd, stdin) in (vec(any::<u8>(), 0..40), vec(any::<u8>(), 0..40), vec(any::<u8>(), 0..400)),
            (argv, env) in (texts(), texts()),
            (umask, nice, stop_signal, output_max) in any::<(u32, i32, i32, u64)>(),
            (timeout, stop_grace) in any::<(Option<Duration>, Duration)>(),
            ids_of in any::<Option<(u32, u32, Vec<u32>)>>(),
            limits in vec(any::<(u32, u64, u64)>(), 0..6),
            kill in any::<bool>(),
            (cgroup, memory_max, terms, report) in
                (prop::option::of("\\PC{1,20}"), any::<Option<u64>>(), "\\PC{0,40}", prop::option::of("\\PC{1,20}")),
        ) -> Order {
            Order {
                run: ids.0, attempt: ids.1, claim: ids.2, program, argv, env, cwd, umask, nice, stdin, timeout,
                stop_signal, stop_grace, output_max, cgroup, memory_max, terms, report, spool, feeds,
                limits: limits.into_iter().map(|(resource, soft, hard)| Limit { resource, soft, hard }).collect(),
                identity: ids_of.map(|(uid, gid, groups)| Identity { uid, gid, groups }),
                leftovers: if kill { Leftovers::Kill } else { Leftovers::Leave },
            }
        }
    }

    proptest! {
        #[test]
        fn an_order_survives_its_encoding(order in orders()) {
            prop_assert_eq!(Order::decode(&order.encode()), Ok(order));
        }

        #[test]
        fn an_order_that_is_cut_off_is_refused(order in orders(), share in 0.0..1.0_f64) {
            let bytes = order.encode();
            let len = (bytes.len() as f64 * share) as usize;
            prop_assert!(Order::decode(&bytes[..len]).is_err());
        }

        #[test]
        fn any_bytes_are_an_order_or_an_error(bytes in vec(any::<u8>(), 0..300)) {
            let _ = Order::decode(&bytes);
            let _ = Order::decode(&[&[VERSION], &bytes[..]].concat());
        }

        #[test]
        fn a_changed_byte_never_panics(order in orders(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = order.encode();
            let at = place.index(bytes.len());
            bytes[at] = byte;
            let _ = Order::decode(&bytes);
        }
    }

    #[test]
    fn more_behind_the_end_is_refused() {
        let mut bytes = vec![VERSION];
        bytes.extend([0; 400]);
        assert_eq!(Order::decode(&bytes), Err(OrderError::Long));
        assert_eq!(Order::decode(&[9]), Err(OrderError::Version(9)));
        assert_eq!(Order::decode(&[]), Err(OrderError::Short));
    }
}
