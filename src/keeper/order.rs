//! What a keeper is told to do: one attempt, as data, with the locks it holds meanwhile as passed descriptors.
//!
//! What stands outside of the supervisor is named in it and not looked at: users and groups, files of variables. The keeper's child
//! looks, for any of them may hang.

use std::fmt;
use std::time::Duration;

use crate::core::environment::{Account, Sources, Variable};
use crate::core::job::{EnvValue, Leftovers};
use crate::os::limit::Limit;

/// The version of the encoding. It grows only when a keeper that does not know what is new must not execute the order: fields that
/// it does not know are passed over, and those that are missing have the value of a job that says nothing.
const VERSION: u8 = 2;

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// The run's id.
    pub(crate) run: i64,
    /// The attempt's number in the run, from 1.
    pub(crate) attempt: u32,
    /// The claim's own number, never used again: what is started for it is told apart from anything else.
    pub(crate) claim: i64,
    /// The program: a path, or a name to be looked up in the `PATH` of its environment.
    pub(crate) program: Vec<u8>,
    /// Its arguments, the zeroth included.
    pub(crate) argv: Vec<Vec<u8>>,
    /// What its environment is made of.
    pub(crate) sources: Sources,
    /// Working directory; none: the home directory of its account.
    pub(crate) cwd: Option<Vec<u8>>,
    /// The account of the supervisor, which is the command's where neither user nor group is named.
    pub(crate) own_account: OwnAccount,
    /// The user it runs as; none: the keeper's.
    pub(crate) user: Option<String>,
    /// Its group; none: the user's.
    pub(crate) group: Option<String>,
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

/// What the supervisor's own account gives to commands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnAccount {
    /// Login name.
    pub(crate) name: Vec<u8>,
    /// Home directory.
    pub(crate) home: Vec<u8>,
    /// Login shell.
    pub(crate) shell: Vec<u8>,
}

impl OwnAccount {
    /// As an environment is made of it.
    pub(crate) fn account(&self) -> Account<'_> {
        Account { name: &self.name, home: &self.home, shell: &self.shell }
    }
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
    /// A field is missing or has a value it cannot have.
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

/// What a field is, by its number and its name in messages. A number is never given to another field.
#[derive(Clone, Copy)]
struct Tag(u8, &'static str);

/// The end of an order. Without it, one that was cut off between two fields would be taken for whole.
const END: u8 = 0;
const RUN: Tag = Tag(1, "run");
const ATTEMPT: Tag = Tag(2, "attempt");
const CLAIM: Tag = Tag(3, "claim");
const PROGRAM: Tag = Tag(4, "program");
const ARGV: Tag = Tag(5, "argv");
const INHERITED: Tag = Tag(6, "inherited");
const ACCOUNT_WINS: Tag = Tag(7, "account_wins");
const ENV_FILE: Tag = Tag(8, "env_file");
const ENV: Tag = Tag(9, "env");
const TOLD: Tag = Tag(10, "told");
const PATH_END: Tag = Tag(11, "path_end");
const CWD: Tag = Tag(12, "cwd");
const OWN_ACCOUNT: Tag = Tag(13, "own_account");
const USER: Tag = Tag(14, "user");
const GROUP: Tag = Tag(15, "group");
const LIMITS: Tag = Tag(16, "limits");
const CGROUP: Tag = Tag(17, "cgroup");
const MEMORY_MAX: Tag = Tag(18, "memory_max");
const TERMS: Tag = Tag(19, "terms");
const UMASK: Tag = Tag(20, "umask");
const NICE: Tag = Tag(21, "nice");
const STDIN: Tag = Tag(22, "stdin");
const TIMEOUT: Tag = Tag(23, "timeout");
const STOP_SIGNAL: Tag = Tag(24, "stop_signal");
const STOP_GRACE: Tag = Tag(25, "stop_grace");
const LEFTOVERS: Tag = Tag(26, "leftovers");
const REPORT: Tag = Tag(27, "report");
const SPOOL: Tag = Tag(28, "spool");
const FEEDS: Tag = Tag(29, "feeds");
const OUTPUT_MAX: Tag = Tag(30, "output_max");

impl Order {
    /// Whether something besides the order is to be looked at before the command can be started: a user, a group, a file.
    pub(crate) fn looks_outside(&self) -> bool {
        self.user.is_some() || self.group.is_some() || !self.sources.is_whole()
    }

    /// Makes bytes of it: a version, then fields, each with its number and its length before it; numbers little-endian.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer(vec![VERSION]);
        out.field(RUN, &self.run.to_le_bytes());
        out.field(ATTEMPT, &self.attempt.to_le_bytes());
        out.field(CLAIM, &self.claim.to_le_bytes());
        out.field(PROGRAM, &self.program);
        out.list(ARGV, self.argv.iter().map(Vec::as_slice));
        self.encode_surroundings(&mut out);
        out.limits(&self.limits);
        out.optional(CGROUP, self.cgroup.as_deref());
        if let Some(max) = self.memory_max {
            out.field(MEMORY_MAX, &max.to_le_bytes());
        }
        out.field(TERMS, self.terms.as_bytes());
        out.field(UMASK, &self.umask.to_le_bytes());
        out.field(NICE, &self.nice.to_le_bytes());
        out.field(STDIN, &self.stdin);
        if let Some(timeout) = self.timeout {
            out.span(TIMEOUT, timeout);
        }
        out.field(STOP_SIGNAL, &self.stop_signal.to_le_bytes());
        out.span(STOP_GRACE, self.stop_grace);
        let leftovers = match self.leftovers {
            Leftovers::Leave => 0,
            Leftovers::Kill => 1,
        };
        out.field(LEFTOVERS, &[leftovers]);
        out.optional(REPORT, self.report.as_deref());
        out.optional(SPOOL, self.spool.as_deref());
        out.optional(FEEDS, self.feeds.as_deref());
        out.field(OUTPUT_MAX, &self.output_max.to_le_bytes());
        out.0.push(END);
        out.0
    }

    fn encode_surroundings(&self, out: &mut Writer) {
        let pairs = |pairs: &[Variable]| {
            let flat = pairs.iter().flat_map(|(name, value)| [name, value]);
            flat.cloned().collect::<Vec<_>>()
        };
        let sources = &self.sources;
        out.list(INHERITED, pairs(&sources.inherited).iter().map(Vec::as_slice));
        out.field(ACCOUNT_WINS, &[u8::from(sources.account_wins)]);
        out.optional(ENV_FILE, sources.env_file.as_deref());
        let values = sources.values.iter().flat_map(|(name, value)| {
            let (kind, text) = match value {
                EnvValue::Text(text) => ("text", text),
                EnvValue::File(path) => ("file", path),
            };
            [name.as_bytes(), kind.as_bytes(), text.as_bytes()]
        });
        out.list(ENV, values);
        out.list(TOLD, pairs(&sources.told).iter().map(Vec::as_slice));
        out.field(PATH_END, &sources.path_end);
        if let Some(cwd) = &self.cwd {
            out.field(CWD, cwd);
        }
        let OwnAccount { name, home, shell } = &self.own_account;
        out.list(OWN_ACCOUNT, [name, home, shell].into_iter().map(Vec::as_slice));
        out.optional(USER, self.user.as_deref());
        out.optional(GROUP, self.group.as_deref());
    }

    /// Reads what [`Order::encode`] wrote, in this version or in one that has more fields.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, OrderError> {
        let fields = Fields::parse(bytes)?;
        Ok(Self {
            run: i64::from_le_bytes(fields.array(RUN)?),
            attempt: u32::from_le_bytes(fields.array(ATTEMPT)?),
            claim: i64::from_le_bytes(fields.array(CLAIM)?),
            program: fields.needed(PROGRAM)?.to_vec(),
            argv: fields.list(ARGV)?,
            sources: fields.sources()?,
            cwd: fields.get(CWD).map(<[u8]>::to_vec),
            own_account: fields.own_account()?,
            user: fields.text(USER)?,
            group: fields.text(GROUP)?,
            limits: fields.limits()?,
            cgroup: fields.text(CGROUP)?,
            memory_max: fields.number(MEMORY_MAX)?,
            terms: fields.text(TERMS)?.unwrap_or_default(),
            umask: u32::from_le_bytes(fields.array(UMASK)?),
            nice: i32::from_le_bytes(fields.array(NICE)?),
            stdin: fields.needed(STDIN)?.to_vec(),
            timeout: fields.span(TIMEOUT)?,
            stop_signal: i32::from_le_bytes(fields.array(STOP_SIGNAL)?),
            stop_grace: fields.span(STOP_GRACE)?.ok_or(STOP_GRACE.wrong())?,
            leftovers: fields.leftovers()?,
            report: fields.text(REPORT)?,
            spool: fields.text(SPOOL)?,
            feeds: fields.text(FEEDS)?,
            output_max: u64::from_le_bytes(fields.array(OUTPUT_MAX)?),
        })
    }
}

impl Tag {
    fn wrong(self) -> OrderError {
        OrderError::Field(self.1)
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

    fn field(&mut self, tag: Tag, bytes: &[u8]) {
        self.0.push(tag.0);
        self.text(bytes);
    }

    fn optional(&mut self, tag: Tag, text: Option<&str>) {
        if let Some(text) = text {
            self.field(tag, text.as_bytes());
        }
    }

    fn list<'a>(&mut self, tag: Tag, texts: impl Iterator<Item = &'a [u8]>) {
        let mut list = Self(Vec::new());
        for text in texts {
            list.text(text);
        }
        self.field(tag, &list.0);
    }

    fn limits(&mut self, limits: &[Limit]) {
        let mut list = Self(Vec::new());
        for limit in limits {
            list.raw(&limit.resource.to_le_bytes());
            list.raw(&limit.soft.to_le_bytes());
            list.raw(&limit.hard.to_le_bytes());
        }
        self.field(LIMITS, &list.0);
    }

    fn span(&mut self, tag: Tag, span: Duration) {
        let (secs, nanos) = (span.as_secs().to_le_bytes(), span.subsec_nanos().to_le_bytes());
        self.field(tag, &[&secs[..], &nanos[..]].concat());
    }
}

/// What has not been read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const LEN: usize>(&mut self) -> Result<[u8; LEN], OrderError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(OrderError::Short)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn text(&mut self) -> Result<&'a [u8], OrderError> {
        let len = usize::try_from(u64::from_le_bytes(self.array()?));
        let len = len.map_err(|_| OrderError::Short)?;
        let (taken, rest) = self.0.split_at_checked(len).ok_or(OrderError::Short)?;
        self.0 = rest;
        Ok(taken)
    }
}

/// The fields of an order by their numbers.
struct Fields<'a>([Option<&'a [u8]>; 256]);

impl<'a> Fields<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, OrderError> {
        let mut input = Reader(bytes);
        match input.array()? {
            [VERSION] => {}
            [other] => return Err(OrderError::Version(other)),
        }
        let mut fields = [None; 256];
        loop {
            match input.array()? {
                [END] if input.0.is_empty() => return Ok(Self(fields)),
                [END] => return Err(OrderError::Long),
                [tag] => fields[usize::from(tag)] = Some(input.text()?),
            }
        }
    }

    fn get(&self, tag: Tag) -> Option<&'a [u8]> {
        self.0[usize::from(tag.0)]
    }

    fn needed(&self, tag: Tag) -> Result<&'a [u8], OrderError> {
        self.get(tag).ok_or(tag.wrong())
    }

    fn array<const LEN: usize>(&self, tag: Tag) -> Result<[u8; LEN], OrderError> {
        self.needed(tag)?.try_into().map_err(|_| tag.wrong())
    }

    fn number(&self, tag: Tag) -> Result<Option<u64>, OrderError> {
        let bytes = self.get(tag).map(<[u8; 8]>::try_from).transpose();
        Ok(bytes.map_err(|_| tag.wrong())?.map(u64::from_le_bytes))
    }

    fn text(&self, tag: Tag) -> Result<Option<String>, OrderError> {
        let bytes = self.get(tag).map(<[u8]>::to_vec);
        let text = bytes.map(String::from_utf8).transpose();
        text.map_err(|_| tag.wrong())
    }

    fn list(&self, tag: Tag) -> Result<Vec<Vec<u8>>, OrderError> {
        let mut input = Reader(self.get(tag).unwrap_or_default());
        let mut texts = Vec::new();
        while !input.0.is_empty() {
            texts.push(input.text()?.to_vec());
        }
        Ok(texts)
    }

    fn pairs(&self, tag: Tag) -> Result<Vec<Variable>, OrderError> {
        let mut texts = self.list(tag)?.into_iter();
        let mut pairs = Vec::new();
        while let Some(name) = texts.next() {
            pairs.push((name, texts.next().ok_or(tag.wrong())?));
        }
        Ok(pairs)
    }

    fn sources(&self) -> Result<Sources, OrderError> {
        Ok(Sources {
            inherited: self.pairs(INHERITED)?,
            account_wins: self.get(ACCOUNT_WINS) == Some(&[1]),
            env_file: self.text(ENV_FILE)?,
            values: self.values()?,
            told: self.pairs(TOLD)?,
            path_end: self.get(PATH_END).unwrap_or_default().to_vec(),
        })
    }

    fn values(&self) -> Result<Vec<(String, EnvValue)>, OrderError> {
        let text = |bytes: Option<Vec<u8>>| {
            let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            text.ok_or(ENV.wrong())
        };
        let mut texts = self.list(ENV)?.into_iter();
        let mut values = Vec::new();
        while let Some(name) = texts.next() {
            let (kind, value) = (text(texts.next())?, text(texts.next())?);
            let value = match kind.as_str() {
                "text" => EnvValue::Text(value.into()),
                "file" => EnvValue::File(value.into()),
                _ => return Err(ENV.wrong()),
            };
            values.push((text(Some(name))?, value));
        }
        Ok(values)
    }

    fn own_account(&self) -> Result<OwnAccount, OrderError> {
        let mut texts = self.list(OWN_ACCOUNT)?.into_iter();
        let mut next = || texts.next().ok_or(OWN_ACCOUNT.wrong());
        Ok(OwnAccount { name: next()?, home: next()?, shell: next()? })
    }

    fn limits(&self) -> Result<Vec<Limit>, OrderError> {
        let mut input = Reader(self.get(LIMITS).unwrap_or_default());
        let mut limits = Vec::new();
        while !input.0.is_empty() {
            limits.push(Limit {
                resource: u32::from_le_bytes(input.array()?),
                soft: u64::from_le_bytes(input.array()?),
                hard: u64::from_le_bytes(input.array()?),
            });
        }
        Ok(limits)
    }

    fn span(&self, tag: Tag) -> Result<Option<Duration>, OrderError> {
        let Some(bytes) = self.get(tag) else {
            return Ok(None);
        };
        let mut input = Reader(bytes);
        let secs = u64::from_le_bytes(input.array()?);
        match u32::from_le_bytes(input.array()?) {
            nanos @ 0..1_000_000_000 => Ok(Some(Duration::new(secs, nanos))),
            _ => Err(tag.wrong()),
        }
    }

    fn leftovers(&self) -> Result<Leftovers, OrderError> {
        match self.get(LEFTOVERS) {
            None | Some([0]) => Ok(Leftovers::Leave),
            Some([1]) => Ok(Leftovers::Kill),
            Some(_) => Err(LEFTOVERS.wrong()),
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

    fn pairs() -> impl Strategy<Value = Vec<Variable>> {
        vec((vec(any::<u8>(), 0..20), vec(any::<u8>(), 0..20)), 0..5)
    }

    fn values() -> impl Strategy<Value = Vec<(String, EnvValue)>> {
        let value = ("\\PC{0,9}", any::<bool>()).prop_map(|(text, is_file)| {
            if is_file { EnvValue::File(text.into()) } else { EnvValue::Text(text.into()) }
        });
        vec(("\\PC{1,9}", value), 0..4)
    }

    fn name() -> impl Strategy<Value = Option<String>> {
        prop::option::of("\\PC{1,20}")
    }

    prop_compose! {
        fn surroundings()(
            (inherited, told, path_end) in (pairs(), pairs(), vec(any::<u8>(), 0..9)),
            (account_wins, env_file, values) in (any::<bool>(), name(), values()),
            (cwd, user, group) in (prop::option::of(vec(any::<u8>(), 0..40)), name(), name()),
            (name, home, shell) in any::<(Vec<u8>, Vec<u8>, Vec<u8>)>(),
        ) -> (Sources, Option<Vec<u8>>, Option<String>, Option<String>, OwnAccount) {
            let sources = Sources { inherited, account_wins, env_file, values, told, path_end };
            (sources, cwd, user, group, OwnAccount { name, home, shell })
        }
    }

    prop_compose! {
        fn orders()(
            ids in any::<(i64, u32, i64)>(),
            (sources, cwd, user, group, own_account) in surroundings(),
            (spool, feeds) in (name(), name()),
            (program, argv, stdin) in (vec(any::<u8>(), 0..40), texts(), vec(any::<u8>(), 0..400)),
            (umask, nice, stop_signal, output_max) in any::<(u32, i32, i32, u64)>(),
            (timeout, stop_grace) in any::<(Option<Duration>, Duration)>(),
            limits in vec(any::<(u32, u64, u64)>(), 0..6),
            kill in any::<bool>(),
            (cgroup, memory_max, terms, report) in
                (name(), any::<Option<u64>>(), "\\PC{0,40}", name()),
        ) -> Order {
            Order {
                run: ids.0, attempt: ids.1, claim: ids.2, program, argv, sources, cwd, own_account, user, group, umask, nice,
                stdin, timeout, stop_signal, stop_grace, output_max, cgroup, memory_max, terms, report, spool, feeds,
                limits: limits.into_iter().map(|(resource, soft, hard)| Limit { resource, soft, hard }).collect(),
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
        fn an_order_with_fields_of_a_later_version_is_read(
            order in orders(),
            tag in 31_u8..,
            value in vec(any::<u8>(), 0..40),
        ) {
            let mut bytes = order.encode();
            bytes.pop();
            let mut writer = Writer(bytes);
            writer.field(Tag(tag, "later"), &value);
            writer.0.push(END);
            prop_assert_eq!(Order::decode(&writer.0), Ok(order));
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
        assert_eq!(Order::decode(&[VERSION, END, 0]), Err(OrderError::Long));
        assert_eq!(Order::decode(&[VERSION, END]), Err(OrderError::Field("run")));
        assert_eq!(Order::decode(&[9]), Err(OrderError::Version(9)));
        assert_eq!(Order::decode(&[]), Err(OrderError::Short));
    }
}
