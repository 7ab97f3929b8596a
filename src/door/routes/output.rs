//! `GET /v1/runs/ID/output`: the kept output of an attempt, byte for byte, in pieces.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;

use super::{permit, whose};
use crate::core::admission::{Act, Caller};
use crate::core::run::State;
use crate::door::answer::{self, Answer};
use crate::door::desk::Desk;
use crate::door::problem::{Kind, Problem, Result};
use crate::door::query;
use crate::door::shelf::Shelf;
use crate::door::stream::Pieces;
use crate::facts::live::Live;
use crate::os::file;
use crate::store::{Kept, Store, StoreError};

/// Bytes read from a file at once.
const PIECE: u64 = 64 << 10;

/// Responds to the request.
pub(super) async fn answer(
    desk: &Desk,
    caller: &Caller,
    id: i64,
    query: Option<&str>,
) -> Result<Answer> {
    let asked = Asked::read(query)?;
    let hidden = || Problem::no_such_run(id);
    let owner = desk.read(move |store, _| store.owner(id)).await?;
    permit(desk, caller, Act::See(whose(caller, owner.as_deref())), hidden)?;
    let text = desk.read(move |store, shelf| text(store, shelf, (id, &asked))).await??;
    Ok(answer::pieces(Box::new(text)))
}

/// The parameters.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    attempt: Option<u32>,
    from: From,
}

/// Where the response begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    /// After this many bytes.
    Bytes(u64),
    /// This many lines before the end.
    Tail(u64),
}

impl Asked {
    fn read(query: Option<&str>) -> Result<Self> {
        let pairs = query::pairs(query, &["attempt", "tail", "offset"])?;
        let number = |name: &str| -> Result<Option<u64>> {
            let Some((_, text)) = pairs.iter().find(|(known, _)| known == name) else {
                return Ok(None);
            };
            let wrong = |_| Problem::new(Kind::BadRequest, format!("`{name}` is not a number"));
            text.parse().map(Some).map_err(wrong)
        };
        let from = match (number("offset")?, number("tail")?) {
            (Some(_), Some(_)) => {
                let detail = "`offset` and `tail` are both given";
                return Err(Problem::new(Kind::BadRequest, detail));
            }
            (_, Some(lines)) => From::Tail(lines),
            (bytes, None) => From::Bytes(bytes.unwrap_or(0)),
        };
        let attempt = number("attempt")?.map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        Ok(Self { attempt, from })
    }
}

/// Opens the output and finds where the response begins.
fn text(
    store: &Store,
    shelf: &Shelf,
    (id, asked): (i64, &Asked),
) -> Result<Result<Text>, StoreError> {
    let Some(source) = open(store, shelf, (id, asked.attempt))? else {
        let problem = match asked.attempt {
            Some(attempt) => {
                Problem::new(Kind::NoSuchRun, format!("run {id}: no attempt {attempt}"))
            }
            None => Problem::no_such_run(id),
        };
        return Ok(Err(problem));
    };
    let skip = match asked.from {
        From::Bytes(count) => Skip::Bytes(count),
        From::Tail(wanted) => match lines(&source) {
            Ok(lines) => Skip::Lines(lines.saturating_sub(wanted)),
            Err(_) => {
                let problem = Problem::new(Kind::StoreUnavailable, "the output cannot be read");
                return Ok(Err(problem.retry_after(1)));
            }
        },
    };
    Ok(Ok(Text { source, position: 0, skip }))
}

/// Opens the output of an attempt, by default the newest; `None` if there is no such attempt.
fn open(
    store: &Store,
    shelf: &Shelf,
    (id, asked): (i64, Option<u32>),
) -> Result<Option<Source>, StoreError> {
    let Some(run) = store.run(id)? else {
        return Ok(None);
    };
    let attempt = asked.unwrap_or(run.attempt);
    if attempt > run.attempt || asked == Some(0) {
        return Ok(None);
    }
    if run.state == State::Running
        && run.attempt == attempt
        && let Some(live) = Live::open(&shelf.state_dir, &run)
    {
        return Ok(Some(Source::Live(live)));
    }
    Ok(Some(match store.kept(id, attempt)? {
        None => Source::Here(Vec::new()),
        Some(Kept::Here(output)) => Source::Here([output.head, output.tail].concat()),
        Some(Kept::File { file, total, layout }) => {
            Source::File { file, parts: layout.kept(total) }
        }
    }))
}

/// The place that output is read from.
enum Source {
    Here(Vec<u8>),
    File { file: File, parts: [Range<u64>; 3] },
    Live(Live),
}

/// Bytes, and the position after them.
type Piece = Option<(Vec<u8>, u64)>;

impl Source {
    /// Reads a piece at a position, which is 0 or the end of another piece; `None` at the end.
    fn piece(&self, position: u64) -> io::Result<Piece> {
        match self {
            Self::Here(bytes) if position == 0 => Ok(Some((bytes.clone(), bytes.len() as u64 + 1))),
            Self::Here(_) => Ok(None),
            Self::File { file, parts } => piece_of(file, parts, position),
            Self::Live(_) if position == u64::MAX => Ok(None),
            Self::Live(live) => {
                let ended = || io::Error::other("the attempt ended meanwhile");
                let look = live.look(position)?.ok_or_else(ended)?;
                let next = if look.has_more { look.position } else { u64::MAX };
                let bytes = look.pieces.into_iter().flat_map(|piece| piece.bytes).collect();
                Ok(Some((bytes, next)))
            }
        }
    }
}

/// Reads a piece of the kept parts of a file.
fn piece_of(file: &File, parts: &[Range<u64>; 3], position: u64) -> io::Result<Piece> {
    let mut before = 0;
    for part in parts {
        let len = part.end.saturating_sub(part.start);
        if position < before + len {
            let start = part.start + (position - before);
            let wanted =
                usize::try_from((part.end - start).min(PIECE)).map_err(io::Error::other)?;
            let bytes = file::read_at(file.as_fd(), start, wanted)?;
            if bytes.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let next = position + bytes.len() as u64;
            return Ok(Some((bytes, next)));
        }
        before += len;
    }
    Ok(None)
}

/// Counts the lines; a last line without a newline counts.
fn lines(source: &Source) -> io::Result<u64> {
    let (mut count, mut position, mut last) = (0, 0, b'\n');
    while let Some((bytes, next)) = source.piece(position)? {
        count += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        last = bytes.last().copied().unwrap_or(last);
        position = next;
    }
    Ok(count + u64::from(last != b'\n'))
}

/// What remains to be skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skip {
    Bytes(u64),
    Lines(u64),
}

impl Skip {
    /// Removes the skipped part from the beginning of a piece.
    fn take(&mut self, bytes: &mut Vec<u8>) {
        let end = match self {
            Self::Bytes(count) => {
                let end = usize::try_from(*count).unwrap_or(usize::MAX).min(bytes.len());
                *count -= end as u64;
                end
            }
            Self::Lines(count) => {
                let mut end = 0;
                while *count > 0 && end < bytes.len() {
                    let found = bytes[end..].iter().position(|byte| *byte == b'\n');
                    *count -= u64::from(found.is_some());
                    end = found.map_or(bytes.len(), |index| end + index + 1);
                }
                end
            }
        };
        bytes.drain(..end);
    }
}

/// Output on its way to the client.
struct Text {
    source: Source,
    position: u64,
    skip: Skip,
}

impl Pieces for Text {
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        while let Some((mut bytes, next)) = self.source.piece(self.position)? {
            self.position = next;
            self.skip.take(&mut bytes);
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_may_end_in_any_piece() {
        for (skip, expected) in [
            (Skip::Bytes(0), "a\nb\nc\nd"),
            (Skip::Bytes(3), "\nc\nd"),
            (Skip::Bytes(9), ""),
            (Skip::Lines(0), "a\nb\nc\nd"),
            (Skip::Lines(1), "b\nc\nd"),
            (Skip::Lines(2), "c\nd"),
            (Skip::Lines(3), "d"),
            (Skip::Lines(4), ""),
        ] {
            for cut in 0..=7 {
                let (first, second) = b"a\nb\nc\nd".split_at(cut);
                let (mut skip, mut all) = (skip, Vec::new());
                for piece in [first, second] {
                    let mut piece = piece.to_vec();
                    skip.take(&mut piece);
                    all.extend(piece);
                }
                assert_eq!(all, expected.as_bytes(), "{skip:?} {cut}");
            }
        }
    }

    #[test]
    fn a_query_asks_for_a_place_to_begin() {
        let asked = |query| Asked::read(Some(query)).map_err(|problem| problem.kind);
        assert_eq!(asked("tail=2&attempt=3"), Ok(Asked { attempt: Some(3), from: From::Tail(2) }));
        assert_eq!(asked("offset=7"), Ok(Asked { attempt: None, from: From::Bytes(7) }));
        for wrong in ["tail=x", "offset=-1", "tail=1&offset=1", "follow"] {
            assert_eq!(asked(wrong), Err(Kind::BadRequest), "{wrong}");
        }
    }
}
