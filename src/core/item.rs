//! What an item may be: the limits of its arguments, which are those of execve(2), and its key.

use std::fmt;

use super::job::Job;
use super::key::{self, KeyError};

/// The longest argument: `MAX_ARG_STRLEN` of Linux is 131,072 with the NUL that ends it.
pub(crate) const ARGUMENT_MAX: usize = 131_071;

/// All arguments of an item, each with its NUL and its pointer: a quarter of the usual stack limit
/// of 8 MiB (execve(2)).
pub(crate) const ARGUMENTS_MAX: usize = 2 << 20;

/// Standard input that an item brings is kept in the store.
pub(crate) const INPUT_MAX: usize = 16 << 20;

/// So many items fit in one addition without keeping others out for long.
pub(crate) const ITEMS_MAX: usize = 1_000_000;

/// What to do about an argument that is too long.
pub(crate) const TOO_LONG_HINT: &str =
    "an argument can have at most 131,071 bytes; write it to a file and pass the file's name";

/// Explains why no command can take an item, or why it has no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ItemError {
    /// An argument, counted from 1, has so many bytes.
    TooLong(usize, usize),
    /// An argument, counted from 1, contains a NUL.
    Nul(usize),
    /// All of them together have so many bytes.
    TooMuch(usize),
    /// The job's template of keys needs an argument that is not there.
    KeyNeeds {
        /// The job.
        job: String,
        /// Its template.
        template: String,
        /// The argument, counted from 1.
        number: usize,
    },
    /// The job's template of keys makes nothing of the arguments.
    KeyEmpty {
        /// The job.
        job: String,
        /// Its template.
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
    /// What to do about it.
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

/// Holds the arguments of one item to the limits.
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

/// The key of an item: the one that was given, else what the job's template makes of its arguments.
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
