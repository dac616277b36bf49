//! A primary, a replica and three sentinels of a test's own.

use deadpool_redis::redis::{Client, aio::MultiplexedConnection, cmd};

use super::{
    redis_server::{Options, RedisServer},
    wait::until,
};

/// What the sentinels call the primary.
pub const PRIMARY: &str = "mymaster";
/// What they ask for.
pub const SENTINEL_PASSWORD: &str = "watch-out";

pub struct RedisSentinels {
    /// The primary at the beginning, and the replica.
    pub servers: [RedisServer; 2],
    sentinels: Vec<RedisServer>,
}

impl RedisSentinels {
    /// The servers get these further arguments.
    pub async fn start(arguments: &str) -> Self {
        let options = |more: String| {
            let words = format!("--repl-diskless-sync-delay 0 {arguments} {more}");
            let arguments = words.split_whitespace().map(str::to_owned).collect();
            Options { arguments, ..Options::default() }
        };
        let primary = RedisServer::start_with(options(String::new()));
        let replicaof = format!("--replicaof 127.0.0.1 {}", primary.port());
        let replica = RedisServer::start_with(options(replicaof));
        let connection = replica.connection().await;
        until("the replica follows", || async {
            let mut info = cmd("INFO");
            let info: String = info.arg("replication").query_async(&mut connection.clone()).await.unwrap();
            info.contains("master_link_status:up").then_some(())
        })
        .await;
        let port = primary.port();
        let configuration = format!(
            "requirepass {SENTINEL_PASSWORD}\n\
             sentinel monitor {PRIMARY} 127.0.0.1 {port} 2\n\
             sentinel down-after-milliseconds {PRIMARY} 1000\n\
             sentinel failover-timeout {PRIMARY} 5000\n"
        );
        let sentinel = || {
            RedisServer::start_with(Options { sentinel: Some(configuration.clone()), ..Options::default() })
        };
        let sentinels = Self { servers: [primary, replica], sentinels: (0..3).map(|_| sentinel()).collect() };
        sentinels.agree().await;
        sentinels
    }

    /// The address for `REDIS_URL`.
    pub fn url(&self) -> String {
        let hosts = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port()));
        format!("redis-sentinel://{}/{PRIMARY}", hosts.collect::<Vec<_>>().join(","))
    }

    /// Has the sentinels make the replica the primary.
    pub async fn fail_over(&self) {
        let mut ask = cmd("SENTINEL");
        ask.arg("FAILOVER").arg(PRIMARY);
        ask.query_async::<()>(&mut connect(&self.sentinels[0]).await).await.unwrap();
    }

    /// Until every sentinel knows the others and the replica: then they can elect one.
    async fn agree(&self) {
        for sentinel in &self.sentinels {
            let connection = connect(sentinel).await;
            until("the sentinels have found each other", || async {
                let mut ask = cmd("INFO");
                let info: String = ask.arg("sentinel").query_async(&mut connection.clone()).await.unwrap();
                let known = ["status=ok", "slaves=1", "sentinels=3"].iter().all(|words| info.contains(words));
                known.then_some(())
            })
            .await;
        }
    }
}

async fn connect(sentinel: &RedisServer) -> MultiplexedConnection {
    let url = format!("redis://:{SENTINEL_PASSWORD}@127.0.0.1:{}", sentinel.port());
    Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}
