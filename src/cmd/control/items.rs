//! Reads the arguments of new items from standard input, splits them into items and checks them
//! against the limits of execve(2).
//!
//! Everything is read and checked before anything is added, so a producer that dies halfway adds
//! nothing.

use std::io::{ErrorKind, Read};

use crate::cmd::{Failure, Result, plain};
use crate::core::item::{ARGUMENT_MAX, INPUT_MAX, ITEMS_MAX, TOO_LONG_HINT};
use crate::store::NewItem;

/// The limit of standard input, which is held in memory; larger inputs have to be split.
const TEXT_MAX: u64 = 256 << 20;

/// The terminator of an item on standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Separator {
    /// A line feed.
    Newline,
    /// NUL.
    Null,
}

impl Separator {
    const fn byte(self) -> u8 {
        match self {
            Self::Newline => b'\n',
            Self::Null => 0,
        }
    }

    const fn noun(self) -> &'static str {
        match self {
            Self::Newline => "line",
            Self::Null => "item",
        }
    }
}

/// Reads all of standard input.
pub(crate) fn read(input: impl Read) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    match input.take(TEXT_MAX + 1).read_to_end(&mut text) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::OutOfMemory => return Err(too_much()),
        Err(error) => {
            return Err(Failure::system(format!(
                "standard input: {}: nothing was added",
                plain(&error)
            )));
        }
    }
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > TEXT_MAX {
        return Err(too_much());
    }
    Ok(text)
}

/// Holds each item of a text to the limits and counts them. The text must be one that [`read`]
/// gave.
pub(crate) fn check(text: &[u8], separator: Separator) -> Result<usize> {
    let mut count = 0;
    for (index, item) in text.split(|&byte| byte == separator.byte()).enumerate() {
        let at = || format!("standard input: {} {}", separator.noun(), index + 1);
        if item.len() > ARGUMENT_MAX {
            let len = item.len();
            return Err(Failure::usage(format!("{} has {len} bytes", at())).hint(TOO_LONG_HINT));
        }
        if item.contains(&0) {
            return Err(Failure::usage(format!("{} contains a NUL", at()))
                .hint("use --null for items that end in NUL"));
        }
        count += usize::from(!item.is_empty());
    }
    if count > ITEMS_MAX {
        return Err(too_much());
    }
    Ok(count)
}

/// The items of a text, each with the key that `key` makes of its argument; empty ones are left
/// out.
pub(crate) fn each<'a>(
    text: &'a [u8],
    separator: Separator,
    key: impl Fn(&[Vec<u8>]) -> Option<String> + 'a,
) -> impl Iterator<Item = NewItem> + 'a {
    text.split(move |&byte| byte == separator.byte()).filter(|item| !item.is_empty()).map(
        move |item| {
            let args = vec![item.to_vec()];
            NewItem { key: key(&args), args, input: None }
        },
    )
}

/// Reads the standard input of one item.
pub(crate) fn read_input(input: impl Read) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(INPUT_MAX as u64 + 1).read_to_end(&mut bytes).map_err(|error| {
        Failure::system(format!("standard input: {}: nothing was added", plain(&error)))
    })?;
    if bytes.len() > INPUT_MAX {
        return Err(Failure::usage("standard input: more than 16 MiB: nothing was added")
            .hint("write it to a file and pass the file's name as an argument"));
    }
    Ok(bytes)
}

fn too_much() -> Failure {
    Failure::usage("standard input: more than 1,000,000 items or 256 MiB: nothing was added")
        .hint("split it, with `split -l` for example")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(text: &[u8], separator: Separator) -> Vec<String> {
        check(text, separator).unwrap();
        each(text, separator, |_| None)
            .map(|item| String::from_utf8(item.args.concat()).unwrap())
            .collect()
    }

    #[test]
    fn a_line_is_one_argument_and_empty_ones_are_none() {
        assert_eq!(
            arguments(b"a b\n\n'c'\n--key\nlast", Separator::Newline),
            ["a b", "'c'", "--key", "last"]
        );
        assert_eq!(arguments(b"\n\n", Separator::Newline), [""; 0]);
        assert_eq!(arguments(b"a\nb\0\0c", Separator::Null), ["a\nb", "c"]);
    }

    #[test]
    fn what_no_command_can_take_is_named_by_its_line() {
        let failure = check(b"ok\n\nx\0y\n", Separator::Newline).unwrap_err();
        assert_eq!(failure.message, "standard input: line 3 contains a NUL");
        let mut text = b"ok\n".to_vec();
        text.resize(3 + ARGUMENT_MAX, b'x');
        assert_eq!(check(&text, Separator::Newline), Ok(2));
        text.push(b'x');
        let failure = check(&text, Separator::Newline).unwrap_err();
        assert_eq!(failure.message, "standard input: line 2 has 131072 bytes");
    }

    #[test]
    fn a_read_error_in_the_middle_is_an_error() {
        struct Dies(bool);
        impl Read for Dies {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                if std::mem::replace(&mut self.0, true) {
                    return Err(std::io::Error::from_raw_os_error(nix::libc::EIO));
                }
                buffer[..2].copy_from_slice(b"a\n");
                Ok(2)
            }
        }
        let failure = read(Dies(false)).unwrap_err();
        assert_eq!(failure.code, crate::cmd::exit::Exit::System);
        assert!(failure.message.contains("nothing was added"));
    }
}
