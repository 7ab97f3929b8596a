//! Checks that a request is meant for this door and does not come from another site's page.
//!
//! A browser lends its user's rights to every page it shows, and another site can point its name at
//! this machine (DNS rebinding). So over TCP `Host` must be an address that the door listens on,
//! and a request from a page must come from one of the door's own pages.

use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;
use hyper::header::{HOST, ORIGIN};

use super::problem::{Kind, Problem, Result};

/// The port of a `Host` without one.
const DEFAULT_PORT: u16 = 80;

/// The kind of socket that a request arrived on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// A unix socket, which no browser can use.
    Unix,
    /// A TCP socket, with its local address.
    Tcp(SocketAddr),
}

impl Way {
    /// Returns whether other machines can reach this socket.
    pub(super) fn is_from_elsewhere(self) -> bool {
        match self {
            Self::Unix => false,
            Self::Tcp(own) => !own.ip().to_canonical().is_loopback(),
        }
    }
}

/// Refuses a request that is not meant for this door. One with a token (`has_token`) cannot come
/// from another site's page, which does not know any.
pub(super) fn check(way: Way, headers: &HeaderMap, has_token: bool) -> Result<()> {
    let Way::Tcp(own) = way else {
        return Ok(());
    };
    let host = one(headers, HOST.as_str())?;
    if host.is_none() {
        return Err(Problem::new(Kind::WrongHost, "the Host header is missing"));
    }
    if !host.is_some_and(|host| is_own(host, own)) {
        let host = host.unwrap_or_default();
        return Err(Problem::new(
            Kind::WrongHost,
            format!("Host `{host}`: not an address of this server"),
        )
        .hint(format!("use http://{own}/")));
    }
    if has_token {
        return Ok(());
    }
    let is_same = match (one(headers, "sec-fetch-site")?, one(headers, ORIGIN.as_str())?) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => origin.strip_prefix("http://") == host,
        (None, None) => true,
    };
    if !is_same {
        return Err(Problem::new(
            Kind::CrossOrigin,
            "the request comes from a page of another site",
        ));
    }
    Ok(())
}

/// Returns the value of a header, which may be given only once.
fn one<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    match (first.map(|value| value.to_str()), second) {
        (None, _) => Ok(None),
        (Some(Ok(value)), None) => Ok(Some(value)),
        (Some(_), _) => {
            Err(Problem::new(Kind::BadRequest, format!("`{name}` is given twice or is not text")))
        }
    }
}

/// Returns whether `Host` is the address that the client connected to.
fn is_own(host: &str, own: SocketAddr) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        // A colon inside brackets belongs to an IPv6 address.
        Some((name, port)) if !port.ends_with(']') => match port.parse() {
            Ok(port) => (name, port),
            Err(_) => return false,
        },
        Some(_) | None => (host, DEFAULT_PORT),
    };
    let ip = own.ip().to_canonical();
    if port != own.port() {
        return false;
    }
    if name.eq_ignore_ascii_case("localhost") {
        return ip.is_loopback();
    }
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    bare.parse::<IpAddr>().is_ok_and(|named| named.to_canonical() == ip)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_host_is_the_address_that_was_connected_to() {
        for (host, own, is_it) in [
            ("127.0.0.1:7070", "127.0.0.1:7070", true),
            ("localhost:7070", "127.0.0.1:7070", true),
            ("LocalHost:7070", "[::1]:7070", true),
            ("[::1]:7070", "[::1]:7070", true),
            ("[::1]", "[::1]:80", true),
            ("10.0.0.1", "10.0.0.1:80", true),
            ("10.0.0.1:7070", "[::ffff:10.0.0.1]:7070", true),
            ("localhost:7070", "10.0.0.1:7070", false),
            ("127.0.0.1", "127.0.0.1:7070", false),
            ("127.0.0.1:7071", "127.0.0.1:7070", false),
            ("127.0.0.2:7070", "127.0.0.1:7070", false),
            ("evil.example:7070", "127.0.0.1:7070", false),
            ("127.0.0.1.evil.example:7070", "127.0.0.1:7070", false),
            ("", "127.0.0.1:80", false),
            (":80", "127.0.0.1:80", false),
        ] {
            assert_eq!(is_own(host, own.parse().unwrap()), is_it, "{host} {own}");
        }
    }

    #[test]
    fn a_page_of_elsewhere_is_refused_and_a_token_is_no_page() {
        let own = Way::Tcp("127.0.0.1:7070".parse().unwrap());
        let host = ("host", "127.0.0.1:7070");
        for (more, is_fine) in [
            (&[][..], true),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("origin", "http://127.0.0.1:7070")], true),
            (&[("origin", "http://evil.example")], false),
            (&[("origin", "https://127.0.0.1:7070")], false),
            (&[("origin", "null")], false),
            (&[("origin", "http://127.0.0.1:7070"), ("origin", "http://evil.example")], false),
        ] {
            let headers = headers(&[&[host], more].concat());
            assert_eq!(check(own, &headers, false).is_ok(), is_fine, "{more:?}");
        }
        let foreign = headers(&[host, ("origin", "http://evil.example")]);
        assert_eq!(check(own, &foreign, true), Ok(()));
        let elsewhere = headers(&[("host", "evil.example")]);
        assert_eq!(check(own, &elsewhere, true).unwrap_err().kind, Kind::WrongHost);
        let missing = Problem::new(Kind::WrongHost, "the Host header is missing");
        assert_eq!(check(own, &HeaderMap::new(), true), Err(missing));
        assert_eq!(check(Way::Unix, &elsewhere, false), Ok(()));
    }
}
