//! The settings of the door: its addresses, and the callers that its lists name.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The information that the door's process receives, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Brief {
    /// The bytes of the path.
    pub(crate) state_dir: Vec<u8>,
    /// The last valid jobfile: the names and texts of its files, the main one first.
    pub(crate) sources: Vec<(String, String)>,
}

/// The message of the door's process once it serves.
pub(crate) const READY: &[u8] = b"ready";

/// An address that the door listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    /// The path of a unix socket.
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

/// A token, which identifies a program without an account on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Its name.
    pub(crate) name: Box<str>,
    /// The SHA-256 of the token; the token itself is not stored.
    pub(crate) sha256: [u8; 32],
}

/// The table `[door]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Door {
    /// The addresses.
    pub(crate) listen: Box<[Listen]>,
    /// Who may read everything.
    pub(crate) view: Box<[Principal]>,
    /// Who may read and change everything.
    pub(crate) operate: Box<[Principal]>,
    /// The tokens.
    pub(crate) tokens: Box<[Token]>,
}

/// An element of `view`, `operate` or `enqueue_by`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Principal {
    /// Every caller.
    Anyone,
    /// An account of this machine, by its name or number.
    User(Box<str>),
    /// All members of a group, by its name or number.
    Group(Box<str>),
    /// The holder of the token with this name.
    Token(Box<str>),
}

impl Principal {
    /// Parses `user:alice`, `group:adm`, `token:shop` or `anyone`.
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
