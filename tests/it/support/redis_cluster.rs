//! A Redis Cluster of a test's own: three nodes, each with a third of the slots, and replicas if wanted.

use std::time::Duration;

use deadpool_redis::redis::{FromRedisValue, aio::MultiplexedConnection, cmd};

use super::{
    process::free_port,
    redis_server::{Options, RedisServer},
    wait::{until, until_within},
};

/// Slots of a cluster.
const SLOTS: u32 = 16_384;
/// A node that is not heard of for this long has failed.
const NODE_TIMEOUT_MS: &str = "1500";
const PRIMARIES: usize = 3;

pub struct RedisCluster {
    /// The primaries first.
    pub nodes: Vec<RedisServer>,
    connections: Vec<MultiplexedConnection>,
}

impl RedisCluster {
    /// Three primaries.
    pub async fn start() -> Self {
        Self::start_with(0).await
    }

    /// The first so many primaries have a replica each.
    pub async fn start_with(replicas: usize) -> Self {
        let mut nodes = Vec::new();
        let mut connections = Vec::new();
        let mut bus_ports = Vec::new();
        for _ in 0..PRIMARIES + replicas {
            let bus = free_port();
            let words = format!(
                "--cluster-enabled yes --cluster-node-timeout {NODE_TIMEOUT_MS} --cluster-port {bus} \
                 --repl-diskless-sync-delay 0 --cluster-replica-validity-factor 0"
            );
            let arguments = words.split_whitespace().map(str::to_owned).collect();
            let node = RedisServer::start_with(Options { arguments, ..Options::default() });
            connections.push(node.connection().await);
            nodes.push(node);
            bus_ports.push(bus);
        }
        let mut cluster = Self { nodes, connections };
        for (n, node) in (0..PRIMARIES as u32).zip(0..) {
            let (from, to) = (SLOTS * n / PRIMARIES as u32, SLOTS * (n + 1) / PRIMARIES as u32 - 1);
            cluster.run::<()>(node, &format!("CLUSTER ADDSLOTSRANGE {from} {to}")).await;
        }
        for node in 0..cluster.nodes.len() {
            cluster.run::<()>(node, &format!("CLUSTER SET-CONFIG-EPOCH {}", node + 1)).await;
            let meet = format!("CLUSTER MEET 127.0.0.1 {} {}", cluster.nodes[0].port(), bus_ports[0]);
            if node > 0 {
                cluster.run::<()>(node, &meet).await;
            }
        }
        cluster.agree().await;
        for replica in PRIMARIES..PRIMARIES + replicas {
            let of: String = cluster.run(replica - PRIMARIES, "CLUSTER MYID").await;
            cluster.run::<()>(replica, &format!("CLUSTER REPLICATE {of}")).await;
        }
        for replica in PRIMARIES..PRIMARIES + replicas {
            let mut connection = cluster.connections[replica].clone();
            until("the replica follows", || async {
                let info: String =
                    words("INFO replication").query_async(&mut connection.clone()).await.unwrap();
                info.contains("master_link_status:up").then_some(())
            })
            .await;
            // Everybody is to know of it, so that it can be elected.
            let id: String = words("CLUSTER MYID").query_async(&mut connection).await.unwrap();
            for node in 0..cluster.nodes.len() {
                let connection = cluster.connections[node].clone();
                until("a node knows the replica", || async {
                    let all: String =
                        words("CLUSTER NODES").query_async(&mut connection.clone()).await.unwrap();
                    all.lines().any(|l| l.starts_with(&id) && l.contains("slave")).then_some(())
                })
                .await;
            }
        }
        cluster
    }

    /// An address that names all nodes.
    pub fn url(&self) -> String {
        let hosts: Vec<String> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis-cluster://{}", hosts.join(","))
    }

    pub fn connection(&self, node: usize) -> MultiplexedConnection {
        self.connections[node].clone()
    }

    /// Runs a command given as words on a node.
    pub async fn run<T: FromRedisValue>(&self, node: usize, command: &str) -> T {
        let answer = words(command).query_async(&mut self.connections[node].clone()).await;
        answer.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    pub async fn slot_of(&self, key: &str) -> u32 {
        self.run(0, &format!("CLUSTER KEYSLOT {key}")).await
    }

    /// Which primary was given the slot at the beginning.
    pub fn first_owner(slot: u32) -> usize {
        (0..PRIMARIES).find(|n| slot < SLOTS * (*n as u32 + 1) / PRIMARIES as u32).unwrap()
    }

    /// Begins to move a slot: both nodes know of it, no key has moved.
    pub async fn begin_move(&self, slot: u32, from: usize, to: usize) {
        let (source, target): (String, String) =
            (self.run(from, "CLUSTER MYID").await, self.run(to, "CLUSTER MYID").await);
        self.run::<()>(to, &format!("CLUSTER SETSLOT {slot} IMPORTING {source}")).await;
        self.run::<()>(from, &format!("CLUSTER SETSLOT {slot} MIGRATING {target}")).await;
    }

    /// Moves up to so many keys of the slot; how many it were.
    pub async fn move_keys(&self, slot: u32, from: usize, to: usize, most: usize) -> usize {
        let keys: Vec<Vec<u8>> = self.run(from, &format!("CLUSTER GETKEYSINSLOT {slot} {most}")).await;
        if !keys.is_empty() {
            let mut migrate = cmd("MIGRATE");
            migrate.arg("127.0.0.1").arg(self.nodes[to].port()).arg("").arg(0).arg(5_000).arg("KEYS");
            keys.iter().for_each(|key| _ = migrate.arg(key));
            migrate.query_async::<()>(&mut self.connections[from].clone()).await.unwrap();
        }
        keys.len()
    }

    /// Moves the rest of the keys and gives the slot to its new owner.
    pub async fn end_move(&self, slot: u32, from: usize, to: usize) {
        while self.move_keys(slot, from, to, 10).await > 0 {}
        let target: String = self.run(to, "CLUSTER MYID").await;
        for node in [to, from].into_iter().chain((0..PRIMARIES).filter(|n| *n != to && *n != from)) {
            self.run::<()>(node, &format!("CLUSTER SETSLOT {slot} NODE {target}")).await;
        }
    }

    async fn agree(&mut self) {
        let nodes = self.nodes.len();
        for connection in &self.connections {
            until_within(Duration::from_secs(60), "the cluster has formed", || async {
                let info: String = words("CLUSTER INFO").query_async(&mut connection.clone()).await.unwrap();
                let known = info.contains(&format!("cluster_known_nodes:{nodes}"));
                (known && info.contains("cluster_state:ok")).then_some(())
            })
            .await;
        }
    }
}

fn words(command: &str) -> deadpool_redis::redis::Cmd {
    let mut words = command.split(' ');
    let mut command = cmd(words.next().unwrap());
    words.for_each(|word| _ = command.arg(word));
    command
}
