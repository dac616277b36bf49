//! Who the client is, when proxies stand in between. The one place that looks at their headers.
//!
//! A header is a claim. What the nearest proxy has added to `X-Forwarded-For` stands at its right end, whatever a
//! client has put there before; so it is read from the right, and only as far as the proxies reach that are
//! trusted (`TRUSTED_PROXIES`). What they say nothing sane about is the proxy's own request.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use actix_web::{
    HttpMessage,
    http::header::{HeaderMap, HeaderName},
};

use crate::config::TrustedProxies;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
/// How many entries of `X-Forwarded-For` are looked at.
const MOST_HOPS: usize = 32;

/// Where a request comes from; the outermost middleware puts it into the request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Client {
    /// `None` when the connection has no address.
    pub ip: Option<IpAddr>,
    /// A trusted proxy says that it was spoken to by HTTPS.
    pub https: bool,
    /// Whoever connects speaks for others, and is not trusted to.
    pub unknown_proxy: bool,
}

impl Client {
    /// From the connection and what stands in the headers.
    pub fn find(peer: Option<SocketAddr>, headers: &HeaderMap, trusted: &TrustedProxies) -> Self {
        let Some(peer) = peer.map(|peer| peer.ip().to_canonical()) else { return Self::default() };
        if !trusted.trusts(peer) {
            let unknown_proxy = headers.contains_key(X_FORWARDED_FOR);
            return Self { ip: Some(peer), https: false, unknown_proxy };
        }
        let ip = match trusted {
            TrustedProxies::Nobody => peer,
            TrustedProxies::Railway => {
                headers.get(X_REAL_IP).and_then(|value| address(value.to_str().ok()?)).unwrap_or(peer)
            }
            // Fewer entries than proxies: somebody came past them, and may claim what he likes.
            TrustedProxies::Hops(hops) => from_the_right(headers).nth(hops - 1).flatten().unwrap_or(peer),
            TrustedProxies::Networks(_) => nearest_stranger(peer, headers, trusted),
        };
        let proto = headers.get(X_FORWARDED_PROTO).and_then(|value| value.to_str().ok());
        let https = proto
            .and_then(|proto| proto.split(',').next())
            .is_some_and(|first| first.trim().eq_ignore_ascii_case("https"));
        Self { ip: Some(ip), https, unknown_proxy: false }
    }
}

/// Where this request comes from.
pub fn of(request: &impl HttpMessage) -> Client {
    request.extensions().get::<Client>().copied().unwrap_or_default()
}

/// One person has a whole /64 of IPv6 addresses: who counts by address counts by this.
pub fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

/// The first address on the way back to the client that is no trusted proxy.
fn nearest_stranger(peer: IpAddr, headers: &HeaderMap, trusted: &TrustedProxies) -> IpAddr {
    let mut last = peer;
    for hop in from_the_right(headers) {
        match hop {
            Some(ip) if trusted.trusts(ip) => last = ip,
            Some(ip) => return ip,
            None => return last,
        }
    }
    last
}

/// The entries of `X-Forwarded-For`, the nearest first; `None` for what is no address.
fn from_the_right(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let lines: Vec<&str> =
        headers.get_all(X_FORWARDED_FOR).map(|line| line.to_str().unwrap_or("?")).collect();
    lines.into_iter().rev().flat_map(|line| line.rsplit(',')).take(MOST_HOPS).map(address)
}

/// An address as proxies write it: bare, with a port, in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok();
    bare.or_else(with_port).or_else(in_brackets).map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn client(peer: &str, headers: &[(&'static str, &str)], trusted: &TrustedProxies) -> Client {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        Client::find(Some(SocketAddr::new(peer.parse().unwrap(), 1)), &map, trusted)
    }

    fn ip(peer: &str, forwarded: &str, trusted: &TrustedProxies) -> String {
        client(peer, &[("x-forwarded-for", forwarded)], trusted).ip.unwrap().to_string()
    }

    fn networks() -> TrustedProxies {
        TrustedProxies::Networks(vec!["127.0.0.1/32".parse().unwrap(), "10.0.0.0/8".parse().unwrap()])
    }

    #[test]
    fn nobody_is_believed_unless_told() {
        let nobody = client(
            "127.0.0.1",
            &[("x-forwarded-for", "9.9.9.9"), ("x-forwarded-proto", "https")],
            &TrustedProxies::Nobody,
        );
        assert_eq!(nobody, Client { ip: "127.0.0.1".parse().ok(), https: false, unknown_proxy: true });
        assert_eq!(ip("8.8.8.8", "9.9.9.9", &networks()), "8.8.8.8", "a stranger may claim what he likes");
    }

    #[test]
    fn what_a_client_claims_stands_left_of_what_proxies_add() {
        for (forwarded, expected) in [
            ("9.9.9.9", "9.9.9.9"),
            ("1.1.1.1, 9.9.9.9", "9.9.9.9"),
            ("1.1.1.1, 9.9.9.9, 10.0.0.7", "9.9.9.9"),
            ("10.0.0.5", "10.0.0.5"),
            ("9.9.9.9, unknown", "127.0.0.1"),
            ("9.9.9.9, , 10.0.0.7", "10.0.0.7"),
            ("", "127.0.0.1"),
            ("9.9.9.9:4711", "9.9.9.9"),
            ("[2001:db8::1]:80", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("::ffff:9.9.9.9", "9.9.9.9"),
        ] {
            assert_eq!(ip("127.0.0.1", forwarded, &networks()), expected, "{forwarded}");
        }
        let lines = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "9.9.9.9, 10.0.0.1")];
        assert_eq!(client("127.0.0.1", &lines, &networks()).ip.unwrap().to_string(), "9.9.9.9");
    }

    #[test]
    fn a_number_of_proxies_is_counted_from_the_right() {
        let two = TrustedProxies::Hops(2);
        assert_eq!(ip("7.7.7.7", "1.1.1.1, 9.9.9.9, 8.8.8.8", &two), "9.9.9.9");
        assert_eq!(ip("7.7.7.7", "9.9.9.9", &two), "7.7.7.7", "somebody came past them");
    }

    #[test]
    fn the_edge_of_railway_names_the_client_and_nobody_else_does() {
        let headers =
            [("x-real-ip", "9.9.9.9"), ("x-forwarded-for", "1.1.1.1"), ("x-forwarded-proto", "https")];
        let edge = client("100.64.0.3", &headers, &TrustedProxies::Railway);
        assert_eq!((edge.ip.unwrap().to_string().as_str(), edge.https), ("9.9.9.9", true));
        let neighbour = client("fd12::5", &headers, &TrustedProxies::Railway);
        assert_eq!((neighbour.ip.unwrap().to_string().as_str(), neighbour.https), ("fd12::5", false));
    }

    #[test]
    fn a_network_of_ipv6_addresses_is_one_caller() {
        let of = |ip: &str| network(ip.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }
}
