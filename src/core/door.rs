//! What a jobfile says of the door: where it listens, and whom its lists name.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// What the door's process is told, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Brief {
    /// The bytes of the path.
    pub(crate) state_dir: Vec<u8>,
    /// The last good jobfile: names and texts of its files, the main one first.
    pub(crate) sources: Vec<(String, String)>,
}

/// What the door's process says once it serves.
pub(crate) const READY: &[u8] = b"ready";

/// Where the door listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    /// A socket of the file system.
    Unix(Box<str>),
    /// An address of this machine.
    Tcp(SocketAddr),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{path}"),
            Self::Tcp(address) => write!(f, "{address}"),
        }
    }
}

/// A token, by which a program without an account here is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Its name.
    pub(crate) name: Box<str>,
    /// The SHA-256 of its text, which is kept nowhere.
    pub(crate) sha256: [u8; 32],
}

/// The table `[door]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Door {
    /// Where it listens.
    pub(crate) listen: Box<[Listen]>,
    /// Who may read everything.
    pub(crate) view: Box<[Principal]>,
    /// Who may change everything, and read it.
    pub(crate) operate: Box<[Principal]>,
    /// The tokens.
    pub(crate) tokens: Box<[Token]>,
}

/// An element of `view`, `operate` or `enqueue_by`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Principal {
    /// Whoever reaches the door.
    Anyone,
    /// An account of this machine, by its name or number.
    User(Box<str>),
    /// All members of a group, by its name or number.
    Group(Box<str>),
    /// Who has a token of this name.
    Token(Box<str>),
}

impl Principal {
    /// Reads one: `user:alice`, `group:adm`, `token:shop` or `anyone`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text == "anyone" {
            return Some(Self::Anyone);
        }
        let (kind, name) = text.split_once(':')?;
        let is_name = |c: char| !c.is_whitespace() && !c.is_control() && !":/,".contains(c);
        if name.is_empty() || !name.chars().all(is_name) {
            return None;
        }
        match kind {
            "user" => Some(Self::User(name.into())),
            "group" => Some(Self::Group(name.into())),
            "token" => Some(Self::Token(name.into())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_principal_is_refused() {
        for text in
            ["", "alice", "user:", "user:a b", "users:a", "group:a,b", "anyone:", "user:a:b"]
        {
            assert_eq!(Principal::parse(text), None, "{text}");
        }
    }
}
