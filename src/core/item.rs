//! The limits of an item's arguments, which are those of execve(2), and the item's key.

use std::fmt;

use super::job::Job;
use super::key::{self, KeyError};

/// The limit of an argument: Linux's `MAX_ARG_STRLEN` is 131,072 including the final NUL.
pub(crate) const ARGUMENT_MAX: usize = 131_071;

/// The limit of all arguments of an item, each with its NUL and its pointer: a quarter of the usual
/// stack limit of 8 MiB (execve(2)).
pub(crate) const ARGUMENTS_MAX: usize = 2 << 20;

/// The limit of an item's standard input, which is kept in the store.
pub(crate) const INPUT_MAX: usize = 16 << 20;

/// The limit of items in one addition.
pub(crate) const ITEMS_MAX: usize = 1_000_000;

/// The hint for an argument that is too long.
pub(crate) const TOO_LONG_HINT: &str =
    "an argument can have at most 131,071 bytes; write it to a file and pass the file's name";

/// Why an item cannot be passed to a command, or cannot get a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ItemError {
    /// An argument, counted from 1, is too long; with its length in bytes.
    TooLong(usize, usize),
    /// An argument, counted from 1, contains a NUL.
    Nul(usize),
    /// All arguments together are too long; with their length in bytes.
    TooMuch(usize),
    /// The job's key template uses an argument that is missing.
    KeyNeeds {
        /// The job.
        job: String,
        /// The template.
        template: String,
        /// The argument, counted from 1.
        number: usize,
    },
    /// The job's key template gives an empty key.
    KeyEmpty {
        /// The job.
        job: String,
        /// The template.
        template: String,
    },
}

impl fmt::Display for ItemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(number, len) => write!(f, "argument {number} has {len} bytes"),
            Self::Nul(number) => write!(f, "argument {number} contains a NUL"),
            Self::TooMuch(size) => write!(f, "the arguments have {size} bytes in total"),
            Self::KeyNeeds { job, template, number } => {
                write!(f, "job `{job}`: its key `{template}` needs argument {number}")
            }
            Self::KeyEmpty { job, template } => {
                write!(f, "job `{job}`: its key `{template}` would be empty")
            }
        }
    }
}

impl ItemError {
    /// Returns a hint on what to do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::TooLong(..) => Some(TOO_LONG_HINT),
            Self::TooMuch(_) => Some(
                "a command takes at most 2 MiB of arguments; write them to a file and pass its name",
            ),
            Self::Nul(_) | Self::KeyNeeds { .. } | Self::KeyEmpty { .. } => None,
        }
    }
}

/// Checks the arguments of one item against the limits.
pub(crate) fn check_arguments<A: AsRef<[u8]>>(arguments: &[A]) -> Result<(), ItemError> {
    let mut size = 0;
    for (index, argument) in arguments.iter().enumerate() {
        let bytes = argument.as_ref();
        if bytes.len() > ARGUMENT_MAX {
            return Err(ItemError::TooLong(index + 1, bytes.len()));
        }
        if bytes.contains(&0) {
            return Err(ItemError::Nul(index + 1));
        }
        size += bytes.len() + 1 + size_of::<usize>();
    }
    if size > ARGUMENTS_MAX {
        return Err(ItemError::TooMuch(size));
    }
    Ok(())
}

/// Returns the key of an item: the given one, else the one that the job's template makes from its
/// arguments.
pub(crate) fn key_of(
    job: &Job,
    given: Option<&str>,
    arguments: &[Vec<u8>],
) -> Result<Option<String>, ItemError> {
    let template = match (given, &job.policy.key) {
        (Some(key), _) => return Ok(Some(key.to_owned())),
        (None, Some(template)) => template,
        (None, None) => return Ok(None),
    };
    let (name, template) = (|| job.name.to_string(), template.to_string());
    key::of(&template, arguments).map(Some).map_err(|error| match error {
        KeyError::Missing(number) => ItemError::KeyNeeds { job: name(), template, number },
        KeyError::Empty => ItemError::KeyEmpty { job: name(), template },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_held_to_what_a_command_can_take() {
        let long = "x".repeat(ARGUMENT_MAX);
        assert_eq!(check_arguments(&[&long]), Ok(()));
        let longer = "x".repeat(ARGUMENT_MAX + 1);
        assert_eq!(check_arguments(&["a", &longer]), Err(ItemError::TooLong(2, 131_072)));
        assert_eq!(check_arguments(&[&long; 15]), Ok(()));
        assert!(matches!(check_arguments(&[&long; 16]), Err(ItemError::TooMuch(_))));
        assert_eq!(check_arguments(&["a", "b\0"]), Err(ItemError::Nul(2)));
    }
}
