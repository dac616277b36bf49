//! Where to connect now, in one place for all connections: shared ones ([`super::link`]) and those that wait
//! ([`super::wakeup`], [`super::event_watch`]).
//!
//! | servers | who is connected to | when that is asked |
//! |---|---|---|
//! | one | that one; if it is a node of a cluster, the owner of our slot | the last owner is kept; at a failure the URL's |
//! | cluster | the owner of our slot, as the first node to answer knows it | the last owner is kept; at a failure all nodes of the URL |
//! | sentinels | the primary that most sentinels name, if it says itself that it is one | at every connection |
//!
//! A cluster. All keys have the one hash tag of the prefix, so one slot holds them and one node owns them:
//! its address is all there is to know. It is found by asking for a key in the slot; a node that does not own
//! it says who does (`MOVED`). A replica says so as well, so none is ever read from or written to.
//!
//! While the slot is moved to another node, a script would see the keys that are still here and not those
//! that have gone. A script that writes therefore names one key more than it uses, the [`Target::guard`], that
//! never exists: Redis then refuses the whole script (`ASK`, `TRYAGAIN`), before its first write, until the
//! move has ended. `ASK` is not followed: at the new node the same holds for the keys that have not come yet.
//!
//! A failover. A connection that breaks, hangs for [`super::link::CALL_LIMIT`] or refuses writes is given up
//! and the table above asked again; who waits on a connection of its own is told by [`Target::moves`].

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use deadpool_redis::redis::{
    ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisConnectionInfo, RedisError,
    ServerErrorKind, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use futures_util::future::{join_all, select_ok};
use tokio::{sync::watch, time::timeout};

use super::{
    dial::{CONNECT_LIMIT, greeting, is_closed_at_once, open, silent, why_closed},
    error::Place,
    trouble::{NO_HASH_TAG, NO_PRIMARY},
};
use crate::{
    config::{RedisAccess, RedisServers, RedisUrl, has_hash_tag},
    store::StoreError,
};

/// How long one sentinel may take to answer.
const SENTINEL_LIMIT: Duration = Duration::from_millis(500);
/// From node to node of a cluster; one is usual, two are a cluster that is just learning of a move.
const MOST_HOPS: usize = 4;

/// The servers of a store, and the one that counts.
pub(super) struct Target {
    pub place: Place,
    servers: RedisServers,
    /// One server, nodes of a cluster or sentinels; with what they need to let us in.
    nodes: Vec<ConnectionInfo>,
    /// User, password and database of the server itself.
    login: RedisConnectionInfo,
    access: RedisAccess,
    /// A key behind the prefix that never exists.
    guard: String,
    tagged: bool,
    /// Where the last connection was made to, if not to what the URL names.
    led_to: Mutex<Option<ConnectionAddr>>,
    moves: watch::Sender<Option<String>>,
}

impl Target {
    /// The URL without a word of it in the error: it may hold a password, also where it cannot be parsed.
    pub fn new(url: &str, prefix: &str, access: RedisAccess) -> Result<Self, StoreError> {
        let invalid = |why: String| StoreError::Invalid(format!("the Redis URL cannot be used: it {why}"));
        let url = RedisUrl::parse(url).map_err(invalid)?;
        let nodes = url.nodes.iter().map(|node| node.as_str().into_connection_info());
        let nodes: Vec<ConnectionInfo> = nodes
            .collect::<Result<_, RedisError>>()
            .map_err(|error| invalid(format!("is not understood ({})", error.category())))?;
        let Some(first) = nodes.first() else { return Err(invalid("names no host".to_owned())) };
        let login = first.redis_settings().clone();
        let secrets = [
            login.password().map(str::to_owned),
            access.sentinel_password.as_ref().map(|password| password.expose().to_owned()),
        ];
        let hosts: Vec<String> = nodes.iter().map(|node| node.addr().to_string()).collect();
        let hosts = hosts.join(",");
        let shown = match &url.servers {
            RedisServers::One => hosts,
            RedisServers::Cluster => format!("cluster {hosts}"),
            RedisServers::Sentinels { primary } => format!("sentinels {hosts}, primary {primary}"),
        };
        Ok(Self {
            place: Place { shown, secrets: secrets.into_iter().flatten().collect(), ..Place::default() },
            servers: url.servers,
            nodes,
            login,
            access,
            guard: format!("{prefix}pf:guard"),
            tagged: has_hash_tag(prefix),
            led_to: Mutex::default(),
            moves: watch::Sender::new(None),
        })
    }

    /// The number of the database.
    pub fn database(&self) -> i64 {
        self.login.db()
    }

    pub fn servers(&self) -> &RedisServers {
        &self.servers
    }

    pub fn is_encrypted(&self) -> bool {
        matches!(self.nodes.first().map(ConnectionInfo::addr), Some(ConnectionAddr::TcpTls { .. }))
    }

    /// The key that a writing script names beside its own, where the store may lie in a cluster.
    pub fn guard(&self) -> Option<&str> {
        self.tagged.then_some(self.guard.as_str())
    }

    /// Changes when connections lead to another server than before.
    pub fn moves(&self) -> watch::Receiver<Option<String>> {
        self.moves.subscribe()
    }

    /// Makes a connection to the server that counts now, within [`CONNECT_LIMIT`] for each that has to be
    /// asked. Every caller has a limit for replies of its own, and drops the connection when it is reached.
    pub async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        if let RedisServers::Sentinels { primary } = &self.servers {
            let address = self.ask_sentinels(primary).await?;
            let connection = self.reach(&address).await?;
            self.remember(address);
            return Ok(connection);
        }
        let led_to = self.led_to().clone();
        let is_only = |address: &ConnectionAddr| self.nodes.len() == 1 && self.nodes[0].addr() == address;
        if let Some(address) = led_to.filter(|address| !is_only(address)) {
            match self.follow_from(address).await {
                Ok(connection) => return Ok(connection),
                // The node may be gone for good; those of the URL know better.
                Err(_) => *self.led_to() = None,
            }
        }
        let tries = self.nodes.iter().map(|node| Box::pin(self.follow_from(node.addr().clone())));
        let (connection, _) = select_ok(tries).await?;
        Ok(connection)
    }

    /// Where a node sent us, so that the next connection begins there. `false`: to no address.
    pub fn sent_elsewhere(&self, error: &RedisError) -> bool {
        let Some(from) = self.led_to().clone().or_else(|| self.nodes.first().map(|node| node.addr().clone()))
        else {
            return false;
        };
        let address = redirected(error, &from);
        let found = address.is_some();
        if let Some(address) = address {
            self.remember(address);
        }
        found
    }

    /// Connects to a node and from there to the owner of our slot.
    async fn follow_from(&self, mut address: ConnectionAddr) -> Result<MultiplexedConnection, RedisError> {
        for _ in 0..MOST_HOPS {
            match self.reach(&address).await {
                Ok(connection) => {
                    self.remember(address);
                    return Ok(connection);
                }
                Err(error) => match redirected(&error, &address) {
                    Some(next) if self.tagged => address = next,
                    Some(_) => return Err(no_hash_tag()),
                    None => return Err(error),
                },
            }
        }
        let last = address.to_string();
        Err((ErrorKind::Client, "sent from one node of the cluster to the next", last).into())
    }

    fn remember(&self, address: ConnectionAddr) {
        let shown = address.to_string();
        *self.led_to() = Some(address);
        self.moves.send_if_modified(|last| {
            if last.as_ref() == Some(&shown) {
                return false;
            }
            let moved = last.is_some();
            if moved {
                log::info!("Redis at {}: connecting to {shown} from now on", self.place.shown);
            }
            *last = Some(shown);
            moved
        });
    }

    /// A connection to this server, once it has let us in and is the right one.
    async fn reach(&self, address: &ConnectionAddr) -> Result<MultiplexedConnection, RedisError> {
        let mut connection = match open(address, &self.access).await {
            Err(error) if is_closed_at_once(&error) => return Err(why_closed(address, &error).await),
            opened => opened?,
        };
        let mut greeting = greeting(self.login.username(), self.login.password());
        if self.login.db() != 0 {
            greeting.cmd("SELECT").arg(self.login.db());
        }
        let logged_in = greeting.len();
        let sentinels = matches!(self.servers, RedisServers::Sentinels { .. });
        if !self.tagged {
            greeting.cmd("INFO").arg("cluster");
        }
        match sentinels {
            true => greeting.cmd("ROLE"),
            false => greeting.cmd("EXISTS").arg(&self.guard),
        };
        let answers = timeout(CONNECT_LIMIT, connection.req_packed_commands(&greeting, 0, greeting.len()));
        let answers = match answers.await.map_err(|_| silent())? {
            Err(error) if is_closed_at_once(&error) => return Err(why_closed(address, &error).await),
            answers => answers?,
        };
        for (nth, answer) in answers.into_iter().enumerate() {
            match answer.extract_error() {
                Err(error) if nth < logged_in || !self.may_pass(&error) => return Err(error),
                // Not allowed to ask, or no such question: it will do.
                Err(_) => {}
                Ok(Value::Array(role)) if sentinels && !is_primary(&role) => {
                    let why = format!("the sentinels name {address}, which is a replica");
                    return Err((ErrorKind::Client, NO_PRIMARY, why).into());
                }
                Ok(Value::BulkString(info))
                    if String::from_utf8_lossy(&info).contains("cluster_enabled:1") =>
                {
                    return Err(no_hash_tag());
                }
                Ok(_) => {}
            }
        }
        Ok(connection)
    }

    /// Whether what was asked at the beginning says nothing against the server: `ASK` is the answer of an owner.
    fn may_pass(&self, error: &RedisError) -> bool {
        let not_now = [ServerErrorKind::Moved, ServerErrorKind::ClusterDown, ServerErrorKind::MasterDown];
        let refused = [Some("NOAUTH"), Some("LOADING")].contains(&error.code());
        let full = error.to_string().contains("max number of clients");
        !refused && !full && !not_now.iter().any(|kind| error.kind() == ErrorKind::Server(*kind))
    }

    /// The address that most sentinels name.
    async fn ask_sentinels(&self, primary: &str) -> Result<ConnectionAddr, RedisError> {
        let asked = self.nodes.iter().map(|sentinel| async {
            let ask = self.ask_sentinel(sentinel.addr(), primary);
            timeout(SENTINEL_LIMIT, ask).await.unwrap_or_else(|_| Err(silent()))
        });
        let answers = join_all(asked).await;
        let named: Vec<&ConnectionAddr> = answers.iter().flatten().flatten().collect();
        let votes = |address: &ConnectionAddr| named.iter().filter(|other| **other == address).count();
        // With equal votes the one that was named first.
        if let Some(most) = named.iter().rev().max_by_key(|address| votes(address)) {
            return Ok((*most).clone());
        }
        let unknown = answers.iter().any(Result::is_ok);
        match answers.into_iter().find_map(Result::err) {
            Some(error) if !unknown => Err(error),
            _ => Err((ErrorKind::Client, NO_PRIMARY, format!("no sentinel knows {primary}")).into()),
        }
    }

    /// Whom one sentinel takes for the primary; `None` if it knows none of that name.
    async fn ask_sentinel(
        &self,
        sentinel: &ConnectionAddr,
        primary: &str,
    ) -> Result<Option<ConnectionAddr>, RedisError> {
        let mut connection = open(sentinel, &self.access).await?;
        let password = self.access.sentinel_password.as_ref().map(|password| password.expose());
        let mut question = greeting(None, password);
        question.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(primary);
        let answers = connection.req_packed_commands(&question, 0, question.len()).await?;
        let answers = answers.into_iter().map(Value::extract_error).collect::<Result<Vec<_>, _>>()?;
        let Some(Value::Array(parts)) = answers.last() else { return Ok(None) };
        let [Value::BulkString(host), Value::BulkString(port)] = parts.as_slice() else { return Ok(None) };
        let port = String::from_utf8_lossy(port).parse().unwrap_or_default();
        Ok(Some(beside(sentinel, &String::from_utf8_lossy(host), port)))
    }

    fn led_to(&self) -> MutexGuard<'_, Option<ConnectionAddr>> {
        self.led_to.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Another server, spoken to in the same way.
fn beside(known: &ConnectionAddr, host: &str, port: u16) -> ConnectionAddr {
    let host = host.to_owned();
    match known {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
        }
        _ => ConnectionAddr::Tcp(host, port),
    }
}

/// Where `MOVED` leads to. A node that does not know its own name leaves it out: it means the same host.
fn redirected(error: &RedisError, from: &ConnectionAddr) -> Option<ConnectionAddr> {
    if error.kind() != ErrorKind::Server(ServerErrorKind::Moved) {
        return None;
    }
    let (host, port) = error.redirect_node()?.0.rsplit_once(':')?;
    let host = match (host.trim_matches(['[', ']']), from) {
        ("" | "?", ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. }) => host,
        ("" | "?", _) => return None,
        (host, _) => host,
    };
    Some(beside(from, host, port.parse().ok()?))
}

fn is_primary(role: &[Value]) -> bool {
    matches!(role.first(), Some(Value::BulkString(role)) if role == b"master")
}

fn no_hash_tag() -> RedisError {
    (ErrorKind::Client, NO_HASH_TAG, "REDIS_PREFIX has no hash tag".to_owned()).into()
}
