//! Identifies callers: by the kernel on a unix socket, by a token on any socket.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use sha2::{Digest, Sha256};

use super::problem::{Kind, Problem, Result};
use crate::core::admission::Caller;
use crate::core::door::Token;
use crate::core::time::Mono;
use crate::os::clock;
use crate::os::peer::{self, Peer};

/// How long the names of a user and its groups are cached.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// The number of callers in the cache.
const KNOWN_MAX: usize = 1000;

/// A cache of the callers on unix sockets, with their names.
#[derive(Debug)]
pub(super) struct Accounts {
    /// The supervisor's user, which is also this process's.
    own: u32,
    known: RefCell<HashMap<Peer, (Mono, Rc<Caller>)>>,
}

impl Accounts {
    /// Starts with an empty cache.
    pub(super) fn new() -> Self {
        Self { own: nix::unistd::geteuid().as_raw(), known: RefCell::default() }
    }

    /// Looks up the names of a peer. The name service may be slow; only this caller waits for it.
    pub(super) async fn name(&self, peer: &Peer) -> Rc<Caller> {
        let now = clock::now().mono;
        if let Some((at, caller)) = self.known.borrow().get(peer)
            && now.since(*at) < KNOWN_FOR
        {
            return Rc::clone(caller);
        }
        let (asked, own) = (peer.clone(), self.own);
        let caller = tokio::task::spawn_blocking(move || caller_of(&asked, own)).await;
        let caller = Rc::new(caller.unwrap_or(Caller::Unknown));
        let mut known = self.known.borrow_mut();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(peer.clone(), (now, Rc::clone(&caller)));
        caller
    }
}

fn caller_of(peer: &Peer, own: u32) -> Caller {
    Caller::User {
        user: peer::user(peer.uid),
        groups: peer.gids.iter().map(|gid| peer::group(*gid)).collect(),
        is_master: peer.uid == 0 || peer.uid == own,
    }
}

/// Identifies the caller by the token of a request; `None` if it has no token.
pub(super) fn by_token(headers: &HeaderMap, tokens: &[Token]) -> Result<Option<Caller>> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return match headers.contains_key(AUTHORIZATION) {
            true => Err(Problem::new(Kind::BadRequest, "`authorization` is given twice")),
            false => Ok(None),
        };
    };
    let bearer = value.to_str().ok().and_then(|value| value.split_once(' '));
    let text = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let found = text.and_then(|(_, text)| find(text.trim(), tokens));
    match found {
        Some(name) => Ok(Some(Caller::Token(name.into()))),
        None => Err(Problem::new(Kind::Unauthorized, "unknown token")),
    }
}

/// Returns the name of a token. Compares every token to its end, so that the time reveals nothing.
fn find<'t>(text: &str, tokens: &'t [Token]) -> Option<&'t str> {
    let shown: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    let mut found = None;
    for token in tokens {
        let pairs = shown.iter().zip(&token.sha256);
        let differs =
            pairs.fold(0, |differs, (one, other)| std::hint::black_box(differs | (one ^ other)));
        if differs == 0 {
            found = Some(&*token.name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(name: &str, text: &str) -> Token {
        Token { name: name.into(), sha256: Sha256::digest(text.as_bytes()).into() }
    }

    #[test]
    fn a_token_is_known_by_its_sha256() {
        let tokens = [token("shop", "secret"), token("deploy", "other")];
        assert_eq!(find("secret", &tokens), Some("shop"));
        assert_eq!(find("other", &tokens), Some("deploy"));
        assert_eq!(find("Secret", &tokens), None);
        assert_eq!(find("", &tokens), None);
        assert_eq!(find("secret", &[]), None);
    }

    #[test]
    fn a_header_shows_one_token_or_none() {
        let tokens = [token("shop", "secret")];
        let ask = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().unwrap());
            }
            by_token(&headers, &tokens).map_err(|problem| problem.kind)
        };
        assert_eq!(ask(&[]), Ok(None));
        assert_eq!(ask(&["Bearer secret"]), Ok(Some(Caller::Token("shop".into()))));
        assert_eq!(ask(&["bearer  secret"]), Ok(Some(Caller::Token("shop".into()))));
        for wrong in ["Bearer", "Bearer secre", "Basic secret", "secret"] {
            assert_eq!(ask(&[wrong]), Err(Kind::Unauthorized), "{wrong}");
        }
        assert_eq!(ask(&["Bearer secret", "Bearer secret"]), Err(Kind::BadRequest));
    }
}
