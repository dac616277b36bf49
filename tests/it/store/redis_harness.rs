//! Redis stores on a server of their own; time passes by moving what is stored.

use std::sync::Arc;

use async_trait::async_trait;
use deadpool_redis::redis::{Script, aio::MultiplexedConnection};
use productforge::store::{
    Store,
    redis::{RedisOptions, RedisStore},
};

use super::harness::Harness;
use crate::support::redis_server::RedisServer;

/// The suites run behind a prefix, so that a key that forgot it is noticed.
const PREFIX: &str = "{suite}:";

struct RedisHarness {
    server: RedisServer,
    connection: MultiplexedConnection,
    store: Arc<dyn Store>,
}

pub async fn redis() -> Option<Box<dyn Harness>> {
    let server = RedisServer::start();
    let connection = server.connection().await;
    let store = open(&server, PREFIX);
    Some(Box::new(RedisHarness { server, connection, store }))
}

/// A store on this server.
pub fn open(server: &RedisServer, prefix: &str) -> Arc<dyn Store> {
    let options = RedisOptions { url: server.url(), prefix: prefix.to_owned() };
    Arc::new(RedisStore::open(options).unwrap())
}

/// Moves all that waits for a time towards its time. The store itself has no handle for this.
pub async fn age(connection: &MultiplexedConnection, prefix: &str, ms: u64) {
    let script = Script::new(
        r"
        -- Removes nothing: a first write that takes no memory, so that time passes when it is full.
        redis.call('ZREM', ARGV[1] .. 'pf:leases', '')
        for _, name in ipairs({'pf:leases', 'pf:due', 'pf:expiring'}) do
            local key = ARGV[1] .. name
            for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
                redis.call('ZINCRBY', key, -ARGV[2], member)
            end
        end
        local keys = {}
        for _, packed in ipairs(redis.call('ZRANGE', ARGV[1] .. 'pf:expiring', 0, -1)) do
            for _, key in ipairs(cmsgpack.unpack(packed)) do keys[key] = true end
        end
        for key in pairs(keys) do
            local left = redis.call('PTTL', key)
            if left >= 0 then redis.call('PEXPIRE', key, string.format('%.0f', left - ARGV[2])) end
        end
        -- Nothing notes when tallies and streams end but they themselves.
        for _, kind in ipairs({'pf:tally:*', 'pf:events:*'}) do
            for _, key in ipairs(redis.call('KEYS', ARGV[1] .. kind)) do
                local left = redis.call('PTTL', key)
                if left >= 0 then redis.call('PEXPIRE', key, string.format('%.0f', left - ARGV[2])) end
            end
        end
        ",
    );
    script.arg(prefix).arg(ms).invoke_async::<()>(&mut connection.clone()).await.unwrap();
}

#[async_trait]
impl Harness for RedisHarness {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    async fn age(&self, ms: u64) {
        age(&self.connection, PREFIX, ms).await;
    }

    async fn reopen(&mut self) -> bool {
        self.store.close().await;
        self.store = open(&self.server, PREFIX);
        true
    }
}
