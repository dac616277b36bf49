//! The address of Redis: one server, the seeds of a cluster, or sentinels that know the primary.
//!
//! | form | means |
//! |---|---|
//! | `redis://[user:password@]host[:6379][/db]` | one server; also one node of a cluster |
//! | `redis-cluster://[user:password@]host[:6379],host…` | nodes of a cluster that are asked who owns our slot |
//! | `redis-sentinel://[user:password@]host[:26379],host…/primary[/db]` | sentinels, and the name they know the primary by |
//! | `unix:///path` | a socket of this machine |
//!
//! `rediss…` for the first three is TLS, to sentinels as well. User and password are the servers'; the
//! sentinels have a setting of their own. Special characters in them are percent-encoded. No text of a problem repeats the address: it may hold a password.

use reqwest::Url;

/// What an address names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisServers {
    /// One server.
    One,
    /// Any nodes of a cluster.
    Cluster,
    /// Sentinels, and the name of the primary.
    Sentinels { primary: String },
}

/// An address of Redis, taken apart.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    pub servers: RedisServers,
    /// An address for each host, with user, password and number of the database: `redis://…`, `rediss://…`
    /// or that of a socket. Those of sentinels hold what is meant for the primary.
    pub nodes: Vec<String>,
    pub tls: bool,
}

const SCHEMES: &str = "must begin with redis://, rediss://, redis-cluster://, redis-sentinel:// or unix://";
const ONE: &str = "must be an address such as redis://user:password@host:6379/0, with rediss:// for TLS";
const CLUSTER: &str = "must be an address such as redis-cluster://user:password@host1:6379,host2:6379 (a cluster has no databases)";
const SENTINELS: &str =
    "must be an address such as redis-sentinel://user:password@host1:26379,host2:26379/mymaster";

impl RedisUrl {
    /// Takes an address apart; the error says what one has to look like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(SCHEMES.to_owned());
        };
        match scheme.replace('+', "-").as_str() {
            "unix" | "redis-unix" => {
                Ok(Self { servers: RedisServers::One, nodes: vec![text.to_owned()], tls: false })
            }
            "redis" => Self::one(text, rest, false),
            "rediss" => Self::one(text, rest, true),
            "redis-cluster" => Self::cluster(rest, false),
            "rediss-cluster" => Self::cluster(rest, true),
            "redis-sentinel" => Self::sentinels(rest, false),
            "rediss-sentinel" => Self::sentinels(rest, true),
            _ => Err(SCHEMES.to_owned()),
        }
    }

    fn one(text: &str, rest: &str, tls: bool) -> Result<Self, String> {
        let hosts = Parts::of(rest).hosts;
        if hosts.contains(',') {
            return Err("names several hosts: say redis-cluster://host1,host2 for a cluster, \
                        redis-sentinel://host1,host2/mymaster for sentinels"
                .to_owned());
        }
        if !is_address(text) {
            return Err(ONE.to_owned());
        }
        Ok(Self { servers: RedisServers::One, nodes: vec![text.to_owned()], tls })
    }

    fn cluster(rest: &str, tls: bool) -> Result<Self, String> {
        let parts = Parts::of(rest);
        if !matches!(parts.path, "" | "0") {
            return Err(CLUSTER.to_owned());
        }
        let nodes = parts.nodes(tls, "", "6379").ok_or(CLUSTER)?;
        Ok(Self { servers: RedisServers::Cluster, nodes, tls })
    }

    fn sentinels(rest: &str, tls: bool) -> Result<Self, String> {
        let parts = Parts::of(rest);
        let (primary, database) = parts.path.split_once('/').unwrap_or((parts.path, ""));
        if primary.is_empty() {
            return Err(SENTINELS.to_owned());
        }
        let nodes = parts.nodes(tls, database, "26379").ok_or(SENTINELS)?;
        Ok(Self { servers: RedisServers::Sentinels { primary: primary.to_owned() }, nodes, tls })
    }
}

impl std::fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisUrl")
            .field("servers", &self.servers)
            .field("nodes", &self.nodes.len())
            .field("tls", &self.tls)
            .finish()
    }
}

/// What stands behind `://`.
struct Parts<'a> {
    /// `user:password@`, or nothing.
    login: &'a str,
    hosts: &'a str,
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    fn of(rest: &'a str) -> Self {
        let (rest, query) = rest.find('?').map_or((rest, ""), |at| rest.split_at(at));
        // Whatever stands in a password is percent-encoded, but for an @ that many forget.
        let (login, rest) = rest.rfind('@').map_or(("", rest), |at| rest.split_at(at + 1));
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        Self { login, hosts, path: path.trim_end_matches('/'), query }
    }

    /// An address for each host; `None` where one is none.
    fn nodes(&self, tls: bool, database: &str, port: &str) -> Option<Vec<String>> {
        let scheme = if tls { "rediss" } else { "redis" };
        let node = |host: &str| {
            let bare = host.rsplit_once(']').map_or(host, |(_, behind)| behind);
            let port = if bare.contains(':') { String::new() } else { format!(":{port}") };
            format!("{scheme}://{}{host}{port}/{database}{}", self.login, self.query)
        };
        let nodes: Vec<String> = self.hosts.split(',').map(str::trim).map(node).collect();
        nodes.iter().all(|node| is_address(node)).then_some(nodes)
    }
}

/// Whether this is an address with a host, and nothing but the number of a database for its path.
fn is_address(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let path = url.path().trim_matches('/');
    let database = path.is_empty() || path.parse::<u32>().is_ok();
    url.host_str().is_some_and(|host| !host.is_empty()) && database && url.fragment().is_none()
}

/// Whether all keys behind this prefix fall into one slot of a cluster: what stands between its first `{` and
/// the next `}` decides alone.
pub fn has_hash_tag(prefix: &str) -> bool {
    let tag = prefix.split_once('{').and_then(|(_, behind)| behind.split_once('}'));
    tag.is_some_and(|(tag, _)| !tag.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn parsed(text: &str) -> RedisUrl {
        RedisUrl::parse(text).unwrap()
    }

    #[test]
    fn every_form_is_read() {
        let url = parsed("redis://u:p@h:1/2");
        assert_eq!((url.servers, url.tls), (RedisServers::One, false));
        assert_eq!(url.nodes, ["redis://u:p@h:1/2"]);
        assert!(parsed("rediss://h").tls);
        assert_eq!(parsed("unix:///run/redis.sock").nodes, ["unix:///run/redis.sock"]);
        let url = parsed("rediss-cluster://u:p%2C@h1:1,h2,[::1]:3,[::1]/0");
        assert_eq!((url.servers, url.tls), (RedisServers::Cluster, true));
        let nodes = ["h1:1", "h2:6379", "[::1]:3", "[::1]:6379"].map(|h| format!("rediss://u:p%2C@{h}/"));
        assert_eq!(url.nodes, nodes);
        let url = parsed("redis-sentinel://:p@h1:1,h2/mymaster/3");
        assert_eq!(url.servers, RedisServers::Sentinels { primary: "mymaster".to_owned() });
        assert_eq!(url.nodes, ["redis://:p@h1:1/3", "redis://:p@h2:26379/3"]);
        assert_eq!(parsed("redis+sentinel://h/m").nodes, ["redis://h:26379/"]);
    }

    #[test]
    fn what_is_no_address_is_told_without_its_password() {
        for (text, expected) in [
            ("hush@host", "must begin with redis://"),
            ("http://:hush@host", SCHEMES),
            ("redis://:hush@", "must be an address such as redis://user"),
            ("redis://:hush@h:port", "must be an address such as redis://user"),
            ("redis://:hush@h/zero", "must be an address such as redis://user"),
            ("rediss://:hush@h#insecure", "must be an address such as redis://user"),
            ("redis://:hush@h1,h2", "names several hosts"),
            ("redis-cluster://:hush@h1,,h2", "must be an address such as redis-cluster://"),
            ("redis-cluster://:hush@h1/1", "must be an address such as redis-cluster://"),
            ("redis-sentinel://:hush@h1,h2", "must be an address such as redis-sentinel://"),
            ("redis-sentinel://:hush@h1/m/x", "must be an address such as redis-sentinel://"),
        ] {
            let problem = RedisUrl::parse(text).unwrap_err();
            assert!(problem.starts_with(expected), "{text}: {problem}");
            assert!(!problem.contains("hush"), "{problem}");
        }
        assert!(!format!("{:?}", parsed("redis://:hush@h")).contains("hush"));
    }

    #[test]
    fn a_hash_tag_is_what_redis_takes_for_one() {
        for tagged in ["{pf}:", "a{b}c", "{a}{}"] {
            assert!(has_hash_tag(tagged), "{tagged}");
        }
        for untagged in ["", "pf:", "{}pf:", "{pf", "}{"] {
            assert!(!has_hash_tag(untagged), "{untagged}");
        }
    }
}
