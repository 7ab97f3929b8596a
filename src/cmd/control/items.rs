//! The arguments of new items: read from standard input, cut into items, held to the limits of
//! execve(2).
//!
//! Everything is read and checked before anything is added, so that a producer that dies halfway
//! adds nothing wrong.

use std::ffi::OsString;
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;

use crate::cmd::{Failure, Result, plain};
use crate::store::NewItem;

/// The longest argument: `MAX_ARG_STRLEN` of Linux is 131,072 with the NUL that ends it.
const ARGUMENT_MAX: usize = 131_071;

/// All arguments of an item, each with its NUL and its pointer: a quarter of the usual stack limit
/// of 8 MiB (execve(2)).
const ARGUMENTS_MAX: usize = 2 << 20;

/// Standard input is held in memory; larger ones are to be cut.
const INPUT_MAX: u64 = 256 << 20;

/// Standard input that an item brings is kept in the store.
const ITEM_INPUT_MAX: u64 = 16 << 20;

/// So many items fit in one transaction without keeping others out for long.
const ITEMS_MAX: usize = 1_000_000;

/// What ends an item on standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Separator {
    /// A line is an item.
    Newline,
    /// What is up to NUL is an item.
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
    match input.take(INPUT_MAX + 1).read_to_end(&mut text) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::OutOfMemory => return Err(too_much()),
        Err(error) => {
            return Err(Failure::system(format!(
                "standard input: {}: nothing was added",
                plain(&error)
            )));
        }
    }
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > INPUT_MAX {
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
            return Err(Failure::usage(format!("{} has {len} bytes", at())).hint(LONGEST));
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
    input.take(ITEM_INPUT_MAX + 1).read_to_end(&mut bytes).map_err(|error| {
        Failure::system(format!("standard input: {}: nothing was added", plain(&error)))
    })?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > ITEM_INPUT_MAX {
        return Err(Failure::usage("standard input: more than 16 MiB: nothing was added")
            .hint("write it to a file and pass the file's name as an argument"));
    }
    Ok(bytes)
}

/// Holds the arguments of one item to the limits.
pub(crate) fn check_arguments(arguments: &[OsString]) -> Result<()> {
    for (index, argument) in arguments.iter().enumerate() {
        let len = argument.as_bytes().len();
        if len > ARGUMENT_MAX {
            return Err(
                Failure::usage(format!("argument {} has {len} bytes", index + 1)).hint(LONGEST)
            );
        }
    }
    let size: usize =
        arguments.iter().map(|argument| argument.as_bytes().len() + 1 + size_of::<usize>()).sum();
    if size > ARGUMENTS_MAX {
        return Err(Failure::usage(format!("the arguments have {size} bytes in total")).hint(
            "a command takes at most 2 MiB of arguments; write them to a file and pass its name",
        ));
    }
    Ok(())
}

const LONGEST: &str =
    "an argument can have at most 131,071 bytes; write it to a file and pass the file's name";

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
        assert_eq!(check(&text, Separator::Newline), Ok(1));
        text.push(b'x');
        let failure = check(&text, Separator::Newline).unwrap_err();
        assert_eq!(failure.message, "standard input: line 2 has 131072 bytes");
    }

    #[test]
    fn arguments_are_held_to_what_a_command_can_take() {
        let long = OsString::from("x".repeat(ARGUMENT_MAX));
        assert_eq!(check_arguments(std::slice::from_ref(&long)), Ok(()));
        assert!(check_arguments(&["x".repeat(ARGUMENT_MAX + 1).into()]).is_err());
        assert_eq!(check_arguments(&vec![long.clone(); 15]), Ok(()));
        assert!(check_arguments(&vec![long; 16]).is_err());
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
