//! Calls to addresses that somebody else names: they reach the public internet and nothing else.
//!
//! A client of the API may name an address (`callback_url`). Behind such a name may stand this machine, its network, or
//! the metadata service of its cloud; a name may also resolve to something else when it is asked for the second
//! time. So the addresses are looked at *after* they were resolved, by the resolver of the connection itself
//! ([`Guard`]): what it refuses is never connected to, and there is no second look-up in between. Redirects are not
//! followed, and no proxy of the environment is used, behind which nobody could look. What the operator lets through
//! (`WEBHOOK_ALLOW`) is let through.
//!
//! Addresses that the operator names (providers, MCP servers, buckets) are his word and are not looked at.

mod addresses;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use ipnet::IpNet;
use reqwest::{
    Client, Url,
    dns::{Addrs, Name, Resolve, Resolving},
};

pub use addresses::is_public;

/// What may be reached besides the public internet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Names, in lower case.
    pub hosts: Vec<String>,
    pub networks: Vec<IpNet>,
}

impl Allowed {
    fn has_host(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        self.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
    }

    fn has_address(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        is_public(ip) || self.networks.iter().any(|network| network.contains(&ip))
    }
}

/// Refuses what is not public. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Guard {
    allowed: Arc<Allowed>,
}

impl Guard {
    pub fn new(allowed: Allowed) -> Self {
        Self { allowed: Arc::new(allowed) }
    }

    /// The address that a text names, if a call to it can be allowed at all; else why not. A name is not
    /// resolved here.
    pub fn address(&self, text: &str) -> Result<Url, String> {
        let url =
            Url::parse(text).map_err(|_| "must be an address such as https://example.com/hook".to_owned())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("must begin with https:// or http://".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not hold a user or a password: it would stand in logs".to_owned());
        }
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err("must name a host".to_owned());
        }
        if self.allowed.has_host(&host) {
            return Ok(url);
        }
        let is_refused = match host.parse::<IpAddr>() {
            Ok(ip) => !self.allowed.has_address(ip),
            Err(_) if is_loopback_name(&host) => !self.allowed.has_address(Ipv4Addr::LOCALHOST.into()),
            Err(_) => is_inner_name(&host),
        };
        match is_refused {
            true => Err(format!("must be reachable from the internet, which {host} is not")),
            false => Ok(url),
        }
    }

    /// A client that connects to nothing else.
    pub fn client(&self, timeout: Duration) -> Result<Client, reqwest::Error> {
        // Fails only when there is one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            Client::builder()
                .timeout(timeout)
                .connect_timeout(timeout)
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .dns_resolver(Arc::new(self.clone()))
                .user_agent(concat!("productforge/", env!("CARGO_PKG_VERSION")))
        };
        // Without a CA bundle no TLS client can be built, and a plain address does not need one.
        builder().build().or_else(|_| builder().tls_certs_only([]).build())
    }

    fn let_through(&self, host: &str, found: Vec<SocketAddr>) -> io::Result<Vec<SocketAddr>> {
        if self.allowed.has_host(host) {
            return Ok(found);
        }
        let (open, refused): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|address| self.allowed.has_address(address.ip()));
        match (open.is_empty(), refused.first()) {
            (true, Some(address)) => {
                // Only the operator learns what a name of this network stands for.
                log::info!(host = host, address:% = address.ip(); "an outgoing call was refused: not public");
                Err(io::Error::other(format!("{host} has an address that is not public")))
            }
            (true, None) => Err(io::Error::other(format!("{host} has no address"))),
            (false, _) => Ok(open),
        }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let open = guard.let_through(&host, found)?;
            Ok(Box::new(open.into_iter()) as Addrs)
        })
    }
}

/// Names that mean this machine whatever a resolver says.
fn is_loopback_name(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

/// Names that mean something in this network whatever a resolver says: they are allowed by name, or not.
fn is_inner_name(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    [".local", ".internal"].iter().any(|end| host.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(hosts: &[&str], networks: &[&str]) -> Guard {
        Guard::new(Allowed {
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            networks: networks.iter().map(|network| network.parse().unwrap()).collect(),
        })
    }

    #[test]
    fn what_an_address_says_by_itself_is_checked_at_once() {
        let strict = guard(&[], &[]);
        for good in [
            "https://example.com/hook",
            "http://example.com:8080/x?y=1",
            "https://1.1.1.1/",
            "https://[2606:4700::1]/",
        ] {
            assert!(strict.address(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "example.com",
            "ftp://example.com",
            "file:///etc/passwd",
            "https://user:word@example.com",
            "http://localhost:8000/",
            "http://LOCALHOST./",
            "http://a.localhost",
            "http://metadata.google.internal/",
            "http://127.0.0.1",
            "http://127.1",
            "http://2130706433",
            "http://0x7f.0.0.1",
            "http://0177.0.0.1",
            "http://0",
            "http://10.0.0.1",
            "http://169.254.169.254/latest/meta-data",
            "http://[::1]",
            "http://[::ffff:10.0.0.1]",
            "http://[fd00::1]",
        ] {
            assert!(strict.address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_the_operator_allows_is_allowed() {
        let open = guard(&["hooks.internal"], &["10.1.0.0/16", "127.0.0.0/8"]);
        for good in
            ["http://hooks.internal/x", "http://HOOKS.internal", "http://10.1.2.3", "http://localhost:9"]
        {
            assert!(open.address(good).is_ok(), "{good}");
        }
        for bad in ["http://other.internal", "http://10.2.0.1", "http://[::1]"] {
            assert!(open.address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_a_name_resolves_to_decides() {
        let addresses = |list: &[&str]| list.iter().map(|a| a.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let strict = guard(&["mine.example"], &[]);
        let private = addresses(&["10.0.0.1:0"]);
        assert!(strict.let_through("rebound.example", private.clone()).is_err());
        assert!(strict.let_through("nothing.example", Vec::new()).is_err());
        assert_eq!(strict.let_through("mine.example", private.clone()).unwrap(), private);
        let mixed = addresses(&["1.1.1.1:0", "169.254.169.254:0"]);
        assert_eq!(strict.let_through("mixed.example", mixed).unwrap(), addresses(&["1.1.1.1:0"]));
    }
}
