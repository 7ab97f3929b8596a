//! The output of an attempt as pieces: the kept bytes, each with the size of the gap before it.

use crate::store::Output;

/// Consecutive bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Bytes before this piece that were not kept.
    pub(crate) left_out: u64,
    /// The bytes.
    pub(crate) bytes: Vec<u8>,
}

/// Returns the kept output from `position` on.
pub(crate) fn rest(output: Output, position: u64) -> Vec<Piece> {
    let head_end = output.head.len() as u64;
    let tail_start = output.total.saturating_sub(output.tail.len() as u64).max(head_end);
    let mut pieces = Vec::new();
    if position < head_end {
        pieces.push(Piece { left_out: 0, bytes: cut(output.head, position) });
    }
    let left_out = tail_start.saturating_sub(position.max(head_end));
    let bytes = cut(output.tail, position.saturating_sub(tail_start));
    if left_out > 0 || !bytes.is_empty() {
        pieces.push(Piece { left_out, bytes });
    }
    pieces
}

/// Returns the last lines; a last line without a newline counts. Earlier output is dropped and not
/// reported as a gap.
pub(crate) fn last_lines(pieces: Vec<Piece>, lines: u64) -> Vec<Piece> {
    let mut wanted = lines;
    let mut kept = Vec::new();
    for (index, mut piece) in pieces.into_iter().rev().enumerate() {
        if wanted == 0 {
            break;
        }
        let is_end = index == 0;
        match line_start(&piece.bytes, &mut wanted, is_end) {
            Some(start) => {
                piece.bytes.drain(..start);
                kept.push(Piece { left_out: 0, bytes: piece.bytes });
            }
            None => kept.push(piece),
        }
    }
    kept.reverse();
    kept
}

/// Returns where the `wanted`th line from the end begins; `None` if there are fewer lines, with
/// `wanted` reduced by those found.
fn line_start(bytes: &[u8], wanted: &mut u64, is_end: bool) -> Option<usize> {
    let body = if is_end { bytes.strip_suffix(b"\n").unwrap_or(bytes) } else { bytes };
    for (index, byte) in body.iter().enumerate().rev() {
        if *byte == b'\n' {
            *wanted -= 1;
            if *wanted == 0 {
                return Some(index + 1);
            }
        }
    }
    None
}

fn cut(mut bytes: Vec<u8>, from: u64) -> Vec<u8> {
    let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
    bytes.drain(..from);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output() -> Output {
        Output { total: 20, head: b"abcde".to_vec(), tail: b"vwxyz".to_vec() }
    }

    fn piece(left_out: u64, bytes: &str) -> Piece {
        Piece { left_out, bytes: bytes.as_bytes().to_vec() }
    }

    #[test]
    fn the_rest_from_any_position_says_what_is_missing() {
        assert_eq!(rest(output(), 0), [piece(0, "abcde"), piece(10, "vwxyz")]);
        assert_eq!(rest(output(), 3), [piece(0, "de"), piece(10, "vwxyz")]);
        assert_eq!(rest(output(), 5), [piece(10, "vwxyz")]);
        assert_eq!(rest(output(), 9), [piece(6, "vwxyz")]);
        assert_eq!(rest(output(), 18), [piece(0, "yz")]);
        assert_eq!(rest(output(), 20), []);
    }

    #[test]
    fn output_that_was_kept_whole_has_no_gap() {
        let whole = Output { total: 8, head: b"abcde".to_vec(), tail: b"fgh".to_vec() };
        assert_eq!(rest(whole.clone(), 0), [piece(0, "abcde"), piece(0, "fgh")]);
        assert_eq!(rest(whole, 6), [piece(0, "gh")]);
        let small = Output { total: 2, head: b"ab".to_vec(), tail: Vec::new() };
        assert_eq!(rest(small, 0), [piece(0, "ab")]);
    }

    #[test]
    fn the_last_lines_are_found_over_pieces() {
        let pieces = || vec![piece(0, "1\n2\n3"), piece(0, "3\n4\n")];
        assert_eq!(last_lines(pieces(), 0), []);
        assert_eq!(last_lines(pieces(), 1), [piece(0, "4\n")]);
        assert_eq!(last_lines(pieces(), 2), [piece(0, "3"), piece(0, "3\n4\n")]);
        assert_eq!(last_lines(pieces(), 9), pieces());
        assert_eq!(last_lines(vec![piece(0, "a\nb")], 1), [piece(0, "b")]);
    }
}
