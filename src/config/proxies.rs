//! Which proxies in front of the server are believed when they say who the client is.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

/// The most entries of `TRUSTED_PROXIES`.
const MOST: usize = 64;
/// The most proxies in a row.
const MOST_HOPS: usize = 16;

/// `TRUSTED_PROXIES`: whose word about the client's address is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum TrustedProxies {
    /// Nobody's: the client is whoever connects.
    #[default]
    Nobody,
    /// So many proxies stand in a row in front of the server, and nobody can reach it past them.
    Hops(usize),
    /// Proxies with these addresses.
    Networks(Vec<IpNet>),
    /// The edge of Railway, which connects from 100.64.0.0/10 and names the client in `X-Real-IP`.
    Railway,
}

impl TrustedProxies {
    pub(super) fn parse(text: String) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "none" => return Ok(Self::Nobody),
            "railway" => return Ok(Self::Railway),
            _ => {}
        }
        if let Ok(hops) = text.parse::<usize>() {
            return match hops {
                0 => Ok(Self::Nobody),
                1..=MOST_HOPS => Ok(Self::Hops(hops)),
                _ => Err(format!("can be at most {MOST_HOPS} proxies in a row")),
            };
        }
        networks(&text).map(Self::Networks).map_err(|why| {
            format!(
                "must be a number of proxies, none, railway, or a list such as 127.0.0.1,10.0.0.0/8: {why}"
            )
        })
    }

    /// Whether a proxy is believed that connects from here.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        match self {
            Self::Nobody => false,
            Self::Hops(_) => true,
            Self::Networks(networks) => networks.iter().any(|network| network.contains(&peer)),
            Self::Railway => IpNet::V4(RAILWAY).contains(&peer),
        }
    }
}

const RAILWAY: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10);

/// A list of addresses and networks in CIDR form, separated by commas.
pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    let entries: Vec<_> = text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect();
    if entries.is_empty() || entries.len() > MOST {
        return Err(format!("it takes 1 to {MOST} entries"));
    }
    entries.into_iter().map(network).collect()
}

fn network(entry: &str) -> Result<IpNet, String> {
    let address = entry.parse::<IpAddr>().map(|ip| IpNet::from(ip.to_canonical()));
    let network = address.or_else(|_| entry.parse::<IpNet>());
    network.map(|net| net.trunc()).map_err(|_| format!("{entry} is no address and no network"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<TrustedProxies, String> {
        TrustedProxies::parse(text.to_owned())
    }

    #[test]
    fn it_is_a_count_a_name_or_a_list() {
        assert_eq!(parse("0"), Ok(TrustedProxies::Nobody));
        assert_eq!(parse("None"), Ok(TrustedProxies::Nobody));
        assert_eq!(parse("2"), Ok(TrustedProxies::Hops(2)));
        assert_eq!(parse("railway"), Ok(TrustedProxies::Railway));
        let TrustedProxies::Networks(list) = parse("127.0.0.1, 10.1.2.3/8,::1").unwrap() else { panic!() };
        assert_eq!(
            list.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["127.0.0.1/32", "10.0.0.0/8", "::1/128"]
        );
        for bad in ["17", "-1", "10.0.0.0/33", "proxy.local", ",", "10.0.0.1;10.0.0.2"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_what_is_named_is_trusted() {
        let list = parse("10.0.0.0/8,fd00::/8").unwrap();
        for (ip, trusted) in
            [("10.9.9.9", true), ("::ffff:10.9.9.9", true), ("fd12::1", true), ("11.0.0.1", false)]
        {
            assert_eq!(list.trusts(ip.parse().unwrap()), trusted, "{ip}");
        }
        let railway = TrustedProxies::Railway;
        assert!(railway.trusts("100.64.0.3".parse().unwrap()));
        assert!(
            !railway.trusts("fd12::1".parse().unwrap()) && !railway.trusts("100.128.0.1".parse().unwrap())
        );
        assert!(!TrustedProxies::Nobody.trusts("127.0.0.1".parse().unwrap()));
    }
}
