//! Reads the table `[door]` and the lists of callers.

use std::net::SocketAddr;

use toml::de::DeValue;

use super::compound::one_or_each;
use super::entry::Entry;
use super::value::{Key, STRING, TABLE, Value, key, set};
use crate::core::door::{Door, Listen, Principal, Token};
use crate::core::job::Name;

/// The type of a list of callers.
pub(super) const PRINCIPALS: &str = "an array of strings";

/// The limit of a socket's path (unix(7)), without the final NUL.
const SOCKET_PATH_MAX: usize = 107;

/// The keys of `[door]`.
pub(super) const DOOR: &[Key<Door>] = &[
    key("listen", PRINCIPALS, |d, v| {
        set(&mut d.listen, one_or_each(v, STRING, listen).map(Vec::into_boxed_slice));
    }),
    key("view", PRINCIPALS, |d, v| set(&mut d.view, principals(v))),
    key("operate", PRINCIPALS, |d, v| {
        let known = |item: &Value<'_>| {
            let principal = principal(item)?;
            if principal == Principal::Anyone {
                item.complain("cannot be in this list", Some("name users or groups".to_owned()));
                return None;
            }
            Some(principal)
        };
        set(&mut d.operate, one_or_each(v, STRING, known).map(Vec::into_boxed_slice));
    }),
    key("tokens", TABLE, |d, v| set(&mut d.tokens, tokens(v))),
];

/// Reads the table.
pub(super) fn door(value: &Value<'_>) -> Option<Door> {
    let mut door = Door::default();
    value.table(DOOR, &mut door)?;
    if !cfg!(feature = "door") {
        value.complain("this jobctl was built without the door", None);
    }
    if !value.has("listen") {
        let hint = "write `listen = [\"unix:/run/jobctl/door.sock\"]`".to_owned();
        value.complain("has no `listen`", Some(hint));
    }
    check_addresses(&door, value);
    for (name, list) in [("view", &door.view), ("operate", &door.operate)] {
        if let Some(token) = missing(list, &door) {
            complain_at_key(value, name, format!("there is no token `{token}`"));
        }
    }
    Some(door)
}

/// Reads a list of callers.
pub(super) fn principals(value: &Value<'_>) -> Option<Box<[Principal]>> {
    one_or_each(value, STRING, principal).map(Vec::into_boxed_slice)
}

/// Reports tokens that jobs name but `[door]` does not define.
pub(super) fn check_tokens(door: Option<&Door>, entries: &[Entry<'_>]) {
    let none = Door::default();
    for entry in entries {
        let list = &entry.draft.policy.enqueue_by;
        if let Some(token) = missing(list, door.unwrap_or(&none)) {
            let offset = entry.table.offset("enqueue_by").unwrap_or(entry.offset);
            let hint = format!("make one with `jobctl token {token}`");
            let message = format!("there is no token `{token}`");
            entry.table.scope.report(offset, message, Some(hint));
        }
    }
}

/// Returns the first token of a list that `[door]` does not define.
fn missing<'l>(list: &'l [Principal], door: &Door) -> Option<&'l str> {
    list.iter().find_map(|principal| match principal {
        Principal::Token(name) if door.tokens.iter().all(|token| token.name != *name) => {
            Some(&**name)
        }
        Principal::Token(_) | Principal::User(_) | Principal::Group(_) | Principal::Anyone => None,
    })
}

fn principal(value: &Value<'_>) -> Option<Principal> {
    let principal = Principal::parse(value.text()?);
    if principal.is_none() {
        value.complain("is not `user:NAME`, `group:NAME`, `token:NAME` or `anyone`", None);
    }
    principal
}

fn listen(value: &Value<'_>) -> Option<Listen> {
    let text = value.text()?;
    if let Some(path) = text.strip_prefix("unix:") {
        let reason = match path {
            _ if !path.starts_with('/') || path.ends_with('/') => "is not an absolute path",
            _ if path.len() > SOCKET_PATH_MAX => "is longer than 107 bytes",
            _ => return Some(Listen::Unix(path.into())),
        };
        value.complain(reason, None);
        return None;
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() == 0 => {
            value.complain("has no port", None);
            None
        }
        Ok(address) => Some(Listen::Tcp(address)),
        Err(_) => {
            let hint = "write `unix:/run/jobctl/door.sock`, `127.0.0.1:7070` or `[::1]:7070`";
            value.complain("is not an address", Some(hint.to_owned()));
            None
        }
    }
}

/// Checks addresses that other machines can reach: they need a token, and traffic is not encrypted.
fn check_addresses(door: &Door, value: &Value<'_>) {
    let open = door.listen.iter().find_map(|listen| match listen {
        Listen::Tcp(address) if !address.ip().to_canonical().is_loopback() => Some(address),
        Listen::Tcp(_) | Listen::Unix(_) => None,
    });
    let Some(address) = open else {
        return;
    };
    if door.tokens.is_empty() {
        let message = format!("{address} is not a loopback address, and there are no tokens");
        complain_at_key(value, "listen", message);
    } else {
        let message = format!("`door.listen`: other machines can reach {address} unencrypted");
        let hint = "listen on 127.0.0.1 behind a proxy that speaks TLS".to_owned();
        value.scope.note(offset_of(value, "listen"), message, Some(hint));
    }
}

fn complain_at_key(value: &Value<'_>, key: &str, message: String) {
    let message = format!("{}.{key}: {message}", value.name);
    value.scope.report(offset_of(value, key), message, None);
}

fn offset_of(value: &Value<'_>, key: &str) -> usize {
    let table = value.node.get_ref().as_table();
    table.and_then(|table| table.get(key)).map_or(value.offset(), |node| node.span().start)
}

fn tokens(value: &Value<'_>) -> Option<Box<[Token]>> {
    let DeValue::Table(table) = value.node.get_ref() else {
        value.complain_of_type(None);
        return None;
    };
    let mut tokens = Vec::new();
    for (key, node) in table {
        let name = key.get_ref().as_ref();
        if let Err(reason) = Name::parse(name) {
            let message = format!("{}: the name {name:?} {reason}", value.name);
            value.scope.report(key.span().start, message, None);
            continue;
        }
        let full = format!("{}.{name}", value.name);
        let item = Value { scope: value.scope, name: full, wants: STRING, node };
        let Some(text) = item.text() else {
            continue;
        };
        let Some(sha256) = text.strip_prefix("sha256:").and_then(sha256) else {
            // The value is not shown, because it may be the token itself.
            let message = format!("{}: is not a SHA-256 hash", item.name);
            let hint = format!("make a token with `jobctl token {name}`");
            value.scope.report(item.offset(), message, Some(hint));
            continue;
        };
        tokens.push(Token { name: name.into(), sha256 });
    }
    Some(tokens.into())
}

/// Decodes 64 hexadecimal digits.
fn sha256(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}
