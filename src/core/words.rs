//! Enums whose variants have a word for people and, where the store keeps them, a number.
//!
//! A word is written once, where its enum is defined: help, completions, jobfile, JSON, metrics,
//! SQL and the views of the store are made of [`Word::ALL`]. A number is part of the store's format
//! and is never given to another word.

/// A variant with a word.
pub(crate) trait Word: Copy + Send + Sync + 'static {
    /// All of them, in the order in which they are told.
    const ALL: &'static [Self];

    /// The word, as in JSON, jobfile, help and man page.
    fn word(self) -> &'static str;

    /// The one of a word; none if none has it.
    fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.word() == word)
    }
}

/// Defines an enum with words, and with the numbers of the store where it has some.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident $(= $code:literal)? $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// The word, as in JSON, jobfile, help and man page.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl $crate::core::words::Word for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn word(self) -> &'static str {
                self.as_str()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let word = <String as serde::Deserialize>::deserialize(from)?;
                let one = <Self as $crate::core::words::Word>::parse(&word);
                one.ok_or_else(|| serde::de::Error::custom(format_args!("no such word: {word}")))
            }
        }

        $crate::core::words::numbers!($name { $($variant $(= $code)?,)+ });
    };
}

/// The numbers of an enum that has some.
macro_rules! numbers {
    ($name:ident { $($variant:ident = $code:literal,)+ }) => {
        impl $name {
            /// The number the store keeps for it.
            pub(crate) const fn code(self) -> i64 {
                match self { $(Self::$variant => $code,)+ }
            }

            /// The variant of a number; none if no variant has it.
            pub(crate) const fn from_code(code: i64) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }
        }
    };
    ($name:ident { $($variant:ident,)+ }) => {};
}

pub(crate) use {numbers, words};
