//! The conformance suite on Redis Clusters, behind sentinels and over TLS: the same bodies as everywhere, many
//! at once on the same servers, each behind a prefix of its own. On a cluster these are slots of all nodes.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use deadpool_redis::redis::aio::MultiplexedConnection;
use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, LocalBoxFuture},
    stream,
};
use productforge::{
    config::{RedisAccess, Secret},
    store::{
        Store,
        redis::{RedisOptions, RedisStore},
    },
};

use super::{harness::Harness, model_based, redis_harness};
use crate::support::{
    certificates::Authority,
    redis_cluster::RedisCluster,
    redis_sentinels::{RedisSentinels, SENTINEL_PASSWORD},
    redis_server::{Options, RedisServer},
};

/// Bodies at work at once.
const AT_ONCE: usize = 6;

/// One test of the suite.
pub struct Body {
    name: &'static str,
    run: for<'a> fn(&'a mut dyn Harness) -> LocalBoxFuture<'a, ()>,
}

impl Body {
    pub fn new(name: &'static str, run: for<'a> fn(&'a mut dyn Harness) -> LocalBoxFuture<'a, ()>) -> Self {
        Self { name, run }
    }
}

fn all_bodies() -> Vec<Body> {
    [
        super::audits::bodies(),
        super::claims::bodies(),
        super::conditions::bodies(),
        super::documents::bodies(),
        super::due_times::bodies(),
        super::dumps::bodies(),
        super::event_waits::bodies(),
        super::events::bodies(),
        super::expiry::bodies(),
        super::fencing::bodies(),
        super::indexes::bodies(),
        super::leases::bodies(),
        super::limits::bodies(),
        super::looking::bodies(),
        super::parking::bodies(),
        super::pausing::bodies(),
        super::pickup::bodies(),
        super::queues::bodies(),
        super::races::bodies(),
        super::reopening::bodies(),
        super::revoking::bodies(),
        super::tallies::bodies(),
        super::tally_bounds::bodies(),
        super::tally_lives::bodies(),
        super::waiting::bodies(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A store with its own prefix, on servers that others use as well.
struct Tenant {
    servers: Arc<dyn Servers>,
    connection: MultiplexedConnection,
    prefix: String,
    store: Arc<dyn Store>,
}

/// Servers that have many tenants.
trait Servers: Send + Sync {
    fn open(&self, prefix: &str) -> Arc<dyn Store>;

    /// Where the keys behind a prefix are.
    fn connection<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, MultiplexedConnection>;
}

#[async_trait]
impl Harness for Tenant {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    async fn age(&self, ms: u64) {
        redis_harness::age(&self.connection, &self.prefix, ms).await;
    }

    async fn reopen(&mut self) -> bool {
        self.store.close().await;
        self.store = self.servers.open(&self.prefix);
        true
    }
}

async fn tenant(servers: Arc<dyn Servers>) -> Tenant {
    static TENANTS: AtomicUsize = AtomicUsize::new(0);
    let prefix = format!("{{suite{}}}:", TENANTS.fetch_add(1, Ordering::Relaxed));
    let (connection, store) = (servers.connection(&prefix).await, servers.open(&prefix));
    Tenant { servers, connection, prefix, store }
}

/// Runs every body; names those that failed.
async fn conform(servers: Arc<dyn Servers>) {
    let bodies = all_bodies();
    assert!(bodies.len() > 150, "only {} bodies", bodies.len());
    let runs = bodies.into_iter().map(async |body| {
        let mut tenant = tenant(servers.clone()).await;
        let failed = AssertUnwindSafe((body.run)(&mut tenant)).catch_unwind().await.is_err();
        tenant.store.close().await;
        failed.then_some(body.name)
    });
    let failed: Vec<_> =
        stream::iter(runs).buffer_unordered(AT_ONCE).filter_map(async |name| name).collect().await;
    assert!(failed.is_empty(), "failed: {failed:#?}");
}

impl Servers for RedisCluster {
    fn open(&self, prefix: &str) -> Arc<dyn Store> {
        let options = RedisOptions { url: self.url(), prefix: prefix.to_owned() };
        Arc::new(RedisStore::open(options).unwrap())
    }

    fn connection<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, MultiplexedConnection> {
        Box::pin(async move {
            let slot = self.slot_of(prefix).await;
            RedisCluster::connection(self, Self::first_owner(slot))
        })
    }
}

impl Servers for RedisSentinels {
    fn open(&self, prefix: &str) -> Arc<dyn Store> {
        let options = RedisOptions { url: self.url(), prefix: prefix.to_owned() };
        Arc::new(RedisStore::open_with(options, sentinel_access()).unwrap())
    }

    fn connection<'a>(&'a self, _: &'a str) -> BoxFuture<'a, MultiplexedConnection> {
        Box::pin(async { self.servers[0].connection().await })
    }
}

/// What the sentinels of the tests ask for.
pub fn sentinel_access() -> RedisAccess {
    RedisAccess { sentinel_password: Some(Secret::new(SENTINEL_PASSWORD)), ..RedisAccess::default() }
}

/// A server that speaks TLS, and what is needed to trust it.
struct Encrypted {
    server: RedisServer,
    access: RedisAccess,
}

impl Servers for Encrypted {
    fn open(&self, prefix: &str) -> Arc<dyn Store> {
        let options = RedisOptions { url: self.server.url(), prefix: prefix.to_owned() };
        Arc::new(RedisStore::open_with(options, self.access.clone()).unwrap())
    }

    fn connection<'a>(&'a self, _: &'a str) -> BoxFuture<'a, MultiplexedConnection> {
        Box::pin(self.server.connection())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_holds_on_a_cluster() {
    let cluster: Arc<dyn Servers> = Arc::new(RedisCluster::start().await);
    conform(cluster.clone()).await;
    model_based::random_operations_agree_with_the_model(async || {
        Some(Box::new(tenant(cluster.clone()).await) as Box<dyn Harness>)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_holds_behind_sentinels() {
    conform(Arc::new(RedisSentinels::start("").await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_holds_over_tls() {
    let certificate = Arc::new(Authority::new().issue(&["127.0.0.1"]));
    let access = RedisAccess { ca: Some(certificate.authority()), ..RedisAccess::default() };
    let server = RedisServer::start_with(Options { tls: Some(certificate), ..Options::default() });
    conform(Arc::new(Encrypted { server, access })).await;
}
